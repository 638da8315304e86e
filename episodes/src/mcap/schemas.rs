//! Message definitions, in the form that ROS 2 bags carry them: the message, then each type it is
//! made of behind a rule of 80 `=`. Four are ROS's own, by field and type; `sinew_msgs` is ours.

/// Name and text of a message type.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Schema {
    /// For example `sensor_msgs/msg/JointState`.
    pub name: &'static str,
    /// Its definition.
    pub text: &'static str,
}

/// How the text is written.
pub(super) const SCHEMA_ENCODING: &str = "ros2msg";

/// How the messages are written.
pub(super) const MESSAGE_ENCODING: &str = "cdr";

macro_rules! rule {
    () => {
        "================================================================================\n"
    };
}

macro_rules! time {
    () => {
        concat!(rule!(), "MSG: builtin_interfaces/Time\nint32 sec\nuint32 nanosec\n")
    };
}

macro_rules! header {
    () => {
        concat!(
            rule!(),
            "MSG: std_msgs/Header\nbuiltin_interfaces/Time stamp\nstring frame_id\n",
            time!()
        )
    };
}

/// Joints by name: positions, velocities and efforts, each empty or one per name.
pub(super) const JOINT_STATE: Schema = Schema {
    name: "sensor_msgs/msg/JointState",
    text: concat!(
        "std_msgs/Header header\nstring[] name\nfloat64[] position\nfloat64[] velocity\n",
        "float64[] effort\n",
        header!()
    ),
};

/// An image file.
pub(super) const COMPRESSED_IMAGE: Schema = Schema {
    name: "sensor_msgs/msg/CompressedImage",
    text: concat!("std_msgs/Header header\nstring format\nuint8[] data\n", header!()),
};

/// A line of a log.
pub(super) const LOG: Schema = Schema {
    name: "rcl_interfaces/msg/Log",
    text: concat!(
        "byte DEBUG=10\nbyte INFO=20\nbyte WARN=30\nbyte ERROR=40\nbyte FATAL=50\n",
        "builtin_interfaces/Time stamp\nuint8 level\nstring name\nstring msg\nstring file\n",
        "string function\nuint32 line\n",
        time!()
    ),
};

/// Everything about a control cycle that is not a joint value. Constants give numbers their names
/// where a viewer shows them.
pub(super) const CYCLE: Schema = Schema {
    name: "sinew_msgs/msg/Cycle",
    text: concat!(
        r"# When the control thread woke
builtin_interfaces/Time stamp
# Tick on the absolute grid; a gap is a missed period
uint64 index
# From when the tick was due until the thread woke
float64 lateness_us
# From the wake before to this one; NaN for the first
float64 period_us
# Deadlines missed since the cycle before
uint64 misses
# Durations of the parts of the cycle
float64 read_us
float64 take_us
float64 decide_us
float64 write_us
# Recording the cycle before, and the whole of it with its lateness
float64 record_us
float64 previous_us
uint8 STATE_DISARMED=0
uint8 STATE_HOLDING=1
uint8 STATE_RUNNING=2
uint8 STATE_STOPPING=3
uint8 STATE_FAULTED=4
uint8 state
# Why the arm holds, why the run ends; 0 where it does not
uint8 hold
uint8 cause
uint8 OPERATOR_NOTHING=0
uint8 OPERATOR_STOP=1
uint8 OPERATOR_TORQUE_OFF=2
uint8 operator_request
uint8 LINK_DOWN=0
uint8 LINK_UP=1
uint8 LINK_LOST=2
uint8 link
# Connections so far
uint32 epoch
# Samples of the robot so far
uint64 sample
# A command was sent
bool commanded
# The watchdog has stopped the robot
bool watchdog
# Joints whose measurement is a substitute, one bit each
uint32 substituted
# Age of the observation behind the target at the wake; NaN without one
float64 observation_age_ms
# Per joint, in the order of the joint states: age of the measurement at the wake, NaN before the
# first one
float64[] measured_age_ms
# Per joint, why its request was changed, a sum of 1 position, 2 velocity, 4 acceleration, 8 step,
# 16 not finite, 32 jerk, 64 effort, 128 effort rate, 256 workspace
uint16[] clamps
",
        time!()
    ),
};

/// A chunk of actions that the control thread took over.
pub(super) const CHUNK: Schema = Schema {
    name: "sinew_msgs/msg/Chunk",
    text: concat!(
        r"# When inference began
builtin_interfaces/Time started
# When inference ended
builtin_interfaces/Time finished
# When its observation was taken, and the time of its first action
builtin_interfaces/Time observation
# Counter of inferences
uint64 sequence
# Cycle that took it over
uint64 cycle
# Duration of the inference
float64 inference_ms
# From the observation to the end of the inference
float64 latency_ms
# Time between its actions
float64 step_ms
# Values in an action
uint32 action_size
# Actions, step by step, one value per driven joint
float64[] actions
",
        time!()
    ),
};
