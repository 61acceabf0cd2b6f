//! ONNX operators, one file each: import, type inference, quantization rule, axes, lowering.
//!
//! An operator is added in one file plus one line in `ops!` below. The file has the operator's struct (its attributes,
//! with ONNX's defaults applied), an `impl Operator`, and `pub fn import`, which reads the node's attributes. Its meaning
//! is its lowering: constant folding, calibration, `kiln run` and the tests all execute that.
//!
//! An operator that is only a spelling of others (`QLinearConv` is DequantizeLinear, Conv, QuantizeLinear) has just an
//! `import`, which returns the fragment.

mod args;
pub mod lowering;
pub mod shared;

pub use args::{Arg, Args};
pub use lowering::{Lowering, Operand};

use crate::diag::Diagnostic;
use crate::onnx;
use crate::tensor::{Tensor, TensorType};
use std::fmt::Debug;

/// What every operator answers. No default methods: a missing answer is a compile error.
pub trait Operator: Debug {
    /// Output types from input types (and values, where the shape depends on them).
    ///
    /// # Errors
    /// `E02xx` when the inputs do not fit together; the caller adds the node and the operands.
    fn infer(&self, inputs: &Args) -> Result<Vec<TensorType>, Diagnostic>;
    /// How the operator takes part in int8 quantization.
    fn quantize(&self) -> QuantRule;
    /// Which output axis follows which input axis.
    fn axes(&self, inputs: &Args) -> AxisMap;
    /// Emits kernel calls, or binds outputs to views of inputs.
    ///
    /// # Errors
    /// `E03xx` when no kernel can do it, with the way out.
    fn lower(&self, b: &mut Lowering) -> Result<(), Diagnostic>;
}

/// What an input is to quantization.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum InputRole {
    /// int8, per-tensor scale and zero point.
    Activation,
    /// int8, a scale for each index of `axis`.
    Weight {
        /// The axis of output channels.
        axis: usize,
    },
    /// int32, scale = input scale * weight scale.
    Bias,
    /// Integers that say a shape, axes or indices; never quantized.
    Shape,
}

/// Where the scale of an output comes from.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum OutputRole {
    /// From calibration; any scale will do.
    Calibrate,
    /// The operator moves or selects values: the output has the scale of that input.
    SameAs(usize),
    /// The range is known.
    Fixed {
        /// Scale.
        scale: f32,
        /// Zero point.
        zero_point: i32,
    },
    /// No integer form: the operator stays in float.
    Float,
}

/// How an operator takes part in quantization. The last input role repeats for further inputs.
#[derive(Debug, Clone, PartialEq)]
pub struct QuantRule {
    /// Roles of the inputs.
    pub inputs: Vec<InputRole>,
    /// Role of every output.
    pub output: OutputRole,
}

impl QuantRule {
    /// All inputs are activations.
    pub fn activations(output: OutputRole) -> QuantRule {
        QuantRule { inputs: vec![InputRole::Activation], output }
    }

    /// No integer form.
    pub fn float() -> QuantRule {
        QuantRule::activations(OutputRole::Float)
    }

    /// The first input is an activation, the others say shapes.
    pub fn moves() -> QuantRule {
        QuantRule { inputs: vec![InputRole::Activation, InputRole::Shape], output: OutputRole::SameAs(0) }
    }

    /// Role of input `i`.
    pub fn role(&self, i: usize) -> InputRole {
        self.inputs.get(i).or(self.inputs.last()).copied().unwrap_or(InputRole::Activation)
    }
}

/// For each axis of the first output, the (input, axis) pairs that have the same index along it. An axis that nothing
/// follows (a reduction's, a convolution's rows) is empty.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct AxisMap(pub Vec<Vec<(usize, usize)>>);

