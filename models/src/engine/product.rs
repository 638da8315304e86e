//! Matrix products: every linear layer and every convolution ends here.
//!
//! The left side is rows of activations, the right side is [`Panels`] of weights. A row of the
//! left side need not be contiguous: it is a number of segments at a fixed distance. A row that
//! is the patch under a kernel then is `kernel` segments of `kernel * channels` values of a map
//! stored channels last, and a convolution needs no copy of its patches.
//!
//! Each element of the result is summed in the same order whatever the tile it falls into, so
//! results do not depend on the number of threads.
#![allow(unsafe_code, reason = "tasks write different parts of one matrix")]

use super::isa::{Isa, Kernel, multiply_add};
use super::panels::{NARROW, Panels, Stored, WIDE, Weight, lanes};
use super::workers::{Parts, Workers};
use std::ops::Range;

/// Most products summed before a tile is written back: what is read of the right side in this
/// time stays in the second-level cache.
const DEPTH_BLOCK: usize = 512;
/// Rows of one task, a multiple of every tile's.
const TASK_ROWS: usize = 48;
/// Columns of one task.
const TASK_COLUMNS: usize = 128;
/// Products below which a second thread does not pay.
const SERIAL: usize = 1 << 16;

/// Where the rows of a matrix begin in memory: those of a plain matrix, or the pixels of a map.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Rows {
    /// First row.
    pub origin: usize,
    /// Distance of two rows.
    pub step: usize,
    /// Rows in one line.
    pub per_line: usize,
    /// Distance of two lines.
    pub line_step: usize,
}

impl Rows {
    /// Rows that follow each other at this distance.
    pub(crate) const fn every(step: usize) -> Self {
        Self { origin: 0, step, per_line: usize::MAX, line_step: 0 }
    }

    /// The same rows, begun `origin` later.
    pub(crate) const fn from(self, origin: usize) -> Self {
        Self { origin, ..self }
    }

    #[inline(always)]
    pub(crate) fn offset(self, row: usize) -> usize {
        if row < self.per_line {
            return self.origin + row * self.step;
        }
        self.origin + row / self.per_line * self.line_step + row % self.per_line * self.step
    }
}

/// The left side.
#[derive(Clone, Copy)]
pub(crate) struct Left<'a> {
    /// All values.
    pub values: &'a [f32],
    /// Number of rows.
    pub count: usize,
    /// Where each begins.
    pub rows: Rows,
    /// Segments of a row.
    pub segments: usize,
    /// Distance of two segments.
    pub segment_step: usize,
}

impl<'a> Left<'a> {
    /// A plain matrix with rows of `depth` values.
    pub(crate) fn matrix(values: &'a [f32], depth: usize) -> Self {
        debug_assert_eq!(values.len() % depth, 0);
        let count = values.len() / depth;
        Self { values, count, rows: Rows::every(depth), segments: 1, segment_step: 0 }
    }
}

/// What happens to a sum before it is written.
#[derive(Clone, Copy, Default)]
pub(crate) struct Finish<'a> {
    /// Added to each row.
    pub bias: Option<&'a [f32]>,
    /// Added to the whole: values, and where their rows begin.
    pub addend: Option<(&'a [f32], Rows)>,
    /// What is there already is kept, and added to.
    pub accumulate: bool,
    /// Negative values become zero.
    pub relu: bool,
}

impl<'a> Finish<'a> {
    /// Adds a row to each row.
    pub(crate) fn bias(bias: &'a [f32]) -> Self {
        Self { bias: Some(bias), ..Self::default() }
    }

    /// Adds a plain matrix as well.
    pub(crate) fn and_add(self, values: &'a [f32], width: usize) -> Self {
        Self { addend: Some((values, Rows::every(width))), ..self }
    }

    /// Keeps what is there already.
    pub(crate) fn and_accumulate(self) -> Self {
        Self { accumulate: true, ..self }
    }

    /// Cuts off what is negative.
    pub(crate) fn and_relu(self) -> Self {
        Self { relu: true, ..self }
    }
}

