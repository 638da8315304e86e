//! The report of a validation of an arm's dynamics.

use std::path::Path;

use super::causes::{Effects, Kind, direction};
use super::findings::Validation;
use super::motion::Motion;
use super::signals::Signals;
use crate::actuator::html::Page;
use crate::actuator::plots::{Labels, Points, clouds, curves};
use crate::actuator::run::{RunError, write as write_file};

/// Writes `report.html` with its pictures and `validation.json` into `out`.
pub fn write(
    out: &Path,
    validation: &Validation,
    signals: &Signals,
    effects: &Effects<'_>,
    moved: &Motion,
) -> Result<(), RunError> {
    let mut page = Page::new("Validation of an arm's dynamics");
    page.lines(&validation.describe());
    tables(&mut page, validation);
    page.heading("Torques");
    for (index, joint) in validation.joints.iter().enumerate() {
        torque(&mut page, &joint.joint, index, signals);
        difference(&mut page, &joint.joint, index, validation, signals, effects);
    }
    page.heading("Friction");
    for (index, joint) in validation.joints.iter().enumerate() {
        friction(&mut page, &joint.joint, index, validation, signals, effects);
    }
    page.heading("Motion");
    motion(&mut page, validation, moved);
    page.write(out, "report")?;
    // Plain numbers and strings: serialising cannot fail.
    let json = serde_json::to_string_pretty(validation).unwrap_or_default();
    write_file(&out.join("validation.json"), json)
}

fn tables(page: &mut Page, validation: &Validation) {
    let number = |value: f64| format!("{value:.3}");
    let rows: Vec<Vec<String>> = validation
        .joints
        .iter()
        .zip(&validation.causes.left_nm)
        .map(|(joint, left)| {
            vec![
                joint.joint.clone(),
                number(joint.torque.rmse),
                number(joint.max_nm),
                number(joint.bias_nm),
                format!("{:.4}", joint.torque.r2),
                number(*left),
                number(joint.torque_tolerance_nm),
            ]
        })
        .collect();
    page.heading("Measured less predicted torque, N·m");
    page.table(
        &["", "RMSE", "at most", "mean", "R²", "RMSE without the likely causes", "tolerance"],
        &rows,
    );
    let rows: Vec<Vec<String>> = validation
        .joints
        .iter()
        .map(|joint| {
            let it = &joint.correlations;
            let signals = [it.gravity, it.sign_of_velocity, it.velocity, it.acceleration];
            let delay = joint.delay_ms.map_or_else(|| "–".to_owned(), |it| format!("{it:.1} ms"));
            let numbers = signals.map(|it| format!("{it:.2}"));
            [joint.joint.clone()].into_iter().chain(numbers).chain([delay]).collect()
        })
        .collect();
    page.heading("How the difference goes with other signals");
    page.paragraph("Correlation coefficients; and how much later torques were measured than the model with the likely causes has them.");
    page.table(&["", "gravity", "direction of motion", "velocity", "acceleration", "delay"], &rows);
    let rows: Vec<Vec<String>> = validation
        .causes
        .causes
        .iter()
        .map(|it| {
            let likely = if it.likely { "likely" } else { "" };
            vec![
                it.cause.name().to_owned(),
                format!("{:.1} %", 100.0 * it.share),
                likely.to_owned(),
            ]
        })
        .collect();
    page.heading("Causes");
    page.paragraph(&format!(
        "Each after those above it; {:.1} % of the squared difference is left unexplained.",
        100.0 * validation.causes.unexplained
    ));
    page.table(&["", "explains", ""], &rows);
    let rows: Vec<Vec<String>> = validation
        .joints
        .iter()
        .zip(&validation.causes.lacking)
        .map(|(joint, it)| {
            vec![
                joint.joint.clone(),
                number(it.viscous_nm_s_rad),
                number(it.coulomb_nm),
                number(it.offset_nm),
                format!("{:.4}", it.inertia_kg_m2),
            ]
        })
        .collect();
    page.heading("What the model lacks, if the likely causes are right");
    page.table(&["", "viscous, N·m·s/rad", "Coulomb, N·m", "offset, N·m", "inertia, kg·m²"], &rows);
    let rows: Vec<Vec<String>> = validation
        .joints
        .iter()
        .map(|joint| {
            let it = &joint.motion;
            vec![
                joint.joint.clone(),
                number(it.rmse_mrad),
                number(it.max_mrad),
                number(it.coasting_rmse_mrad),
                joint.motion_tolerance_mrad.map_or_else(|| "–".to_owned(), number),
            ]
        })
        .collect();
    page.heading(&format!(
        "Model alone under the measured torques, after {} s each, mrad (mm)",
        validation.window_s
    ));
    page.table(&["", "RMSE", "at most", "RMSE at constant velocity", "tolerance"], &rows);
}

