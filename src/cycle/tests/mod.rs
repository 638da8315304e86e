mod adversity;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};

use sinew_episodes::journal::ClampCause;
use sinew_models::actuators::{ActuatorError, ActuatorModel, Gains, JointInput, Parts};

use super::*;
use crate::config::OverrunPolicy;
use crate::limits::JointLimits;
use crate::pacing::Overruns;

const PERIOD: Duration = Duration::from_millis(20);
const STEP: Duration = Duration::from_millis(100);

fn operator(operator: OperatorRequest) -> CycleInputs {
    CycleInputs { operator, ..CycleInputs::default() }
}

/// A robot that stands exactly where it was told, one cycle later.
struct Bench {
    cycle: Cycle,
    state: State,
    tick: u64,
}

impl Bench {
    fn new() -> Self {
        Self::with(|_| {})
    }

    fn with(change: impl FnOnce(&mut CycleSettings)) -> Self {
        Self::actuated(change, None)
    }

    fn actuated(change: impl FnOnce(&mut CycleSettings), actuation: Option<Actuation>) -> Self {
        let limits = JointLimits {
            position: [-2.0, 2.0],
            max_velocity: 1.0,
            max_acceleration: 4.0,
            max_jerk: 400.0,
            max_step: 0.05,
            barrier: None,
            effort: None,
        };
        let mut settings = CycleSettings {
            guards: Vec::new(),
            compensates_gravity: false,
            lockstep: false,
            period: PERIOD,
            duration: Duration::from_secs(100),
            limits: vec![limits; 3],
            starts: vec![[-2.02, 2.02]; 3],
            workspace: None,
            generator: Some(0.95),
            overruns: Overruns {
                policy: OverrunPolicy::Stop,
                allowed: 5,
                window: Duration::from_secs(1),
            },
            driven: 0b011,
            judged: 0b111,
            blend: Blend::Newest,
            crossfade: Duration::from_millis(100),
            start_ramp: Duration::from_millis(400),
            rest: [0.5; MAX_JOINTS],
            rest_fraction: 0.5,
            thresholds: Thresholds {
                policy_hold: Duration::from_millis(200),
                policy_ramp: Duration::from_millis(1000),
                state_hold: Duration::from_millis(100),
                state_ramp: Duration::from_millis(500),
                tracking: [0.3; MAX_JOINTS],
                tracking_time: Duration::from_millis(200),
                clamp_time: Duration::from_millis(1000),
                ramp_timeout: Duration::from_secs(10),
            },
        };
        change(&mut settings);
        let mut state = State { link: LinkStatus::Up, sequence: 1, ..State::default() };
        state.position[..3].copy_from_slice(&[0.1, -0.2, 0.3]);
        let mut bench = Self { cycle: Cycle::new(settings, actuation), state, tick: 0 };
        bench.measure();
        bench.cycle.arm(&bench.state, bench.now());
        bench
    }

    fn now(&self) -> Timestamp {
        Timestamp::from_nanos(self.tick * PERIOD.as_nanos() as u64)
    }

    fn measure(&mut self) {
        self.state.captured = [self.now(); MAX_JOINTS];
    }

    fn step(&mut self) -> Outcome {
        self.tick += 1;
        let outcome = self.cycle.step(&self.state, CycleInputs::default(), self.now());
        if let Some(command) = &outcome.command {
            self.state.position = command.position;
            self.measure();
        }
        outcome
    }

    fn steps(&mut self, count: usize) -> Outcome {
        (1..count).for_each(|_| {
            self.step();
        });
        self.step()
    }

    fn chunk(&mut self, value: f64, length: usize) {
        let mut chunk = Chunk::with_capacity(length, STEP);
        chunk.sequence = 1;
        chunk.observed = self.now();
        chunk.actions.extend(std::iter::repeat_n([value; MAX_JOINTS], length));
        assert!(self.cycle.insert(Box::new(chunk), self.now()).is_none());
    }
}

