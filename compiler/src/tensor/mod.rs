//! Element types, shapes, tensors on the host, quantization parameters.

mod data;
mod qparams;

pub use data::Tensor;
pub use qparams::{FACTOR_MAX, QParams};

use std::fmt;

/// Element types that a file may hold. Kernels compute in `i8`, `i16`, `i32` and `f32`, on weights of `i4` too; the others are shapes, or are converted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[allow(missing_docs)]
pub enum ElemType {
    F32,
    F64,
    F16,
    /// Four bits; on the host a byte each.
    I4,
    U4,
    I8,
    U8,
    I16,
    U16,
    I32,
    U32,
    I64,
    U64,
    Bool,
}

impl ElemType {
    /// Bytes of one element on the host. Two of four bits share a byte in files and in flash.
    pub const fn size(self) -> usize {
        match self {
            ElemType::I4 | ElemType::U4 | ElemType::I8 | ElemType::U8 | ElemType::Bool => 1,
            ElemType::F16 | ElemType::I16 | ElemType::U16 => 2,
            ElemType::F32 | ElemType::I32 | ElemType::U32 => 4,
            ElemType::F64 | ElemType::I64 | ElemType::U64 => 8,
        }
    }

    /// Whether it is an integer type (`bool` is not).
    pub const fn is_integer(self) -> bool {
        !matches!(self, ElemType::F16 | ElemType::F32 | ElemType::F64 | ElemType::Bool)
    }

    /// Smallest and largest value of an integer type of at most 16 bits; those of `i32` for wider ones.
    pub const fn bounds(self) -> (i32, i32) {
        match self {
            ElemType::I4 => (-8, 7),
            ElemType::U4 => (0, 15),
            ElemType::I8 => (-128, 127),
            ElemType::U8 => (0, 255),
            ElemType::I16 => (-32_768, 32_767),
            ElemType::U16 => (0, 65_535),
            _ => (i32::MIN, i32::MAX),
        }
    }

    /// The signed type of the same width: `q - 2^(bits - 1)` of an unsigned value of at most 16 bits.
    pub const fn signed(self) -> ElemType {
        match self {
            ElemType::U4 => ElemType::I4,
            ElemType::U8 => ElemType::I8,
            ElemType::U16 => ElemType::I16,
            other => other,
        }
    }

    /// Name as Rust writes it.
    pub const fn name(self) -> &'static str {
        match self {
            ElemType::F32 => "f32",
            ElemType::F64 => "f64",
            ElemType::F16 => "f16",
            ElemType::I4 => "i4",
            ElemType::U4 => "u4",
            ElemType::I8 => "i8",
            ElemType::U8 => "u8",
            ElemType::I16 => "i16",
            ElemType::U16 => "u16",
            ElemType::I32 => "i32",
            ElemType::U32 => "u32",
            ElemType::I64 => "i64",
            ElemType::U64 => "u64",
            ElemType::Bool => "bool",
        }
    }
}

impl fmt::Display for ElemType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// Element type and fixed shape.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct TensorType {
    /// Element type.
    pub elem: ElemType,
    /// Extents, outermost first; empty for a scalar.
    pub shape: Vec<usize>,
}

impl TensorType {
    /// A type from its parts.
    pub fn new(elem: ElemType, shape: impl Into<Vec<usize>>) -> TensorType {
        TensorType { elem, shape: shape.into() }
    }

    /// A scalar's type.
    pub fn scalar(elem: ElemType) -> TensorType {
        TensorType { elem, shape: vec![] }
    }

    /// Number of elements, saturating; the reader refuses files in which it would overflow.
    pub fn elements(&self) -> usize {
        self.checked_elements().unwrap_or(usize::MAX)
    }

    /// Number of elements, `None` when it overflows.
    pub fn checked_elements(&self) -> Option<usize> {
        self.shape.iter().try_fold(1usize, |n, &d| n.checked_mul(d))
    }
}

impl fmt::Display for TensorType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let dims: Vec<_> = self.shape.iter().map(usize::to_string).collect();
        write!(f, "{}[{}]", self.elem, dims.join(", "))
    }
}

/// Row-major strides of a shape, in elements.
pub fn strides(shape: &[usize]) -> Vec<usize> {
    let mut strides = vec![1usize; shape.len()];
    for i in (1..shape.len()).rev() {
        strides[i - 1] = strides[i].saturating_mul(shape[i].max(1));
    }
    strides
}
