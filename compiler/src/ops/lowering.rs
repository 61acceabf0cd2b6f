//! The builder that operators lower into: inputs as views or constants, outputs to allocate or alias, kernel calls.

use super::{Arg, Args};
use crate::diag::Diagnostic;
use crate::kernels::{ConstData, Kernel};
use crate::program::{BufferId, ConstId, Program, Step, View, image, merge_axes};
use crate::tensor::{ElemType, QParams, Tensor, TensorType};
use kiln_runtime_core::{self as rt, Image};

/// What a value of the graph is in the program: a constant, a view of a buffer, or both when it was loaded.
#[derive(Debug, Clone, Default)]
pub struct Operand {
    /// The constant value.
    pub value: Option<Tensor>,
    /// Where it lies at run time.
    pub view: Option<View>,
}

/// An input as [`Lowering`] is given it.
#[derive(Debug, Clone)]
pub struct Input {
    /// Type.
    pub ty: TensorType,
    /// Scale and zero point.
    pub qparams: Option<QParams>,
    /// Constant and place.
    pub operand: Operand,
}

/// An output as [`Lowering`] is given it.
#[derive(Debug, Clone)]
pub struct Output {
    /// Name of the value.
    pub name: String,
    /// Type.
    pub ty: TensorType,
    /// Scale and zero point.
    pub qparams: Option<QParams>,
    /// What lowering made of it.
    pub operand: Operand,
}

/// Lowers one node.
#[derive(Debug)]
pub struct Lowering<'p> {
    program: &'p mut Program,
    layer: String,
    op: String,
    inputs: Vec<Option<Input>>,
    outputs: Vec<Output>,
}

