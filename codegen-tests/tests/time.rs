//! Models that take frame after frame: each output is, bit for bit, that of the whole window that ends with the frame.

use codegen_tests::build::{self, Workshop};
use codegen_tests::layers::Random;
use codegen_tests::{text, zoo};
use kiln_compiler::diag::Diagnostics;
use kiln_compiler::driver::{self, Artifact, Options};
use kiln_compiler::plan::{self, Axis};
use kiln_compiler::program::{Executor, Form, Placement};
use kiln_compiler::tensor::{ElemType, Tensor};
use kiln_runtime_core::Family;

fn options(family: Family, drop: bool) -> Options {
    Options { family, stream: Some(Axis::Time), drop_time_padding: drop, ..Options::default() }
}

fn compile(bytes: &[u8], options: &Options) -> Result<Artifact, Diagnostics> {
    driver::compile(bytes, &mut |_, _, _| Err("no external data".into()), options)
}

/// How frames lie in a window.
fn form(artifact: &Artifact) -> Form {
    *artifact.plan.placement.shape.form(artifact.program.inputs[0].buffer).expect("a ring of frames")
}

/// The frames of a window, each its strips of all channels.
fn frames(artifact: &Artifact, window: &[u8]) -> Vec<Vec<u8>> {
    let (form, size) = (form(artifact), artifact.program.inputs[0].ty.elem.size());
    let strip =
        |y: usize, c: usize| &window[(c * form.height + y) * form.width * size..][..form.width * size];
    (0..form.height).map(|y| (0..form.channels).flat_map(|c| strip(y, c)).copied().collect()).collect()
}

/// The window that begins with a frame.
fn window(artifact: &Artifact, frames: &[Vec<u8>]) -> Tensor {
    let (form, ty) = (form(artifact), &artifact.program.inputs[0].ty);
    let bytes = form.width * ty.elem.size();
    let strips = (0..form.channels)
        .flat_map(|c| (0..form.height).flat_map(move |y| &frames[y][c * bytes..(c + 1) * bytes]));
    Tensor::new(ty.clone(), strips.copied().collect::<Vec<u8>>()).expect("a window")
}

/// The outputs of all windows that are due, and the same from frames that come one by one; says how many there are.
fn agree(artifact: &Artifact, frames: &[Vec<u8>], name: &str) -> (Vec<u8>, usize) {
    let clock = artifact.plan.placement.shape.time.as_ref().expect("it goes on").clock;
    assert_eq!(plan::verify(&artifact.program, &artifact.plan), Ok(()), "{name}\n{}", artifact.plan);
    let unplanned = Placement::unplanned(&artifact.program);
    let mut whole = Executor::new(&artifact.program, &unplanned);
    let mut streamed = Executor::new(&artifact.program, &artifact.plan.placement);
    let (mut expected, mut due) = (vec![], 0);
    for (number, _) in frames.iter().enumerate() {
        let first = (number + 1).saturating_sub(clock.window);
        let inputs = [window(artifact, &frames[first..])];
        let found = streamed.push(&inputs, number - first).expect("a frame");
        let is_due = number + 1 >= clock.window && (number + 1 - clock.window).is_multiple_of(clock.hop);
        assert_eq!(found.is_some(), is_due, "{name}, frame {number}");
        if let Some(found) = found {
            let outputs = whole.run(&inputs, &mut |_, _| {}).expect("it runs");
            assert!(outputs == found, "{name}, frame {number}\n{}\n{}", artifact.program, artifact.plan);
            outputs.iter().for_each(|t| expected.extend(t.bytes()));
            due += 1;
        }
    }
    (expected, due)
}

fn entry(name: &str) -> Option<(zoo::Entry, Vec<u8>)> {
    let entry = zoo::entries()?.into_iter().find(|e| e.name == name).expect("a model of the zoo");
    let bytes = std::fs::read(entry.model()).expect("the model");
    Some((entry, bytes))
}

/// The zoo's inputs, joined, as often as it takes.
fn joined(artifact: &Artifact, entry: &zoo::Entry, count: usize) -> Vec<Vec<u8>> {
    let cases = entry.cases().expect("cases");
    let all = cases.iter().flat_map(|case| frames(artifact, case.inputs[0].bytes()));
    all.collect::<Vec<_>>().into_iter().cycle().take(count).collect()
}

