//! The mock arm in virtual time: motion, refusals, stops and faults, to the beat.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::sync::Arc;
use std::time::Duration;

use sinew_firmware_interfaces::mock::{Config, MockArm};
use sinew_firmware_interfaces::{
    Clock, Command, ControlMode, LinkStatus, MAX_JOINTS, Robot, RobotError, SimulatedClock, State,
    StopRequest, Timestamp,
};

const PERIOD: Duration = Duration::from_millis(1);
const NO_TIME: Duration = Duration::ZERO;

/// A clock that beats with the cycles, so that every cycle has a sample of its own time.
fn steady(faults: &str) -> Config {
    Config { drift_ppm: 0.0, faults: faults.parse().unwrap(), ..Config::default() }
}

/// An arm with its run: cycles of 1 ms.
struct Run {
    arm: MockArm,
    clock: SimulatedClock,
    state: State,
}

impl Run {
    fn new(config: Config) -> Self {
        let clock = SimulatedClock::new();
        let arm = MockArm::new(config, Arc::new(clock.clone()));
        Self { arm, clock, state: State::default() }
    }

    fn armed(config: Config) -> Self {
        let mut run = Self::new(config);
        run.arm.arm(NO_TIME).unwrap();
        run.read();
        run
    }

    fn read(&mut self) {
        self.arm.read(self.clock.now(), &mut self.state);
    }

    fn cycle(&mut self) {
        self.clock.advance_to(self.clock.now().after(PERIOD));
        self.read();
    }

    fn cycles(&mut self, count: u32) {
        (0..count).for_each(|_| self.cycle());
    }

    fn to(&mut self, milliseconds: u64) {
        while self.clock.now() < at(milliseconds) {
            self.cycle();
        }
    }

    fn command(&self, mode: ControlMode, value: f64) -> Command {
        let values = [value; MAX_JOINTS];
        let (position, effort) = match mode {
            ControlMode::Position => (values, [0.0; MAX_JOINTS]),
            ControlMode::Effort => (self.state.position, values),
        };
        Command { mode, position, effort, issued: self.clock.now(), epoch: self.state.epoch }
    }

    fn go(&mut self, position: f64) {
        let command = self.command(ControlMode::Position, position);
        self.arm.write(self.clock.now(), &command);
    }

    fn push(&mut self, effort: f64) {
        let command = self.command(ControlMode::Effort, effort);
        self.arm.write(self.clock.now(), &command);
    }

    /// Commands `position` every cycle, up to a time.
    fn follow(&mut self, position: f64, until: u64) {
        while self.clock.now() < at(until) {
            self.go(position);
            self.cycle();
        }
    }

    fn first(&self) -> f64 {
        self.state.position[0]
    }
}

fn at(milliseconds: u64) -> Timestamp {
    Timestamp::ZERO.after(Duration::from_millis(milliseconds))
}

#[test]
fn arming_moves_nothing_and_yields_a_state() {
    let mut start = [0.0; MAX_JOINTS];
    start[..3].copy_from_slice(&[0.3, -1.0, 2.0]);
    let mut run = Run::armed(Config { joints: 3, start, ..steady("") });
    run.cycles(50);
    assert_eq!(run.state.position, start);
    assert_eq!((run.state.link, run.state.epoch), (LinkStatus::Up, 1));
    assert_eq!((run.state.sequence, run.state.captured[2]), (51, at(50)));
    assert_eq!(run.arm.description().joints.len(), 3);
}

#[test]
fn it_has_one_to_thirty_two_joints() {
    for (asked, had) in [(0, 1), (1, 1), (32, 32), (33, 32)] {
        let mut run = Run::armed(Config { joints: asked, ..steady("") });
        assert_eq!(run.arm.description().joints.len(), had);
        run.follow(0.1, 200);
        assert!((run.state.position[had - 1] - 0.1).abs() < 1e-6);
        assert!(run.state.position[had..].iter().all(|position| *position == 0.0));
    }
}

#[test]
fn a_small_step_of_position_is_that_of_a_critically_damped_servo() {
    let mut run = Run::armed(steady(""));
    let (target, rate) = (1e-4, 200.0);
    run.go(target);
    for cycle in 1..=50 {
        run.cycle();
        // The set point needs 10 µs at its top speed of 10 rad/s: half of that is the delay.
        let time = f64::from(cycle) * 1e-3 - 5e-6;
        let decay = (-rate * time).exp();
        let position = target * (1.0 - (1.0 + rate * time) * decay);
        let velocity = target * rate * rate * time * decay;
        assert!((run.first() - position).abs() < 1e-3 * target, "{cycle}: {}", run.first());
        let error = (run.state.velocity[6] - velocity).abs();
        assert!(error < 1e-3 * target * rate, "{cycle}: {error}");
    }
}

