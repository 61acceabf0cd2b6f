//! Every model of the zoo compiles, and its planned program agrees with the golden outputs as `zoo.tsv` says.

use codegen_tests::zoo::{self, Entry, Outcome, Rule};
use kiln_compiler::driver::{self, Options};
use kiln_compiler::program::{self, Executor, Placement};
use kiln_runtime_core::Family;
use std::time::Instant;

#[test]
fn models_agree_with_their_golden_outputs() {
    let Some(entries) = zoo::entries() else { return };
    let mut failures = vec![];
    for entry in &entries {
        let start = Instant::now();
        let outcome = check(entry).unwrap_or_else(|e| Outcome { figure: f64::NAN, failures: vec![e] });
        let verdict = if outcome.failures.is_empty() { "ok" } else { "FAILED" };
        println!(
            "{:45} {verdict:6} {:10.4}  {:?}  {:.1?}",
            entry.name,
            outcome.figure,
            entry.rule,
            start.elapsed()
        );
        failures.extend(outcome.failures.iter().map(|f| format!("{}: {f}", entry.name)));
    }
    assert!(failures.is_empty(), "{}", failures.join("\n"));
}

fn check(entry: &Entry) -> Result<Outcome, String> {
    let bytes = std::fs::read(entry.model()).map_err(|e| e.to_string())?;
    let compiled =
        driver::compile(&bytes, &mut |_, _, _| Err("no external data".into()), &Options::default());
    if let Rule::Unsupported(reason) = &entry.rule {
        let text = compiled.err().map_or("it compiled".to_string(), |e| e.to_string());
        let failures =
            if text.contains(reason) { vec![] } else { vec![format!("expected `{reason}`, got: {text}")] };
        return Ok(Outcome { figure: 0.0, failures });
    }
    let artifact = compiled.map_err(|e| e.to_string())?;
    let options = Options { family: Family::Simd, ..Options::default() };
    let vectors = driver::compile(&bytes, &mut |_, _, _| Err("no external data".into()), &options)
        .map_err(|e| e.to_string())?;
    let mut pairs = vec![];
    let mut failures = vec![];
    // One memory for all cases: what a case leaves in it must not reach the next one.
    let mut executor = Executor::new(&artifact.program, &artifact.plan.placement);
    for (index, case) in entry.cases()?.iter().enumerate() {
        let outputs = executor.run(&case.inputs, &mut |_, _| {}).map_err(|e| e.to_string())?;
        let fresh = |placement: &Placement| {
            program::run_placed(&artifact.program, placement, &case.inputs, &mut |_, _| {})
                .map_err(|e| e.to_string())
        };
        if index == 0 && outputs != fresh(&Placement::unplanned(&artifact.program))? {
            failures.push("the planned program computes other bits than the unplanned one".to_string());
        }
        if index == 0 {
            let mut executor = Executor::new(&vectors.program, &vectors.plan.placement);
            if outputs != executor.run(&case.inputs, &mut |_, _| {}).map_err(|e| e.to_string())? {
                failures.push("kernels with vectors compute other bits than the plain ones".to_string());
            }
        }
        if index == 1 && outputs != fresh(&artifact.plan.placement)? {
            failures.push("the second run computes other bits than a first one".to_string());
        }
        pairs.extend(outputs.into_iter().zip(case.outputs.iter().cloned()));
    }
    let mut outcome = zoo::judge(&entry.rule, &pairs);
    outcome.failures.extend(failures);
    Ok(outcome)
}
