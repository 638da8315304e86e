//! The hand on threads of its own: its movements take seconds.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use super::config::{GripperConfig, width};
use super::failure::Failure;
use crate::franka::RobotModel;
use crate::{Clock, MonotonicClock, Timestamp};

/// Changes of the wanted width that are not worth a movement, m.
const WORTH: f64 = 0.002;
/// How far the wanted width has to turn back before a movement is broken off, m.
const TURN: f64 = 0.01;
/// How long a hand may take for its first width.
const FIRST_WIDTH: Duration = Duration::from_secs(3);
/// How long the threads may take to end.
const LAST_WORDS: Duration = Duration::from_secs(2);
/// How often the wanted width is looked at.
const LOOK: Duration = Duration::from_millis(5);
/// How far a grasped object's width may be from the one that was asked for, m.
pub(super) const ANY_WIDTH: f64 = 0.08;

/// What the hand is told.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Order {
    /// Go to this width, m.
    Move(f64),
    /// Close to this width, m, and hold what is between the fingers with this force, N.
    Grasp(f64, f64),
}

/// Decides what the hand is told: pure.
#[derive(Clone, Copy, Debug)]
pub(super) struct Fingers {
    force: Option<f64>,
    /// Width that was ordered last.
    ordered: Option<f64>,
    /// Whether that was to hold what is there.
    holds: bool,
}

impl Fingers {
    pub const fn new(config: &GripperConfig) -> Self {
        Self { force: config.force, ordered: None, holds: false }
    }

    /// The next order, when `wanted` is worth one and the hand is at `measured`.
    pub fn order(&mut self, wanted: f64, measured: f64) -> Option<Order> {
        let from = self.ordered.unwrap_or(measured);
        let worth = |from: f64| (wanted - from).abs() >= WORTH;
        // Fingers that cannot be seen are not moved; what they hold where it is wanted is not let go.
        if !wanted.is_finite() || !measured.is_finite() || !worth(from) {
            return None;
        }
        if self.holds && !worth(measured) {
            return None;
        }
        self.ordered = Some(wanted);
        let closes = wanted < measured - WORTH;
        self.holds = closes && self.force.is_some();
        Some(match self.force {
            Some(force) if closes => Order::Grasp(wanted, force),
            _ => Order::Move(wanted),
        })
    }

    /// The movement to the last order was broken off, or failed: it may be wanted again.
    pub fn forget(&mut self) {
        if !self.holds {
            self.ordered = None;
        }
    }

    /// Whether the last order was to hold what is there.
    pub const fn holds(&self) -> bool {
        self.holds
    }

    /// Whether the movement to the last order is to be broken off, because the hand is wanted the
    /// other way.
    pub fn turns(&self, wanted: f64, measured: f64) -> bool {
        self.ordered.is_some_and(|ordered| {
            let (under_way, now) = (ordered - measured, wanted - measured);
            under_way * now < 0.0 && now.abs() > TURN
        })
    }
}

/// Numbers that cross between threads; `NaN` is none.
struct Shared {
    wanted: AtomicU64,
    width: AtomicU64,
    at: AtomicU64,
    moving: AtomicBool,
    quit: AtomicBool,
    /// A movement under way is to end.
    halt: AtomicBool,
    failure: Mutex<Option<Failure>>,
    fingers: Mutex<Fingers>,
}

impl Shared {
    fn number(cell: &AtomicU64) -> f64 {
        f64::from_bits(cell.load(Ordering::Relaxed))
    }

    fn fail(&self, arm: RobotModel, error: franka::FrankaError) {
        let failure = match Failure::of("the hand", arm, error) {
            Failure::Network(said) => Failure::Gripper(said),
            other => Failure::Gripper(other.to_string()),
        };
        *self.failure.lock().unwrap_or_else(PoisonError::into_inner) = Some(failure);
    }

