//! The loop and the run.

use super::super::keys::Need::{Default, Required};
use super::super::keys::{Key, Shape};
use super::{above, integer, key, range};

pub(super) const RUN: &[Key] = &[
    key("name", Shape::Name, Required, "", "Name of the run; part of its folder's name."),
    key("task", Shape::Text, Required, "", "The task in words, kept with the episode."),
    key("rate_hz", range(1.0, 1000.0), Required, "Hz", "Rate of the control loop."),
    key("duration_s", above(0.0, 86_400.0), Required, "s", "How long the policy drives."),
    key(
        "clock",
        Shape::Choice(&["real", "simulated"]),
        Default,
        "",
        "`real`: the machine's monotonic clock. `simulated`: virtual time, as fast as the machine can, the same bytes every time; only with `robot.port = \"emulator\"`.",
    ),
    key(
        "pace",
        Shape::Choice(&["timer", "device"]),
        Default,
        "",
        "Who says when a cycle begins. `timer`: an absolute grid on the machine's clock. `device`: the robot, with each state that it sends; only for robots that own the clock, and with `rate_hz` the robot's rate.",
    ),
    key(
        "spin_us",
        integer(0, 50),
        Default,
        "µs",
        "Largest busy wait before a tick; no effect with `pace = \"device\"`, which waits for the robot.",
    ),
];
