//! The head of the page: what ran, how it ended, and the figures to look at first.

use serde_json::Value;
use sinew_episodes::journal::{ClampCause, Tail};

use super::data::Display;
use super::spread::Spread;
use super::survey::Survey;
use super::tables::{clamped, counted, number};
use super::text::{UNKNOWN, bytes, count, escape, fixed, micros, seconds, significant, utc};

fn text<'a>(summary: &'a Value, path: &str) -> Option<&'a str> {
    summary.pointer(path).and_then(Value::as_str).filter(|text| !text.is_empty())
}

fn capitalised(text: &str) -> String {
    let mut characters = text.chars();
    let first = characters.next().map(char::to_uppercase);
    first.into_iter().flatten().chain(characters).collect()
}

/// Title, badge and facts.
pub fn masthead(survey: &Survey, summary: &Value) -> String {
    let header = &survey.header;
    let cause = text(summary, "/exit/cause");
    let (tone, icon) = match cause {
        Some("completed") => ("good", "✓"),
        Some(operator) if operator.starts_with("operator") => ("asked", "■"),
        Some(_) => ("bad", "!"),
        None => ("lost", "?"),
    };
    let message = text(summary, "/exit/message")
        .unwrap_or("The journal has no summary: the run was killed or is still going on.");
    let mut code = number(summary, "/exit/code")
        .map_or(String::new(), |code| format!(" <small>exit code {}</small>", fixed(code, 0)));
    if cause.is_none() {
        code.clear();
    }
    let mut facts = String::new();
    let mut fact = |name: &str, value: String| {
        let wide = if value.contains("hash") { " class=\"wide\"" } else { "" };
        facts.push_str(&format!("<div{wide}><dt>{name}</dt><dd>{value}</dd></div>"));
    };
    let or_unknown = |text: &str| if text.is_empty() { UNKNOWN.to_owned() } else { escape(text) };
    fact("Robot", or_unknown(&header.robot));
    fact("Task", or_unknown(&header.task));
    let date = if header.unix_ns == 0 { UNKNOWN.to_owned() } else { utc(header.unix_ns) };
    fact("Started", date);
    match &header.policy {
        Some(policy) => {
            let path = format!("{} <code>{}</code>", escape(&policy.kind), escape(&policy.path));
            fact("Policy", path);
            let hash = format!("<code class=\"hash\">{}</code>", or_unknown(&policy.sha256));
            fact("Weights, SHA-256", hash);
        }
        None => fact("Policy", "none".to_owned()),
    }
    if let Some(dataset) = text(summary, "/dataset") {
        let index = summary
            .get("episode_index")
            .and_then(Value::as_u64)
            .map_or(String::new(), |index| format!(", episode {index}"));
        let frames = counted(summary, "/episode_frames");
        fact("Dataset", format!("<code>{}</code>{index}, {frames} frames", escape(dataset)));
    }
    let version = or_unknown(&header.version);
    fact("Journal", format!("{}, written by sinew {version}", bytes(survey.bytes)));
    format!(
        "<header><p class=\"eyebrow\">sinew run report</p><div class=\"title\"><h1>{}</h1>\
         <span class=\"badge {tone}\"><i aria-hidden=\"true\">{icon}</i>{}</span></div>\
         <p class=\"message\">{}{code}</p><dl class=\"facts\">{facts}</dl></header>",
        escape(if header.run.is_empty() { "unnamed run" } else { &header.run }),
        escape(&cause.unwrap_or("end unknown").replace('_', " ")),
        escape(&capitalised(message)),
    )
}

