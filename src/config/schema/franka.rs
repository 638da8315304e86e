//! Franka's arms.

use serde::{Deserialize, Serialize};

/// `[robot.franka]`
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct FrankaConfig {
    /// Which arm.
    pub arm: FrankaArm,
    /// Whether arming may recover the arm from an error of before.
    pub recover: bool,
    /// External torque on each joint above which the arm stops by itself, in N·m.
    pub collision_torque_nm: Option<Vec<f64>>,
    /// External force (N) and torque (N·m) on the end effector above which it does.
    pub collision_force: Option<Vec<f64>>,
    /// Stiffness of the arm's own controller in each joint, in N·m/rad.
    pub stiffness_nm_rad: Option<Vec<f64>>,
    /// Mass that the flange carries beside the end effector, in kg.
    pub load_kg: Option<f64>,
    /// Its centre in the flange's frame, in m.
    pub load_center_m: [f64; 3],
    /// Its inertia about that, in kg·m²: xx, xy, xz, yy, yz, zz.
    pub load_inertia_kg_m2: Option<Vec<f64>>,
    /// Speed of the hand's fingers, in m/s.
    pub gripper_speed_m_s: f64,
    /// Force with which the hand closes on an object, in N.
    pub gripper_force_n: Option<f64>,
}

impl Default for FrankaConfig {
    fn default() -> Self {
        Self {
            arm: FrankaArm::Fr3,
            recover: false,
            collision_torque_nm: None,
            collision_force: None,
            stiffness_nm_rad: None,
            load_kg: None,
            load_center_m: [0.0; 3],
            load_inertia_kg_m2: None,
            gripper_speed_m_s: 0.1,
            gripper_force_n: None,
        }
    }
}

/// `robot.franka.arm`
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum FrankaArm {
    /// Franka Emika Robot, also known as Panda.
    Fer,
    /// Franka Research 3.
    Fr3,
}
