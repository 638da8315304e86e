//! Plants and kinematics for emulated robots.
//!
//! - [`actuator`]: a servo motor with friction, play and a load, and its sensors: the truth of a
//!   test rig.
//! - [`servo`]: a position servo with speed and acceleration limits, integrated exactly.
//! - [`dynamics`]: arms with mass: Jacobians, inverse and forward dynamics, friction, inverse
//!   kinematics inside limits.
//! - [`arms`]: tables of arms: Panda, FR3, ViperX 300, myCobot 320, a pendulum.
//! - [`kinematics`]: a serial chain of revolute joints, forward and inverse.
//! - [`tool`]: where the tool of an arm is, and how fast each joint can carry it along.
//! - [`urdf`]: the chain of joints to an arm's tool, as a URDF describes it.
//!
//! Nothing here reads a clock: time steps are arguments, results are deterministic. Nothing does
//! I/O, except that an arm's description is read from its file.

pub mod actuator;
pub mod arms;
pub mod dynamics;
pub mod kinematics;
pub mod servo;
pub mod tool;
pub mod urdf;
