//! `sinew replay`

use std::path::{Path, PathBuf};
use std::sync::{Arc, PoisonError};

use clap::Args;
use serde_json::{Value, json};

use super::{Format, fail, run, tables};
use crate::replay::{
    self, Deviation, Episode, Incomplete, Prepared, Repetitions, ReplayError, StateChange,
    Verification, WhatIf,
};
use crate::run::Console as _;

#[derive(Debug, Args)]
pub(super) struct ReplayArguments {
    /// A run's folder, or the journal in it
    episode: PathBuf,
    /// Compute it with another value instead, for example --with limits.joint1.max_velocity_rad_s=0.2,
    /// and show what differs; may be repeated
    #[arg(long = "with", value_name = "KEY=VALUE")]
    with: Vec<String>,
    /// Move a robot through the recorded motion: its configuration, for example
    /// configs/robots/mock.toml, goes on top of the episode's
    #[arg(long, value_name = "FILE", conflicts_with = "with")]
    on: Option<PathBuf>,
    /// With --on: how often
    #[arg(long, value_name = "N", default_value_t = 1, requires = "on",
          value_parser = clap::value_parser!(u32).range(1..=10_000))]
    times: u32,
    /// With --on: set one value, for example --set run.clock=simulated; may be repeated
    #[arg(long = "set", value_name = "KEY=VALUE", requires = "on")]
    sets: Vec<String>,
    /// With --on: a line a second instead of the live view
    #[arg(long, requires = "on")]
    plain: bool,
    /// Text for people, or one JSON object as the last line
    #[arg(long, value_enum, default_value_t)]
    format: Format,
}

pub(super) fn replay(arguments: &ReplayArguments) -> u8 {
    match replayed(arguments) {
        Ok(code) => code,
        Err(error) => fail(&error, error.exit_code(), arguments.format),
    }
}

fn replayed(arguments: &ReplayArguments) -> Result<u8, ReplayError> {
    let mut episode = Episode::open(&arguments.episode)?;
    if let Some(file) = &arguments.on {
        return moved(&mut episode, file, arguments);
    }
    let json = arguments.format == Format::Json;
    let version = episode.header().version.clone();
    if !json && version != env!("CARGO_PKG_VERSION") {
        say!("recorded by sinew {version}, computed by {}", env!("CARGO_PKG_VERSION"));
    }
    if arguments.with.is_empty() {
        let verification = replay::verify(&mut episode)?;
        let code = verification.exit_code();
        if json {
            say!("{}", with_exit(code, cause(code), json!(verification), &episode));
        } else {
            print(&verification, &episode);
        }
        return Ok(code);
    }
    let what = replay::what_if(&mut episode, &arguments.with)?;
    let code = what.incomplete.as_ref().map_or(0, |_| Verification::INCOMPLETE);
    if json {
        let cause = if code == 0 { "computed" } else { "incomplete" };
        let mut value = with_exit(code, cause, json!(what), &episode);
        value["with"] = json!(arguments.with);
        value["open_loop"] = json!(true);
        say!("{value}");
    } else {
        print_what_if(&what, &arguments.with);
    }
    Ok(code)
}

/// Moves a robot through the motion in `episode`.
fn moved(
    episode: &mut Episode,
    file: &Path,
    arguments: &ReplayArguments,
) -> Result<u8, ReplayError> {
    let mut console = run::Printer::new(arguments.format, arguments.plain);
    console.line(&format!("sinew {}", env!("CARGO_PKG_VERSION")));
    let Prepared { loaded, target, motion } =
        replay::prepare(episode, file, &arguments.sets, arguments.times)?;
    if let Some(incomplete) = &motion.incomplete {
        console.line(&format!("the recording is incomplete: {incomplete}. The motion ends there"));
    }
    let operator = match run::operator() {
        Ok(operator) => operator,
        Err(error) => return Ok(fail(&error, 14, arguments.format)),
    };
    let repeated = Arc::clone(&target.motion);
    let ended = crate::run::follow(&loaded, target, operator, &mut console);
    console.release();
    let summary = ended?;
    for line in tables::summary(&summary) {
        console.line(&line);
    }
    let began = repeated.began.lock().unwrap_or_else(PoisonError::into_inner).clone();
    // Whatever is wrong with its journal, the run ended as its summary says.
    let compared = replay::repetitions(Path::new(&summary.episode), &motion, &began);
    let Repetitions { repetitions, incomplete } = compared.unwrap_or_else(|error| {
        console.line(&format!("the repetitions cannot be compared: {error}"));
        Repetitions::default()
    });
    if let Some(incomplete) = &incomplete {
        console
            .line(&format!("this run's journal is incomplete: {incomplete}. Compared up to there"));
    }
    for (index, repetition) in repetitions.iter().enumerate() {
        let head = format!("repetition {} of {}", index + 1, arguments.times);
        console.line(&format!("{head}: measured against the recording"));
        deviations(&repetition.from_recording, &mut console);
        if !repetition.from_first.is_empty() {
            console.line(&format!("{head}: measured against repetition 1"));
            deviations(&repetition.from_first, &mut console);
        }
    }
    if arguments.format == Format::Json {
        // Plain numbers and strings: serialising cannot fail.
        let mut value = serde_json::to_value(&summary).unwrap_or_default();
        value["replayed"] = json!(episode.path().display().to_string());
        value["motion_s"] = json!(motion.seconds());
        value["replayed_incomplete"] = json!(motion.incomplete);
        value["repetitions"] = json!(repetitions);
        value["incomplete"] = json!(incomplete);
        say!("{value}");
    }
    Ok(summary.exit.code)
}

