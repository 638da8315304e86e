//! Copper's macros keep an index of log strings here.

fn main() {
    let folder = std::env::var("OUT_DIR").unwrap_or_default();
    println!("cargo:rustc-env=LOG_INDEX_DIR={folder}");
    println!("cargo:rerun-if-changed=config");
}
