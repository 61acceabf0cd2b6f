//! Numbers and errors of single operators, lowered and run on the host by the definition in `docs/numerics.md`.

use kiln_compiler::graph::{Graph, Origin};
use kiln_compiler::ops::shared::{AutoPad, Clamp, Padding, WindowSpec};
use kiln_compiler::ops::*;
use kiln_compiler::tensor::{ElemType, QParams, Tensor, TensorType};
use kiln_compiler::{lower, program};

/// An operand: its value, whether the compiler knows it, its scale and zero point.
#[derive(Clone)]
struct Operand(Tensor, bool, Option<QParams>);

fn input(t: Tensor) -> Operand {
    Operand(t, false, None)
}

fn constant(t: Tensor) -> Operand {
    Operand(t, true, None)
}

impl Operand {
    fn q(mut self, scale: f32, zero_point: i32) -> Operand {
        self.2 = Some(QParams::per_tensor(scale, zero_point));
        self
    }
}

fn f32s(shape: &[usize], values: &[f32]) -> Tensor {
    Tensor::from_f32(shape, values)
}

fn i8s(shape: &[usize], values: &[i8]) -> Tensor {
    Tensor::from_i8(shape, values)
}

/// Runs one operator; the error as text.
fn run(op: impl Into<Op>, operands: &[Operand], output: Option<QParams>) -> Result<Tensor, String> {
    let mut graph = Graph::default();
    let mut values = vec![];
    for (i, Operand(tensor, constant, qparams)) in operands.iter().enumerate() {
        let name = format!("x{i}");
        let id = if *constant {
            graph.add_constant(&name, tensor.clone())
        } else {
            let id = graph.add_value(&name, tensor.ty().clone());
            graph.inputs.push(id);
            id
        };
        graph.value_mut(id).qparams = qparams.clone();
        values.push(Some(id));
    }
    let op = op.into();
    let origin = Origin { nodes: vec![], op_type: op.name().to_string() };
    let node = graph.add_node("op", op, values, vec![], origin);
    let types = graph.infer(node).map_err(|d| d.to_string())?;
    let y = graph.add_value("y", types[0].clone());
    graph.value_mut(y).qparams = output;
    graph.node_mut(node).outputs = vec![y];
    graph.outputs = vec![y];
    let lowered = lower::lower(&graph).map_err(|d| d.to_string())?;
    let inputs: Vec<Tensor> = operands.iter().filter(|o| !o.1).map(|o| o.0.clone()).collect();
    program::run(&lowered, &inputs).map_err(|d| d.to_string()).map(|mut outputs| outputs.remove(0))
}

/// Runs one operator that has to succeed.
fn value(op: impl Into<Op>, operands: &[Operand], output: Option<QParams>) -> Tensor {
    run(op, operands, output).unwrap_or_else(|e| panic!("{e}"))
}

fn error(op: impl Into<Op>, operands: &[Operand]) -> String {
    run(op, operands, None).expect_err("the operator was accepted")
}

fn q(scale: f32, zero_point: i32) -> Option<QParams> {
    Some(QParams::per_tensor(scale, zero_point))
}

const GEMM: Gemm = Gemm { alpha: 1.0, beta: 1.0, trans_a: false, trans_b: false, clamp: Clamp::NONE };

#[test]
fn gemm_folds_its_factors() {
    let (a, w) =
        (input(f32s(&[2, 1], &[1.0, 2.0])), constant(f32s(&[3, 2], &[1.0, 2.0, 3.0, 4.0, 5.0, 6.0])));
    let op =
        Gemm { alpha: 2.0, beta: 0.5, trans_a: true, trans_b: true, clamp: Clamp { min: 0.0, max: 30.0 } };
    let y = value(op.clone(), &[a.clone(), w.clone(), constant(f32s(&[3], &[2.0, 4.0, -6.0]))], None);
    assert_eq!((y.shape(), y.to_f32s()), ([1, 3].as_slice(), vec![11.0, 24.0, 30.0]));
    let y = value(op.clone(), &[a.clone(), w.clone(), constant(f32s(&[], &[2.0]))], None);
    assert_eq!(y.to_f32s(), [11.0, 23.0, 30.0]);
    let op = Gemm { alpha: 1.0, beta: 1.0, ..op };
    let y = value(op, &[a, w, input(f32s(&[1, 3], &[2.0, -40.0, 0.0]))], None);
    assert_eq!(y.to_f32s(), [7.0, 0.0, 17.0]);
}