impl AxisMap {
    /// Every axis follows the same axis of every input, aligned at the end as broadcasting does; unit axes do not.
    pub fn elementwise(inputs: &Args) -> AxisMap {
        let rank = inputs.iter().map(|a| a.ty.shape.len()).max().unwrap_or(0);
        let link = |o: usize| {
            let inputs = inputs.iter().enumerate();
            inputs
                .filter_map(|(i, a)| {
                    let axis = (o + a.ty.shape.len()).checked_sub(rank)?;
                    (a.ty.shape[axis] != 1).then_some((i, axis))
                })
                .collect()
        };
        AxisMap((0..rank).map(link).collect())
    }

    /// Nothing follows anything.
    pub fn none(rank: usize) -> AxisMap {
        AxisMap(vec![Vec::new(); rank])
    }
}

/// Where a node of a fragment takes an input from.
#[derive(Debug, Clone, PartialEq)]
pub enum Wire {
    /// The ONNX node's input of that index (an omitted one stays omitted).
    Input(usize),
    /// Output `.1` of the fragment's node `.0`.
    Node(usize, usize),
    /// A constant.
    Const(Tensor),
    /// Omitted.
    None,
}

/// What a node of the ONNX file becomes: operators with local wiring, which `graph` splices in.
#[derive(Debug, Default)]
pub struct Fragment {
    /// Operators with their inputs and number of outputs, in order.
    pub nodes: Vec<(Op, Vec<Wire>, usize)>,
    /// What the ONNX node's outputs are.
    pub outputs: Vec<Wire>,
}

impl Fragment {
    /// One operator with the node's own inputs and outputs.
    pub fn single(op: impl Into<Op>, node: &onnx::Node) -> Fragment {
        let inputs = (0..node.inputs.len()).map(Wire::Input).collect();
        let outputs = (0..node.outputs.len()).map(|o| Wire::Node(0, o)).collect();
        Fragment { nodes: vec![(op.into(), inputs, node.outputs.len())], outputs }
    }

    /// Adds an operator with one output; returns the wire that carries it.
    pub fn node(&mut self, op: impl Into<Op>, inputs: Vec<Wire>) -> Wire {
        self.nodes.push((op.into(), inputs, 1));
        Wire::Node(self.nodes.len() - 1, 0)
    }
}

/// What `import` sees: the node and the opset version of its domain.
#[derive(Debug, Clone, Copy)]
pub struct ImportContext<'a> {
    /// The node.
    pub node: &'a onnx::Node,
    /// Version of the operator set that the model imports for the node's domain.
    pub opset: i64,
}

macro_rules! ops {
    (
        operators { $( $module:ident :: $op:ident [$($name:literal),* $(,)?] )* }
        spellings { $( $spelling:ident [$($spelled:literal),* $(,)?] )* }
    ) => {
        $( mod $module; pub use $module::$op; )*
        $( mod $spelling; )*

        /// An operator of the graph.
        #[derive(Debug, Clone, PartialEq)]
        #[allow(missing_docs)]
        pub enum Op { $( $op($op), )* }

        $( impl From<$op> for Op { fn from(op: $op) -> Op { Op::$op(op) } } )*

        impl Op {
            /// Name of the operator.
            pub fn name(&self) -> &'static str {
                match self { $( Op::$op(_) => stringify!($op), )* }
            }

            /// The operator's answers.
            pub fn operator(&self) -> &dyn Operator {
                match self { $( Op::$op(op) => op, )* }
            }
        }

        /// ONNX names that can be imported, `domain.Name` outside of the default domain.
        pub const SUPPORTED: &[&str] = &[ $( $($name,)* )* $( $($spelled,)* )* ];

        fn importer(name: &str) -> Option<fn(ImportContext) -> Result<Fragment, Diagnostic>> {
            match name {
                // An operator without ONNX names is internal: made by passes only.
                $( _ if [$($name),*].contains(&name) => Some($module::import), )*
                $( _ if [$($spelled),*].contains(&name) => Some($spelling::import), )*
                _ => None,
            }
        }
    };
}

