//! What happens to late cycles, and what is asked of the operating system.

use serde::{Deserialize, Serialize};

/// `[overrun]`
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct OverrunConfig {
    /// What a missed deadline leads to.
    pub policy: OverrunPolicy,
    /// Missed deadlines that a window bears.
    pub allowed: u32,
    /// The window over which they are forgotten again, in s.
    pub window_s: f64,
}

impl Default for OverrunConfig {
    fn default() -> Self {
        Self { policy: OverrunPolicy::default(), allowed: 5, window_s: 1.0 }
    }
}

/// `overrun.policy`
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum OverrunPolicy {
    /// Every miss is counted and shown; nothing else.
    Report,
    /// Every miss holds the arm until a cycle is on time; more than allowed ramp to rest.
    Hold,
    /// More than allowed ramp to rest.
    #[default]
    Stop,
}

/// `[realtime]`
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct RealtimeConfig {
    /// Whether what is asked for here must be granted.
    pub mode: RealtimeMode,
    /// Priority of the control thread in the class SCHED_FIFO: 1 to 98. The watchdog has one more.
    pub priority: u32,
    /// CPUs that the control thread may run on; empty: any.
    pub cpus: Vec<u32>,
    /// Whether memory is locked and touched beforehand.
    pub lock_memory: bool,
    /// Timer slack of the control thread, in ns, where it has no real-time class.
    pub timer_slack_ns: u32,
    /// Longest wake-up of an idle CPU, in µs (`/dev/cpu_dma_latency`); absent: not asked for.
    pub cpu_dma_latency_us: Option<u32>,
}

impl Default for RealtimeConfig {
    fn default() -> Self {
        Self {
            mode: RealtimeMode::default(),
            priority: 80,
            cpus: Vec::new(),
            lock_memory: true,
            timer_slack_ns: 1,
            cpu_dma_latency_us: None,
        }
    }
}

/// `realtime.mode`
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum RealtimeMode {
    /// Ask for nothing.
    Off,
    /// Ask, and say what was not granted.
    #[default]
    Prefer,
    /// Refuse to arm without.
    Enforce,
}
