//! Pooling over windows, and reductions over axes, which are pooling over views.

use super::super::Lowering;
use super::{Clamp, FixedPoint, Integer, no_kernel, rescale};
use crate::diag::Diagnostic;
use crate::kernels::Kernel;
use crate::program::{View, image, merge_axes};
use crate::tensor::{ElemType, TensorType};
use kiln_runtime_core::{self as rt, Image, Window};

/// What a window becomes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Pool {
    /// Its largest value.
    Max,
    /// Its mean; over the whole window when padding counts, over what lies inside of the input when not.
    Average {
        /// Whether padding counts.
        count_include_pad: bool,
    },
}

/// Emits pooling of images of input 0, given as (window, input, output) for the views `from` and that of the output,
/// which it allocates. `images` is called with both.
///
/// # Errors
/// `E0302` for int8 without scales, `E0304` for an element type without a kernel, `E0305` for scales that do not fit.
pub fn pool(
    b: &mut Lowering,
    kind: Pool,
    from: &View,
    shape: &[usize],
    images: impl Fn(&View, &View) -> Vec<(Window, Image, Image)>,
) -> Result<(), Diagnostic> {
    match from.elem {
        ElemType::F32 => {
            let to = b.allocate(0);
            let target = reshaped(&to, shape);
            for (window, input, output) in images(from, &target) {
                let kernel = match kind {
                    Pool::Max => Kernel::MaxPoolF32(rt::MaxPoolF32 {
                        input,
                        output,
                        window,
                        min: f32::MIN,
                        max: f32::MAX,
                    }),
                    Pool::Average { count_include_pad } => Kernel::AveragePoolF32(rt::AveragePoolF32 {
                        input,
                        output,
                        window,
                        count_include_pad,
                        min: f32::MIN,
                        max: f32::MAX,
                    }),
                };
                b.step(kernel, &[from], &[&to], vec![]);
            }
            Ok(())
        }
        ElemType::I8 => integer::<i8>(b, kind, from, shape, images),
        ElemType::I16 => integer::<i16>(b, kind, from, shape, images),
        elem => Err(no_kernel(elem, &b.ty(0)?)),
    }
}

fn integer<T: Integer>(
    b: &mut Lowering,
    kind: Pool,
    from: &View,
    shape: &[usize],
    images: impl Fn(&View, &View) -> Vec<(Window, Image, Image)>,
) -> Result<(), Diagnostic> {
    let out = b.allocate(0);
    if let Pool::Average { count_include_pad } = kind {
        let (x, y) = (b.qparams(0)?, b.output_qparams(0)?);
        let fixed = FixedPoint::normalized(x.scale[0] as f64 / y.scale[0] as f64)?;
        let (min, max) = T::bounds();
        for (window, input, output) in images(from, &reshaped(&out, shape)) {
            if window.height * window.width > T::MOST_AVERAGED {
                return Err(too_many::<T>(&window));
            }
            let kernel = T::average_pool(rt::AveragePool {
                input,
                output,
                window,
                count_include_pad,
                input_zero_point: T::narrow(x.zero_point[0]),
                output_zero_point: T::narrow(y.zero_point[0]),
                multiplier: fixed.multiplier,
                shift: fixed.shift,
                min,
                max,
            });
            b.step(kernel, &[from], &[&out], vec![]);
        }
        return Ok(());
    }
    // The largest stored value is the largest real one, so an integer without scales will do.
    let (x, y) = (b.qparams(0).ok(), b.output_qparams(0).ok());
    let between = x.zip(y).filter(|(x, y)| x != y);
    let to = if between.is_some() { b.temp(T::ELEM, &out.shape.clone()) } else { out.clone() };
    for (window, input, output) in images(from, &reshaped(&to, shape)) {
        b.step(T::max_pool(input, output, window), &[from], &[&to], vec![]);
    }
    if let Some((x, y)) = between {
        rescale(b, &to, &out, (&x, &y), Clamp::NONE)?;
    }
    Ok(())
}

fn too_many<T: Integer>(window: &Window) -> Diagnostic {
    Diagnostic::new("E0304", format!("no kernel averages over so many values of type {}", T::ELEM))
        .fact("window", format!("{} x {}", window.height, window.width))
        .fact("limit", T::MOST_AVERAGED)
        .help("average in two steps, or keep the layer in float")
}

/// A buffer's whole view in another shape.
fn reshaped(view: &View, shape: &[usize]) -> View {
    View::new(view.buffer, view.elem, shape)
}

