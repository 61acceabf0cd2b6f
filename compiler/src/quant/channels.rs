//! Which channels of a float graph may be rescaled together, or removed together: classes of elements, tied by what the
//! operators do with them.
//!
//! A layer (Conv or Gemm with constant weights) may multiply an output channel by any positive number, and another layer
//! may divide what it reads by it. In between, operators tie elements to each other: those that move values tie an output
//! to its input, positively homogeneous ones (`f(k * x) = k * f(x)` for `k > 0`: Relu, pooling, a mean) all elements of a
//! channel, an addition its operands. A class is what is tied together. Class 0 is what must stay as it is: inputs and
//! outputs of the model, and whatever meets another operator.
//!
//! Removal ([`Channels::removable`]) asks for other ties: any elementwise operator may be followed and clamps do not matter, but
//! a depthwise layer ties what it reads to what it writes, and what is left of a value has to be a box: its classes
//! differ along one axis only.
//!
//! Moves run on the labels themselves, through the same host evaluation as constant folding; the others go by
//! [`Operator::axes`](crate::ops::Operator::axes).

use crate::diag::Diagnostic;
use crate::graph::{Graph, NodeId, ValueId};
use crate::lower;
use crate::ops::shared::Clamp;
use crate::ops::{Arg, Args, Op};
use crate::tensor::{ElemType, Tensor, TensorType};
use std::collections::HashMap;

/// A layer with one class for each of its channels on one side.
#[derive(Debug, Clone, PartialEq)]
pub struct Side {
    /// The Conv or Gemm.
    pub node: NodeId,
    /// Classes of its output channels, or of its input channels.
    pub classes: Vec<usize>,
    /// The upper bound of a clamp that the layer ends in (6 for Relu6). Its channels may be scaled as far as they stay
    /// below it.
    pub ceiling: Option<f32>,
}

/// The classes of a graph.
#[derive(Debug, Clone, PartialEq)]
pub struct Channels {
    /// Number of classes; class 0 stays as it is.
    pub count: usize,
    /// What the layers write, in topological order.
    pub sources: Vec<Side>,
    /// What the layers read, in topological order.
    pub sinks: Vec<Side>,
    /// A class for each element of a computed value, row-major; all of class 0 where there is none.
    pub elements: HashMap<ValueId, Vec<usize>>,
}

/// What happens to the channels of a class.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Purpose {
    Rescale,
    Remove,
}

impl Channels {
    /// Finds the classes that may be rescaled.
    ///
    /// # Errors
    /// What an operator says of its operands; a verified graph gives none.
    pub fn of(graph: &Graph) -> Result<Channels, Diagnostic> {
        Channels::search(graph, Purpose::Rescale)
    }

    /// Finds the classes that may be removed.
    ///
    /// # Errors
    /// As [`Channels::of`].
    pub fn removable(graph: &Graph) -> Result<Channels, Diagnostic> {
        Channels::search(graph, Purpose::Remove)
    }

    fn search(graph: &Graph, purpose: Purpose) -> Result<Channels, Diagnostic> {
        let mut search = Search {
            graph,
            purpose,
            ties: Ties::new(),
            labels: HashMap::new(),
            sources: vec![],
            sinks: vec![],
        };
        let order = graph.topological().map_err(|id| {
            Diagnostic::new("E0902", format!("internal error: `{}` depends on itself", graph.node(id).name))
        })?;
        for id in order {
            search.visit(id)?;
        }
        for output in &graph.outputs {
            search.pin(*output);
        }
        Ok(search.finish())
    }
}

/// The axis of output channels of a layer's weights and that of its input channels, and the number of groups.
pub fn weight_axes(op: &Op) -> Option<(usize, usize, usize)> {
    match op {
        Op::Conv(op) => Some((0, 1, op.groups)),
        Op::Gemm(op) if !op.trans_a => Some(if op.trans_b { (0, 1, 1) } else { (1, 0, 1) }),
        _ => None,
    }
}

/// Elements of equal scale, as a forest; the root of class 0 is 0.
struct Ties(Vec<usize>);

impl Ties {
    fn new() -> Ties {
        Ties(vec![0])
    }

