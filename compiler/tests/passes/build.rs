//! Small graphs for tests of passes, and the proof that a pass keeps their meaning: both are lowered and run.

use kiln_compiler::graph::{Graph, Origin, ValueId};
use kiln_compiler::ops::shared::{AutoPad, Clamp, Padding, WindowSpec};
use kiln_compiler::ops::{self, Op};
use kiln_compiler::passes::{self, Pass};
use kiln_compiler::tensor::{ElemType, Tensor, TensorType};
use kiln_compiler::{lower, program};

/// A graph under construction.
#[derive(Default)]
pub struct Build {
    /// The graph.
    pub graph: Graph,
    constants: usize,
}

impl Build {
    pub fn input(&mut self, name: &str, shape: &[usize]) -> ValueId {
        let id = self.graph.add_value(name, TensorType::new(ElemType::F32, shape));
        self.graph.inputs.push(id);
        id
    }

    pub fn constant(&mut self, tensor: Tensor) -> ValueId {
        self.constants += 1;
        self.graph.add_constant(&format!("c{}", self.constants), tensor)
    }

    /// Numbers that differ, of both signs, none of them large.
    pub fn weights(&mut self, shape: &[usize]) -> ValueId {
        self.constants += 1;
        let values = numbers(shape.iter().product(), self.constants as u32);
        self.constant(Tensor::from_f32(shape, &values))
    }

    pub fn f32(&mut self, shape: &[usize], values: &[f32]) -> ValueId {
        self.constant(Tensor::from_f32(shape, values))
    }

    pub fn i64(&mut self, values: &[i64]) -> ValueId {
        self.constant(Tensor::from_i64(&[values.len()], values))
    }

    /// A node called as its operator.
    pub fn node(&mut self, op: impl Into<Op>, inputs: &[ValueId]) -> ValueId {
        let op = op.into();
        let name = op.name().to_lowercase();
        let origin = Origin { nodes: vec![name.clone()], op_type: op.name().into() };
        let inputs = inputs.iter().map(|i| Some(*i)).collect();
        self.graph.insert(&name, op, inputs, origin).unwrap_or_else(|d| panic!("{d}"))
    }

    pub fn output(&mut self, value: ValueId) {
        self.graph.outputs.push(value);
    }

    pub fn transpose(&mut self, x: ValueId, perm: &[usize]) -> ValueId {
        self.node(ops::Transpose { perm: Some(perm.to_vec()) }, &[x])
    }

    pub fn reshape(&mut self, x: ValueId, to: &[i64]) -> ValueId {
        let to = self.i64(to);
        self.node(ops::Reshape::default(), &[x, to])
    }

    pub fn relu(&mut self, x: ValueId) -> ValueId {
        self.node(ops::Relu, &[x])
    }

    pub fn add(&mut self, a: ValueId, b: ValueId) -> ValueId {
        self.node(ops::Add { clamp: Clamp::NONE }, &[a, b])
    }

    pub fn mul(&mut self, a: ValueId, b: ValueId) -> ValueId {
        self.node(ops::Mul { clamp: Clamp::NONE }, &[a, b])
    }

    /// A convolution with weights of `[outputs, inputs, k, k]`, padded by `k / 2`.
    pub fn conv(&mut self, x: ValueId, outputs: usize, inputs: usize, k: usize) -> ValueId {
        let w = self.weights(&[outputs, inputs, k, k]);
        self.node(conv_op(k / 2), &[x, w])
    }

    pub fn gemm(&mut self, x: ValueId, w: ValueId) -> ValueId {
        let op = ops::Gemm { alpha: 1.0, beta: 1.0, trans_a: false, trans_b: false, clamp: Clamp::NONE };
        self.node(op, &[x, w])
    }

    /// DequantizeLinear to one scale and zero point, of the stored value's own type.
    pub fn dequantize(&mut self, x: ValueId, scale: f32, zero: i32) -> ValueId {
        let (scale, zero) = self.parameters(self.graph.value(x).ty.elem, scale, zero);
        self.node(ops::DequantizeLinear { axis: 1, block: 0 }, &[x, scale, zero])
    }

    /// QuantizeLinear to int8.
    pub fn quantize(&mut self, x: ValueId, scale: f32, zero: i32) -> ValueId {
        let (scale, zero) = self.parameters(ElemType::I8, scale, zero);
        self.node(ops::QuantizeLinear { axis: 1, elem: ElemType::I8 }, &[x, scale, zero])
    }

