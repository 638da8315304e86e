//! Paths of the tool: circles and spirals, solved into a motion of the joints before the run.
//!
//! Joint positions are found at points that are close in time, each from the one before, and joined by a
//! cubic spline that begins and ends at rest: speed and acceleration have no jumps. Round the path goes as
//! in CLASSIFY's and RoboMorph's data (arXiv 2409.11815): `x0 + r sin φ, y0 + r cos φ` for the vertical
//! spiral, `y0 + r sin φ, z0 + r cos φ` for circle and horizontal spiral.

use std::f64::consts::TAU;

use sinew_firmware_interfaces::{JointKind, MAX_JOINTS, RobotDescription};
use sinew_simulation::arms::NamedArmError;
use sinew_simulation::dynamics::{Chain, IkSettings, JointLimits as Range, Joints, Pose};
use sinew_simulation::kinematics::Transform;

use super::several::peaks;
use crate::config::{ExcitationConfig, SignalConfig};
use crate::cycle::CycleSettings;
use crate::limits::JointLimits;

/// Time between the points that are solved, s.
const KNOT_S: f64 = 0.02;
/// How long the way along the path takes to begin and to end, s; a tenth of it where it is short.
const SOFT_S: f64 = 1.0;
/// Where a spiral begins, m below (behind) the pose.
const BEGIN_M: f64 = -0.1;
/// Least singular value of the Jacobian (m and rad alike) at which a path is followed.
const LEAST_SINGULAR: f64 = 0.03;

/// Why a path cannot be followed.
#[derive(Debug, thiserror::Error)]
pub enum PathError {
    /// No such arm, or not this robot's.
    #[error(transparent)]
    Arm(#[from] NamedArmError),
    /// Too few joints to hold an orientation.
    #[error(
        "a path of the tool needs an arm of 6 or 7 joints that turn, and the robot has {joints}"
    )]
    Joints {
        /// Joints that turn.
        joints: usize,
    },
    /// A point that the arm does not reach inside its limits.
    #[error(
        "at {seconds:.2} s of it the tool should be at ({x:.3}, {y:.3}, {z:.3}) m and comes no nearer than {distance_mm:.1} mm and {angle_mrad:.1} mrad inside the joints' limits. Choose another excitation.pose, or a smaller path (radius_m, travel_m)"
    )]
    Unreachable {
        /// Time along the path.
        seconds: f64,
        /// The point, m.
        x: f64,
        /// The point, m.
        y: f64,
        /// The point, m.
        z: f64,
        /// What is left.
        distance_mm: f64,
        /// What is left.
        angle_mrad: f64,
    },
    /// A point at which the arm loses a direction.
    #[error(
        "at {seconds:.2} s of it, with the tool at ({x:.3}, {y:.3}, {z:.3}) m, the arm is nearly singular (least singular value of the Jacobian {least:.3}, allowed {LEAST_SINGULAR} and more): small motions of the tool need large ones of the joints. Choose another excitation.pose, or a smaller path (radius_m, travel_m)"
    )]
    Singular {
        /// Time along the path.
        seconds: f64,
        /// The point, m.
        x: f64,
        /// The point, m.
        y: f64,
        /// The point, m.
        z: f64,
        /// The value.
        least: f64,
    },
    /// Faster than a joint may be.
    #[error(
        "it needs {needed:.3} {unit} of {joint}, and the target generator may use {allowed:.3} (limits.{joint} with target.fraction). Lengthen period_s and duration_s, or lower radius_m"
    )]
    Fast {
        /// The joint.
        joint: String,
        /// What is needed.
        needed: f64,
        /// What there is.
        allowed: f64,
        /// rad/s, rad/s² or rad/s³.
        unit: &'static str,
    },
}

/// The positions of `signal`, one per cycle, of the joints that turn; the others stay as in `from`.
pub(super) fn positions(
    signal: &SignalConfig,
    said: &ExcitationConfig,
    robot: &RobotDescription,
    settings: &CycleSettings,
    from: &[f64; MAX_JOINTS],
) -> Result<Vec<[f64; MAX_JOINTS]>, PathError> {
    let joints = robot.joints.iter().enumerate().take(MAX_JOINTS);
    let turning: Vec<usize> = joints
        .filter(|(_, joint)| joint.kind == JointKind::Revolute)
        .map(|(index, _)| index)
        .collect();
    match turning.len() {
        6 => follow::<6>(signal, said, robot, settings, from, &turning),
        7 => follow::<7>(signal, said, robot, settings, from, &turning),
        joints => Err(PathError::Joints { joints }),
    }
}

