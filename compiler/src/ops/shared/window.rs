//! Kernel, stride, dilation and padding of Conv and the pooling operators.

use crate::diag::Diagnostic;
use crate::onnx::{Attribute, Attributes, Model};
use crate::ops::Export;
use kiln_runtime_core::Window;

/// ONNX `auto_pad`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AutoPad {
    /// Pads are given.
    NotSet,
    /// `ceil(input / stride)` outputs, the odd pixel of padding at the end.
    SameUpper,
    /// Likewise, the odd pixel at the start.
    SameLower,
    /// No padding.
    Valid,
    /// [`AutoPad::SameUpper`] of all axes but the first spatial one, which has no padding; files do not say so.
    SameUpperColumns,
    /// [`AutoPad::SameLower`], likewise.
    SameLowerColumns,
}

/// Leaves the padding of rows, the first spatial axis, out of all convolutions and pooling of a file.
pub fn drop_row_padding(model: &mut Model) {
    for node in &mut model.graph.nodes {
        if let Some(Attribute::Ints(pads)) = node.attributes.0.get_mut("pads") {
            let axes = pads.len() / 2;
            pads.iter_mut().step_by(axes.max(1)).for_each(|pad| *pad = 0);
        }
        if let Some(Attribute::String(auto)) = node.attributes.0.get_mut("auto_pad")
            && auto.starts_with("SAME_")
        {
            auto.push_str(COLUMNS);
        }
    }
}

/// What [`drop_row_padding`] adds to the names of `auto_pad`.
const COLUMNS: &str = "_COLUMNS";

/// The window of one spatial operator as ONNX states it; empty lists stand for ONNX's defaults.
#[derive(Debug, Clone, PartialEq)]
pub struct WindowSpec {
    /// Kernel extents; empty when the weights say them (Conv), or for a global pool.
    pub kernel: Vec<usize>,
    /// Strides.
    pub strides: Vec<usize>,
    /// Dilations.
    pub dilations: Vec<usize>,
    /// Padding.
    pub padding: Padding,
    /// Round output extents up (pooling).
    pub ceil_mode: bool,
}

/// Padding of the spatial axes.
#[derive(Debug, Clone, PartialEq)]
pub struct Padding {
    /// How `pads` is to be found.
    pub auto: AutoPad,
    /// Starts of all axes, then ends.
    pub pads: Vec<usize>,
}

/// A window resolved against an input: pads, and output extents.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Resolved {
    /// Kernel extents.
    pub kernel: Vec<usize>,
    /// Strides.
    pub strides: Vec<usize>,
    /// Dilations.
    pub dilations: Vec<usize>,
    /// Padding before each axis.
    pub pad_start: Vec<usize>,
    /// Padding after each axis.
    pub pad_end: Vec<usize>,
    /// Output extents.
    pub output: Vec<usize>,
}

impl WindowSpec {
    /// Adds `kernel_shape`, `strides`, `dilations` and padding to an exported node.
    pub fn export(&self, export: Export) -> Export {
        let export = export.ints("kernel_shape", &self.kernel).ints("strides", &self.strides);
        let export = export.ints("dilations", &self.dilations);
        let auto = match self.padding.auto {
            AutoPad::NotSet => return export.ints("pads", &self.padding.pads),
            AutoPad::SameUpper | AutoPad::SameUpperColumns => "SAME_UPPER",
            AutoPad::SameLower | AutoPad::SameLowerColumns => "SAME_LOWER",
            AutoPad::Valid => "VALID",
        };
        export.attribute("auto_pad", Attribute::String(auto.to_string()))
    }

    /// Reads `kernel_shape`, `strides`, `dilations`, `pads`, `auto_pad` and `ceil_mode`.
    ///
    /// # Errors
    /// `E0206` for values that are negative, zero where they may not be, or unknown.
    pub fn import(a: &Attributes) -> Result<WindowSpec, Diagnostic> {
        let list = |name: &str, least: i64| -> Result<Vec<usize>, Diagnostic> {
            let values = a.ints(name)?.unwrap_or_default();
            match values.iter().find(|v| **v < least || **v > 1 << 24) {
                Some(v) => Err(Diagnostic::new("E0206", format!("attribute `{name}` holds {v}"))
                    .help(format!("values of `{name}` must be at least {least}"))),
                None => Ok(values.iter().map(|&v| v as usize).collect()),
            }
        };
        let auto = match a.string("auto_pad")?.as_deref() {
            None | Some("NOTSET" | "") => AutoPad::NotSet,
            Some("SAME_UPPER") => AutoPad::SameUpper,
            Some("SAME_LOWER") => AutoPad::SameLower,
            Some("VALID") => AutoPad::Valid,
            Some("SAME_UPPER_COLUMNS") => AutoPad::SameUpperColumns,
            Some("SAME_LOWER_COLUMNS") => AutoPad::SameLowerColumns,
            Some(other) => return Err(Diagnostic::new("E0206", format!("`auto_pad` is `{other}`"))),
        };
        Ok(WindowSpec {
            kernel: list("kernel_shape", 1)?,
            strides: list("strides", 1)?,
            dilations: list("dilations", 1)?,
            padding: Padding { auto, pads: list("pads", 0)? },
            ceil_mode: a.int("ceil_mode")?.unwrap_or(0) != 0,
        })
    }

