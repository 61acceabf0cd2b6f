//! The float passes on real models: the meaning stays, and converters' wrappers vanish.

use crate::build::execute;
use kiln_compiler::graph::{self, Graph, ImportOptions};
use kiln_compiler::{lower, onnx, passes};
use std::path::Path;

/// Transpose nodes that are left at the most: one behind an NHWC input; the channel shuffles of ShuffleNet; the states of
/// a streaming model, which are kept in NHWC.
fn transposes(name: &str) -> usize {
    match name {
        "made__shufflenet_v1_g3_96" | "made__shufflenet_v1_g3_96_qdq" => 8,
        "made__shufflenet_v2_96" | "made__shufflenet_v2_96_qdq" => 10,
        "microwakeword__v2_vad_slim" => 4,
        _ => 1,
    }
}

/// Imports a model; `None` where it needs an operator that is not supported.
fn import(folder: &Path) -> Option<Graph> {
    let files = std::fs::read_dir(folder).expect("a folder").flatten().map(|e| e.path());
    let path = files.into_iter().find(|p| p.extension().is_some_and(|e| e == "onnx"))?;
    let bytes = std::fs::read(path).expect("a model");
    let mut beside =
        |file: &str, _: u64, _: Option<u64>| Err(format!("{file}: models of the zoo are one file"));
    let model = onnx::read(&bytes, &mut beside).unwrap_or_else(|d| panic!("{}: {d}", folder.display()));
    graph::import(&model, &ImportOptions::default(), &lower::evaluate).ok()
}

#[test]
fn real_models_keep_their_meaning() {
    let Ok(zoo) = std::env::var("KILN_ZOO") else {
        println!("skipped: KILN_ZOO is not set");
        return;
    };
    let mut models = 0;
    for folder in std::fs::read_dir(zoo).expect("KILN_ZOO is a folder").flatten() {
        let Some(mut graph) = Some(folder.path()).filter(|p| p.is_dir()).and_then(|p| import(&p)) else {
            continue;
        };
        let name = folder.file_name().to_string_lossy().to_string();
        // Unsigned integers and products of scales have no kernels before the passes and `quant`.
        let before = lower::lower(&graph).is_ok().then(|| execute(&graph));
        passes::run(&mut graph, &passes::float_passes(), &mut vec![])
            .unwrap_or_else(|d| panic!("{name}: {d}"));
        models += 1;
        let ids = graph.node_ids();
        let left = ids.iter().filter(|id| graph.node(**id).op.name() == "Transpose").count();
        assert!(left <= transposes(&name), "{name}: {left} Transpose nodes\n{graph}");
        let Some(before) = before.filter(|_| lower::lower(&graph).is_ok()) else { continue };
        for (a, b) in before.iter().zip(execute(&graph)) {
            let (a, b) = (a.to_f32s(), b.to_f32s());
            let largest = a.iter().fold(1e-3f32, |m, x| m.max(x.abs()));
            let off = a.iter().zip(&b).fold(0f32, |m, (a, b)| m.max((a - b).abs()));
            assert!(off <= 1e-4 * largest, "{name}: {off} off, of {largest}");
        }
    }
    assert!(models > 0, "no model in KILN_ZOO");
}
