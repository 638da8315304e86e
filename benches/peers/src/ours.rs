//! A cell of ours: the control loop with ring, recorder thread and journal.

use serde_json::{Value, json};
use sinew::bench::{Logging, Motion, Pace, Rig};
use sinew::pacing::Distribution;
use sinew::realtime;
use sinew_episodes::journal::{FILE_NAME, Reader, Record};

use crate::{Cell, JOINTS, count_late, figures};

pub fn run(cell: &Cell) -> Result<Value, String> {
    let process = realtime::prepare_process(&cell.realtime);
    process.grants.require(cell.realtime.mode).map_err(|error| error.to_string())?;
    let pace = if cell.paced { Pace::Timer } else { Pace::FlatOut };
    let rig = Rig { joints: JOINTS, motion: Motion::JerkLimited, pace, logging: Logging::On };
    let turn =
        rig.turn(cell.cycles, &cell.folder, &cell.realtime).map_err(|error| error.to_string())?;
    drop(process);
    let statistics = &turn.statistics;
    let mut lateness = Distribution::new();
    let (mut lost, mut next) = (0, 0);
    let reader = Reader::open(&cell.folder.join(FILE_NAME)).map_err(|error| error.to_string())?;
    for record in reader {
        let Record::Cycle(cycle) = record.map_err(|error| error.to_string())? else { continue };
        // Dropped samples are no lost periods; they make gaps only where some were dropped.
        let skipped = if statistics.dropped_samples == 0 { cycle.index - next } else { 0 };
        let late = cycle.woke_ns.saturating_sub(cycle.scheduled_ns);
        count_late(&mut lateness, late + skipped * 1_000_000, skipped);
        lost += skipped;
        next = cycle.index + 1;
    }
    Ok(json!({
        "who": "sinew",
        "paced": cell.paced,
        "class": turn.class,
        "cycles": statistics.cycle.summary().n,
        "response": figures(&statistics.response),
        "cycle": figures(&statistics.cycle),
        "lateness": cell.paced.then(|| figures(&lateness)),
        "lost": lost,
        "lost_reported": statistics.missed,
        "dropped": statistics.dropped_samples + turn.recorder.unwritten,
        "read_back": turn.recorded,
        "log_bytes": turn.journal_bytes,
        "record_bytes": turn.journal_bytes as f64 / turn.recorded.max(1) as f64,
    }))
}
