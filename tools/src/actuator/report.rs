//! The report of a run: one HTML file with pictures, tables, and all models side by side.

use super::evaluation::{
    DC_MOTOR, Evaluation, EvaluationError, FITTED, MLP, NETWORK, PD, STREAMED,
};
use super::folds::Fold;
use super::html::Page;
use super::metrics::Metrics;
use super::physics::Physics;
use super::pictures::{self, Shown};
use super::plots::{Labels, Points, curves};
use super::run::{Run, RunError};
use super::summary::average;
use sinew_models::actuators::{ActuatorModel, JointInput};
use std::path::{Path, PathBuf};

/// Step of the target in the step response, rad.
const STEP_RAD: f64 = 0.5;

/// Writes `report.html` and the PNGs into `out`.
pub fn report(run: &Run, out: &Path) -> Result<PathBuf, RunError> {
    let evaluations = run.evaluate()?;
    let mut page = Page::new(&format!("Actuator model {}", run.trained.settings.name));
    page.paragraph(&format!(
        "{} files, {:.1} Hz, windows of {} samples; run {}; data sha256 {}",
        run.dataset.series.len(),
        run.dataset.rate_hz,
        super::dataset::window_steps(run.trained.settings.windows.duration_s, run.dataset.rate_hz),
        run.trained.folder.display(),
        run.dataset.sha256()
    ));
    for line in run.dataset.skipped.iter().chain(&run.dataset.warnings) {
        page.warning(line);
    }
    if evaluations.len() > 1 {
        page.heading("Average over folds");
        let rows = evaluations[0].models.iter();
        let rows = rows.map(|model| row(&model.name, &average(&evaluations, &model.name), None));
        page.table(HEADER, &rows.collect::<Vec<_>>());
    }
    for (fold, evaluation) in run.trained.folds().iter().zip(&evaluations) {
        section(run, fold, evaluation, &mut page)?;
    }
    page.write(out, "report")
}

const HEADER: &[&str] = &["model", "RMSE, N·m", "MAE, N·m", "R²", "step, µs"];

fn row(name: &str, metrics: &Metrics, step_us: Option<f64>) -> Vec<String> {
    vec![
        name.to_owned(),
        format!("{:.5}", metrics.rmse),
        format!("{:.5}", metrics.mae),
        format!("{:.4}", metrics.r2),
        step_us.map_or_else(|| "–".to_owned(), |step| format!("{step:.2}")),
    ]
}

fn section(
    run: &Run,
    fold: &Fold,
    evaluation: &Evaluation,
    page: &mut Page,
) -> Result<(), RunError> {
    let suffix = fold.suffix();
    page.heading(&fold.id.as_ref().map_or_else(
        || format!("{} test windows", evaluation.test_windows),
        |id| format!("Without {id}, tested on {id}"),
    ));
    page.paragraph(&format!(
        "Split: {}. Windows: {} to learn from, {} to choose the checkpoint, {} to test.",
        evaluation.split,
        evaluation.train_windows,
        evaluation.validation_windows,
        evaluation.test_windows
    ));
    if let Some(leak) = &evaluation.leak {
        page.warning(leak);
    }
    let rows = evaluation.models.iter().map(|it| row(&it.name, &it.all, it.step_us));
    page.table(HEADER, &rows.collect::<Vec<_>>());
    if let Some(pd) = evaluation.fitted {
        page.paragraph(&format!(
            "Fitted PD control: {:.4} N·m/rad, {:.5} N·m·s/rad. “{NETWORK}” begins every window with a \
             state of zeros; “{STREAMED}” is stepped through whole files, \
             and measured in their test parts alone. Times are of one joint on this computer, in this build.",
            pd.stiffness_nm_per_rad, pd.damping_nm_s_per_rad
        ));
    }
    groups(run, evaluation, page);
    page.picture(pictures::history(&run.trained, fold, &suffix)?);
    page.picture(pictures::scatter(evaluation, &suffix));
    for shown in Shown::of_groups(run, evaluation) {
        for picture in [
            shown.time_series(&suffix),
            shown.parts(&suffix),
            shown.plane(&suffix),
            shown.frequencies(&suffix),
        ] {
            page.picture(picture);
        }
    }
    step_response(run, fold, evaluation, &suffix, page)
}

