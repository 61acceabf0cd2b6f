//! dequantize_dynamic.

use crate::build::{Build, execute, find, operators, window};
use kiln_compiler::graph::{Graph, Origin, ValueId};
use kiln_compiler::ops::{self, Op};
use kiln_compiler::passes::{self, DequantizeDynamic};
use kiln_compiler::tensor::{ElemType, Tensor};

/// Quantized value, scale and zero point.
fn quantize(b: &mut Build, x: ValueId) -> [ValueId; 3] {
    let y = b.node(ops::DynamicQuantizeLinear, &[x]);
    let (node, _) = b.graph.producer(y).expect("it was just made");
    let types = b.graph.infer(node).expect("types");
    for (ty, name) in types.into_iter().zip(["q", "scale", "zero_point"]).skip(1) {
        let value = b.graph.add_value(name, ty);
        b.graph.node_mut(node).outputs.push(value);
    }
    let outputs = &b.graph.node(node).outputs;
    [outputs[0], outputs[1], outputs[2]]
}

fn weights(b: &mut Build, shape: &[usize]) -> ValueId {
    let n: usize = shape.iter().product();
    let values: Vec<u8> = (0..n).map(|i| (i * 37 + 11) as u8).collect();
    b.constant(Tensor::from_u8(shape, &values))
}

fn cast(b: &mut Build, x: ValueId) -> ValueId {
    b.node(ops::Cast { to: ElemType::F32 }, &[x])
}

fn conv_integer() -> Op {
    ops::ConvInteger { window: window(&[], 1), groups: 1 }.into()
}

/// How far the outputs are from those before, in dB.
fn snr(before: &Graph, after: &Graph) -> f64 {
    let (mut signal, mut noise) = (0.0, 0.0);
    for (a, b) in execute(before).iter().zip(execute(after)) {
        for (a, b) in a.to_f64s().iter().zip(b.to_f64s()) {
            signal += a * a;
            noise += (a - b) * (a - b);
        }
    }
    10.0 * f64::log10(signal / noise)
}

/// `x [3, 6]` times `w [6, 4]`, with the given scale of the weights.
fn product(b: &mut Build, scale: Tensor, zero: Tensor) -> ValueId {
    let x = b.input("x", &[3, 6]);
    let w = weights(b, &[6, 4]);
    let (scale, zero) = (b.constant(scale), b.constant(zero));
    let [q, s, z] = quantize(b, x);
    let factor = b.mul(s, scale);
    let sums = b.node(ops::MatMulInteger, &[q, w, z, zero]);
    let sums = cast(b, sums);
    b.mul(sums, factor)
}

fn u8s(values: &[u8]) -> Tensor {
    Tensor::from_u8(if values.len() == 1 { &[] } else { &[4] }, values)
}

#[test]
fn a_product_becomes_one_of_floats() {
    let scales = [Tensor::from_f32(&[], &[0.5]), Tensor::from_f32(&[4], &[0.5, 0.25, 2.0, 0.125])];
    for (scale, zero) in scales.into_iter().zip([u8s(&[128]), u8s(&[0, 3, 128, 255])]) {
        let mut b = Build::default();
        let y = product(&mut b, scale.clone(), zero.clone());
        b.output(y);
        let after = b.rewrite(&[&DequantizeDynamic]);
        assert_eq!(operators(&after), "MatMul");
        let node = find(&after, "MatMul");
        assert_eq!(node.name, "matmulinteger");
        let w = after.constant(node.inputs[1].expect("weights")).expect("a constant").to_f32s();
        let pick = |t: &Tensor, c: usize| t.to_f32s()[if t.elements() == 1 { 0 } else { c }];
        for (i, w) in w.iter().enumerate() {
            let stored = (i * 37 + 11) as u8 as f32;
            assert_eq!(*w, (stored - pick(&zero, i % 4)) * pick(&scale, i % 4), "{i}");
        }
        assert!(snr(&b.graph, &after) > 35.0);
        // With the bias of the file it is one layer.
        let bias = b.weights(&[4]);
        let y = b.add(y, bias);
        b.graph.outputs = vec![y];
        let list = [passes::calibration_passes(), passes::float_passes()].concat();
        assert_eq!(operators(&b.rewrite(&list)), "Gemm");
    }
}

