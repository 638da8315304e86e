//! The rest pose, and the thresholds of the stop ladder.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

/// `[rest]`
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RestConfig {
    /// Where the arm goes at the end of a run, by joint, in the joint's unit (rad; opening).
    pub pose: BTreeMap<String, f64>,
    /// Speed and acceleration of that motion, as a fraction of the limits: above 0, up to 1.
    #[serde(default = "rest_fraction")]
    pub speed_fraction: f64,
    /// How long the policy's target fades in from the measured position at the start, in ms.
    #[serde(default = "start_ramp_ms")]
    pub start_ramp_ms: f64,
    /// What follows at rest.
    #[serde(default)]
    pub then: AtRest,
}

fn rest_fraction() -> f64 {
    0.5
}

fn start_ramp_ms() -> f64 {
    1500.0
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
    /// Ramp stop when a measured value leaves its bounds, by the value's name.
    pub guards: BTreeMap<String, GuardConfig>,
}

/// `[supervision.guards.NAME]`: bounds of a measured value, in its unit.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct GuardConfig {
    /// Smallest value.
    #[serde(default)]
    pub min: Option<f64>,
    /// Largest value.
    #[serde(default)]
    pub max: Option<f64>,
    /// How long it may be outside, in ms.
    #[serde(default)]
    pub for_ms: f64,
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
            guards: BTreeMap::new(),
        }
    }
}
