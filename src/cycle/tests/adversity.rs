//! Whatever the robot measures, the policy says, the operator wants and the clock misses: what is
//! sent is finite, inside every limit from the last beginning on, and only while it may be sent.

use std::sync::Arc;

use proptest::prelude::*;
use proptest::test_runner::RngSeed;

use sinew_models::actuators::Gains;

use super::*;
use crate::limits::judge::Judge;
use crate::limits::{EffortLimits, Tool, VelocityBarrier, Workspace};

const JOINTS: usize = 3;
const RAMP_TIMEOUT: Duration = Duration::from_millis(2500);
/// In cycles: the time limits of the way to rest and of a stand instead, and the time to settle.
const LONGEST_STOP: u128 = (2 * RAMP_TIMEOUT.as_nanos() + SETTLE.as_nanos()) / PERIOD.as_nanos();
const EFFORT: EffortLimits = EffortLimits { max: 8.0, max_rate: 60.0 };
/// Numbers that no sensor or policy should come up with, but may.
const ABSURD: [f64; 6] = [f64::NAN, f64::INFINITY, f64::NEG_INFINITY, 1e308, -1e308, 5e-324];

/// Two links of 0.4 m and 0.3 m in a plane; the third joint is a gripper.
#[derive(Debug)]
struct Arm;

impl Tool for Arm {
    fn tip(&self, q: &[f64]) -> [f64; 3] {
        let (first, second) = (q[0], q[0] + q[1]);
        [0.4 * first.cos() + 0.3 * second.cos(), 0.4 * first.sin() + 0.3 * second.sin(), 0.0]
    }

    fn reach(&self, joint: usize) -> f64 {
        [0.7, 0.3, 0.0][joint]
    }
}

fn workspace() -> Workspace {
    Workspace::new(Arc::new(Arm), [-0.3, -0.4, -1.0], [0.75, 0.4, 1.0])
}

/// Which of a state's arrays.
#[derive(Clone, Copy, Debug)]
enum Quantity {
    Position,
    Velocity,
    Effort,
}

/// What the world does to a run.
#[derive(Clone, Debug)]
enum Act {
    /// A chunk of actions about a value.
    Chunk { value: f64, length: usize, old: bool },
    /// One action of a chunk is absurd, for one joint.
    BadChunk { number: f64, joint: usize, place: usize },
    /// The policy's admission of failure.
    Failure,
    /// The robot follows its commands again.
    Follows,
    /// The robot stands, whatever it is told, and measures so or no longer.
    Stuck { measures: bool },
    /// Somebody moves a joint.
    Shoved { joint: usize, to: f64 },
    /// A sensor says a number until the robot follows again.
    Says { quantity: Quantity, joint: usize, number: f64 },
    /// Positions of these joints are substituted from here on.
    Substitutes(u32),
    /// The link changes, as a new connection or not.
    Link { link: LinkStatus, new: bool },
    /// What the operator asks for, from here on.
    Operator(OperatorRequest),
    /// Deadlines missed in each of the cycles that follow.
    Misses(u64),
    /// The watchdog has stopped the robot.
    Watchdog,
}

fn act() -> impl Strategy<Value = Act> {
    use Act::*;
    let absurd = || prop::sample::select(&ABSURD[..]);
    let quantity =
        prop::sample::select(&[Quantity::Position, Quantity::Velocity, Quantity::Effort][..]);
    let joint = || 0..JOINTS;
    let request = prop::sample::select(&[OperatorRequest::Stop, OperatorRequest::TorqueOff][..]);
    prop_oneof![
        12 => (-2.5..2.5f64, 1..60usize, prop::bool::weighted(0.1))
            .prop_map(|(value, length, old)| Chunk { value, length, old }),
        1 => (absurd(), joint(), 0..8usize)
            .prop_map(|(number, joint, place)| BadChunk { number, joint, place }),
        1 => Just(Failure),
        6 => Just(Follows),
        2 => any::<bool>().prop_map(|measures| Stuck { measures }),
        2 => (joint(), -2.6..2.6f64).prop_map(|(joint, to)| Shoved { joint, to }),
        2 => (quantity, joint(), absurd())
            .prop_map(|(quantity, joint, number)| Says { quantity, joint, number }),
        1 => (0..8u32).prop_map(Substitutes),
        3 => any::<bool>().prop_map(|new| Link { link: LinkStatus::Up, new }),
        2 => any::<bool>().prop_map(|new| Link { link: LinkStatus::Down, new }),
        1 => Just(Link { link: LinkStatus::Lost, new: false }),
        1 => request.prop_map(Operator),
        2 => (0..4u64).prop_map(Misses),
        1 => Just(Watchdog),
    ]
}

/// How a run is set up.
#[derive(Clone, Copy, Debug)]
struct Setting {
    efforts: bool,
    generator: bool,
    barrier: bool,
    boxed: bool,
    blend: Blend,
    overruns: OverrunPolicy,
}

