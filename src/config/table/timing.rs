//! What happens to late cycles, and what is asked of the operating system.

use super::super::keys::Need::{Default, Optional};
use super::super::keys::{Key, Shape};
use super::{above, integer, key};

pub(super) const OVERRUN: &[Key] = &[
    key(
        "policy",
        Shape::Choice(&["report", "hold", "stop"]),
        Default,
        "",
        "What a missed deadline leads to. `report`: it is counted and shown. `hold`: the arm also holds until a cycle is on time, and more than allowed ramp to rest. `stop`: more than allowed ramp to rest.",
    ),
    key(
        "allowed",
        integer(0, 1_000_000),
        Default,
        "",
        "Missed deadlines that a window bears; with `policy = \"stop\"` fewer than it has periods.",
    ),
    key(
        "window_s",
        above(0.0, 3600.0),
        Default,
        "s",
        "The time over which that many misses are forgotten again.",
    ),
];

pub(super) const REALTIME: &[Key] = &[
    key(
        "mode",
        Shape::Choice(&["off", "prefer", "enforce"]),
        Default,
        "",
        "`off`: ask for nothing. `prefer`: ask, and say what was not granted. `enforce`: refuse to arm without.",
    ),
    key(
        "priority",
        integer(1, 98),
        Default,
        "",
        "Priority of the control thread in the class SCHED_FIFO; the watchdog has one more.",
    ),
    key(
        "cpus",
        Shape::List { of: &integer(0, 1023), least: 0 },
        Default,
        "",
        "CPUs that the control thread may run on; an empty list: any.",
    ),
    key(
        "lock_memory",
        Shape::Bool,
        Default,
        "",
        "Whether memory is locked and touched before the run.",
    ),
    key(
        "timer_slack_ns",
        integer(1, 1_000_000),
        Default,
        "ns",
        "Timer slack of the control thread, where it has no real-time class.",
    ),
    key(
        "cpu_dma_latency_us",
        integer(0, 1_000_000),
        Optional("not asked for"),
        "µs",
        "Longest wake-up of an idle CPU, asked for at `/dev/cpu_dma_latency`.",
    ),
];
