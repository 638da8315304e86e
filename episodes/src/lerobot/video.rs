//! Frames of the videos that LeRobot writes. Decoding needs the feature `video`.

#[cfg(feature = "video")]
mod av1;
#[cfg(feature = "video")]
mod color;
#[cfg(feature = "video")]
mod h264;

#[cfg(feature = "video")]
use std::collections::VecDeque;
use std::path::PathBuf;

#[cfg(feature = "video")]
use re_mp4::{Mp4, Sample, StsdBoxContent, TrackKind};

#[cfg(feature = "video")]
use crate::image::Image;

/// Why a video frame could not be had.
#[derive(Debug, thiserror::Error)]
pub enum VideoError {
    /// This build cannot decode videos.
    #[error(
        "it is in a video, and this sinew is built without the feature `video`: build with --features video"
    )]
    Disabled,
    /// The episode's metadata does not say where its video is.
    #[error("meta/episodes has no video for it")]
    NoPlace,
    /// The file cannot be read.
    #[error("cannot read {}: {source}", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// The system's reason.
        source: std::io::Error,
    },
    /// Not an MP4 file, or a damaged one.
    #[error("{} is not a readable MP4 file: {reason}", path.display())]
    Container {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        reason: String,
    },
    /// A codec that is not supported.
    #[error("{} is encoded with {codec}; H.264 and AV1 (8 bits, 4:2:0) are read", path.display())]
    Codec {
        /// The file.
        path: PathBuf,
        /// The codec.
        codec: String,
    },
    /// No frame at that time.
    #[error("{} has no frame at {at_s} s; the nearest is at {nearest_s} s", path.display())]
    NoFrame {
        /// The file.
        path: PathBuf,
        /// Time asked for, in seconds.
        at_s: f64,
        /// Time of the nearest frame, in seconds.
        nearest_s: f64,
    },
    /// The decoder refused.
    #[error("cannot decode {}: {reason}", path.display())]
    Decode {
        /// The file.
        path: PathBuf,
        /// Its reason.
        reason: String,
    },
}

/// How far a frame may be from the time asked for, in seconds: LeRobot's own tolerance.
#[cfg(feature = "video")]
const TOLERANCE_S: f64 = 1e-4;

/// Decodes packets to pictures in the order of presentation.
#[cfg(feature = "video")]
trait Decoder: Send {
    fn decode(&mut self, packet: &[u8], pictures: &mut VecDeque<Image>) -> Result<(), String>;
    /// Gives out what is still inside.
    fn flush(&mut self, pictures: &mut VecDeque<Image>) -> Result<(), String>;
}

/// An open video file. Frames are decoded from the key frame before them; going forward goes on
/// from the last one.
#[cfg(feature = "video")]
pub(super) struct Video {
    path: PathBuf,
    bytes: Vec<u8>,
    codec: Codec,
    /// Samples in decoding order.
    samples: Vec<Sample>,
    position: Option<Position>,
}

#[cfg(feature = "video")]
#[derive(Clone)]
enum Codec {
    H264(h264::Setup),
    Av1,
}

/// Where decoding stands inside a group of pictures.
#[cfg(feature = "video")]
struct Position {
    decoder: Box<dyn Decoder>,
    /// Samples of the group, as a range of [`Video::samples`].
    group: std::ops::Range<usize>,
    next: usize,
    flushed: bool,
    /// Presentation order within the group of the next picture to come out.
    rank: usize,
    waiting: VecDeque<Image>,
    last: Option<(usize, Image)>,
}

#[cfg(feature = "video")]
impl std::fmt::Debug for Video {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Video").field("path", &self.path).finish_non_exhaustive()
    }
}

