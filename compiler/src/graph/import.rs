//! From the ONNX file's graph to ours: names resolved, shapes fixed, every node replaced by its operators' fragment, every
//! type inferred. Shape arithmetic is folded on the way, since later shapes depend on it.

use super::{Graph, NodeId, Origin, ValueId};
use crate::diag::{Diagnostic, Diagnostics};
use crate::onnx::{self, Dim};
use crate::ops::{self, Arg, Args, Fragment, ImportContext, Op, Wire};
use crate::tensor::{ElemType, Tensor, TensorType};
use std::collections::{BTreeMap, HashMap, HashSet, VecDeque};

/// How dynamic dimensions become fixed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ImportOptions {
    /// What a dynamic first dimension becomes.
    pub batch: usize,
    /// Shapes of inputs by name.
    pub shapes: BTreeMap<String, Vec<usize>>,
}

impl Default for ImportOptions {
    fn default() -> ImportOptions {
        ImportOptions { batch: 1, shapes: BTreeMap::new() }
    }
}

/// Computes a node whose outputs do not depend on run-time values; `None` when they do. `lower::evaluate` is one.
pub type Evaluate<'a> = &'a dyn Fn(&Op, &Args, &[TensorType]) -> Result<Option<Vec<Tensor>>, Diagnostic>;

/// Folded outputs are shapes and indices; larger integer tensors are data.
const MAX_FOLDED: usize = 1 << 16;

/// Imports a model.
///
/// # Errors
/// All unsupported operators at once (`E0201`); `E0210` to `E0215` for names, cycles and dynamic shapes; what operators say.
pub fn import(
    model: &onnx::Model,
    options: &ImportOptions,
    evaluate: Evaluate,
) -> Result<Graph, Diagnostics> {
    unsupported(model)?;
    let mut importer = Importer { model, evaluate, graph: Graph::default(), names: HashMap::new() };
    importer.graph.name = model.graph.name.clone();
    importer.constants()?;
    importer.inputs(options)?;
    for index in order(model)? {
        importer.node(&model.graph.nodes[index])?;
    }
    importer.outputs()?;
    super::verify(&importer.graph)
        .map_err(|e| Diagnostic::new("E0902", format!("internal error after import: {e}")))?;
    Ok(importer.graph)
}

fn unsupported(model: &onnx::Model) -> Result<(), Diagnostics> {
    let mut all: BTreeMap<String, Vec<&str>> = BTreeMap::new();
    for node in model.graph.nodes.iter().filter(|n| !ops::is_supported(n)) {
        all.entry(ops::qualified(node)).or_default().push(layer_name(node));
    }
    let diagnostics: Vec<_> = all
        .into_iter()
        .map(|(op, nodes)| {
            let more = if nodes.len() > 1 { format!(" and {} more", nodes.len() - 1) } else { String::new() };
            Diagnostic::new("E0201", format!("operator `{op}` is not supported"))
                .at(nodes[0], &op)
                .fact("nodes", format!("`{}`{more}", nodes[0]))
                .help("replace the operator at export, or cut the model before it")
        })
        .collect();
    Diagnostics::ok_or((), diagnostics)
}

fn layer_name(node: &onnx::Node) -> &str {
    match node.name.as_str() {
        "" => node.outputs.first().map_or("", String::as_str),
        name => name,
    }
}

/// Indices of the nodes such that every one comes after those it reads from. The file's order, where that is one.
fn order(model: &onnx::Model) -> Result<Vec<usize>, Diagnostic> {
    let nodes = &model.graph.nodes;
    let mut producer: HashMap<&str, usize> = HashMap::new();
    let mut known: HashSet<&str> = model.graph.initializers.iter().map(|(n, _)| n.as_str()).collect();
    known.extend(model.graph.inputs.iter().map(|v| v.name.as_str()));
    for (index, node) in nodes.iter().enumerate() {
        for output in node.outputs.iter().filter(|o| !o.is_empty()) {
            if known.contains(output.as_str()) || producer.insert(output, index).is_some() {
                return Err(Diagnostic::new("E0211", format!("the name `{output}` is defined twice"))
                    .at(layer_name(node), &node.op_type)
                    .help("every value of an ONNX graph has one definition; rename one of them"));
            }
        }
    }
    let mut missing = vec![0usize; nodes.len()];
    let mut readers: Vec<Vec<usize>> = vec![vec![]; nodes.len()];
    for (index, node) in nodes.iter().enumerate() {
        for input in node.inputs.iter().filter(|i| !i.is_empty()) {
            match producer.get(input.as_str()) {
                Some(&from) => {
                    missing[index] += 1;
                    readers[from].push(index);
                }
                None if known.contains(input.as_str()) => {}
                None => {
                    return Err(Diagnostic::new("E0210", format!("nothing defines `{input}`"))
                        .at(layer_name(node), &node.op_type)
                        .help("the file is damaged, or was cut: export it again"));
                }
            }
        }
    }
    let mut ready: VecDeque<usize> = (0..nodes.len()).filter(|&i| missing[i] == 0).collect();
    let mut order = Vec::with_capacity(nodes.len());
    while let Some(index) = ready.pop_front() {
        order.push(index);
        for &reader in &readers[index] {
            missing[reader] -= 1;
            if missing[reader] == 0 {
                ready.push_back(reader);
            }
        }
    }
    if let Some(index) = (0..nodes.len()).find(|&i| missing[i] > 0 && order.len() < nodes.len()) {
        let on_cycle = walk_back_to_cycle(index, nodes, &producer, &missing);
        return Err(Diagnostic::new("E0212", "the graph has a cycle")
            .at(layer_name(&nodes[on_cycle]), &nodes[on_cycle].op_type)
            .help("an ONNX graph must be acyclic; state goes through inputs and outputs of the model"));
    }
    Ok(order)
}

