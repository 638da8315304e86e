//! A protocol engine on a thread of its own, behind mailboxes.
//!
//! The control thread writes commands into one triple buffer and reads states from another; stop
//! requests are atomic flags. Neither side ever waits for the other, but for a beat of a device that
//! sets the pace. The bus thread looks into the mailboxes at least once a `granularity`.

use std::fmt::Display;
use std::io::{ErrorKind, Read, Write};
use std::os::fd::AsFd;
use std::os::unix::net::UnixStream;
use std::sync::atomic::{AtomicBool, AtomicU8, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use triple_buffer::{Input, Output, TripleBuffer};

use super::{Address, Link, RECONNECT_TIMEOUT};
use crate::robot::{
    BusStatistics, Command, ControlMode, DeviceTick, LinkStatus, MAX_JOINTS, State, StopHandle,
    StopRequest,
};
use crate::{Clock, MonotonicClock, Timestamp};

/// Pause before the port is opened again, growing from the first to the last.
const FIRST_BACK_OFF: Duration = Duration::from_millis(50);
const LAST_BACK_OFF: Duration = Duration::from_millis(500);
/// How long a link that was given up stays open for stops.
const LAST_WORDS: Duration = Duration::from_secs(1);
/// Pause between two looks at a thread that is waited for.
const NAP: Duration = Duration::from_millis(1);
/// How much longer than asked the end of the thread is waited for before it is left behind.
const LAST_CHANCE: Duration = Duration::from_secs(2);

const HOLD: u8 = 1;
const TORQUE_OFF: u8 = 2;
/// The floor under every command: nothing passes until the next arming.
const LATCHED: u64 = u64::MAX;

/// What the owner of a protocol engine does next.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Step<P, F> {
    /// Send these bytes now and poll again.
    Transmit(P),
    /// Nothing before this time, unless bytes arrive.
    Wait(Timestamp),
    /// Close the port, and open it again.
    Disconnect(F),
}

/// A device's protocol as a state machine without I/O and clock.
pub(crate) trait Engine: Send + 'static {
    /// Bytes that go out together.
    type Packet: AsRef<[u8]>;
    /// What can go wrong.
    type Failure: Copy + PartialEq + Display + Send + 'static;

    fn port_failed(kind: ErrorKind) -> Self::Failure;
    fn connected(&mut self, now: Timestamp);
    fn disconnected(&mut self, now: Timestamp, failure: Self::Failure);
    fn arm(&mut self, now: Timestamp);
    fn cancel_arming(&mut self);
    fn is_armed(&self) -> bool;
    fn command(&mut self, now: Timestamp, command: &Command);
    fn stop(&mut self, now: Timestamp, request: StopRequest);
    fn is_stopping(&self) -> bool;
    fn is_unheard(&self) -> bool;
    fn receive(&mut self, now: Timestamp, bytes: &[u8]);
    fn poll(&mut self, now: Timestamp) -> Step<Self::Packet, Self::Failure>;
    fn state(&self) -> &State;
    /// The newest beat of a device that sets the pace.
    fn beat(&self) -> Option<DeviceTick>;
    fn statistics(&self) -> &BusStatistics;
    fn failure(&self) -> Option<Self::Failure>;
}

/// A command with its number, so that a stop tells earlier ones from later ones.
#[derive(Clone, Copy)]
struct Numbered {
    number: u64,
    command: Command,
}

/// A state with the beat it came with.
#[derive(Clone, Copy, PartialEq)]
struct Published {
    state: State,
    beat: Option<DeviceTick>,
}

/// What both threads see.
struct Shared<F> {
    stops: AtomicU8,
    /// Commands up to this number are not sent: they were handed over before the last stop or
    /// arming. Stops only raise it, so that one from the control thread does not end a latch;
    /// arming sets it.
    floor: AtomicU64,
    arm_requested: AtomicU64,
    arm_served: AtomicU64,
    arm_cancelled: AtomicU64,
    quit: AtomicBool,
    /// When an orderly end gives up, on the run's clock.
    quit_by: AtomicU64,
    stops_delivered: AtomicBool,
    counters: [AtomicU64; BusStatistics::COUNT],
    /// Taken by the bus thread when a failure is new, and for reports.
    failure: Mutex<Option<F>>,
}

impl<F: Copy> Shared<F> {
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
        *self.failure.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// How arming ended without success.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum NotArmed {
    /// The thread has ended.
    Ended,
    /// The link was lost, or nothing was confirmed within this time.
    Failed(Duration),
}