    fn parameters(&mut self, elem: ElemType, scale: f32, zero: i32) -> (ValueId, ValueId) {
        let zero = match elem {
            ElemType::U8 => Tensor::from_u8(&[], &[zero as u8]),
            ElemType::I32 => Tensor::from_i32(&[], &[zero]),
            _ => Tensor::from_i8(&[], &[zero as i8]),
        };
        (self.constant(Tensor::from_f32(&[], &[scale])), self.constant(zero))
    }

    /// Runs passes, on a graph that cannot run before `quant` has seen it.
    pub fn rewrite(&self, list: &[&dyn Pass]) -> Graph {
        let mut graph = self.graph.clone();
        passes::run(&mut graph, list, &mut vec![]).unwrap_or_else(|d| panic!("{d}"));
        graph
    }

    /// Runs passes; the outputs must stay what they were, up to the rounding of sums in another order.
    pub fn run(&self, list: &[&dyn Pass]) -> Graph {
        let graph = self.rewrite(list);
        let names = |g: &Graph| g.outputs.iter().map(|o| g.value(*o).name.clone()).collect::<Vec<_>>();
        assert_eq!(names(&graph), names(&self.graph), "outputs keep their names");
        for (before, after) in execute(&self.graph).iter().zip(execute(&graph)) {
            assert_eq!(before.ty(), after.ty());
            for (a, b) in before.to_f32s().iter().zip(after.to_f32s()) {
                assert!((a - b).abs() <= 1e-5 + 1e-5 * a.abs(), "{a} became {b}\n{graph}");
            }
        }
        graph
    }

    /// The operators that are left after a pass.
    pub fn after(&self, pass: &dyn Pass) -> String {
        operators(&self.run(&[pass]))
    }

    /// The operators that are left after all float passes.
    pub fn after_all(&self) -> String {
        operators(&self.run(&passes::float_passes()))
    }
}

pub fn conv_op(pad: usize) -> ops::Conv {
    ops::Conv { window: window(&[], pad), groups: 1, clamp: Clamp::NONE }
}

pub fn window(kernel: &[usize], pad: usize) -> WindowSpec {
    let padding = Padding { auto: AutoPad::NotSet, pads: vec![pad; 4] };
    WindowSpec { kernel: kernel.to_vec(), strides: vec![], dilations: vec![], padding, ceil_mode: false }
}

/// Names of the operators in order.
pub fn operators(graph: &Graph) -> String {
    let order = graph.topological().expect("no cycle");
    order.iter().map(|id| graph.node(*id).op.name()).collect::<Vec<_>>().join(" ")
}

/// The only node of that operator.
pub fn find<'g>(graph: &'g Graph, op: &str) -> &'g kiln_compiler::graph::Node {
    let ids = graph.node_ids();
    let id = ids.into_iter().find(|id| graph.node(*id).op.name() == op);
    graph.node(id.unwrap_or_else(|| panic!("no {op} in\n{graph}")))
}

fn numbers(count: usize, seed: u32) -> Vec<f32> {
    let mut state = seed.wrapping_mul(2_654_435_761).wrapping_add(12345);
    let mut next = || {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        (state >> 16) as f32 / 65536.0 * 2.0 - 1.0
    };
    (0..count).map(|_| next()).collect()
}

/// The outputs of a graph for inputs that depend on nothing but their number and type.
pub fn execute(graph: &Graph) -> Vec<Tensor> {
    let program = lower::lower(graph).unwrap_or_else(|d| panic!("{d}\n{graph}"));
    let inputs: Vec<Tensor> = graph
        .inputs
        .iter()
        .enumerate()
        .map(|(i, id)| {
            let ty = &graph.value(*id).ty;
            let values = numbers(ty.elements(), 77 + i as u32);
            match ty.elem {
                ElemType::U8 => Tensor::from_u8(
                    &ty.shape,
                    &values.iter().map(|v| (v * 127.0 + 128.0) as u8).collect::<Vec<_>>(),
                ),
                ElemType::I8 => {
                    Tensor::from_i8(&ty.shape, &values.iter().map(|v| (v * 127.0) as i8).collect::<Vec<_>>())
                }
                _ => Tensor::from_f32(&ty.shape, &values),
            }
        })
        .collect();
    program::run(&program, &inputs).unwrap_or_else(|d| panic!("{d}"))
}
