//! Motions that show what an actuator does.

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
    /// The joint that moves.
    pub fn joint(&self) -> &str {
        let (Self::Chirp { joint, .. }
        | Self::ModulatedChirp { joint, .. }
        | Self::MultiSine { joint, .. }
        | Self::Steps { joint, .. }) = self;
        joint
    }

    /// How long, in s.
    pub const fn duration_s(&self) -> f64 {
        let (Self::Chirp { duration_s, .. }
        | Self::ModulatedChirp { duration_s, .. }
        | Self::MultiSine { duration_s, .. }
        | Self::Steps { duration_s, .. }) = self;
        *duration_s
    }

    /// Around which position, and how far to either side at most, in rad.
    pub const fn reach_rad(&self) -> [f64; 2] {
        let (Self::Chirp { centre_rad, amplitude_rad, .. }
        | Self::ModulatedChirp { centre_rad, amplitude_rad, .. }
        | Self::MultiSine { centre_rad, amplitude_rad, .. }
        | Self::Steps { centre_rad, amplitude_rad, .. }) = self;
        [*centre_rad, *amplitude_rad]
    }

    /// The highest frequency, in Hz.
    pub fn highest_hz(&self) -> f64 {
        match self {
            Self::Chirp { from_hz, to_hz, .. } => from_hz.max(*to_hz),
            // The swing of an amplitude makes two of each frequency, to either side of it.
            Self::ModulatedChirp { from_hz, to_hz, modulation_hz, .. } => {
                from_hz.max(*to_hz) + modulation_hz
            }
            Self::MultiSine { frequencies_hz, .. } => {
                frequencies_hz.iter().copied().fold(0.0, f64::max)
            }
            Self::Steps { dwell_s, .. } => 0.5 / dwell_s,
        }
    }
}