fn setting() -> impl Strategy<Value = Setting> {
    let blend = prop::sample::select(
        &[Blend::Newest, Blend::Queue { steps: 6 }, Blend::Ensemble { coefficient: 0.01 }][..],
    );
    let overruns = prop::sample::select(
        &[OverrunPolicy::Report, OverrunPolicy::Hold, OverrunPolicy::Stop][..],
    );
    (any::<[bool; 4]>(), blend, overruns).prop_map(
        |([efforts, generator, barrier, boxed], blend, overruns)| Setting {
            efforts,
            generator,
            barrier,
            boxed,
            blend,
            overruns,
        },
    )
}

impl Setting {
    fn actuation(self) -> Option<Actuation> {
        let gains = [Gains { stiffness: 90.0, damping: 4.0 }; JOINTS];
        self.efforts.then(|| Actuation::pd(&gains).unwrap())
    }

    fn apply(self, settings: &mut CycleSettings) {
        let barrier = VelocityBarrier { position: [-2.1, 2.1], offset: 0.2, deceleration: 2.0 };
        for limits in &mut settings.limits {
            limits.barrier = self.barrier.then_some(barrier);
            limits.effort = self.efforts.then_some(EFFORT);
        }
        settings.workspace = self.boxed.then(workspace);
        settings.generator = self.generator.then_some(0.95);
        settings.blend = self.blend;
        settings.overruns.policy = self.overruns;
        settings.rest = [0.0; MAX_JOINTS];
        settings.rest_fraction = 1.0;
        settings.thresholds.ramp_timeout = RAMP_TIMEOUT;
    }
}

/// A world around a cycle, and a judge of every joint.
struct World {
    bench: Bench,
    limits: Vec<JointLimits>,
    judges: Vec<Judge>,
    /// Whether the tool was in its box when commands began.
    boxed: bool,
    efforts: [f64; MAX_JOINTS],
    inputs: CycleInputs,
    follows: bool,
    measures: bool,
    before: ArmState,
    /// Cycles that the present stop has taken.
    stopping: u128,
}

impl World {
    fn new(setting: Setting) -> Self {
        let bench = Bench::actuated(|settings| setting.apply(settings), setting.actuation());
        let limits = bench.cycle.settings.limits.clone();
        let mut world = Self {
            before: bench.cycle.state(),
            bench,
            limits,
            judges: Vec::new(),
            boxed: false,
            efforts: [0.0; MAX_JOINTS],
            inputs: CycleInputs::default(),
            follows: true,
            measures: true,
            stopping: 0,
        };
        world.begin();
        world
    }

    /// What is commanded is judged from the measurement on.
    fn begin(&mut self) {
        let state = &self.bench.state;
        let dt = PERIOD.as_secs_f64();
        let judge = |(joint, limits): (usize, &JointLimits)| {
            let ([lower, upper], start) = (limits.position, state.position[joint]);
            let substituted = state.is_substituted(joint);
            let start = if substituted { start.clamp(lower, upper) } else { start };
            Judge::new(*limits, dt, start)
        };
        self.judges = self.limits.iter().enumerate().map(judge).collect();
        let starts: Vec<f64> = self.judges.iter().map(Judge::position).collect();
        let workspace = &self.bench.cycle.settings.workspace;
        self.boxed = workspace.as_ref().is_some_and(|it| it.holds(&starts, 0.0));
        self.efforts = state.effort.map(|effort| effort.clamp(-EFFORT.max, EFFORT.max));
    }

    fn act(&mut self, act: Act) {
        let now = self.bench.now();
        let state = &mut self.bench.state;
        match act {
            Act::Chunk { value, length, old } => {
                let mut chunk = Chunk::with_capacity(length, STEP);
                chunk.observed = if old { Timestamp::ZERO } else { now };
                chunk.actions.extend((0..length).map(|k| {
                    let sway = 0.2 * (k as f64).sin();
                    [value + sway; MAX_JOINTS]
                }));
                let _ = self.bench.cycle.insert(Box::new(chunk), now);
            }
            Act::BadChunk { number, joint, place } => {
                let mut chunk = Chunk::with_capacity(8, STEP);
                chunk.observed = now;
                chunk.actions.resize(8, [0.1; MAX_JOINTS]);
                chunk.actions[place][joint] = number;
                let _ = self.bench.cycle.insert(Box::new(chunk), now);
            }
            Act::Failure => {
                let _ = self.bench.cycle.insert(Box::new(Chunk::with_capacity(1, STEP)), now);
            }
            Act::Follows => {
                (self.follows, self.measures) = (true, true);
                (state.velocity, state.effort) = ([0.0; MAX_JOINTS], [0.0; MAX_JOINTS]);
                for position in &mut state.position {
                    *position = if position.is_finite() { position.clamp(-1.9, 1.9) } else { 0.3 };
                }
            }
            Act::Stuck { measures } => (self.follows, self.measures) = (false, measures),
            Act::Shoved { joint, to } => state.position[joint] = to,
            Act::Says { quantity, joint, number } => {
                self.follows = false;
                let quantities = match quantity {
                    Quantity::Position => &mut state.position,
                    Quantity::Velocity => &mut state.velocity,
                    Quantity::Effort => &mut state.effort,
                };
                quantities[joint] = number;
            }
            Act::Substitutes(joints) => state.substituted = joints,
            Act::Link { link, new } => {
                state.link = link;
                state.epoch += u32::from(new);
            }
            Act::Operator(request) => self.inputs.operator = request,
            Act::Misses(misses) => self.inputs.misses = misses,
            Act::Watchdog => self.inputs.watchdog = true,
        }
    }

