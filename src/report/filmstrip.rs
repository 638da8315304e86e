//! A handful of small pictures per camera.

use std::io::Cursor;

use sinew_episodes::journal::{ReadError, Reader, Record};

/// Largest width of a picture, in pixels.
const WIDTH: usize = 192;

/// Pictures of all cameras together, so that the page stays small.
const PICTURES: usize = 24;

/// Bytes that the decoder may allocate for one image.
const DECODE_BYTES: usize = 256 << 20;

/// Pictures of one camera.
#[derive(Clone, Debug, Default)]
pub struct Strip {
    /// Frames in the journal.
    pub frames: u64,
    /// Frames per second between the first and the last; `None` below two frames.
    pub rate_hz: Option<f64>,
    /// Longest time between two frames, in µs; `None` below two frames.
    pub longest_gap_us: Option<f64>,
    /// Evenly spaced in time.
    pub pictures: Vec<Picture>,
}

/// One picture.
#[derive(Clone, Debug)]
pub struct Picture {
    /// When it was taken, in ns.
    pub captured_ns: u64,
    /// A small PNG file, or why there is none.
    pub png: Result<Vec<u8>, PictureError>,
}

/// Why a frame has no picture.
#[derive(Clone, Debug, thiserror::Error)]
pub enum PictureError {
    /// The frame is not a PNG file.
    #[error("the frame's PNG file is damaged: {0}")]
    Decode(String),
    /// The small picture could not be encoded.
    #[error("the picture cannot be encoded: {0}")]
    Encode(String),
    /// The pixels are neither grey nor coloured.
    #[error("the frame has a pixel format without a picture")]
    Format,
}

/// Pictures for each camera's frames, given as capture time and place in the journal.
pub fn strips(reader: &mut Reader, frames: &[Vec<(u64, u64)>]) -> Result<Vec<Strip>, ReadError> {
    let wanted = (PICTURES / frames.len().max(1)).clamp(3, 8);
    let mut strips = Vec::with_capacity(frames.len());
    for times in frames {
        let mut strip = Strip { frames: times.len() as u64, ..Strip::default() };
        if let (Some((first, _)), Some((last, _))) = (times.first(), times.last())
            && last > first
        {
            let span_s = (last - first) as f64 / 1e9;
            strip.rate_hz = Some((times.len() - 1) as f64 / span_s);
            let gaps = times.windows(2).map(|pair| pair[1].0.saturating_sub(pair[0].0));
            strip.longest_gap_us = gaps.max().map(|gap| gap as f64 / 1e3);
        }
        for (captured_ns, offset) in spaced(times, wanted) {
            // A record that was whole a moment ago is gone only if the file was changed.
            if let Record::Frame(frame) = reader.read_at(offset)? {
                strip.pictures.push(Picture { captured_ns, png: shrink(&frame.png) });
            }
        }
        strips.push(strip);
    }
    Ok(strips)
}

/// The frames nearest to `wanted` evenly spaced times, each once, in order.
fn spaced(times: &[(u64, u64)], wanted: usize) -> Vec<(u64, u64)> {
    let (Some(first), Some(last)) = (times.first(), times.last()) else { return Vec::new() };
    if times.len() <= wanted {
        return times.to_vec();
    }
    let span = last.0.saturating_sub(first.0) as f64;
    let mut chosen: Vec<usize> = (0..wanted)
        .map(|step| {
            let ideal = first.0 + (span * step as f64 / (wanted - 1).max(1) as f64) as u64;
            let after = times.partition_point(|(at, _)| *at < ideal).min(times.len() - 1);
            let before = after.saturating_sub(1);
            let distance = |index: usize| times[index].0.abs_diff(ideal);
            if distance(before) < distance(after) { before } else { after }
        })
        .collect();
    chosen.dedup();
    chosen.into_iter().map(|index| times[index]).collect()
}

