//! What a model costs, layer by layer: for people and as JSON.

use crate::codegen::Code;
use crate::diag::ending;
use crate::json::Json;
use crate::kernels::Kernel;
use crate::plan::Plan;
use crate::program::{Port, Program};
use crate::quant::Removed;
use std::fmt;

/// The cost of one kernel call.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LayerReport {
    /// Name of the layer.
    pub name: String,
    /// ONNX operator type.
    pub op: String,
    /// Function of the runtime.
    pub kernel: &'static str,
    /// Height, width and channels of the output.
    pub output: [usize; 3],
    /// Bytes of constant tables; a table that several calls share counts for the first.
    pub tables: usize,
    /// Multiply-accumulates.
    pub macs: u64,
    /// Bytes of memory that are in use while it runs, scratch included.
    pub live: usize,
    /// Who holds them, the largest first, with the bytes of each; where buffers share bytes, these are more than `live`.
    pub held: Vec<(String, usize)>,
}

/// The cost of a model.
#[derive(Debug, Clone, PartialEq)]
pub struct Report {
    /// Name of the generated module.
    pub name: String,
    /// Inputs of the model.
    pub inputs: Vec<Port>,
    /// Outputs of the model.
    pub outputs: Vec<Port>,
    /// Kernel calls in order.
    pub layers: Vec<LayerReport>,
    /// Bytes of memory: `size_of::<Model>()`.
    pub ram: usize,
    /// No plan of these steps in this order needs less, scratch included; in any order, where `order_exact` says so.
    pub ram_lower_bound: usize,
    /// Whether the search for the order went to its end.
    pub order_exact: bool,
    /// Largest scratch of a step.
    pub scratch: usize,
    /// Index of the layer that needs most memory.
    pub peak: usize,
    /// Bytes of all constant tables.
    pub flash: usize,
    /// Multiply-accumulates of one inference.
    pub macs: u64,
    /// Multiply-accumulates from one output to the next and the frames between them, where frames come one by one.
    pub stream: Option<(u64, usize)>,
    /// Calls that accumulate in int32, each proven not to overflow.
    pub proven_accumulators: usize,
    /// Calls that accumulate in int64, where 32 bits may not suffice.
    pub wide_accumulators: usize,
    /// Multiply-accumulates that are computed in f32.
    pub float_macs: u64,
    /// Channels that no input moves, and what fed only them: not in the program any more.
    pub removed: Vec<Removed>,
}

impl Report {
    /// Adds up what the program costs in its plan.
    pub fn new(program: &Program, plan: &Plan, code: &Code) -> Report {
        let mut counted = vec![false; program.consts.len()];
        let mut layers = vec![];
        for (i, step) in program.steps.iter().enumerate() {
            let fresh = |c: &&crate::program::ConstId| !std::mem::replace(&mut counted[c.0], true);
            let tables = step.consts.iter().filter(fresh).map(|c| program.consts[c.0].data.size()).sum();
            let output = step.kernel.writes().first().map_or([0; 3], |i| [i.height, i.width, i.channels]);
            layers.push(LayerReport {
                name: step.layer.clone(),
                op: step.op.clone(),
                kernel: step.kernel.function(),
                output,
                tables,
                macs: step.kernel.macs(),
                live: plan.live[i],
                held: plan.held(i),
            });
        }
        let steps = || program.steps.iter().map(|s| &s.kernel);
        let wide = |k: &&Kernel| k.macs() > 0 && k.is_wide();
        let integer = |k: &&Kernel| k.macs() > 0 && !k.is_wide() && !k.function().ends_with("_f32");
        let float = |k: &&Kernel| k.function().ends_with("_f32");
        Report {
            name: code.module.clone(),
            inputs: program.inputs.clone(),
            outputs: program.outputs.clone(),
            ram: plan.arena_len,
            ram_lower_bound: plan.lower_bound_with_scratch,
            order_exact: plan.order_exact,
            scratch: plan.scratch_max,
            peak: plan.peak_step,
            flash: layers.iter().map(|l| l.tables).sum(),
            macs: program.macs(),
            stream: plan.placement.shape.macs_per_hop(program),
            proven_accumulators: steps().filter(integer).count(),
            wide_accumulators: steps().filter(wide).count(),
            float_macs: steps().filter(float).map(Kernel::macs).sum(),
            removed: vec![],
            layers,
        }
    }

    /// Whether most of the arithmetic is in f32, which quantization would make smaller and faster.
    pub fn is_float(&self) -> bool {
        self.float_macs * 2 > self.macs
    }

