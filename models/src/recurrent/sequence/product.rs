//! The matrix products of training: the left side by rows, or by columns where a weight's gradient
//! sums over rows.

use crate::engine::isa::{Isa, Kernel, multiply_add};
use crate::engine::product::{load, store};

/// Columns of one panel of the right side.
pub(super) fn width(isa: Isa) -> usize {
    struct Width;
    impl Kernel for Width {
        type Output = usize;

        #[inline(always)]
        fn run<const ROWS: usize, const WIDTH: usize, const FUSED: bool>(self) -> usize {
            WIDTH
        }
    }
    isa.run(Width)
}

/// A matrix of `depth` rows, cut into panels of as many columns as a kernel takes at once; columns
/// beyond the last are zero.
#[derive(Default)]
pub(super) struct RightSide {
    values: Vec<f32>,
    depth: usize,
    columns: usize,
}

impl RightSide {
    /// Takes `matrix`: rows of `columns` values, each `step` after the one before.
    pub(super) fn pack(&mut self, isa: Isa, matrix: &[f32], step: usize, columns: usize) {
        let (depth, width) = (matrix.len().div_ceil(step.max(1)), width(isa));
        self.resize(depth, columns, width);
        for (row, values) in matrix.chunks(step).enumerate() {
            let panels = self.values.chunks_exact_mut(depth * width);
            for (panel, values) in panels.zip(values[..columns].chunks(width)) {
                panel[row * width..][..values.len()].copy_from_slice(values);
            }
        }
    }

    /// Takes the transpose of `matrix`, which is rows of `depth` values.
    pub(super) fn pack_transposed(&mut self, isa: Isa, matrix: &[f32], depth: usize) {
        let (columns, width) = (matrix.len() / depth, width(isa));
        self.resize(depth, columns, width);
        let panels = self.values.chunks_exact_mut(depth * width);
        for (panel, matrix) in panels.zip(matrix.chunks(depth * width)) {
            for (column, values) in matrix.chunks_exact(depth).enumerate() {
                for (row, value) in values.iter().enumerate() {
                    panel[row * width + column] = *value;
                }
            }
        }
    }

    fn resize(&mut self, depth: usize, columns: usize, width: usize) {
        (self.depth, self.columns) = (depth, columns);
        self.values.resize(columns.next_multiple_of(width) * depth, 0.0);
        // What was there of another matrix must not stand beside the last column.
        if !columns.is_multiple_of(width) {
            let last = self.values.len() - depth * width;
            self.values[last..].fill(0.0);
        }
    }
}

/// The left side.
#[derive(Clone, Copy)]
pub(super) enum LeftSide<'a> {
    /// Rows of at least as many values as the right side is deep, each `step` after the one before.
    Rows { values: &'a [f32], step: usize },
    /// The same matrix, turned: value `row` of line `d` is the factor of row `row` and depth `d`.
    Columns { values: &'a [f32], step: usize },
}

/// What a sum begins with.
#[derive(Clone, Copy)]
pub(super) enum Start<'a> {
    /// Nothing.
    Zero,
    /// The same row for every row.
    Bias(&'a [f32]),
    /// What is there.
    Accumulate,
}

/// Writes `start + left * right` to `count` rows of `out`, each `step` after the one before.
pub(super) fn multiply(
    isa: Isa,
    (left, count): (LeftSide<'_>, usize),
    right: &RightSide,
    start: Start<'_>,
    (out, step): (&mut [f32], usize),
) {
    isa.run(Multiply { left, count, right, start, out, step });
}

struct Multiply<'a> {
    left: LeftSide<'a>,
    count: usize,
    right: &'a RightSide,
    start: Start<'a>,
    out: &'a mut [f32],
    step: usize,
}

impl Kernel for Multiply<'_> {
    type Output = ();

    #[inline(always)]
    fn run<const ROWS: usize, const WIDTH: usize, const FUSED: bool>(mut self) {
        let RightSide { values, depth, columns } = self.right;
        for (index, panel) in values.chunks_exact(depth * WIDTH).enumerate() {
            let panel = panel.as_chunks::<WIDTH>().0;
            let begin = index * WIDTH;
            let columns = begin..*columns.min(&(begin + WIDTH));
            let mut row = 0;
            while row + ROWS <= self.count {
                self.tile::<ROWS, WIDTH, FUSED>(panel, row, columns.clone());
                row += ROWS;
            }
            while row < self.count {
                let rest = self.count - row;
                if rest >= 4 && ROWS > 4 {
                    self.tile::<4, WIDTH, FUSED>(panel, row, columns.clone());
                    row += 4;
                } else if rest >= 2 {
                    self.tile::<2, WIDTH, FUSED>(panel, row, columns.clone());
                    row += 2;
                } else {
                    self.tile::<1, WIDTH, FUSED>(panel, row, columns.clone());
                    row += 1;
                }
            }
        }
    }
}

