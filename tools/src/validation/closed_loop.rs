//! A load that a model alone turns.

use crate::actuator::series::Series;
use sinew_models::actuators::{ActuatorError, ActuatorModel, JointInput};

/// Steps of the integration in one of the model.
const SUBSTEPS: u32 = 20;
/// A load that turns faster, in rad/s, or farther, in rad, has left the model behind.
const RUNAWAY: f64 = 1e4;

/// What the load did.
#[derive(Clone, Debug, Default)]
pub struct Simulated {
    /// Angle at each sample, in rad.
    pub position: Vec<f64>,
    /// Velocity at each sample, in rad/s.
    pub velocity: Vec<f64>,
    /// The model's torque from each sample on, in N·m.
    pub torque: Vec<f64>,
}

/// Turns `inertia` kg·m² by the model's torque, which stays the same for one step, from where the
/// recording begins. The model's torque is that on the load: nothing else acts on it.
///
/// # Errors
/// [`ActuatorError`] where the model has none.
pub fn simulate(
    model: &mut dyn ActuatorModel,
    series: &Series,
    inertia: f64,
) -> Result<Simulated, ActuatorError> {
    model.reset_all();
    let mut simulated = Simulated::default();
    let dt = 1.0 / (series.rate_hz * f64::from(SUBSTEPS));
    let (mut position, mut velocity) = (series.position[0], series.velocity[0]);
    let mut effort = [0.0];
    for sample in 0..series.len() {
        let before = series.target[sample.saturating_sub(1)];
        let input = JointInput {
            position,
            velocity,
            target_position: series.target[sample],
            target_velocity: (series.target[sample] - before) * series.rate_hz,
        };
        model.step(&[input], &mut effort)?;
        simulated.position.push(position);
        simulated.velocity.push(velocity);
        simulated.torque.push(effort[0]);
        for _ in 0..SUBSTEPS {
            velocity = (velocity + effort[0] / inertia * dt).clamp(-RUNAWAY, RUNAWAY);
            position = (position + velocity * dt).clamp(-RUNAWAY, RUNAWAY);
        }
    }
    Ok(simulated)
}

#[cfg(test)]
mod tests {
    use super::*;
    use sinew_models::actuators::{Gains, IdealPd};

    #[test]
    fn a_spring_without_loss_swings_with_its_own_frequency() {
        // kp = 4 N·m/rad on 0.01 kg·m²: 20 rad/s.
        let rate_hz = 1000.0;
        let samples = 2000;
        let series = Series {
            rate_hz,
            position: vec![0.1; samples],
            target: vec![0.0; samples],
            velocity: vec![0.0; samples],
            torque: vec![0.0; samples],
            ..Series::default()
        };
        let gains = Gains { stiffness: 4.0, damping: 0.0 };
        let mut model = IdealPd::new(&[(gains, None)]).unwrap();
        let simulated = simulate(&mut model, &series, 0.01).unwrap();
        let crossings = simulated.position.windows(2).filter(|it| it[0] > 0.0 && it[1] <= 0.0);
        // 2 s at 20 rad/s are 6.37 turns from the largest angle; it goes down through zero at a quarter of each.
        assert_eq!(crossings.count(), 7);
        let quarter = (std::f64::consts::FRAC_PI_2 / 20.0 * rate_hz).round() as usize;
        assert!(simulated.position[quarter].abs() < 0.002, "{}", simulated.position[quarter]);
        assert!((simulated.torque[0] + 0.4).abs() < 1e-12);
    }
}
