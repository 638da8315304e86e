//! What the journal holds. All times are nanoseconds on the run's monotonic clock; positions are
//! in the joint's unit (rad, m, or 0 to 1 for a gripper).

use serde::{Deserialize, Serialize};

/// First record of every journal.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Header {
    /// Version of sinew that wrote the file.
    pub version: String,
    /// Name of the run: its folder's name.
    pub run: String,
    /// Wall-clock time of the monotonic zero, in ns since the Unix epoch. For people only.
    pub unix_ns: u64,
    /// Robot model.
    pub robot: String,
    /// Joints in order.
    pub joints: Vec<JointMeta>,
    /// Sensors beside the joints, in order.
    pub sensors: Vec<SensorMeta>,
    /// Cameras in order.
    pub cameras: Vec<CameraMeta>,
    /// Rate of the control loop, in Hz.
    pub rate_hz: f64,
    /// Rate of dataset frames, in Hz.
    pub dataset_rate_hz: f64,
    /// Task in words, as in LeRobot.
    pub task: String,
    /// The policy, if one ran.
    pub policy: Option<PolicyMeta>,
    /// The actuator model read from a file, if one made the efforts.
    pub actuator: Option<ActuatorMeta>,
    /// The effective configuration, as TOML.
    pub config: String,
}

/// One joint.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct JointMeta {
    /// Name.
    pub name: String,
    /// Unit of its positions.
    pub unit: String,
}

/// A sensor beside the joints.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct SensorMeta {
    /// Name.
    pub name: String,
    /// Unit of its values.
    pub unit: String,
}

/// One camera.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct CameraMeta {
    /// Name; the dataset's feature is `observation.images.NAME`.
    pub name: String,
    /// Width in pixels.
    pub width: u32,
    /// Height in pixels.
    pub height: u32,
    /// Nominal rate in Hz.
    pub rate_hz: f64,
}

/// The policy of a run.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct PolicyMeta {
    /// Architecture.
    pub kind: String,
    /// Folder it was read from.
    pub path: String,
    /// SHA-256 of its weights.
    pub sha256: String,
    /// How many actions of a chunk its queue plays (`n_action_steps`).
    pub action_steps: u32,
}

/// The actuator model of a run.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ActuatorMeta {
    /// Kind of model.
    pub kind: String,
    /// Where it was read from.
    pub path: String,
    /// SHA-256 of its description, which names that of its weights.
    pub sha256: String,
}

/// Why a limit changed a joint's request. The discriminant is the bit in
/// [`CycleRecord::clamps`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[repr(u8)]
pub enum ClampCause {
    /// Position range.
    Position = 0,
    /// Largest velocity.
    Velocity = 1,
    /// Largest acceleration.
    Acceleration = 2,
    /// Largest step per cycle.
    Step = 3,
    /// Not a finite number.
    NonFinite = 4,
    /// Largest jerk.
    Jerk = 5,
    /// Largest effort.
    Effort = 6,
    /// Largest change of effort.
    EffortRate = 7,
    /// The tool would leave its Cartesian box.
    Workspace = 8,
    /// The actuator model gave no number, and the law within it stood in.
    Actuator = 9,
}

impl ClampCause {
    /// Every cause, in bit order.
    pub const ALL: [Self; 10] = [
        Self::Position,
        Self::Velocity,
        Self::Acceleration,
        Self::Step,
        Self::NonFinite,
        Self::Jerk,
        Self::Effort,
        Self::EffortRate,
        Self::Workspace,
        Self::Actuator,
    ];

    /// The cause's bit in a clamp set.
    pub const fn bit(self) -> u16 {
        1 << self as u8
    }

    /// Name in tables and files.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Position => "position",
            Self::Velocity => "velocity",
            Self::Acceleration => "acceleration",
            Self::Step => "step",
            Self::NonFinite => "non_finite",
            Self::Jerk => "jerk",
            Self::Effort => "effort",
            Self::EffortRate => "effort_rate",
            Self::Workspace => "workspace",
            Self::Actuator => "actuator",
        }
    }
}

/// How long the parts of a cycle took, in ns.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Phases {
    /// Reading the robot's latest state.
    pub read: u32,
    /// Taking over mailboxes.
    pub take: u32,
    /// Target, generator, limits, supervision.
    pub decide: u32,
    /// Handing the command over.
    pub write: u32,
    /// Handing the record over (of the previous cycle).
    pub record: u32,
    /// The whole previous cycle: from when its tick was due, lateness included, to its end.
    pub previous: u32,
}

