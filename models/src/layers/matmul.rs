//! Matrix product of a row-major left matrix with a right matrix that is stored in panels.
//!
//! A panel holds [`LANES`] columns of the right matrix, depth by depth, so that the innermost loop
//! reads both sides in order. Columns beyond the last one are zero. The loop is plain code that is
//! compiled once for each [`Isa`] and chosen when it runs.
#![allow(unsafe_code, reason = "code for instructions that not every computer has")]

use crate::isa::Isa;

/// Columns in one panel: four vectors of AVX2, two of AVX-512.
pub(crate) const LANES: usize = 32;

/// Panels that one group of rows visits before the next group starts: keeps both in the cache.
const PANELS_PER_GROUP: usize = 4;

/// Products summed in one accumulator before it is added to the total. Shorter sums round less.
const DEPTH_BLOCK: usize = 512;

/// Where [`multiply`] writes: row `r`, column `c` of the product goes to `r * stride + first + c`.
pub(crate) struct Destination<'a> {
    /// Values of the whole destination matrix.
    pub values: &'a mut [f32],
    /// Length of a row of the destination.
    pub stride: usize,
    /// Column at which the product starts.
    pub first: usize,
    /// Columns of the product.
    pub columns: usize,
}

/// Number of values in the panels of a `depth` by `columns` matrix.
pub(crate) fn panels_len(depth: usize, columns: usize) -> usize {
    columns.div_ceil(LANES) * LANES * depth
}

/// Panels of the transpose of `matrix`, which is `columns` rows of `depth` values (the layout in
/// which PyTorch stores the weight of a linear layer).
pub(crate) fn panels_of_transpose(matrix: &[f32], depth: usize) -> Vec<f32> {
    let columns = matrix.len() / depth;
    let mut panels = vec![0.0; panels_len(depth, columns)];
    for (column, row) in matrix.chunks_exact(depth).enumerate() {
        let panel = &mut panels[column / LANES * LANES * depth..][..LANES * depth];
        for (index, &value) in row.iter().enumerate() {
            panel[index * LANES + column % LANES] = value;
        }
    }
    panels
}

/// Writes `left` (rows of `depth` values) times the matrix in `panels` to `destination`.
pub(crate) fn multiply(left: &[f32], depth: usize, panels: &[f32], destination: Destination<'_>) {
    multiply_with(Isa::best(), left, depth, panels, destination);
}

fn multiply_with(
    isa: Isa,
    left: &[f32],
    depth: usize,
    panels: &[f32],
    destination: Destination<'_>,
) {
    let product = Product { left, depth, panels };
    match isa {
        // SAFETY: whoever names an instruction set has asked whether this computer has it.
        #[cfg(target_arch = "x86_64")]
        Isa::Avx512 => unsafe { x86::multiply_avx512(product, destination) },
        // SAFETY: as above.
        #[cfg(target_arch = "x86_64")]
        Isa::Avx2 => unsafe { x86::multiply_avx2(product, destination) },
        // AArch64 fuses in every computer; elsewhere a fused product would be a call.
        _ => tiles::<4, 8, { cfg!(target_arch = "aarch64") }>(product, destination),
    }
}

/// Both sides of a product.
#[derive(Clone, Copy)]
struct Product<'a> {
    left: &'a [f32],
    depth: usize,
    panels: &'a [f32],
}

#[cfg(target_arch = "x86_64")]
mod x86 {
    use super::{Destination, Product, tiles};

    /// Eight rows by two vectors: 16 of 32 registers sum.
    #[target_feature(enable = "avx512f")]
    pub(super) fn multiply_avx512(product: Product<'_>, destination: Destination<'_>) {
        tiles::<8, 32, true>(product, destination);
    }

    /// Six rows by two vectors: 12 of 16 registers sum.
    #[target_feature(enable = "avx2,fma")]
    pub(super) fn multiply_avx2(product: Product<'_>, destination: Destination<'_>) {
        tiles::<6, 16, true>(product, destination);
    }
}

