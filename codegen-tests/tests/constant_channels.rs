//! What goes with the constant channels of real models, and that no bit of their outputs changes.

use codegen_tests::zoo;
use kiln_compiler::driver::{self, Options};
use kiln_compiler::tensor::{Tensor, TensorType};
use kiln_compiler::{lower, passes, program, quant};

/// Random inputs for each model, beside all lowest and all highest.
const INPUTS: u32 = 1000;

/// Models that have any, with the number of constant channels, of removed ones,
/// and of the multiply-accumulates that are left.
const EXPECTED: &[(&str, usize, usize, u64)] = &[("mlperf__vww_96_int8", 1651, 1724, 3_727_313)];

#[test]
fn real_models_keep_their_bits() {
    let Some(entries) = zoo::entries() else { return };
    for (name, constant, removed, macs) in EXPECTED {
        let entry = entries.iter().find(|e| e.name == *name).expect("the model is in the zoo");
        let bytes = std::fs::read(entry.model()).expect("the model can be read");
        let mut no_files = |_: &str, _, _| Err("none".into());
        let graph = driver::float_graph(&bytes, &mut no_files, &Options::default(), &mut vec![]);
        let mut before = graph.unwrap_or_else(|d| panic!("{d}"));
        quant::integers(&mut before).unwrap_or_else(|d| panic!("{d}"));
        passes::run(&mut before, &passes::cleanup_passes(), &mut vec![]).unwrap_or_else(|d| panic!("{d}"));
        let mut after = before.clone();
        let layers = quant::remove_constant_channels(&mut after).unwrap_or_else(|d| panic!("{d}"));
        assert_eq!(layers.iter().map(|l| l.constant).sum::<usize>(), *constant, "{name}");
        assert_eq!(layers.iter().map(|l| l.removed).sum::<usize>(), *removed, "{name}");
        let programs = [before, after].map(|g| lower::lower(&g).unwrap_or_else(|d| panic!("{d}")));
        assert_eq!(programs[1].macs(), *macs, "{name}");
        let input = programs[0].inputs[0].ty.clone();
        for case in 0..INPUTS + 2 {
            let sample = [sample(&input, case)];
            let [before, after] =
                programs.each_ref().map(|p| program::run(p, &sample).unwrap_or_else(|d| panic!("{d}")));
            assert_eq!(before, after, "{name}, input {case}");
        }
    }
}

fn sample(ty: &TensorType, case: u32) -> Tensor {
    let mut state = case.wrapping_mul(2_654_435_761);
    let mut byte = || {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        match case {
            0 => 0x80,
            1 => 0x7f,
            _ => (state >> 24) as u8,
        }
    };
    let bytes: Vec<u8> = (0..ty.elements() * ty.elem.size()).map(|_| byte()).collect();
    Tensor::new(ty.clone(), bytes).expect("bytes fill the input")
}
