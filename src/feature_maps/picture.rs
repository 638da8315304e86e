//! RGB pictures in PNG files.

use std::fs::File;
use std::io::{BufReader, BufWriter};
use std::path::{Path, PathBuf};

/// Bytes that the decoder may allocate.
const DECODE_BYTES: usize = 256 << 20;

/// Why a picture could not be read or written.
#[derive(Debug, thiserror::Error)]
pub enum PictureError {
    /// The operating system refused.
    #[error("{}: {source}", file.display())]
    System {
        /// Path of the file.
        file: PathBuf,
        /// What it said.
        source: std::io::Error,
    },
    /// It is not a usable PNG file.
    #[error("{}: {source}; needed a PNG file", file.display())]
    Decode {
        /// Path of the file.
        file: PathBuf,
        /// What is wrong.
        source: png::DecodingError,
    },
    /// It has more pixels than are read.
    #[error("{}: is too large; at most {} MB of pixels are read", file.display(), DECODE_BYTES >> 20)]
    TooLarge {
        /// Path of the file.
        file: PathBuf,
    },
    /// It could not be encoded.
    #[error("{}: {source}", file.display())]
    Encode {
        /// Path of the file.
        file: PathBuf,
        /// What is wrong.
        source: png::EncodingError,
    },
}

/// Pixels of red, green and blue, line by line.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Picture {
    width: usize,
    bytes: Vec<u8>,
}

impl Picture {
    /// The part that begins at this column and row, of this width and height.
    pub(super) fn part(&self, [left, top]: [usize; 2], [width, height]: [usize; 2]) -> Self {
        let mut part = Self::filled(width, height, [0; 3]);
        for y in 0..height {
            for x in 0..width {
                part.set(x, y, self.pixel(left + x, top + y));
            }
        }
        part
    }

    /// A picture of one colour.
    #[must_use]
    pub fn filled(width: usize, height: usize, color: [u8; 3]) -> Self {
        Self { width, bytes: color.repeat(width * height) }
    }

    /// Reads a PNG file; grey becomes RGB, transparency is dropped.
    ///
    /// # Errors
    /// [`PictureError`], naming the file.
    pub fn read(file: &Path) -> Result<Self, PictureError> {
        let path = || file.to_path_buf();
        let opened =
            File::open(file).map_err(|source| PictureError::System { file: path(), source })?;
        let decode = |source| PictureError::Decode { file: path(), source };
        let limits = png::Limits { bytes: DECODE_BYTES };
        let mut decoder = png::Decoder::new_with_limits(BufReader::new(opened), limits);
        decoder.set_transformations(png::Transformations::normalize_to_color8());
        let mut reader = decoder.read_info().map_err(decode)?;
        let size = reader.output_buffer_size().filter(|size| *size <= DECODE_BYTES);
        let mut pixels = vec![0; size.ok_or_else(|| PictureError::TooLarge { file: path() })?];
        let info = reader.next_frame(&mut pixels).map_err(decode)?;
        pixels.truncate(info.buffer_size());
        let bytes = match info.color_type.samples() {
            1 => pixels.iter().flat_map(|grey| [*grey; 3]).collect(),
            2 => pixels.as_chunks::<2>().0.iter().flat_map(|[grey, _]| [*grey; 3]).collect(),
            3 => pixels,
            _ => pixels.as_chunks::<4>().0.iter().flat_map(|[r, g, b, _]| [*r, *g, *b]).collect(),
        };
        Ok(Self { width: info.width as usize, bytes })
    }

    /// Writes a PNG file.
    ///
    /// # Errors
    /// [`PictureError`], naming the file.
    pub fn write(&self, file: &Path) -> Result<(), PictureError> {
        let path = || file.to_path_buf();
        let opened =
            File::create(file).map_err(|source| PictureError::System { file: path(), source })?;
        let encode = |source| PictureError::Encode { file: path(), source };
        let (width, height) = (self.width as u32, self.height() as u32);
        let mut encoder = png::Encoder::new(BufWriter::new(opened), width, height);
        encoder.set_color(png::ColorType::Rgb);
        encoder.set_depth(png::BitDepth::Eight);
        let mut writer = encoder.write_header().map_err(encode)?;
        writer.write_image_data(&self.bytes).map_err(encode)?;
        writer.finish().map_err(encode)
    }

    /// Columns.
    #[must_use]
    pub fn width(&self) -> usize {
        self.width
    }

    /// Rows.
    #[must_use]
    pub fn height(&self) -> usize {
        self.bytes.len() / (3 * self.width).max(1)
    }

    /// All pixels, three bytes each.
    #[must_use]
    pub fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// One pixel.
    #[must_use]
    pub fn pixel(&self, x: usize, y: usize) -> [u8; 3] {
        std::array::from_fn(|channel| self.bytes[3 * (y * self.width + x) + channel])
    }

    /// Sets one pixel.
    pub fn set(&mut self, x: usize, y: usize, color: [u8; 3]) {
        self.bytes[3 * (y * self.width + x)..][..3].copy_from_slice(&color);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_is_read_again() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("a.png");
        let mut picture = Picture::filled(3, 2, [1, 2, 3]);
        picture.set(2, 1, [200, 100, 50]);
        picture.write(&file).unwrap();
        let read = Picture::read(&file).unwrap();
        assert_eq!(read, picture);
        assert_eq!((read.width(), read.height()), (3, 2));
        assert_eq!(read.pixel(2, 1), [200, 100, 50]);
        std::fs::write(&file, b"GIF89a").unwrap();
        let message = Picture::read(&file).unwrap_err().to_string();
        assert!(message.contains("a.png") && message.contains("needed a PNG"), "{message}");
    }

    #[test]
    fn grey_becomes_rgb_and_transparency_is_dropped() {
        let folder = tempfile::tempdir().unwrap();
        for (color, pixel, expected) in [
            (png::ColorType::Grayscale, vec![9], [9; 3]),
            (png::ColorType::GrayscaleAlpha, vec![9, 4], [9; 3]),
            (png::ColorType::Rgba, vec![9, 8, 7, 1], [9, 8, 7]),
        ] {
            let file = folder.path().join("b.png");
            let mut encoder = png::Encoder::new(File::create(&file).unwrap(), 1, 1);
            encoder.set_color(color);
            let mut writer = encoder.write_header().unwrap();
            writer.write_image_data(&pixel).unwrap();
            writer.finish().unwrap();
            assert_eq!(Picture::read(&file).unwrap().pixel(0, 0), expected);
        }
    }
}
