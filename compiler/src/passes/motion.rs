//! Moving a data mover (Transpose, Reshape) from before an operator to behind it.
//!
//! A mover may also stand before a DequantizeLinear whose result the operator reads: then it moves past both in one step.
//! So between QuantizeLinear and DequantizeLinear there are integer movers only, and no two passes disagree where one belongs.

use super::shared::{input, is_per_tensor, producer, shape};
use crate::diag::Diagnostic;
use crate::graph::{Graph, NodeId, ValueId};
use crate::ops::Op;
use crate::tensor::Tensor;

/// Operators that treat every element of input 0 alike. Clip's bounds and the conversions' scales are scalars where it
/// matters; that is checked.
const UNARY: &[&str] = &[
    "Relu",
    "LeakyRelu",
    "Clip",
    "Sigmoid",
    "Tanh",
    "HardSigmoid",
    "HardSwish",
    "Elu",
    "Selu",
    "Celu",
    "Gelu",
    "Erf",
    "Mish",
    "Softplus",
    "Softsign",
    "Swish",
    "ThresholdedRelu",
    "Abs",
    "Neg",
    "Exp",
    "Log",
    "Sqrt",
    "Reciprocal",
    "Floor",
    "Ceil",
    "Round",
    "Sign",
    "Cast",
    "Identity",
    "Dropout",
    "QuantizeLinear",
];

/// Operators that combine their inputs element by element, with broadcasting.
const ELEMENTWISE: &[&str] = &["Add", "Sub", "Mul", "Div", "Min", "Max", "Pow", "PRelu"];

/// Whether a node computes each output element from the element of input 0 at the same place.
pub(super) fn is_unary(graph: &Graph, id: NodeId) -> bool {
    let node = graph.node(id);
    let scalars =
        || (1..node.inputs.len()).filter_map(|i| input(node, i)).all(|v| graph.value(v).ty.elements() <= 1);
    UNARY.contains(&node.op.name()) && node.outputs.len() == 1 && scalars()
}

/// Whether a node combines its inputs element by element.
pub(super) fn is_elementwise(graph: &Graph, id: NodeId) -> bool {
    let node = graph.node(id);
    ELEMENTWISE.contains(&node.op.name())
        && node.outputs.len() == 1
        && node.inputs.iter().all(Option::is_some)
}

/// An operand that a mover made, with a DequantizeLinear between them or not.
#[derive(Debug, Clone, Copy)]
pub(super) struct Moved {
    /// The mover.
    pub mover: NodeId,
    /// What it reads.
    pub source: ValueId,
    /// The DequantizeLinear between the mover and the operand.
    pub dequantize: Option<NodeId>,
}

impl Moved {
    /// Recognizes an operand that a node of operator `name` made.
    pub fn of(graph: &Graph, value: ValueId, name: &str) -> Option<Moved> {
        let (id, node) = producer(graph, value)?;
        if node.op.name() == name {
            return Some(Moved { mover: id, source: input(node, 0)?, dequantize: None });
        }
        if !matches!(node.op, Op::DequantizeLinear(_)) || !is_per_tensor(graph, id) {
            return None;
        }
        let (mover, node) = producer(graph, input(node, 0)?)?;
        let found = Moved { mover, source: input(node, 0)?, dequantize: Some(id) };
        (node.op.name() == name).then_some(found)
    }

    /// The operand without the mover: its source, dequantized where the operand was.
    ///
    /// # Errors
    /// Those of type inference.
    pub fn without(&self, graph: &mut Graph) -> Result<ValueId, Diagnostic> {
        let Some(id) = self.dequantize else { return Ok(self.source) };
        let node = graph.node(id);
        let (name, op, origin) = (node.name.clone(), node.op.clone(), node.origin.clone());
        let mut inputs = node.inputs.clone();
        inputs[0] = Some(self.source);
        graph.insert(&name, op, inputs, origin)
    }
}

/// How a mover is made anew behind an operator.
#[derive(Debug, Clone)]
pub(super) struct Behind {
    /// The mover's operator.
    pub op: Op,
    /// A constant second input.
    pub operand: Option<Tensor>,
}

/// Gives the node new inputs, and puts movers behind it, one for each output, that make its old outputs of its new ones.
/// `like` is the mover that was before it, whose name they take.
///
/// # Errors
/// When the operator refuses the inputs, which is an internal error.
pub(super) fn sink(
    graph: &mut Graph,
    id: NodeId,
    inputs: Vec<Option<ValueId>>,
    like: NodeId,
    behind: &Behind,
) -> Result<bool, Diagnostic> {
    graph.node_mut(id).inputs = inputs;
    let types = graph.infer(id)?;
    let (name, origin) = (graph.node(like).name.clone(), graph.node(like).origin.clone());
    for (index, ty) in types.into_iter().enumerate().take(graph.node(id).outputs.len()) {
        let old = graph.node(id).outputs[index];
        let new = graph.add_value(&format!("{}/unmoved", graph.value(old).name), ty);
        graph.node_mut(id).outputs[index] = new;
        let operand = behind.operand.clone().map(|t| graph.add_constant(&format!("{name}/operand"), t));
        let inputs = if operand.is_some() { vec![Some(new), operand] } else { vec![Some(new)] };
        graph.add_node(&name, behind.op.clone(), inputs, vec![old], origin.clone());
    }
    Ok(true)
}

/// The shape with leading unit axes, of `rank` axes.
pub(super) fn padded_shape(graph: &Graph, value: ValueId, rank: usize) -> Vec<usize> {
    let own = shape(graph, value);
    let mut padded = vec![1; rank.saturating_sub(own.len())];
    padded.extend(own);
    padded
}