    fn fresh(&mut self) -> usize {
        self.0.push(self.0.len());
        self.0.len() - 1
    }

    fn root(&self, mut label: usize) -> usize {
        while self.0[label] != label {
            label = self.0[label];
        }
        label
    }

    /// The smaller root wins, so that nothing takes 0 away, and the result does not depend on the order.
    fn tie(&mut self, a: usize, b: usize) -> usize {
        let (a, b) = (self.root(a), self.root(b));
        let (low, high) = (a.min(b), a.max(b));
        self.0[high] = low;
        low
    }
}

struct Search<'g> {
    graph: &'g Graph,
    purpose: Purpose,
    ties: Ties,
    /// A label for each element of a computed value; none where all are pinned.
    labels: HashMap<ValueId, Vec<usize>>,
    sources: Vec<Side>,
    sinks: Vec<Side>,
}

impl Search<'_> {
    fn visit(&mut self, id: NodeId) -> Result<(), Diagnostic> {
        let node = self.graph.node(id);
        match &node.op {
            Op::Conv(op) => self.layer(id, op.clamp),
            Op::Gemm(op) => self.layer(id, op.clamp),
            Op::Relu(_)
            | Op::LeakyRelu(_)
            | Op::MaxPool(_)
            | Op::AveragePool(_)
            | Op::GlobalAveragePool(_)
            | Op::GlobalMaxPool(_)
            | Op::ReduceMean(_) => self.follow(id),
            // The slopes of single channels would have to go with them.
            Op::PRelu(_) if self.purpose == Purpose::Rescale => self.follow(id),
            Op::Clip(_) | Op::Sigmoid(_) | Op::HardSigmoid(_) | Op::Tanh(_) | Op::HardSwish(_)
                if self.purpose == Purpose::Remove =>
            {
                self.follow(id)
            }
            Op::Pad(_) if self.purpose == Purpose::Remove || self.pads_with_zero(id) => self.follow(id),
            Op::Mul(_) | Op::Max(_) | Op::Min(_) if self.purpose == Purpose::Remove => self.join(id),
            Op::Add(op) if self.purpose == Purpose::Remove || homogeneous(op.clamp) => self.join(id),
            Op::Sub(op) if self.purpose == Purpose::Remove || homogeneous(op.clamp) => self.join(id),
            // Where they cut depends on the sizes of the parts.
            Op::Slice(_) | Op::DepthToSpace(_) if self.purpose == Purpose::Remove => self.pin_inputs(id),
            Op::Reshape(_)
            | Op::Flatten(_)
            | Op::Squeeze(_)
            | Op::Unsqueeze(_)
            | Op::Transpose(_)
            | Op::Split(_)
            | Op::Slice(_)
            | Op::Identity(_)
            | Op::DepthToSpace(_)
            | Op::Concat(_) => return self.moves(id),
            _ => self.pin_inputs(id),
        }
        Ok(())
    }

    /// Labels of a value; class 0 where it has none.
    fn labels(&self, value: ValueId) -> Vec<usize> {
        let elements = self.graph.value(value).ty.elements();
        self.labels.get(&value).cloned().unwrap_or_else(|| vec![0; elements])
    }

    fn pin(&mut self, value: ValueId) {
        for label in self.labels(value) {
            self.ties.tie(label, 0);
        }
    }

    fn pin_inputs(&mut self, id: NodeId) {
        for value in self.graph.node(id).inputs.iter().flatten() {
            self.pin(*value);
        }
    }

    /// Ties elements of a value that have the same index along `axes`; returns a label for each such index, row-major.
    fn tie_along(&mut self, value: ValueId, axes: &[usize]) -> Vec<usize> {
        let shape = &self.graph.value(value).ty.shape;
        let labels = self.labels(value);
        let mut classes = vec![usize::MAX; axes.iter().map(|a| shape[*a]).product()];
        for (element, label) in labels.into_iter().enumerate() {
            let class = &mut classes[along(shape, axes, element)];
            *class = if *class == usize::MAX { label } else { self.ties.tie(*class, label) };
        }
        classes
    }

    fn layer(&mut self, id: NodeId, clamp: Clamp) {
        let node = self.graph.node(id);
        let float = |i: usize| {
            let value = node.inputs.get(i).copied().flatten();
            value.is_none_or(|v| self.graph.constant(v).is_some_and(|t| t.elem() == ElemType::F32))
        };
        let output = node.outputs[0];
        let channels = self.graph.value(output).ty.shape.get(1).copied().unwrap_or(0);
        let bias = node.inputs.get(2).copied().flatten();
        // A bias that is not one for each channel cannot follow the channels.
        let vector = bias.is_none_or(|b| {
            let ty = &self.graph.value(b).ty;
            ty.elements() == channels && ty.shape.last() == Some(&channels)
        });
        if !float(1) || !float(2) || !vector || weight_axes(&node.op).is_none() {
            return self.pin_inputs(id);
        }
        let Some(input) = node.inputs[0] else { return };
        let classes = self.tie_along(input, &[1]);
        let fresh: Vec<usize> = (0..channels).map(|_| self.ties.fresh()).collect();
        let ceiling = Some(clamp.max).filter(|max| *max > 0.0 && max.is_finite());
        let scalable = homogeneous(Clamp { max: ceiling.map_or(clamp.max, |_| f32::INFINITY), ..clamp });
        if self.purpose == Purpose::Remove {
            self.tie_groups(id, &classes, &fresh);
        } else if !scalable {
            fresh.iter().for_each(|label| {
                self.ties.tie(*label, 0);
            });
        }
        let shape = &self.graph.value(output).ty.shape;
        let labels = (0..shape.iter().product()).map(|e| fresh[along(shape, &[1], e)]).collect();
        self.labels.insert(output, labels);
        self.sinks.push(Side { node: id, classes, ceiling: None });
        self.sources.push(Side { node: id, classes: fresh, ceiling });
    }

    /// A depthwise channel leaves with what it reads. Larger groups have to stay equal, and stay.
    fn tie_groups(&mut self, id: NodeId, read: &[usize], written: &[usize]) {
        match weight_axes(&self.graph.node(id).op) {
            Some((_, _, 1)) => {}
            Some((_, _, groups)) if groups == read.len() => {
                for (o, label) in written.iter().enumerate() {
                    self.ties.tie(*label, read[o / (written.len() / groups)]);
                }
            }
            _ => read.iter().chain(written).for_each(|label| {
                self.ties.tie(*label, 0);
            }),
        }
    }

    /// A homogeneous operator: what has the same index along the axes that it keeps is one class.
    fn follow(&mut self, id: NodeId) {
        let node = self.graph.node(id);
        let Some(input) = node.inputs.first().copied().flatten() else { return };
        let map = node.op.operator().axes(&Args(&self.graph.args(id)));
        let from = |links: &Vec<(usize, usize)>| links.iter().find(|(i, _)| *i == 0).map(|(_, axis)| *axis);
        let kept: Vec<(usize, usize)> =
            map.0.iter().enumerate().filter_map(|(to, links)| Some((from(links)?, to))).collect();
        let (inner, outer): (Vec<usize>, Vec<usize>) = kept.into_iter().unzip();
        let classes = self.tie_along(input, &inner);
        let output = node.outputs[0];
        let shape = &self.graph.value(output).ty.shape;
        let labels = (0..shape.iter().product()).map(|e| classes[along(shape, &outer, e)]).collect();
        self.labels.insert(output, labels);
    }

    /// An addition of two computed values of one shape: all three have one scale.
    fn join(&mut self, id: NodeId) {
        let node = self.graph.node(id);
        let output = node.outputs[0];
        let same = |v: &Option<ValueId>| {
            v.is_some_and(|v| {
                self.graph.constant(v).is_none() && self.graph.value(v).ty == self.graph.value(output).ty
            })
        };
        if !node.inputs.iter().all(same) {
            return self.pin_inputs(id);
        }
        let operands: Vec<_> = node.inputs.iter().flatten().map(|v| self.labels(*v)).collect();
        let labels = (0..operands[0].len()).map(|e| {
            operands[1..].iter().fold(operands[0][e], |label, other| self.ties.tie(label, other[e]))
        });
        let labels = labels.collect();
        self.labels.insert(output, labels);
    }

    /// An operator that only moves values moves the labels the same way.
    fn moves(&mut self, id: NodeId) -> Result<(), Diagnostic> {
        let node = self.graph.node(id);
        let roles = node.op.operator().quantize();
        let mut moved: Vec<Option<Tensor>> = vec![];
        for (i, value) in node.inputs.iter().enumerate() {
            let shape = roles.role(i) == crate::ops::InputRole::Shape;
            moved.push(value.filter(|_| !shape).map(|v| {
                let labels: Vec<i32> = self.labels(v).into_iter().map(|l| l as i32).collect();
                Tensor::from_i32(&self.graph.value(v).ty.shape, &labels)
            }));
        }
        let args = self.graph.args(id);
        let labelled: Vec<Option<Arg>> = args
            .iter()
            .zip(&moved)
            .map(|(arg, label)| match label {
                Some(t) => Some(Arg { ty: t.ty(), value: Some(t), qparams: None }),
                None => *arg,
            })
            .collect();
        let types: Vec<TensorType> = node
            .outputs
            .iter()
            .map(|o| TensorType::new(ElemType::I32, self.graph.value(*o).ty.shape.clone()))
            .collect();
        match lower::evaluate(&node.op, &Args(&labelled), &types)? {
            Some(results) if self.purpose == Purpose::Remove && !results.iter().all(|t| self.is_box(t)) => {
                self.pin_inputs(id)
            }
            Some(results) => {
                for (output, labels) in node.outputs.iter().zip(results) {
                    let labels = labels.to_i64s().into_iter().map(|l| l as usize).collect();
                    self.labels.insert(*output, labels);
                }
            }
            None => self.pin_inputs(id),
        }
        Ok(())
    }

    /// Whether the classes of a value differ along one axis only, so that a box is left without any of them. What is tied
    /// later may only make fewer classes of them.
    fn is_box(&self, labels: &Tensor) -> bool {
        let shape = labels.shape();
        let labels: Vec<usize> = labels.to_i64s().iter().map(|l| self.ties.root(*l as usize)).collect();
        (0..shape.len()).any(|axis| {
            let mut seen = vec![usize::MAX; shape[axis]];
            labels.iter().enumerate().all(|(e, &label)| {
                let class = &mut seen[along(shape, &[axis], e)];
                *class = if *class == usize::MAX { label } else { *class };
                *class == label
            })
        })
    }

    fn pads_with_zero(&self, id: NodeId) -> bool {
        let value = self.graph.node(id).inputs.get(2).copied().flatten();
        value.is_none_or(|v| self.graph.constant(v).is_some_and(|t| t.to_f32s().iter().all(|x| *x == 0.0)))
    }

    /// Numbers the classes that layers write and read, from 1 in the order of the layers.
    fn finish(self) -> Channels {
        let Search { ties, mut sources, mut sinks, labels: mut elements, .. } = self;
        let mut number: HashMap<usize, usize> = HashMap::from([(0, 0)]);
        for side in sources.iter_mut().chain(&mut sinks) {
            for class in &mut side.classes {
                let next = number.len();
                *class = *number.entry(ties.root(*class)).or_insert(next);
            }
        }
        for label in elements.values_mut().flatten() {
            *label = number.get(&ties.root(*label)).copied().unwrap_or(0);
        }
        Channels { count: number.len(), sources, sinks, elements }
    }
}

/// Whether `clamp(k * x) = k * clamp(x)` for every positive `k`.
fn homogeneous(clamp: Clamp) -> bool {
    let fixed = |bound: f32| bound == 0.0 || bound.is_infinite();
    fixed(clamp.min) && fixed(clamp.max)
}

/// The row-major index along `axes` of element `element` of a tensor.
fn along(shape: &[usize], axes: &[usize], element: usize) -> usize {
    axes.iter().fold(0, |index, &axis| {
        let inner: usize = shape[axis + 1..].iter().product();
        index * shape[axis] + element / inner % shape[axis]
    })
}
