//! The page, put together.

use serde_json::Value;
use sinew_episodes::journal::EventRecord;

use super::data::{self, Display};
use super::figures;
use super::filmstrip::Strip;
use super::histogram::{self, Mark};
use super::survey::Survey;
use super::tables;
use super::text::{base64, count, escape, fixed, micros, script_json, significant};

const STYLE: &str = include_str!("page.css");
const SCRIPT: &str = include_str!("page.js");

/// Nothing may be fetched, whatever a name in the journal contains.
const POLICY: &str =
    "default-src 'none'; img-src data:; style-src 'unsafe-inline'; script-src 'unsafe-inline'";

/// The whole document.
pub fn html(survey: &Survey, summary: &Value) -> String {
    let header = &survey.header;
    let rate_hz = if header.rate_hz.is_finite() { header.rate_hz } else { 0.0 };
    let mut sections: Vec<(&str, &str, String)> = Vec::new();
    sections.push(("motion", "Motion", motion(survey)));
    sections.push(("events", "Events", events(survey)));
    if !survey.strips.is_empty() {
        sections.push(("cameras", "Cameras", cameras(survey)));
    }
    sections.push(("clamps", "Limits", tables::clamps(survey, summary)));
    sections.push(("timing", "Loop timing", timing(survey, summary, rate_hz)));
    sections.push(("policy", "Policy and staleness", policy(survey, summary)));
    sections.push(("bus", "Bus and drops", bus(summary)));
    sections.push(("configuration", "Configuration", configuration(&header.config)));
    let navigation: String =
        sections.iter().map(|(id, name, _)| format!("<a href=\"#{id}\">{name}</a>")).collect();
    let body: String = sections
        .iter()
        .map(|(id, name, html)| format!("<section id=\"{id}\"><h2>{name}</h2>{html}</section>"))
        .collect();
    format!(
        "<!doctype html>\n<html lang=\"en\"><head><meta charset=\"utf-8\">\
         <meta http-equiv=\"Content-Security-Policy\" content=\"{POLICY}\">\
         <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\
         <meta name=\"color-scheme\" content=\"light dark\"><title>{} · sinew run report</title>\
         <style>{STYLE}</style></head><body>{}{}{}<nav aria-label=\"Sections\">{navigation}</nav>\
         <main>{body}</main><div id=\"tip\" role=\"status\" hidden></div>\
         <script type=\"application/json\" id=\"data\">{}</script><script>{SCRIPT}</script>\
         </body></html>\n",
        escape(&header.run),
        figures::masthead(survey, summary),
        figures::notices(survey, summary),
        figures::figures(survey, summary),
        script_json(&data::payload(survey, rate_hz)),
    )
}

/// A plot that the script fills.
fn plot(kind: &str, title: &str, detail: &str, attributes: &str) -> String {
    format!(
        "<figure class=\"plot\" data-plot=\"{kind}\"{attributes}><figcaption><b>{title}</b>\
         <span class=\"detail\">{detail}</span><output></output></figcaption></figure>"
    )
}

