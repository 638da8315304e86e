//! Motions that show what an actuator does.

use std::collections::BTreeMap;
use std::path::PathBuf;

use serde::{Deserialize, Serialize};

/// `[excitation]`: motions instead of a policy.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ExcitationConfig {
    /// How often the whole is played.
    #[serde(default = "once")]
    pub times: u32,
    /// Where the random phases and levels begin.
    #[serde(default)]
    pub seed: u64,
    /// The arm of Cartesian signals: a name that sinew knows, or a URDF.
    #[serde(default)]
    pub arm: Option<PathBuf>,
    /// Last link of the URDF's arm.
    #[serde(default)]
    pub tip: Option<String>,
    /// What moves along the path: a point in the frame of the arm's end, in m.
    #[serde(default)]
    pub tool_m: [f64; 3],
    /// Where Cartesian paths are, by joint; the rest pose without it.
    #[serde(default)]
    pub pose: BTreeMap<String, f64>,
    /// One after the other.
    pub signals: Vec<SignalConfig>,
}

fn once() -> u32 {
    1
}

/// One of `excitation.signals`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, tag = "kind", rename_all = "snake_case")]
pub enum SignalConfig {
    /// A sine whose frequency goes from one to the other.
    Chirp {
        /// The joint that moves.
        joint: String,
        /// How long, in s.
        duration_s: f64,
        /// Around which position, in rad.
        #[serde(default)]
        centre_rad: f64,
        /// How far to either side, in rad.
        amplitude_rad: f64,
        /// First frequency, in Hz.
        from_hz: f64,
        /// Last frequency, in Hz.
        to_hz: f64,
        /// How the frequency goes there.
        #[serde(default)]
        sweep: Sweep,
    },
    /// A chirp whose amplitude swings.
    ModulatedChirp {
        /// The joint that moves.
        joint: String,
        /// How long, in s.
        duration_s: f64,
        /// Around which position, in rad.
        #[serde(default)]
        centre_rad: f64,
        /// How far to either side at most, in rad.
        amplitude_rad: f64,
        /// First frequency, in Hz.
        from_hz: f64,
        /// Last frequency, in Hz.
        to_hz: f64,
        /// How often the amplitude swings, in Hz.
        modulation_hz: f64,
        /// Smallest amplitude, as a fraction of the largest.
        least_fraction: f64,
    },
    /// Several sines at once, with random phases.
    MultiSine {
        /// The joint that moves.
        joint: String,
        /// How long, in s.
        duration_s: f64,
        /// Around which position, in rad.
        #[serde(default)]
        centre_rad: f64,
        /// How far to either side at most, in rad.
        amplitude_rad: f64,
        /// Their frequencies, in Hz.
        frequencies_hz: Vec<f64>,
    },
    /// Random levels, each held for a while.
    Steps {
        /// The joint that moves.
        joint: String,
        /// How long, in s.
        duration_s: f64,
        /// Around which position, in rad.
        #[serde(default)]
        centre_rad: f64,
        /// How far to either side at most, in rad.
        amplitude_rad: f64,
        /// How long a level is held, in s.
        dwell_s: f64,
    },
    /// Four sines of one base frequency in each of several joints at once.
    JointMultiSine {
        /// The joints that move; all that turn where none is named.
        #[serde(default)]
        joints: Vec<String>,
        /// How long, in s.
        duration_s: f64,
        /// Around which base frequencies are drawn, in Hz.
        frequency_hz: f64,
        /// Which part of a joint's range amplitudes are drawn from.
        #[serde(default = "tenth")]
        fraction: f64,
        /// Around which positions, in rad.
        #[serde(default)]
        centres_rad: Vec<f64>,
        /// Base frequency of each joint, in Hz.
        #[serde(default)]
        frequencies_hz: Vec<f64>,
        /// Amplitudes of 1, 1.5, 2 and 3 times the base frequency, joint by joint, in rad.
        #[serde(default)]
        amplitudes_rad: Vec<f64>,
    },
    /// A sine whose frequency swings, in each of several joints at once.
    JointChirp {
        /// The joints that move; all that turn where none is named.
        #[serde(default)]
        joints: Vec<String>,
        /// How long, in s.
        duration_s: f64,
        /// Around which frequencies are drawn, in Hz.
        frequency_hz: f64,
        /// Which part of a joint's range amplitudes are drawn from.
        #[serde(default = "tenth")]
        fraction: f64,
        /// Around which positions, in rad.
        #[serde(default)]
        centres_rad: Vec<f64>,
        /// Frequency of each joint, in Hz.
        #[serde(default)]
        frequencies_hz: Vec<f64>,
        /// How often it swings, in Hz.
        #[serde(default)]
        swings_hz: Vec<f64>,
        /// Phase of each joint, in rad.
        #[serde(default)]
        phases_rad: Vec<f64>,
        /// Amplitude of each joint, in rad.
        #[serde(default)]
        amplitudes_rad: Vec<f64>,
    },
    /// Rests and levels, by jumps, in several joints at once.
    JointImpulse {
        /// The joints that move; all that turn where none is named.
        #[serde(default)]
        joints: Vec<String>,
        /// How long, in s.
        duration_s: f64,
        /// Which part of a joint's range levels are drawn from.
        #[serde(default = "tenth")]
        fraction: f64,
        /// Around which positions, in rad.
        #[serde(default)]
        centres_rad: Vec<f64>,
        /// How long each rest lasts, in s.
        #[serde(default)]
        rests_s: Vec<f64>,
        /// How long the level after it lasts, in s.
        #[serde(default)]
        plateaus_s: Vec<f64>,
        /// Levels around the centres, joint by joint for each of them, in rad.
        #[serde(default)]
        levels_rad: Vec<f64>,
    },
    /// Rests and levels, by ramps, in several joints at once.
    JointTrapezoid {
        /// The joints that move; all that turn where none is named.
        #[serde(default)]
        joints: Vec<String>,
        /// How long, in s.
        duration_s: f64,
        /// Which part of a joint's range levels are drawn from.
        #[serde(default = "tenth")]
        fraction: f64,
        /// Around which positions, in rad.
        #[serde(default)]
        centres_rad: Vec<f64>,
        /// How long each rest lasts, in s.
        #[serde(default)]
        rests_s: Vec<f64>,
        /// How long the ramp after it lasts, and the one back, in s.
        #[serde(default)]
        ramps_s: Vec<f64>,
        /// How long the level between them lasts, in s.
        #[serde(default)]
        plateaus_s: Vec<f64>,
        /// Levels around the centres, joint by joint for each of them, in rad.
        #[serde(default)]
        levels_rad: Vec<f64>,
    },
    /// The tool goes round in the plane of y and z.
    Circle {
        /// How long, in s.
        duration_s: f64,
        /// In m.
        #[serde(default)]
        radius_m: Option<f64>,
        /// Time of one turn, in s.
        #[serde(default)]
        period_s: Option<f64>,
    },
    /// The tool goes round in the plane of x and y, and along z.
    VerticalSpiral {
        /// How long, in s.
        duration_s: f64,
        /// In m.
        #[serde(default)]
        radius_m: Option<f64>,
        /// Time of one turn, in s.
        #[serde(default)]
        period_s: Option<f64>,
        /// How far it goes along z, in m.
        #[serde(default)]
        travel_m: Option<f64>,
    },
    /// The tool goes round in the plane of y and z, and along x.
    HorizontalSpiral {
        /// How long, in s.
        duration_s: f64,
        /// In m.
        #[serde(default)]
        radius_m: Option<f64>,
        /// Time of one turn, in s.
        #[serde(default)]
        period_s: Option<f64>,
        /// How far it goes along x, in m.
        #[serde(default)]
        travel_m: Option<f64>,
    },
}

