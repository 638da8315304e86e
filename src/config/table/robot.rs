//! The robot, and its emulator.

use super::super::keys::Need::{Default, Optional, Required};
use super::super::keys::{Key, Names, Shape};
use super::franka::FRANKA;
use super::{above, integer, key, range};

pub(super) const ROBOT: &[Key] = &[
    key(
        "model",
        Shape::Choice(&["mycobot320", "mock", "rig", "can", "franka"]),
        Required,
        "",
        "Which driver.",
    ),
    key(
        "port",
        Shape::Text,
        Required,
        "",
        "Serial device, `tcp://HOST:PORT`, or `emulator`; for `franka` the arm's address, for `can` also `tcp:HOST:PORT` and, with the feature `socketcan`, `socketcan:can0`.",
    ),
    key("speed_percent", integer(1, 100), Default, "%", "Speed byte of motion commands."),
    key("expect_ack", Shape::Bool, Default, "", "True where the firmware acknowledges setters."),
    key(
        "gripper",
        Shape::Bool,
        Default,
        "",
        "True where a gripper is mounted; it is then the last joint, `gripper`.",
    ),
    key(
        "joints",
        integer(1, 32),
        Default,
        "",
        "Number of joints of the mock arm, `joint1`, `joint2` and so on; refused for other robots.",
    ),
    key("reply_timeout_ms", integer(5, 10_000), Default, "ms", "How long to wait for a reply."),
    key(
        "retries",
        integer(1, 1000),
        Default,
        "",
        "Consecutive failed requests before the link is opened again.",
    ),
    key(
        "reconnect_window_ms",
        integer(0, 600_000),
        Default,
        "ms",
        "How long to try to open the link again before it counts as lost.",
    ),
    key(
        "gripper_gap_ms",
        integer(0, 1000),
        Default,
        "ms",
        "Least time between an arm and a gripper command.",
    ),
    key(
        "gripper_read_period_ms",
        integer(20, 60_000),
        Default,
        "ms",
        "Time between gripper reads.",
    ),
    key("arm_timeout_ms", integer(100, 120_000), Default, "ms", "How long arming may take."),
    key("rig", Shape::Table(RIG), Default, "", "The test rig; refused for other robots."),
    key("can", Shape::Table(CAN), Default, "", "The CAN bus; refused for other robots."),
    key(
        "actuators",
        Shape::List { of: &Shape::Table(ACTUATOR), least: 1 },
        Optional("none, which `model = \"can\"` refuses"),
        "",
        "The actuators on it, a joint each, in order; refused for other robots.",
    ),
    key(
        "franka",
        Shape::Table(FRANKA),
        Default,
        "",
        "The arm of Franka's; refused for other robots.",
    ),
    key(
        "accept_motion_on_silence",
        Shape::Bool,
        Default,
        "",
        "Must be true for a robot that goes on to its last target when commands stop: a runtime that is killed cannot stop it.",
    ),
];

const CAN: &[Key] = &[
    key(
        "bitrate_kbit",
        integer(10, 1000),
        Default,
        "kbit/s",
        "Bit rate that an SLCAN adapter is set to: 10, 20, 50, 100, 125, 250, 500, 800 or 1000.",
    ),
    key(
        "watchdog_ms",
        integer(1, 60_000),
        Default,
        "ms",
        "Silence of this computer after which a Damiao motor has no torque.",
    ),
    key(
        "host_id",
        integer(0, 253),
        Default,
        "",
        "Identifier by which this computer addresses CyberGear and RobStride.",
    ),
];

const ACTUATOR: &[Key] = &[
    key("name", Shape::Text, Required, "", "Name of the joint."),
    key(
        "protocol",
        Shape::Choice(&["mit", "damiao", "robstride", "odrive"]),
        Required,
        "",
        "How it is spoken to.",
    ),
    key("model", Shape::Text, Required, "", "What it is; docs/can-actuators.md lists them."),
    key("id", integer(0, 255), Required, "", "Identifier that it listens to."),
    key(
        "feedback_id",
        integer(0, 2046),
        Optional("16 more than `id`"),
        "",
        "Identifier on which it answers (`mit`: the host's; `damiao`: MST_ID).",
    ),
    key("direction", Shape::Sign, Default, "", "-1 where the joint turns against the actuator."),
    key(
        "offset_rad",
        range(-100.0, 100.0),
        Default,
        "rad",
        "The joint's position where the actuator says 0.",
    ),
    key(
        "gear_ratio",
        range(0.001, 1000.0),
        Default,
        "",
        "Turns of the actuator in a turn of the joint.",
    ),
    key(
        "stiffness_nm_rad",
        above(0.0, 1e9),
        Required,
        "N·m/rad",
        "Stiffness of the actuator's own PD law, at the joint.",
    ),
    key(
        "damping_nm_s_rad",
        above(0.0, 1e9),
        Required,
        "N·m·s/rad",
        "Damping of the actuator's own PD law, at the joint.",
    ),
];

