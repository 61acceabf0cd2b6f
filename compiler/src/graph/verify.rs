//! What holds of every graph. `passes::run` checks it after each pass.
//!
//! 1. Every value has at most one producer; a constant, and an input of the model, has none.
//! 2. Every value that is read or is an output of the model is produced, an input, or constant.
//! 3. There is no cycle.
//! 4. Names of nodes are unique, and so are names of values that are in use.
//! 5. Every node's outputs have the types that its operator infers.
//! 6. Quantization parameters fit their value: one channel, or as many as their axis is long.

use super::{Graph, ValueId};
use std::collections::{HashMap, HashSet};

/// Checks the invariants above.
///
/// # Errors
/// A sentence that names the node or value and what is wrong.
pub fn verify(graph: &Graph) -> Result<(), String> {
    let mut produced: HashMap<ValueId, &str> = HashMap::new();
    let mut names = HashSet::new();
    for id in graph.node_ids() {
        let node = graph.node(id);
        if !names.insert(&node.name) {
            return Err(format!("two nodes are called `{}`", node.name));
        }
        for output in &node.outputs {
            let value = graph.value(*output);
            if let Some(other) = produced.insert(*output, &node.name) {
                return Err(format!("`{}` is produced by `{other}` and by `{}`", value.name, node.name));
            }
            if value.data.is_some() || graph.inputs.contains(output) {
                return Err(format!(
                    "`{}` is produced by `{}`, yet constant or an input",
                    value.name, node.name
                ));
            }
        }
    }
    let known =
        |v: ValueId| produced.contains_key(&v) || graph.inputs.contains(&v) || graph.value(v).data.is_some();
    let mut used: HashSet<ValueId> = graph.inputs.iter().chain(&graph.outputs).copied().collect();
    for id in graph.node_ids() {
        let node = graph.node(id);
        used.extend(node.inputs.iter().flatten().chain(&node.outputs));
        if let Some(v) = node.inputs.iter().flatten().find(|v| !known(**v)) {
            return Err(format!("`{}` reads `{}`, which nothing produces", node.name, graph.value(*v).name));
        }
    }
    if let Some(v) = graph.outputs.iter().find(|v| !known(**v)) {
        return Err(format!("output `{}` is produced by nothing", graph.value(*v).name));
    }
    let mut names = HashSet::new();
    for v in used {
        let value = graph.value(v);
        if !names.insert(value.name.as_str()) {
            return Err(format!("two values are called `{}`", value.name));
        }
        if let Some(q) = &value.qparams
            && (q.scale.len() != q.zero_point.len()
                || (q.scale.len() != 1 && q.scale.len() != q.scales_of(&value.ty.shape)))
        {
            return Err(format!("quantization parameters of `{}` do not fit {}", value.name, value.ty));
        }
    }
    let order = graph.topological().map_err(|id| format!("`{}` depends on itself", graph.node(id).name))?;
    for id in order {
        let node = graph.node(id);
        let types = graph.infer(id).map_err(|d| d.to_string())?;
        for (output, ty) in node.outputs.iter().zip(&types) {
            let value = graph.value(*output);
            // An integer value with quantization parameters stands for the float that the operator infers.
            if value.ty.shape != ty.shape || (value.ty.elem != ty.elem && value.qparams.is_none()) {
                return Err(format!("`{}` of `{}` is {}, inferred {ty}", value.name, node.name, value.ty));
            }
        }
    }
    Ok(())
}
