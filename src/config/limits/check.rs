//! Checks of one joint's limits: against its kind, the device, the loop's rate and each other.

use sinew_firmware_interfaces::JointDescription;

use super::super::error::Problem;
use super::super::keys::with_unit;
use super::super::schema::JointLimitsConfig;
use super::super::tree::{child, number};
use super::super::{Loaded, Origin};
use super::{
    DEFAULT_JERK_FACTOR, Keys, display_unit, kind_word, needed, range_words, resolve, rounded_down,
};
use crate::limits::JointLimits;

/// Checks the limits of one joint.
pub(in crate::config) fn check_joint(
    loaded: &Loaded,
    joint: &JointDescription,
    said: &JointLimitsConfig,
    problems: &mut Vec<Problem>,
) {
    let table = child("limits", &joint.name);
    let Some(keys) = Keys::of(joint.kind) else {
        problems.push(loaded.problem(&table, needed(joint.kind)));
        return;
    };
    let check = Check { loaded, joint, said, keys, table };
    check.kind(problems);
    check.torque(problems);
    if let Some(limits) = resolve(said, joint, &loaded.config) {
        check.range(&limits, problems);
        check.device(&limits, problems);
        check.step(&limits, problems);
        check.stop(&limits, problems);
    }
}

/// A joint with what was said about it.
struct Check<'a> {
    loaded: &'a Loaded,
    joint: &'a JointDescription,
    said: &'a JointLimitsConfig,
    keys: &'static Keys,
    table: String,
}

