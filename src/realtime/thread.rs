//! What concerns one thread: class, CPUs, timers, stack.

use std::num::NonZeroU64;
use std::panic::resume_unwind;
use std::{hint, io, thread};

use rustix::io::Errno;
use rustix::process::Resource;
use rustix::thread::{
    CapabilitySet, CpuSet, current_timer_slack, sched_getaffinity, sched_setaffinity,
    set_current_timer_slack,
};

use super::status::{Class, current_class, has_capability, raised_limit};
use super::{CpuList, Facility, Grant, GrantError, Grants, scheduler};
use crate::config::{RealtimeConfig, RealtimeMode};

/// Stack that is touched beforehand, in bytes. The control thread uses a fraction of it.
const STACK: usize = 256 << 10;

/// What a thread does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Role {
    /// Runs the cycle.
    Control,
    /// Looks after the control thread: one priority more, and not tied to its CPUs.
    Watchdog,
}

impl Role {
    /// Its priority in SCHED_FIFO.
    pub const fn priority(self, config: &RealtimeConfig) -> u32 {
        match self {
            Self::Control => config.priority,
            Self::Watchdog => config.priority + 1,
        }
    }
}

/// What a thread has been granted, for as long as it lives.
#[derive(Clone, Debug, Default)]
pub struct ThreadSetup {
    /// What was asked for, and what came of it.
    pub grants: Grants,
}

/// Prepares the calling thread: CPUs, class, timers, and a stack that is present. Allocates, so it
/// belongs before arming. With mode `off` nothing is asked for.
///
/// Threads that it starts afterwards are in the normal class again, but keep its CPUs.
pub fn prepare_thread(config: &RealtimeConfig, role: Role) -> ThreadSetup {
    let mut grants = Grants::default();
    if config.mode == RealtimeMode::Off {
        return ThreadSetup { grants };
    }
    // In the end the thread should be on its CPU, so the stack is touched there.
    if role == Role::Control && !config.cpus.is_empty() {
        let cpus = CpuList::new(config.cpus.iter().copied());
        let asked = format!("CPUs {cpus}");
        grants.0.push(Grant { what: Facility::Affinity, asked, outcome: pin(&cpus) });
    }
    let priority = role.priority(config);
    let outcome = enter_fifo(priority);
    // A real-time class has exact timers; only the normal one needs to ask.
    let normal = outcome.is_err();
    let asked = Class::Fifo(priority).to_string();
    grants.0.push(Grant { what: Facility::Scheduler, asked, outcome });
    if normal {
        let asked = format!("timer slack {} ns", config.timer_slack_ns);
        let outcome = set_slack(config.timer_slack_ns);
        grants.0.push(Grant { what: Facility::TimerSlack, asked, outcome });
    }
    touch_stack();
    ThreadSetup { grants }
}

/// What [`prepare_thread`] would be granted, found out on a thread that then ends.
///
/// # Errors
/// The thread could not be started.
pub fn rehearse(config: &RealtimeConfig, role: Role) -> io::Result<ThreadSetup> {
    let config = config.clone();
    let thread = thread::Builder::new()
        .name("rehearsal".to_owned())
        .spawn(move || prepare_thread(&config, role))?;
    // A panic over there is one over here.
    Ok(thread.join().unwrap_or_else(|panic| resume_unwind(panic)))
}

fn enter_fifo(priority: u32) -> Result<String, GrantError> {
    let limit = raised_limit(Resource::Rtprio);
    match scheduler::set_fifo(priority) {
        Ok(()) => Ok(match current_class() {
            Some(class) if class != Class::Fifo(priority) => class.to_string(),
            _ => String::new(),
        }),
        Err(source) => {
            Err(why_not(source, priority, limit, has_capability(CapabilitySet::SYS_NICE)))
        }
    }
}

fn why_not(source: Errno, asked: u32, limit: Option<u64>, privileged: bool) -> GrantError {
    match limit {
        Some(limit) if source == Errno::PERM && !privileged && limit < asked.into() => {
            GrantError::PriorityLimit { asked, limit }
        }
        _ => GrantError::Scheduler { source },
    }
}

