//! Memory of real models on a Cortex-M4: how little they need, and that what shares memory computes the same bits.

use codegen_tests::zoo;
use kiln_compiler::driver::{self, Artifact, Options};
use kiln_compiler::program::{self, Placement};
use kiln_runtime_core::Family;

/// Most bytes of memory, input and output included.
const BARS: [(&str, usize); 7] = [
    ("mlperf__kws_int8", 9_216),
    ("mlperf__vww_96_int8", 36_000),
    ("mlperf__ic_resnet8_int8", 18_944),
    ("mlperf__ad01_int8", 2_200),
    // Its input is 76,800 bytes of f32.
    ("mcunet__vww_int8", 77_100),
    ("tflm__person_detect_int8", 24_000),
    ("coral__mobilenet_v1_0.25_128_quant", 56_000),
];

/// And where the input comes row by row.
const BARS_BY_ROWS: [(&str, usize); 6] = [
    ("mlperf__kws_int8", 8_900),
    ("mlperf__vww_96_int8", 16_384),
    ("mlperf__ic_resnet8_int8", 18_944),
    ("mcunet__vww_int8", 19_500),
    ("tflm__person_detect_int8", 15_000),
    ("coral__mobilenet_v1_0.25_128_quant", 22_000),
];

fn compiled(entry: &zoo::Entry, family: Family, stream_input: bool) -> Result<Artifact, String> {
    let bytes = std::fs::read(entry.model()).map_err(|e| e.to_string())?;
    let options = Options { family, stream_input, ..Options::default() };
    driver::compile(&bytes, &mut |_, _, _| Err("no external data".into()), &options)
        .map_err(|e| e.to_string())
}

#[test]
fn models_fit_in_little_memory() {
    let Some(entries) = zoo::entries() else { return };
    let mut failures = vec![];
    let whole = BARS.map(|(name, most)| (name, most, false));
    let by_rows = BARS_BY_ROWS.map(|(name, most)| (name, most, true));
    for (name, most, rows) in whole.into_iter().chain(by_rows) {
        let entry = entries.iter().find(|e| e.name == name).expect("a model of the zoo");
        let artifact = compiled(entry, Family::Dsp, rows).expect("it compiles");
        let (ram, streams) = (artifact.plan.arena_len, artifact.plan.placement.shape.streams.len());
        println!("{name:40} {ram:6} bytes of {most}, {streams} streams, input by rows: {rows}");
        if ram > most {
            failures.push(format!("{name}: {ram} bytes, more than {most}"));
        }
    }
    assert!(failures.is_empty(), "{}", failures.join("\n"));
}

#[test]
fn every_family_computes_in_its_plan_what_it_computes_without_reuse() {
    let Some(entries) = zoo::entries() else { return };
    let (mut streams, mut fed) = (0, 0);
    for entry in &entries {
        for (family, rows) in Family::ALL.into_iter().flat_map(|family| [(family, false), (family, true)]) {
            // What does not compile is the business of another test.
            let Ok(artifact) = compiled(entry, family, rows) else { continue };
            let Some(case) = entry.cases().expect("cases").into_iter().next() else { continue };
            let run = |placement: &Placement| {
                program::run_placed(&artifact.program, placement, &case.inputs, &mut |_, _| {})
                    .expect("it runs")
            };
            let expected = run(&Placement::unplanned(&artifact.program));
            assert!(
                run(&artifact.plan.placement) == expected,
                "{} for {family:?}, by rows: {rows}",
                entry.name
            );
            fed += usize::from(rows);
            streams += artifact.plan.placement.shape.streams.len();
        }
    }
    assert!(streams > 20 && fed > 100, "{streams} streams, {fed} inputs by rows");
}
