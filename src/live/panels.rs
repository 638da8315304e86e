//! Timing, staleness and happenings.

use ratatui::Frame;
use ratatui::layout::{Constraint, Layout, Rect};
use ratatui::text::Line;
use ratatui::widgets::{Block, Borders, Cell, Paragraph, Row, Table};
use sinew_firmware_interfaces::{LinkStatus, Timestamp};

use super::feed::{CycleEntry, Happening};
use super::view::{Look, Tone};
use super::{News, Snapshot};
use crate::pacing::DistributionSummary;

/// Rows of timing and staleness, with their title.
pub(super) const ROWS: u16 = 7;
/// The same, with the parts of the cycle.
pub(super) const ROWS_WITH_PHASES: u16 = ROWS + 4;

/// Draws timing and staleness beside each other, or the timing alone.
pub(super) fn draw(frame: &mut Frame, area: Rect, snapshot: &Snapshot, look: &Look) {
    if area.height == 0 {
        return;
    }
    let widths = if area.width < 78 {
        [Constraint::Fill(1), Constraint::Length(0)]
    } else {
        [Constraint::Length(43 + (area.width - 78) / 3), Constraint::Fill(1)]
    };
    let [left, right] = Layout::horizontal(widths).spacing(2).areas(area);
    timing(frame, left, snapshot, look);
    if right.width > 1 {
        staleness(frame, right, snapshot, look);
    }
}

fn titled<'a>(title: String, look: &Look) -> Block<'a> {
    Block::new()
        .borders(Borders::TOP)
        .border_style(look.style(Tone::Faint))
        .title(look.span(Tone::Title, title))
}

fn timing(frame: &mut Frame, area: Rect, snapshot: &Snapshot, look: &Look) {
    let news = &snapshot.news;
    let wanted = 1.0 / snapshot.subject.period.as_secs_f64();
    let rate = rate(news).map_or("-".to_owned(), |rate| format!("{rate:.1}"));
    let number = |text: String| Cell::from(Line::from(text).right_aligned());
    let row = |name: &str, p50: f64, p99: f64, max: f64| {
        let mut cells = vec![Cell::from(name.to_owned())];
        cells.extend([p50, p99, max].map(|nanos| number(short(nanos))));
        Row::new(cells)
    };
    let recent = |name, value: &dyn Fn(&CycleEntry) -> u64| {
        let [p50, p99, max] = percentiles(news.window.iter().map(value).collect());
        row(name, p50, p99, max)
    };
    let ended = |name, value: &dyn Fn(&CycleEntry) -> u64| {
        let entries = news.window.iter().filter(|entry| entry.ended);
        let [p50, p99, max] = percentiles(entries.map(value).collect());
        row(name, p50, p99, max)
    };
    let total = |name, summary: &DistributionSummary| {
        row(name, summary.p50_us * 1e3, summary.p99_us * 1e3, summary.max_us * 1e3)
    };
    let mut rows = vec![
        recent("lateness 5 s", &|entry| entry.lateness),
        total("         run", &snapshot.lateness),
        ended("cycle    5 s", &|entry| entry.spent()),
        total("         run", &snapshot.cycle),
    ];
    if area.height >= ROWS_WITH_PHASES {
        rows.push(recent("read     5 s", &|entry| entry.phases.read.into()));
        rows.push(recent("decide   5 s", &|entry| entry.phases.decide.into()));
        rows.push(recent("write    5 s", &|entry| entry.phases.write.into()));
        rows.push(ended("record   5 s", &|entry| entry.phases.record.into()));
    }
    let mut header = vec![Cell::from("")];
    header.extend(["p50", "p99", "max"].map(|name| number(name.to_owned())));
    let widths = [12, 9, 9, 9].map(Constraint::Length);
    let title = format!("timing at {wanted:.0} Hz, {rate} in 5 s ");
    let counts = Line::from(vec![
        count(look, news.missed, "missed, ", Tone::Notice),
        count(look, news.overruns, "overruns, ", Tone::Notice),
        look.span(Tone::Plain, format!("{} cycles", news.cycles)),
    ]);
    let block = titled(title, look);
    let inner = block.inner(area);
    frame.render_widget(block, area);
    let [table, last] =
        Layout::vertical([Constraint::Length(rows.len() as u16 + 1), Constraint::Length(1)])
            .areas(inner);
    frame.render_widget(Table::new(rows, widths).header(Row::new(header)), table);
    frame.render_widget(Paragraph::new(counts), last);
}

fn count(look: &Look, value: u64, what: &str, tone: Tone) -> ratatui::text::Span<'static> {
    look.span(if value > 0 { tone } else { Tone::Plain }, format!("{value} {what}"))
}

