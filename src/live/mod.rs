//! The live view of a run: what the recorder sees, drawn on the terminal ten times a second.
//!
//! The control thread knows nothing of it. The recorder's thread fills a [`SharedFeed`]; the
//! screen's own thread copies it out, draws, and reads keys. A terminal that takes no output delays
//! neither the recorder nor the end of the run.

mod feed;
mod joints;
mod keys;
mod panels;
mod screen;
mod subject;
mod terminal;
mod view;

pub use feed::{CycleEntry, Feed, Happening, News, SharedFeed, Snapshot};
pub use keys::{Action, Keys, StopKeys};
pub use screen::{Screen, ScreenError};
pub use subject::{Subject, SubjectJoint};
pub use view::{Look, draw};

#[cfg(test)]
mod tests;
