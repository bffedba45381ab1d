//! `neurascale-gateway`: the gateway of a fleet.

fn main() {}
