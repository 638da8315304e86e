//! One step of one GRU layer: both products, the gates and the new state in one pass.
//!
//! `r = sigmoid(W_ir x + b_ir + W_hr h + b_hr)`, `z` likewise, `n = tanh(W_in x + b_in + r (W_hn h +
//! b_hn))`, `h' = (1 - z) n + z h`, as `torch.nn.GRU` has it. A panel holds a few units, weights of
//! the inputs before those of the state; so `r` and `z` of both products are one sum, and nothing
//! but the new state is ever written. For a single row the three gates lie side by side, which
//! gives enough sums to hide the latency of one; for several rows they follow each other, because
//! the rows do that.
#![allow(clippy::needless_range_loop, reason = "vectors and rows have numbers")]
#![allow(unsafe_code, reason = "kernels for instructions that not every computer has")]

use super::functions::{sigmoid, tanh};
#[cfg(target_arch = "x86_64")]
use super::lanes::{Avx2, Avx512};
use super::lanes::{Lanes, Portable};
use super::panels::{Bf16, F32, Format, Panels, accumulate, least_padding, most_rows};
use super::{GruLayerWeights, Precision};
use crate::engine::isa::Isa;

/// Weights of a layer, packed for a number of rows and an instruction set.
pub(super) struct GruLayer {
    isa: Isa,
    precision: Precision,
    inputs: usize,
    hidden: usize,
    /// Vectors of units in a panel.
    vectors: usize,
    /// Units with those that fill the last panel: the stride of states. They are always zero.
    padded: usize,
    /// Per panel: `b_ir + b_hr`, `b_iz + b_hz`, `b_in`, `b_hn`.
    biases: Vec<f32>,
    panels: Panels,
}

/// Rows of numbers.
#[derive(Clone, Copy)]
pub(super) struct Rows<'a> {
    /// Row after row.
    pub values: &'a [f32],
    /// Distance between rows.
    pub stride: usize,
}

impl Rows<'_> {
    /// The first `width` numbers of every row, without gaps.
    pub(super) fn copy_to(self, out: &mut [f32], width: usize) {
        for (out, row) in out.chunks_exact_mut(width).zip(self.values.chunks_exact(self.stride)) {
            out.copy_from_slice(&row[..width]);
        }
    }
}

impl GruLayer {
    /// Packs a layer. Lengths have been checked.
    pub(super) fn new(
        weights: &GruLayerWeights<'_>,
        inputs: usize,
        hidden: usize,
        rows: usize,
        precision: Precision,
        isa: Isa,
    ) -> Self {
        let width = width(isa);
        let choices: &[usize] = match (rows, precision, isa) {
            (1, _, Isa::Avx512) | (1, Precision::F32, _) => &[4, 2, 1],
            // Twelve sums leave too few of sixteen registers for taking words apart.
            (1, Precision::Bf16, _) => &[2, 1],
            (_, _, Isa::Avx512) => &[4, 2, 1],
            _ => &[2, 1],
        };
        let vectors = least_padding(choices, hidden.div_ceil(width));
        let units = vectors * width;
        let padded = hidden.next_multiple_of(units);
        let bias = |bias: Option<&[f32]>, gate: usize, unit: usize| {
            bias.filter(|_| unit < hidden).map_or(0.0, |bias| bias[gate * hidden + unit])
        };
        let (mut biases, mut panels) =
            (Vec::with_capacity(4 * padded), Panels::new(precision, width));
        for first in (0..padded).step_by(units) {
            for gate in [0, 1] {
                biases.extend((first..first + units).map(|unit| {
                    bias(weights.bias_ih, gate, unit) + bias(weights.bias_hh, gate, unit)
                }));
            }
            biases.extend((first..first + units).map(|unit| bias(weights.bias_ih, 2, unit)));
            biases.extend((first..first + units).map(|unit| bias(weights.bias_hh, 2, unit)));
            for gates in if rows == 1 { [0..3, 0..0, 0..0] } else { [0..1, 1..2, 2..3] } {
                for (matrix, depth) in [(weights.weight_ih, inputs), (weights.weight_hh, hidden)] {
                    panels.push(depth, gates.len() * units, |input, column| {
                        let (gate, unit) = (gates.start + column / units, first + column % units);
                        let row = gate * hidden + unit;
                        if unit < hidden { matrix[row * depth + input] } else { 0.0 }
                    });
                }
            }
        }
        let panels = panels.finish();
        Self { isa, precision, inputs, hidden, vectors, padded, biases, panels }
    }

    /// Distance between the rows of a state.
    pub(super) fn stride(&self) -> usize {
        self.padded
    }