#[test]
fn a_large_step_is_taken_at_top_speed_without_overshoot() {
    let mut run = Run::armed(steady(""));
    let mut fastest: f64 = 0.0;
    for _ in 0..500 {
        run.go(2.0);
        run.cycle();
        fastest = fastest.max(run.state.velocity[0]);
        assert!(run.first() <= 2.0 + 1e-9);
    }
    assert!((9.9..=10.0).contains(&fastest), "{fastest}");
    assert!((run.first() - 2.0).abs() < 1e-6);
}

#[test]
fn at_constant_speed_the_joint_lags_a_little() {
    let mut run = Run::armed(steady(""));
    for cycle in 0..1000 {
        run.go(f64::from(cycle) * 1e-3);
        run.cycle();
    }
    // Lag of 2 v / bandwidth; the last command is on average half a period old.
    let lag = 0.999 - run.first();
    assert!((0.008..0.012).contains(&lag), "{lag}");
    assert!((run.state.velocity[0] - 1.0).abs() < 0.02);
}

#[test]
fn a_step_of_torque_is_that_of_inertia_and_friction() {
    let (inertia, friction, torque) = (0.5, 2.0, 3.0);
    let config = Config { inertia_kg_m2: inertia, friction_nm_s_rad: friction, ..steady("") };
    let mut run = Run::armed(config);
    for cycle in 1..=600 {
        run.push(torque);
        run.cycle();
        let time = f64::from(cycle) * 1e-3;
        let decay = (-friction / inertia * time).exp();
        let velocity = torque / friction * (1.0 - decay);
        let position = torque / friction * (time - inertia / friction * (1.0 - decay));
        assert!((run.state.velocity[3] - velocity).abs() < 1e-9, "{cycle}");
        assert!((run.state.position[3] - position).abs() < 1e-9, "{cycle}");
        assert_eq!(run.state.effort[3], torque);
    }
}

#[test]
fn torque_beyond_the_devices_is_clipped_and_the_end_stop_holds() {
    let config = Config { friction_nm_s_rad: 0.0, max_effort_nm: 4.0, ..steady("") };
    let mut run = Run::armed(config);
    for _ in 0..100 {
        run.push(1e6);
        run.cycle();
    }
    // 4 N·m on 0.5 kg·m² for 0.1 s.
    assert_eq!(run.state.effort[0], 4.0);
    assert!((run.state.velocity[0] - 0.8).abs() < 1e-9 && (run.first() - 0.04).abs() < 1e-9);
    for _ in 0..2000 {
        run.push(4.0);
        run.cycle();
    }
    assert_eq!((run.first(), run.state.velocity[0]), (std::f64::consts::PI, 0.0));
}

#[test]
fn a_command_in_the_middle_of_a_period_takes_effect_there() {
    let mut run = Run::armed(Config { friction_nm_s_rad: 0.0, ..steady("") });
    run.clock.advance_to(Timestamp::from_nanos(400_000));
    run.push(1.0);
    run.clock.advance_to(at(1));
    run.read();
    assert!((run.state.velocity[0] - 2.0 * 0.6e-3).abs() < 1e-12, "{}", run.state.velocity[0]);
}

#[test]
fn commands_that_must_not_be_executed_are_refused_and_counted() {
    let mut run = Run::new(steady(""));
    run.read();
    run.go(0.1); // Not armed.
    run.arm.arm(NO_TIME).unwrap();
    run.read();
    let good = run.command(ControlMode::Position, 0.1);
    for (position, effort, epoch) in [
        (f64::NAN, 0.0, 1),
        (f64::INFINITY, 0.0, 1),
        (0.1, f64::NAN, 1),
        (3.2, 0.0, 1), // Out of the joint's range.
        (0.1, 0.0, 0), // Another connection.
        (0.1, 0.0, 2),
    ] {
        let mut bad = Command { epoch, ..good };
        bad.position[2] = position;
        bad.effort[2] = effort;
        run.arm.write(run.clock.now(), &bad);
    }
    run.cycles(50);
    assert_eq!(run.state.position, [0.0; MAX_JOINTS]);
    let statistics = run.arm.statistics();
    assert_eq!((statistics.rejected, statistics.commands), (7, 0));
    assert!(run.arm.last_failure().unwrap().contains("another connection"));
    run.arm.write(run.clock.now(), &good);
    run.cycles(100);
    assert!(run.first() > 0.09);
    assert_eq!(run.arm.statistics().commands, 1);
}