/// Computes `finish(left * right)` into `out`, whose rows begin at `rows`, on all threads.
pub(crate) fn multiply(
    isa: Isa,
    workers: &Workers,
    left: Left<'_>,
    right: &Panels,
    finish: Finish<'_>,
    out: &mut [f32],
    rows: Rows,
) {
    // Tasks write parts of their own only where rows of the result do not overlap.
    assert!(right.columns <= rows.step || left.count < 2);
    assert!(
        left.count <= rows.per_line || rows.per_line.saturating_mul(rows.step) <= rows.line_step
    );
    let panels = right.columns.div_ceil(lanes());
    let out = Parts::new(out);
    let grid = Grid::new(left.count, panels, left.count * right.columns * right.depth, workers);
    let work = |task| {
        let (rows_of_task, panels_of_task) = grid.task(task);
        let block = Block {
            left,
            depth: right.depth,
            columns: right.columns,
            panels: panels_of_task,
            range: rows_of_task,
            finish,
            out: &out,
            rows,
        };
        block.run(isa, &right.values);
    };
    if grid.serial {
        (0..grid.tasks()).for_each(work);
    } else {
        workers.run(grid.tasks(), |_, task| work(task));
    }
}

/// Like [`multiply`], on the calling thread, with panels that were packed for the occasion.
pub(crate) fn multiply_packed(
    isa: Isa,
    left: Left<'_>,
    (panels, depth, columns): (&[f32], usize, usize),
    out: &mut [f32],
    rows: Rows,
) {
    let out = Parts::new(out);
    let all = 0..columns.div_ceil(lanes());
    let (finish, range) = (Finish::default(), 0..left.count);
    let block = Block { left, depth, columns, panels: all, range, finish, out: &out, rows };
    block.typed(isa, panels);
}

/// Like [`multiply`], on the calling thread.
pub(crate) fn multiply_alone(
    isa: Isa,
    left: Left<'_>,
    right: &Panels,
    out: &mut [f32],
    rows: Rows,
) {
    let Panels { depth, columns, .. } = *right;
    let out = Parts::new(out);
    let all = 0..columns.div_ceil(lanes());
    let (finish, range) = (Finish::default(), 0..left.count);
    let block = Block { left, depth, columns, panels: all, range, finish, out: &out, rows };
    block.run(isa, &right.values);
}

/// How a product is cut into tasks: few rows and many panels in a small product with large
/// weights, many rows and few panels in others.
struct Grid {
    /// Waking another thread would take longer.
    serial: bool,
    count: usize,
    panels: usize,
    task_rows: usize,
    task_panels: usize,
}

impl Grid {
    fn new(count: usize, panels: usize, products: usize, workers: &Workers) -> Self {
        let serial = products < SERIAL || workers.threads() == 1;
        // One task visits all rows before it comes to the next panels: these stay in the cache.
        let task_rows = if serial { count.max(1) } else { TASK_ROWS };
        Self { serial, count, panels, task_rows, task_panels: TASK_COLUMNS / lanes() }
    }

    fn tasks(&self) -> usize {
        self.count.div_ceil(self.task_rows) * self.panels.div_ceil(self.task_panels)
    }

    fn task(&self, index: usize) -> (Range<usize>, Range<usize>) {
        let across = self.panels.div_ceil(self.task_panels);
        let (row, panel) = (index / across * self.task_rows, index % across * self.task_panels);
        (
            row..self.count.min(row + self.task_rows),
            panel..self.panels.min(panel + self.task_panels),
        )
    }
}

/// A part of a product.
struct Block<'a> {
    left: Left<'a>,
    depth: usize,
    columns: usize,
    panels: Range<usize>,
    range: Range<usize>,
    finish: Finish<'a>,
    out: &'a Parts<'a, f32>,
    rows: Rows,
}

impl Block<'_> {
    fn run(self, isa: Isa, values: &Stored) {
        match values {
            Stored::F32(values) => self.typed(isa, values),
            Stored::Bf16(values) => self.typed(isa, values),
        }
    }

    fn typed<W: Weight>(self, isa: Isa, values: &[W]) {
        if lanes() == WIDE {
            isa.run(Typed::<W, WIDE> { block: self, values });
        } else {
            isa.run(Typed::<W, NARROW> { block: self, values });
        }
    }
}

struct Typed<'a, W, const LANES: usize> {
    block: Block<'a>,
    values: &'a [W],
}

