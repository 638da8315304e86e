//! The loop of sinew's bench as three Copper tasks: the same mock arm, the same targets, the same
//! generator and limits. Only what is around them differs.

use std::cell::RefCell;
use std::sync::Arc;
use std::time::{Duration, Instant};

use bincode::{Decode, Encode};
use cu29::prelude::*;
use serde::{Deserialize, Serialize};
use sinew::actuation::TargetGenerator;
use sinew::bench::{Motion, chunk, settings};
use sinew::limits::{Finite, Gate};
use sinew::targets::Chunk;
use sinew_firmware_interfaces::mock::{Config, MockArm};
use sinew_firmware_interfaces::{
    Command, ControlMode, MAX_JOINTS, Robot, SimulatedClock, State, Timestamp,
};

use crate::JOINTS;

/// What sinew records of a measurement: 7 joints, four values each.
#[derive(Clone, Debug, Default, PartialEq, Encode, Decode, Serialize, Deserialize, Reflect)]
pub struct Measured {
    pub index: u64,
    pub scheduled_ns: u64,
    pub woke_ns: u64,
    pub position: [f64; JOINTS],
    pub velocity: [f64; JOINTS],
    pub effort: [f64; JOINTS],
    pub captured_ns: [u64; JOINTS],
}

/// What sinew records of a decision: 7 joints, four values each.
#[derive(Clone, Debug, Default, PartialEq, Encode, Decode, Serialize, Deserialize, Reflect)]
pub struct Commanded {
    pub requested: [f64; JOINTS],
    pub generated: [f64; JOINTS],
    pub limited: [f64; JOINTS],
    pub clamps: [u16; JOINTS],
    pub observed_ns: u64,
}

/// The arm, which two tasks share: all of them run on one thread.
pub struct Shared {
    arm: MockArm,
    /// Time of the present cycle on the arm's grid, as in sinew's bench.
    pub now: Timestamp,
    pub index: u64,
    /// When the command was handed over.
    pub written: Instant,
}

thread_local! {
    pub static SHARED: RefCell<Option<Shared>> = const { RefCell::new(None) };
}

/// Arms the arm on the calling thread.
pub fn set_up() -> Result<(), String> {
    let clock = SimulatedClock::new();
    let mut arm = MockArm::new(Config { joints: JOINTS, ..Config::default() }, Arc::new(clock));
    arm.arm(Duration::from_secs(1)).map_err(|error| error.to_string())?;
    let now = Timestamp::ZERO;
    SHARED.set(Some(Shared { arm, now, index: 0, written: Instant::now() }));
    Ok(())
}

/// The next cycle is `periods` later.
pub fn advance(periods: u64) {
    with(|shared| {
        shared.now = shared.now.after(Duration::from_millis(periods));
        shared.index += periods;
    });
}

pub fn with<T: Default>(act: impl FnOnce(&mut Shared) -> T) -> T {
    SHARED.with_borrow_mut(|shared| shared.as_mut().map(act)).unwrap_or_default()
}

#[derive(Reflect)]
pub struct Measure;

impl Freezable for Measure {}

impl CuSrcTask for Measure {
    type Resources<'r> = ();
    type Output<'m> = output_msg!(Measured);

    fn new(_config: Option<&ComponentConfig>, _resources: Self::Resources<'_>) -> CuResult<Self> {
        Ok(Self)
    }

    fn process(&mut self, _ctx: &CuContext, output: &mut Self::Output<'_>) -> CuResult<()> {
        with(|shared| {
            let mut state = State::default();
            shared.arm.read(shared.now, &mut state);
            let first = |values: &[f64; MAX_JOINTS]| std::array::from_fn(|joint| values[joint]);
            output.set_payload(Measured {
                index: shared.index,
                scheduled_ns: shared.now.as_nanos(),
                woke_ns: shared.now.as_nanos(),
                position: first(&state.position),
                velocity: first(&state.velocity),
                effort: first(&state.effort),
                captured_ns: std::array::from_fn(|joint| state.captured[joint].as_nanos()),
            });
        });
        Ok(())
    }
}

