//! Post-training quantization as one pure function: a fused float graph and samples in, a QDQ file and what the profile says
//! of it out.

use crate::diag::{Diagnostic, Diagnostics};
use crate::graph::{self, Graph, NodeId, ValueId};
use crate::onnx;
use crate::ops::Op;
use crate::quant::tune::{self, Aim, Bounds, Plan, Trial};
use crate::quant::{
    self, Activation, Choice, Precision, ProfileRange, Samples, Scheme, Sites, fallback, logits,
};
use crate::tensor::{ElemType, QParams};
use std::collections::{BTreeMap, HashSet};

/// What a user may ask for.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct QuantizeOptions {
    /// How ranges are chosen.
    pub choice: Choice,
    /// Names of layers that stay in float.
    pub float: Vec<String>,
    /// Widths of activations and weights, and what `auto` is to reach.
    pub aim: Aim,
}

/// A quantized model.
#[derive(Debug, Clone)]
pub struct Quantized {
    /// The ONNX file in QDQ form.
    pub onnx: Vec<u8>,
    /// All decisions.
    pub scheme: Scheme,
    /// Output signal-to-noise ratio on (some of) the samples, in dB.
    pub snr_db: f64,
    /// Layers in order of execution, with their precision.
    pub layers: Vec<(String, String)>,
    /// Activations with a range of their own, in order of execution.
    pub ranges: Vec<(String, ProfileRange)>,
    /// The accuracy tools that `auto` chose.
    pub plan: Option<Plan>,
    /// What it tried, in dB.
    pub trials: Vec<Trial>,
}

/// Quantizes a graph that [`super::float_graph`] made.
///
/// # Errors
/// `E0320` and `E0321` for samples that cannot be used, `E0322` for a graph that is quantized already, `E0323` when nothing of it
/// can be, `E0324` for layers that are not there.
pub fn quantize(
    graph: &Graph,
    samples: &Samples,
    options: &QuantizeOptions,
) -> Result<Quantized, Diagnostics> {
    let float = checked(graph, options)?;
    let sites = Sites::of(graph, &|id| float.contains(&id));
    if sites.nodes.is_empty() {
        return Err(Diagnostic::new("E0323", "no layer of this model can be computed in integers")
            .help("it has no Conv, Gemm, MatMul, Add or pooling in f32, or all of them are to stay in float")
            .into());
    }
    let made = match options.choice {
        Choice::Auto => tuned(graph, &|id| float.contains(&id), samples, options.aim)?,
        choice => plain(graph, &sites, samples, choice, options.aim)?,
    };
    let snr_db = quant::score::output_db(&made.graph, &made.scheme, samples)?;
    let quantized = made.scheme.apply(&made.graph)?;
    graph::verify(&quantized)
        .map_err(|e| Diagnostic::new("E0902", format!("internal error after quantization: {e}")))?;
    Ok(Quantized {
        onnx: onnx::write(&graph::export(&quantized)?),
        snr_db: snr_db.min(300.0),
        layers: layers(&made.graph, &made.scheme),
        ranges: entries(&made.graph, &sites, &made.ranges, &made.scheme),
        scheme: made.scheme,
        plan: made.plan,
        trials: made.trials,
    })
}

