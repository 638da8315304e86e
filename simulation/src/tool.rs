//! Where the tool of an arm is: forward kinematics of a chain of turning and sliding joints with
//! axes of any direction, and bounds on how far each of them moves the tool.

use std::path::Path;

use crate::kinematics::{Transform, Vector};
use crate::urdf::{self, Chain, Motion, UrdfError, UrdfProblem};

/// The chain of joints from an arm's base to a link that is watched, its tip.
///
/// Positions are those of a robot whose joints were named when the chain was made, in that order:
/// rad, or m of a prismatic joint. Joints of the robot that are not in the chain do not matter.
#[derive(Clone, Debug, PartialEq)]
pub struct ToolChain {
    /// From the base to the tip.
    sections: Vec<Section>,
    /// The tip's origin in the frame of the last joint, in m.
    tool: Vector,
    /// Name of the tip's link.
    tip: String,
    /// By joint of the robot.
    reach: Vec<f64>,
}

/// A rigid piece of the arm with the joint at its end.
#[derive(Clone, Debug, PartialEq)]
struct Section {
    /// The joint's frame at position 0, seen from the joint before. Its z axis is the joint's.
    frame: Transform,
    /// Index of the joint in the robot's order.
    joint: usize,
    /// How far a prismatic joint goes from 0, in m; `None` for a joint that turns.
    travel: Option<f64>,
}

impl ToolChain {
    /// Reads the URDF at `path` and follows its joints from the base to the link `tip`, or, where
    /// that is not given, to the only link without a child. `joints` are the names of the robot's
    /// joints; every joint of the chain that moves must be one of them.
    ///
    /// # Errors
    /// [`UrdfError`] names file, line, link or joint, and what to do about it.
    pub fn from_urdf(path: &Path, tip: Option<&str>, joints: &[&str]) -> Result<Self, UrdfError> {
        Self::new(urdf::read(path, tip)?, path, joints)
    }

    fn new(chain: Chain, file: &Path, robot: &[&str]) -> Result<Self, UrdfError> {
        let mut sections = Vec::new();
        // From the last joint that moves to where the chain has come.
        let mut rigid = Transform::IDENTITY;
        for joint in &chain.joints {
            rigid = rigid.then(&joint.origin);
            let (axis, travel) = match joint.motion {
                Motion::Fixed => continue,
                Motion::Turns(axis) => (axis, None),
                Motion::Slides(axis, travel) => (axis, Some(travel)),
            };
            let index = robot.iter().position(|name| *name == joint.name).ok_or_else(|| {
                let (joints, name) = (urdf::list(robot.iter().copied()), joint.name.clone());
                let problem = UrdfProblem::UnknownJoint { joint: name, joints };
                UrdfError::new(file, Some(joint.line), problem)
            })?;
            // A joint moves about or along z: the frame is turned so that z is its axis, and what
            // follows is turned back.
            let turned = facing(axis);
            sections.push(Section { frame: rigid.then(&turned), joint: index, travel });
            rigid = turned.inverse();
        }
        if sections.is_empty() {
            let problem = UrdfProblem::Immovable { tip: chain.tip };
            return Err(UrdfError::new(file, None, problem));
        }
        let tool = rigid.translation;
        let reach = reach(&sections, tool, robot.len());
        Ok(Self { sections, tool, tip: chain.tip, reach })
    }

    /// The tip's origin in the base frame, in m: x, y, z. `positions` are those of all joints of
    /// the robot; where one of the chain is missing or not finite, so is the result.
    ///
    /// Does not allocate.
    pub fn tip(&self, positions: &[f64]) -> Vector {
        let mut point = self.tool;
        for section in self.sections.iter().rev() {
            let position = positions.get(section.joint).copied().unwrap_or(f64::NAN);
            let [x, y, z] = point;
            let moved = if section.travel.is_some() {
                [x, y, z + position]
            } else {
                let (sine, cosine) = position.sin_cos();
                [cosine * x - sine * y, sine * x + cosine * y, z]
            };
            let Transform { translation, .. } = section.frame;
            let [x, y, z] = section.frame.rotate(moved);
            point = [x + translation[0], y + translation[1], z + translation[2]];
        }
        point
    }

    /// Name of the tip's link.
    pub fn tip_name(&self) -> &str {
        &self.tip
    }

    /// Largest way of the tip for each unit of way of the robot's joint `joint`, whatever the
    /// others do: m/rad of a joint that turns, 1 of one that slides, 0 of one that is not in the
    /// chain. A prismatic joint is taken to stay within the limits that the URDF gives it.
    ///
    /// An upper bound: no joint is farther from the tip than the pieces between them are long.
    pub fn reach(&self, joint: usize) -> f64 {
        self.reach.get(joint).copied().unwrap_or(0.0)
    }

    /// The joints of the chain from the base to the tip: index in the robot's order, and whether
    /// the joint slides (a position in m) rather than turns (in rad).
    pub fn joints(&self) -> impl Iterator<Item = (usize, bool)> + '_ {
        self.sections.iter().map(|section| (section.joint, section.travel.is_some()))
    }
}

/// A rotation whose z axis is the unit vector `axis`; none where it is z already.
pub(crate) fn facing(axis: Vector) -> Transform {
    let [a, b, c] = axis;
    // The base vector that is farthest from the axis, made perpendicular to it.
    let least = (0..3).fold(0, |best, i| if axis[i].abs() < axis[best].abs() { i } else { best });
    let mut side = axis.map(|value| -value * axis[least]);
    side[least] += 1.0;
    let length = length(side);
    let [x, y, z] = side.map(|value| value / length);
    let [u, v, w] = [b * z - c * y, c * x - a * z, a * y - b * x];
    Transform { rotation: [[x, u, a], [y, v, b], [z, w, c]], translation: [0.0; 3] }
}

/// [`ToolChain::reach`] of each of the robot's `count` joints.
fn reach(sections: &[Section], tool: Vector, count: usize) -> Vec<f64> {
    let mut reach = vec![0.0; count];
    // The way from the joint after the present one to the tip, at its longest.
    let mut beyond = 0.0;
    let mut piece = tool;
    for section in sections.iter().rev() {
        // What lies along a joint's own axis does not turn with it.
        let lever = piece[0].hypot(piece[1]) + beyond;
        if let Some(entry) = reach.get_mut(section.joint) {
            *entry = if section.travel.is_some() { 1.0 } else { lever };
        }
        beyond += length(piece) + section.travel.unwrap_or(0.0);
        piece = section.frame.translation;
    }
    reach
}

fn length(vector: Vector) -> f64 {
    vector.iter().map(|value| value * value).sum::<f64>().sqrt()
}

#[cfg(test)]
mod tests;
