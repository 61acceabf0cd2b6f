//! Protobuf bytes to the owned model, with limits: nothing that a file says is trusted.

use super::proto;
use super::{Attribute, Attributes, Dim, Graph, Model, Node, ValueInfo};
use crate::diag::{Diagnostic, Diagnostics};
use crate::tensor::{ElemType, Tensor, TensorType};
use prost::Message;
use std::collections::BTreeMap;

/// Reads a file beside the model: location, byte offset, length (`None`: to the end).
pub type External<'a> = &'a mut dyn FnMut(&str, u64, Option<u64>) -> Result<Vec<u8>, String>;

/// Protobuf messages end at 2 GiB.
const MAX_FILE: usize = (1 << 31) - 1;
const MAX_RANK: usize = 16;
const MAX_BYTES: usize = 1 << 31;
const MAX_NODES: usize = 1 << 20;
const MAX_DEPTH: usize = 8;
/// Opset versions of the default domain.
const OPSETS: std::ops::RangeInclusive<i64> = 7..=25;

/// Reads a model file. `external` reads tensors that are stored beside it.
///
/// # Errors
/// `E01xx`, see `compiler/docs/errors.md`.
pub fn read(bytes: &[u8], external: External) -> Result<Model, Diagnostics> {
    recognise(bytes)?;
    let model = proto::ModelProto::decode(bytes).map_err(|e| broken(bytes, &e.to_string()))?;
    let Some(graph) = model.graph else {
        return Err(broken(bytes, "it has no graph").into());
    };
    let mut opsets = BTreeMap::new();
    for set in &model.opset_import {
        let domain = if set.domain == "ai.onnx" { "" } else { set.domain.as_str() };
        opsets.insert(domain.to_string(), set.version);
    }
    if opsets.is_empty() && model.ir_version >= 3 {
        return Err(broken(bytes, "it names no opset").into());
    }
    check_opset(&opsets)?;
    let graph = Decoder { external }.graph(graph, 0)?;
    Ok(Model { ir_version: model.ir_version, opsets, graph })
}

/// Reads a file with a single tensor, as ONNX's test data have them.
///
/// # Errors
/// `E0101` when it is none, `E0106` to `E0109` when its contents are wrong.
pub fn read_tensor(bytes: &[u8]) -> Result<Tensor, Diagnostic> {
    let no_tensor = |why: &str| Diagnostic::new("E0101", format!("the file is not an ONNX tensor: {why}"));
    let tensor = proto::TensorProto::decode(bytes).map_err(|e| no_tensor(e.to_string().trim()))?;
    if tensor.data_type == 0 {
        return Err(no_tensor("it states no element type").help("sequences and maps are not supported"));
    }
    Decoder { external: &mut |_, _, _| Err("test data lie in one file".into()) }.tensor(tensor)
}

/// What a file that is no ONNX model most likely is.
fn recognise(bytes: &[u8]) -> Result<(), Diagnostic> {
    let text = |prefix: &[u8]| bytes.trim_ascii_start().starts_with(prefix);
    if bytes.is_empty() {
        return Err(not_onnx("it is empty"));
    }
    if bytes.len() > MAX_FILE {
        return Err(Diagnostic::new("E0103", "the file is larger than 2 GiB, the limit of its format")
            .help("store the weights as external data"));
    }
    if bytes.get(4..8) == Some(b"TFL3") {
        return Err(not_onnx("it is a TensorFlow Lite model")
            .help("convert it: `python -m tf2onnx.convert --tflite model.tflite --output model.onnx`"));
    }
    if text(b"version https://git-lfs") {
        return Err(not_onnx("it is a Git LFS pointer").help("fetch the file with `git lfs pull`"));
    }
    if text(b"<") || text(b"{") {
        return Err(not_onnx("it is text (HTML, XML or JSON)").help("was it a failed download?"));
    }
    if bytes.starts_with(b"PK\x03\x04") {
        return Err(not_onnx("it is a zip archive, perhaps a PyTorch or Keras model")
            .help("export it, for instance with `torch.onnx.export`"));
    }
    Ok(())
}

fn not_onnx(why: &str) -> Diagnostic {
    Diagnostic::new("E0101", format!("the file is not an ONNX model: {why}"))
}

