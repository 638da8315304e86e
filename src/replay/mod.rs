//! A recorded run once more, without its robot: every cycle is computed again from what it
//! consumed, and compared bit for bit ([`verify`]); or computed with other limits, to see what they
//! would have done ([`what_if`]).

mod episode;
mod error;
mod rerun;
mod verify;
mod what_if;

pub use episode::{Episode, Incomplete, Recorded};
pub use error::ReplayError;
pub use rerun::Rerun;
pub use verify::{Difference, Field, Verification, verify};
pub use what_if::{JointChange, StateChange, WhatIf, what_if};
