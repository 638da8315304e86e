//! The fault matrix of the test rig, followed by its own servo and driven in torque by a learned model, and
//! of motors on a CAN bus: each cell has its exit code, its arm state and its words in the journal.
#![cfg(target_os = "linux")]
#![allow(clippy::unwrap_used, clippy::expect_used)]

mod support;

use sinew::supervision::ArmState::{Disarmed, Faulted};
use sinew::supervision::{HoldCause, StopCause};

use support::cell::{Cell, simulated};

/// Positions, to the rig's own servo.
const SERVO: &str = "configs/rig-collect.toml";
/// Torques, by a network.
const TORQUE: &str = "configs/rig.toml";
const CAN: &str = "configs/can.toml";

/// Nothing is commanded while it stops: the rig holds by itself.
fn left_to_itself(cell: Cell) -> Cell {
    const STOPPING: u8 = sinew::supervision::ArmState::Stopping as u8;
    cell.says("hold", "none is sent, and the arm was told to hold by itself")
        .all("no effort in the stop", |it| it.state != STOPPING || !it.commanded)
}

/// The motion in the middle of which the link broke is not played on.
fn comes_back(cell: Cell) -> Cell {
    cell.ends(StopCause::PolicyStale, Disarmed)
        .says("link", "the link broke in the middle of the motion")
        .says("reconnect", "begin again at the measured position")
}

fn is_lost(cell: Cell, why: &str) {
    cell.ends(StopCause::LinkLost, Faulted).says("link", "given up").gives(why);
}

