//! The one call without a safe wrapper.
#![allow(unsafe_code)]

use rustix::io::Errno;

/// Puts the calling thread into SCHED_FIFO at `priority`. Threads that it starts do not inherit
/// the class.
///
/// # Errors
/// The kernel's answer.
pub(super) fn set_fifo(priority: u32) -> Result<(), Errno> {
    let policy = libc::SCHED_FIFO | libc::SCHED_RESET_ON_FORK;
    let priority = i32::try_from(priority).map_err(|_| Errno::INVAL)?;
    // SAFETY: `sched_param` is a C struct of integers (of one on glibc, of more on musl), for
    // which zero is a value. `pthread_self` is always a live thread, and the call only reads
    // `parameters`, which outlives it. (`sched_setscheduler` would do as well, but is a stub in
    // musl.)
    let answer = unsafe {
        let mut parameters: libc::sched_param = std::mem::zeroed();
        parameters.sched_priority = priority;
        libc::pthread_setschedparam(libc::pthread_self(), policy, &raw const parameters)
    };
    // It returns the error; it does not set errno.
    if answer == 0 { Ok(()) } else { Err(Errno::from_raw_os_error(answer)) }
}
