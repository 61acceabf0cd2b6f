//! The fixed-shape program: buffers, constant tables and kernel calls in execution order. What generated code does is
//! what the interpreter here does, call for call.

mod flat;
mod interpret;
mod shape;
mod text;
mod time;
mod verify;
mod view;

pub use flat::share_shapes;
pub use interpret::{Executor, Placement, run, run_placed};
pub use shape::{Feed, Form, Shape, Stream};
pub use time::{History, Time};
pub use verify::verify;
pub use view::{View, image, merge_axes};

use crate::kernels::{ConstData, Kernel};
use crate::tensor::{ElemType, QParams, TensorType};
use kiln_runtime_core::Family;

/// Index of a [`Buffer`] in [`Program::buffers`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct BufferId(pub usize);

/// Index of a [`Const`] in [`Program::consts`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ConstId(pub usize);

/// A piece of memory with one lifetime.
#[derive(Debug, Clone, PartialEq)]
pub struct Buffer {
    /// Name of the ONNX value, or of the layer for a temporary.
    pub name: String,
    /// Element type.
    pub elem: ElemType,
    /// Elements.
    pub len: usize,
}

impl Buffer {
    /// Bytes.
    pub fn size(&self) -> usize {
        self.len * self.elem.size()
    }
}

/// A constant table.
#[derive(Debug, Clone, PartialEq)]
pub struct Const {
    /// Name within its layer, for instance `weights`.
    pub name: String,
    /// Values.
    pub data: ConstData,
}

/// One kernel call.
#[derive(Debug, Clone, PartialEq)]
pub struct Step {
    /// Name of the layer: the ONNX node's, or the output's where the node has none.
    pub layer: String,
    /// ONNX operator type of the node.
    pub op: String,
    /// The call. Image offsets are relative to the buffers below.
    pub kernel: Kernel,
    /// Buffers of the images that the kernel reads, in its order. `None` where the operand is a constant table.
    pub reads: Vec<Option<BufferId>>,
    /// Buffers of the images that the kernel writes, in its order.
    pub writes: Vec<BufferId>,
    /// Constant tables, in the kernel's order.
    pub consts: Vec<ConstId>,
}

/// An input or output of the model.
#[derive(Debug, Clone, PartialEq)]
pub struct Port {
    /// ONNX name.
    pub name: String,
    /// Where it lies, contiguous from the buffer's start.
    pub buffer: BufferId,
    /// Type in the model file.
    pub ty: TensorType,
    /// Scale and zero point, when quantized.
    pub qparams: Option<QParams>,
}

/// A fixed-shape program.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Program {
    /// Name of the model.
    pub name: String,
    /// Buffers, by [`BufferId`].
    pub buffers: Vec<Buffer>,
    /// Constants, by [`ConstId`].
    pub consts: Vec<Const>,
    /// Kernel calls in execution order.
    pub steps: Vec<Step>,
    /// Inputs in the order of the model.
    pub inputs: Vec<Port>,
    /// Outputs in the order of the model.
    pub outputs: Vec<Port>,
}

impl Program {
    /// Adds a buffer.
    pub fn buffer(&mut self, name: impl Into<String>, elem: ElemType, len: usize) -> BufferId {
        self.buffers.push(Buffer { name: name.into(), elem, len });
        BufferId(self.buffers.len() - 1)
    }

    /// Adds a constant table.
    pub fn constant(&mut self, name: impl Into<String>, data: ConstData) -> ConstId {
        self.consts.push(Const { name: name.into(), data });
        ConstId(self.consts.len() - 1)
    }

    /// The constant tables of a step, in the kernel's order.
    pub fn tables(&self, step: &Step) -> Vec<&ConstData> {
        step.consts.iter().map(|c| &self.consts[c.0].data).collect()
    }

    /// The family that the program needs: that of its fastest kernels, plain where it has none of another.
    pub fn family(&self) -> Family {
        self.steps.iter().map(|s| s.kernel.family()).max().unwrap_or_default()
    }

    /// Multiply-accumulates of one inference.
    pub fn macs(&self) -> u64 {
        self.steps.iter().map(|s| s.kernel.macs()).sum()
    }

    /// Bytes of all constant tables.
    pub fn const_size(&self) -> usize {
        self.consts.iter().map(|c| c.data.size()).sum()
    }
}
