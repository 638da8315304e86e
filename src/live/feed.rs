//! What the screen knows, gathered on the recorder's thread. It is cheap: a few counters and a
//! ring entry per cycle; percentiles over the last seconds are made from a copy, by the screen.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use sinew_episodes::journal::{ClampCause, EventRecord, Phases};
use sinew_firmware_interfaces::{Clock, Timestamp};

use super::Subject;
use crate::pacing::{Distribution, DistributionSummary};
use crate::recording::{CycleSample, Observer, RecorderInbox};
use crate::supervision::ArmState;

/// What "recent" means to the timing panel.
const WINDOW: Duration = Duration::from_secs(5);
/// Cycles kept for it at most: five seconds at 4 kHz.
const WINDOW_CYCLES: usize = 20_000;
/// Happenings kept.
const HAPPENINGS: usize = 50;

/// One cycle of the last seconds.
#[derive(Clone, Copy, Debug)]
pub struct CycleEntry {
    /// When the thread woke.
    pub woke: Timestamp,
    /// How late, in ns.
    pub lateness: u64,
    /// Durations of the parts; `record` is this cycle's own, once `ended`.
    pub phases: Phases,
    /// False until the next cycle has told how long the record took.
    pub ended: bool,
    /// Age of the oldest judged measurement, in ns.
    pub state_age: u64,
    /// Age of the observation behind the target, in ns.
    pub observation_age: Option<u64>,
}

impl CycleEntry {
    /// Wake to the end of the cycle, in ns.
    pub fn spent(&self) -> u64 {
        let Phases { read, take, decide, write, record, .. } = self.phases;
        [read, take, decide, write, record].into_iter().map(u64::from).sum()
    }
}

/// Something worth a line.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Happening {
    /// When.
    pub at: Timestamp,
    /// Kind, as in the journal; `console` for what the run would have printed.
    pub kind: String,
    /// In words.
    pub message: String,
    /// How often in a row, where only the last of many is kept.
    pub times: u64,
}

/// Clamps of one joint for one cause.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ClampCount {
    /// Cycles so far.
    pub total: u64,
    /// The last of them.
    pub last: Timestamp,
}

/// The part of a feed that is copied out for each frame.
#[derive(Clone, Debug, Default)]
pub struct News {
    /// The latest cycle.
    pub latest: Option<CycleSample>,
    /// When the first tick was due.
    pub began: Timestamp,
    /// When the target source first drove.
    pub drove: Option<Timestamp>,
    /// Cycles of the last seconds.
    pub window: VecDeque<CycleEntry>,
    /// Cycles seen.
    pub cycles: u64,
    /// Periods without a cycle.
    pub missed: u64,
    /// Cycles that ended after the next tick was due.
    pub overruns: u64,
    /// Samples that never arrived: the ring was full.
    pub dropped: u64,
    /// Clamps by joint and cause.
    pub clamps: Vec<[ClampCount; ClampCause::ALL.len()]>,
    /// Chunk take-overs, and the last of them.
    pub chunks: (u64, Option<Timestamp>),
    /// Cycles with a substituted measurement.
    pub substituted: u64,
    /// The last happenings, oldest first.
    pub happenings: VecDeque<Happening>,
    /// Why the recording may be incomplete.
    pub fault: Option<String>,
    /// Records the disk did not take.
    pub unwritten: u64,
}

/// Everything about a run that the screen shows.
#[derive(Debug)]
pub struct Feed {
    subject: Arc<Subject>,
    news: News,
    lateness: Distribution,
    cycle: Distribution,
}

/// A copy of a [`Feed`] at one moment.
#[derive(Clone, Debug)]
pub struct Snapshot {
    /// What stays the same.
    pub subject: Arc<Subject>,
    /// What does not.
    pub news: News,
    /// Wake after the tick was due, over the whole run.
    pub lateness: DistributionSummary,
    /// Wake to the end of the cycle, over the whole run.
    pub cycle: DistributionSummary,
    /// Time since the latest cycle: large when the control thread or the recorder is stuck.
    pub silence: Duration,
    /// Frames and other records for which the recorder had no room.
    pub inbox_dropped: (u64, u64),
}

impl Feed {
    /// A feed that knows nothing yet.
    pub fn new(subject: Subject) -> Self {
        let news =
            News { clamps: vec![Default::default(); subject.joints.len()], ..News::default() };
        Self {
            subject: Arc::new(subject),
            news,
            lateness: Distribution::new(),
            cycle: Distribution::new(),
        }
    }

