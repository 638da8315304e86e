//! A run in virtual time: the same cycle, workers, driver protocol and emulated firmware, on one
//! thread and a clock that moves only between ticks. The same configuration gives the same bytes.

use std::sync::Arc;
use std::time::Duration;

use sinew_firmware_interfaces::{Clock, Robot, SimulatedClock, Timestamp};

use super::ending::{self, Ending};
use super::opening::{self, Opening};
use super::parts::Parts;
use super::target::TargetWorker;
use super::{Console, RunError};
use crate::cameras::CameraWorker;
use crate::config::Loaded;
use crate::control::{ControlLoop, OperatorSignal};
use crate::cycle::Cycle;
use crate::pacing::{Grid, Pacer, Tick};
use crate::recording::Recorder;
use crate::robots;
use crate::summary::RunSummary;
use crate::supervision::{Heartbeat, StopCause};

pub(super) fn run(
    loaded: &Loaded,
    prepare: impl FnOnce(&Loaded) -> Result<Parts, RunError>,
    operator: OperatorSignal,
    console: &mut dyn Console,
) -> Result<RunSummary, RunError> {
    let config = &loaded.config;
    let simulated = SimulatedClock::new();
    let clock: Arc<dyn Clock> = Arc::new(simulated.clone());
    console.line(&format!("{}: {} in virtual time", config.run.name, config.run.task));
    let mut parts = prepare(loaded)?;
    parts.notes(config).iter().for_each(|note| console.line(&format!("note    {note}")));
    let mut robot = robots::stepped(config, &simulated)?;

    let Opening { dataset, folder, inbox, sink, mut recorder } =
        opening::open(loaded, &parts, clock.as_ref(), &operator, console)?;
    let settings = parts.settings.clone();
    let timeout = Duration::from_millis(config.robot.arm_timeout_ms.into());
    if let Err(error) = opening::arm(robot.as_mut(), &settings, timeout, clock.as_ref()) {
        // Nothing was recorded. If this fails, the next start finds an empty journal and says so.
        let _ = std::fs::remove_dir_all(&folder);
        return Err(error);
    }
    let description = parts.robot.clone();
    let cycle = Cycle::new(settings.clone(), parts.actuation.take());
    let (mut cameras, mut target, link) = parts.into_workers(config, &clock, &inbox);

    let began = clock.now();
    let period = settings.period;
    let (signal, heartbeat) = (operator.clone(), Heartbeat::default());
    let mut control = ControlLoop::new(robot.as_mut(), cycle, link, sink, signal, heartbeat);
    let mut world = World {
        grid: Grid::new(began.after(period), config.run.rate_hz),
        next: vec![began; cameras.len() + 2],
        clock: simulated,
        cameras: &mut cameras,
        target: &mut target,
        recorder: &mut recorder,
    };
    let cause = control.run(&mut world);
    let statistics = control.statistics().clone();
    let flight = control.flight().iter().copied().collect();
    drop(control);
    let cause = cause.unwrap_or(StopCause::Operator);
    let seconds = clock.now().since(began).as_secs_f64();
    let policy = target.statistics();
    ending::release(robot.as_mut(), config.rest.then, cause, clock.now(), console);
    let bus = robot.statistics();
    let robot = description;
    let counted = Some((statistics, bus));
    let ending =
        Ending { folder, dataset, robot, cause, seconds, counted, policy, recorder, flight };
    Ok(ending::finish(loaded, &inbox, ending, &operator, console))
}

/// Everything that lives between two ticks.
struct World<'a> {
    clock: SimulatedClock,
    grid: Grid,
    cameras: &'a mut [CameraWorker],
    target: &'a mut TargetWorker,
    recorder: &'a mut Recorder,
    /// When each worker wants to be called: cameras, target source, recorder.
    next: Vec<Timestamp>,
}

impl World<'_> {
    fn step(&mut self, worker: usize, now: Timestamp) -> Timestamp {
        let cameras = self.cameras.len();
        match worker {
            camera if camera < cameras => self.cameras[camera].step(now),
            worker if worker == cameras => self.target.step(now),
            _ => self.recorder.step(now),
        }
    }
}

impl Pacer for World<'_> {
    fn wait(&mut self, _robot: &mut dyn Robot) -> Tick {
        let (index, scheduled) = self.grid.advance();
        // In order of time, and in a fixed order among those of the same time.
        while let Some((worker, at)) = self
            .next
            .iter()
            .copied()
            .enumerate()
            .min_by_key(|(_, at)| *at)
            .filter(|(_, at)| *at <= scheduled)
        {
            self.clock.advance_to(at);
            let next = self.step(worker, at);
            // A worker that asks for the past would stop time.
            self.next[worker] = next.max(Timestamp::from_nanos(at.as_nanos() + 1));
        }
        self.clock.advance_to(scheduled);
        Tick { index, scheduled, woke: scheduled, missed: 0 }
    }

    fn now(&self) -> Timestamp {
        self.clock.now()
    }
}
