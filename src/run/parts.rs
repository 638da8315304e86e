//! Everything a run needs, read and checked before anything is powered.

use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use sinew_episodes::journal::{
    ActuatorMeta, CameraMeta, Header, JointMeta, PolicyMeta, SensorMeta,
};
use sinew_firmware_interfaces::{Camera, Clock, RobotDescription};
use sinew_models::Policy;

use super::target::{PolicyTarget, ReplayTarget, Target, TargetWorker};
use super::{RunError, actuator, settings};
use crate::actuation::Actuation;
use crate::cameras::{self, CameraWorker};
use crate::config::{
    Actuator, CameraConfig, ClockKind, Config, ConfigError, Execution, Loaded, PolicyConfig,
};
use crate::control::{OperatorSignal, PolicyLink};
use crate::cycle::CycleSettings;
use crate::policy::{self, Mapping};
use crate::recording::RecorderInbox;
use crate::robots;
use crate::targets::{self, PathError};

/// A camera and its name in the configuration.
type NamedCamera = (String, Box<dyn Camera>);

/// A run's parts, checked against each other.
pub struct Parts {
    /// The robot's description.
    pub robot: RobotDescription,
    /// What the arm follows.
    pub target: Target,
    /// Cameras by name.
    pub cameras: Vec<NamedCamera>,
    /// Constants of the cycle.
    pub settings: CycleSettings,
    /// What makes efforts of positions, if the robot takes efforts.
    pub actuation: Option<Actuation>,
    /// Where that comes from, if from a file.
    pub actuator: Option<ActuatorMeta>,
}

/// Reads the checkpoint, opens the cameras and checks that everything fits together. Nothing is
/// powered and no port is opened: `sinew check` does this too.
///
/// # Errors
/// [`RunError`] naming everything that does not fit.
pub fn prepare(loaded: &Loaded, operator: &OperatorSignal) -> Result<Parts, RunError> {
    let config = &loaded.config;
    let robot = robots::description(&config.robot);
    let limits = loaded.validate(&robot)?;
    loaded.validate_paths()?;
    let workspace = settings::workspace(loaded, &robot)?;
    let (actuation, actuator) = actuator::actuator(loaded, &robot)?;
    let Some(said) = &config.policy else {
        let settings = settings::settings(config, &robot, limits, workspace, 0);
        let target = match config.actuation.model {
            Actuator::Guiding => Target::Hand,
            _ => excitation(loaded, &robot, &settings)?,
        };
        let cameras = open_cameras(config)?;
        return Ok(Parts { robot, target, cameras, settings, actuation, actuator });
    };
    let mut policy = sinew_models::load(&said.path, &said.load_options())?;
    if policy.as_diffusion().is_none() && said.diffusion_keys().next().is_some() {
        let kind = policy.description().kind;
        let message = |key| {
            (
                key,
                format!(
                    "it is for a Diffusion Policy, the checkpoint is of type {kind}. Remove it"
                ),
            )
        };
        return Err(loaded.problems(said.diffusion_keys().map(message)).into());
    }
    let cameras = open_cameras(config)?;
    let size = |name: &str| {
        let (_, camera) = cameras.iter().find(|(known, _)| known == name)?;
        let camera = camera.description();
        Some((camera.width, camera.height))
    };
    let description = policy.description();
    let mapping = Mapping::new(said, &robot, description, size).map_err(|errors| {
        loaded.problems(errors.iter().map(|error| (error.key(), error.to_string())))
    })?;
    let step = Duration::from_secs_f64(1.0 / said.rate_hz);
    let span = step.saturating_mul(policy.description().chunk_size as u32);
    let warm_up = policy::warm_up(policy.as_mut(), &mapping, span, operator).map_err(|error| {
        if error.is_interrupted() { RunError::Interrupted } else { error.into() }
    })?;
    if let Some(problem) = lateness(config.run.clock, said, policy.as_mut(), warm_up, span) {
        return Err(loaded.problems([problem]).into());
    }
    let steps = policy.description().action_steps;
    let settings = settings::settings(config, &robot, limits, workspace, steps);
    let target = PolicyTarget { policy, mapping, said: said.clone(), warm_up };
    let target = Target::Policy(Box::new(target));
    Ok(Parts { robot, target, cameras, settings, actuation, actuator })
}

