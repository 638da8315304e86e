//! Gate and target generator alone: `cargo bench --bench limits`.

use divan::{Bencher, black_box};
use sinew::actuation::TargetGenerator;
use sinew::bench::{Motion, settings};
use sinew::limits::{Finite, Gate};
use sinew_firmware_interfaces::MAX_JOINTS;

fn main() {
    divan::main();
}

const JOINTS: [usize; 4] = [1, 7, 16, 32];
const DT: f64 = 1e-3;

/// A target for each cycle, and back again without a jump.
fn targets(signal: impl Fn(f64) -> f64) -> impl Iterator<Item = Option<Finite>> + Clone {
    let there: Vec<_> = (0..30_000).map(|k| Finite::new(signal(f64::from(k) * DT))).collect();
    let back = there.iter().rev().copied().collect::<Vec<_>>();
    there.into_iter().chain(back).cycle()
}

fn gate(bencher: Bencher, joints: usize, signal: impl Fn(f64) -> f64) {
    let mut gate = Gate::new(&settings(joints, Motion::Linear).limits, None, DT);
    let mut targets = targets(signal);
    let (mut limited, mut clamps) = ([0.0; MAX_JOINTS], [0; MAX_JOINTS]);
    bencher.bench_local(|| {
        let requests = [targets.next().flatten(); MAX_JOINTS];
        gate.apply(black_box(&requests), &mut limited, &mut clamps);
        black_box(limited[0])
    });
}

#[divan::bench(args = JOINTS)]
fn gate_passes_a_sine_through(bencher: Bencher, joints: usize) {
    gate(bencher, joints, |t| 0.3 * (1.0 - (0.8 * t).cos()));
}

#[divan::bench(args = JOINTS)]
fn gate_clamps_a_square_wave(bencher: Bencher, joints: usize) {
    gate(bencher, joints, |t| if ((t / 1.5) as u64).is_multiple_of(2) { 2.0 } else { -2.0 });
}

#[divan::bench(args = JOINTS)]
fn gate_brakes(bencher: Bencher, joints: usize) {
    let mut gate = Gate::new(&settings(joints, Motion::Linear).limits, None, DT);
    let (mut limited, mut clamps) = ([0.0; MAX_JOINTS], [0; MAX_JOINTS]);
    bencher.bench_local(|| {
        gate.apply(black_box(&[None; MAX_JOINTS]), &mut limited, &mut clamps);
        black_box(limited[0])
    });
}

#[divan::bench(args = JOINTS)]
fn generator_follows_corners(bencher: Bencher, joints: usize) {
    let limits: Vec<_> =
        settings(joints, Motion::Linear).limits.iter().map(|it| it.slowed(0.95)).collect();
    let mut generator = TargetGenerator::inset(&limits, DT);
    let mut targets = targets(|t| {
        let corner = |n: f64| 0.2 * (1.7 * n).sin();
        let (n, share) = ((10.0 * t).floor(), (10.0 * t).fract());
        corner(n) * (1.0 - share) + corner(n + 1.0) * share
    });
    bencher.bench_local(|| {
        if let Some(target) = targets.next().flatten() {
            for joint in 0..joints {
                black_box(generator.step(joint, target));
            }
        }
    });
}
