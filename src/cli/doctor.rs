//! `sinew doctor`

use std::path::{Path, PathBuf};

use clap::Args;
use serde_json::json;

use super::tables::micros;
use super::{Format, fail};
use crate::config::{self, RealtimeConfig};
use crate::doctor::{self, Area, Check, Examination, Options, Verdict, WakeUps};

/// Widest line of text.
const WIDTH: usize = 96;

/// Exit code if the configuration cannot be read.
const CONFIG: u8 = 2;
/// Exit code if a thread could not be started.
const NO_THREAD: u8 = 14;

#[derive(Debug, Args)]
pub(super) struct DoctorArguments {
    /// A configuration: its [realtime], its recording.directory and its robot.port are looked at
    config: Option<PathBuf>,
    /// Set one value of it, for example --set realtime.priority=60; may be repeated
    #[arg(long = "set", value_name = "KEY=VALUE", requires = "config")]
    sets: Vec<String>,
    /// Where episodes are to be recorded; otherwise recording.directory, or this folder
    #[arg(long, value_name = "DIR")]
    directory: Option<PathBuf>,
    /// How long to measure wake-ups, in s; 0: not at all
    #[arg(long, value_name = "N", default_value_t = 4.0, value_parser = seconds)]
    seconds: f64,
    /// Text for people, or one JSON object
    #[arg(long, value_enum, default_value_t)]
    format: Format,
}

fn seconds(text: &str) -> Result<f64, String> {
    match text.parse::<f64>() {
        Ok(value) if (0.0..=3600.0).contains(&value) => Ok(value),
        _ => Err("a number of seconds from 0 to 3600".to_owned()),
    }
}

/// Prints what was found; ends with 0 whatever that is.
pub(super) fn doctor(arguments: &DoctorArguments) -> u8 {
    let mut options = Options {
        root: PathBuf::from("/"),
        directory: PathBuf::from("."),
        realtime: RealtimeConfig::default(),
        port: None,
    };
    if let Some(path) = &arguments.config {
        let config = match config::load(path, &arguments.sets) {
            Ok(loaded) => loaded.config,
            Err(error) => return fail(&error, CONFIG, arguments.format),
        };
        options.directory = existing(&config.recording.directory);
        options.realtime = config.realtime;
        options.port = Some(config.robot.port).filter(|port| port.starts_with('/'));
    }
    if let Some(directory) = &arguments.directory {
        options.directory.clone_from(directory);
    }
    let examination = match doctor::examine(&options) {
        Ok(examination) => examination,
        Err(error) => return fail(&error, NO_THREAD, arguments.format),
    };
    let text = arguments.format == Format::Text;
    if text {
        lines(&examination.checks).iter().for_each(|line| say!("{line}"));
        if arguments.seconds > 0.0 {
            say!("\nwake-ups at 1 kHz ({} s …)", arguments.seconds);
        }
    }
    let wake_ups = match arguments.seconds {
        0.0 => None,
        seconds => match examination.measure(seconds) {
            Ok(measured) => Some(measured),
            Err(error) => return fail(&error, NO_THREAD, arguments.format),
        },
    };
    if text {
        wake_ups.iter().flat_map(table).for_each(|line| say!("{line}"));
        say!("\n{}", verdict(&examination, wake_ups.as_ref()));
    } else {
        let enforceable = examination.enforceable();
        say!(
            "{}",
            json!({
                "exit": { "cause": "ok", "code": 0 },
                "checks": examination.checks,
                "wake_ups": wake_ups,
                "enforceable": enforceable.is_ok(),
                "not_granted": enforceable.err().map(|error| error.refused),
            })
        );
    }
    0
}

/// The folder, or the one above it that exists: a recording directory comes into being with a run.
fn existing(directory: &Path) -> PathBuf {
    let found = directory.ancestors().find(|folder| folder.exists());
    found.filter(|it| !it.as_os_str().is_empty()).unwrap_or(Path::new(".")).to_owned()
}

const fn title(area: Area) -> &'static str {
    match area {
        Area::Kernel => "kernel and machine",
        Area::Rights => "rights",
        Area::Devices => "devices",
        Area::Disk => "recording directory",
        Area::WakeUps => "wake-ups",
    }
}

/// The findings under their titles, in columns.
fn lines(checks: &[Check]) -> Vec<String> {
    let name = checks.iter().map(|check| check.name.chars().count()).max().unwrap_or(0);
    let mut lines = Vec::new();
    for group in checks.chunk_by(|a, b| a.area == b.area) {
        if !lines.is_empty() {
            lines.push(String::new());
        }
        lines.push(title(group[0].area).to_owned());
        group.iter().for_each(|check| finding(check, name, &mut lines));
    }
    lines
}

