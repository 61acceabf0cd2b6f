//! What would help a model that exceeds its budget. What can be tried is tried: a remedy's figures are those of the model that
//! it gives, planned like any other. What cannot be is estimated, and says so.

use super::budget::Budget;
use super::report::Report;
use super::{Artifact, Options, QuantizeOptions, calibration_graph, quantize, unlimited};
use crate::diag::grouped;
use crate::lower;
use crate::onnx::External;
use crate::program::{Port, Program};
use crate::quant::tune::Aim;
use crate::quant::{Choice, Method, Samples, WeightBits};
use crate::tensor::{ElemType, Tensor, TensorType};
use kiln_runtime_core::Family;

/// A way to make a model smaller.
struct Remedy {
    what: String,
    ram: usize,
    flash: usize,
    /// Whether the figures are estimates.
    about: bool,
}

/// At most as many are offered.
const OFFERED: usize = 3;

/// What would help, as help texts: those first that suffice.
pub(super) fn remedies(bytes: &[u8], external: External, options: &Options, model: &Artifact) -> Vec<String> {
    let budget = &options.budget;
    let report = &model.report;
    let now = planned(String::new(), report);
    let narrow = match report.is_float() {
        true => quantized(bytes, external, options),
        false => narrow_weights(&model.program, report).into_iter().collect(),
    };
    let smaller: Vec<Remedy> = std::iter::once(&now)
        .chain(&narrow)
        .filter_map(|first| smaller_input(&model.program, first, budget))
        .collect();
    let rows = input_by_rows(bytes, external, options);
    let other = other_kernels(bytes, external, options);
    let mut remedies: Vec<Remedy> = rows.into_iter().chain(other).chain(narrow).chain(smaller).collect();
    let figures = |r: &Remedy| Report { ram: r.ram, flash: r.flash, ..report.clone() };
    let missing = |r: &Remedy| budget.missing(&figures(r));
    remedies.retain(|r| missing(r) < budget.missing(report));
    // The sort is stable: among those that suffice, the cheapest stays first.
    remedies.sort_by_key(|r| missing(r));
    let text = |r: &Remedy| {
        let fits = if missing(r) == 0 { "which fits" } else { "which is still too much" };
        let (ram, flash) = (grouped(r.ram as u64), grouped(r.flash as u64));
        let about = if r.about { "about " } else { "" };
        format!("{}: {about}{ram} bytes of RAM, {about}{flash} of flash, {fits}", r.what)
    };
    remedies.iter().take(OFFERED).map(text).collect()
}

fn planned(what: String, report: &Report) -> Remedy {
    Remedy { what, ram: report.ram, flash: report.flash, about: false }
}

/// The same model, whose input comes row by row.
fn input_by_rows(bytes: &[u8], external: External, options: &Options) -> Option<Remedy> {
    let options = Options { stream_input: true, ..options.clone() };
    let model = unlimited(bytes, external, &options).ok()?;
    let what = "deliver the input row by row (`--stream-input`, `stream_input`, then `run_rows`)";
    Some(planned(what.to_owned(), &model.report))
}

/// The same model on other cores.
fn other_kernels(bytes: &[u8], external: External, options: &Options) -> Vec<Remedy> {
    let cores = [
        (Family::Dsp, "a Cortex-M4, M7 or M33 (`cortex-m4`)"),
        (Family::Mve, "a Cortex-M55 or M85 (`cortex-m55`)"),
        (Family::Scalar, "a Cortex-M0+, M3 or RV32 (`cortex-m0plus`)"),
    ];
    let other = cores.into_iter().filter(|(family, _)| *family != options.family);
    let tried = other.filter_map(|(family, core)| {
        let model = unlimited(bytes, external, &Options { family, ..options.clone() }).ok()?;
        Some(planned(format!("compile it for {core}"), &model.report))
    });
    tried.collect()
}

/// A float model in int8, and with int4 weights. Memory and tables do not depend on the samples, so any will do.
fn quantized(bytes: &[u8], external: External, options: &Options) -> Vec<Remedy> {
    let Ok(graph) = calibration_graph(bytes, external, options, &mut vec![]) else { return vec![] };
    let Ok(ports) = lower::lower(&graph).map(|program| program.inputs) else { return vec![] };
    let load = |_| Ok(ports.iter().map(|port: &Port| waves(&port.ty)).collect());
    let samples = Samples { count: 1, load: &load, threads: 1, progress: &|| {} };
    let command = format!("`kiln quantize {} --calibrate DATA", options.source);
    let ways = [
        (WeightBits::Int8, format!("quantize it to int8, {command}`")),
        (WeightBits::Int4 { block: 0 }, format!("quantize it with int4 weights, {command} --weights int4`")),
    ];
    let tried = ways.into_iter().filter_map(|(weights, what)| {
        let aim = Aim { weights, ..Aim::default() };
        let how = QuantizeOptions { choice: Choice::Only(Method::MinMax), aim, ..QuantizeOptions::default() };
        let file = quantize(&graph, &samples, &how).ok()?.onnx;
        let model = unlimited(&file, &mut |_, _, _| Err(String::new()), options).ok()?;
        Some(planned(what, &model.report))
    });
    tried.collect()
}

/// Values that are not all the same.
fn waves(ty: &TensorType) -> Tensor {
    let bytes = match ty.elem {
        ElemType::F32 => (0..ty.elements()).flat_map(|i| (i as f32 * 0.7).sin().to_le_bytes()).collect(),
        elem => vec![0; ty.elements() * elem.size()],
    };
    Tensor::new(ty.clone(), bytes).unwrap_or_else(|_| Tensor::from_f32(&[0], &[]))
}

/// int8 weights in int4: half of their bytes, less what is packed otherwise.
fn narrow_weights(program: &Program, report: &Report) -> Option<Remedy> {
    let mut weights: Vec<_> =
        program.steps.iter().filter(|s| s.kernel.macs() > 0).filter_map(|s| s.consts.first()).collect();
    weights.sort_unstable();
    weights.dedup();
    let bytes: usize = weights.into_iter().map(|c| program.consts[c.0].data.size()).sum();
    let what =
        "make the int8 model anew from its float model with int4 weights, `kiln quantize --weights int4`";
    Some(Remedy { what: what.to_owned(), ram: report.ram, flash: report.flash - bytes / 2, about: true })
}

/// An image with fewer pixels, on top of another remedy: memory goes with their number, tables do not.
fn smaller_input(program: &Program, first: &Remedy, budget: &Budget) -> Option<Remedy> {
    let room = budget.ram.filter(|&room| room < first.ram)?;
    let spatial = |port: &Port| {
        // NCHW or NHWC: channels are on the side of the smaller extent.
        let shape: [usize; 4] = port.ty.shape.clone().try_into().ok()?;
        let (height, width) = if shape[1] <= shape[3] { (shape[2], shape[3]) } else { (shape[1], shape[2]) };
        (height >= 16 && width >= 16).then_some((height, width))
    };
    let (height, width) = program.inputs.iter().find_map(spatial)?;
    let share = (room as f64 / first.ram as f64).sqrt();
    // Even, as for strides, and not so small that nothing can be seen any more.
    let scaled = |extent: usize| ((extent as f64 * share) as usize & !1).max(extent / 3);
    let (h, w) = (scaled(height), scaled(width));
    let what = format!("train it for images of {h}x{w} instead of {height}x{width}");
    let what = if first.what.is_empty() { what } else { format!("{}, and {what}", first.what) };
    Some(Remedy { what, ram: first.ram * (h * w) / (height * width), flash: first.flash, about: true })
}
