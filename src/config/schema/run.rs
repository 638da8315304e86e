//! The loop and the run.

use serde::{Deserialize, Serialize};

/// `[run]`
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RunConfig {
    /// Name of the run; part of its folder's name.
    pub name: String,
    /// Task in words, kept with the episode.
    pub task: String,
    /// Rate of the control loop, in Hz: 1 to 1000.
    pub rate_hz: f64,
    /// How long the policy drives, in s.
    pub duration_s: f64,
    /// Real time, or simulated time (emulated robots only).
    #[serde(default)]
    pub clock: ClockKind,
    /// Who says when a cycle begins.
    #[serde(default)]
    pub pace: Pace,
    /// Largest busy wait before a tick, in µs: 0 to 50.
    #[serde(default = "spin_us")]
    pub spin_us: u32,
}

fn spin_us() -> u32 {
    50
}

/// `run.clock`
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ClockKind {
    /// The machine's monotonic clock.
    #[default]
    Real,
    /// Virtual time: as fast as the machine can, the same bytes every time.
    Simulated,
}

/// `run.pace`
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Pace {
    /// An absolute grid on the machine's clock.
    #[default]
    Timer,
    /// The robot: a cycle follows each state that it sends.
    Device,
}
