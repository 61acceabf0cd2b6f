//! The program as text and JSON, for `kiln inspect` and snapshots.

use super::{BufferId, Port, Program};
use crate::json::Json;
use kiln_runtime_core::Image;
use std::fmt;

impl fmt::Display for Program {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "program {} ({} MACs, {} bytes of tables)", self.name, self.macs(), self.const_size())?;
        for port in &self.inputs {
            writeln!(f, "input  b{} {}: {}", port.buffer.0, port.name, port.ty)?;
        }
        for (i, b) in self.buffers.iter().enumerate() {
            writeln!(f, "buffer b{i} {}: {}[{}]", b.name, b.elem, b.len)?;
        }
        for step in &self.steps {
            let operand = |buffer: Option<BufferId>, image: &Image| match buffer {
                Some(b) => format!("b{}{}", b.0, extent(image)),
                None => format!("table{}", extent(image)),
            };
            let reads: Vec<_> =
                step.reads.iter().zip(step.kernel.reads()).map(|(b, i)| operand(*b, &i)).collect();
            let writes: Vec<_> =
                step.writes.iter().zip(step.kernel.writes()).map(|(b, i)| operand(Some(*b), &i)).collect();
            let consts: Vec<_> = step
                .consts
                .iter()
                .map(|c| &self.consts[c.0])
                .filter(|c| !c.data.is_empty())
                .map(|c| format!("{}: {}[{}]", c.name, c.data.elem(), c.data.len()))
                .collect();
            writeln!(
                f,
                "{} = {}({}) {{{}}}  // {} ({}), {} MACs",
                writes.join(", "),
                step.kernel.function(),
                reads.join(", "),
                consts.join(", "),
                step.layer,
                step.op,
                step.kernel.macs()
            )?;
        }
        for port in &self.outputs {
            writeln!(f, "output b{} {}: {}", port.buffer.0, port.name, port.ty)?;
        }
        Ok(())
    }
}

impl Program {
    /// The program as JSON: buffers, ports and kernel calls.
    pub fn to_json(&self) -> Json {
        let port = |p: &Port| {
            Json::Object(vec![
                ("name", (&p.name).into()),
                ("buffer", p.buffer.0.into()),
                ("type", p.ty.to_string().into()),
            ])
        };
        let buffers = self.buffers.iter().map(|b| {
            Json::Object(vec![
                ("name", (&b.name).into()),
                ("elem", b.elem.to_string().into()),
                ("len", b.len.into()),
            ])
        });
        let steps = self.steps.iter().map(|s| {
            let read = |b: &Option<BufferId>| b.map_or(Json::Null, |b| b.0.into());
            let tables = s.consts.iter().map(|c| &self.consts[c.0]).map(|c| {
                let size = c.data.size().into();
                Json::Object(vec![("name", (&c.name).into()), ("bytes", size)])
            });
            Json::Object(vec![
                ("layer", (&s.layer).into()),
                ("op", (&s.op).into()),
                ("kernel", s.kernel.function().into()),
                ("reads", s.reads.iter().map(read).collect()),
                ("writes", s.writes.iter().map(|b| b.0).collect()),
                ("tables", tables.collect()),
                ("macs", s.kernel.macs().into()),
                ("params", s.kernel.params_literal().into()),
            ])
        });
        Json::Object(vec![
            ("name", (&self.name).into()),
            ("macs", self.macs().into()),
            ("buffers", buffers.collect()),
            ("inputs", self.inputs.iter().map(port).collect()),
            ("outputs", self.outputs.iter().map(port).collect()),
            ("steps", steps.collect()),
        ])
    }
}

/// `[height, width, channels]`, with offset and strides where they are not those of a planar image from 0.
fn extent(i: &Image) -> String {
    let planar = (i.width, 1, i.width * i.height);
    let layout = (i.layout.row, i.layout.col, i.layout.chan);
    let mut text = format!("[{}, {}, {}]", i.height, i.width, i.channels);
    if i.offset != 0 {
        text += &format!("@{}", i.offset);
    }
    if layout != planar {
        text += &format!(" by {}/{}/{}", layout.0, layout.1, layout.2);
    }
    if i.ring != i.height {
        text += &format!(" ring {}", i.ring);
    }
    text
}