impl Check<'_> {
    /// The whole path of one of the joint's keys.
    fn key(&self, name: &str) -> String {
        child(&self.table, name)
    }

    /// The unit of the joint's position, divided by `per`.
    fn unit(&self, per: &str) -> String {
        format!("{}{per}", display_unit(self.joint.kind))
    }

    /// The keys of this joint's kind are there and those of other kinds are not.
    fn kind(&self, problems: &mut Vec<Problem>) {
        let said = self.said;
        let present = [
            ("position_rad", said.position_rad.is_some()),
            ("max_velocity_rad_s", said.max_velocity_rad_s.is_some()),
            ("max_acceleration_rad_s2", said.max_acceleration_rad_s2.is_some()),
            ("max_jerk_rad_s3", said.max_jerk_rad_s3.is_some()),
            ("max_step_rad", said.max_step_rad.is_some()),
            ("margin_rad", said.margin_rad.is_some()),
            ("max_torque_nm", said.max_torque_nm.is_some()),
            ("max_torque_rate_nm_s", said.max_torque_rate_nm_s.is_some()),
            ("opening", said.opening.is_some()),
            ("max_slew_per_s", said.max_slew_per_s.is_some()),
            ("max_slew_change_per_s2", said.max_slew_change_per_s2.is_some()),
            ("max_slew_jerk_per_s3", said.max_slew_jerk_per_s3.is_some()),
            ("max_step", said.max_step.is_some()),
            ("margin", said.margin.is_some()),
        ];
        for (name, said) in present {
            let key = self.key(name);
            if said && !self.keys.all().any(|known| known == name) {
                let message = format!(
                    "{} is a {} joint, whose limits are {}. Use those keys",
                    self.joint.name,
                    kind_word(self.joint.kind),
                    self.keys.all().collect::<Vec<_>>().join(", ")
                );
                problems.push(self.loaded.problem(&key, message));
            }
            if !said && self.keys.required.contains(&name) {
                problems.push(Problem::Missing {
                    at: self.loaded.place(&key),
                    key,
                    meaning: "Nothing runs without limits.".to_owned(),
                    needed: format!(
                        "{} for a {} joint",
                        self.keys.required.join(", "),
                        kind_word(self.joint.kind)
                    ),
                });
            }
        }
    }

    /// Torque and its change come together, and inside what the device bears.
    fn torque(&self, problems: &mut Vec<Problem>) {
        let [torque, rate] = self.keys.torque else { return };
        let halves = match (self.said.max_torque_nm, self.said.max_torque_rate_nm_s) {
            (Some(_), None) => Some((torque, rate, "N·m/s")),
            (None, Some(_)) => Some((rate, torque, "N·m")),
            _ => None,
        };
        if let Some((said, absent, unit)) = halves {
            problems.push(Problem::Missing {
                at: self.loaded.place(&self.key(said)),
                key: self.key(absent),
                meaning: format!("{said} alone has no effect."),
                needed: format!("a number in {unit}, or neither of the two"),
            });
        }
        if let (Some(value), Some(most)) = (self.said.max_torque_nm, self.joint.limits.max_effort) {
            self.at_most(torque, value, most, "N·m", "", problems);
        }
    }

    /// The range is one that the joint has, and its margins leave some of it.
    fn range(&self, limits: &JointLimits, problems: &mut Vec<Problem>) {
        let Some([low, high]) = self.said.position_rad.or(self.said.opening) else { return };
        let unit = self.unit("");
        let device = &self.joint.limits.position;
        let key = self.key(self.keys.required[0]);
        if low < *device.start() || high > *device.end() {
            problems.push(Problem::OutOfRange {
                at: self.loaded.place(&key),
                key: key.clone(),
                value: with_unit(&format!("[{}, {}]", number(low), number(high)), &unit),
                allowed: range_words(*device.start(), *device.end(), &unit),
                remedy: format!("The {} cannot go further: narrow it", self.joint.name),
            });
        }
        if limits.position[0] >= limits.position[1] {
            let margin = self.said.margin_rad.or(self.said.margin).unwrap_or_default();
            let margin_key = self.key(self.keys.margin);
            problems.push(Problem::OutOfRange {
                at: self.loaded.place(&margin_key),
                key: margin_key,
                value: with_unit(&number(margin), &unit),
                allowed: with_unit(
                    &format!("0 to less than {}", number((high - low) / 2.0)),
                    &unit,
                ),
                remedy: format!(
                    "At both ends of {key} = [{}, {}] {unit} ({}) it leaves nothing: lower it",
                    number(low),
                    number(high),
                    self.loaded.place(&key)
                ),
            });
        }
    }

    /// Speed, acceleration and jerk are within what the device can do.
    fn device(&self, limits: &JointLimits, problems: &mut Vec<Problem>) {
        let device = &self.joint.limits;
        let [_, speed, acceleration] = self.keys.required;
        let mut at_most = |name, value, most: Option<f64>, per, whose: &str| {
            if let Some(most) = most {
                self.at_most(name, value, most, &self.unit(per), whose, problems);
            }
        };
        at_most(speed, limits.max_velocity, Some(device.max_velocity), "/s", "");
        at_most(acceleration, limits.max_acceleration, device.max_acceleration, "/s²", "");
        let whose = if self.loaded.origins.of(&self.key(self.keys.jerk)) == Origin::Default {
            format!(" (not said, so {DEFAULT_JERK_FACTOR} * {acceleration})")
        } else {
            String::new()
        };
        at_most(self.keys.jerk, limits.max_jerk, device.max_jerk, "/s³", &whose);
    }

    fn at_most(
        &self,
        name: &str,
        value: f64,
        most: f64,
        unit: &str,
        whose: &str,
        problems: &mut Vec<Problem>,
    ) {
        if value > most {
            let key = self.key(name);
            problems.push(Problem::OutOfRange {
                at: self.loaded.place(&key),
                key,
                value: with_unit(&number(value), unit) + whose,
                allowed: with_unit(&format!("above 0, up to {}", number(rounded_down(most))), unit),
                remedy: "The device cannot do more: lower it".to_owned(),
            });
        }
    }

    /// The step lets the joint reach its speed.
    fn step(&self, limits: &JointLimits, problems: &mut Vec<Problem>) {
        let rate = self.loaded.config.run.rate_hz;
        let least = limits.max_velocity / rate;
        // The product of a rounded decimal and a rate may fall short by its last digit.
        if limits.max_step < least * (1.0 - 1e-9) {
            let unit = self.unit("");
            let [_, speed, _] = self.keys.required;
            let speed_key = self.key(speed);
            problems.push(self.loaded.problem(
                &self.key(self.keys.step),
                format!(
                    "{} per cycle at run.rate_hz = {} ({}) stops the joint short of {speed_key} = \
                     {} ({}). Raise {} to {} or more, or lower {speed}",
                    with_unit(&number(limits.max_step), &unit),
                    number(rate),
                    self.loaded.place("run.rate_hz"),
                    with_unit(&number(limits.max_velocity), &self.unit("/s")),
                    self.loaded.place(&speed_key),
                    self.keys.step,
                    with_unit(&number(least), &unit),
                ),
            ));
        }
    }

    /// The jerk lets the joint stop in the time that a stop has. Where even without a limit of jerk
    /// there is too little of it, the way to rest says so.
    fn stop(&self, limits: &JointLimits, problems: &mut Vec<Problem>) {
        let given = self.loaded.config.supervision.ramp_timeout_s;
        let needed = stopping_time(limits);
        let without = limits.max_velocity / limits.max_acceleration;
        if needed <= given || without >= given {
            return;
        }
        let least = least_jerk(limits, given);
        let [_, speed, acceleration] = self.keys.required;
        let unit = self.unit("/s³");
        problems.push(self.loaded.problem(
            &self.key(self.keys.jerk),
            format!(
                "with {} the joint needs {needed:.1} s to stop from {speed} = {} ({}) with \
                 {acceleration} = {} ({}), and a stop has supervision.ramp_timeout_s = {} s ({}). \
                 Allowed: {} or more. Raise it, or lower the speed",
                with_unit(&number(limits.max_jerk), &unit),
                with_unit(&number(limits.max_velocity), &self.unit("/s")),
                self.loaded.place(&self.key(speed)),
                with_unit(&number(limits.max_acceleration), &self.unit("/s²")),
                self.loaded.place(&self.key(acceleration)),
                number(given),
                self.loaded.place("supervision.ramp_timeout_s"),
                with_unit(&number(rounded_up(least)), &unit),
            ),
        ));
    }
}

