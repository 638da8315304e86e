//! Errors of the arm: flags in each state.

/// One error that the arm can report, by its place among the flags.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Error(u8);

const NAMES: [&str; Errors::COUNT] = [
    "joint_position_limits_violation",
    "cartesian_position_limits_violation",
    "self_collision_avoidance_violation",
    "joint_velocity_violation",
    "cartesian_velocity_violation",
    "force_control_safety_violation",
    "joint_reflex",
    "cartesian_reflex",
    "max_goal_pose_deviation_violation",
    "max_path_pose_deviation_violation",
    "cartesian_velocity_profile_safety_violation",
    "joint_position_motion_generator_start_pose_invalid",
    "joint_motion_generator_position_limits_violation",
    "joint_motion_generator_velocity_limits_violation",
    "joint_motion_generator_velocity_discontinuity",
    "joint_motion_generator_acceleration_discontinuity",
    "cartesian_position_motion_generator_start_pose_invalid",
    "cartesian_motion_generator_elbow_limit_violation",
    "cartesian_motion_generator_velocity_limits_violation",
    "cartesian_motion_generator_velocity_discontinuity",
    "cartesian_motion_generator_acceleration_discontinuity",
    "cartesian_motion_generator_elbow_sign_inconsistent",
    "cartesian_motion_generator_start_elbow_invalid",
    "force_controller_desired_force_tolerance_violation",
    "start_elbow_sign_inconsistent",
    "communication_constraints_violation",
    "power_limit_violation",
    "cartesian_motion_generator_joint_position_limits_violation",
    "cartesian_motion_generator_joint_velocity_limits_violation",
    "cartesian_motion_generator_joint_velocity_discontinuity",
    "cartesian_motion_generator_joint_acceleration_discontinuity",
    "cartesian_position_motion_generator_invalid_frame",
    "controller_torque_discontinuity",
    "joint_p2p_insufficient_torque_for_planning",
    "tau_j_range_violation",
    "instability_detected",
    "joint_move_in_wrong_direction",
    "cartesian_spline_motion_generator_violation",
    "joint_via_motion_generator_planning_joint_limit_violation",
    "base_acceleration_initialization_timeout",
    "base_acceleration_invalid_reading",
];

impl Error {
    /// A joint has left its range.
    pub const JOINT_POSITION_LIMITS: Self = Self(0);
    /// A joint has moved faster than it may.
    pub const JOINT_VELOCITY: Self = Self(3);
    /// A torque from outside was above the thresholds.
    pub const JOINT_REFLEX: Self = Self(6);
    /// A force from outside was above the thresholds.
    pub const CARTESIAN_REFLEX: Self = Self(7);
    /// The first joint positions commanded are not where the arm is.
    pub const JOINT_START_POSE: Self = Self(11);
    /// Joint positions commanded leave the range.
    pub const COMMANDED_POSITION: Self = Self(12);
    /// Joint velocities commanded are too high.
    pub const COMMANDED_VELOCITY: Self = Self(13);
    /// Commanded velocities jump: more acceleration than allowed.
    pub const VELOCITY_DISCONTINUITY: Self = Self(14);
    /// Commanded accelerations jump: more jerk than allowed.
    pub const ACCELERATION_DISCONTINUITY: Self = Self(15);
    /// The first pose commanded is not where the arm is.
    pub const CARTESIAN_START_POSE: Self = Self(16);
    /// A commanded elbow leaves its range.
    pub const ELBOW_LIMIT: Self = Self(17);
    /// Cartesian velocities commanded are too high.
    pub const CARTESIAN_COMMANDED_VELOCITY: Self = Self(18);
    /// Commanded Cartesian velocities jump.
    pub const CARTESIAN_VELOCITY_DISCONTINUITY: Self = Self(19);
    /// Commanded Cartesian accelerations jump.
    pub const CARTESIAN_ACCELERATION_DISCONTINUITY: Self = Self(20);
    /// The sign of a commanded elbow is not the arm's.
    pub const ELBOW_SIGN: Self = Self(21);
    /// The first elbow commanded is not where the arm's is.
    pub const ELBOW_START: Self = Self(22);
    /// Too many commands in a row were lost or late.
    pub const COMMUNICATION_CONSTRAINTS: Self = Self(25);
    /// The joints cannot follow a Cartesian motion: a range ends.
    pub const CARTESIAN_JOINT_POSITION: Self = Self(27);
    /// The joints cannot follow a Cartesian motion: too fast.
    pub const CARTESIAN_JOINT_VELOCITY: Self = Self(28);
    /// The joints cannot follow a Cartesian motion: their velocities would jump.
    pub const CARTESIAN_JOINT_VELOCITY_DISCONTINUITY: Self = Self(29);
    /// The joints cannot follow a Cartesian motion: their accelerations would jump.
    pub const CARTESIAN_JOINT_ACCELERATION_DISCONTINUITY: Self = Self(30);
    /// A commanded pose is no rigid transformation.
    pub const CARTESIAN_FRAME: Self = Self(31);
    /// Commanded torques jump.
    pub const TORQUE_DISCONTINUITY: Self = Self(32);
    /// Commanded torques are too high.
    pub const TORQUE_RANGE: Self = Self(34);

    /// The error at a place among the flags.
    pub const fn at(index: usize) -> Option<Self> {
        if index < Errors::COUNT { Some(Self(index as u8)) } else { None }
    }

    /// Place among the flags.
    pub const fn index(self) -> usize {
        self.0 as usize
    }

    /// Franka's name of it.
    pub fn name(self) -> &'static str {
        NAMES.get(self.index()).copied().unwrap_or_default()
    }
}

/// A set of errors.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Errors(u64);

impl Errors {
    /// Flags on the wire.
    pub const COUNT: usize = 41;
    /// No error.
    pub const NONE: Self = Self(0);

    /// Adds `error`.
    pub const fn insert(&mut self, error: Error) {
        self.0 |= 1 << error.0;
    }

    /// Whether `error` is among them.
    pub const fn contains(self, error: Error) -> bool {
        self.0 & (1 << error.0) != 0
    }

    /// Whether there is none.
    pub const fn is_empty(self) -> bool {
        self.0 == 0
    }

    /// Each of them.
    pub fn iter(self) -> impl Iterator<Item = Error> {
        (0..Self::COUNT).filter_map(Error::at).filter(move |error| self.contains(*error))
    }
}
