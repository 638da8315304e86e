//! The TOML schema: what a file may say. [`super::load`] turns it into a validated [`Config`].
//! The files of [`super::table`] have the same keys under the same names.

mod excitation;
mod franka;
pub(crate) mod law;
mod limits;
mod policy;
mod recording;
mod robot;
mod run;
mod supervision;
mod target;
mod timing;

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

pub use excitation::{ExcitationConfig, SignalConfig, Sweep};
pub use franka::{FrankaArm, FrankaConfig};
pub use law::{
    ArmLawConfig, CartesianImpedanceConfig, CartesianPidConfig, GuidingConfig,
    JointImpedanceConfig, JointPidConfig, OperationalSpaceConfig, PayloadConfig, PerJoint,
};
pub use limits::{JointLimitsConfig, WorkspaceConfig};
pub use policy::{CameraConfig, ElementConfig, ElementUnit, Execution, PolicyConfig};
pub use recording::RecordingConfig;
pub use robot::{
    ActuatorConfig, CanConfig, EmulatorConfig, RigAxis, RigConfig, RigDrive, RigProtocol,
    RobotConfig, RobotModel,
};
pub use run::{ClockKind, Pace, RunConfig};
pub use supervision::{AtRest, GuardConfig, RestConfig, SupervisionConfig};
pub use target::{ActuationConfig, Actuator, GainsConfig, Generator, MotorConfig, TargetConfig};
pub use timing::{OverrunConfig, OverrunPolicy, RealtimeConfig, RealtimeMode};

/// A whole run.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Config {
    /// The loop and the run.
    pub run: RunConfig,
    /// The arm.
    pub robot: RobotConfig,
    /// Emulated device, used when `robot.port = "emulator"`.
    #[serde(default)]
    pub emulator: EmulatorConfig,
    /// Limits by joint name. Every joint needs an entry.
    pub limits: BTreeMap<String, JointLimitsConfig>,
    /// Where the tool may be, for arms with a URDF.
    #[serde(default)]
    pub workspace: Option<WorkspaceConfig>,
    /// From targets to the loop's rate.
    #[serde(default)]
    pub target: TargetConfig,
    /// What turns a position into a command.
    #[serde(default)]
    pub actuation: ActuationConfig,
    /// What happens to a cycle that is late.
    #[serde(default)]
    pub overrun: OverrunConfig,
    /// What the control thread asks of the operating system.
    #[serde(default)]
    pub realtime: RealtimeConfig,
    /// Frame sources by name.
    #[serde(default)]
    pub cameras: BTreeMap<String, CameraConfig>,
    /// The policy and its mapping to joints.
    #[serde(default)]
    pub policy: Option<PolicyConfig>,
    /// Motions instead of a policy.
    #[serde(default)]
    pub excitation: Option<ExcitationConfig>,
    /// Ramps and the rest pose.
    pub rest: RestConfig,
    /// Thresholds of the stop ladder.
    #[serde(default)]
    pub supervision: SupervisionConfig,
    /// Where and how episodes are kept.
    pub recording: RecordingConfig,
}

impl Config {
    /// Rate of the dataset's frames, in Hz, and the key that says it.
    pub fn episode_rate_hz(&self) -> (f64, &'static str) {
        match (self.recording.rate_hz, &self.policy) {
            (Some(rate), _) => (rate, "recording.rate_hz"),
            (None, Some(policy)) => (policy.rate_hz, "policy.rate_hz"),
            (None, None) => (self.run.rate_hz, "run.rate_hz"),
        }
    }

    /// Whether `joint` opens and closes, as its limits have it: no path of a tool moves it.
    fn is_gripper(&self, joint: &str) -> bool {
        self.limits.get(joint).is_some_and(|limits| limits.opening.is_some())
    }

    /// Whether the target source drives joint `joint`.
    pub fn drives(&self, joint: &str) -> bool {
        let action = self.policy.iter().flat_map(|policy| &policy.action);
        let mut signals = self.excitation.iter().flat_map(|excitation| &excitation.signals);
        action.map(|it| it.joint.as_str()).any(|it| it == joint)
            || signals.any(|signal| signal.moves(joint) && !self.is_gripper(joint))
    }
}
