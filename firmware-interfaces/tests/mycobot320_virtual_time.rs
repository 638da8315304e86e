//! The driver's session against the emulated firmware in virtual time.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::time::Duration;

use sinew_firmware_interfaces::mycobot320::emulator::{Firmware, FirmwareConfig, Rate, Window};
use sinew_firmware_interfaces::mycobot320::session::{Session, Step};
use sinew_firmware_interfaces::mycobot320::wire::{Answer, Reply, Request};
use sinew_firmware_interfaces::mycobot320::{Config, SteppedMyCobot320};
use sinew_firmware_interfaces::{
    Command, ControlMode, LinkStatus, MAX_JOINTS, Robot, RobotError, SimulatedClock, State,
    StopRequest, Timestamp,
};

const SECOND: Duration = Duration::from_secs(1);
const GRIPPER: usize = 6;

/// A robot with its run: cycles of 20 ms.
struct Run {
    robot: SteppedMyCobot320,
    now: Timestamp,
    state: State,
}

impl Run {
    fn new(config: Config, firmware: FirmwareConfig) -> Self {
        let clock = SimulatedClock::new();
        let robot = SteppedMyCobot320::new(config, firmware, clock).unwrap();
        Self { robot, now: Timestamp::ZERO, state: State::default() }
    }

    fn with_faults(faults: &str) -> Self {
        let faults = faults.parse().unwrap();
        Self::new(Config::default(), FirmwareConfig { faults, ..FirmwareConfig::default() })
    }

    fn armed(faults: &str) -> Self {
        let mut run = Self::with_faults(faults);
        run.robot.arm(2 * SECOND).unwrap();
        run.read();
        run
    }

    fn read(&mut self) {
        self.robot.read(self.now, &mut self.state);
    }

    fn cycle(&mut self) {
        self.now = self.now.after(Duration::from_millis(20));
        self.read();
    }

    fn cycles(&mut self, span: Duration) {
        let end = self.now.after(span);
        while self.now < end {
            self.cycle();
        }
    }

    /// Cycles until `done`, for at most 30 s.
    fn until(&mut self, done: impl Fn(&State) -> bool) -> Duration {
        let start = self.now;
        while !done(&self.state) {
            assert!(self.now.since(start) < 30 * SECOND, "{:?}", self.state);
            self.cycle();
        }
        self.now.since(start)
    }

    fn write(&mut self, arm: [f64; 6], opening: f64) {
        let mut position = [0.0; MAX_JOINTS];
        position[..6].copy_from_slice(&arm);
        position[GRIPPER] = opening;
        let epoch = self.state.epoch;
        let command = Command {
            mode: ControlMode::Position,
            position,
            effort: [0.0; MAX_JOINTS],
            issued: self.now,
            epoch,
        };
        self.robot.write(self.now, &command);
    }

    fn measured(&self) -> [f64; 6] {
        self.state.position[..6].try_into().unwrap()
    }
}

fn near(a: [f64; 6], b: [f64; 6]) -> bool {
    a.iter().zip(&b).all(|(a, b)| (a - b).abs() < 2e-4)
}

const GOAL: [f64; 6] = [0.3, -0.1, 0.4, -0.2, 0.1, 0.5];

#[test]
fn arming_moves_nothing_and_yields_a_state_of_every_joint() {
    let mut run = Run::with_faults("");
    let start = run.robot.plant_positions();
    run.robot.arm(SECOND).unwrap();
    run.read();
    assert_eq!(run.robot.plant_positions(), start);
    assert_eq!((run.state.link, run.state.epoch), (LinkStatus::Up, 1));
    assert_eq!(run.state.substituted, 0);
    for (joint, expected) in start.iter().enumerate() {
        assert!((run.state.position[joint] - expected).abs() < 1e-4, "joint {joint}");
        assert!(run.state.captured[joint] > Timestamp::ZERO);
    }
}

#[test]
fn an_unpowered_arm_is_powered_by_arming_and_stays_unpowered_without() {
    let off = FirmwareConfig { powered: false, ..FirmwareConfig::default() };
    let mut run = Run::new(Config::default(), off);
    run.cycles(2 * SECOND);
    assert!(!run.robot.firmware_mut().has_torque());
    assert_eq!((run.state.link, run.state.sequence), (LinkStatus::Up, 0));
    run.robot.arm(2 * SECOND).unwrap();
    assert!(run.robot.firmware_mut().has_torque());
}

