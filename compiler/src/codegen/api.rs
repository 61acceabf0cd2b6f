//! The API: `Model` with its memory, inputs, `invoke`, outputs, and what it costs.

use super::{ApiPort, Generator, overview::signature, rust_type, tables::float};
use crate::tensor::ElemType;
use kiln_runtime_core::Family;
use std::collections::BTreeSet;
use std::fmt::Write;

/// Whether a port is input or output.
#[derive(Clone, Copy, PartialEq)]
enum Side {
    Input,
    Output,
}

/// How a port's values are converted from and to real numbers.
#[derive(Clone, Copy, PartialEq)]
pub(super) enum Real {
    F32,
    Integer(ElemType),
}

impl Real {
    /// The output, of `len` values, as real numbers.
    pub(super) fn output(self, len: usize) -> String {
        match self {
            Real::F32 => "            *self.output()\n".to_owned(),
            Real::Integer(_) => format!(
                "            let mut output = [0.0; {len}];
            for (to, from) in output.iter_mut().zip(self.output()) {{
                *to = OUTPUT.dequantize(i32::from(*from));
            }}
            output
"
            ),
        }
    }
}

impl Generator<'_> {
    pub(super) fn api(&self) -> String {
        let blocks = self.plan.arena_len / 16;
        let (inputs, outputs) = (self.inputs.len(), self.outputs.len());
        let descriptors =
            self.descriptors(Side::Input, &self.inputs) + &self.descriptors(Side::Output, &self.outputs);
        let timed = self.timed();
        let streamed = match (&timed, self.fed()) {
            (Some(timed), Some(fed)) => fed.ring() + &timed.constants(),
            (None, Some(fed)) => fed.ring() + &fed.rows(),
            _ => String::new(),
        };
        let descriptors = descriptors + &streamed;
        format!(
            "{imports}
{descriptors}\
\x20   /// The model with its memory, {ram} bytes. Place it in a `static`: it may be larger than the stack.
    pub struct Model {{
        arena: [Block; {blocks}],
    }}

    impl Model {{
        /// Bytes of memory: `size_of::<Model>()`.
        pub const RAM: usize = {ram};
        /// Bytes of constant tables.
        pub const FLASH: usize = {flash};
        /// Multiply-accumulates of one inference.
        pub const MACS: u64 = {macs};
{figures}        /// Number of inputs.
        pub const INPUTS: usize = {inputs};
        /// Number of outputs.
        pub const OUTPUTS: usize = {outputs};

        /// A model with all of its memory zero.
        pub const fn new() -> Model {{
            Model {{ arena: [Block::ZERO; {blocks}] }}
        }}
{getters}
{invoke}{wrappers}    }}

    impl Default for Model {{
        fn default() -> Model {{
            Model::new()
        }}
    }}

    const _: () = assert!(size_of::<Model>() == Model::RAM);
{family}",
            family = self.family_check(),
            imports = self.imports(),
            ram = self.plan.arena_len,
            flash = self.flash(),
            macs = self.program.macs(),
            figures = timed.as_ref().map_or(String::new(), |timed| timed.figures()),
            getters = self.getters(),
            invoke = self.invoke(),
            wrappers = match self.fed() {
                Some(_) if timed.is_some() => String::new(),
                Some(fed) => fed.wrappers(),
                None => self.wrappers(),
            },
        )
    }

    /// The proof that the target has the kernels that the text was made for; plain ones run everywhere.
    fn family_check(&self) -> String {
        let family = self.program.family();
        if family == Family::Plain {
            return String::new();
        }
        format!(
            "    const _: () =
        assert!(FAMILY.runs(Family::{family:?}), \"made for `{}` kernels, which this target lacks: compile the model for it\");
",
            family.name()
        )
    }

    fn imports(&self) -> String {
        let mut names = BTreeSet::from(["Block"]);
        if self.program.family() != Family::Plain {
            names.extend(["FAMILY", "Family"]);
        }
        match self.fed() {
            Some(_) => names.extend(["Image", "Layout", "TensorInfo", "row_mut"]),
            None if self.inputs.is_empty() => {}
            None => names.extend(["array_mut", "bytes_mut", "TensorInfo"]),
        }
        if !self.outputs.is_empty() {
            names.extend(["array", "bytes", "TensorInfo"]);
        }
        match self.plan.placement.shape.time.as_ref() {
            Some(time) => {
                names.extend(["Clock", "array", "array_mut"]);
                names.extend(time.windows.iter().any(|h| h.height > 1).then_some("move_rows"));
            }
            None => names.extend(self.fed().map(|_| "Rows")),
        }
        if !self.blob.bytes.is_empty() {
            names.insert("Aligned");
        }
        names.extend(self.program.steps.iter().map(|s| s.kernel.function()));
        let mut lines = vec![String::new()];
        for name in names {
            let room = lines.last().is_some_and(|line| line.len() + name.len() < 100);
            match lines.last_mut() {
                Some(line) if room => *line += &format!("{name}, "),
                _ => lines.push(format!("{name}, ")),
            }
        }
        match &lines[..] {
            [line] => format!("    use ::kiln_runtime_core::{{{}}};\n", line.trim_end_matches(", ")),
            lines => {
                let lines: String = lines.iter().map(|l| format!("        {}\n", l.trim_end())).collect();
                format!("    use ::kiln_runtime_core::{{\n{lines}    }};\n")
            }
        }
    }

    fn descriptors(&self, side: Side, ports: &[ApiPort<'_>]) -> String {
        let mut text = String::new();
        for port in ports {
            let (scale, zero_point) = match &port.port.qparams {
                Some(q) if q.is_per_tensor() => (q.scale[0], q.zero_point[0]),
                _ => (1.0, 0),
            };
            let _ = write!(
                text,
                "    /// {what} {}.
    pub const {}: TensorInfo =
        TensorInfo {{ name: {:?}, shape: &{:?}, scale: {}, zero_point: {zero_point} }};\n\n",
                signature(port.port),
                constant(side, ports, port),
                port.port.name,
                port.port.ty.shape,
                float(scale),
                what = if side == Side::Input { "Input" } else { "Output" },
            );
        }
        text
    }

    fn getters(&self) -> String {
        let blocks = self.plan.arena_len / 16;
        let mut text = String::new();
        let fed = self.fed().is_some();
        for port in self.inputs.iter().filter(|_| !fed) {
            let (ty, len, offset) = (rust_type(port.port.ty.elem), port.len, port.offset);
            let _ = write!(
                text,
                "
        /// Input {}, to be written before each `invoke`.
        pub fn {}(&mut self) -> &mut [{ty}; {len}] {{
            array_mut::<{ty}, {offset}, {len}, {blocks}>(&mut self.arena)
        }}
",
                signature(port.port),
                method(Side::Input, &self.inputs, port)
            );
        }
        for port in &self.outputs {
            let (ty, len, offset) = (rust_type(port.port.ty.elem), port.len, port.offset);
            let _ = write!(
                text,
                "
        /// Output {}, valid from `{call}` until {until}.
        pub fn {}(&self) -> &[{ty}; {len}] {{
            array::<{ty}, {offset}, {len}, {blocks}>(&self.arena)
        }}
",
                signature(port.port),
                method(Side::Output, &self.outputs, port),
                call = match (fed, self.plan.placement.shape.time.is_some()) {
                    (_, true) => "step",
                    (true, _) => "run_rows",
                    _ => "invoke",
                },
                until = if fed { "its next call" } else { "an input is written" }
            );
        }
        text + &self.byte_getters()
    }

    fn byte_getters(&self) -> String {
        let arms = |ports: &[ApiPort<'_>], call: &str| {
            ports.iter().enumerate().fold(String::new(), |text, (i, p)| {
                text + &format!("                {i} => {call}self.arena, {}, {}),\n", p.offset, p.size)
            })
        };
        let inputs = format!(
            "
        /// Input `index` as bytes; none where there is no such input.
        pub fn input_bytes_mut(&mut self, index: usize) -> &mut [u8] {{
            match index {{
{}                _ => &mut [],
            }}
        }}
",
            arms(&self.inputs, "bytes_mut(&mut ")
        );
        let inputs = if self.fed().is_some() { String::new() } else { inputs };
        format!(
            "{inputs}
        /// Output `index` as bytes; none where there is no such output.
        pub fn output_bytes(&self, index: usize) -> &[u8] {{
            match index {{
{}                _ => &[],
            }}
        }}
",
            arms(&self.outputs, "bytes(&")
        )
    }

    fn invoke(&self) -> String {
        if let Some(timed) = self.timed() {
            return timed.methods();
        }
        let body = match self.program.steps.is_empty() {
            true => String::new(),
            false => format!("            let mem: &mut [Block] = &mut self.arena;\n{}", self.calls(12)),
        };
        if let Some(fed) = self.fed() {
            return fed.run_rows(&body);
        }
        format!(
            "        /// Computes the outputs from the inputs. Inputs share their memory with what is computed: write them again
        /// before the next call.
        pub fn invoke(&mut self) {{
{body}        }}
"
        )
    }

    /// `run` and `predict`, for models of one input and one output.
    fn wrappers(&self) -> String {
        let ([input], [output]) = (&self.inputs[..], &self.outputs[..]) else { return String::new() };
        let (n, m) = (input.len, output.len);
        let run = format!(
            "
        /// Copies `input` in, computes, and copies the output to `output`.
        pub fn run(&mut self, input: &[{}; {n}], output: &mut [{}; {m}]) {{
            *self.input_mut() = *input;
            self.invoke();
            *output = *self.output();
        }}
",
            rust_type(input.port.ty.elem),
            rust_type(output.port.ty.elem)
        );
        let (Some(from), Some(to)) = (real(input), real(output)) else { return run };
        let convert = match from {
            Real::F32 => "            *self.input_mut() = *input;\n".to_owned(),
            Real::Integer(elem) => format!(
                "            for (to, from) in self.input_mut().iter_mut().zip(input) {{
                *to = INPUT.quantize_{elem}(*from);
            }}
"
            ),
        };
        let back = to.output(m);
        run + &format!(
            "
        /// Computes on real numbers, which are converted straight into and out of the model's memory.
        pub fn predict(&mut self, input: &[f32; {n}]) -> [f32; {m}] {{
{convert}            self.invoke();
{back}        }}
"
        )
    }
}

pub(super) fn real(port: &ApiPort<'_>) -> Option<Real> {
    let quantized = port.port.qparams.as_ref().is_some_and(|q| q.is_per_tensor());
    match port.port.ty.elem {
        ElemType::F32 => Some(Real::F32),
        elem @ (ElemType::I8 | ElemType::U8 | ElemType::I16 | ElemType::U16) if quantized => {
            Some(Real::Integer(elem))
        }
        _ => None,
    }
}

fn method(side: Side, ports: &[ApiPort<'_>], port: &ApiPort<'_>) -> String {
    let name = if ports.len() == 1 { String::new() } else { format!("_{}", port.id.trim_end_matches('_')) };
    match side {
        Side::Input => format!("input{name}_mut"),
        Side::Output => format!("output{name}"),
    }
}

fn constant(side: Side, ports: &[ApiPort<'_>], port: &ApiPort<'_>) -> String {
    let name = if ports.len() == 1 { String::new() } else { format!("_{}", port.id.trim_end_matches('_')) };
    let side = if side == Side::Input { "INPUT" } else { "OUTPUT" };
    format!("{side}{}", name.to_ascii_uppercase())
}
