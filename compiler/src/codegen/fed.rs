//! The API of a model whose input comes row by row.

use super::api::{Real, real};
use super::{ApiPort, Generator, rust_type};
use crate::program::{Feed, Form, Stream};
use kiln_runtime_core::{Image, Layout};
use std::fmt::Write;

/// The input whose rows come one by one.
pub(super) struct Fed<'a> {
    port: &'a ApiPort<'a>,
    output: Option<&'a ApiPort<'a>>,
    feed: &'a Feed,
    form: &'a Form,
}

impl Generator<'_> {
    pub(super) fn fed(&self) -> Option<Fed<'_>> {
        let [port] = &self.inputs[..] else { return None };
        let shape = &self.plan.placement.shape;
        let (_, feed) = shape.feed(port.port.buffer)?;
        let output = match &self.outputs[..] {
            [output] => Some(output),
            _ => None,
        };
        Some(Fed { port, output, feed, form: shape.form(feed.buffer)? })
    }

    /// What a stream is fed with at the beginning of each tick.
    pub(super) fn feed_calls(&self, stream: &Stream, indent: usize) -> String {
        let Some(fed) = self.fed().filter(|_| stream.feed.is_some()) else { return String::new() };
        format!(
            "{0:indent$}for y in INPUT_ROWS.at(tick) {{
{0:indent$}    if let Some(to) = row_mut::<{1}, {2}>(mem, INPUT_RING.row(y)) {{
{0:indent$}        row(y, to);
{0:indent$}    }}
{0:indent$}}}
",
            "",
            fed.ty(),
            fed.form.row()
        )
    }
}

impl Fed<'_> {
    pub(super) fn ty(&self) -> &'static str {
        rust_type(self.port.port.ty.elem)
    }

    /// Values of a row.
    pub(super) fn values(&self) -> usize {
        self.form.row()
    }

    /// Which values of the whole input a row has, on a line of its own in the documentation of a method.
    pub(super) fn order(&self) -> String {
        let (form, n) = (self.form, self.form.row());
        match form.channels {
            1 => format!("values `y * {n}` to `y * {n} + {}` of the whole input", n - 1),
            c => format!(
                "{c} strips of {} columns, one for each channel, which begin at value `(channel * {} + y) * {}` of the whole \
                 input",
                form.width, form.height, form.width
            ),
        }
    }

    /// Turns a real number `from` into the input's type; turns the output into real numbers; how many there are of them.
    pub(super) fn real(&self) -> Option<(String, String, usize)> {
        let output = self.output?;
        let value = match real(self.port)? {
            Real::F32 => "*from".to_owned(),
            Real::Integer(elem) => format!("INPUT.quantize_{elem}(*from)"),
        };
        Some((value, real(output)?.output(output.len), output.len))
    }

    /// Where rows go.
    pub(super) fn ring(&self) -> String {
        let (form, size) = (self.form, self.port.port.ty.elem.size());
        let image = Image {
            offset: self.port.offset / size,
            height: form.passing,
            width: form.row(),
            channels: 1,
            layout: Layout { row: form.row(), col: 1, chan: form.row() },
            ring: form.ring,
        };
        format!(
            "    /// The rows of the input that memory holds.
    static INPUT_RING: Image = {image:?};

"
        )
    }

    /// When rows come.
    pub(super) fn rows(&self) -> String {
        format!(
            "    /// The rows of the input that come in each tick.
    static INPUT_ROWS: Rows = {:?};

",
            self.feed.rows
        )
    }

    /// The method that computes.
    pub(super) fn run_rows(&self, body: &str) -> String {
        let (form, n, order) = (self.form, self.form.row(), self.order());
        format!(
            "        /// Computes the outputs while the input comes, of which {ring} of {height} rows lie in memory. `row(y, to)` is called
        /// once for each row `y`, from 0 to {last} in this order, and writes its {n} values to `to`:
        /// {order}.
        pub fn run_rows(&mut self, mut row: impl FnMut(usize, &mut [{ty}; {n}])) {{
{body}        }}
",
            ring = form.ring,
            height = form.height,
            last = form.height - 1,
            ty = self.ty()
        )
    }

    /// A call of `run_rows` with rows of `input`, whose planes lie one behind the other. An element of the model takes `unit` of
    /// its elements; `from` and `value` turn those into elements of the model.
    fn rows_of_input(&self, unit: usize, from: &str, value: &str) -> String {
        let body = self.row_of_input(16, unit, from, value);
        format!("            self.run_rows(|y, to| {{\n{body}            }});\n")
    }

    /// Copies row `y` of the bytes `input` to `to`.
    pub(super) fn row_of_bytes(&self, indent: usize) -> String {
        let (ty, size) = (self.ty(), self.port.port.ty.elem.size());
        let (from, value) = (format!("from.as_chunks::<{size}>().0"), format!("{ty}::from_le_bytes(*from)"));
        self.row_of_input(indent, size, &from, &value)
    }

    fn row_of_input(&self, indent: usize, unit: usize, from: &str, value: &str) -> String {
        let (height, width) = (self.form.height, self.form.width);
        let copy = |at: &str, indent: usize| {
            format!(
                "{0:indent$}let from = input.get({at} * {1}..).unwrap_or(&[]);
{0:indent$}for (to, from) in to.iter_mut().zip({from}) {{
{0:indent$}    *to = {value};
{0:indent$}}}
",
                "",
                width * unit
            )
        };
        match self.form.channels {
            1 => copy("y", indent),
            _ => format!(
                "{0:indent$}for (c, to) in to.chunks_exact_mut({width}).enumerate() {{
{1}{0:indent$}}}
",
                "",
                copy(&format!("(c * {height} + y)"), indent + 4)
            ),
        }
    }

    /// `run_bytes`, `run` and `predict` on an input that lies elsewhere as a whole.
    pub(super) fn wrappers(&self) -> String {
        let ty = self.ty();
        let mut text = format!(
            "
        /// As `run_rows`, on the bytes of a whole input that lies elsewhere, for instance in flash.
        pub fn run_bytes(&mut self, input: &[u8]) {{
            self.run_rows(|y, to| {{
{}            }});
        }}
",
            self.row_of_bytes(16)
        );
        let Some(output) = self.output else { return text };
        let (len, m) = (self.port.len, output.len);
        let _ = write!(
            text,
            "
        /// As `run_rows`, on a whole input that lies elsewhere; copies the output to `output`.
        pub fn run(&mut self, input: &[{ty}; {len}], output: &mut [{}; {m}]) {{
{}            *output = *self.output();
        }}
",
            rust_type(output.port.ty.elem),
            self.rows_of_input(1, "from", "*from")
        );
        let Some((value, back, _)) = self.real() else { return text };
        let _ = write!(
            text,
            "
        /// As `run`, on real numbers.
        pub fn predict(&mut self, input: &[f32; {len}]) -> [f32; {m}] {{
{}{back}        }}
",
            self.rows_of_input(1, "from", &value)
        );
        text
    }
}