/// From a node that waits for ever, to one that waits for itself.
fn walk_back_to_cycle(
    start: usize,
    nodes: &[onnx::Node],
    producer: &HashMap<&str, usize>,
    missing: &[usize],
) -> usize {
    let mut seen = HashSet::new();
    let mut at = start;
    while seen.insert(at) {
        let inputs = nodes[at].inputs.iter();
        match inputs.filter_map(|i| producer.get(i.as_str())).find(|&&p| missing[p] > 0) {
            Some(&before) => at = before,
            None => break,
        }
    }
    at
}

struct Importer<'a> {
    model: &'a onnx::Model,
    evaluate: Evaluate<'a>,
    graph: Graph,
    names: HashMap<String, ValueId>,
}

impl Importer<'_> {
    fn constants(&mut self) -> Result<(), Diagnostic> {
        for (name, tensor) in &self.model.graph.initializers {
            let id = self.graph.add_constant(name, tensor.clone());
            if self.names.insert(name.clone(), id).is_some() {
                return Err(Diagnostic::new("E0211", format!("the name `{name}` is defined twice"))
                    .help("two initializers have the same name; rename one of them"));
            }
        }
        Ok(())
    }

    fn inputs(&mut self, options: &ImportOptions) -> Result<(), Diagnostics> {
        let mut problems = vec![];
        let mut unused: HashSet<&String> = options.shapes.keys().collect();
        for info in &self.model.graph.inputs {
            unused.remove(&info.name);
            // Until IR version 4, initializers were listed as inputs too.
            if self.names.contains_key(&info.name) {
                continue;
            }
            match input_type(info, options) {
                Ok(ty) => {
                    let id = self.graph.add_value(&info.name, ty);
                    self.graph.inputs.push(id);
                    self.names.insert(info.name.clone(), id);
                }
                Err(d) => problems.push(d),
            }
        }
        if let Some(name) = unused.into_iter().min() {
            let names: Vec<_> = self.model.graph.inputs.iter().map(|i| format!("`{}`", i.name)).collect();
            problems.push(
                Diagnostic::new("E0214", format!("a shape was given for `{name}`, which is not an input"))
                    .fact("inputs", names.join(", ")),
            );
        }
        Diagnostics::ok_or((), problems)
    }

    fn outputs(&mut self) -> Result<(), Diagnostic> {
        for info in &self.model.graph.outputs {
            let Some(&id) = self.names.get(&info.name) else {
                return Err(Diagnostic::new("E0210", format!("nothing defines the output `{}`", info.name))
                    .help("the file is damaged, or was cut: export it again"));
            };
            self.graph.outputs.push(id);
        }
        if self.graph.outputs.is_empty() {
            return Err(Diagnostic::new("E0215", "the model has no outputs"));
        }
        Ok(())
    }

    fn node(&mut self, node: &onnx::Node) -> Result<(), Diagnostic> {
        let domain = if node.domain == "ai.onnx" { "" } else { node.domain.as_str() };
        let opset = self.model.opsets.get(domain).copied().unwrap_or(1);
        let fragment = ops::import(ImportContext { node, opset })
            .map_err(|d| d.at(layer_name(node), &ops::qualified(node)))?;
        self.splice(node, fragment)
    }

    fn splice(&mut self, node: &onnx::Node, fragment: Fragment) -> Result<(), Diagnostic> {
        let last = fragment.nodes.len().saturating_sub(1);
        let mut made: Vec<Vec<ValueId>> = vec![];
        for (index, (op, wires, outputs)) in fragment.nodes.into_iter().enumerate() {
            let inputs: Vec<_> = wires.iter().map(|w| self.wire(w, node, &made)).collect();
            let base = layer_name(node);
            let name = if last == 0 { base.to_string() } else { format!("{base}/{}", op.name()) };
            let names = (0..outputs).map(|o| {
                let wire = Wire::Node(index, o);
                let onnx = fragment.outputs.iter().position(|w| *w == wire).and_then(|i| node.outputs.get(i));
                onnx.filter(|n| !n.is_empty()).cloned().unwrap_or_else(|| format!("{name}:{o}"))
            });
            let names: Vec<_> = names.collect();
            made.push(self.add(&name, op, inputs, &names, node)?);
        }
        for (wire, name) in fragment.outputs.iter().zip(&node.outputs) {
            if let (Some(id), false) = (self.wire(wire, node, &made), name.is_empty()) {
                self.names.insert(name.clone(), id);
            }
        }
        Ok(())
    }

    fn wire(&mut self, wire: &Wire, node: &onnx::Node, made: &[Vec<ValueId>]) -> Option<ValueId> {
        match wire {
            Wire::Input(i) => node.inputs.get(*i).and_then(|name| self.names.get(name)).copied(),
            Wire::Node(n, o) => made.get(*n).and_then(|m| m.get(*o)).copied(),
            Wire::Const(t) => {
                Some(self.graph.add_constant(&format!("{}/const", layer_name(node)), t.clone()))
            }
            Wire::None => None,
        }
    }

    /// Adds one operator; folds it when its outputs are shape arithmetic.
    fn add(
        &mut self,
        name: &str,
        op: Op,
        inputs: Vec<Option<ValueId>>,
        names: &[String],
        node: &onnx::Node,
    ) -> Result<Vec<ValueId>, Diagnostic> {
        let origin = Origin { nodes: vec![layer_name(node).to_string()], op_type: ops::qualified(node) };
        let id = self.graph.add_node(name, op, inputs, vec![], origin);
        let types = self.graph.infer(id)?;
        if let Some(tensors) = self.fold(id, &types)? {
            self.graph.remove_node(id);
            return Ok(names.iter().zip(tensors).map(|(n, t)| self.graph.add_constant(n, t)).collect());
        }
        let outputs: Vec<_> =
            names.iter().zip(types).map(|(name, ty)| self.graph.add_value(name, ty)).collect();
        self.graph.node_mut(id).outputs = outputs.clone();
        Ok(outputs)
    }

    fn fold(&self, id: NodeId, types: &[TensorType]) -> Result<Option<Vec<Tensor>>, Diagnostic> {
        let shape_like = |t: &TensorType| {
            matches!(t.elem, ElemType::I64 | ElemType::I32 | ElemType::Bool) && t.elements() <= MAX_FOLDED
        };
        if !types.iter().all(shape_like) {
            return Ok(None);
        }
        let args: Vec<Option<Arg>> = self.graph.args(id);
        let op = &self.graph.node(id).op;
        (self.evaluate)(op, &Args(&args), types).map_err(|d| self.graph.locate(d, id))
    }
}

