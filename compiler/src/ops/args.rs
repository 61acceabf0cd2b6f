//! What an operator sees of its inputs.

use crate::diag::Diagnostic;
use crate::tensor::{QParams, Tensor, TensorType};

/// One input: its type, its value when constant, its quantization parameters.
#[derive(Debug, Clone, Copy)]
pub struct Arg<'a> {
    /// Type and shape.
    pub ty: &'a TensorType,
    /// The value, when the input is constant.
    pub value: Option<&'a Tensor>,
    /// Scale and zero point, when quantized.
    pub qparams: Option<&'a QParams>,
}

/// All inputs; an omitted optional input is `None`.
#[derive(Debug, Clone, Copy)]
pub struct Args<'a>(pub &'a [Option<Arg<'a>>]);

impl<'a> Args<'a> {
    /// Input `i`, `None` when omitted.
    pub fn get(&self, i: usize) -> Option<Arg<'a>> {
        self.0.get(i).copied().flatten()
    }

    /// Input `i`, which the operator needs; `name` is ONNX's name of it.
    ///
    /// # Errors
    /// `E0203` when it is omitted.
    pub fn required(&self, i: usize, name: &str) -> Result<Arg<'a>, Diagnostic> {
        self.get(i).ok_or_else(|| Diagnostic::new("E0203", format!("input {i} `{name}` is missing")))
    }

    /// The constant value of input `i` as integers, `None` when omitted.
    ///
    /// # Errors
    /// `E0204` when it is computed at run time: shapes are fixed at compile time.
    pub fn integers(&self, i: usize, name: &str) -> Result<Option<Vec<i64>>, Diagnostic> {
        let Some(arg) = self.get(i) else { return Ok(None) };
        let value = arg.value.ok_or_else(|| {
            Diagnostic::new("E0204", format!("input {i} `{name}` must be constant")).fact(name, arg.ty).help(
                "export with static shapes, or fix the dynamic dimensions with `--shape NAME=1x3x96x96`",
            )
        })?;
        Ok(Some(value.to_i64s()))
    }

    /// Number of inputs, omitted ones included.
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The inputs that are present.
    pub fn iter(&self) -> impl Iterator<Item = Arg<'a>> {
        self.0.iter().copied().flatten()
    }
}
