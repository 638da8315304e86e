//! `sinew run`

use std::io::{IsTerminal, stdout};
use std::path::PathBuf;
use std::time::{Duration, Instant};

use clap::Args;

use super::{ConfigArguments, Format, fail, several, tables};
use crate::config;
use crate::control::OperatorSignal;
use crate::live::{Screen, SharedFeed};
use crate::run::{self, Console};

#[derive(Debug, Args)]
pub(super) struct RunArguments {
    #[command(flatten)]
    config: ConfigArguments,
    /// More configurations: each drives a robot of its own, in a loop of its own
    #[arg(value_name = "CONFIG")]
    more: Vec<PathBuf>,
    /// How long the policy drives, for example 10s, 1500ms or 2m; overrides run.duration_s
    #[arg(long = "for", value_name = "DURATION", value_parser = parse_duration)]
    duration: Option<Duration>,
    /// Text for people, or one JSON object as the last line
    #[arg(long, value_enum, default_value_t)]
    format: Format,
    /// A line a second instead of the live view
    #[arg(long)]
    plain: bool,
}

/// A second Ctrl-C counts as one only this long after the first.
const SECOND_SIGNAL: Duration = Duration::from_millis(150);

/// Prints to standard output, or to standard error when that is kept for JSON.
pub(super) struct Printer {
    format: Format,
    plain: bool,
    /// What the live view shows, once there was one.
    live: Option<SharedFeed>,
    /// Lines that went to the live view, to be printed after it.
    held: Vec<String>,
}

impl Printer {
    pub(super) fn new(format: Format, plain: bool) -> Self {
        Self { format, plain, live: None, held: Vec::new() }
    }

    fn print(&self, text: &str) {
        match self.format {
            Format::Text => say!("{text}"),
            Format::Json => complain!("{text}"),
        }
    }

    /// Prints what was held back.
    pub(super) fn release(&mut self) {
        for text in std::mem::take(&mut self.held) {
            self.print(&text);
        }
    }
}

impl Console for Printer {
    fn line(&mut self, text: &str) {
        match &self.live {
            Some(feed) if feed.is_shown() => {
                feed.note(text);
                self.held.push(text.to_owned());
            }
            _ => {
                self.release();
                self.print(text);
            }
        }
    }

    fn progress(&mut self, text: &str) {
        complain!("{text}");
    }

    fn live(&mut self, feed: SharedFeed, operator: &OperatorSignal) -> Option<Screen> {
        let dumb = std::env::var_os("TERM").is_none_or(|it| it.is_empty() || it == "dumb");
        if self.plain || dumb || self.format == Format::Json || !stdout().is_terminal() {
            return None;
        }
        match Screen::open(feed.clone(), operator.clone()) {
            Ok(screen) => {
                self.live = Some(feed);
                Some(screen)
            }
            Err(error) => {
                self.line(&format!("no live view: {error}"));
                None
            }
        }
    }
}

pub(super) fn run(arguments: &RunArguments) -> u8 {
    let mut console = Printer::new(arguments.format, arguments.plain);
    console.line(&format!("sinew {}", env!("CARGO_PKG_VERSION")));
    let mut sets = arguments.config.sets.clone();
    if let Some(duration) = arguments.duration {
        sets.push(format!("run.duration_s={:?}", duration.as_secs_f64()));
    }
    let mut runs = Vec::new();
    for path in std::iter::once(&arguments.config.config).chain(&arguments.more) {
        match config::load(path, &sets) {
            Ok(loaded) => runs.push(loaded),
            Err(error) => return fail(&error, 2, arguments.format),
        }
    }
    let operator = match operator() {
        Ok(operator) => operator,
        // Without a handler Ctrl-C would kill the process with the arm in motion.
        Err(error) => return fail(&error, 14, arguments.format),
    };
    if runs.len() > 1 {
        return several::run(&runs, &operator, arguments.format);
    }
    let Some(loaded) = runs.first() else { return 2 };
    let ended = run::run(loaded, operator, &mut console);
    console.release();
    match ended {
        Ok(summary) => {
            for line in tables::summary(&summary) {
                console.line(&line);
            }
            if arguments.format == Format::Json {
                // The summary is plain numbers and strings: serialising it cannot fail.
                say!("{}", serde_json::to_string(&summary).unwrap_or_default());
            }
            summary.exit.code
        }
        Err(error) => fail(&error, error.exit_code(), arguments.format),
    }
}

/// Lets Ctrl-C ask for stops from now on.
///
/// # Errors
/// What the operating system said.
pub(super) fn operator() -> Result<OperatorSignal, ctrlc::Error> {
    let operator = OperatorSignal::default();
    let signal = operator.clone();
    let mut raised: Option<Instant> = None;
    ctrlc::set_handler(move || {
        // A process manager may send two signals at once; a person cannot.
        if raised.is_none_or(|at| at.elapsed() >= SECOND_SIGNAL) {
            signal.raise();
            raised = Some(Instant::now());
        }
    })?;
    Ok(operator)
}

/// A duration with its unit: `10s`, `1500ms`, `2m`.
pub(super) fn parse_duration(text: &str) -> Result<Duration, String> {
    let digits = text.find(|c: char| c.is_ascii_alphabetic()).unwrap_or(text.len());
    let (number, unit) = text.split_at(digits);
    let scale = match unit {
        "ms" => 1e-3,
        "s" => 1.0,
        "m" | "min" => 60.0,
        "" => return Err("a unit is missing: write 10s, 1500ms or 2m".to_owned()),
        _ => return Err(format!("unknown unit `{unit}`: write 10s, 1500ms or 2m")),
    };
    let value: f64 = number.trim().parse().map_err(|_| format!("`{number}` is not a number"))?;
    Duration::try_from_secs_f64(value * scale).map_err(|_| format!("`{text}` is out of range"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_need_a_number_and_a_unit() {
        assert_eq!(parse_duration("10s"), Ok(Duration::from_secs(10)));
        assert_eq!(parse_duration("1500ms"), Ok(Duration::from_millis(1500)));
        assert_eq!(parse_duration("0.5m"), Ok(Duration::from_secs(30)));
        for bad in ["10", "s", "10h", "-1s", "1e400s", "NaNs"] {
            assert!(parse_duration(bad).is_err(), "{bad}");
        }
    }
}
