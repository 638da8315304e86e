//! A recurrent network, alone or together with PD control, torque–speed curve and spring.

use super::curves::clamp;
use super::error::{count_joints, positive};
use super::rate::Divider;
use super::{
    ActuatorError, ActuatorModel, DcMotorCurve, GruParameters, JointInput, Normalization,
    ParameterError, Parts, PdPart, Spring, TorqueSpeedCurve, check,
};
use crate::recurrent::GruNetwork;
use serde::{Deserialize, Serialize};

/// What a column of the network's input is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Feature {
    /// Measured position, rad.
    #[serde(rename = "current_angle_rad")]
    Position,
    /// Target position, rad.
    #[serde(rename = "target_angle_rad")]
    TargetPosition,
    /// Measured velocity, rad/s.
    #[serde(rename = "current_ang_vel_rad_s")]
    Velocity,
    /// Effort that the model returned at the network's last step, N·m; 0 after a reset. In training it
    /// was the measured one: errors feed on themselves.
    #[serde(rename = "previous_torque_nm")]
    PreviousEffort,
}

impl Feature {
    /// The seed's features in its order.
    pub const SEED: [Self; 3] = [Self::Position, Self::TargetPosition, Self::Velocity];

    /// Name in files.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Position => "current_angle_rad",
            Self::TargetPosition => "target_angle_rad",
            Self::Velocity => "current_ang_vel_rad_s",
            Self::PreviousEffort => "previous_torque_nm",
        }
    }
}

/// What the network was trained to give.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Output {
    /// The whole torque: `nn * std + mean`.
    Full,
    /// What PD and spring leave: `nn * std`. The mean of the torque cancels in training and is not
    /// added.
    Residual,
    /// A residual with a mean of its own: `nn * std + mean`. Isaac Lab's networks have one; for a
    /// network of the seed this repeats a mistake of `mars_jumper`, a constant bias of the mean.
    ResidualWithMean,
}

/// What a [`GruActuator`] is, beside its weights.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct GruSpec {
    /// Columns of the network's input, in order.
    pub features: Vec<Feature>,
    /// Rate of the training: the network makes one step in each of its periods.
    pub rate_hz: f64,
    /// What the network gives.
    pub output: Output,
    /// Statistics of the training.
    pub normalization: Normalization,
    /// PD controller: what a residual adds to, and what stands alone when the network gives nothing
    /// usable.
    pub pd: Option<PdPart>,
    /// Bounds the PD part alone.
    pub torque_speed_curve: Option<TorqueSpeedCurve>,
    /// Added behind the curve.
    pub spring: Option<Spring>,
    /// Bounds the sum by a motor's four quadrants, as `mars_jumper` does.
    pub dc_motor: Option<DcMotorCurve>,
    /// Bounds the sum on both sides, N·m.
    pub effort_limit_nm: Option<f64>,
}

impl GruSpec {
    /// Checks every number, and what needs each other.
    pub(super) fn check(&self) -> Result<(), ParameterError> {
        let needed = self.features.len();
        if needed == 0 {
            let (what, why) = ("features", "a network has at least one input");
            return Err(ParameterError::Missing { what, why });
        }
        for (index, feature) in self.features.iter().enumerate() {
            if self.features[..index].contains(feature) {
                return Err(ParameterError::FeatureTwice { feature: feature.name() });
            }
        }
        super::rate::check(self.rate_hz)?;
        self.normalization.check(needed)?;
        self.pd.map_or(Ok(()), |pd| pd.check())?;
        self.torque_speed_curve.map_or(Ok(()), |curve| curve.check())?;
        self.spring.map_or(Ok(()), |spring| spring.check())?;
        self.dc_motor.map_or(Ok(()), |motor| motor.check())?;
        self.effort_limit_nm.map_or(Ok(()), |limit| positive("effort_limit_nm", limit))?;
        let why = "a residual is added to the PD controller that it was trained with";
        match (self.output, self.pd) {
            (Output::Residual | Output::ResidualWithMean, None) => {
                Err(ParameterError::Missing { what: "pd", why })
            }
            _ => Ok(()),
        }
    }
}

/// Torques of PD control inside its curve, and of a spring, N·m: what a residual is added to.
#[must_use]
pub fn physical(
    pd: Option<PdPart>,
    curve: Option<TorqueSpeedCurve>,
    spring: Option<Spring>,
    input: &JointInput,
) -> (f64, f64) {
    let asked = pd.map_or(0.0, |pd| pd.effort(input));
    let given = curve.map_or(asked, |curve| curve.clip(asked, input.velocity));
    (given, spring.map_or(0.0, |spring| spring.effort(input.position)))
}

/// Which feature a column is, and how it is normalised.
struct Column {
    feature: Feature,
    mean: f64,
    scale: f64,
}

/// A recurrent network over the joints' states and targets, alone or added to PD control with
/// torque–speed curve and spring.
///
/// The network steps at its own rate, every k-th call; between its steps its torque is held, while PD,
/// spring and clamps follow every call.
pub struct GruActuator {
    spec: GruSpec,
    columns: Vec<Column>,
    output_scale: f64,
    output_mean: f64,
    network: GruNetwork,
    divider: Divider,
    inputs: Vec<f32>,
    outputs: Vec<f32>,
    /// Rows whose last output is usable.
    usable: Vec<bool>,
    /// Torque of the network, held between its steps; `None` if it gave nothing usable.
    held: Vec<Option<f64>>,
    /// Effort at the network's last step.
    previous: Vec<f64>,
    /// Joints that have not been stepped since they were reset.
    fresh: Vec<bool>,
    parts: Vec<Parts>,
    fallbacks: u64,
}