#[test]
fn a_command_before_arming_is_not_sent() {
    let mut run = Run::with_faults("");
    run.until(|state| state.epoch == 1);
    run.write(GOAL, 0.0);
    run.cycles(2 * SECOND);
    assert_eq!(run.robot.statistics().commands, 0);
}

#[test]
fn a_command_reaches_its_target_and_is_sent_once() {
    let mut run = Run::armed("");
    for _ in 0..150 {
        run.write(GOAL, 0.25);
        run.cycle();
    }
    assert!(near(run.measured(), GOAL), "{:?}", run.state);
    assert!((run.state.position[GRIPPER] - 0.25).abs() < 1e-9);
    let statistics = run.robot.statistics();
    assert_eq!(statistics.commands, 2, "{statistics:?}");
    assert_eq!((statistics.timeouts, statistics.rejected, statistics.garbage_bytes), (0, 0, 0));
    // Reads take what the firmware and the line need.
    let mean = statistics.read_ns_sum as f64 / statistics.reads as f64 * 1e-6;
    assert!((17.0..25.0).contains(&mean), "{mean} ms");
}

#[test]
fn a_stream_of_commands_is_thinned_to_the_declared_rate_and_the_last_one_arrives() {
    let mut run = Run::armed("");
    let from = run.measured();
    let start = run.now;
    for step in 1..=250 {
        let part = f64::from(step) / 250.0;
        run.write(
            std::array::from_fn(|joint| from[joint] + (GOAL[joint] - from[joint]) * part),
            1.0,
        );
        run.cycle();
    }
    let seconds = run.now.since(start).as_secs_f64();
    let statistics = run.robot.statistics();
    let rate = statistics.commands as f64 / seconds;
    assert!((10.0..=20.5).contains(&rate), "{rate} Hz, {statistics:?}");
    assert!(statistics.superseded > 50, "{statistics:?}");
    run.cycles(SECOND);
    assert!(near(run.measured(), GOAL), "{:?}", run.state);
}

#[test]
fn bad_commands_are_refused_as_a_whole() {
    let mut run = Run::armed("");
    let before = run.measured();
    for bad in [f64::NAN, f64::INFINITY, 3.0] {
        let mut goal = GOAL;
        goal[1] = bad;
        run.write(goal, 1.0);
        run.cycles(Duration::from_millis(200));
    }
    run.write(GOAL, f64::NAN);
    run.cycles(SECOND);
    let statistics = run.robot.statistics();
    assert_eq!((statistics.commands, statistics.rejected), (0, 4));
    assert!(near(run.measured(), before));
    assert!(run.robot.last_failure().unwrap().contains("joint 7"));
}

#[test]
fn hold_stops_the_motion_and_later_commands_are_sent_again() {
    let mut run = Run::armed("");
    run.write(GOAL, 1.0);
    run.cycles(Duration::from_millis(200));
    run.robot.stop(run.now, StopRequest::Hold);
    run.cycles(SECOND);
    let held = run.measured();
    assert!(!near(held, GOAL));
    run.cycles(SECOND);
    assert!(near(run.measured(), held));
    run.write(GOAL, 1.0);
    run.cycles(2 * SECOND);
    assert!(near(run.measured(), GOAL));
}

#[test]
fn torque_off_lasts_until_armed_again_in_a_new_epoch() {
    let mut run = Run::armed("");
    run.write(GOAL, 1.0);
    run.cycles(Duration::from_millis(200));
    run.robot.stop(run.now, StopRequest::TorqueOff);
    run.cycles(SECOND);
    assert!(!run.robot.firmware_mut().has_torque());
    let commands = run.robot.statistics().commands;
    run.write(GOAL, 1.0);
    run.cycles(SECOND);
    assert_eq!(run.robot.statistics().commands, commands);
    let old = run.state.epoch;

    run.robot.arm(2 * SECOND).unwrap();
    assert!(run.robot.firmware_mut().has_torque());
    // A command of the old epoch is dropped, one of the new one is sent.
    run.write([0.0; 6], 1.0);
    run.now = run.now.after(SECOND);
    run.read();
    assert!(run.state.epoch > old);
    assert_eq!(run.robot.statistics().commands, commands);
    run.write(GOAL, 1.0);
    run.cycles(3 * SECOND);
    assert!(near(run.measured(), GOAL));
}

