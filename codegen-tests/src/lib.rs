//! What the tests of generated code share: the zoo, its golden arrays, and comparisons with them.

pub mod build;
pub mod layers;
pub mod random;
pub mod text;
pub mod zoo;