    /// The report as JSON.
    pub fn to_json(&self) -> Json {
        let layers = self.layers.iter().map(|l| {
            Json::Object(vec![
                ("name", (&l.name).into()),
                ("op", (&l.op).into()),
                ("kernel", l.kernel.into()),
                ("output", l.output.into_iter().collect()),
                ("tables", l.tables.into()),
                ("macs", l.macs.into()),
                ("live", l.live.into()),
                ("held", l.held.iter().map(|(name, bytes)| holder(name, *bytes)).collect()),
            ])
        });
        Json::Object(vec![
            ("name", (&self.name).into()),
            ("inputs", self.inputs.iter().map(port).collect()),
            ("outputs", self.outputs.iter().map(port).collect()),
            ("ram", self.ram.into()),
            ("ram_lower_bound", self.ram_lower_bound.into()),
            ("order_exact", self.order_exact.into()),
            ("scratch", self.scratch.into()),
            ("peak", self.layers.get(self.peak).map_or(Json::Null, |l| (&l.name).into())),
            ("flash", self.flash.into()),
            ("macs", self.macs.into()),
            ("macs_per_hop", self.stream.map_or(Json::Null, |s| s.0.into())),
            ("hop", self.stream.map_or(Json::Null, |s| s.1.into())),
            ("float_macs", self.float_macs.into()),
            ("proven_accumulators", self.proven_accumulators.into()),
            ("wide_accumulators", self.wide_accumulators.into()),
            ("removed", self.removed.iter().map(removed).collect()),
            ("layers", layers.collect()),
        ])
    }
}

fn holder(name: &str, bytes: usize) -> Json {
    Json::Object(vec![("name", name.into()), ("bytes", bytes.into())])
}

fn removed(r: &Removed) -> Json {
    Json::Object(vec![
        ("name", (&r.layer).into()),
        ("channels", r.channels.into()),
        ("constant", r.constant.into()),
        ("removed", r.removed.into()),
        ("macs_before", r.macs_before.into()),
        ("macs_after", r.macs_after.into()),
    ])
}

fn port(port: &Port) -> Json {
    let mut members = vec![
        ("name", (&port.name).into()),
        ("elem", port.ty.elem.to_string().into()),
        ("shape", port.ty.shape.iter().copied().collect()),
    ];
    if let Some(q) = port.qparams.as_ref().filter(|q| q.is_per_tensor()) {
        members.push(("scale", q.scale[0].into()));
        members.push(("zero_point", q.zero_point[0].into()));
    }
    Json::Object(members)
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let width = |name: &dyn Fn(&LayerReport) -> usize, least: usize| {
            self.layers.iter().map(name).max().unwrap_or(0).max(least)
        };
        let (name, op) = (width(&|l| l.name.chars().count().min(48), 5), width(&|l| l.op.len(), 8));
        let kernel = width(&|l| l.kernel.len(), 6);
        writeln!(
            f,
            "{:name$}  {:op$}  {:kernel$}  {:>13}  {:>9}  {:>11}  {:>8}",
            "layer", "operator", "kernel", "output", "tables", "MACs", "memory"
        )?;
        for (i, l) in self.layers.iter().enumerate() {
            let output = l.output.map(|n| n.to_string()).join("x");
            let peak = if i == self.peak { " peak" } else { "" };
            writeln!(
                f,
                "{:name$}  {:op$}  {:kernel$}  {output:>13}  {:>9}  {:>11}  {:>8}{peak}",
                ending(&l.name, 48),
                l.op,
                l.kernel,
                l.tables,
                l.macs,
                l.live
            )?;
        }
        writeln!(
            f,
            "RAM    {} bytes, at least {} for these layers in {} order",
            self.ram,
            self.ram_lower_bound,
            if self.order_exact { "any" } else { "this" }
        )?;
        writeln!(f, "flash  {} bytes of tables", self.flash)?;
        writeln!(f, "MACs   {}", self.macs)?;
        match self.stream {
            Some((macs, 1)) => writeln!(f, "step   {macs} MACs for each frame, and an output")?,
            Some((macs, hop)) => {
                writeln!(
                    f,
                    "step   {} MACs for each frame on average, {macs} for an output every {hop} frames",
                    macs / hop as u64
                )?;
            }
            None => {}
        }
        let sum = |f: &dyn Fn(&Removed) -> u64| self.removed.iter().map(f).sum::<u64>();
        if !self.removed.is_empty() {
            writeln!(
                f,
                "{} channels are constant; {} went, with what fed only them: {} of {} MACs are left in these layers",
                sum(&|r| r.constant as u64),
                sum(&|r| r.removed as u64),
                sum(&|r| r.macs_after),
                sum(&|r| r.macs_before),
            )?;
        }
        if self.proven_accumulators > 0 {
            writeln!(
                f,
                "int32 accumulators of {} layers are proven not to overflow",
                self.proven_accumulators
            )?;
        }
        if self.wide_accumulators > 0 {
            writeln!(f, "int64 accumulators of {} layers hold what 32 bits may not", self.wide_accumulators)?;
        }
        Ok(())
    }
}
