//! Which form of a kernel a program calls: a step of the plain family is exchanged for the one of the target's family that
//! computes the same bits faster, its tables repacked for it. What a family has no kernel for stays plain.

mod dsp;
mod pack;

use crate::program::{ConstId, Program};
use kiln_runtime_core::Family;
use std::collections::BTreeMap;

/// The program for a family.
pub fn select(mut program: Program, family: Family) -> Program {
    match family {
        Family::Plain => return program,
        Family::Dsp => dsp::select(&mut program),
    }
    drop_unused_tables(&mut program);
    program
}

/// Forgets the tables of the steps that were exchanged.
fn drop_unused_tables(program: &mut Program) {
    let mut kept: BTreeMap<ConstId, ConstId> = BTreeMap::new();
    let mut consts = vec![];
    for id in program.steps.iter_mut().flat_map(|s| &mut s.consts) {
        *id = *kept.entry(*id).or_insert_with(|| {
            consts.push(program.consts[id.0].clone());
            ConstId(consts.len() - 1)
        });
    }
    program.consts = consts;
}
