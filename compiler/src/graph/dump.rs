//! The graph as text, JSON and DOT, for `kiln inspect` and snapshots.

use super::{Graph, ValueId};
use crate::json::Json;
use std::fmt::{self, Write};

impl fmt::Display for Graph {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "graph {}", self.name)?;
        for input in &self.inputs {
            writeln!(f, "input  {}", self.describe(*input))?;
        }
        let order = self.topological().unwrap_or_else(|_| self.node_ids());
        for id in order {
            let node = self.node(id);
            let outputs: Vec<_> = node.outputs.iter().map(|o| self.describe(*o)).collect();
            let inputs: Vec<_> =
                node.inputs.iter().map(|i| i.map_or("_".into(), |i| self.operand(i))).collect();
            writeln!(f, "{} = {:?}({})  // {}", outputs.join(", "), node.op, inputs.join(", "), node.name)?;
        }
        for output in &self.outputs {
            writeln!(f, "output {}", self.describe(*output))?;
        }
        Ok(())
    }
}

impl Graph {
    /// `name: type`, with scale and zero point when quantized.
    fn describe(&self, id: ValueId) -> String {
        let value = self.value(id);
        match &value.qparams {
            Some(q) => format!("{}: {} {q}", value.name, value.ty),
            None => format!("{}: {}", value.name, value.ty),
        }
    }

    /// A name; constants also show type and, when small, values.
    fn operand(&self, id: ValueId) -> String {
        let value = self.value(id);
        match &value.data {
            Some(data) if data.ty().elements() <= 8 && data.elem().is_integer() => {
                format!("{}={:?}", value.name, data.to_i64s())
            }
            Some(_) => format!("const {}", self.describe(id)),
            None => value.name.clone(),
        }
    }

    /// The graph as JSON: nodes in order of execution, and the type of every value.
    pub fn to_json(&self) -> Json {
        let value = |id: &ValueId| {
            let value = self.value(*id);
            let mut members = vec![("name", (&value.name).into()), ("type", value.ty.to_string().into())];
            if let Some(q) = &value.qparams {
                members.push(("scale", q.scale.iter().copied().collect()));
                members.push(("zero_point", q.zero_point.iter().copied().collect()));
            }
            Json::Object(members)
        };
        let order = self.topological().unwrap_or_else(|_| self.node_ids());
        let nodes = order.iter().map(|id| {
            let node = self.node(*id);
            let input = |i: &Option<ValueId>| i.map_or(Json::Null, |i| value(&i));
            Json::Object(vec![
                ("name", (&node.name).into()),
                ("op", node.op.name().into()),
                ("onnx", (&node.origin.op_type).into()),
                ("inputs", node.inputs.iter().map(input).collect()),
                ("outputs", node.outputs.iter().map(value).collect()),
            ])
        });
        Json::Object(vec![
            ("name", (&self.name).into()),
            ("inputs", self.inputs.iter().map(value).collect()),
            ("outputs", self.outputs.iter().map(value).collect()),
            ("nodes", nodes.collect()),
        ])
    }

    /// Graphviz text: nodes are layers, edges are values.
    pub fn to_dot(&self) -> String {
        let mut text = String::from("digraph {\n  node [shape=box, fontname=\"monospace\"];\n");
        for (i, input) in self.inputs.iter().enumerate() {
            let _ = writeln!(text, "  in{i} [label={:?}, shape=oval];", self.describe(*input));
        }
        for id in self.node_ids() {
            let node = self.node(id);
            let _ = writeln!(text, "  n{} [label={:?}];", id.0, format!("{}\n{}", node.name, node.op.name()));
            for v in node.inputs.iter().flatten() {
                let _ = writeln!(text, "{}", self.edge(*v, &format!("n{}", id.0)));
            }
        }
        for (i, output) in self.outputs.iter().enumerate() {
            let _ = writeln!(text, "  out{i} [label={:?}, shape=oval];", self.describe(*output));
            let _ = writeln!(text, "{}", self.edge(*output, &format!("out{i}")));
        }
        text + "}\n"
    }

    fn edge(&self, value: ValueId, to: &str) -> String {
        let from = match (self.producer(value), self.inputs.iter().position(|i| *i == value)) {
            (Some((id, _)), _) => format!("n{}", id.0),
            (None, Some(i)) => format!("in{i}"),
            (None, None) => return String::new(), // constants are not drawn
        };
        format!("  {from} -> {to} [label={:?}];", self.value(value).ty.to_string())
    }
}