/// What a driver is made of.
pub(crate) struct Opened<E> {
    pub(crate) engine: E,
    pub(crate) address: Address,
    pub(crate) link: Link,
    /// Longest time between two looks into the mailboxes.
    pub(crate) granularity: Duration,
}

/// The control thread's side.
pub(crate) struct Driver<E: Engine> {
    clock: MonotonicClock,
    shared: Arc<Shared<E::Failure>>,
    states: Output<Published>,
    commands: Input<Numbered>,
    /// A byte arrives here with every beat.
    beats: UnixStream,
    awaited: u64,
    number: u64,
    thread: Option<JoinHandle<()>>,
}

impl<E: Engine> Driver<E> {
    /// Starts the bus thread, called `name`. `clock` is the run's.
    ///
    /// # Errors
    /// Those of the operating system.
    pub(crate) fn spawn(
        opened: Opened<E>,
        clock: MonotonicClock,
        name: &str,
    ) -> std::io::Result<Self> {
        let shared = Arc::new(Shared {
            stops: AtomicU8::new(0),
            floor: AtomicU64::new(0),
            arm_requested: AtomicU64::new(0),
            arm_served: AtomicU64::new(0),
            arm_cancelled: AtomicU64::new(0),
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
        let bus = Bus {
            engine: opened.engine,
            address: opened.address,
            link: Some(opened.link),
            granularity: opened.granularity,
            clock: clock.clone(),
            shared: Arc::clone(&shared),
            states: state_input,
            commands: command_output,
            bell,
            published,
            reported: None,
            arm_seen: 0,
            reopen_at: Timestamp::ZERO,
            back_off: FIRST_BACK_OFF,
            lost_since: None,
        };
        let thread = std::thread::Builder::new().name(name.to_owned()).spawn(move || bus.run())?;
        let thread = Some(thread);
        Ok(Self { clock, shared, states, commands, beats, awaited: 0, number: 0, thread })
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
            if link == LinkStatus::Lost || started.elapsed() >= timeout {
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
    }

    pub(crate) fn stop(&self, request: StopRequest) {
        self.shared.stop(self.number, request);
    }

    pub(crate) fn stop_handle(&self) -> Box<dyn StopHandle> {
        Box::new(Handle { shared: Arc::clone(&self.shared) })
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
            let timeout = Timespec {
                tv_sec: left.as_secs().try_into().unwrap_or(i64::MAX),
                tv_nsec: left.subsec_nanos().into(),
            };
            let mut fds = [PollFd::from_borrowed_fd(self.beats.as_fd(), PollFlags::IN)];
            // Interrupted or late, the loop looks again; the thread that has ended rings no more.
            if poll(&mut fds, Some(&timeout)).is_ok_and(|ready| ready > 0) {
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

    pub(crate) fn failure(&self) -> Option<E::Failure> {
        self.shared.failure()
    }
}

/// Stops the device from another thread, as long as the bus thread lives.
struct Handle<F> {
    shared: Arc<Shared<F>>,
}

impl<F: Copy + Send> StopHandle for Handle<F> {
    fn stop(&self, request: StopRequest) {
        self.shared.stop(LATCHED, request);
    }
}

/// The bus thread's side.
struct Bus<E: Engine> {
    engine: E,
    address: Address,
    link: Option<Link>,
    granularity: Duration,
    clock: MonotonicClock,
    shared: Arc<Shared<E::Failure>>,
    states: Input<Published>,
    commands: Output<Numbered>,
    bell: UnixStream,
    published: Published,
    reported: Option<E::Failure>,
    arm_seen: u64,
    reopen_at: Timestamp,
    back_off: Duration,
    lost_since: Option<Timestamp>,
}

impl<E: Engine> Bus<E> {
    fn run(mut self) {
        self.engine.connected(self.clock.now());
        let mut buffer = [0; 1024];
        loop {
            let quit = self.shared.quit.load(Ordering::Acquire);
            self.take_requests();
            self.reopen();
            let wait = self.talk();
            self.publish();
            if quit {
                let delivered = !self.engine.is_stopping();
                let by = Timestamp::from_nanos(self.shared.quit_by.load(Ordering::Relaxed));
                let mute = self.is_lost() && self.link.is_none();
                if delivered || mute || self.clock.now() >= by {
                    let heard = delivered && !self.engine.is_unheard();
                    self.shared.stops_delivered.store(heard, Ordering::Release);
                    return;
                }
            }
            self.listen(&mut buffer, wait);
        }
    }

    /// Looks into the mailboxes.
    fn take_requests(&mut self) {
        let now = self.clock.now();
        // A stop found together with a request to arm is the older one: arming waits for its end.
        let stops = self.shared.stops.swap(0, Ordering::AcqRel);
        if stops & TORQUE_OFF != 0 {
            self.engine.stop(now, StopRequest::TorqueOff);
        } else if stops & HOLD != 0 {
            self.engine.stop(now, StopRequest::Hold);
        }
        let asked = self.shared.arm_requested.load(Ordering::Acquire);
        if asked > self.arm_seen {
            self.arm_seen = asked;
            self.engine.arm(now);
        }
        if self.shared.arm_cancelled.load(Ordering::Acquire) >= self.arm_seen {
            self.engine.cancel_arming();
        }
        if self.commands.update() {
            let Numbered { number, command } = *self.commands.output_buffer();
            if number > self.shared.floor.load(Ordering::Acquire) {
                self.engine.command(now, &command);
            }
        }
    }

    /// Opens a closed port when it is time to try again.
    fn reopen(&mut self) {
        let now = self.clock.now();
        // A link that was given up is never opened again: by now another device may be behind its
        // name.
        if self.link.is_some() || self.is_lost() || now < self.reopen_at {
            return;
        }
        match self.address.open(RECONNECT_TIMEOUT) {
            Ok(link) => {
                self.link = Some(link);
                self.engine.connected(self.clock.now());
            }
            Err(_) => self.retry_later(),
        }
    }

    /// Closes a link that was given up, but not at once: whoever learns of it may still want to say
    /// a stop, and the device may still be listening.
    fn hang_up(&mut self, now: Timestamp) {
        if !self.is_lost() {
            return;
        }
        let since = *self.lost_since.get_or_insert(now);
        if now.since(since) > LAST_WORDS && !self.engine.is_stopping() {
            self.link = None;
        }
    }

    fn is_lost(&self) -> bool {
        self.engine.state().link == LinkStatus::Lost
    }

    fn retry_later(&mut self) {
        self.reopen_at = self.clock.now().after(self.back_off);
        self.back_off = (self.back_off * 2).min(LAST_BACK_OFF);
    }

    /// Sends what the engine wants sent; returns how long it has nothing to send.
    fn talk(&mut self) -> Duration {
        loop {
            if self.is_lost() && self.link.is_none() {
                return self.granularity;
            }
            let now = self.clock.now();
            match self.engine.poll(now) {
                Step::Wait(due) => {
                    self.hang_up(now);
                    return due.since(now);
                }
                Step::Transmit(packet) => {
                    let Some(link) = &mut self.link else { return self.granularity };
                    if let Err(kind) = link.send(packet.as_ref()) {
                        self.close(E::port_failed(kind));
                    }
                }
                Step::Disconnect(failure) => self.close(failure),
            }
        }
    }

    /// Waits for bytes, but not long.
    fn listen(&mut self, buffer: &mut [u8], wait: Duration) {
        let wait = wait.min(self.granularity);
        let Some(link) = &mut self.link else { return std::thread::sleep(self.granularity) };
        match link.receive(buffer, wait) {
            Ok(count) => {
                let bytes = buffer.get(..count).unwrap_or_default();
                self.engine.receive(self.clock.now(), bytes);
            }
            Err(kind) => self.close(E::port_failed(kind)),
        }
    }

    fn close(&mut self, failure: E::Failure) {
        self.link = None;
        self.engine.disconnected(self.clock.now(), failure);
        self.retry_later();
    }

    /// Shows state, counters and failure to the other side.
    fn publish(&mut self) {
        let published = Published { state: *self.engine.state(), beat: self.engine.beat() };
        if published.state.link == LinkStatus::Up {
            self.back_off = FIRST_BACK_OFF;
        }
        let counters = self.engine.statistics().to_array();
        for (shared, value) in self.shared.counters.iter().zip(counters) {
            shared.store(value, Ordering::Relaxed);
        }
        let failure = self.engine.failure();
        if failure != self.reported {
            self.reported = failure;
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
        // After the state, so that whoever sees this finds the state that made it true.
        if self.engine.is_armed() {
            self.shared.arm_served.store(self.arm_seen, Ordering::Release);
        }
    }
}