impl<'p> Lowering<'p> {
    /// A builder for the node `layer` of ONNX type `op`.
    pub fn new(
        program: &'p mut Program,
        layer: &str,
        op: &str,
        inputs: Vec<Option<Input>>,
        outputs: Vec<Output>,
    ) -> Lowering<'p> {
        Lowering { program, layer: layer.to_string(), op: op.to_string(), inputs, outputs }
    }

    /// What the outputs became.
    ///
    /// # Errors
    /// `E0901`, an internal error, when the operator left one unbound.
    pub fn finish(self) -> Result<Vec<Operand>, Diagnostic> {
        for output in &self.outputs {
            if output.operand.view.is_none() && output.operand.value.is_none() {
                let message = format!("internal error: lowering left output `{}` unbound", output.name);
                return Err(Diagnostic::new("E0901", message));
            }
        }
        Ok(self.outputs.into_iter().map(|o| o.operand).collect())
    }

    /// Number of inputs.
    pub fn inputs(&self) -> usize {
        self.inputs.len()
    }

    /// Whether input `i` is present.
    pub fn has(&self, i: usize) -> bool {
        self.inputs.get(i).is_some_and(Option::is_some)
    }

    /// Runs `f` on the inputs as `infer` and `axes` see them.
    pub fn with_args<T>(&self, f: impl FnOnce(&Args) -> T) -> T {
        let args: Vec<_> = self
            .inputs
            .iter()
            .map(|i| {
                i.as_ref().map(|i| Arg {
                    ty: &i.ty,
                    value: i.operand.value.as_ref(),
                    qparams: i.qparams.as_ref(),
                })
            })
            .collect();
        f(&Args(&args))
    }

    fn input(&self, i: usize) -> Result<&Input, Diagnostic> {
        let missing = || Diagnostic::new("E0203", format!("input {i} is missing"));
        self.inputs.get(i).and_then(Option::as_ref).ok_or_else(missing)
    }

    /// Type of input `i`.
    ///
    /// # Errors
    /// `E0203` when it is omitted.
    pub fn ty(&self, i: usize) -> Result<TensorType, Diagnostic> {
        Ok(self.input(i)?.ty.clone())
    }

    /// The constant value of input `i`, `None` when omitted or computed at run time.
    pub fn constant(&self, i: usize) -> Option<Tensor> {
        self.input(i).ok()?.operand.value.clone()
    }

    /// The constant value of input `i`.
    ///
    /// # Errors
    /// `E0301` when it is computed at run time.
    pub fn require_constant(&self, i: usize, name: &str) -> Result<Tensor, Diagnostic> {
        let input = self.input(i)?;
        input.operand.value.clone().ok_or_else(|| {
            Diagnostic::new("E0301", format!("input {i} `{name}` must be constant"))
                .fact(name, &input.ty)
                .help("bake it into the model as an initializer")
        })
    }

    /// Scale and zero point of input `i`.
    ///
    /// # Errors
    /// `E0302` when it is not quantized.
    pub fn qparams(&self, i: usize) -> Result<QParams, Diagnostic> {
        let input = self.input(i)?;
        input.qparams.clone().ok_or_else(|| unquantized(&format!("input {i}"), &input.ty))
    }

    /// Type of output `o`.
    pub fn output_ty(&self, o: usize) -> TensorType {
        self.outputs[o].ty.clone()
    }

    /// Scale and zero point of output `o`.
    ///
    /// # Errors
    /// `E0302` when it is not quantized.
    pub fn output_qparams(&self, o: usize) -> Result<QParams, Diagnostic> {
        let output = &self.outputs[o];
        output.qparams.clone().ok_or_else(|| unquantized(&format!("output `{}`", output.name), &output.ty))
    }

    /// Input `i` in memory. A constant is loaded from flash first.
    ///
    /// # Errors
    /// `E0203` when it is omitted; `E0303` for a constant whose element type has no memory form.
    pub fn view(&mut self, i: usize) -> Result<View, Diagnostic> {
        if let Some(view) = &self.input(i)?.operand.view {
            return Ok(view.clone());
        }
        let input = self.input(i)?.clone();
        let value = input.operand.value.ok_or_else(|| {
            Diagnostic::new("E0901", format!("internal error: input {i} has neither value nor place"))
        })?;
        let view = self.load(&value)?;
        if let Some(Some(input)) = self.inputs.get_mut(i) {
            input.operand.view = Some(view.clone());
        }
        Ok(view)
    }

    /// Loads a constant into memory.
    ///
    /// # Errors
    /// `E0303` for element types other than 8 bits, i16, i32 and f32.
    pub fn load(&mut self, value: &Tensor) -> Result<View, Diagnostic> {
        let view = self.temp(value.elem(), value.shape());
        let output = image(0, (1, value.elements()), (1, value.elements()), (value.elements(), 1));
        let (kernel, data) = match value.elem() {
            ElemType::I8 => (Kernel::Load8(rt::Load8 { output }), ConstData::I8(value.to_i8s())),
            ElemType::U8 | ElemType::Bool => {
                let bytes = value.bytes().iter().map(|&b| b as i8).collect();
                (Kernel::Load8(rt::Load8 { output }), ConstData::I8(bytes))
            }
            ElemType::I16 => (Kernel::Load16(rt::Load16 { output }), ConstData::I16(value.to_i16s())),
            ElemType::I32 => (Kernel::Load32(rt::Load32 { output }), ConstData::I32(value.to_i32s())),
            ElemType::F32 => {
                let bits = value.to_f32s().iter().map(|x| x.to_bits() as i32).collect();
                (Kernel::Load32(rt::Load32 { output }), ConstData::I32(bits))
            }
            elem => {
                return Err(Diagnostic::new(
                    "E0303",
                    format!("a constant of type {elem} cannot be an activation"),
                )
                .fact("constant", value.ty())
                .help("cast it to f32 at export"));
            }
        };
        let table = self.table("value", data);
        self.step(kernel, &[], &[&view], vec![table]);
        Ok(view)
    }

    /// A buffer of its own.
    pub fn temp(&mut self, elem: ElemType, shape: &[usize]) -> View {
        let name = self.layer.clone();
        let buffer = self.program.buffer(name, elem, shape.iter().product());
        View::new(buffer, elem, shape)
    }

    /// Allocates output `o`, contiguous, and binds it.
    pub fn allocate(&mut self, o: usize) -> View {
        let (name, ty) = (self.outputs[o].name.clone(), self.outputs[o].ty.clone());
        let buffer = self.program.buffer(name, ty.elem, ty.elements());
        let view = View::new(buffer, ty.elem, &ty.shape);
        self.outputs[o].operand.view = Some(view.clone());
        view
    }

    /// Binds output `o` to a view: nothing is computed.
    pub fn bind(&mut self, o: usize, view: View) {
        self.outputs[o].operand.view = Some(view);
    }

    /// Binds output `o` to a constant: nothing is computed at run time.
    pub fn bind_constant(&mut self, o: usize, value: Tensor) {
        self.outputs[o].operand.value = Some(value);
    }

    /// Adds a constant table of this layer.
    pub fn table(&mut self, name: &str, data: ConstData) -> ConstId {
        self.program.constant(name, data)
    }

    /// Adds a kernel call that reads and writes memory.
    pub fn step(&mut self, kernel: Kernel, reads: &[&View], writes: &[&View], consts: Vec<ConstId>) {
        let reads = reads.iter().map(|v| Some(v.buffer)).collect();
        self.push(kernel, reads, writes.iter().map(|v| v.buffer).collect(), consts);
    }

    /// Adds a kernel call; a read of `None` is an operand that the kernel takes from a table.
    pub fn push(
        &mut self,
        kernel: Kernel,
        reads: Vec<Option<BufferId>>,
        writes: Vec<BufferId>,
        consts: Vec<ConstId>,
    ) {
        let (layer, op) = (self.layer.clone(), self.op.clone());
        self.program.steps.push(Step { layer, op, kernel, reads, writes, consts });
    }

    /// The same values, one after the other: the view itself, or a copy of it.
    ///
    /// # Errors
    /// `E0303` for an element type that has no copy kernel.
    pub fn contiguous(&mut self, view: &View) -> Result<View, Diagnostic> {
        if view.is_contiguous() {
            return Ok(view.clone());
        }
        let to = self.temp(view.elem, &view.shape.clone());
        self.copy(view, &to)?;
        Ok(to)
    }

    /// Copies values between two views of the same shape.
    ///
    /// # Errors
    /// `E0303` for an element type that has no copy kernel.
    pub fn copy(&mut self, from: &View, to: &View) -> Result<(), Diagnostic> {
        let size = from.elem.size();
        let kernel = move |i: &[Image]| {
            let p = rt::Copy { input: i[0], output: i[1] };
            match size {
                1 => Kernel::Copy8(p),
                2 => Kernel::Copy16(p),
                4 => Kernel::Copy32(p),
                _ => Kernel::Copy64(p),
            }
        };
        if !matches!(size, 1 | 2 | 4 | 8) {
            return Err(Diagnostic::new("E0303", format!("values of type {} cannot be moved", from.elem)));
        }
        self.elementwise(&[from], to, &[], kernel);
        Ok(())
    }

    /// Emits an elementwise kernel over views that broadcast to the shape of `to`. `kernel` is given the images of the
    /// reads, then that of the write. `[1, C, H, W]` and `[1, C, L]` keep their rows, so that they can be streamed;
    /// other shapes merge what can be merged, and what is left beyond three axes becomes several calls.
    pub fn elementwise(
        &mut self,
        from: &[&View],
        to: &View,
        consts: &[ConstId],
        kernel: impl Fn(&[Image]) -> Kernel,
    ) {
        let views: Vec<View> = from.iter().map(|v| v.broadcast(&to.shape)).chain([to.clone()]).collect();
        let buffers: Vec<_> = from.iter().map(|v| Some(v.buffer)).collect();
        for images in tile(&to.shape, &views) {
            self.push(kernel(&images), buffers.clone(), vec![to.buffer], consts.to_vec());
        }
    }
}

