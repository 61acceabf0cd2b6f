//! One model of the bench, on a target with a clock: runs it many times and reports how long it takes.

mod generated {
    include!("@TEXT@");
}
use generated::@NAME@::Model;
use std::cell::RefCell;
use std::time::{Duration, Instant};

thread_local! {
    /// When each step ended, in a model that marks them.
    static MARKS: RefCell<Vec<Instant>> = const { RefCell::new(Vec::new()) };
}

#[allow(dead_code)]
fn mark() {
    MARKS.with_borrow_mut(|marks| marks.push(Instant::now()));
}

const INPUTS: &[&[u8]] = &[@INPUTS@];

fn invoke(model: &mut Model, steps: &mut Vec<u128>) -> Duration {
    @INPUT@
    let start = Instant::now();
    model.@INVOKE@;
    let elapsed = start.elapsed();
    keep_least(start, steps);
    elapsed
}

/// The steps of the invocation that began at `start`, where they take less than in all before.
fn keep_least(start: Instant, least: &mut Vec<u128>) {
    MARKS.with_borrow_mut(|marks| {
        least.resize(marks.len(), u128::MAX);
        let mut before = start;
        for (least, mark) in least.iter_mut().zip(marks.drain(..)) {
            *least = (mark - before).as_nanos().min(*least);
            before = mark;
        }
    });
}

fn main() {
    let mut steps = Vec::new();
    let mut model = Box::new(Model::new());
    invoke(&mut model, &mut steps);
    for i in 0..Model::OUTPUTS {
        let digits: String = model.output_bytes(i).iter().map(|byte| format!("{byte:02x}")).collect();
        println!("output {digits}");
    }
    let start = Instant::now();
    let mut times = Vec::new();
    while times.len() < 20 || times.len() < 100_000 && start.elapsed() < Duration::from_secs(1) {
        times.push(invoke(&mut model, &mut steps).as_nanos());
    }
    times.sort_unstable();
    println!("ram {}", size_of::<Model>());
    for least in steps {
        println!("step {least}");
    }
    println!("repetitions {}", times.len());
    println!("least {}", times[0]);
    println!("median {}", times[times.len() / 2]);
}
