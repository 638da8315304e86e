//! The emulated cabinet in virtual time, with a client that speaks as libfranka does.

use std::time::Duration;

use super::*;
use crate::Timestamp;
use crate::franka::wire::{
    Controller, ControllerMode, Error, Function, Generator, GripperRequest, GripperState,
    HeaderLayout, Message, MessageReader, MotionGeneratorMode, MoveRequest, Outcome, Protocol,
    Request, RobotCommand, RobotMode, RobotState,
};

mod fidelity;

const BOTH: [RobotModel; 2] = [RobotModel::Fer, RobotModel::Fr3];
const MOVE: u32 = 7;

struct Client {
    control: Control,
    protocol: Protocol,
    now: Timestamp,
    reader: MessageReader,
    answers: Vec<Message>,
    state: RobotState,
}

impl Client {
    fn connected(config: Config) -> Self {
        let protocol = config.robot.protocol();
        let mut client = Self {
            control: Control::new(config).unwrap(),
            protocol,
            now: Timestamp::ZERO,
            reader: MessageReader::new(HeaderLayout::Robot),
            answers: Vec::new(),
            state: RobotState::default(),
        };
        let version = protocol.version();
        client.ask(&Request::Connect { version, udp_port: 40_000 }, 0);
        assert_eq!(client.status(0), Some(0));
        client.cycle(None);
        client
    }

    fn with_faults(robot: RobotModel, faults: &str) -> Self {
        Self::connected(Config { faults: faults.parse().unwrap(), ..Config::new(robot) })
    }

    fn ask(&mut self, request: &Request, id: u32) {
        let mut bytes = Vec::new();
        request.encode(self.protocol, id, &mut bytes).unwrap();
        self.control.receive(&bytes);
        self.listen();
    }

    fn listen(&mut self) {
        let mut bytes = Vec::new();
        self.control.take_bytes(&mut bytes);
        self.reader.push(&bytes);
        while let Some(message) = self.reader.take_message().unwrap() {
            self.answers.push(message);
        }
    }

    /// Status of the latest answer to request `id`.
    fn status(&self, id: u32) -> Option<u8> {
        self.answers.iter().rev().find(|message| message.header.id == id)?.payload.first().copied()
    }

    /// Answers the state, and waits for the next.
    fn cycle(&mut self, command: Option<RobotCommand>) {
        if let Some(command) = command {
            let mut bytes = Vec::new();
            RobotCommand { message_id: self.state.message_id, ..command }
                .encode(self.protocol, &mut bytes);
            self.control.command(&bytes);
        }
        self.now = self.now.after(Duration::from_millis(1));
        self.control.tick(self.now);
        self.listen();
        let mut bytes = Vec::new();
        while self.control.transmit(self.now, &mut bytes) {
            self.state = RobotState::parse(self.protocol, &bytes).unwrap();
            bytes.clear();
        }
    }

    fn begin(&mut self, controller: Controller, generator: Generator) {
        self.ask(
            &Request::Move(MoveRequest {
                controller,
                generator,
                path_deviation: [10.0, 3.12, std::f64::consts::TAU],
                goal_deviation: [10.0, 3.12, std::f64::consts::TAU],
                asynchronous: false,
                max_velocity: [0.0; 7],
            }),
            MOVE,
        );
    }

    fn begin_joints(&mut self) -> [f64; 7] {
        self.begin(Controller::JointImpedance, Generator::JointPosition);
        assert_eq!(self.status(MOVE), Some(1), "motion started");
        self.cycle(None);
        assert_eq!(self.state.robot_mode, RobotMode::Move);
        self.state.q_d
    }

    fn move_status(&self) -> u8 {
        self.status(MOVE).unwrap()
    }

    fn code(&self, outcome: Outcome) -> u8 {
        outcome.code(Function::Move, self.protocol)
    }
}

fn joints(q_c: [f64; 7]) -> Option<RobotCommand> {
    Some(RobotCommand { q_c, ..RobotCommand::default() })
}

/// A cosine of joint 4, out and back in two seconds.
fn wave(from: [f64; 7], seconds: f64) -> [f64; 7] {
    let mut positions = from;
    positions[3] += 0.2 * (1.0 - (std::f64::consts::PI * seconds).cos());
    positions
}

