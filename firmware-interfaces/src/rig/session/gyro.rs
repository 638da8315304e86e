//! Which readings of the gyroscope are believed.

use std::time::Duration;

use super::Failure;
use crate::rig::Config;

/// How fast the speed of a load may change, in rad/s²: the rig's own actuator changes it by some
/// hundred, a blow by more.
const ACCELERATION: f64 = 2000.0;
/// Noise and bias of a rate, in rad/s.
const MARGIN: f64 = 3.0;

/// What becomes of a reading.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Verdict {
    /// It is believed.
    Good,
    /// It is not.
    Refused(Failure),
    /// It is not, and neither were those before: the sensor is broken.
    Broken(Failure),
}

/// Refuses rates that no sensor of a rig can read, and those that change faster than the load can.
/// What persists is believed where the encoder moves as fast, and is a broken sensor where it does
/// not.
#[derive(Clone, Copy, Debug)]
pub(super) struct GyroFilter {
    most: f64,
    persistence: u32,
    /// The last rate that was believed, and time on the device's clock since.
    believed: Option<f64>,
    since: Duration,
    /// Readings refused in a row, the angle at the first of them, and time since.
    count: u32,
    angle: f64,
    doubted: Duration,
}

impl GyroFilter {
    pub(super) const fn new(config: &Config) -> Self {
        Self {
            most: config.gyro_range,
            persistence: config.jump_persistence,
            believed: None,
            since: Duration::ZERO,
            count: 0,
            angle: 0.0,
            doubted: Duration::ZERO,
        }
    }

    pub(super) const fn reset(&mut self) {
        self.believed = None;
        self.since = Duration::ZERO;
        self.count = 0;
    }

    /// A sample came, whether its rates are judged or not.
    pub(super) fn elapse(&mut self, time: Duration) {
        // While readings are in doubt the reach does not grow, or any spike would come into it.
        if self.count == 0 {
            self.since += time;
        } else {
            self.doubted += time;
        }
    }

    /// Judges the rates of all axes, read at `angle`; `rate` is that of the joint.
    pub(super) fn judge(&mut self, axes: [f64; 3], rate: f64, angle: f64) -> Verdict {
        let most = self.most;
        if let Some(rate) = axes.into_iter().find(|axis| axis.is_nan() || axis.abs() > most) {
            return self.refuse(angle, Failure::GyroRange { rate, most });
        }
        let from = self.believed.unwrap_or(rate);
        if (rate - from).abs() <= ACCELERATION * self.since.as_secs_f64() + MARGIN {
            return self.believe(rate);
        }
        let turned = (angle - self.angle) / self.doubted.as_secs_f64();
        if self.count >= self.persistence && (turned - rate).abs() <= 2.0 * MARGIN {
            return self.believe(rate);
        }
        self.refuse(angle, Failure::GyroJump { from, to: rate })
    }

    fn refuse(&mut self, angle: f64, failure: Failure) -> Verdict {
        if self.count == 0 {
            self.angle = angle;
            self.doubted = Duration::ZERO;
        }
        self.count = self.count.saturating_add(1);
        if self.count > self.persistence {
            Verdict::Broken(failure)
        } else {
            Verdict::Refused(failure)
        }
    }

    const fn believe(&mut self, rate: f64) -> Verdict {
        self.believed = Some(rate);
        self.since = Duration::ZERO;
        self.count = 0;
        Verdict::Good
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MS: Duration = Duration::from_millis(1);

    /// Judges a rate about z a millisecond after the one before.
    fn judge(filter: &mut GyroFilter, rate: f64, angle: f64) -> Verdict {
        filter.elapse(MS);
        filter.judge([0.0, 0.0, rate], rate, angle)
    }

    #[test]
    fn spikes_and_impossible_rates_are_refused_and_what_follows_is_believed() {
        let mut filter = GyroFilter::new(&Config::default());
        assert_eq!(judge(&mut filter, 1.0, 0.0), Verdict::Good);
        for (rate, failure) in [
            (21.0, Failure::GyroJump { from: 1.0, to: 21.0 }),
            (-71.0, Failure::GyroRange { rate: -71.0, most: 70.0 }),
            (f64::INFINITY, Failure::GyroRange { rate: f64::INFINITY, most: 70.0 }),
        ] {
            assert_eq!(judge(&mut filter, rate, 0.0), Verdict::Refused(failure));
            assert_eq!(judge(&mut filter, 1.0, 0.0), Verdict::Good);
        }
        filter.elapse(MS);
        let off_axis = filter.judge([99.0, 0.0, 1.0], 1.0, 0.0);
        assert_eq!(off_axis, Verdict::Refused(Failure::GyroRange { rate: 99.0, most: 70.0 }));
    }

    #[test]
    fn a_rate_that_persists_is_believed_only_if_the_encoder_moves_as_fast() {
        for moves in [true, false] {
            let mut filter = GyroFilter::new(&Config::default());
            judge(&mut filter, 0.0, 0.0);
            let angle = |index: u32| if moves { f64::from(index) * 0.02 } else { 0.0 };
            for index in 0..5 {
                let verdict = judge(&mut filter, 20.0, angle(index));
                assert!(matches!(verdict, Verdict::Refused(_)), "{index}: {verdict:?}");
            }
            let expected = if moves {
                Verdict::Good
            } else {
                Verdict::Broken(Failure::GyroJump { from: 0.0, to: 20.0 })
            };
            assert_eq!(judge(&mut filter, 20.0, angle(5)), expected);
        }
    }

    #[test]
    fn a_load_that_is_turned_as_hard_as_it_can_be_is_believed() {
        let mut filter = GyroFilter::new(&Config::default());
        for index in 0..60 {
            // Up and down by 1.5 rad/s a millisecond.
            let rate = 1.5 * f64::from((index % 20 - 10_i32).abs());
            assert_eq!(judge(&mut filter, rate, 0.0), Verdict::Good, "{index}");
        }
    }
}
