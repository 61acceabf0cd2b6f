//! The ONNX file as owned data. The only place that knows protobuf.

mod decode;
mod encode;
mod proto;

pub use decode::{External, check_location, read, read_tensor};
pub use encode::{data_type, write};

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

/// The value of an attribute.
#[derive(Debug, Clone, PartialEq)]
#[allow(missing_docs)]
pub enum Attribute {
    Float(f32),
    Int(i64),
    String(String),
    Tensor(Tensor),
    Graph(Graph),
    Floats(Vec<f32>),
    Ints(Vec<i64>),
    Strings(Vec<String>),
    /// A kind that Kiln does not read.
    Other,
}

/// Attributes by name.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Attributes(pub BTreeMap<String, Attribute>);

macro_rules! getters {
    ($($(#[$doc:meta])* $name:ident $variant:ident $t:ty, $what:literal;)*) => { $(
        #[doc = concat!("The attribute as ", $what, ", `None` when it is not there.")]
        ///
        /// # Errors
        /// `E0112` when it is of another kind.
        pub fn $name(&self, name: &str) -> Result<Option<$t>, Diagnostic> {
            match self.0.get(name) {
                None => Ok(None),
                Some(Attribute::$variant(value)) => Ok(Some(value.clone())),
                Some(_) => Err(Diagnostic::new("E0112", format!("attribute `{name}` is not {}", $what))),
            }
        }
    )* };
}

impl Attributes {
    /// Whether the attribute is there.
    pub fn has(&self, name: &str) -> bool {
        self.0.contains_key(name)
    }

    getters! {
        int Int i64, "an integer";
        float Float f32, "a float";
        string String String, "a string";
        ints Ints Vec<i64>, "a list of integers";
        floats Floats Vec<f32>, "a list of floats";
        strings Strings Vec<String>, "a list of strings";
        tensor Tensor Tensor, "a tensor";
        graph Graph Graph, "a graph";
    }
}
