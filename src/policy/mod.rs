//! The inference side: observation mailboxes in, chunks out, on a thread of its own.

mod continuation;
mod latencies;
mod mapping;
mod warm_up;
mod worker;

pub use mapping::{Mapping, MappingError};
pub use warm_up::{WarmUpError, warm_up};
pub use worker::{PolicyMailboxes, PolicySettings, PolicyStatistics, PolicyWorker};

#[cfg(test)]
mod tests;
