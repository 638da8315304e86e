//! Parts of the cycle alone, in batches: a single one is shorter than a look at the clock.

use std::hint::black_box;
use std::time::{Duration, Instant};

use serde::Serialize;
use sinew_episodes::journal::{CycleRecord, FILE_NAME, Writer};
use sinew_firmware_interfaces::{MAX_JOINTS, State, Timestamp};

use super::BenchError;
use super::rig::{Folder, Logging, Motion, Pace, Rig, settings};
use crate::actuation::TargetGenerator;
use crate::limits::{Finite, Gate};
use crate::recording::{CycleSample, RecorderError, SampleSink};

/// Joints of the arm.
const JOINTS: usize = 7;
/// Calls between two looks at the clock.
const BATCH: u32 = 100;
/// Batches of one journal before a new one is begun: it must not grow without end.
const JOURNAL: u32 = 1000;
/// The cycle's time, in s.
const DT: f64 = 1e-3;

/// One part.
#[derive(Clone, Debug, Serialize)]
pub struct PartRow {
    /// Its name.
    pub name: &'static str,
    /// What one call is.
    pub call: &'static str,
    /// Calls.
    pub n: u64,
    /// Median over batches of the time of one call, in ns.
    pub p50_ns: f64,
    /// 99th percentile over batches, in ns.
    pub p99_ns: f64,
    /// The slowest batch, in ns per call.
    pub max_ns: f64,
    /// Calls per second, over all the time.
    pub calls_per_s: f64,
    /// Bytes per second where bytes are written.
    pub bytes_per_s: Option<f64>,
}

/// Measures one part for about `seconds`, shared by its variants.
pub(super) fn measure(
    name: &str,
    seconds: f64,
    folder: &Folder,
) -> Result<Vec<PartRow>, BenchError> {
    Ok(match name {
        "gate" => gates(seconds),
        "generator" => vec![generator(seconds)],
        "ring" => vec![ring(seconds)],
        "journal" => vec![journal(seconds, folder)?],
        _ => Vec::new(),
    })
}

/// Calls `body` in batches for `seconds`, at least ten.
fn batches(
    name: &'static str,
    call: &'static str,
    seconds: f64,
    mut body: impl FnMut(u64),
) -> PartRow {
    let mut times = Vec::with_capacity(1 << 20);
    let mut index = 0;
    let (began, until) = (Instant::now(), Duration::from_secs_f64(seconds));
    while times.len() < 10 || (began.elapsed() < until && times.len() < times.capacity()) {
        let start = Instant::now();
        for _ in 0..BATCH {
            body(index);
            index += 1;
        }
        times.push(start.elapsed().as_nanos() as f64 / f64::from(BATCH));
    }
    let spent = times.iter().sum::<f64>() * f64::from(BATCH) / 1e9;
    times.sort_by(f64::total_cmp);
    let at = |quantile: f64| times[(quantile * (times.len() - 1) as f64).round() as usize];
    PartRow {
        name,
        call,
        n: index,
        p50_ns: at(0.5),
        p99_ns: at(0.99),
        max_ns: at(1.0),
        calls_per_s: index as f64 / spent,
        bytes_per_s: None,
    }
}

/// The gate of 7 joints with requests that it lets through, must change, and where all brake.
fn gates(seconds: f64) -> Vec<PartRow> {
    let call = "7 joints, one cycle";
    // A slow sine is inside every limit; a square wave never is.
    let sine = |index: u64, joint: usize| 0.3 * (0.8 * index as f64 * DT + joint as f64).sin();
    let square = |index: u64, joint: usize| {
        if (index / 1500 + joint as u64).is_multiple_of(2) { 2.0 } else { -2.0 }
    };
    let mut rows = Vec::new();
    for (name, target) in [
        ("gate, passing through", &sine as &dyn Fn(u64, usize) -> f64),
        ("gate, clamping", &square),
    ] {
        let mut gate = Gate::new(&settings(JOINTS, Motion::Linear).limits, None, DT);
        // Targets beforehand: a sine costs as much as the gate.
        let targets: Vec<[Option<Finite>; MAX_JOINTS]> = (0..30_000)
            .map(|index| {
                std::array::from_fn(|joint| {
                    if joint < JOINTS { Finite::new(target(index, joint)) } else { None }
                })
            })
            .collect();
        if name.ends_with("through") {
            for (joint, start) in targets[0].iter().enumerate() {
                if let Some(start) = start {
                    gate.reset(joint, *start);
                }
            }
        }
        let (mut limited, mut clamps) = ([0.0; MAX_JOINTS], [0; MAX_JOINTS]);
        rows.push(batches(name, call, seconds / 3.0, |index| {
            // There and back again, without a jump.
            let at = (index % 60_000) as usize;
            let at = if at < 30_000 { at } else { 59_999 - at };
            gate.apply(black_box(&targets[at]), &mut limited, &mut clamps);
            black_box(&limited);
        }));
    }
    let mut gate = Gate::new(&settings(JOINTS, Motion::Linear).limits, None, DT);
    let go = std::array::from_fn(|_| Finite::new(2.0));
    let mut limited = [0.0; MAX_JOINTS];
    let mut clamps = [0; MAX_JOINTS];
    // At speed, then a stop from there again and again.
    for _ in 0..300 {
        gate.apply(&go, &mut limited, &mut clamps);
    }
    let moving = gate.clone();
    rows.push(batches("gate, all stopping", call, seconds / 3.0, |index| {
        if index % 200 == 0 {
            gate.clone_from(&moving);
        }
        gate.apply(black_box(&[None; MAX_JOINTS]), &mut limited, &mut clamps);
        black_box(&limited);
    }));
    rows
}

