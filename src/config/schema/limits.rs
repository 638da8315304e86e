//! Where joints and tool may be, and how fast.

use std::path::PathBuf;

use serde::{Deserialize, Serialize};

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
