//! The TOML schema: what a file may say. [`super::load`] turns it into a validated [`Config`].

use std::collections::BTreeMap;
use std::path::PathBuf;

use serde::{Deserialize, Serialize};

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
    pub policy: PolicyConfig,
    /// Ramps and the rest pose.
    pub rest: RestConfig,
    /// Thresholds of the stop ladder.
    #[serde(default)]
    pub supervision: SupervisionConfig,
    /// Where and how episodes are kept.
    pub recording: RecordingConfig,
}

/// `[run]`
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RunConfig {
    /// Name of the run; part of its folder's name.
    pub name: String,
    /// Task in words, kept with the episode.
    pub task: String,
    /// Rate of the control loop, in Hz: 1 to 1000.
    pub rate_hz: f64,
    /// How long the policy drives, in s.
    pub duration_s: f64,
    /// Real time, or simulated time (emulated robots only).
    #[serde(default)]
    pub clock: ClockKind,
    /// Who says when a cycle begins.
    #[serde(default)]
    pub pace: Pace,
    /// Largest busy wait before a tick, in µs: 0 to 50.
    #[serde(default = "defaults::spin_us")]
    pub spin_us: u32,
}

/// `run.clock`
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ClockKind {
    /// The machine's monotonic clock.
    #[default]
    Real,
    /// Virtual time: as fast as the machine can, the same bytes every time.
    Simulated,
}

/// `run.pace`
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Pace {
    /// An absolute grid on the machine's clock.
    #[default]
    Timer,
    /// The robot: a cycle follows each state that it sends.
    Device,
}

/// `[robot]`
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RobotConfig {
    /// Which driver.
    pub model: RobotModel,
    /// Serial device, `tcp://HOST:PORT`, or `emulator`.
    pub port: String,
    /// Speed byte of motion commands, in percent: 1 to 100.
    #[serde(default = "defaults::speed_percent")]
    pub speed_percent: u8,
    /// True where the firmware acknowledges setters.
    #[serde(default = "defaults::yes")]
    pub expect_ack: bool,
    /// True where a gripper is mounted; it is then the last joint.
    #[serde(default = "defaults::yes")]
    pub gripper: bool,
    /// Number of joints of the mock arm: 1 to 32.
    #[serde(default = "defaults::joints")]
    pub joints: u32,
    /// How long to wait for a reply, in ms.
    #[serde(default = "defaults::reply_timeout_ms")]
    pub reply_timeout_ms: u32,
    /// Consecutive failed requests before the link is opened again.
    #[serde(default = "defaults::retries")]
    pub retries: u32,
    /// How long to try to open the link again, in ms, before it counts as lost.
    #[serde(default = "defaults::reconnect_window_ms")]
    pub reconnect_window_ms: u32,
    /// Least time between an arm and a gripper command, in ms.
    #[serde(default = "defaults::gripper_gap_ms")]
    pub gripper_gap_ms: u32,
    /// Time between gripper reads, in ms.
    #[serde(default = "defaults::gripper_read_period_ms")]
    pub gripper_read_period_ms: u32,
    /// How long arming may take, in ms.
    #[serde(default = "defaults::arm_timeout_ms")]
    pub arm_timeout_ms: u32,
    /// Must be true for a robot that goes on moving to its last target when commands stop: a
    /// runtime that is killed cannot stop it.
    #[serde(default)]
    pub accept_motion_on_silence: bool,
}

impl RobotConfig {
    /// [`RobotConfig::joints`] where nobody says it.
    pub(super) fn default_joints() -> u32 {
        defaults::joints()
    }
}

/// `robot.model`
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum RobotModel {
    /// Elephant Robotics myCobot 320, M5 or Pi.
    Mycobot320,
    /// An arm of simple joints in this process, for tests and benchmarks.
    Mock,
}

impl RobotModel {
    /// Every robot that this build knows.
    pub const ALL: &[Self] = &[Self::Mycobot320, Self::Mock];
}

/// `[emulator]`
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct EmulatorConfig {
    /// Faults, as `sinew emulate --fault` takes them.
    pub faults: Vec<String>,
    /// Seed of latency jitter and random faults.
    pub seed: u64,
    /// Where the arm stands at the start, by joint, in the joint's unit; others stand at 0.
    pub start: BTreeMap<String, f64>,
}

impl Default for EmulatorConfig {
    fn default() -> Self {
        Self { faults: Vec::new(), seed: 1, start: BTreeMap::new() }
    }
}

