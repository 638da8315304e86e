//! The live view, through the binary on a pseudo-terminal.
#![cfg(target_os = "linux")]
// Only functions marked as tests may unwrap without saying so.
#![allow(clippy::unwrap_used)]

mod support;

use std::ffi::OsStr;
use std::fs::File;
use std::io::{Read, Write};
use std::os::unix::ffi::OsStrExt;
use std::path::Path;
use std::process::Child;
use std::sync::{Arc, Mutex};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use rustix::fs::{Mode, OFlags};
use rustix::process::{Pid, Signal, kill_process};
use rustix::pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt};
use rustix::termios::{LocalModes, Winsize, tcgetattr, tcsetwinsize};

use support::sinew;

const ENTER: &str = "\x1b[?1049h";
const LEAVE: &str = "\x1b[?1049l";
const SHOW_CURSOR: &str = "\x1b[?25h";

/// `sinew run configs/demo.toml` on a terminal of its own.
struct Watched {
    child: Child,
    keyboard: File,
    terminal: File,
    output: Arc<Mutex<Vec<u8>>>,
    reader: JoinHandle<()>,
}

impl Watched {
    fn start(directory: &Path, more: &[&str]) -> Self {
        let pty = openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY | OpenptFlags::CLOEXEC).unwrap();
        grantpt(&pty).unwrap();
        unlockpt(&pty).unwrap();
        let size = Winsize { ws_row: 24, ws_col: 80, ws_xpixel: 0, ws_ypixel: 0 };
        tcsetwinsize(&pty, size).unwrap();
        let name = ptsname(&pty, Vec::new()).unwrap();
        let path = Path::new(OsStr::from_bytes(name.as_bytes())).to_owned();
        let flags = OFlags::RDWR | OFlags::NOCTTY | OFlags::CLOEXEC;
        let terminal = rustix::fs::open(&path, flags, Mode::empty()).unwrap();
        let terminal = File::from(terminal);
        let handle = || terminal.try_clone().unwrap();
        let child = sinew()
            .args(["run", "configs/demo.toml", "--set"])
            .arg(format!("recording.directory={:?}", directory.display().to_string()))
            .args(support::PATIENT)
            .args(more)
            .env("TERM", "xterm-256color")
            .env_remove("NO_COLOR")
            .stdin(handle())
            .stdout(handle())
            .stderr(handle())
            .spawn()
            .unwrap();
        let keyboard = File::from(pty);
        let output = Arc::new(Mutex::new(Vec::new()));
        let (mut screen, seen) = (keyboard.try_clone().unwrap(), Arc::clone(&output));
        let reader = thread::spawn(move || {
            let mut bytes = [0; 4096];
            // Ends with an error when nobody holds the terminal any more.
            while let Ok(count @ 1..) = screen.read(&mut bytes) {
                seen.lock().unwrap().extend_from_slice(&bytes[..count]);
            }
        });
        Self { child, keyboard, terminal, output, reader }
    }

    fn text(&self) -> String {
        String::from_utf8_lossy(&self.output.lock().unwrap()).into_owned()
    }

    /// Waits until `text` has been drawn.
    fn sees(&self, text: &str) {
        let began = Instant::now();
        while !self.text().contains(text) {
            assert!(began.elapsed() < Duration::from_secs(60), "`{text}` in {:?}", self.text());
            thread::sleep(Duration::from_millis(20));
        }
    }

    /// Waits for the end: exit code, everything drawn, and whether lines and echo are back.
    fn end(mut self) -> (i32, String, bool) {
        let code = self.child.wait().unwrap().code().unwrap_or(-1);
        let modes = tcgetattr(&self.terminal).unwrap().local_modes;
        let lines = modes.contains(LocalModes::ICANON | LocalModes::ECHO | LocalModes::ISIG);
        drop(self.terminal);
        self.reader.join().unwrap();
        let text = String::from_utf8_lossy(&self.output.lock().unwrap()).into_owned();
        (code, text, lines)
    }
}

/// Asserts that the screen was left, once, and that the summary came after that.
fn assert_restored(text: &str) {
    assert_eq!((text.matches(ENTER).count(), text.matches(LEAVE).count()), (1, 1), "{text:?}");
    let after = text.split(LEAVE).nth(1).unwrap();
    assert!(after.contains(SHOW_CURSOR) && !after.contains("\x1b[?25l"), "{after:?}");
    assert!(after.contains("operator: the operator asked for a stop (exit code 20)"), "{after:?}");
    assert!(after.contains("missed"), "the tables are on the normal screen: {after:?}");
}

#[test]
fn s_ramps_to_rest_and_leaves_the_terminal_as_it_was() {
    let folder = tempfile::tempdir().unwrap();
    let mut run = Watched::start(folder.path(), &["--for", "60s"]);
    // Words that appear where nothing was are drawn in one piece.
    run.sees("running:");
    let modes = tcgetattr(&run.terminal).unwrap().local_modes;
    assert!(!modes.intersects(LocalModes::ICANON | LocalModes::ECHO));
    for text in [ENTER, "joint6", "lateness", "observation"] {
        run.sees(text);
    }
    run.keyboard.write_all(b"s").unwrap();
    run.sees("stopping:");
    let (code, text, lines) = run.end();
    assert_eq!((code, lines), (20, true), "{text}");
    assert_restored(&text);
}

#[test]
fn a_signal_ends_the_view_too_and_a_second_ctrl_c_takes_torque_off() {
    let folder = tempfile::tempdir().unwrap();
    let run = Watched::start(folder.path(), &["--for", "60s"]);
    run.sees("running:");
    kill_process(Pid::from_child(&run.child), Signal::TERM).unwrap();
    let (code, text, lines) = run.end();
    assert_eq!((code, lines), (20, true), "{text}");
    assert_restored(&text);

    let mut run = Watched::start(folder.path(), &["--for", "60s"]);
    run.sees("running:");
    for _ in 0..2 {
        // This terminal is nobody's controlling one: Ctrl-C comes as a key.
        run.keyboard.write_all(b"\x03").unwrap();
        thread::sleep(Duration::from_millis(300));
    }
    let (code, text, lines) = run.end();
    assert_eq!((code, lines), (21, true), "{text}");
}

#[test]
fn plain_prints_lines_on_a_terminal() {
    let folder = tempfile::tempdir().unwrap();
    let run = Watched::start(folder.path(), &["--for", "2s", "--plain"]);
    let (code, text, lines) = run.end();
    assert_eq!((code, lines), (0, true), "{text}");
    assert!(!text.contains(ENTER) && text.contains("s  running"), "{text}");
}
