//! Feature maps in memory: channels last, with a border of zeros.

use super::product::Rows;

/// Height and width of a feature map.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct MapSize {
    /// Rows.
    pub height: usize,
    /// Columns.
    pub width: usize,
}

impl MapSize {
    /// Number of pixels.
    pub(crate) fn pixels(self) -> usize {
        self.height * self.width
    }

    /// Size after a layer of stride 2 whose padding is half its kernel: half, rounded up.
    pub(crate) fn halved(self) -> Self {
        Self { height: self.height.div_ceil(2), width: self.width.div_ceil(2) }
    }
}

/// How a map lies in memory: `[height + 2 border, width + 2 border, channels]`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Layout {
    /// Size without the border.
    pub size: MapSize,
    /// Values of one pixel.
    pub channels: usize,
    /// Pixels of zeros on every side.
    pub border: usize,
}

impl Layout {
    /// Number of values, the border's included.
    pub(crate) fn len(self) -> usize {
        (self.size.height + 2 * self.border) * self.line()
    }

    /// Values from one line to the next.
    pub(crate) fn line(self) -> usize {
        (self.size.width + 2 * self.border) * self.channels
    }

    /// Where the values of a pixel begin; row and column count from the border's first.
    pub(crate) fn at(self, row: usize, column: usize) -> usize {
        row * self.line() + column * self.channels
    }

    /// Pixels within the border, line by line.
    pub(crate) fn pixels(self) -> Rows {
        self.patches(0, 1)
    }

    /// Top left corners of the patches under a kernel of `2 * padding + 1` pixels, whose centres
    /// are `stride` pixels apart.
    pub(crate) fn patches(self, padding: usize, stride: usize) -> Rows {
        debug_assert!(padding <= self.border);
        let shift = self.border - padding;
        Rows {
            origin: self.at(shift, shift),
            step: stride * self.channels,
            per_line: self.size.width.div_ceil(stride),
            line_step: stride * self.line(),
        }
    }

    /// The same memory as a map whose border takes `margin` pixels from every side. A convolution
    /// that pads with the border then reads pixels there: it is one without padding.
    pub(crate) fn within(self, margin: usize) -> Self {
        let MapSize { height, width } = self.size;
        let size = MapSize { height: height - 2 * margin, width: width - 2 * margin };
        Self { size, border: self.border + margin, ..self }
    }

    /// Writes zeros to the border of a map whose memory held another.
    pub(crate) fn clear_border(self, values: &mut [f32]) {
        let (line, edge) = (self.line(), self.border * self.channels);
        let (above, rest) = values.split_at_mut(self.border * line);
        let (inside, below) = rest.split_at_mut(self.size.height * line);
        above.fill(0.0);
        below[..self.border * line].fill(0.0);
        for line in inside.chunks_exact_mut(line) {
            line[..edge].fill(0.0);
            let end = line.len() - edge;
            line[end..].fill(0.0);
        }
    }

    /// The pixels without the border, `[height, width, channels]`.
    pub(crate) fn copy_inside(self, values: &[f32], out: &mut [f32]) {
        let width = self.size.width * self.channels;
        for (row, out) in out.chunks_exact_mut(width).enumerate() {
            let begin = self.at(row + self.border, self.border);
            out.copy_from_slice(&values[begin..begin + width]);
        }
    }

    /// The pixels without the border as PyTorch orders them, `[channels, height, width]`.
    pub(crate) fn channels_first(self, values: &[f32]) -> Vec<f32> {
        let MapSize { height, width } = self.size;
        let mut out = Vec::with_capacity(self.channels * height * width);
        for channel in 0..self.channels {
            for row in 0..height {
                let line = (0..width).map(|x| self.at(row + self.border, x + self.border));
                out.extend(line.map(|pixel| values[pixel + channel]));
            }
        }
        out
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_border_is_cleared_and_nothing_else() {
        let size = MapSize { height: 2, width: 3 };
        let layout = Layout { size, channels: 2, border: 1 };
        let mut values = vec![5.0; layout.len() + 1];
        layout.clear_border(&mut values);
        assert_eq!(values.iter().filter(|v| **v == 5.0).count(), 2 * 3 * 2 + 1);
        let mut inside = vec![0.0; 12];
        layout.copy_inside(&values, &mut inside);
        assert_eq!(inside, [5.0; 12]);
    }

    #[test]
    fn channels_come_first_on_request() {
        let size = MapSize { height: 1, width: 2 };
        let layout = Layout { size, channels: 2, border: 0 };
        assert_eq!(layout.channels_first(&[1.0, 2.0, 3.0, 4.0]), [1.0, 3.0, 2.0, 4.0]);
    }
}
