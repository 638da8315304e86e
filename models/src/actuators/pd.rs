//! PD control, ideal and inside a DC motor's limits.

use super::curves::clamp;
use super::error::{count_joints, not_negative, positive};
use super::{ActuatorError, ActuatorModel, DcMotorCurve, JointInput, ParameterError, Parts, check};
use serde::{Deserialize, Serialize};

/// Gains of a PD controller.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Gains {
    /// Stiffness, N·m/rad.
    pub stiffness: f64,
    /// Damping, N·m·s/rad.
    pub damping: f64,
}

impl Gains {
    fn check(self) -> Result<(), ParameterError> {
        not_negative("stiffness", self.stiffness)?;
        not_negative("damping", self.damping)
    }

    /// `kp (q_d - q) + kd (qd_d - qd)`.
    fn effort(self, input: &JointInput) -> f64 {
        self.stiffness * (input.target_position - input.position)
            + self.damping * (input.target_velocity - input.velocity)
    }
}

/// What a PD controller inside a learned model damps towards.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum TargetVelocity {
    /// Rest, as the seed does by design.
    Zero,
    /// The target's velocity.
    Given,
}

/// The PD controller inside a learned model.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PdPart {
    /// Stiffness, N·m/rad.
    pub stiffness_nm_per_rad: f64,
    /// Damping, N·m·s/rad.
    pub damping_nm_s_per_rad: f64,
    /// What it damps towards.
    pub target_velocity: TargetVelocity,
}

impl PdPart {
    pub(super) fn check(&self) -> Result<(), ParameterError> {
        not_negative("pd.stiffness_nm_per_rad", self.stiffness_nm_per_rad)?;
        not_negative("pd.damping_nm_s_per_rad", self.damping_nm_s_per_rad)
    }

    /// Its torque, N·m.
    #[must_use]
    pub fn effort(&self, input: &JointInput) -> f64 {
        let target_velocity = match self.target_velocity {
            TargetVelocity::Zero => 0.0,
            TargetVelocity::Given => input.target_velocity,
        };
        let gains =
            Gains { stiffness: self.stiffness_nm_per_rad, damping: self.damping_nm_s_per_rad };
        gains.effort(&JointInput { target_velocity, ..*input })
    }
}

/// A motor that gives whatever PD control asks for, up to a limit.
pub struct IdealPd {
    joints: Vec<(Gains, Option<f64>)>,
    parts: Vec<Parts>,
}

impl IdealPd {
    /// Gains and effort limit (N·m) of each joint.
    ///
    /// # Errors
    /// [`ParameterError`] for no joints, and for numbers that are negative or not finite.
    pub fn new(joints: &[(Gains, Option<f64>)]) -> Result<Self, ParameterError> {
        count_joints(joints.len())?;
        for (gains, limit) in joints {
            gains.check()?;
            limit.map_or(Ok(()), |limit| positive("effort limit", limit))?;
        }
        Ok(Self { joints: joints.to_vec(), parts: vec![Parts::default(); joints.len()] })
    }
}

impl ActuatorModel for IdealPd {
    fn step(&mut self, inputs: &[JointInput], efforts: &mut [f64]) -> Result<(), ActuatorError> {
        check(inputs, efforts, self.joints.len())?;
        for (joint, (gains, limit)) in self.joints.iter().enumerate() {
            let pd = gains.effort(&inputs[joint]);
            efforts[joint] = clamp(pd, *limit);
            self.parts[joint] =
                Parts { pd, unclamped: pd, effort: efforts[joint], ..Parts::default() };
        }
        Ok(())
    }

    fn reset(&mut self, joint: usize) {
        self.parts[joint] = Parts::default();
    }

    fn joints(&self) -> usize {
        self.joints.len()
    }

    fn rate_hz(&self) -> Option<f64> {
        None
    }

    fn kind(&self) -> &'static str {
        "ideal_pd"
    }

    fn parts(&self, joint: usize) -> Parts {
        self.parts[joint]
    }
}

/// PD control inside the limits of a DC motor.
pub struct DcMotor {
    joints: Vec<(Gains, DcMotorCurve)>,
    parts: Vec<Parts>,
}

impl DcMotor {
    /// Gains and motor of each joint.
    ///
    /// # Errors
    /// [`ParameterError`] for no joints, and for numbers that are negative, not finite, or zero where a
    /// motor needs something.
    pub fn new(joints: &[(Gains, DcMotorCurve)]) -> Result<Self, ParameterError> {
        count_joints(joints.len())?;
        for (gains, motor) in joints {
            gains.check()?;
            motor.check()?;
        }
        Ok(Self { joints: joints.to_vec(), parts: vec![Parts::default(); joints.len()] })
    }
}

impl ActuatorModel for DcMotor {
    fn step(&mut self, inputs: &[JointInput], efforts: &mut [f64]) -> Result<(), ActuatorError> {
        check(inputs, efforts, self.joints.len())?;
        for (joint, (gains, motor)) in self.joints.iter().enumerate() {
            let pd = gains.effort(&inputs[joint]);
            efforts[joint] = motor.clip(pd, inputs[joint].velocity);
            self.parts[joint] =
                Parts { pd, unclamped: pd, effort: efforts[joint], ..Parts::default() };
        }
        Ok(())
    }

    fn reset(&mut self, joint: usize) {
        self.parts[joint] = Parts::default();
    }

    fn joints(&self) -> usize {
        self.joints.len()
    }

    fn rate_hz(&self) -> Option<f64> {
        None
    }

    fn kind(&self) -> &'static str {
        "dc_motor"
    }

    fn parts(&self, joint: usize) -> Parts {
        self.parts[joint]
    }
}
