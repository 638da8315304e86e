//! What the arm follows in a run: a policy, or a recorded motion. Either is a worker that hands
//! chunks to the control thread through the same mailboxes.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64};
use std::time::Duration;

use sinew_episodes::journal::PolicyMeta;
use sinew_firmware_interfaces::{Clock, Frame, State, Timestamp};
use sinew_models::{Device, Policy, SamplingProgress};

use crate::config::{ClockKind, Config, PolicyConfig};
use crate::control::PolicyLink;
use crate::cycle::CycleSettings;
use crate::policy::{Mapping, PolicyMailboxes, PolicySettings, PolicyStatistics, PolicyWorker};
use crate::recording::RecorderInbox;
use crate::targets::{Chunk, Repeated, ReplayMailboxes, ReplayWorker};

/// How long an inference takes in virtual time.
const SIMULATED_LATENCY: Duration = Duration::from_millis(40);

/// How often a worker without work looks whether the run is over.
const IDLE: Duration = Duration::from_millis(50);

/// What the arm follows.
pub enum Target {
    /// A checkpoint.
    Policy(Box<PolicyTarget>),
    /// A recorded motion, or one that was made up.
    Replay(ReplayTarget),
    /// A hand.
    Hand,
}

/// A policy that fits the robot.
pub struct PolicyTarget {
    /// The policy.
    pub policy: Box<dyn Policy>,
    /// How it maps to the robot.
    pub mapping: Mapping,
    /// What the configuration says of it.
    pub said: PolicyConfig,
    /// How long an inference took before the run.
    pub warm_up: Duration,
}

/// A motion that fits the robot.
#[derive(Clone, Debug)]
pub struct ReplayTarget {
    /// The motion.
    pub motion: Arc<Repeated>,
    /// Where it comes from, for the journal of the run.
    pub origin: PolicyMeta,
}

/// A camera's name and the mailbox of its latest frame.
pub(super) type NamedFrames = Vec<(String, triple_buffer::Output<Frame>)>;

impl Target {
    /// A line for people.
    pub fn line(&self) -> String {
        match self {
            Self::Policy(target) => {
                let PolicyTarget { policy, said, warm_up, .. } = target.as_ref();
                let policy = policy.description();
                let device = match said.device {
                    Device::Cpu => String::new(),
                    device => format!("on {}, ", device.description()),
                };
                format!(
                    "policy  {} {} ({device}{} weights, chunk {} at {} Hz, an inference {:.1} ms)",
                    policy.kind,
                    policy.path.display(),
                    policy.parameters,
                    policy.chunk_size,
                    said.rate_hz,
                    warm_up.as_secs_f64() * 1e3
                )
            }
            Self::Replay(ReplayTarget { motion, origin }) => format!(
                "{:<7} {}: {:.2} s of motion, {} times",
                origin.kind,
                origin.path,
                motion.step.as_secs_f64() * motion.positions.len() as f64,
                motion.times
            ),
            Self::Hand => "target  a hand leads the arm".to_owned(),
        }
    }

    /// For the journal's header.
    pub(super) fn meta(&self) -> PolicyMeta {
        match self {
            Self::Policy(target) => {
                let description = target.policy.description();
                PolicyMeta {
                    kind: description.kind.to_owned(),
                    path: description.path.display().to_string(),
                    sha256: description.sha256.clone(),
                    action_steps: description.action_steps as u32,
                }
            }
            Self::Replay(replay) => replay.origin.clone(),
            Self::Hand => PolicyMeta {
                kind: "guiding".to_owned(),
                path: String::new(),
                sha256: String::new(),
                action_steps: 0,
            },
        }
    }

    /// How far a long inference is, where there is such.
    pub(super) fn progress(&self) -> Option<Arc<SamplingProgress>> {
        match self {
            Self::Policy(target) => target.policy.progress(),
            Self::Replay(_) | Self::Hand => None,
        }
    }

