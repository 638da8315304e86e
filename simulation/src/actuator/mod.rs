//! One actuator on a test rig, with its truth known: a servo motor behind a gear with play and
//! elasticity, and a load that carries the sensors.
//!
//! ```text
//!  drive ─delay─▶ servo ─lag, torque–speed line─▶ rotor ═play + elasticity═▶ load ─▶ sensors
//!                   ▲                               │ friction                ▲ spring, gravity
//!                   └────── the motor's encoder ────┘
//! ```
//!
//! All quantities are those of the output shaft: rad, N·m, kg·m². The torque on the load is a causal
//! function of the history of load angle, load velocity and command, and that function does not
//! depend on the load's inertia. What it holds beside a proportional and a derivative part (delay,
//! lag, saturation, stiction, play, the rotor's own inertia) is what a model with memory can learn
//! and a PD law cannot.
//!
//! [`ActuatorPlant::step`] runs fixed sub-steps of [`SUBSTEP`], so the motion does not depend on how
//! a span is cut, and allocates nothing.

mod config;
mod friction;
mod motor;
mod noise;
mod plant;
mod sensors;
#[cfg(test)]
mod tests;

pub use config::{ActuatorConfig, ActuatorConfigError, SensorConfig};
pub use plant::{ActuatorPlant, Drive, SUBSTEP, Truth};
pub use sensors::Sensed;

/// Standard gravity in m/s².
pub const GRAVITY: f64 = 9.806_65;
