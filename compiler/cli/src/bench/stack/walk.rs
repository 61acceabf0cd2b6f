//! One function: the depth of the stack along all of its paths.

use super::image::{Image, Set};
use super::{riscv, thumb};
use std::collections::BTreeMap;

/// What an instruction does to the stack pointer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stack {
    /// Nothing, or it takes back what a frame pointer remembers.
    Keep,
    /// Moves it down by so many bytes, or up where they are negative.
    Grow(i64),
    /// Adds a register, times 1 or -1.
    AddRegister(u8, i64),
}

/// Where it leads.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Flow {
    /// To the next instruction.
    Next,
    /// To another one.
    Jump(u64),
    /// To another one or the next.
    Branch(u64),
    /// To a function and back.
    Call(u64),
    /// The same, to where a register points, and so many bytes on.
    CallRegister(u8, i64),
    /// Somewhere in this function, through a table.
    JumpTable,
    /// To where a register points, and so many bytes on: a function that returns in this one's place, or through a table.
    JumpRegister(u8, i64),
    /// Out of the function, or nowhere.
    End,
}

/// What an instruction does to numbers in registers, as far as frames need it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Number {
    /// Nothing is known.
    Other,
    Set(u8, i64),
    Add(u8, i64),
    /// Sets the upper 16 of 32 bits.
    SetHigh(u8, i64),
}

/// What the walk needs to know of an instruction.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Instruction {
    pub len: u64,
    pub stack: Stack,
    pub flow: Flow,
    pub number: Number,
    /// The next so many instructions may be skipped, each by itself.
    pub conditional: u8,
}

impl Instruction {
    /// One of which nothing matters.
    pub fn plain(len: u64) -> Instruction {
        Instruction { len, stack: Stack::Keep, flow: Flow::Next, number: Number::Other, conditional: 0 }
    }

    pub fn grows(len: u64, bytes: i64) -> Instruction {
        Instruction { stack: Stack::Grow(bytes), ..Instruction::plain(len) }
    }

    pub fn numbers(len: u64, number: Number) -> Instruction {
        Instruction { number, ..Instruction::plain(len) }
    }

    pub fn flows(len: u64, flow: Flow) -> Instruction {
        Instruction { flow, ..Instruction::plain(len) }
    }
}

/// Whom a function calls.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Target {
    Function(u64),
    /// Whoever's address is taken.
    Pointer,
}

/// A function's own part of the stack.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Frame {
    /// Bytes at its deepest, calls apart.
    pub deepest: u64,
    /// Each call, with the bytes in use there.
    pub calls: Vec<(Target, u64)>,
}

/// More instructions than this are walked only where a stack grows in a loop.
const STEPS: usize = 1 << 20;

struct Walk<'a> {
    image: &'a Image<'a>,
    start: u64,
    end: u64,
    /// Deepest at which an instruction was reached.
    seen: BTreeMap<u64, i64>,
    waiting: Vec<(u64, i64)>,
    deepest: i64,
    calls: BTreeMap<Target, i64>,
    /// Depths of jumps through tables.
    tables: Option<i64>,
}

/// Walks a function.
///
/// # Errors
/// When its frame is not known, or its stack grows in a loop.
pub fn walk(image: &Image, function: u64) -> Result<Frame, String> {
    let name = || image.name(function);
    let end = image.end(function).ok_or_else(|| format!("no function begins at {function:#x}"))?;
    let mut walk = Walk {
        image,
        start: function,
        end,
        seen: BTreeMap::new(),
        waiting: vec![(function, 0)],
        deepest: 0,
        calls: BTreeMap::new(),
        tables: None,
    };
    walk.all().map_err(|e| format!("`{}`: {e}", name()))?;
    let bytes = |depth: i64| u64::try_from(depth).unwrap_or(0);
    let calls = walk.calls.iter().map(|(target, depth)| (*target, bytes(*depth))).collect();
    Ok(Frame { deepest: bytes(walk.deepest), calls })
}

