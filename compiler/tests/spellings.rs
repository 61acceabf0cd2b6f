//! Operators of the QOperator format: read from a file, they become integer kernels with the numbers that they state.

use kiln_compiler::driver::{self, Options};
use kiln_compiler::onnx::{Attribute, Attributes, Dim, Graph, Model, Node, ValueInfo, write};
use kiln_compiler::program::{self, Program};
use kiln_compiler::tensor::{ElemType, Tensor};
use std::collections::BTreeMap;

/// An input of the node: of the model, a constant, or omitted.
enum Operand {
    Input(Tensor),
    Constant(Tensor),
    Omitted,
}
use Operand::{Constant, Input, Omitted};

fn scale(value: f32) -> Operand {
    Constant(Tensor::from_f32(&[], &[value]))
}

fn zero(value: u8) -> Operand {
    Constant(Tensor::from_u8(&[], &[value]))
}

fn input(shape: &[usize], values: &[u8]) -> Operand {
    Input(Tensor::from_u8(shape, values))
}

/// A model of one node, as a file, with its input values.
fn model(
    name: &str,
    operands: Vec<Operand>,
    attributes: &[(&str, Attribute)],
    elem: ElemType,
) -> (Vec<u8>, Vec<Tensor>) {
    let (domain, op_type) = name.rsplit_once('.').unwrap_or(("", name));
    let mut graph = Graph { name: "one".into(), ..Graph::default() };
    let (mut values, mut names) = (vec![], vec![]);
    for (i, operand) in operands.into_iter().enumerate() {
        let name = format!("x{i}");
        match operand {
            Input(t) => {
                let shape = Some(t.shape().iter().map(|&n| Dim::Fixed(n)).collect());
                graph.inputs.push(ValueInfo { name: name.clone(), elem: Some(t.elem()), shape });
                values.push(t);
                names.push(name);
            }
            Constant(t) => {
                graph.initializers.push((name.clone(), t));
                names.push(name);
            }
            Omitted => names.push(String::new()),
        }
    }
    graph.outputs.push(ValueInfo { name: "y".into(), elem: Some(elem), shape: None });
    graph.nodes.push(Node {
        name: "node".into(),
        op_type: op_type.into(),
        domain: domain.into(),
        inputs: names,
        outputs: vec!["y".into()],
        attributes: Attributes(attributes.iter().map(|(n, a)| (n.to_string(), a.clone())).collect()),
    });
    let opsets = BTreeMap::from([(String::new(), 13), ("com.microsoft".into(), 1)]);
    (write(&Model { ir_version: 8, opsets, graph }), values)
}

/// The program and its output.
fn compile(
    name: &str,
    operands: Vec<Operand>,
    attributes: &[(&str, Attribute)],
    elem: ElemType,
) -> Result<(Program, Tensor), String> {
    let (bytes, inputs) = model(name, operands, attributes, elem);
    let compiled = driver::compile(&bytes, &mut |_, _, _| Err("none".into()), &Options::default());
    let program = compiled.map_err(|e| e.to_string())?.program;
    let output = program::run(&program, &inputs).map_err(|e| e.to_string())?.remove(0);
    Ok((program, output))
}

/// The uint8 output of a node that becomes integer kernels only.
fn run(name: &str, operands: Vec<Operand>, attributes: &[(&str, Attribute)]) -> Vec<i64> {
    let (program, output) =
        compile(name, operands, attributes, ElemType::U8).unwrap_or_else(|e| panic!("{name}: {e}"));
    assert_eq!(output.elem(), ElemType::U8);
    let float = program.buffers.iter().find(|b| b.elem == ElemType::F32);
    assert!(float.is_none(), "{name} computes in float: {program}");
    output.to_i64s()
}