#[test]
fn hold_stays_where_it_is_and_later_commands_move_again() {
    let mut run = Run::armed(steady(""));
    run.follow(1.0, 60);
    let from = run.first();
    assert!((0.2..0.9).contains(&from), "{from}");
    run.arm.stop(run.clock.now(), StopRequest::Hold);
    run.cycles(200);
    assert!((run.first() - from).abs() < 1e-9, "{} {from}", run.first());
    run.follow(1.0, 1000);
    assert!((run.first() - 1.0).abs() < 1e-6);
}

#[test]
fn torque_off_stands_and_takes_no_command_until_armed_again() {
    let mut run = Run::armed(steady(""));
    run.follow(1.0, 60);
    let from = run.first();
    run.arm.stop(run.clock.now(), StopRequest::TorqueOff);
    run.follow(1.0, 200);
    assert_eq!((run.first(), run.state.velocity[0]), (from, 0.0));
    assert_eq!(run.arm.statistics().rejected, 140);
    run.arm.arm(NO_TIME).unwrap();
    run.read();
    assert_eq!((run.state.epoch, run.first()), (2, from));
    run.follow(1.0, 1000);
    assert!((run.first() - 1.0).abs() < 1e-6);
}

#[test]
fn without_commands_the_device_holds() {
    let mut run = Run::armed(steady(""));
    run.push(5.0);
    run.cycles(100);
    let moving = run.state.velocity[0];
    assert!(moving > 0.5, "{moving}");
    run.cycles(100);
    assert!(run.state.velocity[0].abs() < 1e-3, "{}", run.state.velocity[0]);
    let held = run.first();
    run.cycles(1000);
    assert!((run.first() - held).abs() < 1e-4);
}

#[test]
fn the_same_calls_give_the_same_bits() {
    let run = || {
        let faults = "drop=0.05,corrupt=0.05,garbage=0.05,delay=5ms@100ms,disconnect=50ms@300ms";
        let config = Config { faults: faults.parse().unwrap(), seed: 7, ..Config::default() };
        let mut run = Run::armed(config);
        let mut states = Vec::new();
        for cycle in 0..1000_u32 {
            let wave = (f64::from(cycle) * 0.01).sin();
            if cycle % 200 < 100 {
                run.go(wave)
            } else {
                run.push(wave)
            }
            run.cycle();
            states.push(format!("{:?}", run.state));
        }
        (states, run.arm.statistics())
    };
    assert_eq!(run(), run());
}

#[test]
fn the_devices_own_clock_drifts_against_the_runs() {
    let mut run = Run::armed(Config { drift_ppm: 1000.0, ..steady("") });
    run.cycles(1000);
    // 1001 beats a second, and the one at the start.
    assert_eq!(run.state.sequence, 1002);
    let mut run = Run::armed(Config { drift_ppm: -1000.0, ..steady("") });
    run.cycles(900);
    assert_eq!(run.state.sequence, 900);
    assert!(run.state.captured[0] > at(899) && run.state.captured[0] < at(900));
}

#[test]
fn wait_returns_the_next_beat_at_its_virtual_time() {
    let mut run = Run::armed(Config { drift_ppm: -500.0, ..steady("") });
    let second = Duration::from_secs(1);
    for index in 0..200_u64 {
        let tick = run.arm.wait(second).unwrap();
        let due = (index as f64 * 1e9 / 999.5).round() as u64;
        assert_eq!((tick.index, tick.arrived.as_nanos()), (index, due));
        run.clock.advance_to(tick.arrived);
        run.read();
        assert_eq!((run.state.sequence, run.state.captured[0]), (index + 1, tick.arrived));
    }
    // Shorter than the time to the next beat.
    assert_eq!(run.arm.wait(Duration::from_micros(900)), None);
    // A late caller gets the newest beat that has arrived.
    run.clock.advance_to(at(250));
    assert_eq!(run.arm.wait(second).unwrap().index, 249);
    assert_eq!(run.arm.wait(second).unwrap().index, 250);
}