/// A file that starts like a model but does not decode: a tensor, cut off, or something else.
fn broken(bytes: &[u8], reason: &str) -> Diagnostic {
    // A tensor's first fields read as a model's, so it is asked first; a model has no `data_type` under that tag.
    let tensor = proto::TensorProto::decode(bytes).ok();
    if tensor.is_some_and(|t| elem_type(t.data_type).is_some()) {
        return not_onnx("it is a single tensor (TensorProto), perhaps test data")
            .help("pass the `.onnx` file of the model");
    }
    // Field 1, `ir_version`, then a plausible version. Exporters write fields in order, so a cut loses the end: the
    // opsets at least, which come after the graph.
    let starts_like_a_model =
        bytes.first() == Some(&0x08) && bytes.get(1).is_none_or(|v| (1..=32).contains(v));
    if starts_like_a_model {
        return Diagnostic::new("E0102", "the file is truncated or damaged")
            .fact("size", format!("{} bytes", bytes.len()))
            .fact("decoder", reason.trim())
            .help("copy or download it again, and compare the size with the original");
    }
    not_onnx("it does not decode")
        .fact("decoder", reason.trim())
        .help("check that the path is the one of the `.onnx` file")
}

fn check_opset(opsets: &BTreeMap<String, i64>) -> Result<(), Diagnostic> {
    let Some(&version) = opsets.get("") else {
        return Ok(()); // a model of other domains only
    };
    if OPSETS.contains(&version) {
        return Ok(());
    }
    let (first, last) = (OPSETS.start(), OPSETS.end());
    let new = version > *last;
    let message =
        format!("opset {version} is too {}: Kiln reads {first} to {last}", if new { "new" } else { "old" });
    Err(Diagnostic::new("E0104", message).help(format!(
        "convert the model: `onnx.version_converter.convert_version(model, {})`",
        if new { *last } else { 13 }
    )))
}

struct Decoder<'a> {
    external: External<'a>,
}