/// The generator on the targets of a policy at 10 Hz: straight lines with corners.
fn generator(seconds: f64) -> PartRow {
    let limits: Vec<_> =
        settings(JOINTS, Motion::JerkLimited).limits.iter().map(|it| it.slowed(0.95)).collect();
    let mut generator = TargetGenerator::inset(&limits, DT);
    let corner = |n: u64, joint: usize| 0.2 * (1.7 * n as f64 + joint as f64).sin();
    let targets: Vec<[f64; JOINTS]> = (0..30_000_u64)
        .map(|index| {
            let (n, share) = (index / 100, (index % 100) as f64 / 100.0);
            std::array::from_fn(|joint| {
                corner(n, joint) * (1.0 - share) + corner(n + 1, joint) * share
            })
        })
        .collect();
    batches("generator", "7 joints, one cycle", seconds, |index| {
        let at = (index % 60_000) as usize;
        let at = if at < 30_000 { at } else { 59_999 - at };
        for (joint, target) in targets[at].iter().enumerate() {
            if let Some(target) = Finite::new(*target) {
                black_box(generator.step(joint, target));
            }
        }
    })
}

/// One sample in and out again, on one thread: what the copies cost.
fn ring(seconds: f64) -> PartRow {
    let (mut sink, mut ring) = SampleSink::new(BATCH as usize);
    let sample = sample(0);
    batches("ring", "one sample pushed and popped", seconds, |_| {
        sink.push(black_box(&sample));
        let _ = black_box(ring.pop());
    })
}

/// Records of 7 joints into a journal, flushed every 200 of them, as the recorder does at 1 kHz.
fn journal(seconds: f64, folder: &Folder) -> Result<PartRow, BenchError> {
    let header =
        Rig { joints: JOINTS, motion: Motion::Effort, pace: Pace::Timer, logging: Logging::On }
            .header();
    let records: Vec<CycleRecord> =
        (0..1000).map(|index| sample(index).record(JOINTS, 0)).collect();
    let mut bytes = 0;
    let mut calls = 0;
    let mut fault = None;
    let open = || -> Result<(Writer, std::path::PathBuf), BenchError> {
        let folder = folder.next();
        let path = folder.join(FILE_NAME);
        std::fs::create_dir_all(&folder)
            .map_err(|source| BenchError::Folder { path: folder.clone(), source })?;
        let writer = Writer::create(&path, &header).map_err(RecorderError::Journal)?;
        Ok((writer, path))
    };
    let mut close = |writer: Writer, path: std::path::PathBuf| {
        drop(writer);
        bytes += std::fs::metadata(&path).map_or(0, |file| file.len());
        let _ = std::fs::remove_file(&path);
    };
    let (mut writer, mut path) = open()?;
    let row = batches("journal", "one record of 7 joints, efforts included", seconds, |index| {
        let record = black_box(&records[(index % 1000) as usize]);
        let mut done = writer.append_cycle(record);
        if index % 200 == 199 {
            done = done.and_then(|()| writer.flush());
        }
        fault = fault.take().or(done.err());
        calls += 1;
        if calls % (BATCH * JOURNAL) == 0
            && let Ok((next, at)) = open()
        {
            close(std::mem::replace(&mut writer, next), std::mem::replace(&mut path, at));
        }
    });
    close(writer, path);
    if let Some(fault) = fault {
        return Err(RecorderError::Journal(fault).into());
    }
    let per_record = bytes as f64 / row.n as f64;
    Ok(PartRow { bytes_per_s: Some(row.calls_per_s * per_record), ..row })
}

/// A sample as a running arm leaves it.
fn sample(index: u64) -> CycleSample {
    let mut sample = CycleSample::default();
    let at = Timestamp::from_nanos(1_000_000 * (index + 1));
    let wave = |phase: f64| -> [f64; MAX_JOINTS] {
        std::array::from_fn(|joint| {
            if joint < JOINTS { (phase + joint as f64 + index as f64 * DT).sin() } else { 0.0 }
        })
    };
    sample.tick.index = index;
    (sample.tick.scheduled, sample.tick.woke) = (at, at.after(Duration::from_nanos(700)));
    sample.state = State {
        position: wave(0.0),
        velocity: wave(0.1),
        effort: wave(0.2),
        captured: [at; MAX_JOINTS],
        ..State::default()
    };
    let outcome = &mut sample.outcome;
    (outcome.requested, outcome.generated, outcome.limited) = (wave(0.3), wave(0.4), wave(0.5));
    outcome.effort = Some(wave(0.6));
    outcome.observed = Some(at);
    sample
}
