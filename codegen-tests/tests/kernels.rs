//! The kernels of every family against the plain ones: the same bits, on the host and on the device.

use codegen_tests::layers::{Layers, Random, chain, layers, wide_layers};
use kiln_cli::bench::{self, BOARDS, BenchModel, BenchOptions};
use kiln_cli::toolchain::{Toolchain, find_program};
use kiln_compiler::kernels::{Kernel, Overlay};
use kiln_compiler::program::{BufferId, Placement, Program, Step, run, run_placed};
use kiln_compiler::tensor::Tensor;
use kiln_compiler::{codegen, plan, program, select};
use kiln_runtime_core::{Block, Family, view};
use std::collections::BTreeMap;

/// What the plain kernels compute.
fn expected(layers: &Layers) -> Vec<Vec<u8>> {
    program::verify(&layers.program).expect("a correct program");
    run(&layers.program, &layers.inputs).expect("it runs").iter().map(|t| t.bytes().to_vec()).collect()
}

/// Runs a program, and checks that no step writes into the buffer of another.
fn run_alone(program: &Program, inputs: &[Tensor]) -> Vec<Tensor> {
    let placement = Placement::unplanned(program);
    let contents = |mem: &[Block]| -> Vec<Vec<u8>> {
        let places = program.buffers.iter().zip(&placement.buffers);
        places.map(|(buffer, &at)| view::<u8>(mem)[at..at + buffer.size()].to_vec()).collect()
    };
    let mut before: Vec<Vec<u8>> = vec![];
    let mut observe = |step: &Step, mem: &[Block]| {
        let after = contents(mem);
        for (i, (before, after)) in before.iter().zip(&after).enumerate() {
            assert!(before == after || step.writes.contains(&BufferId(i)), "{:?}", step.kernel);
        }
        before = after;
    };
    run_placed(program, &placement, inputs, &mut observe).expect("it runs")
}

/// The program for a family, which exchanges every layer.
fn selected(layers: &Layers, family: Family) -> Program {
    let program = select::select(layers.program.clone(), family);
    program::verify(&program).expect("a correct program");
    assert!(program.const_size() > 0 && program.consts.len() < layers.program.consts.len());
    program
}

/// Calls `run` once, or with every instruction set of this machine in turn where the family has a form for each.
fn at_each_level(family: Family, mut run: impl FnMut(&str)) {
    #[cfg(target_arch = "x86_64")]
    if family == Family::Simd {
        use kiln_runtime_core::{VectorLevel, limit_vectors};
        // The last is no limit.
        for level in [VectorLevel::Sse2, VectorLevel::Avx2, VectorLevel::Avx512] {
            if limit_vectors(level) == level {
                run(&format!("{level:?}"));
            }
        }
        return;
    }
    run(family.name());
}

/// Runs the layers of a family on the host and counts its kernels.
fn fast_forms(family: Family) -> BTreeMap<&'static str, usize> {
    let mut random = Random(149);
    let mut seen = BTreeMap::new();
    for round in 0..150 {
        let mut layers = match round % 10 {
            0 => layers(&mut random, 12, 4000),
            1 => wide_layers(&mut random, 4, 300),
            _ => layers(&mut random, 12, 300),
        };
        // Every other program has buffers of its own to interleave.
        (0..round % 2 * 2).for_each(|_| chain(&mut layers, &mut random));
        let expected = expected(&layers);
        let program = selected(&layers, family);
        at_each_level(family, |level| {
            let outputs = run_alone(&program, &layers.inputs);
            for ((step, output), expected) in layers.program.steps.iter().zip(outputs).zip(&expected) {
                assert!(output.bytes() == *expected, "{level}: {:?}", step.kernel);
            }
        });
        // The depthwise kernel with DSP writes planes.
        let planes = |step: &&Step| {
            family != Family::Dsp
                || !matches!(step.kernel, Kernel::DepthwiseConv2dI8(p) if p.output.layout.col != 1)
        };
        for step in program.steps.iter().filter(planes) {
            *seen.entry(step.kernel.function()).or_default() += 1;
        }
    }
    println!("{seen:?}");
    seen
}

#[test]
fn every_layer_has_a_fast_form_of_the_same_bits() {
    for family in Family::ALL.into_iter().filter(|&family| family != Family::Plain) {
        let seen = fast_forms(family);
        let mut fast = vec!["conv2d_i8", "pointwise_conv2d_i8", "depthwise_conv2d_i8", "fully_connected_i8"];
        if family == Family::Dsp {
            fast.push("interleaved_conv2d_i8");
        }
        let fast: Vec<String> = fast.iter().map(|kernel| format!("{kernel}_{}", family.name())).collect();
        assert!(fast.iter().all(|kernel| seen[kernel.as_str()] > 100));
        // A window that reaches no column, or columns of one channel that are dilated.
        let plain: usize =
            seen.iter().filter(|(kernel, _)| !fast.iter().any(|f| f == *kernel)).map(|(_, n)| n).sum();
        assert!(plain < 10, "{plain} layers stayed plain");
    }
}

