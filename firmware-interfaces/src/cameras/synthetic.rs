//! A moving test picture. Time and frame number stand in its pixels, so that a stale, dropped or
//! reordered frame can be told from its content alone.

use std::time::Duration;

use crate::camera::{Camera, CameraDescription, CameraError, Frame};
use crate::time::Timestamp;

/// Bits of the frame number written into the first row.
const COUNTER_BITS: usize = 32;

/// A coloured gradient with a bright block that circles once every eight seconds. The first
/// 32 pixels of the top row hold the frame number, most significant bit first: white
/// for 1, black for 0.
#[derive(Debug)]
pub struct SyntheticCamera {
    description: CameraDescription,
    stops_after: Option<Duration>,
    began: Option<Timestamp>,
    sequence: u64,
}

impl SyntheticCamera {
    /// A camera of `width` by `height` pixels at one frame per `period`. With `stops_after` it
    /// fails from that time on, as an unplugged camera does.
    pub fn new(
        width: usize,
        height: usize,
        period: Duration,
        stops_after: Option<Duration>,
    ) -> Self {
        let description = CameraDescription { kind: "synthetic", width, height, period };
        Self { description, stops_after, began: None, sequence: 0 }
    }

    /// The frame number in a picture of this camera, if it is wide enough to hold one.
    pub fn counter(frame: &Frame) -> Option<u32> {
        if frame.width < COUNTER_BITS || frame.rgb.len() < COUNTER_BITS * 3 {
            return None;
        }
        let bits = frame.rgb.chunks_exact(3).take(COUNTER_BITS);
        Some(bits.fold(0, |number, pixel| number << 1 | u32::from(pixel[0] > 127)))
    }
}

impl Camera for SyntheticCamera {
    fn description(&self) -> &CameraDescription {
        &self.description
    }

    fn capture(&mut self, now: Timestamp, frame: &mut Frame) -> Result<(), CameraError> {
        let began = *self.began.get_or_insert(now);
        if self.stops_after.is_some_and(|limit| now.since(began) >= limit) {
            return Err(CameraError::Stopped { frames: self.sequence });
        }
        let (width, height) = (self.description.width, self.description.height);
        self.sequence += 1;
        frame.width = width;
        frame.height = height;
        frame.captured = now;
        frame.sequence = self.sequence;
        frame.rgb.resize(width * height * 3, 0);

        let angle = now.as_seconds() * std::f64::consts::TAU / 8.0;
        let centre_x = (0.5 + 0.35 * angle.cos()) * width as f64;
        let centre_y = (0.5 + 0.35 * angle.sin()) * height as f64;
        let reach = 0.12 * width.min(height) as f64;
        for (index, pixel) in frame.rgb.chunks_exact_mut(3).enumerate() {
            let (x, y) = (index % width, index / width);
            let inside = (x as f64 - centre_x).abs() < reach && (y as f64 - centre_y).abs() < reach;
            let colour = if inside {
                [250, 220, 60]
            } else {
                [(x * 200 / width) as u8, (y * 200 / height) as u8, 90]
            };
            pixel.copy_from_slice(&colour);
        }
        if width >= COUNTER_BITS {
            for (bit, pixel) in frame.rgb.chunks_exact_mut(3).take(COUNTER_BITS).enumerate() {
                let set = self.sequence >> (COUNTER_BITS - 1 - bit) & 1 == 1;
                pixel.fill(if set { 255 } else { 0 });
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_frame_carries_its_number_and_its_time() {
        let mut camera = SyntheticCamera::new(64, 48, Duration::from_millis(33), None);
        let mut frame = Frame::default();
        for number in 1..=300 {
            let now = Timestamp::from_nanos(number * 33_000_000);
            camera.capture(now, &mut frame).unwrap();
            assert_eq!(SyntheticCamera::counter(&frame), Some(number as u32));
            assert_eq!((frame.sequence, frame.captured), (number, now));
            assert_eq!(frame.rgb.len(), 64 * 48 * 3);
        }
    }

    #[test]
    fn a_camera_told_to_stop_stops() {
        let limit = Some(Duration::from_secs(1));
        let mut camera = SyntheticCamera::new(64, 48, Duration::from_millis(100), limit);
        let mut frame = Frame::default();
        camera.capture(Timestamp::from_nanos(5_000_000_000), &mut frame).unwrap();
        let late = camera.capture(Timestamp::from_nanos(6_000_000_000), &mut frame);
        assert!(matches!(late, Err(CameraError::Stopped { frames: 1 })));
    }
}
