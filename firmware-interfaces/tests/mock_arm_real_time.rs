//! The mock arm in real time: device pacing, stalls, and stops from another thread.
//!
//! The machine may be busy: order, counts and lower bounds are what is checked.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::sync::Arc;
use std::time::{Duration, Instant};

use sinew_firmware_interfaces::mock::{Config, MockArm};
use sinew_firmware_interfaces::{
    Clock, Command, ControlMode, LinkStatus, MAX_JOINTS, MonotonicClock, Robot, RobotError, State,
    StopRequest,
};

const PATIENCE: Duration = Duration::from_secs(20);

fn arm(config: Config) -> (MockArm, MonotonicClock) {
    let clock = MonotonicClock::new();
    (MockArm::new(config, Arc::new(clock.clone())), clock)
}

fn with(faults: &str) -> Config {
    Config { faults: faults.parse().unwrap(), ..Config::default() }
}

fn go(state: &State, position: f64) -> Command {
    Command {
        mode: ControlMode::Position,
        position: [position; MAX_JOINTS],
        effort: [0.0; MAX_JOINTS],
        issued: state.captured[0],
        epoch: state.epoch,
    }
}

#[test]
fn two_hundred_beats_come_at_the_devices_own_rate_and_gaps_are_visible() {
    // 2 % fast, so that the drift stands out.
    let drift_ppm = 20_000.0;
    let (mut robot, clock) = arm(Config { drift_ppm, ..Config::default() });
    robot.arm(PATIENCE).unwrap();
    let first = robot.wait(PATIENCE).unwrap();
    let mut last = first;
    let mut state = State::default();
    let mut beats = 1;
    while beats < 200 {
        let tick = robot.wait(PATIENCE).unwrap();
        let now = clock.now();
        assert!(tick.index > last.index && tick.arrived > last.arrived, "{tick:?} {last:?}");
        assert!(tick.arrived <= now, "{tick:?} lies in the future of {now:?}");
        robot.read(now, &mut state);
        assert!(state.captured[0] >= tick.arrived, "the beat's sample is there");
        (last, beats) = (tick, beats + 1);
    }
    // The index counts the device's periods, however often we were late.
    let periods = (last.index - first.index) as f64;
    let seconds = last.arrived.since(first.arrived).as_secs_f64();
    assert!((periods / seconds - 1020.0).abs() < 0.1, "{} Hz", periods / seconds);
    assert!(periods >= 199.0);

    std::thread::sleep(Duration::from_millis(50));
    let tick = robot.wait(PATIENCE).unwrap();
    assert!(tick.index - last.index >= 50, "{tick:?} {last:?}");
    assert!(robot.wait(PATIENCE).unwrap().index > tick.index);
}

#[test]
fn a_silent_device_does_not_beat() {
    let (mut robot, _) = arm(with("silence=300ms@100ms"));
    robot.arm(PATIENCE).unwrap();
    std::thread::sleep(Duration::from_millis(100));
    // The newest beat from before the silence, then none.
    let before = robot.wait(Duration::from_millis(1)).unwrap();
    assert!(before.index < 101 || before.index >= 400, "{before:?}");
    let started = Instant::now();
    while robot.wait(Duration::from_millis(20)).is_none() {
        assert!(started.elapsed() < PATIENCE);
    }
    let next = robot.wait(PATIENCE).unwrap();
    assert!(next.index >= 400, "{next:?}");
}

#[test]
fn a_stalled_read_blocks_once_and_a_handle_stops_the_arm_meanwhile() {
    let (mut robot, clock) = arm(with("stall=400ms@100ms"));
    robot.arm(PATIENCE).unwrap();
    let mut state = State::default();
    robot.read(clock.now(), &mut state);
    let handle = robot.stop_handle().unwrap();
    let mut effort = go(&state, 0.0);
    effort.mode = ControlMode::Effort;
    effort.effort = [1.0; MAX_JOINTS];
    let stopper = std::thread::spawn(move || {
        std::thread::sleep(Duration::from_millis(150));
        handle.stop(StopRequest::TorqueOff);
    });
    let mut blocked = 0;
    for _ in 0..20 {
        std::thread::sleep(Duration::from_millis(10));
        let started = Instant::now();
        robot.read(clock.now(), &mut state);
        // The sleeping machine may be slow, but only a stall sleeps that long in a read.
        blocked += u32::from(started.elapsed() >= Duration::from_millis(400));
        robot.write(clock.now(), &effort);
    }
    stopper.join().unwrap();
    assert!(blocked >= 1);
    // The device hears it at its next beat.
    std::thread::sleep(Duration::from_millis(10));
    robot.write(clock.now(), &effort);
    robot.read(clock.now(), &mut state);
    let stood = state.position;
    assert!(robot.statistics().rejected > 0);
    std::thread::sleep(Duration::from_millis(50));
    robot.write(clock.now(), &effort);
    robot.read(clock.now(), &mut state);
    assert_eq!((state.position, state.velocity[0]), (stood, 0.0));
}

#[test]
fn arming_waits_for_a_link_that_comes_back() {
    let (mut robot, clock) = arm(with("disconnect=200ms"));
    let error = robot.arm(Duration::from_millis(20)).unwrap_err();
    assert!(matches!(error, RobotError::NoAnswer { .. }), "{error}");
    robot.arm(PATIENCE).unwrap();
    let mut state = State::default();
    robot.read(clock.now(), &mut state);
    assert_eq!(state.link, LinkStatus::Up);
    assert!(state.sequence > 0 && state.epoch > 0);
    robot.write(clock.now(), &go(&state, 0.3));
    let started = Instant::now();
    while (state.position[0] - 0.3).abs() > 1e-3 {
        assert!(started.elapsed() < PATIENCE, "{state:?}");
        robot.write(clock.now(), &go(&state, 0.3));
        robot.read(clock.now(), &mut state);
    }
    robot.disarm(PATIENCE).unwrap();
}
