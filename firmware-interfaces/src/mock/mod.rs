//! An arm of simple joints inside this process: for tests, benchmarks and first steps.

mod arm;
mod faults;

pub use arm::{Config, MockArm};
pub use faults::{FaultError, Faults};
