//! Operators as nodes of a standard ONNX file: the way back from [`super::import`].

use super::shared::Clamp;
use super::{Args, Wire};
use crate::onnx::{Attribute, Attributes};
use crate::tensor::Tensor;

/// The version of the default operator set that exported nodes are written for.
pub const OPSET: i64 = 21;

/// One ONNX node of an [`Export`].
#[derive(Debug, Clone, PartialEq)]
pub struct ExportNode {
    /// Operator type in the default domain.
    pub op_type: &'static str,
    /// Attributes.
    pub attributes: Attributes,
    /// Inputs; `Wire::Node` counts in [`Export::nodes`].
    pub inputs: Vec<Wire>,
    /// Number of outputs.
    pub outputs: usize,
}

/// What an operator is in an ONNX file: nodes with local wiring, of which the last one has the operator's outputs.
#[derive(Debug, Clone, PartialEq)]
pub struct Export {
    /// Nodes, each after those it reads.
    pub nodes: Vec<ExportNode>,
}

impl Export {
    /// One node with the operator's own inputs and one output.
    pub fn node(op_type: &'static str, inputs: &Args) -> Export {
        let present = inputs.0.iter().enumerate();
        let wires = present.map(|(i, a)| if a.is_some() { Wire::Input(i) } else { Wire::None });
        Export::with_inputs(op_type, wires.collect())
    }

    /// One node with these inputs and one output.
    pub fn with_inputs(op_type: &'static str, inputs: Vec<Wire>) -> Export {
        let node = ExportNode { op_type, attributes: Attributes::default(), inputs, outputs: 1 };
        Export { nodes: vec![node] }
    }

    /// Adds a node that reads the one before it, then `others`. Attributes set from here on are its own.
    pub fn then(mut self, op_type: &'static str, others: Vec<Wire>) -> Export {
        let inputs = [Wire::Node(self.nodes.len() - 1, 0)].into_iter().chain(others).collect();
        self.nodes.extend(Export::with_inputs(op_type, inputs).nodes);
        self
    }

    /// The fused clamp as a Relu or Clip behind the operator.
    pub fn clamped(self, clamp: Clamp) -> Export {
        let bound = |v: f32| match v.is_finite() {
            true => Wire::Const(Tensor::from_f32(&[], &[v])),
            false => Wire::None,
        };
        match clamp {
            Clamp::NONE => self,
            Clamp::RELU => self.then("Relu", vec![]),
            Clamp { min, max } => self.then("Clip", vec![bound(min), bound(max)]),
        }
    }

    /// Sets the number of outputs of the last node.
    pub fn outputs(mut self, outputs: usize) -> Export {
        if let Some(node) = self.nodes.last_mut() {
            node.outputs = outputs;
        }
        self
    }

    /// Sets an attribute of the last node.
    pub fn attribute(mut self, name: &str, value: Attribute) -> Export {
        if let Some(node) = self.nodes.last_mut() {
            node.attributes.0.insert(name.to_string(), value);
        }
        self
    }

    /// Sets an integer.
    pub fn int(self, name: &str, value: i64) -> Export {
        self.attribute(name, Attribute::Int(value))
    }

    /// Sets a number.
    pub fn float(self, name: &str, value: f32) -> Export {
        self.attribute(name, Attribute::Float(value))
    }

    /// Sets a list of integers, which is left out where it is empty: ONNX's defaults.
    pub fn ints(self, name: &str, values: &[usize]) -> Export {
        match values.is_empty() {
            true => self,
            false => self.attribute(name, Attribute::Ints(values.iter().map(|&v| v as i64).collect())),
        }
    }
}
