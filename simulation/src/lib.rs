//! Plants and kinematics for emulated robots.
//!
//! - [`servo`]: a position servo with speed and acceleration limits, integrated exactly.
//! - [`kinematics`]: a serial chain of revolute joints, forward and inverse.
//!
//! Nothing here reads a clock or does I/O: time steps are arguments, results are deterministic.

pub mod kinematics;
pub mod servo;
