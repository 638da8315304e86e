//! What a user sets about the driver, and the description that follows from it.

use std::time::Duration;

use crate::robot::{
    ControlMode, JointDescription, JointKind, JointLimits, OnSilence, RobotDescription,
    SensorDescription,
};

/// How the device speaks.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Protocol {
    /// Whatever arrives first decides.
    Auto,
    /// Frames with a check.
    #[default]
    Binary,
    /// Lines of text.
    Text,
}

/// An axis of the inertial unit, with the sign that makes it positive where the joint's angle grows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Axis {
    index: usize,
    negative: bool,
}

impl Axis {
    /// x.
    pub const X: Self = Self { index: 0, negative: false };
    /// y: along the motion where nothing else is said.
    pub const Y: Self = Self { index: 1, negative: false };
    /// z: the axis of rotation where nothing else is said.
    pub const Z: Self = Self { index: 2, negative: false };

    /// The same axis, pointing the other way.
    #[must_use]
    pub const fn reversed(self) -> Self {
        Self { negative: !self.negative, ..self }
    }

    /// Its share of a vector.
    pub fn of(self, vector: [f64; 3]) -> f64 {
        let [x, y, z] = vector;
        let value = match self.index {
            0 => x,
            1 => y,
            _ => z,
        };
        if self.negative { -value } else { value }
    }
}

/// Settings of the driver. The defaults suit the emulated rig.
#[derive(Clone, Debug, PartialEq)]
pub struct Config {
    /// Serial port, such as `/dev/ttyACM0`, or `tcp://ADDRESS:PORT`.
    pub port: String,
    /// How the device speaks.
    pub protocol: Protocol,
    /// Bits per second of a serial port.
    pub baud_rate: u32,
    /// States a second that the device is asked for.
    pub rate_hz: u16,
    /// Total inertia that turns with the load, in kg·m²; with `radius` it gives the effort.
    pub inertia: Option<f64>,
    /// Distance of the accelerometer from the axis, in m.
    pub radius: Option<f64>,
    /// The accelerometer's axis along the motion.
    pub accel_axis: Axis,
    /// The gyroscope's axis of rotation.
    pub gyro_axis: Axis,
    /// Whether the device measures the motor's temperature; `None`: frames do, lines do not.
    pub temperature: Option<bool>,
    /// Whether the device measures its supply; likewise.
    pub supply: Option<bool>,
    /// The joint goes from minus this to this, in rad.
    pub travel: f64,
    /// The actuator's speed without load, in rad/s.
    pub max_velocity: f64,
    /// The actuator's torque at standstill, in N·m.
    pub max_effort: f64,
    /// Silence after which the device holds by itself; at least four periods.
    pub watchdog: Duration,
    /// Silence of the device after which the port is opened again.
    pub silence: Duration,
    /// How long to try to reconnect before the link counts as lost.
    pub reconnect_window: Duration,
    /// Largest rate that the gyroscope may read about any axis, in rad/s. More is refused.
    pub gyro_range: f64,
    /// How far past its travel a reading may lie, in rad. More is refused.
    pub range_margin: f64,
    /// How far a reading may be from the one before, in rad, beyond what the joint could have moved.
    /// More is refused, unless it persists.
    pub jump_margin: f64,
    /// After how many consistent readings a jump is believed.
    pub jump_persistence: u32,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            port: String::new(),
            protocol: Protocol::default(),
            baud_rate: 921_600,
            rate_hz: 1000,
            inertia: None,
            radius: None,
            accel_axis: Axis::Y,
            gyro_axis: Axis::Z,
            temperature: None,
            supply: None,
            travel: 3.0,
            max_velocity: 36.0,
            max_effort: 1.82,
            watchdog: Duration::from_millis(100),
            silence: Duration::from_millis(100),
            reconnect_window: Duration::from_secs(5),
            gyro_range: 70.0,
            range_margin: 0.2,
            jump_margin: 0.1,
            jump_persistence: 5,
        }
    }
}

/// A setting outside its range.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
#[error("rig: {name} is {value}; allowed: {allowed}")]
pub struct ConfigError {
    /// The setting.
    pub name: &'static str,
    /// Its value.
    pub value: String,
    /// What is allowed.
    pub allowed: &'static str,
}

impl Config {
    /// The default settings for a port.
    pub fn new(port: impl Into<String>) -> Self {
        Self { port: port.into(), ..Self::default() }
    }

    /// Checks every setting.
    ///
    /// # Errors
    /// [`ConfigError`] for the first one outside its range.
    pub fn validate(&self) -> Result<(), ConfigError> {
        let check = |good: bool, name, value: String, allowed| {
            if good { Ok(()) } else { Err(ConfigError { name, value, allowed }) }
        };
        let rate = self.rate_hz;
        check((1..=10_000).contains(&rate), "rate_hz", rate.to_string(), "1 to 10000")?;
        let baud = self.baud_rate;
        let good = (9600..=12_000_000).contains(&baud);
        check(good, "baud_rate", baud.to_string(), "9600 to 12000000")?;
        for (name, value) in [
            ("travel", Some(self.travel)),
            ("max_velocity", Some(self.max_velocity)),
            ("max_effort", Some(self.max_effort)),
            ("gyro_range", Some(self.gyro_range)),
            ("inertia", self.inertia),
            ("radius", self.radius),
        ] {
            let value = value.unwrap_or(1.0);
            let good = value.is_finite() && value > 0.0;
            check(good, name, value.to_string(), "a finite number above 0")?;
        }
        for (name, margin) in
            [("range_margin", self.range_margin), ("jump_margin", self.jump_margin)]
        {
            let good = margin.is_finite() && margin >= 0.0;
            check(good, name, margin.to_string(), "0 rad or more")?;
        }
        let persistence = self.jump_persistence;
        check(persistence >= 1, "jump_persistence", persistence.to_string(), "1 or more")?;
        let span = self.watchdog;
        let good = span >= 4 * self.period() && span <= Duration::from_secs(60);
        check(good, "watchdog", format!("{span:?}"), "four periods to 60 s")?;
        let span = self.silence;
        let good = span >= 4 * self.period() && span <= Duration::from_secs(60);
        check(good, "silence", format!("{span:?}"), "four periods to 60 s")
    }

