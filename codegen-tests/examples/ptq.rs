use kiln_cli::npy;
use kiln_compiler::graph::{self, Graph, ImportOptions};
use kiln_compiler::quant::equalize::{self, Balance, ChannelRanges};
use kiln_compiler::quant::{self, Scheme, Sites, Trace};
use kiln_compiler::tensor::Tensor;
use kiln_compiler::{lower, onnx, passes};
use std::collections::BTreeMap;
use std::path::Path;

fn load(dir: &Path) -> Graph {
    let bytes = std::fs::read(dir.join("model.onnx")).unwrap();
    let model = onnx::read(&bytes, &mut |_, _, _| Err("no".into())).unwrap();
    let mut g = graph::import(&model, &ImportOptions::default(), &lower::evaluate).unwrap();
    passes::run(&mut g, &passes::float_passes(), &mut vec![]).unwrap();
    g
}
fn rows(path: &Path, shape: &[usize]) -> Vec<Vec<Tensor>> {
    let t = npy::read_npz(path, "x").unwrap();
    let n = t.shape()[0];
    let v = t.to_f32s();
    let m = v.len() / n;
    v.chunks(m).map(|c| vec![Tensor::from_f32(shape, c)]).collect()
}
fn ranges(
    g: &Graph,
    wanted: &[graph::ValueId],
    xs: &[Vec<Tensor>],
) -> (BTreeMap<graph::ValueId, (f32, f32)>, ChannelRanges) {
    let trace = Trace::new(g, wanted).unwrap();
    let mut r = BTreeMap::new();
    let mut c = ChannelRanges::new();
    for x in xs {
        trace
            .run(x, &mut |i, t| {
                let v = t.to_f32s();
                let (lo, hi) = quant::extent(&v);
                let e = r.entry(wanted[i]).or_insert((lo, hi));
                *e = (e.0.min(lo), e.1.max(hi));
                let s = t.shape();
                if s.len() >= 2 {
                    let inner: usize = s[2..].iter().product();
                    let l = c.entry(wanted[i]).or_insert(vec![0f32; s[1]]);
                    for (k, x) in v.iter().enumerate() {
                        let m = &mut l[k / inner % s[1]];
                        *m = m.max(x.abs());
                    }
                }
            })
            .unwrap();
    }
    (r, c)
}
fn run(g: &Graph, xs: &[Vec<Tensor>]) -> Vec<Vec<f32>> {
    let t = Trace::new(g, &[]).unwrap();
    xs.iter().map(|x| t.run(x, &mut |_, _| {}).unwrap()[0].to_f32s()).collect()
}
fn int(g: &Graph) -> Graph {
    let mut g = g.clone();
    passes::run(&mut g, &passes::float_passes(), &mut vec![]).unwrap();
    quant::integers(&mut g).unwrap();
    passes::run(&mut g, &passes::cleanup_passes(), &mut vec![]).unwrap();
    g
}
fn snr(a: &[Vec<f32>], b: &[Vec<f32>]) -> f64 {
    let (mut s, mut e) = (0.0, 0.0);
    for (a, b) in a.iter().flatten().zip(b.iter().flatten()) {
        s += (*a as f64).powi(2);
        e += (*a as f64 - *b as f64).powi(2);
    }
    10.0 * (s / e).log10()
}
fn acc(o: &[Vec<f32>], y: &[i64]) -> usize {
    o.iter()
        .zip(y)
        .filter(|(o, y)| {
            let mut b = 0;
            for i in 1..o.len() {
                if o[i] > o[b] {
                    b = i
                }
            }
            b as i64 == **y
        })
        .count()
}

use kiln_compiler::quant::score::{Energy, Observed};
fn score(o: &Observed, f: &[Vec<Vec<f32>>], q: &Graph, xs: &[Vec<Tensor>]) -> f64 {
    let oq = Observed::new(q).unwrap();
    let mut e = Energy::default();
    for (x, y) in xs.iter().zip(f) {
        e.add(o.compare(y, &oq.run(x).unwrap()));
    }
    e.db()
}
fn main() {
    let zoo = std::env::var("KILN_ZOO").unwrap();
    let names: Vec<String> = std::env::args().skip(1).collect();
    for name in names {
        let dir = Path::new(&zoo).join(&name);
        let g = load(&dir);
        let shape = g.value(g.inputs[0]).ty.shape.clone();
        let (calib, test, y) = if dir.join("calib.npz").exists() {
            (
                rows(&dir.join("calib.npz"), &shape),
                rows(&dir.join("testset.npz"), &shape),
                Some(npy::read_npz(&dir.join("testset.npz"), "y").unwrap().to_i64s()),
            )
        } else {
            (
                rows(Path::new(&format!("/tmp/ptqdata/{name}.calib.npz")), &shape),
                rows(Path::new(&format!("/tmp/ptqdata/{name}.test.npz")), &shape),
                None,
            )
        };
        let ft = run(&g, &test);
        let fc = run(&g, &calib);
        let og = Observed::new(&g).unwrap();
        let yc: Vec<_> = calib.iter().map(|x| og.run(x).unwrap()).collect();
        let yt: Vec<_> = test.iter().map(|x| og.run(x).unwrap()).collect();
        println!(
            "{name}: {} calib, float acc {:?} of {}",
            calib.len(),
            y.as_ref().map(|y| acc(&ft, y)),
            test.len()
        );
        let report = |label: &str, e: &Graph, s: &Scheme| {
            let q = int(&s.apply(e).unwrap());
            let qt = run(&q, &test);
            let qc = run(&q, &calib);
            println!(
                "  {label:12} calib {:6.2} / {:6.2}  test {:6.2} / {:6.2} dB acc {:?}",
                snr(&fc, &qc),
                score(&og, &yc, &q, &calib),
                snr(&ft, &qt),
                score(&og, &yt, &q, &test),
                y.as_ref().map(|y| acc(&qt, y))
            );
        };

        let samples = quant::Samples {
            count: calib.len(),
            load: &|i| Ok(calib[i].clone()),
            threads: 2,
            progress: &|| (),
        };
        let start = std::time::Instant::now();
        let (tuned, plan, trials) = quant::tune::tune(&g, &|_| false, &samples).unwrap();
        let t0 = start.elapsed();
        for t in &trials {
            println!("     {:6.2} {}", t.score, t.name);
        }
        println!("     {plan:?}");
        let all: Vec<usize> = (0..calib.len()).collect();
        report("tuned", &tuned.graph, &tuned.scheme);
        let all: Vec<usize> = (0..calib.len()).collect();
        let judge = quant::score::Judge::new(&tuned.graph, &samples, &all).unwrap();
        for (id, s) in quant::sensitivity::sensitivity(&tuned.graph, &tuned.scheme, &judge).unwrap() {
            println!("       alone {s:6.2} {}", tuned.graph.node(id).name);
        }
        for (v, r) in &tuned.ranges {
            println!("       {r:?} {}", tuned.graph.value(*v).name);
        }
        let plain = quant::tune::Plan {
            balance: None,
            shift: false,
            rounding: false,
            correction: false,
            choice: quant::Choice::Only(quant::Method::MinMax),
        };
        let p = plain.fit(&g, &|_| false, &samples, &all).unwrap();
        report("minmax", &p.graph, &p.scheme);
        println!("     {t0:.1?}");
    }
}
