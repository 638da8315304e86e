//! One cycle as a plain function, without robot, clock and ring: `cargo bench --bench cycle`.
//! `sinew bench` measures the whole loop.

use std::time::Duration;

use divan::{Bencher, black_box};
use sinew::bench::{Motion, actuation, chunk, settings};
use sinew::cycle::{Cycle, CycleInputs};
use sinew::targets::Chunk;
use sinew_firmware_interfaces::{LinkStatus, MAX_JOINTS, State, Timestamp};

fn main() {
    divan::main();
}

const JOINTS: [usize; 6] = [1, 2, 4, 7, 16, 32];
const PERIOD: Duration = Duration::from_millis(1);

/// A robot that stands where it was told, one cycle later.
fn steps(bencher: Bencher, joints: usize, motion: Motion) {
    let mut cycle = Cycle::new(settings(joints, motion), actuation(joints, motion));
    let mut state = State { link: LinkStatus::Up, sequence: 1, epoch: 1, ..State::default() };
    let mut now = Timestamp::ZERO.after(PERIOD);
    state.captured = [now; MAX_JOINTS];
    cycle.arm(&state, now);
    let mut spare = Some(Box::new(Chunk::with_capacity(30, Duration::from_nanos(33_333_333))));
    let mut count = 0_u64;
    bencher.bench_local(|| {
        if count.is_multiple_of(500)
            && let Some(mut next) = spare.take()
        {
            chunk(&mut next, count / 500 + 1, now);
            spare = cycle.insert(next, now);
        }
        count += 1;
        spare = spare.take().or_else(|| cycle.retire(now));
        spare = spare.take().or_else(|| {
            count
                .is_multiple_of(500)
                .then(|| Box::new(Chunk::with_capacity(30, Duration::from_nanos(33_333_333))))
        });
        let outcome = cycle.step(black_box(&state), CycleInputs::default(), now);
        if let Some(command) = &outcome.command {
            state.position = command.position;
        }
        now = now.after(PERIOD);
        state.captured = [now; MAX_JOINTS];
        black_box(outcome.limited[0])
    });
}

#[divan::bench(args = JOINTS)]
fn linear(bencher: Bencher, joints: usize) {
    steps(bencher, joints, Motion::Linear);
}

#[divan::bench(args = JOINTS)]
fn jerk_limited(bencher: Bencher, joints: usize) {
    steps(bencher, joints, Motion::JerkLimited);
}

#[divan::bench(args = JOINTS)]
fn effort(bencher: Bencher, joints: usize) {
    steps(bencher, joints, Motion::Effort);
}
