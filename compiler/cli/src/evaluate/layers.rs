//! Where the error comes from: every value of the compiled program against the float model's value of that name.

use super::metrics::snr_db;
use super::reals;
use kiln_compiler::diag::{Diagnostic, Diagnostics};
use kiln_compiler::graph::{Graph, ValueId};
use kiln_compiler::quant::Trace;
use kiln_compiler::tensor::{ElemType, QParams, Tensor};
use std::collections::HashMap;

/// What quantizers append to the name of the float value.
const SUFFIXES: &[&str] = &[
    "_i8",
    "_i16",
    "/integer",
    "_QuantizeLinear_Output",
    "_DequantizeLinear_Output",
    "_quantized",
    "_prequant",
];

/// One row of the table.
#[derive(Debug, Clone, PartialEq)]
pub struct LayerSnr {
    /// Name of the value in the compiled model.
    pub name: String,
    /// Operator that computes it.
    pub op: String,
    /// Signal-to-noise ratio in dB, infinite for equal values.
    pub snr_db: f64,
}

/// The values that are compared.
#[derive(Debug)]
pub(super) struct Layers {
    compiled: Trace,
    /// The fused float graph, and the one of the file: names of values that fusion removed are found there.
    float: [Trace; 2],
    rows: Vec<Row>,
}

#[derive(Debug)]
struct Row {
    name: String,
    op: String,
    params: Option<QParams>,
    /// Index of the value among those watched of each float graph. Where both have the name, the nearer one is meant: a
    /// convolution keeps its name when a Relu is fused into it.
    float: [Option<usize>; 2],
}

impl Layers {
    /// Matches values by name, without what quantizers append.
    ///
    /// # Errors
    /// As lowering.
    pub(super) fn new(graph: &Graph, graphs: [&Graph; 2]) -> Result<Layers, Diagnostic> {
        let names = graphs.map(|g| {
            let float = |v: &ValueId| g.value(*v).ty.elem == ElemType::F32 && g.constant(*v).is_none();
            let computed = g.value_ids().filter(|v| float(v) && is_used(g, *v));
            computed.map(|v| (g.value(v).name.clone(), v)).collect::<HashMap<_, _>>()
        });
        let mut watched: [Vec<ValueId>; 2] = [vec![], vec![]];
        let (mut values, mut rows) = (vec![], vec![]);
        for id in graph.topological().unwrap_or_default() {
            for &output in &graph.node(id).outputs {
                let value = graph.value(output);
                let real = value.ty.elem == ElemType::F32 || value.qparams.is_some();
                if !real || graph.constant(output).is_some() {
                    continue;
                }
                let mut found = [None, None];
                for (side, slot) in found.iter_mut().enumerate() {
                    let fits = |v: ValueId| same_extents(&graphs[side].value(v).ty.shape, &value.ty.shape);
                    let float = spellings(&value.name).iter().find_map(|n| names[side].get(*n).copied());
                    if let Some(float) = float.filter(|v| fits(*v)) {
                        *slot = Some(watched[side].len());
                        watched[side].push(float);
                    }
                }
                if found != [None, None] {
                    values.push(output);
                    let op = graph.node(id).origin.op_type.clone();
                    rows.push(Row {
                        name: value.name.clone(),
                        op,
                        params: value.qparams.clone(),
                        float: found,
                    });
                }
            }
        }
        let first = |d: Diagnostics| {
            d.0.into_iter().next().unwrap_or_else(|| Diagnostic::new("E0606", "layers cannot be compared"))
        };
        let watch = |graph, values: &[ValueId]| Trace::new(graph, values).map_err(first);
        let float = [watch(graphs[0], &watched[0])?, watch(graphs[1], &watched[1])?];
        Ok(Layers { compiled: watch(graph, &values)?, float, rows })
    }

    /// Number of sums that [`Layers::measure`] returns.
    pub(super) fn len(&self) -> usize {
        2 * self.rows.len()
    }

    /// Squares of the float values and of the differences, for each row and float graph.
    pub(super) fn measure(
        &self,
        inputs: &[Tensor],
        float_inputs: &[Tensor],
    ) -> Result<Vec<(f64, f64)>, Diagnostic> {
        let mut ours = vec![vec![]; self.rows.len()];
        self.compiled
            .run(inputs, &mut |at, tensor| ours[at] = reals(tensor, self.rows[at].params.as_ref()))?;
        let mut sums = vec![(0.0, 0.0); self.len()];
        for (side, trace) in self.float.iter().enumerate() {
            let mut theirs: Vec<Vec<f64>> = vec![];
            trace.run(float_inputs, &mut |_, tensor| theirs.push(tensor.to_f64s()))?;
            for (i, (row, ours)) in self.rows.iter().zip(&ours).enumerate() {
                let pairs = row.float[side].map_or(&[][..], |at| &theirs[at]).iter().zip(ours);
                sums[2 * i + side] =
                    pairs.fold((0.0, 0.0), |(s, n), (a, b)| (s + a * a, n + (a - b) * (a - b)));
            }
        }
        Ok(sums)
    }

    /// The table, from the sums over all samples.
    pub(super) fn finish(self, sums: &[(f64, f64)]) -> Vec<LayerSnr> {
        let row = |(row, sums): (Row, &[(f64, f64)])| {
            let found = row.float.iter().zip(sums).filter(|(at, _)| at.is_some());
            let snr_db = found.map(|(_, (s, n))| snr_db(*s, *n)).fold(f64::NEG_INFINITY, f64::max);
            LayerSnr { name: row.name, op: row.op, snr_db }
        };
        self.rows.into_iter().zip(sums.chunks(2)).map(row).collect()
    }
}

/// Whether a node makes or reads the value: rewrites leave others behind.
fn is_used(graph: &Graph, value: ValueId) -> bool {
    graph.producer(value).is_some() || graph.inputs.contains(&value)
}

/// Extents of 1 move no value.
fn same_extents(a: &[usize], b: &[usize]) -> bool {
    let long = |s: &[usize]| s.iter().copied().filter(|d| *d != 1).collect::<Vec<_>>();
    long(a) == long(b)
}

/// A name, and the same without each suffix, one after the other. A quantizer that found its name taken has put a number behind.
fn spellings(name: &str) -> Vec<&str> {
    let mut found = vec![name];
    let mut rest = name;
    let strip =
        |name: &'_ str| -> Option<usize> { SUFFIXES.iter().find_map(|s| name.strip_suffix(s)).map(str::len) };
    loop {
        let bare = rest.trim_end_matches(|c: char| c.is_ascii_digit());
        let numbered = bare.strip_suffix('_').filter(|_| bare.len() < rest.len());
        let Some(len) = strip(rest).or_else(|| strip(numbered?)) else { return found };
        rest = &rest[..len];
        found.push(rest);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_lose_what_quantizers_append() {
        assert_eq!(spellings("a/Relu_QuantizeLinear_Output"), ["a/Relu_QuantizeLinear_Output", "a/Relu"]);
        assert_eq!(spellings("x_quantized_i8"), ["x_quantized_i8", "x_quantized", "x"]);
        assert_eq!(spellings("x_quantized_2"), ["x_quantized_2", "x"]);
        assert_eq!(spellings("conv_2"), ["conv_2"]);
    }
}