#[test]
fn it_holds_at_the_measured_position_until_a_chunk_speaks() {
    let mut bench = Bench::new();
    let outcome = bench.steps(20);
    assert_eq!(outcome.state, ArmState::Holding);
    assert_eq!(outcome.limited[..3], [0.1, -0.2, 0.3]);
    bench.chunk(1.0, 50);
    let first = bench.step();
    assert_eq!(first.state, ArmState::Running);
    assert!((first.limited[0] - 0.1).abs() < 0.01, "no jump at the start");
    let outcome = bench.steps(150);
    assert!((outcome.limited[0] - 1.0).abs() < 1e-6);
    assert_eq!(outcome.limited[2], 0.3, "a joint without an action holds");
}

#[test]
fn a_motion_in_lockstep_goes_on_by_the_robots_own_periods() {
    let gains = Gains { stiffness: 40.0, damping: 0.0 };
    let run = |periods: &[u64]| {
        let lockstep = |settings: &mut CycleSettings| {
            settings.lockstep = true;
            for limits in &mut settings.limits {
                let effort = crate::limits::EffortLimits { max: 100.0, max_rate: 1e4 };
                limits.effort = Some(effort);
            }
        };
        let actuation = Actuation::pd(&[gains; 3]).unwrap();
        let mut bench = Bench::actuated(lockstep, Some(actuation));
        bench.chunk(1.0, 50);
        // Until the start's fade is over, the target is a matter of the loop's time.
        for _ in 0..30 {
            bench.state.sequence += 1;
            bench.step();
        }
        let mut outcomes = Vec::new();
        for passed in periods {
            bench.state.sequence += passed;
            let stands = bench.state.position;
            outcomes.push(bench.step());
            bench.state.position = if *passed == 0 { stands } else { bench.state.position };
        }
        outcomes
    };
    let steady = run(&[1; 10]);
    let uneven = run(&[1, 0, 1, 3, 1, 0, 2, 1, 0, 1]);
    assert!(steady[0].limited[0] < steady[9].limited[0] - 0.05, "it is under way");
    assert_eq!(uneven[9].limited, steady[9].limited, "ten periods are ten periods");
    assert_eq!(uneven[1].limited, uneven[0].limited, "no time has passed for the robot");
    assert_eq!(uneven[1].effort, uneven[0].effort);
    assert!(uneven[1].effort.is_some() && uneven[1].command.is_some());
    assert_eq!(uneven[3].limited, steady[4].limited, "two states were lost");
}

#[test]
fn a_stale_policy_brakes_holds_and_then_ramps_to_rest() {
    let mut bench = Bench::new();
    bench.chunk(1.0, 5);
    let mut states = Vec::new();
    let mut last = None;
    for _ in 0..400 {
        let outcome = bench.step();
        if outcome.changed.is_some() {
            states.push(outcome.state);
        }
        last = Some(outcome);
    }
    use ArmState::{Disarmed, Holding, Running, Stopping};
    assert_eq!(states, [Running, Holding, Stopping, Disarmed]);
    assert_eq!(bench.cycle.cause(), Some(StopCause::PolicyStale));
    assert!(last.unwrap().command.is_none(), "nothing is sent once disarmed");
    assert!(bench.state.position[..3].iter().all(|position| (position - 0.5).abs() < 0.02));
}

#[test]
fn a_policy_that_never_speaks_ends_in_a_ramp() {
    let mut bench = Bench::new();
    assert_eq!(bench.steps(49).state, ArmState::Holding);
    bench.steps(3);
    assert_eq!(bench.cycle.cause(), Some(StopCause::PolicyStale));
}

#[test]
fn a_failed_policy_ends_in_a_stand_where_the_arm_is() {
    let mut bench = Bench::new();
    bench.chunk(1.0, 50);
    bench.steps(50);
    let empty = Box::new(Chunk::with_capacity(1, STEP));
    assert!(bench.cycle.insert(empty, bench.now()).is_some());
    let outcome = bench.steps(60);
    assert_eq!(
        (outcome.state, bench.cycle.cause()),
        (ArmState::Disarmed, Some(StopCause::NonFinite))
    );
    assert!(bench.state.position[0] > 0.6, "it did not go to rest");
}

