//! What the whole-program tests share.
// Each test file uses its own part of this; only functions marked as tests may unwrap without saying so.
#![allow(dead_code, clippy::unwrap_used, clippy::expect_used)]

#[cfg(target_os = "linux")]
pub mod cell;
pub mod journal;
pub mod process;

use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use serde_json::Value;

pub use journal::Journal;

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

    /// The run's folder.
    pub fn folder(&self) -> PathBuf {
        PathBuf::from(self.json["episode"].as_str().expect("an episode"))
    }

    /// The journal of the run.
    pub fn journal(&self) -> Journal {
        Journal::read(&self.folder().join("journal.sinew"))
    }

    /// The last cycles, where they were kept.
    pub fn flight(&self) -> Option<Journal> {
        let path = self.folder().join("flight.sinew");
        path.exists().then(|| Journal::read(&path))
    }

    /// A number in the summary, by its path (`/drops/samples`).
    pub fn count(&self, path: &str) -> u64 {
        let number = self.json.pointer(path).and_then(Value::as_u64);
        number.unwrap_or_else(|| panic!("no {path} in {}", self.json))
    }
}

/// Thresholds for runs in real time: a shared machine may stop a whole process for a second, and
/// these tests are about other things.
pub const PATIENT: [&str; 14] = [
    "--set",
    "supervision.state_hold_after_ms=2000",
    "--set",
    "supervision.state_ramp_after_ms=8000",
    "--set",
    "supervision.tracking_error_ms=5000",
    "--set",
    "supervision.policy_ramp_after_ms=8000",
    "--set",
    "supervision.watchdog_ms=8000",
    "--set",
    "robot.reconnect_window_ms=20000",
    "--set",
    "overrun.policy=report",
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