/// Lowers pooling of input 0 by a window, image by image of the batch.
///
/// # Errors
/// As `pool`.
pub fn pool_images(b: &mut Lowering, kind: Pool, window: Window) -> Result<(), Diagnostic> {
    let from = b.view(0)?;
    let shape = b.output_ty(0).shape;
    pool(b, kind, &from, &shape, |from, to| {
        (0..from.shape[0]).map(|n| (window, from.image(n), to.image(n))).collect()
    })
}

/// Lowers a reduction of input 0 over `axes` (sorted). All spatial axes of one image keep rows and columns, so that the
/// reduction can be streamed; anything else merges what can be merged.
///
/// # Errors
/// As `pool`.
pub fn reduce(b: &mut Lowering, kind: Pool, axes: &[usize]) -> Result<(), Diagnostic> {
    let ty = b.ty(0)?;
    let rank = ty.shape.len();
    let mut from = b.view(0)?;
    if (3..=4).contains(&rank) && ty.shape[0] == 1 && axes.iter().copied().eq(2..rank) {
        let window = whole(ty.shape[2], ty.shape.get(3).copied().unwrap_or(1));
        let shape = kept_shape(&ty, axes, true);
        return pool(b, kind, &from, &shape, |from, to| vec![(window, from.image(0), to.image(0))]);
    }
    let shape = kept_shape(&ty, axes, false);
    let kept: Vec<usize> = (0..rank).filter(|a| !axes.contains(a)).collect();
    let order: Vec<usize> = kept.iter().chain(axes).copied().collect();
    let extents = |v: &View, axes: &[usize]| -> Vec<usize> { axes.iter().map(|&a| v.shape[a]).collect() };
    let strides = |v: &View, axes: &[usize]| -> Vec<usize> { axes.iter().map(|&a| v.strides[a]).collect() };
    let mut reduced = merge_axes(&extents(&from, axes), &[&strides(&from, axes)]);
    if reduced.len() > 2 {
        // Three or more axes that do not lie together: bring them together.
        let permuted = from.transpose(&order);
        let copy = b.temp(from.elem, &permuted.shape.clone());
        b.copy(&permuted, &copy)?;
        let mut back = vec![0; rank];
        order.iter().enumerate().for_each(|(i, &a)| back[a] = i);
        from = copy.transpose(&back);
        reduced = merge_axes(&extents(&from, axes), &[&strides(&from, axes)]);
    }
    pool(b, kind, &from, &shape, |from, to| {
        reduction_images(from, to, merge_axes(&to.shape, &[&strides(from, &kept), &to.strides]), &reduced)
    })
}

/// Kept axes become channels, then rows; more of them become several calls. Reduced axes become the window.
fn reduction_images(
    from: &View,
    to: &View,
    mut kept: Vec<(usize, Vec<usize>)>,
    reduced: &[(usize, Vec<usize>)],
) -> Vec<(Window, Image, Image)> {
    let none = || (1, vec![0, 0]);
    let (chans, chan) = kept.pop().unwrap_or_else(none);
    // Two axes to reduce fill rows and columns; one leaves the rows to a kept axis.
    let (window, rows, cols, (keep, row)) = match reduced {
        [h, w] => (whole(h.0, w.0), (h.0, h.1[0]), (w.0, w.1[0]), none()),
        rest => {
            let (extent, stride) = rest.first().map_or((1, 0), |r| (r.0, r.1[0]));
            let (keep, row) = kept.pop().unwrap_or_else(none);
            (whole(1, extent), (keep, row[0]), (extent, stride), (keep, row))
        }
    };
    let mut offsets = vec![(from.offset, to.offset)];
    for (extent, strides) in &kept {
        offsets = offsets
            .iter()
            .flat_map(|&(i, o)| (0..*extent).map(move |n| (i + n * strides[0], o + n * strides[1])))
            .collect();
    }
    let call = |&(i, o): &(usize, usize)| {
        (window, image(i, rows, cols, (chans, chan[0])), image(o, (keep, row[1]), (1, 0), (chans, chan[1])))
    };
    offsets.iter().map(call).collect()
}

/// A window over everything.
fn whole(height: usize, width: usize) -> Window {
    Window { height, width, stride_h: 1, stride_w: 1, dilation_h: 1, dilation_w: 1, pad_top: 0, pad_left: 0 }
}

/// The shape without `axes`, or with extent 1 in their places.
pub fn kept_shape(ty: &TensorType, axes: &[usize], keep: bool) -> Vec<usize> {
    let axis = |(a, &extent): (usize, &usize)| match (axes.contains(&a), keep) {
        (false, _) => Some(extent),
        (true, true) => Some(1),
        (true, false) => None,
    };
    ty.shape.iter().enumerate().filter_map(axis).collect()
}
