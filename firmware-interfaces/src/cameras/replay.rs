//! The PNG files of a folder, in name order, round and round.

use std::fs::File;
use std::io::BufReader;
use std::path::{Path, PathBuf};
use std::time::Duration;

use crate::camera::{Camera, CameraDescription, CameraError, Frame};
use crate::time::Timestamp;

/// Largest picture accepted, in pixels: a header may claim anything.
const MAX_PIXELS: usize = 4096 * 4096;

/// A camera that replays files. Every file is read and checked when it is opened, so that nothing
/// can fail in the middle of a run.
#[derive(Debug)]
pub struct ReplayCamera {
    description: CameraDescription,
    pictures: Vec<Vec<u8>>,
    sequence: u64,
}

impl ReplayCamera {
    /// Reads every `*.png` in `folder`: 8-bit RGB, all of one size.
    ///
    /// # Errors
    /// [`CameraError::Source`] naming the file when the folder cannot be read or holds no PNG,
    /// when a file is damaged, of another colour type, or of another size than the first.
    pub fn open(folder: &Path, period: Duration) -> Result<Self, CameraError> {
        let fault = |path: &Path, reason: String| CameraError::Source {
            path: path.display().to_string(),
            reason,
        };
        let entries =
            std::fs::read_dir(folder).map_err(|error| fault(folder, error.to_string()))?;
        let mut files: Vec<PathBuf> = entries
            .filter_map(|entry| Some(entry.ok()?.path()))
            .filter(|path| path.extension().is_some_and(|end| end.eq_ignore_ascii_case("png")))
            .collect();
        files.sort();
        let mut size = None;
        let mut pictures = Vec::with_capacity(files.len());
        for file in &files {
            let (found, rgb) = read(file).map_err(|reason| fault(file, reason))?;
            let expected = *size.get_or_insert(found);
            if found != expected {
                let ((width, height), (w, h)) = (found, expected);
                let reason = format!("is {width}x{height}, the first picture is {w}x{h}");
                return Err(fault(file, reason));
            }
            pictures.push(rgb);
        }
        let (width, height) = size.ok_or_else(|| fault(folder, "holds no PNG files".to_owned()))?;
        let description = CameraDescription { kind: "replay", width, height, period };
        Ok(Self { description, pictures, sequence: 0 })
    }
}

fn read(file: &Path) -> Result<((usize, usize), Vec<u8>), String> {
    let source = File::open(file).map_err(|error| error.to_string())?;
    let mut reader =
        png::Decoder::new(BufReader::new(source)).read_info().map_err(|error| error.to_string())?;
    let info = reader.info();
    let (width, height) = (info.width as usize, info.height as usize);
    if (info.color_type, info.bit_depth) != (png::ColorType::Rgb, png::BitDepth::Eight) {
        return Err(format!(
            "is {:?} with {:?} bits; convert it to 8-bit RGB",
            info.color_type, info.bit_depth
        ));
    }
    if width.saturating_mul(height) > MAX_PIXELS {
        return Err(format!("claims {width}x{height} pixels, more than {MAX_PIXELS}"));
    }
    let mut rgb = vec![0; width * height * 3];
    reader.next_frame(&mut rgb).map_err(|error| error.to_string())?;
    Ok(((width, height), rgb))
}

impl Camera for ReplayCamera {
    fn description(&self) -> &CameraDescription {
        &self.description
    }

    fn capture(&mut self, now: Timestamp, frame: &mut Frame) -> Result<(), CameraError> {
        let index = (self.sequence % self.pictures.len() as u64) as usize;
        self.sequence += 1;
        frame.width = self.description.width;
        frame.height = self.description.height;
        frame.captured = now;
        frame.sequence = self.sequence;
        frame.rgb.clear();
        frame.rgb.extend_from_slice(&self.pictures[index]);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn write(path: &Path, width: u32, height: u32, colour: png::ColorType, level: u8) {
        let mut encoder = png::Encoder::new(File::create(path).unwrap(), width, height);
        encoder.set_color(colour);
        let mut writer = encoder.write_header().unwrap();
        let bytes = width as usize * height as usize * colour.samples();
        writer.write_image_data(&vec![level; bytes]).unwrap();
    }

    #[test]
    fn pictures_come_in_name_order_and_begin_again() {
        let folder = tempfile::tempdir().unwrap();
        write(&folder.path().join("b.png"), 4, 2, png::ColorType::Rgb, 20);
        write(&folder.path().join("a.png"), 4, 2, png::ColorType::Rgb, 10);
        let mut camera = ReplayCamera::open(folder.path(), Duration::from_millis(50)).unwrap();
        let mut frame = Frame::default();
        let levels: Vec<u8> = (0..3)
            .map(|k| {
                camera.capture(Timestamp::from_nanos(k), &mut frame).unwrap();
                assert_eq!((frame.width, frame.height, frame.sequence), (4, 2, k + 1));
                frame.rgb[0]
            })
            .collect();
        assert_eq!(levels, [10, 20, 10]);
    }

    #[test]
    fn what_cannot_be_replayed_is_refused_by_name() {
        let folder = tempfile::tempdir().unwrap();
        let open = || ReplayCamera::open(folder.path(), Duration::from_millis(50));
        assert!(open().unwrap_err().to_string().contains("holds no PNG files"));
        write(&folder.path().join("a.png"), 4, 2, png::ColorType::Rgb, 10);
        write(&folder.path().join("b.png"), 5, 2, png::ColorType::Rgb, 10);
        assert!(
            open().unwrap_err().to_string().contains("b.png: is 5x2, the first picture is 4x2")
        );
        write(&folder.path().join("b.png"), 4, 2, png::ColorType::Grayscale, 10);
        assert!(open().unwrap_err().to_string().contains("convert it to 8-bit RGB"));
        std::fs::write(folder.path().join("b.png"), b"\x89PNG\r\n\x1a\nshort").unwrap();
        assert!(open().unwrap_err().to_string().contains("b.png"));
        let missing = ReplayCamera::open(&folder.path().join("nowhere"), Duration::ZERO);
        assert!(missing.unwrap_err().to_string().contains("nowhere"));
    }
}