/// A placement in which every output that may begin where its input begins does so; how many there are of each kernel.
fn in_place(program: &Program) -> (Placement, BTreeMap<&'static str, usize>) {
    let mut placement = Placement::unplanned(program);
    let mut found = BTreeMap::new();
    for (index, step) in program.steps.iter().enumerate() {
        if let (Overlay::Start, [Some(from)], [to]) =
            (step.kernel.overlay(), &step.reads[..], &step.writes[..])
        {
            // The groups of a convolution read the same buffer, one after the other.
            if program.steps.iter().filter(|s| s.reads.contains(&Some(*from))).count() > 1 {
                continue;
            }
            // A place behind all others, where the input may be shorter than the output.
            let size = program.buffers[from.0].size().max(program.buffers[to.0].size());
            placement.buffers[from.0] = placement.arena;
            placement.buffers[to.0] = placement.arena;
            placement.arena += size.next_multiple_of(16);
            assert!(placement.kernel(program, index).overlay() == Overlay::Start);
            *found.entry(step.kernel.function()).or_default() += 1;
        }
    }
    (placement, found)
}

#[test]
fn kernels_compute_in_place_what_they_say_they_can() {
    let mut random = Random(7);
    let mut seen: BTreeMap<&str, usize> = BTreeMap::new();
    for round in 0..90 {
        let mut layers = layers(&mut random, 12, if round % 10 == 0 { 4000 } else { 300 });
        (0..round % 2).for_each(|_| chain(&mut layers, &mut random));
        let expected = expected(&layers);
        for family in Family::ALL {
            let program = select::select(layers.program.clone(), family);
            let (placement, found) = in_place(&program);
            let outputs = run_placed(&program, &placement, &layers.inputs, &mut |_, _| {}).expect("it runs");
            for ((step, output), expected) in program.steps.iter().zip(outputs).zip(&expected) {
                assert!(output.bytes() == *expected, "{family:?}: {:?}", step.kernel);
            }
            found.into_iter().for_each(|(kernel, n)| *seen.entry(kernel).or_default() += n);
        }
    }
    println!("{seen:?}");
    for family in ["dsp", "mve", "scalar"] {
        for kernel in ["pointwise_conv2d_i8", "depthwise_conv2d_i8"] {
            let kernel = format!("{kernel}_{family}");
            assert!(seen.get(kernel.as_str()).is_some_and(|&n| n > 20), "{kernel}: {seen:?}");
        }
    }
    assert!(seen["conv2d_i8"] > 20);
}

/// Generated code for a program, as a model of the bench.
fn model(program: &Program, inputs: &[Tensor], name: &str) -> BenchModel {
    let plan = plan::plan(program);
    plan::verify(program, &plan).expect("a correct plan");
    let options = codegen::Options { name: name.to_owned(), ..codegen::Options::default() };
    let code = codegen::generate(program, &plan, &options);
    BenchModel {
        name: code.module,
        text: code.text,
        weights: code.weights.map(|bytes| (code.weights_file, bytes)),
        inputs: inputs.iter().map(|t| t.bytes().to_vec()).collect(),
        tables: None,
        fed: false,
    }
}

#[test]
fn devices_compute_the_same_bits_as_the_plain_kernels() {
    let mut random = Random(6);
    let mut cases: Vec<Layers> = [2000, 400].map(|size| layers(&mut random, 72, size)).into();
    (0..12).for_each(|_| chain(&mut cases[1], &mut random));
    for board in BOARDS {
        let family = kiln_cli::target::family(board.name()).expect("a known target");
        let missing = Toolchain::find(board.target).is_err() || find_program(board.emulator).is_none();
        if family == Family::Plain || missing {
            assert!(
                family == Family::Plain || std::env::var_os("KILN_TEST_ALL").is_none(),
                "{}",
                board.name()
            );
            continue;
        }
        // No panic may be reachable at any of them: it would not link. One board is enough for the rare ones.
        let opt_levels: &[&str] = if board == &BOARDS[0] { &["1", "2", "3", "s", "z"] } else { &["3", "s"] };
        for &opt_level in opt_levels {
            let name = |i: usize| format!("layers{i}");
            let models: Vec<BenchModel> = cases
                .iter()
                .enumerate()
                .map(|(i, case)| model(&selected(case, family), &case.inputs, &name(i)))
                .collect();
            let options = BenchOptions { opt_level: opt_level.to_owned(), ..BenchOptions::new(board.name()) };
            let results = bench::run(&models, &options).unwrap_or_else(|e| panic!("{}: {e}", board.name()));
            for (case, result) in cases.iter().zip(results) {
                let steps = case.program.steps.iter().zip(result.outputs).zip(expected(case));
                for ((step, output), expected) in steps {
                    assert!(output == expected, "{} at {opt_level}: {:?}", board.name(), step.kernel);
                }
            }
        }
    }
}
