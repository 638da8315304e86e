//! H.264 through OpenH264, built from its bundled source.

use std::collections::VecDeque;

use openh264::decoder::{DecodeOptions, DecodedYUV, Flush};
use openh264::formats::YUVSource;
use re_mp4::Avc1Box;

use super::color::{Matrix, Planes};
use crate::image::Image;

const START_CODE: [u8; 4] = [0, 0, 0, 1];

/// What an MP4 file says about its stream outside of it.
#[derive(Clone)]
pub(super) struct Setup {
    /// Parameter sets with start codes.
    parameters: Vec<u8>,
    /// Bytes of the length before each unit of a packet.
    length_bytes: usize,
}

impl Setup {
    pub fn new(sample_entry: &Avc1Box) -> Self {
        let avcc = &sample_entry.avcc;
        let mut parameters = Vec::new();
        for unit in avcc.sequence_parameter_sets.iter().chain(&avcc.picture_parameter_sets) {
            parameters.extend_from_slice(&START_CODE);
            parameters.extend_from_slice(&unit.bytes);
        }
        Self { parameters, length_bytes: usize::from(avcc.length_size_minus_one & 3) + 1 }
    }

    /// Replaces the lengths between units by start codes.
    fn with_start_codes(&self, packet: &[u8], into: &mut Vec<u8>) -> Result<(), String> {
        let mut rest = packet;
        while !rest.is_empty() {
            let cut = || "a packet is cut short".to_owned();
            let (length, after) = rest.split_at_checked(self.length_bytes).ok_or_else(cut)?;
            let length = length.iter().fold(0_usize, |sum, &byte| sum << 8 | usize::from(byte));
            let (unit, after) = after.split_at_checked(length).ok_or_else(cut)?;
            into.extend_from_slice(&START_CODE);
            into.extend_from_slice(unit);
            rest = after;
        }
        Ok(())
    }
}

struct Decoder {
    inner: openh264::decoder::Decoder,
    setup: Setup,
    begun: bool,
}

pub(super) fn decoder(setup: &Setup) -> Result<Box<dyn super::Decoder>, String> {
    let inner = openh264::decoder::Decoder::new().map_err(|error| error.to_string())?;
    Ok(Box::new(Decoder { inner, setup: setup.clone(), begun: false }))
}

fn to_image(picture: &DecodedYUV<'_>) -> Result<Image, String> {
    let (width, height) = picture.dimensions();
    let (luma, chroma, _) = picture.strides();
    let planes = Planes {
        width,
        height,
        y: picture.y(),
        u: picture.u(),
        v: picture.v(),
        strides: (luma, chroma),
    };
    // OpenH264 does not tell the matrix; LeRobot's encoders leave it unsaid, which means this one.
    planes.to_rgb(Matrix::Bt601, false)
}

impl super::Decoder for Decoder {
    fn decode(&mut self, packet: &[u8], pictures: &mut VecDeque<Image>) -> Result<(), String> {
        let mut stream = Vec::new();
        if !self.begun {
            stream.extend_from_slice(&self.setup.parameters);
            self.begun = true;
        }
        self.setup.with_start_codes(packet, &mut stream)?;
        let options = DecodeOptions::new().flush_after_decode(Flush::NoFlush);
        let decoded = self.inner.decode_with_options(&stream, options);
        if let Some(picture) = decoded.map_err(|error| error.to_string())? {
            pictures.push_back(to_image(&picture)?);
        }
        Ok(())
    }

    fn flush(&mut self, pictures: &mut VecDeque<Image>) -> Result<(), String> {
        for picture in self.inner.flush_remaining().map_err(|error| error.to_string())? {
            pictures.push_back(to_image(&picture)?);
        }
        Ok(())
    }
}
