//! Edits and queries that passes are made of.

use super::{Graph, Node, NodeId, Origin, Value, ValueId};
use crate::diag::Diagnostic;
use crate::ops::{Args, Op};
use crate::tensor::{Tensor, TensorType};
use petgraph::graph::DiGraph;
use std::collections::HashMap;

impl Graph {
    /// Adds a value; a name that is taken gets a number.
    pub fn add_value(&mut self, name: &str, ty: TensorType) -> ValueId {
        let name = unique(name, |n| self.values.iter().any(|v| v.name == n));
        self.values.push(Value { name, ty, data: None, range: None, qparams: None });
        ValueId(self.values.len() as u32 - 1)
    }

    /// Adds a constant.
    pub fn add_constant(&mut self, name: &str, data: Tensor) -> ValueId {
        let id = self.add_value(name, data.ty().clone());
        self.value_mut(id).data = Some(data);
        id
    }

    /// Adds a node whose outputs exist.
    pub fn add_node(
        &mut self,
        name: &str,
        op: Op,
        inputs: Vec<Option<ValueId>>,
        outputs: Vec<ValueId>,
        origin: Origin,
    ) -> NodeId {
        let name = unique(name, |n| self.nodes.iter().flatten().any(|node| node.name == n));
        self.nodes.push(Some(Node { name, op, inputs, outputs, origin }));
        NodeId(self.nodes.len() as u32 - 1)
    }

    /// Adds a node with one new output, whose type is inferred.
    ///
    /// # Errors
    /// When the operator refuses the inputs.
    pub fn insert(
        &mut self,
        name: &str,
        op: Op,
        inputs: Vec<Option<ValueId>>,
        origin: Origin,
    ) -> Result<ValueId, Diagnostic> {
        let placeholder = self.add_node(name, op, inputs, vec![], origin);
        let types = self.infer(placeholder)?;
        let ty = types.into_iter().next();
        let ty = ty.ok_or_else(|| Diagnostic::new("E0901", "internal error: operator without outputs"))?;
        let output = self.add_value(name, ty);
        self.node_mut(placeholder).outputs.push(output);
        Ok(output)
    }

    /// Output types of a node, from its inputs as they are now.
    ///
    /// # Errors
    /// When the operator refuses the inputs; the diagnostic names the node and the operands.
    pub fn infer(&self, id: NodeId) -> Result<Vec<TensorType>, Diagnostic> {
        let args = self.args(id);
        let node = self.node(id);
        node.op.operator().infer(&Args(&args)).map_err(|d| self.locate(d, id))
    }

    /// Adds the node and the types of its operands to a diagnostic.
    pub fn locate(&self, diagnostic: Diagnostic, id: NodeId) -> Diagnostic {
        let node = self.node(id);
        let mut d = diagnostic.at(&node.name, &node.origin.op_type);
        for value in node.inputs.iter().flatten() {
            let value = self.value(*value);
            d = d.fact(&format!("`{}`", value.name), &value.ty);
        }
        d
    }

    /// Removes a node; its outputs stay as values without a producer.
    pub fn remove_node(&mut self, id: NodeId) {
        self.nodes[id.0 as usize] = None;
    }

    /// Makes every reader of `old`, graph outputs included, read `new`. Where `old` is an output of the model, `new`
    /// takes its name, so that the interface stays.
    pub fn replace_uses(&mut self, old: ValueId, new: ValueId) {
        for node in self.nodes.iter_mut().flatten() {
            for input in node.inputs.iter_mut().filter(|i| **i == Some(old)) {
                *input = Some(new);
            }
        }
        let mut renamed = false;
        for output in self.outputs.iter_mut().filter(|o| **o == old) {
            *output = new;
            renamed = true;
        }
        if renamed && !self.inputs.contains(&new) {
            let (a, b) = (self.value(old).name.clone(), self.value(new).name.clone());
            self.value_mut(old).name = b;
            self.value_mut(new).name = a;
        }
    }

    /// The node that computes a value, with the index of the output.
    pub fn producer(&self, value: ValueId) -> Option<(NodeId, usize)> {
        self.node_ids().into_iter().find_map(|id| {
            let index = self.node(id).outputs.iter().position(|o| *o == value)?;
            Some((id, index))
        })
    }

    /// The nodes that read a value, with the index of the input; one that reads it twice appears twice.
    pub fn consumers(&self, value: ValueId) -> Vec<(NodeId, usize)> {
        let mut found = vec![];
        for id in self.node_ids() {
            let inputs = self.node(id).inputs.iter().enumerate();
            found.extend(inputs.filter(|(_, v)| **v == Some(value)).map(|(i, _)| (id, i)));
        }
        found
    }

    /// The only reader of a value that is not an output of the model.
    pub fn sole_consumer(&self, value: ValueId) -> Option<(NodeId, usize)> {
        let consumers = self.consumers(value);
        (consumers.len() == 1 && !self.outputs.contains(&value)).then(|| consumers[0])
    }

    /// Nodes such that every one comes after those it depends on; of several possible orders, the one closest to the
    /// order of creation.
    ///
    /// # Errors
    /// A node on a cycle.
    pub fn topological(&self) -> Result<Vec<NodeId>, NodeId> {
        let producers: HashMap<ValueId, NodeId> = self
            .node_ids()
            .into_iter()
            .flat_map(|id| self.node(id).outputs.iter().map(move |o| (*o, id)).collect::<Vec<_>>())
            .collect();
        let mut graph = DiGraph::<NodeId, ()>::new();
        let ids = self.node_ids();
        let index: HashMap<NodeId, _> = ids.iter().map(|&id| (id, graph.add_node(id))).collect();
        for &id in &ids {
            for input in self.node(id).inputs.iter().flatten() {
                if let Some(from) = producers.get(input) {
                    graph.add_edge(index[from], index[&id], ());
                }
            }
        }
        petgraph::algo::toposort(&graph, None).map_err(|cycle| graph[cycle.node_id()])?;
        // petgraph's order is valid but jumps between branches; the file's order is what a reader expects.
        let mut missing: Vec<usize> =
            graph.node_indices().map(|n| graph.neighbors_directed(n, petgraph::Incoming).count()).collect();
        let mut ready: std::collections::BTreeSet<_> =
            graph.node_indices().filter(|n| missing[n.index()] == 0).collect();
        let mut order = Vec::with_capacity(ids.len());
        while let Some(next) = ready.pop_first() {
            order.push(graph[next]);
            for to in graph.neighbors(next) {
                missing[to.index()] -= 1;
                if missing[to.index()] == 0 {
                    ready.insert(to);
                }
            }
        }
        Ok(order)
    }
}

/// `name`, or `name_2`, `name_3`, ... when taken.
fn unique(name: &str, taken: impl Fn(&str) -> bool) -> String {
    if !taken(name) {
        return name.to_string();
    }
    (2..).map(|i| format!("{name}_{i}")).find(|n| !taken(n)).unwrap_or_default()
}
