//! sinew: a real-time robot controller runtime. It runs learned policies on physical arms at a
//! fixed rate, inside limits, and records everything that happened.
//!
//! A run goes through the same [cycle] on hardware, on an emulator and in virtual time:
//! read the state, take the target, pass it through the [limits], write the command, leave a
//! record. `ARCHITECTURE.md` has the map.

pub mod actuation;
pub mod bench;
pub mod cameras;
pub mod cli;
pub mod config;
pub mod control;
pub mod cycle;
pub mod doctor;
pub mod feature_maps;
pub mod limits;
pub mod live;
pub mod pacing;
pub mod policy;
pub mod poses_csv;
pub mod realtime;
pub mod recording;
pub mod replay;
pub mod report;
pub mod robots;
pub mod run;
pub mod summary;
pub mod supervision;
pub mod targets;
