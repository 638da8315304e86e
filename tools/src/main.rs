//! The `sinew-tools` binary.
fn main() {}
