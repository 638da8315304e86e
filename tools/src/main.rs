//! The `sinew-tools` binary: one module per verb.

mod actuator;
mod formula;
mod formula_checkpoint;
mod tensor_table;

use clap::{Parser, Subcommand};
use std::process::ExitCode;

/// Prepares, evaluates and validates offline what sinew runs.
#[derive(Parser)]
#[command(name = "sinew-tools", version, about)]
struct Arguments {
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Subcommand)]
enum Verb {
    /// Train actuator models from recordings of a test rig.
    #[command(subcommand)]
    Actuator(actuator::Verb),
    /// Write a full-size checkpoint whose weights follow a formula, so that none is downloaded.
    FormulaCheckpoint(formula_checkpoint::Arguments),
}

fn main() -> ExitCode {
    let result = match Arguments::parse().verb {
        Verb::Actuator(verb) => actuator::run(verb),
        Verb::FormulaCheckpoint(arguments) => {
            formula_checkpoint::run(&arguments).map_err(Into::into)
        }
    };
    match result {
        Ok(message) => {
            println!("{message}");
            ExitCode::SUCCESS
        }
        Err(error) => {
            eprintln!("error: {error}");
            ExitCode::FAILURE
        }
    }
}
