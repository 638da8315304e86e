//! What a run asks of the operating system: a scheduling class, CPUs, locked memory, short
//! wake-ups. The only module of the runtime with `unsafe` (one call, in `scheduler`).
//!
//! Everything that is asked for comes back as a [`Grant`]: what was asked, and what was given or
//! why not and what to do about it. `realtime.mode = "prefer"` shows them; `"enforce"` refuses to
//! arm ([`Grants::require`]).
//!
//! The control thread sleeps until shortly before each tick, in every class. A thread that spins
//! all the time under SCHED_FIFO runs into the kernel's limit on real-time time
//! (`sched_rt_runtime_us`, 950 ms of each second): it then gets a hole of some 50 ms once a
//! second. Sleeping costs a few µs and never comes near that limit.
//!
//! The allocator is left as it is: the control thread allocates nothing after arming, and with
//! [locked memory](prepare_process) what other threads map is present before they use it.

mod cpus;
mod grant;
mod process;
mod scheduler;
mod status;
mod thread;

pub use cpus::CpuList;
pub(crate) use grant::size;
pub use grant::{Facility, Grant, GrantError, Grants, NotGranted};
pub use process::{ProcessSetup, prepare_process};
pub use status::{
    Class, Throttling, current_class, has_capability, is_fifo, locked_bytes, throttling,
};
pub use thread::{Role, ThreadSetup, prepare_thread, rehearse};

/// What may be missing of the rights that [`has_capability`] asks about.
pub use rustix::thread::CapabilitySet;