#[test]
fn the_wakeword_model_gives_the_bits_of_its_windows() {
    let Some((entry, bytes)) = entry("mlperf__sww_int8") else { return };
    for family in Family::ALL {
        let artifact = compile(&bytes, &options(family, false)).expect("it compiles");
        let (_, due) = agree(&artifact, &joined(&artifact, &entry, 260), &format!("{family:?}"));
        assert_eq!(due, 231);
        // A row of each layer instead of 28, 24 and 15 of them.
        assert_eq!(artifact.report.stream, Some((46_040, 1)));
        assert!(artifact.plan.arena_len < 7_000, "{}", artifact.plan.arena_len);
    }
    let artifact = compile(&bytes, &options(Family::Plain, false)).expect("it compiles");
    let frames = joined(&artifact, &entry, 230);
    let (expected, _) = agree(&artifact, &frames, "plain");
    let workshop = Workshop::new();
    let found = build::run(&workshop.program(&artifact), &[vec![tensor(&frames)]]);
    assert!(found == expected, "generated code computes other bits");
}

/// Frames as one tensor of bytes, for the standard input of a generated program.
fn tensor(frames: &[Vec<u8>]) -> Tensor {
    let bytes: Vec<i8> = frames.concat().into_iter().map(|byte| byte as i8).collect();
    Tensor::from_i8(&[bytes.len()], &bytes)
}

#[test]
fn padding_in_time_is_refused_unless_it_is_dropped() {
    let Some((entry, bytes)) = entry("trained__fsdd_dscnn") else { return };
    let refused = compile(&bytes, &options(Family::Plain, false)).expect_err("it is padded").to_string();
    let named = "error[E0717]: a layer that is padded in time cannot be streamed\n  --> node `model/conv2d_4/Conv2D` (Conv)";
    assert!(refused.starts_with(named) && refused.contains("--stream-pad drop"), "{refused}");
    let artifact = compile(&bytes, &options(Family::Plain, true)).expect("it compiles");
    let clock = artifact.plan.placement.shape.time.as_ref().expect("it goes on").clock;
    assert_eq!((clock.window, clock.hop), (49, 2));
    let (_, due) = agree(&artifact, &joined(&artifact, &entry, 130), "fsdd");
    assert_eq!(due, 41);
    let (macs, hop) = artifact.report.stream.expect("a stream");
    assert!(macs / hop as u64 * 20 < artifact.report.macs, "{macs}");
}

#[test]
fn models_of_the_zoo_stream_over_time() {
    let Some(entries) = zoo::entries() else { return };
    let mut models = 0;
    for entry in entries {
        let bytes = std::fs::read(entry.model()).expect("the model");
        let mut streamed = false;
        for family in Family::ALL {
            let Ok(artifact) = compile(&bytes, &options(family, true)) else { continue };
            // What takes long in the interpreter has no kernels that small models lack.
            if artifact.report.macs > 1_500_000 {
                continue;
            }
            let clock = artifact.plan.placement.shape.time.as_ref().expect("it goes on").clock;
            let count = clock.window + 12 * clock.hop;
            agree(&artifact, &joined(&artifact, &entry, count), &format!("{} {family:?}", entry.name));
            streamed = true;
        }
        if streamed {
            println!("{}", entry.name);
        }
        models += usize::from(streamed);
    }
    assert!(models >= 6, "{models}");
}

