//! A run in real time: one thread per camera, one for inference, one for the recorder, one for
//! control. The calling thread opens the live view, or prints a line a second, and waits.
//!
//! No thread that may be stuck keeps the run from ending: the robot is released as soon as control
//! has ended, and what a camera or an inference does not give back in time is done without. Only
//! the recorder is waited for, because the journal is in its hands.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::{self, Builder, JoinHandle};
use std::time::{Duration, Instant};

use sinew_firmware_interfaces::{Clock, MonotonicClock, StopRequest, Timestamp};
use sinew_models::SamplingProgress;

use super::control_thread::{Control, ControlThread, Finished, Progress};
use super::ending::{self, Ending};
use super::news::News;
use super::opening::{self, Opening};
use super::parts::Parts;
use super::{Console, RunError};
use crate::config::{Loaded, Pace};
use crate::control::OperatorSignal;
use crate::cycle::Cycle;
use crate::cycle::OperatorRequest;
use crate::live::{Screen, SharedFeed, Subject};
use crate::pacing::{DevicePacer, Pacer, TimerPacer};
use crate::realtime::{self, Grants, Role};
use crate::recording::CycleSample;
use crate::robots;
use crate::summary::RunSummary;
use crate::supervision::StopCause;

/// Longest sleep of a worker, so that it sees the end of the run in time.
const NAP: Duration = Duration::from_millis(20);
/// How long a camera or an inference may take to come to its end.
const PATIENCE: Duration = Duration::from_secs(5);

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

    let mut parts = prepare(loaded)?;
    console.line(&parts.target.line());
    parts.notes(config).iter().for_each(|note| console.line(&format!("note    {note}")));
    let (mut robot, port) = robots::open(config, &monotonic)?;
    console.line(&format!(
        "robot   {} on {port}: {} joints, loop at {} Hz, at most {} commands a second",
        robot.description().model,
        robot.description().joints.len(),
        config.run.rate_hz,
        robot.description().max_command_rate_hz
    ));

    let process = realtime::prepare_process(&config.realtime);
    let rehearse = |role| {
        realtime::rehearse(&config.realtime, role)
            .map_err(|source| RunError::Thread { name: "rehearsal".to_owned(), source })
    };
    let mut grants = process.grants.clone();
    grants.0.extend(rehearse(Role::Control)?.grants.0);
    if robot.stop_handle().is_some() {
        // What the watchdog is given as well need not be said twice.
        grants
            .0
            .extend(rehearse(Role::Watchdog)?.grants.0.into_iter().filter(|it| !it.is_granted()));
    }
    grants.require(config.realtime.mode)?;

    let Opening { dataset, folder, inbox, sink, recorder } =
        opening::open(loaded, &parts, clock.as_ref(), &operator, console)?;
    if !grants.0.is_empty() {
        console.line(&format!("realtime  {grants}"));
        inbox.event(clock.now(), "realtime", grants.to_string());
    }
    let settings = parts.settings.clone();
    let timeout = Duration::from_millis(config.robot.arm_timeout_ms.into());
    let listening = operator.listening_arm();
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
        inbox.event(clock.now(), "supervision", text.to_owned());
    }
    console.line("armed; Ctrl-C: ramp to rest, twice: torque off");
    let description = parts.robot.clone();
    let run = folder.file_name().unwrap_or_default().to_string_lossy();
    let subject = Subject::new(&run, &description, &settings);
    let feed = SharedFeed::new(subject, Arc::clone(&clock), inbox.clone());
    let sampling = parts.target.progress();
    let cycle = Cycle::new(settings, parts.actuation.take());
    let (mut cameras, mut target, link) = parts.into_workers(config, &clock, &inbox);

    // Whatever goes wrong from here on, the workers are told to stop.
    let stop = StopOnDrop(Arc::new(AtomicBool::new(false)), sampling);
    let latest: Arc<Mutex<Option<CycleSample>>> = Arc::default();
    let mut screen = console.live(feed.clone(), &operator);
    let began = clock.now();
    let rate_hz = config.run.rate_hz;
    let mut camera_threads = Vec::new();
    for (index, mut camera) in cameras.drain(..).enumerate() {
        let work = Work::new(&clock, &stop);
        camera_threads.push(spawn(&format!("camera {index}"), move || {
            work.until_stopped(|now| camera.step(now));
        })?);
    }
    let work = Work::new(&clock, &stop);
    let inference = spawn("inference", move || {
        work.until_stopped(|now| target.step(now));
        target.statistics()
    })?;
    let mut recorder = recorder;
    let news = News::default();
    recorder.observe(Box::new(news.clone()));
    if screen.is_some() {
        recorder.observe(Box::new(feed));
    }
    let (work, shared) = (Work::new(&clock, &stop), Arc::clone(&latest));
    let recording = spawn("recorder", move || {
        work.until_stopped(|now| {
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
        cycle,
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
        let progress = control.wait(Duration::from_secs(1));
        if control.is_stopped() && !told {
            told = true;
            console.line(StopCause::ControlStalled.message());
            let message = StopCause::ControlStalled.message().to_owned();
            inbox.event(clock.now(), "watchdog", message);
        }
        if !matches!(progress, Progress::Running) {
            break progress;
        }
        let news = news.take();
        if screen.as_ref().is_some_and(Screen::is_open) {
            // It shows them itself.
            continue;
        }
        news.iter().for_each(|line| console.line(line));
        // Copied: a screen that does not take the line must not hold up the recorder.
        let sample = *latest.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(sample) = &sample {
            console.line(&ending::status_line(sample, &description, rate_hz));
        }
    };
    let seconds = clock.now().since(began).as_secs_f64();
    drop(screen.take());
    let finished = match last {
        Progress::Finished(finished) => Some(finished),
        Progress::Stuck => None,
        Progress::Running | Progress::Panicked => {
            // The journal is to end with what led here; the next run makes an episode of it.
            inbox.event(clock.now(), "fault", "the control thread panicked".to_owned());
            drop(stop);
            if let Ok(mut recorder) = recording.join() {
                recorder.settle();
            }
            news.take().iter().for_each(|line| console.line(line));
            return Err(RunError::Panicked { name: "control" });
        }
    };
    let mut kept = None;
    let (cause, counted, flight) = match finished {
        Some(finished) => {
            let Finished { mut robot, cause, statistics, flight } = *finished;
            let mut cause = cause.unwrap_or(StopCause::Operator);
            if operator.request() == OperatorRequest::TorqueOff && cause != StopCause::LinkLost {
                // Asked for after the last cycle: still granted.
                robot.stop(clock.now(), StopRequest::TorqueOff);
                cause = StopCause::OperatorTorqueOff;
            }
            console.ended(cause);
            ending::release(robot.as_mut(), config.rest.then, cause, clock.now(), console);
            drop(listening);
            (cause, Some((statistics, robot.statistics())), flight)
        }
        None => {
            console.line("the control thread did not come back: the run ends without it");
            let cause = match operator.request() {
                OperatorRequest::TorqueOff => StopCause::OperatorTorqueOff,
                _ => StopCause::ControlStalled,
            };
            console.ended(cause);
            // Its arm still listens, through the watchdog, until this function ends.
            kept = Some(listening);
            (cause, None, Vec::new())
        }
    };
    drop(stop);
    let until = Instant::now() + PATIENCE;
    // A thread that panicked must not cost the recording: it is the last thing to be said.
    let mut panicked = None;
    let mut note = |error: RunError| {
        inbox.event(clock.now(), "fault", error.to_string());
        panicked.get_or_insert(error);
    };
    for camera in camera_threads {
        if let Err(error) = collect(camera, "camera", until, console) {
            note(error);
        }
    }
    let policy = collect(inference, "inference", until, console).unwrap_or_else(|error| {
        note(error);
        None
    });
    let policy = policy.unwrap_or_default();
    let recorder = recording.join().map_err(|_| RunError::Panicked { name: "recorder" })?;
    let robot = description;
    let ending =
        Ending { folder, dataset, robot, cause, seconds, counted, policy, recorder, flight };
    let summary = ending::finish(loaded, &inbox, ending, &operator, console);
    news.take().iter().for_each(|line| console.line(line));
    drop(kept);
    panicked.map_or(Ok(summary), Err)
}

/// What a worker needs to know when to work.
struct Work {
    clock: Arc<dyn Clock>,
    stop: Arc<AtomicBool>,
}

impl Work {
    fn new(clock: &Arc<dyn Clock>, stop: &StopOnDrop) -> Self {
        Self { clock: Arc::clone(clock), stop: Arc::clone(&stop.0) }
    }

    /// Steps a worker until the run ends.
    fn until_stopped(&self, mut step: impl FnMut(Timestamp) -> Timestamp) {
        while !self.stop.load(Ordering::Relaxed) {
            let next = step(self.clock.now());
            thread::sleep(next.since(self.clock.now()).min(NAP));
        }
    }
}

fn spawn<T: Send + 'static>(
    name: &str,
    body: impl FnOnce() -> T + Send + 'static,
) -> Result<JoinHandle<T>, RunError> {
    Builder::new()
        .name(name.to_owned())
        .spawn(body)
        .map_err(|source| RunError::Thread { name: name.to_owned(), source })
}

/// What a thread returns, or `None` when it has not come to its end by `until`.
fn collect<T>(
    thread: JoinHandle<T>,
    name: &'static str,
    until: Instant,
    console: &mut dyn Console,
) -> Result<Option<T>, RunError> {
    while !thread.is_finished() {
        if Instant::now() > until {
            console.line(&format!("the {name} thread did not come back: the run ends without it"));
            return Ok(None);
        }
        thread::sleep(Duration::from_millis(1));
    }
    thread.join().map(Some).map_err(|_| RunError::Panicked { name })
}

/// The workers' stop, and the sampling that may be under way.
struct StopOnDrop(Arc<AtomicBool>, Option<Arc<SamplingProgress>>);

impl Drop for StopOnDrop {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
        // A long sampling must not hold up the end of the run.
        if let Some(sampling) = &self.1 {
            sampling.cancel();
        }
    }
}

