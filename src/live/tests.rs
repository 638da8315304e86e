use std::time::Duration;

use ratatui::Terminal;
use ratatui::backend::TestBackend;
use ratatui::style::Color;
use sinew_episodes::journal::{ClampCause, Phases};
use sinew_firmware_interfaces::{LinkStatus, MAX_JOINTS, State, Timestamp};

use super::feed::Feed;
use super::view::{Look, draw};
use super::{Snapshot, Subject, SubjectJoint};
use crate::cycle::{CycleInputs, OperatorRequest, Outcome};
use crate::pacing::Tick;
use crate::recording::CycleSample;
use crate::supervision::{ArmState, HoldCause, StopCause};

const PERIOD: Duration = Duration::from_millis(10);

fn subject(joints: usize) -> Subject {
    let joint = |index| SubjectJoint {
        name: format!("joint{}", index + 1),
        unit: "rad",
        range: [-2.0, 2.0],
        tracking: 0.3,
        judged: true,
    };
    Subject {
        run: "20260101-000000-bench".to_owned(),
        robot: "mock".to_owned(),
        joints: (0..joints).map(joint).collect(),
        period: PERIOD,
        duration: Duration::from_secs(10),
        state_hold: Duration::from_millis(100),
        state_ramp: Duration::from_millis(500),
    }
}

/// The cycle at tick `index`, 50 µs late and 40 µs long but for its record, running.
fn sample(index: u64) -> CycleSample {
    let scheduled = Timestamp::from_nanos((index + 1) * PERIOD.as_nanos() as u64);
    let woke = scheduled.after(Duration::from_micros(50));
    let measured = Timestamp::from_nanos(scheduled.as_nanos() - 5_060_000);
    let mut state = State { link: LinkStatus::Up, epoch: 1, ..State::default() };
    state.captured = [measured; MAX_JOINTS];
    CycleSample {
        tick: Tick { index, scheduled, woke, missed: 0 },
        phases: Phases {
            read: 10_000,
            decide: 20_000,
            write: 10_000,
            record: 3_000,
            ..Phases::default()
        },
        inputs: CycleInputs { operator: OperatorRequest::None, ..CycleInputs::default() },
        state,
        outcome: Outcome {
            state: ArmState::Running,
            observed: Some(measured),
            ..Outcome::default()
        },
        hold: None,
        cause: None,
        chunk: 0,
    }
}

/// A feed of `cycles` uneventful cycles.
fn fed(joints: usize, cycles: u64) -> Feed {
    let mut feed = Feed::new(subject(joints));
    (0..cycles).for_each(|index| feed.sample(&sample(index)));
    feed
}

fn at(feed: &Feed) -> Snapshot {
    let now = feed.snapshot(Timestamp::ZERO).news.latest.map_or(Timestamp::ZERO, |it| it.tick.woke);
    feed.snapshot(now)
}

fn drawn(snapshot: &Snapshot, look: &mut Look, width: u16, height: u16) -> TestBackend {
    let mut terminal = Terminal::new(TestBackend::new(width, height)).unwrap();
    terminal.draw(|frame| draw(frame, snapshot, look)).unwrap();
    terminal.backend().clone()
}

fn screen(snapshot: &Snapshot, width: u16, height: u16) -> String {
    drawn(snapshot, &mut Look::new(true), width, height).to_string()
}

fn assert_has(screen: &str, texts: &[&str]) {
    for text in texts {
        assert!(screen.contains(text), "`{text}` is missing in\n{screen}");
    }
}