#[test]
fn a_client_connects_gets_states_and_is_refused_with_another_version() {
    for robot in BOTH {
        let mut client = Client::connected(Config::new(robot));
        assert_eq!(client.state.robot_mode, RobotMode::Idle);
        assert_eq!(client.state.controller_mode, ControllerMode::Other);
        assert!((client.state.o_ddp_o[2] + 9.81).abs() < 1e-6);
        let before = client.state.message_id;
        (0..10).for_each(|_| client.cycle(None));
        assert_eq!(client.state.message_id, before + 10);
        // The ready posture of Franka's arms, hand included, by its maker's figures.
        let [x, y, z] = [12, 13, 14].map(|at| client.state.o_t_ee[at]);
        assert!(
            (x - 0.3069).abs() < 1e-3 && y.abs() < 1e-6 && (z - 0.4869).abs() < 1e-3,
            "{x} {z}"
        );
        let mut control = Control::new(Config::new(robot)).unwrap();
        let mut bytes = Vec::new();
        let request = Request::Connect { version: 7, udp_port: 1 };
        request.encode(robot.protocol(), 0, &mut bytes).unwrap();
        control.receive(&bytes);
        bytes.clear();
        control.take_bytes(&mut bytes);
        let version = robot.protocol().version().to_le_bytes();
        assert_eq!(bytes[12..], [1, version[0], version[1]]);
        assert_eq!(control.udp_port(), None);
    }
}

#[test]
fn a_joint_motion_is_followed_and_answered_twice() {
    for robot in BOTH {
        let mut client = Client::connected(Config::new(robot));
        let from = client.begin_joints();
        for cycle in 1..=2000 {
            client.cycle(joints(wave(from, f64::from(cycle) * 1e-3)));
            assert!(client.state.errors.is_empty(), "{:?}", client.state.errors);
            let off = (client.state.q[3] - client.state.q_d[3]).abs();
            assert!(off < 1e-3, "{robot:?} {cycle}: {off}");
        }
        assert_eq!(client.state.control_command_success_rate, 1.0);
        let last = RobotCommand { motion_generation_finished: true, ..joints(from).unwrap() };
        client.cycle(Some(last));
        assert_eq!(client.move_status(), 0);
        assert_eq!(client.state.robot_mode, RobotMode::Idle);
        assert_eq!(client.state.motion_generator_mode, MotionGeneratorMode::Idle);
        assert_eq!(client.answers.iter().filter(|answer| answer.header.id == MOVE).count(), 2);
    }
}

#[test]
fn torques_move_the_arm_and_none_leave_it_where_it_is() {
    for robot in BOTH {
        let mut client = Client::connected(Config::new(robot));
        let generator = match robot {
            RobotModel::Fer => Generator::JointVelocity,
            RobotModel::Fr3 => Generator::None,
        };
        client.begin(Controller::External, generator);
        client.cycle(None);
        assert_eq!(client.state.controller_mode, ControllerMode::External);
        let from = client.state.q;
        (0..500).for_each(|_| client.cycle(Some(RobotCommand::default())));
        let drift = (0..7).map(|i| (client.state.q[i] - from[i]).abs()).fold(0.0, f64::max);
        assert!(drift < 1e-6, "gravity is compensated: {drift}");
        for cycle in 0..200 {
            let mut command = RobotCommand::default();
            command.tau_j_d[0] = f64::from(cycle.min(3)) * 0.9;
            client.cycle(Some(command));
        }
        assert!(client.state.errors.is_empty(), "{:?}", client.state.errors);
        assert!(client.state.q[0] > from[0] + 1e-3 && client.state.dq[0] > 0.01);
        let mut command = RobotCommand::default();
        command.tau_j_d[0] = 1.8;
        (command.motion_generation_finished, command.torque_command_finished) = (true, true);
        client.cycle(Some(command));
        assert_eq!((client.move_status(), client.state.robot_mode), (0, RobotMode::Idle));
        (0..500).for_each(|_| client.cycle(None));
        assert!(
            client.state.dq[0].abs() < 1e-3,
            "the arm brakes after torques: {}",
            client.state.dq[0]
        );
    }
}