    /// From inputs and states (both readable up to an even number) to the next states.
    pub(super) fn step(&self, inputs: Rows<'_>, state: &[f32], next: &mut [f32]) {
        let rows = state.len() / self.padded;
        assert!(rows > 0 && state.len() == rows * self.padded && next.len() == state.len());
        assert!(inputs.stride >= self.inputs.next_multiple_of(2));
        assert!(inputs.values.len() >= rows * inputs.stride);
        let pass = Pass { layer: self, inputs, state, next: next.as_mut_ptr(), rows };
        match self.isa {
            // SAFETY: whoever names an instruction set has asked whether this computer has it. The
            // lengths were checked above.
            #[cfg(target_arch = "x86_64")]
            Isa::Avx512 => unsafe { avx512(&pass) },
            // SAFETY: as above.
            #[cfg(target_arch = "x86_64")]
            Isa::Avx2 => unsafe { avx2(&pass) },
            // SAFETY: as above; every computer has this.
            _ => unsafe { pass.run::<Portable>() },
        }
    }
}

/// Numbers in a vector of an instruction set.
pub(super) fn width(isa: Isa) -> usize {
    match isa {
        #[cfg(target_arch = "x86_64")]
        Isa::Avx512 => Avx512::WIDTH,
        #[cfg(target_arch = "x86_64")]
        Isa::Avx2 => Avx2::WIDTH,
        _ => Portable::WIDTH,
    }
}

#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx512f")]
unsafe fn avx512(pass: &Pass<'_>) {
    // SAFETY: the instructions are enabled, and the caller checked lengths.
    unsafe { pass.run::<Avx512>() }
}

#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx2,fma")]
unsafe fn avx2(pass: &Pass<'_>) {
    // SAFETY: as above.
    unsafe { pass.run::<Avx2>() }
}

/// One step of one layer.
struct Pass<'a> {
    layer: &'a GruLayer,
    inputs: Rows<'a>,
    state: &'a [f32],
    next: *mut f32,
    rows: usize,
}

