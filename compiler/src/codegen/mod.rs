//! From program and plan to Rust text: an overview, the API, then one module of constants for each layer.
//!
//! The text is the product. It is one `pub mod`, to be `include!`d or pasted; it has no `unsafe`, no macros of its own,
//! no floating order: the same model gives the same bytes on every machine. Tables of more than
//! [`LARGEST_DECIMAL`] values are bytes of one file beside the text.

mod api;
mod fed;
mod layers;
mod literal;
mod names;
mod overview;
mod tables;
mod time;

pub use names::{shared_path, snake};
pub use tables::LARGEST_DECIMAL;

use crate::plan::Plan;
use crate::program::{ConstId, Port, Program};
use crate::tensor::ElemType;
use layers::{Home, Layer};
use std::collections::BTreeMap;
use tables::Blob;

/// What the text says beside the program.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Options {
    /// Name of the module; made an identifier.
    pub name: String,
    /// File name of the model, for the overview.
    pub source: String,
    /// A function that is called with the number of the step behind each kernel call, for a bench that times them.
    pub after_step: Option<String>,
}

/// Generated text and tables.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Code {
    /// Name of the module.
    pub module: String,
    /// Rust text.
    pub text: String,
    /// Name of the file that the text includes.
    pub weights_file: String,
    /// Its contents; `None` when the text includes no file.
    pub weights: Option<Vec<u8>>,
}

/// A port with its names and type in the generated API.
struct ApiPort<'a> {
    port: &'a Port,
    id: String,
    offset: usize,
    size: usize,
    len: usize,
}

struct Generator<'a> {
    program: &'a Program,
    plan: &'a Plan,
    options: &'a Options,
    module: String,
    weights_file: String,
    blob: Blob,
    layers: Vec<Layer>,
    homes: BTreeMap<ConstId, Home>,
    inputs: Vec<ApiPort<'a>>,
    outputs: Vec<ApiPort<'a>>,
}

/// Generates the text of a program in the given plan.
pub fn generate(program: &Program, plan: &Plan, options: &Options) -> Code {
    let module = snake(&options.name, "model");
    let ports = |ports, fallback| api_ports(program, plan, ports, fallback);
    let layers = layers::layers(program);
    let generator = Generator {
        program,
        plan,
        options,
        weights_file: format!("{module}.weights.bin"),
        module,
        blob: Blob::new(program),
        homes: layers::homes(program, &layers),
        layers,
        inputs: ports(&program.inputs, "input"),
        outputs: ports(&program.outputs, "output"),
    };
    generator.code()
}

fn api_ports<'a>(program: &Program, plan: &Plan, ports: &'a [Port], fallback: &str) -> Vec<ApiPort<'a>> {
    let mut taken = names::Names::default();
    let api_port = |port: &'a Port| {
        let id = taken.unique(snake(&port.name, fallback));
        let size = program.buffers[port.buffer.0].size();
        let offset = plan.placement.buffers[port.buffer.0];
        ApiPort { port, id, offset, size, len: size / port.ty.elem.size() }
    };
    ports.iter().map(api_port).collect()
}

impl Generator<'_> {
    fn code(self) -> Code {
        let mut text = self.overview();
        text += "#[forbid(unsafe_code)]\n";
        // What a program does not call is no mistake of its author's; layers keep the model's own names and numbers.
        text += "#[allow(dead_code, clippy::all)]\n";
        text += &format!("pub mod {} {{\n", self.module);
        text += &self.api();
        for layer in &self.layers {
            text += "\n";
            text += &self.layer(layer);
        }
        if !self.blob.bytes.is_empty() {
            text += &format!(
                "\n    static WEIGHTS: Aligned<{}> = Aligned(*include_bytes!({:?}));\n",
                self.blob.bytes.len(),
                self.weights_file
            );
        }
        text += "}\n";
        let weights = (!self.blob.bytes.is_empty()).then_some(self.blob.bytes);
        Code { module: self.module, text, weights_file: self.weights_file, weights }
    }
}

/// The Rust type of a port's elements.
fn rust_type(elem: ElemType) -> &'static str {
    match elem {
        ElemType::I4 | ElemType::I8 => "i8",
        ElemType::U4 | ElemType::U8 | ElemType::Bool => "u8",
        ElemType::I16 => "i16",
        ElemType::U16 | ElemType::F16 => "u16",
        ElemType::I32 => "i32",
        ElemType::U32 => "u32",
        ElemType::I64 => "i64",
        ElemType::U64 => "u64",
        ElemType::F32 => "f32",
        ElemType::F64 => "f64",
    }
}

/// A user's name in a doc comment: on one line, without what would end the code span around it.
fn quoted(name: &str) -> String {
    let clean: String = name.chars().map(|c| if c.is_control() || c == '`' { ' ' } else { c }).collect();
    format!("`{clean}`")
}