/// The product in tiles of `ROWS` rows by `WIDTH` columns, which divides [`LANES`].
#[inline(always)]
fn tiles<const ROWS: usize, const WIDTH: usize, const FUSED: bool>(
    product: Product<'_>,
    destination: Destination<'_>,
) {
    let Product { left, depth, panels } = product;
    let Destination { values, stride, first, columns } = destination;
    debug_assert_eq!(left.len() % depth, 0);
    debug_assert_eq!(panels.len(), panels_len(depth, columns));
    let panel_len = depth * LANES;
    for (group_index, group) in panels.chunks(PANELS_PER_GROUP * panel_len).enumerate() {
        for (rows_index, rows) in left.chunks(ROWS * depth).enumerate() {
            for (panel_index, panel) in group.chunks_exact(panel_len).enumerate() {
                let column = (group_index * PANELS_PER_GROUP + panel_index) * LANES;
                let width = LANES.min(columns - column);
                let out = &mut values[rows_index * ROWS * stride + first + column..];
                if rows.len() == ROWS * depth {
                    tile_row::<ROWS, WIDTH, FUSED>(rows, depth, panel, out, stride, width);
                } else {
                    for (index, row) in rows.chunks_exact(depth).enumerate() {
                        let out = &mut out[index * stride..];
                        tile_row::<1, WIDTH, FUSED>(row, depth, panel, out, stride, width);
                    }
                }
            }
        }
    }
}

/// `N` rows times one panel; the first `columns` columns of the result are written.
#[inline(always)]
fn tile_row<const N: usize, const WIDTH: usize, const FUSED: bool>(
    rows: &[f32],
    depth: usize,
    panel: &[f32],
    out: &mut [f32],
    stride: usize,
    columns: usize,
) {
    for part in 0..columns.div_ceil(WIDTH) {
        let begin = part * WIDTH;
        let mut totals = [[0.0_f32; WIDTH]; N];
        for (block_index, block) in panel.chunks(DEPTH_BLOCK * LANES).enumerate() {
            let block_depth = block.len() / LANES;
            let rows: [&[f32]; N] = std::array::from_fn(|row| {
                &rows[row * depth + block_index * DEPTH_BLOCK..][..block_depth]
            });
            let mut sums = [[0.0_f32; WIDTH]; N];
            for (index, lanes) in block.as_chunks::<LANES>().0.iter().enumerate() {
                let Some(lanes) = lanes[begin..].first_chunk::<WIDTH>() else { return };
                for (sums, row) in sums.iter_mut().zip(&rows) {
                    let factor = row[index];
                    for (sum, lane) in sums.iter_mut().zip(lanes) {
                        *sum =
                            if FUSED { factor.mul_add(*lane, *sum) } else { *sum + factor * lane };
                    }
                }
            }
            for (totals, sums) in totals.iter_mut().zip(&sums) {
                for (total, sum) in totals.iter_mut().zip(sums) {
                    *total += sum;
                }
            }
        }
        let width = WIDTH.min(columns - begin);
        for (row, totals) in totals.iter().enumerate() {
            out[row * stride + begin..][..width].copy_from_slice(&totals[..width]);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Every size around the block limits gives what the definition gives.
    #[test]
    fn product_equals_the_definition_for_odd_sizes() {
        let sizes = [(1, 1, 1), (3, 7, 9), (4, 512, 8), (5, 513, 17), (6, 1030, 70), (9, 20, 129)];
        let sets = [Isa::Avx512, Isa::Avx2, Isa::Portable].into_iter().filter(|isa| isa.is_here());
        for (isa, (rows, depth, columns)) in sets.flat_map(|isa| sizes.map(|size| (isa, size))) {
            let left: Vec<f32> =
                (0..rows * depth).map(|i| ((i * 37 % 101) as f32) / 50.5 - 1.0).collect();
            let right: Vec<f32> =
                (0..columns * depth).map(|i| ((i * 53 % 97) as f32) / 48.5 - 1.0).collect();
            let mut out = vec![f32::NAN; rows * (columns + 3)];
            multiply_with(
                isa,
                &left,
                depth,
                &panels_of_transpose(&right, depth),
                Destination { values: &mut out, stride: columns + 3, first: 2, columns },
            );
            for row in 0..rows {
                assert!(out[row * (columns + 3)].is_nan(), "wrote before the first column");
                assert!(out[(row + 1) * (columns + 3) - 1].is_nan(), "wrote after the last column");
                for column in 0..columns {
                    let expected: f64 = (0..depth)
                        .map(|k| {
                            f64::from(left[row * depth + k]) * f64::from(right[column * depth + k])
                        })
                        .sum();
                    let got = f64::from(out[row * (columns + 3) + 2 + column]);
                    assert!(
                        (got - expected).abs() < 1e-4,
                        "{isa:?} {rows}x{depth}x{columns}: {got} {expected}"
                    );
                }
            }
        }
    }
}