#[test]
fn counters_add_up_over_a_sequence_of_cycles() {
    let mut feed = fed(3, 10);
    let mut clamped = sample(10);
    clamped.outcome.clamps[1] = ClampCause::Velocity.bit() | ClampCause::Jerk.bit();
    clamped.state.substituted = 0b1;
    clamped.chunk = 4;
    feed.sample(&clamped);
    // Two periods without a cycle, then one whose sample found no room in the ring.
    let mut late = sample(13);
    late.tick.missed = 2;
    late.tick.woke = late.tick.woke.after(Duration::from_millis(12));
    feed.sample(&late);
    feed.sample(&sample(15));
    feed.sample(&sample(16));

    let Snapshot { news, lateness, cycle, .. } = at(&feed);
    assert_eq!((news.cycles, news.missed, news.dropped, news.substituted), (14, 2, 1, 1));
    assert_eq!(news.chunks, (1, Some(clamped.tick.woke)));
    assert_eq!(news.clamps[1][ClampCause::Velocity as usize].total, 1);
    assert_eq!(news.clamps[1][ClampCause::Jerk as usize].last, clamped.tick.woke);
    assert!(news.clamps[0].iter().all(|count| count.total == 0));
    assert_eq!(lateness.n, 14);
    assert!((lateness.max_us - 12_050.0).abs() < 20.0, "{lateness:?}");
    // The last cycle has not ended, and the one before the dropped sample never told.
    assert_eq!(cycle.n, 12);
    assert!((cycle.p50_us - 43.0).abs() < 0.1, "{cycle:?}");
    // The late cycle is the one whose end nobody reported.
    assert_eq!(news.overruns, 0);
    assert_eq!(news.drove, Some(sample(0).tick.scheduled));
}

#[test]
fn a_cycle_that_ends_after_the_next_tick_is_an_overrun() {
    let mut feed = fed(1, 3);
    let mut slow = sample(3);
    slow.phases.write = 9_960_000;
    feed.sample(&slow);
    assert_eq!(at(&feed).news.overruns, 0);
    feed.sample(&sample(4));
    assert_eq!(at(&feed).news.overruns, 1);
}

#[test]
fn the_window_forgets_what_is_older_than_five_seconds() {
    let mut feed = fed(1, 1);
    let mut late = sample(1);
    late.tick.woke = late.tick.woke.after(Duration::from_millis(3));
    feed.sample(&late);
    (2..450).for_each(|index| feed.sample(&sample(index)));
    assert_has(&screen(&at(&feed), 80, 24), &["lateness 5 s   50.0 µs   50.0 µs    3.0 ms"]);
    (450..1000).for_each(|index| feed.sample(&sample(index)));
    let snapshot = at(&feed);
    assert_eq!(snapshot.news.window.len(), 501);
    assert_has(
        &screen(&snapshot, 80, 24),
        &["lateness 5 s   50.0 µs   50.0 µs   50.0 µs", "run   50.0 µs   50.0 µs    3.1 ms"],
    );
}

#[test]
fn missed_periods_share_a_line_and_old_happenings_go() {
    let mut feed = fed(1, 1);
    for index in 0..200 {
        feed.happening(Timestamp::ZERO, "overrun", &format!("1 periods before cycle {index}"));
    }
    let happenings = at(&feed).news.happenings;
    assert_eq!((happenings.len(), happenings[0].times), (1, 200));
    assert_has(&screen(&at(&feed), 80, 24), &["before cycle 199 (200 times in a row)"]);
    (0..70).for_each(|index| feed.happening(Timestamp::ZERO, "link", &index.to_string()));
    let happenings = at(&feed).news.happenings;
    assert_eq!((happenings.len(), happenings[49].message.as_str()), (50, "69"));
}

#[test]
fn at_80_by_24_everything_has_its_place() {
    let mut feed = fed(7, 300);
    let mut last = sample(300);
    last.state.position[2] = 1.0;
    last.outcome.limited[2] = 1.2;
    last.state.position[3] = 2.5;
    last.state.substituted = 0b1_0000;
    last.outcome.clamps[3] = ClampCause::Position.bit();
    feed.sample(&last);
    feed.happening(last.tick.scheduled, "state", "holding → running: a target speaks");
    let screen = screen(&at(&feed), 80, 24);
    assert_has(
        &screen,
        &[
            "RUNNING  3.0 s, 7.0 s left",
            "20260101-000000-bench  mock  recording ok",
            "joint1",
            "joint7",
            "-0.2000",
            "▶  +2.5000 pos 1",
            "~0.0000",
            "timing at 100 Hz, 100.0 in 5 s",
            "lateness 5 s",
            "cycle    5 s   43.0 µs",
            "0 missed, 0 overruns, 301 cycles",
            "state       5.1 ms, max 5.1 ms",
            "observation 5.1 ms, max 5.1 ms",
            "link        up, connection 1",
            "3.00 s  state       holding → running",
            "s or Ctrl-C: ramp to rest",
        ],
    );
    assert_eq!(screen.matches('●').count(), 6, "one is outside its limits\n{screen}");
}

