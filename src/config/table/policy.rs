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
        "device",
        Shape::Choice(&["cpu", "gpu", "ndarray"]),
        Default,
        "",
        "What computes the network. `cpu`: the engine. `gpu`: Burn on a graphics card (a build with `--features wgpu`). `ndarray`: Burn's ndarray backend (a build with `--features ndarray`).",
    ),
    key(
        "threads",
        integer(1, 256),
        Default,
        "",
        "Threads of an inference. Results do not depend on it.",
    ),
    key(
        "cpus",
        Shape::List { of: &integer(0, 1023), least: 0 },
        Default,
        "",
        "CPUs of the threads beyond the first, in this order; those beyond the list may run on any.",
    ),
    key(
        "precision",
        Shape::Choice(&["f32", "bf16"]),
        Default,
        "",
        "How weights are kept. `bf16`: half the memory, and faster where memory is what is waited for; actions differ in the third digit.",
    ),
    key(
        "scheduler",
        Shape::Choice(&["ddpm", "ddim"]),
        Optional("the checkpoint's own"),
        "",
        "How a Diffusion Policy samples: `ddim` needs about a tenth of the steps, also where the checkpoint was trained with `ddpm`: it does not lower `steps` by itself.",
    ),
    key(
        "steps",
        integer(1, 10_000),
        Optional("the checkpoint's own"),
        "",
        "Steps of one sampling of a Diffusion Policy; at most those of its training. With `ddpm`, fewer than the training's change what is sampled more than with `ddim`.",
    ),
    key(
        "seed",
        integer(0, i64::MAX),
        Optional("0"),
        "",
        "Where the noise of a Diffusion Policy begins: the same seed and the same observations give the same chunks. Two runs of one configuration draw the same noise; in real time their observations differ.",
    ),
    key(
        "warm_start",
        above(0.0, 1.0),
        Optional("every chunk begins with noise only"),
        "",
        "A chunk of a Diffusion Policy begins with the one before, to which this part of the diffusion is added as noise; only the steps from there on are run. Only with `execution = \"timeline\"`.",
    ),
    key(
        "inpaint",
        Shape::Bool,
        Optional("`false`"),
        "",
        "Whether a Diffusion Policy keeps the actions of the chunk before that will be executed until the next is there, so that the next continues them. Only with `execution = \"timeline\"`.",
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
