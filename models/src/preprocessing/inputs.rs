//! Vectors and images as networks read them.

use super::features::{ScaledFeature, check, check_camera};
use super::image::{ImageInput, ImagePlan};
use crate::engine::Engine;
use crate::layers::convolution::MapSize;
use crate::policy::{Feature, FeatureKind, Observation, PredictError};
use crate::trace::Trace;

/// The inputs of a policy, and the room for their normalised values.
pub(crate) struct Inputs {
    features: Vec<ScaledFeature>,
    images: Vec<ImageInput>,
    state: Vec<f32>,
    environment: Vec<f32>,
    maps: Vec<Vec<f32>>,
}

impl Inputs {
    /// Plans and allocates.
    pub(crate) fn new(features: Vec<ScaledFeature>, plans: &[ImagePlan]) -> Self {
        let images = image_inputs(&features, plans);
        let vector = |kind: FeatureKind| {
            let size = features.iter().find(|scaled| scaled.feature.kind == kind);
            vec![0.0; size.map_or(0, |scaled| scaled.size)]
        };
        Self {
            state: vector(FeatureKind::State),
            environment: vector(FeatureKind::Environment),
            maps: images.iter().map(|image| vec![0.0; image.layout().len()]).collect(),
            images,
            features,
        }
    }

    /// Number of values that [`Inputs::new`] allocates for images.
    pub(crate) fn len(plans: &[ImagePlan]) -> usize {
        plans.iter().map(ImagePlan::values).fold(0, usize::saturating_add)
    }

    /// Number of values of this one's images.
    pub(crate) fn values(&self) -> usize {
        self.images.iter().map(ImageInput::values).sum()
    }

    /// The features as the robot side knows them.
    pub(crate) fn features(&self) -> impl Iterator<Item = &Feature> {
        self.features.iter().map(|scaled| &scaled.feature)
    }

    /// Sizes of the images that the network sees.
    pub(crate) fn sizes(&self) -> Vec<MapSize> {
        self.images.iter().map(|image| image.layout().size).collect()
    }

    /// Normalised state; empty if the policy does not read it.
    pub(crate) fn state(&self) -> &[f32] {
        &self.state
    }

    /// Normalised state of the environment; empty if the policy does not read it.
    pub(crate) fn environment(&self) -> &[f32] {
        &self.environment
    }

    /// Normalised images with their sizes, in the layout of
    /// [`image_layout`](crate::layers::resnet::image_layout).
    pub(crate) fn maps(&self) -> impl Iterator<Item = (&[f32], MapSize)> {
        let maps = self.maps.iter().zip(&self.images);
        maps.map(|(map, image)| (map.as_slice(), image.layout().size))
    }

    /// Checks and normalises an observation.
    pub(crate) fn accept(
        &mut self,
        engine: &Engine,
        observation: &Observation<'_>,
    ) -> Result<(), PredictError> {
        check(&self.features, observation)?;
        let images = self.images.iter_mut().zip(&mut self.maps).zip(observation.images);
        images.for_each(|((plan, map), image)| plan.write(engine, image, map));
        let vectors = self.features.iter().filter(|f| f.feature.kind != FeatureKind::Visual);
        for (scaled, vector) in vectors.zip(observation.vectors) {
            let out = match scaled.feature.kind {
                FeatureKind::State => &mut self.state,
                _ => &mut self.environment,
            };
            scaled.scaling.normalize_all(vector, out);
        }
        Ok(())
    }

    /// Checks and normalises the image of one camera; `None` if there is no such camera.
    pub(crate) fn accept_image(
        &mut self,
        engine: &Engine,
        camera: usize,
        image: &[u8],
    ) -> Result<Option<(&[f32], MapSize)>, PredictError> {
        if !check_camera(&self.features, camera, image)? {
            return Ok(None);
        }
        let (plan, map) = (&mut self.images[camera], &mut self.maps[camera]);
        plan.write(engine, image, map);
        Ok(Some((map, plan.layout().size)))
    }

    /// Records all normalised values.
    pub(crate) fn record(&self, trace: &mut Trace) {
        let mut maps = self.maps.iter().zip(&self.images);
        for ScaledFeature { feature, .. } in &self.features {
            let name = format!("in.normalized.{}", feature.name);
            let vector = match feature.kind {
                FeatureKind::State => &self.state,
                FeatureKind::Environment => &self.environment,
                FeatureKind::Visual => {
                    if let Some((map, image)) = maps.next() {
                        trace.record_map(name, map, image.layout());
                    }
                    continue;
                }
            };
            trace.record(name, &[1, vector.len()], vector);
        }
    }
}

/// One for each image among the features, which the plans are for.
pub(crate) fn image_inputs(features: &[ScaledFeature], plans: &[ImagePlan]) -> Vec<ImageInput> {
    let images = features.iter().filter(|scaled| scaled.feature.kind == FeatureKind::Visual);
    images.zip(plans).map(|(scaled, plan)| ImageInput::new(plan, &scaled.scaling)).collect()
}
