use super::*;
use crate::mycobot320::wire::{Frame, MAX_PAYLOAD};

fn controller() -> Controller {
    Controller::new(Plant::new([0.0; ARM_JOINTS], 1.0, true))
}

fn answer(controller: &mut Controller, request: Request) -> Answer {
    match controller.respond(&request) {
        Response::Reply(Reply::Answer(answer)) => answer,
        other => panic!("{request:?}: {other:?}"),
    }
}

#[test]
fn every_request_with_valid_arguments_is_answered() {
    let mut controller = controller();
    for command in 0..=u8::MAX {
        for length in 0..=MAX_PAYLOAD {
            let frame = Frame::new(command, &vec![1; length]).unwrap();
            let Ok(request) = Request::parse(&frame) else { continue };
            let response = controller.respond(&request);
            let framed = match response {
                Response::Reply(reply) => {
                    assert_eq!(reply.command(), command, "{request:?}");
                    assert_eq!(Reply::parse(&reply.encode()), Ok(reply));
                    true
                }
                Response::Text(_) | Response::Nothing => false,
            };
            assert_eq!(framed, !matches!(command, 0xB0 | 0xB1), "{request:?}");
        }
    }
}

#[test]
fn what_does_not_exist_is_refused() {
    let mut controller = controller();
    for request in [
        Request::SendAngle { joint: 7, angle: 0, speed: 50 },
        Request::SendAngle { joint: 0, angle: 0, speed: 50 },
        Request::SetServoData { servo: 8, address: 0, value: 0 },
        Request::SetGripperValue { value: 101, speed: 50, kind: None },
        Request::JogCoord { axis: 0, direction: 1, speed: 50 },
    ] {
        let refused = Reply::Acknowledged { command: request.command(), result: 0 };
        assert_eq!(controller.respond(&request), Response::Reply(refused), "{request:?}");
    }
    assert_eq!(controller.respond(&Request::GetEncoder { joint: 0 }), Response::Nothing);
}

#[test]
fn what_was_set_is_read_back() {
    let mut controller = controller();
    let coords = [0, 0, 505, 0, 0, 9000];
    for (set, get, expected) in [
        (
            Request::SetToolReference { coords },
            Request::GetToolReference {},
            Answer::ToolReference { coords },
        ),
        (
            Request::SetJointMinimum { joint: 1, limit: -1600 },
            Request::GetJointMinimum { joint: 1 },
            Answer::JointMinimum { limit: -1600 },
        ),
        (
            Request::SetServoDataWide { servo: 2, address: 30, value: 1234, mode: 1 },
            Request::GetServoData { servo: 2, address: 30, mode: Some(1) },
            Answer::ServoDataWide { value: 1234 },
        ),
        (
            Request::SetBasicOutput { pin: 5, level: 1 },
            Request::GetBasicInput { pin: 5 },
            Answer::BasicInput { pin: 5, level: 1 },
        ),
        (
            Request::SetProGripper { id: 14, address: 27, value: 200 },
            Request::GetProGripper { id: 14, address: 28 },
            Answer::ProGripper { id: 14, address: 28, value: 200 },
        ),
    ] {
        controller.respond(&set);
        assert_eq!(answer(&mut controller, get), expected);
    }
}

#[test]
fn solved_angles_give_the_pose_they_were_solved_for() {
    let mut controller = controller();
    let angles = [1000, 2000, -3000, 4050, -5025, 6000];
    let Answer::Coords { coords } =
        answer(&mut controller, Request::GetCoords { angles: Some(angles) })
    else {
        panic!("not coordinates")
    };
    let near = angles.map(|angle| angle + 300);
    let solve = Request::SolveInverseKinematics { coords, angles: near };
    let Answer::InverseKinematics { angles: found } = answer(&mut controller, solve) else {
        panic!("not angles")
    };
    let again = answer(&mut controller, Request::GetCoords { angles: Some(found) });
    let Answer::Coords { coords: reached } = again else { panic!("not coordinates") };
    assert!(coords.iter().zip(&reached).all(|(a, b)| (a - b).abs() <= 3), "{coords:?} {reached:?}");

    let far = Request::SolveInverseKinematics { coords: [9000, 0, 0, 0, 0, 0], angles };
    let none = Answer::InverseKinematics { angles: [NO_SOLUTION; ARM_JOINTS] };
    assert_eq!(answer(&mut controller, far), none);
}
