//! What a client asks of the arm.

use super::field::{Reader, check, put_reals};
use super::{Function, Header, HeaderLayout, Protocol, WireError};

/// What follows the commanded motion.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Controller {
    /// The arm, stiff in its joints.
    JointImpedance,
    /// The arm, stiff at its end effector.
    CartesianImpedance,
    /// The client, by torques.
    External,
}

/// What a client commands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Generator {
    /// Joint positions.
    JointPosition,
    /// Joint velocities.
    JointVelocity,
    /// Poses of the end effector.
    CartesianPosition,
    /// Velocities of the end effector.
    CartesianVelocity,
    /// Torques alone; not in version 5.
    None,
}

impl Controller {
    const ALL: [Self; 3] = [Self::JointImpedance, Self::CartesianImpedance, Self::External];
}

impl Generator {
    const ALL: [Self; 5] = [
        Self::JointPosition,
        Self::JointVelocity,
        Self::CartesianPosition,
        Self::CartesianVelocity,
        Self::None,
    ];
}

/// The beginning of a motion.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct MoveRequest {
    /// What follows the motion.
    pub controller: Controller,
    /// What will be commanded.
    pub generator: Generator,
    /// Deviations allowed on the way: m, rad, and of the elbow rad.
    pub path_deviation: [f64; 3],
    /// Deviations allowed at the goal.
    pub goal_deviation: [f64; 3],
    /// A motion that the arm plans itself; not in version 5.
    pub asynchronous: bool,
    /// Its joint velocities, rad/s.
    pub max_velocity: [f64; 7],
}

/// Thresholds above which torques and forces are contacts (lower) and collisions (upper).
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct CollisionBehavior {
    /// Joints while accelerating, N·m.
    pub lower_torque_acceleration: [f64; 7],
    /// Likewise, collision.
    pub upper_torque_acceleration: [f64; 7],
    /// Joints otherwise, N·m.
    pub lower_torque: [f64; 7],
    /// Likewise, collision.
    pub upper_torque: [f64; 7],
    /// End effector while accelerating, N and N·m.
    pub lower_force_acceleration: [f64; 6],
    /// Likewise, collision.
    pub upper_force_acceleration: [f64; 6],
    /// End effector otherwise, N and N·m.
    pub lower_force: [f64; 6],
    /// Likewise, collision.
    pub upper_force: [f64; 6],
}

/// What the flange carries beside the end effector.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Load {
    /// kg.
    pub mass: f64,
    /// Centre of mass in the flange's frame, m.
    pub center: [f64; 3],
    /// About the centre of mass, column by column, kg·m².
    pub inertia: [f64; 9],
}

/// A request of the arm's port.
#[derive(Clone, Debug, PartialEq)]
pub enum Request {
    /// Handshake.
    Connect {
        /// The client's version.
        version: u16,
        /// Where it wants states.
        udp_port: u16,
    },
    /// Begin a motion.
    Move(MoveRequest),
    /// End the motion.
    StopMove,
    /// A limit of the workspace.
    GetCartesianLimit {
        /// Which.
        id: u32,
    },
    /// Thresholds of contacts and collisions.
    SetCollisionBehavior(Box<CollisionBehavior>),
    /// N·m/rad.
    SetJointImpedance([f64; 7]),
    /// N/m and N·m/rad.
    SetCartesianImpedance([f64; 6]),
    /// What hand guiding may move.
    SetGuidingMode {
        /// Along and about x, y and z.
        axes: [bool; 6],
        /// The elbow.
        elbow: bool,
    },
    /// Stiffness frame in the end effector.
    SetEeToK([f64; 16]),
    /// End effector in the nominal end effector.
    SetNeToEe([f64; 16]),
    /// What the arm carries.
    SetLoad(Load),
    /// Cut-off frequencies in Hz: joint position and velocity, Cartesian position and velocity,
    /// controller.
    SetFilters([f64; 5]),
    /// End a reflex.
    AutomaticErrorRecovery,
    /// The model as a shared library.
    LoadModelLibrary {
        /// 0 x64, 1 x86, 2 ARM, 3 ARM64.
        architecture: u8,
        /// 0 Linux, 1 Windows.
        system: u8,
    },
    /// The model as a URDF.
    GetRobotModel,
}

