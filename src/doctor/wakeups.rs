//! How late a thread wakes: the loop's own timer next to the plain system call, in the normal
//! class and in SCHED_FIFO, in short turns one after the other, so that a noisy moment meets all.

use std::time::Duration;
use std::{io, thread};

use rustix::io::Errno;
use rustix::thread::{ClockId, clock_nanosleep_absolute, set_current_timer_slack};
use rustix::time::{Timespec, clock_gettime};
use serde::Serialize;
use sinew_firmware_interfaces::MonotonicClock;

use super::check::{Area, Check, Verdict};
use super::system::System;
use crate::config::RealtimeConfig;
use crate::pacing::{Distribution, DistributionSummary, TimerPacer};
use crate::realtime::{self, Role};

/// Ticks a second.
const RATE_HZ: u64 = 1000;
const PERIOD_NS: u64 = 1_000_000_000 / RATE_HZ;

/// One turn of one variant, in ticks.
const TURN: u64 = 250;

/// Busy wait before a tick: the default of `run.spin_us`.
const SPIN: Duration = Duration::from_micros(50);

/// Lateness that a 1 kHz loop bears at one tick in a thousand, in µs.
const BEARABLE_US: f64 = 100.0;

/// What was measured.
#[derive(Clone, Debug, Serialize)]
pub struct WakeUps {
    /// Ticks a second.
    pub rate_hz: u64,
    /// How long it took, in s.
    pub seconds: f64,
    /// One line each.
    pub rows: Vec<WakeUpRow>,
    /// Share of the CPUs' time that a host took away meanwhile, in percent; absent where the
    /// kernel does not say.
    pub stolen_percent: Option<f64>,
    /// What it means.
    pub check: Check,
}

/// One variant.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct WakeUpRow {
    /// How it waits: `sinew` (sleep, then spin for at most 50 µs) or `clock_nanosleep`.
    pub timer: &'static str,
    /// Scheduling class.
    pub class: String,
    /// Wake after the tick was due, for every tick that was due: one that was missed counts from
    /// when it was due to the wake-up that came in its place.
    pub lateness: DistributionSummary,
    /// Ticks that were due, served and missed.
    pub due: u64,
    /// Ticks whose whole period passed.
    pub missed: u64,
    /// CPU time of the thread, in percent of one CPU.
    pub cpu_percent: f64,
}

/// How to wait.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Timer {
    Sinew,
    Nanosleep,
}

struct Variant {
    timer: Timer,
    fifo: bool,
    lateness: Distribution,
    missed: u64,
    cpu_ns: u64,
    wall_ns: u64,
    /// The class that the thread was in; `None` if it was not the one it should have been in.
    class: Option<String>,
}

pub(super) fn measure(
    system: &System,
    config: &RealtimeConfig,
    seconds: f64,
) -> io::Result<WakeUps> {
    let fifo = realtime::rehearse(config, Role::Control)?
        .grants
        .0
        .iter()
        .any(|grant| grant.what == realtime::Facility::Scheduler && grant.is_granted());
    let classes: &[bool] = if fifo { &[false, true] } else { &[false] };
    let mut variants: Vec<Variant> = classes
        .iter()
        .flat_map(|&fifo| [Timer::Sinew, Timer::Nanosleep].map(|timer| Variant::new(timer, fifo)))
        .collect();
    let turns = seconds * RATE_HZ as f64 / TURN as f64;
    let rounds = (turns / variants.len() as f64).round().max(1.0) as u64;
    let before = system.text("proc/stat");
    let began = nanos(ClockId::Monotonic);
    for round in 0..rounds {
        for index in 0..variants.len() {
            // Forwards and backwards in turn, so that nobody always follows the same one.
            let index = if round % 2 == 0 { index } else { variants.len() - 1 - index };
            let variant = &mut variants[index];
            // The scope waits for the thread; a panic over there is one over here.
            thread::scope(|scope| {
                let builder = thread::Builder::new().name("wake-ups".to_owned());
                builder.spawn_scoped(scope, || variant.turn(config)).map(|_| ())
            })?;
        }
    }
    let seconds = (nanos(ClockId::Monotonic) - began) as f64 / 1e9;
    let rows: Vec<WakeUpRow> = variants.iter().filter_map(Variant::row).collect();
    let stolen_percent = before.zip(system.text("proc/stat")).and_then(|(a, b)| stolen(&a, &b));
    let check = judge(&rows, stolen_percent);
    Ok(WakeUps { rate_hz: RATE_HZ, seconds, rows, stolen_percent, check })
}

