//! Franka's research interface on the wire: packed little-endian messages. Pure: no I/O, no clock.
//!
//! - [`Header`], [`MessageReader`]: messages in a TCP stream, of the arm (port [`ROBOT_PORT`]) and
//!   of the hand (port [`GRIPPER_PORT`]).
//! - [`Request`], [`Outcome`]: what a client asks, and how that ended.
//! - [`RobotState`], [`RobotCommand`]: the datagrams of the 1 kHz exchange.
//! - [`GripperRequest`], [`GripperState`]: the hand.
//!
//! Layouts are those of `libfranka-common` (Franka Robotics, Apache-2.0), versions 5 and 10;
//! `docs/franka.md` has the tables. Values are in SI units, matrices in column-major order.

mod command;
mod error;
mod errors;
mod field;
mod function;
mod gripper;
mod header;
mod outcome;
mod request;
mod state;

pub use command::RobotCommand;
pub use error::WireError;
pub use errors::{Error, Errors};
pub use function::{Function, Protocol};
pub use gripper::{GripperFunction, GripperRequest, GripperState, GripperStatus};
pub use header::{Header, HeaderLayout, MAX_REQUEST, Message, MessageReader};
pub use outcome::{Outcome, connect_reply, reply};
pub use request::{CollisionBehavior, Controller, Generator, Load, MoveRequest, Request};
pub use state::{ControllerMode, MotionGeneratorMode, RobotMode, RobotState};

/// TCP port of the arm.
pub const ROBOT_PORT: u16 = 1337;
/// TCP port of the hand.
pub const GRIPPER_PORT: u16 = 1338;

#[cfg(test)]
mod tests;
