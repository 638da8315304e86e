//! What holds now: class, limits, capabilities, locked memory, throttling.

use std::fmt;
use std::path::Path;

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use rustix::thread::{CapabilitySet, capabilities};
use serde::Serialize;

/// A thread's scheduling class, as in `sched(7)`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Class {
    /// SCHED_OTHER, the normal one.
    Other,
    /// SCHED_FIFO at this priority.
    Fifo(u32),
    /// SCHED_RR at this priority.
    RoundRobin(u32),
    /// SCHED_DEADLINE.
    Deadline,
    /// SCHED_BATCH, SCHED_IDLE or one that is not known here, by its number.
    Number(u32),
}

impl fmt::Display for Class {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Other => out.write_str("SCHED_OTHER"),
            Self::Fifo(priority) => write!(out, "SCHED_FIFO {priority}"),
            Self::RoundRobin(priority) => write!(out, "SCHED_RR {priority}"),
            Self::Deadline => out.write_str("SCHED_DEADLINE"),
            Self::Number(number) => write!(out, "class {number}"),
        }
    }
}

/// The class of the calling thread; `None` without /proc.
pub fn current_class() -> Option<Class> {
    parse_class(&std::fs::read_to_string("/proc/thread-self/stat").ok()?)
}

/// Whether the calling thread is in SCHED_FIFO.
pub fn is_fifo() -> bool {
    matches!(current_class(), Some(Class::Fifo(_)))
}

/// Fields 40 (`rt_priority`) and 41 (`policy`) of `/proc/PID/stat` (`proc_pid_stat(5)`).
fn parse_class(stat: &str) -> Option<Class> {
    // The second field is the name in parentheses, and may itself have spaces and parentheses.
    let (_, fields) = stat.rsplit_once(')')?;
    let mut fields = fields.split_ascii_whitespace().skip(40 - 3);
    let priority = fields.next()?.parse().ok()?;
    Some(match fields.next()?.parse().ok()? {
        0 => Class::Other,
        1 => Class::Fifo(priority),
        2 => Class::RoundRobin(priority),
        6 => Class::Deadline,
        number => Class::Number(number),
    })
}

/// How much of the time real-time threads may run.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct Throttling {
    /// Time in each period, in µs; −1: all of it.
    pub runtime_us: i64,
    /// The period, in µs.
    pub period_us: i64,
}

/// Reads `sched_rt_runtime_us` and `sched_rt_period_us` in `proc/sys/kernel` under `root`; `None`
/// where they do not exist.
pub fn throttling(root: &Path) -> Option<Throttling> {
    let number = |name: &str| -> Option<i64> {
        let path = root.join("proc/sys/kernel").join(name);
        std::fs::read_to_string(path).ok()?.trim().parse().ok()
    };
    Some(Throttling {
        runtime_us: number("sched_rt_runtime_us")?,
        period_us: number("sched_rt_period_us")?,
    })
}

/// Whether the calling thread has these capabilities in effect.
pub fn has_capability(capability: CapabilitySet) -> bool {
    capabilities(None).is_ok_and(|sets| sets.effective.contains(capability))
}

/// The limit of the process in force, after raising it as far as it may raise it itself; `None`:
/// unlimited.
pub(crate) fn raised_limit(resource: Resource) -> Option<u64> {
    let Rlimit { current, maximum } = getrlimit(resource);
    if current != maximum {
        // Whoever may not raise it goes on with the one in force.
        let _ = setrlimit(resource, Rlimit { current: maximum, maximum });
    }
    getrlimit(resource).current
}

/// Locked memory of the process, in bytes; `None` without /proc.
pub fn locked_bytes() -> Option<u64> {
    own_status("VmLck")
}

/// Mapped memory of the process, in bytes; `None` without /proc.
pub(super) fn mapped_bytes() -> Option<u64> {
    own_status("VmSize")
}

fn own_status(name: &str) -> Option<u64> {
    parse_status(&std::fs::read_to_string("/proc/self/status").ok()?, name)
}

/// A line `name: 123 kB` of `/proc/PID/status`, in bytes.
fn parse_status(status: &str, name: &str) -> Option<u64> {
    let line = status.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':'))?;
    let kilobytes: u64 = line.trim().strip_suffix("kB")?.trim().parse().ok()?;
    kilobytes.checked_mul(1024)
}

#[cfg(test)]
mod tests {
    use super::*;

    proptest::proptest! {
        #[test]
        fn whatever_the_kernel_writes_never_panics(text in ".{0,200}", fields in "[0-9 )(-]{0,200}") {
            for text in [&text, &fields, &format!("VmLck:{text}"), &format!("VmLck: {fields} kB")] {
                let _ = (parse_class(text), parse_status(text, "VmLck"));
            }
        }
    }

    #[test]
    fn the_class_is_read_behind_any_name() {
        let rest = "S 1 1 1 0 -1 4194304 98 0 0 0 0 0 0 0 -81 0 1 0 196363 3133440 360 \
                    18446744073709551615 1 1 1 0 0 0 0 0 0 0 0 0 17 1 80 1 0 0 0";
        let stat = format!("19141 (a ) b (c) {rest}");
        assert_eq!(parse_class(&stat), Some(Class::Fifo(80)));
        let other = stat.replace(" 80 1 0 0 0", " 0 0 0 0 0");
        assert_eq!(parse_class(&other), Some(Class::Other));
        let batch = stat.replace(" 80 1 0 0 0", " 0 3 0 0 0");
        assert_eq!(parse_class(&batch), Some(Class::Number(3)));
        assert_eq!(parse_class("19141 (cut off) S 1 1"), None);
        assert_eq!(parse_class(""), None);
    }

    #[test]
    fn a_status_line_is_found_by_its_whole_name() {
        let status = "Name:\tx\nVmLckX:\t 7 kB\nVmLck:\t    64 kB\nVmSize:\tmany kB\n";
        assert_eq!(parse_status(status, "VmLck"), Some(65_536));
        assert_eq!(parse_status(status, "VmSize"), None);
        assert_eq!(parse_status(status, "VmPin"), None);
    }

    #[test]
    fn throttling_is_read_under_any_root() {
        let root = tempfile::tempdir().unwrap();
        assert_eq!(throttling(root.path()), None);
        let folder = root.path().join("proc/sys/kernel");
        std::fs::create_dir_all(&folder).unwrap();
        std::fs::write(folder.join("sched_rt_runtime_us"), "-1\n").unwrap();
        std::fs::write(folder.join("sched_rt_period_us"), "1000000\n").unwrap();
        assert_eq!(
            throttling(root.path()),
            Some(Throttling { runtime_us: -1, period_us: 1_000_000 })
        );
    }

    #[test]
    fn this_thread_has_a_class() {
        assert!(current_class().is_some());
        assert!(mapped_bytes().is_some_and(|bytes| bytes > 0));
    }
}
