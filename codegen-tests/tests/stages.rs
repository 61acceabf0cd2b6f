//! Every model of `models/` is snapshotted at every stage: the graph as imported, after the passes, the program, the plan,
//! the generated text. What users get is what stands there.

use codegen_tests::text;
use kiln_compiler::driver::{self, Options};
use kiln_compiler::plan::Axis;

#[test]
fn models_at_every_stage() {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/models");
    let mut files: Vec<_> =
        std::fs::read_dir(folder).expect("the folder is there").flatten().map(|f| f.path()).collect();
    files.sort();
    let mut seen = 0;
    for path in files {
        let file = path.file_name().and_then(|n| n.to_str()).unwrap_or_default();
        let Some(name) = file.strip_suffix(".onnx.txt") else { continue };
        let bytes = text::encode(&std::fs::read_to_string(&path).expect("the model can be read"));
        let options = Options { name: Some(name.to_string()), ..Options::default() };
        let artifact = driver::compile(&bytes, &mut |_, _, _| Err("no external data".into()), &options);
        let artifact = artifact.unwrap_or_else(|e| panic!("{name}: {e}"));
        let stage = |stage: &str, text: &str| {
            insta::with_settings!({ prepend_module_to_snapshot => false, omit_expression => true, snapshot_path => "models" }, {
                insta::assert_snapshot!(format!("{name}.{stage}"), text);
            });
        };
        stage("1-import", &artifact.stages.first().expect("the import is recorded").1);
        stage("2-graph", &artifact.graph.to_string());
        stage("3-program", &artifact.program.to_string());
        stage("4-plan", &artifact.plan.to_string());
        stage("5-text", &artifact.text);
        seen += 1;
    }
    assert!(seen >= 7);
}

fn streamed(name: &str, model: &str, options: Options) {
    let options = Options { name: Some(name.to_string()), ..options };
    let artifact =
        driver::compile(&text::encode(model), &mut |_, _, _| Err("no external data".into()), &options);
    let artifact = artifact.unwrap_or_else(|e| panic!("{e}"));
    insta::with_settings!({ prepend_module_to_snapshot => false, omit_expression => true, snapshot_path => "models" }, {
        insta::assert_snapshot!(format!("{name}.4-plan"), artifact.plan.to_string());
        insta::assert_snapshot!(format!("{name}.5-text"), artifact.text);
    });
}

#[test]
fn a_model_whose_input_comes_by_rows() {
    let model = include_str!("models/conv_relu_pool_dense.onnx.txt");
    streamed("rows", model, Options { stream_input: true, ..Options::default() });
}

/// Strides in time, and a dense layer over the whole window.
#[test]
fn a_model_that_is_streamed_over_time() {
    let model = r#"<ir_version: 8, opset_import: ["" : 13]>
        window (float[1,2,9] x) => (float[1,2] y)
        <float[3,2,3] w = random(1), float[2,3,2] v = random(2), float[6,2] d = random(3)> {
            [conv1] a = Conv<strides = [2]>(x, w)
            [conv2] b = Conv(a, v)
            [flat] f = Flatten(b)
            [dense] y = Gemm(f, d)
        }"#;
    streamed("time", model, Options { stream: Some(Axis::Time), ..Options::default() });
}
