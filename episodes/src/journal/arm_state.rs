//! The states of the arm, and their numbers in the journal.

use serde::Serialize;

/// State of the arm.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
#[repr(u8)]
pub enum ArmState {
    /// No commands are sent.
    #[default]
    Disarmed = 0,
    /// Commands hold the arm where it is.
    Holding = 1,
    /// Commands follow the target source.
    Running = 2,
    /// Commands ramp the arm to its rest pose, or to a stand.
    Stopping = 3,
    /// Latched: no commands are sent until a person arms again.
    Faulted = 4,
}

impl ArmState {
    /// Every state, in the order of their numbers in the journal.
    pub const ALL: [Self; 5] =
        [Self::Disarmed, Self::Holding, Self::Running, Self::Stopping, Self::Faulted];

    /// Name in tables and files.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Disarmed => "disarmed",
            Self::Holding => "holding",
            Self::Running => "running",
            Self::Stopping => "stopping",
            Self::Faulted => "faulted",
        }
    }
}

/// Name of an arm state in [`CycleRecord::state`](super::CycleRecord::state).
pub fn state_name(state: u8) -> &'static str {
    ArmState::ALL.get(usize::from(state)).map_or("unknown", |state| state.name())
}