fn tenth() -> f64 {
    0.1
}

/// `sweep` of a chirp.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Sweep {
    /// As many Hz each second.
    #[default]
    Linear,
    /// As many octaves each second.
    Logarithmic,
}

impl SignalConfig {
    /// The one joint that moves, of a signal of one joint.
    pub fn joint(&self) -> Option<&str> {
        match self {
            Self::Chirp { joint, .. }
            | Self::ModulatedChirp { joint, .. }
            | Self::MultiSine { joint, .. }
            | Self::Steps { joint, .. } => Some(joint),
            _ => None,
        }
    }

    /// The joints that move at once, of a signal of several. Empty before it is drawn.
    pub fn joints(&self) -> Option<&[String]> {
        match self {
            Self::JointMultiSine { joints, .. }
            | Self::JointChirp { joints, .. }
            | Self::JointImpulse { joints, .. }
            | Self::JointTrapezoid { joints, .. } => Some(joints),
            _ => None,
        }
    }

    /// Whether it is a path of the tool, which all joints of the arm follow.
    pub const fn is_cartesian(&self) -> bool {
        matches!(
            self,
            Self::Circle { .. } | Self::VerticalSpiral { .. } | Self::HorizontalSpiral { .. }
        )
    }

    /// Whether it moves `joint`.
    pub fn moves(&self, joint: &str) -> bool {
        self.is_cartesian()
            || self.joint() == Some(joint)
            || self.joints().is_some_and(|joints| joints.iter().any(|it| it == joint))
    }