#[test]
fn a_beat_whose_sample_never_came_is_a_gap() {
    let beats = |faults: &str| {
        let mut run = Run::armed(steady(faults));
        let ticks = std::iter::from_fn(|| {
            let tick = run.arm.wait(Duration::from_millis(100))?;
            run.clock.advance_to(tick.arrived);
            let before = run.state.sequence;
            run.read();
            assert!(tick.index == 0 || run.state.sequence == before + 1, "{tick:?}");
            Some((tick.index, tick.arrived.as_nanos() / 1_000_000))
        });
        ticks.take(20).collect::<Vec<_>>()
    };
    let indices = |faults| beats(faults).iter().map(|(index, _)| *index).collect::<Vec<_>>();
    assert_eq!(indices("")[..4], [0, 1, 2, 3]);
    for faults in ["drop=1/4", "corrupt=1/4", "garbage=1/4"] {
        assert_eq!(indices(faults)[..7], [0, 1, 2, 4, 5, 6, 8], "{faults}");
    }
    assert_eq!(indices("silence=10ms@5ms")[4..7], [4, 15, 16]);
    assert_eq!(indices("disconnect=10ms@5ms")[4..7], [4, 15, 16]);
    assert_eq!(indices("reset=10ms@5ms")[4..7], [4, 15, 16]);
    assert_eq!(indices("silence@5ms").len(), 5);
    assert_eq!(beats("delay=30ms@5ms")[4..7], [(4, 4), (5, 35), (6, 36)]);
}

#[test]
fn dropped_samples_leave_the_sequence_as_it_is() {
    let mut run = Run::armed(steady("drop=1/20"));
    run.cycles(1000);
    // Beats 0 to 1000, of which every twentieth is missing.
    assert_eq!(run.state.sequence, 951);
    assert_eq!(run.arm.statistics().timeouts, 50);
    run.to(1019);
    assert_eq!((run.state.sequence, run.state.captured[0]), (969, at(1018)));
}

#[test]
fn damaged_samples_are_noticed_and_refused() {
    for (faults, garbage) in [("corrupt=1/10", 0), ("garbage=1/10", 100 * 168)] {
        let mut run = Run::armed(steady(faults));
        run.follow(1.0, 1000);
        let statistics = run.arm.statistics();
        assert_eq!((statistics.rejected, statistics.garbage_bytes), (100, garbage), "{faults}");
        assert_eq!(run.state.sequence, 901);
        assert!((run.first() - 1.0).abs() < 1e-6);
        assert!(run.arm.last_failure().unwrap().contains("damaged"));
    }
}

#[test]
fn delayed_samples_are_as_old_as_said_and_all_arrive() {
    let mut run = Run::armed(steady("delay=200ms@300ms"));
    run.to(299);
    assert_eq!(run.state.captured[0], at(299));
    run.to(499);
    assert_eq!((run.state.captured[0], run.state.sequence), (at(299), 300));
    run.follow(1.0, 600);
    assert_eq!((run.state.captured[0], run.state.sequence), (at(400), 401));
    assert_eq!(run.first(), 0.0);
    run.follow(1.0, 1200);
    assert!((run.first() - 1.0).abs() < 1e-6);
    let statistics = run.arm.statistics();
    assert_eq!(statistics.read_ns_max, 200_000_000);
}

#[test]
fn in_a_silence_nothing_is_measured_and_nothing_is_heard() {
    let mut run = Run::armed(steady("silence=200ms@300ms"));
    run.follow(0.5, 300);
    let before = run.state;
    run.follow(1.0, 499);
    assert_eq!(run.state, before);
    run.go(1.0);
    run.cycle();
    // What was said in the silence was not heard: the joint is still where it was.
    assert_eq!((run.state.link, run.state.epoch), (LinkStatus::Up, 1));
    assert!(run.state.captured[0] == at(500) && (run.first() - 0.5).abs() < 1e-4);
    run.follow(1.0, 900);
    assert!((run.first() - 1.0).abs() < 1e-6);
    assert_eq!(run.arm.statistics().timeouts, 200);
}

#[test]
fn a_stop_that_was_not_heard_is_served_when_the_device_hears_again() {
    let mut run = Run::armed(steady("silence=20ms@60ms"));
    run.follow(2.0, 61);
    run.arm.stop(run.clock.now(), StopRequest::TorqueOff);
    assert!(matches!(run.arm.disarm(NO_TIME), Err(RobotError::NoAnswer { .. })));
    run.cycles(18);
    let moving = run.first();
    run.cycles(20);
    let stood = run.first();
    assert!(stood >= moving && run.state.velocity[0] == 0.0);
    run.cycles(100);
    assert_eq!(run.first(), stood);
    run.arm.disarm(NO_TIME).unwrap();
}

