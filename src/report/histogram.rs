//! Histograms as SVG, with logarithmic axes.

use std::fmt::Write as _;

use super::spread::Spread;
use super::text::{count, escape, fixed, micros};

const WIDTH: f64 = 460.0;
const HEIGHT: f64 = 216.0;
const LEFT: f64 = 46.0;
const RIGHT: f64 = 14.0;
const TOP: f64 = 26.0;
const BOTTOM: f64 = 36.0;

/// A duration worth a line across the bars.
pub struct Mark<'a> {
    /// What it is.
    pub label: &'a str,
    /// Where it is, in ns.
    pub at_ns: f64,
}

/// A histogram over durations; `label` describes it to a screen reader. `marks` outside the
/// bars' range are left out.
pub fn svg(label: &str, spread: &Spread, marks: &[Mark<'_>]) -> String {
    let bars = spread.bars(36);
    let (Some(first), Some(last)) = (bars.first(), bars.last()) else {
        return "<p class=\"none\">No samples.</p>".to_owned();
    };
    let (low, high) = (first.from_ns.log10(), last.to_ns.log10());
    // At least a third of a decade, or one value looks like a whole world.
    let spare = (0.35 - (high - low)).max(0.0) / 2.0;
    let (low, high) = (low - spare, high + spare);
    let x = |nanos: f64| LEFT + (nanos.log10() - low) / (high - low) * (WIDTH - LEFT - RIGHT);
    let tallest = bars.iter().map(|bar| bar.count).max().unwrap_or(1).max(1);
    let decades = (tallest as f64).log10().ceil().max(1.0);
    let base = HEIGHT - BOTTOM;
    // A single sample must be visible: the axis begins below one.
    let y = |value: f64| base - ((value.log10() + 0.3) / (decades + 0.3)) * (base - TOP);
    let mut svg = format!(
        "<svg viewBox=\"0 0 {WIDTH} {HEIGHT}\" role=\"img\" aria-label=\"{}\">",
        escape(label)
    );
    // Writing to a string cannot fail.
    for decade in 0..=decades as i32 {
        let (value, at) = (10_f64.powi(decade), y(10_f64.powi(decade)));
        let _ = write!(
            svg,
            "<path class=\"grid\" d=\"M{LEFT} {at:.1}H{:.1}\"/>\
             <text class=\"tick end\" x=\"{:.1}\" y=\"{:.1}\">{}</text>",
            WIDTH - RIGHT,
            LEFT - 6.0,
            at + 3.5,
            count(value as u64)
        );
    }
    for bar in &bars {
        if bar.count == 0 {
            continue;
        }
        let (from, to, top) = (x(bar.from_ns), x(bar.to_ns), y(bar.count as f64));
        let _ = write!(
            svg,
            "<rect class=\"bar\" x=\"{:.2}\" y=\"{top:.2}\" width=\"{:.2}\" height=\"{:.2}\">\
             <title>{} to {}: {}</title></rect>",
            from + 0.4,
            (to - from - 0.8).max(0.8),
            base - top,
            micros(bar.from_ns / 1e3),
            micros(bar.to_ns / 1e3),
            count(bar.count)
        );
    }
    let _ = write!(svg, "<path class=\"axis\" d=\"M{LEFT} {base}H{}\"/>", WIDTH - RIGHT);
    for (nanos, text) in ticks(low, high) {
        let at = x(nanos);
        let _ = write!(
            svg,
            "<path class=\"axis\" d=\"M{at:.1} {base}v4\"/>\
             <text class=\"tick mid\" x=\"{at:.1}\" y=\"{:.1}\">{text}</text>",
            base + 16.0
        );
    }
    let visible =
        marks.iter().filter(|mark| mark.at_ns > 0.0 && (low..=high).contains(&mark.at_ns.log10()));
    let mut taken: Vec<(f64, f64)> = Vec::new();
    for mark in visible {
        let at = x(mark.at_ns);
        let half = 3.2 * mark.label.chars().count() as f64 + 2.0;
        let middle = at.clamp(LEFT + half, WIDTH - RIGHT - half);
        // Labels that meet go to a second line, and are dropped if that is taken too.
        let free = |row: f64| {
            taken
                .iter()
                .all(|(other, at_row)| *at_row != row || (other - middle).abs() > 2.0 * half)
        };
        let row = [TOP - 6.0, TOP - 17.0].into_iter().find(|row| free(*row));
        let _ = write!(
            svg,
            "<path class=\"mark\" d=\"M{at:.1} {:.1}V{base}\"><title>{}: {}</title></path>",
            TOP - 3.0,
            escape(mark.label),
            micros(mark.at_ns / 1e3)
        );
        if let Some(row) = row {
            taken.push((middle, row));
            let _ = write!(
                svg,
                "<text class=\"marked mid\" x=\"{middle:.1}\" y=\"{row:.1}\">{}</text>",
                escape(mark.label)
            );
        }
    }
    svg.push_str("</svg>");
    svg
}

/// Powers of ten, with their doubles and fives where there are few, as ns and text.
fn ticks(low: f64, high: f64) -> Vec<(f64, String)> {
    let range = high - low;
    let factors: &[f64] = match range {
        narrow if narrow < 0.7 => &[1.0, 1.2, 1.5, 2.0, 2.5, 3.0, 4.0, 5.0, 6.0, 8.0],
        medium if medium < 2.2 => &[1.0, 2.0, 5.0],
        _ => &[1.0],
    };
    let mut ticks = Vec::new();
    for decade in low.floor() as i32..=high.ceil() as i32 {
        for factor in factors {
            let nanos = factor * 10_f64.powi(decade);
            if (low..=high).contains(&nanos.log10()) {
                ticks.push((nanos, axis_text(nanos)));
            }
        }
    }
    ticks
}

fn axis_text(nanos: f64) -> String {
    let (value, unit) = match nanos {
        small if small < 999.0 => (nanos, "ns"),
        small if small < 999e3 => (nanos / 1e3, "µs"),
        medium if medium < 999e6 => (nanos / 1e6, "ms"),
        _ => (nanos / 1e9, "s"),
    };
    let decimals = usize::from((value - value.round()).abs() > 0.01);
    format!("{}\u{202f}{unit}", fixed(value, decimals))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bars_marks_and_axes_are_drawn() {
        let mut spread = Spread::default();
        (0..1000).for_each(|index| spread.add(50_000 + index * 10));
        spread.add(4_000_000);
        let marks = [Mark { label: "p99", at_ns: 60e3 }, Mark { label: "period", at_ns: 20e6 }];
        let svg = svg("wake-up <lateness>", &spread, &marks);
        assert!(svg.contains("aria-label=\"wake-up &lt;lateness&gt;\""));
        assert!(svg.contains(": 1</title>"), "the single late cycle has a bar");
        assert!(svg.contains(">p99</text>") && !svg.contains("period"));
        assert!(svg.contains("100\u{202f}µs") && svg.contains("1\u{202f}ms"));
        assert!(!svg.contains("NaN") && !svg.contains("inf"));
    }

    #[test]
    fn no_samples_and_equal_samples_are_no_trouble() {
        let mut spread = Spread::default();
        assert!(svg("x", &spread, &[]).contains("No samples"));
        spread.add(20_000_000);
        let drawn = svg("x", &spread, &[]);
        assert!(drawn.contains("class=\"bar\"") && !drawn.contains("NaN"), "{drawn}");
    }
}
