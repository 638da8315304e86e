//! Checkpoint readers and inference. Everything that reads outside bytes is strict: what is
//! missing, unknown or of the wrong shape is refused by name.

mod policy;

pub use policy::{Feature, FeatureKind, Observation, Policy, PolicyDescription, PredictError};
