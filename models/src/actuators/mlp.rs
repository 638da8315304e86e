//! A dense network over recent position errors and velocities: Hwangbo et al. 2019, Isaac Lab's
//! `ActuatorNetMLP`, walk-these-ways.

use super::curves::clamp;
use super::error::{count_joints, finite, positive};
use super::rate::Divider;
use super::{
    ActuatorError, ActuatorModel, DcMotorCurve, JointInput, MlpParameters, ParameterError, Parts,
    check,
};
use crate::recurrent::{Activation, MlpNetwork};
use serde::{Deserialize, Serialize};

/// Farthest step back that an input may reach.
const MAX_HISTORY: usize = 4096;

/// Order of a network's inputs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum InputOrder {
    /// Position errors, then velocities.
    PosVel,
    /// Velocities, then position errors.
    VelPos,
}

/// Sign of the position error.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ErrorSign {
    /// `q_d - q`: Isaac Lab.
    TargetMinusMeasured,
    /// `q - q_d`: walk-these-ways.
    MeasuredMinusTarget,
}

/// What an [`MlpActuator`] is, beside its weights.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct MlpSpec {
    /// Rate of the training, and of the history: one entry in each of its periods.
    pub rate_hz: f64,
    /// Which entries of the history are inputs: 0 is now, 1 the one before. At 400 Hz, `[0, 4, 8]` are
    /// Hwangbo's t, t - 0.01 s and t - 0.02 s.
    pub input_idx: Vec<usize>,
    /// Order of errors and velocities.
    pub input_order: InputOrder,
    /// Sign of the errors.
    pub error_sign: ErrorSign,
    /// Errors are multiplied by this.
    pub pos_scale: f64,
    /// Velocities are multiplied by this.
    pub vel_scale: f64,
    /// The network's output is multiplied by this, N·m.
    pub torque_scale: f64,
    /// Between the layers.
    #[serde(with = "ActivationName")]
    pub activation: Activation,
    /// Bounds the torque by a motor's four quadrants, as Isaac Lab does.
    pub dc_motor: Option<DcMotorCurve>,
    /// Bounds the torque on both sides, N·m.
    pub effort_limit_nm: Option<f64>,
}

/// Names of activations in files: PyTorch's, in lower case.
#[derive(Serialize, Deserialize)]
#[serde(remote = "Activation", rename_all = "snake_case")]
enum ActivationName {
    Relu,
    Tanh,
    Softsign,
    Elu,
    Silu,
    Gelu,
}

impl MlpSpec {
    /// Checks every number.
    pub(super) fn check(&self) -> Result<(), ParameterError> {
        super::rate::check(self.rate_hz)?;
        if self.input_idx.is_empty() {
            let (what, why) = ("input_idx", "name at least the present: [0]");
            return Err(ParameterError::Missing { what, why });
        }
        if let Some(far) = self.input_idx.iter().find(|index| **index >= MAX_HISTORY) {
            let (what, value, allowed) = ("input_idx", *far as f64, "0 to 4095");
            return Err(ParameterError::Value { what, value, allowed });
        }
        finite("pos_scale", self.pos_scale)?;
        finite("vel_scale", self.vel_scale)?;
        finite("torque_scale", self.torque_scale)?;
        self.dc_motor.map_or(Ok(()), |motor| motor.check())?;
        self.effort_limit_nm.map_or(Ok(()), |limit| positive("effort_limit_nm", limit))
    }
}

/// A dense network over recent position errors and velocities. Its torque is held between the steps of
/// its own rate. A reset fills the history with zeros, as Isaac Lab's does.
pub struct MlpActuator {
    spec: MlpSpec,
    network: MlpNetwork,
    divider: Divider,
    /// Error and velocity, entry after entry of all joints, in a ring.
    history: Vec<(f64, f64)>,
    /// Entries of the ring.
    length: usize,
    newest: usize,
    inputs: Vec<f32>,
    outputs: Vec<f32>,
    held: Vec<f64>,
    fresh: Vec<bool>,
    parts: Vec<Parts>,
    fallbacks: u64,
}

