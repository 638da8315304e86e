//! One actuator in the session: where it stands in being switched on, and what is owed by it.

use super::device::{Device, Reading, Target};
use crate::Timestamp;

/// Where an actuator stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Phase {
    /// Without commands.
    Idle,
    /// Being switched on: at this step.
    SwitchingOn(usize),
    /// Was running when the connection broke: asked where it stands before it is told anything.
    Returning,
    /// Takes commands.
    Running,
}

/// A question that is not answered yet.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Question {
    pub(super) sent: Timestamp,
    pub(super) deadline: Timestamp,
    /// The register it is about.
    pub(super) register: Option<u8>,
}

/// One actuator.
#[derive(Clone, Debug)]
pub(super) struct Joint {
    pub(super) device: Device,
    pub(super) phase: Phase,
    pub(super) question: Option<Question>,
    /// Answers missed in a row.
    pub(super) missed: u32,
    /// How often torque off is still sent until it says that it has none.
    pub(super) disable: u32,
    /// Torque off was sent for the last time, and it has not said that it has none.
    pub(super) unheard: bool,
    /// Torque off has been sent at least once.
    pub(super) off_sent: bool,
    /// An answer to something older than torque off may still come.
    pub(super) stale: bool,
    /// Torque was removed by us.
    pub(super) off: bool,
    /// What it is told at every turn.
    pub(super) target: Option<Target>,
    /// Where it was read last, as the actuator says it.
    pub(super) measured: Option<f64>,
    /// Has been read since the connection was made.
    pub(super) fresh: bool,
    /// Has said that it has torque since it was switched on.
    pub(super) seen_on: bool,
    /// Readings refused in a row because they jumped.
    pub(super) jumps: u32,
    /// Where the joint was read last, and when.
    pub(super) believed: Option<(f64, Timestamp)>,
    /// Not asked again before this time while it is idle.
    pub(super) next_ask: Timestamp,
}

impl Joint {
    pub(super) const fn new(device: Device) -> Self {
        Self {
            device,
            phase: Phase::Idle,
            question: None,
            missed: 0,
            disable: 0,
            unheard: false,
            off_sent: false,
            stale: false,
            off: false,
            target: None,
            measured: None,
            fresh: false,
            seen_on: false,
            jumps: 0,
            believed: None,
            next_ask: Timestamp::ZERO,
        }
    }

    /// The connection has gone.
    pub(super) const fn disconnected(&mut self) {
        self.question = None;
        self.stale = false;
        self.missed = 0;
        self.fresh = false;
        self.jumps = 0;
        self.believed = None;
        self.device.reset();
        // Nobody knows what has happened to it since: what it was told is not said again.
        self.target = None;
        self.phase = match self.phase {
            Phase::Running | Phase::Returning => Phase::Returning,
            Phase::Idle | Phase::SwitchingOn(_) => Phase::Idle,
        };
    }

    /// Torque is to go.
    pub(super) const fn switch_off(&mut self, tries: u32) {
        self.phase = Phase::Idle;
        self.disable = tries;
        self.unheard = false;
        self.off_sent = false;
        // One that was not answered in time may be answered yet.
        self.stale |= self.question.is_some() || self.missed > 0;
        self.off = true;
        self.target = None;
        self.question = None;
        self.device.reset();
    }

    /// Torque off is heard when an answer to it says so. One that was on its way before proves
    /// nothing; true for such a one.
    pub(super) fn is_stale(&mut self, reading: &Reading) -> bool {
        if reading.position.is_some() && std::mem::take(&mut self.stale) {
            return true;
        }
        let waits = self.off_sent && (self.disable > 0 || self.unheard);
        if waits && self.device.shows_off(reading) {
            self.disable = 0;
            self.unheard = false;
            self.question = None;
        }
        false
    }
}
