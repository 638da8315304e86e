//! Everything a run needs, read and checked before anything is powered.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::AtomicU64;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use sinew_episodes::journal::{CameraMeta, Header, JointMeta, PolicyMeta};
use sinew_firmware_interfaces::{Camera, Clock, RobotDescription, State};
use sinew_models::Policy;

use super::{RunError, settings};
use crate::cameras::{self, CameraWorker};
use crate::config::{ClockKind, Config, Loaded};
use crate::control::PolicyLink;
use crate::cycle::CycleSettings;
use crate::policy::{self, Mapping, PolicyMailboxes, PolicySettings, PolicyWorker};
use crate::recording::RecorderInbox;
use crate::robots;
use crate::targets::Chunk;

/// How long an inference takes in virtual time.
const SIMULATED_LATENCY: Duration = Duration::from_millis(40);

/// A run's parts, checked against each other.
pub struct Parts {
    /// The robot's description.
    pub robot: RobotDescription,
    /// The policy.
    pub policy: Box<dyn Policy>,
    /// How it maps to the robot.
    pub mapping: Mapping,
    /// Cameras by name.
    pub cameras: Vec<(String, Box<dyn Camera>)>,
    /// Constants of the cycle.
    pub settings: CycleSettings,
    /// How long the first inference took.
    pub warm_up: Duration,
}

/// Reads the checkpoint, opens the cameras and checks that everything fits together. Nothing is
/// powered and no port is opened: `sinew check` does this too.
///
/// # Errors
/// [`RunError`] naming everything that does not fit.
pub fn prepare(loaded: &Loaded) -> Result<Parts, RunError> {
    let config = &loaded.config;
    let robot = robots::description(&config.robot);
    let limits = loaded.validate(&robot)?;
    loaded.validate_paths()?;
    let workspace = settings::workspace(loaded, &robot)?;
    let mut policy = sinew_models::load(&config.policy.path)?;
    let mut cameras = Vec::new();
    let mut sizes = BTreeMap::new();
    for (name, camera) in &config.cameras {
        let camera = cameras::open(camera)
            .map_err(|source| RunError::Camera { name: name.clone(), source })?;
        let description = camera.description();
        sizes.insert(name.as_str(), (description.width, description.height));
        cameras.push((name.clone(), camera));
    }
    let description = policy.description();
    let mapping = Mapping::new(config, &robot, description, |name| sizes.get(name).copied())
        .map_err(|errors| {
            loaded.problems(errors.iter().map(|error| (error.key(), error.to_string())))
        })?;
    let began = Instant::now();
    policy::warm_up(policy.as_mut(), &mapping)?;
    let warm_up = began.elapsed();
    let steps = policy.description().action_steps;
    let settings = settings::settings(config, &robot, limits, workspace, steps);
    Ok(Parts { robot, policy, mapping, cameras, settings, warm_up })
}

impl Parts {
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
        let description = self.policy.description();
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
            dataset_rate_hz: config.recording.rate_hz.unwrap_or(config.policy.rate_hz),
            task: config.run.task.clone(),
            policy: Some(PolicyMeta {
                kind: description.kind.to_owned(),
                path: description.path.display().to_string(),
                sha256: description.sha256.clone(),
                action_steps: description.action_steps as u32,
            }),
            config: loaded.effective_toml(),
        }
    }

    /// Splits into the workers of the camera and inference threads and the control thread's ends
    /// of their mailboxes.
    pub fn into_workers(
        self,
        config: &Config,
        clock: &Arc<dyn Clock>,
        inbox: &RecorderInbox,
    ) -> (Vec<CameraWorker>, PolicyWorker, PolicyLink) {
        let mut workers = Vec::new();
        // Two image features may look through one camera.
        let mut frames = Vec::new();
        let mut views = vec![0; self.mapping.cameras().len()];
        for (index, (name, camera)) in self.cameras.into_iter().enumerate() {
            let (worker, mailbox) = CameraWorker::new(
                name.clone(),
                index as u32,
                camera,
                inbox.clone(),
                Arc::clone(clock),
            );
            workers.push(worker);
            let seen = self.mapping.cameras().iter().zip(&mut views);
            let mut sees = false;
            for (_, view) in seen.filter(|(camera, _)| **camera == name) {
                *view = frames.len();
                sees = true;
            }
            if sees {
                frames.push(mailbox);
            }
        }
        let (state_in, state_out) = triple_buffer::triple_buffer(&State::default());
        let (chunks_in, chunks_out) = rtrb::RingBuffer::new(Chunk::IN_TRANSIT);
        let (spent_in, spent_out) = rtrb::RingBuffer::new(Chunk::BOXES);
        let demand = Arc::new(AtomicU64::new(1));
        let policy = &config.policy;
        let settings = PolicySettings {
            execution: policy.execution,
            step: Duration::from_secs_f64(1.0 / policy.rate_hz),
            period: policy.inference_period_ms.map(|period| Duration::from_secs_f64(period / 1e3)),
            judged: self.settings.judged,
            state_max_age: self.settings.thresholds.state_hold,
            frame_max_age: Duration::from_secs_f64(config.supervision.frame_max_age_ms / 1e3),
            simulated_latency: (config.run.clock == ClockKind::Simulated)
                .then_some(SIMULATED_LATENCY),
        };
        let mailboxes = PolicyMailboxes {
            state: state_out,
            frames,
            views,
            chunks: chunks_in,
            spent: spent_out,
            demand: Arc::clone(&demand),
        };
        let worker = PolicyWorker::new(
            self.policy,
            self.mapping,
            settings,
            mailboxes,
            Arc::clone(clock),
            inbox.clone(),
        );
        let finished = Arc::default();
        let link =
            PolicyLink { chunks: chunks_out, spent: spent_in, state: state_in, demand, finished };
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
