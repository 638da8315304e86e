//! Sizes and places are those of the reference: a byte further on and no client connects.

use proptest::prelude::*;

use super::*;

const PROTOCOLS: [Protocol; 2] = [Protocol::V5, Protocol::V10];

fn requests() -> Vec<Request> {
    let behavior = CollisionBehavior {
        lower_torque_acceleration: [20.0; 7],
        upper_torque_acceleration: [21.0; 7],
        lower_torque: [22.0; 7],
        upper_torque: [23.0; 7],
        lower_force_acceleration: [24.0; 6],
        upper_force_acceleration: [25.0; 6],
        lower_force: [26.0; 6],
        upper_force: [27.0; 6],
    };
    vec![
        Request::Connect { version: 10, udp_port: 53_175 },
        Request::Move(MoveRequest {
            controller: Controller::External,
            generator: Generator::JointVelocity,
            path_deviation: [10.0, 3.12, std::f64::consts::TAU],
            goal_deviation: [10.0, 3.12, std::f64::consts::TAU],
            asynchronous: false,
            max_velocity: [0.0; 7],
        }),
        Request::StopMove,
        Request::GetCartesianLimit { id: 3 },
        Request::SetCollisionBehavior(Box::new(behavior)),
        Request::SetJointImpedance([3000.0; 7]),
        Request::SetCartesianImpedance([300.0; 6]),
        Request::SetGuidingMode { axes: [true, false, true, false, true, false], elbow: true },
        Request::SetEeToK([1.0; 16]),
        Request::SetNeToEe([2.0; 16]),
        Request::SetLoad(Load { mass: 0.5, center: [0.0, 0.0, 0.1], inertia: [0.001; 9] }),
        Request::SetFilters([100.0; 5]),
        Request::AutomaticErrorRecovery,
        Request::LoadModelLibrary { architecture: 0, system: 0 },
        Request::GetRobotModel,
    ]
}

/// A state in which every number differs from its neighbours and is exact in four bytes.
fn state() -> RobotState {
    let mut state = RobotState {
        message_id: 77,
        o_t_ee: std::array::from_fn(|i| i as f64 + 0.5),
        tau_j: std::array::from_fn(|i| 100.0 + i as f64),
        q: std::array::from_fn(|i| i as f64 * 0.25),
        dtheta: [0.125; 7],
        elbow: [0.5, -1.0],
        m_ee: 0.75,
        motion_generator_mode: MotionGeneratorMode::None,
        controller_mode: ControllerMode::External,
        robot_mode: RobotMode::Reflex,
        control_command_success_rate: 0.5,
        ..RobotState::default()
    };
    state.errors.insert(Error::COMMUNICATION_CONSTRAINTS);
    state.reflex_reason.insert(Error::TORQUE_RANGE);
    state
}

fn real(protocol: Protocol, bytes: &[u8], at: usize) -> f64 {
    match protocol {
        Protocol::V5 => f64::from_le_bytes(bytes[at..at + 8].try_into().unwrap()),
        Protocol::V10 => f32::from_le_bytes(bytes[at..at + 4].try_into().unwrap()).into(),
    }
}

#[test]
fn requests_have_their_sizes_and_come_back_as_they_went() {
    let sizes = [16, 68, 12, 16, 428, 68, 60, 19, 140, 140, 116, 52, 12, 14, 12];
    for protocol in PROTOCOLS {
        for (request, size) in requests().into_iter().zip(sizes) {
            let mut bytes = Vec::new();
            let Ok(()) = request.encode(protocol, 7, &mut bytes) else {
                assert!(request.function().command(protocol).is_none());
                continue;
            };
            let v10_move = protocol == Protocol::V10 && request.function() == Function::Move;
            assert_eq!(bytes.len(), if v10_move { 125 } else { size }, "{request:?}");
            let mut reader = MessageReader::new(HeaderLayout::Robot);
            // However TCP cuts it.
            let (front, back) = bytes.split_at(bytes.len() / 2);
            reader.push(front);
            assert_eq!(reader.take_message(), Ok(None));
            reader.push(back);
            let message = reader.take_message().unwrap().unwrap();
            assert_eq!(message.header.id, 7);
            let parsed = Request::parse(protocol, message.header.command, &message.payload);
            assert_eq!(parsed, Ok(request));
        }
    }
}

