//! Isaac Lab's `ActuatorNetGRU` and `ActuatorNetGRUResidual`: the same network over other columns.
//!
//! Their inputs are position, position error and velocity, each with a mean and a standard deviation of
//! the configuration. With `e = q_d - q`, the normalised error is a difference of two normalised
//! positions: `(e - m_e) / s_e = (q_d - (m_p + m_e)) / s_e - (q - m_p) / s_p * s_p / s_e`. So a network
//! over `q`, `q_d` and `qd` with the means `m_p`, `m_p + m_e` and `m_v` and the deviations `s_p`, `s_e`
//! and `s_v` computes the same; of `W_ih` only the first column changes.

use super::error::{finite, not_negative};
use super::{GruParameters, Normalization, ParameterError};
use serde::{Deserialize, Serialize};

/// What the configuration of Isaac Lab says of a network (`ActuatorNetGRUCfg`,
/// `ActuatorNetGRUResidualCfg`), with the names that it has there. Pairs are mean and standard
/// deviation.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct IsaacLab {
    /// Of the position, rad.
    pub position_normalization: Option<(f64, f64)>,
    /// Of the position error `q_d - q`, rad.
    pub pos_error_normalization: Option<(f64, f64)>,
    /// Of the velocity, rad/s.
    pub vel_normalization: Option<(f64, f64)>,
    /// Of the torque that the network gives, N·m.
    pub output_normalization: Option<(f64, f64)>,
    /// Whether it is an `ActuatorNetGRUResidual`.
    pub residual: bool,
    /// Stiffness of the implicit PD of a residual, N·m/rad.
    pub stiffness: Option<f64>,
    /// Its damping, N·m·s/rad.
    pub damping: Option<f64>,
    /// Limit of the effort, N·m.
    pub effort_limit: Option<f64>,
    /// Rate of the simulation that stepped it, where it is known.
    pub rate_hz: Option<f64>,
}

/// Mean and standard deviation; none are 0 and 1.
fn pair(what: &'static str, given: Option<(f64, f64)>) -> Result<(f64, f64), ParameterError> {
    let (mean, std) = given.unwrap_or((0.0, 1.0));
    finite(what, mean)?;
    not_negative(what, std)?;
    Ok((mean, std.max(Normalization::ISAAC_LAB_FLOOR)))
}

impl IsaacLab {
    /// The normalisation of the remixed network.
    ///
    /// # Errors
    /// [`ParameterError`] for numbers that are not finite and deviations that are negative.
    pub fn normalization(&self) -> Result<Normalization, ParameterError> {
        let position = pair("position_normalization", self.position_normalization)?;
        let error = pair("pos_error_normalization", self.pos_error_normalization)?;
        let velocity = pair("vel_normalization", self.vel_normalization)?;
        let output = pair("output_normalization", self.output_normalization)?;
        Ok(Normalization {
            input_mean: vec![position.0, position.0 + error.0, velocity.0],
            input_std: vec![position.1, error.1, velocity.1],
            target_mean: output.0,
            target_std: output.1,
            epsilon: 0.0,
            std_floor: Normalization::ISAAC_LAB_FLOOR,
        })
    }

    /// Turns the columns of the first layer from position, position error and velocity to position,
    /// target position and velocity.
    ///
    /// # Errors
    /// [`ParameterError`] for another number of inputs than 3, and for numbers that are none.
    pub fn remix(&self, parameters: &mut GruParameters) -> Result<(), ParameterError> {
        if parameters.inputs != 3 {
            let (what, found) = ("the network's input", parameters.inputs);
            let why = "position, position error and velocity";
            return Err(ParameterError::Length { what, found, needed: 3, why });
        }
        let ratio = pair("position_normalization", self.position_normalization)?.1
            / pair("pos_error_normalization", self.pos_error_normalization)?.1;
        let layer = parameters.layers.first_mut();
        for row in layer.map_or(&mut [][..], |layer| &mut layer.weight_ih).chunks_exact_mut(3) {
            row[0] = (f64::from(row[0]) - f64::from(row[1]) * ratio) as f32;
        }
        Ok(())
    }
}
