//! One step of one GRU layer: both products, the gates and the new state in one pass.
//!
//! `r = sigmoid(W_ir x + b_ir + W_hr h + b_hr)`, `z` likewise, `n = tanh(W_in x + b_in + r (W_hn h +
//! b_hn))`, `h' = (1 - z) n + z h`, as `torch.nn.GRU` has it. A panel holds the three gates of a
//! few units side by side, first for all inputs, then for all of the state; so `r` and `z` of both
//! products are one sum, and nothing but the new state is ever written.
#![allow(clippy::needless_range_loop, reason = "vectors and rows have numbers")]
#![allow(unsafe_code, reason = "kernels for instructions that not every computer has")]

use super::functions::{sigmoid, tanh};
#[cfg(target_arch = "x86_64")]
use super::lanes::{Avx2, Avx512};
use super::lanes::{Lanes, Portable};
use super::panels::{Bf16, F32, Format, Panels, accumulate, least_padding};
use super::{GruLayerWeights, Precision};
use crate::isa::Isa;

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
        let vectors = match (rows, isa) {
            (1, _) => least_padding(&[4, 2, 1], hidden.div_ceil(width)),
            (_, Isa::Avx512) => least_padding(&[2, 1], hidden.div_ceil(width)),
            _ => 1,
        };
        let units = vectors * width;
        let padded = hidden.next_multiple_of(units);
        let bias = |bias: Option<&[f32]>, gate: usize, unit: usize| {
            bias.filter(|_| unit < hidden).map_or(0.0, |bias| bias[gate * hidden + unit])
        };
        let (mut biases, mut panels) = (Vec::with_capacity(4 * padded), Panels::new(precision));
        for first in (0..padded).step_by(units) {
            for gate in [0, 1] {
                biases.extend((first..first + units).map(|unit| {
                    bias(weights.bias_ih, gate, unit) + bias(weights.bias_hh, gate, unit)
                }));
            }
            biases.extend((first..first + units).map(|unit| bias(weights.bias_ih, 2, unit)));
            biases.extend((first..first + units).map(|unit| bias(weights.bias_hh, 2, unit)));
            for (matrix, depth) in [(weights.weight_ih, inputs), (weights.weight_hh, hidden)] {
                panels.push(depth, 3 * units, |input, column| {
                    let (gate, unit) = (column / units, first + column % units);
                    if unit < hidden { matrix[(gate * hidden + unit) * depth + input] } else { 0.0 }
                });
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
        // SAFETY: the caller's. `N` is three times the layer's vectors.
        unsafe {
            match (self.layer.precision, self.layer.vectors) {
                (Precision::F32, 4) => self.panels::<L, F32, 4, 12>(),
                (Precision::F32, 2) => self.panels::<L, F32, 2, 6>(),
                (Precision::F32, _) => self.panels::<L, F32, 1, 3>(),
                (Precision::Bf16, 4) => self.panels::<L, Bf16, 4, 12>(),
                (Precision::Bf16, 2) => self.panels::<L, Bf16, 2, 6>(),
                (Precision::Bf16, _) => self.panels::<L, Bf16, 1, 3>(),
            }
        }
    }

    /// Every panel meets all rows before the next one, while it is in the cache.
    #[inline(always)]
    unsafe fn panels<L: Lanes, F: Format, const V: usize, const N: usize>(&self) {
        let GruLayer { precision, inputs, hidden, padded, ref panels, ref biases, .. } =
            *self.layer;
        let column_words =
            Panels::column_words(precision, inputs) + Panels::column_words(precision, hidden);
        let most = (L::REGISTERS - 4) / N;
        let groups = self.rows.div_ceil(most.clamp(1, 4));
        for panel in 0..padded / (V * L::WIDTH) {
            let words = &panels.words()[panel * column_words * N * L::WIDTH..];
            let biases = &biases[panel * 4 * V * L::WIDTH..];
            assert!(words.len() >= column_words * N * L::WIDTH && biases.len() >= 4 * V * L::WIDTH);
            let unit = panel * V * L::WIDTH;
            let mut row = 0;
            for group in 0..groups {
                let end = self.rows * (group + 1) / groups;
                // SAFETY: the caller's, and the lengths above. Rows are at most `rows`.
                unsafe {
                    match end - row {
                        2 if most >= 2 => self.tile::<L, F, 2, V, N>(row, unit, words, biases),
                        3 if most >= 3 => self.tile::<L, F, 3, V, N>(row, unit, words, biases),
                        4 if most >= 4 => self.tile::<L, F, 4, V, N>(row, unit, words, biases),
                        _ => self.tile::<L, F, 1, V, N>(row, unit, words, biases),
                    }
                }
                row = end;
            }
        }
    }

    /// `R` rows from `row` on, `V` vectors of units from `unit` on.
    #[inline(always)]
    unsafe fn tile<L: Lanes, F: Format, const R: usize, const V: usize, const N: usize>(
        &self,
        row: usize,
        unit: usize,
        words: &[u32],
        biases: &[f32],
    ) {
        let GruLayer { precision, inputs, hidden, padded, .. } = *self.layer;
        // SAFETY: `words` and `biases` were checked by the caller, inputs and states at the start.
        unsafe {
            let bias = |vector: usize| L::load(biases.as_ptr().add(vector * L::WIDTH));
            let mut sums = [[L::splat(0.0); N]; R];
            for sums in &mut sums {
                for n in 0..N {
                    sums[n] = bias(n);
                }
            }
            let x = self.inputs.values.as_ptr().add(row * self.inputs.stride);
            accumulate::<L, F, R, N>(&mut sums, words.as_ptr(), x, self.inputs.stride, inputs);
            let mut from_inputs = [[L::splat(0.0); V]; R];
            for r in 0..R {
                for v in 0..V {
                    from_inputs[r][v] = sums[r][2 * V + v];
                    sums[r][2 * V + v] = bias(3 * V + v);
                }
            }
            let words = words.as_ptr().add(Panels::column_words(precision, inputs) * N * L::WIDTH);
            let h = self.state.as_ptr().add(row * padded);
            accumulate::<L, F, R, N>(&mut sums, words, h, padded, hidden);
            for r in 0..R {
                for v in 0..V {
                    let reset = sigmoid(sums[r][v]);
                    let update = sigmoid(sums[r][V + v]);
                    let new = tanh(reset.mul_add(sums[r][2 * V + v], from_inputs[r][v]));
                    let at = (row + r) * padded + unit + v * L::WIDTH;
                    let old = L::load(self.state.as_ptr().add(at));
                    update.mul_add(old.sub(new), new).store(self.next.add(at));
                }
            }
        }
    }
}