/// Target from a chunk, generator, gate.
#[derive(Reflect)]
#[reflect(from_reflect = false)]
pub struct Law {
    #[reflect(ignore)]
    generator: TargetGenerator,
    #[reflect(ignore)]
    gate: Gate,
    #[reflect(ignore)]
    chunk: Chunk,
    begun: bool,
}

impl Freezable for Law {}

impl CuTask for Law {
    type Resources<'r> = ();
    type Input<'m> = input_msg!(Measured);
    type Output<'m> = output_msg!(Commanded);

    fn new(_config: Option<&ComponentConfig>, _resources: Self::Resources<'_>) -> CuResult<Self> {
        let settings = settings(JOINTS, Motion::JerkLimited);
        let dt = settings.period.as_secs_f64();
        let slowed: Vec<_> = settings.limits.iter().map(|limits| limits.slowed(0.95)).collect();
        Ok(Self {
            generator: TargetGenerator::inset(&slowed, dt),
            gate: Gate::new(&settings.limits, None, dt),
            chunk: Chunk::with_capacity(30, Duration::from_nanos(33_333_333)),
            begun: false,
        })
    }

    fn process(
        &mut self,
        _ctx: &CuContext,
        input: &Self::Input<'_>,
        output: &mut Self::Output<'_>,
    ) -> CuResult<()> {
        let Some(measured) = input.payload() else { return Ok(()) };
        let now = Timestamp::from_nanos(measured.scheduled_ns);
        if !self.begun {
            self.begun = true;
            for (joint, position) in measured.position.iter().enumerate() {
                if let Some(position) = Finite::new(*position) {
                    self.gate.reset(joint, position);
                }
                if let Some(gate) = self.gate.joint(joint) {
                    self.generator.begin(joint, gate);
                }
            }
        }
        if !self.chunk.covers(now) || measured.index % 500 == 0 {
            chunk(&mut self.chunk, measured.index, now);
        }
        let mut commanded = Commanded::default();
        let mut requests = [None; MAX_JOINTS];
        for joint in 0..JOINTS {
            let target = self.chunk.sample(joint, now).unwrap_or_default();
            commanded.requested[joint] = target;
            requests[joint] =
                Finite::new(target).and_then(|target| self.generator.step(joint, target));
            commanded.generated[joint] = requests[joint].map_or(0.0, Finite::get);
        }
        let (mut limited, mut clamps) = ([0.0; MAX_JOINTS], [0; MAX_JOINTS]);
        self.gate.apply(&requests, &mut limited, &mut clamps);
        commanded.limited.copy_from_slice(&limited[..JOINTS]);
        commanded.clamps.copy_from_slice(&clamps[..JOINTS]);
        commanded.observed_ns = self.chunk.observed.as_nanos();
        output.set_payload(commanded);
        Ok(())
    }
}

#[derive(Reflect)]
pub struct Write;

impl Freezable for Write {}

impl CuSinkTask for Write {
    type Resources<'r> = ();
    type Input<'m> = input_msg!(Commanded);

    fn new(_config: Option<&ComponentConfig>, _resources: Self::Resources<'_>) -> CuResult<Self> {
        Ok(Self)
    }

    fn process(&mut self, _ctx: &CuContext, input: &Self::Input<'_>) -> CuResult<()> {
        let Some(commanded) = input.payload() else { return Ok(()) };
        with(|shared| {
            let mut command = Command {
                mode: ControlMode::Position,
                position: [0.0; MAX_JOINTS],
                effort: [0.0; MAX_JOINTS],
                issued: shared.now,
                epoch: 1,
            };
            command.position[..JOINTS].copy_from_slice(&commanded.limited);
            shared.arm.write(shared.now, &command);
            shared.written = Instant::now();
        });
        Ok(())
    }
}

/// Commands that the arm took, to see that the work was done.
pub fn commands() -> u64 {
    with(|shared| shared.arm.statistics().commands)
}