    /// How long, in s.
    pub const fn duration_s(&self) -> f64 {
        match self {
            Self::Chirp { duration_s, .. }
            | Self::ModulatedChirp { duration_s, .. }
            | Self::MultiSine { duration_s, .. }
            | Self::Steps { duration_s, .. }
            | Self::JointMultiSine { duration_s, .. }
            | Self::JointChirp { duration_s, .. }
            | Self::JointImpulse { duration_s, .. }
            | Self::JointTrapezoid { duration_s, .. }
            | Self::Circle { duration_s, .. }
            | Self::VerticalSpiral { duration_s, .. }
            | Self::HorizontalSpiral { duration_s, .. } => *duration_s,
        }
    }

    /// Around which position, and how far to either side at most, in rad: one pair for each joint
    /// that moves, in the order in which they are named. None of a path of the tool.
    pub fn reaches_rad(&self) -> Vec<[f64; 2]> {
        let largest = |values: &[f64], joint: usize, joints: usize| {
            let own = values.iter().skip(joint).step_by(joints.max(1));
            own.fold(0.0, |most: f64, level| most.max(level.abs()))
        };
        let each = |centres: &[f64], reach: &dyn Fn(usize) -> f64| -> Vec<[f64; 2]> {
            centres.iter().enumerate().map(|(joint, centre)| [*centre, reach(joint)]).collect()
        };
        match self {
            Self::Chirp { centre_rad, amplitude_rad, .. }
            | Self::ModulatedChirp { centre_rad, amplitude_rad, .. }
            | Self::MultiSine { centre_rad, amplitude_rad, .. }
            | Self::Steps { centre_rad, amplitude_rad, .. } => vec![[*centre_rad, *amplitude_rad]],
            Self::JointMultiSine { centres_rad, amplitudes_rad, .. } => {
                each(centres_rad, &|joint| {
                    amplitudes_rad.iter().skip(4 * joint).take(4).map(|it| it.abs()).sum()
                })
            }
            Self::JointChirp { centres_rad, amplitudes_rad, .. } => each(centres_rad, &|joint| {
                amplitudes_rad.get(joint).copied().unwrap_or_default().abs()
            }),
            Self::JointImpulse { centres_rad, levels_rad, .. }
            | Self::JointTrapezoid { centres_rad, levels_rad, .. } => {
                each(centres_rad, &|joint| largest(levels_rad, joint, centres_rad.len()))
            }
            Self::Circle { .. } | Self::VerticalSpiral { .. } | Self::HorizontalSpiral { .. } => {
                Vec::new()
            }
        }
    }

    /// The highest frequency, in Hz; 0 where it follows from other figures.
    pub fn highest_hz(&self) -> f64 {
        let largest = |values: &[f64]| values.iter().copied().fold(0.0, f64::max);
        match self {
            Self::Chirp { from_hz, to_hz, .. } => from_hz.max(*to_hz),
            // The swing of an amplitude makes two of each frequency, to either side of it.
            Self::ModulatedChirp { from_hz, to_hz, modulation_hz, .. } => {
                from_hz.max(*to_hz) + modulation_hz
            }
            Self::MultiSine { frequencies_hz, .. } => largest(frequencies_hz),
            Self::Steps { dwell_s, .. } => 0.5 / dwell_s,
            Self::JointMultiSine { frequencies_hz, .. } => 3.0 * largest(frequencies_hz),
            // The derivative of its phase: f (1 + cos/4 - t π s sin/2), s its swing.
            Self::JointChirp { frequencies_hz, swings_hz, duration_s, .. } => {
                let swing = std::f64::consts::FRAC_PI_2 * largest(swings_hz) * duration_s;
                largest(frequencies_hz) * (1.25 + swing)
            }
            _ => 0.0,
        }
    }
}
