//! The order of execution that needs least memory at its peak.
//!
//! A state is the set of steps that have run: what is live then does not depend on how it was reached, so the least peak
//! over all topological orders is a bottleneck shortest path from the empty set to the full one. Best-first search finds it
//! exactly, and visits few states where a graph has few branches.

use super::live::may_overlay;
use super::overlap;
use crate::program::{BufferId, Program, Shape, Step};
use std::cmp::Reverse;
use std::collections::{BinaryHeap, HashMap};

/// States after which the search gives up, and the order of the file stays.
const LARGEST_SEARCH: usize = 50_000;

/// An order of the steps, as indices.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Order {
    /// Step indices in order of execution.
    pub steps: Vec<usize>,
    /// Bytes at the peak, scratch counted; no placement of this order needs less.
    pub peak: usize,
    /// Whether no other order has a lower peak.
    pub exact: bool,
}

/// The order with the least peak; the program's own one where that is as good.
pub fn order(program: &Program) -> Order {
    let search = Search::new(program);
    let own: Vec<usize> = (0..program.steps.len()).collect();
    let peak = search.peak(&own);
    match search.run(peak) {
        Some(found) if found.peak < peak => found,
        found => Order { steps: own, peak, exact: found.is_some() },
    }
}

/// The program with its steps in another order.
pub fn reordered(mut program: Program, order: &Order) -> Program {
    program.steps = order.steps.iter().map(|&i| program.steps[i].clone()).collect();
    program
}

/// Steps that have run, one bit each.
type Done = Vec<u64>;

fn has(done: &Done, step: usize) -> bool {
    done[step / 64] >> (step % 64) & 1 == 1
}

struct Search<'a> {
    program: &'a Program,
    /// For each step, those that must have run before.
    before: Vec<Vec<usize>>,
    /// For each buffer, the steps that read or write it.
    users: Vec<Vec<usize>>,
    /// Buffers that are full before the first step.
    inputs: Vec<bool>,
    /// Buffers that are read after the last one.
    outputs: Vec<bool>,
    /// For each step, its input and output that may share bytes, and how many; the first pair that may goes.
    over: Vec<Vec<(BufferId, BufferId, usize)>>,
}

