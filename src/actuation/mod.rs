//! From targets to commands: motion at the loop's rate, and efforts where a robot takes no
//! positions.

pub mod controllers;
mod generator;
mod law;
mod model;

pub use generator::TargetGenerator;
pub use law::{ArmLaw, LawError, LawInput};
pub use model::Actuation;
