//! Actuators with a motor controller of their own, on a CAN bus.
//!
//! - [`wire`]: the protocols as pure codecs.
//! - [`models`]: what the codes of each model stand for, as data.

pub mod models;
pub mod wire;

pub use models::{Model, Protocol};