fn follow<const N: usize>(
    signal: &SignalConfig,
    said: &ExcitationConfig,
    robot: &RobotDescription,
    settings: &CycleSettings,
    from: &[f64; MAX_JOINTS],
    turning: &[usize],
) -> Result<Vec<[f64; MAX_JOINTS]>, PathError> {
    let name = |at: usize| robot.joints[turning[at]].name.as_str();
    let arm = said.arm.as_ref().map(|arm| arm.display().to_string()).unwrap_or_default();
    let limits: [&JointLimits; N] = std::array::from_fn(|at| &settings.limits[turning[at]]);
    let tool = Transform { translation: said.tool_m, ..Transform::IDENTITY };
    let chain = Chain::<N>::named(&arm, said.tip.as_deref(), &std::array::from_fn(name))?
        .with_tool(&tool)
        .with_limits(limits.map(|limits| Range::range(limits.position[0], limits.position[1])));
    let pose = |at: usize| {
        let said = said.pose.get(name(at)).copied();
        said.unwrap_or(settings.rest[turning[at]])
    };
    let start = Joints::<N>::from_fn(|at, _| pose(at));
    let knots = solve(signal, &chain, &start)?;

    let period = settings.period.as_secs_f64();
    let steps = (signal.duration_s() / period).round() as usize;
    let mut positions = vec![*from; steps];
    let distance = signal.duration_s() / (knots.len() - 1) as f64;
    for at in 0..N {
        let values: Vec<f64> = knots.iter().map(|knot| knot[at]).collect();
        let spline = Spline::new(values, distance);
        let of = |(step, position): (usize, &mut [f64; MAX_JOINTS])| {
            let value = spline.at(step as f64 * period);
            position[turning[at]] = value;
            value
        };
        let played: Vec<f64> = positions.iter_mut().enumerate().map(of).collect();
        let slowed = limits[at].slowed(settings.generator.unwrap_or(1.0));
        let allowed = [slowed.max_velocity, slowed.max_acceleration, slowed.max_jerk];
        let units = ["rad/s", "rad/s²", "rad/s³"];
        for ((needed, allowed), unit) in peaks(&played, period).into_iter().zip(allowed).zip(units)
        {
            if needed > allowed {
                return Err(PathError::Fast { joint: name(at).to_owned(), needed, allowed, unit });
            }
        }
    }
    Ok(positions)
}

/// Joint positions along the path, evenly spaced in time.
fn solve<const N: usize>(
    signal: &SignalConfig,
    chain: &Chain<N>,
    start: &Joints<N>,
) -> Result<Vec<Joints<N>>, PathError> {
    let middle = chain.at(start).tool();
    let duration = signal.duration_s();
    let count = (duration / KNOT_S).ceil().max(8.0) as usize;
    let settings =
        IkSettings { position_tolerance: 1e-9, rotation_tolerance: 1e-9, ..IkSettings::default() };
    let mut knots: Vec<Joints<N>> = Vec::with_capacity(count + 1);
    let mut seed = *start;
    regular(chain, start, 0.0)?;
    for index in 0..=count {
        let seconds = duration * index as f64 / count as f64;
        let mut target: Pose = middle;
        let [dx, dy, dz] = offset(signal, along(seconds, duration), along(duration, duration));
        target.translation.vector.x += dx;
        target.translation.vector.y += dy;
        target.translation.vector.z += dz;
        let point = target.translation.vector;
        let found =
            chain.inverse(&target, &seed, &settings).map_err(|error| PathError::Unreachable {
                seconds,
                x: point.x,
                y: point.y,
                z: point.z,
                distance_mm: 1e3 * error.distance,
                angle_mrad: 1e3 * error.angle,
            })?;
        regular(chain, &found, seconds)?;
        knots.push(found);
        seed = found;
    }
    Ok(knots)
}

/// Whether the tool can be moved from `positions` into all directions.
fn regular<const N: usize>(
    chain: &Chain<N>,
    positions: &Joints<N>,
    seconds: f64,
) -> Result<(), PathError> {
    let state = chain.at(positions);
    let jacobian = state.jacobian();
    let least = (jacobian * jacobian.transpose()).symmetric_eigenvalues().min().max(0.0).sqrt();
    let point = state.tool().translation.vector;
    let (x, y, z) = (point.x, point.y, point.z);
    if least < LEAST_SINGULAR {
        Err(PathError::Singular { seconds, x, y, z, least })
    } else {
        Ok(())
    }
}

