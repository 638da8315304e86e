//! A chain of joints, and where its parts are at given positions: forward kinematics, the geometric
//! Jacobian and its derivative in time.

use nalgebra::{IsometryMatrix3, Matrix3, Rotation3, SMatrix, SVector, Translation3, Vector3};

use super::spatial::Screw;
use crate::kinematics::{SerialChain, Transform, Vector};
use crate::tool::facing;

/// One number per joint: rad, rad/s, rad/s², N·m; of a prismatic joint m, m/s, m/s², N.
pub type Joints<const N: usize> = SVector<f64, N>;

/// One column per joint: m and rad (linear above angular) per rad or m, in the axes of the base.
pub type Jacobian<const N: usize> = SMatrix<f64, 6, N>;

/// A pose of the tool or of a link, in the frame of the base, m.
pub type Pose = IsometryMatrix3<f64>;

/// What a joint does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum JointKind {
    /// It turns about its axis: revolute or continuous.
    Turns,
    /// It slides along its axis: prismatic.
    Slides,
}

/// What a joint may do. Infinite where nothing is known or nothing is limited.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct JointLimits {
    /// Least position, rad or m.
    pub lower: f64,
    /// Largest position, rad or m.
    pub upper: f64,
    /// rad/s or m/s, both ways.
    pub velocity: f64,
    /// rad/s² or m/s², both ways.
    pub acceleration: f64,
    /// rad/s³ or m/s³, both ways.
    pub jerk: f64,
    /// N·m or N, both ways.
    pub effort: f64,
    /// N·m/s or N/s, both ways.
    pub effort_rate: f64,
}

impl JointLimits {
    /// No limits.
    pub const NONE: Self = Self {
        lower: f64::NEG_INFINITY,
        upper: f64::INFINITY,
        velocity: f64::INFINITY,
        acceleration: f64::INFINITY,
        jerk: f64::INFINITY,
        effort: f64::INFINITY,
        effort_rate: f64::INFINITY,
    };

    /// Limits of position alone.
    pub const fn range(lower: f64, upper: f64) -> Self {
        Self { lower, upper, ..Self::NONE }
    }
}

/// A joint as a table or a URDF describes it. The link behind it has the joint's frame.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Joint {
    /// Its frame at position 0, seen from the link before.
    pub origin: Transform,
    /// What it turns about or slides along: a unit vector in its frame.
    pub axis: Vector,
    /// Which of the two.
    pub kind: JointKind,
    /// What it may do.
    pub limits: JointLimits,
}

impl Joint {
    /// A joint that turns about the z axis of its frame.
    pub const fn about_z(origin: Transform, limits: JointLimits) -> Self {
        Self { origin, axis: [0.0, 0.0, 1.0], kind: JointKind::Turns, limits }
    }
}

/// A joint's frame, turned so that the axis is z.
#[derive(Clone, Copy, Debug, PartialEq)]
struct Section {
    rotation: Matrix3<f64>,
    translation: Vector3<f64>,
    kind: JointKind,
}

/// A chain of `N` joints from a base to a tool: geometry alone.
#[derive(Clone, Debug, PartialEq)]
pub struct Chain<const N: usize> {
    sections: [Section; N],
    limits: [JointLimits; N],
    /// From the last joint's turned frame.
    tool: Section,
    /// From each link's frame to the turned one.
    turned: [Transform; N],
}

impl<const N: usize> Chain<N> {
    /// The chain of `joints`, with a tool at `tool` in the frame of the last link.
    pub fn new(joints: &[Joint; N], tool: Transform) -> Self {
        let turned = joints.map(|joint| facing(joint.axis));
        // What comes after a turned frame is turned back.
        let mut back = Transform::IDENTITY;
        let mut section = |origin: Transform, turn: &Transform, kind| {
            let whole = back.then(&origin).then(turn);
            back = turn.inverse();
            let (rotation, translation) = (matrix(&whole), whole.translation.into());
            Section { rotation, translation, kind }
        };
        let sections =
            std::array::from_fn(|i| section(joints[i].origin, &turned[i], joints[i].kind));
        let tool = section(tool, &Transform::IDENTITY, JointKind::Turns);
        Self { sections, limits: joints.map(|joint| joint.limits), tool, turned }
    }

    /// What each joint may do.
    pub fn limits(&self) -> &[JointLimits; N] {
        &self.limits
    }

    /// The same chain with other limits.
    pub fn with_limits(mut self, limits: [JointLimits; N]) -> Self {
        self.limits = limits;
        self
    }

    /// The same chain with the tool moved on by `offset`, seen from the present tool.
    pub fn with_tool(mut self, offset: &Transform) -> Self {
        self.tool.translation += self.tool.rotation * Vector3::from(offset.translation);
        self.tool.rotation *= matrix(offset);
        self
    }

    /// The tool in the frame of the last link.
    pub fn tool(&self) -> Pose {
        let tool = pose(self.tool.rotation, self.tool.translation);
        match self.turned.last() {
            Some(turned) => Pose::from(*turned) * tool,
            None => tool,
        }
    }

    /// From a link's frame to the one whose z axis is the joint's.
    pub(super) fn turned(&self) -> &[Transform; N] {
        &self.turned
    }