    /// The worker, and the control thread's ends of its mailboxes.
    pub(super) fn into_worker(
        self,
        config: &Config,
        cycle: &CycleSettings,
        cameras: NamedFrames,
        clock: &Arc<dyn Clock>,
        inbox: &RecorderInbox,
    ) -> (TargetWorker, PolicyLink) {
        let (state_in, state) = triple_buffer::triple_buffer(&State::default());
        let (chunks, chunks_out) = rtrb::RingBuffer::new(Chunk::IN_TRANSIT);
        let (spent_in, spent) = rtrb::RingBuffer::new(Chunk::BOXES);
        let demand = Arc::new(AtomicU64::new(1));
        let restarted = Arc::<AtomicU64>::default();
        let finished = Arc::<AtomicBool>::default();
        let link = PolicyLink {
            chunks: chunks_out,
            spent: spent_in,
            state: state_in,
            demand: Arc::clone(&demand),
            restarted: Arc::clone(&restarted),
            finished: Arc::clone(&finished),
        };
        let worker = match self {
            Self::Policy(target) => {
                let PolicyTarget { policy, mapping, said, .. } = *target;
                let (frames, views) = views(&mapping, cameras);
                let mailboxes =
                    PolicyMailboxes { state, frames, views, chunks, spent, demand, restarted };
                let settings = policy_settings(config, &said, cycle);
                let (clock, inbox) = (Arc::clone(clock), inbox.clone());
                TargetWorker::Policy(Box::new(PolicyWorker::new(
                    policy, mapping, settings, mailboxes, clock, inbox,
                )))
            }
            Self::Replay(ReplayTarget { motion, .. }) => {
                let mailboxes = ReplayMailboxes { state, chunks, spent, finished };
                TargetWorker::Replay(Box::new(ReplayWorker::new(motion, mailboxes, inbox.clone())))
            }
            Self::Hand => TargetWorker::Hand,
        };
        (worker, link)
    }
}

/// The frames that the policy sees, and which of them feeds which image feature: two features may
/// look through one camera.
fn views(
    mapping: &Mapping,
    cameras: NamedFrames,
) -> (Vec<triple_buffer::Output<Frame>>, Vec<usize>) {
    let mut frames = Vec::new();
    let mut views = vec![0; mapping.cameras().len()];
    for (name, mailbox) in cameras {
        let seen = mapping.cameras().iter().zip(&mut views);
        let mut sees = false;
        for (_, view) in seen.filter(|(camera, _)| **camera == name) {
            *view = frames.len();
            sees = true;
        }
        if sees {
            frames.push(mailbox);
        }
    }
    (frames, views)
}

fn policy_settings(
    config: &Config,
    policy: &PolicyConfig,
    cycle: &CycleSettings,
) -> PolicySettings {
    PolicySettings {
        execution: policy.execution,
        step: Duration::from_secs_f64(1.0 / policy.rate_hz),
        period: policy.inference_period_ms.map(|period| Duration::from_secs_f64(period / 1e3)),
        judged: cycle.judged,
        state_max_age: cycle.thresholds.state_hold,
        frame_max_age: Duration::from_secs_f64(config.supervision.frame_max_age_ms / 1e3),
        simulated_latency: (config.run.clock == ClockKind::Simulated).then_some(SIMULATED_LATENCY),
    }
}

/// The worker of a target source.
pub enum TargetWorker {
    /// Of a policy.
    Policy(Box<PolicyWorker>),
    /// Of a recorded motion.
    Replay(Box<ReplayWorker>),
    /// None: a hand needs no chunks.
    Hand,
}

impl TargetWorker {
    /// Does what is due at `now` and returns when to be called again.
    pub fn step(&mut self, now: Timestamp) -> Timestamp {
        match self {
            Self::Policy(worker) => worker.step(now),
            Self::Replay(worker) => worker.step(now),
            Self::Hand => now.after(IDLE),
        }
    }

    /// Counters so far; those of a policy are zero where there is none.
    pub fn statistics(&self) -> PolicyStatistics {
        match self {
            Self::Policy(worker) => worker.statistics().clone(),
            Self::Replay(_) | Self::Hand => PolicyStatistics::default(),
        }
    }
}
