//! A judge of commands that knows nothing of how the gate makes them.

use super::JointLimits;

/// A history that passes a check: every command inside every limit, by backward differences.
#[derive(Clone)]
pub(crate) struct Judge {
    limits: JointLimits,
    dt: f64,
    position: f64,
    velocity: f64,
    acceleration: f64,
}

impl Judge {
    /// Standing at `start`.
    pub fn new(limits: JointLimits, dt: f64, start: f64) -> Self {
        Self { limits, dt, position: start, velocity: 0.0, acceleration: 0.0 }
    }

    /// The last command.
    pub fn position(&self) -> f64 {
        self.position
    }

    /// Says what is wrong with the next command.
    pub fn next(&mut self, position: f64) -> Result<(), String> {
        let Self { limits, dt, .. } = *self;
        let velocity = (position - self.position) / dt;
        let acceleration = (velocity - self.velocity) / dt;
        let jerk = (acceleration - self.acceleration) / dt;
        // What rounding of positions does to differences.
        let rounding = 8.0 * f64::EPSILON * position.abs().max(self.position.abs()).max(1e-3);
        let lower = limits.position[0].min(self.position);
        let upper = limits.position[1].max(self.position);
        let check = |what: &str, value: f64, most: f64, rounding: f64| {
            if value.abs() <= most * (1.0 + 1e-6) + rounding {
                return Ok(());
            }
            Err(format!("{what} {value} beyond {most} at {position}"))
        };
        if !(lower..=upper).contains(&position) {
            return Err(format!("position {position} outside {lower} to {upper}"));
        }
        check("velocity", velocity, limits.max_velocity, rounding / dt)?;
        check("step", velocity * dt, limits.max_step, rounding)?;
        check("acceleration", acceleration, limits.max_acceleration, 2.0 * rounding / dt.powi(2))?;
        check("jerk", jerk, limits.max_jerk, 4.0 * rounding / dt.powi(3))?;
        if let Some(barrier) = limits.barrier {
            // The robot looks at the position that the speed leads away from, or to: either passes.
            let [least, most] = barrier.at(position, limits.max_velocity);
            let slack = 1e-6 * limits.max_velocity + rounding / dt;
            if velocity < least - slack || velocity > most + slack {
                return Err(format!("velocity {velocity} at {position}: {least} to {most}"));
            }
        }
        (self.position, self.velocity, self.acceleration) = (position, velocity, acceleration);
        Ok(())
    }
}
