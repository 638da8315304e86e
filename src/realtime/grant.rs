//! What was asked for and what came of it.

use std::fmt;

use rustix::io::Errno;
use serde::{Serialize, Serializer};

use super::CpuList;
use crate::config::RealtimeMode;

/// What the operating system was asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Facility {
    /// The class SCHED_FIFO.
    Scheduler,
    /// CPUs to run on.
    Affinity,
    /// Exact timers without a real-time class.
    TimerSlack,
    /// Memory that is never paged.
    Memory,
    /// Quick wake-ups of idle CPUs.
    DmaLatency,
}

/// One thing that was asked of the operating system.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Grant {
    /// What kind of thing.
    pub what: Facility,
    /// What was asked for, in words: `SCHED_FIFO 80`.
    pub asked: String,
    /// What was given, in words (empty: exactly what was asked), or why it was not.
    pub outcome: Result<String, GrantError>,
}

impl Grant {
    /// Whether it was given.
    pub const fn is_granted(&self) -> bool {
        self.outcome.is_ok()
    }
}

impl fmt::Display for Grant {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.outcome {
            Ok(got) if got.is_empty() => write!(out, "{}: granted", self.asked),
            Ok(got) => write!(out, "{}: granted, {got}", self.asked),
            Err(reason) => {
                write!(out, "{}: not granted ({reason}); {}", self.asked, reason.remedy())
            }
        }
    }
}

/// `what`, `asked`, `granted`; with it `got`, or without it `reason` and `remedy`.
impl Serialize for Grant {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        #[derive(Serialize)]
        struct Plain<'a> {
            what: Facility,
            asked: &'a str,
            granted: bool,
            #[serde(skip_serializing_if = "Option::is_none")]
            got: Option<&'a str>,
            #[serde(skip_serializing_if = "Option::is_none")]
            reason: Option<String>,
            #[serde(skip_serializing_if = "Option::is_none")]
            remedy: Option<String>,
        }
        let (what, asked, granted) = (self.what, self.asked.as_str(), self.is_granted());
        let error = self.outcome.as_ref().err();
        Plain {
            what,
            asked,
            granted,
            got: self.outcome.as_deref().ok().filter(|got| !got.is_empty()),
            reason: error.map(ToString::to_string),
            remedy: error.map(GrantError::remedy),
        }
        .serialize(serializer)
    }
}

/// Why something was not granted.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum GrantError {
    /// The process may not have this priority.
    #[error("RLIMIT_RTPRIO is {limit}, without CAP_SYS_NICE")]
    PriorityLimit {
        /// The priority asked for.
        asked: u32,
        /// The highest that the limit allows.
        limit: u64,
    },
    /// The process may have this priority, yet the kernel refuses the class.
    #[error("the kernel refuses it although the limits allow it: {source}")]
    Scheduler {
        /// The kernel's answer.
        source: Errno,
    },
    /// The memory a run maps may outgrow the limit, and then mapping fails in the middle of it.
    #[error(
        "RLIMIT_MEMLOCK is {}, without CAP_IPC_LOCK; a run may need {}",
        size(*.limit_bytes), size(*.needed_bytes)
    )]
    MemoryLimit {
        /// The limit, in bytes.
        limit_bytes: u64,
        /// What is mapped now and may come, in bytes.
        needed_bytes: u64,
    },
    /// The kernel does not lock the memory.
    #[error("mlockall: {source}")]
    MemoryLock {
        /// The kernel's answer.
        source: Errno,
    },
    /// Some of the CPUs do not exist, or are not for this process.
    #[error("of these the process may only use: {allowed}")]
    Affinity {
        /// Those that remain.
        allowed: CpuList,
    },
    /// The timer slack cannot be changed.
    #[error("prctl(PR_SET_TIMERSLACK): {source}")]
    TimerSlack {
        /// The kernel's answer.
        source: Errno,
    },
    /// The wake-up time of idle CPUs cannot be bounded.
    #[error("{path}: {source}", path = super::process::DMA_LATENCY)]
    DmaLatency {
        /// The kernel's answer.
        source: Errno,
    },
}

/// A size in the kernel's units.
pub(crate) fn size(bytes: u64) -> String {
    if bytes >= 1 << 20 { format!("{} MiB", bytes >> 20) } else { format!("{} KiB", bytes >> 10) }
}

