//! An arm of simple joints inside this process: for tests, benchmarks and first steps.
//!
//! There is no bus, no other thread and no protocol: the device is computed when its driver is
//! called, in closed form from call to call, on the run's clock. In virtual time the same calls
//! give the same numbers, bit for bit.
//!
//! The device has a clock of its own. At every beat of it, 1000 times a second but for a small
//! drift, it takes a sample; [`read`](crate::Robot::read) shows the newest one that has arrived,
//! and [`wait`](crate::Robot::wait) waits for the next. Commands take effect when they are handed
//! over.
//!
//! It is simple, not exact: joints do not act on each other, and there is no gravity. Without
//! torque they stand, as if braked.

mod arm;
mod beats;
mod config;
mod device;
mod failure;
mod faults;
mod joint;
mod sample;
mod stops;

pub use arm::MockArm;
pub use config::Config;
pub use faults::Faults;

pub use crate::faults::{FaultError, Rate, Stall, Window};
