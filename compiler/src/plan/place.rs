//! Greedy placement: things in some order, each at the lowest offset that is free for its whole life. The order decides
//! how well that goes, so several are tried, then those things that reach the top are moved to the front.

use super::live::{Life, Lives};
use crate::program::{Placement, Program, Shape};

/// A part of a thing: where it begins in it, its bytes, and when they are needed.
struct Member {
    begin: usize,
    size: usize,
    life: Life,
}

/// Buffers that overlays tie together, or one step's scratch.
struct Thing {
    members: Vec<Member>,
    align: usize,
}

impl Thing {
    fn size(&self) -> usize {
        self.members.iter().map(|m| m.begin + m.size).max().unwrap_or(0)
    }

    fn first(&self) -> usize {
        self.members.iter().map(|m| m.life.first).min().unwrap_or(0)
    }

    fn last(&self) -> usize {
        self.members.iter().map(|m| m.life.last).max().unwrap_or(0)
    }

    /// The ranges of own offsets, start to end, that collide with `other` at offset `at`.
    fn collisions(&self, other: &Thing, at: usize, taken: &mut Vec<(usize, usize)>) {
        for own in &self.members {
            for other in &other.members {
                let high = (at + other.begin + other.size).saturating_sub(own.begin);
                if own.life.meets(&other.life) && own.size > 0 && other.size > 0 && high > 0 {
                    taken.push(((at + other.begin).saturating_sub(own.begin + own.size - 1), high));
                }
            }
        }
    }
}

/// How often things at the top are moved to the front.
const ROUNDS: usize = 300;

/// Places everything; `scratch` are the bytes of each step's, and no placement is smaller than `bound`.
pub(super) fn place(
    program: &Program,
    shape: Shape,
    lives: &Lives,
    scratch: &[usize],
    bound: usize,
) -> Placement {
    let (things, begins) = things(program, lives, scratch);
    let mut best: Option<(usize, Vec<usize>)> = None;
    for order in orders(&things) {
        improve(&things, order, bound, &mut best);
    }
    let (arena, offsets) = best.unwrap_or_default();
    let buffers = begins.iter().map(|&(thing, begin)| offsets[thing] + begin).collect();
    let scratch_from = things.len() - program.steps.len();
    let scratch = (0..program.steps.len()).map(|i| offsets[scratch_from + i]).collect();
    Placement { buffers, scratch, arena: arena.next_multiple_of(16), shape }
}

/// All things, and of each buffer its thing and where it begins there. Scratch areas are the last things, one a step.
fn things(program: &Program, lives: &Lives, scratch: &[usize]) -> (Vec<Thing>, Vec<(usize, usize)>) {
    let mut things: Vec<Thing> = vec![];
    let mut of_group = vec![usize::MAX; program.buffers.len()];
    let mut begins = vec![];
    for (i, buffer) in program.buffers.iter().enumerate() {
        let group = lives.group[i];
        if of_group[group] == usize::MAX {
            of_group[group] = things.len();
            things.push(Thing { members: vec![], align: 4 });
        }
        let index = of_group[group];
        let members = (0..program.buffers.len()).filter(|&b| lives.group[b] == group);
        let lowest = members.map(|b| lives.begin[b]).min().unwrap_or(0);
        let begin = (lives.begin[i] - lowest) as usize;
        begins.push((index, begin));
        let port = program.inputs.iter().chain(&program.outputs).any(|p| p.buffer.0 == i);
        let thing = &mut things[index];
        thing.align = thing.align.max(if port { 16 } else { buffer.elem.size() });
        // A buffer that nothing uses has no life and needs no room.
        let life = lives.lives[i];
        if life.first <= life.last {
            thing.members.push(Member { begin, size: lives.sizes[i], life });
        }
    }
    for (i, step) in program.steps.iter().enumerate() {
        let life = Life { first: i + 1, last: i + 1 };
        let align = step.kernel.scratch_align();
        things.push(Thing { members: vec![Member { begin: 0, size: scratch[i], life }], align });
    }
    (things, begins)
}

fn orders(things: &[Thing]) -> Vec<Vec<usize>> {
    let by = |key: &dyn Fn(&Thing) -> (usize, usize)| {
        let mut order: Vec<usize> = (0..things.len()).collect();
        order.sort_by_key(|&i| (std::cmp::Reverse(key(&things[i])), i));
        order
    };
    let span = |t: &Thing| t.last() + 1 - t.first().min(t.last());
    vec![
        by(&|t| (t.size(), span(t))),
        by(&|t| (t.size() * span(t), t.size())),
        by(&|t| (span(t), t.size())),
        by(&|t| (usize::MAX - t.first(), t.size())),
    ]
}

fn improve(things: &[Thing], mut order: Vec<usize>, bound: usize, best: &mut Option<(usize, Vec<usize>)>) {
    // Work is quadratic in the number of things: large programs get fewer rounds.
    let rounds = (ROUNDS * 10_000 / (things.len() * things.len()).max(10_000)).max(2);
    for round in 0..rounds {
        let (end, offsets) = greedy(things, &order);
        if best.as_ref().is_none_or(|b| end < b.0) {
            *best = Some((end, offsets.clone()));
        }
        if best.as_ref().is_some_and(|b| b.0 <= bound) {
            return;
        }
        // Move the thing that ends highest forward; every other round half the way, so that rounds do not cycle.
        let reach = |i: &usize| offsets[*i] + things[*i].size();
        let Some(top) = (0..order.len()).max_by_key(|&p| (reach(&order[p]), p)) else { return };
        if top == 0 {
            return;
        }
        let to = if round % 2 == 0 { 0 } else { top / 2 };
        let thing = order.remove(top);
        order.insert(to, thing);
    }
}

/// Places things in the given order; returns the end and all offsets.
fn greedy(things: &[Thing], order: &[usize]) -> (usize, Vec<usize>) {
    let mut offsets = vec![0; things.len()];
    let mut end = 0;
    for (done, &i) in order.iter().enumerate() {
        let thing = &things[i];
        if thing.size() == 0 {
            continue;
        }
        let mut taken: Vec<(usize, usize)> = vec![];
        order[..done].iter().for_each(|&j| thing.collisions(&things[j], offsets[j], &mut taken));
        taken.sort_unstable();
        let mut at = 0usize;
        for (low, high) in taken {
            if at < low {
                break;
            }
            at = at.max(high).next_multiple_of(thing.align);
        }
        offsets[i] = at;
        end = end.max(at + thing.size());
    }
    (end, offsets)
}