fn motion(survey: &Survey) -> String {
    if survey.cycles == 0 {
        return "<p class=\"none\">The journal has no control cycle: there is nothing to draw.</p>"
            .to_owned();
    }
    let key = |class: &str, text: &str| format!("<span class=\"key {class}\">{text}</span>");
    let mut legend =
        [key("requested", "requested"), key("limited", "limited"), key("measured", "measured")]
            .concat();
    if survey.substituted_cycles > 0 {
        legend.push_str(&key("substituted", "measurement substituted"));
    }
    if survey.clamped_cycles > 0 {
        legend.push_str(&key("clamped", "clamped, by cause"));
    }
    if survey.chunks > 0 {
        legend.push_str(&key("chunk", "chunk taken over"));
    }
    if !survey.events.is_empty() {
        legend.push_str(&key("event", "event"));
    }
    for (state, _) in &survey.state_counts {
        legend.push_str(&key(&format!("state {state}"), state));
    }
    let mut html = format!(
        "<noscript><p class=\"notice\">The plots need the page's script, which is switched \
         off.</p></noscript><div class=\"timeline\"><div class=\"legend\">{legend}</div>\
         <div class=\"controls\"><span class=\"hint\">Drag over a plot to zoom</span>\
         <button type=\"button\" data-zoom=\"in\" title=\"Zoom in (+)\" aria-label=\"Zoom in\">+</button>\
         <button type=\"button\" data-zoom=\"out\" title=\"Zoom out (−)\" aria-label=\"Zoom out\">−</button>\
         <button type=\"button\" data-zoom=\"all\" title=\"Whole run (Esc, double click)\">whole run</button></div>\
         <figure class=\"plot\" data-plot=\"timeline\" tabindex=\"0\" aria-label=\"Time line; arrow \
         keys move the cursor\"></figure></div>"
    );
    for (index, joint) in survey.header.joints.iter().enumerate() {
        let display = Display::of(&joint.unit);
        let clamped = survey.clamped.get(index).copied().unwrap_or(0);
        let error = survey.errors.get(index).copied().unwrap_or(0.0) * display.scale;
        let mut detail = format!(
            "{} · worst error {}{}",
            escape(display.words),
            significant(error),
            display.unit
        );
        if clamped > 0 {
            detail.push_str(&format!(" · clamped in {} cycles", count(clamped)));
        }
        let attribute = format!(" data-joint=\"{index}\"");
        html.push_str(&plot("joint", &escape(&joint.name), &detail, &attribute));
    }
    if survey.series.per_bucket > 1 {
        html.push_str(&format!(
            "<p class=\"note\">Lines are drawn from the least and the greatest value of every {} \
             cycles, so that no extreme is lost; tables are from every cycle.</p>",
            survey.series.per_bucket
        ));
    }
    html
}

fn events(survey: &Survey) -> String {
    if survey.events.is_empty() {
        return "<p class=\"none\">No events.</p>".to_owned();
    }
    let row = |event: &EventRecord| {
        format!(
            "<tr tabindex=\"0\" data-at=\"{:.6}\"><td class=\"at\">{}</td><td><span class=\"kind\">{}</span>\
             </td><td>{}</td></tr>",
            event.at_ns as f64 / 1e9,
            fixed(event.at_ns as f64 / 1e9, 3),
            escape(&event.kind),
            escape(&event.message)
        )
    };
    let half = survey.events.len() / 2;
    let mut rows = String::new();
    for (index, event) in survey.events.iter().enumerate() {
        if survey.events_left_out > 0 && index == half {
            rows.push_str(&format!(
                "<tr><td></td><td></td><td class=\"none\">{} events are left out here; all are in the \
                 journal.</td></tr>",
                count(survey.events_left_out)
            ));
        }
        rows.push_str(&row(event));
    }
    format!(
        "<div class=\"scroll\"><table class=\"events\"><thead><tr><th class=\"at\">time, s</th><th>kind</th><th>message</th></tr>\
         </thead><tbody>{rows}</tbody></table></div>"
    )
}

fn cameras(survey: &Survey) -> String {
    let mut html = String::new();
    for (camera, strip) in survey.header.cameras.iter().zip(&survey.strips) {
        html.push_str(&format!(
            "<div class=\"camera\"><h3>{}</h3><p class=\"detail\">{} × {} pixels · {}</p><div \
             class=\"strip\">{}</div></div>",
            escape(&camera.name),
            camera.width,
            camera.height,
            frame_rate(strip),
            pictures(strip, &camera.name, camera.width)
        ));
    }
    html
}

fn frame_rate(strip: &Strip) -> String {
    let mut text = format!("{} frames", count(strip.frames));
    if let (Some(rate), Some(gap)) = (strip.rate_hz, strip.longest_gap_us) {
        text.push_str(&format!(" · {}\u{202f}Hz · longest gap {}", significant(rate), micros(gap)));
    }
    text
}