impl Request {
    /// Which function it asks.
    pub const fn function(&self) -> Function {
        match self {
            Self::Connect { .. } => Function::Connect,
            Self::Move(_) => Function::Move,
            Self::StopMove => Function::StopMove,
            Self::GetCartesianLimit { .. } => Function::GetCartesianLimit,
            Self::SetCollisionBehavior(_) => Function::SetCollisionBehavior,
            Self::SetJointImpedance(_) => Function::SetJointImpedance,
            Self::SetCartesianImpedance(_) => Function::SetCartesianImpedance,
            Self::SetGuidingMode { .. } => Function::SetGuidingMode,
            Self::SetEeToK(_) => Function::SetEeToK,
            Self::SetNeToEe(_) => Function::SetNeToEe,
            Self::SetLoad(_) => Function::SetLoad,
            Self::SetFilters(_) => Function::SetFilters,
            Self::AutomaticErrorRecovery => Function::AutomaticErrorRecovery,
            Self::LoadModelLibrary { .. } => Function::LoadModelLibrary,
            Self::GetRobotModel => Function::GetRobotModel,
        }
    }

    /// The request that a message is.
    ///
    /// # Errors
    /// [`WireError`] when it is none of this version.
    pub fn parse(protocol: Protocol, command: u32, payload: &[u8]) -> Result<Self, WireError> {
        let function = Function::of(command, protocol)
            .ok_or(WireError::UnknownCommand { command, protocol })?;
        check(function.name(), payload, function.payload_size(protocol))?;
        let mut reader = Reader::new(payload);
        let reader = &mut reader;
        Ok(match function {
            Function::Connect => Self::Connect { version: reader.u16(), udp_port: reader.u16() },
            Function::Move => Self::Move(parse_move(protocol, reader)?),
            Function::StopMove => Self::StopMove,
            Function::GetCartesianLimit => Self::GetCartesianLimit { id: reader.u32() },
            Function::SetCollisionBehavior => {
                Self::SetCollisionBehavior(Box::new(CollisionBehavior {
                    lower_torque_acceleration: reader.reals("a torque threshold")?,
                    upper_torque_acceleration: reader.reals("a torque threshold")?,
                    lower_torque: reader.reals("a torque threshold")?,
                    upper_torque: reader.reals("a torque threshold")?,
                    lower_force_acceleration: reader.reals("a force threshold")?,
                    upper_force_acceleration: reader.reals("a force threshold")?,
                    lower_force: reader.reals("a force threshold")?,
                    upper_force: reader.reals("a force threshold")?,
                }))
            }
            Function::SetJointImpedance => {
                Self::SetJointImpedance(reader.reals("a joint stiffness")?)
            }
            Function::SetCartesianImpedance => {
                Self::SetCartesianImpedance(reader.reals("a Cartesian stiffness")?)
            }
            Function::SetGuidingMode => Self::SetGuidingMode {
                axes: std::array::from_fn(|_| reader.flag()),
                elbow: reader.flag(),
            },
            Function::SetEeToK => Self::SetEeToK(reader.reals("EE_T_K")?),
            Function::SetNeToEe => Self::SetNeToEe(reader.reals("NE_T_EE")?),
            Function::SetLoad => Self::SetLoad(Load {
                mass: reader.real("the load's mass")?,
                center: reader.reals("the load's centre")?,
                inertia: reader.reals("the load's inertia")?,
            }),
            Function::SetFilters => Self::SetFilters(reader.reals("a cut-off frequency")?),
            Function::AutomaticErrorRecovery => Self::AutomaticErrorRecovery,
            Function::LoadModelLibrary => {
                Self::LoadModelLibrary { architecture: reader.u8(), system: reader.u8() }
            }
            Function::GetRobotModel => Self::GetRobotModel,
        })
    }

