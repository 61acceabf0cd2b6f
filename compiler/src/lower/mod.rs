//! From graph to program: every node lowers itself, in topological order. A single node lowers the same way, and running
//! that is how constants fold.

use crate::diag::{Diagnostic, Diagnostics};
use crate::graph::{Graph, NodeId, ValueId};
use crate::ops::{
    Args, Lowering, Op, Operand,
    lowering::{Input, Output},
};
use crate::program::{self, Port, Program, View};
use crate::tensor::{Tensor, TensorType};
use std::collections::HashMap;

/// Lowers a graph. Dead steps are not removed: a graph has no dead nodes after `passes`.
///
/// # Errors
/// What operators say, all of them at once; `E0903`, an internal error, when the program breaks an invariant.
pub fn lower(graph: &Graph) -> Result<Program, Diagnostics> {
    lower_with_operands(graph).map(|(program, _)| program)
}

/// [`lower`], and what each computed value became: where it lies, or which constant it is.
///
/// # Errors
/// As [`lower`].
pub fn lower_with_operands(graph: &Graph) -> Result<(Program, HashMap<ValueId, Operand>), Diagnostics> {
    let mut program = Program { name: graph.name.clone(), ..Program::default() };
    let mut operands: HashMap<ValueId, Operand> = HashMap::new();
    for &input in &graph.inputs {
        let value = graph.value(input);
        let buffer = program.buffer(&value.name, value.ty.elem, value.ty.elements());
        let view = View::new(buffer, value.ty.elem, &value.ty.shape);
        operands.insert(input, Operand { value: None, view: Some(view) });
        program.inputs.push(Port {
            name: value.name.clone(),
            buffer,
            ty: value.ty.clone(),
            qparams: value.qparams.clone(),
        });
    }
    let order = graph.topological().map_err(|id| {
        Diagnostic::new("E0902", format!("internal error: `{}` depends on itself", graph.node(id).name))
    })?;
    let mut problems = vec![];
    for id in order {
        if let Err(d) = node(graph, id, &mut program, &mut operands) {
            problems.push(graph.locate(d, id));
            // What reads it cannot be lowered either; stop before that is reported as well.
            break;
        }
    }
    Diagnostics::ok_or((), problems)?;
    for &output in &graph.outputs {
        finish_output(graph, output, &mut program, &operands)?;
    }
    program::verify(&program)
        .map_err(|e| Diagnostic::new("E0903", format!("internal error after lowering: {e}")))?;
    Ok((program, operands))
}

fn node(
    graph: &Graph,
    id: NodeId,
    program: &mut Program,
    operands: &mut HashMap<ValueId, Operand>,
) -> Result<(), Diagnostic> {
    let node = graph.node(id);
    let operand = |v: &ValueId| match operands.get(v) {
        Some(operand) => operand.clone(),
        None => Operand { value: graph.constant(*v).cloned(), view: None },
    };
    let inputs = node.inputs.iter().map(|v| {
        v.as_ref().map(|v| {
            let value = graph.value(*v);
            Input { ty: value.ty.clone(), qparams: value.qparams.clone(), operand: operand(v) }
        })
    });
    let outputs = node.outputs.iter().map(|v| {
        let value = graph.value(*v);
        Output {
            name: value.name.clone(),
            ty: value.ty.clone(),
            qparams: value.qparams.clone(),
            operand: Operand::default(),
        }
    });
    let mut b = Lowering::new(program, &node.name, &node.origin.op_type, inputs.collect(), outputs.collect());
    node.op.operator().lower(&mut b)?;
    for (id, operand) in node.outputs.iter().zip(b.finish()?) {
        operands.insert(*id, operand);
    }
    Ok(())
}

/// An output of the model fills a buffer of its own: a view of something else, an input, or a constant is copied.
fn finish_output(
    graph: &Graph,
    output: ValueId,
    program: &mut Program,
    operands: &HashMap<ValueId, Operand>,
) -> Result<(), Diagnostic> {
    let value = graph.value(output);
    let operand = operands.get(&output).cloned();
    let operand = operand.unwrap_or_else(|| Operand { value: value.data.clone(), view: None });
    let taken = |b| program.inputs.iter().chain(&program.outputs).any(|p: &Port| p.buffer == b);
    let buffer = match &operand.view {
        Some(view)
            if view.is_contiguous()
                && view.offset == 0
                && program.buffers[view.buffer.0].len == view.elements()
                && !taken(view.buffer) =>
        {
            view.buffer
        }
        _ => {
            let input = Input { ty: value.ty.clone(), qparams: value.qparams.clone(), operand };
            let mut b = Lowering::new(program, &value.name, "output", vec![Some(input)], vec![]);
            let from = b.view(0)?;
            let to = b.temp(value.ty.elem, &value.ty.shape);
            b.copy(&from, &to)?;
            to.buffer
        }
    };
    program.outputs.push(Port {
        name: value.name.clone(),
        buffer,
        ty: value.ty.clone(),
        qparams: value.qparams.clone(),
    });
    Ok(())
}

/// Computes a node on the host: lowers it alone and runs that. `None` when an input that matters is not constant.
///
/// # Errors
/// What the operator says.
pub fn evaluate(op: &Op, args: &Args, outputs: &[TensorType]) -> Result<Option<Vec<Tensor>>, Diagnostic> {
    let mut program = Program::default();
    let mut constants = vec![];
    let mut inputs = vec![];
    for arg in args.0 {
        inputs.push(arg.map(|arg| {
            let buffer = program.buffer("input", arg.ty.elem, arg.ty.elements());
            let view = View::new(buffer, arg.ty.elem, &arg.ty.shape);
            if let Some(value) = arg.value {
                program.inputs.push(Port {
                    name: String::new(),
                    buffer,
                    ty: arg.ty.clone(),
                    qparams: arg.qparams.cloned(),
                });
                constants.push(value.clone());
            }
            let operand = Operand { value: arg.value.cloned(), view: Some(view) };
            Input { ty: arg.ty.clone(), qparams: arg.qparams.cloned(), operand }
        }));
    }
    let all_constant = args.iter().all(|a| a.value.is_some());
    let outs = outputs.iter().map(|ty| Output {
        name: "output".into(),
        ty: ty.clone(),
        qparams: None,
        operand: Operand::default(),
    });
    let mut b = Lowering::new(&mut program, "folded", op.name(), inputs, outs.collect());
    match op.operator().lower(&mut b) {
        Ok(()) => {}
        // Some operators can only be lowered with constants that are not there.
        Err(_) if !all_constant => return Ok(None),
        Err(d) => return Err(d),
    }
    let results = b.finish()?;
    if let Some(values) = results.iter().map(|r| r.value.clone()).collect::<Option<Vec<_>>>() {
        return Ok(Some(values));
    }
    if !all_constant {
        return Ok(None);
    }
    for (operand, ty) in results.into_iter().zip(outputs) {
        let input = Input { ty: ty.clone(), qparams: None, operand };
        let mut b = Lowering::new(&mut program, "folded", "output", vec![Some(input)], vec![]);
        let from = b.view(0)?;
        let to = b.temp(ty.elem, &ty.shape);
        b.copy(&from, &to)?;
        program.outputs.push(Port { name: String::new(), buffer: to.buffer, ty: ty.clone(), qparams: None });
    }
    program::run(&program, &constants).map(Some)
}
