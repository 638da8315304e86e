//! From the control thread to the journal: samples over a ring that never blocks, and the
//! recorder that empties it.

mod flight;
mod overrun;
mod recorder;
mod sample;

pub use flight::FlightRecorder;
pub use recorder::{
    Observer, Recorder, RecorderError, RecorderInbox, RecorderMessages, RecorderReport,
};
pub use sample::{CycleSample, SampleSink};
