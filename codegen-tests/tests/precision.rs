//! int16 activations and int4 weights: the integer program against the same QDQ graph computed in float, the kernels that it
//! is made of, and what they cost.

use codegen_tests::text;
use kiln_compiler::driver::{self, Artifact, Options};
use kiln_compiler::graph::{self, ImportOptions};
use kiln_compiler::program::{self, Program};
use kiln_compiler::tensor::{ElemType, Tensor};
use kiln_compiler::{lower, onnx, passes};

fn model(name: &str) -> Vec<u8> {
    let path = format!("{}/tests/models/{name}.onnx.txt", env!("CARGO_MANIFEST_DIR"));
    text::encode(&std::fs::read_to_string(path).expect("the model can be read"))
}

fn integer(bytes: &[u8]) -> Artifact {
    driver::compile(bytes, &mut |_, _, _| Err("none".into()), &Options::default())
        .unwrap_or_else(|e| panic!("{e}"))
}

/// The graph as it stands: floats between QuantizeLinear and DequantizeLinear.
fn float(bytes: &[u8]) -> Program {
    let model = onnx::read(bytes, &mut |_, _, _| Err("none".into())).expect("it decodes");
    let mut graph = graph::import(&model, &ImportOptions::default(), &lower::evaluate).expect("it imports");
    passes::run(&mut graph, &passes::cleanup_passes(), &mut vec![]).expect("constants fold");
    lower::lower(&graph).expect("it lowers")
}

fn kernels(artifact: &Artifact) -> Vec<&'static str> {
    artifact.report.layers.iter().map(|l| l.kernel).collect()
}

/// Largest difference between the two programs over random inputs.
fn worst(bytes: &[u8], artifact: &Artifact) -> f32 {
    let reference = float(bytes);
    let mut state = 1u64;
    let mut next = move || {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (state >> 40) as f32 / (1u64 << 23) as f32 - 1.0
    };
    let mut worst = 0f32;
    for _ in 0..50 {
        let ty = &artifact.program.inputs[0].ty;
        let reals: Vec<f32> = (0..ty.elements()).map(|_| next()).collect();
        let x = match ty.elem {
            ElemType::F32 => Tensor::from_f32(&ty.shape, &reals),
            _ => {
                let bytes = reals.iter().flat_map(|x| ((x * 32_767.0) as i32 as u16 ^ 0x8000).to_le_bytes());
                Tensor::new(ty.clone(), bytes.collect::<Vec<u8>>()).expect("it fits")
            }
        };
        let run = |p: &Program| program::run(p, std::slice::from_ref(&x)).expect("it runs")[0].to_f32s();
        let (ours, exact) = (run(&artifact.program), run(&reference));
        worst = ours.iter().zip(&exact).fold(worst, |w, (a, b)| w.max((a - b).abs()));
    }
    worst
}

#[test]
fn int16_layers_follow_the_float_graph() {
    let bytes = model("int16_layers");
    let artifact = integer(&bytes);
    let expected = [
        "quantize_f32_i16",
        "conv2d_i16",
        "depthwise_conv2d_i16",
        "add_i16",
        "lookup_i16",
        "mul_i16",
        "max_pool_i16",
        "average_pool_i16",
        "fully_connected_i16",
        "dequantize_i16_f32",
        "softmax_f32",
        "quantize_f32_i16",
        "dequantize_i16_f32",
    ];
    assert_eq!(kernels(&artifact), expected);
    // Two steps of the softmax's output.
    let worst = worst(&bytes, &artifact);
    assert!(worst < 6.1e-5, "{worst}");
}