#[test]
fn functions_have_their_numbers() {
    let numbers = |function: Function| PROTOCOLS.map(|protocol| function.command(protocol));
    assert_eq!(numbers(Function::Connect), [Some(0), Some(0)]);
    assert_eq!(numbers(Function::GetCartesianLimit), [Some(3), None]);
    assert_eq!(numbers(Function::SetCollisionBehavior), [Some(4), Some(3)]);
    assert_eq!(numbers(Function::SetLoad), [Some(10), Some(9)]);
    assert_eq!(numbers(Function::SetFilters), [Some(11), None]);
    assert_eq!(numbers(Function::AutomaticErrorRecovery), [Some(12), Some(10)]);
    assert_eq!(numbers(Function::LoadModelLibrary), [Some(13), None]);
    assert_eq!(numbers(Function::GetRobotModel), [None, Some(11)]);
}

#[test]
fn outcomes_have_their_numbers() {
    let codes = |function, outcome: Outcome| PROTOCOLS.map(|p| outcome.code(function, p));
    assert_eq!(codes(Function::Move, Outcome::MotionStarted), [1, 1]);
    assert_eq!(codes(Function::Move, Outcome::Preempted), [2, 2]);
    assert_eq!(codes(Function::Move, Outcome::NotPossible), [3, 5]);
    assert_eq!(codes(Function::Move, Outcome::ReflexAborted), [6, 8]);
    assert_eq!(codes(Function::Move, Outcome::Aborted), [9, 11]);
    assert_eq!(codes(Function::StopMove, Outcome::ReflexAborted), [3, 4]);
    let recovery = Function::AutomaticErrorRecovery;
    assert_eq!(codes(recovery, Outcome::EmergencyAborted), [4, 5]);
    assert_eq!(codes(Function::SetLoad, Outcome::InvalidArgument), [2, 2]);
}

#[test]
fn the_handshake_is_the_one_that_was_recorded() {
    // pylibfranka 0.21.3.
    let request = [0, 0, 0, 0, 0, 0, 0, 0, 16, 0, 0, 0, 0x0a, 0, 0xb7, 0xcf];
    let mut reader = MessageReader::new(HeaderLayout::Robot);
    reader.push(&request);
    let message = reader.take_message().unwrap().unwrap();
    let parsed = Request::parse(Protocol::V10, message.header.command, &message.payload);
    assert_eq!(parsed, Ok(Request::Connect { version: 10, udp_port: 0xcfb7 }));
    let mut answer = Vec::new();
    connect_reply(Protocol::V10, 0, true, &mut answer);
    assert_eq!(answer, [0, 0, 0, 0, 0, 0, 0, 0, 15, 0, 0, 0, 0, 0x0a, 0]);
    answer.clear();
    connect_reply(Protocol::V5, 0, false, &mut answer);
    assert_eq!(answer[12..], [1, 5, 0]);
}

#[test]
fn the_hand_speaks_as_recorded() {
    // franky-control 2.0.0.
    let bytes = [
        0x03, 0x00, 0x01, 0x00, 0x00, 0x00, 0x1a, 0x00, 0x00, 0x00, 0xb8, 0x1e, 0x85, 0xeb, 0x51,
        0xb8, 0x9e, 0x3f, 0x9a, 0x99, 0x99, 0x99, 0x99, 0x99, 0xb9, 0x3f,
    ];
    let mut reader = MessageReader::new(HeaderLayout::Gripper);
    reader.push(&bytes);
    let message = reader.take_message().unwrap().unwrap();
    let parsed = GripperRequest::parse(message.header.command, &message.payload).unwrap();
    assert_eq!(parsed, GripperRequest::Move { width: 0.03, speed: 0.1 });
    let mut again = Vec::new();
    parsed.encode(message.header.id, &mut again);
    assert_eq!(again, bytes);
    let mut answer = Vec::new();
    GripperStatus::Success.reply(GripperFunction::Move, 1, &mut answer);
    assert_eq!(answer, [3, 0, 1, 0, 0, 0, 0x0c, 0, 0, 0, 0, 0]);
    answer.clear();
    GripperStatus::Success.reply(GripperFunction::Connect, 0, &mut answer);
    assert_eq!(answer, [0, 0, 0, 0, 0, 0, 0x0e, 0, 0, 0, 0, 0, 3, 0]);
    let state = GripperState {
        message_id: 4,
        width: 0.04,
        max_width: 0.08,
        is_grasped: true,
        temperature: 30,
    };
    answer.clear();
    state.encode(&mut answer);
    assert_eq!(answer.len(), GripperState::SIZE);
    assert_eq!(GripperState::parse(&answer), Ok(state));
    assert!(GripperState::parse(&answer[1..]).is_err());
}

