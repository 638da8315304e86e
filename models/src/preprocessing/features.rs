//! Inputs by name, with their sizes and scalings.

use crate::layers::feature_scaling::FeatureScaling;
use crate::lerobot::{FeatureSpec, FeatureType, Features, Normalization};
use crate::policy::{Feature, FeatureKind, Observation, PredictError};

/// An input and its scaling.
pub(crate) struct ScaledFeature {
    /// The input by the name that the robot side delivers.
    pub feature: Feature,
    /// From the checkpoint's own units to what the network sees.
    pub scaling: FeatureScaling,
    /// Number of values.
    pub size: usize,
}

/// The inputs of a checkpoint, in its order.
pub(crate) fn scaled_features(
    features: &Features,
    normalization: &Normalization,
) -> Vec<ScaledFeature> {
    let scaled = |spec: &FeatureSpec| {
        let kind = match spec.kind {
            FeatureType::State => FeatureKind::State,
            FeatureType::Environment => FeatureKind::Environment,
            FeatureType::Visual => FeatureKind::Visual,
            // The reader refuses actions among the inputs.
            FeatureType::Action => return None,
        };
        let name = normalization.sources.get(&spec.name).unwrap_or(&spec.name).clone();
        let scaling = normalization.inputs.get(&spec.name)?.scaling.clone();
        let size = spec.shape.iter().product();
        Some(ScaledFeature {
            feature: Feature { name, kind, shape: spec.shape.clone() },
            scaling,
            size,
        })
    };
    features.inputs.iter().filter_map(scaled).collect()
}

/// Checks that an observation has what the features ask for, no less and no more, and that all
/// of its numbers are finite.
pub(crate) fn check(
    features: &[ScaledFeature],
    observation: &Observation<'_>,
) -> Result<(), PredictError> {
    let mut vectors = observation.vectors.iter();
    let mut images = observation.images.iter();
    for ScaledFeature { feature, size, .. } in features {
        let (got, vector): (usize, &[f32]) = if feature.kind == FeatureKind::Visual {
            (images.next().map_or(0, |image| image.len()), &[])
        } else {
            let vector: &[f32] = vectors.next().map_or(&[], |vector| vector);
            (vector.len(), vector)
        };
        if got != *size {
            return Err(PredictError::Size { feature: feature.name.clone(), needed: *size, got });
        }
        check_finite(&feature.name, vector)?;
    }
    check_count("number of vectors", observation.vectors.len(), vectors.len())?;
    check_count("number of images", observation.images.len(), images.len())
}

/// Checks the image of one camera, by its place among the images; false if there is no such camera.
pub(crate) fn check_camera(
    features: &[ScaledFeature],
    camera: usize,
    image: &[u8],
) -> Result<bool, PredictError> {
    let mut cameras = features.iter().filter(|f| f.feature.kind == FeatureKind::Visual);
    let Some(ScaledFeature { feature, size, .. }) = cameras.nth(camera) else { return Ok(false) };
    if image.len() == *size {
        return Ok(true);
    }
    Err(PredictError::Size { feature: feature.name.clone(), needed: *size, got: image.len() })
}

/// Refuses numbers that are not finite, in the feature of this name.
pub(crate) fn check_finite(feature: &str, values: &[f32]) -> Result<(), PredictError> {
    match values.iter().position(|value| !value.is_finite()) {
        Some(index) => Err(PredictError::NotFinite { feature: feature.to_owned(), index }),
        None => Ok(()),
    }
}

/// Refuses inputs that no feature asked for.
fn check_count(what: &str, given: usize, unread: usize) -> Result<(), PredictError> {
    if unread == 0 {
        return Ok(());
    }
    Err(PredictError::Size { feature: what.to_owned(), needed: given - unread, got: given })
}