#[test]
fn a_chunk_that_holds_a_number_that_is_not_finite_stops_the_run_by_joint() {
    let mut bench = Bench::new();
    bench.chunk(1.0, 50);
    bench.steps(30);
    bench.chunk(f64::NAN, 50);
    let outcome = bench.step();
    assert_eq!((outcome.offender, outcome.state), (Some(0), ArmState::Stopping));
    assert!(outcome.limited.iter().all(|position| position.is_finite()));
    assert_eq!(bench.cycle.cause(), Some(StopCause::NonFinite));
}

#[test]
fn a_measurement_that_is_not_finite_never_reaches_a_command() {
    let mut bench = Bench::new();
    bench.chunk(1.0, 50);
    bench.steps(30);
    bench.state.position[1] = f64::INFINITY;
    let outcome = bench.step();
    assert_eq!((outcome.offender, bench.cycle.cause()), (Some(1), Some(StopCause::NonFinite)));
    assert!(outcome.limited.iter().all(|position| position.is_finite()));
}

#[test]
fn old_measurements_hold_and_older_ones_stop() {
    let mut bench = Bench::new();
    bench.chunk(0.5, 80);
    bench.steps(20);
    let frozen = bench.state;
    let mut states = Vec::new();
    for _ in 0..40 {
        bench.tick += 1;
        let outcome = bench.cycle.step(&frozen, operator(OperatorRequest::None), bench.now());
        if outcome.changed.is_some() {
            states.push((outcome.state, bench.cycle.hold()));
        }
    }
    assert_eq!(states[0], (ArmState::Holding, Some(HoldCause::StateStale)));
    assert_eq!(states[1].0, ArmState::Stopping);
    assert_eq!(bench.cycle.cause(), Some(StopCause::StateStale));
}

#[test]
fn an_arm_that_does_not_follow_is_stopped_by_joint() {
    let mut bench = Bench::new();
    bench.chunk(1.5, 200);
    let stuck = bench.state.position;
    let mut offender = None;
    for _ in 0..200 {
        let outcome = bench.step();
        bench.state.position = stuck;
        offender = offender.or(outcome.offender);
    }
    assert_eq!(offender, Some(0));
    assert_eq!(bench.cycle.cause(), Some(StopCause::TrackingError));
}

#[test]
fn a_link_that_comes_back_begins_at_the_measured_position() {
    let mut bench = Bench::new();
    bench.chunk(1.0, 400);
    bench.steps(60);
    bench.state.link = LinkStatus::Down;
    let down = bench.step();
    assert_eq!((down.state, down.command), (ArmState::Holding, None));
    bench.steps(10);
    // Somebody has moved the arm meanwhile.
    bench.state.position[0] = -1.0;
    bench.state.link = LinkStatus::Up;
    bench.state.epoch += 1;
    bench.measure();
    let back = bench.step();
    assert!(back.restarted);
    assert!((back.limited[0] + 1.0).abs() < 0.01, "{}", back.limited[0]);
    bench.chunk(1.0, 400);
    assert!((bench.steps(200).limited[0] - 1.0).abs() < 1e-3);
}

#[test]
fn a_link_that_was_down_begins_at_the_measured_position_even_if_nobody_counted_it() {
    let mut bench = Bench::new();
    bench.chunk(1.0, 400);
    bench.steps(60);
    bench.state.link = LinkStatus::Down;
    bench.steps(10);
    bench.state.position[0] = -1.0;
    bench.state.link = LinkStatus::Up;
    bench.measure();
    let back = bench.step();
    assert!(back.restarted);
    assert!((back.limited[0] + 1.0).abs() < 0.01, "{}", back.limited[0]);
}

