//! The [`Robot`] trait and the plain types that cross it.

use std::ops::RangeInclusive;
use std::time::Duration;

use serde::Serialize;

use crate::time::Timestamp;

/// Largest number of joints of one robot. Fixed, so that states and commands are plain arrays
/// and no cycle allocates.
pub const MAX_JOINTS: usize = 32;

/// Largest number of sensors beside the joints ([`RobotDescription::sensors`]).
pub const MAX_SENSORS: usize = 32;

/// What a joint's position means.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum JointKind {
    /// Position in rad.
    Revolute,
    /// Position in m.
    Prismatic,
    /// Position is the opening: 0 closed, 1 open.
    Gripper,
}

impl JointKind {
    /// The SI unit of this kind of joint's position, as printed in messages.
    pub const fn unit(self) -> &'static str {
        match self {
            Self::Revolute => "rad",
            Self::Prismatic => "m",
            Self::Gripper => "1",
        }
    }
}

/// What the device itself can bear. A run's configuration may only narrow it.
#[derive(Clone, Debug, PartialEq)]
pub struct JointLimits {
    /// Reachable positions, in the joint's unit.
    pub position: RangeInclusive<f64>,
    /// Largest speed, in the joint's unit per second.
    pub max_velocity: f64,
    /// Largest acceleration, in the joint's unit per second squared; `None` where the maker
    /// publishes none.
    pub max_acceleration: Option<f64>,
    /// Largest jerk, in the joint's unit per second cubed; `None` where the maker publishes none.
    pub max_jerk: Option<f64>,
    /// Largest effort, in N·m (N); `None` where the maker publishes none or the joint takes none.
    pub max_effort: Option<f64>,
    /// What the largest speed falls to towards the ends of the range, where it does.
    pub velocity_barrier: Option<VelocityBarrier>,
}

/// A limit of speed that falls towards the ends of the range, as Franka's FR3 has it: towards the
/// upper end at most `sqrt(2 * deceleration * (upper - q)) - offset`, never below 0, and mirrored
/// towards the lower end. (libfranka 0.21, `joint_velocity_limits.cpp`.)
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct VelocityBarrier {
    /// The range's ends as the robot has them.
    pub position: [f64; 2],
    /// Speed taken off.
    pub offset: f64,
    /// Deceleration of the parabola.
    pub deceleration: f64,
}

impl VelocityBarrier {
    /// Smallest and largest velocity at `position`; `max_velocity` caps both.
    pub fn at(&self, position: f64, max_velocity: f64) -> [f64; 2] {
        let towards = |distance: f64| {
            let braked = (2.0 * self.deceleration * distance).max(0.0).sqrt();
            (braked - self.offset).max(0.0).min(max_velocity)
        };
        let [lower, upper] = self.position;
        [-towards(position - lower), towards(upper - position)]
    }
}

/// One joint, in the order in which states and commands carry it.
#[derive(Clone, Debug, PartialEq)]
pub struct JointDescription {
    /// Name used in configuration, messages and recordings.
    pub name: String,
    /// What its position means.
    pub kind: JointKind,
    /// The device's own limits.
    pub limits: JointLimits,
}

/// A number that a robot measures beside its joints: a temperature, an axis of an accelerometer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SensorDescription {
    /// Name used in configuration, messages and recordings.
    pub name: String,
    /// Its unit, as printed in messages.
    pub unit: &'static str,
}

/// What a command's numbers mean.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ControlMode {
    /// Joint positions.
    Position,
    /// Joint efforts: N·m of a revolute joint, N of a prismatic one.
    Effort,
}

/// What the device does when commands stop arriving. A runtime that dies cannot stop an arm
/// that `Continues`, so this must be known before arming.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OnSilence {
    /// It stops by itself.
    Stops,
    /// It goes on to the last target and stays there, powered.
    Continues,
    /// Nobody has measured it.
    Unknown,
}

/// A robot as its driver declares it.
#[derive(Clone, Debug, PartialEq)]
pub struct RobotDescription {
    /// Model name, for example `mycobot320`.
    pub model: String,
    /// Joints in order; at most [`MAX_JOINTS`].
    pub joints: Vec<JointDescription>,
    /// Highest rate at which the device takes new commands, in Hz.
    pub max_command_rate_hz: f64,
    /// Modes the driver accepts.
    pub modes: Vec<ControlMode>,
    /// Sensors beside the joints, in order; at most [`MAX_SENSORS`].
    pub sensors: Vec<SensorDescription>,
    /// True where the driver measures joint velocities; they are 0 otherwise.
    pub measures_velocity: bool,
    /// True where the driver measures joint efforts; they are 0 otherwise.
    pub measures_effort: bool,
    /// True where the device adds the efforts that bear its own weight: commanded efforts exclude
    /// them, and begin at 0.
    pub compensates_gravity: bool,
    /// True where each state wants its own command, and the device goes on without one where it
    /// was going: [`State::sequence`] counts its periods, those whose state was lost included.
    pub lockstep: bool,
    /// Rate of the device's own clock, in Hz, where the device can set the pace
    /// ([`Robot::wait`]).
    pub device_rate_hz: Option<f64>,
    /// Behaviour on silence.
    pub on_silence: OnSilence,
}

