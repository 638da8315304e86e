//! The driver against the emulated arm: over sockets, through `franka-rs`, and in virtual time.

use std::net::Ipv4Addr;
use std::time::{Duration, Instant};

use super::*;
use crate::franka::RobotModel;
use crate::franka::emulator::{self, Control, Emulator, EmulatorConfig, Hand};
use crate::franka::wire::RobotMode;
use crate::robot::{ControlMode, LinkStatus, MAX_JOINTS};
use crate::{Clock, SimulatedClock};

const BOTH: [RobotModel; 2] = [RobotModel::Fer, RobotModel::Fr3];
/// Emulated time stands still so long for a command: these tests run on busy computers.
const PATIENCE: Duration = Duration::from_secs(2);
const TIMEOUT: Duration = Duration::from_secs(30);

fn emulated(arm: RobotModel, faults: &str) -> Emulator {
    let faults = faults.parse().unwrap();
    let config = emulator::Config { faults, ..emulator::Config::new(arm) };
    let server = EmulatorConfig {
        robot_port: 0,
        gripper_port: 0,
        patience: PATIENCE,
        ..EmulatorConfig::new(Ipv4Addr::LOCALHOST.into())
    };
    Emulator::spawn(Control::new(config).unwrap(), Hand::new(0.03), server).unwrap()
}

fn config(emulator: &Emulator, arm: RobotModel) -> Config {
    Config {
        address: emulator.robot_address().to_string(),
        gripper_address: Some(emulator.gripper_address().to_string()),
        arm,
        answer_within: PATIENCE / 2,
        ..Config::default()
    }
}

/// Opens until the emulator has noticed that the last client has gone.
fn reopened(config: &Config) -> Loop {
    let begun = Instant::now();
    loop {
        match Loop::open(config.clone()) {
            Ok(control) => return control,
            Err(error) => assert!(begun.elapsed() < TIMEOUT, "{error}"),
        }
        std::thread::sleep(Duration::from_millis(10));
    }
}

/// A client of the trait's, as the control loop is.
struct Loop {
    robot: Franka,
    clock: MonotonicClock,
    state: State,
    stay: Option<[f64; 7]>,
}

impl Loop {
    fn open(config: Config) -> Result<Self, RobotError> {
        let clock = MonotonicClock::new();
        let robot = Franka::open(config, clock.clone())?;
        Ok(Self { robot, clock, state: State::default(), stay: None })
    }

    fn armed(config: Config) -> Self {
        let mut control = Self::open(config).unwrap();
        control.robot.arm(TIMEOUT).unwrap();
        control.state();
        control
    }

    /// Waits for the next state; false if the link is lost.
    fn state(&mut self) -> bool {
        let begun = Instant::now();
        loop {
            let tick = self.robot.wait(Duration::from_millis(50));
            self.robot.read(self.clock.now(), &mut self.state);
            if tick.is_some() || self.state.link == LinkStatus::Lost {
                return self.state.link == LinkStatus::Up;
            }
            assert!(begun.elapsed() < TIMEOUT, "{:?}", self.robot.last_failure());
        }
    }

    fn command(&mut self, mode: ControlMode, values: &[f64]) {
        let mut all = [0.0; MAX_JOINTS];
        all[..values.len()].copy_from_slice(values);
        let (mut position, mut effort) = ([0.0; MAX_JOINTS], [0.0; MAX_JOINTS]);
        match mode {
            ControlMode::Position => position = all,
            ControlMode::Effort => effort = all,
        }
        let now = self.clock.now();
        let command = Command { mode, position, effort, issued: now, epoch: self.state.epoch };
        self.robot.write(now, &command);
    }

    /// One cycle in place.
    fn hold(&mut self) {
        let stay = *self.stay.get_or_insert(std::array::from_fn(|i| self.state.position[i]));
        self.command(ControlMode::Position, &stay);
        assert!(self.state(), "{:?}", self.robot.last_failure());
    }

    /// Follows a cosine of joint 4, in position; the number of cycles before the link was lost.
    fn wave(&mut self, cycles: u32) -> u32 {
        let from = self.stay.map_or(self.state.position, widened);
        for cycle in 0..cycles {
            let mut wanted: [f64; 8] = std::array::from_fn(|joint| from[joint]);
            let seconds = f64::from(cycle) * 1e-3;
            wanted[3] += 0.1 * (1.0 - (std::f64::consts::PI * seconds).cos());
            self.command(ControlMode::Position, &wanted);
            if !self.state() {
                return cycle;
            }
        }
        cycles
    }
}

