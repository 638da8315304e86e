//! Images as 8-bit RGB, and their PNG files.

use std::io::Cursor;

/// Largest image side accepted from a file, in pixels.
const MAX_SIDE: u32 = 16_384;

/// An 8-bit RGB image, row by row from the top left.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Image {
    /// Width in pixels.
    pub width: u32,
    /// Height in pixels.
    pub height: u32,
    /// `height * width * 3` bytes.
    pub rgb: Vec<u8>,
}

/// Why an image could not be read or written.
#[derive(Debug, thiserror::Error)]
pub enum ImageError {
    /// Not a PNG file, or a damaged one.
    #[error("cannot decode a PNG image: {0}")]
    Decode(#[from] png::DecodingError),
    /// It could not be encoded.
    #[error("cannot encode a PNG image: {0}")]
    Encode(#[from] png::EncodingError),
    /// The bytes do not fill the image.
    #[error("an RGB image of {width}x{height} needs {expected} bytes, not {found}")]
    Length {
        /// Width in pixels.
        width: u32,
        /// Height in pixels.
        height: u32,
        /// Bytes needed.
        expected: usize,
        /// Bytes given.
        found: usize,
    },
    /// Larger than any camera's.
    #[error("an image of {width}x{height} is larger than the limit of {MAX_SIDE} on a side")]
    TooLarge {
        /// Width in pixels.
        width: u32,
        /// Height in pixels.
        height: u32,
    },
    /// Not the size it was declared with.
    #[error("the image is {found_width}x{found_height}, declared as {width}x{height}")]
    Size {
        /// Declared width.
        width: u32,
        /// Declared height.
        height: u32,
        /// Width of the file.
        found_width: u32,
        /// Height of the file.
        found_height: u32,
    },
}

/// Encodes RGB bytes as a PNG file, favouring speed over size: it runs while the robot does.
pub fn encode_png(width: u32, height: u32, rgb: &[u8]) -> Result<Vec<u8>, ImageError> {
    let expected = width as usize * height as usize * 3;
    if rgb.len() != expected {
        return Err(ImageError::Length { width, height, expected, found: rgb.len() });
    }
    let mut bytes = Vec::with_capacity(expected / 3);
    let mut encoder = png::Encoder::new(&mut bytes, width, height);
    encoder.set_color(png::ColorType::Rgb);
    encoder.set_depth(png::BitDepth::Eight);
    encoder.set_compression(png::Compression::Fast);
    let mut writer = encoder.write_header()?;
    writer.write_image_data(rgb)?;
    writer.finish()?;
    Ok(bytes)
}

/// Decodes a PNG file of any colour type to RGB. Transparency is dropped, 16 bits become 8.
pub fn decode_png(bytes: &[u8]) -> Result<Image, ImageError> {
    let mut decoder = png::Decoder::new(Cursor::new(bytes));
    decoder.set_transformations(png::Transformations::EXPAND | png::Transformations::STRIP_16);
    let mut reader = decoder.read_info()?;
    let (width, height) = (reader.info().width, reader.info().height);
    if width > MAX_SIDE || height > MAX_SIDE {
        return Err(ImageError::TooLarge { width, height });
    }
    let length = reader.output_buffer_size().ok_or(ImageError::TooLarge { width, height })?;
    let mut pixels = vec![0; length];
    let frame = reader.next_frame(&mut pixels)?;
    pixels.truncate(frame.buffer_size());
    let rgb = match frame.color_type {
        png::ColorType::Rgb => pixels,
        png::ColorType::Rgba => {
            pixels.chunks_exact(4).flat_map(|p| p.iter().take(3).copied()).collect()
        }
        png::ColorType::Grayscale | png::ColorType::Indexed => {
            pixels.iter().flat_map(|&p| [p, p, p]).collect()
        }
        png::ColorType::GrayscaleAlpha => {
            pixels.chunks_exact(2).flat_map(|p| p.iter().take(1)).flat_map(|&p| [p, p, p]).collect()
        }
    };
    let expected = width as usize * height as usize * 3;
    if rgb.len() != expected {
        return Err(ImageError::Length { width, height, expected, found: rgb.len() });
    }
    Ok(Image { width, height, rgb })
}

/// Width and height a PNG file declares, without decoding it.
pub(crate) fn png_size(bytes: &[u8]) -> Option<(u32, u32)> {
    let rest = bytes.strip_prefix(b"\x89PNG\r\n\x1a\n")?.get(4..)?.strip_prefix(b"IHDR")?;
    let (width, rest) = rest.split_first_chunk::<4>()?;
    let (height, _) = rest.split_first_chunk::<4>()?;
    Some((u32::from_be_bytes(*width), u32::from_be_bytes(*height)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn images_survive_png() {
        let rgb: Vec<u8> = (0..5 * 3 * 3).map(|value| (value * 5) as u8).collect();
        let bytes = encode_png(5, 3, &rgb).unwrap();
        assert_eq!(png_size(&bytes), Some((5, 3)));
        assert_eq!(decode_png(&bytes).unwrap(), Image { width: 5, height: 3, rgb });
    }

    #[test]
    fn wrong_lengths_and_files_are_named() {
        assert!(matches!(encode_png(2, 2, &[0; 11]), Err(ImageError::Length { expected: 12, .. })));
        let bytes = encode_png(2, 2, &[9; 12]).unwrap();
        assert!(matches!(decode_png(&bytes[..bytes.len() / 2]), Err(ImageError::Decode(_))));
        assert!(matches!(decode_png(b"JFIF"), Err(ImageError::Decode(_))));
        assert_eq!(png_size(&bytes[..20]), None);
    }
}