#[cfg(feature = "video")]
impl Video {
    pub fn open(path: &std::path::Path) -> Result<Self, VideoError> {
        let container = |reason: &str| VideoError::Container {
            path: path.to_owned(),
            reason: reason.to_owned(),
        };
        let bytes = std::fs::read(path)
            .map_err(|source| VideoError::Read { path: path.to_owned(), source })?;
        let mp4 = Mp4::read_bytes(&bytes).map_err(|error| container(&error.to_string()))?;
        let track = mp4
            .tracks()
            .values()
            .find(|track| track.kind == Some(TrackKind::Video))
            .ok_or_else(|| container("it has no video track"))?;
        let codec = match &track.trak(&mp4).mdia.minf.stbl.stsd.contents {
            StsdBoxContent::Avc1(avc1) => Codec::H264(h264::Setup::new(avc1)),
            StsdBoxContent::Av01(_) => Codec::Av1,
            other => {
                let codec = other.codec_string().unwrap_or_else(|| "an unknown codec".to_owned());
                return Err(VideoError::Codec { path: path.to_owned(), codec });
            }
        };
        let samples = track.samples.clone();
        if !samples.first().is_some_and(|sample| sample.is_sync) {
            return Err(container("it does not begin with a key frame"));
        }
        Ok(Self { path: path.to_owned(), bytes, codec, samples, position: None })
    }

    pub fn path(&self) -> &std::path::Path {
        &self.path
    }

    /// The frame at a time, in seconds from the first frame's.
    pub fn frame_at(&mut self, at_s: f64) -> Result<Image, VideoError> {
        let time =
            |sample: &Sample| sample.composition_timestamp as f64 / sample.timescale.max(1) as f64;
        let nearest = self
            .samples
            .iter()
            .enumerate()
            .min_by(|(_, a), (_, b)| (time(a) - at_s).abs().total_cmp(&(time(b) - at_s).abs()));
        let (index, sample) = match nearest {
            Some((index, sample)) if (time(sample) - at_s).abs() <= TOLERANCE_S => (index, *sample),
            other => {
                let nearest_s = other.map_or(f64::NAN, |(_, sample)| time(sample));
                return Err(VideoError::NoFrame { path: self.path.clone(), at_s, nearest_s });
            }
        };
        let is_sync = |index: &usize| self.samples.get(*index).is_some_and(|s| s.is_sync);
        let start = (0..=index).rev().find(is_sync).unwrap_or(0);
        let end = (index + 1..self.samples.len()).find(is_sync).unwrap_or(self.samples.len());
        let group = self.samples.get(start..end).unwrap_or_default();
        let before = |other: &&Sample| other.composition_timestamp < sample.composition_timestamp;
        let rank = group.iter().filter(before).count();
        let reason = |reason: String| VideoError::Decode { path: self.path.clone(), reason };
        let kept = self.position.take().filter(|position| {
            position.group == (start..end)
                && (position.rank <= rank
                    || position.last.as_ref().is_some_and(|(last, _)| *last == rank))
        });
        let mut position = match kept {
            Some(position) => position,
            None => Position {
                decoder: match &self.codec {
                    Codec::H264(setup) => h264::decoder(setup).map_err(reason)?,
                    Codec::Av1 => av1::decoder().map_err(reason)?,
                },
                group: start..end,
                next: start,
                flushed: false,
                rank: 0,
                waiting: VecDeque::new(),
                last: None,
            },
        };
        let image = position.reach(rank, &self.samples, &self.bytes).map_err(reason)?;
        self.position = Some(position);
        Ok(image)
    }
}

#[cfg(feature = "video")]
impl Position {
    fn reach(&mut self, rank: usize, samples: &[Sample], bytes: &[u8]) -> Result<Image, String> {
        loop {
            if let Some((_, image)) = self.last.as_ref().filter(|(last, _)| *last == rank) {
                return Ok(image.clone());
            }
            if let Some(image) = self.waiting.pop_front() {
                self.last = Some((self.rank, image));
                self.rank += 1;
            } else if self.next < self.group.end {
                let range = samples.get(self.next).map(Sample::byte_range);
                let packet = range
                    .and_then(|range| bytes.get(range))
                    .ok_or_else(|| "a frame lies outside the file".to_owned())?;
                self.decoder.decode(packet, &mut self.waiting)?;
                self.next += 1;
            } else if self.flushed {
                return Err("the file has fewer pictures than its index says".to_owned());
            } else {
                self.decoder.flush(&mut self.waiting)?;
                self.flushed = true;
            }
        }
    }
}