#[test]
fn a_convolution_becomes_one_of_floats() {
    for per_channel in [false, true] {
        let mut b = Build::default();
        let x = b.input("x", &[1, 2, 5, 5]);
        let w = weights(&mut b, &[3, 2, 3, 3]);
        let [q, s, z] = quantize(&mut b, x);
        let scale = match per_channel {
            true => Tensor::from_f32(&[3, 1, 1], &[0.01, 0.02, 0.04]),
            false => Tensor::from_f32(&[1], &[0.01]),
        };
        let scale = b.constant(scale);
        let sums = b.node(conv_integer(), &[q, w, z]);
        let sums = cast(&mut b, sums);
        // In another order than ONNX Runtime's.
        let real = b.mul(s, sums);
        let y = b.mul(scale, real);
        b.output(y);
        let list = [passes::calibration_passes(), passes::float_passes()].concat();
        let after = b.rewrite(&list);
        assert_eq!(operators(&after), "Conv");
        assert!(snr(&b.graph, &after) > 35.0);
    }
}

/// Nothing is rewritten.
fn stays(what: &str, make: impl FnOnce(&mut Build) -> ValueId) {
    let mut b = Build::default();
    let y = make(&mut b);
    b.output(y);
    let after = b.rewrite(&[&DequantizeDynamic]);
    assert_eq!(operators(&after), operators(&b.graph), "{what}");
    assert_eq!(execute(&after), execute(&b.graph), "{what}");
}

/// `cast(integer(q, w, ..))` times what `factor` makes of the scale; the layer's zero point is `point`'s.
fn layer(
    b: &mut Build,
    point: impl FnOnce(&mut Build, ValueId) -> Option<ValueId>,
    factor: impl FnOnce(&mut Build, ValueId) -> ValueId,
) -> ValueId {
    let x = b.input("x", &[3, 6]);
    let w = weights(b, &[6, 4]);
    let [q, s, z] = quantize(b, x);
    let inputs = [Some(q), Some(w), point(b, z)];
    let origin = Origin { nodes: vec![], op_type: "MatMulInteger".into() };
    let sums = b.graph.insert("sums", ops::MatMulInteger.into(), inputs.to_vec(), origin);
    let sums = cast(b, sums.unwrap_or_else(|d| panic!("{d}")));
    let factor = factor(b, s);
    b.mul(sums, factor)
}

#[test]
fn what_is_not_exactly_that_stays() {
    stays("without zero point", |b| layer(b, |_, _| None, |_, s| s));
    let other = |b: &mut Build, _| Some(b.constant(Tensor::from_u8(&[], &[7])));
    stays("another zero point", |b| layer(b, other, |_, s| s));
    stays("another scale", |b| layer(b, |_, z| Some(z), |b, _| b.f32(&[], &[0.5])));
    stays("another input's scale", |b| {
        layer(
            b,
            |_, z| Some(z),
            |b, _| {
                let other = b.input("other", &[2]);
                quantize(b, other)[1]
            },
        )
    });
    stays("the scale twice", |b| layer(b, |_, z| Some(z), |b, s| b.mul(s, s)));
    stays("a computed factor", |b| {
        layer(
            b,
            |_, z| Some(z),
            |b, s| {
                let other = b.input("other", &[]);
                b.mul(s, other)
            },
        )
    });
    stays("a factor for each row", |b| {
        layer(
            b,
            |_, z| Some(z),
            |b, s| {
                let rows = b.f32(&[3, 1], &[1.0, 2.0, 3.0]);
                b.mul(s, rows)
            },
        )
    });
    stays("computed weights", |b| {
        let (x, w) = (b.input("x", &[3, 6]), b.input("w", &[6, 4]));
        let ([q, s, z], [w, ws, wz]) = (quantize(b, x), quantize(b, w));
        let sums = b.node(ops::MatMulInteger, &[q, w, z, wz]);
        let (sums, factor) = (cast(b, sums), b.mul(s, ws));
        b.mul(sums, factor)
    });
}

#[test]
fn sums_that_are_read_elsewhere_stay_beside_the_float_layer() {
    let mut b = Build::default();
    let y = product(&mut b, Tensor::from_f32(&[], &[0.5]), u8s(&[128]));
    let (mul, _) = b.graph.producer(y).expect("it was made");
    let sums = b.graph.node(mul).inputs[0].expect("the sums");
    b.output(y);
    b.output(sums);
    let after = b.rewrite(&[&DequantizeDynamic]);
    assert!(
        operators(&after).contains("MatMulInteger Cast") && operators(&after).contains("MatMul"),
        "{after}"
    );
    assert_eq!(execute(&after)[1], execute(&b.graph)[1]);
}