impl<W: Weight, const LANES: usize> Kernel for Typed<'_, W, LANES> {
    type Output = ();

    #[inline(always)]
    fn run<const ROWS: usize, const WIDTH: usize, const FUSED: bool>(self) {
        let Self { block, values } = self;
        let passes = Passes::new(block.depth, block.left.segments);
        for pass in 0..passes.count {
            let mut row = block.range.start;
            while row + ROWS <= block.range.end {
                tiles::<W, LANES, ROWS, WIDTH, FUSED>(&block, values, &passes, pass, row);
                row += ROWS;
            }
            // The rows that are left, in as few tiles as there are sizes for.
            while row < block.range.end {
                let rest = block.range.end - row;
                if rest >= 4 && ROWS > 4 {
                    tiles::<W, LANES, 4, WIDTH, FUSED>(&block, values, &passes, pass, row);
                    row += 4;
                } else if rest >= 2 {
                    tiles::<W, LANES, 2, WIDTH, FUSED>(&block, values, &passes, pass, row);
                    row += 2;
                } else {
                    tiles::<W, LANES, 1, WIDTH, FUSED>(&block, values, &passes, pass, row);
                    row += 1;
                }
            }
        }
    }
}

/// A row's depth is cut into pieces of at most [`DEPTH_BLOCK`] that lie within one segment; a
/// pass takes as many pieces as fit into a block.
struct Passes {
    segment: usize,
    piece: usize,
    pieces_per_segment: usize,
    pieces_per_pass: usize,
    pieces: usize,
    count: usize,
}

impl Passes {
    #[inline(always)]
    fn new(depth: usize, segments: usize) -> Self {
        let segment = depth / segments;
        let pieces_per_segment = segment.div_ceil(DEPTH_BLOCK).max(1);
        let piece = segment.div_ceil(pieces_per_segment).max(1);
        let pieces = segments * pieces_per_segment;
        let pieces_per_pass = (DEPTH_BLOCK / piece).max(1);
        let count = pieces.div_ceil(pieces_per_pass);
        Self { segment, piece, pieces_per_segment, pieces_per_pass, pieces, count }
    }

    /// Pieces of a pass.
    #[inline(always)]
    fn pieces(&self, pass: usize) -> Range<usize> {
        let begin = pass * self.pieces_per_pass;
        begin..self.pieces.min(begin + self.pieces_per_pass)
    }

    /// Segment of a piece, and its values within the segment.
    #[inline(always)]
    fn piece(&self, index: usize) -> (usize, Range<usize>) {
        let (segment, part) = (index / self.pieces_per_segment, index % self.pieces_per_segment);
        let begin = part * self.piece;
        (segment, begin.min(self.segment)..self.segment.min(begin + self.piece))
    }
}

/// One pass over `N` rows and all panels of the block.
#[inline(always)]
fn tiles<W: Weight, const LANES: usize, const N: usize, const WIDTH: usize, const FUSED: bool>(
    block: &Block<'_>,
    values: &[W],
    passes: &Passes,
    pass: usize,
    row: usize,
) {
    let origins: [usize; N] = std::array::from_fn(|i| block.left.rows.offset(row + i));
    let places: [usize; N] = std::array::from_fn(|i| block.rows.offset(row + i));
    let (first, last) = (pass == 0, pass + 1 == passes.count);
    for index in block.panels.clone() {
        let panel = &values[index * LANES * block.depth..][..LANES * block.depth];
        let columns = LANES.min(block.columns - index * LANES);
        for part in 0..columns.div_ceil(WIDTH) {
            let column = index * LANES + part * WIDTH;
            let width = WIDTH.min(block.columns - column);
            let part = (panel, part * WIDTH);
            let sums = sum::<W, LANES, N, WIDTH, FUSED>(&block.left, origins, passes, pass, part);
            for (index, (sums, place)) in sums.iter().zip(places).enumerate() {
                let mut sums = *sums;
                // SAFETY: tasks have different rows or different columns, rows of the result do
                // not overlap, and the slice is gone before the next is made.
                let out = unsafe { block.out.get(place + column..place + column + width) };
                if !first || block.finish.accumulate {
                    let mut before = [0.0; WIDTH];
                    load(&mut before, out);
                    add(&mut sums, &before);
                }
                if last {
                    complete(&block.finish, &mut sums, row + index, column, width);
                }
                store(out, &sums);
            }
        }
    }
}

