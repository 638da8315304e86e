//! AV1 through a Rust port of dav1d.

use std::collections::VecDeque;

use re_rav1d::dav1d::{self, PixelLayout, PlanarImageComponent, Settings, pixel};

use super::color::{Matrix, Planes};
use crate::image::Image;

/// Most pixels of a frame: a file cannot ask for more memory than that.
const PIXEL_LIMIT: u32 = 1 << 26;

struct Decoder {
    inner: dav1d::Decoder,
}

pub(super) fn decoder() -> Result<Box<dyn super::Decoder>, String> {
    let mut settings = Settings::new();
    // One thread, and each picture out before the next packet goes in.
    settings.set_n_threads(1);
    settings.set_max_frame_delay(1);
    settings.set_frame_size_limit(PIXEL_LIMIT);
    let inner = dav1d::Decoder::with_settings(&settings).map_err(|error| error.to_string())?;
    Ok(Box::new(Decoder { inner }))
}

fn to_image(picture: &dav1d::Picture) -> Result<Image, String> {
    if picture.pixel_layout() != PixelLayout::I420 || picture.bit_depth() != 8 {
        let (layout, bits) = (picture.pixel_layout(), picture.bit_depth());
        return Err(format!("its pictures are {layout:?} with {bits} bits; 4:2:0 with 8 is read"));
    }
    let y = picture.plane(PlanarImageComponent::Y);
    let u = picture.plane(PlanarImageComponent::U);
    let v = picture.plane(PlanarImageComponent::V);
    let planes = Planes {
        width: picture.width() as usize,
        height: picture.height() as usize,
        y: &y,
        u: &u,
        v: &v,
        strides: (
            picture.stride(PlanarImageComponent::Y) as usize,
            picture.stride(PlanarImageComponent::U) as usize,
        ),
    };
    let matrix = match picture.matrix_coefficients() {
        pixel::MatrixCoefficients::BT709 => Matrix::Bt709,
        _ => Matrix::Bt601,
    };
    planes.to_rgb(matrix, picture.color_range() == pixel::YUVRange::Full)
}

impl Decoder {
    fn take(&mut self, pictures: &mut VecDeque<Image>) -> Result<(), String> {
        loop {
            match self.inner.get_picture() {
                Ok(picture) => pictures.push_back(to_image(&picture)?),
                Err(error) if error.is_again() => return Ok(()),
                Err(error) => return Err(error.to_string()),
            }
        }
    }
}

impl super::Decoder for Decoder {
    fn decode(&mut self, packet: &[u8], pictures: &mut VecDeque<Image>) -> Result<(), String> {
        let mut sent = self.inner.send_data(packet.to_vec(), None, None, None);
        loop {
            match sent {
                Ok(()) => return self.take(pictures),
                Err(error) if error.is_again() => {
                    let before = pictures.len();
                    self.take(pictures)?;
                    sent = self.inner.send_pending_data();
                    if sent.as_ref().is_err_and(|e| e.is_again()) && pictures.len() == before {
                        return Err("the decoder takes no more data".to_owned());
                    }
                }
                Err(error) => return Err(error.to_string()),
            }
        }
    }

    fn flush(&mut self, pictures: &mut VecDeque<Image>) -> Result<(), String> {
        self.take(pictures)
    }
}
