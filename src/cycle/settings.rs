//! Everything constant about a run's cycles.

use std::time::Duration;

use sinew_firmware_interfaces::{MAX_JOINTS, State};

use crate::limits::{JointLimits, Workspace};
use crate::pacing::Overruns;
use crate::supervision::Guard;
use crate::targets::Blend;

/// Everything constant about a run's cycles.
#[derive(Clone, Debug)]
pub struct CycleSettings {
    /// Time of one cycle.
    pub period: Duration,
    /// How long the target source drives.
    pub duration: Duration,
    /// Limits, in joint order.
    pub limits: Vec<JointLimits>,
    /// Where each joint may stand when commands begin ([`JointLimits::starts`]).
    pub starts: Vec<[f64; 2]>,
    /// The box that the tool stays in, where there is one.
    pub workspace: Option<Workspace>,
    /// Joints that the policy drives, as a bit set. The others hold.
    pub driven: u32,
    /// Joints whose measurements must be fresh, as a bit set. Grippers are read at a lower rate
    /// and left out; their age is recorded, not judged.
    pub judged: u32,
    /// How chunks become targets.
    pub blend: Blend,
    /// Fade of a chunk hand-over.
    pub crossfade: Duration,
    /// Speed, acceleration and jerk of the target generator, as a fraction of the limits; `None`
    /// hands targets to the limits as they are.
    pub generator: Option<f64>,
    /// Fade from the measured position to the target source.
    pub start_ramp: Duration,
    /// Rest pose.
    pub rest: [f64; MAX_JOINTS],
    /// Speed of the motion to rest, as a fraction of the limits.
    pub rest_fraction: f64,
    /// What becomes of missed deadlines.
    pub overruns: Overruns,
    /// Thresholds of the ladder.
    pub thresholds: Thresholds,
    /// Bounds of measured values.
    pub guards: Vec<Guard>,
    /// True where each state of the robot's wants its own command ([`RobotDescription::lockstep`]):
    /// the commanded motion is then a matter of the robot's time.
    ///
    /// [`RobotDescription::lockstep`]: sinew_firmware_interfaces::RobotDescription::lockstep
    pub lockstep: bool,
    /// True where the robot bears its own weight: commanded efforts begin at 0 instead of at what
    /// the joints bear.
    pub compensates_gravity: bool,
}

impl CycleSettings {
    /// The first joint that stands where no command may begin. A substituted measurement says
    /// nothing about where a joint stands.
    pub fn outside(&self, state: &State) -> Option<usize> {
        let stands = |(joint, [lower, upper]): (usize, &[f64; 2])| {
            let inside = (*lower..=*upper).contains(&state.position[joint]);
            !inside && !state.is_substituted(joint)
        };
        self.starts.iter().enumerate().position(stands)
    }
}

/// Thresholds of the stop ladder.
#[derive(Clone, Debug)]
pub struct Thresholds {
    /// No target for this long: hold.
    pub policy_hold: Duration,
    /// Holding for this long because of that: ramp.
    pub policy_ramp: Duration,
    /// Measurement older than this: hold.
    pub state_hold: Duration,
    /// Measurement older than this: ramp.
    pub state_ramp: Duration,
    /// Largest difference between measured and commanded position, per joint.
    pub tracking: [f64; MAX_JOINTS],
    /// How long it may last.
    pub tracking_time: Duration,
    /// How long the limits may change a joint's target without a break.
    pub clamp_time: Duration,
    /// How long a ramp may take.
    pub ramp_timeout: Duration,
}