impl Variant {
    fn new(timer: Timer, fifo: bool) -> Self {
        let lateness = Distribution::new();
        Self { timer, fifo, lateness, missed: 0, cpu_ns: 0, wall_ns: 0, class: None }
    }

    /// One turn, on a thread of its own.
    fn turn(&mut self, config: &RealtimeConfig) {
        if self.fifo {
            realtime::prepare_thread(config, Role::Control);
        } else {
            // As a run has it that gets no class. Where it is refused, wake-ups are just later.
            let _ =
                set_current_timer_slack(std::num::NonZeroU64::new(config.timer_slack_ns.into()));
        }
        self.class = realtime::current_class().map(|class| class.to_string());
        let (cpu, wall) = (nanos(ClockId::ThreadCPUTime), nanos(ClockId::Monotonic));
        match self.timer {
            Timer::Sinew => self.sinew(),
            Timer::Nanosleep => self.nanosleep(),
        }
        self.cpu_ns += nanos(ClockId::ThreadCPUTime).saturating_sub(cpu);
        self.wall_ns += nanos(ClockId::Monotonic).saturating_sub(wall);
    }

    fn sinew(&mut self) {
        let mut pacer = TimerPacer::new(MonotonicClock::new(), RATE_HZ as f64, SPIN);
        loop {
            let tick = pacer.tick();
            let late = tick.woke.since(tick.scheduled).as_nanos() as u64;
            self.count(late + tick.missed * PERIOD_NS, tick.missed);
            if tick.index + 1 >= TURN {
                return;
            }
        }
    }

    fn nanosleep(&mut self) {
        let origin = nanos(ClockId::Monotonic) + PERIOD_NS;
        let mut index = 0;
        while index < TURN {
            let due = origin + index * PERIOD_NS;
            let late = sleep_until(due).saturating_sub(due);
            let missed = late / PERIOD_NS;
            self.count(late, missed);
            index += 1 + missed;
        }
    }

    /// A wake-up `late_ns` after the earliest of the `missed + 1` ticks that it came for.
    fn count(&mut self, late_ns: u64, missed: u64) {
        for periods in 0..=missed {
            let late = late_ns.saturating_sub(periods * PERIOD_NS);
            self.lateness.record(Duration::from_nanos(late));
        }
        self.missed += missed;
    }

    fn row(&self) -> Option<WakeUpRow> {
        let lateness = self.lateness.summary();
        Some(WakeUpRow {
            timer: match self.timer {
                Timer::Sinew => "sinew",
                Timer::Nanosleep => "clock_nanosleep",
            },
            class: self.class.clone()?,
            lateness,
            due: lateness.n,
            missed: self.missed,
            cpu_percent: 100.0 * self.cpu_ns as f64 / self.wall_ns.max(1) as f64,
        })
    }
}

/// Sleeps until `due` on the monotonic clock, in ns; returns the time it woke.
fn sleep_until(due: u64) -> u64 {
    let request =
        Timespec { tv_sec: (due / 1_000_000_000) as i64, tv_nsec: (due % 1_000_000_000) as i64 };
    // A signal ends the sleep early.
    while clock_nanosleep_absolute(ClockId::Monotonic, &request) == Err(Errno::INTR) {}
    nanos(ClockId::Monotonic)
}

fn nanos(clock: ClockId) -> u64 {
    let time = clock_gettime(clock);
    (time.tv_sec.max(0) as u64) * 1_000_000_000 + time.tv_nsec.max(0) as u64
}

/// Share of time that was stolen between two readings of `/proc/stat`, in percent. The first line
/// is `cpu user nice system idle iowait irq softirq steal …`.
pub(super) fn stolen(before: &str, after: &str) -> Option<f64> {
    let read = |text: &str| -> Option<(u64, u64)> {
        let fields = text.lines().next()?.strip_prefix("cpu ")?.split_ascii_whitespace();
        let fields: Vec<u64> = fields.map(|field| field.parse().ok()).collect::<Option<_>>()?;
        // What follows steal (guest time) is part of user and nice.
        let all = fields.iter().take(8).try_fold(0u64, |sum, field| sum.checked_add(*field))?;
        Some((*fields.get(7)?, all))
    };
    let ((stolen_before, all_before), (stolen_after, all_after)) = (read(before)?, read(after)?);
    let all = all_after.checked_sub(all_before).filter(|all| *all > 0)?;
    // The kernel's counters do not grow all at once: between them some run backwards.
    let stolen = stolen_after.checked_sub(stolen_before).filter(|stolen| *stolen <= all)?;
    Some(100.0 * stolen as f64 / all as f64)
}