impl<'a> Search<'a> {
    fn new(program: &'a Program) -> Search<'a> {
        let count = program.buffers.len();
        let (mut users, mut inputs, mut outputs) =
            (vec![vec![]; count], vec![false; count], vec![false; count]);
        program.inputs.iter().for_each(|p| inputs[p.buffer.0] = true);
        program.outputs.iter().for_each(|p| outputs[p.buffer.0] = true);
        let mut before = vec![];
        for (i, step) in program.steps.iter().enumerate() {
            // Writes to one buffer stay in order among each other and with its reads; reads do not order each other.
            let mut needs: Vec<usize> = (0..i).filter(|&j| conflict(&program.steps[j], step)).collect();
            needs.dedup();
            before.push(needs);
            let mut touched: Vec<usize> =
                step.reads.iter().flatten().chain(&step.writes).map(|b| b.0).collect();
            touched.sort_unstable();
            touched.dedup();
            touched.into_iter().for_each(|b| users[b].push(i));
        }
        let over = program.steps.iter().enumerate().map(|(i, step)| over(program, step, i)).collect();
        Search { program, before, users, inputs, outputs, over }
    }

    /// Bytes that are needed while `next` runs behind `done`, its scratch counted.
    fn bytes(&self, done: &Done, next: usize) -> usize {
        let step = &self.program.steps[next];
        let mut sum = step.kernel.scratch_len();
        for (b, buffer) in self.program.buffers.iter().enumerate() {
            let touched = self.users[b].contains(&next);
            let full = self.inputs[b] || self.users[b].iter().any(|&u| has(done, u));
            let needed = self.outputs[b] || self.users[b].iter().any(|&u| !has(done, u));
            if touched || (full && needed) {
                sum += buffer.size();
            }
        }
        sum - self.overlaid(done, next)
    }

    /// Bytes that an output shares with the input that dies under it.
    fn overlaid(&self, done: &Done, next: usize) -> usize {
        let last = |b: usize| !self.outputs[b] && self.users[b].iter().all(|&u| u == next || has(done, u));
        let first = |to: &BufferId| {
            self.users[to.0].iter().all(|&u| u == next || !has(done, u)) && !self.inputs[to.0]
        };
        let found = self.over[next].iter().find(|(from, to, _)| last(from.0) && first(to));
        found.map_or(0, |(_, _, bytes)| *bytes)
    }

    /// The peak of an order.
    fn peak(&self, steps: &[usize]) -> usize {
        let mut done = vec![0; self.program.steps.len().div_ceil(64)];
        let mut peak = self.ends();
        for &i in steps {
            peak = peak.max(self.bytes(&done, i));
            done[i / 64] |= 1 << (i % 64);
        }
        peak
    }

    /// All inputs, or all outputs, are there at once.
    fn ends(&self) -> usize {
        let sum = |which: &[bool]| {
            self.program
                .buffers
                .iter()
                .zip(which)
                .filter(|(_, at)| **at)
                .map(|(b, _)| b.size())
                .sum::<usize>()
        };
        sum(&self.inputs).max(sum(&self.outputs))
    }

    /// The best order, `None` when there are too many states. Orders that need `limit` or more are not looked at.
    fn run(&self, limit: usize) -> Option<Order> {
        let steps = self.program.steps.len();
        let start: Done = vec![0; steps.div_ceil(64)];
        // Of equal peaks the state that is nearest to the end, then the one that was found first.
        let mut queue = BinaryHeap::from([(Reverse(self.ends()), 0, Reverse(0), start.clone())]);
        let mut found: HashMap<Done, (usize, Option<usize>)> = HashMap::from([(start, (self.ends(), None))]);
        let mut count = 0;
        while let Some((Reverse(peak), length, _, done)) = queue.pop() {
            if length == steps {
                return Some(Order { steps: path(&found, done), peak, exact: true });
            }
            if found.get(&done).is_some_and(|known| known.0 < peak) {
                continue;
            }
            for next in (0..steps).filter(|&s| !has(&done, s)) {
                if !self.before[next].iter().all(|&b| has(&done, b)) {
                    continue;
                }
                let bytes = peak.max(self.bytes(&done, next));
                let mut after = done.clone();
                after[next / 64] |= 1 << (next % 64);
                if bytes >= limit || found.get(&after).is_some_and(|known| known.0 <= bytes) {
                    continue;
                }
                found.insert(after.clone(), (bytes, Some(next)));
                count += 1;
                queue.push((Reverse(bytes), length + 1, Reverse(count), after));
            }
            if count > LARGEST_SEARCH {
                return None;
            }
        }
        // Nothing is better than the limit.
        Some(Order { steps: vec![], peak: limit, exact: true })
    }
}

/// The pairs of a step, as the plan chooses among them: that from the same start first, then those that share most.
fn over(program: &Program, step: &Step, index: usize) -> Vec<(BufferId, BufferId, usize)> {
    let size = |buffer: BufferId| program.buffers[buffer.0].size();
    let exact = may_overlay(step, &step.kernel).map(|(from, to)| (from, to, size(from).min(size(to))));
    let shape = Shape::default();
    let pair = |from: BufferId, to: BufferId| {
        let shift = overlap::shift(program, &shape, &(index..index + 1), (from, to))?;
        Some((from, to, size(to).saturating_sub(shift).min(size(from))))
    };
    let reads = step.reads.iter().flatten();
    let pairs = reads.flat_map(|from| step.writes.iter().filter_map(|to| pair(*from, *to)));
    let mut pairs: Vec<_> = pairs.filter(|(from, to, bytes)| from != to && *bytes > 0).collect();
    pairs.sort_by_key(|pair| std::cmp::Reverse(pair.2));
    exact.into_iter().chain(pairs).collect()
}

fn path(found: &HashMap<Done, (usize, Option<usize>)>, mut done: Done) -> Vec<usize> {
    let mut steps = vec![];
    while let Some((_, Some(step))) = found.get(&done) {
        steps.push(*step);
        done[step / 64] &= !(1 << (step % 64));
    }
    steps.reverse();
    steps
}

/// Whether two steps touch one buffer, and one of them writes it.
fn conflict(a: &Step, b: &Step) -> bool {
    let touches = |s: &Step, buffer| s.reads.contains(&Some(buffer)) || s.writes.contains(&buffer);
    a.writes.iter().any(|w| touches(b, *w)) || b.writes.iter().any(|w| touches(a, *w))
}
