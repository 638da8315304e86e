//! The features of a run's episode, from its journal's header.

use serde_json::{Value, json};

use super::info::{Feature, Info};
use super::table::{Field, Kind};
use crate::journal::Header;

/// Measured positions, LeRobot's name.
pub(super) const STATE: &str = "observation.state";
/// Positions the robot was told: after the limits.
pub(super) const ACTION: &str = "action";
/// What the target source asked for.
pub(super) const REQUESTED: &str = "sinew.requested";
/// What the limits let through.
pub(super) const LIMITED: &str = "sinew.limited";
/// What was measured.
pub(super) const MEASURED: &str = "sinew.measured";
/// What the sensors beside the joints measured, where there are such.
pub(super) const SENSORS: &str = "sinew.sensors";
/// When the cycle woke, ns on the run's monotonic clock.
pub(super) const TIME: &str = "sinew.time_ns";
/// When each joint was measured, same clock.
pub(super) const MEASURED_NS: &str = "sinew.measured_ns";
/// Per joint, the set of clamp causes as bits.
pub(super) const CLAMPS: &str = "sinew.clamps";
/// Arm state number.
pub(super) const ARM_STATE: &str = "sinew.state";

/// Feature of a camera's images.
pub(super) fn image(camera: &str) -> String {
    format!("observation.images.{camera}")
}

/// Feature of the capture times of a camera's images, same clock.
pub(super) fn frame_ns(camera: &str) -> String {
    format!("sinew.frame_ns.{camera}")
}

/// Why a run has no dataset.
#[derive(Debug, thiserror::Error)]
pub enum HeaderError {
    /// No joints.
    #[error("run {run} has no joints: an episode needs at least one")]
    NoJoints {
        /// The run.
        run: String,
    },
    /// A name that LeRobot cannot use.
    #[error(
        "{what} name {name:?} cannot name a dataset feature: it must not be empty, repeated, or contain '/', '{{' or '}}'"
    )]
    Name {
        /// `joint`, `sensor` or `camera`.
        what: &'static str,
        /// The name.
        name: String,
    },
    /// LeRobot's frame rates are whole numbers.
    #[error(
        "dataset_rate_hz is {rate_hz}; LeRobot's frame rate must be a whole number from 1 to 1000"
    )]
    Rate {
        /// The rate.
        rate_hz: f64,
    },
    /// An image without pixels.
    #[error("camera {camera} has a size of {width}x{height}")]
    Size {
        /// The camera.
        camera: String,
        /// Width in pixels.
        width: u32,
        /// Height in pixels.
        height: u32,
    },
}

/// Whether a dataset can have this rate: a whole number from 1 to 1000, in Hz.
pub fn is_frame_rate(rate_hz: f64) -> bool {
    rate_hz.fract() == 0.0 && (1.0..=1000.0).contains(&rate_hz)
}

fn check_names<'a>(
    what: &'static str,
    names: impl Iterator<Item = &'a str>,
) -> Result<(), HeaderError> {
    let mut seen = std::collections::BTreeSet::new();
    for name in names {
        if name.is_empty() || name.contains(['/', '{', '}']) || !seen.insert(name) {
            return Err(HeaderError::Name { what, name: name.to_owned() });
        }
    }
    Ok(())
}

