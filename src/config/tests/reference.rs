//! The table of keys, the Rust types and the written reference say the same.

use std::collections::BTreeSet;
use std::path::Path;

use serde::Deserialize;

use super::{Files, GOOD};
use crate::config::Config;
use crate::config::keys::{Key, Need, Shape};
use crate::config::table::ROOT;

/// Key, unit and what may stand there, for every key of the table; paths with placeholders.
fn collect(shape: &'static Shape, path: &str, out: &mut Vec<(String, &'static Key)>) {
    let keys = |keys: &'static [Key], out: &mut Vec<(String, &'static Key)>| {
        for key in keys {
            let place =
                if path.is_empty() { key.name.to_owned() } else { format!("{path}.{}", key.name) };
            out.push((place.clone(), key));
            collect(&key.shape, &place, out);
        }
    };
    match shape {
        Shape::Table(table) => keys(table, out),
        Shape::Tagged { variants, .. } => {
            for (_, table) in *variants {
                keys(table, out);
            }
        }
        Shape::Map { of, placeholder, .. } => collect(of, &format!("{path}.{placeholder}"), out),
        Shape::List { of, .. } => collect(of, &format!("{path}[]"), out),
        _ => {}
    }
}

fn all_keys() -> Vec<(String, &'static Key)> {
    let mut out = Vec::new();
    collect(&ROOT, "", &mut out);
    out
}

/// Every key path of a TOML value, in the placeholders of the table.
fn paths(value: &toml::Value, path: &str, out: &mut BTreeSet<String>) {
    const MAPS: &[(&str, &str)] = &[
        ("limits", "JOINT"),
        ("cameras", "NAME"),
        ("emulator.start", "JOINT"),
        ("rest.pose", "JOINT"),
        ("excitation.pose", "JOINT"),
        ("policy.images", "FEATURE"),
        ("actuation.gains", "JOINT"),
        ("actuation.motors", "JOINT"),
        ("supervision.guards", "NAME"),
    ];
    match value {
        toml::Value::Table(table) => {
            let map =
                MAPS.iter().find(|(key, _)| *key == path).map(|(_, placeholder)| *placeholder);
            for (name, value) in table {
                let name = map.unwrap_or(name);
                let place =
                    if path.is_empty() { name.to_owned() } else { format!("{path}.{name}") };
                if map.is_none() {
                    out.insert(place.clone());
                }
                paths(value, &place, out);
            }
        }
        toml::Value::Array(items) => {
            for item in items {
                paths(item, &format!("{path}[]"), out);
            }
        }
        _ => {}
    }
}

/// Two actuators on a CAN bus, the second with its defaults.
const ACTUATORS: &str = "robot.actuators=[\
    { name = 'a', protocol = 'mit', model = 'ak80-9', id = 1, feedback_id = 0, \
      stiffness_nm_rad = 10, damping_nm_s_rad = 1 }, \
    { name = 'b', protocol = 'damiao', model = '4310', id = 2, stiffness_nm_rad = 10, \
      damping_nm_s_rad = 1 }]";

