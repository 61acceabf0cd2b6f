//! Tensors on the host: little-endian bytes with a type.

use super::{ElemType, TensorType, strides};
use crate::diag::Diagnostic;
use std::fmt;
use std::sync::Arc;

/// A tensor. Cloning shares the bytes.
#[derive(Clone, PartialEq)]
pub struct Tensor {
    ty: TensorType,
    bytes: Arc<[u8]>,
}

impl fmt::Debug for Tensor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Tensor({})", self.ty)
    }
}

macro_rules! constructors {
    ($($name:ident $t:ty, $elem:ident;)*) => { $(
        #[doc = concat!("A tensor of `", stringify!($t), "`.")]
        ///
        /// # Panics
        /// When the number of values is not that of the shape: an error of the caller.
        pub fn $name(shape: &[usize], values: &[$t]) -> Tensor {
            let ty = TensorType::new(ElemType::$elem, shape);
            assert_eq!(ty.elements(), values.len(), "values do not fill the shape");
            Tensor { ty, bytes: values.iter().flat_map(|v| v.to_le_bytes()).collect() }
        }
    )* };
}

macro_rules! conversions {
    ($($name:ident $t:ty;)*) => { $(
        #[doc = concat!("The values as `", stringify!($t), "`, converted as Rust's `as` does.")]
        pub fn $name(&self) -> Vec<$t> {
            fn read<const N: usize, T>(bytes: &[u8], f: impl Fn([u8; N]) -> T) -> Vec<T> {
                bytes.as_chunks::<N>().0.iter().map(|b| f(*b)).collect()
            }
            let b = &self.bytes;
            match self.ty.elem {
                ElemType::F32 => read(b, |x| f32::from_le_bytes(x) as $t),
                ElemType::F64 => read(b, |x| f64::from_le_bytes(x) as $t),
                ElemType::F16 => read(b, |x| half(u16::from_le_bytes(x)) as $t),
                ElemType::I4 | ElemType::I8 => read(b, |x| i8::from_le_bytes(x) as $t),
                ElemType::U4 | ElemType::U8 => read(b, |x| u8::from_le_bytes(x) as $t),
                ElemType::Bool => read(b, |x: [u8; 1]| (x[0] != 0) as u8 as $t),
                ElemType::I16 => read(b, |x| i16::from_le_bytes(x) as $t),
                ElemType::U16 => read(b, |x| u16::from_le_bytes(x) as $t),
                ElemType::I32 => read(b, |x| i32::from_le_bytes(x) as $t),
                ElemType::U32 => read(b, |x| u32::from_le_bytes(x) as $t),
                ElemType::I64 => read(b, |x| i64::from_le_bytes(x) as $t),
                ElemType::U64 => read(b, |x| u64::from_le_bytes(x) as $t),
            }
        }
    )* };
}

impl Tensor {
    /// A tensor from little-endian bytes.
    ///
    /// # Errors
    /// `E0110` when their number is not that of the type.
    pub fn new(ty: TensorType, bytes: impl Into<Arc<[u8]>>) -> Result<Tensor, Diagnostic> {
        let bytes = bytes.into();
        let expected = ty.checked_elements().and_then(|n| n.checked_mul(ty.elem.size()));
        if expected != Some(bytes.len()) {
            return Err(Diagnostic::new("E0110", "tensor data do not fill the shape")
                .fact("type", &ty)
                .fact("bytes", bytes.len()));
        }
        Ok(Tensor { ty, bytes })
    }

    constructors! {
        from_f32 f32, F32;
        from_f64 f64, F64;
        from_i8 i8, I8;
        from_u8 u8, U8;
        from_i16 i16, I16;
        from_i32 i32, I32;
        from_u32 u32, U32;
        from_i64 i64, I64;
    }

    /// A tensor of `bool`.
    ///
    /// # Panics
    /// As [`Tensor::from_u8`].
    pub fn from_bool(shape: &[usize], values: &[bool]) -> Tensor {
        assert_eq!(shape.iter().product::<usize>(), values.len(), "values do not fill the shape");
        let bytes = values.iter().map(|&b| b as u8).collect();
        Tensor { ty: TensorType::new(ElemType::Bool, shape), bytes }
    }

    conversions! {
        to_f32s f32;
        to_f64s f64;
        to_i64s i64;
        to_i32s i32;
        to_u32s u32;
        to_i16s i16;
        to_i8s i8;
        to_u8s u8;
    }

    /// Type and shape.
    pub fn ty(&self) -> &TensorType {
        &self.ty
    }

    /// Element type.
    pub fn elem(&self) -> ElemType {
        self.ty.elem
    }

