//! remove_identity, common_subexpressions, dead_code, and `passes::run` itself.

use crate::build::{Build, operators};
use kiln_compiler::diag::Diagnostics;
use kiln_compiler::graph::Graph;
use kiln_compiler::ops;
use kiln_compiler::passes::{
    self, Changes, CommonSubexpressions, DeadCode, Pass, RemoveIdentity, SeparateWeights,
};
use kiln_compiler::tensor::Tensor;

#[test]
fn operators_that_do_nothing_go() {
    let mut b = Build::default();
    let x = b.input("x", &[1, 4]);
    let y = b.relu(x);
    let y = b.reshape(y, &[1, 4]);
    let y = b.transpose(y, &[0, 1]);
    let y = b.node(ops::Identity, &[y]);
    let zero = b.f32(&[], &[0.0]);
    let y = b.add(y, zero);
    let one = b.f32(&[4], &[1.0; 4]);
    let y = b.mul(one, y);
    let y = b.relu(y);
    b.output(y);
    assert_eq!(b.after(&RemoveIdentity), "Relu Relu");
}

#[test]
fn operators_that_do_something_stay() {
    let mut b = Build::default();
    let x = b.input("x", &[4]);
    // Adds nothing, but makes a matrix of a vector.
    let zero = b.f32(&[2, 4], &[0.0; 8]);
    let y = b.add(x, zero);
    let y = b.reshape(y, &[4, 2]);
    let y = b.transpose(y, &[1, 0]);
    b.output(y);
    assert_eq!(b.after(&RemoveIdentity), "Add Reshape Transpose");
}

#[test]
fn an_identity_between_an_input_and_an_output_stays() {
    let mut b = Build::default();
    let x = b.input("x", &[4]);
    let y = b.node(ops::Identity, &[x]);
    b.output(y);
    assert_eq!(b.after(&RemoveIdentity), "Identity");
}

#[test]
fn the_same_is_computed_once() {
    let mut b = Build::default();
    let x = b.input("x", &[1, 3]);
    let (one, uno) = (b.f32(&[3], &[1.0, 2.0, 3.0]), b.f32(&[3], &[1.0, 2.0, 3.0]));
    let (p, q) = (b.add(x, one), b.add(x, uno));
    let (p, q) = (b.relu(p), b.relu(q));
    let y = b.mul(p, q);
    b.output(y);
    assert_eq!(b.after(&CommonSubexpressions), "Add Relu Mul");
}

#[test]
fn what_differs_is_computed_twice() {
    let mut b = Build::default();
    let x = b.input("x", &[1, 3]);
    let (one, two) = (b.f32(&[3], &[1.0, 2.0, 3.0]), b.f32(&[1, 3], &[1.0, 2.0, 3.0]));
    let (p, q) = (b.add(x, one), b.add(x, two));
    let y = b.mul(p, q);
    b.output(y);
    assert_eq!(b.after(&CommonSubexpressions), "Add Add Mul");
}

#[test]
fn two_outputs_of_the_model_stay_two() {
    let mut b = Build::default();
    let x = b.input("x", &[1, 3]);
    let (p, q) = (b.relu(x), b.relu(x));
    b.output(p);
    b.output(q);
    assert_eq!(b.after(&CommonSubexpressions), "Relu Relu");
}

#[test]
fn one_constant_of_two_meanings_becomes_two() {
    let mut b = Build::default();
    let x = b.input("x", &[1, 3]);
    let shared = b.constant(Tensor::from_i8(&[3], &[1, 2, 3]));
    let (p, q) = (b.dequantize(shared, 0.5, 0), b.dequantize(shared, 0.25, 1));
    let y = b.add(x, p);
    let y = b.mul(y, q);
    b.output(y);
    let graph = b.run(&[&SeparateWeights, &CommonSubexpressions]);
    let stored =
        graph.node_ids().into_iter().map(|id| graph.node(id)).filter(|n| n.op.name() == "DequantizeLinear");
    let stored: Vec<_> = stored.map(|n| n.inputs[0]).collect();
    assert_eq!(stored.len(), 2);
    assert_ne!(stored[0], stored[1]);
}

#[test]
fn one_constant_of_one_meaning_stays_one() {
    let mut b = Build::default();
    let x = b.input("x", &[1, 3]);
    let shared = b.constant(Tensor::from_i8(&[3], &[1, 2, 3]));
    let (p, q) = (b.dequantize(shared, 0.5, 0), b.dequantize(shared, 0.5, 0));
    let y = b.add(x, p);
    let y = b.mul(y, q);
    b.output(y);
    let graph = b.run(&[&CommonSubexpressions, &SeparateWeights]);
    assert_eq!(operators(&graph), "DequantizeLinear Add Mul");
}

#[test]
fn what_nothing_reads_goes() {
    let mut b = Build::default();
    let x = b.input("x", &[1, 3]);
    let unread = b.relu(x);
    b.relu(unread);
    let y = b.add(x, x);
    b.output(y);
    let graph = b.run(&[&DeadCode]);
    assert_eq!(operators(&graph), "Add");
    assert_eq!(graph.inputs.len(), 1);
}

/// Makes every Relu a MatMul, whose types are wrong.
struct Broken;

impl Pass for Broken {
    fn name(&self) -> &'static str {
        "broken"
    }

    fn run(&self, graph: &mut Graph) -> Result<Changes, Diagnostics> {
        let ids = graph.node_ids();
        let relu = ids.into_iter().find(|id| graph.node(*id).op.name() == "Relu");
        let Some(id) = relu else { return Ok(Changes(0)) };
        graph.node_mut(id).op = ops::Transpose { perm: None }.into();
        Ok(Changes(1))
    }
}

/// Never comes to an end.
struct Endless;

impl Pass for Endless {
    fn name(&self) -> &'static str {
        "endless"
    }

    fn run(&self, _: &mut Graph) -> Result<Changes, Diagnostics> {
        Ok(Changes(1))
    }
}

#[test]
fn failures_name_the_pass() {
    let mut b = Build::default();
    let x = b.input("x", &[1, 3]);
    let y = b.relu(x);
    b.output(y);
    let error =
        passes::run(&mut b.graph.clone(), &[&DeadCode, &Broken], &mut vec![]).unwrap_err().to_string();
    assert!(error.starts_with("error[E0902]: internal error after pass `broken`: "), "{error}");
    let error = passes::run(&mut b.graph, &[&Endless], &mut vec![]).unwrap_err().to_string();
    assert!(error.starts_with("error[E0902]: internal error after pass `endless`: "), "{error}");
}

#[test]
fn the_record_has_the_text_after_each_pass() {
    let mut b = Build::default();
    let x = b.input("x", &[1, 3]);
    let y = b.node(ops::Identity, &[x]);
    let y = b.relu(y);
    b.output(y);
    let mut record = vec![];
    passes::run(&mut b.graph, &[&RemoveIdentity, &DeadCode], &mut record).unwrap();
    let names: Vec<_> = record.iter().map(|(n, _)| n.as_str()).collect();
    assert_eq!(names, ["remove_identity", "dead_code"]);
    assert!(!record[0].1.contains("Identity"), "{}", record[0].1);
}
