//! How deep the stack of a linked program can get, from its instructions: no debug information, no unstable flag of the
//! compiler, and micro-kernels in assembly are read like everything else.
//!
//! Each function is walked along all of its paths, with the depth of the stack at each instruction; the bound of a function is
//! the deepest of its own and, at each call, the depth there and the bound of what is called. What cannot be known
//! (recursion, a stack that grows in a loop, a frame of unknown size) is no bound, and says why.
//!
//! A call through a pointer may reach every function whose address is taken, in code or in the constants that code names, by
//! one of those that wait for the call: kernels hand closures down, which borrow from their stack and cannot outlive them. An
//! address that is taken where nothing further down calls through a pointer must have gone up, and may be called from anywhere.
//! No pointer leads back to one of those that wait: what is handed down is not entered twice (`&mut dyn FnMut`, micro-kernels).

mod image;
mod riscv;
mod thumb;
mod walk;

use image::Image;
use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use walk::{Frame, Target, walk};

/// Bytes below the stack pointer at the entry of the function called `entry` that it can reach.
///
/// # Errors
/// Why there is no bound.
pub fn bound(program: &Path, entry: &str) -> Result<u64, String> {
    let data =
        std::fs::read(program).map_err(|error| format!("cannot read `{}`: {error}", program.display()))?;
    let image = Image::read(&data)?;
    let entry = image.named(entry).ok_or_else(|| format!("the program has no function `{entry}`"))?;
    let mut calls = Calls::reachable(&image, entry)?;
    let anywhere = calls.taken_for_all();
    calls.depth(entry, &anywhere, &mut vec![]).map_err(|unbounded| match unbounded {
        Unbounded::Recursion(reason) | Unbounded::Other(reason) => reason,
    })
}

/// What a function does to the stack, whom it calls, and whose addresses it takes.
struct Function {
    frame: Frame,
    taken: BTreeSet<u64>,
}

/// The functions that can be reached.
struct Calls<'a> {
    image: &'a Image<'a>,
    functions: BTreeMap<u64, Function>,
    /// Bound of a function, where pointers may lead to these.
    bounds: BTreeMap<(u64, BTreeSet<u64>), u64>,
    /// How often a pointer was not followed, since it led back to a function that waits.
    avoided: usize,
}

/// Why there is no bound.
enum Unbounded {
    /// A function may call itself.
    Recursion(String),
    Other(String),
}

impl<'a> Calls<'a> {
    /// Walks everything that can be reached from `entry`.
    fn reachable(image: &'a Image<'a>, entry: u64) -> Result<Calls<'a>, String> {
        let mut functions = BTreeMap::new();
        let mut waiting = vec![entry];
        while let Some(address) = waiting.pop() {
            if functions.contains_key(&address) {
                continue;
            }
            let function = Function { frame: walk(image, address)?, taken: image.taken_by(address) };
            waiting.extend(function.direct().chain(function.taken.iter().copied()));
            functions.insert(address, function);
        }
        Ok(Calls { image, functions, bounds: BTreeMap::new(), avoided: 0 })
    }

    /// Addresses that are taken where nothing further down calls through a pointer.
    fn taken_for_all(&self) -> BTreeSet<u64> {
        let up = self.functions.iter().filter(|(address, _)| !self.calls_pointer(**address));
        up.flat_map(|(_, function)| &function.taken).copied().collect()
    }

    /// Whether a function, or one that it calls, calls through a pointer.
    fn calls_pointer(&self, address: u64) -> bool {
        let (mut seen, mut waiting) = (BTreeSet::new(), vec![address]);
        while let Some(function) = waiting.pop() {
            let Some(known) = self.functions.get(&function).filter(|_| seen.insert(function)) else {
                continue;
            };
            if known.frame.calls.iter().any(|(target, _)| *target == Target::Pointer) {
                return true;
            }
            waiting.extend(known.direct());
        }
        false
    }

    /// The bound of a function where pointers may lead to `pointers`; `path` are those that wait for it.
    fn depth(
        &mut self,
        address: u64,
        pointers: &BTreeSet<u64>,
        path: &mut Vec<u64>,
    ) -> Result<u64, Unbounded> {
        if path.contains(&address) {
            return Err(Unbounded::Recursion(format!("`{}` may call itself", self.image.name(address))));
        }
        let Some(function) = self.functions.get(&address) else {
            return Err(Unbounded::Other(format!("nothing is known of the function at {address:#x}")));
        };
        let pointers = pointers.union(&function.taken).copied().collect();
        let key: (u64, BTreeSet<u64>) = (address, pointers);
        if let Some(&bound) = self.bounds.get(&key) {
            return Ok(bound);
        }
        let (mut deepest, calls) = (function.frame.deepest, function.frame.calls.clone());
        let avoided = self.avoided;
        path.push(address);
        for (target, depth) in calls {
            let below = match target {
                Target::Function(callee) => self.depth(callee, &key.1, path)?,
                Target::Pointer => self.through_pointer(address, &key.1, path)?,
            };
            deepest = deepest.max(depth + below);
        }
        path.pop();
        // Another path may lead where this one must not.
        if avoided == self.avoided {
            self.bounds.insert(key, deepest);
        }
        Ok(deepest)
    }

    /// The deepest of what a pointer may lead to.
    fn through_pointer(
        &mut self,
        caller: u64,
        pointers: &BTreeSet<u64>,
        path: &mut Vec<u64>,
    ) -> Result<u64, Unbounded> {
        let mut deepest = None;
        for &callee in pointers {
            let waiting = path.len();
            match self.depth(callee, pointers, path) {
                Ok(depth) => deepest = deepest.max(Some(depth)),
                Err(Unbounded::Recursion(_)) => {
                    path.truncate(waiting);
                    self.avoided += 1;
                }
                Err(other) => return Err(other),
            }
        }
        let name = self.image.name(caller);
        deepest
            .ok_or_else(|| Unbounded::Other(format!("nothing is known of the pointer that `{name}` calls")))
    }
}

impl Function {
    /// The functions that it calls, but for those that pointers lead to.
    fn direct(&self) -> impl Iterator<Item = u64> {
        self.frame.calls.iter().filter_map(|(target, _)| match target {
            Target::Function(address) => Some(*address),
            Target::Pointer => None,
        })
    }
}
