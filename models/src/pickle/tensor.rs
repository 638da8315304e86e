//! Tensors and arrays: views of numbers in a file.

use super::error::Fault;

/// Most axes of a tensor.
const MAX_AXES: usize = 16;

/// Type of the numbers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ElementType {
    /// 64-bit floating point.
    F64,
    /// 32-bit floating point.
    F32,
    /// 16-bit floating point (IEEE 754 half).
    F16,
    /// The upper half of a 32-bit floating-point number.
    BF16,
    /// 64-bit integer.
    I64,
    /// 32-bit integer.
    I32,
    /// 16-bit integer.
    I16,
    /// 8-bit integer.
    I8,
    /// 8-bit natural number.
    U8,
    /// 0 or 1 in a byte.
    Bool,
}

impl ElementType {
    /// Bytes of one number.
    #[must_use]
    pub fn size(self) -> usize {
        match self {
            Self::F64 | Self::I64 => 8,
            Self::F32 | Self::I32 => 4,
            Self::F16 | Self::BF16 | Self::I16 => 2,
            Self::I8 | Self::U8 | Self::Bool => 1,
        }
    }

    /// Whether it is a type of floating-point numbers.
    #[must_use]
    pub fn is_float(self) -> bool {
        matches!(self, Self::F64 | Self::F32 | Self::F16 | Self::BF16)
    }
}

/// Where the numbers of a tensor lie.
#[derive(Clone, Debug)]
pub(super) struct Layout {
    pub element: ElementType,
    pub big_endian: bool,
    /// Index of the first number.
    pub offset: usize,
    pub shape: Vec<usize>,
    /// Numbers from one element to the next, along each axis.
    pub strides: Vec<usize>,
}

impl Layout {
    /// A layout without gaps: the last axis runs fastest, or the first (`fortran`).
    pub(super) fn packed(
        element: ElementType,
        big_endian: bool,
        shape: Vec<usize>,
        fortran: bool,
    ) -> Self {
        let mut strides = vec![0; shape.len()];
        let mut stride: usize = 1;
        for position in 0..shape.len() {
            let axis = if fortran { position } else { shape.len() - 1 - position };
            strides[axis] = stride;
            stride = stride.saturating_mul(shape[axis]);
        }
        Self { element, big_endian, offset: 0, shape, strides }
    }

    /// Bytes of all numbers, after a check that they lie within `available` numbers.
    pub(super) fn check(&self, available: usize) -> Result<usize, Fault> {
        let refuse = |what: String| {
            let listed: Vec<String> =
                self.shape.iter().take(MAX_AXES).map(usize::to_string).collect();
            let more = if self.shape.len() > MAX_AXES { ", ..." } else { "" };
            Err(Fault::Tensor { shape: format!("[{}{more}]", listed.join(", ")), what })
        };
        if self.shape.len() > MAX_AXES {
            return refuse(format!(" has more than {MAX_AXES} axes"));
        }
        // Whoever multiplies sizes later, in whatever order, must not overflow beside an axis of 0.
        let sizes = self.shape.iter().filter(|size| **size > 0);
        let count = sizes.into_iter().try_fold(1_usize, |count, size| count.checked_mul(*size));
        let is_empty = self.shape.contains(&0);
        let Some(count) = count.filter(|count| is_empty || *count <= available) else {
            return refuse(format!(" is larger than its storage of {available} numbers"));
        };
        if is_empty {
            return Ok(0);
        }
        // Sizes are at least 1 here.
        let last = self.shape.iter().zip(&self.strides).try_fold(self.offset, |last, axis| {
            let (size, stride) = axis;
            last.checked_add((size - 1).checked_mul(*stride)?)
        });
        if last.is_none_or(|last| last >= available) {
            return refuse(format!(" reaches beyond its storage of {available} numbers"));
        }
        // The product is at most that of `available`, which counts bytes of a file.
        Ok(count.saturating_mul(self.element.size()))
    }
}

/// Numbers with a shape: PyTorch's tensors and NumPy's arrays.
#[derive(Clone, Copy, Debug)]
pub struct Tensor<'d> {
    pub(super) layout: &'d Layout,
    pub(super) bytes: &'d [u8],
}

impl<'d> Tensor<'d> {
    /// Type of its numbers.
    #[must_use]
    pub fn element_type(&self) -> ElementType {
        self.layout.element
    }

