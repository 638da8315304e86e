//! The run journal and the dataset formats.

pub mod journal;
