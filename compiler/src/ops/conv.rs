//! Conv: 1-D and 2-D convolution with groups, strides, dilations and padding; a fused clamp.

use super::shared::{self, Clamp, Integer, WindowSpec};
use super::{Args, AxisMap, Export, Fragment, ImportContext, InputRole, Lowering, Operator, OutputRole, QuantRule};
use crate::diag::Diagnostic;
use crate::kernels::Kernel;
use crate::onnx::Attributes;
use crate::tensor::{ElemType, Tensor, TensorType};
use kiln_runtime_core::{self as rt, Window};

/// `y[n, m] = clamp(bias[m] + sum(x[n, c] * w[m, c]))` over the window and the input channels of the group.
#[derive(Debug, Clone, PartialEq)]
pub struct Conv {
    /// Strides, dilations and padding; the kernel extents are those of the weights.
    pub window: WindowSpec,
    /// Number of groups.
    pub groups: usize,
    /// Fused Relu or Clip.
    pub clamp: Clamp,
}

/// Reads the attributes.
pub fn import(ctx: ImportContext) -> Result<Fragment, Diagnostic> {
    Ok(Fragment::single(attributes(&ctx.node.attributes)?, ctx.node))
}

/// The operator that the attributes describe.
pub(super) fn attributes(a: &Attributes) -> Result<Conv, Diagnostic> {
    let groups = a.int("group")?.unwrap_or(1);
    let groups = usize::try_from(groups).ok().filter(|g| *g > 0);
    let groups = groups.ok_or_else(|| Diagnostic::new("E0206", "attribute `group` must be at least 1"))?;
    Ok(Conv { window: WindowSpec::import(a)?, groups, clamp: Clamp::NONE })
}

impl Operator for Conv {
    fn infer(&self, inputs: &Args) -> Result<Vec<TensorType>, Diagnostic> {
        let (x, w) = (inputs.required(0, "X")?.ty, inputs.required(1, "W")?.ty);
        let rank = x.shape.len();
        if !(3..=4).contains(&rank) || w.shape.len() != rank {
            return Err(Diagnostic::new("E0208", "Conv needs 1-D or 2-D images and weights of the same rank")
                .help("3-D convolutions are not supported; a 1-D one takes [N, C, L] and weights [M, C/group, k]"));
        }
        if x.shape[1] != w.shape[1] * self.groups || w.shape[0] % self.groups != 0 {
            let (c, g) = (x.shape[1], self.groups);
            return Err(Diagnostic::new(
                "E0202",
                format!("input has {c} channels in {g} groups, weights expect {} a group", w.shape[1]),
            )
            .help("input channels must be weights.shape[1] * group, and group must divide weights.shape[0]"));
        }
        if let Some(bias) = inputs.get(2)
            && bias.ty.shape != [w.shape[0]]
        {
            return Err(Diagnostic::new("E0202", format!("bias must have shape [{}]", w.shape[0])));
        }
        let resolved = self.window.resolve(&x.shape[2..], Some(&w.shape[2..]))?;
        let mut shape = vec![x.shape[0], w.shape[0]];
        shape.extend(resolved.output);
        Ok(vec![TensorType::new(x.elem, shape)])
    }

    fn quantize(&self) -> QuantRule {
        let inputs = vec![InputRole::Activation, InputRole::Weight { axis: 0 }, InputRole::Bias];
        QuantRule { inputs, output: OutputRole::Calibrate }
    }

    fn axes(&self, inputs: &Args) -> AxisMap {
        let rank = inputs.get(0).map_or(0, |x| x.ty.shape.len());
        let mut map = AxisMap::none(rank);
        if rank > 1 {
            map.0[0].push((0, 0));
            map.0[1].extend([(1, 0), (2, 0)]);
            // Depthwise: the output channel is also the input channel.
            if inputs.get(1).is_some_and(|w| w.ty.shape[1] == 1 && w.ty.shape[0] == self.groups) {
                map.0[1].push((0, 1));
            }
        }
        map
    }

