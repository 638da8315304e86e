//! Models of actuators, as data: what the codes in their frames stand for.
//!
//! Ranges of position, velocity, torque, and gains. They are the makers' defaults; Damiao's motors
//! keep theirs in registers, which the driver compares with this table when it arms.

use super::wire::mit::Ranges;

/// How an actuator is spoken to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Protocol {
    /// MIT mini cheetah, T-Motor (CubeMars) AK in MIT mode.
    Mit,
    /// Damiao DM.
    Damiao,
    /// Xiaomi CyberGear, RobStride.
    Robstride,
    /// ODrive CANSimple.
    Odrive,
}

impl Protocol {
    /// All of them.
    pub const ALL: [Self; 4] = [Self::Mit, Self::Damiao, Self::Robstride, Self::Odrive];

    /// Name in configuration and on the command line.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Mit => "mit",
            Self::Damiao => "damiao",
            Self::Robstride => "robstride",
            Self::Odrive => "odrive",
        }
    }

    /// By its name.
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|protocol| protocol.name() == name)
    }

    /// Its models.
    pub fn models(self) -> impl Iterator<Item = &'static Model> {
        MODELS.iter().filter(move |model| model.protocol == self)
    }

    /// The model that is meant where only the protocol is said.
    pub const fn usual_model(self) -> &'static str {
        match self {
            Self::Mit => "ak80-9",
            Self::Damiao => "4310",
            Self::Robstride => "cybergear",
            Self::Odrive => "d6374",
        }
    }

    /// Whether it tells its temperature, its rotor's, and its supply.
    pub const fn sensors(self) -> [bool; 3] {
        match self {
            Self::Mit => [true, false, false],
            Self::Damiao => [true, true, false],
            Self::Robstride => [true, false, true],
            Self::Odrive => [true, true, true],
        }
    }

    /// Identifiers that a motor may have.
    pub const fn ids(self) -> std::ops::RangeInclusive<u16> {
        match self {
            // Answers of the MIT family carry the number in a byte, Damiao's in four bits.
            Self::Mit => 1..=0xFF,
            Self::Damiao => 1..=0x0F,
            Self::Robstride => 1..=0x7F,
            Self::Odrive => 0..=super::wire::odrive::MAX_NODE as u16,
        }
    }
}

/// One model.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Model {
    /// How it is spoken to.
    pub protocol: Protocol,
    /// Name in configuration and on the command line.
    pub name: &'static str,
    /// Ranges of the frames at the output shaft; for ODrive, what the motor can do.
    pub ranges: Ranges,
    /// N·m/A of an ODrive motor; 0 for others.
    pub torque_constant: f64,
}

impl Model {
    /// By protocol and name.
    pub fn find(protocol: Protocol, name: &str) -> Option<&'static Self> {
        protocol.models().find(|model| model.name == name)
    }
}

/// ±12.5 rad, gains to 500 and 5, in 12 bits.
const fn mit(name: &'static str, velocity: f64, torque: f64) -> Model {
    let ranges = Ranges::new(12, [12.5, velocity, torque], [500.0, 5.0]);
    Model { protocol: Protocol::Mit, name, ranges, torque_constant: 0.0 }
}

const fn damiao(name: &'static str, [position, velocity, torque]: [f64; 3]) -> Model {
    let ranges = Ranges::new(12, [position, velocity, torque], [500.0, 5.0]);
    Model { protocol: Protocol::Damiao, name, ranges, torque_constant: 0.0 }
}

/// ±4π rad, in 16 bits.
const fn robstride(name: &'static str, velocity: f64, torque: f64, gains: [f64; 2]) -> Model {
    let ranges = Ranges::new(16, [4.0 * std::f64::consts::PI, velocity, torque], gains);
    Model { protocol: Protocol::Robstride, name, ranges, torque_constant: 0.0 }
}

/// From the motor's speed constant in rpm/V and largest current in A. CANSimple has no ranges of its
/// own: 100 turns are ours, the speed is what the motor makes of 24 V, and the gains are bounds for
/// configuration only.
const fn odrive(name: &'static str, rpm_per_volt: f64, current: f64) -> Model {
    let turn = 2.0 * std::f64::consts::PI;
    // ODrive's documentation: torque constant = 8.27 / KV.
    let torque_constant = 8.27 / rpm_per_volt;
    let velocity = rpm_per_volt * 24.0 / 60.0 * turn;
    let ranges = Ranges::new(16, [100.0 * turn, velocity, torque_constant * current], [500.0, 5.0]);
    Model { protocol: Protocol::Odrive, name, ranges, torque_constant }
}

/// Every model.
///
/// AK: neurobionics/TMotorCANControl (`mit_can.py`). Damiao: damiao-motor 1.0.6 (PyPI). CyberGear: its
/// manual (belovictor/cybergear-docs). RobStride: kscalelabs/robstride. ODrive: speed constants and
/// currents of odrive 0.6.11 (PyPI, `data/motors.json`).
pub static MODELS: &[Model] = &[
    mit("ak10-9", 50.0, 65.0),
    mit("ak60-6", 50.0, 15.0),
    mit("ak70-10", 50.0, 25.0),
    mit("ak80-6", 76.0, 12.0),
    mit("ak80-9", 50.0, 18.0),
    mit("ak80-64", 8.0, 144.0),
    damiao("3507", [12.566, 50.0, 5.0]),
    damiao("4310", [12.5, 30.0, 10.0]),
    damiao("4310p", [12.5, 50.0, 10.0]),
    damiao("4340", [12.5, 10.0, 28.0]),
    damiao("4340p", [12.5, 10.0, 28.0]),
    damiao("6006", [12.5, 45.0, 20.0]),
    damiao("6248p", [12.566, 20.0, 120.0]),
    damiao("8006", [12.5, 45.0, 40.0]),
    damiao("8009", [12.5, 45.0, 54.0]),
    damiao("10010", [12.5, 20.0, 200.0]),
    damiao("10010l", [12.5, 25.0, 200.0]),
    damiao("g6215", [12.5, 45.0, 10.0]),
    damiao("h3510", [12.5, 280.0, 1.0]),
    damiao("h6220", [12.5, 45.0, 10.0]),
    damiao("jh11", [12.5, 10.0, 12.0]),
    robstride("cybergear", 30.0, 12.0, [500.0, 5.0]),
    robstride("rs00", 33.0, 14.0, [500.0, 5.0]),
    robstride("rs01", 44.0, 17.0, [500.0, 5.0]),
    robstride("rs02", 44.0, 17.0, [500.0, 5.0]),
    robstride("rs03", 20.0, 60.0, [5000.0, 100.0]),
    robstride("rs04", 15.0, 120.0, [5000.0, 100.0]),
    odrive("d5065", 270.0, 65.0),
    odrive("d6374", 150.0, 70.0),
    odrive("m8325s", 100.0, 50.0),
];
