//! From targets to commands: motion at the loop's rate, and efforts where a robot takes no
//! positions.

mod generator;
mod pd;

pub use generator::TargetGenerator;
pub use pd::{Gains, PdActuator};
