//! What a validation found, in numbers and in words.

use std::fmt::Write as _;
use std::path::PathBuf;

use serde::Serialize;

use super::causes::{Causes, Effects, Kind, Lacking, direction};
use super::motion::Motion;
use super::signals::Signals;
use crate::actuator::metrics::Metrics;

/// Farthest that torques are shifted against each other, s…
const LONGEST_LAG_S: f64 = 0.05;
/// … and samples.
const FEWEST_LAGS: usize = 5;

/// How the difference of a joint's torque (measured less predicted) goes with other signals: Pearson's
/// coefficients, 0 where something is constant.
#[derive(Clone, Copy, Debug, Serialize)]
pub struct Correlations {
    pub gravity: f64,
    pub sign_of_velocity: f64,
    pub velocity: f64,
    pub acceleration: f64,
}

/// How far the model was after a window.
#[derive(Clone, Copy, Debug, Serialize)]
pub struct MotionFindings {
    pub windows: usize,
    pub rmse_mrad: f64,
    pub max_mrad: f64,
    /// The same of a motion at constant velocity.
    pub coasting_rmse_mrad: f64,
}

/// One joint.
#[derive(Clone, Debug, Serialize)]
pub struct JointFindings {
    pub joint: String,
    /// Predicted against measured, in N·m (N).
    pub torque: Metrics,
    pub max_nm: f64,
    /// Mean of measured less predicted.
    pub bias_nm: f64,
    pub correlations: Correlations,
    /// How much later torques were measured than the model with the likely causes has them, by the
    /// cross-correlation of the two; none where it has its maximum at an end.
    pub delay_ms: Option<f64>,
    pub motion: MotionFindings,
    pub torque_tolerance_nm: f64,
    pub motion_tolerance_mrad: Option<f64>,
    pub inside: bool,
}

/// Everything.
#[derive(Clone, Debug, Serialize)]
pub struct Validation {
    pub episode: PathBuf,
    pub robot: String,
    pub arm: String,
    /// Whether the model has friction.
    pub friction: bool,
    pub rate_hz: f64,
    pub cutoff_hz: f64,
    pub seconds: f64,
    pub gaps: usize,
    pub window_s: f64,
    pub inside: bool,
    pub joints: Vec<JointFindings>,
    #[serde(flatten)]
    pub causes: Causes,
}

/// Judges joint `joint`. `tolerances` are those of its torque in N·m and of its motion in mrad.
pub fn joint(
    name: &str,
    joint: usize,
    signals: &Signals,
    effects: &Effects<'_>,
    causes: &Causes,
    moved: &Motion,
    tolerances: (f64, Option<f64>),
) -> JointFindings {
    let residual = signals.residual(joint);
    let torque = Metrics::of(&signals.model[joint], &signals.effort[joint]);
    let velocity = &signals.velocity[joint];
    let directions: Vec<f64> = velocity.iter().map(|velocity| direction(*velocity)).collect();
    let correlations = Correlations {
        gravity: correlation(&residual, &signals.gravity[joint]),
        sign_of_velocity: correlation(&residual, &directions),
        velocity: correlation(&residual, velocity),
        acceleration: correlation(&residual, &signals.acceleration[joint]),
    };
    let explained = effects.explained(&causes.fit, joint);
    let model: Vec<f64> =
        signals.model[joint].iter().zip(&explained).map(|(one, other)| one + other).collect();
    let motion = MotionFindings {
        windows: moved.time.len(),
        rmse_mrad: 1e3 * root_mean_square(&moved.error[joint]),
        max_mrad: 1e3 * largest(&moved.error[joint]),
        coasting_rmse_mrad: 1e3 * root_mean_square(&moved.coasting[joint]),
    };
    let (torque_tolerance_nm, motion_tolerance_mrad) = tolerances;
    let inside = torque.rmse <= torque_tolerance_nm
        && motion_tolerance_mrad.is_none_or(|most| motion.rmse_mrad <= most);
    JointFindings {
        joint: name.to_owned(),
        torque,
        max_nm: largest(&residual),
        bias_nm: mean(&residual),
        correlations,
        delay_ms: delay(signals, &signals.effort[joint], &model).map(|delay| 1e3 * delay),
        motion,
        torque_tolerance_nm,
        motion_tolerance_mrad,
        inside,
    }
}

fn mean(values: &[f64]) -> f64 {
    values.iter().sum::<f64>() / values.len().max(1) as f64
}

fn root_mean_square(values: &[f64]) -> f64 {
    (values.iter().map(|value| value * value).sum::<f64>() / values.len().max(1) as f64).sqrt()
}

fn largest(values: &[f64]) -> f64 {
    values.iter().fold(0.0, |most, value| most.max(value.abs()))
}

fn correlation(one: &[f64], other: &[f64]) -> f64 {
    let (first, second) = (mean(one), mean(other));
    let (mut both, mut squares) = (0.0, [0.0; 2]);
    for (one, other) in one.iter().zip(other) {
        let (one, other) = (one - first, other - second);
        both += one * other;
        squares[0] += one * one;
        squares[1] += other * other;
    }
    let spread = (squares[0] * squares[1]).sqrt();
    if spread > 1e-12 { both / spread } else { 0.0 }
}

