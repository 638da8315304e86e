//! From a configuration to the constants of its cycles: one way for runs and for replays.

use std::sync::Arc;
use std::time::Duration;

use sinew_firmware_interfaces::{JointKind, MAX_JOINTS, RobotDescription};

use crate::config::{
    Config, ConfigError, Execution, Generator, GuardConfig, Loaded, SupervisionConfig,
};
use crate::cycle::{CycleSettings, Thresholds};
use crate::limits::{JointLimits, Workspace};
use crate::pacing::Overruns;
use crate::supervision::{Guard, Watched};
use crate::targets::Blend;

/// The box that the tool stays in, with the URDF read.
///
/// # Errors
/// [`ConfigError`] when the URDF cannot be read or does not fit `robot`.
pub fn workspace(
    loaded: &Loaded,
    robot: &RobotDescription,
) -> Result<Option<Workspace>, ConfigError> {
    let tool = loaded.tool(robot)?.zip(loaded.config.workspace.as_ref());
    Ok(tool.map(|(tool, said)| Workspace::new(Arc::new(tool), said.min_m, said.max_m)))
}

/// Constants of the cycle for a configuration that was held against `robot`. `limits` are in joint
/// order; `action_steps` is how many actions of a chunk the policy's queue plays.
pub fn settings(
    config: &Config,
    robot: &RobotDescription,
    limits: Vec<JointLimits>,
    workspace: Option<Workspace>,
    action_steps: usize,
) -> CycleSettings {
    let millis = |value: f64| Duration::from_secs_f64(value / 1e3);
    let supervision = &config.supervision;
    let mut rest = [0.0; MAX_JOINTS];
    let mut tracking = [f64::INFINITY; MAX_JOINTS];
    let (mut judged, mut driven) = (0, 0);
    for (index, joint) in robot.joints.iter().enumerate().take(MAX_JOINTS) {
        rest[index] = config.rest.pose.get(&joint.name).copied().unwrap_or_default();
        if config.drives(&joint.name) {
            driven |= 1 << index;
        }
        if joint.kind == JointKind::Gripper {
            tracking[index] = supervision.tracking_error_opening;
        } else {
            tracking[index] = supervision.tracking_error_rad;
            judged |= 1 << index;
        }
    }
    let policy = config.policy.as_ref();
    let blend = match policy.map(|policy| policy.execution) {
        None | Some(Execution::Timeline) => Blend::Newest,
        Some(Execution::Ensemble) => {
            let said = policy.and_then(|policy| policy.ensemble_coefficient);
            Blend::Ensemble { coefficient: said.unwrap_or(0.01) }
        }
        Some(Execution::Queue) => Blend::Queue { steps: action_steps },
    };
    CycleSettings {
        period: Duration::from_secs_f64(1.0 / config.run.rate_hz),
        duration: Duration::from_secs_f64(config.run.duration_s),
        starts: limits
            .iter()
            .zip(&robot.joints)
            .map(|(limits, joint)| limits.starts(&joint.limits.position))
            .collect(),
        limits,
        workspace,
        driven,
        judged,
        blend,
        crossfade: policy.map_or(Duration::ZERO, |policy| millis(policy.crossfade_ms)),
        generator: match config.target.generator {
            Generator::JerkLimited => Some(config.target.fraction),
            Generator::Linear => None,
        },
        start_ramp: millis(config.rest.start_ramp_ms),
        rest,
        rest_fraction: config.rest.speed_fraction,
        overruns: Overruns {
            policy: config.overrun.policy,
            allowed: config.overrun.allowed,
            window: Duration::from_secs_f64(config.overrun.window_s),
        },
        thresholds: Thresholds {
            policy_hold: millis(supervision.policy_hold_after_ms),
            policy_ramp: millis(supervision.policy_ramp_after_ms),
            state_hold: millis(supervision.state_hold_after_ms),
            state_ramp: millis(supervision.state_ramp_after_ms),
            tracking,
            tracking_time: millis(supervision.tracking_error_ms),
            clamp_time: millis(supervision.clamp_fault_ms),
            ramp_timeout: Duration::from_secs_f64(supervision.ramp_timeout_s),
        },
        guards: guards(supervision, robot),
        compensates_gravity: robot.compensates_gravity,
        lockstep: robot.lockstep,
    }
}

/// Guards of what the robot measures.
fn guards(supervision: &SupervisionConfig, robot: &RobotDescription) -> Vec<Guard> {
    let of = |(name, said): (&String, &GuardConfig)| {
        Watched::find(name, robot).map(|watched| Guard {
            name: name.clone(),
            unit: watched.unit(robot),
            watched,
            min: said.min.unwrap_or(f64::NEG_INFINITY),
            max: said.max.unwrap_or(f64::INFINITY),
            patience: Duration::from_secs_f64(said.for_ms / 1e3),
        })
    };
    supervision.guards.iter().filter_map(of).collect()
}
