//! What the arm answers to requests.

use sinew_simulation::kinematics::Transform;

use super::control::{Control, f_t_ne};
use super::motion::Motion;
use super::{model, poses};
use crate::franka::wire::{
    Controller, Errors, Function, Generator, Load, MoveRequest, Outcome, Request, RobotMode,
    connect_reply, reply,
};

/// Cartesian limits that version 5 can ask for; none of them is set.
const CARTESIAN_LIMITS: u32 = 8;
/// N·m/rad, N/m.
const MOST_STIFF: f64 = 20_000.0;
/// Hz.
const MOST_FREQUENCY: f64 = 1000.0;
/// Farthest that frames and centres of mass can be from the flange, m.
const FARTHEST: f64 = 10.0;
/// kg.
const MOST_MASS: f64 = 50.0;
/// kg·m².
const MOST_INERTIA: f64 = 100.0;
/// Three sizes, a pose, a flag.
const CARTESIAN_LIMIT_SIZE: usize = (3 + 16) * 8 + 1;

impl Control {
    /// Takes bytes from the client. After nonsense the connection is to be closed: see
    /// [`is_closing`](Self::is_closing).
    pub fn receive(&mut self, bytes: &[u8]) {
        if self.closing {
            return;
        }
        self.inbox.push(bytes);
        loop {
            let message = match self.inbox.take_message() {
                Ok(Some(message)) => message,
                Ok(None) => return,
                Err(_) => break,
            };
            let header = message.header;
            let request = Request::parse(self.protocol, header.command, &message.payload);
            let Ok(request) = request else { break };
            // The handshake comes first, and once.
            if self.connected == matches!(request, Request::Connect { .. }) {
                break;
            }
            self.ask(request, header.id);
        }
        self.closing = true;
    }

    fn ask(&mut self, request: Request, id: u32) {
        let function = request.function();
        let mut data = Vec::new();
        let outcome = match request {
            Request::Connect { version, udp_port } => {
                let agree = version == self.protocol.version();
                self.connected = agree;
                self.udp_port = agree.then_some(udp_port);
                return connect_reply(self.protocol, id, agree, &mut self.outbox);
            }
            Request::Move(request) => return self.begin(&request, id),
            Request::StopMove => {
                self.end_motion(Outcome::Preempted);
                Outcome::Success
            }
            Request::AutomaticErrorRecovery => self.recover(),
            Request::LoadModelLibrary { .. } => match &self.config.model_library {
                Some(library) => {
                    data.extend_from_slice(library);
                    Outcome::Success
                }
                None => Outcome::InvalidArgument,
            },
            Request::GetRobotModel => match model::fr3_urdf() {
                Ok(urdf) => {
                    data.extend_from_slice(urdf.as_bytes());
                    Outcome::Success
                }
                Err(_) => Outcome::InvalidArgument,
            },
            Request::GetCartesianLimit { id } => {
                data.resize(CARTESIAN_LIMIT_SIZE, 0);
                if id < CARTESIAN_LIMITS { Outcome::Success } else { Outcome::InvalidArgument }
            }
            request => self.set(request),
        };
        reply(self.protocol, function, id, outcome, &data, &mut self.outbox);
    }

    fn set(&mut self, request: Request) -> Outcome {
        let thresholds = matches!(request, Request::SetCollisionBehavior(_));
        if self.motion.is_some() && !thresholds {
            return Outcome::NotPossible;
        }
        let up_to =
            |values: &[f64], most: f64| values.iter().all(|value| (0.0..=most).contains(value));
        let valid = match request {
            Request::SetCollisionBehavior(behavior) => {
                self.settings.collision = *behavior;
                true
            }
            Request::SetJointImpedance(stiffness) => {
                let valid = up_to(&stiffness, MOST_STIFF);
                if valid {
                    self.settings.joint_stiffness = stiffness;
                }
                valid
            }
            Request::SetCartesianImpedance(stiffness) => {
                let valid = up_to(&stiffness, MOST_STIFF);
                if valid {
                    self.settings.cartesian_stiffness = stiffness;
                }
                valid
            }
            Request::SetEeToK(pose) => match frame(&pose) {
                Some(pose) => {
                    self.settings.ee_t_k = pose;
                    true
                }
                None => false,
            },
            Request::SetNeToEe(pose) => match frame(&pose) {
                Some(pose) => {
                    self.settings.ne_t_ee = pose;
                    let tool = f_t_ne().then(&pose);
                    self.chain = self.plant.bare().chain.clone().with_tool(&tool);
                    true
                }
                None => false,
            },
            Request::SetLoad(load) => {
                let valid = possible(&load) && self.plant.declare(&load).is_ok();
                if valid {
                    self.settings.load = load;
                }
                valid
            }
            Request::SetFilters(frequencies) => up_to(&frequencies, MOST_FREQUENCY),
            _ => true,
        };
        if valid { Outcome::Success } else { Outcome::InvalidArgument }
    }

    /// The first answer to Move; the second comes when the motion ends.
    fn begin(&mut self, request: &MoveRequest, id: u32) {
        let outcome = self.may_begin(request);
        reply(self.protocol, Function::Move, id, outcome, &[], &mut self.outbox);
        if outcome != Outcome::MotionStarted {
            return;
        }
        self.reflex_reason = self.errors;
        let pose = self.chain.at(&self.desired.positions).tool().into();
        self.motion = Some(Motion::new(self.config.robot, id, request, &self.desired, pose));
        self.mode = RobotMode::Move;
        self.counts.motions += 1;
    }

    fn may_begin(&self, request: &MoveRequest) -> Outcome {
        let alone = request.generator == Generator::None;
        let deviations = request.path_deviation.iter().chain(&request.goal_deviation);
        if self.mode == RobotMode::UserStopped {
            Outcome::EmergencyAborted
        } else if self.mode != RobotMode::Idle || request.asynchronous {
            Outcome::NotPossible
        } else if (alone && request.controller != Controller::External)
            || deviations.copied().any(|deviation| deviation < 0.0)
        {
            Outcome::InvalidArgument
        } else {
            Outcome::MotionStarted
        }
    }

    fn recover(&mut self) -> Outcome {
        match self.mode {
            RobotMode::UserStopped => Outcome::EmergencyAborted,
            RobotMode::Move | RobotMode::Guiding | RobotMode::Other => Outcome::NotPossible,
            _ => {
                self.errors = Errors::NONE;
                self.mode = RobotMode::Idle;
                Outcome::Success
            }
        }
    }
}

/// A frame at the end of an arm.
fn frame(numbers: &[f64; 16]) -> Option<Transform> {
    poses::from_wire(numbers).filter(|pose| near(&pose.translation))
}

fn near(place: &[f64; 3]) -> bool {
    place.iter().all(|value| value.abs() <= FARTHEST)
}

/// Whether anything at the end of an arm can be such a load.
fn possible(load: &Load) -> bool {
    (0.0..=MOST_MASS).contains(&load.mass)
        && near(&load.center)
        && load.inertia.iter().all(|value| value.abs() <= MOST_INERTIA)
}
