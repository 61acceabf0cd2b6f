//! What the `kiln` command is made of, for tests: its subcommands, arrays and samples on disk, what accuracy
//! is, how it finds compilers for bare targets,
//! and its bench.

pub mod bench;
pub mod commands;
pub mod data;
pub mod evaluate;
pub mod model;
pub mod npy;
pub mod target;
pub mod toolchain;