/// What one pass makes of `N` rows and `WIDTH` columns of a panel, from column `begin` on.
#[inline(always)]
fn sum<W: Weight, const LANES: usize, const N: usize, const WIDTH: usize, const FUSED: bool>(
    left: &Left<'_>,
    origins: [usize; N],
    passes: &Passes,
    pass: usize,
    (panel, begin): (&[W], usize),
) -> [[f32; WIDTH]; N] {
    let mut sums = [[0.0; WIDTH]; N];
    for piece in passes.pieces(pass) {
        let (segment, within) = passes.piece(piece);
        let rows: [&[f32]; N] = std::array::from_fn(|i| {
            let begin = origins[i] + segment * left.segment_step + within.start;
            &left.values[begin..][..within.len()]
        });
        let row = segment * passes.segment + within.start;
        let panel = panel[row * LANES..][..within.len() * LANES].as_chunks::<LANES>().0;
        for (index, lanes) in panel.iter().enumerate() {
            let Some(lanes) = lanes[begin..].first_chunk::<WIDTH>() else { return sums };
            let lanes: [f32; WIDTH] = std::array::from_fn(|lane| lanes[lane].value());
            for (sums, row) in sums.iter_mut().zip(&rows) {
                let factor = row[index];
                for (sum, lane) in sums.iter_mut().zip(&lanes) {
                    *sum = multiply_add::<FUSED>(factor, *lane, *sum);
                }
            }
        }
    }
    sums
}

/// Reads as many values as there are.
#[inline(always)]
pub(crate) fn load<const WIDTH: usize>(sums: &mut [f32; WIDTH], from: &[f32]) {
    match from.first_chunk::<WIDTH>() {
        Some(from) => *sums = *from,
        None => copy_part(&mut sums[..from.len()], from),
    }
}

/// Writes as many values as there is room for.
#[inline(always)]
pub(crate) fn store<const WIDTH: usize>(out: &mut [f32], sums: &[f32; WIDTH]) {
    match out.first_chunk_mut::<WIDTH>() {
        Some(out) => *out = *sums,
        None => copy_part(out, &sums[..out.len()]),
    }
}

/// Apart, because the compiler would make one copy of any length of a whole vector and a part.
#[cold]
#[inline(never)]
fn copy_part(to: &mut [f32], from: &[f32]) {
    to.copy_from_slice(from);
}

/// What is done to the sums of one row, whose first column is `column`.
#[inline(always)]
fn complete<const WIDTH: usize>(
    finish: &Finish<'_>,
    sums: &mut [f32; WIDTH],
    row: usize,
    column: usize,
    width: usize,
) {
    let mut other = [0.0; WIDTH];
    if let Some(bias) = finish.bias {
        load(&mut other, &bias[column..][..width]);
        add(sums, &other);
    }
    if let Some((addend, rows)) = finish.addend {
        load(&mut other, &addend[rows.offset(row) + column..][..width]);
        add(sums, &other);
    }
    if finish.relu {
        sums.iter_mut().for_each(|sum| *sum = relu(*sum));
    }
}

#[inline(always)]
fn add<const WIDTH: usize>(sums: &mut [f32; WIDTH], other: &[f32; WIDTH]) {
    for (sum, other) in sums.iter_mut().zip(other) {
        *sum += other;
    }
}

/// `max(x, 0)`; not-a-number stays what it is, which `f32::max` would turn into 0 and hide.
#[inline(always)]
pub(crate) fn relu(value: f32) -> f32 {
    if value < 0.0 { 0.0 } else { value }
}

#[cfg(test)]
mod tests {
    use super::super::numbers;
    use super::super::panels::Precision;
    use super::*;

    /// The definition, in f64.
    fn reference(
        left: Left<'_>,
        depth: usize,
        weight: &[f32],
        finish: Finish<'_>,
        row: usize,
        column: usize,
    ) -> f64 {
        let segment = depth / left.segments;
        let mut sum = 0.0;
        for index in 0..depth {
            let place =
                left.rows.offset(row) + index / segment * left.segment_step + index % segment;
            sum += f64::from(left.values[place]) * f64::from(weight[column * depth + index]);
        }
        sum += finish.bias.map_or(0.0, |bias| f64::from(bias[column]));
        sum += finish.addend.map_or(0.0, |(v, rows)| f64::from(v[rows.offset(row) + column]));
        sum += if finish.accumulate { 7.0 } else { 0.0 };
        if finish.relu { sum.max(0.0) } else { sum }
    }

