//! One whole cycle in torque with each law of a whole arm, 7 joints, from state to command, without
//! robot, clock and ring: `cargo bench --bench laws`. Each cycle is timed alone, because the tail
//! counts: two looks at the clock, some 50 ns, are in every figure. The last rows are divan's, in
//! batches.

use std::path::Path;
use std::time::{Duration, Instant};

use divan::{Bencher, black_box};
use hdrhistogram::Histogram;
use sinew::config;
use sinew::control::OperatorSignal;
use sinew::cycle::{Cycle, CycleInputs};
use sinew::run::prepare;
use sinew::supervision::ArmState;
use sinew::targets::Chunk;
use sinew_firmware_interfaces::{LinkStatus, MAX_JOINTS, State, Timestamp};

const LAWS: [&str; 6] = [
    "joint_impedance",
    "joint_pid",
    "cartesian_impedance",
    "cartesian_pid",
    "operational_space",
    "guiding",
];
/// Cycles that are timed, and cycles before.
const CYCLES: u64 = 200_000;
const WARM_UP: u64 = 2_000;
const PERIOD: Duration = Duration::from_millis(1);
const EXCITATION: &str = "excitation={ signals = [{ kind = 'chirp', joint = 'joint1', \
                          duration_s = 1, amplitude_rad = 0.1, from_hz = 0.2, to_hz = 0.5 }] }";

fn main() {
    println!("one cycle, 7 joints, every option of the law on      p50      p99    p99.9      max");
    for law in LAWS {
        let mut arm = Arm::new(law);
        (0..WARM_UP).for_each(|_| arm.step());
        let Ok(mut times) = Histogram::<u64>::new_with_bounds(1, 1_000_000_000, 3) else { return };
        for _ in 0..CYCLES {
            let began = Instant::now();
            arm.cycle();
            let taken = began.elapsed();
            times.saturating_record(taken.as_nanos() as u64);
            arm.follow();
        }
        let at = |quantile| times.value_at_quantile(quantile) as f64 / 1e3;
        println!(
            "{law:<48} {:>5.2} µs {:>5.2} µs {:>5.2} µs {:>5.1} µs",
            at(0.5),
            at(0.99),
            at(0.999),
            times.max() as f64 / 1e3
        );
    }
    divan::main();
}

/// A cycle and an arm that stands where it was told, one cycle later.
struct Arm {
    cycle: Cycle,
    state: State,
    now: Timestamp,
    tick: u64,
    told: [f64; MAX_JOINTS],
}

impl Arm {
    fn new(law: &str) -> Self {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("configs/mock-guiding.toml");
        let mut sets = vec![
            format!("actuation.model={law}"),
            "actuation.gravity_compensation=true".to_owned(),
            "actuation.friction_compensation=0.5".to_owned(),
            "actuation.filter_hz=200".to_owned(),
            "supervision.tracking_error_rad=1.5".to_owned(),
            "run.duration_s=3000".to_owned(),
            "overrun.policy=report".to_owned(),
        ];
        if law != "guiding" {
            sets.push(EXCITATION.to_owned());
        }
        let fail = |error: &dyn std::fmt::Display| -> ! { panic!("{error}") };
        let loaded = config::load(&path, &sets).unwrap_or_else(|error| fail(&error));
        let parts =
            prepare(&loaded, &OperatorSignal::default()).unwrap_or_else(|error| fail(&error));
        let mut settings = parts.settings;
        settings.driven = 0x7f;
        let mut arm = Self {
            cycle: Cycle::new(settings, parts.actuation),
            state: State { link: LinkStatus::Up, sequence: 1, epoch: 1, ..State::default() },
            now: Timestamp::ZERO.after(PERIOD),
            tick: 0,
            told: [0.0; MAX_JOINTS],
        };
        arm.state.position[..7].copy_from_slice(&[0.0, -0.8, 0.0, -2.0, 0.0, 1.6, 0.8]);
        arm.told = arm.state.position;
        arm.state.captured = [arm.now; MAX_JOINTS];
        arm.cycle.arm(&arm.state, arm.now);
        arm
    }

    /// A new chunk twice a second, as a policy would bring it: not timed.
    fn follow(&mut self) {
        let before = self.state.position;
        self.state.position[..7].copy_from_slice(&self.told[..7]);
        self.state.velocity =
            std::array::from_fn(|joint| (self.state.position[joint] - before[joint]) / 1e-3);
        if self.tick.is_multiple_of(500) {
            let step = Duration::from_nanos(33_333_333);
            let mut chunk = Box::new(Chunk::with_capacity(30, step));
            (chunk.sequence, chunk.observed) = (self.tick / 500 + 1, self.now);
            chunk.actions.extend((0..30).map(|index| {
                let t = self.tick as f64 * 1e-3 + f64::from(index) / 30.0;
                let start = [0.0, -0.8, 0.0, -2.0, 0.0, 1.6, 0.8];
                let mut action = [0.0; MAX_JOINTS];
                for (joint, start) in start.into_iter().enumerate() {
                    action[joint] = start + 0.3 * (0.7 * t + joint as f64).sin();
                }
                action
            }));
            self.cycle.insert(chunk, self.now);
        }
        while self.cycle.retire(self.now).is_some() {}
        self.tick += 1;
        self.now = self.now.after(PERIOD);
        self.state.captured = [self.now; MAX_JOINTS];
        self.state.sequence += 1;
    }

    fn cycle(&mut self) {
        let outcome = self.cycle.step(black_box(&self.state), CycleInputs::default(), self.now);
        assert!(self.tick < 1000 || outcome.state == ArmState::Running, "{:?}", self.cycle.cause());
        if let Some(command) = &outcome.command {
            self.told = black_box(command.position);
        }
    }

    fn step(&mut self) {
        self.follow();
        self.cycle();
    }
}

#[divan::bench(args = LAWS)]
fn law(bencher: Bencher, law: &str) {
    let mut arm = Arm::new(law);
    (0..WARM_UP).for_each(|_| arm.step());
    bencher.bench_local(|| arm.step());
}