#[test]
fn a_stop_overtakes_a_request_that_is_not_answered_yet() {
    let mut session = Session::new(Config::default());
    session.connected(Timestamp::ZERO);
    let Step::Transmit(asked) = session.poll(Timestamp::ZERO) else { panic!("asks nothing") };
    let later = Timestamp::from_nanos(1_000_000);
    assert!(matches!(session.poll(later), Step::Wait(_)), "one request at a time");
    for (request, command) in [(StopRequest::Hold, 0x29), (StopRequest::TorqueOff, 0x13)] {
        session.stop(request);
        let Step::Transmit(frame) = session.poll(later) else { panic!("{request:?} waits") };
        assert_eq!(frame.command(), command);
        assert_ne!(frame.command(), asked.command());
        let done = Reply::Acknowledged { command, result: 1 };
        session.receive(later, done.encode().as_bytes());
    }
    // Torque off is followed by power off, and repeated until acknowledged, but not for ever.
    let mut sent = Vec::new();
    for millisecond in 1..400 {
        let now = Timestamp::from_nanos(millisecond * 1_000_000);
        while let Step::Transmit(frame) = session.poll(now) {
            sent.push(frame.command());
        }
    }
    assert_eq!(sent[..3], [0x11, 0x11, 0x11]);
    assert_eq!(sent.iter().filter(|command| **command == 0x11).count(), 3);
    assert!(!session.is_stopping());
}

#[test]
fn the_fresh_mode_is_selected_again_until_it_is_acknowledged_or_tried_enough() {
    // Without it the firmware would queue the stream of commands and fall behind.
    for (acknowledged, expected) in [(true, 1), (false, 3)] {
        let mut session = Session::new(Config::default());
        session.connected(Timestamp::ZERO);
        let mut sent = 0;
        for millisecond in 0..200 {
            let now = Timestamp::from_nanos(millisecond * 1_000_000);
            while let Step::Transmit(frame) = session.poll(now) {
                let reply = match frame.command() {
                    0x12 => Reply::Answer(Answer::PoweredOn { on: 1 }),
                    0x16 => {
                        sent += 1;
                        if !acknowledged {
                            continue;
                        }
                        Reply::Acknowledged { command: 0x16, result: 1 }
                    }
                    _ => continue,
                };
                session.receive(now, reply.encode().as_bytes());
            }
        }
        assert_eq!(sent, expected);
    }
}

#[test]
fn gripper_commands_keep_their_distance_from_arm_commands() {
    let gap = Duration::from_millis(35);
    let config = Config { gripper_gap: gap, ..Config::default() };
    let mut session = Session::new(config);
    let mut firmware = Firmware::new(FirmwareConfig::default());
    let mut sent = Vec::new();
    session.connected(Timestamp::ZERO);
    session.arm(Timestamp::ZERO);
    for tick in 0..50_000u64 {
        let now = Timestamp::from_nanos(tick * 100_000);
        if tick % 200 == 0 {
            let wave = (tick as f64 * 1e-4).sin();
            let mut position = [0.0; MAX_JOINTS];
            position[..6].copy_from_slice(&[0.2 * wave; 6]);
            position[GRIPPER] = 0.5 + 0.4 * wave;
            let epoch = session.state().epoch;
            session.command(&Command {
                mode: ControlMode::Position,
                position,
                effort: [0.0; MAX_JOINTS],
                issued: now,
                epoch,
            });
        }
        while let Step::Transmit(frame) = session.poll(now) {
            sent.push((now, frame.command()));
            firmware.receive(now, frame.as_bytes());
        }
        while let Some(message) = firmware.transmit(now) {
            session.receive(now, message.as_bytes());
        }
    }
    let times = |command| sent.iter().filter(move |(_, c)| *c == command).map(|(time, _)| *time);
    let (arm, gripper) = (times(0x22).count(), times(0x67).count());
    assert!(arm > 40 && gripper > 20, "{arm} {gripper}");
    for one in times(0x67) {
        for other in times(0x22) {
            let apart = one.since(other).max(other.since(one));
            assert!(apart >= gap, "{apart:?}");
        }
        // Nothing at all follows a gripper command within the gap.
        assert!(!sent.iter().any(|(time, _)| *time > one && time.since(one) < gap));
    }
}