    fn check(left: Left<'_>, depth: usize, columns: usize, rows: Rows, out_len: usize) {
        let weight = numbers(columns * depth, 3);
        let (bias, addend) = (numbers(columns, 5), numbers(out_len, 7));
        let panels = Panels::transposed(&weight, depth, Precision::F32);
        let none = Finish::default();
        let finishes = [
            none,
            Finish { bias: Some(&bias), addend: Some((&addend, rows)), relu: true, ..none },
            Finish { accumulate: true, ..none },
        ];
        for finish in finishes {
            let mut first: Option<Vec<f32>> = None;
            for isa in Isa::ALL.into_iter().filter(|isa| isa.is_here()) {
                let mut of_one: Option<Vec<f32>> = None;
                for threads in [1, 3] {
                    let workers = Workers::new(threads, &[]).unwrap();
                    let mut out = vec![7.0; out_len];
                    multiply(isa, &workers, left, &panels, finish, &mut out, rows);
                    assert_eq!(of_one.get_or_insert_with(|| out.clone()), &out, "threads count");
                }
                let out = of_one.unwrap();
                let mut written = vec![false; out_len];
                for row in 0..left.count {
                    for column in 0..columns {
                        let place = rows.offset(row) + column;
                        written[place] = true;
                        let expected = reference(left, depth, &weight, finish, row, column);
                        let got = f64::from(out[place]);
                        // Rounding of sums that may be four times the result on the way.
                        let allowed = 3e-7 * (depth as f64).sqrt() * expected.abs().max(4.0);
                        assert!(
                            (got - expected).abs() < allowed,
                            "{isa:?} {row},{column}: {got} {expected}"
                        );
                    }
                }
                assert!(out.iter().zip(&written).all(|(v, written)| *written || *v == 7.0));
                let first = first.get_or_insert_with(|| out.clone());
                assert!(first.iter().zip(&out).all(|(a, b)| (a - b).abs() < 1e-4));
            }
        }
    }

    #[test]
    fn a_plain_product_is_what_the_definition_says() {
        for (count, depth, columns) in
            [(1, 1, 1), (5, 3, 33), (7, 40, 64), (13, 1030, 17), (100, 65, 200), (300, 20, 140)]
        {
            let values = numbers(count * depth, 1);
            let left = Left::matrix(&values, depth);
            check(left, depth, columns, Rows::every(columns), count * columns);
            // Into the middle of a wider matrix.
            let wider = Rows::every(columns + 5).from(2);
            check(left, depth, columns, wider, count * (columns + 5) + 2);
        }
    }

    #[test]
    fn rows_may_be_patches_of_a_map() {
        // Kernel 3 at stride 2 over a map of 9 x 11 pixels with 5 channels.
        let (width, channels, kernel, stride) = (11, 5, 3, 2);
        let values = numbers(9 * width * channels, 2);
        let rows = Rows {
            origin: 0,
            step: stride * channels,
            per_line: 5,
            line_step: stride * width * channels,
        };
        let left = Left {
            values: &values,
            count: 4 * 5,
            rows,
            segments: kernel,
            segment_step: width * channels,
        };
        let bordered = Rows { origin: 8 * 7 + 8, step: 8, per_line: 5, line_step: 7 * 8 };
        check(left, kernel * kernel * channels, 8, bordered, 6 * 7 * 8);
    }

    #[test]
    fn not_a_number_is_not_hidden() {
        let panels = Panels::transposed(&[1.0; 4], 2, Precision::F32);
        let finish = Finish::default().and_relu();
        for isa in Isa::ALL.into_iter().filter(|isa| isa.is_here()) {
            let workers = Workers::new(1, &[]).unwrap();
            let mut out = [0.0; 4];
            let left = Left::matrix(&[1.0, f32::NAN, -1.0, -2.0], 2);
            multiply(isa, &workers, left, &panels, finish, &mut out, Rows::every(2));
            assert!(out[0].is_nan() && out[1].is_nan() && out[2..] == [0.0, 0.0]);
        }
    }

    #[test]
    fn bf16_weights_are_rounded_and_nothing_else_is() {
        let weight = numbers(70 * 40, 3);
        let values = numbers(9 * 70, 4);
        let rounded: Vec<f32> =
            weight.iter().map(|w| super::super::panels::Bf16::nearest(*w).value()).collect();
        let exact = Panels::transposed(&rounded, 70, Precision::F32);
        let short = Panels::transposed(&weight, 70, Precision::Bf16);
        for isa in Isa::ALL.into_iter().filter(|isa| isa.is_here()) {
            let workers = Workers::new(1, &[]).unwrap();
            let (mut a, mut b) = (vec![0.0; 9 * 40], vec![0.0; 9 * 40]);
            for (panels, out) in [(&exact, &mut a), (&short, &mut b)] {
                let left = Left::matrix(&values, 70);
                multiply(isa, &workers, left, panels, Finish::default(), out, Rows::every(40));
            }
            assert_eq!(a, b);
        }
    }
}
