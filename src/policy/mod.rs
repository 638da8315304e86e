//! The inference side: observation mailboxes in, chunks out, on a thread of its own.

mod continuation;
mod mapping;
mod worker;

pub use mapping::{Mapping, MappingError};
pub use worker::{
    PolicyMailboxes, PolicySettings, PolicyStatistics, PolicyWorker, WarmUpError, warm_up,
};

#[cfg(test)]
mod tests;
