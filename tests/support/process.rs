//! A run of the program under way: what it says, its threads, and how to hold them.

use std::io::{BufRead, BufReader};
use std::process::Child;
use std::sync::{Arc, Mutex};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use nix::sys::ptrace;
use nix::sys::signal::{Signal, kill};
use nix::sys::wait::{WaitPidFlag, WaitStatus, waitpid};
use nix::unistd::Pid;

use super::Ended;

/// How long anything is waited for.
const PATIENCE: Duration = Duration::from_secs(60);

/// A child of [`start`](super::start) whose standard error is read along.
pub struct Running {
    child: Child,
    said: Arc<Mutex<String>>,
    reader: JoinHandle<()>,
}

impl Running {
    pub fn new(mut child: Child) -> Self {
        let stderr = BufReader::new(child.stderr.take().expect("standard error"));
        let said = Arc::new(Mutex::new(String::new()));
        let shared = Arc::clone(&said);
        let reader = thread::spawn(move || {
            for line in stderr.lines().map_while(Result::ok) {
                *shared.lock().unwrap() += &(line + "\n");
            }
        });
        Self { child, said, reader }
    }

    pub fn pid(&self) -> Pid {
        Pid::from_raw(self.child.id() as i32)
    }

    /// Waits until it has said `text`.
    pub fn until_it_says(&mut self, text: &str) {
        let began = Instant::now();
        loop {
            let said = self.said.lock().unwrap().clone();
            if said.contains(text) {
                return;
            }
            let gone = self.child.try_wait().unwrap();
            assert!(gone.is_none() && began.elapsed() < PATIENCE, "{gone:?}, no {text} in {said}");
            thread::sleep(Duration::from_millis(10));
        }
    }

    /// Sends a signal.
    pub fn signal(&self, signal: Signal) {
        kill(self.pid(), signal).unwrap();
    }

    /// Holds the thread of this name still, wherever it is, for `span`: like a system call that
    /// does not return. The other threads go on.
    pub fn hold_thread(&self, name: &str, span: Duration) {
        let thread = self.seize(name);
        thread::sleep(span);
        ptrace::detach(thread, None).unwrap();
    }

    /// Holds the thread of this name still until the process ends.
    pub fn hold_thread_for_good(&self, name: &str) {
        let thread = self.seize(name);
        let began = Instant::now();
        let flags = WaitPidFlag::__WALL | WaitPidFlag::WNOHANG;
        while waitpid(thread, Some(flags)) == Ok(WaitStatus::StillAlive) {
            if began.elapsed() > PATIENCE {
                ptrace::detach(thread, None).unwrap();
                panic!("the process does not end while its {name} thread stands");
            }
            thread::sleep(Duration::from_millis(10));
        }
    }

    fn seize(&self, name: &str) -> Pid {
        let tasks = std::fs::read_dir(format!("/proc/{}/task", self.child.id())).unwrap();
        let thread = tasks
            .filter_map(Result::ok)
            .find(|task| {
                let comm = std::fs::read_to_string(task.path().join("comm"));
                comm.is_ok_and(|comm| comm.trim_end() == name)
            })
            .unwrap_or_else(|| panic!("no thread {name}"));
        let thread = thread.file_name().to_string_lossy().parse().map(Pid::from_raw).unwrap();
        ptrace::seize(thread, ptrace::Options::empty())
            .expect("this test needs ptrace of its own children (seccomp or yama forbid it here)");
        ptrace::interrupt(thread).unwrap();
        waitpid(thread, Some(WaitPidFlag::__WALL)).unwrap();
        thread
    }

    /// Waits for its end.
    pub fn end(self) -> Ended {
        let mut ended = super::wait(self.child);
        self.reader.join().unwrap();
        ended.stderr = self.said.lock().unwrap().clone();
        ended
    }

    /// Kills it.
    pub fn kill(mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
        self.reader.join().unwrap();
    }
}