/// Judges what a run would get: our timer in the best class there is.
fn judge(rows: &[WakeUpRow], stolen_percent: Option<f64>) -> Check {
    const NAME: &str = "lateness";
    let Some(row) = rows.iter().rfind(|row| row.timer == "sinew") else {
        return Check::other(Area::WakeUps, NAME, Verdict::Unknown, "not measured", "mount /proc");
    };
    let found = format!(
        "{}: {} of {} ticks missed, p99.9 {:.0} µs",
        row.class, row.missed, row.due, row.lateness.p999_us
    );
    if row.missed == 0 && row.lateness.p999_us <= BEARABLE_US {
        return Check::ok(Area::WakeUps, NAME, found);
    }
    let remedy = if stolen_percent.is_some_and(|percent| percent >= 0.1) {
        "a host takes CPUs away: see machine above"
    } else if row.class.starts_with("SCHED_FIFO") {
        "see kernel, idle states and isolated CPUs above"
    } else {
        "see SCHED_FIFO above"
    };
    let found = format!("{found}; a 1 kHz loop wants none and {BEARABLE_US} µs");
    Check::other(Area::WakeUps, NAME, Verdict::Warn, found, remedy)
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;

    fn row(timer: &'static str, class: &str, missed: u64, p999_us: f64) -> WakeUpRow {
        let lateness = DistributionSummary { n: 1000, p999_us, ..Default::default() };
        WakeUpRow {
            timer,
            class: class.to_owned(),
            lateness,
            due: 1000 + missed,
            missed,
            cpu_percent: 1.0,
        }
    }

    #[test]
    fn both_timers_are_measured_in_each_class_that_is_granted() {
        let system = System::new(Path::new("/"));
        let measured = measure(&system, &RealtimeConfig::default(), 0.0).unwrap();
        assert!(matches!(measured.rows.len(), 2 | 4));
        for row in &measured.rows {
            assert!(row.due > row.missed);
            assert!(row.due >= TURN && row.lateness.max_us > 0.0 && row.cpu_percent > 0.0);
        }
        let fifo = measured.rows.iter().filter(|row| row.class.starts_with("SCHED_FIFO")).count();
        assert_eq!(fifo, measured.rows.len() - 2);
    }

    #[test]
    fn a_late_wake_up_counts_for_each_tick_that_it_is_late_for() {
        let woke = sleep_until(nanos(ClockId::Monotonic) + 2_000_000);
        assert!(woke <= nanos(ClockId::Monotonic));
        let mut variant = Variant::new(Timer::Nanosleep, false);
        variant.count(3 * PERIOD_NS + 5, 3);
        variant.class = Some("SCHED_OTHER".to_owned());
        let row = variant.row().unwrap();
        assert_eq!((row.due, row.missed), (4, 3));
        assert!((row.lateness.max_us - 3000.0).abs() < 5.0);
        assert!((row.lateness.p50_us - 1000.0).abs() < 5.0);
    }

    #[test]
    fn stolen_time_is_a_share_of_all_time() {
        let before = "cpu  10 0 10 70 0 0 0 10 99 0\ncpu0 1 1\n";
        let after = "cpu  20 0 20 150 0 0 0 30 99 0\n";
        let percent = stolen(before, after).unwrap();
        assert!((percent - 100.0 * 20.0 / 120.0).abs() < 1e-9);
        assert_eq!(stolen(before, before), None);
        assert_eq!(stolen("cpu  1 2 3", after), None);
        assert_eq!(stolen("", after), None);
    }

    #[test]
    fn our_timer_in_the_best_class_is_judged() {
        let rows = [
            row("sinew", "SCHED_OTHER", 9, 4000.0),
            row("clock_nanosleep", "SCHED_OTHER", 9, 4000.0),
            row("sinew", "SCHED_FIFO 80", 0, 60.0),
            row("clock_nanosleep", "SCHED_FIFO 80", 9, 4000.0),
        ];
        assert_eq!(judge(&rows, None).verdict, Verdict::Ok);
        let check = judge(&rows[..2], Some(0.0));
        assert_eq!(check.verdict, Verdict::Warn);
        assert!(check.remedy.unwrap().contains("SCHED_FIFO"));
        assert!(judge(&rows[..2], Some(3.0)).remedy.unwrap().contains("host"));
        assert_eq!(judge(&[], None).verdict, Verdict::Unknown);
    }
}