    fn export(&self, inputs: &Args) -> Export {
        let export = Export::node("Conv", inputs).int("group", self.groups as i64);
        self.window.export(export).clamped(self.clamp)
    }

    fn lower(&self, b: &mut Lowering) -> Result<(), Diagnostic> {
        let weights = b.require_constant(1, "W")?;
        let x = b.ty(0)?;
        let window = self.window.resolve(&x.shape[2..], Some(&weights.shape()[2..]))?.window();
        let depthwise = self.groups == x.shape[1] && weights.shape()[1] == 1;
        let packed = channels_last(&weights);
        let batch = x.shape[0];
        match x.elem {
            ElemType::F32 => {
                let (from, to) = (b.view(0)?, b.allocate(0));
                let consts = shared::filter_f32(b, &packed, 2)?;
                let (min, max) = self.clamp.f32_bounds();
                for n in 0..batch {
                    let (input, output) = (from.image(n), to.image(n));
                    let kernel = if depthwise {
                        let depth_multiplier = output.channels / input.channels.max(1);
                        Kernel::DepthwiseConv2dF32(rt::DepthwiseConv2dF32 { input, output, window, depth_multiplier, min, max })
                    } else {
                        let (groups, scratch) = (self.groups, 0);
                        Kernel::Conv2dF32(rt::Conv2dF32 { input, output, window, groups, min, max, scratch })
                    };
                    b.step(kernel, &[&from], &[&to], consts.clone());
                }
            }
            ElemType::I8 => self.integer::<i8>(b, &packed, window, depthwise)?,
            ElemType::I16 => self.integer::<i16>(b, &packed, window, depthwise)?,
            elem => return Err(shared::no_kernel(elem, &x)),
        }
        Ok(())
    }
}

impl Conv {
    /// The integer kernels on activations of type `T`, image by image of the batch.
    fn integer<T: Integer>(
        &self,
        b: &mut Lowering,
        packed: &Tensor,
        window: Window,
        depthwise: bool,
    ) -> Result<(), Diagnostic> {
        let (from, to) = (b.view(0)?, b.allocate(0));
        let bias = match b.has(2) {
            true => b.require_constant(2, "B")?.to_i64s(),
            false => vec![0; packed.shape()[0]],
        };
        let scales = shared::blocked_scales(b)?.map(|scales| channels_last(&scales).to_f32s());
        let (consts, q) = shared::filter::<T>(b, packed, scales.as_deref(), 0, bias)?;
        let (min, max) = self.clamp.bounds::<T>(&q.output);
        let (input_zero_point, output_zero_point) = (q.input_zero_point, q.output_zero_point);
        for n in 0..from.shape[0] {
            let (input, output) = (from.image(n), to.image(n));
            let kernel = if depthwise {
                let depth_multiplier = output.channels / input.channels.max(1);
                let params = rt::DepthwiseConv2d {
                    input,
                    output,
                    window,
                    depth_multiplier,
                    input_zero_point,
                    output_zero_point,
                    min,
                    max,
                };
                T::depthwise(params, q.form)
            } else {
                let (groups, scratch) = (self.groups, 0);
                let params = rt::Conv2d {
                    input,
                    output,
                    window,
                    groups,
                    input_zero_point,
                    output_zero_point,
                    min,
                    max,
                    scratch,
                };
                T::conv2d(params, q.form)
            };
            b.step(kernel, &[&from], &[&to], consts.clone());
        }
        Ok(())
    }
}

/// `[M, C, ...spatial]` to `[M, ...spatial, C]`, the order of the kernels.
pub(super) fn channels_last(weights: &Tensor) -> Tensor {
    let rank = weights.shape().len();
    let perm: Vec<usize> = [0].into_iter().chain(2..rank).chain([1]).collect();
    weights.transpose(&perm)
}
