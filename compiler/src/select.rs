//! Which form of a kernel a program calls: a step of the plain family is exchanged for the one of the target's family that
//! computes the same bits faster, its tables repacked for it.

use crate::program::Program;
use kiln_runtime_core::Family;

/// The program for a family.
pub fn select(program: Program, family: Family) -> Program {
    match family {
        // The families have no kernels of their own yet: plain ones run everywhere.
        Family::Plain | Family::Dsp => program,
    }
}
