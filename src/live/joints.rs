//! The table of joints.

use std::time::Duration;

use ratatui::Frame;
use ratatui::layout::{Constraint, Rect};
use ratatui::text::{Line, Span};
use ratatui::widgets::{Cell, Row, Table};
use sinew_episodes::journal::ClampCause;
use sinew_firmware_interfaces::Timestamp;

use super::Snapshot;
use super::feed::ClampCount;
use super::view::{Look, Tone};
use crate::recording::CycleSample;

/// How long a clamp counts as recent.
const RECENT: Duration = Duration::from_secs(2);

/// Widths of the columns, 0 for those left out.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Columns {
    name: u16,
    measured: u16,
    commanded: u16,
    unit: u16,
    bar: u16,
    error: u16,
    clamps: u16,
}

impl Columns {
    /// Columns for a table `width` cells wide, with names up to `name` cells.
    fn new(width: u16, name: u16) -> Self {
        let mut columns =
            Self { name: name.clamp(5, 14).min(width), measured: 8, ..Self::default() };
        let mut left = i32::from(width) - i32::from(columns.name) - 9;
        let mut take = |wanted: u16| {
            let fits = left > i32::from(wanted);
            left -= if fits { i32::from(wanted) + 1 } else { 0 };
            if fits { wanted } else { 0 }
        };
        columns.commanded = take(8);
        columns.error = take(8);
        columns.unit = take(4);
        columns.bar = take(9);
        columns.clamps = take(14);
        // What is left goes to the bar first, then to the clamps.
        let left = left.max(0) as u16;
        if columns.bar > 0 {
            let wider = if columns.clamps == 0 { left } else { (left * 2 / 3).min(40) };
            columns.bar += wider;
            columns.clamps += if columns.clamps > 0 { left - wider } else { 0 };
        }
        columns
    }

    fn widths(&self) -> [u16; 7] {
        [self.name, self.measured, self.commanded, self.unit, self.bar, self.error, self.clamps]
    }
}

pub(super) fn draw(frame: &mut Frame, area: Rect, snapshot: &Snapshot, look: &mut Look) {
    let joints = &snapshot.subject.joints;
    let rows = usize::from(area.height.saturating_sub(1));
    look.scroll = look.scroll.min(joints.len().saturating_sub(rows));
    let shown = look.scroll..(look.scroll + rows).min(joints.len());
    let title = if rows > 0 && shown.len() < joints.len() {
        format!("{}-{}/{}", shown.start + 1, shown.end, joints.len())
    } else {
        "joint".to_owned()
    };
    let names = joints.iter().map(|joint| joint.name.as_str()).chain([title.as_str()]);
    let name = names.map(|name| Span::raw(name).width()).max().unwrap_or(0);
    let columns = Columns::new(area.width, name.min(99) as u16);
    let titles = [title.as_str(), "measured", "command", "unit", "in limits", "error", "clamps"];
    let right = [false, true, true, false, false, true, false];
    let titles = titles.into_iter().zip(right).map(|(text, right)| {
        let line = Line::from(text.to_owned());
        Cell::from(if right { line.right_aligned() } else { line })
    });
    let header = row(titles, &columns).style(look.style(Tone::Title));
    let body: Vec<Row> = shown.map(|index| joint(index, snapshot, &columns, look)).collect();
    let widths = columns.widths().into_iter().filter(|width| *width > 0).map(Constraint::Length);
    frame.render_widget(Table::new(body, widths).header(header), area);
}

fn row<'a>(cells: impl IntoIterator<Item = Cell<'a>>, columns: &Columns) -> Row<'a> {
    let shown = cells.into_iter().zip(columns.widths()).filter(|(_, width)| *width > 0);
    Row::new(shown.map(|(cell, _)| cell))
}