#[test]
fn torques_that_jump_and_positions_that_jump_are_reflexes_with_names() {
    for robot in BOTH {
        let mut client = Client::connected(Config::new(robot));
        let mut q = client.begin_joints();
        client.cycle(joints(q));
        q[0] += 1e-4;
        client.cycle(joints(q));
        assert!(client.state.errors.contains(Error::VELOCITY_DISCONTINUITY));
        assert!(client.state.reflex_reason.contains(Error::VELOCITY_DISCONTINUITY));
        assert_eq!(client.state.robot_mode, RobotMode::Reflex);
        assert_eq!(client.move_status(), client.code(Outcome::ReflexAborted));
        // Nothing moves until the error is recovered from.
        client.begin(Controller::JointImpedance, Generator::JointPosition);
        assert_eq!(client.move_status(), client.code(Outcome::NotPossible));
        client.ask(&Request::AutomaticErrorRecovery, 9);
        assert_eq!(client.status(9), Some(0));
        client.cycle(None);
        assert_eq!(client.state.robot_mode, RobotMode::Idle);
        assert!(client.state.errors.is_empty() && !client.state.reflex_reason.is_empty());
        client.begin_joints();
        assert!(client.state.reflex_reason.is_empty());
        let generator = Generator::JointVelocity;
        client.ask(&Request::StopMove, 10);
        assert_eq!(client.move_status(), client.code(Outcome::Preempted));
        client.begin(Controller::External, generator);
        client.cycle(None);
        let mut command = RobotCommand::default();
        command.tau_j_d[6] = 2.0;
        client.cycle(Some(command));
        assert!(client.state.errors.contains(Error::TORQUE_DISCONTINUITY));
    }
}

#[test]
fn twenty_lost_commands_end_a_motion_and_nineteen_do_not() {
    for robot in BOTH {
        let mut client = Client::connected(Config::new(robot));
        let from = client.begin_joints();
        (0..300).for_each(|_| client.cycle(None));
        assert_eq!(client.state.robot_mode, RobotMode::Move, "a client may plan before it begins");
        let mut time = 0.0;
        let mut go = |client: &mut Client, lost: u32| {
            for cycle in 0..200 {
                time += 1e-3;
                let command = if cycle < lost { None } else { joints(wave(from, time)) };
                client.cycle(command);
            }
        };
        go(&mut client, 0);
        go(&mut client, 19);
        assert_eq!(client.state.robot_mode, RobotMode::Move, "{:?}", client.state.errors);
        assert_eq!(client.state.control_command_success_rate, 1.0);
        go(&mut client, 20);
        assert_eq!(client.state.robot_mode, RobotMode::Reflex);
        assert!(client.state.errors.contains(Error::COMMUNICATION_CONSTRAINTS));
        assert_eq!(client.move_status(), client.code(Outcome::ReflexAborted));
    }
}

#[test]
fn commands_that_answer_an_older_state_are_lost() {
    let mut client = Client::with_faults(RobotModel::Fr3, "delay=2ms@100ms");
    let from = client.begin_joints();
    let mut cycles = 0;
    while client.state.robot_mode == RobotMode::Move && cycles < 300 {
        client.cycle(joints(from));
        cycles += 1;
    }
    assert!(client.state.errors.contains(Error::COMMUNICATION_CONSTRAINTS), "{cycles}");
    assert!((100..140).contains(&cycles), "{cycles}");
}

#[test]
fn poses_and_twists_move_the_end_effector() {
    for robot in BOTH {
        let mut client = Client::connected(Config::new(robot));
        client.begin(Controller::CartesianImpedance, Generator::CartesianPosition);
        client.cycle(None);
        let from = client.state.o_t_ee_d;
        let pose = |seconds: f64| {
            let mut pose = from;
            pose[14] -= 0.05 * (1.0 - (std::f64::consts::PI * seconds).cos());
            pose
        };
        for cycle in 1..=1000 {
            let o_t_ee_c = pose(f64::from(cycle) * 1e-3);
            client.cycle(Some(RobotCommand { o_t_ee_c, ..RobotCommand::default() }));
            assert!(client.state.errors.is_empty(), "{cycle}: {:?}", client.state.errors);
        }
        let reached = client.state.o_t_ee[14] - from[14];
        assert!((reached + 0.1).abs() < 1e-3, "{reached}");
        let o_t_ee_c = pose(1.0);
        let motion_generation_finished = true;
        client.cycle(Some(RobotCommand {
            o_t_ee_c,
            motion_generation_finished,
            ..RobotCommand::default()
        }));
        assert_eq!(client.move_status(), 0);
        client.begin(Controller::JointImpedance, Generator::CartesianVelocity);
        client.cycle(None);
        let from = client.state.o_t_ee_d;
        for cycle in 1..=1000 {
            let phase = f64::from(cycle) * 1e-3 * std::f64::consts::TAU;
            let mut command = RobotCommand::default();
            command.o_dp_ee_c[1] = 0.05 * (1.0 - phase.cos());
            client.cycle(Some(command));
            assert!(client.state.errors.is_empty(), "{cycle}: {:?}", client.state.errors);
        }
        let reached = client.state.o_t_ee[13] - from[13];
        assert!((reached - 0.05).abs() < 1e-3, "{reached}");
    }
}

