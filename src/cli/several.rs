//! `sinew run` with several configurations: one loop per robot, in one process.

use std::thread;

use serde_json::{Value, json};

use super::{Format, tables};
use crate::config::Loaded;
use crate::control::OperatorSignal;
use crate::run::{self, Console, RunError};
use crate::summary::RunSummary;
use crate::supervision::StopCause;

const OPERATOR: u8 = StopCause::Operator.exit_code();

/// Prints lines with the run's name in front, and stops the others when this one does not end by
/// its duration.
struct Named<'a> {
    name: &'a str,
    format: Format,
    operator: &'a OperatorSignal,
}

impl Console for Named<'_> {
    fn line(&mut self, text: &str) {
        match self.format {
            Format::Text => say!("{}: {text}", self.name),
            Format::Json => complain!("{}: {text}", self.name),
        }
    }

    fn ended(&mut self, cause: StopCause) {
        if cause != StopCause::Completed {
            self.operator.stop();
        }
    }

    fn progress(&mut self, text: &str) {
        complain!("{}: {text}", self.name);
    }
}

/// Runs all of `runs` at once. They share the operator's stop; and when one of them ends for
/// another reason than its duration, the others are stopped with a ramp: robots that work together
/// must not go on alone. Returns the first exit code that says why.
pub(super) fn run(runs: &[Loaded], operator: &OperatorSignal, format: Format) -> u8 {
    let ended: Vec<Result<RunSummary, RunError>> = thread::scope(|scope| {
        let spawn = |loaded: Loaded| {
            scope.spawn(move || {
                let mut console = Named { name: &loaded.config.run.name, format, operator };
                let ended = run::run(&loaded, operator.clone(), &mut console);
                // One that never began, or whose recording is not complete.
                if !ended.as_ref().is_ok_and(|summary| summary.exit.code == 0) {
                    operator.stop();
                }
                ended
            })
        };
        let threads: Vec<_> = runs.iter().cloned().map(spawn).collect();
        let panicked = || Err(RunError::Panicked { name: "run" });
        threads.into_iter().map(|thread| thread.join().unwrap_or_else(|_| panicked())).collect()
    });
    let mut code = 0;
    let mut objects = Vec::new();
    for (loaded, ended) in runs.iter().zip(ended) {
        let mut console = Named { name: &loaded.config.run.name, format, operator };
        let own = match ended {
            Ok(summary) => {
                tables::summary(&summary).iter().for_each(|line| console.line(line));
                // The summary is plain numbers and strings: serialising it cannot fail.
                objects.push(serde_json::to_value(&summary).unwrap_or(Value::Null));
                summary.exit.code
            }
            Err(error) => {
                complain!("{}: error: {error}", loaded.config.run.name);
                let code = error.exit_code();
                let exit = json!({ "cause": "error", "message": error.to_string(), "code": code });
                objects.push(json!({ "run": loaded.config.run.name, "exit": exit }));
                code
            }
        };
        // Who was stopped because of another run ends as by the operator: the other's code tells more.
        if code == 0 || (code == OPERATOR && own != 0) {
            code = own;
        }
    }
    if format == Format::Json {
        say!("{}", json!({ "exit": { "code": code }, "runs": objects }));
    }
    code
}