impl Decoder<'_> {
    fn graph(&mut self, graph: proto::GraphProto, depth: usize) -> Result<Graph, Diagnostics> {
        if depth > MAX_DEPTH || graph.node.len() > MAX_NODES {
            return Err(Diagnostic::new("E0105", format!("graph `{}` exceeds a limit", graph.name))
                .fact("nodes", format!("{} of {MAX_NODES}", graph.node.len()))
                .fact("depth", format!("{depth} of {MAX_DEPTH}"))
                .into());
        }
        let mut problems = vec![];
        let mut keep = |result: Result<Tensor, Diagnostic>, name: &str| match result {
            Ok(tensor) => Some((name.to_string(), tensor)),
            Err(d) => {
                problems.push(d);
                None
            }
        };
        let mut initializers = vec![];
        for tensor in graph.initializer {
            let name = tensor.name.clone();
            initializers.extend(keep(self.tensor(tensor), &name));
        }
        let mut nodes = Vec::with_capacity(graph.node.len());
        for node in graph.node {
            match self.node(node, depth) {
                Ok(node) => nodes.push(node),
                Err(d) => problems.extend(d.0),
            }
        }
        Diagnostics::ok_or((), problems)?;
        let infos = |list: Vec<proto::ValueInfoProto>| {
            list.into_iter().map(value_info).collect::<Result<Vec<_>, _>>()
        };
        Ok(Graph {
            name: graph.name,
            nodes,
            initializers,
            inputs: infos(graph.input)?,
            outputs: infos(graph.output)?,
            value_infos: infos(graph.value_info)?,
        })
    }

    fn node(&mut self, node: proto::NodeProto, depth: usize) -> Result<Node, Diagnostics> {
        let name = if node.name.is_empty() {
            node.output.first().cloned().unwrap_or_default()
        } else {
            node.name.clone()
        };
        let mut attributes = BTreeMap::new();
        for attribute in node.attribute {
            let key = attribute.name.clone();
            let value = self.attribute(attribute, depth);
            let value = value
                .map_err(|d| Diagnostics(d.0.into_iter().map(|d| d.at(&name, &node.op_type)).collect()))?;
            attributes.insert(key, value);
        }
        Ok(Node {
            name: node.name,
            op_type: node.op_type,
            domain: node.domain,
            inputs: node.input,
            outputs: node.output,
            attributes: Attributes(attributes),
        })
    }

    /// By the declared type; files of IR version 1 and 2 may lack it, then by what is there.
    fn attribute(&mut self, a: proto::AttributeProto, depth: usize) -> Result<Attribute, Diagnostics> {
        let text = |s: Vec<u8>| String::from_utf8_lossy(&s).into_owned();
        Ok(match a.r#type {
            1 => Attribute::Float(a.f),
            2 => Attribute::Int(a.i),
            3 => Attribute::String(text(a.s)),
            4 => Attribute::Tensor(self.tensor(a.t.unwrap_or_default())?),
            5 => Attribute::Graph(self.graph(a.g.unwrap_or_default(), depth + 1)?),
            6 => Attribute::Floats(a.floats),
            7 => Attribute::Ints(a.ints),
            8 => Attribute::Strings(a.strings.into_iter().map(text).collect()),
            0 if a.t.is_some() => Attribute::Tensor(self.tensor(a.t.unwrap_or_default())?),
            0 if !a.ints.is_empty() => Attribute::Ints(a.ints),
            0 if !a.floats.is_empty() => Attribute::Floats(a.floats),
            0 if !a.s.is_empty() => Attribute::String(text(a.s)),
            0 if a.f != 0.0 => Attribute::Float(a.f),
            0 => Attribute::Int(a.i),
            _ => Attribute::Other,
        })
    }

    fn tensor(&mut self, t: proto::TensorProto) -> Result<Tensor, Diagnostic> {
        let name = t.name.clone();
        let (elem, bfloat) = elem_type(t.data_type).ok_or_else(|| {
            Diagnostic::new(
                "E0106",
                format!("tensor `{name}` has element type {}, which is not supported", t.data_type),
            )
            .help("floats, integers of 4 to 64 bits and bool are supported")
        })?;
        let too_large = || {
            Diagnostic::new("E0107", format!("tensor `{name}` declares impossible dimensions"))
                .fact("dims", format!("{:?}", t.dims))
                .fact("limit", format!("{MAX_RANK} dimensions, {MAX_BYTES} bytes"))
        };
        let shape: Option<Vec<usize>> = t.dims.iter().map(|&d| usize::try_from(d).ok()).collect();
        let ty = TensorType::new(elem, shape.filter(|s| s.len() <= MAX_RANK).ok_or_else(too_large)?);
        let packed = matches!(elem, ElemType::I4 | ElemType::U4);
        let size = if bfloat { 2 } else { elem.size() };
        let bytes = ty.checked_elements().and_then(|n| n.checked_mul(size)).filter(|n| *n <= MAX_BYTES);
        let bytes = bytes.map(|n| if packed { n.div_ceil(2) } else { n });
        let expected = bytes.ok_or_else(too_large)?;
        let data = if t.data_location == 1 { self.external(&t, expected)? } else { inline(&t, elem) };
        if data.len() != expected {
            return Err(Diagnostic::new(
                "E0108",
                format!("tensor `{name}` holds another number of values than its shape"),
            )
            .fact("type", &ty)
            .fact("expected", format!("{expected} bytes"))
            .fact("found", format!("{} bytes", data.len()))
            .help("the file is damaged: export it again"));
        }
        if packed {
            let bytes = unpack(&data, elem, ty.elements());
            return Tensor::new(ty, bytes);
        }
        let data =
            if bfloat { data.chunks_exact(2).flat_map(|b| [0, 0, b[0], b[1]]).collect() } else { data };
        Tensor::new(ty, data)
    }

    fn external(&mut self, t: &proto::TensorProto, expected: usize) -> Result<Vec<u8>, Diagnostic> {
        let entry = |key: &str| t.external_data.iter().find(|e| e.key == key).map(|e| e.value.as_str());
        let number = |key: &str| match entry(key) {
            None => Ok(None),
            Some(text) => text.parse::<u64>().map(Some).map_err(|_| {
                Diagnostic::new(
                    "E0109",
                    format!("external data of `{}` has `{key}` = `{text}`, not a number", t.name),
                )
            }),
        };
        let location = entry("location").unwrap_or_default();
        check_location(location).map_err(|d| d.fact("tensor", format!("`{}`", t.name)))?;
        let (offset, length) = (number("offset")?.unwrap_or(0), number("length")?);
        if length.is_some_and(|l| l != expected as u64) {
            return Err(Diagnostic::new(
                "E0108",
                format!("external data of `{}` have the wrong length", t.name),
            )
            .fact("expected", format!("{expected} bytes"))
            .fact("declared", format!("{} bytes", length.unwrap_or(0))));
        }
        (self.external)(location, offset, Some(expected as u64)).map_err(|e| {
            Diagnostic::new("E0109", format!("external data of tensor `{}` cannot be read", t.name))
                .fact("location", format!("`{location}`"))
                .fact("reason", e)
                .help("keep the data file beside the model, under the name that was chosen at export")
        })
    }
}

