//! The Kiln compiler.
