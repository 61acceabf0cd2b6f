//! The reader against files from an independent encoder, so that a wrong tag cannot hide; broken files and their full texts.

use kiln_compiler::onnx::{self, Attribute, Dim};
use kiln_compiler::tensor::ElemType;
use onnx_protobuf::attribute_proto::AttributeType;
use onnx_protobuf::tensor_proto::DataLocation;
use onnx_protobuf::{
    AttributeProto, GraphProto, Message, ModelProto, NodeProto, OperatorSetIdProto, StringStringEntryProto,
    TensorProto, TypeProto, ValueInfoProto, tensor_shape_proto, type_proto,
};

fn weights() -> TensorProto {
    let raw = [1.0f32, -2.0].iter().flat_map(|v| v.to_le_bytes()).collect();
    TensorProto { name: "w".into(), dims: vec![2], data_type: 1, raw_data: raw, ..Default::default() }
}

fn value(name: &str, batch: &str) -> ValueInfoProto {
    let (mut n, mut two) = (tensor_shape_proto::Dimension::new(), tensor_shape_proto::Dimension::new());
    n.set_dim_param(batch.to_string());
    two.set_dim_value(2);
    let mut tensor = type_proto::Tensor { elem_type: 1, ..Default::default() };
    tensor.shape.mut_or_insert_default().dim = vec![n, two];
    let mut ty = TypeProto::new();
    ty.set_tensor_type(tensor);
    ValueInfoProto { name: name.to_string(), type_: Some(ty).into(), ..Default::default() }
}

fn model(initializer: TensorProto, opset: i64) -> ModelProto {
    let attribute =
        AttributeProto { name: "axis".into(), i: -1, type_: AttributeType::INT.into(), ..Default::default() };
    let node = NodeProto {
        name: "scale/Mul".into(),
        op_type: "Mul".into(),
        input: vec!["x".into(), "w".into()],
        output: vec!["y".into()],
        attribute: vec![attribute],
        ..Default::default()
    };
    let graph = GraphProto {
        name: "g".into(),
        node: vec![node],
        initializer: vec![initializer],
        input: vec![value("x", "N")],
        output: vec![value("y", "N")],
        ..Default::default()
    };
    let set = OperatorSetIdProto { version: opset, ..Default::default() };
    ModelProto { ir_version: 8, graph: Some(graph).into(), opset_import: vec![set], ..Default::default() }
}

fn bytes(model: &ModelProto) -> Vec<u8> {
    model.write_to_bytes().expect("a model can be written")
}

fn read(bytes: &[u8]) -> Result<onnx::Model, String> {
    let mut none = |_: &str, _: u64, _: Option<u64>| Err("no such file".to_string());
    onnx::read(bytes, &mut none).map_err(|d| d.to_string())
}

fn error(initializer: TensorProto) -> String {
    read(&bytes(&model(initializer, 13))).expect_err("the file is broken")
}

fn external(location: &str) -> TensorProto {
    let entry =
        StringStringEntryProto { key: "location".into(), value: location.into(), ..Default::default() };
    TensorProto {
        raw_data: vec![],
        external_data: vec![entry],
        data_location: DataLocation::EXTERNAL.into(),
        ..weights()
    }
}

#[test]
fn reads_what_another_encoder_wrote() {
    let model = read(&bytes(&model(weights(), 13))).expect("the model is sound");
    assert_eq!((model.ir_version, model.opsets.get("")), (8, Some(&13)));
    let graph = &model.graph;
    assert_eq!((graph.initializers[0].0.as_str(), graph.initializers[0].1.to_f32s()), ("w", vec![1.0, -2.0]));
    let node = &graph.nodes[0];
    assert_eq!((node.name.as_str(), node.op_type.as_str()), ("scale/Mul", "Mul"));
    assert_eq!((node.inputs.join(","), node.outputs.join(",")), ("x,w".into(), "y".into()));
    assert_eq!(node.attributes.0.get("axis"), Some(&Attribute::Int(-1)));
    assert_eq!(node.attributes.float("axis").map_err(|d| d.code), Err("E0112"));
    let dims = vec![Dim::Symbol("N".into()), Dim::Fixed(2)];
    assert_eq!((graph.inputs[0].elem, graph.inputs[0].shape.clone()), (Some(ElemType::F32), Some(dims)));
}

#[test]
fn typed_data_of_every_element_type() {
    let t = |data_type| TensorProto { data_type, raw_data: vec![], ..weights() };
    let narrow = |ty| TensorProto { int32_data: vec![1, 0], ..t(ty) };
    let mut tensors: Vec<TensorProto> = [2, 3, 4, 5, 6, 9].map(narrow).into();
    tensors.push(TensorProto { float_data: vec![1.0, 0.0], ..t(1) });
    tensors.push(TensorProto { int64_data: vec![1, 0], ..t(7) });
    tensors.push(TensorProto { double_data: vec![1.0, 0.0], ..t(11) });
    tensors.extend([12, 13].map(|ty| TensorProto { uint64_data: vec![1, 0], ..t(ty) }));
    tensors.push(TensorProto { int32_data: vec![0x3c00, 0], ..t(10) }); // binary16
    tensors.push(TensorProto { int32_data: vec![0x3f80, 0], ..t(16) }); // bfloat16
    for tensor in tensors {
        let ty = tensor.data_type;
        let model = read(&bytes(&model(tensor, 13))).expect("the model is sound");
        assert_eq!(model.graph.initializers[0].1.to_f32s(), [1.0, 0.0], "data type {ty}");
    }
}