/// Whether a node's operator is known.
pub fn is_supported(node: &onnx::Node) -> bool {
    importer(&qualified(node)).is_some()
}

/// `Name`, or `domain.Name` outside of the default domain.
pub fn qualified(node: &onnx::Node) -> String {
    match node.domain.as_str() {
        "" | "ai.onnx" => node.op_type.clone(),
        domain => format!("{domain}.{}", node.op_type),
    }
}

/// Reads a node's attributes into operators.
///
/// # Errors
/// `E0201` for an operator that is not supported, `E02xx` for attributes that are.
pub fn import(ctx: ImportContext) -> Result<Fragment, Diagnostic> {
    let name = qualified(ctx.node);
    match importer(&name) {
        Some(import) => import(ctx),
        None => Err(Diagnostic::new("E0201", format!("operator `{name}` is not supported"))
            .help("open an issue with the model, or replace the operator at export")),
    }
}

ops! {
    operators {
        add::Add ["Add"]
        average_pool::AveragePool ["AveragePool"]
        batch_normalization::BatchNormalization ["BatchNormalization"]
        cast::Cast ["Cast"]
        clip::Clip ["Clip"]
        concat::Concat ["Concat"]
        constant_of_shape::ConstantOfShape ["ConstantOfShape"]
        conv::Conv ["Conv"]
        dequantize_linear::DequantizeLinear ["DequantizeLinear"]
        div::Div ["Div"]
        expand::Expand ["Expand"]
        flatten::Flatten ["Flatten"]
        flip_sign::FlipSign []
        gather::Gather ["Gather"]
        gemm::Gemm ["Gemm"]
        global_average_pool::GlobalAveragePool ["GlobalAveragePool"]
        global_max_pool::GlobalMaxPool ["GlobalMaxPool"]
        hard_sigmoid::HardSigmoid ["HardSigmoid"]
        hard_swish::HardSwish ["HardSwish"]
        identity::Identity ["Identity"]
        leaky_relu::LeakyRelu ["LeakyRelu"]
        matmul::MatMul ["MatMul"]
        max_pool::MaxPool ["MaxPool"]
        mul::Mul ["Mul"]
        pad::Pad ["Pad"]
        prelu::PRelu ["PRelu"]
        quantize_linear::QuantizeLinear ["QuantizeLinear"]
        range::Range ["Range"]
        reduce_mean::ReduceMean ["ReduceMean"]
        relu::Relu ["Relu"]
        reshape::Reshape ["Reshape"]
        shape::Shape ["Shape"]
        sigmoid::Sigmoid ["Sigmoid"]
        size::Size ["Size"]
        slice::Slice ["Slice"]
        softmax::Softmax ["Softmax"]
        split::Split ["Split"]
        squeeze::Squeeze ["Squeeze"]
        sub::Sub ["Sub"]
        tanh::Tanh ["Tanh"]
        transpose::Transpose ["Transpose"]
        unsqueeze::Unsqueeze ["Unsqueeze"]
    }
    spellings {
        constant ["Constant"]
        dropout ["Dropout"]
        qgemm ["com.microsoft.QGemm"]
        qlinear_add ["com.microsoft.QLinearAdd"]
        qlinear_average_pool ["com.microsoft.QLinearAveragePool"]
        qlinear_concat ["com.microsoft.QLinearConcat"]
        qlinear_conv ["QLinearConv"]
        qlinear_global_average_pool ["com.microsoft.QLinearGlobalAveragePool"]
        qlinear_leaky_relu ["com.microsoft.QLinearLeakyRelu"]
        qlinear_matmul ["QLinearMatMul"]
        qlinear_mul ["com.microsoft.QLinearMul"]
        qlinear_sigmoid ["com.microsoft.QLinearSigmoid"]
        qlinear_softmax ["com.microsoft.QLinearSoftmax"]
    }
}