/// `[limits.JOINT]`, for revolute joints in rad, for a gripper in openings (0 to 1).
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct JointLimitsConfig {
    /// Allowed positions of a revolute joint, in rad: lower, upper.
    #[serde(default)]
    pub position_rad: Option<[f64; 2]>,
    /// Largest speed of a revolute joint, in rad/s.
    #[serde(default)]
    pub max_velocity_rad_s: Option<f64>,
    /// Largest acceleration of a revolute joint, in rad/s².
    #[serde(default)]
    pub max_acceleration_rad_s2: Option<f64>,
    /// Largest jerk of a revolute joint, in rad/s³.
    #[serde(default)]
    pub max_jerk_rad_s3: Option<f64>,
    /// Largest change of the command in one cycle, in rad.
    #[serde(default)]
    pub max_step_rad: Option<f64>,
    /// How far inside both ends of the range commands stay, in rad.
    #[serde(default)]
    pub margin_rad: Option<f64>,
    /// Largest torque of a revolute joint, in N·m; for commands in torque.
    #[serde(default)]
    pub max_torque_nm: Option<f64>,
    /// Largest change of torque, in N·m/s; for commands in torque.
    #[serde(default)]
    pub max_torque_rate_nm_s: Option<f64>,
    /// Allowed openings of a gripper: lower, upper, within 0 to 1.
    #[serde(default)]
    pub opening: Option<[f64; 2]>,
    /// Largest slew of a gripper, in openings per s.
    #[serde(default)]
    pub max_slew_per_s: Option<f64>,
    /// Largest change of slew of a gripper, in openings per s².
    #[serde(default)]
    pub max_slew_change_per_s2: Option<f64>,
    /// Largest jerk of a gripper, in openings per s³.
    #[serde(default)]
    pub max_slew_jerk_per_s3: Option<f64>,
    /// Largest change of the opening in one cycle.
    #[serde(default)]
    pub max_step: Option<f64>,
    /// How far inside both ends of the range commands stay, in openings.
    #[serde(default)]
    pub margin: Option<f64>,
}

/// `[workspace]`
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct WorkspaceConfig {
    /// The arm's URDF.
    pub urdf: PathBuf,
    /// The link that is kept inside the box; default: the last one of the chain.
    #[serde(default)]
    pub tip: Option<String>,
    /// Smallest x, y, z of the tip's origin in the base frame, in m.
    pub min_m: [f64; 3],
    /// Largest x, y, z, in m.
    pub max_m: [f64; 3],
}

/// `[target]`
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct TargetConfig {
    /// What makes motion at the loop's rate out of targets.
    pub generator: Generator,
    /// The generator's speed, acceleration and jerk, as a fraction of the limits: above 0, below 1.
    pub fraction: f64,
}

impl Default for TargetConfig {
    fn default() -> Self {
        Self { generator: Generator::default(), fraction: 0.95 }
    }
}

/// `target.generator`
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Generator {
    /// The fastest motion inside speed, acceleration and jerk that follows the target.
    #[default]
    JerkLimited,
    /// Straight lines between targets: the limits behind it make what they can of the corners.
    Linear,
}

/// `[actuation]`
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct ActuationConfig {
    /// What turns a position into a command.
    pub model: Actuator,
    /// Gains by joint name, for `model = "pd"`.
    pub gains: BTreeMap<String, GainsConfig>,
}

/// `actuation.model`
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Actuator {
    /// The robot takes positions.
    #[default]
    Position,
    /// The robot takes torques, which a proportional and derivative law makes of positions.
    Pd,
}

/// `[actuation.gains.JOINT]`
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct GainsConfig {
    /// Torque per position error, in N·m/rad.
    pub stiffness_nm_rad: f64,
    /// Torque per velocity error, in N·m·s/rad.
    pub damping_nm_s_rad: f64,
}

/// `[overrun]`
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct OverrunConfig {
    /// What a missed deadline leads to.
    pub policy: OverrunPolicy,
    /// Missed deadlines that a window bears.
    pub allowed: u32,
    /// The window over which they are forgotten again, in s.
    pub window_s: f64,
}

impl Default for OverrunConfig {
    fn default() -> Self {
        Self { policy: OverrunPolicy::default(), allowed: 5, window_s: 1.0 }
    }
}

