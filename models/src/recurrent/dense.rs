//! One dense layer: `activation(W x + b)`.
//!
//! Wide layers go through panels of columns. Those of at most [`NARROW`] outputs go through scalar
//! products along the inputs, because their columns would not fill the vectors.
#![allow(clippy::needless_range_loop, reason = "vectors and rows have numbers")]
#![allow(unsafe_code, reason = "kernels for instructions that not every computer has")]

use super::functions::activate;
use super::gru_layer::{Rows, width};
#[cfg(target_arch = "x86_64")]
use super::lanes::{Avx2, Avx512};
use super::lanes::{Lanes, Portable};
use super::panels::{Bf16, F32, Format, Panels, accumulate, least_padding, most_rows};
use super::{Activation, LinearWeights, Precision};
use crate::engine::isa::Isa;

/// Most outputs of a layer that goes through scalar products.
pub(super) const NARROW: usize = 16;

/// What a row's length is a multiple of, so that kernels may read whole vectors.
pub(super) const ROW_MULTIPLE: usize = 16;

/// A layer, packed for a number of rows and an instruction set.
pub(super) struct Dense {
    isa: Isa,
    precision: Precision,
    inputs: usize,
    outputs: usize,
    /// Outputs with those that fill the last panel: the stride of results. They are zero.
    padded: usize,
    /// Vectors of outputs in a panel; none for a narrow layer.
    vectors: usize,
    biases: Vec<f32>,
    panels: Panels,
    activation: Option<Activation>,
}

impl Dense {
    /// Packs a layer. Lengths have been checked.
    pub(super) fn new(
        weights: &LinearWeights<'_>,
        inputs: usize,
        activation: Option<Activation>,
        rows: usize,
        precision: Precision,
        isa: Isa,
    ) -> Self {
        let LinearWeights { outputs, weight, bias } = *weights;
        let narrow = outputs <= NARROW;
        let precision = if narrow { Precision::F32 } else { precision };
        let vectors = match (rows, isa) {
            _ if narrow => 0,
            (1, _) => least_padding(&[8, 4, 2, 1], outputs.div_ceil(width(isa))),
            (_, Isa::Avx512) => least_padding(&[4, 2, 1], outputs.div_ceil(width(isa))),
            _ => least_padding(&[2, 1], outputs.div_ceil(width(isa))),
        };
        let columns = vectors * width(isa);
        let padded = outputs.next_multiple_of(columns.max(ROW_MULTIPLE));
        let mut panels = Panels::new(precision, width(isa));
        if narrow {
            panels.push(outputs, inputs.next_multiple_of(ROW_MULTIPLE), |output, input| {
                if input < inputs { weight[output * inputs + input] } else { 0.0 }
            });
        } else {
            for first in (0..padded).step_by(columns) {
                panels.push(inputs, columns, |input, column| {
                    let output = first + column;
                    if output < outputs { weight[output * inputs + input] } else { 0.0 }
                });
            }
        }
        let mut biases = bias.map_or_else(|| vec![0.0; outputs], <[f32]>::to_vec);
        biases.resize(padded, 0.0);
        let panels = panels.finish();
        Self { isa, precision, inputs, outputs, padded, vectors, biases, panels, activation }
    }

    /// Distance between the rows of a result.
    pub(super) fn stride(&self) -> usize {
        self.padded
    }

    /// Numbers that mean something in a row of a result.
    pub(super) fn outputs(&self) -> usize {
        self.outputs
    }

    /// From rows whose numbers beyond the inputs are zero up to a multiple of [`ROW_MULTIPLE`] (of
    /// a vector, where a kernel of this file or of the GRU wrote them) to as many results.
    pub(super) fn apply(&self, inputs: Rows<'_>, results: &mut [f32]) {
        let rows = results.len() / self.padded;
        assert!(rows > 0 && results.len() == rows * self.padded);
        assert!(inputs.stride >= self.inputs.next_multiple_of(width(self.isa)));
        assert!(inputs.values.len() >= rows * inputs.stride);
        let pass = Pass { layer: self, inputs, results: results.as_mut_ptr(), rows };
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

/// One layer over all rows.
struct Pass<'a> {
    layer: &'a Dense,
    inputs: Rows<'a>,
    results: *mut f32,
    rows: usize,
}

impl Pass<'_> {
    #[inline(always)]
    unsafe fn run<L: Lanes>(&self) {
        // SAFETY: the caller's.
        unsafe {
            match (self.layer.precision, self.layer.vectors) {
                (_, 0) => self.narrow::<L>(),
                (Precision::F32, 8) => self.panels::<L, F32, 8>(),
                (Precision::F32, 4) => self.panels::<L, F32, 4>(),
                (Precision::F32, 2) => self.panels::<L, F32, 2>(),
                (Precision::F32, _) => self.panels::<L, F32, 1>(),
                (Precision::Bf16, 8) => self.panels::<L, Bf16, 8>(),
                (Precision::Bf16, 4) => self.panels::<L, Bf16, 4>(),
                (Precision::Bf16, 2) => self.panels::<L, Bf16, 2>(),
                (Precision::Bf16, _) => self.panels::<L, Bf16, 1>(),
            }
        }
    }

