//! What a real arm does beside following: it feels, it is guided, it has friction, and it judges
//! the end effector too.

use nalgebra::Vector3;
use sinew_simulation::dynamics::Link;

use super::*;
use crate::franka::wire::CollisionBehavior;

fn pose(o_t_ee_c: [f64; 16]) -> Option<RobotCommand> {
    Some(RobotCommand { o_t_ee_c, ..RobotCommand::default() })
}

/// A Cartesian motion, one cycle in.
fn cartesian(robot: RobotModel) -> (Client, [f64; 16]) {
    let mut client = Client::connected(Config::new(robot));
    client.begin(Controller::JointImpedance, Generator::CartesianPosition);
    client.cycle(None);
    let from = client.state.o_t_ee_d;
    client.cycle(pose(from));
    assert!(client.state.errors.is_empty(), "{:?}", client.state.errors);
    (client, from)
}

#[test]
fn a_force_at_the_end_effector_is_estimated_and_goes_away_again() {
    for robot in BOTH {
        let mut client = Client::with_faults(robot, "push=12@50ms");
        while client.now.as_seconds() < 0.2 {
            client.cycle(None);
        }
        let felt = client.state.o_f_ext_hat_k;
        assert!((felt[2] - 12.0).abs() < 0.1, "{felt:?}");
        assert!(felt[0].abs() < 0.1 && felt[1].abs() < 0.1, "{felt:?}");
        // The end effector looks down: its z axis is the base's, mirrored.
        assert!((client.state.k_f_ext_hat_k[2] + 12.0).abs() < 0.1);
        while client.now.as_seconds() < 0.4 {
            client.cycle(None);
        }
        assert!(client.state.o_f_ext_hat_k.iter().all(|force| force.abs() < 0.1));
    }
}

#[test]
fn a_load_that_was_not_declared_shows_as_a_force() {
    let payload = Some(Link::point(1.0, [0.0, 0.0, 0.1034]));
    let mut client = Client::connected(Config { payload, ..Config::new(RobotModel::Fr3) });
    (0..500).for_each(|_| client.cycle(None));
    let felt = client.state.o_f_ext_hat_k;
    assert!((felt[2] - 9.81).abs() < 0.1, "{felt:?}");
}

#[test]
fn thresholds_while_accelerating_are_others_than_those_at_rest() {
    let behavior = |accelerating: f64, otherwise: f64| CollisionBehavior {
        lower_torque_acceleration: [accelerating; 7],
        upper_torque_acceleration: [accelerating; 7],
        lower_torque: [otherwise; 7],
        upper_torque: [otherwise; 7],
        lower_force_acceleration: [accelerating; 6],
        upper_force_acceleration: [accelerating; 6],
        lower_force: [otherwise; 6],
        upper_force: [otherwise; 6],
    };
    for (moving, accelerating, otherwise, collides) in [
        (true, 100.0, 5.0, false),
        (true, 5.0, 100.0, true),
        (false, 5.0, 100.0, false),
        (false, 100.0, 5.0, true),
    ] {
        let mut client = Client::with_faults(RobotModel::Fr3, "push=15@50ms");
        let behavior = behavior(accelerating, otherwise);
        client.ask(&Request::SetCollisionBehavior(Box::new(behavior)), 5);
        assert_eq!(client.status(5), Some(0));
        let from = client.begin_joints();
        let mut time = 0.0;
        while client.now.as_seconds() < 0.15 {
            time += if moving { 1e-3 } else { 0.0 };
            client.cycle(joints(wave(from, time)));
        }
        let reflex = client.state.robot_mode == RobotMode::Reflex;
        assert_eq!(reflex, collides, "{moving} {accelerating} {:?}", client.state.errors);
    }
}

#[test]
fn whoever_holds_the_guiding_buttons_can_move_the_arm() {
    let mut client = Client::with_faults(RobotModel::Fer, "guide=400ms@50ms,push=10@100ms");
    let from = client.begin_joints();
    while client.now.as_seconds() < 0.06 {
        client.cycle(joints(from));
    }
    assert_eq!(client.state.robot_mode, RobotMode::Guiding);
    assert_eq!(client.move_status(), client.code(Outcome::Aborted));
    client.begin(Controller::JointImpedance, Generator::JointPosition);
    assert_eq!(client.move_status(), client.code(Outcome::NotPossible));
    let before = client.state.o_t_ee[14];
    while client.now.as_seconds() < 0.46 {
        client.cycle(None);
    }
    assert_eq!(client.state.robot_mode, RobotMode::Idle);
    assert!(client.state.o_t_ee[14] < before - 0.01, "{}", client.state.o_t_ee[14] - before);
    // It stays where it has been led.
    let led = client.state.q;
    (0..500).for_each(|_| client.cycle(None));
    assert!((0..7).all(|joint| (client.state.q[joint] - led[joint]).abs() < 0.02));
    client.begin_joints();
}