impl Multiply<'_> {
    #[inline(always)]
    fn tile<const N: usize, const WIDTH: usize, const FUSED: bool>(
        &mut self,
        panel: &[[f32; WIDTH]],
        row: usize,
        columns: std::ops::Range<usize>,
    ) {
        let sums = match self.left {
            LeftSide::Rows { values, step } => by_rows::<N, WIDTH, FUSED>(values, step, row, panel),
            LeftSide::Columns { values, step } => {
                by_columns::<N, WIDTH, FUSED>(values, step, row, panel)
            }
        };
        for (index, sums) in sums.iter().enumerate() {
            let mut sums = *sums;
            let out = &mut self.out[(row + index) * self.step..][columns.clone()];
            let mut before = [0.0; WIDTH];
            match self.start {
                Start::Zero => {}
                Start::Bias(bias) => load(&mut before, &bias[columns.clone()]),
                Start::Accumulate => load(&mut before, out),
            }
            for (sum, before) in sums.iter_mut().zip(&before) {
                *sum += before;
            }
            store(out, &sums);
        }
    }
}

#[inline(always)]
fn by_rows<const N: usize, const WIDTH: usize, const FUSED: bool>(
    values: &[f32],
    step: usize,
    row: usize,
    panel: &[[f32; WIDTH]],
) -> [[f32; WIDTH]; N] {
    let rows: [&[f32]; N] =
        std::array::from_fn(|index| &values[(row + index) * step..][..panel.len()]);
    let mut sums = [[0.0; WIDTH]; N];
    for (index, lanes) in panel.iter().enumerate() {
        for (sums, row) in sums.iter_mut().zip(&rows) {
            let factor = row[index];
            for (sum, lane) in sums.iter_mut().zip(lanes) {
                *sum = multiply_add::<FUSED>(factor, *lane, *sum);
            }
        }
    }
    sums
}

#[inline(always)]
fn by_columns<const N: usize, const WIDTH: usize, const FUSED: bool>(
    values: &[f32],
    step: usize,
    row: usize,
    panel: &[[f32; WIDTH]],
) -> [[f32; WIDTH]; N] {
    let mut sums = [[0.0; WIDTH]; N];
    for (lanes, line) in panel.iter().zip(values.chunks(step)) {
        let Some(factors) = line[row..].first_chunk::<N>() else { return sums };
        for (sums, factor) in sums.iter_mut().zip(factors) {
            for (sum, lane) in sums.iter_mut().zip(lanes) {
                *sum = multiply_add::<FUSED>(*factor, *lane, *sum);
            }
        }
    }
    sums
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engine::numbers;

    #[test]
    fn products_by_rows_and_by_columns_are_what_the_definition_says() {
        for isa in Isa::ALL.into_iter().filter(|isa| isa.is_here()) {
            for (count, depth, columns) in [(1, 1, 1), (7, 5, 33), (23, 130, 48), (32, 12, 7)] {
                let (left, right) = (numbers(count * depth, 1), numbers(depth * columns, 2));
                let bias = numbers(columns, 3);
                let turned: Vec<f32> =
                    (0..depth * count).map(|i| left[i % count * depth + i / count]).collect();
                let mut packed = RightSide::default();
                // What another matrix left behind is gone.
                packed.pack(isa, &vec![9.0; 400 * 64], 64, 63);
                packed.pack(isa, &right, columns, columns);
                let rows = LeftSide::Rows { values: &left, step: depth };
                let lines = LeftSide::Columns { values: &turned, step: count };
                for (side, start) in [(rows, Start::Bias(&bias)), (lines, Start::Accumulate)] {
                    let mut out = vec![0.5; count * (columns + 3)];
                    multiply(isa, (side, count), &packed, start, (&mut out, columns + 3));
                    for (at, value) in out.iter().enumerate() {
                        let (row, column) = (at / (columns + 3), at % (columns + 3));
                        if column >= columns {
                            assert_eq!(*value, 0.5, "written beside the result");
                            continue;
                        }
                        let begin = match start {
                            Start::Bias(bias) => f64::from(bias[column]),
                            _ => 0.5,
                        };
                        let sum: f64 = (0..depth)
                            .map(|d| {
                                f64::from(left[row * depth + d])
                                    * f64::from(right[d * columns + column])
                            })
                            .sum();
                        assert!((f64::from(*value) - begin - sum).abs() < 1e-5);
                    }
                }
                let mut again = RightSide::default();
                let columnwise: Vec<f32> =
                    (0..depth * columns).map(|i| right[i % depth * columns + i / depth]).collect();
                again.pack_transposed(isa, &columnwise, depth);
                assert_eq!(again.values, packed.values, "{isa:?}");
            }
        }
    }
}
