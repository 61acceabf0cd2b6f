//! Plans in which the input comes row by row and is a ring of the rows that are still to be read.

use super::{Plan, group, plan_as};
use crate::diag::Diagnostic;
use crate::program::{Program, Step};

/// Instructions that streams may add, as a share of all, where the input does not lie in memory: who asks for that counts
/// bytes first.
const MOST_MORE: f64 = 0.15;

/// Plans a program whose input comes row by row. The streams around that may be as dear as they must; those that save less than
/// a twentieth add as little as those of a whole input.
///
/// # Errors
/// `E0715`, with the layer that cannot use rows one by one.
pub fn plan_by_rows(program: &Program) -> Result<Plan, Diagnostic> {
    let [port] = &program.inputs[..] else { return Err(refused(program)) };
    let smallest = |most: f64| {
        let shapes = group::shapes(program, Some(port.buffer), most).into_iter();
        shapes.map(|shape| plan_as(program, shape)).min_by_key(|p| p.arena_len)
    };
    let cheap = smallest(group::MOST_MORE).ok_or_else(|| refused(program))?;
    let worth = |p: &Plan| p.arena_len + cheap.arena_len / 20 <= cheap.arena_len;
    Ok(smallest(MOST_MORE).filter(worth).unwrap_or(cheap))
}

/// Why the input cannot come row by row.
fn refused(program: &Program) -> Diagnostic {
    const WHOLE: &str = "without `stream_input`, the input lies in memory as a whole";
    let types: Vec<String> = program.inputs.iter().map(|p| format!("`{}`: {}", p.name, p.ty)).collect();
    let d = Diagnostic::new("E0715", "the input cannot come row by row").fact("inputs", types.join(", "));
    let [port] = &program.inputs[..] else {
        return d.help("only models with one input can be fed with rows").help(WHOLE);
    };
    let readers: Vec<&Step> = program.steps.iter().filter(|s| s.reads.contains(&Some(port.buffer))).collect();
    let Some(first) = readers.first() else {
        return d.help("no layer reads the input, so there is nothing to compute from its rows").help(WHOLE);
    };
    if let Some(step) = readers.iter().find(|s| s.kernel.window().is_none()) {
        return d
            .at(&step.layer, &step.op)
            .fact("kernel", format!("{}, which needs all of its input at once", step.kernel.function()))
            .help("rows can feed convolutions, pooling, and elementwise layers in front of them")
            .help(WHOLE);
    }
    let seen = readers.iter().flat_map(|s| s.kernel.reads().into_iter().zip(&s.reads).map(|(i, b)| (i, *b)));
    let seen = seen.filter(|(_, buffer)| *buffer == Some(port.buffer));
    let shapes: Vec<String> =
        seen.map(|(i, _)| format!("{} rows of {}x{}", i.height, i.width, i.channels)).collect();
    let layers: Vec<String> = readers.iter().map(|s| format!("`{}`", s.layer)).collect();
    d.at(&first.layer, &first.op)
        .fact("read by", layers.join(", "))
        .fact("read as", shapes.join(", "))
        .help("all layers that read the input must run side by side, and see the same rows in it")
        .help(WHOLE)
}
