//! Reads from a URDF the chain of joints between an arm's base and its tool.
//!
//! Only what is asked for is read. For a tool's place: links by name, and of the joints in the chain
//! kind, parent, child, origin and axis; shapes, masses and everything outside the chain are passed
//! over, so a gripper with mimic joints does not hinder the arm that carries it. For an
//! [`Arm`](crate::dynamics::Arm) also limits, friction and masses. What is read is read strictly: a
//! number that cannot be understood is an error, never a default. Xacro files must be expanded
//! first.
//!
//! Elements and defaults: <https://wiki.ros.org/urdf/XML/joint>.

mod arm;
mod error;

use std::collections::{BTreeMap, BTreeSet};
use std::fs::File;
use std::io::Read;
use std::path::Path;

use roxmltree::{Document, Node, ParsingOptions};

use crate::kinematics::{Transform, Vector};

pub use error::{UrdfError, UrdfProblem};

/// Largest file that is read, in bytes. The URDF of an arm has some 10 KiB.
const LARGEST_FILE: u64 = 4 << 20;
/// Most XML nodes of a file.
const MOST_NODES: u32 = 1 << 18;
/// Largest magnitude of a number, in m or rad: anything beyond was not meant in these units.
const LARGEST: f64 = 100.0;

/// How a joint moves.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Motion {
    /// Not at all.
    Fixed,
    /// About a unit vector, revolute or continuous.
    Turns(Vector),
    /// Along a unit vector, at most this far from 0, in m.
    Slides(Vector, f64),
}

/// One joint of a chain.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Joint {
    pub name: String,
    /// Line in the file, counted from 1.
    pub line: u32,
    /// Its frame at position 0, seen from the parent link's.
    pub origin: Transform,
    /// How it moves, in its own frame.
    pub motion: Motion,
}

/// A chain of joints from the base to the tip.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Chain {
    pub joints: Vec<Joint>,
    /// The link at its end.
    pub tip: String,
}

/// Reads `file` and follows its joints to the link `tip`, or to the only end that there is.
pub(crate) fn read(file: &Path, tip: Option<&str>) -> Result<Chain, UrdfError> {
    parse(&text(file)?, file, tip)
}

/// The text of `file`.
fn text(file: &Path) -> Result<String, UrdfError> {
    let fail = |problem| UrdfError::new(file, None, problem);
    let unreadable =
        |error: std::io::Error| fail(UrdfProblem::Unreadable { reason: error.to_string() });
    let mut text = String::new();
    File::open(file)
        .and_then(|file| file.take(LARGEST_FILE + 1).read_to_string(&mut text))
        .map_err(unreadable)?;
    if text.len() as u64 > LARGEST_FILE {
        return Err(fail(UrdfProblem::TooLarge));
    }
    Ok(text)
}

/// The same for `text`, which was read from `file`.
pub(crate) fn parse(text: &str, file: &Path, tip: Option<&str>) -> Result<Chain, UrdfError> {
    with_tree(text, file, |tree| tree.chain_to(tip))
}

fn with_tree<T>(
    text: &str,
    file: &Path,
    read: impl FnOnce(&Tree<'_>) -> Result<T, UrdfError>,
) -> Result<T, UrdfError> {
    let options = ParsingOptions { nodes_limit: MOST_NODES, ..ParsingOptions::default() };
    let document = Document::parse_with_options(text, options).map_err(|error| {
        let problem = UrdfProblem::Xml { reason: error.to_string() };
        UrdfError::new(file, Some(error.pos().row), problem)
    })?;
    read(&Tree::new(&document, file)?)
}

/// The links and joints of a file.
struct Tree<'a> {
    file: &'a Path,
    /// Where its lines end: looked up for every joint, so not counted anew each time.
    breaks: Vec<usize>,
    /// In the order of the file.
    links: Vec<&'a str>,
    /// The elements of `links`.
    nodes: Vec<Node<'a, 'a>>,
    /// The joint that each link hangs on.
    parents: BTreeMap<&'a str, Branch<'a>>,
}

/// A joint that was not looked into yet.
#[derive(Clone, Copy)]
struct Branch<'a> {
    name: &'a str,
    parent: &'a str,
    node: Node<'a, 'a>,
}