fn groups(run: &Run, evaluation: &Evaluation, page: &mut Page) {
    let mut rows = Vec::new();
    for group in &run.dataset.groups {
        for name in [PD, FITTED, DC_MOTOR, MLP, NETWORK, STREAMED] {
            let Some(model) = evaluation.model(name) else { continue };
            let Some(metrics) = model.groups.get(&group.id) else { continue };
            let mut row = row(name, metrics, None);
            row.pop();
            row.insert(0, format!("{} ({} kg·m²)", group.id, group.inertia_kg_m2));
            rows.push(row);
        }
    }
    page.table(&["group", "model", "RMSE, N·m", "MAE, N·m", "R²"], &rows);
}

/// A load on each model, when the target jumps.
fn step_response(
    run: &Run,
    fold: &Fold,
    evaluation: &Evaluation,
    suffix: &str,
    page: &mut Page,
) -> Result<(), RunError> {
    let best = run.trained.best(fold)?;
    let (_, features) = run.windows(fold)?;
    let rate = run.dataset.rate_hz;
    let bundle = super::network::bundle(
        &run.trained.settings.model,
        features.normalization,
        rate,
        &best.parameters,
    );
    let mut network = bundle.model(1, rate).map_err(EvaluationError::from)?;
    let group = fold.left_out.unwrap_or(0);
    let inertia = run.dataset.groups[group].inertia_kg_m2;
    let physics = Physics::of(&run.trained.settings.model);
    let fitted = evaluation.fitted.map(|pd| physics.with(pd));
    let of_network = respond(inertia, rate, &mut |input| step(network.as_mut(), input))?;
    let of_pd =
        respond(
            inertia,
            rate,
            &mut |input| Ok(fitted.map_or(0.0, |fitted| fitted.effort(&input))),
        )?;
    let target = of_pd.iter().map(|(time, _)| (*time, target(*time))).collect();
    page.picture(curves(
        Labels {
            name: &format!("step{suffix}"),
            title: "Step response".to_owned(),
            x: "time, s",
            y: "angle, rad",
            caption: format!(
                "A load of {inertia} kg·m² that each model's torque moves, in closed loop. A jump may lie \
                 outside what the recordings excite."
            ),
        },
        &[("target", target), (FITTED, of_pd), ("GRU", of_network)],
        false,
    ));
    Ok(())
}

fn target(time: f64) -> f64 {
    if time < 0.2 { 0.0 } else { STEP_RAD }
}

fn step(model: &mut dyn ActuatorModel, input: JointInput) -> Result<f64, RunError> {
    let mut effort = [0.0];
    model.step(&[input], &mut effort).map_err(EvaluationError::from)?;
    Ok(effort[0])
}

fn respond(
    inertia: f64,
    rate: f64,
    torque: &mut dyn FnMut(JointInput) -> Result<f64, RunError>,
) -> Result<Points, RunError> {
    let (mut position, mut velocity, dt) = (0.0, 0.0, 1.0 / rate);
    let mut points = Vec::new();
    for sample in 0..(1.5 * rate) as usize {
        let time = sample as f64 * dt;
        points.push((time, position));
        let target_position = target(time);
        let effort =
            torque(JointInput { position, velocity, target_position, target_velocity: 0.0 })?;
        // Held over the period; exact for a constant torque.
        let acceleration = effort / inertia;
        position += velocity * dt + 0.5 * acceleration * dt * dt;
        velocity += acceleration * dt;
        if position.is_nan() || position.abs() >= 1e3 {
            break;
        }
    }
    Ok(points)
}