#[test]
fn a_large_screen_shows_the_parts_of_the_cycle_and_32_joints() {
    let screen = screen(&at(&fed(32, 100)), 160, 60);
    assert_has(&screen, &["joint1 ", "joint32", "read     5 s", "record   5 s", "events"]);
}

#[test]
fn joints_without_room_are_reached_by_scrolling() {
    let snapshot = at(&fed(32, 100));
    let mut look = Look::new(true);
    let top = drawn(&snapshot, &mut look, 80, 24).to_string();
    assert_has(&top, &["1-10/32", "joint1 ", "timing", "events"]);
    assert!(!top.contains("joint11"));
    look.scroll = 1000;
    let bottom = drawn(&snapshot, &mut look, 80, 24).to_string();
    assert_has(&bottom, &["23-32/32", "joint32"]);
    assert_eq!(look.scroll, 22);
}

#[test]
fn what_is_wrong_is_said_in_the_header() {
    let mut feed = fed(2, 10);
    let mut holding = sample(10);
    holding.outcome.state = ArmState::Holding;
    holding.hold = Some(HoldCause::LinkDown);
    holding.state.link = LinkStatus::Down;
    feed.sample(&holding);
    assert_has(
        &screen(&at(&feed), 100, 24),
        &[&format!("HOLDING: {}", HoldCause::LinkDown.message())],
    );
    let mut stopping = sample(11);
    stopping.outcome.state = ArmState::Stopping;
    stopping.cause = Some(StopCause::TrackingError);
    feed.sample(&stopping);
    let mut snapshot = feed.snapshot(stopping.tick.woke.after(Duration::from_millis(2500)));
    snapshot.inbox_dropped = (3, 0);
    snapshot.news.fault = Some("no space left".to_owned());
    assert_has(
        &screen(&snapshot, 100, 24),
        &[
            "STOPPING: the arm did not follow its commands",
            "NO NEWS FOR 2.5 s",
            "recording: 3 frames dropped, no space left",
        ],
    );
}

#[test]
fn the_footer_says_what_the_next_press_does() {
    let snapshot = at(&fed(2, 10));
    let mut look = Look::new(true);
    look.request = OperatorRequest::Stop;
    let text = drawn(&snapshot, &mut look, 80, 24).to_string();
    assert_has(&text, &["once more: torque off"]);
    look.help = true;
    assert_has(
        &drawn(&snapshot, &mut look, 80, 24).to_string(),
        &["s, q, Ctrl-C", "torque off: a"],
    );
}

#[test]
fn without_colour_no_cell_has_one() {
    let mut feed = fed(7, 10);
    let mut last = sample(10);
    last.state.position[0] = 9.0;
    last.outcome.clamps = [ClampCause::Velocity.bit(); MAX_JOINTS];
    feed.sample(&last);
    feed.happening(last.tick.woke, "fault", "broken");
    let snapshot = at(&feed);
    let colours = |colour| {
        let backend = drawn(&snapshot, &mut Look::new(colour), 100, 40);
        let cells = backend.buffer().content();
        cells.iter().filter(|cell| (cell.fg, cell.bg) != (Color::Reset, Color::Reset)).count()
    };
    assert_eq!(colours(false), 0);
    assert!(colours(true) > 100);
}

#[test]
fn no_size_and_no_number_makes_it_panic() {
    let mut feed = fed(32, 10);
    let mut last = sample(10);
    last.state.position = [f64::NAN; MAX_JOINTS];
    last.state.position[1] = f64::INFINITY;
    last.state.position[2] = -1e300;
    last.outcome.limited[3] = f64::NEG_INFINITY;
    last.outcome.clamps = [u16::MAX; MAX_JOINTS];
    feed.sample(&last);
    feed.happening(Timestamp::ZERO, "console", "tabs\tand\nlines\u{1b}[31m and wide 関節");
    let mut sizes: Vec<(u16, u16)> = (0..=50).flat_map(|w| (0..=12).map(move |h| (w, h))).collect();
    sizes.extend([(10, 3), (79, 23), (500, 2), (3, 200), (400, 120)]);
    for snapshot in [at(&feed), at(&Feed::new(subject(0))), at(&fed(0, 5)), at(&fed(1, 1))] {
        for (width, height) in &sizes {
            for help in [false, true] {
                let mut look = Look { help, scroll: 5, ..Look::new(true) };
                drawn(&snapshot, &mut look, *width, *height);
            }
        }
    }
}