/// `info.json` of a dataset that holds runs with this header, without its totals.
pub(super) fn info_of(header: &Header) -> Result<Info, HeaderError> {
    let rate_hz = header.dataset_rate_hz;
    if !is_frame_rate(rate_hz) {
        return Err(HeaderError::Rate { rate_hz });
    }
    if header.joints.is_empty() {
        return Err(HeaderError::NoJoints { run: header.run.clone() });
    }
    check_names("joint", header.joints.iter().map(|joint| joint.name.as_str()))?;
    let names = header.joints.iter().map(|joint| joint.name.as_str());
    check_names("sensor", names.chain(header.sensors.iter().map(|it| it.name.as_str())))?;
    check_names("camera", header.cameras.iter().map(|camera| camera.name.as_str()))?;
    let joints = header.joints.len();
    let positions: Value =
        header.joints.iter().map(|joint| json!(format!("{}.pos", joint.name))).collect();
    let names: Value = header.joints.iter().map(|joint| json!(joint.name)).collect();
    let mut features = vec![
        Feature::new(STATE, "float32", &[joints], positions.clone()),
        Feature::new(ACTION, "float32", &[joints], positions.clone()),
    ];
    for camera in &header.cameras {
        if camera.width == 0 || camera.height == 0 {
            let (width, height) = (camera.width, camera.height);
            return Err(HeaderError::Size { camera: camera.name.clone(), width, height });
        }
        let shape = [camera.height as usize, camera.width as usize, 3];
        let axes = json!(["height", "width", "channels"]);
        features.push(Feature::new(image(&camera.name), "image", &shape, axes));
    }
    for name in [REQUESTED, LIMITED, MEASURED] {
        features.push(Feature::new(name, "float32", &[joints], positions.clone()));
    }
    if !header.sensors.is_empty() {
        let sensors: Value = header.sensors.iter().map(|sensor| json!(sensor.name)).collect();
        features.push(Feature::new(SENSORS, "float32", &[header.sensors.len()], sensors));
    }
    features.push(Feature::new(TIME, "int64", &[1], Value::Null));
    features.push(Feature::new(MEASURED_NS, "int64", &[joints], names.clone()));
    for camera in &header.cameras {
        features.push(Feature::new(frame_ns(&camera.name), "int64", &[1], Value::Null));
    }
    features.push(Feature::new(CLAMPS, "int64", &[joints], names));
    features.push(Feature::new(ARM_STATE, "int64", &[1], Value::Null));
    features.push(Feature::new("timestamp", "float32", &[1], Value::Null));
    for name in ["frame_index", "episode_index", "index", "task_index"] {
        features.push(Feature::new(name, "int64", &[1], Value::Null));
    }
    let joints = header.joints.iter().map(|joint| (joint.name.clone(), json!(joint.unit)));
    let sensors = header.sensors.iter().map(|sensor| (sensor.name.clone(), json!(sensor.unit)));
    let units: serde_json::Map<String, Value> = joints.chain(sensors).collect();
    let extra = json!({ "format": 1, "units": units });
    Ok(Info::new(rate_hz, header.robot.clone(), features, extra))
}

/// Columns of the data file: every feature, in order.
pub(super) fn fields_of(info: &Info) -> Vec<Field> {
    info.features
        .iter()
        .map(|feature| {
            let kind = match feature.dtype.as_str() {
                "image" => Kind::Image,
                "int64" => Kind::Int64,
                _ => Kind::Float32,
            };
            // One value is a scalar column, as LeRobot expects it.
            let scalar = kind == Kind::Image || feature.shape == [1];
            let shape = if scalar { &[][..] } else { &feature.shape };
            Field::new(&feature.name, kind, shape)
        })
        .collect()
}

/// The `huggingface` metadata from which the `datasets` library takes its column types.
pub(super) fn huggingface(info: &Info) -> String {
    let features: serde_json::Map<String, Value> = info
        .features
        .iter()
        .map(|feature| {
            let value = json!({ "dtype": feature.dtype, "_type": "Value" });
            let kind = match (feature.dtype.as_str(), feature.shape.as_slice()) {
                ("image", _) => json!({ "_type": "Image" }),
                (_, [1]) => value,
                (_, shape) => {
                    json!({ "feature": value, "length": shape.first(), "_type": "List" })
                }
            };
            (feature.name.clone(), kind)
        })
        .collect();
    json!({ "info": { "features": features } }).to_string()
}

/// What keeps two datasets apart: the first difference in rate, robot, features or units.
pub(super) fn difference(existing: &Info, new: &Info) -> Option<String> {
    if existing.fps != new.fps {
        return Some(format!("its frame rate is {}, not {}", existing.fps, new.fps));
    }
    if existing.robot_type != new.robot_type {
        let name = |info: &Info| info.robot_type.clone().unwrap_or_else(|| "unnamed".to_owned());
        return Some(format!("its robot is {}, not {}", name(existing), name(new)));
    }
    for feature in &new.features {
        match existing.feature(&feature.name) {
            None => return Some(format!("it has no feature {}", feature.name)),
            Some(other) if other.dtype != feature.dtype || other.shape != feature.shape => {
                return Some(format!(
                    "its feature {} is {} {:?}, not {} {:?}",
                    feature.name, other.dtype, other.shape, feature.dtype, feature.shape
                ));
            }
            Some(other) if other.names != feature.names => {
                return Some(format!(
                    "its feature {} names {}, not {}",
                    feature.name, other.names, feature.names
                ));
            }
            Some(_) => {}
        }
    }
    for feature in &existing.features {
        if new.feature(&feature.name).is_none() {
            return Some(format!("it has a feature {}, this run has not", feature.name));
        }
    }
    let units = |info: &Info| info.extra.as_ref().and_then(|extra| extra.get("units").cloned());
    if units(existing) != units(new) {
        let text =
            |info: &Info| units(info).map_or_else(|| "unknown".to_owned(), |u| u.to_string());
        return Some(format!("its units are {}, not {}", text(existing), text(new)));
    }
    None
}
