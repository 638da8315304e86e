//! What a user sets about the actuators of a bus, and the description that follows from it.

use std::time::Duration;

use super::models::{Model, Protocol};
use crate::can::{Bitrate, Frame};
use crate::robot::{
    ControlMode, JointDescription, JointKind, JointLimits, MAX_JOINTS, MAX_SENSORS, OnSilence,
    RobotDescription, SensorDescription,
};

/// One actuator: a joint.
#[derive(Clone, Debug, PartialEq)]
pub struct JointConfig {
    /// Name of the joint.
    pub name: String,
    /// What it is.
    pub model: &'static Model,
    /// Identifier that it listens to.
    pub id: u16,
    /// Identifier on which it answers: of the MIT family the host's, of Damiao's the master identifier.
    /// Others have none.
    pub feedback_id: u16,
    /// True where the joint turns against the actuator.
    pub reversed: bool,
    /// The joint's position where the actuator says 0, in rad.
    pub offset: f64,
    /// Turns of the actuator in a turn of the joint.
    pub gear_ratio: f64,
    /// Stiffness of the actuator's own PD law, at the joint, in N·m/rad.
    pub stiffness: f64,
    /// Damping of that law, at the joint, in N·m·s/rad.
    pub damping: f64,
}

impl JointConfig {
    /// The joint's position of an actuator's position, in rad.
    pub fn to_joint(&self, position: f64) -> f64 {
        self.sign() * position / self.gear_ratio + self.offset
    }

    /// The actuator's position of a joint's position, in rad.
    pub fn to_actuator(&self, position: f64) -> f64 {
        self.sign() * (position - self.offset) * self.gear_ratio
    }

    /// 1, or -1 where the joint is reversed.
    pub(super) const fn sign(&self) -> f64 {
        if self.reversed { -1.0 } else { 1.0 }
    }

    /// Stiffness and damping at the actuator.
    pub(super) fn gains(&self) -> [f64; 2] {
        let square = self.gear_ratio * self.gear_ratio;
        [self.stiffness / square, self.damping / square]
    }
}

/// Settings of the driver.
#[derive(Clone, Debug, PartialEq)]
pub struct Config {
    /// The bus, as [`Port`](crate::can::Port) understands it.
    pub port: String,
    /// Bit rate that an SLCAN adapter is set to.
    pub bitrate: Bitrate,
    /// The actuators, at least one.
    pub joints: Vec<JointConfig>,
    /// How long an answer may take before it counts as lost.
    pub reply_timeout: Duration,
    /// Answers of one actuator that may be lost in a row before the link counts as down.
    pub retries: u32,
    /// How long to try to reconnect before the link counts as lost.
    pub reconnect_window: Duration,
    /// After how much silence actuators stop that have such a watchdog. It is set when arming.
    pub watchdog: Duration,
    /// Identifier by which we address CyberGear and RobStride.
    pub host_id: u8,
    /// How far a reading may be from the one before, in rad of the joint, beyond what it could have
    /// moved.
    pub jump_margin: f64,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            port: String::new(),
            bitrate: Bitrate::M1,
            joints: Vec::new(),
            reply_timeout: Duration::from_millis(10),
            retries: 20,
            reconnect_window: Duration::from_secs(5),
            watchdog: Duration::from_millis(200),
            host_id: 0xFD,
            jump_margin: 0.1,
        }
    }
}

/// What is wrong with the actuators of a configuration.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
pub enum ConfigError {
    /// None, or too many.
    #[error("{count} actuators; allowed: 1 to {MAX_JOINTS}")]
    Count {
        /// How many.
        count: usize,
    },
    /// Two actuators cannot be told apart.
    #[error("actuators {first} and {second} have the same {what}. Give each its own")]
    Twice {
        /// Name or place of the first.
        first: String,
        /// Name or place of the second.
        second: String,
        /// What they share.
        what: &'static str,
    },
    /// A value outside its range.
    #[error("actuator {joint}: {name} is {value}; allowed: {allowed}")]
    Value {
        /// The joint.
        joint: String,
        /// The setting.
        name: &'static str,
        /// Its value.
        value: String,
        /// What is allowed.
        allowed: String,
    },
}

impl Config {
    /// Checks every setting.
    ///
    /// # Errors
    /// [`ConfigError`] for the first that is wrong.
    pub fn validate(&self) -> Result<(), ConfigError> {
        let count = self.joints.len();
        if count == 0 || count > MAX_JOINTS {
            return Err(ConfigError::Count { count });
        }
        for (index, joint) in self.joints.iter().enumerate() {
            validate(joint)?;
            for other in self.joints.iter().take(index) {
                let what = if other.name == joint.name {
                    "name"
                } else if (other.model.protocol, other.id) == (joint.model.protocol, joint.id) {
                    "protocol and id"
                } else if clash(other, joint) {
                    "identifier on the bus"
                } else {
                    continue;
                };
                let (first, second) = (other.name.clone(), joint.name.clone());
                return Err(ConfigError::Twice { first, second, what });
            }
        }
        Ok(())
    }

    /// How often every actuator can be commanded and read: what the bus has time for, with a quarter
    /// left free, and at most 1 kHz.
    pub fn command_rate_hz(&self) -> f64 {
        let standard = Frame::standard(0, [0; 8]).bus_time_ns(self.bitrate.bits_per_second());
        let extended = Frame::extended(0, [0; 8]).bus_time_ns(self.bitrate.bits_per_second());
        let busy: u64 = self
            .joints
            .iter()
            .map(|joint| match joint.model.protocol {
                Protocol::Mit | Protocol::Damiao => 2 * standard,
                Protocol::Robstride => 2 * extended,
                // Setpoint, question, answer, and the same for the current.
                Protocol::Odrive => 4 * standard,
            })
            .sum();
        (0.75e9 / busy.max(1) as f64).min(1000.0)
    }

