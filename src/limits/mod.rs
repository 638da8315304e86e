//! The last gate before the robot: pure functions over plain numbers.
//!
//! All quantities are in the joint's unit (rad, m, or openings of a gripper), per second where
//! they are rates. The gate works on commands, not on measurements: a joint's [`Motion`] is the
//! position of its previous command with the backward differences of the last ones, so that
//! velocity, acceleration and jerk mean what a drive sees that differentiates its commands.
//!
//! With every command the gate proves a stop: a [`StopPlan`] from the motion after that command to
//! a stand, inside every limit. A request that leaves no such stop is reduced to the nearest one
//! that does, and where there is none the next step of the stop already proven is taken. So a
//! command is never outside its limits and a stop is always within reach, by construction.
//!
//! Where limits conflict, this order decides: finite, position, jerk, acceleration, velocity and
//! step, workspace. They can conflict only at a start outside the range (the joint may move
//! inwards, never further out); inside, none is ever given up for another. A target that is
//! outside the range is one at the end of the range.

mod bounds;
mod effort;
mod finite;
pub mod franka;
mod gate;
mod joint;
#[cfg(test)]
pub(crate) mod judge;
mod stop;
#[cfg(test)]
mod tests;
mod workspace;

pub use bounds::{EffortLimits, JointLimits, START_TOLERANCE, VelocityBarrier};
pub use effort::EffortGate;
pub use finite::Finite;
pub use gate::Gate;
pub use joint::{JointGate, Motion, Proposal};
pub use stop::StopPlan;
pub use workspace::{Tool, Workspace};