/// A scheme, the graph that it is for (which tools may have changed), and where ranges come from.
struct Made {
    graph: Graph,
    scheme: Scheme,
    ranges: BTreeMap<ValueId, (f32, f32, &'static str)>,
    plan: Option<Plan>,
    trials: Vec<Trial>,
}

fn plain(
    graph: &Graph,
    sites: &Sites,
    samples: &Samples,
    choice: Choice,
    aim: Aim,
) -> Result<Made, Diagnostics> {
    let ranges = quant::calibrate(graph, sites, samples, choice)?;
    let mut bounds = quant::bounds(&ranges);
    let all: Vec<usize> = (0..samples.count).collect();
    logits::faint(graph, sites, samples, &all, &mut bounds)?;
    let mut scheme = Scheme::new(graph, sites, &bounds);
    fallback::widen(graph, sites, &fallback::asked(graph, sites, aim), &mut scheme);
    let name = |v: &ValueId| ranges.get(v).map_or("minmax", |r| r.method.name());
    let ranges = bounds.iter().map(|(v, (low, high))| (*v, (*low, *high, name(v)))).collect();
    Ok(Made { graph: graph.clone(), scheme, ranges, plan: None, trials: vec![] })
}

fn tuned(
    graph: &Graph,
    float: &dyn Fn(NodeId) -> bool,
    samples: &Samples,
    aim: Aim,
) -> Result<Made, Diagnostics> {
    let (tuned, plan, trials) = tune::tune(graph, float, samples, aim)?;
    let named = |ranges: &Bounds| ranges.iter().map(|(v, r)| (*v, (r.0, r.1, "auto"))).collect();
    let ranges = named(&tuned.ranges);
    Ok(Made { graph: tuned.graph, scheme: tuned.scheme, ranges, plan: Some(plan), trials })
}

/// The layers that stay in float, by their names.
fn checked(graph: &Graph, options: &QuantizeOptions) -> Result<HashSet<NodeId>, Diagnostic> {
    let ids = graph.node_ids();
    let converts =
        |id: &&NodeId| matches!(graph.node(**id).op, Op::QuantizeLinear(_) | Op::DequantizeLinear(_));
    if let Some(&id) = ids.iter().find(converts) {
        let d = Diagnostic::new("E0322", "the model is quantized already")
            .help("compile it as it is, or quantize the float model that it was made from");
        return Err(d.at(&graph.node(id).name, &graph.node(id).origin.op_type));
    }
    let mut found = HashSet::new();
    for name in &options.float {
        let named = ids.iter().find(|id| {
            let node = graph.node(**id);
            node.name == *name || node.origin.nodes.contains(name)
        });
        let Some(id) = named else {
            let all: Vec<_> = ids.iter().map(|id| format!("`{}`", graph.node(*id).name)).collect();
            return Err(Diagnostic::new("E0324", format!("there is no layer `{name}`"))
                .fact("layers", all.join(", ")));
        };
        found.insert(*id);
    }
    Ok(found)
}

fn layers(graph: &Graph, scheme: &Scheme) -> Vec<(String, String)> {
    let order = graph.topological().unwrap_or_default();
    let precision = |id: &NodeId| {
        let name = scheme.nodes.get(id).copied().unwrap_or(Precision::Float).name();
        let narrow = scheme.weights.get(&(*id, 1)).is_some_and(|w| w.integers.elem() == ElemType::I4);
        if narrow && name != "float" { format!("{name}, int4 weights") } else { name.to_string() }
    };
    order.iter().map(|id| (graph.node(*id).name.clone(), precision(id))).collect()
}

/// Roots in the order in which they are computed.
fn entries(
    graph: &Graph,
    sites: &Sites,
    ranges: &BTreeMap<ValueId, (f32, f32, &'static str)>,
    scheme: &Scheme,
) -> Vec<(String, ProfileRange)> {
    let order = graph.topological().unwrap_or_default();
    let outputs = order.iter().flat_map(|id| &graph.node(*id).outputs);
    let values = graph.inputs.iter().chain(outputs).filter(|v| sites.roots.get(v) == Some(v));
    let entry = |v: &ValueId| {
        let Activation { params, bits } = scheme.values.get(v)?;
        let (low, high) = ranges.get(v).map_or_else(|| whole(params, *bits), |r| (r.0, r.1));
        let method = ranges.get(v).map_or("fixed", |r| r.2).to_string();
        let (scale, zero_point) = (params.scale[0], params.zero_point[0]);
        Some((graph.value(*v).name.clone(), ProfileRange { low, high, scale, zero_point, method }))
    };
    values.filter_map(entry).collect()
}

/// What all integers together can say.
fn whole(params: &QParams, bits: u8) -> (f32, f32) {
    let real = |q: i32| (q - params.zero_point[0]) as f32 * params.scale[0];
    let half = 1 << (bits - 1);
    (real(-half), real(half - 1))
}
