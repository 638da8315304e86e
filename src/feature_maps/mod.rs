//! What an image backbone answers to, as pictures over the image it was shown.
//!
//! Each map of the backbone becomes two pictures: the mean of all channels' magnitudes over the
//! image, and a sheet of the channels that answer most. The stronger, the brighter; colours span
//! the range of the picture (on a sheet: of each tile), so they compare places, not pictures.

mod drawing;
mod picture;

pub use picture::{Picture, PictureError};

use std::path::{Path, PathBuf};

use serde::Serialize;
use sinew_models::{
    FeatureKind, ImageInfo, LoadError, LoadOptions, PredictError, Rectangle, TraceTensor,
};

use drawing::Heat;

/// Why there are no pictures.
#[derive(Debug, thiserror::Error)]
pub enum FeatureMapError {
    /// The checkpoint could not be loaded.
    #[error(transparent)]
    Load(#[from] LoadError),
    /// The policy has no cameras.
    #[error("{}: reads no images, so it has no feature maps", folder.display())]
    NoCameras {
        /// Folder of the checkpoint.
        folder: PathBuf,
    },
    /// No camera, or no single one, was named.
    #[error("{}: camera {named}, needed one of {known}: name it with --camera", folder.display())]
    Camera {
        /// Folder of the checkpoint.
        folder: PathBuf,
        /// What was named, in words.
        named: String,
        /// The policy's cameras.
        known: String,
    },
    /// The image has another size than the policy's camera.
    #[error("{}: is {width} x {height} pixels, camera {camera} of the policy has {needed_width} x {needed_height}; scale or crop it as the robot's camera does", image.display())]
    Size {
        /// Path of the image.
        image: PathBuf,
        /// Its width.
        width: usize,
        /// Its height.
        height: usize,
        /// The camera.
        camera: String,
        /// Width of the camera's images.
        needed_width: usize,
        /// Height of the camera's images.
        needed_height: usize,
    },
    /// The image could not be read, or a picture not written.
    #[error(transparent)]
    Picture(#[from] PictureError),
    /// The policy refused the image.
    #[error(transparent)]
    Predict(#[from] PredictError),
    /// A map holds something that cannot be drawn.
    #[error("{}: map {map} holds a number that is not finite; the training diverged or the weights are damaged", folder.display())]
    NotFinite {
        /// Folder of the checkpoint.
        folder: PathBuf,
        /// Name of the map.
        map: String,
    },
    /// The output exists.
    #[error("{}: exists and is not an empty folder; nothing is overwritten: name another one with --out", folder.display())]
    Exists {
        /// The output.
        folder: PathBuf,
    },
    /// The output could not be made.
    #[error("{}: {source}", folder.display())]
    Write {
        /// The output.
        folder: PathBuf,
        /// What the operating system said.
        source: std::io::Error,
    },
}

/// What to look at.
#[derive(Clone, Debug)]
pub struct Request {
    /// Folder of the checkpoint.
    pub policy: PathBuf,
    /// PNG file of the camera's size.
    pub image: PathBuf,
    /// Name of the input, or its end (`top` for `observation.images.top`); may be left out where
    /// there is a single camera.
    pub camera: Option<String>,
    /// New folder for the pictures.
    pub out: PathBuf,
    /// Channels on a sheet.
    pub channels: usize,
}

/// What was drawn.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Report {
    /// Name of the input.
    pub camera: String,
    /// What is done to its images.
    pub image: ImageInfo,
    /// Maps in the order of computation.
    pub maps: Vec<MapReport>,
}

/// One map.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct MapReport {
    /// Name of the stage that it comes from.
    pub name: String,
    /// Channels.
    pub channels: usize,
    /// Rows.
    pub height: usize,
    /// Columns.
    pub width: usize,
    /// Picture of all channels together.
    pub picture: PathBuf,
    /// Picture of the strongest channels, line by line.
    pub sheet: PathBuf,
    /// These channels with their mean magnitudes, strongest first.
    pub strongest: Vec<(usize, f32)>,
    /// Channels that are zero everywhere.
    pub silent: usize,
}

/// Draws the maps of a policy's backbone for an image.
///
/// # Errors
/// [`FeatureMapError`]; pictures that were written before stay.
pub fn draw(request: &Request, options: &LoadOptions) -> Result<Report, FeatureMapError> {
    refuse_existing(&request.out)?;
    let mut policy = sinew_models::load(&request.policy, options)?;
    let inputs = policy.description().inputs.iter();
    let cameras: Vec<(String, Vec<usize>)> = inputs
        .filter(|input| input.kind == FeatureKind::Visual)
        .map(|input| (input.name.clone(), input.shape.clone()))
        .collect();
    let index = choose(request, &cameras)?;
    let (camera, shape) = &cameras[index];
    let image = Picture::read(&request.image)?;
    if shape[1..] != [image.height(), image.width()] {
        return Err(FeatureMapError::Size {
            image: request.image.clone(),
            width: image.width(),
            height: image.height(),
            camera: camera.clone(),
            needed_width: shape[2],
            needed_height: shape[1],
        });
    }
    let maps = policy.feature_maps(index, image.bytes())?;
    let unfinished = maps.tensors().iter().find(|map| map.values.iter().any(|v| !v.is_finite()));
    if let Some(map) = unfinished {
        let (folder, map) = (request.policy.clone(), map.name.clone());
        return Err(FeatureMapError::NotFinite { folder, map });
    }
    let write = |source| FeatureMapError::Write { folder: request.out.clone(), source };
    std::fs::create_dir_all(&request.out).map_err(write)?;
    let prepared = policy.info().images[index].clone();
    let Rectangle { left, top, right, bottom } = prepared.seen;
    let seen = image.part([left, top], [right - left, bottom - top]);
    let maps = maps.tensors().iter().enumerate();
    let maps = maps.map(|(place, map)| draw_map(request, &seen, place, map));
    Ok(Report { camera: camera.clone(), image: prepared, maps: maps.collect::<Result<_, _>>()? })
}

fn refuse_existing(out: &Path) -> Result<(), FeatureMapError> {
    let taken = match std::fs::read_dir(out) {
        Ok(mut entries) => entries.next().is_some(),
        Err(error) => error.kind() != std::io::ErrorKind::NotFound,
    };
    if taken { Err(FeatureMapError::Exists { folder: out.to_path_buf() }) } else { Ok(()) }
}

/// The camera that is meant.
fn choose(request: &Request, cameras: &[(String, Vec<usize>)]) -> Result<usize, FeatureMapError> {
    let folder = request.policy.clone();
    let known: Vec<&str> = cameras.iter().map(|(name, _)| name.as_str()).collect();
    let wrong = |named: String| {
        let known = known.join(", ");
        Err(FeatureMapError::Camera { folder: folder.clone(), named, known })
    };
    match (&request.camera, cameras.len()) {
        (_, 0) => Err(FeatureMapError::NoCameras { folder }),
        (None, 1) => Ok(0),
        (None, count) => wrong(format!("not named, although there are {count}")),
        (Some(wanted), _) => {
            let end = format!(".{wanted}");
            let is_meant = |name: &&str| *name == wanted || name.ends_with(&end);
            match known.iter().position(is_meant) {
                Some(index) => Ok(index),
                None => wrong(format!("{wanted:?} is not there")),
            }
        }
    }
}

fn draw_map(
    request: &Request,
    image: &Picture,
    place: usize,
    map: &TraceTensor,
) -> Result<MapReport, FeatureMapError> {
    let [channels, height, width] = [map.shape[1], map.shape[2], map.shape[3]];
    let magnitudes = |channel: &[f32]| channel.iter().map(|v| v.abs()).collect::<Vec<f32>>();
    let planes: Vec<Vec<f32>> = map.values.chunks_exact(height * width).map(magnitudes).collect();
    let mean = |plane: &[f32]| {
        let sum: f64 = plane.iter().map(|v| f64::from(*v)).sum();
        (sum / plane.len() as f64) as f32
    };
    let mut ranked: Vec<(usize, f32)> =
        planes.iter().map(|plane| mean(plane)).enumerate().collect();
    let silent = ranked.iter().filter(|(_, strength)| *strength == 0.0).count();
    ranked.sort_by(|a, b| b.1.total_cmp(&a.1));
    ranked.truncate(request.channels);
    let together: Vec<f32> = (0..height * width)
        .map(|pixel| planes.iter().map(|plane| plane[pixel]).sum::<f32>() / channels as f32)
        .collect();
    let name = format!("{place}-{}", map.name);
    let picture = request.out.join(format!("{name}.png"));
    drawing::overlay(image, &Heat::new(&together, height, width)).write(&picture)?;
    let sheet = request.out.join(format!("{name}-channels.png"));
    let tiles: Vec<Heat<'_>> =
        ranked.iter().map(|(channel, _)| Heat::new(&planes[*channel], height, width)).collect();
    drawing::sheet(image, &tiles).write(&sheet)?;
    let name = map.name.clone();
    Ok(MapReport { name, channels, height, width, picture, sheet, strongest: ranked, silent })
}
