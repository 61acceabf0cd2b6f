//! Every broken model of `errors/` is refused with the text in its snapshot; so are files that are broken below the level
//! of models.

use codegen_tests::text;
use kiln_compiler::driver::{self, Budget, Options};
use kiln_compiler::plan::Axis;
use kiln_runtime_core::Family;
use onnx_protobuf::{Message, StringStringEntryProto, tensor_proto::DataLocation};

fn diagnose(bytes: &[u8]) -> String {
    let external = &mut |location: &str, _, _| Err(format!("no file `{location}`"));
    match driver::compile(bytes, external, &Options::default()) {
        Ok(_) => "it compiled".to_string(),
        Err(diagnostics) => diagnostics.to_string(),
    }
}

fn snapshot(name: &str, text: String) {
    insta::with_settings!({ prepend_module_to_snapshot => false, omit_expression => true, snapshot_path => "errors" }, {
        insta::assert_snapshot!(name, text);
    });
}

#[test]
fn broken_models_are_refused_with_reason_and_way_out() {
    let mut seen = 0;
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/errors");
    let mut files: Vec<_> =
        std::fs::read_dir(folder).expect("the folder is there").flatten().map(|f| f.path()).collect();
    files.sort();
    for path in files {
        let file = path.file_name().and_then(|n| n.to_str()).unwrap_or_default();
        let Some(name) = file.strip_suffix(".onnx.txt") else { continue };
        let model = std::fs::read_to_string(&path).expect("the model can be read");
        snapshot(name, diagnose(&text::encode(&model)));
        seen += 1;
    }
    assert!(seen >= 12);
}

const RELU: &str = r#"<ir_version: 8, opset_import: ["" : 13]>
    g (float[1,4] x) => (float[1,4] y) <float[4] w = {1, 2, 3, 4}> { y = Add(x, w) }"#;

#[test]
fn files_that_are_no_models() {
    snapshot("file_empty", diagnose(b""));
    snapshot("file_tflite", diagnose(b"\x1c\0\0\0TFL3 and more"));
    snapshot("file_html", diagnose(b"<!DOCTYPE html><html>404</html>"));
    snapshot("file_lfs", diagnose(b"version https://git-lfs.github.com/spec/v1\n"));
    snapshot("file_noise", diagnose(&[0xff; 64]));
    let bytes = text::encode(RELU);
    snapshot("file_truncated", diagnose(&bytes[..bytes.len() - 3]));
}

fn refused(name: &str, graph: &str, options: &Options) {
    let bytes = text::encode(&format!(r#"<ir_version: 8, opset_import: ["" : 13]> {graph}"#));
    let result = driver::compile(&bytes, &mut |_, _, _| Err("none".into()), options);
    snapshot(name, result.map_or_else(|e| e.to_string(), |_| "it compiled".to_string()));
}

#[test]
fn models_that_cannot_be_streamed_over_time() {
    let over = |axis| Options { stream: Some(axis), ..Options::default() };
    let dense =
        "g (float[1,16] x) => (float[1,2] y) <float[16,2] w = random(1)> { [dense/MatMul] y = MatMul(x, w) }";
    refused("time_dense", dense, &over(Axis::Time));
    let two = "g (float[1,1,4,4] a, float[1,1,4,4] b) => (float[1,1,4,4] y) { y = Add(a, b) }";
    refused("time_two_inputs", two, &over(Axis::Time));
    let conv = |pads: &str| {
        format!(
            "g (float[1,2,8,4] x) => (float[1,2,6,4] y) <float[2,2,3,1] w = random(1), float[2,2,2,1] v = random(2)> {{
            [first/Conv] a = Conv(x, w) [second/Conv] y = Conv<pads = [{pads}]>(a, v) }}"
        )
    };
    refused("time_other_axis", &conv("1, 0, 0, 0"), &over(Axis::Index(3)));
    refused("time_padded_before", &conv("1, 0, 0, 0"), &over(Axis::Index(2)));
    refused("time_padded_behind", &conv("0, 0, 1, 0"), &over(Axis::Time));
}