fn widened(joints: [f64; 7]) -> [f64; MAX_JOINTS] {
    std::array::from_fn(|joint| joints.get(joint).copied().unwrap_or_default())
}

#[test]
fn positions_are_followed_on_both_arms_and_none_is_lost() {
    for arm in BOTH {
        let emulator = emulated(arm, "");
        let mut control = Loop::armed(config(&emulator, arm));
        let from = control.state.position;
        // Until motion and loop run in step, commands may come too late.
        let before = (0..100).map(|_| (control.hold(), control.robot.statistics()).1).last();
        let before = before.unwrap_or_default();
        assert_eq!(control.wave(1000), 1000, "{arm:?} {:?}", control.robot.last_failure());
        let moved = control.state.position[3] - from[3];
        assert!((moved - 0.2).abs() < 2e-3, "{arm:?} {moved}");
        assert_eq!(control.state.sensors[13], 1.0, "every command came in time");
        let statistics = control.robot.statistics();
        let late = |it: &BusStatistics| (it.timeouts, it.superseded);
        assert_eq!(late(&statistics), late(&before));
        assert!(statistics.commands >= before.commands + 999);
        assert_eq!(emulator.mode(), RobotMode::Move);
        control.robot.disarm(TIMEOUT).unwrap();
        assert_ne!(emulator.mode(), RobotMode::Reflex);
    }
}

#[test]
fn torques_begin_at_none_and_move_the_arm() {
    for arm in BOTH {
        let emulator = emulated(arm, "");
        let mut control =
            Loop::armed(Config { mode: ControlMode::Effort, ..config(&emulator, arm) });
        let from = control.state.position;
        for cycle in 0..300_u32 {
            control.command(ControlMode::Effort, &[f64::from(cycle.min(10)) * 0.25]);
            assert!(control.state(), "{arm:?} {cycle}: {:?}", control.robot.last_failure());
        }
        assert!(control.state.position[0] > from[0] + 1e-3 && control.state.velocity[0] > 0.01);
        control.robot.disarm(TIMEOUT).unwrap();
    }
}

#[test]
fn after_a_hold_the_next_command_begins_where_the_arm_is() {
    let emulator = emulated(RobotModel::Fr3, "");
    let mut control = Loop::armed(config(&emulator, RobotModel::Fr3));
    assert_eq!(control.wave(300), 300);
    let epoch = control.state.epoch;
    control.robot.stop(control.clock.now(), StopRequest::Hold);
    while emulator.mode() == RobotMode::Move {
        control.state();
    }
    (0..200).for_each(|_| assert!(control.state()));
    let stands = control.state.position;
    (0..50).for_each(|_| assert!(control.state()));
    assert!((control.state.position[3] - stands[3]).abs() < 1e-4, "the arm stands");
    // Until the new motion has begun, commands are of the old epoch.
    let wanted: Vec<f64> = control.state.position[..7].to_vec();
    while control.state.epoch == epoch {
        control.command(ControlMode::Position, &wanted);
        // While the motion begins nothing is known of the arm.
        control.state();
    }
    assert_eq!(control.wave(300), 300, "{:?}", control.robot.last_failure());
    control.robot.stop(control.clock.now(), StopRequest::TorqueOff);
    while emulator.mode() == RobotMode::Move {
        control.state();
    }
    for _ in 0..50 {
        control.command(ControlMode::Position, &wanted);
        assert!(control.state());
    }
    assert_eq!(emulator.mode(), RobotMode::Idle, "nothing moves before the next arming");
}

#[test]
fn what_stops_the_arm_by_itself_is_named_and_needs_a_person() {
    let faults = [
        ("reflex@700ms", "cartesian_reflex"),
        ("push=80@700ms", "_reflex"),
        ("user-stop=9s@700ms", "the user stop was pressed"),
        ("power-off=9s@700ms", "no state for a second"),
    ];
    for (fault, named) in faults {
        let emulator = emulated(RobotModel::Fr3, fault);
        let config = config(&emulator, RobotModel::Fr3);
        let mut control = Loop::armed(config.clone());
        assert!(control.wave(5000) < 5000, "{fault}");
        let failure = control.robot.last_failure().unwrap();
        assert!(failure.contains(named), "{fault}: {failure}");
        assert!(control.robot.arm(TIMEOUT).is_err(), "lost until it is opened again");
        assert!(control.robot.disarm(TIMEOUT).is_err());
        drop(control);
        if !fault.contains("reflex") && !fault.contains("push") {
            continue;
        }
        let mut again = reopened(&config);
        let error = again.robot.arm(TIMEOUT).unwrap_err().to_string();
        assert!(error.contains(named) && error.contains("robot.franka.recover"), "{error}");
        drop(again);
        // The push is over.
        std::thread::sleep(Duration::from_millis(300));
        let mut recovered = reopened(&Config { recover: true, ..config });
        recovered.robot.arm(TIMEOUT).unwrap();
        recovered.state();
        assert_eq!(recovered.wave(50), 50, "{fault}");
    }
}

