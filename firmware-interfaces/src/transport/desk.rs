//! What lies between the control thread and the thread that talks to a device: the bus thread's side
//! of it.

use std::io::{Read, Write};
use std::os::fd::AsFd;
use std::os::unix::net::UnixStream;
use std::sync::atomic::{AtomicBool, AtomicU8, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use triple_buffer::{Input, Output};

use crate::Timestamp;
use crate::robot::{BusStatistics, Command, DeviceTick, State, StopRequest};

const HOLD: u8 = 1;
const TORQUE_OFF: u8 = 2;
/// The floor under every command: nothing passes until the next arming.
pub(super) const LATCHED: u64 = u64::MAX;

/// A command with its number, so that a stop tells earlier ones from later ones.
#[derive(Clone, Copy)]
pub(super) struct Numbered {
    pub(super) number: u64,
    pub(super) command: Command,
}

/// A state with the beat it came with.
#[derive(Clone, Copy, PartialEq)]
pub(crate) struct Published {
    pub(crate) state: State,
    pub(crate) beat: Option<DeviceTick>,
}

/// What both threads see.
pub(super) struct Shared<F> {
    pub(super) stops: AtomicU8,
    /// Commands up to this number are not sent: they were handed over before the last stop or
    /// arming. Stops only raise it, so that one from the control thread does not end a latch;
    /// arming sets it.
    pub(super) floor: AtomicU64,
    pub(super) arm_requested: AtomicU64,
    pub(super) arm_served: AtomicU64,
    pub(super) arm_cancelled: AtomicU64,
    /// The request to arm that has failed for good.
    pub(super) arm_failed: AtomicU64,
    pub(super) quit: AtomicBool,
    /// When an orderly end gives up, on the run's clock.
    pub(super) quit_by: AtomicU64,
    pub(super) stops_delivered: AtomicBool,
    pub(super) counters: [AtomicU64; BusStatistics::COUNT],
    /// Taken by the bus thread when a failure is new, and for reports.
    pub(super) failure: Mutex<Option<F>>,
}

impl<F: Clone> Shared<F> {
    /// Asks for a stop that overtakes the commands up to `floor`.
    pub(super) fn stop(&self, floor: u64, request: StopRequest) {
        let flag = match request {
            StopRequest::Hold => HOLD,
            StopRequest::TorqueOff => TORQUE_OFF,
        };
        // The floor comes first: the bus thread that sees the flag must see the floor, or it would
        // send one more command behind the stop.
        self.floor.fetch_max(floor, Ordering::AcqRel);
        self.stops.fetch_or(flag, Ordering::AcqRel);
    }

    pub(super) fn failure(&self) -> Option<F> {
        self.failure.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

/// The bus thread's side of what lies between the threads.
pub(crate) struct Desk<F> {
    pub(super) shared: Arc<Shared<F>>,
    pub(super) states: Input<Published>,
    pub(super) commands: Output<Numbered>,
    /// A byte goes in with every beat.
    pub(super) bell: UnixStream,
    /// A byte arrives here with every command and stop, where that was asked for.
    pub(super) orders: Option<UnixStream>,
    pub(super) published: Published,
    pub(super) reported: Option<F>,
    pub(super) arm_seen: u64,
}

impl<F: Clone + PartialEq> Desk<F> {
    /// Until when an orderly end is wanted, once it is.
    pub(crate) fn quits(&self) -> Option<Timestamp> {
        let quit = self.shared.quit.load(Ordering::Acquire);
        quit.then(|| Timestamp::from_nanos(self.shared.quit_by.load(Ordering::Relaxed)))
    }

    /// Says, before an orderly end, whether the device has heard every stop.
    pub(crate) fn delivered(&self, delivered: bool) {
        self.shared.stops_delivered.store(delivered, Ordering::Release);
    }

    /// The stop that is asked for. One that is found together with a request to arm is the older
    /// one: arming waits for its end.
    pub(crate) fn take_stop(&mut self) -> Option<StopRequest> {
        let stops = self.shared.stops.swap(0, Ordering::AcqRel);
        if stops & TORQUE_OFF != 0 {
            Some(StopRequest::TorqueOff)
        } else {
            (stops & HOLD != 0).then_some(StopRequest::Hold)
        }
    }

    /// True once for each request to arm.
    pub(crate) fn take_arming(&mut self) -> bool {
        let asked = self.shared.arm_requested.load(Ordering::Acquire);
        let new = asked > self.arm_seen;
        self.arm_seen = self.arm_seen.max(asked);
        new
    }

    /// True when nobody waits for the last request to arm any more.
    pub(crate) fn is_arming_cancelled(&self) -> bool {
        self.shared.arm_cancelled.load(Ordering::Acquire) >= self.arm_seen
    }

    /// True when a stop from another thread lets no command pass until the next arming.
    pub(crate) fn is_latched(&self) -> bool {
        self.shared.floor.load(Ordering::Acquire) == LATCHED
    }

    /// The newest command, if there is a new one that no stop has overtaken.
    pub(crate) fn take_command(&mut self) -> Option<Command> {
        if !self.commands.update() {
            return None;
        }
        let Numbered { number, command } = *self.commands.output_buffer();
        (number > self.shared.floor.load(Ordering::Acquire)).then_some(command)
    }

    /// Waits for the next command or stop, at most for `timeout`.
    pub(crate) fn wait(&mut self, timeout: Duration) {
        let Some(orders) = &mut self.orders else { return std::thread::sleep(timeout) };
        // Of a side that has gone nothing comes any more, at once.
        if heard(orders, timeout) && matches!(orders.read(&mut [0; 64]), Ok(0)) {
            std::thread::sleep(timeout);
        }
    }

    /// Shows state, counters and failure to the other side.
    pub(crate) fn publish(
        &mut self,
        published: Published,
        statistics: &BusStatistics,
        failure: Option<F>,
    ) {
        for (shared, value) in self.shared.counters.iter().zip(statistics.to_array()) {
            shared.store(value, Ordering::Relaxed);
        }
        if failure != self.reported {
            self.reported.clone_from(&failure);
            *self.shared.failure.lock().unwrap_or_else(PoisonError::into_inner) = failure;
        }
        if published != self.published {
            let beats = published.beat != self.published.beat;
            self.published = published;
            self.states.write(published);
            if beats {
                // A bell that nobody has answered rings already.
                let _ = self.bell.write(&[1]);
            }
        }
    }

    /// Says how the last request to arm has ended. After [`publish`](Self::publish), so that whoever
    /// sees this finds the state that made it so.
    pub(crate) fn answer_arming(&self, armed: bool) {
        let ended = if armed { &self.shared.arm_served } else { &self.shared.arm_failed };
        ended.store(self.arm_seen, Ordering::Release);
    }
}

/// Waits until something can be read from `bell`, at most for `timeout`.
pub(super) fn heard(bell: &UnixStream, timeout: Duration) -> bool {
    let timeout = Timespec {
        tv_sec: timeout.as_secs().try_into().unwrap_or(i64::MAX),
        tv_nsec: timeout.subsec_nanos().into(),
    };
    let mut fds = [PollFd::from_borrowed_fd(bell.as_fd(), PollFlags::IN)];
    // Interrupted or late, whoever waits looks again.
    poll(&mut fds, Some(&timeout)).is_ok_and(|ready| ready > 0)
}

/// A bell that nobody has answered rings already.
pub(super) fn ring(mut bell: Option<&UnixStream>) {
    if let Some(bell) = &mut bell {
        let _ = bell.write(&[1]);
    }
}