#[test]
fn lost_replies_are_asked_for_again_and_the_motion_completes() {
    let mut run = Run::armed("drop=0.1");
    run.write(GOAL, 0.5);
    run.cycles(10 * SECOND);
    let statistics = run.robot.statistics();
    assert!(statistics.timeouts > 5 && statistics.retries > 3, "{statistics:?}");
    assert_eq!((run.state.link, run.state.epoch), (LinkStatus::Up, 1));
    assert!(near(run.measured(), GOAL));
}

#[test]
fn a_few_lost_replies_do_not_make_the_state_look_old() {
    let mut run = Run::armed("drop=0.02");
    let mut ages = Vec::new();
    for _ in 0..2500 {
        run.cycle();
        ages.push(run.now.since(run.state.captured[0]));
    }
    ages.sort();
    assert!(run.robot.statistics().timeouts > 10);
    assert!(ages[ages.len() / 2] < Duration::from_millis(60), "{:?}", ages[ages.len() / 2]);
    assert!(ages[ages.len() - 1] < Duration::from_millis(500), "{:?}", ages[ages.len() - 1]);
}

#[test]
fn garbage_is_skipped_and_costs_no_sample() {
    let mut run = Run::armed("garbage=0.5");
    run.write(GOAL, 0.5);
    run.cycles(5 * SECOND);
    let statistics = run.robot.statistics();
    assert!(statistics.garbage_bytes > 100, "{statistics:?}");
    assert!(near(run.measured(), GOAL));
    assert_eq!(run.state.epoch, 1);
}

#[test]
fn a_corrupted_reply_never_makes_the_state_jump() {
    let mut run = Run::armed("corrupt=0.3");
    let mut last = run.measured();
    for _ in 0..1500 {
        run.cycle();
        for (before, after) in last.iter().zip(run.measured()) {
            // The arm stands still: what gets through is below what motion could explain.
            assert!((before - after).abs() < 0.4, "{before} {after}");
        }
        last = run.measured();
    }
    let statistics = run.robot.statistics();
    assert!(statistics.rejected > 20, "{statistics:?}");
}

#[test]
fn late_replies_carry_the_time_of_their_request() {
    let mut run = Run::armed("");
    run.robot.firmware_mut().faults_mut().delay =
        Some((Duration::from_millis(150), Timestamp::ZERO));
    run.cycles(SECOND);
    run.write(GOAL, 1.0);
    for _ in 0..40 {
        run.cycle();
        let captured = run.state.captured[0];
        assert!(run.now.since(captured) >= Duration::from_millis(150), "{:?}", run.state);
        assert!(run.now.since(captured) < Duration::from_millis(600), "{:?}", run.state);
    }
    assert_eq!(run.state.link, LinkStatus::Up);
}

#[test]
fn on_a_slow_line_arm_and_gripper_commands_do_not_keep_the_readings_waiting() {
    let mut run = Run::armed("");
    run.robot.firmware_mut().faults_mut().delay =
        Some((Duration::from_millis(150), Timestamp::ZERO));
    run.cycles(SECOND);
    let begin = run.robot.statistics().commands;
    for cycle in 0..500 {
        // Both are always on the move, so there is always a command of both to send.
        let wave = (f64::from(cycle) * 0.02).sin();
        run.write([0.3 * wave; 6], 0.5 + 0.4 * wave);
        run.cycle();
        let age = run.now.since(run.state.captured[0]);
        assert!(age < Duration::from_millis(700), "{age:?} in cycle {cycle}");
    }
    assert!(run.robot.statistics().commands - begin > 30, "{:?}", run.robot.statistics());
}

#[test]
fn silence_takes_the_link_down_and_the_end_of_it_begins_a_new_epoch() {
    let mut run = Run::armed("");
    run.write(GOAL, 1.0);
    run.cycles(3 * SECOND);
    run.robot.firmware_mut().faults_mut().silence =
        Some(Window { start: run.now, duration: Some(2 * SECOND) });
    let down = run.until(|state| state.link == LinkStatus::Down);
    assert!(down < SECOND, "{down:?}");
    run.write([0.0; 6], 1.0); // made for the old epoch
    let up = run.until(|state| state.link == LinkStatus::Up);
    assert!(up > SECOND, "{up:?}");
    assert_eq!((run.state.epoch, run.robot.statistics().reconnects), (2, 1));
    let commands = run.robot.statistics().commands;
    run.cycles(SECOND);
    // No old command comes out, and the arm stays where it was.
    assert_eq!(run.robot.statistics().commands, commands);
    assert!(near(run.measured(), GOAL));
    run.write([0.0; 6], 1.0);
    run.cycles(2 * SECOND);
    assert!(near(run.measured(), [0.0; 6]));
}

