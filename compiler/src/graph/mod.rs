//! The graph: operators over typed values, with edits, order, verification, dumps and import from ONNX.

mod dump;
mod edit;
mod export;
mod import;
mod verify;

pub use export::export;
pub use import::{Evaluate, ImportOptions, import};
pub use verify::verify;

use crate::ops::{Arg, Op};
use crate::tensor::{QParams, Tensor, TensorType};

/// Index of a [`Node`]. Ids stay valid while other nodes come and go.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct NodeId(pub(crate) u32);

/// Index of a [`Value`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ValueId(pub(crate) u32);

/// Where a node comes from in the ONNX file.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Origin {
    /// Names of the ONNX nodes that it stands for, the main one first.
    pub nodes: Vec<String>,
    /// ONNX operator type of the main one.
    pub op_type: String,
}

/// An operator with its operands.
#[derive(Debug, Clone)]
pub struct Node {
    /// Name of the layer: the ONNX node's, or its first output's where it has none. Unique.
    pub name: String,
    /// The operator.
    pub op: Op,
    /// Inputs; an omitted optional one is `None`.
    pub inputs: Vec<Option<ValueId>>,
    /// Outputs.
    pub outputs: Vec<ValueId>,
    /// Where it comes from.
    pub origin: Origin,
}

/// A tensor that flows through the graph, or a constant.
#[derive(Debug, Clone)]
pub struct Value {
    /// ONNX name, unique.
    pub name: String,
    /// Type and shape.
    pub ty: TensorType,
    /// The value of a constant.
    pub data: Option<Tensor>,
    /// Range of the real values, from calibration.
    pub range: Option<(f32, f32)>,
    /// Scale and zero point of a quantized value.
    pub qparams: Option<QParams>,
}

/// A graph of operators. Nodes and values live in arenas; removed nodes leave a hole.
#[derive(Debug, Clone, Default)]
pub struct Graph {
    /// Name of the model.
    pub name: String,
    nodes: Vec<Option<Node>>,
    values: Vec<Value>,
    /// Inputs in the order of the model.
    pub inputs: Vec<ValueId>,
    /// Outputs in the order of the model.
    pub outputs: Vec<ValueId>,
}

impl Graph {
    /// The node of that id.
    ///
    /// # Panics
    /// When it was removed: an error of the pass.
    pub fn node(&self, id: NodeId) -> &Node {
        self.nodes[id.0 as usize].as_ref().expect("node was removed")
    }

    /// The node of that id, mutable.
    ///
    /// # Panics
    /// As [`Graph::node`].
    pub fn node_mut(&mut self, id: NodeId) -> &mut Node {
        self.nodes[id.0 as usize].as_mut().expect("node was removed")
    }

    /// The node of that id, `None` when it was removed.
    pub fn get(&self, id: NodeId) -> Option<&Node> {
        self.nodes[id.0 as usize].as_ref()
    }

    /// The value of that id.
    pub fn value(&self, id: ValueId) -> &Value {
        &self.values[id.0 as usize]
    }

    /// The value of that id, mutable.
    pub fn value_mut(&mut self, id: ValueId) -> &mut Value {
        &mut self.values[id.0 as usize]
    }

    /// Ids of all nodes, in order of creation.
    pub fn node_ids(&self) -> Vec<NodeId> {
        (0..self.nodes.len() as u32).map(NodeId).filter(|&id| self.get(id).is_some()).collect()
    }

    /// Ids of all values.
    pub fn value_ids(&self) -> impl Iterator<Item = ValueId> {
        (0..self.values.len() as u32).map(ValueId)
    }

    /// The constant value, when it is one.
    pub fn constant(&self, id: ValueId) -> Option<&Tensor> {
        self.value(id).data.as_ref()
    }

    /// The inputs of a node as its operator sees them.
    pub fn args(&self, id: NodeId) -> Vec<Option<Arg<'_>>> {
        let arg = |v: &Option<ValueId>| {
            v.map(|v| {
                let value = self.value(v);
                Arg { ty: &value.ty, value: value.data.as_ref(), qparams: value.qparams.as_ref() }
            })
        };
        self.node(id).inputs.iter().map(arg).collect()
    }
}