#[test]
fn gemm_with_a_bias_for_each_row() {
    let (a, w) = (input(f32s(&[2, 1], &[1.0, 2.0])), constant(f32s(&[1, 2], &[1.0, 10.0])));
    let y = value(GEMM, &[a.clone(), w, constant(f32s(&[2, 1], &[100.0, 200.0]))], None);
    assert_eq!(y.to_f32s(), [101.0, 110.0, 202.0, 220.0]);
    let y = value(GEMM, &[a, input(f32s(&[1, 2], &[1.0, 10.0]))], None);
    assert_eq!(y.to_f32s(), [1.0, 10.0, 2.0, 20.0]);
}

#[test]
fn gemm_int8_per_channel() {
    let x = input(i8s(&[1, 2], &[10, 20])).q(0.5, 4);
    let mut w = constant(i8s(&[2, 2], &[1, 2, 3, 4]));
    w.2 = Some(QParams::per_axis(vec![0.5, 1.0], vec![0, 0], Some(1)));
    let bias = constant(Tensor::from_i32(&[2], &[4, -4]));
    // x = [3, 8]; columns of w: [0.5, 1.5] and [2, 4]; bias in units of 0.25 and 0.5.
    let y = value(GEMM, &[x, w, bias], q(1.0, -10));
    assert_eq!(y.to_i64s(), [-10 + 15, -10 + 36]); // 14.5 rounds up
}

#[test]
fn matmul_of_constants_stacks_and_vectors() {
    let a = input(f32s(&[2, 1, 2], &[1.0, 2.0, 3.0, 4.0]));
    let b = f32s(&[2, 2], &[1.0, 10.0, 100.0, 1000.0]);
    let expected = vec![201.0, 2010.0, 403.0, 4030.0];
    for b in [constant(b.clone()), input(b)] {
        let y = value(MatMul, &[a.clone(), b], None);
        assert_eq!((y.shape(), y.to_f32s()), ([2, 1, 2].as_slice(), expected.clone()));
    }
    let v = input(f32s(&[2], &[1.0, 1.0]));
    let y = value(MatMul, &[a, v.clone()], None);
    assert_eq!((y.shape(), y.to_f32s()), ([2, 1].as_slice(), vec![3.0, 7.0]));
    assert_eq!(value(MatMul, &[v.clone(), v], None).ty(), &TensorType::scalar(ElemType::F32));
}

#[test]
fn matmul_int8_of_two_activations() {
    let (a, b) = (input(i8s(&[1, 2], &[5, 7])).q(0.5, 1), input(i8s(&[2, 1], &[3, -1])).q(0.5, -1));
    // [2, 3] * [2, 0] = 4
    assert_eq!(value(MatMul, &[a, b], q(0.25, 3)).to_i64s(), [19]);
}

fn window(kernel: &[usize], strides: &[usize], pads: &[usize], ceil_mode: bool) -> WindowSpec {
    WindowSpec {
        kernel: kernel.to_vec(),
        strides: strides.to_vec(),
        dilations: vec![],
        padding: Padding { auto: AutoPad::NotSet, pads: pads.to_vec() },
        ceil_mode,
    }
}