#[test]
fn friction_that_is_left_holds_the_arm_against_small_torques() {
    let moved = |friction: f64| {
        let mut client = Client::connected(Config { friction, ..Config::new(RobotModel::Fr3) });
        client.begin(Controller::External, Generator::None);
        client.cycle(None);
        for cycle in 0..300 {
            let mut command = RobotCommand::default();
            command.tau_j_d[6] = f64::from(cycle.min(100)) * 1e-3;
            client.cycle(Some(command));
        }
        client.state.q[6] - sinew_simulation::arms::franka::READY[6]
    };
    let (free, held) = (moved(0.0), moved(1.0));
    assert!(free > 0.01 && (0.0..0.1 * free).contains(&held), "{free} {held}");
}

#[test]
fn motions_of_the_end_effector_have_limits_of_their_own() {
    let (mut client, from) = cartesian(RobotModel::Fr3);
    let mut far = from;
    far[12] += 5e-5;
    client.cycle(pose(far));
    assert!(client.state.errors.contains(Error::CARTESIAN_VELOCITY_DISCONTINUITY));
    let (mut client, from) = cartesian(RobotModel::Fr3);
    let mut near = from;
    near[12] += 6e-6;
    client.cycle(pose(near));
    assert!(client.state.errors.contains(Error::CARTESIAN_ACCELERATION_DISCONTINUITY));
    let mut client = Client::connected(Config::new(RobotModel::Fr3));
    client.begin(Controller::JointImpedance, Generator::CartesianPosition);
    client.cycle(None);
    let mut elsewhere = client.state.o_t_ee_d;
    elsewhere[12] += 0.01;
    client.cycle(pose(elsewhere));
    assert!(client.state.errors.contains(Error::CARTESIAN_START_POSE));
}

#[test]
fn a_commanded_elbow_is_followed_while_the_end_effector_stays() {
    for robot in BOTH {
        let (mut client, from) = cartesian(robot);
        let elbow = client.state.elbow_d;
        for cycle in 1..=1000 {
            let phase = f64::from(cycle) * 1e-3 * std::f64::consts::PI;
            let elbow_c = [elbow[0] + 0.1 * (1.0 - phase.cos()), elbow[1]];
            let (o_t_ee_c, valid_elbow) = (from, true);
            client.cycle(Some(RobotCommand {
                o_t_ee_c,
                elbow_c,
                valid_elbow,
                ..RobotCommand::default()
            }));
            assert!(client.state.errors.is_empty(), "{cycle}: {:?}", client.state.errors);
        }
        assert!((client.state.elbow[0] - elbow[0] - 0.2).abs() < 1e-3);
        let place = |pose: &[f64; 16]| Vector3::new(pose[12], pose[13], pose[14]);
        let moved = place(&client.state.o_t_ee) - place(&from);
        assert!(moved.norm() < 1e-3, "{moved}");
        let (control, state, now) = (client.control.clone(), client.state, client.now);
        let mut beyond = Client { control, state, now, ..cartesian(robot).0 };
        let elbow_c = [3.0, elbow[1]];
        beyond.cycle(Some(RobotCommand {
            o_t_ee_c: from,
            elbow_c,
            valid_elbow: true,
            ..RobotCommand::default()
        }));
        assert!(beyond.state.errors.contains(Error::ELBOW_LIMIT), "{:?}", beyond.state.errors);
        let wrong = RobotCommand {
            o_t_ee_c: from,
            elbow_c: [client.state.elbow_d[0], -elbow[1]],
            valid_elbow: true,
            ..RobotCommand::default()
        };
        client.cycle(Some(wrong));
        assert!(client.state.errors.contains(Error::ELBOW_SIGN), "{:?}", client.state.errors);
    }
}

#[test]
fn commands_with_numbers_that_are_none_are_as_good_as_lost() {
    for odd in [f64::NAN, f64::INFINITY] {
        let mut client = Client::connected(Config::new(RobotModel::Fr3));
        let from = client.begin_joints();
        client.cycle(joints(from));
        let mut cycles = 0;
        while client.state.robot_mode == RobotMode::Move && cycles < 100 {
            let mut q = from;
            q[2] = odd;
            client.cycle(joints(q));
            cycles += 1;
            assert!(client.state.q.iter().all(|q| q.is_finite()));
        }
        assert!(client.state.errors.contains(Error::COMMUNICATION_CONSTRAINTS), "{cycles}");
        assert_eq!((cycles, client.control.counts().lost), (20, 20));
    }
}

#[test]
fn truncated_and_oversized_commands_are_as_good_as_lost() {
    for change in [-1_isize, 1, 2000, -371] {
        let mut client = Client::connected(Config::new(RobotModel::Fr3));
        let from = client.begin_joints();
        client.cycle(joints(from));
        let mut bytes = Vec::new();
        let message_id = client.state.message_id;
        RobotCommand { message_id, q_c: from, ..RobotCommand::default() }
            .encode(client.protocol, &mut bytes);
        bytes.resize(bytes.len().saturating_add_signed(change), 0);
        client.control.command(&bytes);
        client.cycle(None);
        assert_eq!(client.control.counts().lost, 1, "{change}");
    }
}