    /// Time from one state to the next.
    pub(super) fn period(&self) -> Duration {
        Duration::from_secs(1) / u32::from(self.rate_hz.max(1))
    }

    /// What the accelerometer's reading, in m/s², is as a torque on the load, in N·m.
    pub(super) fn effort_per_acceleration(&self) -> Option<f64> {
        Some(self.inertia? / self.radius?)
    }

    /// True where the device measures the motor's temperature.
    pub(super) fn has_temperature(&self) -> bool {
        self.temperature.unwrap_or(self.protocol == Protocol::Binary)
    }

    /// True where the device measures its supply.
    pub(super) fn has_supply(&self) -> bool {
        self.supply.unwrap_or(self.protocol == Protocol::Binary)
    }

    /// The robot as it will be declared; no connection is needed.
    pub fn description(&self) -> RobotDescription {
        let sensor =
            |(name, unit): (&str, &'static str)| SensorDescription { name: name.to_owned(), unit };
        let temperature = self.has_temperature().then_some(("temperature", "°C"));
        let supply = self.has_supply().then_some(("supply", "V"));
        let sensors = [
            ("device_time_s", "s"),
            ("command_position", "rad"),
            ("acc_x", "m/s²"),
            ("acc_y", "m/s²"),
            ("acc_z", "m/s²"),
            ("gyro_x", "rad/s"),
            ("gyro_y", "rad/s"),
            ("gyro_z", "rad/s"),
        ];
        let rate = f64::from(self.rate_hz);
        RobotDescription {
            model: "rig".to_owned(),
            joints: vec![JointDescription {
                name: "joint1".to_owned(),
                kind: JointKind::Revolute,
                limits: JointLimits {
                    position: -self.travel..=self.travel,
                    max_velocity: self.max_velocity,
                    max_acceleration: None,
                    max_jerk: None,
                    max_effort: Some(self.max_effort),
                    velocity_barrier: None,
                },
            }],
            max_command_rate_hz: rate,
            modes: vec![ControlMode::Position, ControlMode::Effort],
            measures_velocity: true,
            measures_effort: self.effort_per_acceleration().is_some(),
            compensates_gravity: false,
            lockstep: false,
            device_rate_hz: Some(rate),
            // The binary protocol has a watchdog; what a sketch does is up to its author.
            on_silence: match self.protocol {
                Protocol::Binary => OnSilence::Stops,
                Protocol::Auto | Protocol::Text => OnSilence::Unknown,
            },
            sensors: sensors.into_iter().chain(temperature).chain(supply).map(sensor).collect(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_description_says_what_the_settings_allow() {
        let description = Config::default().description();
        assert!(!description.measures_effort && description.measures_velocity);
        assert_eq!(description.device_rate_hz, Some(1000.0));
        let names: Vec<_> = description.sensors.iter().map(|it| it.name.as_str()).collect();
        assert_eq!(names[..2], ["device_time_s", "command_position"]);
        assert_eq!(names[8..], ["temperature", "supply"]);
        assert_eq!(description.on_silence, OnSilence::Stops);
        let text = Config {
            protocol: Protocol::Text,
            inertia: Some(0.01),
            radius: Some(0.1),
            ..Config::default()
        };
        let description = text.description();
        assert!(description.measures_effort);
        assert_eq!(description.sensors.len(), 8, "what nobody says that it prints is not there");
        assert_eq!(description.on_silence, OnSilence::Unknown);
        let hot = Config { temperature: Some(true), ..text };
        assert_eq!(hot.description().sensors[8].name, "temperature");
    }

    #[test]
    fn axes_have_a_sign() {
        assert_eq!(Axis::Y.of([1.0, 2.0, 3.0]), 2.0);
        assert_eq!(Axis::Z.reversed().of([1.0, 2.0, 3.0]), -3.0);
        assert_eq!(Axis::X.reversed().reversed(), Axis::X);
    }

    #[test]
    fn settings_outside_their_range_are_named() {
        let name = |config: Config| config.validate().unwrap_err().name;
        assert_eq!(Config::default().validate(), Ok(()));
        assert_eq!(name(Config { rate_hz: 0, ..Config::default() }), "rate_hz");
        assert_eq!(name(Config { baud_rate: 300, ..Config::default() }), "baud_rate");
        assert_eq!(name(Config { radius: Some(0.0), ..Config::default() }), "radius");
        assert_eq!(name(Config { travel: f64::NAN, ..Config::default() }), "travel");
        let short = Config { rate_hz: 10, ..Config::default() };
        assert_eq!(name(short), "watchdog");
    }
}
