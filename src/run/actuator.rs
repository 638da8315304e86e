//! From a configuration to the actuator model of its run: one way for runs and for replays.

use std::path::Path;

use sinew_episodes::journal::ActuatorMeta;
use sinew_firmware_interfaces::{JointKind, RobotDescription};
use sinew_models::actuators::{
    ActuatorModel, Bundle, DcMotor, DcMotorCurve, Delay, Delayed, Gains, IdealPd, ParameterError,
};

use crate::actuation::Actuation;
use crate::config::{Actuator, Config, ConfigError, Loaded};

/// What makes efforts of positions, and where it comes from, if from a file.
pub type Actuated = (Option<Actuation>, Option<ActuatorMeta>);

/// The actuator model of a configuration that was held against `robot`.
///
/// # Errors
/// [`ConfigError`] when its folder cannot be read, or it does not fit the loop.
pub fn actuator(loaded: &Loaded, robot: &RobotDescription) -> Result<Actuated, ConfigError> {
    let config = &loaded.config;
    let joints = robot.joints.iter().enumerate();
    let joints: Vec<usize> =
        joints.filter(|(_, joint)| is_revolute(joint)).map(|(index, _)| index).collect();
    match (config.actuation.model, &config.actuation.path) {
        (Actuator::Position, _) => Ok((None, None)),
        (model, _) if model.is_law() => {
            let (actuation, meta) = super::law::law(loaded, robot, joints)?;
            Ok((Some(actuation), meta))
        }
        (Actuator::Pd, _) => {
            let model = law(config, robot)
                .map_err(|error| loaded.problems([("actuation", error.to_string())]))?;
            Ok((Some(Actuation::new(model, joints)), None))
        }
        (_, None) => Err(loaded.problems([("actuation.path", "there is no model without it")])),
        (_, Some(path)) => {
            let unfit = |message: String| loaded.problems([("actuation.path", message)]);
            let bundle = Bundle::read(path).map_err(|error| unfit(error.to_string()))?;
            let model = bundle
                .model(joints.len(), config.run.rate_hz)
                .map_err(|error| unfit(error.to_string()))?;
            let meta = meta(model.kind(), path).map_err(unfit)?;
            Ok((Some(Actuation::new(model, joints)), Some(meta)))
        }
    }
}

fn is_revolute(joint: &sinew_firmware_interfaces::JointDescription) -> bool {
    joint.kind == JointKind::Revolute
}

fn meta(kind: &str, path: &Path) -> Result<ActuatorMeta, String> {
    let sha256 = Bundle::fingerprint(path).map_err(|error| error.to_string())?;
    Ok(ActuatorMeta { kind: kind.to_owned(), path: path.display().to_string(), sha256 })
}

/// The law of `actuation.gains`, inside `actuation.motors` where there are such, and delayed.
fn law(
    config: &Config,
    robot: &RobotDescription,
) -> Result<Box<dyn ActuatorModel>, ParameterError> {
    let said = &config.actuation;
    let mut laws = Vec::new();
    for joint in robot.joints.iter().filter(|joint| is_revolute(joint)) {
        let gains = said.gains.get(&joint.name);
        let gains = Gains {
            stiffness: gains.map_or(0.0, |gains| gains.stiffness_nm_rad),
            damping: gains.map_or(0.0, |gains| gains.damping_nm_s_rad),
        };
        let curve = said.motors.get(&joint.name).map(|motor| DcMotorCurve {
            saturation_effort_nm: motor.stall_torque_nm,
            no_load_speed_rad_s: motor.no_load_speed_rad_s,
            effort_limit_nm: motor.continuous_torque_nm,
        });
        laws.push((gains, curve));
    }
    let motors: Option<Vec<(Gains, DcMotorCurve)>> =
        laws.iter().map(|(gains, curve)| Some((*gains, (*curve)?))).collect();
    let delay = Delay::Milliseconds { delay_ms: said.delay_ms, rate_hz: config.run.rate_hz };
    Ok(match motors {
        Some(motors) => Box::new(Delayed::new(DcMotor::new(&motors)?, delay)?),
        None => {
            let laws: Vec<_> = laws.into_iter().map(|(gains, _)| (gains, None)).collect();
            Box::new(Delayed::new(IdealPd::new(&laws)?, delay)?)
        }
    })
}