    fn fingers<T>(&self, look: impl FnOnce(&mut Fingers) -> T) -> T {
        look(&mut self.fingers.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

/// The arm's thread's side.
#[derive(Clone)]
pub(super) struct HandPort(Arc<Shared>);

impl HandPort {
    /// Asks for an opening, 0 to 1.
    pub fn want(&self, opening: f64) {
        self.0.wanted.store(width(opening).to_bits(), Ordering::Relaxed);
    }

    /// Breaks off a movement; what is held is held on.
    pub fn halt(&self) {
        self.0.wanted.store(f64::NAN.to_bits(), Ordering::Relaxed);
        self.0.halt.store(true, Ordering::Release);
    }

    /// What is wrong with the hand.
    pub fn failure(&self) -> Option<Failure> {
        self.0.failure.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// The last width, in m, and when it was measured; `None` where it is not known any more.
    pub fn width(&self) -> Option<(Timestamp, f64)> {
        let width = Shared::number(&self.0.width);
        width.is_finite().then(|| (Timestamp::from_nanos(self.0.at.load(Ordering::Relaxed)), width))
    }
}

/// The connection to a hand. It ends when dropped.
pub(super) struct HandThreads {
    shared: Arc<Shared>,
    gripper: Arc<franka::Gripper>,
    threads: Vec<JoinHandle<()>>,
}

impl HandThreads {
    /// Connects, and starts reading.
    pub fn open(
        address: &str,
        config: GripperConfig,
        arm: RobotModel,
        clock: MonotonicClock,
    ) -> Result<Self, Failure> {
        let failed = |error: franka::FrankaError| Failure::Gripper(error.to_string());
        let gripper = Arc::new(franka::Gripper::new(address).map_err(failed)?);
        let none = || AtomicU64::new(f64::NAN.to_bits());
        let shared = Arc::new(Shared {
            wanted: none(),
            width: none(),
            at: AtomicU64::new(0),
            moving: AtomicBool::new(false),
            quit: AtomicBool::new(false),
            halt: AtomicBool::new(false),
            failure: Mutex::new(None),
            fingers: Mutex::new(Fingers::new(&config)),
        });
        let mut hand = Self { shared, gripper, threads: Vec::new() };
        let (shared, gripper) = (Arc::clone(&hand.shared), Arc::clone(&hand.gripper));
        hand.start("franka-hand", move || read(&shared, &gripper, arm, &clock))?;
        let begun = Instant::now();
        while hand.port().width().is_none() {
            if let Some(failure) = hand.failure() {
                return Err(failure);
            }
            if begun.elapsed() > FIRST_WIDTH {
                return Err(Failure::Gripper("it says no width".to_owned()));
            }
            std::thread::sleep(LOOK);
        }
        let (shared, gripper) = (Arc::clone(&hand.shared), Arc::clone(&hand.gripper));
        hand.start("franka-fingers", move || move_fingers(&shared, &gripper, config.speed, arm))?;
        Ok(hand)
    }

    fn start(&mut self, name: &str, run: impl FnOnce() + Send + 'static) -> Result<(), Failure> {
        let thread = std::thread::Builder::new().name(name.to_owned()).spawn(run);
        self.threads.push(thread.map_err(|error| Failure::Gripper(error.to_string()))?);
        Ok(())
    }

    pub fn port(&self) -> HandPort {
        HandPort(Arc::clone(&self.shared))
    }

    pub fn failure(&self) -> Option<Failure> {
        self.port().failure()
    }
}

impl Drop for HandThreads {
    fn drop(&mut self) {
        self.shared.halt.store(true, Ordering::Release);
        self.shared.quit.store(true, Ordering::Release);
        // The library waits for answers as long as TCP does: a hand that has gone is left behind.
        let begun = Instant::now();
        for thread in self.threads.drain(..) {
            while !thread.is_finished() && begun.elapsed() < LAST_WORDS {
                std::thread::sleep(LOOK);
            }
            if thread.is_finished() {
                let _ = thread.join();
            }
        }
    }
}

/// Reads widths, and breaks off movements that are not wanted any more.
fn read(shared: &Shared, gripper: &franka::Gripper, arm: RobotModel, clock: &MonotonicClock) {
    loop {
        let halt = shared.halt.swap(false, Ordering::AcqRel);
        let moving = shared.moving.load(Ordering::Acquire);
        if halt && moving && !shared.fingers(|fingers| fingers.holds()) {
            let _ = gripper.stop();
        }
        if shared.quit.load(Ordering::Acquire) {
            return;
        }
        let state = match gripper.read_once() {
            Ok(state) => state,
            Err(error) => {
                shared.width.store(f64::NAN.to_bits(), Ordering::Relaxed);
                return shared.fail(arm, error);
            }
        };
        shared.at.store(clock.now().as_nanos(), Ordering::Relaxed);
        shared.width.store(state.width.to_bits(), Ordering::Relaxed);
        let wanted = Shared::number(&shared.wanted);
        let turns = || shared.fingers(|fingers| fingers.turns(wanted, state.width));
        if shared.moving.load(Ordering::Acquire) && turns() {
            let _ = gripper.stop();
        }
    }
}

/// Moves the fingers to where they are wanted. A movement that an object or a stop ends early has
/// done what it could.
fn move_fingers(shared: &Shared, gripper: &franka::Gripper, speed: f64, arm: RobotModel) {
    while !shared.quit.load(Ordering::Acquire) {
        let (wanted, measured) = (Shared::number(&shared.wanted), Shared::number(&shared.width));
        let Some(order) = shared.fingers(|fingers| fingers.order(wanted, measured)) else {
            std::thread::sleep(LOOK);
            continue;
        };
        shared.moving.store(true, Ordering::Release);
        let done = match order {
            Order::Move(width) => gripper.move_gripper(width, speed),
            Order::Grasp(width, force) => gripper.grasp(width, speed, force, ANY_WIDTH, ANY_WIDTH),
        };
        shared.moving.store(false, Ordering::Release);
        match done {
            Err(error @ franka::FrankaError::Network(_)) => return shared.fail(arm, error),
            // Broken off, by a stop or another order.
            Err(_) => shared.fingers(Fingers::forget),
            Ok(_) => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn small_changes_move_nothing_and_closing_takes_hold() {
        let mut fingers = Fingers::new(&GripperConfig { speed: 0.1, force: Some(20.0) });
        assert_eq!(fingers.order(f64::NAN, 0.08), None, "nothing was wanted yet");
        assert_eq!(fingers.order(0.0795, 0.08), None);
        assert_eq!(fingers.order(0.02, 0.08), Some(Order::Grasp(0.02, 20.0)));
        assert_eq!(fingers.order(0.0205, 0.05), None, "under way already");
        assert_eq!(fingers.order(0.03, 0.0305), None, "what is held is not let go");
        assert!(!fingers.turns(0.03, 0.05));
        assert!(fingers.turns(0.08, 0.05));
        assert_eq!(fingers.order(0.08, 0.05), Some(Order::Move(0.08)));
        fingers.forget();
        assert_eq!(
            fingers.order(0.08, 0.05),
            Some(Order::Move(0.08)),
            "broken off, and wanted again"
        );
        let mut soft = Fingers::new(&GripperConfig { speed: 0.1, force: None });
        assert_eq!(soft.order(0.0, f64::NAN), None, "nobody sees the fingers");
        assert_eq!(soft.order(0.0, 0.08), Some(Order::Move(0.0)));
    }
}
