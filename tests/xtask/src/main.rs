//! cargo xtask: run, test, soak, bench.
fn main() {}
