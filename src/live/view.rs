//! Draws a snapshot: header, joints, timing and staleness, happenings, keys. Pure, for any size.

use ratatui::Frame;
use ratatui::layout::Rect;
use ratatui::style::{Color, Modifier, Style};
use ratatui::text::{Line, Span};
use ratatui::widgets::{Block, Clear, Paragraph};

use super::{Snapshot, joints, panels};
use crate::cycle::OperatorRequest;
use crate::supervision::ArmState;

/// How to look at a run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Look {
    /// First joint shown; drawing takes it back to where there are joints.
    pub scroll: usize,
    /// True while the keys are explained.
    pub help: bool,
    /// False for terminals and people that want none.
    pub colour: bool,
    /// What the operator has asked for.
    pub request: OperatorRequest,
}

/// What a piece of text is, so that it also reads without colour.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Tone {
    Plain,
    Faint,
    Title,
    Good,
    Notice,
    Bad,
}

impl Look {
    /// From the top.
    pub const fn new(colour: bool) -> Self {
        Self { scroll: 0, help: false, colour, request: OperatorRequest::None }
    }

    pub(super) fn style(&self, tone: Tone) -> Style {
        let style = Style::new();
        match (tone, self.colour) {
            (Tone::Plain, _) | (Tone::Good, false) => style,
            (Tone::Faint, true) => style.fg(Color::DarkGray),
            (Tone::Faint, false) => style.add_modifier(Modifier::DIM),
            (Tone::Title, _) | (Tone::Notice, false) => style.add_modifier(Modifier::BOLD),
            (Tone::Good, true) => style.fg(Color::Green),
            (Tone::Notice, true) => style.fg(Color::Yellow),
            (Tone::Bad, true) => style.fg(Color::Red).add_modifier(Modifier::BOLD),
            (Tone::Bad, false) => style.add_modifier(Modifier::BOLD | Modifier::REVERSED),
        }
    }

    pub(super) fn span(&self, tone: Tone, text: impl Into<String>) -> Span<'static> {
        Span::styled(text.into(), self.style(tone))
    }
}

/// Draws `snapshot`.
pub fn draw(frame: &mut Frame, snapshot: &Snapshot, look: &mut Look) {
    let mut left = frame.area();
    let header_rows = if left.height < 8 { 1 } else { 2 };
    let header = take(&mut left, header_rows);
    let footer_rows = u16::from(left.height > 0);
    let footer = Rect { y: left.bottom() - footer_rows, height: footer_rows, ..left };
    left.height -= footer_rows;

    // Joints come first, then the timing, then what happened; what has no room is left out.
    let all = snapshot.subject.joints.len() as u16 + 1;
    let panel_rows = match left.height {
        0..10 => 0,
        10..34 => panels::ROWS,
        _ => panels::ROWS_WITH_PHASES,
    };
    let happening_rows = if left.height >= panel_rows + 6 { 3 } else { 0 };
    let joint_rows = all.min(left.height - panel_rows - happening_rows);
    let table = take(&mut left, joint_rows);
    let panel = take(&mut left, panel_rows);

    frame.render_widget(Paragraph::new(title(snapshot, look)), header);
    joints::draw(frame, table, snapshot, look);
    panels::draw(frame, panel, snapshot, look);
    panels::happenings(frame, left, snapshot, look);
    frame.render_widget(Paragraph::new(keys(look)), footer);
    if look.help {
        help(frame);
    }
}

/// Takes up to `rows` rows off the top.
fn take(left: &mut Rect, rows: u16) -> Rect {
    let rows = rows.min(left.height);
    let taken = Rect { height: rows, ..*left };
    left.y += rows;
    left.height -= rows;
    taken
}