#[test]
fn int4_weights_follow_the_float_graph() {
    let bytes = model("int4_weights");
    let artifact = integer(&bytes);
    let expected = [
        "quantize_f32_i8",
        "conv2d_i8_w4",
        "depthwise_conv2d_i8_w4",
        "fully_connected_i8_w4",
        "fully_connected_i8_w4",
        "dequantize_i8_f32",
    ];
    assert_eq!(kernels(&artifact), expected);
    // Two steps of 0.1: factors of blocks are whole numbers, and every layer may round a tie otherwise.
    let worst = worst(&bytes, &artifact);
    assert!(worst < 0.21, "{worst}");
    // Rows of 27, 9, 20 in blocks of 8, and 7 weights.
    let weights = |layer: usize| {
        let step = &artifact.program.steps[layer];
        artifact.program.tables(step)[0].size()
    };
    assert_eq!([1, 2, 3, 4].map(weights), [5 * 14, 5 * 5, 7 * 10, 3 * 4]);
}

#[test]
fn layers_of_both_widths_meet() {
    let bytes = model("mixed_precision");
    let artifact = integer(&bytes);
    let expected = [
        "flip_sign_16",
        // The bias of its last channel is beyond 32 bits in units of the int16 input.
        "conv2d_i16_wide",
        "rescale_i16_i8",
        "rescale_i8_i16",
        "conv2d_i16_w4",
        "rescale_i16_i8",
        "add_i8",
        "rescale_i8_i16",
        "add_i16",
        "fully_connected_i16",
        "rescale_i16_i8",
        "dequantize_i8_f32",
    ];
    assert_eq!(kernels(&artifact), expected);
    let worst = worst(&bytes, &artifact);
    assert!(worst < 0.21, "{worst}");
}

/// One dense layer of `k` inputs and one output, all of its weights `w`.
fn dense(k: usize, elem: &str, w: i32) -> Artifact {
    let weights = vec![w.to_string(); k].join(", ");
    let text = format!(
        r#"<ir_version: 10, opset_import: ["" : 21]>
        g (int16[1,{k}] x) => (int16[1,1] y)
        <{elem}[{k},1] w = {{{weights}}}, {elem} zw = {{0}}, int16 z = {{0}}, float s = {{0.001}}, float sy = {{1}}>
        {{ xd = DequantizeLinear(x, s, z)  wd = DequantizeLinear(w, s, zw)  f = MatMul(xd, wd)  y = QuantizeLinear(f, sy, z) }}"#
    );
    integer(&text::encode(&text))
}

#[test]
fn sums_take_64_bits_where_the_weights_ask_for_it() {
    // 2^15 * 127 * 516 is the last below 2^31.
    assert_eq!(kernels(&dense(516, "int8", 127)), ["fully_connected_i16"]);
    let wide = dense(517, "int8", 127);
    assert_eq!(kernels(&wide), ["fully_connected_i16_wide"]);
    assert!(wide.report.to_string().contains("int64 accumulators of 1 layers"), "{}", wide.report);
    assert_eq!(kernels(&dense(5_000, "int4", -8)), ["fully_connected_i16_w4"]);
    for artifact in [wide, dense(5_000, "int4", -8), dense(5_001, "int8", -128)] {
        for x in [i16::MIN, i16::MAX, -1, 1, 12_345] {
            let ty = &artifact.program.inputs[0].ty;
            let input = Tensor::from_i16(&ty.shape, &vec![x; ty.elements()]);
            let y = program::run(&artifact.program, &[input]).expect("it runs")[0].to_i64s()[0];
            let w = if ty.elements() == 5_000 {
                -8
            } else if ty.elements() == 5_001 {
                -128
            } else {
                127
            };
            let exact = (x as i64 * w * ty.elements() as i64) as f64 * 1e-6;
            assert!((y as f64 - exact.clamp(-32_768.0, 32_767.0)).abs() <= 0.501, "{x} {w}: {y} {exact}");
        }
    }
}

#[test]
fn int4_weights_take_half_the_flash() {
    let (wide, narrow) = (dense(1_000, "int8", 7), dense(1_000, "int4", 7));
    let weights = |a: &Artifact| a.program.tables(&a.program.steps[0])[0].size();
    assert_eq!((weights(&wide), weights(&narrow)), (1_000, 500));
    assert!(narrow.report.flash < wide.report.flash);
    assert!(narrow.text.contains("fully_connected_i16_w4"));
}
