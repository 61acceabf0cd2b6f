//! ONNX operators, one file each: import, type inference, quantization rule, axes, lowering.
//!
//! An operator is added in one file plus one line in `ops!` below. The file has the operator's struct (its attributes,
//! with ONNX's defaults applied), an `impl Operator`, and `pub fn import`, which reads the node's attributes. Its meaning
//! is its lowering: constant folding, calibration, `kiln run` and the tests all execute that.
//!
//! An operator that is only a spelling of others (`QLinearConv` is DequantizeLinear, Conv, QuantizeLinear) has just an
//! `import`, which returns the fragment.

mod args;
mod export;
pub mod lowering;
pub mod shared;

pub use args::{Arg, Args};
pub use export::{Export, ExportNode, OPSET};
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
    /// The operator as nodes of an ONNX file.
    fn export(&self, inputs: &Args) -> Export;
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
        conv_integer::ConvInteger ["ConvInteger"]
        depth_to_space::DepthToSpace ["DepthToSpace"]
        dequantize_linear::DequantizeLinear ["DequantizeLinear", "com.microsoft.DequantizeLinear"]
        div::Div ["Div"]
        dynamic_quantize_linear::DynamicQuantizeLinear ["DynamicQuantizeLinear"]
        equal::Equal ["Equal"]
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
        matmul_integer::MatMulInteger ["MatMulInteger"]
        max::Max ["Max"]
        max_pool::MaxPool ["MaxPool"]
        min::Min ["Min"]
        mul::Mul ["Mul"]
        pad::Pad ["Pad"]
        prelu::PRelu ["PRelu"]
        quantize_linear::QuantizeLinear ["QuantizeLinear", "com.microsoft.QuantizeLinear"]
        range::Range ["Range"]
        reduce_mean::ReduceMean ["ReduceMean"]
        relu::Relu ["Relu"]
        requantize::Requantize []
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
        r#where::Where ["Where"]
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

#[cfg(test)]
mod testing {
    //! Runs single operators, for the tests beside them.

    use super::{Arg, Args, Fragment, ImportContext, Op, import};
    use crate::graph::{Graph, Origin};
    use crate::onnx::{Attribute, Attributes, Node};
    use crate::tensor::{QParams, Tensor};
    use crate::{lower, program};

    /// An operand: its value, and whether the compiler knows it.
    #[derive(Debug, Clone)]
    pub struct Operand(Option<Tensor>, bool, Option<QParams>);

    /// Computed at run time.
    pub fn input(t: Tensor) -> Operand {
        Operand(Some(t), false, None)
    }

    /// Known at compile time.
    pub fn constant(t: Tensor) -> Operand {
        Operand(Some(t), true, None)
    }

    /// Omitted.
    pub fn omitted() -> Operand {
        Operand(None, true, None)
    }

    /// Constant i64 of one axis.
    pub fn list(values: &[i64]) -> Operand {
        constant(Tensor::from_i64(&[values.len()], values))
    }

    /// The values 0, 1, 2, .. at run time.
    pub fn count(shape: &[usize]) -> Operand {
        let n: usize = shape.iter().product();
        input(Tensor::from_f32(shape, &(0..n).map(|i| i as f32).collect::<Vec<_>>()))
    }

    impl Operand {
        /// With a scale and a zero point.
        pub fn q(mut self, scale: f32, zero_point: i32) -> Operand {
            self.2 = Some(QParams::per_tensor(scale, zero_point));
            self
        }
    }

    /// What a node `name(x0, x1, ..) -> (y0, y1, ..)` becomes; the error as text.
    pub fn imported(
        (name, opset): (&str, i64),
        (inputs, outputs): (usize, usize),
        attributes: &[(&str, Attribute)],
    ) -> Result<Fragment, String> {
        let names = |x: &str, n: usize| (0..n).map(|i| format!("{x}{i}")).collect();
        let attributes = attributes.iter().map(|(name, a)| (name.to_string(), a.clone()));
        let node = Node {
            name: "node".into(),
            op_type: name.into(),
            domain: String::new(),
            inputs: names("x", inputs),
            outputs: names("y", outputs),
            attributes: Attributes(attributes.collect()),
        };
        import(ImportContext { node: &node, opset }).map_err(|d| d.to_string())
    }

    /// Lowers one operator and runs it; the error as text.
    pub fn run(op: impl Into<Op>, operands: &[Operand], q: Option<QParams>) -> Result<Vec<Tensor>, String> {
        let (op, mut graph, mut values) = (op.into(), Graph::default(), vec![]);
        for (i, Operand(tensor, known, qparams)) in operands.iter().enumerate() {
            values.push(tensor.as_ref().map(|t| {
                let id = match known {
                    true => graph.add_constant(&format!("x{i}"), t.clone()),
                    false => graph.add_value(&format!("x{i}"), t.ty().clone()),
                };
                graph.value_mut(id).qparams = qparams.clone();
                graph.inputs.extend((!known).then_some(id));
                id
            }));
        }
        let origin = Origin { nodes: vec![], op_type: op.name().to_string() };
        let node = graph.add_node("op", op, values, vec![], origin);
        let types = graph.infer(node).map_err(|d| d.to_string())?;
        for (i, ty) in types.into_iter().enumerate() {
            let y = graph.add_value(&format!("y{i}"), ty);
            graph.value_mut(y).qparams = q.clone();
            graph.node_mut(node).outputs.push(y);
            graph.outputs.push(y);
        }
        let lowered = lower::lower(&graph).map_err(|d| d.to_string())?;
        let inputs: Vec<Tensor> = operands.iter().filter(|o| !o.1).filter_map(|o| o.0.clone()).collect();
        program::run(&lowered, &inputs).map_err(|d| d.to_string())
    }

    /// The only output of an operator that has to succeed.
    pub fn value(op: impl Into<Op>, operands: &[Operand], q: Option<QParams>) -> Tensor {
        run(op, operands, q).unwrap_or_else(|e| panic!("{e}")).remove(0)
    }

    /// Shape and values of a float operator.
    pub fn floats(op: impl Into<Op>, operands: &[Operand]) -> (Vec<usize>, Vec<f32>) {
        let y = value(op, operands, None);
        (y.shape().to_vec(), y.to_f32s())
    }

    /// The text of the error.
    pub fn error(op: impl Into<Op>, operands: &[Operand]) -> String {
        run(op, operands, None).expect_err("the operator was accepted")
    }

    /// Computes an operator of constants as constant folding does; the error as text.
    pub fn fold(op: impl Into<Op>, operands: &[Operand]) -> Result<Option<Vec<Tensor>>, String> {
        let op = op.into();
        let args: Vec<_> = operands
            .iter()
            .map(|o| o.0.as_ref().map(|t| Arg { ty: t.ty(), value: o.1.then_some(t), qparams: None }))
            .collect();
        let types = op.operator().infer(&Args(&args)).map_err(|d| d.to_string())?;
        lower::evaluate(&op, &Args(&args), &types).map_err(|d| d.to_string())
    }

    /// Shape and values of a folded operator on integers.
    pub fn folded(op: impl Into<Op>, operands: &[Operand]) -> (Vec<usize>, Vec<i64>) {
        let values = fold(op, operands).unwrap_or_else(|e| panic!("{e}")).expect("folds");
        (values[0].shape().to_vec(), values[0].to_i64s())
    }
}