    /// Where each joint's temperature, rotor temperature and supply go among the sensors: first all
    /// temperatures, then all rotor temperatures, then all supplies. What has no place is not shown.
    pub(super) fn sensor_places(&self) -> Vec<[Option<usize>; 3]> {
        let mut places = vec![[None; 3]; self.joints.len()];
        let mut next = 0;
        for kind in 0..3 {
            for (joint, places) in self.joints.iter().zip(&mut places) {
                if joint.model.protocol.sensors()[kind] && next < MAX_SENSORS {
                    places[kind] = Some(next);
                    next += 1;
                }
            }
        }
        places
    }

    fn sensors(&self) -> Vec<SensorDescription> {
        const KINDS: [(&str, &str); 3] =
            [("temperature", "°C"), ("rotor_temperature", "°C"), ("supply", "V")];
        let places = self.sensor_places();
        let mut found: Vec<_> = places
            .iter()
            .zip(&self.joints)
            .flat_map(|(places, joint)| {
                places.iter().zip(KINDS).filter_map(|(place, (kind, unit))| {
                    let name = format!("{}.{kind}", joint.name);
                    Some(((*place)?, SensorDescription { name, unit }))
                })
            })
            .collect();
        found.sort_by_key(|(place, _)| *place);
        found.into_iter().map(|(_, sensor)| sensor).collect()
    }

    /// The robot as it will be declared; no connection is needed.
    pub fn description(&self) -> RobotDescription {
        let joint = |joint: &JointConfig| {
            let ranges = &joint.model.ranges;
            let ends = [ranges.position.low, ranges.position.high]
                .map(|position| joint.to_joint(position));
            JointDescription {
                name: joint.name.clone(),
                kind: JointKind::Revolute,
                limits: JointLimits {
                    position: ends[0].min(ends[1])..=ends[0].max(ends[1]),
                    max_velocity: ranges.velocity.high / joint.gear_ratio,
                    max_acceleration: None,
                    max_jerk: None,
                    max_effort: Some(ranges.torque.high * joint.gear_ratio),
                    velocity_barrier: None,
                },
            }
        };
        // Damiao's TIMEOUT is written and read back. The others have nothing that can be set and read
        // through these protocols.
        let watched = |joint: &JointConfig| joint.model.protocol == Protocol::Damiao;
        let stops =
            !self.watchdog.is_zero() && !self.joints.is_empty() && self.joints.iter().all(watched);
        RobotDescription {
            model: "can".to_owned(),
            joints: self.joints.iter().map(joint).collect(),
            sensors: self.sensors(),
            max_command_rate_hz: self.command_rate_hz(),
            modes: vec![ControlMode::Position, ControlMode::Effort],
            measures_velocity: true,
            measures_effort: true,
            compensates_gravity: false,
            lockstep: false,
            device_rate_hz: None,
            on_silence: if stops { OnSilence::Stops } else { OnSilence::Unknown },
        }
    }
}

/// True where an answer of one would be taken for something of the other.
fn clash(one: &JointConfig, other: &JointConfig) -> bool {
    let standard = |joint: &JointConfig| match joint.model.protocol {
        Protocol::Robstride => None,
        // A node of ODrive's has 32 identifiers.
        Protocol::Odrive => Some((joint.id << 5, joint.id << 5 | 0x1F)),
        Protocol::Mit | Protocol::Damiao => Some((joint.id, joint.id)),
    };
    let answers = |joint: &JointConfig| match joint.model.protocol {
        Protocol::Mit | Protocol::Damiao => Some(joint.feedback_id),
        _ => None,
    };
    let within = |id: Option<u16>, range: Option<(u16, u16)>| {
        id.zip(range).is_some_and(|(id, (low, high))| (low..=high).contains(&id))
    };
    let overlap =
        standard(one).zip(standard(other)).is_some_and(|((a, b), (c, d))| a <= d && c <= b);
    overlap || within(answers(one), standard(other)) || within(answers(other), standard(one))
}

fn validate(joint: &JointConfig) -> Result<(), ConfigError> {
    let check = |good: bool, name, value: String, allowed: String| {
        let joint = joint.name.clone();
        if good { Ok(()) } else { Err(ConfigError::Value { joint, name, value, allowed }) }
    };
    let ids = joint.model.protocol.ids();
    let allowed = format!("{} to {}", ids.start(), ids.end());
    check(ids.contains(&joint.id), "id", joint.id.to_string(), allowed)?;
    let feedback = joint.feedback_id;
    let own = matches!(joint.model.protocol, Protocol::Mit | Protocol::Damiao);
    let good = !own || (feedback <= 0x7FE && feedback != joint.id);
    let allowed = "0 to 2046, and not the id itself".to_owned();
    check(good, "feedback_id", feedback.to_string(), allowed)?;
    let ratio = joint.gear_ratio;
    check(
        (0.001..=1000.0).contains(&ratio),
        "gear_ratio",
        ratio.to_string(),
        "0.001 to 1000".into(),
    )?;
    let offset = joint.offset;
    check(offset.abs() <= 100.0, "offset_rad", offset.to_string(), "-100 to 100 rad".into())?;
    let square = ratio * ratio;
    let ranges = &joint.model.ranges;
    for (name, value, span) in [
        ("stiffness_nm_rad", joint.stiffness, ranges.stiffness),
        ("damping_nm_s_rad", joint.damping, ranges.damping),
    ] {
        let most = span.high * square;
        let good = value > 0.0 && value <= most;
        check(
            good,
            name,
            value.to_string(),
            format!("above 0, up to {most} with this model and gear"),
        )?;
    }
    Ok(())
}
