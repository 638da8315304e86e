//! Frame sources that need no hardware. Cameras that do (V4L2) come behind a feature.

mod replay;
mod synthetic;

pub use replay::ReplayCamera;
pub use synthetic::SyntheticCamera;
