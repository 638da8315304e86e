//! The control thread with its watchdog, seen from the thread that waits for both.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::thread::{self, Builder};
use std::time::{Duration, Instant};

use sinew_firmware_interfaces::{Clock, MonotonicClock, Robot};

use super::RunError;
use crate::config::RealtimeConfig;
use crate::control::{ControlLoop, LoopStatistics, OperatorSignal, PolicyLink};
use crate::cycle::{Cycle, OperatorRequest};
use crate::pacing::Pacer;
use crate::realtime::{self, Grants, Role};
use crate::recording::{CycleSample, SampleSink};
use crate::supervision::{Heartbeat, StopCause, Watchdog};

/// How long a control thread that the watchdog gave up on may take to come back, before the run
/// ends without it.
const LAST_CHANCE: Duration = Duration::from_secs(3);

/// What the control thread is made of.
pub(super) struct Control {
    pub robot: Box<dyn Robot>,
    pub cycle: Cycle,
    pub link: PolicyLink,
    pub sink: SampleSink,
    pub operator: OperatorSignal,
    pub pacer: Box<dyn Pacer + Send>,
    pub realtime: RealtimeConfig,
    pub watchdog: Duration,
}

/// What it leaves behind.
pub(super) struct Finished {
    pub robot: Box<dyn Robot>,
    pub cause: Option<StopCause>,
    pub statistics: LoopStatistics,
    /// The last cycles.
    pub flight: Vec<CycleSample>,
}

/// How it is with the control thread.
pub(super) enum Progress {
    /// It cycles.
    Running,
    /// It has ended.
    Finished(Box<Finished>),
    /// It is stuck; the watchdog has stopped the robot.
    Stuck,
    /// It panicked. The robot was told to hold and is gone.
    Panicked,
}

/// A control thread under way.
pub(super) struct ControlThread {
    done: Receiver<Finished>,
    heartbeat: Heartbeat,
    ended: Arc<AtomicBool>,
    fired: Option<Instant>,
}

impl ControlThread {
    /// Starts both threads. `granted` hears what the operating system gave to each.
    pub fn spawn(
        control: Control,
        clock: &MonotonicClock,
        granted: impl Fn(&'static str, Grants) + Send + Clone + 'static,
    ) -> Result<Self, RunError> {
        let heartbeat = Heartbeat::default();
        let ended = Arc::new(AtomicBool::new(false));
        if let Some(handle) = control.robot.stop_handle() {
            let watchdog = Watchdog::new(heartbeat.clone(), handle, control.watchdog);
            let (clock, ended) = (clock.clone(), Arc::clone(&ended));
            let operator = control.operator.clone();
            let (granted, realtime) = (granted.clone(), control.realtime.clone());
            start("watchdog", move || {
                granted("watchdog", realtime::prepare_thread(&realtime, Role::Watchdog).grants);
                watch(watchdog, &clock, &operator, &ended);
            })?;
        }
        let (finished, done) = channel();
        let beats = heartbeat.clone();
        start("control", move || {
            let Control { mut robot, cycle, link, sink, operator, mut pacer, realtime, .. } =
                control;
            granted("control", realtime::prepare_thread(&realtime, Role::Control).grants);
            let mut control = ControlLoop::new(robot.as_mut(), cycle, link, sink, operator, beats);
            let cause = control.run(pacer.as_mut());
            let statistics = control.statistics().clone();
            let flight = control.flight().iter().copied().collect();
            drop(control);
            // The main thread may already be gone; then nobody waits for this.
            let _ = finished.send(Finished { robot, cause, statistics, flight });
        })?;
        Ok(Self { done, heartbeat, ended, fired: None })
    }

    /// Waits for its end, at most for `timeout`.
    pub fn wait(&mut self, timeout: Duration) -> Progress {
        match self.done.recv_timeout(timeout) {
            Ok(finished) => Progress::Finished(Box::new(finished)),
            Err(RecvTimeoutError::Disconnected) => Progress::Panicked,
            Err(RecvTimeoutError::Timeout) if self.heartbeat.has_fired() => {
                let since = *self.fired.get_or_insert_with(Instant::now);
                if since.elapsed() > LAST_CHANCE { Progress::Stuck } else { Progress::Running }
            }
            Err(RecvTimeoutError::Timeout) => Progress::Running,
        }
    }

    /// True once the watchdog has stopped the robot.
    pub fn is_stopped(&self) -> bool {
        self.heartbeat.has_fired()
    }
}

impl Drop for ControlThread {
    fn drop(&mut self) {
        self.ended.store(true, Ordering::Relaxed);
    }
}

fn watch(
    mut watchdog: Watchdog,
    clock: &MonotonicClock,
    operator: &OperatorSignal,
    ended: &AtomicBool,
) {
    while !ended.load(Ordering::Relaxed) {
        let off = operator.request() == OperatorRequest::TorqueOff;
        let next = watchdog.look(clock.now(), off);
        thread::sleep(next.since(clock.now()));
    }
}

fn start(name: &str, body: impl FnOnce() + Send + 'static) -> Result<(), RunError> {
    let spawned = Builder::new().name(name.to_owned()).spawn(body);
    spawned.map(drop).map_err(|source| RunError::Thread { name: name.to_owned(), source })
}
