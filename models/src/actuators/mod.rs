//! Actuator models: what torque a joint gives when it is asked for a position.
//!
//! | model | torque |
//! |---|---|
//! | [`IdealPd`] | `kp (q_d - q) + kd (qd_d - qd)`, clamped |
//! | [`DcMotor`] | the same, inside a motor's torque–speed line in all four quadrants |
//! | [`Delayed`] | any of these, with targets that arrive late |
//! | [`MlpActuator`] | a dense network over recent position errors and velocities (Hwangbo et al. 2019) |
//! | [`GruActuator`] | a recurrent network, alone or added to PD with torque–speed curve and spring |
//!
//! All joints are one batch. After a model is made its steps neither allocate nor lock. Angles are in
//! rad, velocities in rad/s, efforts in N·m.
//!
//! Networks are read from the project's own folders ([`Bundle`]) or imported ([`import()`]) from
//! TorchScript, Lightning checkpoints, state dicts and safetensors. Formulas, conventions and formats
//! are in `docs/actuators.md`.

mod bundle;
mod curves;
mod delayed;
mod error;
mod files;
mod gru;
mod import;
mod info;
mod isaac;
mod mlp;
mod normalization;
mod parameters;
mod pd;
mod rate;
mod tensors;

pub use bundle::{Bundle, Network};
pub use curves::{DcMotorCurve, Spring, SpringConvention, TorqueSpeedCurve};
pub use delayed::{Delay, Delayed};
pub use error::{ActuatorError, ActuatorFileError, ParameterError};
pub use gru::{Feature, GruActuator, GruSpec, Output, physical};
pub use import::{ImportOptions, Imported, import};
pub use info::{ActuatorInfo, FeatureInfo, OutputInfo};
pub use isaac::IsaacLab;
pub use mlp::{ErrorSign, InputOrder, MlpActuator, MlpSpec};
pub use normalization::Normalization;
pub use parameters::{DenseParameters, GruLayerParameters, GruParameters, MlpParameters};
pub use pd::{DcMotor, Gains, IdealPd, PdPart, TargetVelocity};

/// State and target of one joint.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct JointInput {
    /// Measured position, rad.
    pub position: f64,
    /// Measured velocity, rad/s.
    pub velocity: f64,
    /// Where it should be, rad.
    pub target_position: f64,
    /// How fast it should move, rad/s.
    pub target_velocity: f64,
}

/// What the effort of one joint was made of in the last step, in N·m.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Parts {
    /// The network's, in physical units.
    pub network: f64,
    /// The PD controller's, after the torque–speed curve.
    pub pd: f64,
    /// The spring's.
    pub spring: f64,
    /// All of them together, before any clamp.
    pub unclamped: f64,
    /// What the model returned.
    pub effort: f64,
    /// Whether the network gave nothing usable, so that the PD part stands alone.
    pub fallback: bool,
}

/// A model of the actuators of all joints.
pub trait ActuatorModel: Send {
    /// One step of all joints: one input and one effort (N·m) for each. Allocates nothing, takes no
    /// lock.
    ///
    /// # Errors
    /// [`ActuatorError`] for lengths and for inputs that are not finite: the model's state is then what
    /// it was. Also where a network gives nothing usable and nothing can stand in for it. `efforts` mean
    /// nothing then.
    fn step(&mut self, inputs: &[JointInput], efforts: &mut [f64]) -> Result<(), ActuatorError>;

    /// Forgets what a joint did before: at arming, after a gap in time, after a fault.
    ///
    /// # Panics
    /// Where there is no such joint.
    fn reset(&mut self, joint: usize);

    /// Joints.
    fn joints(&self) -> usize;

    /// Rate at which the model was trained, where it has one.
    fn rate_hz(&self) -> Option<f64>;

    /// What kind of model it is, in one word.
    fn kind(&self) -> &'static str;

    /// What the last effort of a joint was made of.
    ///
    /// # Panics
    /// Where there is no such joint.
    fn parts(&self, joint: usize) -> Parts;

    /// Results of the network that were not finite, all joints together, since the model was made.
    fn fallbacks(&self) -> u64 {
        0
    }

    /// Forgets what all joints did before.
    fn reset_all(&mut self) {
        (0..self.joints()).for_each(|joint| self.reset(joint));
    }
}

/// Checks lengths and finiteness of one step.
fn check(inputs: &[JointInput], efforts: &[f64], joints: usize) -> Result<(), ActuatorError> {
    for (what, found) in [("inputs", inputs.len()), ("efforts", efforts.len())] {
        if found != joints {
            return Err(ActuatorError::Length { what, found, joints });
        }
    }
    for (joint, input) in inputs.iter().enumerate() {
        for (what, value) in [
            ("position", input.position),
            ("velocity", input.velocity),
            ("target position", input.target_position),
            ("target velocity", input.target_velocity),
        ] {
            if !value.is_finite() {
                return Err(ActuatorError::NotFinite { joint, what, value });
            }
        }
    }
    Ok(())
}

/// What the readers make of damaged bytes, for tests of other modules.
#[cfg(test)]
pub(crate) mod damaged {
    use super::*;
    use crate::pickle::Limits;
    use std::path::Path;

    /// A network of another program.
    pub(crate) fn network(file: &Path, bytes: &[u8], limits: &Limits) -> Result<(), String> {
        let read = || {
            let mut tensors = tensors::Tensors::parse(file, bytes, limits)?;
            tensors.take_gru()?;
            tensors.ignore(|name| !name.starts_with("model."));
            tensors.finish()
        };
        read().map_err(|error: ActuatorFileError| error.to_string())
    }

    /// A folder's description and weights.
    pub(crate) fn folder(file: &Path, json: &[u8], weights: &[u8]) -> Result<(), String> {
        let weights_file = file.with_file_name(bundle::WEIGHTS);
        let bundle = Bundle::parse(file, json, &weights_file, weights);
        bundle.map(drop).map_err(|error| error.to_string())
    }

    /// SHA-256 of weights.
    pub(crate) fn sha256(weights: &[u8]) -> String {
        tensors::sha256(weights)
    }
}