#[cfg(test)]
mod tests {
    use sinew_episodes::journal::{FILE_NAME, Reader, Record};
    use sinew_firmware_interfaces::{Camera, CameraDescription, CameraError, Frame};

    use super::*;

    /// A camera that panics after some frames.
    struct Panics(Box<dyn Camera>, u32);

    impl Camera for Panics {
        fn description(&self) -> &CameraDescription {
            self.0.description()
        }

        fn capture(&mut self, now: Timestamp, frame: &mut Frame) -> Result<(), CameraError> {
            self.1 = self.1.checked_sub(1).expect("this is the panic of a test");
            self.0.capture(now, frame)
        }
    }

    struct Silent;

    impl Console for Silent {
        fn line(&mut self, _text: &str) {}
    }

    #[test]
    fn a_camera_that_panics_does_not_cost_the_recording() {
        let folder = tempfile::tempdir().unwrap();
        let sets = [
            format!("recording.directory={:?}", folder.path().display().to_string()),
            "run.duration_s=3.0".to_owned(),
            "overrun.policy=report".to_owned(),
            "supervision.policy_ramp_after_ms=1000".to_owned(),
            "supervision.state_ramp_after_ms=8000".to_owned(),
            "supervision.watchdog_ms=8000".to_owned(),
        ];
        let path = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("configs/mock.toml");
        let loaded = crate::config::load(&path, &sets).unwrap();
        let prepare = |loaded: &Loaded| {
            let mut parts = crate::run::prepare(loaded, &OperatorSignal::default())?;
            let (name, camera) = parts.cameras.remove(0);
            parts.cameras.insert(0, (name, Box::new(Panics(camera, 20))));
            Ok(parts)
        };
        let ended = run(&loaded, prepare, OperatorSignal::default(), &mut Silent);
        assert!(matches!(ended, Err(RunError::Panicked { name: "camera" })), "{ended:?}");
        let runs = std::fs::read_dir(folder.path().join("runs")).unwrap();
        let run = runs.last().unwrap().unwrap().path();
        let records: Vec<_> =
            Reader::open(&run.join(FILE_NAME)).unwrap().map(Result::unwrap).collect();
        assert!(matches!(records.last(), Some(Record::Summary(_))));
        let says = |record: &Record| {
            matches!(record, Record::Event(event) if event.kind == "fault"
                && event.message.contains("the camera thread panicked"))
        };
        assert!(records.iter().any(says));
        assert!(run.join("summary.json").is_file() && run.join("report.html").is_file());
        assert!(folder.path().join("meta/info.json").is_file());
    }
}