    /// Extents.
    pub fn shape(&self) -> &[usize] {
        &self.ty.shape
    }

    /// Number of elements.
    pub fn elements(&self) -> usize {
        self.ty.elements()
    }

    /// Little-endian bytes.
    pub fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// The same bytes as another element type of the same size.
    ///
    /// # Errors
    /// `E0110` when its size differs.
    pub fn reinterpret(&self, elem: ElemType) -> Result<Tensor, Diagnostic> {
        Tensor::new(TensorType::new(elem, self.ty.shape.clone()), self.bytes.clone())
    }

    /// The same values in another shape.
    ///
    /// # Errors
    /// `E0110` when it has another number of elements.
    pub fn reshape(&self, shape: &[usize]) -> Result<Tensor, Diagnostic> {
        Tensor::new(TensorType::new(self.ty.elem, shape), self.bytes.clone())
    }

    /// Axis `i` of the result is axis `perm[i]`.
    ///
    /// # Panics
    /// When `perm` is not a permutation of the axes: an error of the caller.
    pub fn transpose(&self, perm: &[usize]) -> Tensor {
        assert_eq!(perm.len(), self.ty.shape.len(), "permutation of another rank");
        let (size, old) = (self.ty.elem.size(), strides(&self.ty.shape));
        let shape: Vec<usize> = perm.iter().map(|&p| self.ty.shape[p]).collect();
        let from: Vec<usize> = perm.iter().map(|&p| old[p]).collect();
        let mut bytes = Vec::with_capacity(self.bytes.len());
        let mut index = vec![0usize; shape.len()];
        for _ in 0..self.ty.elements() {
            let at: usize = index.iter().zip(&from).map(|(i, s)| i * s).sum();
            bytes.extend_from_slice(&self.bytes[at * size..(at + 1) * size]);
            for axis in (0..shape.len()).rev() {
                index[axis] += 1;
                if index[axis] < shape[axis] {
                    break;
                }
                index[axis] = 0;
            }
        }
        Tensor { ty: TensorType::new(self.ty.elem, shape), bytes: bytes.into() }
    }

    /// The indices `kept` of an axis, in that order.
    ///
    /// # Panics
    /// When an index or the axis is not there, or elements are smaller than a byte: an error of the caller.
    pub fn take(&self, axis: usize, kept: &[usize]) -> Tensor {
        let mut shape = self.ty.shape.clone();
        let inner = shape[axis + 1..].iter().product::<usize>() * self.ty.elem.size();
        let row = shape[axis] * inner;
        shape[axis] = kept.len();
        let mut bytes = vec![];
        for block in self.bytes.chunks(row.max(1)) {
            kept.iter().for_each(|k| bytes.extend_from_slice(&block[k * inner..(k + 1) * inner]));
        }
        Tensor { ty: TensorType::new(self.ty.elem, shape), bytes: bytes.into() }
    }
}

/// IEEE 754 binary16 to f32, exact.
fn half(bits: u16) -> f32 {
    let (sign, exponent, fraction) = (bits >> 15, (bits >> 10) & 31, bits & 1023);
    let magnitude = match exponent {
        0 => fraction as f32 * 2f32.powi(-24),
        31 if fraction == 0 => f32::INFINITY,
        31 => f32::NAN,
        _ => (1.0 + fraction as f32 / 1024.0) * 2f32.powi(exponent as i32 - 15),
    };
    if sign == 1 { -magnitude } else { magnitude }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn transposes_and_converts() {
        let t = Tensor::from_i8(&[2, 3], &[1, 2, 3, 4, 5, 6]).transpose(&[1, 0]);
        assert_eq!((t.shape(), t.to_i64s()), ([3, 2].as_slice(), vec![1, 4, 2, 5, 3, 6]));
        assert_eq!(t.take(0, &[2, 0]), Tensor::from_i8(&[2, 2], &[3, 6, 1, 4]));
        assert_eq!(t.take(1, &[1]), Tensor::from_i8(&[3, 1], &[4, 5, 6]));
        let f16 = Tensor::new(TensorType::new(ElemType::F16, [3]), vec![0x00, 0x3c, 0x01, 0x00, 0x00, 0xc0]);
        assert_eq!(f16.map(|t| t.to_f32s()), Ok(vec![1.0, 5.960_464_5e-8, -2.0]));
    }

    #[test]
    fn wrong_lengths_are_refused() {
        let t = Tensor::new(TensorType::new(ElemType::F32, [2]), vec![0; 4]);
        assert_eq!(t.unwrap_err().code, "E0110");
        assert!(Tensor::from_i8(&[2], &[1, 2]).reshape(&[3]).is_err());
    }
}
