//! The names that are built.

use super::tensor::ElementType;

/// Something that a pickle may name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Known {
    /// `collections.OrderedDict`: a dictionary here.
    OrderedDict,
    /// `collections.defaultdict`: a dictionary here; what would make its missing values is not kept.
    DefaultDict,
    /// `_codecs.encode`, by which protocols 0 to 2 spell bytes.
    Encode,
    /// `builtins.bytes`, by which protocols 0 to 2 spell no bytes at all.
    Bytes,
    /// `torch._utils._rebuild_tensor_v2`.
    RebuildTensor,
    /// `torch._utils._rebuild_parameter`.
    RebuildParameter,
    /// `torch.FloatStorage` and its like.
    Storage(ElementType),
    /// `numpy.core.multiarray._reconstruct`: an array that BUILD fills.
    Reconstruct,
    /// `numpy.ndarray`, an argument of `_reconstruct`.
    NdArray,
    /// `numpy.dtype`.
    Dtype,
    /// `numpy.core.multiarray.scalar`.
    Scalar,
    /// `numpy.core.numeric._frombuffer`, by which protocol 5 spells arrays.
    FromBuffer,
}

impl Known {
    /// What the name stands for, if it is known. Python 2's and NumPy 1's modules have other names.
    pub(super) fn find(module: &str, name: &str) -> Option<Self> {
        Some(match (module, name) {
            ("collections", "OrderedDict") => Self::OrderedDict,
            ("collections", "defaultdict") => Self::DefaultDict,
            ("_codecs", "encode") => Self::Encode,
            ("builtins" | "__builtin__", "bytes") => Self::Bytes,
            ("torch._utils", "_rebuild_tensor_v2") => Self::RebuildTensor,
            ("torch._utils", "_rebuild_parameter") => Self::RebuildParameter,
            ("torch", _) => Self::Storage(match name {
                "DoubleStorage" => ElementType::F64,
                "FloatStorage" => ElementType::F32,
                "HalfStorage" => ElementType::F16,
                "BFloat16Storage" => ElementType::BF16,
                "LongStorage" => ElementType::I64,
                "IntStorage" => ElementType::I32,
                "ShortStorage" => ElementType::I16,
                "CharStorage" => ElementType::I8,
                "ByteStorage" => ElementType::U8,
                "BoolStorage" => ElementType::Bool,
                _ => return None,
            }),
            ("numpy.core.multiarray" | "numpy._core.multiarray", "_reconstruct") => {
                Self::Reconstruct
            }
            ("numpy.core.multiarray" | "numpy._core.multiarray", "scalar") => Self::Scalar,
            ("numpy.core.numeric" | "numpy._core.numeric", "_frombuffer") => Self::FromBuffer,
            ("numpy", "ndarray") => Self::NdArray,
            ("numpy", "dtype") => Self::Dtype,
            _ => return None,
        })
    }

    /// Module and attribute, for errors.
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::OrderedDict => "collections.OrderedDict",
            Self::DefaultDict => "collections.defaultdict",
            Self::Encode => "_codecs.encode",
            Self::Bytes => "builtins.bytes",
            Self::RebuildTensor => "torch._utils._rebuild_tensor_v2",
            Self::RebuildParameter => "torch._utils._rebuild_parameter",
            Self::Storage(_) => "a storage type of torch",
            Self::Reconstruct => "numpy.core.multiarray._reconstruct",
            Self::NdArray => "numpy.ndarray",
            Self::Dtype => "numpy.dtype",
            Self::Scalar => "numpy.core.multiarray.scalar",
            Self::FromBuffer => "numpy.core.numeric._frombuffer",
        }
    }
}

/// Type of a NumPy array, before its byte order is known.
pub(super) fn element_type(dtype: &str) -> Option<ElementType> {
    Some(match dtype {
        "f8" => ElementType::F64,
        "f4" => ElementType::F32,
        "f2" => ElementType::F16,
        "i8" => ElementType::I64,
        "i4" => ElementType::I32,
        "i2" => ElementType::I16,
        "i1" => ElementType::I8,
        "u1" => ElementType::U8,
        "b1" | "?" => ElementType::Bool,
        _ => return None,
    })
}