/// External data lie in the model's folder: no absolute paths, no `..`, no drives.
///
/// # Errors
/// `E0111`.
pub fn check_location(location: &str) -> Result<(), Diagnostic> {
    let ok = !location.is_empty()
        && !location.contains(['\\', ':', '\0'])
        && !location.starts_with('/')
        && location.split('/').all(|part| part != "..");
    if ok {
        return Ok(());
    }
    Err(Diagnostic::new("E0111", format!("external data at `{location}` lie outside of the model's folder"))
        .help("save the model with its data file in the same folder, by relative name"))
}

/// The values inside the message: raw, or in the list of their type.
fn inline(t: &proto::TensorProto, elem: ElemType) -> Vec<u8> {
    if !t.raw_data.is_empty() {
        return t.raw_data.clone();
    }
    let narrow =
        |size: usize| t.int32_data.iter().flat_map(move |v| v.to_le_bytes().into_iter().take(size)).collect();
    match elem {
        ElemType::F32 if t.float_data.is_empty() => narrow(2), // bfloat16
        ElemType::F32 => t.float_data.iter().flat_map(|v| v.to_le_bytes()).collect(),
        ElemType::F64 => t.double_data.iter().flat_map(|v| v.to_le_bytes()).collect(),
        ElemType::I64 => t.int64_data.iter().flat_map(|v| v.to_le_bytes()).collect(),
        ElemType::U64 => t.uint64_data.iter().flat_map(|v| v.to_le_bytes()).collect(),
        ElemType::U32 => t.uint64_data.iter().flat_map(|v| (*v as u32).to_le_bytes()).collect(),
        narrow_elem => narrow(narrow_elem.size()),
    }
}

/// Two values a byte, the first in the low four bits, as bytes.
fn unpack(packed: &[u8], elem: ElemType, count: usize) -> Vec<u8> {
    let widen = |nibble: u8| match elem {
        ElemType::I4 => ((nibble << 4) as i8 >> 4) as u8,
        _ => nibble,
    };
    packed.iter().flat_map(|byte| [widen(byte & 15), widen(byte >> 4)]).take(count).collect()
}

/// `TensorProto.DataType`, and whether it is bfloat16, which becomes f32.
fn elem_type(data_type: i32) -> Option<(ElemType, bool)> {
    Some((
        match data_type {
            1 | 16 => ElemType::F32,
            2 => ElemType::U8,
            3 => ElemType::I8,
            4 => ElemType::U16,
            5 => ElemType::I16,
            6 => ElemType::I32,
            7 => ElemType::I64,
            9 => ElemType::Bool,
            10 => ElemType::F16,
            11 => ElemType::F64,
            12 => ElemType::U32,
            13 => ElemType::U64,
            21 => ElemType::U4,
            22 => ElemType::I4,
            _ => return None,
        },
        data_type == 16,
    ))
}

fn value_info(v: proto::ValueInfoProto) -> Result<ValueInfo, Diagnostic> {
    let Some(tensor) = v.r#type.and_then(|t| t.tensor_type) else {
        return Ok(ValueInfo { name: v.name, elem: None, shape: None });
    };
    let dim = |d: proto::DimensionProto| match (d.dim_value, d.dim_param) {
        (Some(n), _) if n > 0 => usize::try_from(n).map(Dim::Fixed).ok(),
        (_, Some(symbol)) if !symbol.is_empty() => Some(Dim::Symbol(symbol)),
        _ => Some(Dim::Unknown),
    };
    let shape = match tensor.shape {
        Some(shape) => Some(shape.dim.into_iter().map(dim).collect::<Option<Vec<_>>>().unwrap_or_default()),
        None => None,
    };
    if let Some(shape) = &shape {
        let fixed = shape.iter().map(|d| if let Dim::Fixed(n) = d { *n } else { 1 });
        let elements = fixed.into_iter().try_fold(1usize, usize::checked_mul);
        if shape.len() > MAX_RANK || elements.is_none_or(|n| n > MAX_BYTES) {
            return Err(Diagnostic::new("E0107", format!("`{}` declares impossible dimensions", v.name))
                .fact("limit", format!("{MAX_RANK} dimensions, {MAX_BYTES} elements")));
        }
    }
    Ok(ValueInfo { name: v.name, elem: elem_type(tensor.elem_type).map(|(e, _)| e), shape })
}
