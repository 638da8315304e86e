//! The report of a validation.

use super::Validation;
use super::closed_loop::Simulated;
use crate::actuator::evaluation::Stream;
use crate::actuator::html::Page;
use crate::actuator::plots::{Labels, Points, curves};
use crate::actuator::run::{RunError, write as write_file};
use crate::actuator::series::Series;
use std::path::Path;

/// How much of it the closer pictures show, from its middle, in s.
const CLOSE_S: f64 = 3.0;

/// Writes `report.html` with its pictures and `validation.json` into `out`.
pub fn write(
    out: &Path,
    validation: &Validation,
    series: &Series,
    open: &Stream,
    simulated: &Simulated,
    warnings: &[String],
) -> Result<(), RunError> {
    let mut page = Page::new("Validation of an actuator model");
    let verdict = if validation.inside { "inside" } else { "outside" };
    page.paragraph(&format!(
        "{} against {}: {:.1} s at {:.0} Hz with {} kg·m². The model is {verdict} the tolerances.",
        validation.model.display(),
        validation.recording.display(),
        validation.seconds,
        validation.rate_hz,
        validation.inertia_kg_m2
    ));
    warnings.iter().for_each(|warning| page.warning(warning));
    table(&mut page, validation);
    let seconds = |sample: usize| sample as f64 / series.rate_hz;
    let points = |values: &[f64], factor: f64| -> Points {
        values.iter().enumerate().map(|(at, value)| (seconds(at), value * factor)).collect()
    };
    let degrees = 180.0 / std::f64::consts::PI;
    let middle = seconds(series.len()) / 2.0;
    let close = |points: &Points| -> Points {
        let near = |(time, _): &&(f64, f64)| (time - middle).abs() <= CLOSE_S / 2.0;
        points.iter().filter(near).copied().collect()
    };
    let torque = [
        ("measured", points(&series.torque, 1.0)),
        ("model, measured states", points(&open.torque, 1.0)),
    ];
    let angle = [
        ("measured", points(&series.position, degrees)),
        ("model, closed loop", points(&simulated.position, degrees)),
        ("target", points(&series.target, degrees)),
    ];
    for (curves_of, name, title, unit) in [
        (&torque[..], "torque", "Torque with measured states", "N·m"),
        (&angle[..], "angle", "Angle of a load that the model alone turns", "degrees"),
    ] {
        let near: Vec<(&str, Points)> =
            curves_of.iter().map(|(name, points)| (*name, close(points))).collect();
        for (name, title, shown) in [
            (name.to_owned(), title.to_owned(), curves_of),
            (format!("{name}-close"), format!("{title}, {CLOSE_S} s of it"), &near[..]),
        ] {
            let labels =
                Labels { name: &name, title, x: "time, s", y: unit, caption: String::new() };
            page.picture(curves(labels, shown, false));
        }
    }
    let difference = series.position.iter().zip(&simulated.position);
    let difference: Vec<f64> = difference.map(|(one, other)| other - one).collect();
    let labels = Labels {
        name: "angle-error",
        title: "Angle in closed loop less the measured one".to_owned(),
        x: "time, s",
        y: "degrees",
        caption: String::new(),
    };
    page.picture(curves(labels, &[("difference", points(&difference, degrees))], false));
    page.write(out, "report")?;
    // Plain numbers and strings: serialising cannot fail.
    let json = serde_json::to_string_pretty(validation).unwrap_or_default();
    write_file(&out.join("validation.json"), json)
}

fn table(page: &mut Page, validation: &Validation) {
    let Validation { torque, angle, target, .. } = validation;
    let row = |what: &str, rmse: String, most: String, r2: f64, tolerance: String| {
        vec![what.to_owned(), rmse, most, format!("{r2:.4}"), tolerance]
    };
    let rows = [
        row(
            "torque with measured states",
            format!("{:.4} N·m", torque.rmse),
            "–".to_owned(),
            torque.r2,
            format!("{} N·m", validation.torque_tolerance_nm),
        ),
        row(
            "angle in closed loop",
            format!("{:.3}°", angle.rmse),
            format!("{:.2}°", validation.angle_max_deg),
            angle.r2,
            format!("{}°", validation.angle_tolerance_deg),
        ),
        row(
            "the target itself",
            format!("{:.3}°", target.rmse),
            "–".to_owned(),
            target.r2,
            "–".into(),
        ),
    ];
    page.table(&["", "RMSE", "at most", "R²", "tolerance"], &rows);
}