#[test]
fn a_link_that_comes_back_begins_a_new_epoch_at_the_same_position() {
    let mut run = Run::armed(steady("disconnect=1s@500ms"));
    run.follow(0.5, 499);
    let old = run.command(ControlMode::Position, 1.0);
    run.cycle();
    assert_eq!((run.state.link, run.state.captured[0]), (LinkStatus::Down, at(499)));
    run.arm.write(run.clock.now(), &old);
    run.to(1500);
    assert_eq!((run.state.link, run.state.epoch), (LinkStatus::Up, 2));
    assert_eq!(run.state.captured[0], at(1500));
    run.arm.write(run.clock.now(), &old);
    run.cycles(100);
    assert!((run.first() - 0.5).abs() < 1e-4, "{}", run.first());
    let statistics = run.arm.statistics();
    assert_eq!((statistics.reconnects, statistics.rejected), (1, 2));
    run.follow(1.0, 2000);
    assert!((run.first() - 1.0).abs() < 1e-6);
}

#[test]
fn a_clock_that_jumps_by_days_costs_a_minute_of_beats_and_no_fault() {
    const DAY_MS: u64 = 86_400_000;
    let mut run = Run::armed(steady("disconnect=1s@100min,stuck@200min,silence=2s@300min"));
    run.follow(0.5, 600);
    run.clock.advance_to(at(10 * DAY_MS));
    run.read();
    assert_eq!((run.state.link, run.state.epoch), (LinkStatus::Up, 2));
    assert_eq!(run.state.captured[0], at(10 * DAY_MS));
    assert!((run.first() - 0.5).abs() < 1e-3, "{}", run.first());
    let statistics = run.arm.statistics();
    assert_eq!(statistics.reconnects, 1);
    assert!(statistics.reads < 100_000, "{}", statistics.reads);
    let tick = run.arm.wait(NO_TIME).unwrap();
    assert_eq!((tick.index, tick.arrived), (10 * DAY_MS, at(10 * DAY_MS)));
    run.cycles(10);
    assert_eq!(run.state.captured[0], at(10 * DAY_MS + 10));
}

#[test]
fn a_link_that_stays_away_is_lost_for_good() {
    let mut run = Run::armed(steady("disconnect@500ms"));
    run.to(5499);
    assert_eq!(run.state.link, LinkStatus::Down);
    run.cycle();
    assert_eq!(run.state.link, LinkStatus::Lost);
    run.arm.stop(run.clock.now(), StopRequest::TorqueOff);
    assert!(matches!(run.arm.disarm(NO_TIME), Err(RobotError::Lost { .. })));
    assert!(matches!(run.arm.arm(NO_TIME), Err(RobotError::Lost { .. })));
    assert!(run.arm.last_failure().unwrap().contains("did not come back"));
}

#[test]
fn a_controller_that_starts_again_holds_where_it_stands_in_a_new_epoch() {
    let mut run = Run::armed(steady("reset@100ms"));
    run.follow(2.0, 99);
    let before = run.first();
    run.follow(2.0, 399);
    assert_eq!((run.state.link, run.first()), (LinkStatus::Down, before));
    run.cycle();
    // It stood at the next beat, without torque, and holds now.
    assert_eq!((run.state.link, run.state.epoch), (LinkStatus::Up, 2));
    let stood = run.first();
    assert!((stood - before - 0.01).abs() < 1e-3, "{stood} {before}");
    run.cycles(100);
    assert!((run.first() - stood).abs() < 1e-12);
    run.follow(2.0, 1000);
    assert!((run.first() - 2.0).abs() < 1e-6);
}

