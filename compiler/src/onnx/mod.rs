//! The ONNX file as owned data.

use crate::diag::Diagnostic;
use crate::tensor::{ElemType, Tensor};
use std::collections::BTreeMap;

/// A model file.
#[derive(Debug, Clone, PartialEq)]
pub struct Model {
    /// IR version.
    pub ir_version: i64,
    /// Operator set versions by domain; the default domain is `""`.
    pub opsets: BTreeMap<String, i64>,
    /// The graph.
    pub graph: Graph,
}

/// A graph of the file.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Graph {
    /// Name.
    pub name: String,
    /// Nodes in the order of the file.
    pub nodes: Vec<Node>,
    /// Constants by name.
    pub initializers: Vec<(String, Tensor)>,
    /// Inputs.
    pub inputs: Vec<ValueInfo>,
    /// Outputs.
    pub outputs: Vec<ValueInfo>,
    /// Types of other values.
    pub value_infos: Vec<ValueInfo>,
}

/// A node of the file.
#[derive(Debug, Clone, PartialEq)]
pub struct Node {
    /// Name, often empty.
    pub name: String,
    /// Operator type.
    pub op_type: String,
    /// Domain.
    pub domain: String,
    /// Input names; empty for an omitted one.
    pub inputs: Vec<String>,
    /// Output names.
    pub outputs: Vec<String>,
    /// Attributes.
    pub attributes: Attributes,
}

/// Name and type of a value.
#[derive(Debug, Clone, PartialEq)]
pub struct ValueInfo {
    /// Name.
    pub name: String,
    /// Element type, `None` for what is no tensor.
    pub elem: Option<ElemType>,
    /// Shape, `None` when unknown.
    pub shape: Option<Vec<Dim>>,
}

/// One extent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Dim {
    /// Fixed.
    Fixed(usize),
    /// Symbolic.
    Symbol(String),
    /// Unknown.
    Unknown,
}

/// Attributes by name.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Attributes(BTreeMap<String, ()>);

impl Attributes {
    /// stub
    pub fn int(&self, _: &str) -> Result<Option<i64>, Diagnostic> {
        Ok(None)
    }
    /// stub
    pub fn ints(&self, _: &str) -> Result<Option<Vec<i64>>, Diagnostic> {
        Ok(None)
    }
    /// stub
    pub fn float(&self, _: &str) -> Result<Option<f32>, Diagnostic> {
        Ok(None)
    }
    /// stub
    pub fn string(&self, _: &str) -> Result<Option<String>, Diagnostic> {
        Ok(None)
    }
}
