//! What talks to a device on a thread of its own, behind mailboxes.
//!
//! The control thread writes commands into one triple buffer and reads states from another; stop
//! requests are atomic flags. Neither side ever waits for the other, but for a beat of a device that
//! sets the pace. The bus thread looks into the mailboxes at least once a `granularity`.

use std::io::Read;
use std::os::unix::net::UnixStream;
use std::sync::atomic::{AtomicBool, AtomicU8, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use triple_buffer::{Input, Output, TripleBuffer};

use super::bus::Bus;
use super::desk::{Desk, LATCHED, Numbered, Published, Shared, heard, ring};
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

impl<F> Drop for Driver<F> {
    /// Whoever is left behind ends as soon as it looks.
    fn drop(&mut self) {
        self.shared.quit.store(true, Ordering::Release);
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