#[test]
fn a_link_that_goes_down_in_a_stop_is_no_tracking_error_and_gives_it_no_more_time() {
    let mut bench =
        Bench::with(|settings| settings.thresholds.ramp_timeout = Duration::from_secs(1));
    bench.state.link = LinkStatus::Down;
    let mut cycles = 0;
    while bench.cycle.state() != ArmState::Faulted {
        cycles += 1;
        bench.tick += 1;
        let now = bench.now();
        bench.cycle.step(&bench.state, operator(OperatorRequest::Stop), now);
        assert_ne!(bench.cycle.cause(), Some(StopCause::TrackingError), "cycle {cycles}");
        assert!(cycles < 60);
    }
    assert_eq!(bench.cycle.cause(), Some(StopCause::RampTimeout));
}

#[test]
fn a_way_to_rest_that_becomes_a_stand_has_its_time_once_more() {
    let mut bench = Bench::with(|settings| {
        settings.thresholds.ramp_timeout = Duration::from_secs(2);
        settings.rest = [-1.9; MAX_JOINTS];
        settings.rest_fraction = 0.1;
    });
    let mut ended = 0;
    for cycle in 0..250 {
        // Half a second before the end of its time a joint no longer measures anything, nor the link is up.
        if cycle == 75 {
            bench.state.position[2] = f64::NAN;
        } else if cycle == 80 {
            bench.state.link = LinkStatus::Down;
        }
        bench.tick += 1;
        bench.measure();
        let now = bench.now();
        let outcome = bench.cycle.step(&bench.state, operator(OperatorRequest::Stop), now);
        if let (true, Some(command)) = (cycle < 75, outcome.command) {
            bench.state.position = command.position;
        }
        if outcome.state == ArmState::Faulted {
            ended = cycle;
            break;
        }
    }
    assert!((170..185).contains(&ended), "{ended}");
    assert_eq!(bench.cycle.cause(), Some(StopCause::RampTimeout));
}

#[test]
fn a_link_that_is_lost_latches_and_sends_torque_off_once() {
    let mut bench = Bench::new();
    bench.state.link = LinkStatus::Lost;
    let outcome = bench.step();
    assert_eq!((outcome.state, outcome.request), (ArmState::Faulted, Some(StopRequest::TorqueOff)));
    bench.state.link = LinkStatus::Up;
    let later = bench.steps(10);
    assert_eq!((later.state, later.request, later.command), (ArmState::Faulted, None, None));
}

#[test]
fn the_duration_ends_in_rest_and_a_second_request_takes_torque_off() {
    let mut bench = Bench::with(|settings| settings.duration = Duration::from_secs(1));
    bench.chunk(1.0, 400);
    bench.steps(53);
    assert_eq!(bench.cycle.cause(), Some(StopCause::Completed));
    bench.tick += 1;
    let outcome = bench.cycle.step(&bench.state, operator(OperatorRequest::TorqueOff), bench.now());
    assert_eq!(outcome.request, Some(StopRequest::TorqueOff));
    assert_eq!(bench.cycle.cause(), Some(StopCause::OperatorTorqueOff));
}

#[test]
fn a_ramp_that_does_not_arrive_ends_in_a_stand_where_the_arm_is() {
    let mut bench =
        Bench::with(|settings| settings.thresholds.ramp_timeout = Duration::from_millis(300));
    bench.tick += 1;
    let now = bench.now();
    bench.cycle.step(&bench.state, operator(OperatorRequest::Stop), now);
    let begin = bench.state.position[1];
    let mut last = bench.step();
    while last.state == ArmState::Stopping && bench.tick < 200 {
        last = bench.step();
    }
    assert_eq!((last.state, last.request), (ArmState::Disarmed, Some(StopRequest::Hold)));
    assert_eq!(bench.cycle.cause(), Some(StopCause::RampTimeout));
    let moved = bench.state.position[1] - begin;
    assert!((0.01..0.3).contains(&moved), "on its way to rest: {moved}");
}