    /// Takes in one cycle.
    pub fn sample(&mut self, sample: &CycleSample) {
        let tick = sample.tick;
        match &self.news.latest {
            None => self.news.began = tick.scheduled,
            Some(previous) => {
                let steps = tick.index.saturating_sub(previous.tick.index);
                let dropped = steps.saturating_sub(1 + tick.missed);
                self.news.dropped += dropped;
                if dropped == 0 {
                    self.end_previous(sample.phases.record);
                }
            }
        }
        let news = &mut self.news;
        news.cycles += 1;
        news.missed += tick.missed;
        news.substituted += u64::from(sample.state.substituted != 0);
        if sample.chunk != 0 {
            news.chunks = (news.chunks.0 + 1, Some(tick.woke));
        }
        if sample.outcome.state == ArmState::Running && news.drove.is_none() {
            news.drove = Some(tick.scheduled);
        }
        let age = |since: Timestamp| nanos(tick.woke.since(since));
        let mut state_age = 0;
        for (index, joint) in self.subject.joints.iter().enumerate() {
            if joint.judged {
                state_age = state_age.max(age(sample.state.captured[index]));
            }
            let clamps = sample.outcome.clamps[index];
            if clamps != 0 {
                for (cause, count) in ClampCause::ALL.iter().zip(&mut news.clamps[index]) {
                    if clamps & cause.bit() != 0 {
                        *count = ClampCount { total: count.total + 1, last: tick.woke };
                    }
                }
            }
        }
        let lateness = tick.woke.since(tick.scheduled);
        self.lateness.record(lateness);
        let expired = |entry: &CycleEntry| tick.woke.since(entry.woke) > WINDOW;
        while news.window.len() >= WINDOW_CYCLES || news.window.front().is_some_and(expired) {
            news.window.pop_front();
        }
        news.window.push_back(CycleEntry {
            woke: tick.woke,
            lateness: nanos(lateness),
            phases: sample.phases,
            ended: false,
            state_age,
            observation_age: sample.outcome.observed.map(age),
        });
        news.latest = Some(*sample);
    }

    /// The next cycle knows how long the record of the one before took.
    fn end_previous(&mut self, record: u32) {
        if let Some(entry) = self.news.window.back_mut() {
            entry.phases.record = record;
            entry.ended = true;
            let spent = entry.spent();
            self.cycle.record(Duration::from_nanos(spent));
            let late = entry.lateness + spent > nanos(self.subject.period);
            self.news.overruns += u64::from(late);
        }
    }

    /// Takes in something worth a line. Missed periods may come by the hundred: in a row they share
    /// one line.
    pub fn happening(&mut self, at: Timestamp, kind: &str, message: &str) {
        let happenings = &mut self.news.happenings;
        let mut times = 1;
        if kind == "overrun" && happenings.back().is_some_and(|last| last.kind == kind) {
            times += happenings.pop_back().map_or(0, |last| last.times);
        }
        if happenings.len() >= HAPPENINGS {
            happenings.pop_front();
        }
        let (kind, message) = (kind.to_owned(), message.to_owned());
        happenings.push_back(Happening { at, kind, message, times });
    }

    /// A copy for the screen, at `now`.
    pub fn snapshot(&self, now: Timestamp) -> Snapshot {
        let latest = self.news.latest.as_ref();
        Snapshot {
            subject: Arc::clone(&self.subject),
            news: self.news.clone(),
            lateness: self.lateness.summary(),
            cycle: self.cycle.summary(),
            silence: latest.map_or(Duration::ZERO, |sample| now.since(sample.tick.woke)),
            inbox_dropped: (0, 0),
        }
    }
}

/// A feed shared between the recorder's thread and the screen's.
#[derive(Clone)]
pub struct SharedFeed {
    feed: Arc<Mutex<Feed>>,
    clock: Arc<dyn Clock>,
    inbox: RecorderInbox,
    shown: Arc<AtomicBool>,
}

impl SharedFeed {
    /// A feed about `subject` on the run's clock; `inbox` tells what the recorder had no room for.
    pub fn new(subject: Subject, clock: Arc<dyn Clock>, inbox: RecorderInbox) -> Self {
        let feed = Arc::new(Mutex::new(Feed::new(subject)));
        Self { feed, clock, inbox, shown: Arc::default() }
    }

    /// True while a screen shows it: whoever would print, notes instead.
    pub fn is_shown(&self) -> bool {
        self.shown.load(Ordering::Relaxed)
    }

    /// Says whether a screen shows it.
    pub(super) fn set_shown(&self, shown: bool) {
        self.shown.store(shown, Ordering::Relaxed);
    }

    /// Takes in a line that would have been printed.
    pub fn note(&self, text: &str) {
        let now = self.clock.now();
        self.lock().happening(now, "console", text);
    }

    /// A copy for the screen. The lock is held while copying, not while drawing.
    pub fn snapshot(&self) -> Snapshot {
        let now = self.clock.now();
        let mut snapshot = self.lock().snapshot(now);
        snapshot.inbox_dropped = self.inbox.dropped();
        snapshot
    }

    fn lock(&self) -> MutexGuard<'_, Feed> {
        self.feed.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Observer for SharedFeed {
    fn sample(&mut self, sample: &CycleSample) {
        self.lock().sample(sample);
    }

    fn event(&mut self, event: &EventRecord) {
        self.lock().happening(Timestamp::from_nanos(event.at_ns), &event.kind, &event.message);
    }

    fn recording(&mut self, fault: Option<&str>, unwritten: u64) {
        let mut feed = self.lock();
        if feed.news.fault.as_deref() != fault {
            feed.news.fault = fault.map(str::to_owned);
        }
        feed.news.unwritten = unwritten;
    }
}

fn nanos(duration: Duration) -> u64 {
    duration.as_nanos().min(u64::MAX.into()) as u64
}