fn joint(index: usize, snapshot: &Snapshot, columns: &Columns, look: &Look) -> Row<'static> {
    let joint = &snapshot.subject.joints[index];
    let name = Cell::from(joint.name.clone());
    let Some(sample) = &snapshot.news.latest else { return Row::new([name]) };
    let measured = sample.state.position[index];
    let commanded = sample.outcome.limited[index];
    let error = measured - commanded;
    // A substitute is no measurement: it must not look like one.
    let (mark, tone) = match sample.state.is_substituted(index) {
        true => ("~", Tone::Notice),
        false => ("", Tone::Plain),
    };
    let strays = if !error.is_finite() || error.abs() > joint.tracking {
        Tone::Bad
    } else if error.abs() > joint.tracking / 2.0 {
        Tone::Notice
    } else {
        Tone::Plain
    };
    let number = |tone, text: String| Cell::from(Line::from(look.span(tone, text)).right_aligned());
    let cells = [
        name,
        number(tone, format!("{mark}{measured:.4}")),
        number(Tone::Plain, format!("{commanded:.4}")),
        Cell::from(joint.unit),
        Cell::from(bar(joint.range, sample, index, columns.bar, look)),
        number(strays, format!("{error:+.4}")),
        Cell::from(clamps(&snapshot.news.clamps[index], sample.tick.woke, look)),
    ];
    row(cells, columns)
}

/// The range as a line with the command and the measurement on it; an arrow where one is outside.
fn bar(
    [lower, upper]: [f64; 2],
    sample: &CycleSample,
    index: usize,
    width: u16,
    look: &Look,
) -> Line<'static> {
    let width = usize::from(width).max(3);
    let mut cells = vec![("─", Tone::Faint); width];
    (cells[0], cells[width - 1]) = (("├", Tone::Faint), ("┤", Tone::Faint));
    let mut mark = |value: f64, symbol: &'static str, tone: Tone| {
        let share = (value - lower) / (upper - lower);
        if share < 0.0 {
            cells[0] = ("◀", Tone::Bad);
        } else if share > 1.0 {
            cells[width - 1] = ("▶", Tone::Bad);
        } else if share.is_finite() {
            cells[(share * (width - 1) as f64).round() as usize] = (symbol, tone);
        }
    };
    mark(sample.outcome.limited[index], "◆", Tone::Notice);
    mark(sample.state.position[index], "●", Tone::Good);
    Line::from_iter(cells.into_iter().map(|(symbol, tone)| look.span(tone, symbol)))
}

/// Causes with their counts: those of the last seconds first, and not faint.
fn clamps(counts: &[ClampCount], now: Timestamp, look: &Look) -> Line<'static> {
    let causes = ClampCause::ALL.iter().zip(counts).filter(|(_, count)| count.total > 0);
    let (recent, past): (Vec<_>, Vec<_>) =
        causes.partition(|(_, count)| now.since(count.last) <= RECENT);
    let text = |(cause, count): &(&ClampCause, &ClampCount)| {
        format!("{} {} ", short(**cause), count.total)
    };
    let recent = recent.iter().map(|it| look.span(Tone::Notice, text(it)));
    let past = past.iter().map(|it| look.span(Tone::Faint, text(it)));
    recent.chain(past).collect()
}

const fn short(cause: ClampCause) -> &'static str {
    match cause {
        ClampCause::Position => "pos",
        ClampCause::Velocity => "vel",
        ClampCause::Acceleration => "acc",
        ClampCause::Step => "step",
        ClampCause::NonFinite => "nan",
        ClampCause::Jerk => "jerk",
        ClampCause::Effort => "eff",
        ClampCause::EffortRate => "effrate",
        ClampCause::Workspace => "box",
        ClampCause::Actuator => "act",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_never_take_more_than_there_is() {
        for width in 0..300 {
            for name in [0, 6, 40] {
                let columns = Columns::new(width, name);
                let widths = columns.widths();
                let shown = widths.iter().filter(|width| **width > 0).count() as u16;
                let sum: u16 = widths.iter().sum();
                if width >= 24 {
                    assert!(sum + shown.saturating_sub(1) <= width, "{width}: {columns:?}");
                }
            }
        }
        assert!(Columns::new(80, 7).clamps >= 14 && Columns::new(80, 7).bar >= 9);
        assert!(Columns::new(160, 7).bar > 40);
    }
}