#[test]
fn faults_stop_the_arm_and_say_so() {
    let mut client = Client::with_faults(RobotModel::Fr3, "user-stop=100ms@200ms,reflex@500ms");
    let from = client.begin_joints();
    while client.now.as_seconds() < 0.25 {
        client.cycle(joints(from));
    }
    assert_eq!(client.state.robot_mode, RobotMode::UserStopped);
    assert_eq!(client.move_status(), client.code(Outcome::EmergencyAborted));
    client.ask(&Request::AutomaticErrorRecovery, 9);
    assert_eq!(client.status(9), Some(5));
    while client.now.as_seconds() < 0.35 {
        client.cycle(None);
    }
    assert_eq!(client.state.robot_mode, RobotMode::Idle);
    while client.now.as_seconds() < 0.55 {
        client.cycle(None);
    }
    assert!(client.state.errors.contains(Error::CARTESIAN_REFLEX));
    assert_eq!(client.state.robot_mode, RobotMode::Reflex);
    let mut off = Client::with_faults(RobotModel::Fer, "power-off=50ms@50ms");
    while off.now.as_seconds() < 0.06 {
        off.cycle(None);
    }
    assert!(!off.control.is_powered(off.now));
    assert_eq!((off.control.mode(), off.control.udp_port()), (RobotMode::Other, None));
}

#[test]
fn a_load_that_was_not_declared_pulls_the_arm_down_and_one_that_was_does_not() {
    use crate::franka::wire::Load;
    use sinew_simulation::dynamics::Link;
    let payload = Some(Link::point(1.0, [0.0, 0.0, 0.1]));
    let sag = |declared: bool| {
        let mut client = Client::connected(Config { payload, ..Config::new(RobotModel::Fr3) });
        if declared {
            let load = Load { mass: 1.0, center: [0.0, 0.0, 0.1], inertia: [0.0; 9] };
            client.ask(&Request::SetLoad(load), 5);
            assert_eq!(client.status(5), Some(0));
        }
        (0..500).for_each(|_| client.cycle(None));
        client.state.o_t_ee[14] - client.state.o_t_ee_d[14]
    };
    assert!(sag(false) < -1e-4, "{}", sag(false));
    assert!(sag(true).abs() < 1e-6, "{}", sag(true));
}

#[test]
fn a_push_is_felt_and_beyond_the_thresholds_a_reflex() {
    for (force, collides) in [(15.0, false), (40.0, true)] {
        let mut client = Client::with_faults(RobotModel::Fr3, &format!("push={force}@50ms"));
        let from = client.begin_joints();
        let mut felt = 0.0_f64;
        while client.now.as_seconds() < 0.1 {
            client.cycle(joints(from));
            felt = felt.max(client.state.tau_ext_hat_filtered[3].abs());
        }
        assert!(felt > 1.0, "{felt}");
        assert_eq!(client.state.errors.contains(Error::CARTESIAN_REFLEX), collides);
        let mode = if collides { RobotMode::Reflex } else { RobotMode::Move };
        assert_eq!(client.state.robot_mode, mode);
        assert_eq!(client.state.cartesian_collision[2] != 0.0, collides);
        assert!(client.state.o_t_ee[14] < client.state.o_t_ee_d[14], "it gives way");
    }
}