    /// One cycle, judged.
    fn cycle(&mut self) -> Result<(), String> {
        self.bench.tick += 1;
        if self.measures {
            self.bench.measure();
        }
        let now = self.bench.now();
        let outcome = self.bench.cycle.step(&self.bench.state, self.inputs, now);
        while self.bench.cycle.retire(now).is_some() {}
        let state = self.bench.state;
        if outcome.restarted {
            self.begin();
        }
        if self.before == ArmState::Faulted && outcome.state != ArmState::Faulted {
            return Err(format!("a fault became {:?}", outcome.state));
        }
        self.before = outcome.state;
        self.stopping += u128::from(outcome.state == ArmState::Stopping);
        if self.stopping > LONGEST_STOP {
            return Err("a stop that does not end".to_owned());
        }
        let numbers = outcome.limited.iter().chain(outcome.effort.iter().flatten());
        if let Some(number) = numbers.into_iter().find(|number| !number.is_finite()) {
            return Err(format!("{number} passed the limits"));
        }
        let Some(command) = outcome.command else { return Ok(()) };
        if matches!(outcome.state, ArmState::Disarmed | ArmState::Faulted) {
            return Err(format!("a command while {:?}", outcome.state));
        }
        if state.link != LinkStatus::Up || command.epoch != state.epoch || command.issued != now {
            return Err(format!("a command for another connection or time: {command:?}"));
        }
        for (joint, judge) in self.judges.iter_mut().enumerate() {
            judge
                .next(command.position[joint])
                .map_err(|error| format!("joint {joint}: {error}"))?;
            let (effort, before) = (command.effort[joint], self.efforts[joint]);
            let change = EFFORT.max_rate * PERIOD.as_secs_f64() + 1e-12;
            let efforts = self.limits[joint].effort.is_some();
            let inside = effort.abs() <= EFFORT.max && (effort - before).abs() <= change;
            if efforts && !inside || !efforts && effort != 0.0 {
                return Err(format!("joint {joint}: effort {effort} after {before}"));
            }
            self.efforts[joint] = effort;
        }
        if self.boxed && !workspace().holds(&command.position[..JOINTS], 0.0) {
            return Err(format!("the tool left its box: {:?}", &command.position[..JOINTS]));
        }
        if self.follows {
            self.bench.state.position[..JOINTS].copy_from_slice(&command.position[..JOINTS]);
        }
        Ok(())
    }
}

/// The same runs each time, so that a failure can be looked at; `SINEW_CASES=1000000` looks at as
/// many others.
fn config() -> ProptestConfig {
    let wanted = std::env::var("SINEW_CASES").ok().and_then(|cases| cases.parse().ok());
    let mut config = ProptestConfig::with_cases(wanted.unwrap_or(2000));
    config.failure_persistence = None;
    if wanted.is_none() {
        config.rng_seed = RngSeed::Fixed(20);
    }
    config
}

proptest! {
    #![proptest_config(config())]

    #[test]
    fn whatever_happens_what_is_sent_is_finite_inside_the_limits_and_ends_when_it_must(
        setting in setting(),
        acts in prop::collection::vec((act(), 0..25usize), 1..40),
        (last, misses) in (prop::bool::weighted(0.1), 0..2u64),
    ) {
        let mut world = World::new(setting);
        for (act, cycles) in acts {
            world.act(act.clone());
            for cycle in 0..cycles {
                let judged = world.cycle();
                prop_assert_eq!(judged, Ok(()), "{:?}, cycle {}", act, cycle);
            }
        }
        // From wherever this has led, a stop ends; whatever is wrong goes on being wrong.
        let request = if last { OperatorRequest::TorqueOff } else { OperatorRequest::Stop };
        if world.inputs.operator != OperatorRequest::TorqueOff {
            world.inputs.operator = request;
        }
        world.inputs.misses = misses;
        for cycle in 0..=LONGEST_STOP {
            prop_assert_eq!(world.cycle(), Ok(()), "stopping, cycle {}", cycle);
        }
        let state = world.bench.cycle.state();
        prop_assert!(matches!(state, ArmState::Disarmed | ArmState::Faulted), "{:?}", state);
        prop_assert!(world.bench.cycle.cause().is_some());
    }
}
