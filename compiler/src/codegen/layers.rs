//! One module for each layer: the parameters and tables of its kernel calls, and the proof that they fit together.

use super::names::{Names, shared_path, snake};
use super::tables::{decimal, elem};
use super::{Generator, literal, quoted};
use crate::program::{ConstId, Program, Step};
use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write;

/// A layer: the steps that one ONNX node became.
pub(super) struct Layer {
    pub name: String,
    pub id: String,
    pub steps: Vec<usize>,
}

/// Names of the items of one step in its layer's module.
struct Items {
    params: String,
    rows: String,
    tables: String,
    layer: String,
}

pub(super) fn layers(program: &Program) -> Vec<Layer> {
    let shared = shared_path(program.steps.iter().map(|s| s.layer.as_str()));
    let mut ids = Names::default();
    let mut index: BTreeMap<&str, usize> = BTreeMap::new();
    let mut layers: Vec<Layer> = vec![];
    for (i, step) in program.steps.iter().enumerate() {
        let at = *index.entry(&step.layer).or_insert_with(|| {
            let name = step.layer.strip_prefix(&shared).unwrap_or(&step.layer);
            let id = ids.unique(snake(name, &snake(&step.op, "layer")));
            layers.push(Layer { name: step.layer.clone(), id, steps: vec![] });
            layers.len() - 1
        });
        layers[at].steps.push(i);
    }
    layers
}

fn items(layer: &Layer, step: usize, group: &str) -> Items {
    let suffix = match layer.steps.iter().position(|&s| s == step) {
        Some(n) if layer.steps.len() > 1 => format!("_{}", n + 1),
        _ => String::new(),
    };
    Items {
        params: format!("PARAMS{suffix}"),
        rows: format!("ROWS{suffix}"),
        tables: format!("{group}{suffix}"),
        layer: format!("LAYER{suffix}"),
    }
}

