//! Dynamics of a 7-joint arm: `cargo bench -p sinew-simulation --bench dynamics`.

#![allow(clippy::unwrap_used, reason = "a bench ends where its arm cannot be made")]

use divan::{Bencher, black_box};
use sinew_simulation::arms::franka::{self, JOINTS};
use sinew_simulation::dynamics::{IkSettings, Joints};

fn main() {
    divan::main();
}

/// Positions, velocities and accelerations that differ from call to call.
fn motions() -> impl Iterator<Item = [Joints<JOINTS>; 3]> {
    let motions: Vec<_> = (0..128)
        .map(|k| {
            let wave = |phase: f64| {
                Joints::from_fn(|i, _| 0.4 * (0.37 * f64::from(k) + phase + i as f64).sin())
            };
            [Joints::from(franka::READY) + wave(0.0), wave(1.0), wave(2.0)]
        })
        .collect();
    motions.into_iter().cycle()
}

macro_rules! benches {
    ($($name:ident: |$arm:ident, $q:ident, $v:ident, $a:ident| $call:expr;)*) => {$(
        #[divan::bench(sample_count = 200, sample_size = 1280)]
        fn $name(bencher: Bencher) {
            let $arm = franka::panda_identified().unwrap();
            let mut motions = motions();
            bencher.bench_local(|| {
                if let Some([$q, $v, $a]) = black_box(motions.next()) {
                    let _result = black_box($call);
                }
            });
        }
    )*};
}

benches! {
    nothing: |arm, q, v, a| (&arm, q, v, a);
    forward_kinematics: |arm, q, _v, _a| arm.chain.at(&q).tool();
    jacobian: |arm, q, _v, _a| arm.chain.at(&q).jacobian();
    jacobian_and_rate: |arm, q, v, _a| {
        let state = arm.chain.at(&q);
        (state.jacobian(), state.jacobian_rate(&v))
    };
    rnea: |arm, q, v, a| arm.at(&q).inverse(&v, &a);
    crba: |arm, q, _v, _a| arm.at(&q).mass_matrix();
    aba: |arm, q, v, a| arm.at(&q).forward(&v, &a);
    gravity: |arm, q, _v, _a| arm.at(&q).gravity();
    coriolis_matrix: |arm, q, v, _a| arm.at(&q).coriolis_matrix(&v);
    rnea_crba_jacobian: |arm, q, v, a| {
        let state = arm.at(&q);
        (state.inverse(&v, &a), state.mass_matrix(), state.kinematics.jacobian())
    };
    // What franka-rs counts as five model calls: pose, Jacobian, mass, Coriolis, gravity.
    five_model_calls: |arm, q, v, _a| {
        let state = arm.at(&q);
        let kinematics = &state.kinematics;
        let forces = (state.coriolis(&v), state.gravity());
        (kinematics.tool(), kinematics.jacobian(), state.mass_matrix(), forces)
    };
    friction: |arm, _q, v, _a| arm.friction_torque(&v);
    inverse_kinematics: |arm, q, v, _a| {
        let target = arm.chain.at(&q).tool();
        arm.chain.inverse(&target, &(q + v * 0.1), &IkSettings::default())
    };
}