/// What is wrong with a policy whose chunks would be over before they are there, with the key that
/// would help most.
fn lateness(
    clock: ClockKind,
    said: &PolicyConfig,
    policy: &mut dyn Policy,
    inference: Duration,
    span: Duration,
) -> Option<(&'static str, String)> {
    let timed = said.execution != Execution::Queue;
    // In virtual time an inference takes what the clock says it does.
    if !timed || clock == ClockKind::Simulated || inference < span {
        return None;
    }
    let (key, faster) = match policy.as_diffusion() {
        Some(_) => ("policy.steps", "Take fewer steps (policy.scheduler = \"ddim\"), "),
        None => ("policy.rate_hz", "Take "),
    };
    let actions = policy.description().chunk_size;
    let message = format!(
        "an inference takes {:.1} ms on this computer, a chunk of {actions} actions at {} Hz lasts \
         {:.1} ms: it would be over before it is there. {faster}more policy.threads, a lower \
         policy.rate_hz, or policy.execution = \"queue\", which executes a chunk when it comes",
        inference.as_secs_f64() * 1e3,
        said.rate_hz,
        span.as_secs_f64() * 1e3,
    );
    Some((key, message))
}

/// Opens every camera.
fn open_cameras(config: &Config) -> Result<Vec<NamedCamera>, RunError> {
    let open = |(name, camera): (&String, &CameraConfig)| match cameras::open(camera) {
        Ok(camera) => Ok((name.clone(), camera)),
        Err(source) => Err(RunError::Camera { name: name.clone(), source }),
    };
    config.cameras.iter().map(open).collect()
}

/// Makes the motion of `[excitation]`, which is within the joints' limits by construction.
fn excitation(
    loaded: &Loaded,
    robot: &RobotDescription,
    settings: &CycleSettings,
) -> Result<Target, ConfigError> {
    let said = loaded.config.excitation.as_ref();
    let said = said.ok_or_else(|| loaded.problems([("excitation", "it is missing")]))?;
    let motion = targets::excite(said, robot, settings).map_err(|error| {
        let key = match error.problem {
            PathError::Arm(_) => "excitation.arm".to_owned(),
            _ => format!("excitation.signals[{}]", error.index),
        };
        loaded.problems([(key, error.problem.to_string())])
    })?;
    if let Some(workspace) = &settings.workspace
        && let Some(index) = motion.positions.iter().position(|position| {
            let joints = robot.joints.len().min(position.len());
            !workspace.holds(&position[..joints], 0.0)
        })
    {
        let seconds = motion.step.as_secs_f64() * index as f64;
        let message = format!(
            "at {seconds:.3} s of it the tool is outside [workspace]. Lower the amplitudes, move \
             the centres, or widen the box if that is right"
        );
        return Err(loaded.problems([("excitation.signals", message)]));
    }
    let origin = PolicyMeta {
        kind: "excite".to_owned(),
        path: loaded.path.display().to_string(),
        sha256: String::new(),
        action_steps: 0,
    };
    Ok(Target::Replay(ReplayTarget { motion: Arc::new(motion), origin }))
}

/// Checks that a recorded motion can be followed. Nothing is powered and no port is opened.
///
/// # Errors
/// [`RunError`] naming everything that does not fit.
pub fn prepare_replay(loaded: &Loaded, replay: ReplayTarget) -> Result<Parts, RunError> {
    let robot = robots::description(&loaded.config.robot);
    let limits = loaded.validate(&robot)?;
    let workspace = settings::workspace(loaded, &robot)?;
    let settings = settings::settings(&loaded.config, &robot, limits, workspace, 0);
    let (actuation, actuator) = actuator::actuator(loaded, &robot)?;
    let (target, cameras) = (Target::Replay(replay), Vec::new());
    Ok(Parts { robot, target, cameras, settings, actuation, actuator })
}

impl Parts {
    /// What will not be as somebody might expect, in sentences.
    pub fn notes(&self, config: &Config) -> Vec<String> {
        let mut notes = Vec::new();
        if let (Target::Replay(replay), Some(_)) = (&self.target, &config.excitation) {
            let longest = replay.motion.longest().as_secs_f64();
            if longest > config.run.duration_s {
                notes.push(format!(
                    "the signals with the ways between them take up to {longest:.1} s, and \
                     run.duration_s = {} s: their end may not be played",
                    config.run.duration_s
                ));
            }
        }
        let period = self.settings.period.as_secs_f64();
        let efforts = self.robot.joints.iter().zip(&self.settings.limits);
        for (joint, limits) in efforts.filter(|_| self.actuation.is_some()) {
            if let Some(effort) = limits.effort
                && effort.max_rate * period >= 2.0 * effort.max
            {
                notes.push(format!(
                    "limits.{}.max_torque_rate_nm_s limits nothing: in one cycle the torque may go \
                     from one end of its range to the other. Lower it",
                    joint.name
                ));
            }
        }
        notes
    }