/// One control cycle.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct CycleRecord {
    /// Tick index on the absolute grid, from 0. A gap is a missed period.
    pub index: u64,
    /// When the tick was due.
    pub scheduled_ns: u64,
    /// When the thread woke.
    pub woke_ns: u64,
    /// Deadlines missed since the previous cycle: its own, and every period without a cycle.
    pub misses: u64,
    /// True once the watchdog has stopped the robot.
    pub watchdog: bool,
    /// True once the target source has said its last.
    pub finished: bool,
    /// Sequence number of the last chunk taken over in this cycle, 0 for none.
    pub chunk: u64,
    /// Durations of the parts.
    pub phases: Phases,
    /// What the operator had asked for: 0 nothing, 1 stop, 2 torque off.
    pub operator: u8,
    /// The robot's link: 0 down, 1 up, 2 lost.
    pub link: u8,
    /// Counts connections; when it changes, commands begin again at the measured position.
    pub epoch: u32,
    /// Counts the robot's samples; unchanged when nothing new had arrived.
    pub sample: u64,
    /// Arm state after the cycle: 0 disarmed, 1 holding, 2 running, 3 stopping, 4 faulted.
    pub state: u8,
    /// Why the arm holds, 0 while it does not: a number of `sinew`'s hold causes.
    pub hold: u8,
    /// Why the run ends, 0 until it does: the cause's number in `sinew`, from 1.
    pub cause: u8,
    /// Measured positions.
    pub measured: Vec<f64>,
    /// Measured velocities, in the joint's unit per second; empty where the robot measures none.
    pub measured_velocity: Vec<f64>,
    /// Measured efforts, in N·m (N); empty where the robot measures none.
    pub measured_effort: Vec<f64>,
    /// What the sensors beside the joints measured, in the header's order.
    pub sensors: Vec<f64>,
    /// When each joint was measured.
    pub measured_ns: Vec<u64>,
    /// Joints whose measurement is a substitute, as a bit set.
    pub substituted: u32,
    /// What the target source asked for.
    pub requested: Vec<f64>,
    /// What the target generator made of it.
    pub generated: Vec<f64>,
    /// What the limits let through.
    pub limited: Vec<f64>,
    /// Commanded efforts, in N·m (N); empty where positions are commanded.
    pub effort: Vec<f64>,
    /// True where a command was sent.
    pub commanded: bool,
    /// Per joint, the set of [`ClampCause`] bits.
    pub clamps: Vec<u16>,
    /// Capture time of the observation behind the target, or `None` without a policy target.
    pub observation_ns: Option<u64>,
}

/// One camera image.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct FrameRecord {
    /// Index in [`Header::cameras`].
    pub camera: u32,
    /// The camera's own counter.
    pub sequence: u64,
    /// When it was taken.
    pub captured_ns: u64,
    /// The image as a PNG file.
    #[serde(with = "serde_bytes")]
    pub png: Vec<u8>,
}

/// One chunk of actions, when the control thread took it over.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ChunkRecord {
    /// Cycle that took it over.
    pub cycle: u64,
    /// Counts the chunks of a run, from 1 and without a gap: a gap is a record that was lost.
    pub sequence: u64,
    /// Capture time of its observation.
    pub observation_ns: u64,
    /// When inference began.
    pub started_ns: u64,
    /// When inference ended.
    pub finished_ns: u64,
    /// Time between its actions.
    pub step_ns: u64,
    /// Length of one action.
    pub action_size: u32,
    /// Actions, step by step, one value per driven joint in the robot's order, in joint units. None
    /// where the policy has failed.
    pub actions: Vec<f64>,
}

/// Something worth a line: state changes, stops, faults, reconnects, drops.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct EventRecord {
    /// When.
    pub at_ns: u64,
    /// Short name, for example `stop`, `state`, `reconnect`.
    pub kind: String,
    /// A sentence.
    pub message: String,
}

/// One entry of a journal.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub enum Record {
    /// Always first.
    Header(Header),
    /// A control cycle.
    Cycle(CycleRecord),
    /// A camera image.
    Frame(FrameRecord),
    /// A chunk taken over.
    Chunk(ChunkRecord),
    /// An event.
    Event(EventRecord),
    /// Written last by an orderly end: the run's summary as JSON.
    Summary(String),
}
