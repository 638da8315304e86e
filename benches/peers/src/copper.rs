//! A cell of Copper: its own loop (one iteration, then its own rate limiter), its own log.

use std::path::Path;
use std::time::Instant;

use cu29::curuntime::LoopRateLimiter;
use cu29::prelude::*;
use serde_json::{Value, json};
use sinew::pacing::Distribution;
use sinew::realtime::{self, Role};

use crate::{Cell, count_late, figures, tasks};

#[cfg(not(feature = "tuned"))]
#[copper_runtime(config = "config/default.ron")]
struct Application {}

#[cfg(feature = "tuned")]
#[copper_runtime(config = "config/tuned.ron")]
struct Application {}

const WHO: &str = if cfg!(feature = "tuned") { "copper tuned" } else { "copper" };

/// The log's file: enough for all cycles of a cell.
const SLAB: usize = 256 << 20;

const PERIOD_NS: u64 = 1_000_000;

pub fn run(cell: &Cell) -> Result<Value, String> {
    let text = |error: CuError| error.to_string();
    std::fs::create_dir_all(&cell.folder).map_err(|error| error.to_string())?;
    let path = cell.folder.join("peer.copper");
    let process = realtime::prepare_process(&cell.realtime);
    process.grants.require(cell.realtime.mode).map_err(|error| error.to_string())?;
    let thread = realtime::prepare_thread(&cell.realtime, Role::Control);
    thread.grants.require(cell.realtime.mode).map_err(|error| error.to_string())?;
    tasks::set_up()?;
    let clock = RobotClock::default();
    let application = Application::builder()
        .with_clock(clock.clone())
        .with_log_path(&path, Some(SLAB))
        .map_err(text)?
        .build()
        .map_err(text)?;
    let mut application = application.start().map_err(|error| error.error.to_string())?;
    let (mut response, mut cycle) = (Distribution::new(), Distribution::new());
    let mut lateness = Distribution::new();
    let mut lost = 0;
    let mut limiter = LoopRateLimiter::from_rate_target_hz(1000, &clock).map_err(text)?;
    // The limiter keeps its deadlines to itself: counted along here, as it counts them.
    let mut due = clock.now().as_nanos() + PERIOD_NS;
    let mut periods = 1;
    for _ in 0..cell.cycles {
        tasks::advance(periods);
        let began = Instant::now();
        application.run_one_iteration().map_err(text)?;
        let ended = Instant::now();
        let written = tasks::SHARED.with_borrow(|shared| shared.as_ref().map(|it| it.written));
        response.record(written.unwrap_or(ended).saturating_duration_since(began));
        cycle.record(ended - began);
        if cell.paced {
            limiter.limit(&clock);
            let now = clock.now().as_nanos();
            let late = now.saturating_sub(due);
            let skipped = late / PERIOD_NS;
            count_late(&mut lateness, late, skipped);
            lost += skipped;
            periods = 1 + skipped;
            due += periods * PERIOD_NS;
        }
    }
    let stopped = application.stop().map_err(|error| error.error.to_string())?;
    let mut application = stopped.into_inner();
    let dropped = application.copper_runtime_mut().copperlists_manager.dropped_copperlists_total();
    // Dropping it closes the log.
    drop(application);
    let commands = tasks::commands();
    drop(process);
    let (read_back, first_to_last) = read(&path)?;
    let bytes: u64 = std::fs::read_dir(&cell.folder)
        .map_err(|error| error.to_string())?
        .filter_map(|entry| entry.ok()?.metadata().ok())
        .map(|file| file.len())
        .sum();
    Ok(json!({
        "who": WHO,
        "paced": cell.paced,
        "class": realtime::current_class().map(|class| class.to_string()),
        "cycles": cell.cycles,
        "commands": commands,
        "response": figures(&response),
        "cycle": figures(&cycle),
        "lateness": cell.paced.then(|| figures(&lateness)),
        "lost": lost,
        "lost_reported": Value::Null,
        "dropped": dropped,
        "read_back": read_back,
        "log_span": first_to_last,
        "log_bytes": bytes,
        "record_bytes": record_bytes(),
    }))
}

/// Cycles in the log, by Copper's own reader, and how many there should be from first to last.
fn read(path: &Path) -> Result<(u64, u64), String> {
    let logger = UnifiedLoggerBuilder::new()
        .file_base_name(path)
        .build()
        .map_err(|error| error.to_string())?;
    let UnifiedLogger::Read(logger) = logger else { return Err("a log that reads".to_owned()) };
    let mut reader = UnifiedLoggerIOReader::new(logger, UnifiedLogType::CopperList);
    let (mut count, mut first, mut last) = (0, None, 0);
    loop {
        let list: Result<CopperList<default::CuStampedDataSet>, _> =
            bincode::decode_from_std_read(&mut reader, bincode::config::standard());
        let Ok(list) = list else { break };
        let Some(measured) = list.msgs.0.0.payload() else { break };
        first.get_or_insert(measured.index);
        last = measured.index;
        count += 1;
    }
    Ok((count, first.map_or(0, |first| last - first + 1)))
}

/// Bytes of the two payloads of one cycle as Copper encodes them.
fn record_bytes() -> usize {
    let measured = tasks::Measured {
        index: 5000,
        scheduled_ns: 5_000_000_000,
        woke_ns: 5_000_000_000,
        captured_ns: [5_000_000_000; crate::JOINTS],
        ..Default::default()
    };
    let commanded = tasks::Commanded { observed_ns: 5_000_000_000, ..Default::default() };
    bincode::encode_to_vec((measured, commanded), bincode::config::standard())
        .map_or(0, |bytes| bytes.len())
}
