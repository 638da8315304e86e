//! A recorded run once more, without its robot: every cycle is computed again from what it
//! consumed, and compared bit for bit ([`verify`]); or computed with other limits, to see what they
//! would have done ([`what_if`]). Or its motion once more on a robot ([`prepare`]).

mod deviation;
mod episode;
mod error;
mod motion;
mod on;
mod rerun;
mod verify;
mod what_if;

pub use deviation::{Deviation, Repetition, Repetitions, repetitions};
pub use episode::{Episode, Incomplete, Recorded};
pub use error::ReplayError;
pub use motion::{Course, Motion};
pub use on::{Prepared, prepare};
pub use rerun::Rerun;
pub use verify::{Difference, Field, Verification, verify};
pub use what_if::{JointChange, StateChange, WhatIf, what_if};