#[test]
fn pools_of_images_and_signals() {
    let x = input(f32s(&[1, 1, 2, 3], &[1.0, 2.0, 3.0, 4.0, 5.0, 6.0]));
    let op = MaxPool { window: window(&[2, 2], &[2, 2], &[], true) };
    let y = value(op, std::slice::from_ref(&x), None);
    assert_eq!((y.shape(), y.to_f32s()), ([1, 1, 1, 2].as_slice(), vec![5.0, 6.0]));
    let pads = window(&[2, 2], &[1, 2], &[0, 1, 0, 0], false);
    let op = AveragePool { window: pads.clone(), count_include_pad: false };
    assert_eq!(value(op, std::slice::from_ref(&x), None).to_f32s(), [2.5, 4.0]);
    let op = AveragePool { window: pads, count_include_pad: true };
    assert_eq!(value(op, &[x], None).to_f32s(), [1.25, 4.0]);
    let x = input(i8s(&[2, 1, 4], &[1, 2, 3, 4, 5, 6, 7, 8])).q(0.5, 0);
    let op = MaxPool { window: window(&[2], &[2], &[], false) };
    assert_eq!(value(op.clone(), std::slice::from_ref(&x), q(0.5, 0)).to_i64s(), [2, 4, 6, 8]);
    assert_eq!(value(op, std::slice::from_ref(&x), q(1.0, 10)).to_i64s(), [11, 12, 13, 14]);
    let op = AveragePool { window: window(&[4], &[1], &[], false), count_include_pad: false };
    // Means 2.5 and 6.5 in steps of equal scale: ties to even.
    assert_eq!(value(op.clone(), std::slice::from_ref(&x), q(0.5, 0)).to_i64s(), [2, 6]);
    assert_eq!(value(op, &[x], q(0.25, -1)).to_i64s(), [4, 12]);
}

#[test]
fn global_pools() {
    let x = input(f32s(&[1, 2, 2, 2], &[1.0, 2.0, 3.0, 4.0, -1.0, -2.0, -3.0, -5.0]));
    let y = value(GlobalAveragePool, std::slice::from_ref(&x), None);
    assert_eq!((y.shape(), y.to_f32s()), ([1, 2, 1, 1].as_slice(), vec![2.5, -2.75]));
    assert_eq!(value(GlobalMaxPool, &[x], None).to_f32s(), [4.0, -1.0]);
    let x = input(i8s(&[2, 1, 3], &[1, 2, 5, -3, -4, -9])).q(1.0, 1);
    assert_eq!(value(GlobalMaxPool, std::slice::from_ref(&x), q(1.0, 1)).to_i64s(), [5, -3]);
    assert_eq!(value(GlobalAveragePool, &[x], q(1.0, 0)).to_i64s(), [2, -6]);
}

#[test]
fn reduce_mean_over_any_axes() {
    let values: Vec<f32> = (0..16).map(|v| v as f32).collect();
    let x = input(f32s(&[2, 2, 2, 2], &values));
    let mean = |axes: &[i64]| {
        let op = ReduceMean { axes: Some(axes.to_vec()), keepdims: false, noop_with_empty_axes: false };
        value(op, std::slice::from_ref(&x), None).to_f32s()
    };
    assert_eq!(mean(&[-1]), [0.5, 2.5, 4.5, 6.5, 8.5, 10.5, 12.5, 14.5]);
    assert_eq!(mean(&[1]), [2.0, 3.0, 4.0, 5.0, 10.0, 11.0, 12.0, 13.0]);
    assert_eq!(mean(&[0, 2]), [5.0, 6.0, 9.0, 10.0]);
    assert_eq!(mean(&[1, 3]), [2.5, 4.5, 10.5, 12.5]);
    assert_eq!(mean(&[0, 1, 3]), [6.5, 8.5]);
    assert_eq!(mean(&[]), [7.5]);
    let op = ReduceMean { axes: None, keepdims: true, noop_with_empty_axes: true };
    assert_eq!(value(op, std::slice::from_ref(&x), None).to_f32s(), values);
    let op = ReduceMean { axes: None, keepdims: true, noop_with_empty_axes: false };
    let y = value(op, &[x, constant(Tensor::from_i64(&[2], &[2, 3]))], None);
    assert_eq!((y.shape(), y.to_f32s()), ([2, 2, 1, 1].as_slice(), vec![1.5, 5.5, 9.5, 13.5]));
}

