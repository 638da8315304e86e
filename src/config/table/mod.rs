//! Every key with its type, unit, range and meaning: the table that files are checked against and
//! that the reference in `docs/configuration.md` is held to. [`super::schema`] has the same keys
//! as Rust types; a test compares the two.

mod excitation;
mod franka;
pub(super) mod law;
mod limits;
mod policy;
mod recording;
mod robot;
mod run;
mod supervision;
mod target;
mod timing;

use excitation::EXCITATION;
use limits::{LIMITS, WORKSPACE};
use policy::{CAMERA, POLICY};
use recording::RECORDING;
use robot::{EMULATOR, ROBOT};
use run::RUN;
use supervision::{REST, SUPERVISION};
use target::{ACTUATION, TARGET};
use timing::{OVERRUN, REALTIME};

use super::keys::Need::{Default, Optional, Required};
use super::keys::{Key, Names, Need, Range, Shape};

const fn key(
    name: &'static str,
    shape: Shape,
    need: Need,
    unit: &'static str,
    meaning: &'static str,
) -> Key {
    Key { name, shape, need, unit, meaning }
}

const fn range(min: f64, max: f64) -> Shape {
    Shape::Number(Range { min, max, above: false })
}

const fn above(min: f64, max: f64) -> Shape {
    Shape::Number(Range { min, max, above: true })
}

const fn integer(min: i64, max: i64) -> Shape {
    Shape::Integer { min, max }
}

/// The whole file.
pub(super) static ROOT: Shape = Shape::Table(&[
    key("run", Shape::Table(RUN), Required, "", "The loop and the run."),
    key("robot", Shape::Table(ROBOT), Required, "", "The arm."),
    key(
        "emulator",
        Shape::Table(EMULATOR),
        Default,
        "",
        "The emulated device, used with `robot.port = \"emulator\"`.",
    ),
    key(
        "limits",
        Shape::Map { of: &Shape::Table(LIMITS), placeholder: "JOINT", names: Names::Any },
        Required,
        "",
        "Limits by joint name: every joint of the robot, and no other.",
    ),
    key(
        "workspace",
        Shape::Table(WORKSPACE),
        Optional("the tool is not watched"),
        "",
        "Where the tool may be, for arms with a URDF.",
    ),
    key("target", Shape::Table(TARGET), Default, "", "From targets to the loop's rate."),
    key("actuation", Shape::Table(ACTUATION), Default, "", "What turns a position into a command."),
    key("overrun", Shape::Table(OVERRUN), Default, "", "What happens to a cycle that is late."),
    key(
        "realtime",
        Shape::Table(REALTIME),
        Default,
        "",
        "What the control thread asks of the operating system.",
    ),
    key(
        "cameras",
        Shape::Map { of: &CAMERA, placeholder: "NAME", names: Names::Plain },
        Default,
        "",
        "Frame sources by name. A camera that feeds no feature is recorded all the same.",
    ),
    key(
        "policy",
        Shape::Table(POLICY),
        Optional(
            "required without `[excitation]`, refused with it and with `actuation.model = \"guiding\"`",
        ),
        "",
        "The policy and its mapping to joints.",
    ),
    key(
        "excitation",
        Shape::Table(EXCITATION),
        Optional(
            "required without `[policy]`, refused with it and with `actuation.model = \"guiding\"`",
        ),
        "",
        "Motions that show what an actuator does, instead of a policy.",
    ),
    key("rest", Shape::Table(REST), Required, "", "Ramps and the rest pose."),
    key("supervision", Shape::Table(SUPERVISION), Default, "", "Thresholds of the stop ladder."),
    key("recording", Shape::Table(RECORDING), Required, "", "Where and how episodes are kept."),
]);