impl Generator<'_> {
    /// The kernel calls of `invoke`, one a line, those of a stream in a loop.
    pub(super) fn calls(&self, indent: usize) -> String {
        self.calls_from(0, indent)
    }

    /// Those from step `first` on.
    pub(super) fn calls_from(&self, first: usize, indent: usize) -> String {
        let mut text = String::new();
        let mark = |index: usize, indent: usize| {
            let function = self.options.after_step.as_ref();
            function.map_or(String::new(), |function| format!("{:indent$}{function}({index});\n", ""))
        };
        let mut index = first;
        while index < self.program.steps.len() {
            let Some(stream) = self.plan.placement.shape.stream(index) else {
                let rows = self.plan.placement.kernel(self.program, index).rows();
                let _ = write!(text, "{:indent$}{}", "", self.call(index, |_| format!("0..{rows}")));
                text += &mark(index, indent);
                index += 1;
                continue;
            };
            let _ = writeln!(
                text,
                "{:indent$}// These layers take turns, some rows each, and keep the rows that are still to be read.\n\
                 {:indent$}for tick in 0..{} {{",
                "", "", stream.ticks
            );
            text += &self.feed_calls(stream, indent + 4);
            for step in stream.steps() {
                let _ =
                    write!(text, "{:indent$}    {}", "", self.call(step, |rows| format!("{rows}.at(tick)")));
                text += &mark(step, indent + 4);
            }
            let _ = writeln!(text, "{:indent$}}}", "");
            index = stream.steps().end;
        }
        text
    }

    /// A kernel call of `rows`, which gets the path of the step's rows.
    pub(super) fn call(&self, index: usize, rows: impl Fn(&str) -> String) -> String {
        let step = &self.program.steps[index];
        let Some(layer) = self.layers.iter().find(|l| l.steps.contains(&index)) else { return String::new() };
        let items = items(layer, index, &group(step));
        let tables = match step.kernel.tables() {
            Some(_) if step.kernel.layer_type().is_some() => String::new(),
            Some(spec) if spec.group.is_some() => format!(", &{}::{}", layer.id, items.tables),
            Some(_) => {
                step.consts.first().map_or(", &[]".into(), |c| format!(", {}", self.table_use(*c, "", None)))
            }
            None => String::new(),
        };
        format!(
            "{}(mem, &{}::{}, {}{tables});\n",
            step.kernel.function(),
            layer.id,
            if step.kernel.layer_type().is_some() { items.layer } else { items.params },
            rows(&format!("{}::{}", layer.id, items.rows))
        )
    }

    /// The path of the rows of a step in a stream.
    pub(super) fn rows_path(&self, index: usize) -> String {
        let Some(layer) = self.layers.iter().find(|l| l.steps.contains(&index)) else { return String::new() };
        format!("{}::{}", layer.id, items(layer, index, &group(&self.program.steps[index])).rows)
    }

    /// The module of a layer.
    pub(super) fn layer(&self, layer: &Layer) -> String {
        let mut body = String::new();
        let mut imports = BTreeSet::from(["expect".to_owned()]);
        for &i in &layer.steps {
            body += &self.step(layer, i, &self.program.steps[i], &mut imports);
        }
        for (id, home) in self.homes.iter().filter(|(_, home)| home.layer == layer.id) {
            let data = &self.program.consts[id.0].data;
            if self.blob.offset(*id).is_none() {
                let (ty, rows) = (elem(data), decimal(data, 8, 110));
                let _ = writeln!(body, "        pub static {}: [{ty}; {}] = {rows};", home.name, data.len());
            }
        }
        let docs = self.layer_doc(layer);
        let imports = imports.into_iter().collect::<Vec<_>>().join(", ");
        format!(
            "{docs}    mod {} {{\n        use ::kiln_runtime_core::{{{imports}}};\n\n{body}    }}\n",
            layer.id
        )
    }

    /// An expression of a table, seen from `layer` with `up` before names of the model's module.
    fn table_use(&self, id: ConstId, up: &str, layer: Option<&Layer>) -> String {
        let data = &self.program.consts[id.0].data;
        if let Some(offset) = self.blob.offset(id) {
            return format!("{up}WEIGHTS.{}s({offset}, {})", elem(data), data.len());
        }
        match self.homes.get(&id) {
            Some(home) if layer.is_some_and(|l| l.id == home.layer) => format!("&{}", home.name),
            Some(home) => format!("&{up}{}::{}", home.layer, home.name),
            None => "&[]".to_owned(),
        }
    }

    fn layer_doc(&self, layer: &Layer) -> String {
        let mut kernels: Vec<&str> =
            layer.steps.iter().map(|&i| self.program.steps[i].kernel.function()).collect();
        kernels.dedup();
        let op = layer.steps.first().map_or("", |&i| self.program.steps[i].op.as_str());
        format!("    /// {} ({op}): {}.\n", quoted(&layer.name), kernels.join(", "))
    }

    /// Parameters, table struct and check of one step.
    fn step(&self, layer: &Layer, index: usize, step: &Step, imports: &mut BTreeSet<String>) -> String {
        let kernel = self.plan.placement.kernel(self.program, index);
        let items = items(layer, index, &group(step));
        let params = kernel.params_literal();
        imports.extend(literal::structs(&params).into_iter().map(str::to_owned));
        // What is packed takes no flash itself.
        let item = if kernel.layer_type().is_some() { "const" } else { "pub static" };
        let mut text = format!(
            "        {item} {}: {} = {};\n",
            items.params,
            kernel.params_type(),
            literal::layout(&params, 8)
        );
        if let Some(rows) = self.plan.placement.shape.stream(index).and_then(|s| s.rows_of(index)) {
            imports.insert("Rows".to_owned());
            let _ = writeln!(text, "        pub static {}: Rows = {rows:?};", items.rows);
        }
        let check = match kernel.tables() {
            Some(spec) if spec.group.is_some() => {
                let group = spec.group.unwrap_or_default();
                imports.insert(group.to_owned());
                let _ = writeln!(text, "        {item} {}: {group}<'static> = {group} {{", items.tables);
                for ((field, _), id) in spec.fields.iter().zip(&step.consts) {
                    let _ = writeln!(
                        text,
                        "            {field}: {},",
                        self.table_use(*id, "super::", Some(layer))
                    );
                }
                text += "        };\n";
                format!("&{}, ", items.tables)
            }
            Some(_) => step
                .consts
                .first()
                .map_or("&[], ".into(), |c| format!("{}, ", self.table_use(*c, "super::", Some(layer)))),
            None => String::new(),
        };
        let _ = writeln!(
            text,
            "        const _: () = expect({}.{}({check}super::Model::RAM));",
            items.params,
            kernel.check_name()
        );
        if let Some(layer) = kernel.layer_type() {
            imports.insert(layer.to_owned());
            let _ = writeln!(
                text,
                "        /// Both in few bytes.\n        pub static {}: {layer}<'static> = {}.layer(&{});",
                items.layer, items.params, items.tables
            );
        }
        text
    }
}

/// The module that holds a table, that of the first layer that uses it, and its name there.
pub(super) struct Home {
    layer: String,
    name: String,
}

pub(super) fn homes(program: &Program, layers: &[Layer]) -> BTreeMap<ConstId, Home> {
    let mut homes = BTreeMap::new();
    for layer in layers {
        let mut names = Names::default();
        for &i in &layer.steps {
            let items = items(layer, i, &group(&program.steps[i]));
            [items.params, items.rows, items.tables, items.layer]
                .into_iter()
                .for_each(|name| drop(names.unique(name)));
        }
        for id in layer.steps.iter().flat_map(|&i| &program.steps[i].consts) {
            let c = &program.consts[id.0];
            if !c.data.is_empty() && !homes.contains_key(id) {
                let name = names.unique(snake(&c.name, "table").to_ascii_uppercase());
                homes.insert(*id, Home { layer: layer.id.clone(), name });
            }
        }
    }
    homes
}

/// Name of the table struct in a layer's module.
fn group(step: &Step) -> String {
    match step.kernel.tables().and_then(|spec| spec.group) {
        Some(group) if !group.contains("Filter") => snake(group, "tables").to_ascii_uppercase(),
        _ => "FILTER".to_owned(),
    }
}