#[test]
fn a_stand_that_is_not_reached_either_takes_torque_off() {
    let mut bench =
        Bench::with(|settings| settings.thresholds.ramp_timeout = Duration::from_millis(300));
    bench.tick += 1;
    let now = bench.now();
    bench.cycle.step(&bench.state, operator(OperatorRequest::Stop), now);
    bench.steps(16);
    assert_eq!(bench.cycle.cause(), Some(StopCause::RampTimeout));
    bench.state.link = LinkStatus::Down;
    let outcomes: Vec<_> = (0..20).map(|_| bench.step()).collect();
    let off = outcomes.iter().position(|it| it.request == Some(StopRequest::TorqueOff));
    assert!(off.is_some_and(|cycle| (10..20).contains(&cycle)), "{off:?}");
    assert_eq!(bench.cycle.state(), ArmState::Faulted);
}

#[test]
fn a_process_that_stood_still_for_an_hour_has_not_been_ramping_for_an_hour() {
    let hour = 3600 * 1000 / PERIOD.as_millis() as u64;
    let mut bench = Bench::new();
    bench.chunk(1.5, 50);
    bench.steps(40);
    bench.tick += 1;
    let now = bench.now();
    bench.cycle.step(&bench.state, operator(OperatorRequest::Stop), now);
    // Off course for one cycle, as after a shove: not for an hour.
    bench.state.position[0] += 0.31;
    bench.steps(1);
    bench.tick += hour;
    bench.state.position[0] -= 0.31;
    bench.measure();
    while bench.step().state == ArmState::Stopping {}
    let end = (bench.cycle.state(), bench.cycle.cause());
    assert_eq!(end, (ArmState::Disarmed, Some(StopCause::Operator)));
    assert!((bench.state.position[0] - 0.5).abs() < 1e-3);
}

/// A bench that commands efforts.
fn by_effort() -> Bench {
    by_efforts_up_to(8.0)
}

fn by_efforts_up_to(max: f64) -> Bench {
    let change = |settings: &mut CycleSettings| {
        for limits in &mut settings.limits {
            limits.effort = Some(crate::limits::EffortLimits { max, max_rate: 600.0 });
        }
        settings.period = Duration::from_millis(20);
    };
    let law = Actuation::pd(&[Gains { stiffness: 90.0, damping: 4.0 }; 3]).unwrap();
    let mut bench = Bench::actuated(change, Some(law));
    bench.chunk(1.0, 400);
    assert_eq!(bench.steps(30).state, ArmState::Running);
    bench
}

#[test]
fn no_effort_answers_to_an_old_measurement() {
    let mut bench = by_effort();
    let frozen = bench.state;
    let mut step = || {
        bench.tick += 1;
        bench.cycle.step(&frozen, CycleInputs::default(), bench.now())
    };
    // Four periods are borne here.
    for cycle in 0..4 {
        assert!(step().command.is_some(), "cycle {cycle}");
    }
    let blind = step();
    assert_eq!((blind.command, blind.request), (None, Some(StopRequest::Hold)));
    let later = step();
    assert_eq!((later.command, later.request), (None, None), "told once");
    // It is seen again, somewhere else: commands begin there.
    bench.state.position[0] = -0.4;
    bench.measure();
    bench.tick += 1;
    let back = bench.cycle.step(&bench.state, CycleInputs::default(), bench.now());
    assert!(back.restarted && back.command.is_some());
    assert!((back.limited[0] + 0.4).abs() < 0.01, "{}", back.limited[0]);
}

#[test]
fn no_effort_answers_to_what_is_no_number_and_the_arm_holds_by_itself() {
    let mut bench = by_effort();
    bench.state.velocity[1] = f64::NAN;
    let blind = bench.step();
    assert_eq!((blind.command, blind.request), (None, Some(StopRequest::Hold)));
    assert_eq!(bench.cycle.cause(), Some(StopCause::NonFinite));
    let mut last = blind;
    while last.state == ArmState::Stopping && bench.tick < 500 {
        last = bench.step();
        assert_eq!(last.command, None);
    }
    assert_eq!((last.state, last.request), (ArmState::Disarmed, Some(StopRequest::Hold)));
}

