//! Which encoder readings are believed.

use std::time::Duration;

use super::Failure;
use crate::rig::Config;

/// What becomes of a reading.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Verdict {
    /// It is believed.
    Good,
    /// It is not.
    Refused(Failure),
    /// A jump that has persisted is believed: the angle has another origin now.
    Moved,
}

/// Refuses readings outside the travel, and jumps that do not persist.
#[derive(Clone, Copy, Debug)]
pub(super) struct Filter {
    most: f64,
    speed: f64,
    margin: f64,
    persistence: u32,
    /// The last reading that was believed, and time on the device's clock since.
    believed: Option<f64>,
    since: Duration,
    /// The last reading that was not, and how many of its kind there were in a row.
    doubted: f64,
    count: u32,
}

impl Filter {
    pub(super) const fn new(config: &Config) -> Self {
        Self {
            most: config.travel + config.range_margin,
            // Play and a spring let the load move faster than the motor.
            speed: 1.5 * config.max_velocity,
            margin: config.jump_margin,
            persistence: config.jump_persistence,
            believed: None,
            since: Duration::ZERO,
            doubted: 0.0,
            count: 0,
        }
    }

    pub(super) const fn reset(&mut self) {
        self.believed = None;
        self.count = 0;
    }

    /// Judges a reading `elapsed` after the one before.
    pub(super) fn judge(&mut self, angle: f64, elapsed: Duration) -> Verdict {
        // While readings are in doubt the reach does not grow, or any glitch would come into it.
        if self.count == 0 {
            self.since += elapsed;
        }
        if !angle.is_finite() || angle.abs() > self.most {
            return Verdict::Refused(Failure::OutOfRange { angle, most: self.most });
        }
        let Some(from) = self.believed else { return self.believe(angle, Verdict::Good) };
        if (angle - from).abs() <= self.reach(self.since) {
            return self.believe(angle, Verdict::Good);
        }
        let consistent = self.count > 0 && (angle - self.doubted).abs() <= self.reach(elapsed);
        self.count = if consistent { self.count + 1 } else { 1 };
        self.doubted = angle;
        if self.count > self.persistence {
            return self.believe(angle, Verdict::Moved);
        }
        Verdict::Refused(Failure::EncoderJump { from, to: angle })
    }

    fn reach(&self, elapsed: Duration) -> f64 {
        self.speed * elapsed.as_secs_f64() + self.margin
    }

    const fn believe(&mut self, angle: f64, verdict: Verdict) -> Verdict {
        self.believed = Some(angle);
        self.since = Duration::ZERO;
        self.count = 0;
        verdict
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MS: Duration = Duration::from_millis(1);

    #[test]
    fn a_jump_is_refused_until_it_has_persisted() {
        let mut filter = Filter::new(&Config::default());
        assert_eq!(filter.judge(0.0, MS), Verdict::Good);
        assert_eq!(filter.judge(0.1, MS), Verdict::Good);
        let jump = Failure::EncoderJump { from: 0.1, to: 1.0 };
        for _ in 0..5 {
            assert_eq!(filter.judge(1.0, MS), Verdict::Refused(jump));
        }
        assert_eq!(filter.judge(1.0, MS), Verdict::Moved);
        assert_eq!(filter.judge(1.01, MS), Verdict::Good);
    }

    #[test]
    fn single_glitches_never_become_true() {
        let mut filter = Filter::new(&Config::default());
        filter.judge(0.0, MS);
        for index in 0..100 {
            let glitch = if index % 2 == 0 { 2.0 } else { -2.0 };
            assert!(matches!(filter.judge(glitch, MS), Verdict::Refused(_)), "{index}");
        }
        assert!(matches!(filter.judge(f64::NAN, MS), Verdict::Refused(Failure::OutOfRange { .. })));
        assert!(matches!(filter.judge(9.0, MS), Verdict::Refused(Failure::OutOfRange { .. })));
    }
}
