//! Tables of the page. What only the summary knows is shown as unknown without one.

use serde_json::Value;
use sinew_episodes::journal::ClampCause;

use super::spread::Spread;
use super::survey::Survey;
use super::text::{UNKNOWN, count, escape, fixed, micros};

/// A number of the summary by its path; `None` if it is absent.
pub fn number(summary: &Value, path: &str) -> Option<f64> {
    summary.pointer(path).and_then(Value::as_f64)
}

/// A count of the summary as text.
pub fn counted(summary: &Value, path: &str) -> String {
    summary.pointer(path).and_then(Value::as_u64).map_or(UNKNOWN.to_owned(), count)
}

/// One line of a table of durations: from the summary where it has one, else from the journal.
fn duration_row(
    name: &str,
    hint: &str,
    summary: Option<&Value>,
    spread: Option<&Spread>,
) -> String {
    let field = |name: &str| summary.and_then(|s| s.get(name)).and_then(Value::as_f64);
    let known = field("n").is_some();
    let quantile = |name: &str, share: f64| {
        if known {
            return field(name);
        }
        spread.and_then(|spread| spread.quantile(share)).map(|nanos| nanos / 1e3)
    };
    let greatest = if known {
        field("max_us")
    } else {
        spread.and_then(Spread::greatest).map(|nanos| nanos as f64 / 1e3)
    };
    let samples = match summary.and_then(|s| s.get("n")).and_then(Value::as_u64) {
        Some(samples) => count(samples),
        None => spread.map_or(UNKNOWN.to_owned(), |spread| count(spread.count())),
    };
    let cell = |value: Option<f64>| {
        format!("<td>{}</td>", value.map_or(UNKNOWN.to_owned(), |value| fixed(value, 1)))
    };
    format!(
        "<tr><th scope=\"row\">{name}<small>{hint}</small></th><td>{samples}</td>{}{}{}{}</tr>",
        cell(quantile("p50_us", 0.5)),
        cell(quantile("p99_us", 0.99)),
        cell(quantile("p999_us", 0.999)),
        cell(greatest)
    )
}

fn duration_table(rows: &str) -> String {
    format!(
        "<div class=\"scroll\"><table class=\"numbers\"><thead><tr><th></th><th>n</th><th>p50</th><th>p99</th>\
         <th>p99.9</th><th>max</th></tr></thead><tbody>{rows}</tbody></table></div>\
         <p class=\"note\">Durations in µs.</p>"
    )
}

/// The timing of the loop.
pub fn timing(survey: &Survey, summary: &Value) -> String {
    let line = |key: &str, name: &str, hint: &str, spread: Option<&Spread>| {
        duration_row(name, hint, summary.get("timing").and_then(|timing| timing.get(key)), spread)
    };
    let spreads = &survey.timing;
    let rows = [
        line("period", "period", "wake to wake", Some(&spreads.period)),
        line("lateness", "lateness", "wake after due", Some(&spreads.lateness)),
        line("read", "read", "latest state", Some(&spreads.read)),
        line("take", "take", "take over mailboxes", Some(&spreads.take)),
        line("decide", "decide", "target, limits, supervision", Some(&spreads.decide)),
        line("write", "write", "hand over the command", Some(&spreads.write)),
        line("record", "record", "hand over the record", Some(&spreads.record)),
        line("cycle", "cycle", "wake to end", Some(&spreads.cycle)),
    ];
    duration_table(&rows.concat())
}

/// Ages and the inference latency.
pub fn staleness(survey: &Survey, summary: &Value) -> String {
    let line = |path: &str, name: &str, hint: &str, spread: &Spread| {
        duration_row(name, hint, summary.pointer(path), Some(spread))
    };
    let rows = [
        line("/staleness/state", "state", "oldest measurement, each cycle", &survey.state_age),
        line(
            "/staleness/observation",
            "observation",
            "behind the target, running cycles",
            &survey.observation_age,
        ),
        line("/policy/latency", "inference", "one run of the policy", &survey.latency),
    ];
    duration_table(&rows.concat())
}