/// Whether bytes flow between driver and device.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum LinkStatus {
    /// Not connected yet, or reconnecting.
    #[default]
    Down,
    /// Answers arrive.
    Up,
    /// The retry and reconnect budget is spent: the driver has given up.
    Lost,
}

/// The latest measured state. Each joint carries the time of its own sample.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct State {
    /// Measured positions, in each joint's unit; entries past the robot's joints are 0.
    pub position: [f64; MAX_JOINTS],
    /// Measured velocities, in each joint's unit per second; 0 where the driver measures none.
    pub velocity: [f64; MAX_JOINTS],
    /// Measured efforts, in N·m (N); 0 where the driver measures none.
    pub effort: [f64; MAX_JOINTS],
    /// What the sensors beside the joints measured last, each in its unit; entries past the robot's
    /// sensors are 0.
    pub sensors: [f64; MAX_SENSORS],
    /// When each joint's sample was taken (request sent, not answer received).
    pub captured: [Timestamp; MAX_JOINTS],
    /// Joints whose position is not measured but substituted (for example a gripper whose read
    /// failed, reported as last commanded), as a bit set.
    pub substituted: u32,
    /// Counts samples; unchanged when nothing new arrived since the last read.
    pub sequence: u64,
    /// Counts connections. When it changes, commands start again from the measured position.
    pub epoch: u32,
    /// Link status when the state was read.
    pub link: LinkStatus,
}

impl Default for State {
    fn default() -> Self {
        Self {
            position: [0.0; MAX_JOINTS],
            velocity: [0.0; MAX_JOINTS],
            effort: [0.0; MAX_JOINTS],
            sensors: [0.0; MAX_SENSORS],
            captured: [Timestamp::ZERO; MAX_JOINTS],
            substituted: 0,
            sequence: 0,
            epoch: 0,
            link: LinkStatus::Down,
        }
    }
}

impl State {
    /// True where joint `index`'s position was substituted, not measured.
    pub const fn is_substituted(&self, index: usize) -> bool {
        self.substituted & (1 << index) != 0
    }
}

/// What the limits let through to the robot.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Command {
    /// What the numbers mean.
    pub mode: ControlMode,
    /// Position targets, in each joint's unit; entries past the robot's joints are ignored. In
    /// effort mode they say where the effort is to take the joint, for drivers that watch it.
    pub position: [f64; MAX_JOINTS],
    /// Efforts, in N·m (N), in effort mode; 0 otherwise.
    pub effort: [f64; MAX_JOINTS],
    /// When the command was made.
    pub issued: Timestamp,
    /// The connection it was made for. A driver drops commands of an earlier epoch.
    pub epoch: u32,
}

/// A request outside the stream of commands. Drivers serve it before anything queued.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum StopRequest {
    /// Discard queued motion and stay, powered.
    Hold,
    /// Remove torque. A gravity-loaded arm without brakes falls.
    TorqueOff,
}

/// One beat of a device that sets the pace.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DeviceTick {
    /// The device's own count of periods. A gap is a period whose state never came.
    pub index: u64,
    /// When the beat arrived here.
    pub arrived: Timestamp,
}

/// A way to stop a robot from a thread that does not own it: for the watchdog, when the control
/// thread is stuck. It neither blocks nor waits for that thread.
pub trait StopHandle: Send {
    /// Asks for a stop as [`Robot::stop`] does, and latches: commands that the control thread hands
    /// over afterwards are not sent until the robot is armed again.
    fn stop(&self, request: StopRequest);
}

/// Counters of one bus since it was opened.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize)]
pub struct BusStatistics {
    /// Requests sent.
    pub requests: u64,
    /// Replies accepted.
    pub replies: u64,
    /// Requests without a reply in time.
    pub timeouts: u64,
    /// Requests sent again.
    pub retries: u64,
    /// Bytes skipped while looking for a frame.
    pub garbage_bytes: u64,
    /// Well-framed replies refused for their content (length, range, jump).
    pub rejected: u64,
    /// Values replaced by the last commanded one.
    pub substituted: u64,
    /// Commands replaced by a newer one before they were sent.
    pub superseded: u64,
    /// Commands sent to the device.
    pub commands: u64,
    /// Times the connection was opened again.
    pub reconnects: u64,
    /// State reads answered; with the next field this gives the mean round trip.
    pub reads: u64,
    /// Sum of the round trips of state reads, in ns.
    pub read_ns_sum: u64,
    /// Longest round trip of a state read, in ns.
    pub read_ns_max: u64,
}

impl BusStatistics {
    /// Number of counters.
    pub const COUNT: usize = 13;