impl MlpActuator {
    /// A model of as many joints, all with the same network, that is stepped at `caller_rate_hz`.
    ///
    /// # Errors
    /// [`ParameterError`] for numbers out of range, weights that are no network of these inputs, and a
    /// caller's rate that is no multiple of the network's.
    pub fn new(
        spec: &MlpSpec,
        parameters: &MlpParameters,
        joints: usize,
        caller_rate_hz: f64,
    ) -> Result<Self, ParameterError> {
        spec.check()?;
        count_joints(joints)?;
        let (found, needed) = (parameters.inputs, 2 * spec.input_idx.len());
        if found != needed {
            let why = "an error and a velocity for each of input_idx";
            return Err(ParameterError::Length { what: "the network's input", found, needed, why });
        }
        let length = spec.input_idx.iter().max().map_or(1, |index| index + 1);
        Ok(Self {
            network: parameters.network(spec.activation, joints)?,
            divider: Divider::new(spec.rate_hz, caller_rate_hz)?,
            history: vec![(0.0, 0.0); length * joints],
            length,
            newest: 0,
            inputs: vec![0.0; joints * needed],
            outputs: vec![0.0; joints],
            held: vec![0.0; joints],
            fresh: vec![true; joints],
            parts: vec![Parts::default(); joints],
            fallbacks: 0,
            spec: spec.clone(),
        })
    }

    /// What it was made of.
    #[must_use]
    pub fn spec(&self) -> &MlpSpec {
        &self.spec
    }

    fn step_network(&mut self, inputs: &[JointInput]) -> Result<(), ActuatorError> {
        let (joints, spec) = (self.held.len(), &self.spec);
        self.newest = (self.newest + self.length - 1) % self.length;
        for (joint, input) in inputs.iter().enumerate() {
            let error = input.target_position - input.position;
            let error = match spec.error_sign {
                ErrorSign::TargetMinusMeasured => error,
                ErrorSign::MeasuredMinusTarget => -error,
            };
            self.history[self.newest * joints + joint] = (error, input.velocity);
        }
        let half = spec.input_idx.len();
        let (errors, velocities) = match spec.input_order {
            InputOrder::PosVel => (0, half),
            InputOrder::VelPos => (half, 0),
        };
        for (joint, row) in self.inputs.chunks_exact_mut(2 * half).enumerate() {
            for (position, index) in spec.input_idx.iter().enumerate() {
                let entry = (self.newest + index) % self.length;
                let (error, velocity) = self.history[entry * joints + joint];
                row[errors + position] = (error * spec.pos_scale) as f32;
                row[velocities + position] = (velocity * spec.vel_scale) as f32;
            }
        }
        // What is not finite is found among the outputs, joint by joint.
        let refused = self.network.step(&self.inputs, &mut self.outputs).is_err();
        let mut lost = None;
        for (joint, (held, output)) in self.held.iter_mut().zip(&self.outputs).enumerate() {
            *held = f64::from(*output) * spec.torque_scale;
            if !held.is_finite() {
                (*held, self.fallbacks) = (0.0, self.fallbacks + 1);
                lost = lost.or(Some(joint));
            }
        }
        match lost {
            Some(joint) => Err(ActuatorError::Network { joint }),
            None if refused => {
                // An input that is finite in 64 bits and not in 32; nothing was computed.
                let at = self.inputs.iter().position(|input| !input.is_finite());
                Err(ActuatorError::Network { joint: at.map_or(0, |at| at / (2 * half)) })
            }
            None => Ok(()),
        }
    }
}

impl ActuatorModel for MlpActuator {
    fn step(&mut self, inputs: &[JointInput], efforts: &mut [f64]) -> Result<(), ActuatorError> {
        check(inputs, efforts, self.held.len())?;
        let due = self.divider.is_due();
        self.divider.advance();
        if due {
            self.step_network(inputs)?;
        }
        for (joint, input) in inputs.iter().enumerate() {
            let network = self.held[joint];
            let motor = self.spec.dc_motor;
            let effort = motor.map_or(network, |motor| motor.clip(network, input.velocity));
            let effort = clamp(effort, self.spec.effort_limit_nm);
            efforts[joint] = effort;
            self.fresh[joint] = false;
            self.parts[joint] = Parts { network, unclamped: network, effort, ..Parts::default() };
        }
        Ok(())
    }

    fn reset(&mut self, joint: usize) {
        let joints = self.held.len();
        self.history.iter_mut().skip(joint).step_by(joints).for_each(|entry| *entry = (0.0, 0.0));
        self.held[joint] = 0.0;
        self.parts[joint] = Parts::default();
        self.fresh[joint] = true;
        if self.fresh.iter().all(|fresh| *fresh) {
            self.divider.restart();
        }
    }

    fn joints(&self) -> usize {
        self.held.len()
    }

    fn rate_hz(&self) -> Option<f64> {
        Some(self.spec.rate_hz)
    }

    fn kind(&self) -> &'static str {
        "mlp"
    }

    fn parts(&self, joint: usize) -> Parts {
        self.parts[joint]
    }

    fn fallbacks(&self) -> u64 {
        self.fallbacks
    }
}
