//! Copper and rsruckig at the same work as sinew. One cell per call, one JSON line per cell;
//! `run.sh` lets the cells take turns and prints the table. See README.md.

mod copper;
mod ours;
mod table;
mod targets;
mod tasks;

use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use serde_json::{Value, json};
use sinew::config::{RealtimeConfig, RealtimeMode};
use sinew::pacing::Distribution;

/// What one cell is asked to do.
pub struct Cell {
    /// Cycles to run.
    pub cycles: u64,
    /// At 1 kHz, or one after the other.
    pub paced: bool,
    /// Where the log goes; a folder that does not exist yet.
    pub folder: PathBuf,
    /// Class and locked memory.
    pub realtime: RealtimeConfig,
}

/// Joints of the arm.
pub const JOINTS: usize = 7;

fn main() -> ExitCode {
    let words: Vec<String> = std::env::args().skip(1).collect();
    let words: Vec<&str> = words.iter().map(String::as_str).collect();
    let answer = match words.as_slice() {
        ["targets"] => targets::compare(),
        ["table", file] => table::print(file),
        [who @ ("sinew" | "copper"), pace, class, cycles, folder] => {
            cell(pace, class, cycles, folder).and_then(|cell| {
                let row = if *who == "sinew" { ours::run(&cell) } else { copper::run(&cell) }?;
                println!("{row}");
                Ok(())
            })
        }
        _ => Err("usage: sinew-peers targets | table FILE | \
                  (sinew | copper) (flat | 1khz) (fifo | other) CYCLES FOLDER"
            .to_owned()),
    };
    match answer {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error}");
            ExitCode::FAILURE
        }
    }
}

fn cell(pace: &str, class: &str, cycles: &str, folder: &str) -> Result<Cell, String> {
    let mode = match class {
        "fifo" => RealtimeMode::Enforce,
        "other" => RealtimeMode::Off,
        _ => return Err(format!("{class}: fifo or other")),
    };
    let paced = match pace {
        "1khz" => true,
        "flat" => false,
        _ => return Err(format!("{pace}: flat or 1khz")),
    };
    let cycles = cycles.parse().map_err(|_| format!("{cycles}: not a number of cycles"))?;
    let realtime = RealtimeConfig { mode, ..RealtimeConfig::default() };
    Ok(Cell { cycles, paced, folder: folder.into(), realtime })
}

/// Lateness of every period that was due: a wake-up `late` after the earliest of `lost + 1`
/// periods counts for each of them.
pub fn count_late(lateness: &mut Distribution, late_ns: u64, lost: u64) {
    for periods in 0..=lost {
        lateness.record(Duration::from_nanos(late_ns.saturating_sub(periods * 1_000_000)));
    }
}

/// A distribution as JSON, in µs.
pub fn figures(distribution: &Distribution) -> Value {
    json!(distribution.summary())
}
