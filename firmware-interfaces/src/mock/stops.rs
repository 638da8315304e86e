//! Stops from other threads.

use std::sync::Arc;
use std::sync::atomic::{AtomicU8, AtomicU64, Ordering};

use crate::robot::{StopHandle, StopRequest};
use crate::{Clock, Timestamp};

const HOLD: u8 = 1;
const TORQUE_OFF: u8 = 2;
const NEVER: u64 = u64::MAX;

/// What was asked for since the last arming, and when first.
#[derive(Debug)]
pub(super) struct Stops {
    asked: AtomicU8,
    since: AtomicU64,
}

impl Stops {
    pub(super) const fn new() -> Self {
        Self { asked: AtomicU8::new(0), since: AtomicU64::new(NEVER) }
    }

    /// True from a stop on, until the next arming.
    pub(super) fn is_latched(&self) -> bool {
        self.asked.load(Ordering::Acquire) != 0
    }

    /// True when torque off is among what was asked for.
    pub(super) fn wants_torque_off(&self) -> bool {
        self.asked.load(Ordering::Acquire) & TORQUE_OFF != 0
    }

    /// A request that the device must have heard by `time` and that is not in `served`, which it
    /// joins. The device is computed after the fact, so the time of the request counts.
    pub(super) fn take(&self, time: Timestamp, served: &mut u8) -> Option<StopRequest> {
        let new = self.asked.load(Ordering::Acquire) & !*served;
        if new == 0 {
            return None;
        }
        let since = self.since.load(Ordering::Acquire);
        // A request whose time an arming has just wiped away is served at once.
        if since != NEVER && Timestamp::from_nanos(since) > time {
            return None;
        }
        *served |= new;
        let torque_off = new & TORQUE_OFF != 0;
        Some(if torque_off { StopRequest::TorqueOff } else { StopRequest::Hold })
    }

    /// Ends the latch: the arm is being armed again.
    pub(super) fn release(&self) {
        self.since.store(NEVER, Ordering::Release);
        self.asked.store(0, Ordering::Release);
    }
}

/// The handle that other threads hold.
pub(super) struct Handle {
    pub(super) stops: Arc<Stops>,
    pub(super) clock: Arc<dyn Clock>,
}

impl StopHandle for Handle {
    fn stop(&self, request: StopRequest) {
        let flag = match request {
            StopRequest::Hold => HOLD,
            StopRequest::TorqueOff => TORQUE_OFF,
        };
        self.stops.since.fetch_min(self.clock.now().as_nanos(), Ordering::AcqRel);
        self.stops.asked.fetch_or(flag, Ordering::AcqRel);
    }
}