/// The images of an elementwise call, one set for each call that is needed.
pub(super) fn tile(shape: &[usize], views: &[View]) -> Vec<Vec<Image>> {
    if (shape.len() == 4 || shape.len() == 3) && shape[0] == 1 {
        return vec![views.iter().map(|v| v.image(0)).collect()];
    }
    let strides: Vec<&Vec<usize>> = views.iter().map(|v| &v.strides).collect();
    let mut axes = merge_axes(shape, &strides);
    while axes.len() < 3 {
        axes.insert(0, (1, vec![0; views.len()]));
    }
    let inner = axes.split_off(axes.len() - 3);
    let mut offsets: Vec<Vec<usize>> = vec![views.iter().map(|v| v.offset).collect()];
    for (extent, strides) in &axes {
        offsets = offsets
            .iter()
            .flat_map(|base| {
                (0..*extent).map(move |i| base.iter().zip(strides).map(|(b, s)| b + i * s).collect())
            })
            .collect();
    }
    let axis = |a: usize, v: usize| (inner[a].0, inner[a].1[v]);
    offsets
        .iter()
        .map(|o| o.iter().enumerate().map(|(v, &o)| image(o, axis(0, v), axis(1, v), axis(2, v))).collect())
        .collect()
}

fn unquantized(what: &str, ty: &TensorType) -> Diagnostic {
    Diagnostic::new("E0302", format!("{what} is an integer without scale and zero point"))
        .fact("type", ty)
        .help("wrap the operator in DequantizeLinear and QuantizeLinear")
}