/// What a reader must know before trusting the rest.
pub fn notices(survey: &Survey, summary: &Value) -> String {
    let mut lines = Vec::new();
    match survey.tail {
        Tail::Torn { dropped_bytes, .. } => lines.push(format!(
            "The journal ends inside a record: its last {} could not be read.",
            bytes(dropped_bytes)
        )),
        Tail::Corrupt { offset, dropped_bytes } => lines.push(format!(
            "The journal is damaged from byte {} on: {} could not be read.",
            count(offset),
            bytes(dropped_bytes)
        )),
        Tail::Complete | Tail::Unread => {}
    }
    if survey.skipped > 0 {
        let skipped = count(survey.skipped);
        lines.push(format!("Records skipped because they were damaged or unknown: {skipped}."));
    }
    if summary.is_null() {
        lines.push(
            "Without a summary the exit cause, the bus statistics and the drops are unknown. Times \
             and clamps are those of the journal."
                .to_owned(),
        );
    }
    if let Some(fault) = text(summary, "/recording_fault") {
        lines.push(format!("The recording is not complete: {}", escape(fault)));
    }
    lines.iter().map(|line| format!("<p class=\"notice\">{line}</p>")).collect()
}

struct Figure {
    name: &'static str,
    value: String,
    detail: String,
    /// Worth a second look.
    alert: bool,
}

/// A duration of the summary in µs, else of the journal.
fn duration(summary: &Value, path: &str, spread: Option<f64>) -> String {
    number(summary, path)
        .or_else(|| spread.map(|nanos| nanos / 1e3))
        .map_or(UNKNOWN.to_owned(), micros)
}

fn quantiles(summary: &Value, path: &str, spread: &Spread) -> [String; 3] {
    // Zero samples have zero quantiles in the summary; they are unknown.
    if number(summary, &format!("{path}/n")).map_or(spread.count() == 0, |n| n == 0.0) {
        return std::array::from_fn(|_| UNKNOWN.to_owned());
    }
    [
        duration(summary, &format!("{path}/p50_us"), spread.quantile(0.5)),
        duration(summary, &format!("{path}/p99_us"), spread.quantile(0.99)),
        duration(summary, &format!("{path}/max_us"), spread.greatest().map(|ns| ns as f64)),
    ]
}

/// The key figures.
pub fn figures(survey: &Survey, summary: &Value) -> String {
    let missed = summary
        .pointer("/timing/missed")
        .and_then(Value::as_u64)
        .unwrap_or(survey.missed)
        .max(survey.missed);
    let figures = [
        length(survey, summary),
        rate(survey),
        Figure {
            name: "Missed periods",
            value: count(missed),
            detail: format!("{} overruns", counted(summary, "/timing/overruns")),
            alert: missed > 0,
        },
        lateness(survey, summary),
        clamp_figure(survey, summary),
        tracking(survey),
        drop_figure(summary),
        inference(survey, summary),
        age("State age, p99", "/staleness/state", survey, summary),
        age("Observation age, p99", "/staleness/observation", survey, summary),
    ];
    let tiles: String = figures
        .iter()
        .map(|figure| {
            format!(
                "<div class=\"figure{}\"><dt>{}</dt><dd>{}<small>{}</small></dd></div>",
                if figure.alert { " alert" } else { "" },
                figure.name,
                figure.value,
                figure.detail
            )
        })
        .collect();
    format!("<dl class=\"figures\">{tiles}</dl>")
}

fn length(survey: &Survey, summary: &Value) -> Figure {
    let length = number(summary, "/seconds").unwrap_or(survey.seconds());
    let states: Vec<String> = survey
        .state_counts
        .iter()
        .map(|(name, cycles)| {
            let share = *cycles as f64 / survey.cycles.max(1) as f64;
            format!("{} {name}", seconds(length * share))
        })
        .collect();
    let detail = if states.is_empty() { "no cycles".to_owned() } else { states.join(", ") };
    Figure { name: "Duration", value: seconds(length), detail, alert: survey.cycles == 0 }
}

fn rate(survey: &Survey) -> Figure {
    let span = survey.seconds();
    let value = if survey.cycles > 1 && span > 0.0 {
        format!("{}\u{202f}Hz", fixed((survey.cycles - 1) as f64 / span, 2))
    } else {
        UNKNOWN.to_owned()
    };
    let detail =
        format!("of {}\u{202f}Hz, {} cycles", trimmed(survey.header.rate_hz), count(survey.cycles));
    Figure { name: "Loop rate", value, detail, alert: false }
}

fn trimmed(value: f64) -> String {
    if value.fract() == 0.0 { fixed(value, 0) } else { significant(value) }
}

