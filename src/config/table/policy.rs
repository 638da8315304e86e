//! The policy and what it sees.

use super::super::keys::Need::{Default, Optional, Required};
use super::super::keys::{Key, Names, Range, Shape};
use super::{above, integer, key, range};

const CAMERA_RATE: Key = key("rate_hz", range(0.1, 1000.0), Required, "Hz", "Frames per second.");

pub(super) static CAMERA: Shape = Shape::Tagged {
    tag: "source",
    meaning: "Where the frames come from; decides which other keys there are.",
    variants: &[
        (
            "synthetic",
            &[
                key(
                    "width",
                    integer(8, 8192),
                    Required,
                    "pixels",
                    "Width of the moving test picture.",
                ),
                key(
                    "height",
                    integer(8, 8192),
                    Required,
                    "pixels",
                    "Height of the moving test picture.",
                ),
                CAMERA_RATE,
                key(
                    "stops_after_s",
                    range(0.0, 86_400.0),
                    Optional("never"),
                    "s",
                    "Stop delivering after this time: a fault switch for tests.",
                ),
            ],
        ),
        (
            "replay",
            &[
                key(
                    "path",
                    Shape::Path,
                    Required,
                    "",
                    "A folder of PNG files, shown in name order, round and round.",
                ),
                CAMERA_RATE,
            ],
        ),
    ],
};

pub(super) const POLICY: &[Key] = &[
    key("path", Shape::Path, Required, "", "The checkpoint folder."),
    key(
        "rate_hz",
        range(0.1, 1000.0),
        Required,
        "Hz",
        "Rate at which its actions follow each other: the `fps` it was trained with.",
    ),
    key(
        "execution",
        Shape::Choice(&["timeline", "ensemble", "queue"]),
        Default,
        "",
        "How chunks become targets. `timeline`: chunks addressed by absolute time, past actions dropped, cross-faded. `ensemble`: every chunk that covers an instant votes (LeRobot's rule). `queue`: LeRobot's queue, for comparison.",
    ),
    key(
        "ensemble_coefficient",
        range(-10.0, 10.0),
        Optional("required with `execution = \"ensemble\"`, refused without"),
        "",
        "Coefficient of temporal ensembling (LeRobot's rule; its usual value is 0.01).",
    ),
    key(
        "inference_period_ms",
        above(0.0, 60_000.0),
        Optional("the time of the checkpoint's `n_action_steps`, less one inference"),
        "ms",
        "Least time between the starts of two inferences; refused with `execution = \"queue\"`.",
    ),
    key(
        "crossfade_ms",
        range(0.0, 10_000.0),
        Default,
        "ms",
        "How long a new chunk fades in over the old one.",
    ),
    key(
        "state",
        Shape::List { of: &Shape::Table(ELEMENT), least: 1 },
        Required,
        "",
        "The elements of `observation.state`, in the checkpoint's order.",
    ),
    key(
        "action",
        Shape::List { of: &Shape::Table(ELEMENT), least: 1 },
        Required,
        "",
        "The elements of `action`, in the checkpoint's order.",
    ),
    key(
        "images",
        Shape::Map { of: &Shape::Text, placeholder: "FEATURE", names: Names::Any },
        Default,
        "",
        "Which camera feeds which image feature: feature name (quoted) to camera name.",
    ),
    key(
        "hold",
        Shape::List { of: &Shape::Text, least: 0 },
        Default,
        "",
        "Joints that no action drives, on purpose: they hold where they were at the start.",
    ),
];

const ELEMENT: &[Key] = &[
    key("joint", Shape::Text, Required, "", "The joint."),
    key(
        "unit",
        Shape::Choice(&["rad", "deg", "percent", "fraction"]),
        Required,
        "",
        "Unit of the policy's value: `rad` or `deg` for a revolute joint; `percent` (0 to 100) or `fraction` (0 to 1) of the opening for a gripper.",
    ),
    key("sign", Shape::Sign, Default, "", "Direction."),
    key(
        "offset",
        range(-1e6, 1e6),
        Default,
        "",
        "Added on the policy's side, in the policy's unit.",
    ),
    key(
        "scale",
        Shape::Factor(Range { min: 1e-6, max: 1e6, above: false }),
        Default,
        "",
        "Factor on the policy's side.",
    ),
];
