//! What can be wrong with a URDF.

use std::path::{Path, PathBuf};

use thiserror::Error;

use crate::dynamics::LinkProblem;

/// Why a URDF does not give the chain to a tool.
#[derive(Clone, Debug, PartialEq, Error)]
#[error("{}{}: {problem}", .file.display(), .line.map(|line| format!(":{line}")).unwrap_or_default())]
pub struct UrdfError {
    /// The file, as it was asked for.
    pub file: PathBuf,
    /// The line, counted from 1, where the problem has one.
    pub line: Option<u32>,
    /// What is wrong.
    pub problem: Box<UrdfProblem>,
}

impl UrdfError {
    pub(crate) fn new(file: &Path, line: Option<u32>, problem: UrdfProblem) -> Self {
        Self { file: file.to_owned(), line, problem: Box::new(problem) }
    }
}

/// What is wrong with a URDF, or with what was asked of it.
#[derive(Clone, Debug, PartialEq, Error)]
#[non_exhaustive]
pub enum UrdfProblem {
    /// The file cannot be read.
    #[error("{reason}. Needed is the URDF of an arm")]
    Unreadable {
        /// What the operating system said.
        reason: String,
    },
    /// The file is larger than any URDF.
    #[error("the file has more than {} MiB. Needed is the URDF of an arm, without meshes", super::LARGEST_FILE >> 20)]
    TooLarge,
    /// The file is not XML, or more than is read.
    #[error("not readable as XML: {reason}. Needed is a URDF; expand xacro files first")]
    Xml {
        /// What the parser found.
        reason: String,
    },
    /// The root element is not `robot`.
    #[error("the root element is <{found}>, needed is <robot>. Expand xacro files first")]
    NoRobot {
        /// Its name.
        found: String,
    },
    /// An element or attribute is not there.
    #[error("{of} has no {missing}. Add it")]
    Missing {
        /// The element that should have it, with its name.
        of: String,
        /// Element and attribute.
        missing: String,
    },
    /// An attribute cannot be understood.
    #[error("{of}: {attribute} = \"{found}\", needed is {needed}")]
    Value {
        /// The element, with its name.
        of: String,
        /// Element and attribute.
        attribute: String,
        /// What stands there.
        found: String,
        /// What should.
        needed: String,
    },
    /// Two links or two joints have the same name.
    #[error("{of} is there twice. Rename one")]
    Twice {
        /// The element, with its name.
        of: String,
    },
    /// A joint connects a link that is not there.
    #[error("joint `{joint}` connects link `{link}`, which is not there. Links: {links}")]
    UnknownLink {
        /// The joint.
        joint: String,
        /// The link.
        link: String,
        /// The links that are there.
        links: String,
    },
    /// A link hangs on two joints.
    #[error(
        "link `{link}` hangs on the joints `{first}` and `{second}`. A link has one parent: remove one of the two"
    )]
    TwoParents {
        /// The link.
        link: String,
        /// The joint that comes first in the file.
        first: String,
        /// The other one.
        second: String,
    },
    /// The way from the tip towards the base never ends.
    #[error("link `{link}` is its own ancestor: {joints}. Remove the joint that closes the circle")]
    Cycle {
        /// The link.
        link: String,
        /// The joints of the circle, towards the base.
        joints: String,
    },
    /// There is no link of the tip's name.
    #[error("there is no link `{tip}` to be the tip. Links: {links}")]
    UnknownTip {
        /// The name.
        tip: String,
        /// The links that are there.
        links: String,
    },
    /// The chain branches, and nobody said which end is the tip.
    #[error("the chain has several ends: {leaves}. Name one of the links as the tip")]
    SeveralTips {
        /// The links without a child.
        leaves: String,
    },
    /// No joint moves the tip.
    #[error("no joint moves link `{tip}`. Name another link as the tip")]
    Immovable {
        /// The tip.
        tip: String,
    },
    /// The chain has a joint that the robot has not.
    #[error(
        "joint `{joint}` moves the tip, but the robot has no joint of that name. Its joints: {joints}. Rename it, or make it fixed"
    )]
    UnknownJoint {
        /// The joint in the file.
        joint: String,
        /// The joints of the robot.
        joints: String,
    },
    /// The robot has a joint that the chain has not.
    #[error(
        "the robot's joint `{joint}` does not move the tip `{tip}`. Joints that do: {joints}. Rename it, or name another link as the tip"
    )]
    MissingJoint {
        /// The joint of the robot.
        joint: String,
        /// The tip.
        tip: String,
        /// The joints of the chain that move.
        joints: String,
    },
    /// The chain has the robot's joints in another order.
    #[error("the joints from the base to the tip are {joints}, needed are {needed} in this order")]
    JointOrder {
        /// The joints of the chain that move.
        joints: String,
        /// The joints of the robot.
        needed: String,
    },
    /// A link that a joint moves weighs nothing.
    #[error(
        "link `{link}`, which joint `{joint}` moves, has no <inertial>. Dynamics need mass, centre and inertia of every link"
    )]
    NoInertia {
        /// The link.
        link: String,
        /// The joint that moves it.
        joint: String,
    },
    /// A link that cannot exist.
    #[error("link `{link}`: {problem}")]
    Link {
        /// The link.
        link: String,
        /// What is wrong with it.
        problem: LinkProblem,
    },
    /// The chain has a joint that follows another one.
    #[error(
        "joint `{joint}` mimics joint `{leader}`, which a chain to the tip must not. Make it a joint of its own, or fixed"
    )]
    Mimic {
        /// The joint.
        joint: String,
        /// The joint that it follows.
        leader: String,
    },
    /// The chain has a joint of more than one degree of freedom, or of a kind that is none.
    #[error(
        "joint `{joint}` is of type \"{found}\". A chain to the tip takes fixed, revolute, continuous, prismatic"
    )]
    Kind {
        /// The joint.
        joint: String,
        /// Its type.
        found: String,
    },
}