#[test]
fn a_stop_requested_while_the_link_is_down_is_delivered_when_it_is_back() {
    let mut run = Run::armed("");
    run.robot.firmware_mut().faults_mut().disconnect =
        Some(Window { start: run.now, duration: Some(SECOND) });
    run.until(|state| state.link == LinkStatus::Down);
    run.robot.stop(run.now, StopRequest::TorqueOff);
    run.cycles(3 * SECOND);
    assert!(!run.robot.firmware_mut().has_torque());
}

#[test]
fn a_link_that_stays_down_is_lost() {
    let mut run = Run::armed("");
    run.robot.firmware_mut().faults_mut().disconnect =
        Some(Window { start: run.now, duration: None });
    let lost = run.until(|state| state.link == LinkStatus::Lost);
    assert!(lost > 9 * SECOND && lost < 12 * SECOND, "{lost:?}");
    assert!(run.robot.last_failure().is_some());
}

#[test]
fn an_arm_that_lost_its_power_while_away_is_not_powered_again() {
    let mut run = Run::armed("");
    run.robot.firmware_mut().faults_mut().disconnect =
        Some(Window { start: run.now, duration: Some(SECOND) });
    run.until(|state| state.link == LinkStatus::Down);
    let off = Request::PowerOff {}.encode();
    let now = run.now;
    run.robot.firmware_mut().receive(now, off.as_bytes());
    let later = now.after(Duration::from_millis(10));
    while run.robot.firmware_mut().transmit(later).is_some() {}
    run.until(|state| state.link == LinkStatus::Lost);
    assert!(!run.robot.firmware_mut().has_torque());
    assert!(run.robot.last_failure().unwrap().contains("no power"));
}

#[test]
fn a_gripper_that_cannot_be_read_is_reported_as_commanded_and_flagged() {
    let mut run = Run::armed("");
    run.write(GOAL, 0.3);
    run.cycles(2 * SECOND);
    assert!(!run.state.is_substituted(GRIPPER));
    let now = run.now;
    run.robot.firmware_mut().faults_mut().gripper_255 = Some(now);
    run.write(GOAL, 0.8);
    run.cycles(2 * SECOND);
    assert!(run.state.is_substituted(GRIPPER));
    assert!((run.state.position[GRIPPER] - 0.8).abs() < 1e-9);
    assert!(run.robot.statistics().substituted >= 5);
    run.robot.firmware_mut().faults_mut().gripper_255 = None;
    run.cycles(SECOND);
    assert!(!run.state.is_substituted(GRIPPER));
}

#[test]
fn a_gripper_that_was_never_read_is_left_alone_until_it_is_asked_to_move() {
    let mut run = Run::with_faults("");
    run.robot.firmware_mut().faults_mut().gripper_255 = Some(Timestamp::ZERO);
    run.robot.arm(5 * SECOND).unwrap();
    run.read();
    assert!(run.state.is_substituted(GRIPPER));
    let begin = run.robot.plant_positions()[GRIPPER];
    for _ in 0..50 {
        run.write(GOAL, run.state.position[GRIPPER]);
        run.cycle();
    }
    assert_eq!(run.robot.plant_positions()[GRIPPER], begin, "it may hold something");
    run.write(GOAL, 0.3);
    run.cycles(2 * SECOND);
    assert!((run.robot.plant_positions()[GRIPPER] - 0.3).abs() < 0.02);
}

#[test]
fn old_firmware_without_acknowledgements_is_armed_and_moved() {
    let silent = FirmwareConfig { acknowledge: false, ..FirmwareConfig::default() };
    let mut run = Run::new(Config::default(), silent.clone());
    run.robot.arm(2 * SECOND).unwrap();
    run.read();
    run.write(GOAL, 0.5);
    run.cycles(3 * SECOND);
    assert!(near(run.measured(), GOAL));
    assert_eq!(run.robot.statistics().timeouts, 0);
    run.robot.stop(run.now, StopRequest::Hold);
    run.robot.disarm(SECOND).unwrap();

    // Told to expect acknowledgements, the driver says that there are none.
    let config = Config { expect_ack: true, ..Config::default() };
    let mut run = Run::new(config, silent);
    let error = run.robot.arm(3 * SECOND).unwrap_err();
    assert!(matches!(&error, RobotError::NoAnswer { .. }), "{error}");
    assert!(error.to_string().contains("SetFreshMode"), "{error}");
}