const AXES: Shape = Shape::Choice(&["x", "y", "z", "-x", "-y", "-z"]);

const RIG: &[Key] = &[
    key(
        "protocol",
        Shape::Choice(&["auto", "binary", "text"]),
        Default,
        "",
        "How the device speaks: frames, lines, or whatever arrives first.",
    ),
    key("baud_rate", integer(9600, 12_000_000), Default, "bit/s", "Speed of a serial port."),
    key(
        "rate_hz",
        integer(1, 10_000),
        Default,
        "Hz",
        "States a second that the device is asked for.",
    ),
    key(
        "inertia_kg_m2",
        above(0.0, 1000.0),
        Optional("the emulated rig has 0.010; without it effort is not measured"),
        "kg·m²",
        "Total inertia that turns with the load, the arm's own included.",
    ),
    key(
        "radius_m",
        above(0.0, 100.0),
        Optional("the emulated rig has 0.1; without it effort is not measured"),
        "m",
        "Distance of the accelerometer from the axis of rotation.",
    ),
    key(
        "accel_axis",
        AXES,
        Default,
        "",
        "The accelerometer's axis along the motion, positive where the angle grows.",
    ),
    key(
        "gyro_axis",
        AXES,
        Default,
        "",
        "The gyroscope's axis of rotation, positive where the angle grows.",
    ),
    key(
        "temperature",
        Shape::Bool,
        Optional("true for `protocol = \"binary\"`"),
        "",
        "Whether the device measures the motor's temperature. One that should and does not is not armed.",
    ),
    key(
        "supply",
        Shape::Bool,
        Optional("true for `protocol = \"binary\"`"),
        "",
        "Whether the device measures its supply, likewise.",
    ),
    key(
        "travel_rad",
        above(0.0, 100.0),
        Default,
        "rad",
        "The joint goes from minus this to this; readings outside are refused.",
    ),
    key(
        "max_velocity_rad_s",
        above(0.0, 1000.0),
        Default,
        "rad/s",
        "The actuator's speed without load: faster readings are encoder jumps.",
    ),
    key(
        "max_torque_nm",
        above(0.0, 10_000.0),
        Default,
        "N·m",
        "The actuator's torque at standstill; a device that takes less is not armed.",
    ),
    key(
        "gyro_range_rad_s",
        above(0.0, 1000.0),
        Default,
        "rad/s",
        "The gyroscope's range: larger readings are refused.",
    ),
    key(
        "watchdog_ms",
        integer(1, 60_000),
        Default,
        "ms",
        "Silence of this computer after which the device holds by itself; four periods or more.",
    ),
];

pub(super) const EMULATOR: &[Key] = &[
    key(
        "faults",
        Shape::List { of: &Shape::Text, least: 0 },
        Default,
        "",
        "Faults, as `sinew emulate --fault` takes them.",
    ),
    key(
        "drive",
        Shape::Choice(&["servo", "direct"]),
        Default,
        "",
        "What an emulated rig is driven by. `servo`: a hobby servo with friction, play, elasticity and delay. `direct`: a drive that gives the torque it is told to, on which a model of an actuator is run.",
    ),
    key(
        "patience_ms",
        integer(0, 10_000),
        Default,
        "ms",
        "How long an emulated Franka waits for a command that is late, its time standing still: for busy computers. A real arm waits for nothing.",
    ),
    key(
        "payload_kg",
        range(0.0, 10.0),
        Default,
        "kg",
        "What an emulated Franka carries 0.1 m before its flange without having been told.",
    ),
    key("seed", integer(0, i64::MAX), Default, "", "Seed of latency jitter and random faults."),
    key(
        "start",
        Shape::Map { of: &range(-100.0, 100.0), placeholder: "JOINT", names: Names::Any },
        Default,
        "rad or opening",
        "Where the arm stands at the start, by joint, within the device's range; others stand at 0.",
    ),
];