/// How long a joint takes from full speed to a stand, in s, beginning without acceleration: with
/// full acceleration in the middle, or without where the jerk does not let it come so far.
pub(in crate::config) fn stopping_time(limits: &JointLimits) -> f64 {
    let JointLimits { max_velocity, max_acceleration, max_jerk, .. } = *limits;
    let reached_after = max_acceleration / max_jerk;
    if max_velocity >= max_acceleration * reached_after {
        max_velocity / max_acceleration + reached_after
    } else {
        2.0 * (max_velocity / max_jerk).sqrt()
    }
}

/// The jerk with which stopping takes `given` seconds, which must be more than without any limit.
fn least_jerk(limits: &JointLimits, given: f64) -> f64 {
    let JointLimits { max_velocity, max_acceleration, .. } = *limits;
    let with_full_acceleration = max_acceleration / (given - max_velocity / max_acceleration);
    // Full acceleration comes within the stop only if half of its time is enough for it.
    if max_acceleration / with_full_acceleration <= given / 2.0 {
        with_full_acceleration
    } else {
        4.0 * max_velocity / (given * given)
    }
}

/// Three significant digits, not below `value`.
fn rounded_up(value: f64) -> f64 {
    let digit = 10f64.powf(value.log10().floor() - 2.0);
    // A digit below 1 has a reciprocal that is exact or nearly: no tail of nines is shown.
    if digit >= 1.0 {
        (value / digit).ceil() * digit
    } else {
        (value * (1.0 / digit)).ceil() / (1.0 / digit)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn limits(max_velocity: f64, max_acceleration: f64, max_jerk: f64) -> JointLimits {
        JointLimits {
            position: [-1.0, 1.0],
            max_velocity,
            max_acceleration,
            max_jerk,
            max_step: 1.0,
            barrier: None,
            effort: None,
        }
    }

    #[test]
    fn a_stop_is_a_trapezoid_or_a_triangle_of_deceleration() {
        // 0.1 s up to full deceleration, 0.4 s of it, 0.1 s down again: 5 rad/s² * 0.5 s.
        assert!((stopping_time(&limits(2.5, 5.0, 50.0)) - 0.6).abs() < 1e-12);
        // Half a second up, half a second down: 1 rad/s³ * 0.25 s².
        assert!((stopping_time(&limits(0.25, 5.0, 1.0)) - 1.0).abs() < 1e-12);
    }

    proptest! {
        #[test]
        fn the_least_jerk_stops_just_in_time(
            speed in 0.01..10.0f64, acceleration in 0.01..100.0f64, more in 1.001..50.0f64,
        ) {
            let given = speed / acceleration * more;
            let jerk = least_jerk(&limits(speed, acceleration, 1.0), given);
            let time = stopping_time(&limits(speed, acceleration, jerk));
            prop_assert!((time - given).abs() < 1e-9 * given, "{time} {given}");
            prop_assert!(stopping_time(&limits(speed, acceleration, rounded_up(jerk))) <= time * (1.0 + 1e-12));
            prop_assert!(rounded_up(jerk) <= jerk * 1.011);
        }
    }
}
