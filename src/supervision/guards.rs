//! Bounds of measured values: a temperature, a torque.

use std::time::Duration;

use sinew_firmware_interfaces::{
    JointKind, MAX_JOINTS, MAX_SENSORS, RobotDescription, State, Timestamp,
};

/// What a guard watches.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Watched {
    /// A sensor beside the joints, by index.
    Sensor(u8),
    /// A joint's measured velocity, by index.
    Velocity(u8),
    /// A joint's measured effort, by index.
    Effort(u8),
}

impl Watched {
    /// What `robot` measures under `name`.
    pub fn find(name: &str, robot: &RobotDescription) -> Option<Self> {
        all(robot).find(|(known, _)| known == name).map(|(_, watched)| watched)
    }

    /// Names of all that `robot` measures beside positions.
    pub fn names(robot: &RobotDescription) -> impl Iterator<Item = String> + '_ {
        all(robot).map(|(name, _)| name)
    }

    /// Its unit; that of an effort is the joint's.
    pub fn unit(self, robot: &RobotDescription) -> &'static str {
        let kind = |joint: u8| robot.joints.get(usize::from(joint)).map(|joint| joint.kind);
        match self {
            Self::Sensor(index) => {
                robot.sensors.get(usize::from(index)).map_or("", |sensor| sensor.unit)
            }
            Self::Velocity(joint) => match kind(joint) {
                Some(JointKind::Revolute) => "rad/s",
                Some(JointKind::Prismatic) => "m/s",
                _ => "1/s",
            },
            Self::Effort(joint) => match kind(joint) {
                Some(JointKind::Revolute) => "N·m",
                _ => "N",
            },
        }
    }

    /// What it is in `state`.
    pub fn of(self, state: &State) -> f64 {
        let (values, index) = match self {
            Self::Sensor(index) => (&state.sensors[..], index),
            Self::Velocity(index) => (&state.velocity[..], index),
            Self::Effort(index) => (&state.effort[..], index),
        };
        values.get(usize::from(index)).copied().unwrap_or_default()
    }
}

fn all(robot: &RobotDescription) -> impl Iterator<Item = (String, Watched)> + '_ {
    let sensors = robot.sensors.iter().take(MAX_SENSORS).enumerate();
    let sensors =
        sensors.map(|(index, sensor)| (sensor.name.clone(), Watched::Sensor(index as u8)));
    let joints = robot.joints.iter().take(MAX_JOINTS).enumerate();
    let joints = joints.flat_map(|(index, joint)| {
        let velocity =
            robot.measures_velocity.then_some(("velocity", Watched::Velocity(index as u8)));
        let effort = robot.measures_effort.then_some(("effort", Watched::Effort(index as u8)));
        let named = move |(what, watched)| (format!("{}.{what}", joint.name), watched);
        velocity.into_iter().chain(effort).map(named)
    });
    sensors.chain(joints)
}

/// A guard: bounds that a value may leave only for a while.
#[derive(Clone, Debug, PartialEq)]
pub struct Guard {
    /// Name of what it watches.
    pub name: String,
    /// Its unit.
    pub unit: &'static str,
    /// What it watches.
    pub watched: Watched,
    /// Smallest value.
    pub min: f64,
    /// Largest value.
    pub max: f64,
    /// How long it may be outside.
    pub patience: Duration,
}

impl Guard {
    /// True where the value is inside its bounds. One that is not a number is not.
    pub fn allows(&self, state: &State) -> bool {
        (self.min..=self.max).contains(&self.watched.of(state))
    }

    /// What it sees, and what it allows.
    pub fn message(&self, state: &State) -> String {
        let Self { name, unit, min, max, patience, .. } = self;
        let allowed = match (min.is_finite(), max.is_finite()) {
            (true, true) => format!("{min} to {max} {unit}"),
            (true, false) => format!("{min} {unit} or more"),
            _ => format!("{max} {unit} or less"),
        };
        let patience = match patience.as_secs_f64() * 1e3 {
            0.0 => String::new(),
            millis => format!(", outside for {millis} ms at most"),
        };
        let measured = self.watched.of(state);
        format!(
            "{name}: measured {measured:.4} {unit}, supervision.guards allow {allowed}{patience}"
        )
    }
}

/// Guards, and since when their values are outside.
#[derive(Clone, Debug, Default)]
pub struct Guards {
    guards: Vec<Guard>,
    since: Vec<Option<Timestamp>>,
}

impl Guards {
    /// Guards before the first cycle.
    pub fn new(guards: Vec<Guard>) -> Self {
        let since = vec![None; guards.len()];
        Self { guards, since }
    }

    /// Index of the first guard whose value has been outside for too long at `now`.
    pub fn judge(&mut self, state: &State, now: Timestamp) -> Option<usize> {
        let mut first = None;
        for (index, (guard, since)) in self.guards.iter().zip(&mut self.since).enumerate() {
            if guard.allows(state) {
                *since = None;
            } else if now.since(*since.get_or_insert(now)) >= guard.patience && first.is_none() {
                first = Some(index);
            }
        }
        first
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn guard(watched: Watched, patience_ms: u64) -> Guard {
        let patience = Duration::from_millis(patience_ms);
        let (name, unit) = ("temperature".to_owned(), "°C");
        Guard { name, unit, watched, min: f64::NEG_INFINITY, max: 70.0, patience }
    }

    fn at(millis: u64) -> Timestamp {
        Timestamp::from_nanos(millis * 1_000_000)
    }

    #[test]
    fn a_value_may_be_outside_for_as_long_as_its_guard_says_and_not_longer() {
        let mut guards = Guards::new(vec![guard(Watched::Sensor(1), 20)]);
        let mut state = State::default();
        let mut judge = |value: f64, millis| {
            state.sensors[1] = value;
            guards.judge(&state, at(millis))
        };
        assert_eq!(judge(70.0, 0), None);
        assert_eq!(judge(70.1, 10), None);
        assert_eq!(judge(70.1, 29), None);
        assert_eq!(judge(69.0, 30), None, "inside again: the time begins anew");
        assert_eq!(judge(80.0, 31), None);
        assert_eq!(judge(80.0, 51), Some(0));
        let message = guard(Watched::Sensor(1), 20).message(&state);
        assert_eq!(
            message,
            "temperature: measured 80.0000 °C, supervision.guards allow 70 °C or less, outside for \
             20 ms at most"
        );
    }

    #[test]
    fn no_number_is_outside_and_the_first_guard_speaks() {
        let guards = vec![guard(Watched::Sensor(0), 0), guard(Watched::Effort(0), 0)];
        let mut guards = Guards::new(guards);
        let mut state = State::default();
        state.effort[0] = 71.0;
        assert_eq!(guards.judge(&state, at(0)), Some(1));
        state.sensors[0] = f64::NAN;
        assert_eq!(guards.judge(&state, at(1)), Some(0));
    }
}
