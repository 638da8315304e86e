//! Arms with limits, friction and masses, as a URDF describes them.

use std::collections::BTreeMap;
use std::path::Path;

use roxmltree::Node;

use super::{Branch, Motion, Tree, UrdfError, UrdfProblem, child, list, text, with_tree};
use crate::dynamics::{
    Arm, Body, Chain, Joint, JointFriction, JointKind, JointLimits, Link, LinkProblem,
};
use crate::kinematics::Transform;

impl<const N: usize> Chain<N> {
    /// The chain of a URDF from the base to the link `tip`, or, where that is not given, to the only
    /// link without a child. `joints` are the joints that move, from the base to the tip. The tool
    /// is the tip's frame.
    ///
    /// Limits are read where `<limit>` is there. A velocity or effort of 0 there says nothing about
    /// the arm and counts as none given.
    ///
    /// # Errors
    /// [`UrdfError`] names file, line, link or joint, and what to do about it.
    pub fn from_urdf(
        path: &Path,
        tip: Option<&str>,
        joints: &[&str; N],
    ) -> Result<Self, UrdfError> {
        with_tree(&text(path)?, path, |tree| {
            let description = tree.description(tip, joints)?;
            Ok(Self::new(&description.joints, description.tool))
        })
    }
}

impl<const N: usize> Arm<N> {
    /// The arm of a URDF: see [`Chain::from_urdf`]; and masses, and of `<dynamics>` damping (viscous
    /// friction) and friction (Coulomb's).
    ///
    /// What hangs on a link of the chain belongs to it: a hand behind a fixed joint, and fingers
    /// behind joints that move, at position 0.
    ///
    /// # Errors
    /// [`UrdfError`] names file, line, link or joint, and what to do about it.
    pub fn from_urdf(
        path: &Path,
        tip: Option<&str>,
        joints: &[&str; N],
    ) -> Result<Self, UrdfError> {
        Self::parse(&text(path)?, path, tip, joints)
    }

    /// The same for `text`, which was read from `file`.
    pub(crate) fn parse(
        text: &str,
        file: &Path,
        tip: Option<&str>,
        joints: &[&str; N],
    ) -> Result<Self, UrdfError> {
        with_tree(text, file, |tree| {
            let description = tree.description(tip, joints)?;
            let links = tree.links_of(&description)?;
            let friction = description.friction;
            let arm = Self::new(&description.joints, &links, description.tool);
            let arm = arm.map_err(|error| {
                let link =
                    description.links.get(error.index).copied().unwrap_or_default().to_owned();
                let problem = UrdfProblem::Link { link, problem: error.problem };
                UrdfError::new(file, None, problem)
            });
            Ok(arm?.with_friction(friction))
        })
    }
}

/// The joints that move, without the links' masses.
struct Description<'a, const N: usize> {
    joints: [Joint; N],
    friction: [JointFriction; N],
    /// The links behind them.
    links: [&'a str; N],
    tool: Transform,
    /// For each link from the base to the tip the joint that moves it, and its frame in the frame
    /// of that joint.
    places: BTreeMap<&'a str, (Option<usize>, Transform)>,
}

