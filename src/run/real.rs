//! A run in real time: one thread per camera, one for inference, one for the recorder, one for
//! control. The calling thread opens the live view, or prints a line a second, and waits.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::{self, Builder, ScopedJoinHandle};
use std::time::Duration;

use sinew_firmware_interfaces::{BusStatistics, Clock, MonotonicClock, StopRequest, Timestamp};

use super::control_thread::{Control, ControlThread, Finished, Progress};
use super::ending::{self, Ending};
use super::opening::{self, Opening};
use super::parts::Parts;
use super::{Console, RunError};
use crate::config::{Loaded, Pace};
use crate::control::{LoopStatistics, OperatorSignal};
use crate::cycle::OperatorRequest;
use crate::live::{Screen, SharedFeed, Subject};
use crate::pacing::{DevicePacer, Pacer, TimerPacer};
use crate::policy::PolicyStatistics;
use crate::realtime::{self, Grants, Role};
use crate::recording::{CycleSample, Recorder};
use crate::robots;
use crate::summary::RunSummary;
use crate::supervision::StopCause;

/// Longest sleep of a worker, so that it sees the end of the run in time.
const NAP: Duration = Duration::from_millis(20);

pub(super) fn run(
    loaded: &Loaded,
    prepare: impl FnOnce(&Loaded) -> Result<Parts, RunError>,
    operator: OperatorSignal,
    console: &mut dyn Console,
) -> Result<RunSummary, RunError> {
    let config = &loaded.config;
    let monotonic = MonotonicClock::new();
    let clock: Arc<dyn Clock> = Arc::new(monotonic.clone());
    console
        .line(&format!("{}: {} for {} s", config.run.name, config.run.task, config.run.duration_s));

    let parts = prepare(loaded)?;
    console.line(&parts.target.line(config));
    let (mut robot, port) = robots::open(config, &monotonic)?;
    console.line(&format!(
        "robot   {} on {port}: {} joints, loop at {} Hz, at most {} commands a second",
        robot.description().model,
        robot.description().joints.len(),
        config.run.rate_hz,
        robot.description().max_command_rate_hz
    ));

    let process = realtime::prepare_process(&config.realtime);
    let setup = realtime::rehearse(&config.realtime, Role::Control)
        .map_err(|source| RunError::Thread { name: "rehearsal".to_owned(), source })?;
    let mut grants = process.grants.clone();
    grants.0.extend(setup.grants.0);
    grants.require(config.realtime.mode)?;

    let Opening { dataset, folder, inbox, sink, recorder } =
        opening::open(loaded, &parts, clock.as_ref(), console)?;
    if !grants.0.is_empty() {
        console.line(&format!("realtime  {grants}"));
        inbox.event(clock.now(), "realtime", grants.to_string());
    }
    let settings = parts.settings.clone();
    let timeout = Duration::from_millis(config.robot.arm_timeout_ms.into());
    let armed = match operator.request() {
        OperatorRequest::None => opening::arm(robot.as_mut(), &settings, timeout, clock.as_ref()),
        _ => Err(RunError::Interrupted),
    };
    // Whoever interrupts the start wants no motion, not even the one to the rest pose.
    let armed = armed.and_then(|()| {
        let request = match operator.request() {
            OperatorRequest::None => return Ok(()),
            OperatorRequest::Stop => StopRequest::Hold,
            OperatorRequest::TorqueOff => StopRequest::TorqueOff,
        };
        robot.stop(clock.now(), request);
        robot.disarm(ending::DISARM)?;
        Err(RunError::Interrupted)
    });
    if let Err(error) = armed {
        // Nothing was recorded. If this fails, the next start finds an empty journal and says so.
        let _ = std::fs::remove_dir_all(&folder);
        return Err(error);
    }
    if robot.stop_handle().is_none() {
        let text = "the driver has no second way to stop the robot: no watchdog";
        console.line(text);
        inbox.event(clock.now(), "watchdog", text.to_owned());
    }
    console.line("armed; Ctrl-C: ramp to rest, twice: torque off");
    let description = parts.robot.clone();
    let run = folder.file_name().unwrap_or_default().to_string_lossy();
    let subject = Subject::new(&run, &description, &settings);
    let feed = SharedFeed::new(subject, Arc::clone(&clock), inbox.clone());
    let (mut cameras, mut target, link) = parts.into_workers(config, &clock, &inbox);

    let stop = AtomicBool::new(false);
    let latest: Mutex<Option<CycleSample>> = Mutex::new(None);
    let mut screen = console.live(feed.clone(), &operator);
    let began = clock.now();
    let rate_hz = config.run.rate_hz;
    let ended = thread::scope(|scope| -> Result<Ended, RunError> {
        // Whatever goes wrong in here, the workers are told to stop, or the scope never ends.
        let _guard = StopOnDrop(&stop);
        let mut camera_threads = Vec::new();
        for (index, mut camera) in cameras.drain(..).enumerate() {
            let (clock, stop) = (&clock, &stop);
            camera_threads.push(spawn(scope, &format!("camera {index}"), move || {
                work(clock, stop, |now| camera.step(now));
            })?);
        }
        let (worker_clock, worker_stop) = (&clock, &stop);
        let inference = spawn(scope, "inference", move || {
            work(worker_clock, worker_stop, |now| target.step(now));
            target
        })?;
        let shared = &latest;
        let mut recorder = recorder;
        if screen.is_some() {
            recorder.observe(Box::new(feed));
        }
        let recording = spawn(scope, "recorder", move || {
            work(worker_clock, worker_stop, |now| {
                let next = recorder.step(now);
                let mut latest = shared.lock().unwrap_or_else(PoisonError::into_inner);
                *latest = recorder.latest().copied();
                next
            });
            recorder
        })?;
        let pacer: Box<dyn Pacer + Send> = match config.run.pace {
            Pace::Timer => {
                let spin = Duration::from_micros(config.run.spin_us.into());
                Box::new(TimerPacer::new(monotonic.clone(), rate_hz, spin))
            }
            Pace::Device => Box::new(DevicePacer::new(monotonic.clone(), rate_hz)),
        };
        let control = Control {
            robot,
            settings,
            link,
            sink,
            operator: operator.clone(),
            pacer,
            realtime: config.realtime.clone(),
            watchdog: Duration::from_secs_f64(config.supervision.watchdog_ms / 1e3),
        };
        let events = inbox.clone();
        let event_clock = Arc::clone(&clock);
        let granted = move |thread: &'static str, grants: Grants| {
            // The rehearsal was granted everything that is granted here; this is the record.
            if grants.refused().next().is_some() {
                events.event(event_clock.now(), "realtime", format!("{thread} thread: {grants}"));
            }
        };
        let mut control = ControlThread::spawn(control, &monotonic, granted)?;

        let mut told = false;
        let last = loop {
            match control.wait(Duration::from_secs(1)) {
                Progress::Running => {}
                last => break last,
            }
            if control.is_stopped() && !told {
                told = true;
                console.line(StopCause::ControlStalled.message());
                let message = StopCause::ControlStalled.message().to_owned();
                inbox.event(clock.now(), "watchdog", message);
            }
            if screen.as_ref().is_some_and(Screen::is_open) {
                continue;
            }
            // Copied: a screen that does not take the line must not hold up the recorder.
            let sample = *latest.lock().unwrap_or_else(PoisonError::into_inner);
            if let Some(sample) = &sample {
                console.line(&ending::status_line(sample, &description, rate_hz));
            }
        };
        let seconds = clock.now().since(began).as_secs_f64();
        stop.store(true, Ordering::Relaxed);
        drop(screen.take());
        for camera in camera_threads {
            camera.join().map_err(|_| RunError::Panicked { name: "camera" })?;
        }
        let target = inference.join().map_err(|_| RunError::Panicked { name: "inference" })?;
        let recorder = recording.join().map_err(|_| RunError::Panicked { name: "recorder" })?;
        let policy = target.statistics();
        let finished = match last {
            Progress::Finished(finished) => Some(finished),
            Progress::Stuck => None,
            Progress::Running | Progress::Panicked => {
                return Err(RunError::Panicked { name: "control" });
            }
        };
        Ok(Ended { finished, seconds, policy, recorder })
    })?;
    let Ended { finished, seconds, policy, recorder } = ended;
    let (cause, statistics, flight, bus) = match finished {
        Some(finished) => {
            let Finished { mut robot, cause, statistics, flight } = *finished;
            let mut cause = cause.unwrap_or(StopCause::Operator);
            if operator.request() == OperatorRequest::TorqueOff && cause != StopCause::LinkLost {
                // Asked for after the last cycle: still granted.
                robot.stop(clock.now(), StopRequest::TorqueOff);
                cause = StopCause::OperatorTorqueOff;
            }
            ending::release(robot.as_mut(), config.rest.then, cause, clock.now(), console);
            (cause, statistics, flight, robot.statistics())
        }
        None => {
            console.line("the control thread did not come back: the run ends without it");
            let bus = BusStatistics::default();
            (StopCause::ControlStalled, LoopStatistics::new(), Vec::new(), bus)
        }
    };
    let robot = description;
    let ending = Ending {
        folder,
        dataset,
        robot,
        bus,
        cause,
        seconds,
        statistics,
        policy,
        recorder,
        flight,
    };
    Ok(ending::finish(loaded, &inbox, ending, console))
}

/// What the threads return.
struct Ended {
    /// `None` when the control thread is stuck.
    finished: Option<Box<Finished>>,
    seconds: f64,
    policy: PolicyStatistics,
    recorder: Recorder,
}

/// Steps a worker until the run ends.
fn work(clock: &Arc<dyn Clock>, stop: &AtomicBool, mut step: impl FnMut(Timestamp) -> Timestamp) {
    while !stop.load(Ordering::Relaxed) {
        let next = step(clock.now());
        thread::sleep(next.since(clock.now()).min(NAP));
    }
}

fn spawn<'scope, 'env, T: Send + 'scope>(
    scope: &'scope thread::Scope<'scope, 'env>,
    name: &str,
    body: impl FnOnce() -> T + Send + 'scope,
) -> Result<ScopedJoinHandle<'scope, T>, RunError> {
    Builder::new()
        .name(name.to_owned())
        .spawn_scoped(scope, body)
        .map_err(|source| RunError::Thread { name: name.to_owned(), source })
}

struct StopOnDrop<'a>(&'a AtomicBool);

impl Drop for StopOnDrop<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}