/// [`GOOD`] with every optional key said as well.
fn everything() -> Config {
    let files = Files::new(&[("run.toml", GOOD)]);
    let sets = [
        "policy.ensemble_coefficient=0.01",
        "policy.inference_period_ms=100",
        "policy.scheduler=ddim",
        "policy.steps=10",
        "policy.seed=7",
        "policy.warm_start=0.5",
        "policy.inpaint=true",
        "recording.rate_hz=10",
        "recording.csv=data",
        "limits.shoulder.max_torque_nm=10",
        "limits.shoulder.max_torque_rate_nm_s=100",
        "limits.gripper.max_step=0.1",
        "limits.gripper.max_slew_jerk_per_s3=40",
        "limits.gripper.margin=0.1",
        "actuation.path=model",
        "actuation.gains.shoulder={ stiffness_nm_rad = 50, damping_nm_s_rad = 5 }",
        "actuation.motors.shoulder={ stall_torque_nm = 3, no_load_speed_rad_s = 30, \
         continuous_torque_nm = 2 }",
        "actuation.arm=fr3",
        "actuation.tip=flange",
        "actuation.gravity_compensation=true",
        "actuation.rotor_inertia_kg_m2=0.1",
        "actuation.filter_hz=100",
        "actuation.soft_limit_margin_rad=0.1",
        "actuation.soft_limit_stiffness_nm_rad=300",
        "actuation.payload={ mass_kg = 1 }",
        "actuation.joint_impedance={ stiffness_nm_rad = 1, damping_nm_s_rad = [1, 2] }",
        "actuation.joint_pid={ proportional_nm_rad = 1, derivative_nm_s_rad = 1, \
         integral_nm_rad_s = 1, integral_limit_nm = 1 }",
        "actuation.guiding={ damping_nm_s_rad = 1, fast_damping_nm_s_rad = 1 }",
        "supervision.guards.NAME={ min = 0, max = 70 }",
        SIGNALS,
        "realtime.cpu_dma_latency_us=0",
        "robot.rig.inertia_kg_m2=0.01",
        "robot.rig.radius_m=0.1",
        "robot.rig.temperature=true",
        "robot.rig.supply=true",
        "robot.franka.collision_torque_nm=[20, 20, 20, 20, 12, 12, 12]",
        "robot.franka.collision_force=[20, 20, 20, 20, 20, 20]",
        "robot.franka.stiffness_nm_rad=[600, 600, 600, 600, 250, 150, 50]",
        "robot.franka.load_kg=0.5",
        "robot.franka.load_inertia_kg_m2=[0, 0, 0, 0, 0, 0]",
        "robot.franka.gripper_force_n=20",
        ACTUATORS,
        "cameras.top.stops_after_s=3",
    ];
    files.load("run.toml", &sets).unwrap().config
}

/// A signal of each kind; the one with every default second.
const SIGNALS: &str = "excitation={ arm = 'fr3', tip = 'hand', \
    pose = { elbow = 0.1 }, signals = [ \
    { kind = 'steps', joint = 'elbow', duration_s = 1, amplitude_rad = 0.1, dwell_s = 0.5 }, \
    { kind = 'chirp', joint = 'elbow', duration_s = 1, amplitude_rad = 0.1, from_hz = 1, \
      to_hz = 2 }, \
    { kind = 'multi_sine', joint = 'elbow', duration_s = 1, amplitude_rad = 0.1, \
      frequencies_hz = [1] }, \
    { kind = 'modulated_chirp', joint = 'elbow', duration_s = 1, amplitude_rad = 0.1, \
      from_hz = 1, to_hz = 2, modulation_hz = 0.1, least_fraction = 0.5 }, \
    { kind = 'joint_multi_sine', duration_s = 1, frequency_hz = 0.2 }, \
    { kind = 'joint_chirp', duration_s = 1, frequency_hz = 0.2 }, \
    { kind = 'joint_impulse', duration_s = 1 }, \
    { kind = 'joint_trapezoid', duration_s = 1 }, \
    { kind = 'circle', duration_s = 1 }, \
    { kind = 'vertical_spiral', duration_s = 1 }, \
    { kind = 'horizontal_spiral', duration_s = 1 } ] }";

#[test]
fn the_table_and_the_types_have_the_same_keys() {
    let mut types = BTreeSet::new();
    paths(&toml::Value::try_from(everything()).unwrap(), "", &mut types);
    // The tag of a camera is no key of its variants.
    assert!(types.remove("cameras.NAME.source"));
    assert!(types.remove("excitation.signals[].kind"));
    let table: BTreeSet<String> = all_keys().into_iter().map(|(path, _)| path).collect();
    assert_eq!(table, types);
}

#[test]
fn the_table_and_the_types_need_the_same_keys() {
    let full = toml::Value::try_from(everything()).unwrap();
    for (path, key) in all_keys() {
        if path.contains("[]") || path.contains("NAME") || path.contains("JOINT") {
            continue;
        }
        let mut value = full.clone();
        let mut table = value.as_table_mut().unwrap();
        let (parents, name) = path.rsplit_once('.').unwrap_or(("", &path));
        for parent in parents.split('.').filter(|it| !it.is_empty()) {
            table = table.get_mut(parent).unwrap().as_table_mut().unwrap();
        }
        assert!(table.remove(name).is_some(), "{path}");
        let fine = Config::deserialize(value).is_ok();
        assert_eq!(fine, key.need != Need::Required, "{path}");
    }
}