impl GruActuator {
    /// A model of as many joints, all with the same network, that is stepped at `caller_rate_hz`.
    ///
    /// # Errors
    /// [`ParameterError`] for numbers out of range, statistics that do not fit the features, weights
    /// that are no network, and a caller's rate that is no multiple of the network's.
    pub fn new(
        spec: &GruSpec,
        parameters: &GruParameters,
        joints: usize,
        caller_rate_hz: f64,
    ) -> Result<Self, ParameterError> {
        spec.check()?;
        count_joints(joints)?;
        let (found, needed) = (parameters.inputs, spec.features.len());
        if found != needed {
            let (what, why) = ("the network's input", "one for each feature");
            return Err(ParameterError::Length { what, found, needed, why });
        }
        let divider = Divider::new(spec.rate_hz, caller_rate_hz)?;
        let normalized = spec.features.iter().zip(spec.normalization.inputs());
        let columns =
            normalized.map(|(&feature, (mean, scale))| Column { feature, mean, scale }).collect();
        Ok(Self {
            columns,
            output_scale: spec.normalization.output_scale(),
            output_mean: match spec.output {
                Output::Residual => 0.0,
                Output::Full | Output::ResidualWithMean => spec.normalization.target_mean,
            },
            network: parameters.network(joints)?,
            divider,
            inputs: vec![0.0; joints * needed],
            outputs: vec![0.0; joints],
            usable: vec![false; joints],
            held: vec![Some(0.0); joints],
            previous: vec![0.0; joints],
            fresh: vec![true; joints],
            parts: vec![Parts::default(); joints],
            fallbacks: 0,
            spec: spec.clone(),
        })
    }

    /// What it was made of.
    #[must_use]
    pub fn spec(&self) -> &GruSpec {
        &self.spec
    }

    /// Calls for each step of the network.
    #[must_use]
    pub fn calls_per_step(&self) -> u32 {
        self.divider.calls()
    }

    /// One step of the network, for all joints.
    fn step_network(&mut self, inputs: &[JointInput]) {
        let rows = self.inputs.chunks_exact_mut(self.columns.len());
        for ((row, input), previous) in rows.zip(inputs).zip(&self.previous) {
            for (column, out) in self.columns.iter().zip(row) {
                let value = match column.feature {
                    Feature::Position => input.position,
                    Feature::TargetPosition => input.target_position,
                    Feature::Velocity => input.velocity,
                    Feature::PreviousEffort => *previous,
                };
                *out = ((value - column.mean) / column.scale) as f32;
            }
        }
        self.network.step_rows(&self.inputs, &mut self.outputs, &mut self.usable);
        for ((held, output), usable) in self.held.iter_mut().zip(&self.outputs).zip(&self.usable) {
            let effort = f64::from(*output) * self.output_scale + self.output_mean;
            *held = usable.then_some(effort).filter(|effort| effort.is_finite());
            self.fallbacks += u64::from(held.is_none());
        }
    }

    fn physical(&self, input: &JointInput) -> (f64, f64) {
        physical(self.spec.pd, self.spec.torque_speed_curve, self.spec.spring, input)
    }
}

impl ActuatorModel for GruActuator {
    fn step(&mut self, inputs: &[JointInput], efforts: &mut [f64]) -> Result<(), ActuatorError> {
        check(inputs, efforts, self.parts.len())?;
        let due = self.divider.is_due();
        if due {
            self.step_network(inputs);
        }
        self.divider.advance();
        let mut lost = None;
        for (joint, input) in inputs.iter().enumerate() {
            let alone = self.spec.output == Output::Full && self.held[joint].is_some();
            let (pd, spring) = if alone { (0.0, 0.0) } else { self.physical(input) };
            let (network, fallback) =
                self.held[joint].map_or((0.0, true), |network| (network, false));
            if fallback && self.spec.pd.is_none() {
                lost = lost.or(Some(joint));
            }
            let unclamped = network + (pd + spring);
            let motor = self.spec.dc_motor;
            let effort = motor.map_or(unclamped, |motor| motor.clip(unclamped, input.velocity));
            let effort = clamp(effort, self.spec.effort_limit_nm);
            if !effort.is_finite() {
                lost = lost.or(Some(joint));
            }
            efforts[joint] = effort;
            self.parts[joint] = Parts { network, pd, spring, unclamped, effort, fallback };
            self.fresh[joint] = false;
            if due {
                self.previous[joint] = effort;
            }
        }
        lost.map_or(Ok(()), |joint| Err(ActuatorError::Network { joint }))
    }

    /// The network's state becomes zero, and its torque until its next step. When all joints are reset
    /// the next call is one with a step of the network.
    fn reset(&mut self, joint: usize) {
        self.network.reset(joint);
        self.held[joint] = Some(0.0);
        self.previous[joint] = 0.0;
        self.parts[joint] = Parts::default();
        self.fresh[joint] = true;
        if self.fresh.iter().all(|fresh| *fresh) {
            self.divider.restart();
        }
    }

    fn joints(&self) -> usize {
        self.parts.len()
    }

    fn rate_hz(&self) -> Option<f64> {
        Some(self.spec.rate_hz)
    }

    fn kind(&self) -> &'static str {
        "gru"
    }

    fn parts(&self, joint: usize) -> Parts {
        self.parts[joint]
    }

    fn fallbacks(&self) -> u64 {
        self.fallbacks
    }
}