    /// The counters as an array, for drivers that share them between threads.
    pub const fn to_array(&self) -> [u64; Self::COUNT] {
        [
            self.requests,
            self.replies,
            self.timeouts,
            self.retries,
            self.garbage_bytes,
            self.rejected,
            self.substituted,
            self.superseded,
            self.commands,
            self.reconnects,
            self.reads,
            self.read_ns_sum,
            self.read_ns_max,
        ]
    }

    /// The counters from [`to_array`](Self::to_array).
    pub const fn from_array(counters: [u64; Self::COUNT]) -> Self {
        let [
            requests,
            replies,
            timeouts,
            retries,
            garbage_bytes,
            rejected,
            substituted,
            superseded,
            commands,
            reconnects,
            reads,
            read_ns_sum,
            read_ns_max,
        ] = counters;
        Self {
            requests,
            replies,
            timeouts,
            retries,
            garbage_bytes,
            rejected,
            substituted,
            superseded,
            commands,
            reconnects,
            reads,
            read_ns_sum,
            read_ns_max,
        }
    }
}

/// Why a robot could not be opened, armed or disarmed.
#[derive(Debug, thiserror::Error)]
pub enum RobotError {
    /// The port does not exist or cannot be opened.
    #[error("cannot open {port}: {reason}. {remedy}")]
    Open {
        /// The port as configured.
        port: String,
        /// What the operating system said.
        reason: String,
        /// What to do about it.
        remedy: String,
    },
    /// The device is connected and does not answer as it should.
    #[error("{port}: no valid answer to {request} within {waited:.1?}. {remedy}")]
    NoAnswer {
        /// The port as configured.
        port: String,
        /// Which request.
        request: &'static str,
        /// How long we waited.
        waited: Duration,
        /// What to do about it.
        remedy: String,
    },
    /// The device reports a fault or refused a request.
    #[error("{port}: {fault}. {remedy}")]
    Device {
        /// The port as configured.
        port: String,
        /// What it reported.
        fault: String,
        /// What to do about it.
        remedy: String,
    },
    /// The driver has given up on the link.
    #[error("{port}: link lost: {reason}")]
    Lost {
        /// The port as configured.
        port: String,
        /// The last failure.
        reason: String,
    },
}

/// A robot behind its driver.
///
/// [`open`-like constructors](crate::mycobot320) connect; [`arm`](Robot::arm) powers the robot and
/// yields a first full state. [`read`](Robot::read), [`write`](Robot::write) and
/// [`stop`](Robot::stop) are called from the control thread: they neither block, allocate, lock
/// nor log. Slow buses live on a thread of their own behind single-slot mailboxes.
pub trait Robot: Send {
    /// What this robot is. Constant after construction.
    fn description(&self) -> &RobotDescription;

    /// Powers the robot and waits for a first measured state of every joint, without moving it.
    /// Blocks up to `timeout`.
    ///
    /// # Errors
    /// [`RobotError`] when the device does not answer, reports a fault or was lost.
    fn arm(&mut self, timeout: Duration) -> Result<(), RobotError>;

    /// Copies the latest state into `state`. `now` drives drivers that run in virtual time;
    /// others ignore it.
    fn read(&mut self, now: Timestamp, state: &mut State);

    /// Waits for the next beat of a device that sets the pace, at most for `timeout`. `None` when
    /// none came, or when the device has no clock of its own.
    fn wait(&mut self, timeout: Duration) -> Option<DeviceTick> {
        let _ = timeout;
        None
    }

    /// A handle that stops this robot from another thread; `None` where the bus permits none.
    fn stop_handle(&self) -> Option<Box<dyn StopHandle>> {
        None
    }

    /// Hands over a command; a newer one replaces an older one that was not sent yet.
    fn write(&mut self, now: Timestamp, command: &Command);

    /// Asks for a stop that overtakes every command. Commands handed over later are sent again
    /// after `Hold`, never after `TorqueOff` until the next [`arm`](Robot::arm).
    fn stop(&mut self, now: Timestamp, request: StopRequest);

    /// Ends the connection in an orderly way: outstanding stops are delivered, the device stays
    /// as it is (powered and holding, or without torque). Blocks up to `timeout`.
    ///
    /// # Errors
    /// [`RobotError`] when the device could not be told.
    fn disarm(&mut self, timeout: Duration) -> Result<(), RobotError>;

    /// Counters so far.
    fn statistics(&self) -> BusStatistics;

    /// The last failure of the link as a sentence, if any, for reports. Not for the control
    /// thread: it may allocate.
    fn last_failure(&self) -> Option<String>;
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counters_survive_the_way_through_an_array() {
        let counters = std::array::from_fn(|index| index as u64 + 1);
        let statistics = BusStatistics::from_array(counters);
        assert_eq!(statistics.to_array(), counters);
        assert_eq!((statistics.requests, statistics.read_ns_max), (1, BusStatistics::COUNT as u64));
    }
}