/// Clamped cycles of a joint for a cause.
pub fn clamped(survey: &Survey, summary: &Value, joint: usize, cause: ClampCause) -> u64 {
    let of_journal = survey.clamps.get(joint).map_or(0, |counts| counts[cause as usize]);
    let name = survey.header.joints.get(joint).map_or("", |meta| meta.name.as_str());
    match summary.get("clamps") {
        // The summary also counts cycles that found no room in the recorder's ring.
        Some(Value::Object(joints)) => joints
            .get(name)
            .and_then(|causes| causes.get(cause.name()))
            .and_then(Value::as_u64)
            .unwrap_or(0)
            .max(of_journal),
        _ => of_journal,
    }
}

/// Clamps by joint and cause.
pub fn clamps(survey: &Survey, summary: &Value) -> String {
    let joints = &survey.header.joints;
    let mut totals = [0; ClampCause::ALL.len()];
    let mut rows = String::new();
    for (index, joint) in joints.iter().enumerate() {
        let counts = ClampCause::ALL.map(|cause| clamped(survey, summary, index, cause));
        let substituted = survey.substituted.get(index).copied().unwrap_or(0);
        totals.iter_mut().zip(counts).for_each(|(total, count)| *total += count);
        let cells: String = counts.iter().map(|value| cell(*value)).collect();
        rows.push_str(&format!(
            "<tr><th scope=\"row\">{}</th>{cells}<td class=\"sum\">{}</td>{}</tr>",
            escape(&joint.name),
            zero_as_dot(survey.clamped.get(index).copied().unwrap_or(0)),
            cell(substituted)
        ));
    }
    let heads: String = ClampCause::ALL
        .iter()
        .map(|cause| format!("<th>{}</th>", cause.name().replace('_', "-")))
        .collect();
    let foot: String = totals.iter().map(|total| cell(*total)).collect();
    format!(
        "<div class=\"scroll\"><table class=\"numbers\"><thead><tr><th>joint</th>{heads}<th>any cause</th>\
         <th>substituted</th></tr></thead><tbody>{rows}</tbody><tfoot><tr><th scope=\"row\">all joints\
         </th>{foot}<td class=\"sum\">{}</td>{}</tr></tfoot></table></div>\
         <p class=\"note\">Cycles in which a limit changed a joint's request, by cause; one cycle can \
         have several, and counts once under any cause. Substituted: cycles whose measurement was replaced by the last commanded \
         value.</p>",
        zero_as_dot(survey.clamped_cycles),
        cell(survey.substituted.iter().sum())
    )
}

fn zero_as_dot(value: u64) -> String {
    if value == 0 { "<span class=\"zero\">·</span>".to_owned() } else { count(value) }
}

fn cell(value: u64) -> String {
    format!("<td>{}</td>", zero_as_dot(value))
}

/// A list of names and values.
fn list(rows: &[(&str, String)]) -> String {
    let rows: String = rows
        .iter()
        .map(|(name, value)| format!("<tr><th scope=\"row\">{name}</th><td>{value}</td></tr>"))
        .collect();
    format!("<table class=\"numbers pairs\"><tbody>{rows}</tbody></table>")
}

/// Counters of the bus.
pub fn bus(summary: &Value) -> String {
    let of = |name: &str| counted(summary, &format!("/bus/{name}"));
    let millis = |name: &str| {
        number(summary, &format!("/bus/{name}"))
            .map_or(UNKNOWN.to_owned(), |value| micros(value * 1e3))
    };
    list(&[
        ("requests sent", of("requests")),
        ("replies accepted", of("replies")),
        ("timeouts", of("timeouts")),
        ("retries", of("retries")),
        ("replies rejected", of("rejected")),
        ("garbage bytes", of("garbage_bytes")),
        ("values substituted", of("substituted")),
        ("commands sent", of("commands")),
        ("commands superseded", of("superseded")),
        ("reconnects", of("reconnects")),
        ("state read, mean", millis("read_mean_ms")),
        ("state read, longest", millis("read_max_ms")),
    ])
}

/// What was dropped.
pub fn drops(summary: &Value) -> String {
    let of = |name: &str| counted(summary, &format!("/drops/{name}"));
    list(&[
        ("cycle samples, ring full", of("samples")),
        ("frames, recorder full", of("frames")),
        ("other records, recorder full", of("records")),
        ("records the disk did not take", of("unwritten")),
        ("actions already in the past", of("expired_actions")),
        ("chunks without room", of("chunks")),
        ("inferences without a fresh frame", counted(summary, "/staleness/stale_frames")),
        ("inferences refused", counted(summary, "/policy/refused")),
    ])
}