cells! {
    states_that_the_rig_loses_leave_the_last_one_standing:
        simulated(SERVO, r#"["drop=1/10"]"#, &[]).completes().counts("/bus/timeouts");
    states_that_the_rig_loses_in_torque_leave_the_last_one_standing:
        simulated(TORQUE, r#"["drop=1/10"]"#, &[]).completes().counts("/bus/timeouts");
    answers_that_motors_lose_leave_the_last_ones_standing:
        simulated(CAN, r#"["drop=1/10"]"#, &[]).completes().counts("/bus/timeouts");

    damaged_states_of_the_rig_are_refused:
        simulated(SERVO, r#"["corrupt=1/10"]"#, &[]).completes().counts("/bus/rejected");
    damaged_states_of_the_rig_in_torque_are_refused:
        simulated(TORQUE, r#"["corrupt=1/10"]"#, &[]).completes().counts("/bus/rejected");
    garbage_of_the_rig_is_passed_over:
        simulated(TORQUE, r#"["garbage=1/10"]"#, &[]).completes().counts("/bus/garbage_bytes");
    garbage_on_the_line_of_a_bus_is_passed_over:
        simulated(CAN, r#"["garbage=1/10"]"#, &[]).completes();
    frames_of_a_stranger_on_the_bus_are_counted_and_named:
        simulated(CAN, r#"["unknown=1/10"]"#, &[])
            .completes().counts("/bus/rejected").gives("0x5A5");

    a_reading_that_jumps_once_is_refused:
        simulated(SERVO, r#"["glitch=1/500"]"#, &[])
            .completes().counts("/bus/rejected").gives("encoder jump");
    a_reading_that_jumps_once_is_refused_in_torque:
        simulated(TORQUE, r#"["glitch=1/500"]"#, &[])
            .completes().counts("/bus/rejected").gives("encoder jump");
    an_encoder_that_has_slipped_begins_anew:
        comes_back(simulated(SERVO, r#"["jump=0.5@3s"]"#, &[])).gives("encoder jump");
    an_encoder_that_has_slipped_begins_anew_in_torque:
        comes_back(simulated(TORQUE, r#"["jump=0.5@3s"]"#, &[])).gives("encoder jump");
    an_encoder_of_a_motor_that_has_slipped_loses_it:
        is_lost(simulated(CAN, r#"["jump=0.7@3s"]"#, &[]), "faster than it can move");

    a_rate_that_jumps_once_is_refused:
        simulated(SERVO, r#"["gyro-glitch=1/500"]"#, &[])
            .completes().counts("/bus/rejected").gives("gyroscope");
    a_rate_that_jumps_once_is_refused_in_torque:
        simulated(TORQUE, r#"["gyro-glitch=1/500"]"#, &[])
            .completes().counts("/bus/rejected").gives("gyroscope");
    a_rig_whose_gyroscope_is_stuck_is_lost:
        is_lost(simulated(SERVO, r#"["gyro-stuck=20@3s"]"#, &[]), "the encoder does not say so");
    a_rig_whose_gyroscope_is_stuck_in_torque_is_lost:
        is_lost(simulated(TORQUE, r#"["gyro-stuck=-90@3s"]"#, &[]), "outside -70 to 70 rad/s");
    a_clock_as_slow_as_a_resonators_is_followed:
        simulated(TORQUE, r#"["drift=-5000@0s"]"#, &[]).completes();
    a_rig_whose_clock_is_none_is_lost:
        is_lost(simulated(SERVO, r#"["drift=-30000@3s"]"#, &[]), "ppm slower");

    a_little_delay_of_the_rig_is_borne:
        simulated(TORQUE, r#"["delay=5ms@3s"]"#, &[]).completes();
    states_of_the_rig_that_come_so_late_are_none:
        simulated(SERVO, r#"["delay=200ms@3s"]"#, &[])
            .says("state", "running → holding").counts("/bus/reconnects");
    torque_never_answers_to_states_that_come_so_late:
        simulated(TORQUE, r#"["delay=200ms@3s"]"#, &[])
            .ends(StopCause::RampTimeout, Faulted).says("blind", "told to hold by itself");

    a_short_silence_of_the_rig_ends_its_motion:
        simulated(SERVO, r#"["silence=1s@3s"]"#, &[])
            .completes().held(HoldCause::LinkDown).says("reconnect", "begin again");
    a_short_silence_of_the_rig_ends_its_motion_in_torque:
        simulated(TORQUE, r#"["silence=1s@3s"]"#, &[])
            .completes().says("blind", "told to hold by itself").says("reconnect", "begin again");
    a_rig_that_stays_silent_is_lost:
        is_lost(simulated(SERVO, r#"["silence@3s"]"#, &[]), "sends no state");
    a_rig_that_stays_silent_in_torque_is_lost:
        is_lost(simulated(TORQUE, r#"["silence@3s"]"#, &[]), "sends no state");
    a_short_silence_of_motors_goes_unnoticed:
        simulated(CAN, r#"["silence=50ms@3s"]"#, &[]).completes().counts("/bus/timeouts");
    motors_that_stay_silent_are_lost:
        is_lost(simulated(CAN, r#"["silence@3s"]"#, &[]), "no answer");

    a_rig_that_comes_back_begins_at_the_measured_position:
        comes_back(simulated(SERVO, r#"["disconnect=1s@3s"]"#, &[])).counts("/bus/reconnects");
    a_rig_that_comes_back_in_torque_begins_at_the_measured_position:
        comes_back(simulated(TORQUE, r#"["disconnect=1s@3s"]"#, &[])).counts("/bus/reconnects");
    a_rig_that_stays_away_is_lost:
        is_lost(simulated(TORQUE, r#"["disconnect@3s"]"#, &[]), "broken pipe");
    motors_that_come_back_begin_at_the_measured_position:
        simulated(CAN, r#"["disconnect=1s@3s"]"#, &[])
            .completes().held(HoldCause::LinkDown).says("reconnect", "begin again");
    a_controller_off_the_bus_is_named_and_comes_back:
        simulated(CAN, r#"["bus-off=1s@3s"]"#, &[])
            .completes().held(HoldCause::LinkDown).gives("bus-off");

    a_rig_that_starts_again_is_lost:
        is_lost(simulated(SERVO, r#"["reset@3s"]"#, &[]), "started again");
    a_rig_that_starts_again_in_torque_is_lost:
        is_lost(simulated(TORQUE, r#"["reset@3s"]"#, &[]), "started again");
    a_hot_motor_of_the_rig_is_lost:
        is_lost(simulated(TORQUE, r#"["overheat@3s"]"#, &[]), "too hot");
    a_hot_motor_on_the_bus_is_lost:
        is_lost(simulated(CAN, r#"["over-temperature@3s"]"#, &[]), "over-temperature");

    a_rig_that_strays_in_torque_holds_by_itself:
        left_to_itself(
            simulated(TORQUE, "[]", &["supervision.tracking_error_rad=0.02"])
                .ends(StopCause::TrackingError, Disarmed));
    a_rig_that_strays_stands_where_its_servo_is_told:
        simulated(SERVO, "[]", &["supervision.tracking_error_rad=0.02", "supervision.tracking_error_ms=50"])
            .ends(StopCause::TrackingError, Disarmed)
            .all("commanded", |it| it.state == 0 || it.commanded);
}