    /// Where everything is at `positions`.
    pub fn at(&self, positions: &Joints<N>) -> Kinematics<N> {
        let mut rotation = Matrix3::identity();
        let mut origin = Vector3::zeros();
        let mut out = Kinematics {
            rotations: [rotation; N],
            origins: [origin; N],
            screws: [Screw::ZERO; N],
            tool_rotation: rotation,
            tool_origin: origin,
        };
        for (i, section) in self.sections.iter().enumerate() {
            origin += rotation * section.translation;
            rotation *= section.rotation;
            let axis: Vector3<f64> = rotation.column(2).into();
            out.screws[i] = match section.kind {
                JointKind::Turns => {
                    let (sine, cosine) = positions[i].sin_cos();
                    let (x, y) = (rotation.column(0), rotation.column(1));
                    let turned = Matrix3::from_columns(&[
                        x * cosine + y * sine,
                        y * cosine - x * sine,
                        axis,
                    ]);
                    rotation = turned;
                    Screw::new(origin.cross(&axis), axis)
                }
                JointKind::Slides => {
                    origin += axis * positions[i];
                    Screw::new(axis, Vector3::zeros())
                }
            };
            out.rotations[i] = rotation;
            out.origins[i] = origin;
        }
        out.tool_origin = origin + rotation * self.tool.translation;
        out.tool_rotation = rotation * self.tool.rotation;
        out
    }
}

/// The same chain; what it calls its end is the tool.
impl<const N: usize> From<&SerialChain<N>> for Chain<N> {
    fn from(serial: &SerialChain<N>) -> Self {
        let joints = std::array::from_fn(|i| {
            let limits = &serial.limits[i];
            Joint::about_z(serial.origins[i], JointLimits::range(*limits.start(), *limits.end()))
        });
        Self::new(&joints, Transform::IDENTITY)
    }
}

/// Where the parts of a chain are: the result of [`Chain::at`]. Everything is seen from the base.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Kinematics<const N: usize> {
    /// Frames whose z axes are those of the joints.
    pub(super) rotations: [Matrix3<f64>; N],
    pub(super) origins: [Vector3<f64>; N],
    /// The motion that one unit of each joint's velocity is.
    pub(super) screws: [Screw; N],
    tool_rotation: Matrix3<f64>,
    tool_origin: Vector3<f64>,
}

impl<const N: usize> Kinematics<N> {
    /// Pose of the tool.
    pub fn tool(&self) -> Pose {
        pose(self.tool_rotation, self.tool_origin)
    }

    /// The frame of joint `joint`: its origin, and axes of which z is the joint's. That is the
    /// link's frame wherever the description has z axes, as Denavit and Hartenberg's has. `None`
    /// past the last joint.
    pub fn joint(&self, joint: usize) -> Option<Pose> {
        Some(pose(*self.rotations.get(joint)?, *self.origins.get(joint)?))
    }

    /// The geometric Jacobian of the tool: its velocity (m/s, then rad/s, in the axes of the base)
    /// is this times the joints' velocities.
    pub fn jacobian(&self) -> Jacobian<N> {
        self.jacobian_at(N, &self.tool_origin)
    }

    /// The Jacobian of a point (m, base frame) that the first `joints` joints move: columns from
    /// there on are 0.
    pub fn jacobian_at(&self, joints: usize, point: &Vector3<f64>) -> Jacobian<N> {
        let mut jacobian: Jacobian<N> = Jacobian::zeros();
        for (i, screw) in self.screws.iter().enumerate().take(joints) {
            let linear = screw.linear + screw.angular.cross(point);
            jacobian.fixed_view_mut::<3, 1>(0, i).copy_from(&linear);
            jacobian.fixed_view_mut::<3, 1>(3, i).copy_from(&screw.angular);
        }
        jacobian
    }

    /// The derivative in time of [`Self::jacobian`] while the joints move with `velocities`: the
    /// tool's acceleration is `J a + J' v`.
    pub fn jacobian_rate(&self, velocities: &Joints<N>) -> Jacobian<N> {
        let mut moving = Screw::ZERO;
        // Each screw is carried along by the joints before it.
        let mut rates = [Screw::ZERO; N];
        for ((screw, rate), velocity) in self.screws.iter().zip(&mut rates).zip(velocities) {
            *rate = moving.carry(screw);
            moving += *screw * *velocity;
        }
        let speed = moving.linear + moving.angular.cross(&self.tool_origin);
        let mut jacobian: Jacobian<N> = Jacobian::zeros();
        for (i, (screw, rate)) in self.screws.iter().zip(&rates).enumerate() {
            let linear =
                rate.linear + rate.angular.cross(&self.tool_origin) + screw.angular.cross(&speed);
            jacobian.fixed_view_mut::<3, 1>(0, i).copy_from(&linear);
            jacobian.fixed_view_mut::<3, 1>(3, i).copy_from(&rate.angular);
        }
        jacobian
    }
}

fn matrix(transform: &Transform) -> Matrix3<f64> {
    let [x, y, z] = transform.rotation;
    Matrix3::new(x[0], x[1], x[2], y[0], y[1], y[2], z[0], z[1], z[2])
}

fn pose(rotation: Matrix3<f64>, origin: Vector3<f64>) -> Pose {
    Pose::from_parts(Translation3::from(origin), Rotation3::from_matrix_unchecked(rotation))
}

impl From<Transform> for Pose {
    fn from(transform: Transform) -> Self {
        pose(matrix(&transform), transform.translation.into())
    }
}

impl From<Pose> for Transform {
    fn from(pose: Pose) -> Self {
        let r = pose.rotation.matrix();
        Self {
            rotation: std::array::from_fn(|row| std::array::from_fn(|column| r[(row, column)])),
            translation: pose.translation.vector.into(),
        }
    }
}