impl GrantError {
    /// What to do about it. The set-up behind each remedy is in `docs/real-time.md`.
    pub fn remedy(&self) -> String {
        match self {
            Self::PriorityLimit { asked, limit } => {
                let lower = match limit {
                    0 | 1 => String::new(),
                    limit => format!(", or set realtime.priority to {} or less", limit - 1),
                };
                format!(
                    "give the user `rtprio 99` in /etc/security/limits.d (at least {asked}), or \
                     the service LimitRTPRIO=99, or the container --cap-add=sys_nice{lower}"
                )
            }
            Self::Scheduler { .. } => "with RT_GROUP_SCHED give the cgroup real-time time \
                                       (cpu.rt_runtime_us); in a container allow \
                                       sched_setscheduler in its seccomp profile"
                .to_owned(),
            Self::MemoryLimit { .. } => {
                "give the user `memlock unlimited` in /etc/security/limits.d, or the service \
                 LimitMEMLOCK=infinity, or the container --ulimit memlock=-1; or set \
                 realtime.lock_memory = false"
                    .to_owned()
            }
            Self::MemoryLock { .. } => {
                "free memory, or set realtime.lock_memory = false".to_owned()
            }
            Self::Affinity { .. } => "correct realtime.cpus, or widen the process's cpuset \
                                      (taskset, AllowedCPUs=, --cpuset-cpus)"
                .to_owned(),
            Self::TimerSlack { .. } => "allow prctl in the container's seccomp profile".to_owned(),
            Self::DmaLatency { source } if *source == Errno::NOENT => {
                "this kernel has no such device (CONFIG_CPU_IDLE, or /dev is a container's own): \
                 limit the idle states on the kernel's command line, or drop \
                 realtime.cpu_dma_latency_us"
                    .to_owned()
            }
            Self::DmaLatency { .. } => "give the group realtime the device with a udev rule: \
                                        KERNEL==\"cpu_dma_latency\", GROUP=\"realtime\", \
                                        MODE=\"0660\""
                .to_owned(),
        }
    }
}

/// All that was asked for together. Shown on one line.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(transparent)]
pub struct Grants(pub Vec<Grant>);

impl Grants {
    /// What was not granted.
    pub fn refused(&self) -> impl Iterator<Item = &Grant> {
        self.0.iter().filter(|grant| !grant.is_granted())
    }

    /// Whether a run in this mode may go on.
    ///
    /// # Errors
    /// [`NotGranted`] if the mode is `enforce` and anything was not granted.
    pub fn require(&self, mode: RealtimeMode) -> Result<(), NotGranted> {
        let refused = self.refused().cloned().collect::<Vec<_>>();
        if mode == RealtimeMode::Enforce && !refused.is_empty() {
            return Err(NotGranted { refused: Self(refused) });
        }
        Ok(())
    }
}

impl fmt::Display for Grants {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, grant) in self.0.iter().enumerate() {
            if index > 0 {
                out.write_str("; ")?;
            }
            grant.fmt(out)?;
        }
        Ok(())
    }
}

/// `realtime.mode = "enforce"` was not met.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "realtime.mode is \"enforce\", but the system does not grant what [realtime] asks for. \
     {refused}. `sinew doctor` shows more; mode \"prefer\" runs without"
)]
pub struct NotGranted {
    /// What was not granted.
    pub refused: Grants,
}

#[cfg(test)]
mod tests {
    use super::*;

    fn grants() -> Grants {
        Grants(vec![
            Grant {
                what: Facility::Scheduler,
                asked: "SCHED_FIFO 80".to_owned(),
                outcome: Err(GrantError::PriorityLimit { asked: 80, limit: 50 }),
            },
            Grant {
                what: Facility::Memory,
                asked: "memory lock".to_owned(),
                outcome: Ok("52 MiB".to_owned()),
            },
        ])
    }

    #[test]
    fn a_line_says_what_was_granted_and_what_to_do_about_the_rest() {
        let line = grants().to_string();
        assert!(line.starts_with("SCHED_FIFO 80: not granted (RLIMIT_RTPRIO is 50"), "{line}");
        assert!(line.contains("realtime.priority to 49 or less"), "{line}");
        assert!(line.ends_with("; memory lock: granted, 52 MiB"), "{line}");
    }

    #[test]
    fn sizes_are_in_binary_units() {
        assert_eq!((size(64 << 10), size(8 << 20)), ("64 KiB".to_owned(), "8 MiB".to_owned()));
    }

    #[test]
    fn only_enforce_refuses() {
        let grants = grants();
        assert_eq!(grants.require(RealtimeMode::Prefer), Ok(()));
        let error = grants.require(RealtimeMode::Enforce).unwrap_err();
        assert_eq!(error.refused.0.len(), 1);
        assert!(error.to_string().contains("SCHED_FIFO 80"), "{error}");
        let granted = Grants(grants.0[1..].to_vec());
        assert_eq!(granted.require(RealtimeMode::Enforce), Ok(()));
    }

    #[test]
    fn programs_get_reason_and_remedy() {
        let json = serde_json::to_value(grants()).unwrap();
        assert_eq!(json[0]["what"], "scheduler");
        assert_eq!(json[0]["granted"], false);
        assert!(json[0]["remedy"].as_str().unwrap().contains("rtprio"));
        assert_eq!(
            json[1],
            serde_json::json!({
                "what": "memory", "asked": "memory lock", "granted": true, "got": "52 MiB"
            })
        );
    }
}