/// Steps until the cycle that stops, which it returns.
fn until_it_stops(bench: &mut Bench, mut before: impl FnMut(&mut Bench)) -> Outcome {
    loop {
        before(bench);
        let outcome = bench.step();
        if outcome.state == ArmState::Stopping || bench.tick > 2000 {
            return outcome;
        }
        assert!(outcome.command.is_some() && outcome.request.is_none());
    }
}

#[test]
fn a_stop_that_doubts_the_efforts_is_left_to_the_robot() {
    // It turns away from where its efforts are to bring it.
    let mut bench = by_effort();
    let strays = |bench: &mut Bench| bench.state.position[0] = -0.5;
    let stop = until_it_stops(&mut bench, strays);
    assert_eq!(bench.cycle.cause(), Some(StopCause::TrackingError));
    assert_eq!((stop.command, stop.request), (None, Some(StopRequest::Hold)));
    // Efforts that the limits had to change in every cycle.
    let mut bench = by_efforts_up_to(0.001);
    let stop = until_it_stops(&mut bench, |_| {});
    assert_eq!(bench.cycle.cause(), Some(StopCause::PersistentClamp));
    assert_eq!((stop.command, stop.request), (None, Some(StopRequest::Hold)));
    assert_eq!(bench.step().request, None, "told once");
    // A robot that comes back may have forgotten it.
    bench.state.epoch += 1;
    bench.measure();
    let back = bench.step();
    assert_eq!((back.command, back.request), (None, Some(StopRequest::Hold)));
    let mut last = back;
    while last.state == ArmState::Stopping && bench.tick < 2000 {
        bench.measure();
        last = bench.step();
        assert_eq!(last.command, None);
    }
    assert_eq!((last.state, last.request), (ArmState::Disarmed, Some(StopRequest::Hold)));
}

/// Counts its steps and resets; gives 0.25 N·m, or nothing, or what stands in for it.
struct Spy {
    told: Arc<Told>,
}

#[derive(Default)]
struct Told {
    steps: AtomicU32,
    resets: AtomicU32,
    fails: AtomicBool,
    falls_back: AtomicBool,
}

impl ActuatorModel for Spy {
    fn step(&mut self, _inputs: &[JointInput], efforts: &mut [f64]) -> Result<(), ActuatorError> {
        self.told.steps.fetch_add(1, Ordering::Relaxed);
        efforts.fill(0.25);
        match self.told.fails.load(Ordering::Relaxed) {
            true => Err(ActuatorError::Network { joint: 1 }),
            false => Ok(()),
        }
    }
    fn reset(&mut self, joint: usize) {
        self.told.resets.fetch_add(u32::from(joint == 0), Ordering::Relaxed);
    }
    fn joints(&self) -> usize {
        3
    }
    fn rate_hz(&self) -> Option<f64> {
        None
    }
    fn kind(&self) -> &'static str {
        "spy"
    }
    fn parts(&self, joint: usize) -> Parts {
        let fallback = joint == 2 && self.told.falls_back.load(Ordering::Relaxed);
        Parts { fallback, ..Parts::default() }
    }
}

fn spied() -> (Bench, Arc<Told>) {
    let told = Arc::new(Told::default());
    let change = |settings: &mut CycleSettings| {
        for limits in &mut settings.limits {
            limits.effort = Some(crate::limits::EffortLimits { max: 8.0, max_rate: 600.0 });
        }
    };
    let model = Box::new(Spy { told: Arc::clone(&told) });
    let mut bench = Bench::actuated(change, Some(Actuation::new(model, vec![0, 1, 2])));
    bench.chunk(1.0, 400);
    assert_eq!(bench.steps(30).state, ArmState::Running);
    (bench, told)
}

