//! The `sinew-tools` binary: one module per verb.

mod actuator;
mod formula;
mod formula_checkpoint;
mod tensor_table;
mod validation;

use clap::{Parser, Subcommand};
use std::process::ExitCode;

/// Exit code of a validation whose model is outside its tolerances.
const OUTSIDE: u8 = 3;

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
    /// Hold a model against reality.
    #[command(subcommand)]
    Validate(validation::Verb),
    /// Write a full-size checkpoint whose weights follow a formula, so that none is downloaded.
    FormulaCheckpoint(formula_checkpoint::Arguments),
}

fn main() -> ExitCode {
    let result = match Arguments::parse().verb {
        Verb::Actuator(verb) => actuator::run(verb).map(|message| (message, true)),
        Verb::Validate(verb) => validation::run(verb).map_err(Into::into),
        Verb::FormulaCheckpoint(arguments) => {
            formula_checkpoint::run(&arguments).map(|message| (message, true)).map_err(Into::into)
        }
    };
    match result {
        Ok((message, good)) => {
            println!("{message}");
            if good { ExitCode::SUCCESS } else { ExitCode::from(OUTSIDE) }
        }
        Err(error) => {
            eprintln!("error: {error}");
            ExitCode::FAILURE
        }
    }
}
