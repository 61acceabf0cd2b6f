//! Removes nodes that no output of the model depends on.
//!
//! Identity: a node has no effect but its outputs. It comes last, and every rewrite of the other passes cleans up behind
//! itself, since a dead reader of a value would make it look shared. Inputs of the model stay, even unread: they are its
//! interface.

use super::{Changes, Pass, shared};
use crate::diag::Diagnostics;
use crate::graph::Graph;

/// See the module.
#[derive(Debug)]
pub struct DeadCode;

impl Pass for DeadCode {
    fn name(&self) -> &'static str {
        "dead_code"
    }

    fn run(&self, graph: &mut Graph) -> Result<Changes, Diagnostics> {
        Ok(Changes(shared::remove_dead(graph)))
    }
}
