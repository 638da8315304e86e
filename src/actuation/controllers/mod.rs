//! Laws for whole arms on top of the arm's dynamics ([`sinew_simulation::dynamics`]).
//!
//! Each law is a [`Feedback`]: what pulls the arm towards the commanded motion. A [`Controller`]
//! adds what all have in common: gravity where the robot does not compensate it, Coriolis and
//! inertial efforts, a part of the friction, repulsion near the ends of the range, and a low-pass
//! filter. All consume the commanded *joint* motion, behind generator and limits; Cartesian laws
//! follow its forward kinematics, and their null space goes to the joint motion itself. Equations
//! in `docs/controllers.md`.

mod cartesian_impedance;
mod cartesian_pid;
mod controller;
mod filter;
mod guiding;
mod integral;
mod joint_impedance;
mod joint_pid;
mod operational_space;
mod pose_error;
mod soft_limits;
mod task_space;
#[cfg(test)]
mod tests;

pub use cartesian_impedance::{CartesianImpedance, NullSpring};
pub use cartesian_pid::{CartesianPid, TaskGains};
pub use controller::{Controller, Drive, Feedback, Options, Situation};
pub use filter::LowPass;
pub use guiding::Guiding;
pub use integral::Integral;
pub use joint_impedance::JointImpedance;
pub use joint_pid::JointPid;
pub use operational_space::OperationalSpace;
pub use pose_error::pose_error;
pub use soft_limits::SoftLimits;
pub use task_space::{HEAVIEST_KG, TaskSpace};
