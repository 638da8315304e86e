//! PNG pictures that belong to a checkpoint.

use super::config::ConfigError;
use super::features::beside;
use super::json::Node;
use crate::bounded_file;
use crate::layers::convolution::MapSize;
use std::io::Cursor;
use std::path::PathBuf;
use std::sync::Arc;

/// What a name looks like.
pub(super) const NAME: &str = "the name of a PNG file in this folder";
/// Largest file that is read, in bytes.
const MAX_FILE: u64 = 64 << 20;
/// Most memory that decoding may take besides the pixels, in bytes.
const MAX_DECODER: usize = 64 << 20;

/// Reads the picture that `name` names beside its file: red, green and blue of each pixel.
pub(super) fn read(name: &Node<'_>, size: MapSize) -> Result<Arc<[u8]>, ConfigError> {
    let file = beside(name, NAME)?;
    if !name.string()?.ends_with(".png") {
        return Err(name.refuse(NAME).into());
    }
    let bytes = bounded_file::read(&file, MAX_FILE)?;
    let refuse = |file: PathBuf, found: String| {
        let MapSize { height, width } = size;
        let needed = format!("RGB of 8 bits in {width} x {height} pixels, as the camera delivers");
        ConfigError::Picture { file, key: name.key().to_owned(), found, needed }
    };
    let mut decoder =
        png::Decoder::new_with_limits(Cursor::new(bytes), png::Limits { bytes: MAX_DECODER });
    decoder.set_transformations(png::Transformations::IDENTITY);
    let damaged = |error: png::DecodingError| refuse(file.clone(), format!("{error:.200}"));
    let mut reader = decoder.read_info().map_err(damaged)?;
    let info = reader.info();
    let found = (info.color_type, info.bit_depth, info.width as usize, info.height as usize);
    if found != (png::ColorType::Rgb, png::BitDepth::Eight, size.width, size.height) {
        let (color, depth, width, height) = found;
        let found = format!("{color:?} of {} bits in {width} x {height} pixels", depth as u8);
        return Err(refuse(file, found));
    }
    let mut pixels = vec![0; 3 * size.pixels()];
    reader.next_frame(&mut pixels).map_err(damaged)?;
    Ok(pixels.into())
}
