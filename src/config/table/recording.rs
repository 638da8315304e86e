//! Where and how episodes are kept.

use super::super::keys::Need::{Default, Optional, Required};
use super::super::keys::{Key, Shape};
use super::{key, range};

pub(super) const RECORDING: &[Key] = &[
    key(
        "directory",
        Shape::Path,
        Required,
        "",
        "The dataset's folder: it grows by one episode a run.",
    ),
    key(
        "rate_hz",
        range(1.0, 1000.0),
        Optional("`policy.rate_hz`, or `run.rate_hz` with `[excitation]`"),
        "Hz",
        "Rate of dataset frames: a whole number, at most `run.rate_hz`; with `run.duration_s` at most 5,000,000 frames.",
    ),
    key(
        "csv",
        Shape::Path,
        Optional("none is written"),
        "",
        "A folder in which each run of an actuator on a test rig leaves its samples as `NAME.csv`, to train on: one folder per inertia.",
    ),
    key(
        "ring_s",
        range(0.1, 600.0),
        Default,
        "s",
        "How many seconds of cycles the ring between loop and recorder holds; at most 100,000 cycles, about 280 MB of locked memory.",
    ),
];