fn input_type(info: &onnx::ValueInfo, options: &ImportOptions) -> Result<TensorType, Diagnostic> {
    let elem = info.elem.ok_or_else(|| {
        Diagnostic::new("E0213", format!("input `{}` has no tensor type", info.name))
            .help("sequences, maps and optional inputs are not supported")
    })?;
    let given = options.shapes.get(&info.name);
    let (Some(dims), None) = (&info.shape, given) else {
        return match given {
            Some(shape) => fits(info, shape).map(|()| TensorType::new(elem, shape.clone())),
            None => Err(dynamic(info, "its shape is unknown")),
        };
    };
    let fixed = dims.iter().enumerate().map(|(axis, dim)| match dim {
        Dim::Fixed(n) => Ok(*n),
        _ if axis == 0 => Ok(options.batch),
        Dim::Symbol(s) => Err(dynamic(info, &format!("dimension {axis} is `{s}`"))),
        Dim::Unknown => Err(dynamic(info, &format!("dimension {axis} is unknown"))),
    });
    Ok(TensorType::new(elem, fixed.collect::<Result<Vec<_>, _>>()?))
}

/// A given shape may fix what is dynamic, not change what is fixed.
fn fits(info: &onnx::ValueInfo, shape: &[usize]) -> Result<(), Diagnostic> {
    let Some(dims) = &info.shape else { return Ok(()) };
    let same = |(d, n): (&Dim, &usize)| !matches!(d, Dim::Fixed(f) if f != n);
    if dims.len() == shape.len() && dims.iter().zip(shape).all(same) {
        return Ok(());
    }
    Err(Diagnostic::new("E0214", format!("the shape given for `{}` contradicts the model", info.name))
        .fact("given", format!("{shape:?}"))
        .fact("model", describe(dims)))
}

fn dynamic(info: &onnx::ValueInfo, what: &str) -> Diagnostic {
    let shape = info.shape.as_ref().map_or("unknown".to_string(), |d| describe(d));
    let example = info.shape.as_ref().map_or("1x3x96x96".to_string(), |dims| {
        let extents = dims.iter().map(|d| if let Dim::Fixed(n) = d { n.to_string() } else { "1".into() });
        extents.collect::<Vec<_>>().join("x")
    });
    Diagnostic::new("E0213", format!("input `{}` is dynamic: {what}", info.name))
        .fact("shape", shape)
        .help(format!("fix it with `--shape {}={example}`, with your own extents", info.name))
}

fn describe(dims: &[Dim]) -> String {
    let dims: Vec<_> = dims
        .iter()
        .map(|d| match d {
            Dim::Fixed(n) => n.to_string(),
            Dim::Symbol(s) => s.clone(),
            Dim::Unknown => "?".to_string(),
        })
        .collect();
    format!("[{}]", dims.join(", "))
}