/// `overrun.policy`
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum OverrunPolicy {
    /// Every miss is counted and shown; nothing else.
    Report,
    /// Every miss holds the arm until a cycle is on time; more than allowed ramp to rest.
    Hold,
    /// More than allowed ramp to rest.
    #[default]
    Stop,
}

/// `[realtime]`
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct RealtimeConfig {
    /// Whether what is asked for here must be granted.
    pub mode: RealtimeMode,
    /// Priority of the control thread in the class SCHED_FIFO: 1 to 98. The watchdog has one more.
    pub priority: u32,
    /// CPUs that the control thread may run on; empty: any.
    pub cpus: Vec<u32>,
    /// Whether memory is locked and touched beforehand.
    pub lock_memory: bool,
    /// Timer slack of the control thread, in ns, where it has no real-time class.
    pub timer_slack_ns: u32,
    /// Longest wake-up of an idle CPU, in µs (`/dev/cpu_dma_latency`); absent: not asked for.
    pub cpu_dma_latency_us: Option<u32>,
}

impl Default for RealtimeConfig {
    fn default() -> Self {
        Self {
            mode: RealtimeMode::default(),
            priority: 80,
            cpus: Vec::new(),
            lock_memory: true,
            timer_slack_ns: 1,
            cpu_dma_latency_us: None,
        }
    }
}

/// `realtime.mode`
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum RealtimeMode {
    /// Ask for nothing.
    Off,
    /// Ask, and say what was not granted.
    #[default]
    Prefer,
    /// Refuse to arm without.
    Enforce,
}

/// `[cameras.NAME]`
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, tag = "source", rename_all = "snake_case")]
pub enum CameraConfig {
    /// A moving test picture with time and frame number in its pixels.
    Synthetic {
        /// Width in pixels.
        width: usize,
        /// Height in pixels.
        height: usize,
        /// Frames per second.
        rate_hz: f64,
        /// Stop delivering after this time, in s: a fault switch for tests.
        #[serde(default)]
        stops_after_s: Option<f64>,
    },
    /// The PNG files of a folder in name order, round and round.
    Replay {
        /// The folder.
        path: PathBuf,
        /// Frames per second.
        rate_hz: f64,
    },
}

/// `[policy]`
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PolicyConfig {
    /// The checkpoint folder.
    pub path: PathBuf,
    /// Rate at which its actions follow each other, in Hz: the `fps` it was trained with.
    pub rate_hz: f64,
    /// How chunks become targets.
    #[serde(default)]
    pub execution: Execution,
    /// Coefficient of temporal ensembling (LeRobot's rule); only with `execution = "ensemble"`.
    #[serde(default)]
    pub ensemble_coefficient: Option<f64>,
    /// Least time between the starts of two inferences, in ms, for `execution = "timeline"`.
    /// Default: the time of the checkpoint's `n_action_steps`, less one inference.
    #[serde(default)]
    pub inference_period_ms: Option<f64>,
    /// How long a new chunk fades in over the old one, in ms.
    #[serde(default = "defaults::crossfade_ms")]
    pub crossfade_ms: f64,
    /// The elements of `observation.state`, in the checkpoint's order.
    pub state: Vec<ElementConfig>,
    /// The elements of `action`, in the checkpoint's order.
    pub action: Vec<ElementConfig>,
    /// Which camera feeds which image feature: feature name to camera name.
    #[serde(default)]
    pub images: BTreeMap<String, String>,
    /// Joints that no action drives, on purpose: they hold where they were at the start.
    #[serde(default)]
    pub hold: Vec<String>,
}

/// `policy.execution`
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Execution {
    /// Chunks addressed by absolute time, past actions dropped, cross-faded.
    #[default]
    Timeline,
    /// As `timeline`, with every chunk that covers an instant voting (LeRobot's rule).
    Ensemble,
    /// LeRobot's queue: infer when `n_action_steps` actions are used up. For comparison.
    Queue,
}

/// One element of a state or action vector: `policy value = sign * (joint position in unit) *
/// scale + offset`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ElementConfig {
    /// The joint.
    pub joint: String,
    /// Unit of the policy's value.
    pub unit: ElementUnit,
    /// 1 or -1.
    #[serde(default = "defaults::sign")]
    pub sign: i8,
    /// Added on the policy's side, in the policy's unit.
    #[serde(default)]
    pub offset: f64,
    /// Factor on the policy's side.
    #[serde(default = "defaults::scale")]
    pub scale: f64,
}

