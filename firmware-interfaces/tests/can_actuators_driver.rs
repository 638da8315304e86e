//! The driver on its thread, against the emulated adapter on a pseudo-terminal and over TCP.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::time::{Duration, Instant};

use sinew_firmware_interfaces::can::Bitrate;
use sinew_firmware_interfaces::can_actuators::emulator::{
    ActuatorsConfig, Emulator, EmulatorConfig, Faults, MotorConfig, Window,
};
use sinew_firmware_interfaces::can_actuators::{
    CanActuators, Config, JointConfig, Model, Protocol,
};
use sinew_firmware_interfaces::transport::Transport;
use sinew_firmware_interfaces::{
    Clock, Command, ControlMode, LinkStatus, MAX_JOINTS, MonotonicClock, Robot, State, StopRequest,
};

fn joints() -> Vec<JointConfig> {
    let joint = |name: &str, protocol, model, id| JointConfig {
        name: String::from(name),
        model: Model::find(protocol, model).unwrap(),
        id,
        feedback_id: 0x200 + id,
        reversed: false,
        offset: 0.0,
        gear_ratio: 1.0,
        stiffness: 20.0,
        damping: 1.0,
    };
    vec![
        joint("shoulder", Protocol::Damiao, "4310", 1),
        joint("elbow", Protocol::Robstride, "rs02", 2),
    ]
}

fn emulator(transport: Transport) -> Emulator {
    let motors = joints()
        .iter()
        .map(|joint| MotorConfig {
            model: joint.model,
            id: joint.id,
            feedback_id: joint.feedback_id,
            position: 0.0,
        })
        .collect();
    let actuators =
        ActuatorsConfig { motors, bitrate: Bitrate::M1, seed: 1, faults: Faults::default() };
    Emulator::spawn(EmulatorConfig { actuators, transport }).unwrap()
}

fn open(emulator: &Emulator, clock: &MonotonicClock) -> CanActuators {
    let config = Config {
        port: emulator.port(),
        joints: joints(),
        // A shared computer may look away for longer than a watchdog should wait.
        watchdog: Duration::from_secs(5),
        reply_timeout: Duration::from_millis(100),
        ..Config::default()
    };
    CanActuators::open(config, clock.clone()).unwrap()
}

/// Commands both joints to `goal` until the first is there.
fn go(robot: &mut CanActuators, clock: &MonotonicClock, goal: f64) -> State {
    let mut state = State::default();
    let started = Instant::now();
    while started.elapsed() < Duration::from_secs(20) {
        robot.read(clock.now(), &mut state);
        let position = [goal; MAX_JOINTS];
        let effort = [0.0; MAX_JOINTS];
        let (mode, issued, epoch) = (ControlMode::Position, clock.now(), state.epoch);
        robot.write(clock.now(), &Command { mode, position, effort, issued, epoch });
        let there = |joint: usize| (state.position[joint] - goal).abs() < 0.03;
        if there(0) && there(1) {
            return state;
        }
        std::thread::sleep(Duration::from_millis(2));
    }
    panic!("not there: {:?} {:?}", &state.position[..2], robot.last_failure());
}

#[test]
fn the_driver_moves_motors_of_two_protocols_on_one_bus_over_a_pseudo_terminal_and_tcp() {
    let tcp = Transport::Tcp { address: "127.0.0.1:0".parse().unwrap(), allow_remote: false };
    for transport in [Transport::Pty { link: None }, tcp] {
        let emulator = emulator(transport);
        let clock = MonotonicClock::new();
        let mut robot = open(&emulator, &clock);
        robot.arm(Duration::from_secs(10)).unwrap();
        assert!(emulator.is_enabled(0) && emulator.is_enabled(1));
        let state = go(&mut robot, &clock, 0.5);
        assert_eq!(state.link, LinkStatus::Up);
        assert!((emulator.position(0).unwrap() - 0.5).abs() < 0.05);
        // A handle stops it from elsewhere, and latches.
        robot.stop_handle().unwrap().stop(StopRequest::TorqueOff);
        let started = Instant::now();
        while emulator.is_enabled(0) || emulator.is_enabled(1) {
            assert!(started.elapsed() < Duration::from_secs(10));
            std::thread::sleep(Duration::from_millis(5));
        }
        robot.disarm(Duration::from_secs(5)).unwrap();
    }
}

#[test]
fn a_bus_that_is_off_for_a_moment_comes_back_as_another_epoch() {
    let emulator = emulator(Transport::Pty { link: None });
    let clock = MonotonicClock::new();
    let mut robot = open(&emulator, &clock);
    robot.arm(Duration::from_secs(10)).unwrap();
    go(&mut robot, &clock, 0.2);
    emulator.faults().update(|faults, now| {
        faults.bus_off = Some(Window { start: now, duration: Some(Duration::from_millis(400)) });
    });
    let mut state = State::default();
    let started = Instant::now();
    while state.epoch < 2 {
        robot.read(clock.now(), &mut state);
        assert!(started.elapsed() < Duration::from_secs(15), "{:?}", robot.last_failure());
        std::thread::sleep(Duration::from_millis(5));
    }
    assert_eq!(robot.statistics().reconnects, 1);
    assert!(robot.last_failure().unwrap().contains("bus-off"), "{:?}", robot.last_failure());
    go(&mut robot, &clock, 0.4);
    robot.disarm(Duration::from_secs(5)).unwrap();
}

#[test]
fn what_the_control_thread_calls_allocates_nothing() {
    let emulator = emulator(Transport::Pty { link: None });
    let clock = MonotonicClock::new();
    let mut robot = open(&emulator, &clock);
    robot.arm(Duration::from_secs(10)).unwrap();
    let mut state = State::default();
    robot.read(clock.now(), &mut state);
    let (position, effort) = ([0.1; MAX_JOINTS], [0.0; MAX_JOINTS]);
    let (mode, epoch) = (ControlMode::Position, state.epoch);
    let counted = allocation_counter::measure(|| {
        for _ in 0..100 {
            let now = clock.now();
            robot.read(now, &mut state);
            robot.write(now, &Command { mode, position, effort, issued: now, epoch });
        }
        robot.stop(clock.now(), StopRequest::Hold);
    });
    assert_eq!(counted.count_total, 0);
    robot.disarm(Duration::from_secs(5)).unwrap();
    // Held, not dropped.
    assert!(emulator.is_enabled(0) && emulator.is_enabled(1));
}

#[test]
fn a_port_that_is_not_there_is_named_with_what_to_do() {
    let config =
        Config { port: "/dev/ttyACM-none".to_owned(), joints: joints(), ..Config::default() };
    let refused = CanActuators::open(config, MonotonicClock::new()).err().unwrap().to_string();
    assert!(refused.contains("/dev/ttyACM-none"), "{refused}");
    let config = Config { joints: Vec::new(), ..Config::default() };
    let refused = CanActuators::open(config, MonotonicClock::new()).err().unwrap().to_string();
    assert!(refused.contains("0 actuators"), "{refused}");
}