    /// Every panel meets all rows before the next one, while it is in the cache.
    #[inline(always)]
    unsafe fn panels<L: Lanes, F: Format, const N: usize>(&self) {
        let Dense { precision, inputs, padded, ref panels, ref biases, .. } = *self.layer;
        let column_words = Panels::column_words(precision, inputs);
        let most = most_rows::<F>(L::REGISTERS, N);
        let groups = self.rows.div_ceil(most.min(6));
        for panel in 0..padded / (N * L::WIDTH) {
            let column = panel * N * L::WIDTH;
            let words = &panels.words()[column * column_words..];
            let bias = &biases[column..];
            assert!(words.len() >= column_words * N * L::WIDTH && bias.len() >= N * L::WIDTH);
            let mut row = 0;
            for group in 0..groups {
                let end = self.rows * (group + 1) / groups;
                // SAFETY: the caller's, and the lengths above. Rows are at most `rows`.
                unsafe {
                    match end - row {
                        2 if most >= 2 => self.tile::<L, F, 2, N>(row, column, words, bias),
                        3 if most >= 3 => self.tile::<L, F, 3, N>(row, column, words, bias),
                        4 if most >= 4 => self.tile::<L, F, 4, N>(row, column, words, bias),
                        5 if most >= 5 => self.tile::<L, F, 5, N>(row, column, words, bias),
                        6 if most >= 6 => self.tile::<L, F, 6, N>(row, column, words, bias),
                        _ => self.tile::<L, F, 1, N>(row, column, words, bias),
                    }
                }
                row = end;
            }
        }
    }

    /// `R` rows from `row` on, `N` vectors of outputs from `column` on.
    #[inline(always)]
    unsafe fn tile<L: Lanes, F: Format, const R: usize, const N: usize>(
        &self,
        row: usize,
        column: usize,
        words: &[u32],
        bias: &[f32],
    ) {
        let Dense { inputs, padded, activation, .. } = *self.layer;
        // SAFETY: `words` and `bias` were checked by the caller, rows at the start.
        unsafe {
            let mut sums = [[L::splat(0.0); N]; R];
            for sums in &mut sums {
                for n in 0..N {
                    sums[n] = L::load(bias.as_ptr().add(n * L::WIDTH));
                }
            }
            let x = self.inputs.values.as_ptr().add(row * self.inputs.stride);
            accumulate::<L, F, R, N>(&mut sums, words.as_ptr(), x, self.inputs.stride, inputs);
            for r in 0..R {
                for n in 0..N {
                    let sum = sums[r][n];
                    let result = activation.map_or(sum, |activation| activate(activation, sum));
                    result.store(self.results.add((row + r) * padded + column + n * L::WIDTH));
                }
            }
        }
    }

    /// Scalar products in four sums.
    #[inline(always)]
    unsafe fn narrow<L: Lanes>(&self) {
        let Dense { inputs, outputs, padded, activation, ref panels, ref biases, .. } = *self.layer;
        let stride = inputs.next_multiple_of(ROW_MULTIPLE);
        let vectors = inputs.div_ceil(L::WIDTH);
        assert!(panels.words().len() >= outputs * stride && padded == ROW_MULTIPLE);
        for row in 0..self.rows {
            // SAFETY: inputs and results were checked at the start, the rest just now.
            unsafe {
                let x = self.inputs.values.as_ptr().add(row * self.inputs.stride);
                let result = self.results.add(row * padded);
                for output in 0..outputs {
                    let weights = panels.words().as_ptr().add(output * stride).cast::<f32>();
                    let mut sums = [L::splat(0.0); 4];
                    let product = |vector: usize, sum: L| {
                        let at = vector * L::WIDTH;
                        L::load(x.add(at)).mul_add(L::load(weights.add(at)), sum)
                    };
                    let fours = vectors / 4 * 4;
                    for vector in (0..fours).step_by(4) {
                        for (index, sum) in sums.iter_mut().enumerate() {
                            *sum = product(vector + index, *sum);
                        }
                    }
                    for vector in fours..vectors {
                        sums[0] = product(vector, sums[0]);
                    }
                    let sum = sums[0].add(sums[1]).add(sums[2].add(sums[3]));
                    *result.add(output) = sum.sum() + biases[output];
                }
                if let Some(activation) = activation {
                    for at in (0..outputs).step_by(L::WIDTH) {
                        activate(activation, L::load(result.add(at))).store(result.add(at));
                    }
                }
            }
        }
    }
}
