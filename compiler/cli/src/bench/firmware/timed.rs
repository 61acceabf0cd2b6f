//! One model of the bench, on a target with a clock: runs it many times and reports how long it takes.

mod generated {
    include!("@TEXT@");
}
use generated::@NAME@::Model;
use std::cell::{Cell, RefCell};
use std::time::{Duration, Instant};

thread_local! {
    /// What each step took of an invocation, in a model that marks them.
    static SPENT: RefCell<Vec<Duration>> = const { RefCell::new(Vec::new()) };
    /// When the last mark was made.
    static MARKED: Cell<Option<Instant>> = const { Cell::new(None) };
}

/// What a model says behind each kernel call: one that streams rows says it once a tick.
#[allow(dead_code)]
fn mark(step: usize) {
    let now = Instant::now();
    SPENT.with_borrow_mut(|spent| {
        spent.resize(spent.len().max(step + 1), Duration::ZERO);
        spent[step] += MARKED.replace(Some(now)).map_or(Duration::ZERO, |before| now - before);
    });
}

const INPUTS: &[&[u8]] = &[@INPUTS@];

fn invoke(model: &mut Model, steps: &mut Vec<u128>) -> Duration {
    @INPUT@
    let start = Instant::now();
    MARKED.set(Some(start));
    model.@INVOKE@;
    let elapsed = start.elapsed();
    keep_least(steps);
    elapsed
}

/// The steps of an invocation, where they take less than in all before.
fn keep_least(least: &mut Vec<u128>) {
    SPENT.with_borrow_mut(|spent| {
        least.resize(spent.len(), u128::MAX);
        for (least, spent) in least.iter_mut().zip(spent.drain(..)) {
            *least = spent.as_nanos().min(*least);
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