fn title(snapshot: &Snapshot, look: &Look) -> Vec<Line<'static>> {
    let (subject, news) = (&snapshot.subject, &snapshot.news);
    let Some(sample) = &news.latest else {
        return vec![Line::from(format!("{} waits for its first cycle", subject.run))];
    };
    let state = sample.outcome.state;
    let tone = match state {
        ArmState::Disarmed => Tone::Plain,
        ArmState::Running => Tone::Good,
        ArmState::Holding | ArmState::Stopping => Tone::Notice,
        ArmState::Faulted => Tone::Bad,
    };
    let why = match (sample.cause, sample.hold) {
        (Some(cause), _) => format!(": {}", cause.message()),
        (None, Some(hold)) => format!(": {}", hold.message()),
        (None, None) => String::new(),
    };
    let now = sample.tick.scheduled;
    let elapsed = now.since(news.began).as_secs_f64();
    let remaining = match news.drove {
        _ if sample.cause.is_some() => String::new(),
        None => format!(", {:.1} s to drive", subject.duration.as_secs_f64()),
        Some(drove) => {
            let left = subject.duration.saturating_sub(now.since(drove));
            format!(", {:.1} s left", left.as_secs_f64())
        }
    };
    let bold = look.style(tone).add_modifier(Modifier::BOLD);
    let first = Line::from(vec![
        Span::styled(format!("{}{why}", state.name().to_uppercase()), bold),
        look.span(Tone::Plain, format!("  {elapsed:.1} s{remaining}")),
    ]);
    let mut second = vec![look.span(Tone::Plain, format!("{}  {}  ", subject.run, subject.robot))];
    if snapshot.silence.as_secs_f64() > 1.0 {
        let text = format!("NO NEWS FOR {:.1} s  ", snapshot.silence.as_secs_f64());
        second.insert(0, look.span(Tone::Bad, text));
    }
    second.push(recording(snapshot, look));
    vec![first, Line::from(second)]
}

fn recording(snapshot: &Snapshot, look: &Look) -> Span<'static> {
    let news = &snapshot.news;
    let (frames, records) = snapshot.inbox_dropped;
    let mut losses = Vec::new();
    for (count, what) in [
        (news.dropped, "cycle samples dropped"),
        (frames, "frames dropped"),
        (records, "records dropped"),
        (news.unwritten, "unwritten"),
    ] {
        if count > 0 {
            losses.push(format!("{count} {what}"));
        }
    }
    match &news.fault {
        Some(fault) => {
            losses.push(fault.clone());
            look.span(Tone::Bad, format!("recording: {}", losses.join(", ")))
        }
        None if losses.is_empty() => look.span(Tone::Good, "recording ok"),
        None => look.span(Tone::Notice, format!("recording: {}", losses.join(", "))),
    }
}

fn keys(look: &Look) -> Line<'static> {
    let text = match look.request {
        OperatorRequest::None => " s or Ctrl-C: ramp to rest   ↑↓: joints   ?: keys",
        OperatorRequest::Stop => " asked to stop   s or Ctrl-C once more: torque off   ?: keys",
        OperatorRequest::TorqueOff => " asked for torque off",
    };
    let tone = if look.request == OperatorRequest::None { Tone::Faint } else { Tone::Notice };
    Line::from(look.span(tone, text))
}

const HELP: [&str; 8] = [
    "s, q, Ctrl-C   ramp to rest and end the run",
    "the same again torque off: a second Ctrl-C at",
    "               once, s or q after a second",
    "↑ ↓, j k       scroll the joints",
    "PgUp PgDn      by ten",
    "Ctrl-L         draw the screen anew",
    "?, h           close this",
    "◆ commanded  ● measured, inside its limits",
];

fn help(frame: &mut Frame) {
    let area = frame.area();
    let (width, height) = (49.min(area.width), (HELP.len() as u16 + 2).min(area.height));
    let (x, y) = ((area.width - width) / 2, (area.height - height) / 2);
    let area = Rect { x: area.x + x, y: area.y + y, width, height };
    frame.render_widget(Clear, area);
    let block = Block::bordered().title(" keys ");
    frame.render_widget(Paragraph::new(HELP.map(Line::from).to_vec()).block(block), area);
}
