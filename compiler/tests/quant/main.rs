//! The accuracy tools of quantization on small graphs: what they must keep, what they must improve, and what they must
//! leave alone.

#[allow(dead_code)]
#[path = "../passes/build.rs"]
mod build;
mod equalize;
mod layers;
mod logits;
mod tune;

use kiln_compiler::graph::Graph;
use kiln_compiler::quant::Samples;
use kiln_compiler::tensor::{Tensor, TensorType};
use kiln_compiler::{lower, program};

/// Deterministic values between -1 and 1.
pub fn noise(count: usize, seed: u64) -> Vec<f32> {
    let mut state = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
    let next = |_| {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        (state >> 40) as f32 / (1u64 << 23) as f32 - 1.0
    };
    (0..count).map(next).collect()
}

/// A sample of that index for a graph with one input.
pub fn sample(ty: &TensorType, index: usize) -> Vec<Tensor> {
    vec![Tensor::from_f32(&ty.shape, &noise(ty.elements(), 100 + index as u64))]
}

/// Calls `f` with some samples for a graph with one input.
pub fn with_samples<T>(graph: &Graph, count: usize, f: impl FnOnce(&Samples) -> T) -> T {
    let ty = graph.value(graph.inputs[0]).ty.clone();
    let load = |i| Ok(sample(&ty, i));
    f(&Samples { count, load: &load, threads: 2, progress: &|| {} })
}

/// The outputs of a graph for a sample.
pub fn outputs(graph: &Graph, index: usize) -> Vec<f32> {
    let program = lower::lower(graph).unwrap_or_else(|d| panic!("{d}"));
    let input = sample(&graph.value(graph.inputs[0]).ty, index);
    let outputs = program::run(&program, &input).unwrap_or_else(|d| panic!("{d}"));
    outputs.iter().flat_map(Tensor::to_f32s).collect()
}

/// Two graphs that compute the same, up to rounding.
pub fn assert_same(a: &Graph, b: &Graph) {
    for index in 0..3 {
        for (a, b) in outputs(a, index).into_iter().zip(outputs(b, index)) {
            assert!((a - b).abs() <= 1e-5 + 1e-5 * a.abs(), "{a} became {b}");
        }
    }
}