/// Unit of a policy's value.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ElementUnit {
    /// Radian; revolute joints.
    Rad,
    /// Degree; revolute joints.
    Deg,
    /// Percent of opening, 0 closed to 100 open; grippers.
    Percent,
    /// Fraction of opening, 0 closed to 1 open; grippers.
    Fraction,
}

/// `[rest]`
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RestConfig {
    /// Where the arm goes at the end of a run, by joint, in the joint's unit (rad; opening).
    pub pose: BTreeMap<String, f64>,
    /// Speed and acceleration of that motion, as a fraction of the limits: above 0, up to 1.
    #[serde(default = "defaults::rest_fraction")]
    pub speed_fraction: f64,
    /// How long the policy's target fades in from the measured position at the start, in ms.
    #[serde(default = "defaults::start_ramp_ms")]
    pub start_ramp_ms: f64,
    /// What follows at rest.
    #[serde(default)]
    pub then: AtRest,
}

/// `rest.then`
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum AtRest {
    /// Leave the arm powered and holding.
    #[default]
    Hold,
    /// Remove torque: only where the rest pose is supported.
    TorqueOff,
}

/// `[supervision]`: thresholds of the stop ladder.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct SupervisionConfig {
    /// Hold when no policy target covers the present for this long, in ms.
    pub policy_hold_after_ms: f64,
    /// Ramp to rest when the hold has lasted this long, in ms.
    pub policy_ramp_after_ms: f64,
    /// Hold when a driven joint's measurement is older than this, in ms.
    pub state_hold_after_ms: f64,
    /// Ramp stop when it is older than this, in ms.
    pub state_ramp_after_ms: f64,
    /// Refuse observations with a frame older than this, in ms.
    pub frame_max_age_ms: f64,
    /// Ramp stop when measured and commanded position of a revolute joint differ by more, in rad.
    pub tracking_error_rad: f64,
    /// The same for a gripper, in openings.
    pub tracking_error_opening: f64,
    /// How long a tracking error must last, in ms.
    pub tracking_error_ms: f64,
    /// How long a ramp to rest may take, in s, before it counts as failed.
    pub ramp_timeout_s: f64,
    /// Stop the robot when the control thread has begun no cycle for this long, in ms.
    pub watchdog_ms: f64,
    /// Ramp stop when the limits have changed a joint's target in every cycle for this long, in ms.
    pub clamp_fault_ms: f64,
}

impl Default for SupervisionConfig {
    fn default() -> Self {
        Self {
            policy_hold_after_ms: 300.0,
            policy_ramp_after_ms: 2000.0,
            state_hold_after_ms: 250.0,
            state_ramp_after_ms: 1000.0,
            frame_max_age_ms: 500.0,
            tracking_error_rad: 0.35,
            tracking_error_opening: 0.5,
            tracking_error_ms: 500.0,
            ramp_timeout_s: 20.0,
            watchdog_ms: 500.0,
            clamp_fault_ms: 5000.0,
        }
    }
}

/// `[recording]`
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RecordingConfig {
    /// The dataset's folder: it grows by one episode a run.
    pub directory: PathBuf,
    /// Rate of dataset frames, in Hz; at most the loop's rate. Default: the policy's rate.
    #[serde(default)]
    pub rate_hz: Option<f64>,
    /// How many seconds of cycles the ring between loop and recorder holds.
    #[serde(default = "defaults::ring_s")]
    pub ring_s: f64,
}

mod defaults {
    pub fn spin_us() -> u32 {
        50
    }
    pub fn speed_percent() -> u8 {
        80
    }
    pub fn yes() -> bool {
        true
    }
    pub fn joints() -> u32 {
        7
    }
    pub fn reply_timeout_ms() -> u32 {
        100
    }
    pub fn retries() -> u32 {
        5
    }
    pub fn reconnect_window_ms() -> u32 {
        5000
    }
    pub fn gripper_gap_ms() -> u32 {
        20
    }
    pub fn gripper_read_period_ms() -> u32 {
        250
    }
    pub fn arm_timeout_ms() -> u32 {
        5000
    }
    pub fn crossfade_ms() -> f64 {
        200.0
    }
    pub fn sign() -> i8 {
        1
    }
    pub fn scale() -> f64 {
        1.0
    }
    pub fn rest_fraction() -> f64 {
        0.5
    }
    pub fn start_ramp_ms() -> f64 {
        1500.0
    }
    pub fn ring_s() -> f64 {
        4.0
    }
}