fn pictures(strip: &Strip, camera: &str, width: u32) -> String {
    if strip.pictures.is_empty() {
        return "<p class=\"none\">No frames.</p>".to_owned();
    }
    // Pixels of a tiny image are shown as such.
    let class = if width < 160 { " class=\"tiny\"" } else { "" };
    strip
        .pictures
        .iter()
        .map(|picture| {
            let at = fixed(picture.captured_ns as f64 / 1e9, 3);
            let image = match &picture.png {
                Ok(png) => format!(
                    "<img{class} alt=\"{} at {at} s\" src=\"data:image/png;base64,{}\">",
                    escape(camera),
                    base64(png)
                ),
                Err(error) => format!("<p class=\"none\">{}</p>", escape(&error.to_string())),
            };
            format!("<figure>{image}<figcaption>{at}\u{202f}s</figcaption></figure>")
        })
        .collect()
}

fn timing(survey: &Survey, summary: &Value, rate_hz: f64) -> String {
    let table = tables::timing(survey, summary);
    if survey.cycles == 0 {
        return table;
    }
    let histogram = |title: &str, detail: &str, spread: &super::spread::Spread| {
        let mut marks = Vec::new();
        for (label, share) in [("p50", 0.5), ("p99", 0.99), ("p99.9", 0.999)] {
            if let Some(at_ns) = spread.quantile(share) {
                marks.push(Mark { label, at_ns });
            }
        }
        if rate_hz > 0.0 {
            marks.push(Mark { label: "period", at_ns: 1e9 / rate_hz });
        }
        format!(
            "<figure class=\"histogram\"><figcaption><b>{title}</b><span class=\"detail\">{detail}</span>\
             </figcaption>{}</figure>",
            histogram::svg(title, spread, &marks)
        )
    };
    let histograms = [
        histogram("Wake-up lateness", "cycles per bin", &survey.timing.lateness),
        histogram("Cycle time", "wake to end, cycles per bin", &survey.timing.cycle),
    ]
    .concat();
    let missed = if survey.missed > 0 {
        format!("wake to wake · {} missed, marked at the top", count(survey.missed))
    } else {
        "wake to wake · none missed".to_owned()
    };
    format!(
        "<div class=\"pair\">{histograms}</div>{}{}{table}",
        plot("series", "Period", &missed, " data-series=\"period\""),
        plot("series", "Cycle time", "wake to end", " data-series=\"cycle\""),
    )
}

fn policy(survey: &Survey, summary: &Value) -> String {
    let mut html = String::new();
    if survey.chunks > 0 {
        html.push_str(&plot("latency", "Inference latency", "per chunk taken over", ""));
    }
    if survey.observation_age.count() > 0 {
        let detail = "capture of the images and the state behind the target, to the wake-up";
        html.push_str(&plot(
            "series",
            "Observation age",
            detail,
            " data-series=\"observation_age\"",
        ));
    }
    if survey.state_age.count() > 0 {
        let detail = "oldest measurement at the wake-up";
        html.push_str(&plot("series", "State age", detail, " data-series=\"state_age\""));
    }
    html.push_str(&tables::staleness(survey, summary));
    html
}

fn bus(summary: &Value) -> String {
    if summary.is_null() {
        return "<p class=\"none\">Unknown: they are counted in memory and written with the \
                summary, which this journal lacks.</p>"
            .to_owned();
    }
    format!(
        "<div class=\"pair\"><div><h3>Bus</h3>{}</div><div><h3>Drops and refusals</h3>{}</div></div>",
        tables::bus(summary),
        tables::drops(summary)
    )
}

fn configuration(config: &str) -> String {
    if config.trim().is_empty() {
        return "<p class=\"none\">Not recorded.</p>".to_owned();
    }
    format!(
        "<details><summary>Effective configuration, {} lines</summary><pre><code>{}</code></pre>\
         </details>",
        count(config.lines().count() as u64),
        escape(config)
    )
}