#[test]
fn every_cut_is_refused() {
    let whole = bytes(&model(weights(), 13));
    for cut in 1..whole.len() {
        let text = read(&whole[..cut]).expect_err("the end is missing");
        assert!(text.starts_with("error[E0102]"), "cut at {cut}: {text}");
    }
    insta::assert_snapshot!(read(&whole[..40]).expect_err("cut"), @r"
    error[E0102]: the file is truncated or damaged
       | size     40 bytes
       | decoder  failed to decode Protobuf message: ModelProto.graph: buffer underflow
       = help: copy or download it again, and compare the size with the original
    ");
}

#[test]
fn what_is_no_model_is_named() {
    let first = |bytes: &[u8]| read(bytes).expect_err("no model").lines().next().unwrap_or("").to_string();
    let tensor = weights().write_to_bytes().expect("a tensor can be written");
    let texts = [
        first(b""),
        first(b"\n<!DOCTYPE html>"),
        first(b"{\"error\": 404}"),
        first(b"\x1c\0\0\0TFL3\0\0"),
        first(b"version https://git-lfs.github.com/spec/v1"),
        first(b"PK\x03\x04abc"),
        first(&tensor),
        first(b"\xff\xff\xff\xff"),
    ];
    insta::assert_snapshot!(texts.join("\n"), @r"
    error[E0101]: the file is not an ONNX model: it is empty
    error[E0101]: the file is not an ONNX model: it is text (HTML, XML or JSON)
    error[E0101]: the file is not an ONNX model: it is text (HTML, XML or JSON)
    error[E0101]: the file is not an ONNX model: it is a TensorFlow Lite model
    error[E0101]: the file is not an ONNX model: it is a Git LFS pointer
    error[E0101]: the file is not an ONNX model: it is a zip archive, perhaps a PyTorch or Keras model
    error[E0101]: the file is not an ONNX model: it is a single tensor (TensorProto), perhaps test data
    error[E0101]: the file is not an ONNX model: it does not decode
    ");
}

#[test]
fn missing_external_data() {
    insta::assert_snapshot!(error(external("weights.bin")), @r"
    error[E0109]: external data of tensor `w` cannot be read
       | location  `weights.bin`
       | reason    no such file
       = help: keep the data file beside the model, under the name that was chosen at export
    ");
}

#[test]
fn external_data_outside_of_the_folder() {
    for location in ["/etc/passwd", "../w", "a/../../w", "a\\..\\w", "C:w", ""] {
        assert!(error(external(location)).starts_with("error[E0111]"), "`{location}`");
    }
    insta::assert_snapshot!(error(external("../secret")), @r"
    error[E0111]: external data at `../secret` lie outside of the model's folder
       | tensor  `w`
       = help: save the model with its data file in the same folder, by relative name
    ");
}

#[test]
fn opsets_too_new_and_too_old() {
    let text = |opset| read(&bytes(&model(weights(), opset))).expect_err("not read");
    insta::assert_snapshot!([text(26), text(6)].join("\n"), @r"
    error[E0104]: opset 26 is too new: Kiln reads 7 to 25
       = help: convert the model: `onnx.version_converter.convert_version(model, 25)`
    error[E0104]: opset 6 is too old: Kiln reads 7 to 25
       = help: convert the model: `onnx.version_converter.convert_version(model, 13)`
    ");
}

#[test]
fn wrong_length() {
    insta::assert_snapshot!(error(TensorProto { dims: vec![3], ..weights() }), @r"
    error[E0108]: tensor `w` holds another number of values than its shape
       | type      f32[3]
       | expected  12 bytes
       | found     8 bytes
       = help: the file is damaged: export it again
    ");
}

#[test]
fn overflowing_dimensions() {
    for dims in [vec![-1], vec![1; 17], vec![1 << 31]] {
        assert!(error(TensorProto { dims, ..weights() }).starts_with("error[E0107]"));
    }
    insta::assert_snapshot!(error(TensorProto { dims: vec![1 << 40, 1 << 40], ..weights() }), @r"
    error[E0107]: tensor `w` declares impossible dimensions
       | dims   [1099511627776, 1099511627776]
       | limit  16 dimensions, 2147483648 bytes
    ");
}

#[test]
fn zoo_models_survive_writing() {
    let Ok(zoo) = std::env::var("KILN_ZOO") else {
        println!("skipped: KILN_ZOO is not set");
        return;
    };
    let mut models = 0;
    for folder in std::fs::read_dir(zoo).expect("KILN_ZOO is a folder").flatten() {
        let Ok(file) = std::fs::read(folder.path().join("model.onnx")) else { continue };
        let first = read(&file).unwrap_or_else(|e| panic!("{}: {e}", folder.path().display()));
        let second = read(&onnx::write(&first)).expect("what was written is sound");
        assert!(first == second, "{}", folder.path().display());
        models += 1;
    }
    assert!(models > 0, "no model in KILN_ZOO");
}