fn pin(cpus: &CpuList) -> Result<String, GrantError> {
    let mut set = CpuSet::new();
    for &cpu in cpus.as_slice() {
        if (cpu as usize) < CpuSet::MAX_CPU {
            set.set(cpu as usize);
        }
    }
    // The kernel leaves out CPUs that the process may not use and refuses only if none is left:
    // what it made of the list is what counts.
    let _ = sched_setaffinity(None, &set);
    let allowed = sched_getaffinity(None).unwrap_or_default();
    let allowed =
        CpuList::new((0..CpuSet::MAX_CPU as u32).filter(|&cpu| allowed.is_set(cpu as usize)));
    if allowed == *cpus {
        return Ok(String::new());
    }
    let common = allowed.as_slice().iter().filter(|cpu| cpus.as_slice().contains(cpu)).copied();
    Err(GrantError::Affinity { allowed: CpuList::new(common) })
}

fn set_slack(nanos: u32) -> Result<String, GrantError> {
    set_current_timer_slack(NonZeroU64::new(nanos.into()))
        .and_then(|()| current_timer_slack())
        .map(|slack| if slack == u64::from(nanos) { String::new() } else { format!("{slack} ns") })
        .map_err(|source| GrantError::TimerSlack { source })
}

/// Writes to each page of the stack that the thread will use, so that none is mapped while it
/// runs.
#[inline(never)]
fn touch_stack() {
    let mut stack = [0_u8; STACK];
    for byte in stack.iter_mut().step_by(4096) {
        *byte = 1;
    }
    hint::black_box(&stack);
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::realtime::is_fifo;

    #[test]
    fn mode_off_asks_for_nothing_and_changes_nothing() {
        let config = RealtimeConfig { mode: RealtimeMode::Off, ..RealtimeConfig::default() };
        thread::spawn(move || {
            let before = (current_class(), current_timer_slack().unwrap());
            assert!(prepare_thread(&config, Role::Control).grants.0.is_empty());
            assert_eq!((current_class(), current_timer_slack().unwrap()), before);
        })
        .join()
        .unwrap();
    }

    #[test]
    fn a_thread_is_in_the_class_exactly_if_the_grant_says_so() {
        for (role, priority) in [(Role::Control, 40), (Role::Watchdog, 41)] {
            let config = RealtimeConfig { priority: 40, ..RealtimeConfig::default() };
            thread::spawn(move || {
                let setup = prepare_thread(&config, role);
                let grant = &setup.grants.0[0];
                assert_eq!(grant.what, Facility::Scheduler);
                assert_eq!(grant.asked, format!("SCHED_FIFO {priority}"));
                assert_eq!(is_fifo(), grant.is_granted());
                if grant.is_granted() {
                    assert_eq!(current_class(), Some(Class::Fifo(priority)));
                    let child = thread::spawn(current_class).join().unwrap();
                    assert_eq!(child, Some(Class::Other), "children are in the normal class");
                } else {
                    assert_eq!(setup.grants.0[1].what, Facility::TimerSlack);
                    assert_eq!(current_timer_slack().unwrap(), 1);
                }
            })
            .join()
            .unwrap();
        }
    }

    #[test]
    fn a_cpu_that_does_not_exist_is_not_granted_and_one_that_does_is() {
        let of = |cpus| {
            let config = RealtimeConfig { cpus, ..RealtimeConfig::default() };
            rehearse(&config, Role::Control).unwrap().grants.0.remove(0)
        };
        let here = sched_getaffinity(None).unwrap();
        let first = (0..1024).find(|&cpu| here.is_set(cpu as usize)).unwrap();
        assert!(of(vec![first]).is_granted());
        assert_eq!(
            of(vec![first, 1023]).outcome,
            Err(GrantError::Affinity { allowed: CpuList::new([first]) })
        );
        let config = RealtimeConfig { cpus: vec![1023], ..RealtimeConfig::default() };
        let watchdog = rehearse(&config, Role::Watchdog).unwrap();
        assert_eq!(watchdog.grants.0[0].what, Facility::Scheduler);
    }

    #[test]
    fn the_reason_tells_a_limit_from_a_refusal_beyond_limits() {
        assert_eq!(
            why_not(Errno::PERM, 80, Some(50), false),
            GrantError::PriorityLimit { asked: 80, limit: 50 }
        );
        let refused = GrantError::Scheduler { source: Errno::PERM };
        assert_eq!(why_not(Errno::PERM, 80, Some(99), false), refused);
        assert_eq!(why_not(Errno::PERM, 80, Some(0), true), refused);
        assert_eq!(why_not(Errno::PERM, 80, None, false), refused);
    }
}
