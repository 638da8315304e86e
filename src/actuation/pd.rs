//! Positions to efforts by a proportional and derivative law.

/// Gains of one joint.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Gains {
    /// Effort per position error, in N·m/rad (N/m).
    pub stiffness: f64,
    /// Effort per velocity error, in N·m·s/rad (N·s/m).
    pub damping: f64,
}

/// `effort = stiffness (position' - position) + damping (velocity' - velocity)`, with the command's
/// motion primed.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct PdActuator {
    gains: Vec<Gains>,
}

impl PdActuator {
    /// An actuator per joint, in joint order.
    pub fn new(gains: Vec<Gains>) -> Self {
        Self { gains }
    }

    /// The effort for joint `joint`: `wanted` and `measured` are position and velocity.
    pub fn effort(&self, joint: usize, wanted: [f64; 2], measured: [f64; 2]) -> f64 {
        let gains = self.gains.get(joint).copied().unwrap_or_default();
        gains.stiffness * (wanted[0] - measured[0]) + gains.damping * (wanted[1] - measured[1])
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn position_and_velocity_errors_add_up() {
        let pd = PdActuator::new(vec![Gains::default(), Gains { stiffness: 100.0, damping: 5.0 }]);
        assert_eq!(pd.effort(1, [0.5, 0.2], [0.4, 0.4]), 100.0 * (0.5 - 0.4) + 5.0 * (0.2 - 0.4));
        assert_eq!(pd.effort(0, [0.5, 0.2], [0.4, 0.4]), 0.0);
        assert_eq!(pd.effort(7, [0.5, 0.2], [0.4, 0.4]), 0.0);
    }
}
