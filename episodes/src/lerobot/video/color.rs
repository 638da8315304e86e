//! From YCbCr 4:2:0 to RGB.

use crate::image::Image;

/// How luma and chroma are made of red, green and blue.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Matrix {
    Bt601,
    Bt709,
}

/// Three planes; chroma has half the width and height, rounded up.
pub(super) struct Planes<'a> {
    pub width: usize,
    pub height: usize,
    pub y: &'a [u8],
    pub u: &'a [u8],
    pub v: &'a [u8],
    /// Bytes from one row to the next, of luma and of chroma.
    pub strides: (usize, usize),
}

impl Planes<'_> {
    /// Each chroma value serves its four pixels, and every product is cut to whole levels before
    /// they are summed. So does FFmpeg's converter, through which LeRobot's policies see videos:
    /// the rounding that is mathematically nearest would be up to three levels off.
    pub fn to_rgb(&self, matrix: Matrix, full_range: bool) -> Result<Image, String> {
        let (red, blue) = match matrix {
            Matrix::Bt601 => (0.299, 0.114),
            Matrix::Bt709 => (0.2126, 0.0722),
        };
        let green = 1.0 - red - blue;
        let (offset, luma, chroma) =
            if full_range { (0, 1.0, 1.0) } else { (16, 255.0 / 219.0, 255.0 / 224.0) };
        let from_v = 2.0 * (1.0 - red) * chroma;
        let from_u = 2.0 * (1.0 - blue) * chroma;
        let fixed = |factor: f64| (factor * 8192.0).round() as i32;
        let (y_rgb, v_red, u_blue) = (fixed(luma), fixed(from_v), fixed(from_u));
        let (v_green, u_green) = (fixed(-from_v * red / green), fixed(-from_u * blue / green));
        let short = || "a picture is smaller than its header says".to_owned();
        let mut rgb = Vec::with_capacity(self.width * self.height * 3);
        for row in 0..self.height {
            let line = |plane: &'_ [u8], row: usize, stride: usize, width: usize| {
                plane.get(row * stride..row * stride + width).map(<[u8]>::to_vec)
            };
            let half = self.width.div_ceil(2);
            let y = line(self.y, row, self.strides.0, self.width).ok_or_else(short)?;
            let u = line(self.u, row / 2, self.strides.1, half).ok_or_else(short)?;
            let v = line(self.v, row / 2, self.strides.1, half).ok_or_else(short)?;
            let pairs = u.iter().zip(&v).flat_map(|pair| [pair, pair]);
            for (&y, (&u, &v)) in y.iter().zip(pairs) {
                let y = ((i32::from(y) - offset) * y_rgb) >> 13;
                let (u, v) = (i32::from(u) - 128, i32::from(v) - 128);
                let values = [
                    y + ((v * v_red) >> 13),
                    y + ((u * u_green) >> 13) + ((v * v_green) >> 13),
                    y + ((u * u_blue) >> 13),
                ];
                rgb.extend(values.map(|value| value.clamp(0, 255) as u8));
            }
        }
        let size = |length: usize| u32::try_from(length).map_err(|_| short());
        Ok(Image { width: size(self.width)?, height: size(self.height)?, rgb })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pixel(y: u8, u: u8, v: u8, matrix: Matrix, full: bool) -> Vec<u8> {
        let planes = Planes { width: 1, height: 1, y: &[y], u: &[u], v: &[v], strides: (1, 1) };
        planes.to_rgb(matrix, full).unwrap().rgb
    }

    #[test]
    fn reference_colours_come_out() {
        assert_eq!(pixel(235, 128, 128, Matrix::Bt601, false), [255, 255, 255]);
        assert_eq!(pixel(16, 128, 128, Matrix::Bt709, false), [0, 0, 0]);
        // Red in ITU-R BT.601 is Y 81, Cb 90, Cr 240; in BT.709 it is 63, 102, 240.
        let red = |pixel: Vec<u8>| pixel[0] >= 252 && pixel[1] <= 1 && pixel[2] <= 1;
        assert!(red(pixel(81, 90, 240, Matrix::Bt601, false)));
        assert!(red(pixel(63, 102, 240, Matrix::Bt709, false)));
        assert!(red(pixel(76, 85, 255, Matrix::Bt601, true)));
        assert!(!red(pixel(81, 90, 240, Matrix::Bt709, false)));
    }

    #[test]
    fn short_planes_are_refused() {
        let planes =
            Planes { width: 4, height: 2, y: &[0; 7], u: &[0; 2], v: &[0; 2], strides: (4, 2) };
        assert!(planes.to_rgb(Matrix::Bt601, false).is_err());
    }
}
