//! Tables of arms. Where their numbers come from and what was checked: `docs/dynamics.md`.

pub mod franka;
mod mycobot320;
mod named;
mod pendulum;
mod viperx300;

pub use mycobot320::mycobot320;
pub use named::{NAMES, NamedArmError};
pub use pendulum::pendulum;
pub use viperx300::viperx300;