impl Pass<'_> {
    #[inline(always)]
    unsafe fn run<L: Lanes>(&self) {
        // SAFETY: the caller's. For a single row `N` is three times the layer's vectors.
        unsafe {
            match (self.layer.precision, self.layer.vectors, self.rows) {
                (Precision::F32, 4, 1) => self.single::<L, F32, 4, 12>(),
                (Precision::F32, 2, 1) => self.single::<L, F32, 2, 6>(),
                (Precision::F32, _, 1) => self.single::<L, F32, 1, 3>(),
                (Precision::Bf16, 4, 1) => self.single::<L, Bf16, 4, 12>(),
                (Precision::Bf16, 2, 1) => self.single::<L, Bf16, 2, 6>(),
                (Precision::Bf16, _, 1) => self.single::<L, Bf16, 1, 3>(),
                (Precision::F32, 4, _) => self.batch::<L, F32, 4>(),
                (Precision::F32, 2, _) => self.batch::<L, F32, 2>(),
                (Precision::F32, _, _) => self.batch::<L, F32, 1>(),
                (Precision::Bf16, 4, _) => self.batch::<L, Bf16, 4>(),
                (Precision::Bf16, 2, _) => self.batch::<L, Bf16, 2>(),
                (Precision::Bf16, _, _) => self.batch::<L, Bf16, 1>(),
            }
        }
    }

    /// Words and biases of a panel of `V` vectors of units.
    #[inline(always)]
    fn panel<L: Lanes, const V: usize>(&self, panel: usize) -> (&[u32], &[f32]) {
        let GruLayer { precision, inputs, hidden, ref panels, ref biases, .. } = *self.layer;
        let depth =
            Panels::column_words(precision, inputs) + Panels::column_words(precision, hidden);
        let (words, numbers) = (3 * depth * V * L::WIDTH, 4 * V * L::WIDTH);
        (&panels.words()[panel * words..][..words], &biases[panel * numbers..][..numbers])
    }

    /// The only row: three gates at once.
    #[inline(always)]
    unsafe fn single<L: Lanes, F: Format, const V: usize, const N: usize>(&self) {
        let GruLayer { precision, inputs, hidden, padded, .. } = *self.layer;
        let of_inputs = Panels::column_words(precision, inputs) * N * L::WIDTH;
        for panel in 0..padded / (V * L::WIDTH) {
            let (words, biases) = self.panel::<L, V>(panel);
            // SAFETY: `panel` gave as much as is read, inputs and state were checked at the start.
            unsafe {
                let mut sums = [[L::splat(0.0); N]];
                for n in 0..N {
                    sums[0][n] = L::load(biases.as_ptr().add(n * L::WIDTH));
                }
                let x = self.inputs.values.as_ptr();
                accumulate::<L, F, 1, N>(&mut sums, words.as_ptr(), x, 0, inputs);
                let mut of_x = [L::splat(0.0); V];
                for v in 0..V {
                    of_x[v] = sums[0][2 * V + v];
                    sums[0][2 * V + v] = L::load(biases.as_ptr().add((3 * V + v) * L::WIDTH));
                }
                let (words, h) = (words.as_ptr().add(of_inputs), self.state.as_ptr());
                accumulate::<L, F, 1, N>(&mut sums, words, h, 0, hidden);
                for v in 0..V {
                    let (reset, update, of_h) = (sums[0][v], sums[0][V + v], sums[0][2 * V + v]);
                    self.gates((panel * V + v) * L::WIDTH, reset, update, of_x[v], of_h);
                }
            }
        }
    }

    /// Every panel meets all rows before the next one, while it is in the cache.
    #[inline(always)]
    unsafe fn batch<L: Lanes, F: Format, const V: usize>(&self) {
        let most = most_rows::<F>(L::REGISTERS, V);
        let groups = self.rows.div_ceil(most.min(6));
        for panel in 0..self.layer.padded / (V * L::WIDTH) {
            let mut row = 0;
            for group in 0..groups {
                let end = self.rows * (group + 1) / groups;
                // SAFETY: the caller's. Rows are at most `rows`.
                unsafe {
                    match end - row {
                        2 if most >= 2 => self.tile::<L, F, 2, V>(row, panel),
                        3 if most >= 3 => self.tile::<L, F, 3, V>(row, panel),
                        4 if most >= 4 => self.tile::<L, F, 4, V>(row, panel),
                        5 if most >= 5 => self.tile::<L, F, 5, V>(row, panel),
                        6 if most >= 6 => self.tile::<L, F, 6, V>(row, panel),
                        _ => self.tile::<L, F, 1, V>(row, panel),
                    }
                }
                row = end;
            }
        }
    }

    /// `R` rows from `row` on, one gate after the other.
    #[inline(always)]
    unsafe fn tile<L: Lanes, F: Format, const R: usize, const V: usize>(
        &self,
        row: usize,
        panel: usize,
    ) {
        let GruLayer { precision, inputs, hidden, padded, .. } = *self.layer;
        let (words, biases) = self.panel::<L, V>(panel);
        let of_inputs = Panels::column_words(precision, inputs) * V * L::WIDTH;
        let of_gate = of_inputs + Panels::column_words(precision, hidden) * V * L::WIDTH;
        // SAFETY: `panel` gave as much as is read, inputs and states were checked at the start.
        unsafe {
            let x = self.inputs.values.as_ptr().add(row * self.inputs.stride);
            let h = self.state.as_ptr().add(row * padded);
            let mut gates = [[[L::splat(0.0); V]; R]; 3];
            let mut of_x = [[L::splat(0.0); V]; R];
            for gate in 0..3 {
                let bias = biased::<L, R, V>(biases.as_ptr().add(gate * V * L::WIDTH));
                let (mut sums, words) = (bias, words.as_ptr().add(gate * of_gate));
                accumulate::<L, F, R, V>(&mut sums, words, x, self.inputs.stride, inputs);
                if gate == 2 {
                    of_x = sums;
                    sums = biased::<L, R, V>(biases.as_ptr().add(3 * V * L::WIDTH));
                }
                accumulate::<L, F, R, V>(&mut sums, words.add(of_inputs), h, padded, hidden);
                gates[gate] = sums;
            }
            let [reset, update, of_h] = gates;
            for r in 0..R {
                for v in 0..V {
                    let at = (row + r) * padded + (panel * V + v) * L::WIDTH;
                    self.gates(at, reset[r][v], update[r][v], of_x[r][v], of_h[r][v]);
                }
            }
        }
    }

    /// From the sums of a vector of units to their new state, `at` numbers into the states.
    #[inline(always)]
    unsafe fn gates<L: Lanes>(&self, at: usize, reset: L, update: L, of_x: L, of_h: L) {
        // SAFETY: the caller's; `at` is inside of the states.
        unsafe {
            let new = tanh(sigmoid(reset).mul_add(of_h, of_x));
            let old = L::load(self.state.as_ptr().add(at));
            sigmoid(update).mul_add(old.sub(new), new).store(self.next.add(at));
        }
    }
}

/// The same biases for every row.
#[inline(always)]
unsafe fn biased<L: Lanes, const R: usize, const V: usize>(biases: *const f32) -> [[L; V]; R] {
    // SAFETY: the caller has `V` vectors there.
    unsafe {
        let mut sums = [[L::splat(0.0); V]; R];
        for sums in &mut sums {
            for v in 0..V {
                sums[v] = L::load(biases.add(v * L::WIDTH));
            }
        }
        sums
    }
}
