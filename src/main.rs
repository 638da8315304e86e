//! The `sinew` binary. Everything is in the library; this starts it.

use std::process::ExitCode;

fn main() -> ExitCode {
    sinew::cli::main()
}
