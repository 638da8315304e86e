//! The driver: a [`Session`] on a thread of its own, behind mailboxes.
//!
//! The control thread writes commands into one triple buffer and reads states from another; stop
//! requests are atomic flags. Neither side ever waits for the other. The bus thread looks into the
//! mailboxes at least every [`GRANULARITY`].

use std::sync::atomic::{AtomicBool, AtomicU8, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use triple_buffer::{Input, Output, TripleBuffer};

use super::config::Config;
use super::session::{Failure, Session, Step};
use crate::robot::{
    BusStatistics, Command, ControlMode, LinkStatus, MAX_JOINTS, Robot, RobotDescription,
    RobotError, State, StopHandle, StopRequest,
};
use crate::transport::{Address, CONNECT_TIMEOUT, Line, Link, RECONNECT_TIMEOUT};
use crate::{Clock, MonotonicClock, Timestamp};

/// Faster figures in circulation belong to another arm of the family.
const LINE: Line = Line {
    baud_rate: 115_200,
    unreachable: "Is the arm's socket server running, the address right, and no other client \
                  connected?",
};
/// Longest time between two looks into the mailboxes.
const GRANULARITY: Duration = Duration::from_millis(1);
/// Pause before the port is opened again, growing from the first to the last.
const FIRST_BACK_OFF: Duration = Duration::from_millis(50);
const LAST_BACK_OFF: Duration = Duration::from_millis(500);
/// How long a link that was given up stays open for stops.
const LAST_WORDS: Duration = Duration::from_secs(1);
/// Time to deliver stops when the driver is dropped without [`Robot::disarm`].
const DROP_TIMEOUT: Duration = Duration::from_millis(500);
/// How much longer than asked the end of the thread is waited for before it is left behind.
const LAST_CHANCE: Duration = Duration::from_secs(2);

const HOLD: u8 = 1;
const TORQUE_OFF: u8 = 2;
/// The floor under every command: nothing passes until the next arming.
const LATCHED: u64 = u64::MAX;

/// A command with its number, so that a stop tells earlier ones from later ones.
#[derive(Clone, Copy)]
struct Numbered {
    number: u64,
    command: Command,
}

/// What both threads see.
struct Shared {
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
    failure: Mutex<Option<Failure>>,
}

impl Shared {
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

    fn failure(&self) -> Option<Failure> {
        *self.failure.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A myCobot 320 on a serial port or TCP address.
pub struct MyCobot320 {
    description: RobotDescription,
    port: String,
    clock: MonotonicClock,
    shared: Arc<Shared>,
    states: Output<State>,
    commands: Input<Numbered>,
    number: u64,
    thread: Option<JoinHandle<()>>,
}

impl MyCobot320 {
    /// Opens the port and starts the bus thread, which begins to read. The arm is neither powered
    /// nor moved before [`Robot::arm`]. `clock` is the run's.
    ///
    /// # Errors
    /// [`RobotError::Open`] when a setting is out of its range or the port cannot be opened.
    pub fn open(config: Config, clock: MonotonicClock) -> Result<Self, RobotError> {
        let port = config.port.clone();
        let refused = |reason: String, remedy: &str| RobotError::Open {
            port: port.clone(),
            reason,
            remedy: remedy.to_owned(),
        };
        config
            .validate()
            .map_err(|error| refused(error.to_string(), "Correct the robot's configuration"))?;
        let address = Address::resolve(&config.port, LINE)?;
        let link = address.open(CONNECT_TIMEOUT)?;
        let description = config.description();
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
        let (state_input, states) = TripleBuffer::new(&State::default()).split();
        let command = Command {
            mode: ControlMode::Position,
            position: [0.0; MAX_JOINTS],
            effort: [0.0; MAX_JOINTS],
            issued: Timestamp::ZERO,
            epoch: 0,
        };
        let (commands, command_output) =
            TripleBuffer::new(&Numbered { number: 0, command }).split();
        let bus = Bus {
            session: Session::new(config),
            address,
            link: Some(link),
            clock: clock.clone(),
            shared: Arc::clone(&shared),
            states: state_input,
            commands: command_output,
            published: State::default(),
            reported: None,
            arm_seen: 0,
            reopen_at: Timestamp::ZERO,
            back_off: FIRST_BACK_OFF,
            lost_since: None,
        };
        let thread = std::thread::Builder::new()
            .name("mycobot320-bus".to_owned())
            .spawn(move || bus.run())
            .map_err(|error| refused(error.to_string(), "The bus thread could not be started"))?;
        Ok(Self {
            description,
            port,
            clock,
            shared,
            states,
            commands,
            number: 0,
            thread: Some(thread),
        })
    }

    fn lost(&self) -> RobotError {
        let reason = self.last_failure().unwrap_or_else(|| "the driver has ended".to_owned());
        RobotError::Lost { port: self.port.clone(), reason }
    }

    fn arming_failed(&self, waited: Duration) -> RobotError {
        let port = self.port.clone();
        match self.shared.failure() {
            Some(failure @ (Failure::OutOfRange { .. } | Failure::Refused { .. })) => {
                RobotError::Device {
                    port,
                    fault: failure.to_string(),
                    remedy: "Move the arm into its range by hand, or update its firmware"
                        .to_owned(),
                }
            }
            Some(Failure::NoAnswer { request, .. }) => RobotError::NoAnswer {
                port,
                request,
                waited,
                remedy: "Select Transponder > USB UART on the arm's screen and stay there; check \
                         the 24 V supply"
                    .to_owned(),
            },
            Some(failure @ Failure::Port(_)) => {
                RobotError::Lost { port, reason: failure.to_string() }
            }
            Some(failure @ Failure::PowerLost) => RobotError::Device {
                port,
                fault: failure.to_string(),
                remedy: "Check the 24 V supply, and arm again".to_owned(),
            },
            Some(failure) => RobotError::Device {
                port,
                fault: failure.to_string(),
                remedy: "Does another program talk to the arm, or is the cable noisy?".to_owned(),
            },
            None => RobotError::NoAnswer {
                port,
                request: "GetAngles",
                waited,
                remedy: "Is the timeout too short, or the arm without power?".to_owned(),
            },
        }
    }

    /// Ends the thread; true if nothing was left to deliver.
    fn end(&mut self, timeout: Duration) -> bool {
        let Some(thread) = self.thread.take() else { return true };
        let by = self.clock.now().after(timeout);
        self.shared.quit_by.store(by.as_nanos(), Ordering::Relaxed);
        self.shared.quit.store(true, Ordering::Release);
        // The thread looks every millisecond, or when a reconnection over TCP has timed out. One that
        // hangs in its port is left behind. A panic in it has been reported by the panic hook already.
        let until = Instant::now() + timeout + LAST_CHANCE;
        while !thread.is_finished() {
            if Instant::now() > until {
                return false;
            }
            std::thread::sleep(GRANULARITY);
        }
        let ended_well = thread.join().is_ok();
        ended_well && self.shared.stops_delivered.load(Ordering::Acquire)
    }
}

impl Robot for MyCobot320 {
    fn description(&self) -> &RobotDescription {
        &self.description
    }

    fn arm(&mut self, timeout: Duration) -> Result<(), RobotError> {
        self.shared.floor.store(self.number, Ordering::Release);
        let request = self.shared.arm_requested.fetch_add(1, Ordering::AcqRel) + 1;
        let started = Instant::now();
        while self.shared.arm_served.load(Ordering::Acquire) < request {
            let ended = self.thread.as_ref().is_none_or(JoinHandle::is_finished);
            let link = self.states.read().link;
            if ended {
                return Err(self.lost());
            }
            if link == LinkStatus::Lost || started.elapsed() >= timeout {
                self.shared.arm_cancelled.store(request, Ordering::Release);
                return Err(self.arming_failed(started.elapsed()));
            }
            std::thread::sleep(GRANULARITY);
        }
        Ok(())
    }

    fn read(&mut self, _now: Timestamp, state: &mut State) {
        *state = *self.states.read();
    }

    fn write(&mut self, _now: Timestamp, command: &Command) {
        self.number += 1;
        self.commands.write(Numbered { number: self.number, command: *command });
    }

    fn stop(&mut self, _now: Timestamp, request: StopRequest) {
        self.shared.stop(self.number, request);
    }

    fn stop_handle(&self) -> Option<Box<dyn StopHandle>> {
        Some(Box::new(Handle { shared: Arc::clone(&self.shared) }))
    }

    fn disarm(&mut self, timeout: Duration) -> Result<(), RobotError> {
        if self.end(timeout) {
            return Ok(());
        }
        if self.states.read().link == LinkStatus::Lost {
            return Err(self.lost());
        }
        Err(RobotError::NoAnswer {
            port: self.port.clone(),
            request: "stop request",
            waited: timeout,
            remedy: "The arm may still be moving: cut its power".to_owned(),
        })
    }

    fn statistics(&self) -> BusStatistics {
        let counters = &self.shared.counters;
        BusStatistics::from_array(std::array::from_fn(|index| {
            counters[index].load(Ordering::Relaxed)
        }))
    }

    fn last_failure(&self) -> Option<String> {
        self.shared.failure().map(|failure| failure.to_string())
    }
}

impl Drop for MyCobot320 {
    fn drop(&mut self) {
        self.end(DROP_TIMEOUT);
    }
}

/// Stops the arm from another thread, as long as the bus thread lives.
struct Handle {
    shared: Arc<Shared>,
}

impl StopHandle for Handle {
    fn stop(&self, request: StopRequest) {
        self.shared.stop(LATCHED, request);
    }
}

/// The bus thread's side.
struct Bus {
    session: Session,
    address: Address,
    link: Option<Link>,
    clock: MonotonicClock,
    shared: Arc<Shared>,
    states: Input<State>,
    commands: Output<Numbered>,
    published: State,
    reported: Option<Failure>,
    arm_seen: u64,
    reopen_at: Timestamp,
    back_off: Duration,
    lost_since: Option<Timestamp>,
}

impl Bus {
    fn run(mut self) {
        self.session.connected(self.clock.now());
        let mut buffer = [0; 256];
        loop {
            let quit = self.shared.quit.load(Ordering::Acquire);
            self.take_requests();
            self.reopen();
            let wait = self.talk();
            self.publish();
            if quit {
                let delivered = !self.session.is_stopping();
                let by = Timestamp::from_nanos(self.shared.quit_by.load(Ordering::Relaxed));
                let mute = self.is_lost() && self.link.is_none();
                if delivered || mute || self.clock.now() >= by {
                    let heard = delivered && !self.session.is_unheard();
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
            self.session.stop(StopRequest::TorqueOff);
        } else if stops & HOLD != 0 {
            self.session.stop(StopRequest::Hold);
        }
        let asked = self.shared.arm_requested.load(Ordering::Acquire);
        if asked > self.arm_seen {
            self.arm_seen = asked;
            self.session.arm(now);
        }
        if self.shared.arm_cancelled.load(Ordering::Acquire) >= self.arm_seen {
            self.session.cancel_arming();
        }
        if self.commands.update() {
            let Numbered { number, command } = *self.commands.output_buffer();
            if number > self.shared.floor.load(Ordering::Acquire) {
                self.session.command(&command);
            }
        }
    }

    /// Opens a closed port when it is time to try again.
    fn reopen(&mut self) {
        let now = self.clock.now();
        // A link that was given up is never opened again: by now another arm may be behind its name.
        if self.link.is_some() || self.is_lost() || now < self.reopen_at {
            return;
        }
        match self.address.open(RECONNECT_TIMEOUT) {
            Ok(link) => {
                self.link = Some(link);
                self.session.connected(self.clock.now());
            }
            Err(_) => self.retry_later(),
        }
    }

    /// Closes a link that was given up, but not at once: whoever learns of it may still want to say
    /// a stop, and the arm may still be listening.
    fn hang_up(&mut self, now: Timestamp) {
        if !self.is_lost() {
            return;
        }
        let since = *self.lost_since.get_or_insert(now);
        if now.since(since) > LAST_WORDS && !self.session.is_stopping() {
            self.link = None;
        }
    }

    fn is_lost(&self) -> bool {
        self.session.state().link == LinkStatus::Lost
    }

    fn retry_later(&mut self) {
        self.reopen_at = self.clock.now().after(self.back_off);
        self.back_off = (self.back_off * 2).min(LAST_BACK_OFF);
    }

    /// Sends what the session wants sent; returns how long it has nothing to send.
    fn talk(&mut self) -> Duration {
        loop {
            if self.is_lost() && self.link.is_none() {
                return GRANULARITY;
            }
            let now = self.clock.now();
            match self.session.poll(now) {
                Step::Wait(due) => {
                    self.hang_up(now);
                    return due.since(now);
                }
                Step::Transmit(frame) => {
                    let Some(link) = &mut self.link else { return GRANULARITY };
                    if let Err(kind) = link.send(frame.as_bytes()) {
                        self.close(Failure::Port(kind));
                    }
                }
                Step::Disconnect(failure) => self.close(failure),
            }
        }
    }

    /// Waits for bytes, but not long.
    fn listen(&mut self, buffer: &mut [u8], wait: Duration) {
        let wait = wait.min(GRANULARITY);
        let Some(link) = &mut self.link else { return std::thread::sleep(GRANULARITY) };
        match link.receive(buffer, wait) {
            Ok(count) => {
                let bytes = buffer.get(..count).unwrap_or_default();
                self.session.receive(self.clock.now(), bytes);
            }
            Err(kind) => self.close(Failure::Port(kind)),
        }
    }

    fn close(&mut self, failure: Failure) {
        self.link = None;
        self.session.disconnected(self.clock.now(), failure);
        self.retry_later();
    }

    /// Shows state, counters and failure to the other side.
    fn publish(&mut self) {
        let state = self.session.state();
        if *state != self.published {
            self.published = *state;
            self.states.write(*state);
        }
        if state.link == LinkStatus::Up {
            self.back_off = FIRST_BACK_OFF;
        }
        let counters = self.session.statistics().to_array();
        for (shared, value) in self.shared.counters.iter().zip(counters) {
            shared.store(value, Ordering::Relaxed);
        }
        let failure = self.session.failure();
        if failure != self.reported {
            self.reported = failure;
            *self.shared.failure.lock().unwrap_or_else(PoisonError::into_inner) = failure;
        }
        // After the state, so that whoever sees this finds the state that made it true.
        if self.session.is_armed() {
            self.shared.arm_served.store(self.arm_seen, Ordering::Release);
        }
    }
}
