//! The fault matrix of a Franka in position, in torque and led by hand, in virtual time: each cell has its exit
//! code, its arm state and its words in the journal.
#![cfg(target_os = "linux")]
#![allow(clippy::unwrap_used, clippy::expect_used)]

mod support;

use sinew::supervision::ArmState::Faulted;
use sinew::supervision::StopCause;

use support::cell::{Cell, sets, simulated};
use support::{run, sinew};

const POSITION: &str = "configs/franka.toml";
const TORQUE: &str = "configs/franka-torque.toml";
const GUIDING: &str = "configs/franka-guiding.toml";
/// The other arm, whose states and commands have other layouts.
const OTHER: &str = "configs/franka-fer.toml";
const FER_BY_TORQUE: &[&str] = &["actuation.model=joint_impedance", "actuation.arm=panda"];

/// The arm has stopped by itself: a person looks before it moves again.
fn is_lost(cell: Cell, why: &str) {
    cell.ends(StopCause::LinkLost, Faulted).says("link", "given up").gives(why);
}

/// A run that never begins says why, and what helps.
fn is_refused(config: &str, fault: &str, words: &[&str]) {
    let folder = tempfile::tempdir().unwrap();
    let fault = format!("emulator.faults=[\"{fault}\"]");
    let mut arguments = vec!["--for", "6s"];
    arguments.extend(sets(&["run.clock=simulated", &fault]));
    let ended = run(config, folder.path(), &arguments);
    assert_eq!(ended.code, 10, "{}", ended.stderr);
    for word in words {
        assert!(ended.stderr.contains(word), "{word}: {}", ended.stderr);
    }
}

/// What was lost, the cycle lives through again.
fn replays(cell: Cell) {
    let replayed = sinew().arg("replay").arg(cell.ended.folder()).output().unwrap();
    let said = String::from_utf8_lossy(&replayed.stdout);
    assert!(replayed.status.success() && said.contains("bit for bit"), "{said}");
}

cells! {
    a_run_that_lost_states_replays_bit_for_bit:
        replays(simulated(POSITION, r#"["drop-state=1/20", "drop=1/30"]"#, &[]));
    a_run_in_torque_that_lost_states_replays_bit_for_bit:
        replays(simulated(TORQUE, r#"["drop-state=1/20", "drop=1/30"]"#, &[]));
    a_led_run_that_lost_states_replays_bit_for_bit:
        replays(simulated(GUIDING, r#"["drop-state=1/20"]"#, &[]));

    commands_that_an_arm_loses_are_lived_through:
        simulated(POSITION, r#"["drop=1/20"]"#, &[]).completes();
    commands_that_an_arm_loses_in_torque_are_lived_through:
        simulated(TORQUE, r#"["drop=1/20"]"#, &[]).completes();
    commands_that_a_led_arm_loses_are_lived_through:
        simulated(GUIDING, r#"["drop=1/20"]"#, &[]).completes();
    states_that_are_lost_are_counted:
        simulated(POSITION, r#"["drop-state=1/20"]"#, &[]).completes().counts("/bus/timeouts");
    states_that_are_lost_in_torque_are_counted:
        simulated(TORQUE, r#"["drop-state=1/20"]"#, &[]).completes().counts("/bus/timeouts");
    a_short_silence_is_lived_through:
        simulated(POSITION, r#"["silence=10ms@3s"]"#, &[]).completes().counts("/bus/timeouts");
    a_short_silence_in_torque_is_lived_through:
        simulated(TORQUE, r#"["silence=10ms@3s"]"#, &[]).completes().counts("/bus/timeouts");

    a_silence_of_twenty_cycles_stops_the_arm:
        is_lost(simulated(POSITION, r#"["silence=100ms@3s"]"#, &[]), "communication_constraints_violation");
    a_silence_of_twenty_cycles_stops_the_arm_in_torque:
        is_lost(simulated(TORQUE, r#"["silence=100ms@3s"]"#, &[]), "communication_constraints_violation");
    states_that_come_late_make_late_commands:
        is_lost(simulated(POSITION, r#"["delay=2ms@3s"]"#, &[]), "communication_constraints_violation");
    a_reflex_in_motion_is_named:
        is_lost(simulated(POSITION, r#"["reflex@3s"]"#, &[]), "cartesian_reflex");
    a_reflex_in_motion_is_named_in_torque:
        is_lost(simulated(TORQUE, r#"["reflex@3s"]"#, &[]), "cartesian_reflex");
    a_push_beyond_the_thresholds_is_a_collision:
        is_lost(simulated(POSITION, r#"["push=90@3s"]"#, &[]), "cartesian_reflex");
    the_user_stop_in_motion_is_named:
        is_lost(simulated(POSITION, r#"["user-stop=2s@3s"]"#, &[]), "the user stop was pressed");
    the_user_stop_in_motion_is_named_in_torque:
        is_lost(simulated(TORQUE, r#"["user-stop=2s@3s"]"#, &[]), "the user stop was pressed");
    the_user_stop_is_named_while_a_hand_leads:
        is_lost(simulated(GUIDING, r#"["user-stop=2s@3s"]"#, &[]), "the user stop was pressed");
    an_arm_without_power_is_named:
        is_lost(simulated(POSITION, r#"["power-off=2s@3s"]"#, &[]), "no state for a second");
    buttons_pressed_in_motion_are_named:
        is_lost(simulated(POSITION, r#"["guide=2s@3s"]"#, &[]), "the motion ended");

    a_pressed_user_stop_is_refused:
        is_refused(POSITION, "user-stop=9s@0s", &["the user stop is pressed", "Release the user stop"]);
    an_arm_in_a_reflex_is_refused:
        is_refused(TORQUE, "reflex@0s", &["cartesian_reflex", "robot.franka.recover = true"]);
    an_arm_in_a_reflex_is_recovered_where_that_is_asked_for:
        simulated(TORQUE, r#"["reflex@0s"]"#, &["robot.franka.recover=true"]).completes();

    the_other_arm_loses_as_much_and_goes_on:
        simulated(OTHER, r#"["drop=1/20"]"#, &[]).completes();
    the_other_arm_in_torque_loses_as_much_and_goes_on:
        simulated(OTHER, r#"["drop=1/20"]"#, FER_BY_TORQUE).completes();
    the_other_arm_in_torque_stops_as_well:
        is_lost(simulated(OTHER, r#"["reflex@3s"]"#, FER_BY_TORQUE), "cartesian_reflex");
    the_other_arm_stops_as_well:
        is_lost(simulated(OTHER, r#"["reflex@3s"]"#, &[]), "cartesian_reflex");
}
