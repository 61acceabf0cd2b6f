//! What the `kiln` command is made of, for tests: how it finds compilers for bare targets, and its bench.

pub mod bench;
pub mod toolchain;