#[test]
fn a_soft_end_effector_gives_way_more_than_a_stiff_one() {
    let sag = |stiffness: f64| {
        let mut client = Client::with_faults(RobotModel::Fr3, "push=10@50ms");
        client.ask(&Request::SetCartesianImpedance([stiffness; 6]), 5);
        assert_eq!(client.status(5), Some(0));
        client.begin(Controller::CartesianImpedance, Generator::CartesianPosition);
        client.cycle(None);
        let o_t_ee_c = client.state.o_t_ee_d;
        while client.now.as_seconds() < 0.24 {
            client.cycle(Some(RobotCommand { o_t_ee_c, ..RobotCommand::default() }));
        }
        assert_eq!(client.state.robot_mode, RobotMode::Move, "{:?}", client.state.errors);
        client.state.o_t_ee_d[14] - client.state.o_t_ee[14]
    };
    let (soft, stiff) = (sag(500.0), sag(3000.0));
    assert!(soft > 2.0 * stiff && stiff > 0.0, "{soft} {stiff}");
    assert!((stiff - 10.0 / 3000.0).abs() < 1e-3, "10 N at 3000 N/m: {stiff}");
}

#[test]
fn what_no_arm_can_have_at_its_end_is_an_invalid_argument() {
    use crate::franka::wire::Load;
    for robot in BOTH {
        let mut client = Client::connected(Config::new(robot));
        let far = Load { mass: 1.0, center: [-1e308, 0.0, 0.0], inertia: [0.0; 9] };
        let light = Load { mass: -1.0, ..Load::default() };
        for request in [
            Request::SetLoad(far),
            Request::SetLoad(light),
            Request::SetJointImpedance([1e300; 7]),
            Request::SetCartesianImpedance([-1.0; 6]),
            Request::SetNeToEe([1.0; 16]),
        ] {
            client.ask(&request, 5);
            assert_eq!(client.status(5), Some(2), "{request:?}");
        }
        client.cycle(None);
        assert_eq!(client.state.m_load, 0.0);
        client.begin_joints();
        client.ask(&Request::SetLoad(Load::default()), 6);
        assert_eq!(client.status(6), Some(1), "not in a motion");
    }
}

#[test]
fn nonsense_closes_the_connection_and_the_arm_waits_for_the_next_client() {
    let mut client = Client::connected(Config::new(RobotModel::Fr3));
    client.begin_joints();
    client.control.receive(&[0xFF; 40]);
    assert!(client.control.is_closing());
    client.control.hang_up();
    assert_eq!(client.control.mode(), RobotMode::Idle);
    let again = Request::Connect { version: 10, udp_port: 40_001 };
    client.reader.reset();
    client.ask(&again, 3);
    assert_eq!(client.status(3), Some(0));
    assert_eq!(client.control.udp_port(), Some(40_001));
    client.ask(&again, 4);
    assert!(client.control.is_closing(), "a handshake comes once");
}

#[test]
fn the_hand_homes_moves_and_grasps() {
    let mut hand = Hand::new(0.03);
    let mut now = Timestamp::ZERO;
    let mut ask = |hand: &mut Hand, request: GripperRequest, seconds: f64| {
        let (mut bytes, mut datagram) = (Vec::new(), Vec::new());
        request.encode(1, &mut bytes);
        hand.receive(&bytes);
        for _ in 0..(seconds * 50.0) as u32 {
            now = now.after(Duration::from_millis(20));
            hand.tick(now, &mut datagram);
        }
        bytes.clear();
        hand.take_bytes(&mut bytes);
        (bytes.get(10).copied(), GripperState::parse(&datagram).ok())
    };
    let connect = GripperRequest::Connect { version: GripperRequest::VERSION, udp_port: 1 };
    assert_eq!(ask(&mut hand, connect, 0.1).0, Some(0));
    assert_eq!(ask(&mut hand, GripperRequest::Homing, 5.0).0, Some(0));
    let (status, state) = ask(&mut hand, GripperRequest::Move { width: 0.06, speed: 0.1 }, 2.0);
    assert_eq!((status, state.unwrap().width), (Some(0), 0.06));
    let grasp =
        GripperRequest::Grasp { width: 0.03, inner: 0.005, outer: 0.005, speed: 0.1, force: 40.0 };
    let (status, state) = ask(&mut hand, grasp, 2.0);
    assert_eq!((status, state.unwrap().is_grasped), (Some(0), true));
    let (status, state) = ask(&mut hand, GripperRequest::Move { width: 0.01, speed: 0.1 }, 2.0);
    assert_eq!((status, state.unwrap().width), (Some(2), 0.03), "something is in the way");
    assert_eq!(ask(&mut hand, GripperRequest::Move { width: 0.2, speed: 0.1 }, 0.1).0, Some(1));
}
