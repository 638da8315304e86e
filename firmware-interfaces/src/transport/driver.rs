//! What talks to a device on a thread of its own, behind mailboxes.
//!
//! The control thread writes commands into one triple buffer and reads states from another; stop
//! requests are atomic flags. Neither side ever waits for the other, but for a beat of a device that
//! sets the pace. The bus thread looks into the mailboxes at least once a `granularity`.

use std::io::{Read, Write};
use std::os::fd::AsFd;
use std::os::unix::net::UnixStream;
use std::sync::atomic::{AtomicBool, AtomicU8, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use triple_buffer::{Input, Output, TripleBuffer};

use super::bus::Bus;
use super::engine::{Engine, Port};
use crate::robot::{
    BusStatistics, Command, ControlMode, DeviceTick, LinkStatus, MAX_JOINTS, State, StopHandle,
    StopRequest,
};
use crate::{Clock, MonotonicClock, Timestamp};

/// Pause between two looks at a thread that is waited for.
const NAP: Duration = Duration::from_millis(1);
/// How much longer than asked the end of the thread is waited for before it is left behind.
const LAST_CHANCE: Duration = Duration::from_secs(2);

const HOLD: u8 = 1;
const TORQUE_OFF: u8 = 2;
/// The floor under every command: nothing passes until the next arming.
const LATCHED: u64 = u64::MAX;

/// A command with its number, so that a stop tells earlier ones from later ones.
#[derive(Clone, Copy)]
pub(crate) struct Numbered {
    number: u64,
    command: Command,
}

/// A state with the beat it came with.
#[derive(Clone, Copy, PartialEq)]
pub(crate) struct Published {
    pub(crate) state: State,
    pub(crate) beat: Option<DeviceTick>,
}

/// What both threads see.
pub(crate) struct Shared<F> {
    stops: AtomicU8,
    /// Commands up to this number are not sent: they were handed over before the last stop or
    /// arming. Stops only raise it, so that one from the control thread does not end a latch;
    /// arming sets it.
    floor: AtomicU64,
    arm_requested: AtomicU64,
    arm_served: AtomicU64,
    arm_cancelled: AtomicU64,
    /// The request to arm that has failed for good.
    arm_failed: AtomicU64,
    quit: AtomicBool,
    /// When an orderly end gives up, on the run's clock.
    quit_by: AtomicU64,
    stops_delivered: AtomicBool,
    counters: [AtomicU64; BusStatistics::COUNT],
    /// Taken by the bus thread when a failure is new, and for reports.
    failure: Mutex<Option<F>>,
}

impl<F: Clone> Shared<F> {
    /// Asks for a stop that overtakes the commands up to `floor`.
    fn stop(&self, floor: u64, request: StopRequest) {
        let flag = match request {
            StopRequest::Hold => HOLD,
            StopRequest::TorqueOff => TORQUE_OFF,
        };
        // The floor comes first: the bus thread that sees the flag must see the floor, or it would
        // send one more command behind the stop.
        self.floor.fetch_max(floor, Ordering::AcqRel);
        self.stops.fetch_or(flag, Ordering::AcqRel);
    }

    fn failure(&self) -> Option<F> {
        self.failure.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

/// The bus thread's side of what lies between the threads.
pub(crate) struct Desk<F> {
    shared: Arc<Shared<F>>,
    states: Input<Published>,
    commands: Output<Numbered>,
    /// A byte goes in with every beat.
    bell: UnixStream,
    /// A byte arrives here with every command and stop, where that was asked for.
    orders: Option<UnixStream>,
    published: Published,
    reported: Option<F>,
    arm_seen: u64,
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
        if heard(orders, timeout) {
            let _ = orders.read(&mut [0; 64]);
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
fn heard(bell: &UnixStream, timeout: Duration) -> bool {
    let timeout = Timespec {
        tv_sec: timeout.as_secs().try_into().unwrap_or(i64::MAX),
        tv_nsec: timeout.subsec_nanos().into(),
    };
    let mut fds = [PollFd::from_borrowed_fd(bell.as_fd(), PollFlags::IN)];
    // Interrupted or late, whoever waits looks again.
    poll(&mut fds, Some(&timeout)).is_ok_and(|ready| ready > 0)
}

/// How arming ended without success.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum NotArmed {
    /// The thread has ended.
    Ended,
    /// It cannot be, the link was lost, or nothing was confirmed within this time.
    Failed(Duration),
}

/// What a driver is made of.
pub(crate) struct Opened<E: Engine> {
    pub(crate) engine: E,
    pub(crate) port: E::Port,
    pub(crate) link: <E::Port as Port<E::Packet>>::Link,
    /// Longest time between two looks into the mailboxes.
    pub(crate) granularity: Duration,
}

/// The control thread's side.
pub(crate) struct Driver<F> {
    clock: MonotonicClock,
    shared: Arc<Shared<F>>,
    states: Output<Published>,
    commands: Input<Numbered>,
    /// A byte arrives here with every beat.
    beats: UnixStream,
    /// A byte goes in with every command and stop, where the other side waits for them.
    orders: Option<Arc<UnixStream>>,
    awaited: u64,
    number: u64,
    thread: Option<JoinHandle<()>>,
}

impl<F: Clone + PartialEq + Send + 'static> Driver<F> {
    /// Starts the bus thread, called `name`, around a protocol engine. `clock` is the run's.
    ///
    /// # Errors
    /// Those of the operating system.
    pub(crate) fn spawn<E: Engine<Failure = F>>(
        opened: Opened<E>,
        clock: MonotonicClock,
        name: &str,
    ) -> std::io::Result<Self> {
        let (mut driver, desk) = Self::pair(clock.clone())?;
        driver.start(name, move || Bus::new(opened, clock, desk).run())?;
        Ok(driver)
    }

    /// Starts `run` on a thread called `name` that waits for commands at its desk.
    ///
    /// # Errors
    /// Those of the operating system.
    pub(crate) fn spawn_waiting(
        clock: MonotonicClock,
        name: &str,
        run: impl FnOnce(Desk<F>) + Send + 'static,
    ) -> std::io::Result<Self> {
        let (mut driver, mut desk) = Self::pair(clock)?;
        let (bell, orders) = UnixStream::pair()?;
        bell.set_nonblocking(true)?;
        orders.set_nonblocking(true)?;
        driver.orders = Some(Arc::new(bell));
        desk.orders = Some(orders);
        driver.start(name, move || run(desk))?;
        Ok(driver)
    }

    fn start(&mut self, name: &str, run: impl FnOnce() + Send + 'static) -> std::io::Result<()> {
        self.thread = Some(std::thread::Builder::new().name(name.to_owned()).spawn(run)?);
        Ok(())
    }

    /// Both sides, without a thread yet.
    fn pair(clock: MonotonicClock) -> std::io::Result<(Self, Desk<F>)> {
        let shared = Arc::new(Shared {
            stops: AtomicU8::new(0),
            floor: AtomicU64::new(0),
            arm_requested: AtomicU64::new(0),
            arm_served: AtomicU64::new(0),
            arm_cancelled: AtomicU64::new(0),
            arm_failed: AtomicU64::new(0),
            quit: AtomicBool::new(false),
            quit_by: AtomicU64::new(0),
            stops_delivered: AtomicBool::new(true),
            counters: [const { AtomicU64::new(0) }; BusStatistics::COUNT],
            failure: Mutex::new(None),
        });
        let published = Published { state: State::default(), beat: None };
        let (state_input, states) = TripleBuffer::new(&published).split();
        let command = Command {
            mode: ControlMode::Position,
            position: [0.0; MAX_JOINTS],
            effort: [0.0; MAX_JOINTS],
            issued: Timestamp::ZERO,
            epoch: 0,
        };
        let (commands, command_output) =
            TripleBuffer::new(&Numbered { number: 0, command }).split();
        let (bell, beats) = UnixStream::pair()?;
        bell.set_nonblocking(true)?;
        beats.set_nonblocking(true)?;
        let desk = Desk {
            shared: Arc::clone(&shared),
            states: state_input,
            commands: command_output,
            bell,
            orders: None,
            published,
            reported: None,
            arm_seen: 0,
        };
        let (orders, thread) = (None, None);
        let driver =
            Self { clock, shared, states, commands, beats, orders, awaited: 0, number: 0, thread };
        Ok((driver, desk))
    }

    /// Asks for torque and waits until it is there.
    ///
    /// # Errors
    /// [`NotArmed`].
    pub(crate) fn arm(&mut self, timeout: Duration) -> Result<(), NotArmed> {
        self.shared.floor.store(self.number, Ordering::Release);
        let request = self.shared.arm_requested.fetch_add(1, Ordering::AcqRel) + 1;
        let started = Instant::now();
        while self.shared.arm_served.load(Ordering::Acquire) < request {
            let ended = self.thread.as_ref().is_none_or(JoinHandle::is_finished);
            let link = self.states.read().state.link;
            if ended {
                return Err(NotArmed::Ended);
            }
            let failed = self.shared.arm_failed.load(Ordering::Acquire) >= request;
            if failed || link == LinkStatus::Lost || started.elapsed() >= timeout {
                self.shared.arm_cancelled.store(request, Ordering::Release);
                return Err(NotArmed::Failed(started.elapsed()));
            }
            std::thread::sleep(NAP);
        }
        Ok(())
    }

    pub(crate) fn read(&mut self) -> &State {
        &self.states.read().state
    }

    pub(crate) fn write(&mut self, command: &Command) {
        self.number += 1;
        self.commands.write(Numbered { number: self.number, command: *command });
        ring(self.orders.as_deref());
    }

    pub(crate) fn stop(&self, request: StopRequest) {
        self.shared.stop(self.number, request);
        ring(self.orders.as_deref());
    }

    pub(crate) fn stop_handle(&self) -> Box<dyn StopHandle> {
        Box::new(Handle { shared: Arc::clone(&self.shared), orders: self.orders.clone() })
    }

    /// Waits for a beat that nobody has waited for, at most for `timeout`.
    pub(crate) fn wait(&mut self, timeout: Duration) -> Option<DeviceTick> {
        let started = Instant::now();
        loop {
            if let Some(beat) = self.states.read().beat.filter(|beat| beat.index > self.awaited) {
                self.awaited = beat.index;
                return Some(beat);
            }
            let left = timeout.checked_sub(started.elapsed()).filter(|left| !left.is_zero())?;
            // The thread that has ended rings no more.
            if heard(&self.beats, left) {
                let mut rung = [0; 64];
                if matches!(self.beats.read(&mut rung), Ok(0)) {
                    std::thread::sleep(left);
                }
            }
        }
    }

    /// Ends the thread; true if nothing was left to deliver.
    pub(crate) fn end(&mut self, timeout: Duration) -> bool {
        let Some(thread) = self.thread.take() else { return true };
        let by = self.clock.now().after(timeout);
        self.shared.quit_by.store(by.as_nanos(), Ordering::Relaxed);
        self.shared.quit.store(true, Ordering::Release);
        // The thread looks every granularity, or when a reconnection over TCP has timed out. One that
        // hangs in its port is left behind. A panic in it has been reported by the panic hook already.
        let until = Instant::now() + timeout + LAST_CHANCE;
        while !thread.is_finished() {
            if Instant::now() > until {
                return false;
            }
            std::thread::sleep(NAP);
        }
        let ended_well = thread.join().is_ok();
        ended_well && self.shared.stops_delivered.load(Ordering::Acquire)
    }

    pub(crate) fn is_lost(&mut self) -> bool {
        self.read().link == LinkStatus::Lost
    }

    pub(crate) fn statistics(&self) -> BusStatistics {
        let counters = &self.shared.counters;
        BusStatistics::from_array(std::array::from_fn(|index| {
            counters[index].load(Ordering::Relaxed)
        }))
    }

    pub(crate) fn failure(&self) -> Option<F> {
        self.shared.failure()
    }
}

/// Stops the device from another thread, as long as the bus thread lives.
struct Handle<F> {
    shared: Arc<Shared<F>>,
    orders: Option<Arc<UnixStream>>,
}

impl<F: Clone + Send> StopHandle for Handle<F> {
    fn stop(&self, request: StopRequest) {
        self.shared.stop(LATCHED, request);
        ring(self.orders.as_deref());
    }
}

/// A bell that nobody has answered rings already.
fn ring(mut bell: Option<&UnixStream>) {
    if let Some(bell) = &mut bell {
        let _ = bell.write(&[1]);
    }
}
