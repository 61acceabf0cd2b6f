//! What the `kiln` command is made of, for tests: its subcommands, arrays and samples on disk, how it finds compilers for bare targets,
//! and its bench.

pub mod bench;
pub mod commands;
pub mod data;
pub mod model;
pub mod npy;
pub mod target;
pub mod toolchain;
