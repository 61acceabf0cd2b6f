//! Shapes and element types of samples against those of the model's inputs.

use kiln_compiler::diag::Diagnostic;
use kiln_compiler::program::Port;
use kiln_compiler::tensor::{ElemType, Tensor, TensorType};

/// Order of an image's axes in memory.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub enum Layout {
    /// Channels, rows, columns, as PyTorch has them
    Nchw,
    /// Rows, columns, channels, as TensorFlow has them
    Nhwc,
}

/// The axes of a sample in the order of the model's input, `None` when it cannot be that input. Axes of extent 1 may be
/// missing or added: they move no value.
pub(super) fn order(shape: &[usize], port: &Port, layout: Option<Layout>) -> Option<Vec<usize>> {
    let long = |s: &[usize]| s.iter().copied().filter(|d| *d != 1).collect::<Vec<_>>();
    if long(shape) == long(&port.ty.shape) {
        return Some((0..shape.len()).collect());
    }
    let order = into(shape.len(), layout?)?;
    let transposed: Vec<usize> = order.iter().map(|&axis| shape[axis]).collect();
    (long(&transposed) == long(&port.ty.shape)).then_some(order)
}

/// The permutation of a sample, with or without its batch axis, into a layout from the other one.
fn into(rank: usize, layout: Layout) -> Option<Vec<usize>> {
    Some(match (rank, layout) {
        (3, Layout::Nchw) => vec![2, 0, 1],
        (3, Layout::Nhwc) => vec![1, 2, 0],
        (4, Layout::Nchw) => vec![0, 3, 1, 2],
        (4, Layout::Nhwc) => vec![0, 2, 3, 1],
        _ => return None,
    })
}

/// A sample in the shape of the input.
///
/// # Errors
/// `E0602`.
pub(super) fn fit(tensor: Tensor, port: &Port, layout: Option<Layout>) -> Result<Tensor, Diagnostic> {
    let Some(order) = order(tensor.shape(), port, layout) else {
        return Err(refuse(tensor.ty(), tensor.shape(), port));
    };
    let tensor = if order.is_sorted() { tensor } else { tensor.transpose(&order) };
    tensor.reshape(&port.ty.shape)
}

/// `E0602`: `given` is what the file holds, `sample` the shape of one sample.
pub(super) fn refuse(given: &TensorType, sample: &[usize], port: &Port) -> Diagnostic {
    let d = Diagnostic::new("E0602", format!("the samples do not fit input `{}`", port.name))
        .fact("expected", &port.ty)
        .fact("given", given);
    for (layout, flag, here, there) in
        [(Layout::Nchw, "nchw", "NHWC", "NCHW"), (Layout::Nhwc, "nhwc", "NCHW", "NHWC")]
    {
        if order(sample, port, Some(layout)).is_some() {
            let way =
                format!("the samples are {here}, the model takes {there}: `--layout {flag}` transposes them");
            return d.help(way);
        }
    }
    let elements = |shape: &[usize]| shape.iter().product::<usize>();
    if elements(sample) == port.ty.elements() {
        return d
            .help("as many values in another shape: transpose or reshape the array as the model takes it");
    }
    if port.ty.shape.first().is_some_and(|&b| b > 1 && elements(sample) * b == port.ty.elements()) {
        return d.help("the model takes several samples at a time: evaluate it with `--batch 1`");
    }
    d.help("give samples along the first axis, each in the shape of the input, in the preprocessing of the training")
}

/// A sample in the element type of an input: floats are quantized by its parameters, integers keep their value.
///
/// # Errors
/// `E0602` when a value has no form in that type.
pub fn convert(tensor: &Tensor, port: &Port) -> Result<Tensor, Diagnostic> {
    let (from, to) = (tensor.elem(), port.ty.elem);
    if from == to {
        return Ok(tensor.clone());
    }
    let float = matches!(from, ElemType::F16 | ElemType::F32 | ElemType::F64);
    let converted = match (to, &port.qparams) {
        (ElemType::F32, _) => Some(Tensor::from_f32(tensor.shape(), &tensor.to_f32s())),
        (ElemType::I8 | ElemType::U8 | ElemType::I16 | ElemType::U16, Some(q)) if float => {
            let steps = tensor.to_f32s().into_iter().map(|v| q.quantize_to(v, to));
            let bytes: Vec<u8> = steps.flat_map(|q| q.to_le_bytes().into_iter().take(to.size())).collect();
            Tensor::new(TensorType::new(to, tensor.shape()), bytes).ok()
        }
        _ if !float => integers(tensor, to),
        _ => None,
    };
    converted.ok_or_else(|| {
        Diagnostic::new("E0602", format!("the samples do not fit input `{}`", port.name))
            .fact("expected", &port.ty)
            .fact("given", tensor.ty())
            .help("give an array of the expected element type")
    })
}

/// Integers of another width, when every value fits.
fn integers(tensor: &Tensor, to: ElemType) -> Option<Tensor> {
    let values = tensor.to_i64s();
    macro_rules! exact {
        ($t:ty, $make:ident) => {{
            let exact: Result<Vec<$t>, _> = values.iter().map(|v| <$t>::try_from(*v)).collect();
            Some(Tensor::$make(tensor.shape(), &exact.ok()?))
        }};
    }
    match to {
        ElemType::I8 => exact!(i8, from_i8),
        ElemType::U8 => exact!(u8, from_u8),
        ElemType::I16 => exact!(i16, from_i16),
        ElemType::I32 => exact!(i32, from_i32),
        ElemType::I64 => Some(Tensor::from_i64(tensor.shape(), &values)),
        _ => None,
    }
}