/// `verdict  name  what was found`, and the remedy below it.
fn finding(check: &Check, name: usize, lines: &mut Vec<String>) {
    let head = format!("  {:<7}  {:<name$}  ", check.verdict.name(), check.name);
    let indent = head.chars().count();
    for (index, part) in wrap(&check.found, WIDTH - indent).iter().enumerate() {
        lines.push(if index == 0 {
            format!("{head}{part}")
        } else {
            format!("{:indent$}{part}", "")
        });
    }
    for (index, part) in
        check.remedy.iter().flat_map(|text| wrap(text, WIDTH - indent - 2)).enumerate()
    {
        let mark = if index == 0 { "→ " } else { "  " };
        lines.push(format!("{:indent$}{mark}{part}", ""));
    }
}

/// Text in lines of at most `width` characters; a longer word has a line of its own.
fn wrap(text: &str, width: usize) -> Vec<String> {
    let mut lines: Vec<String> = Vec::new();
    for word in text.split(' ') {
        match lines.last_mut() {
            Some(line) if line.chars().count() + 1 + word.chars().count() <= width => {
                line.push(' ');
                line.push_str(word);
            }
            _ => lines.push(word.to_owned()),
        }
    }
    lines
}

/// The rows and what they mean.
fn table(wake_ups: &WakeUps) -> Vec<String> {
    let mut lines = wake_up_table(wake_ups);
    finding(&wake_ups.check, wake_ups.check.name.len(), &mut lines);
    lines
}

/// One line for each way to wait.
pub(super) fn wake_up_table(wake_ups: &WakeUps) -> Vec<String> {
    let mut lines = vec![format!(
        "  {:<15}  {:<13}  {:>5}  {:>8}  {:>8}  {:>8}  {:>8}  {:>6}  {:>5}",
        "timer", "class", "due", "p50", "p99", "p99.9", "max", "missed", "CPU"
    )];
    for row in &wake_ups.rows {
        let late = &row.lateness;
        lines.push(format!(
            "  {:<15}  {:<13}  {:>5}  {:>8}  {:>8}  {:>8}  {:>8}  {:>6}  {:>5}",
            row.timer,
            row.class,
            row.due,
            micros(late.p50_us),
            micros(late.p99_us),
            micros(late.p999_us),
            micros(late.max_us),
            row.missed,
            format!("{:.1} %", row.cpu_percent)
        ));
    }
    if let Some(percent) = wake_ups.stolen_percent.filter(|percent| *percent > 0.0) {
        lines.push(format!("  a host took away {percent:.1} % of the CPUs' time meanwhile"));
    }
    lines
}

/// The last line: how many of each, and what `enforce` would do.
fn verdict(examination: &Examination, wake_ups: Option<&WakeUps>) -> String {
    let all = || examination.checks.iter().chain(wake_ups.map(|wake_ups| &wake_ups.check));
    let counts: Vec<String> = [Verdict::Ok, Verdict::Warn, Verdict::Bad, Verdict::Unknown]
        .into_iter()
        .map(|verdict| {
            let count = all().filter(|check| check.verdict == verdict).count();
            format!("{count} {}", verdict.name())
        })
        .collect();
    let enforce = match examination.enforceable() {
        Ok(()) => "would arm",
        Err(_) => "would refuse to arm",
    };
    format!("{}; realtime.mode = \"enforce\" {enforce} here", counts.join(", "))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn findings_stand_in_columns_and_no_line_is_too_long() {
        let check = |name: &str, remedy: Option<&str>| Check {
            area: Area::Rights,
            name: name.to_owned(),
            verdict: Verdict::Warn,
            found: format!("found {}", "and some more words ".repeat(9).trim()),
            remedy: remedy.map(|text| text.repeat(9)),
        };
        let long = "do this and that, then this, µ ";
        let lines = lines(&[check("short", None), check("a longer name", Some(long))]);
        assert_eq!(lines[0], "rights");
        assert!(lines.iter().all(|line| line.chars().count() <= WIDTH), "{lines:#?}");
        let columns: Vec<_> = lines.iter().filter_map(|line| line.find("found and")).collect();
        assert_eq!(columns, [26, 26]);
        assert!(lines.iter().any(|line| line.starts_with(&format!("{:26}→ do this", ""))));
    }

    #[test]
    fn a_word_that_is_too_long_keeps_its_line() {
        assert_eq!(wrap("ab cd efghijk l", 5), ["ab cd", "efghijk", "l"]);
    }

    #[test]
    fn seconds_are_bounded() {
        assert_eq!(seconds("0"), Ok(0.0));
        for text in ["-1", "NaN", "inf", "3601", "4s"] {
            assert!(seconds(text).is_err(), "{text}");
        }
    }
}