impl<'a> Tree<'a> {
    fn description<const N: usize>(
        &self,
        tip: Option<&str>,
        names: &[&str; N],
    ) -> Result<Description<'a, N>, UrdfError> {
        let tip = self.tip(tip)?;
        let branches = self.branches_to(tip)?;
        let mut moving = Vec::new();
        let mut places = BTreeMap::new();
        if let Some(first) = branches.first() {
            places.insert(first.parent, (None, Transform::IDENTITY));
        }
        // From the last joint that moves to where the chain has come.
        let mut rigid = Transform::IDENTITY;
        for branch in &branches {
            let joint = self.joint(branch)?;
            rigid = rigid.then(&joint.origin);
            let (axis, kind) = match joint.motion {
                Motion::Fixed => (None, JointKind::Turns),
                Motion::Turns(axis) => (Some(axis), JointKind::Turns),
                Motion::Slides(axis, _) => (Some(axis), JointKind::Slides),
            };
            let link = self.child_of(branch);
            if let Some(axis) = axis {
                let limits = self.limits(branch)?;
                let friction = self.friction(branch)?;
                moving.push((Joint { origin: rigid, axis, kind, limits }, friction, link, branch));
                rigid = Transform::IDENTITY;
            }
            places.insert(link, (moving.len().checked_sub(1), rigid));
        }
        self.check_names(tip, &moving.iter().map(|entry| *entry.3).collect::<Vec<_>>(), names)?;
        // The names are as many as the joints.
        Ok(Description {
            joints: std::array::from_fn(|i| moving[i].0),
            friction: std::array::from_fn(|i| moving[i].1),
            links: std::array::from_fn(|i| moving[i].2),
            tool: rigid,
            places,
        })
    }

    /// The joints that move must be those of the robot, in its order.
    fn check_names(
        &self,
        tip: &str,
        moving: &[Branch<'_>],
        names: &[&str],
    ) -> Result<(), UrdfError> {
        let found: Vec<&str> = moving.iter().map(|branch| branch.name).collect();
        if let Some(branch) = moving.iter().find(|branch| !names.contains(&branch.name)) {
            let (joint, joints) = (branch.name.to_owned(), list(names.iter().copied()));
            return Err(self.fail(branch.node, UrdfProblem::UnknownJoint { joint, joints }));
        }
        let joints = list(found.iter().copied());
        let problem = if let Some(name) = names.iter().find(|name| !found.contains(name)) {
            UrdfProblem::MissingJoint { joint: (*name).to_owned(), tip: tip.to_owned(), joints }
        } else if found != names {
            UrdfProblem::JointOrder { joints, needed: list(names.iter().copied()) }
        } else {
            return Ok(());
        };
        Err(UrdfError::new(self.file, None, problem))
    }

    /// The link behind a joint. That it is there was seen when the tree was made.
    fn child_of(&self, branch: &Branch<'a>) -> &'a str {
        let link = child(branch.node, "child").and_then(|child| child.attribute("link"));
        link.unwrap_or_default()
    }

    fn limits(&self, branch: &Branch<'a>) -> Result<JointLimits, UrdfError> {
        let of = format!("joint `{}`", branch.name);
        let mut limits = JointLimits::NONE;
        let Some(limit) = child(branch.node, "limit") else { return Ok(limits) };
        let number = |attribute: &str, none: f64| match limit.attribute(attribute) {
            Some(_) => self.large_number(limit, &of, attribute),
            None => Ok(none),
        };
        if branch.node.attribute("type") != Some("continuous") {
            limits.lower = number("lower", limits.lower)?;
            limits.upper = number("upper", limits.upper)?;
        }
        if limits.lower > limits.upper {
            let needed = format!("at least lower, {}", limits.lower);
            return Err(self.value(limit, &of, "upper", &needed));
        }
        for (attribute, value) in
            [("velocity", &mut limits.velocity), ("effort", &mut limits.effort)]
        {
            let found = number(attribute, f64::INFINITY)?;
            if found < 0.0 {
                return Err(self.value(limit, &of, attribute, "0 or more"));
            }
            if found > 0.0 {
                *value = found;
            }
        }
        Ok(limits)
    }

    fn friction(&self, branch: &Branch<'a>) -> Result<JointFriction, UrdfError> {
        let of = format!("joint `{}`", branch.name);
        let Some(dynamics) = child(branch.node, "dynamics") else {
            return Ok(JointFriction::None);
        };
        let mut found = [0.0; 2];
        for (value, attribute) in found.iter_mut().zip(["damping", "friction"]) {
            if dynamics.attribute(attribute).is_some() {
                *value = self.large_number(dynamics, &of, attribute)?;
            }
            if *value < 0.0 {
                return Err(self.value(dynamics, &of, attribute, "0 or more"));
            }
        }
        Ok(match found {
            [0.0, 0.0] => JointFriction::None,
            [viscous, coulomb] => {
                JointFriction::Linear { viscous, coulomb, offset: 0.0, transition: 0.0 }
            }
        })
    }

    /// A number without the bounds of one in m or rad: N·m of a large arm, for instance.
    fn large_number(
        &self,
        node: Node<'a, 'a>,
        of: &str,
        attribute: &str,
    ) -> Result<f64, UrdfError> {
        let text =
            self.attribute(node, &format!("{of}: <{}>", node.tag_name().name()), attribute)?;
        let number = text.trim().parse().ok().filter(|number: &f64| number.is_finite());
        number.ok_or_else(|| self.value(node, of, attribute, "a number"))
    }

    /// What each joint of the chain carries, in its frame.
    fn links_of<const N: usize>(
        &self,
        description: &Description<'a, N>,
    ) -> Result<[Link; N], UrdfError> {
        let mut bodies = [Body::ZERO; N];
        for (name, node) in self.links.iter().zip(&self.nodes) {
            let inertial = child(*node, "inertial");
            if inertial.is_none()
                && let Some(joint) = description.links.iter().position(|link| link == name)
            {
                let joint = self.parents.get(description.links[joint]).map(|branch| branch.name);
                let (link, joint) = ((*name).to_owned(), joint.unwrap_or_default().to_owned());
                return Err(self.fail(*node, UrdfProblem::NoInertia { link, joint }));
            }
            let (Some(inertial), Some((Some(joint), place))) =
                (inertial, self.place(name, &description.places)?)
            else {
                continue;
            };
            let of = format!("link `{name}`: <inertial>");
            let link = self.inertial(inertial, &of)?;
            // Links that only mark a place are at times given a mass of 0.
            if link.mass == 0.0 && !description.links.contains(name) {
                continue;
            }
            link.check().map_err(|problem: LinkProblem| {
                self.fail(inertial, UrdfProblem::Link { link: (*name).to_owned(), problem })
            })?;
            let frame = place.then(&self.origin(inertial, &of)?);
            bodies[joint].add(&link.seen_from(&frame.inverse()));
        }
        Ok(bodies.map(|body| body.link()))
    }

    /// The joint of the chain on which a link hangs, and the link's frame in that joint's; `None`
    /// where it hangs on nothing of the chain.
    fn place(
        &self,
        link: &'a str,
        places: &BTreeMap<&'a str, (Option<usize>, Transform)>,
    ) -> Result<Option<(Option<usize>, Transform)>, UrdfError> {
        let mut at = link;
        let mut below = Transform::IDENTITY;
        for _ in 0..=self.links.len() {
            if let Some((joint, frame)) = places.get(at) {
                return Ok(Some((*joint, frame.then(&below))));
            }
            let Some(branch) = self.parents.get(at) else { return Ok(None) };
            let origin = self.origin(branch.node, &format!("joint `{}`", branch.name))?;
            below = origin.then(&below);
            at = branch.parent;
        }
        // A circle beside the chain.
        Ok(None)
    }

    /// Mass and inertia in the frame of `<inertial>`.
    fn inertial(&self, node: Node<'a, 'a>, of: &str) -> Result<Link, UrdfError> {
        let mass = self.large_number(self.element(node, of, "mass")?, of, "value")?;
        let element = self.element(node, of, "inertia")?;
        let mut inertia = [0.0; 6];
        for (value, attribute) in inertia.iter_mut().zip(["ixx", "ixy", "ixz", "iyy", "iyz", "izz"])
        {
            *value = self.large_number(element, of, attribute)?;
        }
        Ok(Link { mass, center: [0.0; 3], inertia })
    }
}

#[cfg(test)]
mod tests;
