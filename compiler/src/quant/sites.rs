//! Where a float graph can be quantized: which operators have an integer form, which values then need scales, and which
//! of these are free to choose.

use crate::graph::{Graph, NodeId, ValueId};
use crate::ops::{InputRole, Op, OutputRole};
use crate::tensor::{ElemType, QParams};
use std::collections::{BTreeMap, BTreeSet};

/// The operators and values of a graph that become integers.
#[derive(Debug, Clone, Default)]
pub struct Sites {
    /// Operators with an integer form.
    pub nodes: BTreeSet<NodeId>,
    /// Every activation that becomes int8, with the value whose parameters it has: itself, or, behind operators that only
    /// move or select elements, the value that they move. Constant operands are among them.
    pub roots: BTreeMap<ValueId, ValueId>,
    /// Roots whose parameters the operator states (Softmax, Sigmoid, Tanh).
    pub fixed: BTreeMap<ValueId, QParams>,
}

impl Sites {
    /// Finds them. `float` says which operators are to stay in float.
    pub fn of(graph: &Graph, float: &dyn Fn(NodeId) -> bool) -> Sites {
        let order = graph.topological().unwrap_or_default();
        let candidate = |id: &NodeId| !float(*id) && has_integer_form(graph, *id);
        let mut sites =
            Sites { nodes: order.iter().copied().filter(candidate).collect(), ..Sites::default() };
        sites.drop_lone_movers(graph, &order);
        for &id in &order {
            if sites.nodes.contains(&id) {
                sites.values(graph, id);
            }
        }
        sites
    }

    /// Roots that calibration has to measure, in order of their ids.
    pub fn measured(&self, graph: &Graph) -> Vec<ValueId> {
        let roots: BTreeSet<ValueId> = self.roots.values().copied().collect();
        let free = |v: &ValueId| !self.fixed.contains_key(v) && graph.constant(*v).is_none();
        roots.into_iter().filter(free).collect()
    }

    /// An operator that only moves elements gains nothing from integers unless one of its neighbours has them.
    fn drop_lone_movers(&mut self, graph: &Graph, order: &[NodeId]) {
        let mover =
            |id: NodeId| matches!(graph.node(id).op.operator().quantize().output, OutputRole::SameAs(_));
        let mut useful: BTreeSet<NodeId> = self.nodes.iter().copied().filter(|id| !mover(*id)).collect();
        let mut links = vec![];
        for &id in order.iter().filter(|id| self.nodes.contains(id)) {
            for &input in graph.node(id).inputs.iter().flatten() {
                links.extend(
                    graph.producer(input).filter(|(p, _)| self.nodes.contains(p)).map(|(p, _)| (p, id)),
                );
            }
        }
        // Forwards and backwards along chains of movers.
        for (from, to) in links.iter().chain(links.iter().rev()) {
            if useful.contains(from) || useful.contains(to) {
                useful.extend([*from, *to]);
            }
        }
        self.nodes = useful;
    }

    fn values(&mut self, graph: &Graph, id: NodeId) {
        let node = graph.node(id);
        let rule = node.op.operator().quantize();
        for (i, &input) in node.inputs.iter().enumerate() {
            if let Some(value) = input.filter(|v| is_activation(graph, rule.role(i), *v)) {
                self.roots.entry(value).or_insert(value);
            }
        }
        for &output in &node.outputs {
            let root = match rule.output {
                OutputRole::SameAs(i) => {
                    let input = node.inputs.get(i).copied().flatten().unwrap_or(output);
                    self.roots.get(&input).copied().unwrap_or(input)
                }
                _ => output,
            };
            self.roots.insert(output, root);
            if let OutputRole::Fixed { scale, zero_point } = rule.output {
                self.fixed.insert(output, QParams::per_tensor(scale, zero_point));
            }
        }
    }
}

/// Whether an operand is an activation to quantization: by its role, or a second computed operand in place of weights.
pub fn is_activation(graph: &Graph, role: InputRole, value: ValueId) -> bool {
    match role {
        InputRole::Activation => true,
        InputRole::Weight { .. } => graph.constant(value).is_none(),
        InputRole::Bias | InputRole::Shape => false,
    }
}

fn has_integer_form(graph: &Graph, id: NodeId) -> bool {
    let node = graph.node(id);
    if matches!(node.op, Op::QuantizeLinear(_) | Op::DequantizeLinear(_) | Op::FlipSign(_)) {
        return false;
    }
    let rule = node.op.operator().quantize();
    let float = |v: ValueId| graph.value(v).ty.elem == ElemType::F32 && graph.value(v).qparams.is_none();
    if rule.output == OutputRole::Float || !node.outputs.iter().all(|o| float(*o)) {
        return false;
    }
    let mut computed = false;
    for (i, &input) in node.inputs.iter().enumerate() {
        let Some(value) = input else { continue };
        let role = rule.role(i);
        let fits = match role {
            InputRole::Shape => true,
            InputRole::Bias => bias_fits(graph, id, value),
            // The columns of a stack of matrices have no scales of their own.
            InputRole::Weight { .. } => float(value) && !is_stack(graph, id, value),
            InputRole::Activation => float(value),
        };
        if !fits {
            return false;
        }
        computed |= is_activation(graph, role, value) && graph.constant(value).is_none();
    }
    computed
}

fn is_stack(graph: &Graph, id: NodeId, weights: ValueId) -> bool {
    let matmul = matches!(graph.node(id).op, Op::MatMul(_));
    matmul && graph.constant(weights).is_some_and(|w| w.shape().len() != 2)
}

/// A bias is one constant for each output channel, or one for all.
fn bias_fits(graph: &Graph, id: NodeId, bias: ValueId) -> bool {
    let Some(data) = graph.constant(bias) else { return false };
    let channels = weight(graph, id).map(|(w, axis)| graph.value(w).ty.shape.get(axis).copied().unwrap_or(0));
    data.elem() == ElemType::F32 && channels.is_some_and(|n| data.elements() == n || data.elements() == 1)
}

/// The constant weights of a node, with the axis of their output channels.
pub fn weight(graph: &Graph, id: NodeId) -> Option<(ValueId, usize)> {
    weights(graph, id).first().map(|(_, value, axis)| (*value, *axis))
}

/// All constant weights of a node: index of the input, value, axis of output channels.
pub fn weights(graph: &Graph, id: NodeId) -> Vec<(usize, ValueId, usize)> {
    let node = graph.node(id);
    let rule = node.op.operator().quantize();
    let inputs = node.inputs.iter().enumerate();
    let role = |(i, input): (usize, &Option<ValueId>)| match rule.role(i) {
        InputRole::Weight { axis } => input.filter(|v| graph.constant(*v).is_some()).map(|v| (i, v, axis)),
        _ => None,
    };
    inputs.filter_map(role).collect()
}