    /// Resolves against the spatial extents of the input and, for Conv, of the weights.
    ///
    /// # Errors
    /// `E0207` when lengths differ from the number of axes, or the window is larger than the padded input.
    pub fn resolve(&self, input: &[usize], weights: Option<&[usize]>) -> Result<Resolved, Diagnostic> {
        let n = input.len();
        let or = |v: &[usize], default: usize| if v.is_empty() { vec![default; n] } else { v.to_vec() };
        let kernel = match (weights, self.kernel.is_empty()) {
            (Some(w), _) => w.to_vec(),
            (None, false) => self.kernel.clone(),
            (None, true) => input.to_vec(),
        };
        let (strides, dilations) = (or(&self.strides, 1), or(&self.dilations, 1));
        let pads = if self.padding.pads.is_empty() { vec![0; 2 * n] } else { self.padding.pads.clone() };
        if kernel.len() != n || strides.len() != n || dilations.len() != n || pads.len() != 2 * n {
            return Err(Diagnostic::new("E0207", format!("the window does not fit {n} spatial axes"))
                .fact("kernel", format!("{kernel:?}"))
                .fact("strides", format!("{strides:?}"))
                .fact("dilations", format!("{dilations:?}"))
                .fact("pads", format!("{pads:?}")));
        }
        let mut r =
            Resolved { kernel, strides, dilations, pad_start: vec![], pad_end: vec![], output: vec![] };
        for (axis, &extent) in input.iter().enumerate() {
            let given = (pads[axis], pads[axis + n]);
            let auto = match self.padding.auto {
                AutoPad::SameUpperColumns | AutoPad::SameLowerColumns if axis == 0 => AutoPad::Valid,
                auto => auto,
            };
            let (start, end, output) =
                self.axis(extent, auto, given, (r.kernel[axis], r.strides[axis], r.dilations[axis]))?;
            r.pad_start.push(start);
            r.pad_end.push(end);
            r.output.push(output);
        }
        Ok(r)
    }

    /// (padding before, padding after, output extent) of one axis.
    fn axis(
        &self,
        input: usize,
        auto: AutoPad,
        given: (usize, usize),
        (kernel, stride, dilation): (usize, usize, usize),
    ) -> Result<(usize, usize, usize), Diagnostic> {
        let span = (kernel - 1) * dilation + 1;
        let (start, end) = match auto {
            AutoPad::NotSet => given,
            AutoPad::Valid => (0, 0),
            _ => {
                let output = input.div_ceil(stride);
                let total = ((output.max(1) - 1) * stride + span).saturating_sub(input);
                let small = total / 2;
                if matches!(auto, AutoPad::SameUpper | AutoPad::SameUpperColumns) {
                    (small, total - small)
                } else {
                    (total - small, small)
                }
            }
        };
        let padded = input + start + end;
        if padded < span {
            return Err(Diagnostic::new("E0207", "the window is larger than the padded input")
                .fact("window", span)
                .fact("input", format!("{input} + {start} + {end} padding")));
        }
        let steps = padded - span;
        let mut output = if self.ceil_mode { steps.div_ceil(stride) + 1 } else { steps / stride + 1 };
        // A last window that would start in the padding behind the input is dropped (ONNX, opset 19).
        if self.ceil_mode && (output - 1) * stride >= input + start {
            output -= 1;
        }
        Ok((start, end, output))
    }
}

impl Resolved {
    /// The runtime's window over images: one spatial axis is rows.
    pub fn window(&self) -> Window {
        let at = |v: &[usize], i: usize, default: usize| v.get(i).copied().unwrap_or(default);
        Window {
            height: at(&self.kernel, 0, 1),
            width: at(&self.kernel, 1, 1),
            stride_h: at(&self.strides, 0, 1),
            stride_w: at(&self.strides, 1, 1),
            dilation_h: at(&self.dilations, 0, 1),
            dilation_w: at(&self.dilations, 1, 1),
            pad_top: at(&self.pad_start, 0, 0),
            pad_left: at(&self.pad_start, 1, 0),
        }
    }
}
