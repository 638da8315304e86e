//! Where the tool may be: the box, the arm's URDF, and whether both go with the robot.

use sinew_firmware_interfaces::{JointKind, RobotDescription};
use sinew_simulation::tool::ToolChain;
use sinew_simulation::urdf::UrdfProblem;

use super::error::Problem;
use super::keys::with_unit;
use super::limits::kind_word;
use super::schema::WorkspaceConfig;
use super::tree::{child, element, number};
use super::{ConfigError, Loaded};
use crate::limits::Workspace;

/// The box has an inside. Whether the arm is in it, only its URDF can say.
pub(super) fn check(loaded: &Loaded, problems: &mut Vec<Problem>) {
    let Some(said) = &loaded.config.workspace else { return };
    for ((index, low), high) in said.min_m.iter().enumerate().zip(&said.max_m) {
        if low >= high {
            let least = element("workspace.min_m", index);
            let key = element("workspace.max_m", index);
            problems.push(Problem::OutOfRange {
                at: loaded.place(&key),
                key,
                value: with_unit(&number(*high), "m"),
                allowed: format!("above {least} = {} m ({})", number(*low), loaded.place(&least)),
                remedy: "Write the corner with the smaller x, y and z in min_m; nothing is \
                         swapped for you"
                    .to_owned(),
            });
        }
    }
}

/// The URDF is named but not there.
pub(super) fn missing_file(loaded: &Loaded) -> Option<Problem> {
    let urdf = &loaded.config.workspace.as_ref()?.urdf;
    if urdf.is_file() {
        return None;
    }
    let found = if urdf.exists() { "is not a file" } else { "does not exist" };
    let message = format!("{} {found}. Needed is the arm's URDF", urdf.display());
    Some(loaded.problem("workspace.urdf", message))
}

impl Loaded {
    /// Reads the URDF of `[workspace]` and holds it against `robot`: the chain to the tool, whose
    /// positions are those of the robot's joints in their order. `None` without a workspace.
    ///
    /// # Errors
    /// [`ConfigError`] when the URDF cannot be read or is of another robot, or when the tool is
    /// outside the box at the rest pose.
    pub fn tool(&self, robot: &RobotDescription) -> Result<Option<ToolChain>, ConfigError> {
        let Some(said) = &self.config.workspace else { return Ok(None) };
        if let Some(problem) = missing_file(self) {
            return Err(problem.into());
        }
        let names: Vec<&str> = robot.joints.iter().map(|joint| joint.name.as_str()).collect();
        let tool =
            ToolChain::from_urdf(&said.urdf, said.tip.as_deref(), &names).map_err(|error| {
                let key = match *error.problem {
                    UrdfProblem::UnknownTip { .. }
                    | UrdfProblem::SeveralTips { .. }
                    | UrdfProblem::Immovable { .. } => "workspace.tip",
                    _ => "workspace.urdf",
                };
                ConfigError::from(self.problem(key, error.to_string()))
            })?;
        let mut problems = Vec::new();
        self.check_kinds(robot, said, &tool, &mut problems);
        if problems.is_empty() {
            self.check_tool_at_rest(robot, said, &tool, &mut problems);
        }
        if problems.is_empty() { Ok(Some(tool)) } else { Err(ConfigError::sorted(problems)) }
    }

    /// A joint of the chain moves as the robot's joint of that name does.
    fn check_kinds(
        &self,
        robot: &RobotDescription,
        said: &WorkspaceConfig,
        tool: &ToolChain,
        problems: &mut Vec<Problem>,
    ) {
        for (index, slides) in tool.joints() {
            let Some(joint) = robot.joints.get(index) else { continue };
            let (found, fits) = if slides {
                ("prismatic", joint.kind == JointKind::Prismatic)
            } else {
                ("revolute", joint.kind == JointKind::Revolute)
            };
            if !fits {
                let message = format!(
                    "{}: joint `{}` is {found}, but the {}'s is a {} joint. Use the robot's own \
                     URDF, or a tip before this joint",
                    said.urdf.display(),
                    joint.name,
                    robot.model,
                    kind_word(joint.kind)
                );
                problems.push(self.problem("workspace.urdf", message));
            }
        }
    }

    /// At rest the tool is inside: a ramp to rest that must not arrive would end in torque off.
    fn check_tool_at_rest(
        &self,
        robot: &RobotDescription,
        said: &WorkspaceConfig,
        tool: &ToolChain,
        problems: &mut Vec<Problem>,
    ) {
        let pose = &self.config.rest.pose;
        let positions: Vec<f64> = robot
            .joints
            .iter()
            .map(|joint| pose.get(&joint.name).copied().unwrap_or(f64::NAN))
            .collect();
        let tip = tool.tip(&positions);
        // A pose with holes is named by itself.
        if tip.iter().any(|value| !value.is_finite()) {
            return;
        }
        let grain = Workspace::grain();
        let outside = tip
            .iter()
            .zip(said.min_m.iter().zip(&said.max_m))
            .any(|(at, (low, high))| *at < low + grain || *at > high - grain);
        if outside {
            let point = |at: &[f64; 3]| {
                let at = at.map(|value| number((value * 1e4).round() / 1e4));
                format!("[{}] m", at.join(", "))
            };
            let message = format!(
                "at rest.pose ({}) link `{}` is at {}, outside the box from {} to {}, which is \
                 judged {} cm smaller on each side. Widen the box, or rest elsewhere",
                self.place("rest.pose"),
                tool.tip_name(),
                point(&tip),
                point(&said.min_m),
                point(&said.max_m),
                number(grain * 100.0),
            );
            problems.push(self.problem(&child("workspace", "max_m"), message));
        }
    }
}
