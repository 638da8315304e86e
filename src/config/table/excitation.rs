//! Motions that show what an actuator does.

use super::super::keys::Need::{Default, Optional, Required};
use super::super::keys::{Key, Names, Shape};
use super::law::ARMS;
use super::{Range, above, integer, key, range};

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
        "arm",
        Shape::NameOrPath(ARMS),
        Optional("required with circles and spirals"),
        "",
        "The arm whose tool they move: one that sinew knows ([dynamics](dynamics.md)), or a URDF whose moving joints have the robot's names. Its joints are the robot's that turn, in their order.",
    ),
    key(
        "tip",
        Shape::Text,
        Optional("the only end of the URDF"),
        "",
        "Link at the end of the arm.",
    ),
    key(
        "tool_m",
        Shape::Point(Range { min: -10.0, max: 10.0, above: false }),
        Default,
        "m",
        "The point that follows the path, in the frame of the arm's end (of a Franka the flange).",
    ),
    key(
        "pose",
        Shape::Map { of: &range(-100.0, 100.0), placeholder: "JOINT", names: Names::Any },
        Optional("`rest.pose`"),
        "rad",
        "Where the arm is in the middle of Cartesian paths; its tool's orientation is held. Every joint of the arm, or none.",
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
        (
            "joint_multi_sine",
            &[
                JOINTS,
                DURATION,
                MASTER,
                FRACTION,
                CENTRES,
                FREQUENCIES,
                key(
                    "amplitudes_rad",
                    Shape::List { of: &ANGLE, least: 4 },
                    Optional(
                        "drawn: 2 · `fraction` · U(lower, upper) of the joint's range, over 1.3 for the second joint and 1.6 for others, signs at random",
                    ),
                    "rad",
                    "Amplitudes of the sine, of the cosine at 1.5 times, the sine at 2 times and the cosine at 3 times the base frequency: four for each joint. All four are made smaller alike where speed, acceleration or jerk would be beyond what the target generator may use.",
                ),
            ],
        ),
        (
            "joint_chirp",
            &[
                JOINTS,
                DURATION,
                MASTER,
                FRACTION,
                CENTRES,
                FREQUENCIES,
                key(
                    "swings_hz",
                    Shape::List { of: &FREQUENCY, least: 1 },
                    Optional("drawn around `frequency_hz`"),
                    "Hz",
                    "How often the frequency swings, one for each joint.",
                ),
                key(
                    "phases_rad",
                    Shape::List { of: &ANGLE, least: 1 },
                    Optional("drawn: U(-π, π)"),
                    "rad",
                    "Phase of each joint.",
                ),
                key(
                    "amplitudes_rad",
                    Shape::List { of: &ANGLE, least: 1 },
                    Optional("drawn: `fraction` · U(lower, upper) of the joint's range"),
                    "rad",
                    "Amplitude of each joint. Made smaller where speed, acceleration or jerk would be beyond what the target generator may use.",
                ),
            ],
        ),
        ("joint_impulse", &[JOINTS, DURATION, FRACTION, CENTRES, RESTS, PLATEAUS, LEVELS]),
        (
            "joint_trapezoid",
            &[
                JOINTS,
                DURATION,
                FRACTION,
                CENTRES,
                RESTS,
                key(
                    "ramps_s",
                    Shape::List { of: &TIME, least: 1 },
                    Optional("drawn: the slowest joint at U(0.5, 0.75) of its largest speed"),
                    "s",
                    "How long each way to a level lasts, and the one back.",
                ),
                PLATEAUS,
                LEVELS,
            ],
        ),
        ("circle", &[DURATION, RADIUS, PERIOD]),
        ("vertical_spiral", &[DURATION, RADIUS, PERIOD, TRAVEL]),
        ("horizontal_spiral", &[DURATION, RADIUS, PERIOD, TRAVEL]),
    ],
};

static FREQUENCY: Shape = above(0.0, 500.0);
static ANGLE: Shape = range(-100.0, 100.0);
static TIME: Shape = above(0.0, 3600.0);
static NAME: Shape = Shape::Text;

const JOINTS: Key = key(
    "joints",
    Shape::List { of: &NAME, least: 1 },
    Optional("all that turn"),
    "",
    "The joints that move, all at once.",
);
const MASTER: Key = key(
    "frequency_hz",
    above(0.0, 500.0),
    Required,
    "Hz",
    "The frequency around which others are drawn.",
);
const FRACTION: Key = key(
    "fraction",
    above(0.0, 1.0),
    Optional("0.1"),
    "",
    "Which part of a joint's range amplitudes or levels are drawn from. What would leave the range is made smaller.",
);
const CENTRES: Key = key(
    "centres_rad",
    Shape::List { of: &ANGLE, least: 1 },
    Optional("the middle of each joint's range (a chirp: drawn around it)"),
    "rad",
    "Around which position, one for each joint.",
);
const FREQUENCIES: Key = key(
    "frequencies_hz",
    Shape::List { of: &FREQUENCY, least: 1 },
    Optional("drawn around `frequency_hz`"),
    "Hz",
    "Base frequency, one for each joint.",
);
const RESTS: Key = key(
    "rests_s",
    Shape::List { of: &TIME, least: 1 },
    Optional("drawn"),
    "s",
    "How long the joints stand at their centres before each level.",
);
const PLATEAUS: Key = key(
    "plateaus_s",
    Shape::List { of: &TIME, least: 1 },
    Optional("drawn"),
    "s",
    "How long each level is held.",
);
const LEVELS: Key = key(
    "levels_rad",
    Shape::List { of: &ANGLE, least: 1 },
    Optional("drawn from `fraction` of each joint's range"),
    "rad",
    "Levels around the centres: one for each joint, then the next.",
);
const RADIUS: Key = key(
    "radius_m",
    above(0.0, 10.0),
    Optional("drawn: U(0.01, 0.10)"),
    "m",
    "Radius of the turns.",
);
const PERIOD: Key = key(
    "period_s",
    above(0.0, 3600.0),
    Optional("drawn: 2π · U(20, 100) / 60"),
    "s",
    "Time of one turn.",
);
const TRAVEL: Key = key(
    "travel_m",
    range(-10.0, 10.0),
    Optional("drawn: ±U(0.1, 0.3)"),
    "m",
    "How far it goes along the axis of the turns, from 0.1 m below (behind) the pose on.",
);
