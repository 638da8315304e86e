//! Weights in the order in which the product reads them.

use super::isa::Isa;

/// Columns in one panel: two vectors of the computer's best instructions, so that a kernel reads a
/// panel from front to back.
pub(crate) fn lanes() -> usize {
    if Isa::best() == Isa::Avx512 { WIDE } else { NARROW }
}

/// Columns of a panel for AVX-512.
pub(super) const WIDE: usize = 32;
/// Columns of a panel elsewhere.
pub(super) const NARROW: usize = 16;

/// How weights are stored. Sums are `f32` either way.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Precision {
    /// Four bytes a weight.
    #[default]
    F32,
    /// Two bytes a weight: `f32` without its lower half, rounded to the nearest. Halves the
    /// memory that large networks wait for; results differ in the third digit.
    Bf16,
}

/// One stored weight.
pub(crate) trait Weight: Copy + Send + Sync + 'static {
    /// Its value.
    fn value(self) -> f32;
}

impl Weight for f32 {
    #[inline(always)]
    fn value(self) -> f32 {
        self
    }
}

/// Upper half of an `f32`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Bf16(u16);

impl Bf16 {
    /// The nearest, ties to even.
    pub(crate) fn nearest(value: f32) -> Self {
        let bits = value.to_bits();
        if value.is_nan() {
            return Self((bits >> 16) as u16 | 0x40);
        }
        Self((bits.wrapping_add(0x7fff + (bits >> 16 & 1)) >> 16) as u16)
    }

    /// As it is stored.
    pub(crate) fn bits(self) -> u16 {
        self.0
    }
}

impl Weight for Bf16 {
    #[inline(always)]
    fn value(self) -> f32 {
        f32::from_bits(u32::from(self.0) << 16)
    }
}

/// A matrix of `depth` rows and `columns` columns. A panel holds [`lanes`] columns, row by row;
/// columns beyond the last are zero.
pub(crate) struct Panels {
    pub(super) values: Stored,
    pub(super) depth: usize,
    pub(super) columns: usize,
}

/// Values of all panels.
pub(super) enum Stored {
    F32(Vec<f32>),
    Bf16(Vec<Bf16>),
}

impl Panels {
    /// Stores the matrix whose element at row `depth` and column `column` is `at(depth, column)`.
    pub(crate) fn new(
        depth: usize,
        columns: usize,
        precision: Precision,
        at: impl Fn(usize, usize) -> f32,
    ) -> Self {
        let mut values = Vec::with_capacity(values_len(depth, columns));
        for (row, column) in places(depth, columns) {
            values.push(column.map_or(0.0, |column| at(row, column)));
        }
        Self::packed(values, depth, columns, precision)
    }

    /// Takes values in the order of [`places`].
    pub(super) fn packed(
        values: Vec<f32>,
        depth: usize,
        columns: usize,
        precision: Precision,
    ) -> Self {
        debug_assert_eq!(values.len(), values_len(depth, columns));
        let values = match precision {
            Precision::F32 => Stored::F32(values),
            Precision::Bf16 => Stored::Bf16(values.into_iter().map(Bf16::nearest).collect()),
        };
        Self { values, depth, columns }
    }

    /// The transpose of `matrix`, which is rows of `depth` values: the layout in which PyTorch
    /// stores the weight of a linear layer.
    pub(crate) fn transposed(matrix: &[f32], depth: usize, precision: Precision) -> Self {
        let columns = matrix.len() / depth;
        Self::new(depth, columns, precision, |row, column| matrix[column * depth + row])
    }

    /// Rows.
    pub(crate) fn depth(&self) -> usize {
        self.depth
    }

    /// Columns.
    pub(crate) fn columns(&self) -> usize {
        self.columns
    }

    /// Bytes that they take.
    pub(crate) fn bytes(&self) -> usize {
        match &self.values {
            Stored::F32(values) => size_of_val(values.as_slice()),
            Stored::Bf16(values) => size_of_val(values.as_slice()),
        }
    }
}

/// Row and column of every value of the panels of a matrix, in their order; no column where a
/// panel is wider than what is left.
pub(super) fn places(depth: usize, columns: usize) -> impl Iterator<Item = (usize, Option<usize>)> {
    let lanes = lanes();
    (0..columns.div_ceil(lanes)).flat_map(move |panel| {
        (0..depth).flat_map(move |row| {
            let column = move |lane| Some(panel * lanes + lane).filter(|column| *column < columns);
            (0..lanes).map(move |lane| (row, column(lane)))
        })
    })
}

/// Number of values in the panels of a `depth` by `columns` matrix.
pub(crate) fn values_len(depth: usize, columns: usize) -> usize {
    columns.next_multiple_of(lanes()) * depth
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bf16_rounds_to_nearest_with_ties_to_even() {
        let one = 1.0_f32.to_bits();
        for (bits, expected) in [
            (one, one),
            (one + 0x7fff, one),
            (one + 0x8000, one),
            (one + 0x8001, one + 0x10000),
            (one + 0x18000, one + 0x20000),
        ] {
            let value = Bf16::nearest(f32::from_bits(bits)).value();
            assert_eq!(value.to_bits(), expected, "{bits:x}");
        }
        assert!(Bf16::nearest(f32::NAN).value().is_nan());
        assert!(Bf16::nearest(f32::from_bits(0x7f80_0001)).value().is_nan());
        assert_eq!(Bf16::nearest(f32::NEG_INFINITY).value(), f32::NEG_INFINITY);
    }
}
