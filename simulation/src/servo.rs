//! A position servo: it moves to its target along a trapezoidal velocity profile.
//!
//! Within one profile the acceleration is piecewise constant, so [`Servo::advance`] integrates in
//! closed form and gives the same motion (to rounding) however a span is cut into steps.

/// One joint. Positions in any unit `u`, speeds in `u/s`, accelerations in `u/s²`.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Servo {
    position: f64,
    velocity: f64,
    target: f64,
    max_velocity: f64,
    max_acceleration: f64,
}

/// A stretch of constant acceleration.
#[derive(Clone, Copy)]
struct Phase {
    seconds: f64,
    acceleration: f64,
}

impl Servo {
    /// A servo at rest at `position`. Limits must be positive; others are raised to the smallest
    /// positive number, so that the servo stands still instead of producing a `NaN`.
    pub fn new(position: f64, max_velocity: f64, max_acceleration: f64) -> Self {
        Self {
            position,
            velocity: 0.0,
            target: position,
            max_velocity: positive(max_velocity),
            max_acceleration: positive(max_acceleration),
        }
    }

    /// Current position.
    pub const fn position(&self) -> f64 {
        self.position
    }

    /// Current velocity.
    pub const fn velocity(&self) -> f64 {
        self.velocity
    }

    /// Where it is going.
    pub const fn target(&self) -> f64 {
        self.target
    }

    /// True until it stands still at its target.
    pub fn is_moving(&self) -> bool {
        self.velocity != 0.0 || self.position != self.target
    }

    /// Sets target and speed limit; the motion continues from the present velocity. A target
    /// that is not finite is ignored.
    pub fn move_to(&mut self, target: f64, max_velocity: f64) {
        if target.is_finite() {
            self.target = target;
            self.max_velocity = positive(max_velocity);
        }
    }

    /// Brakes at the acceleration limit and stays where that ends.
    pub fn halt(&mut self) {
        self.target = self.position + self.braking_distance();
    }

    /// Declares the present position to be `position`, at rest: a calibration.
    pub fn place(&mut self, position: f64) {
        if position.is_finite() {
            self.position = position;
            self.target = position;
            self.velocity = 0.0;
        }
    }

    /// Moves on by `seconds`.
    pub fn advance(&mut self, seconds: f64) {
        // A NaN step compares false and changes nothing.
        if !(seconds > 0.0 && self.is_moving()) {
            return;
        }
        let mut left = seconds;
        for phase in self.profile() {
            let step = phase.seconds.min(left);
            self.position += (self.velocity + 0.5 * phase.acceleration * step) * step;
            self.velocity += phase.acceleration * step;
            left -= step;
            if left <= 0.0 && step < phase.seconds {
                return;
            }
        }
        // The profile ends at the target at rest; rounding must not keep the servo "moving".
        self.position = self.target;
        self.velocity = 0.0;
    }

    /// Signed distance to standstill when braking now.
    fn braking_distance(&self) -> f64 {
        self.velocity * self.velocity.abs() / (2.0 * self.max_acceleration)
    }

    /// The time-optimal profile from here to the target.
    fn profile(&self) -> [Phase; 3] {
        let (limit, rate) = (self.max_velocity, self.max_acceleration);
        let beyond = self.target - self.position - self.braking_distance();
        let direction = if beyond < 0.0 { -1.0 } else { 1.0 };
        // Seen along `direction`, braking from the present velocity never overshoots.
        let distance = direction * (self.target - self.position);
        let velocity = direction * self.velocity;

        let peak = (rate * distance + 0.5 * velocity * velocity).max(0.0).sqrt();
        let (first, cruise, peak) = if velocity > limit {
            let slowing = (velocity * velocity - limit * limit) / (2.0 * rate);
            let cruise = (distance - slowing - limit * limit / (2.0 * rate)) / limit;
            let seconds = (velocity - limit) / rate;
            (Phase { seconds, acceleration: -direction * rate }, cruise, limit)
        } else {
            let reached = peak.min(limit).max(velocity);
            let gaining = (reached * reached - velocity * velocity) / (2.0 * rate);
            let cruise = (distance - gaining - reached * reached / (2.0 * rate)) / reached;
            let seconds = (reached - velocity) / rate;
            (Phase { seconds, acceleration: direction * rate }, cruise, reached)
        };
        let cruise = if cruise.is_finite() { cruise.max(0.0) } else { 0.0 };
        [
            first,
            Phase { seconds: cruise, acceleration: 0.0 },
            Phase { seconds: peak / rate, acceleration: -direction * rate },
        ]
    }
}