fn lateness(survey: &Survey, summary: &Value) -> Figure {
    let [p50, p99, max] = quantiles(summary, "/timing/lateness", &survey.timing.lateness);
    let detail = format!("p50 {p50}, max {max}");
    Figure { name: "Wake-up lateness, p99", value: p99, detail, alert: false }
}

fn clamp_figure(survey: &Survey, summary: &Value) -> Figure {
    let joints = survey.header.joints.len();
    let of_cause = |cause| (0..joints).map(|joint| clamped(survey, summary, joint, cause)).sum();
    let mut causes: Vec<(u64, &str)> =
        ClampCause::ALL.iter().map(|cause| (of_cause(*cause), cause.name())).collect();
    causes.sort_by_key(|(count, _)| std::cmp::Reverse(*count));
    let share = survey.clamped_cycles as f64 / survey.cycles.max(1) as f64 * 100.0;
    let non_finite: u64 = of_cause(ClampCause::NonFinite);
    let mut detail = match causes.first() {
        Some((most, name)) if *most > 0 => {
            let name = name.replace('_', "-");
            format!("{}\u{202f}% of all, mostly by {name}", significant(share))
        }
        _ => "no request was changed".to_owned(),
    };
    if non_finite > 0 {
        detail.push_str(&format!("; {} requests were not finite", count(non_finite)));
    }
    let value = count(survey.clamped_cycles);
    Figure { name: "Clamped cycles", value, detail, alert: non_finite > 0 }
}

fn tracking(survey: &Survey) -> Figure {
    // The worst joint, in units that people compare: degrees, percent or mm.
    let shown = survey.header.joints.iter().zip(&survey.errors).map(|(joint, error)| {
        let display = Display::of(&joint.unit);
        (error * display.scale, display.unit, &joint.name)
    });
    let worst = shown
        .filter(|(error, unit, _)| *error > 0.0 && *unit == "°")
        .max_by(|a, b| a.0.total_cmp(&b.0));
    let (value, detail) =
        worst.map_or((UNKNOWN.to_owned(), "limited less measured".to_owned()), |w| {
            (
                format!("{}{}", significant(w.0), w.1),
                format!("{}, limited less measured", escape(w.2)),
            )
        });
    Figure { name: "Worst tracking error", value, detail, alert: false }
}

fn drop_figure(summary: &Value) -> Figure {
    let drops = summary.get("drops").and_then(Value::as_object);
    let of = |name: &str| drops.and_then(|d| d.get(name)).and_then(Value::as_u64).unwrap_or(0);
    let lost = of("samples") + of("frames") + of("records") + of("unwritten") + of("chunks");
    match drops {
        Some(_) => Figure {
            name: "Drops",
            value: count(lost),
            detail: match drops.and_then(|drops| drops.get("samples")) {
                Some(Value::Null) => "the control thread's own were lost with it".to_owned(),
                _ => format!("{} expired actions beside", count(of("expired_actions"))),
            },
            alert: lost > 0,
        },
        None => Figure {
            name: "Drops",
            value: UNKNOWN.to_owned(),
            detail: "unknown without a summary".to_owned(),
            alert: false,
        },
    }
}

fn inference(survey: &Survey, summary: &Value) -> Figure {
    let inferences = summary.pointer("/policy/inferences").and_then(Value::as_u64);
    let [p50, p99, _] = quantiles(summary, "/policy/latency", &survey.latency);
    let detail = if inferences.unwrap_or(survey.chunks) == 0 {
        "no policy ran".to_owned()
    } else {
        format!("p50 {p50}, p99 {p99}; {} chunks used", count(survey.chunks))
    };
    let value = inferences.map_or_else(|| count(survey.chunks), count);
    Figure { name: "Inferences", value, detail, alert: false }
}

fn age(name: &'static str, path: &str, survey: &Survey, summary: &Value) -> Figure {
    let spread = if path.ends_with("state") { &survey.state_age } else { &survey.observation_age };
    let [p50, p99, max] = quantiles(summary, path, spread);
    Figure { name, value: p99, detail: format!("p50 {p50}, max {max}"), alert: false }
}
