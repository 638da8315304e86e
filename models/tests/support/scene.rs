//! Observations that look random, and what policies make of them.

use sinew_models::{FeatureKind, Observation, Policy, Trace};

/// Inputs that look random, the same in every run.
pub struct Scene {
    /// State and environment.
    pub vectors: Vec<Vec<f32>>,
    /// Pictures, one per camera.
    pub images: Vec<Vec<u8>>,
}

impl Scene {
    /// For what the policy reads.
    pub fn new(policy: &dyn Policy, mut seed: u32) -> Self {
        let mut byte = || {
            seed = seed.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            (seed >> 24) as u8
        };
        let (mut vectors, mut images) = (Vec::new(), Vec::new());
        for feature in &policy.description().inputs {
            let count = feature.shape.iter().product();
            match feature.kind {
                FeatureKind::Visual => images.push((0..count).map(|_| byte()).collect()),
                _ => vectors.push((0..count).map(|_| f32::from(byte()) / 255.0).collect()),
            }
        }
        Self { vectors, images }
    }

    /// As an observation.
    pub fn see<R>(&self, run: impl FnOnce(&Observation<'_>) -> R) -> R {
        let vectors: Vec<&[f32]> = self.vectors.iter().map(Vec::as_slice).collect();
        let images: Vec<&[u8]> = self.images.iter().map(Vec::as_slice).collect();
        run(&Observation { vectors: &vectors, images: &images })
    }
}

/// Everything that passes through a policy that sees `scenes` one after the other.
pub fn traces(policy: &mut dyn Policy, scenes: &[Scene]) -> Vec<Trace> {
    let description = policy.description();
    let mut actions = vec![0.0; description.chunk_size * description.action_size];
    let trace = |scene: &Scene| {
        let mut trace = Trace::new();
        scene.see(|seen| policy.predict_traced(seen, &mut actions, &mut trace)).unwrap();
        for camera in 0..scene.images.len() {
            let maps = policy.feature_maps(camera, &scene.images[camera]).unwrap();
            for map in maps.tensors() {
                trace.record(format!("cam{camera}.{}", map.name), &map.shape, &map.values);
            }
        }
        trace
    };
    scenes.iter().map(trace).collect()
}

/// Asserts that all tensors of both are there, and that none of their numbers differs by more than
/// `tolerance`, relative to the tensor's largest magnitude, or absolute where that is below 1. Returns
/// the largest difference.
pub fn compare(what: &str, tolerance: f32, engine: &Trace, burn: &Trace) -> f32 {
    let names = |trace: &Trace| -> Vec<String> {
        trace.tensors().iter().map(|tensor| tensor.name.clone()).collect()
    };
    assert_eq!(names(engine), names(burn), "{what}");
    let mut worst = 0.0_f32;
    for (engine, burn) in engine.tensors().iter().zip(burn.tensors()) {
        assert_eq!(engine.shape, burn.shape, "{what}: {}", engine.name);
        let scale = engine.values.iter().fold(1.0_f32, |largest, value| largest.max(value.abs()));
        for (engine_value, burn_value) in engine.values.iter().zip(&burn.values) {
            let difference = (engine_value - burn_value).abs() / scale;
            assert!(difference <= tolerance, "{what}: {}: {difference:e}", engine.name);
            worst = worst.max(difference);
        }
    }
    worst
}
