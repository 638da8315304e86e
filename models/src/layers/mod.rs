//! The arithmetic of the networks: plain `f32`, row-major, one small module per layer.
//!
//! Layers own their weights and borrow every buffer, so that a policy allocates once, when it is
//! loaded. Shapes are checked where weights are read; in here a wrong length is a programming
//! error and only `debug_assert`ed.

pub(crate) mod activation;
pub(crate) mod attention;
pub(crate) mod batch_norm;
pub(crate) mod convolution;
pub(crate) mod feature_scaling;
pub(crate) mod layer_norm;
pub(crate) mod linear;
pub(crate) mod matmul;
pub(crate) mod position;
pub(crate) mod resnet;

/// Adds `delta` to `values`, element by element.
pub(crate) fn add_in_place(values: &mut [f32], delta: &[f32]) {
    debug_assert_eq!(values.len(), delta.len());
    for (value, delta) in values.iter_mut().zip(delta) {
        *value += delta;
    }
}

/// Writes `left + right` to `out`, element by element.
pub(crate) fn add(left: &[f32], right: &[f32], out: &mut [f32]) {
    debug_assert!(left.len() == right.len() && left.len() == out.len());
    for ((out, left), right) in out.iter_mut().zip(left).zip(right) {
        *out = left + right;
    }
}
