//! What the whole-program tests share.
// Each test file uses its own part of this; only functions marked as tests may unwrap without saying so.
#![allow(dead_code, clippy::unwrap_used, clippy::expect_used)]

use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use serde_json::Value;
use sinew_episodes::journal::{CycleRecord, EventRecord, Header, Reader, Record};

/// The workspace's root.
pub fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// The binary under test, in the workspace's root.
pub fn sinew() -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_sinew"));
    command.current_dir(root());
    command
}

/// How a run of the program ended.
#[derive(Debug)]
pub struct Ended {
    /// Exit code.
    pub code: i32,
    /// The last line of standard output as JSON, null if it is none.
    pub json: Value,
    /// Standard error.
    pub stderr: String,
}

impl Ended {
    /// The exit cause in the summary.
    pub fn cause(&self) -> &str {
        self.json["exit"]["cause"].as_str().unwrap_or_default()
    }

    /// The journal of the run.
    pub fn journal(&self) -> Journal {
        let episode = self.json["episode"].as_str().expect("an episode");
        Journal::read(&PathBuf::from(episode).join("journal.sinew"))
    }
}

/// Thresholds for runs in real time: a shared machine may stop a whole process for a second, and
/// these tests are about other things.
pub const PATIENT: [&str; 12] = [
    "--set",
    "overrun.policy=report",
    "--set",
    "supervision.state_hold_after_ms=2000",
    "--set",
    "supervision.state_ramp_after_ms=8000",
    "--set",
    "supervision.tracking_error_ms=5000",
    "--set",
    "supervision.policy_ramp_after_ms=8000",
    "--set",
    "robot.reconnect_window_ms=20000",
];

/// Starts `sinew run CONFIG` with JSON output, recording to `directory`.
pub fn start(config: &str, directory: &Path, more: &[&str]) -> Child {
    sinew()
        .args(["run", config, "--set"])
        .arg(format!("recording.directory={:?}", directory.display().to_string()))
        .args(if more.contains(&"--format") { &[][..] } else { &["--format", "json"] })
        .args(if more.contains(&"run.clock=simulated") { &[][..] } else { &PATIENT })
        .args(more)
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("sinew starts")
}

/// Waits for a child of [`start`].
pub fn wait(child: Child) -> Ended {
    let output = child.wait_with_output().expect("sinew ends");
    let stdout = String::from_utf8(output.stdout).expect("text");
    let json = stdout.lines().last().and_then(|line| serde_json::from_str(line).ok());
    Ended {
        code: output.status.code().unwrap_or(-1),
        json: json.unwrap_or(Value::Null),
        stderr: String::from_utf8_lossy(&output.stderr).into_owned(),
    }
}

/// Runs `sinew run CONFIG` to its end.
pub fn run(config: &str, directory: &Path, more: &[&str]) -> Ended {
    wait(start(config, directory, more))
}

/// A whole journal.
pub struct Journal {
    pub header: Header,
    pub cycles: Vec<CycleRecord>,
    pub events: Vec<EventRecord>,
    pub frames: usize,
    pub chunks: usize,
}

impl Journal {
    pub fn read(path: &Path) -> Self {
        let mut reader = Reader::open(path).expect("a journal");
        let header = reader.header().clone();
        let mut journal =
            Self { header, cycles: Vec::new(), events: Vec::new(), frames: 0, chunks: 0 };
        for record in &mut reader {
            match record.expect("a readable record") {
                Record::Cycle(cycle) => journal.cycles.push(cycle),
                Record::Event(event) => journal.events.push(event),
                Record::Frame(_) => journal.frames += 1,
                Record::Chunk(_) => journal.chunks += 1,
                Record::Header(_) | Record::Summary(_) => {}
            }
        }
        journal
    }

    /// Asserts that no commanded position, speed or acceleration is outside what `configs/robots/
    /// mycobot320.toml` allows, across the whole run.
    pub fn assert_inside_limits(&self) {
        let dt = 1.0 / self.header.rate_hz;
        // After a reconnect commands begin again at the measured position, standing.
        let restarts: Vec<u64> = self
            .events
            .iter()
            .filter(|event| event.kind == "reconnect")
            .map(|event| event.at_ns)
            .collect();
        for pair in self.cycles.windows(3) {
            if pair[1..].iter().any(|cycle| restarts.contains(&cycle.scheduled_ns)) {
                continue;
            }
            for (joint, meta) in self.header.joints.iter().enumerate() {
                let gripper = meta.name == "gripper";
                let (lower, upper) = match meta.name.as_str() {
                    "joint1" | "joint5" => (-2.87, 2.87),
                    "joint2" => (-2.30, 2.30),
                    "joint3" | "joint4" => (-2.47, 2.47),
                    "joint6" => (-3.08, 3.08),
                    _ => (0.0, 1.0),
                };
                let (speed, change) = if gripper { (0.5, 4.0) } else { (1.0, 2.5) };
                let at = |cycle: &CycleRecord| cycle.limited[joint];
                let [a, b, c] = [at(&pair[0]), at(&pair[1]), at(&pair[2])];
                assert!(c.is_finite() && c >= lower - 1e-9 && c <= upper + 1e-9, "{}", meta.name);
                let (before, after) = ((b - a) / dt, (c - b) / dt);
                assert!(after.abs() <= speed + 1e-6, "{}: {after} 1/s", meta.name);
                assert!(
                    (after - before).abs() / dt <= change + 1e-3,
                    "{}: {} 1/s² at cycle {}",
                    meta.name,
                    (after - before) / dt,
                    pair[2].index
                );
            }
        }
    }

    /// True if an event of `kind` has `text` in its message.
    pub fn has_event(&self, kind: &str, text: &str) -> bool {
        self.events.iter().any(|event| event.kind == kind && event.message.contains(text))
    }
}