/// What stands in the reference's column "default".
fn default_words(path: &str, key: &Key) -> String {
    match key.need {
        Need::Required => "required".to_owned(),
        Need::Optional(instead) => instead.to_owned(),
        Need::Default if matches!(key.shape, Shape::Table(_)) => {
            "all keys at their defaults".into()
        }
        Need::Default => {
            let files = Files::new(&[("run.toml", GOOD)]);
            let sets = match path.contains("NAME") || path.starts_with("excitation.") {
                true => vec!["supervision.guards.NAME={}", SIGNALS],
                false => vec![ACTUATORS, "actuation.payload={ mass_kg = 1 }"],
            };
            let mut value =
                toml::Value::try_from(files.load("run.toml", &sets).unwrap().config).unwrap();
            // Only what the example says itself would hide a default.
            for said in ["emulator", "supervision", "target", "overrun", "realtime"] {
                if !path.contains("NAME") || said != "supervision" {
                    value.as_table_mut().unwrap().remove(said);
                }
            }
            for said in ["images", "hold"] {
                value.get_mut("policy").unwrap().as_table_mut().unwrap().remove(said);
            }
            value
                .get_mut("robot")
                .unwrap()
                .as_table_mut()
                .unwrap()
                .remove("accept_motion_on_silence");
            let config = Config::deserialize(value).unwrap();
            let value = toml::Value::try_from(config).unwrap();
            let found =
                path.replace("[]", ".1").split('.').try_fold(value, |value, name| {
                    match name.parse::<usize>() {
                        Ok(index) => value.get(index).cloned(),
                        Err(_) => value.get(name).cloned(),
                    }
                });
            format!("`{}`", found.unwrap_or_else(|| panic!("{path} has no default")))
        }
    }
}

/// Type and allowed values for the reference.
fn columns(shape: &Shape) -> (String, String) {
    let dash = "".to_owned();
    match shape {
        Shape::Text => ("text".into(), "not empty".into()),
        Shape::Name => ("text".into(), "letters, digits, `.`, `_`, `-`; up to 64".into()),
        Shape::Path => ("path".into(), dash),
        Shape::NameOrPath(names) => (
            "text".into(),
            names.iter().map(|it| format!("`\"{it}\"`, ")).collect::<String>() + "or a path",
        ),
        Shape::Each(range) => ("number, or list of one per joint".into(), range.words("")),
        Shape::Bool => ("boolean".into(), "`true`, `false`".into()),
        Shape::Integer { min, max: i64::MAX } => ("whole number".into(), format!("{min} or more")),
        Shape::Integer { min, max } => ("whole number".into(), format!("{min} to {max}")),
        Shape::Sign => ("whole number".into(), "1 or -1".into()),
        Shape::Number(range) => ("number".into(), range.words("")),
        Shape::Factor(range) => ("number".into(), format!("magnitude {}", range.words(""))),
        Shape::Choice(choices) => (
            "text".into(),
            choices.iter().map(|it| format!("`\"{it}\"`")).collect::<Vec<_>>().join(", "),
        ),
        Shape::Pair(range) => {
            ("`[lower, upper]`".into(), format!("{}, lower below upper", range.words("")))
        }
        Shape::Point(range) => ("`[x, y, z]`".into(), range.words("")),
        Shape::List { of: Shape::Table(_) | Shape::Tagged { .. }, least } => {
            ("list of tables".into(), format!("{least} or more"))
        }
        Shape::List { of, .. } => (format!("list of {}", columns(of).0), columns(of).1),
        Shape::Map { of, placeholder, .. } => {
            (format!("table of {placeholder} = {}", columns(of).0), columns(of).1)
        }
        Shape::Table(_) | Shape::Tagged { .. } => ("table".into(), dash),
    }
}

/// The reference's row for a key.
fn row(path: &str, key: &Key) -> String {
    let (kind, allowed) = columns(&key.shape);
    let cells = [
        format!("`{}`", key.name),
        kind,
        key.unit.into(),
        allowed,
        default_words(path, key),
        key.meaning.into(),
    ];
    cells.iter().fold("|".to_owned(), |row, cell| match cell.as_str() {
        "" => row + " |",
        cell => format!("{row} {cell} |"),
    })
}