#[test]
fn states_have_every_field_in_its_place_and_come_back() {
    // O_T_EE[1], m_ee, elbow[1], tau_J[2], q[3], dtheta[6], mode bytes, errors, rate.
    let places = [
        (Protocol::V5, [16, 776, 992, 1032, 1208, 2272], [2280, 2282, 2323, 2364, 2365]),
        (Protocol::V10, [12, 392, 500, 520, 608, 1140], [1288, 1290, 1331, 1372, 1373]),
    ];
    let state = state();
    for (protocol, reals, [modes, errors, reasons, mode, rate]) in places {
        let mut bytes = Vec::new();
        state.encode(protocol, &mut bytes);
        assert_eq!(bytes.len(), protocol.state_size());
        assert_eq!(bytes[..8], 77_u64.to_le_bytes());
        for (at, value) in reals.into_iter().zip([1.5, 0.75, -1.0, 102.0, 0.75, 0.125]) {
            assert_eq!(real(protocol, &bytes, at), value, "{protocol} at {at}");
        }
        assert_eq!(bytes[modes..modes + 2], [5, 2]);
        let flags = |from: usize| -> Vec<usize> {
            (0..Errors::COUNT).filter(|at| bytes[from + at] != 0).collect()
        };
        assert_eq!((flags(errors), flags(reasons)), (vec![25], vec![34]));
        assert_eq!(bytes[mode], 4);
        assert_eq!(real(protocol, &bytes, rate), 0.5);
        assert_eq!(RobotState::parse(protocol, &bytes), Ok(state));
        let short = RobotState::parse(protocol, &bytes[..bytes.len() - 1]);
        assert!(matches!(short, Err(WireError::Length { .. })), "{short:?}");
        bytes.push(0);
        assert_eq!(RobotState::parse(protocol, &bytes), Ok(state), "longer ones are cut");
        bytes[mode] = 9;
        let meaningless = RobotState::parse(protocol, &bytes);
        assert!(matches!(meaningless, Err(WireError::Meaningless { value: 9, .. })));
    }
}

#[test]
fn commands_have_every_field_in_its_place_and_come_back() {
    let command = RobotCommand {
        message_id: 9,
        q_c: [1.0; 7],
        dq_c: [2.0; 7],
        o_t_ee_c: [3.0; 16],
        o_dp_ee_c: [4.0; 6],
        elbow_c: [5.0, 6.0],
        valid_elbow: true,
        motion_generation_finished: false,
        tau_j_d: [7.0; 7],
        torque_command_finished: false,
    };
    for protocol in PROTOCOLS {
        let mut bytes = Vec::new();
        command.encode(protocol, &mut bytes);
        assert_eq!(bytes.len(), protocol.command_size());
        let reals = [8, 64, 120, 248, 296, 304].map(|at| real(Protocol::V5, &bytes, at));
        assert_eq!(reals, [1.0, 2.0, 3.0, 4.0, 5.0, 6.0]);
        assert_eq!((bytes[312], bytes[313]), (1, 0));
        assert_eq!(real(Protocol::V5, &bytes, 314), 7.0);
        assert_eq!(RobotCommand::parse(protocol, &bytes), Ok(command));
        bytes[8..16].copy_from_slice(&f64::NAN.to_le_bytes());
        let refused = RobotCommand::parse(protocol, &bytes);
        assert_eq!(refused, Err(WireError::NotFinite { field: "q_c" }));
        assert!(RobotCommand::parse(protocol, &bytes[1..]).is_err());
    }
}

#[test]
fn a_header_that_announces_nonsense_ends_the_stream() {
    for size in [0_u32, 11, 429, u32::MAX] {
        let mut reader = MessageReader::new(HeaderLayout::Robot);
        let mut bytes = Vec::new();
        Header { command: 1, id: 0, size }.encode(HeaderLayout::Robot, &mut bytes);
        reader.push(&bytes);
        let refused = reader.take_message();
        assert!(matches!(refused, Err(WireError::Announced { .. })), "{refused:?}");
    }
}

proptest! {
    #[test]
    fn no_bytes_make_a_parser_panic(bytes in prop::collection::vec(any::<u8>(), 0..2500), command in 0_u32..20) {
        for protocol in PROTOCOLS {
            let _ = Request::parse(protocol, command, &bytes);
            if let Ok(command) = RobotCommand::parse(protocol, &bytes) {
                prop_assert!(command.q_c.iter().chain(&command.tau_j_d).all(|x| x.is_finite()));
            }
            let _ = RobotState::parse(protocol, &bytes);
        }
        let _ = GripperRequest::parse(command, &bytes);
        let _ = GripperState::parse(&bytes);
        for layout in [HeaderLayout::Robot, HeaderLayout::Gripper] {
            let mut reader = MessageReader::new(layout);
            for chunk in bytes.chunks(97) {
                reader.push(chunk);
                while let Ok(Some(message)) = reader.take_message() {
                    prop_assert!(message.payload.len() <= MAX_REQUEST);
                }
            }
        }
    }
}