#[test]
fn joint_1_measures_nan_jumps_or_all_stand() {
    let mut run = Run::armed(steady("nan=20ms@100ms"));
    run.follow(0.5, 99);
    assert!(run.first().is_finite());
    run.follow(0.5, 119);
    assert!(run.first().is_nan() && run.state.position[1].is_finite());
    run.follow(0.5, 500);
    assert!((run.first() - 0.5).abs() < 1e-6);

    let mut run = Run::armed(steady("jump=0.5@300ms"));
    run.follow(0.25, 299);
    assert!((run.first() - 0.25).abs() < 1e-6);
    run.follow(0.25, 300);
    assert!((run.first() - 0.75).abs() < 1e-6 && (run.state.position[1] - 0.25).abs() < 1e-6);

    let mut run = Run::armed(steady("stuck=200ms@60ms"));
    run.follow(2.0, 60);
    let stuck = run.first();
    run.follow(2.0, 259);
    assert_eq!((run.first(), run.state.velocity[0]), (stuck, 0.0));
    run.follow(2.0, 1000);
    assert!((run.first() - 2.0).abs() < 1e-6);
}

#[test]
fn a_device_that_says_nothing_is_not_armed() {
    for faults in ["silence", "disconnect=1s"] {
        let mut run = Run::new(steady(faults));
        assert!(matches!(run.arm.arm(NO_TIME), Err(RobotError::NoAnswer { .. })), "{faults}");
        run.go(1.0);
        assert_eq!(run.arm.statistics().commands, 0, "{faults}");
    }
    // The answer to arming is asked for until it comes.
    let mut run = Run::armed(steady("drop=1"));
    run.cycles(100);
    assert_eq!((run.state.sequence, run.state.captured[0]), (1, at(0)));
}

#[test]
fn a_stop_handle_stops_and_latches_until_armed_again() {
    let mut run = Run::armed(steady(""));
    let handle = run.arm.stop_handle().unwrap();
    run.follow(2.0, 60);
    handle.stop(StopRequest::Hold);
    let from = run.first();
    run.follow(2.0, 300);
    assert!((run.first() - from).abs() < 0.05, "{} {from}", run.first());
    let held = run.first();
    run.follow(2.0, 500);
    assert!((run.first() - held).abs() < 1e-9);
    assert_eq!(run.arm.statistics().rejected, 440);
    // A stop by the owner does not end the latch; arming does.
    run.arm.stop(run.clock.now(), StopRequest::Hold);
    run.follow(2.0, 600);
    assert!((run.first() - held).abs() < 1e-6);
    run.arm.arm(NO_TIME).unwrap();
    run.read();
    run.follow(2.0, 1500);
    assert!((run.first() - 2.0).abs() < 1e-6);

    handle.stop(StopRequest::TorqueOff);
    run.follow(0.0, 1700);
    assert!((run.first() - 2.0).abs() < 1e-6);
    run.arm.disarm(NO_TIME).unwrap();
}

#[test]
fn a_stop_takes_effect_when_it_was_asked_for_not_when_the_owner_returns() {
    let mut run = Run::armed(steady(""));
    let handle = run.arm.stop_handle().unwrap();
    run.push(10.0);
    run.clock.advance_to(at(20));
    handle.stop(StopRequest::TorqueOff);
    run.clock.advance_to(at(2000));
    run.read();
    // 10 N·m on 0.5 kg·m² for 20 ms, a little less for friction.
    assert!((0.0035..0.0041).contains(&run.first()), "{}", run.first());
}

#[test]
fn a_stall_has_no_meaning_in_virtual_time() {
    let mut run = Run::armed(steady("stall=10min@1ms"));
    run.cycles(10);
    assert_eq!(run.state.captured[0], at(10));
}

#[test]
fn the_control_threads_calls_do_not_allocate() {
    let faults = "drop=0.05,corrupt=0.05,garbage=0.05,delay=20ms@100ms,silence=50ms@200ms,\
                  reset@400ms,disconnect=100ms@1s,nan=1s@2s,jump=0.5@3s,stuck=1s@4s";
    let config =
        Config { joints: MAX_JOINTS, faults: faults.parse().unwrap(), ..Config::default() };
    let mut run = Run::armed(config);
    let handle = run.arm.stop_handle().unwrap();
    let info = allocation_counter::measure(|| {
        for cycle in 0..6000_u32 {
            run.cycle();
            let wave = (f64::from(cycle) * 1e-2).sin();
            if cycle % 200 < 100 {
                run.go(wave)
            } else {
                run.push(wave)
            }
            let tick = run.arm.wait(PERIOD);
            assert!(tick.is_none_or(|tick| tick.index < 6010));
            if cycle % 1000 == 999 {
                run.arm.stop(run.clock.now(), StopRequest::Hold);
            }
        }
        handle.stop(StopRequest::TorqueOff);
        run.cycles(10);
    });
    assert_eq!(info.count_total, 0);
}