#[test]
fn lost_states_are_counted_and_a_silent_arm_is_named() {
    let emulator = emulated(RobotModel::Fr3, "drop-state=1/20");
    let mut control = Loop::armed(config(&emulator, RobotModel::Fr3));
    assert_eq!(control.wave(500), 500, "{:?}", control.robot.last_failure());
    let lost = control.robot.statistics().timeouts;
    assert!((10..60).contains(&lost), "{lost}");
    drop(control);
    let emulator = emulated(RobotModel::Fer, "silence=9s@500ms");
    let mut control = Loop::armed(config(&emulator, RobotModel::Fer));
    assert!(control.wave(5000) < 5000);
    let failure = control.robot.last_failure().unwrap();
    assert!(failure.contains("no state for a second"), "{failure}");
}

#[test]
fn another_arm_a_second_client_and_nobody_there_are_named() {
    let fer = emulated(RobotModel::Fer, "");
    let error = Loop::open(config(&fer, RobotModel::Fr3)).err().unwrap().to_string();
    assert!(error.contains("version 5") && error.contains("arm = \"fer\""), "{error}");
    let first = reopened(&config(&fer, RobotModel::Fer));
    let error = Loop::open(config(&fer, RobotModel::Fer)).err().unwrap().to_string();
    assert!(error.contains("no other client"), "{error}");
    drop(first);
    let address = fer.robot_address().to_string();
    drop(fer);
    let nobody = Config { address, arm: RobotModel::Fer, ..Config::default() };
    let error = Loop::open(nobody).err().unwrap().to_string();
    assert!(error.contains("Is the address right"), "{error}");
}

#[test]
fn the_hand_opens_closes_on_an_object_and_says_its_width() {
    let emulator = emulated(RobotModel::Fr3, "");
    let gripper = Some(GripperConfig { speed: 0.1, force: Some(20.0) });
    let mut control = Loop::armed(Config { gripper, ..config(&emulator, RobotModel::Fr3) });
    let from = control.state.position;
    for (opening, width) in [(1.0, 0.08), (0.0, 0.03), (0.75, 0.06)] {
        let begun = Instant::now();
        while (control.state.sensors[14] - width).abs() > 1e-3 {
            let mut wanted: [f64; 8] = std::array::from_fn(|joint| from[joint]);
            wanted[7] = opening;
            control.command(ControlMode::Position, &wanted);
            assert!(control.state());
            assert!(begun.elapsed() < TIMEOUT, "{width}: {}", control.state.sensors[14]);
        }
        assert!((control.state.position[7] - width / 0.08).abs() < 0.02);
    }
}

#[test]
fn in_virtual_time_the_same_happens_again_and_again() {
    let run = |arm, faults: &str| {
        let clock = SimulatedClock::new();
        let faults = faults.parse().unwrap();
        let emulated = emulator::Config { faults, ..emulator::Config::new(arm) };
        let config = Config { arm, ..Config::default() };
        let mut robot = SteppedFranka::new(config, emulated, 0.0, clock.clone()).unwrap();
        robot.arm(TIMEOUT).unwrap();
        let mut state = State::default();
        robot.read(clock.now(), &mut state);
        let from = state.position;
        for cycle in 0..2000_u32 {
            let mut position = from;
            position[3] += 0.1 * (1.0 - (std::f64::consts::PI * f64::from(cycle) * 1e-3).cos());
            let (mode, now) = (ControlMode::Position, clock.now());
            let effort = [0.0; MAX_JOINTS];
            robot.write(now, &Command { mode, position, effort, issued: now, epoch: state.epoch });
            clock.advance_to(now.after(Duration::from_millis(1)));
            robot.read(clock.now(), &mut state);
        }
        (state, robot.last_failure(), robot.control_mut().counts().lost)
    };
    for arm in BOTH {
        let (state, failure, lost) = run(arm, "");
        assert_eq!((failure.as_deref(), lost, state.link), (None, 0, LinkStatus::Up), "{arm:?}");
        assert_eq!(run(arm, "").0, state);
        let (state, failure, _) = run(arm, "user-stop=1s@1s");
        assert_eq!(state.link, LinkStatus::Lost);
        assert!(failure.unwrap().contains("the user stop was pressed"));
    }
}
