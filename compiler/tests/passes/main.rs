//! Every pass on graphs that it rewrites and on graphs that it must leave alone. Each test runs both graphs.

mod build;
mod cleaning;
mod dynamic;
mod folding;
mod fusing;
mod motion;
mod zoo;
