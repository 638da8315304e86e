//! From targets to commands: motion at the loop's rate, and efforts where a robot takes no
//! positions.

mod generator;
mod model;

pub use generator::TargetGenerator;
pub use model::Actuation;