/// One heading per table of the schema, in its order, with its rows.
fn reference() -> Vec<(String, Vec<String>)> {
    let mut sections: Vec<(String, Vec<String>)> = Vec::new();
    let mut add = |heading: String, table: &str, keys: &'static [Key]| {
        let rows = keys.iter().map(|key| row(&format!("{table}.{}", key.name), key));
        sections.push((heading, rows.collect()));
    };
    let Shape::Table(tables) = &ROOT else { panic!("the whole file is a table") };
    for table in *tables {
        let name = table.name;
        match &table.shape {
            Shape::Table(keys) => add(format!("### `[{name}]`"), name, keys),
            Shape::Map { of: Shape::Table(keys), placeholder, .. } => {
                add(format!("### `[{name}.{placeholder}]`"), name, keys);
            }
            Shape::Map { of: Shape::Tagged { tag, variants, .. }, placeholder, .. } => {
                for (value, keys) in *variants {
                    let heading =
                        format!("### `[{name}.{placeholder}]` with `{tag} = \"{value}\"`");
                    add(heading, name, keys);
                }
            }
            other => panic!("the reference has no place for {other:?}"),
        }
        if name == "robot" {
            let of =
                |wanted: &str| all_keys().into_iter().find(|(path, _)| path == wanted).unwrap().1;
            for path in ["robot.rig", "robot.can", "robot.franka"] {
                let Shape::Table(keys) = &of(path).shape else { panic!() };
                add(format!("### `[{path}]`"), path, keys);
            }
            let Shape::List { of: Shape::Table(keys), .. } = &of("robot.actuators").shape else {
                panic!()
            };
            add("### `[[robot.actuators]]`".to_owned(), "robot.actuators[]", keys);
        }
        if name == "actuation" {
            for path in [
                "actuation.payload",
                "actuation.joint_impedance",
                "actuation.joint_pid",
                "actuation.cartesian_impedance",
                "actuation.cartesian_pid",
                "actuation.operational_space",
                "actuation.guiding",
            ] {
                let (_, key) = all_keys().into_iter().find(|(known, _)| known == path).unwrap();
                let Shape::Table(keys) = &key.shape else { panic!() };
                add(format!("### `[{path}]`"), path, keys);
            }
        }
        for (table, inner, placeholder) in [
            ("actuation", "actuation.gains", "JOINT"),
            ("actuation", "actuation.motors", "JOINT"),
            ("supervision", "supervision.guards", "NAME"),
        ] {
            if name == table {
                let (_, map) = all_keys().into_iter().find(|(path, _)| path == inner).unwrap();
                let Shape::Map { of: Shape::Table(keys), .. } = &map.shape else { panic!() };
                let table = format!("{inner}.{placeholder}");
                add(format!("### `[{table}]`"), &table, keys);
            }
        }
        if name == "excitation" {
            let (_, signals) =
                all_keys().into_iter().find(|(path, _)| path == "excitation.signals").unwrap();
            let Shape::List { of: Shape::Tagged { variants, .. }, .. } = &signals.shape else {
                panic!()
            };
            for (kind, keys) in *variants {
                let heading =
                    format!("### Elements of `excitation.signals` with `kind = \"{kind}\"`");
                add(heading, "excitation.signals[]", keys);
            }
        }
        if name == "policy" {
            let (_, state) =
                all_keys().into_iter().find(|(path, _)| path == "policy.state").unwrap();
            let Shape::List { of: Shape::Table(keys), .. } = &state.shape else { panic!() };
            let heading = "### Elements of `policy.state` and `policy.action`";
            add(heading.to_owned(), "policy.state[]", keys);
        }
    }
    sections
}

#[test]
fn the_reference_describes_every_key() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/configuration.md");
    let text = std::fs::read_to_string(path).unwrap_or_default();
    let mut missing = String::new();
    for (heading, rows) in reference() {
        // Rows count only under their own heading.
        let section = text
            .split("\n### ")
            .find(|it| format!("### {it}").starts_with(&format!("{heading}\n")));
        let absent: Vec<_> =
            rows.iter().filter(|row| !section.is_some_and(|it| it.contains(*row))).collect();
        if section.is_none() || !absent.is_empty() {
            missing.push_str(&format!("{heading}\n"));
            absent.iter().for_each(|row| missing.push_str(&format!("{row}\n")));
        }
    }
    assert!(missing.is_empty(), "docs/configuration.md lacks or tells differently:\n{missing}");
}