/// How far along the path the tool is at `time`, in s of an even pace: it sets out and arrives softly.
fn along(time: f64, duration: f64) -> f64 {
    let soft = SOFT_S.min(duration / 10.0);
    // The integral of `way::eased`.
    let begun = |x: f64| x.powi(4) * (2.5 + x * (x - 3.0));
    if time < soft {
        soft * begun(time / soft)
    } else if time > duration - soft {
        duration - soft - soft * begun((duration - time) / soft)
    } else {
        time - 0.5 * soft
    }
}

/// Where the tool is from the middle, m, after `gone` s of `whole`.
fn offset(signal: &SignalConfig, gone: f64, whole: f64) -> [f64; 3] {
    let turn = |radius: &Option<f64>, period: &Option<f64>| {
        // Drawn when the configuration was loaded.
        let (radius, period) = (radius.unwrap_or_default(), period.unwrap_or(1.0));
        let (sine, cosine) = (TAU * gone / period).sin_cos();
        [radius * sine, radius * cosine]
    };
    let share = gone / whole;
    match signal {
        SignalConfig::Circle { radius_m, period_s, .. } => {
            let [y, z] = turn(radius_m, period_s);
            [0.0, y, z]
        }
        SignalConfig::VerticalSpiral { radius_m, period_s, travel_m, .. } => {
            let [x, y] = turn(radius_m, period_s);
            [x, y, BEGIN_M + travel_m.unwrap_or_default() * share]
        }
        SignalConfig::HorizontalSpiral { radius_m, period_s, travel_m, .. } => {
            let [y, z] = turn(radius_m, period_s);
            [BEGIN_M + travel_m.unwrap_or_default() * share, y, z]
        }
        _ => [0.0; 3],
    }
}

/// A cubic spline through evenly spaced values, at rest at both ends.
struct Spline {
    values: Vec<f64>,
    slopes: Vec<f64>,
    distance: f64,
}

impl Spline {
    /// At least two values.
    fn new(values: Vec<f64>, distance: f64) -> Self {
        let last = values.len() - 1;
        // s[i-1] + 4 s[i] + s[i+1] = 3 (v[i+1] - v[i-1]) / h between slopes of 0: from the left, then back.
        let mut slopes = vec![0.0; values.len()];
        let mut factors = vec![0.0; values.len()];
        for i in 1..last {
            let divisor = 4.0 - factors[i - 1];
            factors[i] = 1.0 / divisor;
            slopes[i] =
                (3.0 * (values[i + 1] - values[i - 1]) / distance - slopes[i - 1]) / divisor;
        }
        for i in (1..last).rev() {
            slopes[i] -= factors[i] * slopes[i + 1];
        }
        Self { values, slopes, distance }
    }

    fn at(&self, time: f64) -> f64 {
        let place = time / self.distance;
        let i = (place as usize).min(self.values.len() - 2);
        let t = place - i as f64;
        let (from, to) = (self.values[i], self.values[i + 1]);
        let [leaves, arrives] = [i, i + 1].map(|i| self.slopes[i] * self.distance);
        let s = 1.0 - t;
        s * s * ((1.0 + 2.0 * t) * from + t * leaves) + t * t * ((3.0 - 2.0 * t) * to - s * arrives)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_spline_goes_through_its_values_without_a_jump_in_acceleration() {
        let wave = |time: f64| (1.0 - (TAU * time).cos()) * 0.5;
        let values: Vec<f64> = (0..=50).map(|i| wave(f64::from(i) * 0.02)).collect();
        let spline = Spline::new(values, 0.02);
        let played: Vec<f64> = (0..=1000).map(|i| spline.at(f64::from(i) * 1e-3)).collect();
        for (step, value) in played.iter().enumerate() {
            assert!((value - wave(step as f64 * 1e-3)).abs() < 1e-6, "{step}: {value}");
        }
        let [speed, acceleration, jerk] = peaks(&played, 1e-3);
        assert!((speed - 0.5 * TAU).abs() < 1e-2, "{speed}");
        assert!((acceleration - 0.5 * TAU * TAU).abs() < 0.1, "{acceleration}");
        assert!(jerk < 1.2 * 0.5 * TAU.powi(3), "{jerk}");
    }

    #[test]
    fn the_way_along_a_path_begins_and_ends_at_rest() {
        let times: Vec<f64> = (0..=1000).map(|step| along(f64::from(step) * 1e-2, 10.0)).collect();
        let [speed, acceleration, _] = peaks(&times, 1e-2);
        assert!((speed - 1.0).abs() < 1e-9 && acceleration < 2.0, "{speed} {acceleration}");
        assert_eq!((times[0], times[1000]), (0.0, 9.0));
        assert!(times[1] < 1e-6 && times[1000] - times[999] < 1e-6);
    }
}