fn points(signals: &Signals, values: &[f64]) -> Points {
    signals.time.iter().copied().zip(values.iter().copied()).collect()
}

fn torque(page: &mut Page, name: &str, joint: usize, signals: &Signals) {
    let labels = Labels {
        name: &format!("torque-{name}"),
        title: format!("Torque of {name}"),
        x: "time, s",
        y: "N·m",
        caption: String::new(),
    };
    let shown = [
        ("measured", points(signals, &signals.effort[joint])),
        ("model", points(signals, &signals.model[joint])),
    ];
    page.picture(curves(labels, &shown, false));
}

/// The difference, and what the likely causes make of it.
fn difference(
    page: &mut Page,
    name: &str,
    joint: usize,
    validation: &Validation,
    signals: &Signals,
    effects: &Effects<'_>,
) {
    let causes = &validation.causes;
    let labels = Labels {
        name: &format!("difference-{name}"),
        title: format!("Measured less predicted torque of {name}"),
        x: "time, s",
        y: "N·m",
        caption: String::new(),
    };
    let mut shown = vec![("difference", points(signals, &signals.residual(joint)))];
    for cause in causes.causes.iter().filter(|cause| cause.likely) {
        let part = effects.part(&causes.fit, cause.cause, joint);
        shown.push((cause.cause.name(), points(signals, &part)));
    }
    page.picture(curves(labels, &shown, false));
}

/// The difference over velocity, once the other likely causes are taken off it.
fn friction(
    page: &mut Page,
    name: &str,
    joint: usize,
    validation: &Validation,
    signals: &Signals,
    effects: &Effects<'_>,
) {
    let causes = &validation.causes;
    let mut rest = signals.residual(joint);
    for kind in [Kind::Payload, Kind::Offset, Kind::Inertia, Kind::Delay] {
        let part = effects.part(&causes.fit, kind, joint);
        rest.iter_mut().zip(part).for_each(|(rest, part)| *rest -= part);
    }
    let velocity = &signals.velocity[joint];
    let cloud: Points = velocity.iter().copied().zip(rest).collect();
    let most = velocity.iter().fold(0.0_f64, |most, it| most.max(it.abs()));
    let lacks = causes.lacking[joint];
    let fitted: Points = (-100..=100)
        .map(|step| {
            let v = most * f64::from(step) / 100.0;
            (v, lacks.viscous_nm_s_rad * v + lacks.coulomb_nm * direction(v))
        })
        .collect();
    let labels = Labels {
        name: &format!("friction-{name}"),
        title: format!("Difference of {name} over velocity, without the other likely causes"),
        x: "velocity, rad/s",
        y: "N·m",
        caption: String::new(),
    };
    page.picture(clouds(labels, &[("difference", cloud)], &[("fitted friction", fitted)]));
}

fn motion(page: &mut Page, validation: &Validation, moved: &Motion) {
    let shown: Vec<(&str, Points)> = validation
        .joints
        .iter()
        .enumerate()
        .map(|(index, joint)| {
            let error = moved.error[index].iter().map(|error| 1e3 * error);
            (joint.joint.as_str(), moved.time.iter().copied().zip(error).collect())
        })
        .collect();
    let labels = Labels {
        name: "motion",
        title: format!("Model less arm after {} s under the measured torques", validation.window_s),
        x: "time, s",
        y: "mrad (mm)",
        caption: String::new(),
    };
    page.picture(curves(labels, &shown, false));
}
