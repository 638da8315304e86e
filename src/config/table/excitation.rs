//! Motions that show what an actuator does.

use super::super::keys::Need::{Default, Required};
use super::super::keys::{Key, Shape};
use super::{above, integer, key, range};

const JOINT: Key = key("joint", Shape::Text, Required, "", "The joint that moves: revolute.");
const DURATION: Key = key("duration_s", above(0.0, 86_400.0), Required, "s", "How long.");
const CENTRE: Key =
    key("centre_rad", range(-100.0, 100.0), Default, "rad", "Around which position.");
const AMPLITUDE: Key = key(
    "amplitude_rad",
    above(0.0, 100.0),
    Required,
    "rad",
    "How far to either side at most. Where speed, acceleration or jerk would be beyond what the target generator may use, it goes less far.",
);
const FROM: Key = key("from_hz", above(0.0, 500.0), Required, "Hz", "First frequency.");
const TO: Key =
    key("to_hz", above(0.0, 500.0), Required, "Hz", "Last frequency, below half of `run.rate_hz`.");

pub(super) const EXCITATION: &[Key] = &[
    key("times", integer(1, 100_000), Default, "", "How often the whole is played."),
    key(
        "seed",
        integer(0, i64::MAX),
        Default,
        "",
        "Where the random phases and levels begin. The same seed gives the same motion.",
    ),
    key(
        "signals",
        Shape::List { of: &SIGNAL, least: 1 },
        Required,
        "",
        "Played one after the other. Joints that no signal moves hold where they were at the start.",
    ),
];

static SIGNAL: Shape = Shape::Tagged {
    tag: "kind",
    meaning: "What kind of motion; decides which other keys there are.",
    variants: &[
        (
            "chirp",
            &[
                JOINT,
                DURATION,
                CENTRE,
                AMPLITUDE,
                FROM,
                TO,
                key(
                    "sweep",
                    Shape::Choice(&["linear", "logarithmic"]),
                    Default,
                    "",
                    "How the frequency goes there: as many Hz each second, or as many octaves.",
                ),
            ],
        ),
        (
            "modulated_chirp",
            &[
                JOINT,
                DURATION,
                CENTRE,
                AMPLITUDE,
                FROM,
                TO,
                key(
                    "modulation_hz",
                    above(0.0, 100.0),
                    Required,
                    "Hz",
                    "How often the amplitude swings. With the highest frequency it stays below half of `run.rate_hz`.",
                ),
                key(
                    "least_fraction",
                    range(0.0, 1.0),
                    Required,
                    "",
                    "Smallest amplitude, as a fraction of the largest.",
                ),
            ],
        ),
        (
            "multi_sine",
            &[
                JOINT,
                DURATION,
                CENTRE,
                AMPLITUDE,
                key(
                    "frequencies_hz",
                    Shape::List { of: &FREQUENCY, least: 1 },
                    Required,
                    "Hz",
                    "Frequencies of the sines, below half of `run.rate_hz`.",
                ),
            ],
        ),
        (
            "steps",
            &[
                JOINT,
                DURATION,
                CENTRE,
                AMPLITUDE,
                key("dwell_s", above(0.0, 3600.0), Required, "s", "How long a level is held."),
            ],
        ),
    ],
};

static FREQUENCY: Shape = above(0.0, 500.0);