fn positive(value: f64) -> f64 {
    if value > f64::MIN_POSITIVE { value } else { f64::MIN_POSITIVE }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn a_long_move_takes_the_textbook_time() {
        // 90 u at 30 u/s and 60 u/s²: 0.5 s up, 0.5 s down (15 u), 2.5 s cruise (75 u).
        let mut servo = Servo::new(0.0, 30.0, 60.0);
        servo.move_to(90.0, 30.0);
        servo.advance(0.5);
        assert!((servo.position() - 7.5).abs() < 1e-9 && (servo.velocity() - 30.0).abs() < 1e-9);
        servo.advance(2.5);
        assert!((servo.position() - 82.5).abs() < 1e-9);
        servo.advance(0.499);
        assert!(servo.is_moving());
        servo.advance(0.002);
        assert_eq!(servo.position(), 90.0);
        assert!(!servo.is_moving());
    }

    #[test]
    fn a_short_move_never_reaches_full_speed() {
        let mut servo = Servo::new(1.0, 30.0, 60.0);
        servo.move_to(0.9, 30.0);
        let mut fastest: f64 = 0.0;
        for _ in 0..200 {
            servo.advance(0.001);
            fastest = fastest.max(servo.velocity().abs());
        }
        // peak = sqrt(a d) = sqrt(6)
        assert!((fastest - 6.0_f64.sqrt()).abs() < 0.06, "{fastest}");
        assert_eq!(servo.position(), 0.9);
    }

    #[test]
    fn a_lower_speed_limit_slows_a_running_move() {
        let mut servo = Servo::new(0.0, 30.0, 60.0);
        servo.move_to(90.0, 30.0);
        servo.advance(1.0);
        servo.move_to(90.0, 10.0);
        servo.advance(20.0 / 60.0);
        assert!((servo.velocity() - 10.0).abs() < 1e-9);
    }

    #[test]
    fn halt_stops_after_the_braking_distance() {
        let mut servo = Servo::new(0.0, 30.0, 60.0);
        servo.move_to(90.0, 30.0);
        servo.advance(1.0);
        let from = servo.position();
        servo.halt();
        servo.advance(10.0);
        assert!((servo.position() - from - 7.5).abs() < 1e-9);
    }

    #[test]
    fn targets_and_steps_that_are_not_finite_change_nothing() {
        let mut servo = Servo::new(0.5, 1.0, 1.0);
        servo.move_to(f64::NAN, 1.0);
        servo.move_to(f64::INFINITY, 1.0);
        servo.advance(f64::NAN);
        assert_eq!(servo, Servo::new(0.5, 1.0, 1.0));
    }

    proptest! {
        #[test]
        fn motion_keeps_its_limits_and_does_not_depend_on_the_step(
            start in -3.0..3.0f64, first in -3.0..3.0f64, second in -3.0..3.0f64,
            speed in 0.05..3.0f64, turn in 0.0..2.0f64, steps in 1usize..40,
        ) {
            let mut servo = Servo::new(start, speed, 2.0);
            servo.move_to(first, speed);
            servo.advance(turn);
            servo.move_to(second, speed);
            let mut whole = servo;
            let mut cut = servo;
            whole.advance(1.0);
            for _ in 0..steps {
                let before = cut.velocity();
                cut.advance(1.0 / steps as f64);
                prop_assert!(cut.velocity().abs() <= speed + 1e-9);
                prop_assert!((cut.velocity() - before).abs() <= 2.0 / steps as f64 + 1e-9);
            }
            prop_assert!((whole.position() - cut.position()).abs() < 1e-7);
            // From any state it arrives, exactly, and stays.
            let mut last = cut;
            last.advance(1e3);
            prop_assert_eq!(last.position(), second);
            prop_assert!(!last.is_moving());
        }
    }
}