#[test]
fn expected_acknowledgements_that_get_lost_are_asked_for_again() {
    let faults = "drop=0.1".parse().unwrap();
    let firmware = FirmwareConfig { faults, ..FirmwareConfig::default() };
    let mut run = Run::new(Config { expect_ack: true, ..Config::default() }, firmware);
    run.robot.arm(5 * SECOND).unwrap();
    run.read();
    run.write(GOAL, 0.5);
    run.cycles(6 * SECOND);
    assert!(near(run.measured(), GOAL));
    assert!(run.robot.statistics().retries > 0);
}

#[test]
fn two_runs_are_identical_to_the_bit() {
    let run = || {
        let mut run = Run::armed("drop=0.05,corrupt=0.05,garbage=0.1,silence=1s@3s");
        let mut trace = Vec::new();
        for step in 0..400 {
            let wave = (f64::from(step) * 0.02).sin() * 0.3;
            run.write([wave; 6], 0.5 + wave);
            run.cycle();
            trace.push((run.state, run.robot.plant_positions().map(f64::to_bits)));
        }
        (trace, run.robot.statistics())
    };
    let (first, second) = (run(), run());
    assert!(first == second);
    assert!(first.1.reconnects >= 1, "{:?}", first.1);
}

#[test]
fn stepping_does_not_allocate_once_armed() {
    let mut run = Run::armed("drop=0.02,garbage=0.05");
    let info = allocation_counter::measure(|| {
        for step in 0..2000 {
            let wave = (f64::from(step) * 0.02).sin() * 0.3;
            run.write([wave; 6], 0.5 + wave);
            run.cycle();
        }
    });
    assert_eq!(info.count_total, 0);
}

#[test]
fn torque_off_goes_out_even_on_a_link_that_was_given_up() {
    let config = Config { expect_ack: true, ..Config::default() };
    let mut run = Run::new(config, FirmwareConfig::default());
    run.robot.arm(5 * SECOND).unwrap();
    // The arm hears and obeys everything; only its answers are lost.
    run.robot.firmware_mut().faults_mut().drop = Rate::Probability(1.0);
    run.until(|state| state.link == LinkStatus::Lost);
    run.robot.stop(run.now, StopRequest::TorqueOff);
    assert!(run.robot.disarm(2 * SECOND).is_err(), "nobody said that it was heard");
    assert!(!run.robot.firmware_mut().has_torque());
}

#[test]
fn a_torque_off_that_nobody_acknowledged_is_not_called_delivered() {
    let config = Config { expect_ack: true, ..Config::default() };
    let mut run = Run::new(config, FirmwareConfig::default());
    run.robot.arm(5 * SECOND).unwrap();
    run.robot.firmware_mut().faults_mut().silence =
        Some(Window { start: Timestamp::ZERO, duration: None });
    run.robot.stop(run.now, StopRequest::TorqueOff);
    assert!(run.robot.disarm(2 * SECOND).is_err());
    assert!(run.robot.firmware_mut().has_torque());
}

#[test]
fn a_controller_that_starts_again_unarmed_can_be_armed_and_armed_is_lost() {
    let mut run = Run::with_faults("reset@1s");
    run.until(|state| state.epoch == 1);
    run.cycles(4 * SECOND);
    assert_eq!(run.state.link, LinkStatus::Up);
    run.robot.arm(2 * SECOND).unwrap();
    assert!(run.robot.firmware_mut().has_torque());

    let mut run = Run::armed("reset@2s");
    run.write(GOAL, 0.5);
    run.cycles(Duration::from_millis(1500));
    let stood = run.robot.plant_positions();
    run.until(|state| state.link == LinkStatus::Down);
    run.until(|state| state.link == LinkStatus::Lost);
    assert!(run.robot.last_failure().unwrap().contains("no power"));
    assert!(!run.robot.firmware_mut().has_torque());
    assert_eq!(run.robot.plant_positions(), stood);
    assert!(run.robot.stop_handle().is_none());
}
