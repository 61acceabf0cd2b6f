//! What MatMulInteger and ConvInteger share: 8-bit operands that are constants or lie in memory, and the proof of their sums.

use super::super::{Args, Lowering};
use super::check_accumulator;
use crate::diag::Diagnostic;
use crate::kernels::ConstData;
use crate::program::{BufferId, View, image};
use crate::tensor::{ElemType, Tensor, TensorType, strides};
use kiln_runtime_core::Image;

/// An 8-bit operand.
#[derive(Debug, Clone)]
pub struct Operand8 {
    /// Where it lies: in the buffer, or in the table.
    pub view: View,
    /// `None` for a table.
    pub buffer: Option<BufferId>,
    /// The bytes of a constant; empty for one in memory.
    pub table: Vec<i8>,
}

impl Operand8 {
    /// Input `i`.
    ///
    /// # Errors
    /// As [`Lowering::view`].
    pub fn of(b: &mut Lowering, i: usize) -> Result<Operand8, Diagnostic> {
        match b.constant(i) {
            Some(value) => Ok(Operand8::table(&value)),
            None => {
                let view = b.view(i)?;
                Ok(Operand8 { buffer: Some(view.buffer), view, table: vec![] })
            }
        }
    }

    /// A zero point, 0 where it is omitted.
    ///
    /// # Errors
    /// As [`Lowering::view`].
    pub fn zero_point(b: &mut Lowering, i: usize) -> Result<Operand8, Diagnostic> {
        if b.has(i) { Operand8::of(b, i) } else { Ok(Operand8::table(&Tensor::from_i8(&[], &[0]))) }
    }

    /// A constant.
    pub fn table(value: &Tensor) -> Operand8 {
        let (elem, shape) = (value.elem(), value.shape().to_vec());
        let view = View { buffer: BufferId(usize::MAX), elem, strides: strides(&shape), shape, offset: 0 };
        Operand8 { view, buffer: None, table: value.bytes().iter().map(|&b| b as i8).collect() }
    }

    /// Its table.
    pub fn data(&self) -> ConstData {
        ConstData::I8(self.table.clone())
    }

    /// One value, or `n` in the order of memory, along the rows of an image.
    pub fn rows(&self, n: usize) -> Image {
        image(self.view.offset, (n, self.step()), (1, 0), (1, 0))
    }

    /// One value, or `n`, along the channels of an image.
    pub fn channels(&self, n: usize) -> Image {
        image(self.view.offset, (1, 0), (1, 0), (n, self.step()))
    }

    fn step(&self) -> usize {
        let long = self.view.shape.iter().zip(&self.view.strides).find(|(extent, _)| **extent > 1);
        long.map_or(0, |(_, stride)| *stride)
    }
}

/// What uint8 values are read with: their top bit flipped.
pub fn flip_of(elem: ElemType) -> u8 {
    if elem == ElemType::U8 { 0x80 } else { 0 }
}

/// Checks operand `i` and its zero point at `point`: 8 bits, of one type, one zero point or `n`.
///
/// # Errors
/// `E0202` when they are not.
pub fn check_operand8(inputs: &Args, i: usize, name: &str, point: usize, n: usize) -> Result<(), Diagnostic> {
    let ty = inputs.required(i, name)?.ty;
    if !matches!(ty.elem, ElemType::I8 | ElemType::U8) {
        return Err(Diagnostic::new(
            "E0202",
            format!("input {i} `{name}` must be int8 or uint8, it is {}", ty.elem),
        ));
    }
    let Some(zero) = inputs.get(point) else { return Ok(()) };
    if zero.ty.elem != ty.elem {
        let message = format!("`{name}` is {}, its zero point is {}", ty.elem, zero.ty.elem);
        return Err(Diagnostic::new("E0202", message).help("both have the same type"));
    }
    let extents: Vec<usize> = zero.ty.shape.iter().copied().filter(|d| *d > 1).collect();
    if extents.is_empty() || extents == [n] {
        return Ok(());
    }
    Err(Diagnostic::new("E0202", format!("the zero point of `{name}` has another shape"))
        .fact("zero point", zero.ty)
        .fact("expected", format!("one value, or {n}"))
        .help("give one for the tensor, or one for each row of A or output channel of the weights"))
}

/// Proves that the sums fit i32 for all inputs: `|x - zero_point| <= 255`, and the weights where they are known, as
/// `[channel][tap]`.
///
/// # Errors
/// `E0306`.
pub fn check_sums(
    b: &Lowering,
    weights: Option<&Tensor>,
    point: usize,
    taps: usize,
) -> Result<(), Diagnostic> {
    let zero = if b.has(point) { b.constant(point) } else { Some(Tensor::from_i8(&[], &[0])) };
    let (Some(weights), Some(zero)) = (weights, zero) else {
        let bound = taps as i64 * 255 * 255;
        return check_accumulator(0, (-bound, bound), 0, 32);
    };
    let (weights, zero) = (weights.to_i64s(), zero.to_i64s());
    for (channel, row) in weights.chunks(taps.max(1)).enumerate() {
        let z = zero[if zero.len() == 1 { 0 } else { channel }];
        let bound = 255 * row.iter().map(|w| (w - z).abs()).sum::<i64>();
        check_accumulator(channel, (-bound, bound), 0, 32)?;
    }
    Ok(())
}

/// The output: sums of 32 bits.
pub fn sums(shape: Vec<usize>) -> Vec<TensorType> {
    vec![TensorType::new(ElemType::I32, shape)]
}
