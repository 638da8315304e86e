//! What happens between the products of a step: the gates of a GRU, and their derivatives.

use crate::engine::exponential::exp;
use crate::engine::isa::{Isa, Kernel};
use crate::engine::product::{load, store};

/// One step of some rows, forwards.
pub(super) struct Gates<'a> {
    /// Units.
    pub hidden: usize,
    /// Products with the input: `[rows, 3 hidden]`, reset, update, new.
    pub of_input: &'a [f32],
    /// Products with the state before, in the same order.
    pub of_state: &'a [f32],
    /// The state before: `[rows, hidden]`.
    pub before: &'a [f32],
    /// What the way back needs: `[rows, 4 hidden]`, reset, update, new, product of new with the state.
    pub kept: &'a mut [f32],
    /// The state after: `[rows, hidden]`.
    pub after: &'a mut [f32],
}

impl Gates<'_> {
    pub(super) fn run(self, isa: Isa) {
        isa.run(self);
    }
}

#[inline(always)]
fn sigmoid<const FUSED: bool>(x: f32) -> f32 {
    1.0 / (1.0 + exp::<FUSED>(-x))
}

/// To 1e-7 of the largest value, which training needs no better.
#[inline(always)]
fn tanh<const FUSED: bool>(x: f32) -> f32 {
    1.0 - 2.0 / (1.0 + exp::<FUSED>(2.0 * x))
}

/// One vector, or the part of it that is there.
#[inline(always)]
fn vector<const WIDTH: usize>(values: &[f32], begin: usize, count: usize) -> [f32; WIDTH] {
    let mut vector = [0.0; WIDTH];
    load(&mut vector, &values[begin..begin + count]);
    vector
}

#[inline(always)]
fn each<const WIDTH: usize>(value: impl Fn(usize) -> f32) -> [f32; WIDTH] {
    let mut values = [0.0; WIDTH];
    for (lane, to) in values.iter_mut().enumerate() {
        *to = value(lane);
    }
    values
}

impl Kernel for Gates<'_> {
    type Output = ();

    #[inline(always)]
    fn run<const ROWS: usize, const WIDTH: usize, const FUSED: bool>(self) {
        let hidden = self.hidden;
        let inputs = self.of_input.chunks_exact(3 * hidden);
        let states = self.of_state.chunks_exact(3 * hidden).zip(self.before.chunks_exact(hidden));
        let results =
            self.kept.chunks_exact_mut(4 * hidden).zip(self.after.chunks_exact_mut(hidden));
        for ((x, (s, before)), (kept, after)) in inputs.zip(states).zip(results) {
            for unit in (0..hidden).step_by(WIDTH) {
                let count = WIDTH.min(hidden - unit);
                let at = |values, gate: usize| vector::<WIDTH>(values, gate * hidden + unit, count);
                let (xr, sr) = (at(x, 0), at(s, 0));
                let reset: [f32; WIDTH] = each(|i| sigmoid::<FUSED>(xr[i] + sr[i]));
                let (xz, sz) = (at(x, 1), at(s, 1));
                let update: [f32; WIDTH] = each(|i| sigmoid::<FUSED>(xz[i] + sz[i]));
                let (xn, sn) = (at(x, 2), at(s, 2));
                let new: [f32; WIDTH] = each(|i| tanh::<FUSED>(xn[i] + reset[i] * sn[i]));
                let h = at(before, 0);
                let state: [f32; WIDTH] = each(|i| new[i] + update[i] * (h[i] - new[i]));
                for (gate, values) in [reset, update, new, sn].iter().enumerate() {
                    store(&mut kept[gate * hidden + unit..][..count], values);
                }
                store(&mut after[unit..][..count], &state);
            }
        }
    }
}

/// One step of some rows, backwards.
pub(super) struct Derivatives<'a> {
    /// Units.
    pub hidden: usize,
    /// As [`Gates`] kept them.
    pub kept: &'a [f32],
    /// The state before: `[rows, hidden]`.
    pub before: &'a [f32],
    /// Of the state after, from what follows at the same step: `[rows, hidden]`.
    pub above: &'a [f32],
    /// Of the state after, from later steps; afterwards that part of the derivative of the state
    /// before that does not go through a product: `[rows, hidden]`.
    pub state: &'a mut [f32],
    /// Of the gates' arguments, each row `step` after the one before: new, reset, update, and that
    /// of new's product with the state. So the input's three and the state's three are neighbours.
    pub gates: &'a mut [f32],
    /// Distance of two rows of `gates`.
    pub step: usize,
}

