//! SIGKILL at any moment loses at most the last half second of the open episode.
#![allow(clippy::unwrap_used)]

mod common;

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader, Write};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use common::{FPS, HOLDING, PERIOD_NS, START_NS};
use sinew_episodes::journal::{FILE_NAME, Reader as JournalReader, Record, Writer};
use sinew_episodes::lerobot::{Dataset, Reader, RunOutcome, repair};

const ROUNDS: usize = 20;
const ROOT: &str = "SINEW_TEST_KILL_ROOT";
/// More cycles than any round lasts.
const RUNNING: u64 = 100_000;
const LIMIT_NS: u64 = 500_000_000;

/// xorshift64*, so that a failing moment can be had again.
struct Moments(u64);

impl Moments {
    fn next_ms(&mut self, from: u64, to: u64) -> u64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        from + (self.0.wrapping_mul(0x2545_F491_4F6C_DD1D) >> 33) % (to - from)
    }
}

/// What the child does: a runtime's start, then a recorder at the rate of the control loop. Each
/// cycle is told on standard output before it is recorded.
fn record_until_killed(root: &Path) {
    let mut dataset = Dataset::open(root).unwrap();
    dataset.repair().unwrap();
    let folder = dataset.create_run("run").unwrap();
    let run = folder.file_name().unwrap().to_str().unwrap().to_owned();
    let mut header = common::header(&run, "be killed");
    let since_epoch = SystemTime::now().duration_since(UNIX_EPOCH).unwrap();
    header.unix_ns = since_epoch.as_nanos() as u64 - START_NS;
    let mut writer = Writer::create(&folder.join(FILE_NAME), &header).unwrap();
    let started = Instant::now();
    let mut flushed = Instant::now();
    let mut output = std::io::stdout();
    for index in 0..RUNNING {
        let due = started + Duration::from_nanos(index * PERIOD_NS);
        std::thread::sleep(due.saturating_duration_since(Instant::now()));
        writeln!(output, "\ncycle {index}").unwrap();
        output.flush().unwrap();
        common::write_cycle(&mut writer, index, RUNNING).unwrap();
        if flushed.elapsed() >= Duration::from_millis(250) {
            flushed = Instant::now();
            writer.flush().unwrap();
        }
    }
}

/// Not a test of its own: the process that the test below starts, from this same executable.
#[test]
fn child_process() {
    if let Some(root) = std::env::var_os(ROOT) {
        record_until_killed(Path::new(&root));
    }
}

/// Starts the child, kills it, and returns the last cycle it told of.
fn run_and_kill(root: &Path, after: Duration) -> Option<u64> {
    let mut child = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "child_process", "--nocapture", "--test-threads=1"])
        .env(ROOT, root)
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let output = BufReader::new(child.stdout.take().unwrap());
    let cycles = std::thread::spawn(move || {
        let told = |line: String| line.strip_prefix("cycle ").and_then(|n| n.parse::<u64>().ok());
        output.lines().map_while(Result::ok).filter_map(told).last()
    });
    std::thread::sleep(after);
    child.kill().unwrap();
    child.wait().unwrap();
    cycles.join().unwrap()
}

/// Every data file that counts, to see that none changes.
fn data_files(root: &Path) -> BTreeMap<PathBuf, Vec<u8>> {
    let Ok(folder) = std::fs::read_dir(root.join("data/chunk-000")) else { return BTreeMap::new() };
    folder
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.extension().is_some_and(|extension| extension == "parquet"))
        .map(|path| (path.clone(), std::fs::read(path).unwrap()))
        .collect()
}

fn last_cycle(journal: &Path) -> Option<u64> {
    let cycles = JournalReader::open(journal).ok()?.filter_map(|record| match record {
        Ok(Record::Cycle(cycle)) => Some(cycle.index),
        _ => None,
    });
    cycles.last()
}