#[test]
fn softmax_along_any_axis() {
    let x = input(f32s(&[2, 2, 2], &[0.0; 8]));
    let share = |axis, flatten| value(Softmax { axis, flatten }, std::slice::from_ref(&x), None).to_f32s()[0];
    assert_eq!((share(-1, false), share(0, false), share(1, true), share(0, true)), (0.5, 0.5, 0.25, 0.125));
    let x = input(f32s(&[1, 2, 2], &[0.0, 1.0, 1.0, 0.0]));
    let y = value(Softmax { axis: 1, flatten: false }, &[x], None).to_f32s();
    assert!((y[0] - 0.268_941_4).abs() < 1e-6 && (y[0] + y[2] - 1.0).abs() < 1e-6, "{y:?}");
    let x = input(i8s(&[1, 3], &[10, 0, -128])).q(0.1, 0);
    // Shares 0.731058, 0.268941 and 0.000001 of 256.
    assert_eq!(
        value(Softmax { axis: -1, flatten: false }, &[x], q(1.0 / 256.0, -128)).to_i64s(),
        [59, -59, -128]
    );
}

#[test]
fn batch_normalization_alone() {
    let x = input(f32s(&[1, 2, 2], &[1.0, 2.0, 3.0, 4.0]));
    let two = |a, b| constant(f32s(&[2], &[a, b]));
    let operands = [x, two(2.0, 3.0), two(1.0, 0.0), two(1.0, 4.0), two(4.0, 9.0)];
    let y = value(BatchNormalization { epsilon: 0.0 }, &operands, None);
    assert_eq!(y.to_f32s(), [1.0, 2.0, -1.0, 0.0]);
}

#[test]
fn quantize_and_dequantize() {
    let reals = f32s(&[2, 2], &[0.5, 1.5, -7.0, 300.0]);
    let scale = constant(f32s(&[2], &[1.0, 0.5]));
    for x in [input(reals.clone()), constant(reals)] {
        let op = QuantizeLinear { axis: 1, elem: ElemType::U8 };
        let signed = constant(i8s(&[2], &[0, 1]));
        let y = value(op.clone(), &[x.clone(), scale.clone(), signed], None);
        assert_eq!((y.elem(), y.to_i64s()), (ElemType::I8, vec![0, 4, -7, 127]));
        let unsigned = constant(Tensor::from_u8(&[2], &[10, 200]));
        let y = value(op, &[x, scale.clone(), unsigned], None);
        assert_eq!((y.elem(), y.to_i64s()), (ElemType::U8, vec![10, 203, 3, 255]));
    }
    let bytes = Tensor::from_u8(&[2, 2], &[0, 128, 10, 255]);
    for x in [input(bytes.clone()), constant(bytes)] {
        let zero_point = constant(Tensor::from_u8(&[2], &[10, 128]));
        let y = value(DequantizeLinear { axis: -1, block: 0 }, &[x, scale.clone(), zero_point], None);
        assert_eq!(y.to_f32s(), [-10.0, 0.0, 0.0, 63.5]);
    }
    let bias = constant(Tensor::from_i32(&[2], &[3, -4]));
    assert_eq!(value(DequantizeLinear { axis: 0, block: 0 }, &[bias, scale], None).to_f32s(), [3.0, -2.0]);
    let y = value(FlipSign, &[input(Tensor::from_u8(&[3], &[0, 128, 255]))], None);
    assert_eq!(y.to_i64s(), [-128, 0, 127]);
}

