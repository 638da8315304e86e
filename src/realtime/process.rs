//! What concerns the whole process: locked memory and the wake-up time of idle CPUs.

use std::fs::{File, OpenOptions};
use std::io::Write as _;
use std::sync::{Mutex, PoisonError};

use rustix::io::Errno;
use rustix::mm::{MlockAllFlags, mlockall, munlockall};
use rustix::process::Resource;
use rustix::thread::CapabilitySet;

use super::status::{has_capability, locked_bytes, mapped_bytes, raised_limit};
use super::{Facility, Grant, GrantError, Grants, size};
use crate::config::{RealtimeConfig, RealtimeMode};

/// Where a process asks for quick wake-ups of idle CPUs; the request lasts while the file is open.
pub(super) const DMA_LATENCY: &str = "/dev/cpu_dma_latency";

/// What a run may still map: a stack of 2 MiB and an arena of up to 128 MiB address space for each
/// thread, the checkpoint, frames. All of it counts against RLIMIT_MEMLOCK, used or not.
const ROOM_FOR_A_RUN: u64 = 2 << 30;

/// Runs in this process that hold locked memory. Held while locking and unlocking, so that no run
/// unlocks what another has just locked.
static LOCKS: Mutex<usize> = Mutex::new(0);

/// What the process has been granted. Dropping it gives locked memory and the wake-up request
/// back, once no other run in the process holds one.
#[derive(Debug)]
#[must_use = "dropping it gives back what was granted"]
pub struct ProcessSetup {
    /// What was asked for, and what came of it.
    pub grants: Grants,
    locked: bool,
    _dma_latency: Option<File>,
}

impl Drop for ProcessSetup {
    fn drop(&mut self) {
        if self.locked {
            let mut locks = LOCKS.lock().unwrap_or_else(PoisonError::into_inner);
            *locks -= 1;
            if *locks == 0 {
                // What cannot be unlocked stays locked until the process ends.
                let _ = munlockall();
            }
        }
    }
}

/// Locks the memory of the process, present and future, so that nothing waits for a page; and
/// asks for quick wake-ups of idle CPUs if configured. Call it before the threads are started:
/// their stacks are then present from the start. With mode `off` nothing is asked for.
pub fn prepare_process(config: &RealtimeConfig) -> ProcessSetup {
    let mut setup = ProcessSetup { grants: Grants::default(), locked: false, _dma_latency: None };
    if config.mode == RealtimeMode::Off {
        return setup;
    }
    if config.lock_memory {
        let mut locks = LOCKS.lock().unwrap_or_else(PoisonError::into_inner);
        let outcome = lock_memory(*locks > 0);
        setup.locked = outcome.is_ok();
        *locks += usize::from(setup.locked);
        drop(locks);
        let asked = "memory lock".to_owned();
        setup.grants.0.push(Grant { what: Facility::Memory, asked, outcome });
    }
    if let Some(micros) = config.cpu_dma_latency_us {
        let outcome = match request_dma_latency(micros) {
            Ok(file) => {
                setup._dma_latency = Some(file);
                Ok(String::new())
            }
            Err(source) => Err(GrantError::DmaLatency { source }),
        };
        let asked = format!("idle CPUs awake within {micros} µs");
        setup.grants.0.push(Grant { what: Facility::DmaLatency, asked, outcome });
    }
    setup
}

fn lock_memory(locked_before: bool) -> Result<String, GrantError> {
    // Under a limit that is too small the call succeeds, and a later allocation or thread fails:
    // so the room is checked first.
    let limit = raised_limit(Resource::Memlock);
    room(limit, has_capability(CapabilitySet::IPC_LOCK), mapped_bytes())?;
    if let Err(source) = mlockall(MlockAllFlags::CURRENT | MlockAllFlags::FUTURE) {
        // Some of it may be locked now; with an earlier run's all of it was.
        if !locked_before {
            let _ = munlockall();
        }
        return Err(GrantError::MemoryLock { source });
    }
    Ok(locked_bytes().map_or_else(String::new, size))
}

/// Whether a run fits under the limit (`None`: unlimited). What is mapped now may be unknown.
fn room(limit: Option<u64>, privileged: bool, mapped: Option<u64>) -> Result<(), GrantError> {
    let needed_bytes = mapped.unwrap_or(0).saturating_add(ROOM_FOR_A_RUN);
    match limit {
        Some(limit_bytes) if !privileged && limit_bytes < needed_bytes => {
            Err(GrantError::MemoryLimit { limit_bytes, needed_bytes })
        }
        _ => Ok(()),
    }
}

fn request_dma_latency(micros: u32) -> Result<File, Errno> {
    let value = i32::try_from(micros).unwrap_or(i32::MAX);
    OpenOptions::new()
        .write(true)
        .open(DMA_LATENCY)
        .and_then(|mut file| file.write_all(&value.to_ne_bytes()).map(|()| file))
        .map_err(|error| Errno::from_io_error(&error).unwrap_or(Errno::IO))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_small_limit_is_refused_before_it_can_break_a_run() {
        let mapped = Some(100 << 20);
        let error = room(Some(8 << 20), false, mapped).unwrap_err();
        assert_eq!(
            error,
            GrantError::MemoryLimit { limit_bytes: 8 << 20, needed_bytes: (100 << 20) + (2 << 30) }
        );
        assert!(error.to_string().starts_with("RLIMIT_MEMLOCK is 8 MiB"), "{error}");
        assert!(error.remedy().contains("memlock unlimited"));
        assert_eq!(room(None, false, mapped), Ok(()));
        assert_eq!(room(Some(0), true, mapped), Ok(()));
        assert_eq!(room(Some(4 << 30), false, mapped), Ok(()));
    }

    #[test]
    fn mode_off_asks_for_nothing() {
        let config = RealtimeConfig {
            mode: RealtimeMode::Off,
            cpu_dma_latency_us: Some(0),
            ..RealtimeConfig::default()
        };
        let setup = prepare_process(&config);
        assert!(setup.grants.0.is_empty() && !setup.locked);
    }

    #[test]
    fn what_is_asked_of_the_process_comes_back_one_by_one() {
        let config =
            RealtimeConfig { cpu_dma_latency_us: Some(1_000_000), ..RealtimeConfig::default() };
        let setup = prepare_process(&config);
        let what: Vec<Facility> = setup.grants.0.iter().map(|grant| grant.what).collect();
        assert_eq!(what, [Facility::Memory, Facility::DmaLatency]);
        if setup.locked {
            assert!(locked_bytes().is_some_and(|bytes| bytes > 0));
        }
        // Locked or not, a thread still gets its stack and memory.
        let length = std::thread::spawn(|| vec![1_u8; 1 << 20].len()).join().unwrap();
        assert_eq!(length, 1 << 20);
    }
}