#[test]
fn killed_twenty_times_the_dataset_keeps_all_but_the_last_half_second() {
    let folder = tempfile::tempdir().unwrap();
    let root = folder.path().join("set");
    let mut moments = Moments(0x5EED_0F20);
    let mut episodes: BTreeMap<PathBuf, Vec<u8>> = BTreeMap::new();
    let mut largest_loss_ns = 0;
    for round in 0..ROUNDS {
        let after = Duration::from_millis(moments.next_ms(20, 1_800));
        let told = run_and_kill(&root, after);
        let report = repair(&root).unwrap();
        for (path, content) in &episodes {
            assert!(&std::fs::read(path).unwrap() == content, "{} changed", path.display());
        }
        episodes = data_files(&root);
        let mut frames = 0;
        for run in &report.runs {
            let RunOutcome::Converted { episode } = &run.outcome else { continue };
            assert!(!episode.complete);
            frames = episode.frames;
            let recovered = last_cycle(&root.join("runs").join(&run.run).join(FILE_NAME));
            let lost_ns = told.unwrap_or(0).saturating_sub(recovered.unwrap()) * PERIOD_NS;
            assert!(lost_ns <= LIMIT_NS, "round {round}: {lost_ns} ns lost");
            largest_loss_ns = largest_loss_ns.max(lost_ns);
        }
        // What the dataset lacks of what the arm did, in frames of 1/FPS.
        if let Some(told) = told.filter(|&told| told > HOLDING) {
            let expected = ((told - HOLDING) * PERIOD_NS).saturating_sub(LIMIT_NS) * FPS;
            assert!(frames >= expected / 1_000_000_000, "round {round}: {report}");
        }
        assert!(repair(&root).unwrap().is_nothing());
        if !episodes.is_empty() {
            let mut reader = Reader::open(&root).unwrap();
            assert_eq!(reader.episodes().len(), episodes.len());
            for index in 0..reader.frames() {
                reader.frame(index).unwrap();
            }
        }
    }
    println!("{} episodes, at most {} ms lost", episodes.len(), largest_loss_ns / 1_000_000);
    assert!(episodes.len() >= ROUNDS / 2, "only {} rounds came to record", episodes.len());
}

#[test]
fn killed_while_converting_the_next_start_converts() {
    let folder = tempfile::tempdir().unwrap();
    let root = folder.path().join("set");
    let dataset = Dataset::open(&root).unwrap();
    for run in 0..12 {
        let folder = dataset.create_run(&format!("run-{run:02}")).unwrap();
        common::write_run(&folder, &format!("run-{run:02}"), ["one", "two"][run % 2], 100);
    }
    drop(dataset);
    let mut moments = Moments(0xC0FF_EE11);
    let mut kept: BTreeMap<PathBuf, Vec<u8>> = BTreeMap::new();
    let mut kills = 0;
    loop {
        run_and_kill(&root, Duration::from_millis(moments.next_ms(5, 90)));
        kills += 1;
        // What counts when the child dies must be there, unchanged, after every later repair.
        for (path, content) in &kept {
            assert!(&std::fs::read(path).unwrap() == content, "{} changed", path.display());
        }
        let counted = sinew_episodes::lerobot::Info::read(&root).map_or(0, |i| i.total_episodes);
        kept = data_files(&root).into_iter().take(counted as usize).collect();
        if counted >= 12 || kills >= 60 {
            break;
        }
    }
    repair(&root).unwrap();
    let mut reader = Reader::open(&root).unwrap();
    assert!(reader.episodes().len() >= 12);
    for (index, episode) in reader.episodes().iter().take(12).enumerate() {
        assert_eq!(episode.run.as_deref(), Some(format!("run-{index:02}").as_str()));
        assert_eq!((episode.length, episode.tasks[0].as_str()), (20, ["one", "two"][index % 2]));
    }
    for index in 0..reader.frames() {
        reader.frame(index).unwrap();
    }
    println!("{kills} kills");
}
