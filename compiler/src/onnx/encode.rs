//! The owned model to protobuf bytes: what [`super::read`] reads back as the same model.

use super::proto;
use super::{Attribute, Dim, Graph, Model, Node, ValueInfo};
use crate::tensor::{ElemType, Tensor};
use prost::Message;

/// Writes a model file. All tensors go into it as raw data, also those that were read from beside the model.
///
/// Attributes of a kind that Kiln does not read ([`Attribute::Other`]) have no value here and are left out.
pub fn write(model: &Model) -> Vec<u8> {
    let opset = |(domain, version): (&String, &i64)| proto::OperatorSetIdProto {
        domain: domain.clone(),
        version: *version,
    };
    proto::ModelProto {
        ir_version: model.ir_version,
        opset_import: model.opsets.iter().map(opset).collect(),
        graph: Some(graph(&model.graph)),
    }
    .encode_to_vec()
}

fn graph(graph: &Graph) -> proto::GraphProto {
    let infos = |list: &[ValueInfo]| list.iter().map(value_info).collect();
    proto::GraphProto {
        node: graph.nodes.iter().map(node).collect(),
        name: graph.name.clone(),
        initializer: graph.initializers.iter().map(|(name, t)| tensor(name, t)).collect(),
        input: infos(&graph.inputs),
        output: infos(&graph.outputs),
        value_info: infos(&graph.value_infos),
    }
}

fn node(node: &Node) -> proto::NodeProto {
    proto::NodeProto {
        input: node.inputs.clone(),
        output: node.outputs.clone(),
        name: node.name.clone(),
        op_type: node.op_type.clone(),
        attribute: node.attributes.0.iter().filter_map(|(name, value)| attribute(name, value)).collect(),
        domain: node.domain.clone(),
    }
}

/// The numbers are `AttributeProto.AttributeType`.
fn attribute(name: &str, value: &Attribute) -> Option<proto::AttributeProto> {
    let mut a = proto::AttributeProto { name: name.to_string(), ..Default::default() };
    a.r#type = match value {
        Attribute::Float(v) => (a.f = *v, 1).1,
        Attribute::Int(v) => (a.i = *v, 2).1,
        Attribute::String(v) => (a.s = v.clone().into_bytes(), 3).1,
        Attribute::Tensor(v) => (a.t = Some(tensor("", v)), 4).1,
        Attribute::Graph(v) => (a.g = Some(graph(v)), 5).1,
        Attribute::Floats(v) => (a.floats = v.clone(), 6).1,
        Attribute::Ints(v) => (a.ints = v.clone(), 7).1,
        Attribute::Strings(v) => (a.strings = v.iter().map(|s| s.clone().into_bytes()).collect(), 8).1,
        Attribute::Other => return None,
    };
    Some(a)
}

fn tensor(name: &str, tensor: &Tensor) -> proto::TensorProto {
    proto::TensorProto {
        dims: tensor.shape().iter().map(|&d| d as i64).collect(),
        data_type: data_type(tensor.elem()),
        name: name.to_string(),
        raw_data: raw_data(tensor),
        ..Default::default()
    }
}

/// Little-endian bytes; values of four bits two a byte, the first in the low ones.
fn raw_data(tensor: &Tensor) -> Vec<u8> {
    let bytes = tensor.bytes();
    match tensor.elem() {
        ElemType::I4 | ElemType::U4 => {
            bytes.chunks(2).map(|pair| pair[0] & 15 | pair.get(1).map_or(0, |high| high << 4)).collect()
        }
        _ => bytes.to_vec(),
    }
}

fn value_info(info: &ValueInfo) -> proto::ValueInfoProto {
    let dim = |d: &Dim| match d {
        Dim::Fixed(n) => proto::DimensionProto { dim_value: Some(*n as i64), dim_param: None },
        Dim::Symbol(s) => proto::DimensionProto { dim_value: None, dim_param: Some(s.clone()) },
        Dim::Unknown => proto::DimensionProto::default(),
    };
    let shape = info.shape.as_ref();
    let shape = shape.map(|s| proto::TensorShapeProto { dim: s.iter().map(dim).collect() });
    let tensor_type = (info.elem.is_some() || shape.is_some())
        .then(|| proto::TensorTypeProto { elem_type: info.elem.map_or(0, data_type), shape });
    let ty = tensor_type.map(|t| proto::TypeProto { tensor_type: Some(t) });
    proto::ValueInfoProto { name: info.name.clone(), r#type: ty }
}

/// The number of an element type, `TensorProto.DataType`.
pub fn data_type(elem: ElemType) -> i32 {
    match elem {
        ElemType::F32 => 1,
        ElemType::U8 => 2,
        ElemType::I8 => 3,
        ElemType::U16 => 4,
        ElemType::I16 => 5,
        ElemType::I32 => 6,
        ElemType::I64 => 7,
        ElemType::Bool => 9,
        ElemType::F16 => 10,
        ElemType::F64 => 11,
        ElemType::U32 => 12,
        ElemType::U64 => 13,
        ElemType::U4 => 21,
        ElemType::I4 => 22,
    }
}