/// The image at a width of at most [`WIDTH`], each pixel the mean of those it covers.
fn shrink(png: &[u8]) -> Result<Vec<u8>, PictureError> {
    let decode = |error: png::DecodingError| PictureError::Decode(error.to_string());
    let limits = png::Limits { bytes: DECODE_BYTES };
    let mut decoder = png::Decoder::new_with_limits(Cursor::new(png), limits);
    decoder.set_transformations(png::Transformations::normalize_to_color8());
    let mut reader = decoder.read_info().map_err(decode)?;
    let size = reader.output_buffer_size().filter(|size| *size <= DECODE_BYTES);
    let mut pixels = vec![0; size.ok_or(PictureError::Format)?];
    let info = reader.next_frame(&mut pixels).map_err(decode)?;
    let channels = info.color_type.samples();
    let (width, height) = (info.width as usize, info.height as usize);
    let target_width = width.min(WIDTH);
    let target_height = (height * target_width).div_ceil(width.max(1)).clamp(1, 4 * WIDTH);
    let mut small = Vec::with_capacity(target_width * target_height * channels);
    let cells = |target: usize, targets: usize, pixels: usize| {
        let first = target * pixels / targets;
        first..((target + 1) * pixels / targets).max(first + 1).min(pixels)
    };
    for row in 0..target_height {
        for column in 0..target_width {
            for channel in 0..channels {
                let (mut sum, mut count) = (0_u64, 0_u64);
                for y in cells(row, target_height, height) {
                    for x in cells(column, target_width, width) {
                        let at = y * info.line_size + x * channels + channel;
                        sum += u64::from(pixels.get(at).copied().unwrap_or(0));
                        count += 1;
                    }
                }
                small.push((sum / count.max(1)) as u8);
            }
        }
    }
    encode(&small, target_width, target_height, info.color_type)
}

fn encode(
    pixels: &[u8],
    width: usize,
    height: usize,
    color: png::ColorType,
) -> Result<Vec<u8>, PictureError> {
    let failed = |error: png::EncodingError| PictureError::Encode(error.to_string());
    let mut file = Vec::new();
    let mut encoder = png::Encoder::new(&mut file, width as u32, height as u32);
    encoder.set_color(color);
    encoder.set_depth(png::BitDepth::Eight);
    let mut writer = encoder.write_header().map_err(failed)?;
    writer.write_image_data(pixels).map_err(failed)?;
    writer.finish().map_err(failed)?;
    Ok(file)
}

#[cfg(test)]
pub mod tests {
    use super::*;

    /// An RGB image whose left half is red and whose right half is blue.
    pub fn picture(width: u32, height: u32) -> Vec<u8> {
        let row = (0..width).flat_map(|x| if x < width / 2 { [200, 0, 0] } else { [0, 0, 100] });
        let row: Vec<u8> = row.collect();
        let pixels = row.repeat(height as usize);
        encode(&pixels, width as usize, height as usize, png::ColorType::Rgb).unwrap()
    }

    #[test]
    fn large_images_shrink_and_keep_their_colours() {
        let small = shrink(&picture(640, 480)).unwrap();
        let mut reader = png::Decoder::new(Cursor::new(&small)).read_info().unwrap();
        assert_eq!((reader.info().width, reader.info().height), (192, 144));
        let mut pixels = vec![0; reader.output_buffer_size().unwrap()];
        reader.next_frame(&mut pixels).unwrap();
        assert_eq!(pixels[..3], [200, 0, 0]);
        assert_eq!(pixels[191 * 3..192 * 3], [0, 0, 100]);
    }

    #[test]
    fn small_images_stay_as_they_are_and_damaged_ones_are_named() {
        let small = shrink(&picture(6, 1)).unwrap();
        let reader = png::Decoder::new(Cursor::new(&small)).read_info().unwrap();
        assert_eq!((reader.info().width, reader.info().height), (6, 1));
        let mut torn = picture(64, 48);
        torn.truncate(60);
        assert!(matches!(shrink(&torn), Err(PictureError::Decode(_))));
        assert!(matches!(shrink(b"no picture"), Err(PictureError::Decode(_))));
    }

    #[test]
    fn chosen_frames_are_evenly_spaced_in_time_and_never_repeat() {
        let times: Vec<(u64, u64)> = (0..100).map(|at| (at * 10, at)).collect();
        let chosen: Vec<u64> = spaced(&times, 5).iter().map(|(at, _)| *at).collect();
        assert_eq!(chosen, [0, 250, 500, 740, 990]);
        let burst = [(0, 0), (1, 1), (2, 2), (3, 3), (1000, 4)];
        let chosen: Vec<u64> = spaced(&burst, 4).iter().map(|(at, _)| *at).collect();
        assert_eq!(chosen, [0, 3, 1000]);
        assert_eq!(spaced(&times[..2], 5), times[..2]);
        assert!(spaced(&[], 5).is_empty());
    }
}
