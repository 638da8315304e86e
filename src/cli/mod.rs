//! The command line: one file per verb.

/// Prints a line to standard output. A reader who has gone away, as in `sinew run … | head`, is no
/// reason to leave an arm alone: what cannot be printed is not printed.
macro_rules! say {
    ($($text:tt)*) => {{
        use std::io::Write as _;
        let _ = writeln!(std::io::stdout().lock(), $($text)*);
    }};
}

/// Prints a line to standard error, likewise.
macro_rules! complain {
    ($($text:tt)*) => {{
        use std::io::Write as _;
        let _ = writeln!(std::io::stderr().lock(), $($text)*);
    }};
}

mod actuator;
mod bench;
mod check;
mod doctor;
mod emulate;
mod export;
mod info;
mod list;
mod policy;
mod replay;
mod report;
mod run;
mod several;
mod tables;

use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Args, Parser, Subcommand, ValueEnum};

/// A real-time robot controller runtime: learned policies on physical arms, inside limits,
/// recorded.
#[derive(Debug, Parser)]
#[command(name = "sinew", version, propagate_version = true)]
struct Arguments {
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Debug, Subcommand)]
enum Verb {
    /// Run a configuration: arm, follow the policy inside limits, record, rest, disarm
    Run(run::RunArguments),
    /// Compute a recorded run again and compare every command bit for bit, or move a robot through
    /// its motion
    Replay(replay::ReplayArguments),
    /// Validate a configuration and everything it names, without opening a port or moving
    Check(CheckArguments),
    /// Look at this computer: kernel, rights, devices, disk, and how late a thread wakes
    Doctor(doctor::DoctorArguments),
    /// Measure what a cycle, a wake-up and the parts of a cycle cost on this computer
    Bench(bench::BenchArguments),
    /// Run an emulated device for anybody's client, until Ctrl-C
    #[command(subcommand)]
    Emulate(emulate::Device),
    /// Look at a checkpoint, or compare it with golden outputs
    #[command(subcommand)]
    Policy(policy::PolicyVerb),
    /// Look at an actuator network, convert it, or measure it
    #[command(subcommand)]
    Actuator(actuator::ActuatorVerb),
    /// Describe a dataset, a run's folder or a journal
    Info(info::InfoArguments),
    /// Write the report of a run again, or that of a run that was killed
    Report(report::ReportArguments),
    /// Make of a run's journal a file for other people's viewers
    Export(export::ExportArguments),
    /// List serial ports, robots and policies that this build knows
    List(list::ListArguments),
}

/// A configuration with overrides.
#[derive(Clone, Debug, Args)]
struct ConfigArguments {
    /// The configuration (TOML; docs/configuration.md lists every key)
    config: PathBuf,
    /// Set one value, for example --set run.rate_hz=25; may be repeated
    #[arg(long = "set", value_name = "KEY=VALUE")]
    sets: Vec<String>,
}

#[derive(Debug, Args)]
struct CheckArguments {
    #[command(flatten)]
    config: ConfigArguments,
    /// Print every effective value with its origin
    #[arg(long)]
    explain: bool,
    /// Text for people, or one JSON object as the last line
    #[arg(long, value_enum, default_value_t)]
    format: Format,
}

/// Output format.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub enum Format {
    /// For people.
    #[default]
    Text,
    /// One JSON object as the last line of standard output; people's text goes to standard error.
    Json,
}

/// Parses the command line, does what it says and returns the exit code
/// (`docs/exit-codes.md`).
pub fn main() -> ExitCode {
    let arguments = match Arguments::try_parse() {
        Ok(arguments) => arguments,
        Err(error) => return ExitCode::from(misused(&error)),
    };
    let code = match arguments.verb {
        Verb::Run(arguments) => run::run(&arguments),
        Verb::Replay(arguments) => replay::replay(&arguments),
        Verb::Check(arguments) => {
            let CheckArguments { config, explain, format } = arguments;
            check::check(&config.config, &config.sets, explain, format)
        }
        Verb::Doctor(arguments) => doctor::doctor(&arguments),
        Verb::Bench(arguments) => bench::bench(&arguments),
        Verb::Emulate(device) => emulate::emulate(&device),
        Verb::Policy(verb) => policy::policy(&verb),
        Verb::Actuator(verb) => actuator::actuator(&verb),
        Verb::Info(arguments) => info::info(&arguments),
        Verb::Report(arguments) => report::report(&arguments),
        Verb::Export(arguments) => export::export(&arguments),
        Verb::List(arguments) => list::list(&arguments),
    };
    ExitCode::from(code)
}

/// Prints what is wrong with the command line, or the help that was asked for. Whoever asked for
/// JSON gets JSON, even where the rest could not be understood.
fn misused(error: &clap::Error) -> u8 {
    let _ = error.print();
    let code = u8::from(error.use_stderr()) * 2;
    let arguments: Vec<String> = std::env::args().collect();
    let asked = |pair: &[String]| pair[0] == "--format" && pair[1] == "json";
    let json = arguments.iter().any(|argument| argument == "--format=json")
        || arguments.windows(2).any(asked);
    if code != 0 && json {
        let message = error.kind().to_string();
        let exit = serde_json::json!({ "cause": "error", "message": message, "code": code });
        say!("{}", serde_json::json!({ "exit": exit }));
    }
    code
}

/// Prints an error with its causes to standard error, and as JSON where that was asked for.
/// Returns `code`.
fn fail(error: &dyn std::error::Error, code: u8, format: Format) -> u8 {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(inner) = cause {
        let inner_text = inner.to_string();
        if !text.contains(&inner_text) {
            text = format!("{text}: {inner_text}");
        }
        cause = inner.source();
    }
    refuse(&text, code, format)
}

/// Prints `text` as an error, and as JSON where that was asked for. Returns `code`.
fn refuse(text: &str, code: u8, format: Format) -> u8 {
    complain!("error: {text}");
    if format == Format::Json {
        let exit = serde_json::json!({ "cause": "error", "message": text, "code": code });
        say!("{}", serde_json::json!({ "exit": exit }));
    }
    code
}

/// Lets the first Ctrl-C set a flag instead of ending the process. Returns the flag.
fn until_interrupted() -> std::sync::Arc<std::sync::atomic::AtomicBool> {
    let flag = std::sync::Arc::new(std::sync::atomic::AtomicBool::new(false));
    let raised = std::sync::Arc::clone(&flag);
    // Without a handler Ctrl-C ends the process at once, which is what is wanted then.
    let _ = ctrlc::set_handler(move || raised.store(true, std::sync::atomic::Ordering::Relaxed));
    flag
}
