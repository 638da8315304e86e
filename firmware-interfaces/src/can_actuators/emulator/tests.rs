//! Motors answer as their protocols say, and their plants are those of every model.

use sinew_simulation::actuator::ActuatorPlant;

use super::*;
use crate::Timestamp;
use crate::can::Bitrate;
use crate::can_actuators::models::MODELS;
use crate::transport::Served;

fn at(milliseconds: u64) -> Timestamp {
    Timestamp::from_nanos(milliseconds * 1_000_000)
}

fn adapter(protocol: crate::can_actuators::Protocol, name: &str, faults: &[&str]) -> Adapter {
    let model = crate::can_actuators::Model::find(protocol, name).unwrap();
    let mut made = Faults::default();
    faults.iter().for_each(|fault| made.add(fault).unwrap());
    let motor = MotorConfig { model, id: 1, feedback_id: 0x11, position: 0.0 };
    let config =
        ActuatorsConfig { motors: vec![motor], bitrate: Bitrate::M1, seed: 7, faults: made };
    Adapter::new(Actuators::new(config), 7)
}

/// What the adapter says to `line` within 5 ms.
fn ask(adapter: &mut Adapter, now: u64, line: &str) -> String {
    adapter.receive(at(now), format!("{line}\r").as_bytes());
    let mut said = String::new();
    for step in 0..50 {
        let now = Timestamp::from_nanos(now * 1_000_000 + step * 100_000);
        while let Some(bytes) = adapter.transmit(now) {
            said.push_str(&String::from_utf8_lossy(bytes.as_ref()));
        }
    }
    said
}

#[test]
fn every_model_has_a_plant() {
    for model in MODELS {
        let plant = ActuatorPlant::new(plant_config(model), 1);
        assert!(plant.is_ok(), "{}: {plant:?}", model.name);
    }
}

#[test]
fn an_adapter_answers_what_python_can_asks() {
    let mut adapter = adapter(crate::can_actuators::Protocol::Damiao, "4310", &[]);
    for (line, answer) in [
        ("t0018FFFFFFFFFFFFFFFC", "\x07"),
        ("C", "\r"),
        ("S8", "\r"),
        ("", ""),
        ("O", "\r"),
        ("O", "\r"),
        ("V", "V1013\r"),
        ("N", "NA123\r"),
        ("F", "F00\r"),
        ("S8", "\x07"),
        ("nonsense", "\x07"),
    ] {
        assert_eq!(ask(&mut adapter, 0, line), answer, "{line}");
    }
    let enabled = ask(&mut adapter, 10, "t0018FFFFFFFFFFFFFFFC");
    assert!(enabled.starts_with("z\rt011811"), "{enabled}");
    // PMAX as damiao-motor read it from the stand-in: 12.5 is 0x41480000.
    assert_eq!(ask(&mut adapter, 20, "t7FF80100331500000000"), "z\rt01180100331500004841\r");
}

#[test]
fn a_damiao_that_hears_nothing_for_its_timeout_loses_its_torque() {
    let mut adapter = adapter(crate::can_actuators::Protocol::Damiao, "4310", &[]);
    ask(&mut adapter, 0, "O");
    // TIMEOUT 2000 units of 50 us: 100 ms.
    ask(&mut adapter, 1, "t7FF801005509D0070000");
    ask(&mut adapter, 10, "t0018FFFFFFFFFFFFFFFC");
    adapter.actuators_mut().advance_to(at(100));
    assert!(adapter.actuators().is_enabled(0));
    adapter.actuators_mut().advance_to(at(120));
    assert!(!adapter.actuators().is_enabled(0));
    let said = ask(&mut adapter, 130, "t7FF80100CC0000000000");
    assert!(said.contains("t0118D1"), "{said}");
}

#[test]
fn a_controller_that_is_off_the_bus_says_so_and_refuses_frames() {
    let mut adapter = adapter(crate::can_actuators::Protocol::Damiao, "4310", &["bus-off=1s@1s"]);
    ask(&mut adapter, 0, "O");
    assert_eq!(ask(&mut adapter, 1000, ""), "sb000255\r");
    assert_eq!(ask(&mut adapter, 1100, "t0018FFFFFFFFFFFFFFFC"), "\x07");
    assert_eq!(ask(&mut adapter, 1200, "F"), "F82\r");
    assert!(ask(&mut adapter, 2100, "t0018FFFFFFFFFFFFFFFC").starts_with("z\r"));
}

#[test]
fn strangers_and_times_appear_when_they_are_asked_for() {
    let mut adapter = adapter(crate::can_actuators::Protocol::Damiao, "4310", &["unknown=1/2"]);
    ask(&mut adapter, 0, "Z1");
    ask(&mut adapter, 0, "O");
    let first = ask(&mut adapter, 1000, "t7FF80100CC0000000000");
    let second = ask(&mut adapter, 2000, "t7FF80100CC0000000000");
    assert!(!first.contains("t5A5") && second.contains("t5A52DEAD07D0"), "{first} {second}");
}
