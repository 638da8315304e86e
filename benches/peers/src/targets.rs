//! Our target generator and rsruckig's `Trackig` on the same moving targets, with our gate behind
//! both. What is judged is the gate's output, which the arm would get.

use std::hint::black_box;
use std::time::Instant;

use rsruckig::prelude::*;
use sinew::actuation::TargetGenerator;
use sinew::limits::{Finite, Gate, JointGate, JointLimits};
use sinew_firmware_interfaces::MAX_JOINTS;

const LIMITS: JointLimits = JointLimits {
    position: [-2.0, 2.0],
    max_velocity: 1.0,
    max_acceleration: 2.5,
    max_jerk: 50.0,
    max_step: 1.0,
    barrier: None,
    effort: None,
};
/// Both generators run a little below the gate's limits, as in a run.
const FRACTION: f64 = 0.95;
/// Length of a signal, in s.
const SECONDS: f64 = 30.0;

/// A generator as the cycle uses it: where the gate changed its position, it goes on from there.
type Generator = Box<dyn FnMut(f64, Option<&JointGate>) -> f64>;

/// Prints the table.
pub fn compare() -> Result<(), String> {
    println!(
        "{:<8} {:>6}  {:<9} {:>11} {:>9} {:>11} {:>9} {:>13}",
        "targets",
        "dt",
        "generator",
        "worst mrad",
        "RMS mrad",
        "RMS jerk",
        "ns/joint",
        "gate changed"
    );
    for (name, signal) in signals() {
        for dt in [0.001, 0.02] {
            row(name, "sinew", dt, signal, ours);
            row(name, "Trackig", dt, signal, trackig);
        }
    }
    Ok(())
}

type Signal = fn(f64) -> f64;

fn signals() -> [(&'static str, Signal); 3] {
    [
        ("sine", |t| 0.4 * (1.2 * t).sin()),
        ("zig-zag", |t| {
            // Straight lines between the 10 Hz actions of chunks.
            let corner = |n: f64| 0.3 * (0.12 * n).sin() + 0.01 * (2.4 * n).sin();
            let (n, share) = ((10.0 * t).floor(), (10.0 * t).fract());
            corner(n) * (1.0 - share) + corner(n + 1.0) * share
        }),
        ("steps", |t| if (t / 5.0) as u64 % 2 == 0 { 0.8 } else { -0.8 }),
    ]
}

fn ours(dt: f64) -> Generator {
    let mut generator = TargetGenerator::inset(&[LIMITS.slowed(FRACTION)], dt);
    Box::new(move |target, gate| {
        if let Some(gate) = gate {
            generator.begin(0, gate);
        }
        let next = Finite::new(target).and_then(|target| generator.step(0, target));
        next.map_or(f64::NAN, Finite::get)
    })
}

/// Its target's velocity by backward difference; its acceleration unknown, so 0.
fn trackig(dt: f64) -> Generator {
    let mut tracker = Trackig::<1, IgnoreErrorHandler>::new(None, dt);
    let mut input = InputParameter::new(None);
    let mut output = OutputParameter::new(None);
    input.synchronization = Synchronization::None;
    let slowed = LIMITS.slowed(FRACTION);
    input.max_velocity[0] = slowed.max_velocity;
    input.max_acceleration[0] = slowed.max_acceleration;
    input.max_jerk[0] = slowed.max_jerk;
    let mut target = TargetState::new(None);
    let mut before = None;
    Box::new(move |position, gate| {
        if let Some(gate) = gate {
            let motion = gate.motion();
            input.current_position[0] = motion.position;
            input.current_velocity[0] = motion.velocity;
            input.current_acceleration[0] = motion.acceleration;
        }
        target.position[0] = position;
        target.velocity[0] = (position - before.unwrap_or(position)) / dt;
        before = Some(position);
        if tracker.update(&target, &input, &mut output).is_err() {
            return f64::NAN;
        }
        output.pass_to_input(&mut input);
        output.new_position[0]
    })
}

fn row(name: &str, who: &str, dt: f64, signal: Signal, make: fn(f64) -> Generator) {
    let cycles = (SECONDS / dt).round() as usize;
    let targets: Vec<f64> = (0..cycles).map(|k| signal(k as f64 * dt)).collect();
    // Once for the time alone, without the gate: the median over batches.
    let mut generator = make(dt);
    let mut times: Vec<f64> = targets
        .chunks(100)
        .map(|batch| {
            let began = Instant::now();
            for target in batch {
                black_box(generator(*target, None));
            }
            began.elapsed().as_nanos() as f64 / batch.len() as f64
        })
        .collect();
    times.sort_by(f64::total_cmp);
    let nanos = times[times.len() / 2];
    let mut generator = make(dt);
    let mut positions = Vec::with_capacity(cycles);
    let mut gate = Gate::new(&[LIMITS], None, dt);
    let (mut changed, mut differs) = (0, false);
    for target in &targets {
        let position = generator(*target, gate.joint(0).filter(|_| differs));
        let mut requests = [None; MAX_JOINTS];
        requests[0] = Finite::new(position);
        let (mut limited, mut clamps) = ([0.0; MAX_JOINTS], [0; MAX_JOINTS]);
        gate.apply(&requests, &mut limited, &mut clamps);
        differs = limited[0] != position;
        changed += usize::from(differs);
        positions.push(limited[0]);
    }
    let second = (1.0 / dt).round() as usize;
    let errors: Vec<f64> = targets
        .iter()
        .zip(&positions)
        .skip(second)
        .map(|(target, position)| (target - position).abs())
        .collect();
    let worst = errors.iter().copied().fold(0.0, f64::max);
    let rms = |values: &[f64]| {
        (values.iter().map(|value| value * value).sum::<f64>() / values.len() as f64).sqrt()
    };
    let jerks: Vec<f64> = positions[second..]
        .windows(4)
        .map(|it| (it[3] - 3.0 * it[2] + 3.0 * it[1] - it[0]) / dt.powi(3))
        .collect();
    println!(
        "{name:<8} {:>3} ms  {who:<9} {:>11.3} {:>9.3} {:>11.2} {:>9.0} {:>7} of {}",
        dt * 1e3,
        worst * 1e3,
        rms(&errors) * 1e3,
        rms(&jerks),
        nanos,
        changed,
        cycles
    );
}