#[test]
fn errors_say_what_and_how_out() {
    let (x, w) = (input(f32s(&[1, 2], &[0.0; 2])), constant(f32s(&[3, 4], &[0.0; 12])));
    insta::assert_snapshot!(error(GEMM, &[x.clone(), w.clone()]), @r"
    error[E0202]: input has 2 features, weights expect 3
      --> node `op` (Gemm)
       | `x0`  f32[1, 2]
       | `x1`  f32[3, 4]
       = help: check what is in front of the layer: a Flatten with another axis, or another input size
    ");
    insta::assert_snapshot!(error(MatMul, &[x.clone(), w.clone()]), @r"
    error[E0202]: input has 2 features, weights expect 3
      --> node `op` (MatMul)
       | `x0`  f32[1, 2]
       | `x1`  f32[3, 4]
       = help: the last axis of A must be as long as the second last one of B: transpose one at export
    ");
    let op = Gemm { alpha: 2.0, ..GEMM };
    insta::assert_snapshot!(error(op, &[x.clone(), input(f32s(&[2, 4], &[0.0; 8]))]), @r"
    error[E0301]: input 1 `B` must be constant
      --> node `op` (Gemm)
       | B     f32[2, 4]
       | `x0`  f32[1, 2]
       | `x1`  f32[2, 4]
       = help: bake it into the model as an initializer, or use MatMul, Mul and Add
    ");
    let op = MaxPool { window: window(&[2, 2], &[], &[], false) };
    insta::assert_snapshot!(error(op, std::slice::from_ref(&x)), @r"
    error[E0208]: MaxPool needs 1-D or 2-D images
      --> node `op` (MaxPool)
       | `x0`  f32[1, 2]
       = help: 3-D pooling is not supported; images are [N, C, H, W] or [N, C, L]
    ");
    let op = ReduceMean { axes: Some(vec![1, -1]), keepdims: true, noop_with_empty_axes: false };
    insta::assert_snapshot!(error(op, std::slice::from_ref(&x)), @r"
    error[E0205]: axes [1, -1] name one axis twice
      --> node `op` (ReduceMean)
       | `x0`  f32[1, 2]
       = help: name each axis once; negative ones count from the end
    ");
    insta::assert_snapshot!(error(Softmax { axis: 2, flatten: false }, std::slice::from_ref(&x)), @r"
    error[E0205]: axis 2 does not exist in a value of rank 2
      --> node `op` (Softmax)
       | `x0`  f32[1, 2]
       = help: its axes are 0 to 1, or -2 to -1 counted from the end
    ");
    let scale = constant(f32s(&[3], &[1.0; 3]));
    let op = QuantizeLinear { axis: 1, elem: ElemType::U8 };
    insta::assert_snapshot!(error(op.clone(), &[x.clone(), scale]), @r"
    error[E0202]: axis 1 has 2 indices, there are 3 scales
      --> node `op` (QuantizeLinear)
       | `x0`  f32[1, 2]
       | `x1`  f32[3]
    ");
    let scale = constant(f32s(&[], &[1.0]));
    let wide = constant(Tensor::from_i32(&[], &[0]));
    insta::assert_snapshot!(error(op, &[x.clone(), scale, wide]), @r"
    error[E0209]: quantization to i32 is not supported
      --> node `op` (QuantizeLinear)
       | `x0`  f32[1, 2]
       | `x1`  f32[]
       | `x2`  i32[]
       = help: quantize activations to 8 or 16 bits, weights to 4 or 8
    ");
    insta::assert_snapshot!(error(GlobalAveragePool, &[input(f32s(&[2], &[0.0; 2]))]), @r"
    error[E0208]: GlobalAveragePool needs batch and channels
      --> node `op` (GlobalAveragePool)
       | `x0`  f32[2]
    ");
    let op = BatchNormalization { epsilon: 0.0 };
    insta::assert_snapshot!(error(op, &[x, w.clone(), w.clone(), w.clone(), w]), @r"
    error[E0202]: `scale` must have shape [2]
      --> node `op` (BatchNormalization)
       | scale  f32[3, 4]
       | `x0`   f32[1, 2]
       | `x1`   f32[3, 4]
       | `x2`   f32[3, 4]
       | `x3`   f32[3, 4]
       | `x4`   f32[3, 4]
    ");
}