impl<'a> Tree<'a> {
    fn new(document: &'a Document<'a>, file: &'a Path) -> Result<Self, UrdfError> {
        let breaks = document.input_text().match_indices('\n').map(|(at, _)| at).collect();
        let (links, nodes) = (Vec::new(), Vec::new());
        let mut tree = Self { file, breaks, links, nodes, parents: BTreeMap::new() };
        let robot = document.root_element();
        if !robot.has_tag_name("robot") {
            let found = robot.tag_name().name().to_owned();
            return Err(tree.fail(robot, UrdfProblem::NoRobot { found }));
        }
        // Other elements of a robot, transmissions for instance, have links and joints as well.
        let elements =
            |name: &'static str| robot.children().filter(move |child| child.has_tag_name(name));
        let mut seen = BTreeSet::new();
        for link in elements("link") {
            let name = tree.attribute(link, "a link", "name")?;
            if !seen.insert(name) {
                return Err(tree.fail(link, UrdfProblem::Twice { of: format!("link `{name}`") }));
            }
            tree.links.push(name);
            tree.nodes.push(link);
        }
        let mut names = BTreeSet::new();
        for node in elements("joint") {
            let name = tree.attribute(node, "a joint", "name")?;
            let of = format!("joint `{name}`");
            if !names.insert(name) {
                return Err(tree.fail(node, UrdfProblem::Twice { of }));
            }
            let end = |element: &'static str| {
                let found = tree.element(node, &of, element)?;
                let link = tree.attribute(found, &format!("{of}: <{element}>"), "link")?;
                if seen.contains(link) {
                    return Ok(link);
                }
                let (joint, link) = (name.to_owned(), link.to_owned());
                let links = list(tree.links.iter().copied());
                Err(tree.fail(found, UrdfProblem::UnknownLink { joint, link, links }))
            };
            let (parent, child) = (end("parent")?, end("child")?);
            if let Some(first) = tree.parents.insert(child, Branch { name, parent, node }) {
                let link = child.to_owned();
                let (first, second) = (first.name.to_owned(), name.to_owned());
                return Err(tree.fail(node, UrdfProblem::TwoParents { link, first, second }));
            }
        }
        Ok(tree)
    }

    fn chain_to(&self, tip: Option<&str>) -> Result<Chain, UrdfError> {
        let tip = self.tip(tip)?;
        let branches = self.branches_to(tip)?;
        let joints = branches.iter().map(|branch| self.joint(branch)).collect::<Result<_, _>>()?;
        Ok(Chain { joints, tip: tip.to_owned() })
    }

    /// The joints from the base to `tip`.
    fn branches_to(&self, tip: &str) -> Result<Vec<Branch<'a>>, UrdfError> {
        let mut branches = Vec::new();
        let mut link = tip;
        while let Some(branch) = self.parents.get(link) {
            branches.push(*branch);
            link = branch.parent;
            // More joints than links: one of them came twice.
            if branches.len() > self.links.len() {
                return Err(self.cycle(link, branch.node));
            }
        }
        branches.reverse();
        Ok(branches)
    }

    /// The link that is meant.
    fn tip(&self, tip: Option<&str>) -> Result<&'a str, UrdfError> {
        let whole = |problem| UrdfError::new(self.file, None, problem);
        let links = || list(self.links.iter().copied());
        if let Some(tip) = tip {
            let found = self.links.iter().copied().find(|link| *link == tip);
            return found.ok_or_else(|| {
                whole(UrdfProblem::UnknownTip { tip: tip.to_owned(), links: links() })
            });
        }
        let parents: BTreeSet<&str> = self.parents.values().map(|branch| branch.parent).collect();
        let leaves: Vec<&str> =
            self.links.iter().copied().filter(|link| !parents.contains(link)).collect();
        match (leaves.as_slice(), self.links.first()) {
            ([leaf], _) => Ok(leaf),
            ([], None) => Err(whole(UrdfProblem::Missing {
                of: "<robot>".to_owned(),
                missing: "<link>".to_owned(),
            })),
            // Every link has a child: the way down from any of them never ends.
            ([], Some(first)) => Ok(first),
            _ => Err(whole(UrdfProblem::SeveralTips { leaves: list(leaves) })),
        }
    }

    /// `link` lies on a circle, to which `node` belongs.
    fn cycle(&self, link: &str, node: Node<'_, '_>) -> UrdfError {
        let mut joints = Vec::new();
        let mut next = link;
        while let Some(branch) = self.parents.get(next) {
            joints.push(branch.name);
            next = branch.parent;
            if next == link || joints.len() > self.links.len() {
                break;
            }
        }
        let (link, joints) = (link.to_owned(), list(joints));
        self.fail(node, UrdfProblem::Cycle { link, joints })
    }

    fn joint(&self, branch: &Branch<'a>) -> Result<Joint, UrdfError> {
        let &Branch { name, node, .. } = branch;
        let of = format!("joint `{name}`");
        if let Some(mimic) = child(node, "mimic") {
            let leader = mimic.attribute("joint").unwrap_or("?").to_owned();
            return Err(self.fail(mimic, UrdfProblem::Mimic { joint: name.to_owned(), leader }));
        }
        let motion = match self.attribute(node, &of, "type")? {
            "fixed" => Motion::Fixed,
            "revolute" | "continuous" => Motion::Turns(self.axis(node, &of)?),
            "prismatic" => Motion::Slides(self.axis(node, &of)?, self.travel(node, &of)?),
            other => {
                let (joint, found) = (name.to_owned(), other.to_owned());
                return Err(self.fail(node, UrdfProblem::Kind { joint, found }));
            }
        };
        let origin = self.origin(node, &of)?;
        Ok(Joint { name: name.to_owned(), line: self.line(node), origin, motion })
    }

    /// What an element's `<origin>` says; nothing where there is none.
    fn origin(&self, node: Node<'a, 'a>, of: &str) -> Result<Transform, UrdfError> {
        let mut pose = [[0.0; 3]; 2];
        if let Some(origin) = child(node, "origin") {
            for (value, attribute) in pose.iter_mut().zip(["xyz", "rpy"]) {
                if origin.attribute(attribute).is_some() {
                    *value = self.numbers(origin, of, attribute)?;
                }
            }
            // Since version 1.1 of the format; most programs pass over it.
            if origin.attribute("quat_xyzw").is_some() {
                return Err(self.value(origin, of, "quat_xyzw", "rpy instead"));
            }
        }
        let [xyz, rpy] = pose;
        Ok(Transform::from_xyz_rpy(xyz, rpy))
    }

    /// The joint's axis as a unit vector; x where none is said.
    fn axis(&self, node: Node<'a, 'a>, of: &str) -> Result<Vector, UrdfError> {
        let Some(axis) = child(node, "axis") else { return Ok([1.0, 0.0, 0.0]) };
        let vector: Vector = self.numbers(axis, of, "xyz")?;
        let length = vector.iter().map(|value| value * value).sum::<f64>().sqrt();
        if length < 1e-6 {
            return Err(self.value(axis, of, "xyz", "a direction, not zero"));
        }
        Ok(vector.map(|value| value / length))
    }

    /// How far a prismatic joint goes from 0, in m.
    fn travel(&self, node: Node<'a, 'a>, of: &str) -> Result<f64, UrdfError> {
        let limit = self.element(node, of, "limit")?;
        let mut most = 0.0_f64;
        for attribute in ["lower", "upper"] {
            if limit.attribute(attribute).is_some() {
                let [end]: [f64; 1] = self.numbers(limit, of, attribute)?;
                most = most.max(end.abs());
            }
        }
        Ok(most)
    }

    /// The numbers of an attribute, all of them and no other.
    fn numbers<const N: usize>(
        &self,
        node: Node<'a, 'a>,
        of: &str,
        attribute: &str,
    ) -> Result<[f64; N], UrdfError> {
        let text =
            self.attribute(node, &format!("{of}: <{}>", node.tag_name().name()), attribute)?;
        let read = || {
            let mut numbers = [0.0; N];
            let mut words = text.split_whitespace();
            for number in &mut numbers {
                *number = words.next()?.parse().ok().filter(|it: &f64| it.abs() <= LARGEST)?;
            }
            words.next().is_none().then_some(numbers)
        };
        read().ok_or_else(|| {
            let count = if N == 1 { "a number".to_owned() } else { format!("{N} numbers") };
            self.value(node, of, attribute, &format!("{count}, -{LARGEST} to {LARGEST}"))
        })
    }

    fn value(&self, node: Node<'_, '_>, of: &str, attribute: &str, needed: &str) -> UrdfError {
        let problem = UrdfProblem::Value {
            of: of.to_owned(),
            attribute: format!("<{}> {attribute}", node.tag_name().name()),
            found: node.attribute(attribute).unwrap_or_default().to_owned(),
            needed: needed.to_owned(),
        };
        self.fail(node, problem)
    }

    fn element(
        &self,
        node: Node<'a, 'a>,
        of: &str,
        name: &'static str,
    ) -> Result<Node<'a, 'a>, UrdfError> {
        child(node, name).ok_or_else(|| self.missing(node, of, format!("<{name}>")))
    }

    fn attribute(&self, node: Node<'a, 'a>, of: &str, name: &str) -> Result<&'a str, UrdfError> {
        node.attribute(name).ok_or_else(|| self.missing(node, of, format!("attribute {name}")))
    }

    fn missing(&self, node: Node<'_, '_>, of: &str, missing: String) -> UrdfError {
        self.fail(node, UrdfProblem::Missing { of: of.to_owned(), missing })
    }

    fn fail(&self, node: Node<'_, '_>, problem: UrdfProblem) -> UrdfError {
        UrdfError::new(self.file, Some(self.line(node)), problem)
    }

    fn line(&self, node: Node<'_, '_>) -> u32 {
        self.breaks.partition_point(|at| *at < node.range().start) as u32 + 1
    }
}

fn child<'a>(node: Node<'a, 'a>, name: &'static str) -> Option<Node<'a, 'a>> {
    node.children().find(|child| child.has_tag_name(name))
}

/// The names behind each other, the first 40 of them.
pub(crate) fn list<'a>(names: impl IntoIterator<Item = &'a str>) -> String {
    const MOST: usize = 40;
    let mut names = names.into_iter();
    let mut out: Vec<&str> = names.by_ref().take(MOST).collect();
    if names.next().is_some() {
        out.push("...");
    }
    if out.is_empty() { "none".to_owned() } else { out.join(", ") }
}

#[cfg(test)]
mod tests;
