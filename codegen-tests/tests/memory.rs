//! Memory of real models on a Cortex-M4: how little they need, and that what shares memory computes the same bits.

use codegen_tests::zoo;
use kiln_compiler::driver::{self, Artifact, Options};
use kiln_compiler::program::{self, Placement};
use kiln_runtime_core::Family;

/// Most bytes of memory, input and output included.
const BARS: [(&str, usize); 7] = [
    ("mlperf__kws_int8", 9_216),
    ("mlperf__vww_96_int8", 36_000),
    ("mlperf__ic_resnet8_int8", 28_000),
    ("mlperf__ad01_int8", 2_200),
    // Its input is 76,800 bytes of f32.
    ("mcunet__vww_int8", 77_100),
    ("tflm__person_detect_int8", 24_000),
    ("coral__mobilenet_v1_0.25_128_quant", 56_000),
];

fn compiled(entry: &zoo::Entry, family: Family) -> Result<Artifact, String> {
    let bytes = std::fs::read(entry.model()).map_err(|e| e.to_string())?;
    let options = Options { family, ..Options::default() };
    driver::compile(&bytes, &mut |_, _, _| Err("no external data".into()), &options)
        .map_err(|e| e.to_string())
}

#[test]
fn models_fit_in_little_memory() {
    let Some(entries) = zoo::entries() else { return };
    let mut failures = vec![];
    for (name, most) in BARS {
        let entry = entries.iter().find(|e| e.name == name).expect("a model of the zoo");
        let artifact = compiled(entry, Family::Dsp).expect("it compiles");
        let (ram, streams) = (artifact.plan.arena_len, artifact.plan.placement.shape.streams.len());
        println!("{name:40} {ram:6} bytes of {most}, {streams} streams");
        if ram > most {
            failures.push(format!("{name}: {ram} bytes, more than {most}"));
        }
    }
    assert!(failures.is_empty(), "{}", failures.join("\n"));
}

#[test]
fn every_family_computes_in_its_plan_what_it_computes_without_reuse() {
    let Some(entries) = zoo::entries() else { return };
    let mut streams = 0;
    for entry in &entries {
        for family in Family::ALL {
            // What does not compile is the business of another test.
            let Ok(artifact) = compiled(entry, family) else { continue };
            let Some(case) = entry.cases().expect("cases").into_iter().next() else { continue };
            let run = |placement: &Placement| {
                program::run_placed(&artifact.program, placement, &case.inputs, &mut |_, _| {})
                    .expect("it runs")
            };
            let expected = run(&Placement::unplanned(&artifact.program));
            assert!(run(&artifact.plan.placement) == expected, "{} for {family:?}", entry.name);
            streams += artifact.plan.placement.shape.streams.len();
        }
    }
    assert!(streams > 20, "{streams} streams");
}