fn staleness(frame: &mut Frame, area: Rect, snapshot: &Snapshot, look: &Look) {
    let (subject, news) = (&snapshot.subject, &snapshot.news);
    let mut lines = Vec::new();
    let line = |name: &str, tone, text: String| {
        Line::from(vec![look.span(Tone::Plain, format!("{name:<12}")), look.span(tone, text)])
    };
    if let (Some(sample), Some(entry)) = (&news.latest, news.window.back()) {
        let worst = news.window.iter().map(|entry| entry.state_age).max().unwrap_or(0);
        let tone = match entry.state_age as u128 {
            age if age > subject.state_ramp.as_nanos() => Tone::Bad,
            age if age > subject.state_hold.as_nanos() => Tone::Notice,
            _ => Tone::Plain,
        };
        let age = short(entry.state_age as f64);
        lines.push(line("state", tone, format!("{age}, max {}", short(worst as f64))));
        let worst = news.window.iter().filter_map(|entry| entry.observation_age).max();
        let text = match (entry.observation_age, worst) {
            (Some(age), Some(worst)) => {
                format!("{}, max {}", short(age as f64), short(worst as f64))
            }
            _ => "-".to_owned(),
        };
        lines.push(line("observation", Tone::Plain, text));
        let woke = sample.tick.woke;
        let (chunks, last) = news.chunks;
        let ago = last.map_or(String::new(), |last| {
            format!(", {} ago", short(woke.since(last).as_nanos() as f64))
        });
        lines.push(line("chunks", Tone::Plain, format!("{chunks}{ago}")));
        let (tone, link) = match sample.state.link {
            LinkStatus::Up => (Tone::Plain, "up"),
            LinkStatus::Down => (Tone::Notice, "down"),
            LinkStatus::Lost => (Tone::Bad, "lost"),
        };
        lines.push(line("link", tone, format!("{link}, connection {}", sample.state.epoch)));
        let tone = if sample.state.substituted != 0 { Tone::Notice } else { Tone::Plain };
        lines.push(line("substituted", tone, format!("{} cycles", news.substituted)));
    }
    let block = titled("staleness, max of 5 s ".to_owned(), look);
    frame.render_widget(Paragraph::new(lines).block(block), area);
}

/// Draws the last happenings that have room.
pub(super) fn happenings(frame: &mut Frame, area: Rect, snapshot: &Snapshot, look: &Look) {
    if area.height == 0 {
        return;
    }
    let news = &snapshot.news;
    let rows = usize::from(area.height - 1);
    let hidden = news.happenings.len().saturating_sub(rows);
    let lines: Vec<Line> =
        news.happenings.iter().skip(hidden).map(|it| happening(it, news.began, look)).collect();
    frame.render_widget(Paragraph::new(lines).block(titled("events ".to_owned(), look)), area);
}

fn happening(happening: &Happening, began: Timestamp, look: &Look) -> Line<'static> {
    let tone = match happening.kind.as_str() {
        "fault" | "tracking" => Tone::Bad,
        "state" => Tone::Title,
        "console" | "reconnect" => Tone::Plain,
        _ => Tone::Notice,
    };
    let at = happening.at.since(began).as_secs_f64();
    let times = match happening.times {
        0 | 1 => String::new(),
        times => format!(" ({times} times in a row)"),
    };
    let message: String =
        happening.message.chars().map(|it| if it.is_control() { ' ' } else { it }).collect();
    Line::from(vec![
        look.span(Tone::Faint, format!("{at:8.2} s  ")),
        look.span(tone, format!("{:<12}", happening.kind)),
        look.span(Tone::Plain, format!("{message}{times}")),
    ])
}

/// Cycles per second over the window.
fn rate(news: &News) -> Option<f64> {
    let (first, last) = (news.window.front()?, news.window.back()?);
    let seconds = last.woke.since(first.woke).as_secs_f64();
    (seconds > 0.0).then(|| (news.window.len() - 1) as f64 / seconds)
}

/// p50, p99 and max; zeros of nothing.
fn percentiles(mut values: Vec<u64>) -> [f64; 3] {
    values.sort_unstable();
    let at = |share: f64| {
        let rank = (share * values.len() as f64).ceil() as usize;
        values.get(rank.saturating_sub(1)).copied().unwrap_or(0) as f64
    };
    [at(0.5), at(0.99), at(1.0)]
}

/// A time in ns in the unit that reads best.
fn short(nanos: f64) -> String {
    match nanos {
        nanos if nanos >= 1e9 => format!("{:.2} s", nanos * 1e-9),
        nanos if nanos >= 1e6 => format!("{:.1} ms", nanos * 1e-6),
        nanos => format!("{:.1} µs", nanos * 1e-3),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn percentiles_are_ranks_of_what_there_is() {
        assert_eq!(percentiles(vec![]), [0.0; 3]);
        assert_eq!(percentiles(vec![7]), [7.0; 3]);
        assert_eq!(percentiles((1..=200).rev().collect()), [100.0, 198.0, 200.0]);
    }

    #[test]
    fn times_read_in_their_own_unit() {
        assert_eq!([12_300.0, 4.25e6, 2.5e9].map(short), ["12.3 µs", "4.2 ms", "2.50 s"]);
    }
}