#[test]
fn an_actuator_model_lives_through_missed_periods_up_to_a_bound_and_then_begins_anew() {
    let (mut bench, told) = spied();
    for (missed, steps, resets) in [(0, 1, 0), (3, 4, 0), (9, 10, 0), (10, 1, 1), (500, 1, 1)] {
        let before = (told.steps.load(Ordering::Relaxed), told.resets.load(Ordering::Relaxed));
        bench.tick += missed + 1;
        bench.measure();
        let inputs = CycleInputs { missed, ..CycleInputs::default() };
        bench.cycle.step(&bench.state, inputs, bench.now());
        let after = (told.steps.load(Ordering::Relaxed), told.resets.load(Ordering::Relaxed));
        assert_eq!((after.0 - before.0, after.1 - before.1), (steps, resets), "{missed} missed");
    }
}

#[test]
fn a_network_that_gives_nothing_stops_the_run_by_joint_and_a_substitute_is_counted() {
    let (mut bench, told) = spied();
    told.falls_back.store(true, Ordering::Relaxed);
    let outcome = bench.step();
    assert_eq!(outcome.clamps[..3], [0, 0, ClampCause::Actuator.bit()]);
    assert!(outcome.command.is_some());
    told.fails.store(true, Ordering::Relaxed);
    let outcome = bench.step();
    assert_eq!((outcome.command, outcome.request), (None, Some(StopRequest::Hold)));
    assert_eq!((outcome.offender, outcome.left), (Some(1), true));
    assert_eq!(outcome.clamps[1], ClampCause::Actuator.bit());
    assert_eq!(bench.cycle.cause(), Some(StopCause::NonFinite));
    // It is not asked again.
    let steps = told.steps.load(Ordering::Relaxed);
    assert_eq!(bench.steps(5).command, None);
    assert_eq!(told.steps.load(Ordering::Relaxed), steps);
}

#[test]
fn a_stop_that_does_not_doubt_the_efforts_goes_to_rest_with_them() {
    let mut bench = by_effort();
    let mut last = bench.cycle.step(&bench.state, operator(OperatorRequest::Stop), bench.now());
    assert_eq!((last.state, last.request), (ArmState::Stopping, None));
    while last.state == ArmState::Stopping && bench.tick < 2000 {
        last = bench.step();
        assert!(last.command.is_some() || last.state == ArmState::Disarmed);
    }
    assert_eq!(last.state, ArmState::Disarmed);
    assert!((bench.state.position[0] - 0.5).abs() < 0.02);
}

#[test]
fn the_same_inputs_give_the_same_commands() {
    let path = || {
        let mut bench = Bench::new();
        let mut bits = Vec::new();
        for k in 0..300 {
            if k % 40 == 10 {
                bench.chunk((k as f64).sin(), 8);
            }
            bits.extend(bench.step().limited.map(f64::to_bits));
        }
        bits
    };
    assert_eq!(path(), path());
}

#[test]
fn an_arm_that_does_not_follow_its_ramp_to_rest_is_stopped_where_it_is() {
    let mut bench = Bench::with(|settings| settings.rest = [-1.5; MAX_JOINTS]);
    bench.chunk(1.0, 400);
    bench.steps(150);
    let stuck = bench.state.position;
    let mut request = OperatorRequest::Stop;
    for _ in 0..300 {
        bench.tick += 1;
        bench.measure();
        let now = bench.now();
        let outcome = bench.cycle.step(&bench.state, operator(request), now);
        request = OperatorRequest::Stop;
        bench.state.position = stuck;
        assert!(outcome.limited[0] > -1.0, "it is not commanded all the way");
    }
    assert_eq!(bench.cycle.cause(), Some(StopCause::TrackingError));
    assert_eq!(bench.cycle.state(), ArmState::Disarmed);
}

