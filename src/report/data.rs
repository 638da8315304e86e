//! What the page's script draws, as JSON. Times are in s on the run's monotonic clock.

use serde_json::{Value, json};
use sinew_episodes::journal::{ClampCause, state_name};

use super::envelope::{Envelope, quantise};
use super::survey::{JOINT_SERIES, SUBSTITUTED, Survey};
use super::text::base64;

/// How a joint's positions are shown.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Display<'a> {
    /// Factor from the journal's unit.
    pub scale: f64,
    /// Shown behind numbers.
    pub unit: &'a str,
    /// The unit in words.
    pub words: &'a str,
    /// Unit of the journal, where it says something beside the shown one.
    pub raw: &'a str,
}

impl<'a> Display<'a> {
    /// Degrees for rad, mm for m, percent for an opening, and anything else as it is.
    pub fn of(unit: &'a str) -> Self {
        match unit {
            "rad" => Self {
                scale: 180.0 / std::f64::consts::PI,
                unit: "°",
                words: "degrees",
                raw: "rad",
            },
            "m" => Self { scale: 1e3, unit: "\u{202f}mm", words: "mm", raw: "m" },
            "1" => Self { scale: 100.0, unit: "\u{202f}%", words: "percent open", raw: "" },
            other => Self { scale: 1.0, unit: "", words: other, raw: "" },
        }
    }
}

fn seconds(nanos: u64) -> f64 {
    // Whole µs keep the text short.
    (nanos as f64 / 1e3).round() / 1e6
}

/// Times in steps of 100 µs as 32-bit numbers: five days, at a third of the length of text.
fn times(nanos: &[u64]) -> String {
    let step = |at: &u64| u32::try_from(at / 100_000).unwrap_or(u32::MAX);
    base64(&nanos.iter().flat_map(|at| step(at).to_le_bytes()).collect::<Vec<u8>>())
}

fn column(envelope: &Envelope, index: usize) -> Value {
    let values = envelope.columns.get(index).map_or(&[][..], Vec::as_slice);
    let quantised = quantise(values, envelope.per_bucket);
    json!([quantised.least, quantised.greatest, base64(&quantised.steps)])
}

fn grid(envelope: &Envelope) -> Value {
    let ends = if envelope.per_bucket == 1 { Value::Null } else { times(&envelope.ends).into() };
    json!({ "per": envelope.per_bucket, "starts": times(&envelope.starts), "ends": ends })
}

/// The whole payload.
pub fn payload(survey: &Survey, rate_hz: f64) -> Value {
    let (first, last) = survey.range_ns.unwrap_or((0, 0));
    let joints: Vec<Value> = survey
        .header
        .joints
        .iter()
        .enumerate()
        .map(|(index, joint)| {
            let display = Display::of(&joint.unit);
            let flags = survey.series.flags.get(index).filter(|f| f.iter().any(|set| *set != 0));
            let series = |offset| column(&survey.series, index * JOINT_SERIES + offset);
            json!({
                "name": joint.name,
                "scale": display.scale,
                "unit": display.unit,
                "raw": display.raw,
                "requested": series(0),
                "limited": series(1),
                "measured": series(2),
                "error": series(3),
                "flags": flags.map(|sets| {
                    base64(&sets.iter().flat_map(|set| set.to_le_bytes()).collect::<Vec<u8>>())
                }),
            })
        })
        .collect();
    let after_joints = survey.header.joints.len() * JOINT_SERIES;
    let cycle = |offset| column(&survey.series, after_joints + offset);
    json!({
        "range": [seconds(first), seconds(last)],
        "period": if rate_hz > 0.0 { 1.0 / rate_hz } else { 0.0 },
        "grid": grid(&survey.series),
        "joints": joints,
        "causes": ClampCause::ALL.map(|cause| json!([cause.bit(), cause.name().replace('_', "-")])),
        "substituted": SUBSTITUTED,
        "series": {
            "period": cycle(0), "cycle": cycle(1), "state_age": cycle(2), "observation_age": cycle(3),
        },
        "states": survey.states.iter()
            .map(|(at, state)| json!([seconds(*at), state_name(*state)]))
            .collect::<Vec<_>>(),
        "gaps": survey.gaps.iter()
            .map(|gap| json!([seconds(gap.at_ns), gap.periods]))
            .collect::<Vec<_>>(),
        "chunks": {
            "grid": grid(&survey.inference),
            "latency": column(&survey.inference, 0),
        },
        "events": survey.events.iter()
            .map(|event| json!([seconds(event.at_ns), event.kind, event.message]))
            .collect::<Vec<_>>(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn units_are_shown_as_people_read_them() {
        let opening = Display::of("1");
        assert_eq!((opening.scale, opening.unit), (100.0, "\u{202f}%"));
        let angle = Display::of("rad");
        assert!((angle.scale * std::f64::consts::PI - 180.0).abs() < 1e-12);
        assert_eq!((angle.unit, angle.raw), ("°", "rad"));
        assert_eq!(Display::of("N").words, "N");
    }

    #[test]
    fn times_are_steps_of_100_microseconds() {
        assert_eq!(
            times(&[0, 100_000, 25_700_000, u64::MAX]),
            base64(&[0, 0, 0, 0, 1, 0, 0, 0, 1, 1, 0, 0, 255, 255, 255, 255])
        );
        assert_eq!(seconds(1_234_567_891), 1.234568);
    }
}