/// A random model: layers over time, and what may come behind them.
fn random(random: &mut Random) -> String {
    let (mut height, mut width) = (random.range(12, 40), random.range(1, 5));
    let (frames, input_width) = (height, width);
    let mut channels = random.range(1, 3);
    let (input_channels, mut nodes, mut weights, mut last) =
        (channels, String::new(), String::new(), "x".to_owned());
    for layer in 0..random.range(1, 5) {
        let (kernel, stride, dilation) = (random.range(1, 4), random.range(1, 3), random.range(1, 2));
        let reach = (kernel - 1) * dilation + 1;
        if reach > height {
            continue;
        }
        let to = format!("v{layer}");
        let wide = random.range(0, 1);
        let columns = if wide == 1 && width > 2 { 3 } else { 1 };
        let window = format!(
            "kernel_shape = [{kernel}, {columns}], strides = [{stride}, 1], pads = [0, {0}, 0, {0}]",
            columns / 2
        );
        match random.range(0, 5) {
            0 => nodes += &format!("{to} = MaxPool<{window}>({last})\n"),
            1 => nodes += &format!("{to} = AveragePool<{window}>({last})\n"),
            2 => {
                nodes += &format!(
                    "{to} = Conv<{window}, dilations = [{dilation}, 1], group = {channels}>({last}, w{layer})\n"
                );
                weights += &format!(", float[{channels},1,{kernel},{columns}] w{layer} = random({layer})");
            }
            3 => {
                // A residual block over the layer before.
                nodes += &format!(
                    "r{layer} = Conv({last}, w{layer})\n s{layer} = Relu(r{layer})\n {to} = Add({last}, s{layer})\n"
                );
                weights += &format!(", float[{channels},{channels},1,1] w{layer} = random({layer})");
                last = to;
                continue;
            }
            _ => {
                let filters = random.range(1, 6);
                nodes += &format!("{to} = Conv<{window}, dilations = [{dilation}, 1]>({last}, w{layer})\n");
                weights +=
                    &format!(", float[{filters},{channels},{kernel},{columns}] w{layer} = random({layer})");
                channels = filters;
            }
        }
        let dilated = nodes.lines().last().is_some_and(|line| line.contains("dilations"));
        let reach = if dilated { reach } else { kernel };
        height = (height - reach) / stride + 1;
        width = width + columns / 2 * 2 - columns + 1;
        last = to;
    }
    let (tail, len) = match random.range(0, 3) {
        0 => (format!("p = GlobalAveragePool({last}) f = Flatten(p) y = Gemm(f, w)"), channels),
        1 => (format!("p = GlobalMaxPool({last}) f = Flatten(p) y = Gemm(f, w)"), channels),
        2 => (format!("f = Flatten({last}) y = Gemm(f, w)"), channels * height * width),
        _ => (format!("y = Relu({last})"), 1),
    };
    let y = if tail.contains("Gemm") { "1,3".to_owned() } else { format!("1,{channels},{height},{width}") };
    format!(
        r#"<ir_version: 8, opset_import: ["" : 13]>
        g (float[1,{input_channels},{frames},{input_width}] x) => (float[{y}] y) <float[{len},3] w = random(99){weights}> {{
        {nodes} {tail} }}"#
    )
}

#[test]
fn random_models_give_the_bits_of_their_windows() {
    let (mut outputs, mut hops, mut tails) = (0, 0, 0);
    let workshop = Workshop::new();
    for seed in 0..120 {
        let mut numbers = Random(seed);
        let model = random(&mut numbers);
        let name = format!("random_{seed}");
        let options = Options { name: Some(name.clone()), ..options(Family::Plain, false) };
        let artifact = compile(&text::encode(&model), &options).unwrap_or_else(|e| panic!("{model}\n{e}"));
        let time = artifact.plan.placement.shape.time.as_ref().expect("it goes on");
        let len = form(&artifact).row() * ElemType::F32.size() / 4;
        let frame =
            |_| (0..len).flat_map(|_| (numbers.range(0, 2000) as f32 / 1000.0 - 1.0).to_le_bytes()).collect();
        let frames: Vec<Vec<u8>> =
            (0..time.clock.window + 3 * time.clock.period.min(100)).map(frame).collect();
        let (expected, due) = agree(&artifact, &frames, &format!("{seed}\n{model}"));
        outputs += due;
        hops += usize::from(time.clock.hop > 1);
        tails += usize::from(time.windows.iter().any(|h| h.height > 1));
        if seed < 6 {
            let found = build::run(&workshop.program(&artifact), &[vec![tensor(&frames)]]);
            assert!(found == expected, "generated code computes other bits: {seed}\n{model}");
        }
    }
    println!("{outputs} outputs, {hops} models with hops, {tails} with windows behind the stream");
    assert!(outputs > 2000 && hops > 20 && tails > 15, "{outputs} {hops} {tails}");
}