#[test]
fn measurements_that_stop_during_the_ramp_to_rest_end_in_a_stand() {
    let mut bench = Bench::with(|settings| settings.rest = [-1.5; MAX_JOINTS]);
    bench.chunk(1.0, 400);
    bench.steps(150);
    for change in [f64::NAN, 0.0] {
        let mut bench = Bench {
            cycle: Cycle::new(bench.cycle.settings.clone(), None),
            state: State { position: [0.5; MAX_JOINTS], ..bench.state },
            tick: bench.tick,
        };
        bench.cycle.arm(&bench.state, bench.now());
        for _ in 0..100 {
            bench.tick += 1;
            bench.state.position[1] += change;
            let now = bench.now();
            let outcome = bench.cycle.step(&bench.state, operator(OperatorRequest::Stop), now);
            assert!(outcome.limited.iter().all(|position| position.is_finite()));
        }
        let cause = if change.is_nan() { StopCause::NonFinite } else { StopCause::StateStale };
        assert_eq!(bench.cycle.cause(), Some(cause));
    }
}

#[test]
fn a_queue_whose_policy_is_dead_ends_in_a_ramp() {
    let mut bench = Bench::with(|settings| settings.blend = Blend::Queue { steps: 4 });
    bench.chunk(0.5, 8);
    bench.steps(200);
    assert_eq!(bench.cycle.cause(), Some(StopCause::PolicyStale));
}

#[test]
fn a_number_that_is_not_finite_at_a_reconnect_is_not_where_commands_begin() {
    let mut bench = Bench::new();
    bench.chunk(1.0, 400);
    bench.steps(60);
    bench.state.epoch += 1;
    let before = bench.state.position;
    bench.state.position[0] = f64::NAN;
    for _ in 0..5 {
        assert_eq!(bench.step().command, None);
    }
    assert_eq!(bench.cycle.cause(), Some(StopCause::NonFinite));
    bench.state.position = before;
    let outcome = bench.step();
    assert!(outcome.limited.iter().all(|position| position.is_finite()));
}

#[test]
fn late_measurements_now_and_then_do_not_put_off_the_end_of_a_silent_policy() {
    let mut bench = Bench::new();
    let mut cycles = 0;
    while bench.cycle.state() == ArmState::Holding && cycles < 1000 {
        cycles += 1;
        bench.tick += 1;
        if cycles % 20 > 8 {
            bench.measure();
        }
        let now = bench.now();
        bench.cycle.step(&bench.state, operator(OperatorRequest::None), now);
    }
    assert_eq!(bench.cycle.cause(), Some(StopCause::PolicyStale));
}

#[test]
fn a_ramp_has_one_time_limit_however_often_the_link_comes_back() {
    let mut bench = Bench::with(|settings| {
        settings.thresholds.ramp_timeout = Duration::from_secs(2);
        settings.rest = [-1.9; MAX_JOINTS];
    });
    bench.state.position[..3].fill(1.9);
    bench.state.epoch += 1;
    let start = bench.state.position;
    let mut ended = 0;
    for cycle in 0..500 {
        if cycle % 20 == 0 {
            bench.state.epoch += 1;
            bench.state.position = start;
        }
        bench.tick += 1;
        bench.measure();
        let now = bench.now();
        bench.cycle.step(&bench.state, operator(OperatorRequest::Stop), now);
        if bench.cycle.cause() == Some(StopCause::RampTimeout) {
            ended = cycle;
            break;
        }
    }
    assert!((90..120).contains(&ended), "{ended}");
}

#[test]
fn what_was_seen_before_a_reconnect_is_not_acted_upon_after_it() {
    let mut bench = Bench::new();
    bench.chunk(1.0, 400);
    bench.steps(60);
    bench.state.epoch += 1;
    assert!(bench.step().restarted);
    assert_eq!(bench.steps(20).state, ArmState::Holding);
    bench.chunk(1.0, 400);
    assert_eq!(bench.step().state, ArmState::Running);
}

#[test]
fn a_joint_that_comes_back_outside_its_limits_stops_the_run_by_name() {
    let mut bench = Bench::new();
    bench.chunk(1.0, 400);
    bench.steps(60);
    bench.state.epoch += 1;
    bench.state.position[1] = 2.4;
    let outcome = bench.step();
    assert_eq!((outcome.offender, bench.cycle.cause()), (Some(1), Some(StopCause::OutsideLimits)));
}
