//! What bounds a motor's torque, and springs beside it.

use super::ParameterError;
use super::error::{finite, not_negative, positive};
use serde::{Deserialize, Serialize};

/// The asymmetric torque–speed clip of the seed: along the motion the torque falls in a straight line
/// from the stall torque to nothing at the no-load speed; against it there is always all of it.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TorqueSpeedCurve {
    /// Torque at rest, N·m.
    pub stall_torque_nm: f64,
    /// Speed at which the motor has nothing left along its motion, rad/s.
    pub no_load_speed_rad_s: f64,
}

impl TorqueSpeedCurve {
    pub(super) fn check(&self) -> Result<(), ParameterError> {
        positive("torque_speed_curve.stall_torque_nm", self.stall_torque_nm)?;
        positive("torque_speed_curve.no_load_speed_rad_s", self.no_load_speed_rad_s)
    }

    /// Clips an effort (N·m) at a velocity (rad/s).
    #[must_use]
    pub fn clip(&self, effort: f64, velocity: f64) -> f64 {
        let stall = self.stall_torque_nm;
        let along = stall * (1.0 - velocity.abs() / self.no_load_speed_rad_s).clamp(0.0, 1.0);
        let (low, high) = if velocity > 0.0 {
            (-stall, along)
        } else if velocity < 0.0 {
            (-along, stall)
        } else {
            (-stall, stall)
        };
        effort.clamp(low, high)
    }
}

/// A DC motor in all four quadrants, as Isaac Lab's `DCMotor` has it: the line between stall torque and
/// no-load speed bounds the torque on both sides, inside the continuous limit. Faster than the no-load
/// speed the line itself brakes.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DcMotorCurve {
    /// Torque at rest (`saturation_effort`), N·m.
    pub saturation_effort_nm: f64,
    /// Speed without load (`velocity_limit`), rad/s.
    pub no_load_speed_rad_s: f64,
    /// What it can give for long (`effort_limit`), N·m.
    pub effort_limit_nm: f64,
}

impl DcMotorCurve {
    pub(super) fn check(&self) -> Result<(), ParameterError> {
        positive("dc_motor.saturation_effort_nm", self.saturation_effort_nm)?;
        positive("dc_motor.no_load_speed_rad_s", self.no_load_speed_rad_s)?;
        positive("dc_motor.effort_limit_nm", self.effort_limit_nm)
    }

    /// Clips an effort (N·m) at a velocity (rad/s).
    #[must_use]
    pub fn clip(&self, effort: f64, velocity: f64) -> f64 {
        let (saturation, limit) = (self.saturation_effort_nm, self.effort_limit_nm);
        // Where the line meets the continuous limit of the other side; beyond it nothing changes.
        let corner = 1.0 + limit / saturation;
        let ratio = (velocity / self.no_load_speed_rad_s).clamp(-corner, corner);
        let high = (saturation * (1.0 - ratio)).min(limit);
        let low = (saturation * (-1.0 - ratio)).max(-limit);
        effort.max(low).min(high)
    }
}

/// Sign of a spring's torque.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum SpringConvention {
    /// `+k (q - q0)`, as the seed writes it; pulls back only where `k` is negative.
    Seed,
    /// `-k (q - q0)`: pulls back to the rest position.
    Physical,
}

/// An elastic element in parallel with the motor.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Spring {
    /// Stiffness, N·m/rad.
    pub stiffness_nm_per_rad: f64,
    /// Where it gives no torque, rad.
    pub rest_position_rad: f64,
    /// Sign.
    pub convention: SpringConvention,
}

impl Spring {
    pub(super) fn check(&self) -> Result<(), ParameterError> {
        match self.convention {
            SpringConvention::Seed => {
                finite("spring.stiffness_nm_per_rad", self.stiffness_nm_per_rad)?;
            }
            SpringConvention::Physical => {
                not_negative("spring.stiffness_nm_per_rad", self.stiffness_nm_per_rad)?;
            }
        }
        finite("spring.rest_position_rad", self.rest_position_rad)
    }

    /// Torque at a position, N·m.
    #[must_use]
    pub fn effort(&self, position: f64) -> f64 {
        let effort = self.stiffness_nm_per_rad * (position - self.rest_position_rad);
        match self.convention {
            SpringConvention::Seed => effort,
            SpringConvention::Physical => -effort,
        }
    }
}

/// Clamps to `limit` on both sides, where there is one.
pub(super) fn clamp(effort: f64, limit: Option<f64>) -> f64 {
    limit.map_or(effort, |limit| effort.clamp(-limit, limit))
}
