//! The Kiln compiler: ONNX in, readable, allocation-free, panic-free `no_std` Rust out.
//!
//! One way down: `bytes -> onnx -> graph -> passes -> quant -> lower -> program -> plan -> codegen -> text`. A module
//! names only modules above it in this list.
//!
//! ```text
//!  0  diag json sha256 tensor  diagnostics; JSON text; hashes; types, shapes, host tensors, quantization parameters
//!  1  onnx          decode and encode
//!  2  kernels       the runtime's kernels: cost, places, host execution, call
//!  3  program       buffers, constants, steps; verifier, text, interpreter
//!  4  ops           one file an operator: import, inference, quantization rule, axes, lowering
//!  5  graph         the graph, edits, order, verifier, dumps, import
//!  6  lower         graph or single node to program
//!  7  passes        one file a rewrite
//!  8  quant prune   QDQ islands to integers, calibration; removal of channels
//!  9  select plan   kernels of the target's family; execution order and arena offsets
//! 10  codegen       program and plan to Rust text
//! 11  driver        the pipeline as one pure function
//! ```

pub mod diag;
pub mod json;
pub mod sha256;
pub mod tensor;

pub mod onnx;

pub mod kernels;

pub mod program;

pub mod ops;

pub mod graph;

pub mod lower;

pub mod passes;

pub mod quant;

pub mod prune;

pub mod select;

pub mod plan;

pub mod codegen;

pub mod driver;

pub mod files;

pub mod build;

pub use build::{Bytes, Compiler};