#[test]
fn convolution_and_matrices() {
    let x = || input(&[1, 1, 1, 2], &[130, 126]); // 1 and -1
    let w = || Constant(Tensor::from_i8(&[2, 1, 1, 1], &[3, -4]));
    let w_scale = || Constant(Tensor::from_f32(&[2], &[1.0, 0.5]));
    let w_zero = || Constant(Tensor::from_i8(&[2], &[0, 0]));
    let bias = || Constant(Tensor::from_i32(&[2], &[2, -4])); // 1 and -1
    let operands = vec![x(), scale(0.5), zero(128), w(), w_scale(), w_zero(), scale(0.5), zero(100), bias()];
    assert_eq!(run("QLinearConv", operands, &[]), [108, 96, 94, 102]);

    let w = || Constant(Tensor::from_i8(&[2, 2], &[1, 2, 3, 4]));
    let x = || input(&[1, 2], &[130, 132]); // 1 and 2
    let operands = vec![x(), scale(0.5), zero(128), w(), w_scale(), w_zero(), scale(0.5), zero(0)];
    // Columns [1, 3] and [1, 2]: 7 and 5.
    assert_eq!(run("QLinearMatMul", operands, &[]), [14, 10]);
    let other = input(&[2, 1], &[3, 4]);
    let operands = vec![x(), scale(0.5), zero(128), other, scale(1.0), zero(2), scale(1.0), zero(7)];
    assert_eq!(run("QLinearMatMul", operands, &[]), [12]);

    let gemm = |output: [Operand; 2]| {
        let mut operands = vec![x(), scale(0.5), zero(128), w(), w_scale(), w_zero()];
        operands.push(Constant(Tensor::from_i32(&[2], &[1, -1])));
        operands.extend(output);
        operands
    };
    let attributes = [("alpha", Attribute::Float(2.0)), ("transB", Attribute::Int(1))];
    // Rows [1, 2] and [1.5, 2], twice: 10 and 11; biases in units of 1 and 0.5.
    assert_eq!(run("com.microsoft.QGemm", gemm([scale(0.5), zero(1)]), &attributes), [23, 22]);
    let float = compile("com.microsoft.QGemm", gemm([Omitted, Omitted]), &attributes, ElemType::F32);
    assert_eq!(float.map(|(_, y)| y.to_f32s()), Ok(vec![11.0, 10.5]));
}

#[test]
fn two_activations() {
    let operands = || {
        let (a, b) = (input(&[1, 2], &[12, 8]), input(&[1, 2], &[4, 5]));
        vec![a, scale(0.5), zero(10), b, scale(1.0), zero(3), scale(0.25), zero(50)]
    };
    // [1, -1] and [1, 2]
    assert_eq!(run("com.microsoft.QLinearAdd", operands(), &[]), [58, 54]);
    assert_eq!(run("com.microsoft.QLinearMul", operands(), &[]), [54, 42]);
    let (a, b) = (input(&[1, 1], &[12]), input(&[1, 2], &[4, 5]));
    let operands = vec![scale(0.25), zero(50), a, scale(0.5), zero(10), b, scale(1.0), zero(3)];
    let axis = [("axis", Attribute::Int(1))];
    assert_eq!(run("com.microsoft.QLinearConcat", operands, &axis), [54, 54, 58]);
}

#[test]
fn pools() {
    let operands = |shape: &[usize]| {
        let x = input(shape, &[10, 110, 12, 112, 14, 114, 16, 116]);
        vec![x, scale(1.0), zero(10), scale(0.5), zero(0)]
    };
    let kernel = ("kernel_shape", Attribute::Ints(vec![2, 2]));
    let last = ("channels_last", Attribute::Int(1));
    let (average, global) = ("com.microsoft.QLinearAveragePool", "com.microsoft.QLinearGlobalAveragePool");
    // Channels first: [0, 100, 2, 102] and [4, 104, 6, 106]; last: [0, 2, 4, 6] and [100, 102, 104, 106].
    assert_eq!(run(average, operands(&[1, 2, 2, 2]), std::slice::from_ref(&kernel)), [102, 110]);
    assert_eq!(run(average, operands(&[1, 2, 2, 2]), &[kernel, last.clone()]), [6, 206]);
    assert_eq!(run(global, operands(&[1, 2, 2, 2]), &[]), [102, 110]);
    assert_eq!(run(global, operands(&[1, 2, 2, 2]), &[last]), [6, 206]);
}

#[test]
fn functions() {
    let operands = |y_scale: f32, y_zero: u8| {
        let x = input(&[1, 2], &[128, 120]); // 0 and -4
        vec![x, scale(0.5), zero(128), scale(y_scale), zero(y_zero)]
    };
    assert_eq!(run("com.microsoft.QLinearSigmoid", operands(1.0 / 256.0, 0), &[]), [128, 5]);
    let alpha = [("alpha", Attribute::Float(0.5))];
    assert_eq!(run("com.microsoft.QLinearLeakyRelu", operands(0.25, 100), &alpha), [100, 92]);
    let axis = [("axis", Attribute::Int(1)), ("opset", Attribute::Int(13))];
    // 0.982 and 0.018
    assert_eq!(run("com.microsoft.QLinearSoftmax", operands(1.0 / 256.0, 0), &axis), [251, 5]);
}

#[test]
fn the_type_of_the_output_has_to_be_said() {
    let operands = vec![input(&[1, 2], &[1, 2]), scale(0.5), zero(128), scale(1.0), Omitted];
    let error = compile("com.microsoft.QLinearSigmoid", operands, &[], ElemType::U8).err();
    insta::assert_snapshot!(error.unwrap_or_default(), @r"
    error[E0203]: input 4 `y_zero_point` is missing
      --> node `node` (com.microsoft.QLinearSigmoid)
       = help: state scale and zero point of the output, also where the zero point is 0
    ");
}