#[test]
fn inputs_that_cannot_come_by_rows() {
    let by_rows = Options { stream_input: true, ..Options::default() };
    let refused = |name: &str, graph: &str| refused(name, graph, &by_rows);
    refused(
        "rows_two_inputs",
        "g (float[1,1,4,4] a, float[1,1,4,4] b) => (float[1,1,4,4] y) { y = Add(a, b) }",
    );
    refused(
        "rows_dense",
        "g (float[1,16] x) => (float[1,2] y) <float[16,2] w = random(1)> { [dense/MatMul] y = MatMul(x, w) }",
    );
    // One layer reads rows, the other columns.
    refused(
        "rows_two_shapes",
        "g (float[1,2,4,4] x) => (float[1,2,3,4] y, float[1,2,3,4] z) <float[2,2,2,1] w = random(1)> {
            [upright/Conv] y = Conv(x, w) t = Transpose<perm = [0, 1, 3, 2]>(x) [lying/Conv] z = Conv(t, w) }",
    );
}

#[test]
fn no_prefix_of_a_model_panics() {
    let bytes = text::encode(RELU);
    for end in 0..bytes.len() {
        assert_ne!(diagnose(&bytes[..end]), "it compiled", "the first {end} bytes");
    }
}

#[test]
fn tensors_that_lie() {
    let mut model = text::model(RELU);
    let tensor = |m: &mut onnx_protobuf::ModelProto, f: &dyn Fn(&mut onnx_protobuf::TensorProto)| {
        let mut graph = m.graph.take().expect("a graph");
        f(&mut graph.initializer[0]);
        m.graph = Some(graph).into();
        diagnose(&m.write_to_bytes().expect("it can be written"))
    };
    snapshot("tensor_short", tensor(&mut model, &|t| t.dims = vec![5]));
    snapshot("tensor_overflow", tensor(&mut model, &|t| t.dims = vec![i64::MAX, i64::MAX]));
    snapshot("tensor_negative", tensor(&mut model, &|t| t.dims = vec![-1]));
    snapshot("tensor_string", tensor(&mut model, &|t| (t.dims, t.data_type) = (vec![4], 8)));
    let external = |location: &str| {
        let location = location.to_string();
        move |t: &mut onnx_protobuf::TensorProto| {
            (t.dims, t.data_type, t.float_data) = (vec![4], 1, vec![]);
            t.data_location = DataLocation::EXTERNAL.into();
            let (key, value) = ("location".to_string(), location.clone());
            t.external_data = vec![StringStringEntryProto { key, value, ..Default::default() }];
        }
    };
    snapshot("external_missing", tensor(&mut model, &external("weights.bin")));
    snapshot("external_escape", tensor(&mut model, &external("../secrets.bin")));
    snapshot("external_absolute", tensor(&mut model, &external("/etc/passwd")));
}

/// A convolution over an image of `size` pixels a side.
fn image_model(size: usize) -> Vec<u8> {
    text::encode(&format!(
        r#"<ir_version: 8, opset_import: ["" : 13]>
        g (float[1,3,{size},{size}] image) => (float[1,10] scores)
        <float[16,3,3,3] w = random(1), float[16] b = random(2), float[10,16] v = random(3), float[10] c = random(4)> {{
            [conv] h = Conv<pads = [1,1,1,1], strides = [2,2]>(image, w, b)
            [relu] r = Relu(h)
            [pool] p = GlobalAveragePool(r)
            [flat] f = Flatten(p)
            [dense] scores = Gemm<transB = 1>(f, v, c)
        }}"#
    ))
}

#[test]
fn a_model_over_its_budget_is_refused_with_what_would_help() {
    let compile = |budget| {
        let options =
            Options { source: "image.onnx".into(), family: Family::Dsp, budget, ..Options::default() };
        driver::compile(&image_model(32), &mut |_, _, _| Err("none".into()), &options)
    };
    let fits = compile(Budget::default()).expect("without a budget it compiles").report;
    let exactly = Budget { ram: Some(fits.ram), flash: Some(fits.flash) };
    assert_eq!(compile(exactly).expect("what it needs is enough").report, fits);
    let over = |budget| compile(budget).expect_err("it is over budget").to_string();
    snapshot("budget_ram", over(Budget { ram: Some(4096), ..exactly }));
    snapshot("budget_flash", over(Budget { flash: Some(fits.flash - 1), ..exactly }));
    snapshot("budget_both", over(Budget { ram: Some(100), flash: Some(100) }));
}
