//! The layers of the networks, one small module each.
//!
//! Layers own their weights and borrow every buffer, so that a policy allocates once, when it is
//! loaded. Shapes are checked where weights are read; in here a wrong length is a programming
//! error and only `debug_assert`ed.

pub(crate) mod activation;
pub(crate) mod attention;
pub(crate) mod backbone;
pub(crate) mod convolution;
pub(crate) mod feature_scaling;
pub(crate) mod group_norm;
pub(crate) mod keypoints;
pub(crate) mod layer_norm;
pub(crate) mod linear;
pub(crate) mod map_arithmetic;
pub(crate) mod position;
pub(crate) mod residual_attention;
pub(crate) mod resnet;
pub(crate) mod sequence;

/// Adds `delta` to `values`, element by element.
pub(crate) fn add_in_place(values: &mut [f32], delta: &[f32]) {
    debug_assert_eq!(values.len(), delta.len());
    for (value, delta) in values.iter_mut().zip(delta) {
        *value += delta;
    }
}
