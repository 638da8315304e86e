//! What stays the same for the whole of a run.

use std::time::Duration;

use sinew_firmware_interfaces::{JointKind, RobotDescription};

use crate::cycle::CycleSettings;

/// One joint.
#[derive(Clone, Debug, PartialEq)]
pub struct SubjectJoint {
    /// Its name.
    pub name: String,
    /// Unit of its position.
    pub unit: &'static str,
    /// Allowed positions: lower, upper.
    pub range: [f64; 2],
    /// Largest allowed difference between measured and commanded position.
    pub tracking: f64,
    /// True where its measurements must be fresh.
    pub judged: bool,
}

/// The run that is looked at.
#[derive(Clone, Debug, PartialEq)]
pub struct Subject {
    /// The run's name.
    pub run: String,
    /// The robot's model.
    pub robot: String,
    /// Joints in order.
    pub joints: Vec<SubjectJoint>,
    /// Time of one cycle.
    pub period: Duration,
    /// How long the target source drives.
    pub duration: Duration,
    /// Measurements older than this make the arm hold.
    pub state_hold: Duration,
    /// Measurements older than this end the run.
    pub state_ramp: Duration,
}

impl Subject {
    /// What is constant about a run named `run` of `robot` under `settings`.
    pub fn new(run: &str, robot: &RobotDescription, settings: &CycleSettings) -> Self {
        let joints = robot.joints.iter().zip(&settings.limits).enumerate();
        let joints = joints.map(|(index, (joint, limits))| SubjectJoint {
            name: joint.name.clone(),
            unit: if joint.kind == JointKind::Gripper { "open" } else { joint.kind.unit() },
            range: limits.position,
            tracking: settings.thresholds.tracking[index],
            judged: settings.judged & (1 << index) != 0,
        });
        Self {
            run: run.to_owned(),
            robot: robot.model.clone(),
            joints: joints.collect(),
            period: settings.period,
            duration: settings.duration,
            state_hold: settings.thresholds.state_hold,
            state_ramp: settings.thresholds.state_ramp,
        }
    }
}
