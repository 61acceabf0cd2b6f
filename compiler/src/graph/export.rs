//! From our graph to the ONNX file's: what [`super::import`] reads back as the same graph.
//!
//! Every operator says which standard nodes it is ([`crate::ops::Operator::export`]); a fused clamp becomes a Relu or Clip
//! of its own. Names of values and layers stay; values between the nodes of one operator are named after it.

use super::{Graph, NodeId, ValueId};
use crate::diag::{Diagnostic, Diagnostics};
use crate::onnx::{self, Dim};
use crate::ops::{Args, ExportNode, OPSET, Wire};
use std::collections::{BTreeMap, HashSet};

/// The IR version that belongs to the operator set.
const IR_VERSION: i64 = 10;

/// Writes a graph as it is before `quant::integers`: floats, and integers between QuantizeLinear and DequantizeLinear.
///
/// # Errors
/// `E0905`, an internal error, for integer arithmetic, which standard operators cannot say; `E0902` on a cycle.
pub fn export(graph: &Graph) -> Result<onnx::Model, Diagnostics> {
    let mut exporter =
        Exporter { graph, file: onnx::Graph::default(), names: names(graph), known: HashSet::new() };
    // Checkers want a name.
    let name = if graph.name.is_empty() { "model" } else { &graph.name };
    exporter.file.name = name.to_string();
    let order = graph.topological().map_err(|id| {
        Diagnostic::new("E0902", format!("internal error: `{}` depends on itself", graph.node(id).name))
    })?;
    exporter.file.inputs = graph.inputs.iter().map(|v| exporter.info(*v)).collect();
    for id in order {
        exporter.node(id)?;
    }
    for &output in &graph.outputs {
        exporter.constant(output);
        exporter.file.outputs.push(exporter.info(output));
    }
    let opsets = BTreeMap::from([(String::new(), OPSET)]);
    Ok(onnx::Model { ir_version: IR_VERSION, opsets, graph: exporter.file })
}

fn names(graph: &Graph) -> HashSet<String> {
    let nodes = graph.node_ids();
    let used =
        nodes.iter().flat_map(|id| graph.node(*id).inputs.iter().flatten().chain(&graph.node(*id).outputs));
    used.chain(&graph.inputs).chain(&graph.outputs).map(|v| graph.value(*v).name.clone()).collect()
}

struct Exporter<'a> {
    graph: &'a Graph,
    file: onnx::Graph,
    /// Names of values that are taken.
    names: HashSet<String>,
    /// Constants that the file has already.
    known: HashSet<ValueId>,
}

impl Exporter<'_> {
    fn node(&mut self, id: NodeId) -> Result<(), Diagnostic> {
        let node = self.graph.node(id);
        if node.outputs.iter().any(|o| self.graph.value(*o).qparams.is_some()) {
            let message = "internal error: integer arithmetic has no standard ONNX form";
            return Err(self.graph.locate(Diagnostic::new("E0905", message), id));
        }
        for &input in node.inputs.iter().flatten() {
            self.constant(input);
        }
        let args = self.graph.args(id);
        let export = node.op.operator().export(&Args(&args));
        let last = export.nodes.len().saturating_sub(1);
        let mut made: Vec<Vec<String>> = vec![];
        for (index, part) in export.nodes.into_iter().enumerate() {
            let outputs = match index == last {
                true => node.outputs.iter().map(|o| self.name(*o)).collect(),
                false => (0..part.outputs)
                    .map(|_| self.fresh(&format!("{}/{}", node.name, part.op_type)))
                    .collect(),
            };
            self.part(id, part, &mut made, outputs);
        }
        let inner = node.outputs.iter().filter(|o| !self.graph.outputs.contains(o));
        let infos: Vec<_> = inner.map(|o| self.info(*o)).collect();
        self.file.value_infos.extend(infos);
        Ok(())
    }

    /// Adds one node of an operator's form.
    fn part(&mut self, id: NodeId, part: ExportNode, made: &mut Vec<Vec<String>>, outputs: Vec<String>) {
        let node = self.graph.node(id);
        let ExportNode { op_type, attributes, inputs, .. } = part;
        let mut inputs: Vec<String> = inputs.iter().map(|wire| self.wire(wire, id, made)).collect();
        while inputs.last().is_some_and(String::is_empty) {
            inputs.pop();
        }
        let name = if made.is_empty() { node.name.clone() } else { format!("{}/{op_type}", node.name) };
        made.push(outputs.clone());
        let (op_type, domain) = (op_type.to_string(), String::new());
        self.file.nodes.push(onnx::Node { name, op_type, domain, inputs, outputs, attributes });
    }

    fn wire(&mut self, wire: &Wire, id: NodeId, made: &[Vec<String>]) -> String {
        let node = self.graph.node(id);
        match wire {
            Wire::Input(i) => {
                node.inputs.get(*i).copied().flatten().map(|v| self.name(v)).unwrap_or_default()
            }
            Wire::Node(n, o) => made.get(*n).and_then(|m| m.get(*o)).cloned().unwrap_or_default(),
            Wire::Const(tensor) => {
                let name = self.fresh(&format!("{}/const", node.name));
                self.file.initializers.push((name.clone(), tensor.clone()));
                name
            }
            Wire::None => String::new(),
        }
    }

    fn constant(&mut self, value: ValueId) {
        if let (Some(data), true) = (self.graph.constant(value), self.known.insert(value)) {
            self.file.initializers.push((self.name(value), data.clone()));
        }
    }

    fn name(&self, value: ValueId) -> String {
        self.graph.value(value).name.clone()
    }

    fn fresh(&mut self, base: &str) -> String {
        let taken = |n: &String| !self.names.contains(n);
        let name = std::iter::once(base.to_string()).chain((2..).map(|i| format!("{base}_{i}"))).find(taken);
        let name = name.unwrap_or_default();
        self.names.insert(name.clone());
        name
    }

    fn info(&self, value: ValueId) -> onnx::ValueInfo {
        let value = self.graph.value(value);
        let shape = value.ty.shape.iter().map(|&d| Dim::Fixed(d)).collect();
        onnx::ValueInfo { name: value.name.clone(), elem: Some(value.ty.elem), shape: Some(shape) }
    }
}
