//! Runs a graph on samples and shows the tensors that flow through it: what calibration and the accuracy tools look at.

use crate::diag::{Diagnostic, Diagnostics};
use crate::graph::{Graph, ValueId};
use crate::lower;
use crate::program::{self, Placement, Program};
use crate::tensor::Tensor;

/// A graph that is lowered once, and run as often as there are samples. It is the program that is compiled: the runtime's
/// own kernels, the wanted values as further outputs.
#[derive(Debug)]
pub struct Trace {
    program: Program,
    placement: Placement,
    /// For each wanted value, where it is found.
    wanted: Vec<Source>,
    /// Number of outputs of the model itself.
    outputs: usize,
}

#[derive(Debug)]
enum Source {
    Output(usize),
    Constant(Tensor),
}

impl Trace {
    /// Prepares to watch the values `wanted`, of any type; the graph may be the fused float graph, one with quantization
    /// nodes, or one of integers.
    ///
    /// # Errors
    /// As [`lower::lower`].
    pub fn new(graph: &Graph, wanted: &[ValueId]) -> Result<Trace, Diagnostics> {
        let mut extended = graph.clone();
        let mut sources = vec![];
        for &value in wanted {
            if let Some(constant) = graph.constant(value) {
                sources.push(Source::Constant(constant.clone()));
                continue;
            }
            let at = extended.outputs.iter().position(|o| *o == value).unwrap_or(extended.outputs.len());
            if at == extended.outputs.len() {
                extended.outputs.push(value);
            }
            sources.push(Source::Output(at));
        }
        let program = lower::lower(&extended)?;
        let placement = Placement::unplanned(&program);
        Ok(Trace { program, placement, wanted: sources, outputs: graph.outputs.len() })
    }

    /// Runs one sample. `visit` sees each wanted value with its index in `wanted`, in that order; the outputs of the
    /// model are returned.
    ///
    /// # Errors
    /// `E0601` and `E0602` for inputs that are not the model's.
    pub fn run(
        &self,
        inputs: &[Tensor],
        visit: &mut dyn FnMut(usize, &Tensor),
    ) -> Result<Vec<Tensor>, Diagnostic> {
        let mut outputs = program::run_placed(&self.program, &self.placement, inputs, &mut |_, _| {})?;
        for (index, source) in self.wanted.iter().enumerate() {
            match source {
                Source::Output(at) => visit(index, &outputs[*at]),
                Source::Constant(tensor) => visit(index, tensor),
            }
        }
        outputs.truncate(self.outputs);
        Ok(outputs)
    }

    /// Multiply-accumulates of one run.
    pub fn macs(&self) -> u64 {
        self.program.macs()
    }
}