    /// Its shape; empty for a single number.
    #[must_use]
    pub fn shape(&self) -> &'d [usize] {
        &self.layout.shape
    }

    /// Number of its numbers.
    #[must_use]
    pub fn len(&self) -> usize {
        self.shape().iter().product()
    }

    /// Whether it has no numbers.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Its numbers, the last axis running fastest, as the nearest 32-bit numbers.
    #[must_use]
    pub fn to_f32(&self) -> Vec<f32> {
        match self.layout.element {
            ElementType::F32 => self.map(f32::from_le_bytes),
            ElementType::F64 => self.map(|bytes| f64::from_le_bytes(bytes) as f32),
            ElementType::F16 => self.map(|bytes| half::f16::from_le_bytes(bytes).to_f32()),
            ElementType::BF16 => self.map(|bytes| half::bf16::from_le_bytes(bytes).to_f32()),
            ElementType::I64 => self.map(|bytes| i64::from_le_bytes(bytes) as f32),
            ElementType::I32 => self.map(|bytes| i32::from_le_bytes(bytes) as f32),
            ElementType::I16 => self.map(|bytes| f32::from(i16::from_le_bytes(bytes))),
            ElementType::I8 => self.map(|bytes| f32::from(i8::from_le_bytes(bytes))),
            ElementType::U8 => self.map(|[byte]| f32::from(byte)),
            ElementType::Bool => self.map(|[byte]| f32::from(u8::from(byte != 0))),
        }
    }

    /// Its numbers in order. Every layout was checked against the bytes when it was read.
    fn map<const N: usize, T>(&self, convert: impl Fn([u8; N]) -> T) -> Vec<T> {
        let Layout { shape, strides, offset, big_endian, .. } = self.layout;
        let (numbers, _) = self.bytes.as_chunks::<N>();
        let convert = |mut bytes: [u8; N]| {
            if *big_endian {
                bytes.reverse();
            }
            convert(bytes)
        };
        let count = self.len();
        let mut values = Vec::with_capacity(count);
        if count == 0 {
            return values;
        }
        let (inner, stride) = match (shape.last(), strides.last()) {
            (Some(inner), Some(stride)) => (*inner, *stride),
            _ => (1, 1),
        };
        let outer = shape.len().saturating_sub(1);
        let mut index = [0_usize; MAX_AXES];
        while values.len() < count {
            let from: usize = offset + (0..outer).map(|a| index[a] * strides[a]).sum::<usize>();
            if stride == 1 {
                values.extend(numbers[from..][..inner].iter().map(|bytes| convert(*bytes)));
            } else {
                values.extend((0..inner).map(|i| convert(numbers[from + i * stride])));
            }
            for axis in (0..outer).rev() {
                index[axis] += 1;
                if index[axis] < shape[axis] {
                    break;
                }
                index[axis] = 0;
            }
        }
        values
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn layout(offset: usize, shape: &[usize], strides: &[usize]) -> Layout {
        let (shape, strides) = (shape.to_vec(), strides.to_vec());
        Layout { element: ElementType::U8, big_endian: false, offset, shape, strides }
    }

    #[test]
    fn strides_and_orders_give_the_numbers_row_by_row() {
        let bytes: Vec<u8> = (0..24).collect();
        let read = |layout: &Layout| {
            layout.check(bytes.len()).ok().unwrap();
            Tensor { layout, bytes: &bytes }.to_f32()
        };
        assert_eq!(read(&layout(1, &[2, 3], &[3, 1])), [1.0, 2.0, 3.0, 4.0, 5.0, 6.0]);
        assert_eq!(read(&layout(0, &[3, 2], &[1, 3])), [0.0, 3.0, 1.0, 4.0, 2.0, 5.0]);
        assert_eq!(read(&layout(23, &[], &[])), [23.0]);
        assert_eq!(read(&layout(9, &[0, 5], &[5, 1])), [0.0; 0]);
        let fortran = Layout::packed(ElementType::U8, false, vec![2, 2, 2], true);
        assert_eq!(read(&fortran), [0.0, 4.0, 2.0, 6.0, 1.0, 5.0, 3.0, 7.0]);
        let packed = Layout::packed(ElementType::U8, false, vec![2, 2, 2], false);
        assert_eq!(read(&packed), [0.0, 1.0, 2.0, 3.0, 4.0, 5.0, 6.0, 7.0]);
    }

    #[test]
    fn numbers_of_every_type_and_byte_order_are_read() {
        let read = |element, big_endian, bytes: &[u8]| {
            let layout = Layout::packed(element, big_endian, vec![1], false);
            layout.check(bytes.len() / element.size()).ok().unwrap();
            Tensor { layout: &layout, bytes }.to_f32()[0]
        };
        for big_endian in [false, true] {
            let order = |bytes: &[u8]| -> Vec<u8> {
                let mut bytes = bytes.to_vec();
                if big_endian {
                    bytes.reverse();
                }
                bytes
            };
            let read = |element, bytes: &[u8]| read(element, big_endian, &order(bytes));
            assert_eq!(read(ElementType::F64, &(-1.5_f64).to_le_bytes()), -1.5);
            assert_eq!(read(ElementType::F32, &0.1_f32.to_le_bytes()), 0.1);
            assert_eq!(read(ElementType::F16, &[0x00, 0xc1]), -2.5);
            assert_eq!(read(ElementType::BF16, &[0x20, 0xc0]), -2.5);
            assert_eq!(read(ElementType::I64, &(-7_i64).to_le_bytes()), -7.0);
            assert_eq!(read(ElementType::I32, &(-7_i32).to_le_bytes()), -7.0);
            assert_eq!(read(ElementType::I16, &(-7_i16).to_le_bytes()), -7.0);
            assert_eq!(read(ElementType::I8, &[0xff]), -1.0);
            assert_eq!(read(ElementType::U8, &[0xff]), 255.0);
            assert_eq!(read(ElementType::Bool, &[1]), 1.0);
        }
    }

    #[test]
    fn what_reaches_beyond_the_storage_is_refused() {
        let refused = |layout: &Layout| layout.check(24).is_err();
        assert!(refused(&layout(1, &[24], &[1])));
        assert!(refused(&layout(24, &[1], &[1])));
        assert!(refused(&layout(0, &[2], &[24])));
        assert!(refused(&layout(usize::MAX, &[2], &[1])));
        assert!(refused(&layout(0, &[2, 2], &[usize::MAX, 1])));
        assert!(refused(&layout(0, &[usize::MAX, 2], &[1, 1])));
        // A stride of 0 repeats one number; more of them than are stored are refused.
        assert!(refused(&layout(0, &[25], &[0])));
        assert!(refused(&layout(0, &[1; 17], &[1; 17])));
        assert!(!refused(&layout(1, &[23], &[1])));
    }
}