    /// Appends the message that asks this, with number `id`.
    ///
    /// # Errors
    /// [`WireError::NotInProtocol`] when this version has no such function.
    pub fn encode(&self, protocol: Protocol, id: u32, out: &mut Vec<u8>) -> Result<(), WireError> {
        let function = self.function();
        let command = function
            .command(protocol)
            .ok_or(WireError::NotInProtocol { function: function.name(), protocol })?;
        let size = HeaderLayout::Robot.size() + function.payload_size(protocol);
        let header = Header { command, id, size: u32::try_from(size).unwrap_or(u32::MAX) };
        header.encode(HeaderLayout::Robot, out);
        match self {
            Self::Connect { version, udp_port } => {
                out.extend_from_slice(&version.to_le_bytes());
                out.extend_from_slice(&udp_port.to_le_bytes());
            }
            Self::Move(request) => encode_move(request, protocol, out),
            Self::StopMove | Self::AutomaticErrorRecovery | Self::GetRobotModel => {}
            Self::GetCartesianLimit { id } => out.extend_from_slice(&id.to_le_bytes()),
            Self::SetCollisionBehavior(behavior) => {
                put_reals(out, &behavior.lower_torque_acceleration);
                put_reals(out, &behavior.upper_torque_acceleration);
                put_reals(out, &behavior.lower_torque);
                put_reals(out, &behavior.upper_torque);
                put_reals(out, &behavior.lower_force_acceleration);
                put_reals(out, &behavior.upper_force_acceleration);
                put_reals(out, &behavior.lower_force);
                put_reals(out, &behavior.upper_force);
            }
            Self::SetJointImpedance(stiffness) => put_reals(out, stiffness),
            Self::SetCartesianImpedance(stiffness) => put_reals(out, stiffness),
            Self::SetGuidingMode { axes, elbow } => {
                out.extend(axes.iter().map(|axis| u8::from(*axis)));
                out.push(u8::from(*elbow));
            }
            Self::SetEeToK(pose) | Self::SetNeToEe(pose) => put_reals(out, pose),
            Self::SetLoad(load) => {
                put_reals(out, &[load.mass]);
                put_reals(out, &load.center);
                put_reals(out, &load.inertia);
            }
            Self::SetFilters(frequencies) => put_reals(out, frequencies),
            Self::LoadModelLibrary { architecture, system } => {
                out.extend_from_slice(&[*architecture, *system]);
            }
        }
        Ok(())
    }
}

fn parse_move(protocol: Protocol, reader: &mut Reader<'_>) -> Result<MoveRequest, WireError> {
    let controller = chosen(&Controller::ALL, "the controller mode", reader.u32())?;
    let generator = chosen(&Generator::ALL, "the motion generator mode", reader.u32())?;
    if protocol == Protocol::V5 && generator == Generator::None {
        return Err(WireError::Meaningless { field: "the motion generator mode", value: 4 });
    }
    let mut request = MoveRequest {
        controller,
        generator,
        path_deviation: reader.reals("a path deviation")?,
        goal_deviation: reader.reals("a goal deviation")?,
        asynchronous: false,
        max_velocity: [0.0; 7],
    };
    if protocol == Protocol::V10 {
        request.asynchronous = reader.flag();
        request.max_velocity = reader.reals("a largest velocity")?;
    }
    Ok(request)
}

fn encode_move(request: &MoveRequest, protocol: Protocol, out: &mut Vec<u8>) {
    out.extend_from_slice(&(request.controller as u32).to_le_bytes());
    out.extend_from_slice(&(request.generator as u32).to_le_bytes());
    put_reals(out, &request.path_deviation);
    put_reals(out, &request.goal_deviation);
    if protocol == Protocol::V10 {
        out.push(u8::from(request.asynchronous));
        put_reals(out, &request.max_velocity);
    }
}

fn chosen<T: Copy>(all: &[T], field: &'static str, value: u32) -> Result<T, WireError> {
    let index = usize::try_from(value).unwrap_or(usize::MAX);
    all.get(index).copied().ok_or(WireError::Meaningless { field, value })
}