    /// The journal's header; its run name may yet get a number. In virtual time the wall clock reads zero, so that the same run
    /// gives the same bytes.
    pub fn header(&self, loaded: &Loaded, clock: &dyn Clock) -> Header {
        let config = &loaded.config;
        let unix_ns = match config.run.clock {
            ClockKind::Real => SystemTime::now()
                .duration_since(UNIX_EPOCH)
                .map_or(0, |elapsed| elapsed.as_nanos() as u64)
                .saturating_sub(clock.now().as_nanos()),
            ClockKind::Simulated => 0,
        };
        Header {
            version: env!("CARGO_PKG_VERSION").to_owned(),
            run: run_name(unix_ns, &config.run.name),
            unix_ns,
            robot: self.robot.model.clone(),
            joints: self
                .robot
                .joints
                .iter()
                .map(|joint| JointMeta {
                    name: joint.name.clone(),
                    unit: joint.kind.unit().to_owned(),
                })
                .collect(),
            sensors: self
                .robot
                .sensors
                .iter()
                .map(|sensor| SensorMeta {
                    name: sensor.name.clone(),
                    unit: sensor.unit.to_owned(),
                })
                .collect(),
            cameras: self
                .cameras
                .iter()
                .map(|(name, camera)| {
                    let camera = camera.description();
                    CameraMeta {
                        name: name.clone(),
                        width: camera.width as u32,
                        height: camera.height as u32,
                        rate_hz: 1.0 / camera.period.as_secs_f64(),
                    }
                })
                .collect(),
            rate_hz: config.run.rate_hz,
            dataset_rate_hz: config.episode_rate_hz().0,
            task: config.run.task.clone(),
            policy: Some(self.target.meta()),
            actuator: self.actuator.clone(),
            config: loaded.effective_toml(),
        }
    }

    /// Splits into the workers of the camera threads and of the target source, and the control
    /// thread's ends of their mailboxes.
    pub fn into_workers(
        self,
        config: &Config,
        clock: &Arc<dyn Clock>,
        inbox: &RecorderInbox,
    ) -> (Vec<CameraWorker>, TargetWorker, PolicyLink) {
        let mut workers = Vec::new();
        let mut frames = Vec::new();
        for (index, (name, camera)) in self.cameras.into_iter().enumerate() {
            let (worker, mailbox) = CameraWorker::new(
                name.clone(),
                index as u32,
                camera,
                inbox.clone(),
                Arc::clone(clock),
            );
            workers.push(worker);
            frames.push((name, mailbox));
        }
        let (worker, link) = self.target.into_worker(config, &self.settings, frames, clock, inbox);
        (workers, worker, link)
    }
}

/// Date, time and name. Two runs of one second get different folders all the same.
fn run_name(unix_ns: u64, name: &str) -> String {
    let at = time::OffsetDateTime::from_unix_timestamp_nanos(i128::from(unix_ns))
        .unwrap_or(time::OffsetDateTime::UNIX_EPOCH);
    format!(
        "{:04}{:02}{:02}-{:02}{:02}{:02}-{name}",
        at.year(),
        u8::from(at.month()),
        at.day(),
        at.hour(),
        at.minute(),
        at.second()
    )
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;
    use crate::config;

    fn diffusion(sets: &[&str]) -> Loaded {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("configs/diffusion.toml");
        let sets: Vec<String> = sets.iter().map(|set| (*set).to_owned()).collect();
        config::load(&path, &sets).unwrap()
    }

    #[test]
    fn an_operator_who_does_not_want_to_wait_ends_a_long_first_inference() {
        let operator = OperatorSignal::default();
        operator.raise();
        let ended = prepare(&diffusion(&[]), &operator).map(|_| ());
        assert!(matches!(ended, Err(RunError::Interrupted)), "{ended:?}");
    }

    #[test]
    fn a_policy_slower_than_its_chunks_is_refused_with_what_would_help() {
        let span = Duration::from_millis(700);
        let late = |sets: &[&str], millis| {
            let loaded = diffusion(sets);
            let said = loaded.config.policy.as_ref().unwrap();
            let path = &said.path;
            let mut policy = sinew_models::load(path, &said.load_options()).unwrap();
            let clock = loaded.config.run.clock;
            lateness(clock, said, policy.as_mut(), Duration::from_millis(millis), span)
        };
        assert_eq!(late(&[], 699), None);
        let (key, message) = late(&[], 700).unwrap();
        assert_eq!(key, "policy.steps");
        assert!(message.contains("an inference takes 700.0 ms on this computer"), "{message}");
        assert!(message.contains("7 actions at 10 Hz lasts 700.0 ms"), "{message}");
        assert!(message.contains("policy.scheduler"), "{message}");
        // A queue executes chunks when they come; virtual time does not ask the computer.
        assert_eq!(late(&["policy.execution=queue", "policy.inpaint=false"], 9000), None);
        assert_eq!(late(&["run.clock=simulated"], 9000), None);
    }
}