/// By how many seconds `measured` is later than `model`: where their correlation is largest, between
/// samples by a parabola through the three around it.
fn delay(signals: &Signals, measured: &[f64], model: &[f64]) -> Option<f64> {
    let lags = ((LONGEST_LAG_S * signals.rate_hz).round() as usize).max(FEWEST_LAGS);
    let stretches = signals.stretches();
    let at = |shift: usize| {
        // Negative lags first.
        let lag = shift as isize - lags as isize;
        let (mut one, mut other) = (Vec::new(), Vec::new());
        for stretch in stretches.iter().filter(|stretch| stretch.len() > 2 * lags) {
            let core = stretch.start + lags..stretch.end - lags;
            one.extend(core.clone().map(|sample| measured[sample.wrapping_add_signed(lag)]));
            other.extend_from_slice(&model[core]);
        }
        correlation(&one, &other)
    };
    let found: Vec<f64> = (0..=2 * lags).map(at).collect();
    let best = (0..found.len()).max_by(|one, other| found[*one].total_cmp(&found[*other]))?;
    let (before, after) = (found.get(best.checked_sub(1)?)?, found.get(best + 1)?);
    let bend = before - 2.0 * found[best] + after;
    if bend >= 0.0 {
        return None;
    }
    let between = 0.5 * (before - after) / bend;
    Some((best as f64 - lags as f64 + between) / signals.rate_hz)
}

impl Validation {
    /// For a terminal.
    pub fn describe(&self) -> String {
        let mut text = String::new();
        let friction = if self.friction { "with friction" } else { "without friction" };
        let _ = writeln!(
            text,
            "{} against {} {friction}: {:.1} s at {:.0} Hz, below {} Hz{}",
            self.episode.display(),
            self.arm,
            self.seconds,
            self.rate_hz,
            self.cutoff_hz,
            if self.gaps > 0 { format!(", {} gaps left out", self.gaps) } else { String::new() }
        );
        let width = self.joints.iter().map(|it| it.joint.len()).max().unwrap_or_default();
        for joint in &self.joints {
            let JointFindings { torque, motion, .. } = joint;
            let word = if joint.inside { "inside" } else { "OUTSIDE" };
            let _ = writeln!(
                text,
                "{:width$}  torque RMSE {:.3} N·m, at most {:.2}, bias {:+.3}, R² {:.4}   after {} s {:.2} mrad   {word} {} N·m{}",
                joint.joint,
                torque.rmse,
                joint.max_nm,
                joint.bias_nm,
                torque.r2,
                self.window_s,
                motion.rmse_mrad,
                joint.torque_tolerance_nm,
                joint.motion_tolerance_mrad.map_or_else(String::new, |it| format!(", {it} mrad")),
            );
        }
        let _ = write!(text, "{}", self.verdict().join("\n"));
        text
    }

    /// What the difference is likely due to, one sentence each.
    pub fn verdict(&self) -> Vec<String> {
        let causes = &self.causes;
        let share = |share: f64| format!("{:.0} % of the squared difference", 100.0 * share);
        let mut lines: Vec<String> = causes
            .causes
            .iter()
            .filter(|cause| cause.likely)
            .map(|cause| {
                format!("{}: {}", cause.cause.name(), self.words(cause.cause, &share(cause.share)))
            })
            .collect();
        if lines.is_empty() {
            lines.push(format!(
                "no single cause: payload, friction, offsets, inertia and a delay together explain {:.0} % of the squared difference",
                100.0 * (1.0 - causes.unexplained)
            ));
        }
        let outside: Vec<&str> = self
            .joints
            .iter()
            .filter(|joint| !joint.inside)
            .map(|joint| joint.joint.as_str())
            .collect();
        let head = if outside.is_empty() {
            "The model is inside the tolerances. What is left comes likely from".to_owned()
        } else {
            format!("The model is OUTSIDE the tolerances ({}). Likely", outside.join(", "))
        };
        lines[0] = format!("{head}\n  {}", lines[0]);
        lines[1..].iter_mut().for_each(|line| line.insert_str(0, "  "));
        lines
    }

    fn words(&self, kind: Kind, share: &str) -> String {
        let causes = &self.causes;
        let each = |of: &dyn Fn(&Lacking) -> String| -> String {
            let joints = self.joints.iter().zip(&causes.lacking);
            let of = joints.map(|(joint, lacks)| format!("{} {}", joint.joint, of(lacks)));
            of.collect::<Vec<_>>().join(", ")
        };
        match kind {
            Kind::Payload => {
                let mass = causes.payload.mass_kg;
                let word = if mass < 0.0 { "less" } else { "more" };
                let centre = causes.payload.centre_m.map_or_else(String::new, |[x, y, z]| {
                    format!(", centre at ({x:.3}, {y:.3}, {z:.3}) m in the frame of the tool")
                });
                format!(
                    "{share}; the tool carries {:.3} kg {word} than the model{centre}",
                    mass.abs()
                )
            }
            Kind::Friction => format!(
                "{share}; beyond the model, viscous N·m·s/rad and Coulomb N·m: {}",
                each(&|it| format!("{:.3} and {:.3}", it.viscous_nm_s_rad, it.coulomb_nm))
            ),
            Kind::Offset => format!(
                "{share}; torques are measured with offsets, N·m: {}",
                each(&|it| format!("{:.3}", it.offset_nm))
            ),
            Kind::Inertia => format!(
                "{share}; each joint feels more than the model's inertia by, kg·m²: {}",
                each(&|it| format!("{:.4}", it.inertia_kg_m2))
            ),
            Kind::Delay => {
                let late = if causes.delay_s < 0.0 { "earlier" } else { "later" };
                format!(
                    "torques are measured {:.1} ms {late} than motions ({share})",
                    1e3 * causes.delay_s.abs()
                )
            }
        }
    }
}