fn deviations(deviations: &[Deviation], console: &mut run::Printer) {
    for it in deviations {
        let unit = if it.unit == "1" { "" } else { it.unit.as_str() };
        console.line(&format!(
            "  {:<10} RMS {:.6} {unit}  largest {:.6} {unit} at {:.3} s",
            it.joint, it.rms, it.largest, it.largest_at_s
        ));
    }
}

const fn cause(code: u8) -> &'static str {
    match code {
        Verification::IDENTICAL => "identical",
        Verification::DIFFERENT => "different",
        _ => "incomplete",
    }
}

fn with_exit(code: u8, cause: &str, mut value: Value, episode: &Episode) -> Value {
    let message = match value.get("incomplete") {
        Some(Value::Null) | None => String::new(),
        Some(_) => episode.incomplete().map(Incomplete::to_string).unwrap_or_default(),
    };
    value["exit"] = json!({ "cause": cause, "message": message, "code": code });
    value["episode"] = json!(episode.path().display().to_string());
    value["run"] = json!(episode.header().run);
    value
}

fn print(verification: &Verification, episode: &Episode) {
    let Verification { cycles, chunks, different_cycles, .. } = verification;
    let run = &episode.header().run;
    match &verification.first {
        None => say!(
            "{run}: {cycles} cycles computed again from {chunks} chunks and every measurement: \
             identical, bit for bit"
        ),
        Some(first) => {
            say!("{run}: {different_cycles} of {cycles} cycles differ");
            let joint = first.joint.as_ref().map_or(String::new(), |joint| format!(" of {joint}"));
            say!(
                "  first at cycle {} ({:.3} s): {}{joint}",
                first.cycle,
                first.seconds,
                first.field.name()
            );
            say!("    recorded  {}  {}", first.recorded_bits, first.recorded);
            say!("    computed  {}  {}", first.computed_bits, first.computed);
            for (field, count) in &verification.different_values {
                say!("  {field:<12} {count} values differ");
            }
        }
    }
    print_incomplete(verification.incomplete.as_ref(), "compared");
}

fn print_incomplete(incomplete: Option<&Incomplete>, done: &str) {
    if let Some(incomplete) = incomplete {
        say!(
            "incomplete: {incomplete}. Cycles behind that cannot be {done}: what the cycle knew \
             there is not in the journal"
        );
    }
}

fn print_what_if(what: &WhatIf, with: &[String]) {
    say!("with {}", with.join(", "));
    say!(
        "open loop: the measurements are those of the recording; the arm that would have moved \
         otherwise is not in them"
    );
    if let Some(note) = &what.note {
        say!("note: {note}");
    }
    say!("{} of {} cycles differ", what.different_cycles, what.cycles);
    say!("  {:<10} {:>12} {:>10} {:>12}", "joint", "largest", "at cycle", "RMS");
    for joint in &what.joints {
        let unit = if joint.unit == "1" { "" } else { joint.unit.as_str() };
        say!(
            "  {:<10} {:>12.6} {:>10} {:>12.6} {unit}",
            joint.joint,
            joint.largest,
            joint.largest_at,
            joint.rms
        );
    }
    let clamped: Vec<_> = what.joints.iter().filter(|joint| !joint.clamps.is_empty()).collect();
    if !clamped.is_empty() {
        say!("  clamped cycles       recorded     computed");
        for joint in clamped {
            for (cause, [was, is]) in &joint.clamps {
                say!("  {:<10} {cause:<12} {was:>6} {is:>12}", joint.joint);
            }
        }
    }
    for (name, changes) in [("recorded", &what.recorded), ("computed", &what.computed)] {
        say!("  states as {name}:");
        changes.iter().for_each(say_change);
    }
    match WhatIf::stop(&what.computed) {
        Some(stop) => say!("  stop: {} at {:.3} s (cycle {})", stop.why, stop.seconds, stop.cycle),
        None => say!("  stop: none as far as the recording goes"),
    }
    print_incomplete(what.incomplete.as_ref(), "computed");
}

fn say_change(change: &StateChange) {
    let why = if change.why.is_empty() { String::new() } else { format!(": {}", change.why) };
    say!("    {:>9.3} s  cycle {:<7} {}{why}", change.seconds, change.cycle, change.state);
}