impl Derivatives<'_> {
    pub(super) fn run(self, isa: Isa) {
        isa.run(self);
    }
}

impl Kernel for Derivatives<'_> {
    type Output = ();

    #[inline(always)]
    fn run<const ROWS: usize, const WIDTH: usize, const FUSED: bool>(self) {
        let hidden = self.hidden;
        let known = self.kept.chunks_exact(4 * hidden).zip(self.before.chunks_exact(hidden));
        let above = self.above.chunks_exact(hidden);
        let results = self.state.chunks_exact_mut(hidden).zip(self.gates.chunks_mut(self.step));
        for (((kept, before), above), (state, gates)) in known.zip(above).zip(results) {
            for unit in (0..hidden).step_by(WIDTH) {
                let count = WIDTH.min(hidden - unit);
                let at = |values, gate: usize| vector::<WIDTH>(values, gate * hidden + unit, count);
                let (reset, update, new, product) =
                    (at(kept, 0), at(kept, 1), at(kept, 2), at(kept, 3));
                let (h, later, same) = (at(before, 0), at(state, 0), at(above, 0));
                let whole: [f32; WIDTH] = each(|i| later[i] + same[i]);
                let d_new: [f32; WIDTH] =
                    each(|i| whole[i] * (1.0 - update[i]) * (1.0 - new[i] * new[i]));
                let d_update: [f32; WIDTH] =
                    each(|i| whole[i] * (h[i] - new[i]) * update[i] * (1.0 - update[i]));
                let d_reset: [f32; WIDTH] =
                    each(|i| d_new[i] * product[i] * reset[i] * (1.0 - reset[i]));
                let d_product: [f32; WIDTH] = each(|i| d_new[i] * reset[i]);
                let through: [f32; WIDTH] = each(|i| whole[i] * update[i]);
                for (gate, values) in [d_new, d_reset, d_update, d_product].iter().enumerate() {
                    store(&mut gates[gate * hidden + unit..][..count], values);
                }
                store(&mut state[unit..][..count], &through);
            }
        }
    }
}

/// Dropout: whether a value stays depends on its place and the seed alone, so that both directions
/// agree, and so do any number of threads.
#[derive(Clone, Copy)]
pub(super) struct Mask {
    seed: u32,
    limit: u32,
    scale: f32,
}

impl Mask {
    /// For one layer of one training step.
    pub(super) fn new(probability: f32, seed: u64, layer: usize) -> Self {
        let mixed = (seed ^ (layer as u64) << 56).wrapping_mul(0x9e37_79b9_7f4a_7c15);
        Self {
            seed: (mixed >> 32) as u32,
            limit: (f64::from(probability) * f64::from(u32::MAX)) as u32,
            scale: 1.0 / (1.0 - probability),
        }
    }

    /// Writes `from`, whose first value has this place among all, with some values zero and the
    /// others larger.
    pub(super) fn apply(self, isa: Isa, place: u32, from: &[f32], to: &mut [f32]) {
        isa.run(Dropped { mask: self, place, from, to });
    }
}

struct Dropped<'a> {
    mask: Mask,
    place: u32,
    from: &'a [f32],
    to: &'a mut [f32],
}

impl Kernel for Dropped<'_> {
    type Output = ();

    #[inline(always)]
    fn run<const ROWS: usize, const WIDTH: usize, const FUSED: bool>(self) {
        let Mask { seed, limit, scale } = self.mask;
        for (index, (to, from)) in self.to.iter_mut().zip(self.from).enumerate() {
            // A finaliser of 32 bits with good avalanche (C. Wellons, "lowbias32").
            let mut bits = self.place.wrapping_add(index as u32) ^ seed;
            bits = (bits ^ bits >> 16).wrapping_mul(0x7feb_352d);
            bits = (bits ^ bits >> 15).wrapping_mul(0x846c_a68b);
            bits ^= bits >> 16;
            *to = if bits < limit { 0.0 } else { from * scale };
        }
    }
}