impl Walk<'_> {
    fn all(&mut self) -> Result<(), String> {
        let mut steps = 0;
        loop {
            while let Some((at, depth)) = self.waiting.pop() {
                steps += self.path(at, depth)?;
                if steps > STEPS {
                    return Err("its stack grows in a loop".into());
                }
            }
            // What no path has reached is reached through a table, as deep as the deepest jump through one.
            let Some(depth) = self.tables else { return Ok(()) };
            let Some(at) = self.unseen() else { return Ok(()) };
            self.waiting.push((at, depth));
        }
    }

    /// The first instruction that no path has reached.
    fn unseen(&self) -> Option<u64> {
        let mut at = self.start;
        while at < self.end {
            if self.image.is_literal(at) {
                at += 2;
            } else if self.seen.contains_key(&at) {
                at += self.decode(at)?.len;
            } else {
                return Some(at);
            }
        }
        None
    }

    fn decode(&self, at: u64) -> Option<Instruction> {
        match self.image.set {
            Set::Thumb => thumb::decode(self.image, at),
            Set::RiscV => riscv::decode(self.image, at),
        }
    }

    /// Follows a path until it ends or was taken before; returns its length.
    fn path(&mut self, mut at: u64, mut depth: i64) -> Result<usize, String> {
        let mut numbers: BTreeMap<u8, i64> = BTreeMap::new();
        let (mut steps, mut conditional) = (0, 0u8);
        while (self.start..self.end).contains(&at) && !self.image.is_literal(at) {
            if self.seen.get(&at).is_some_and(|known| *known >= depth) {
                break;
            }
            self.seen.insert(at, depth);
            let instruction = self.decode(at).ok_or("its instructions are not there")?;
            steps += 1;
            let may_skip = conditional > 0;
            conditional = conditional.saturating_sub(1).max(instruction.conditional);
            let after = match instruction.stack {
                Stack::Keep => depth,
                Stack::Grow(bytes) => depth + bytes,
                Stack::AddRegister(register, sign) => {
                    let number = numbers.get(&register).ok_or("its frame has no constant size")?;
                    depth - sign * number
                }
            };
            // An instruction that may be skipped and returns gives back what it does not if it is skipped.
            depth = if may_skip { depth.max(after) } else { after };
            self.deepest = self.deepest.max(depth);
            let next = at + instruction.len;
            let goes_on = self.follow(instruction.flow, next, depth, &numbers);
            learn(&mut numbers, instruction.number);
            if !goes_on && !may_skip {
                break;
            }
            at = next;
        }
        Ok(steps)
    }

    /// Notes where an instruction leads; whether it leads to the next one.
    fn follow(&mut self, flow: Flow, next: u64, depth: i64, numbers: &BTreeMap<u8, i64>) -> bool {
        let known =
            |register, offset| numbers.get(&register).map(|number| self.image.code((number + offset) as u64));
        match flow {
            Flow::Next => true,
            Flow::Jump(to) | Flow::Branch(to) => {
                if (self.start..self.end).contains(&to) {
                    self.waiting.push((to, depth));
                } else {
                    self.call(Target::Function(to), depth);
                }
                matches!(flow, Flow::Branch(_))
            }
            Flow::Call(to) if to == next => true, // reads the program counter
            // Cores without long branches jump so, where they have saved the register that it overwrites.
            Flow::Call(to) if (self.start + 1..self.end).contains(&to) => {
                self.follow(Flow::Jump(to), next, depth, numbers)
            }
            Flow::Call(to) => {
                self.call(Target::Function(to), depth);
                true
            }
            Flow::CallRegister(register, offset) => {
                let target = known(register, offset).map_or(Target::Pointer, Target::Function);
                self.call(target, depth);
                true
            }
            Flow::JumpTable => {
                self.tables = self.tables.max(Some(depth));
                false
            }
            Flow::JumpRegister(register, offset) => {
                match known(register, offset) {
                    Some(to) => return self.follow(Flow::Jump(to), next, depth, numbers),
                    None => self.call(Target::Pointer, depth),
                }
                self.tables = self.tables.max(Some(depth));
                false
            }
            Flow::End => false,
        }
    }

    fn call(&mut self, target: Target, depth: i64) {
        let known = self.calls.entry(target).or_insert(depth);
        *known = (*known).max(depth);
    }
}

/// Numbers are known as long as one instruction behind the other makes them, which is how a large frame or a far call is
/// written.
fn learn(numbers: &mut BTreeMap<u8, i64>, number: Number) {
    match number {
        Number::Set(register, number) => drop(numbers.insert(register, number)),
        Number::Add(register, more) => {
            if let Some(number) = numbers.get_mut(&register) {
                *number += more;
            }
        }
        Number::SetHigh(register, high) => {
            if let Some(number) = numbers.get_mut(&register) {
                *number = i64::from((high << 16 | *number & 0xffff) as i32);
            }
        }
        Number::Other => numbers.clear(),
    }
}
