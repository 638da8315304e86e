//! The run journal and the dataset formats.
//!
//! While a run goes on, only its [`journal`] grows. When the run ends, or at the next start after
//! it was killed, the journal becomes an episode of the recording directory's dataset
//! ([`lerobot`]), and stays as the record of everything that the dataset's frames leave out.
//! [`mcap`] makes of it a file that viewers of robot logs open, [`rig_csv`] one that actuator models
//! are trained on.

pub mod files;
pub mod image;
pub mod journal;
pub mod lerobot;
pub mod mcap;
pub mod rig_csv;
