//! The doc comment at the top: what the model is, layer by layer, and what it costs.

use super::{ApiPort, Generator, Layer, quoted};
use crate::diag::grouped;
use crate::program::Port;
use std::fmt::Write;

impl Generator<'_> {
    pub(super) fn overview(&self) -> String {
        let mut doc = String::new();
        let mut line = |text: &str| {
            let _ = writeln!(doc, "{}", format!("/// {text}").trim_end());
        };
        let source = if self.options.source.is_empty() { &self.program.name } else { &self.options.source };
        line(&format!("{} compiled to Rust by Kiln.", quoted(source)));
        line("");
        let list =
            |ports: &[ApiPort<'_>]| ports.iter().map(|p| signature(p.port)).collect::<Vec<_>>().join(", ");
        line(&format!("({}) -> ({})", list(&self.inputs), list(&self.outputs)));
        line("");
        line("| layer | operator | kernel | output | tables | MACs |");
        line("|---|---|---|---|--:|--:|");
        for layer in &self.layers {
            line(&self.row(layer));
        }
        line("");
        let (plan, program) = (self.plan, self.program);
        line(&format!(
            "In all {} multiply-accumulates, {} bytes of tables, {} bytes of memory, inputs and outputs included.",
            grouped(program.macs()),
            grouped(self.flash() as u64),
            grouped(plan.arena_len as u64),
        ));
        if let Some(step) = program.steps.get(plan.peak_step) {
            line(&format!(
                "Memory is needed most in layer {}: {} bytes.",
                quoted(&step.layer),
                grouped(plan.live[plan.peak_step] as u64)
            ));
        }
        doc
    }

    fn row(&self, layer: &Layer) -> String {
        let steps: Vec<_> = layer.steps.iter().map(|&i| &self.program.steps[i]).collect();
        let mut kernels: Vec<&str> = steps.iter().map(|s| s.kernel.function()).collect();
        kernels.dedup();
        let mut consts: Vec<_> = steps.iter().flat_map(|s| &s.consts).copied().collect();
        consts.sort();
        consts.dedup();
        let tables: usize = consts.iter().map(|c| self.program.consts[c.0].data.size()).sum();
        let macs: u64 = steps.iter().map(|s| s.kernel.macs()).sum();
        let output = steps.last().map_or(String::new(), |s| {
            let to = s.kernel.writes();
            to.first().map_or(String::new(), |i| format!("{}x{}x{}", i.height, i.width, i.channels))
        });
        let op = steps.first().map_or("", |s| s.op.as_str());
        let cell = |text: &str| text.replace('|', "\\|");
        format!(
            "| {} | {} | {} | {output} | {} | {} |",
            cell(&quoted(&layer.name)),
            cell(op),
            kernels.join(", "),
            grouped(tables as u64),
            grouped(macs)
        )
    }

    /// Bytes of all tables that the text holds.
    pub(super) fn flash(&self) -> usize {
        let mut consts: Vec<_> = self.program.steps.iter().flat_map(|s| &s.consts).copied().collect();
        consts.sort();
        consts.dedup();
        consts.iter().map(|c| self.program.consts[c.0].data.size()).sum()
    }
}

/// `name: i8[1, 16]`, with scale and zero point.
pub(super) fn signature(port: &Port) -> String {
    let text = quoted(&format!("{}: {}", port.name, port.ty));
    match &port.qparams {
        Some(q) if q.is_per_tensor() => format!("{text} = {:?} * (q - {})", q.scale[0], q.zero_point[0]),
        _ => text,
    }
}
