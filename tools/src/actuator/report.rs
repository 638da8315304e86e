//! The report of a run: one HTML file with pictures, tables, and all models side by side.

use super::dataset::Series;
use super::evaluation::{
    DC_MOTOR, Evaluation, EvaluationError, FITTED, MLP, NETWORK, PD, STREAMED,
};
use super::folds::Fold;
use super::html::Page;
use super::metrics::Metrics;
use super::physics;
use super::plots::{Labels, Points, clouds, curves};
use super::run::{Run, RunError};
use super::spectrum::Spectrum;
use super::splits::Window;
use super::summary::average;
use sinew_models::actuators::{ActuatorModel, JointInput};
use std::path::{Path, PathBuf};

/// Length of the time series that are drawn.
const SHOWN_S: f64 = 4.0;
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
    let suffix = fold.id.as_ref().map_or_else(String::new, |id| format!("-{id}"));
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
             state of zeros; “{STREAMED}” is stepped through whole files. Times are of one joint on this \
             computer, in this build.",
            pd.stiffness_nm_per_rad, pd.damping_nm_s_per_rad
        ));
    }
    groups(run, evaluation, page);
    history(run, fold, &suffix, page)?;
    scatter(evaluation, &suffix, page);
    if let Some(stream) = evaluation.streams.first() {
        let series = &run.dataset.series[stream.series];
        time_series(run, evaluation, series, &suffix, page);
        plane(run, evaluation, series, &suffix, page);
        frequencies(run, evaluation, series, &suffix, page);
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

fn history(run: &Run, fold: &Fold, suffix: &str, page: &mut Page) -> Result<(), RunError> {
    let sizes = super::network::sizes(&run.trained.settings.model);
    let last = fold.folder.join(super::training::LAST);
    let progress = super::checkpoint::Checkpoint::read(&last, &sizes)?.progress;
    let of = |value: fn(&super::checkpoint::Epoch) -> f64| -> Points {
        progress.history.iter().map(|it| (it.epoch as f64 + 1.0, value(it))).collect()
    };
    page.picture(curves(
        Labels {
            name: &format!("training{suffix}"),
            title: "Training".to_owned(),
            x: "epoch",
            y: "loss; RMSE, N·m",
            caption:
                "Loss of the training windows (normalised) and RMSE of the validation windows."
                    .to_owned(),
        },
        &[("training loss", of(|it| it.train_loss)), ("validation RMSE", of(|it| it.val_rmse))],
        true,
    ));
    Ok(())
}

fn scatter(evaluation: &Evaluation, suffix: &str, page: &mut Page) {
    let points = |name: &str| -> Points {
        let predicted = evaluation.model(name).map(|it| it.predicted.as_slice());
        evaluation
            .measured
            .iter()
            .copied()
            .zip(predicted.unwrap_or_default().iter().copied())
            .collect()
    };
    let most = evaluation.measured.iter().fold(0.0_f64, |most, it| most.max(it.abs()));
    page.picture(clouds(
        Labels {
            name: &format!("scatter{suffix}"),
            title: "Predicted against measured torque".to_owned(),
            x: "measured, N·m",
            y: "predicted, N·m",
            caption: "Last steps of the test windows.".to_owned(),
        },
        &[(FITTED, points(FITTED)), (NETWORK, points(NETWORK))],
        &[("equal", vec![(-most, -most), (most, most)])],
    ));
}

/// A stretch of a file from about the middle of its test windows.
fn stretch(
    evaluation: &Evaluation,
    series: usize,
    steps: usize,
    length: usize,
) -> std::ops::Range<usize> {
    let of_file: Vec<&Window> =
        evaluation.windows.iter().filter(|window| window.series == series).collect();
    let begin = of_file.get(of_file.len() * 2 / 5).map_or(0, |window| window.begin + steps - 1);
    begin..begin + length
}

fn time_series(run: &Run, evaluation: &Evaluation, series: &Series, suffix: &str, page: &mut Page) {
    let Some(stream) = evaluation.streams.first() else { return };
    let rate = series.rate_hz;
    let steps = super::dataset::window_steps(run.trained.settings.windows.duration_s, rate);
    let range = stretch(evaluation, stream.series, steps, (SHOWN_S * rate) as usize);
    let range = range.start..range.end.min(series.len());
    let points = |of: &dyn Fn(usize) -> f64| -> Points {
        range.clone().map(|sample| (sample as f64 / rate, of(sample))).collect()
    };
    let fitted = evaluation.fitted;
    let pd = points(&|it| fitted.map_or(0.0, |pd| pd.effort(&physics::input(series, it))));
    let measured = points(&|it| series.torque[it]);
    page.picture(curves(
        Labels {
            name: &format!("time-series{suffix}"),
            title: "Torque over time".to_owned(),
            x: "time, s",
            y: "torque, N·m",
            caption: format!("From {}, the network stepped through.", series.path.display()),
        },
        &[("measured", measured.clone()), (FITTED, pd), ("GRU", points(&|it| stream.torque[it]))],
        false,
    ));
    // What of the rest looks like friction: a constant against the motion, and a part that goes with
    // the speed.
    let rest = |it: usize| {
        let (pd, spring) = physics::parts(&run.trained.settings.model, &physics::input(series, it));
        series.torque[it] - pd - spring
    };
    let direction = |it: usize| (series.velocity[it] / 0.1).tanh();
    let (mut dd, mut dv, mut vv, mut rd, mut rv) = (0.0, 0.0, 0.0, 0.0, 0.0);
    for it in 0..series.len() {
        let (d, v, r) = (direction(it), series.velocity[it], rest(it));
        dd += d * d;
        dv += d * v;
        vv += v * v;
        rd += r * d;
        rv += r * v;
    }
    let determinant = dd * vv - dv * dv;
    let (sliding, viscous) = if determinant > 1e-12 * dd * vv {
        ((rd * vv - rv * dv) / determinant, (rv * dd - rd * dv) / determinant)
    } else {
        (0.0, 0.0)
    };
    page.picture(curves(
        Labels {
            name: &format!("parts{suffix}"),
            title: "Parts of the torque".to_owned(),
            x: "time, s",
            y: "torque, N·m",
            caption: format!(
                "What the network adds to PD control and spring. Dry and viscous friction fitted to what \
                 these leave of the measurement: {:.4} N·m and {:.5} N·m·s/rad against the motion.",
                -sliding, -viscous
            ),
        },
        &[
            ("measured", measured),
            ("network", points(&|it| stream.parts[it].network)),
            ("PD in the curve", points(&|it| stream.parts[it].pd)),
            ("spring", points(&|it| stream.parts[it].spring)),
            ("friction, fitted", points(&|it| sliding * direction(it) + viscous * series.velocity[it])),
        ],
        false,
    ));
}

fn plane(run: &Run, evaluation: &Evaluation, series: &Series, suffix: &str, page: &mut Page) {
    let Some(stream) = evaluation.streams.first() else { return };
    let cloud = |torque: &[f64]| -> Points {
        series.velocity.iter().copied().zip(torque.iter().copied()).collect()
    };
    let fastest = series.velocity.iter().fold(0.0_f64, |most, it| most.max(it.abs()));
    let mut lines: Vec<(&str, Points)> = Vec::new();
    if let Some(curve) = run.trained.settings.model.torque_speed_curve {
        let fastest = fastest.min(1.1 * curve.no_load_speed_rad_s);
        let bound = |sign: f64| -> Points {
            (-100..=100)
                .map(|it| fastest * f64::from(it) / 100.0)
                .map(|velocity| (velocity, curve.clip(sign * f64::INFINITY, velocity)))
                .collect()
        };
        // Along the upper bound and back along the lower one.
        let mut around = bound(1.0);
        around.extend(bound(-1.0).into_iter().rev());
        lines.push(("torque–speed curve", around));
    }
    page.picture(clouds(
        Labels {
            name: &format!("torque-speed{suffix}"),
            title: "Torque and speed".to_owned(),
            x: "velocity, rad/s",
            y: "torque, N·m",
            caption: "Measured and predicted, with the configured torque–speed curve of the motor."
                .to_owned(),
        },
        &[("measured", cloud(&series.torque)), ("GRU", cloud(&stream.torque))],
        &lines,
    ));
}

fn frequencies(run: &Run, evaluation: &Evaluation, series: &Series, suffix: &str, page: &mut Page) {
    let Some(stream) = evaluation.streams.first() else { return };
    let density = |values: Vec<f64>| -> Points {
        let spectrum = Spectrum::welch(&values, run.dataset.rate_hz);
        let points = spectrum.frequency.into_iter().zip(spectrum.density);
        points.skip(1).map(|(f, density)| (f, density.max(1e-14))).collect()
    };
    let fitted: Vec<f64> = (0..series.len())
        .map(|it| {
            let pd = evaluation.fitted.map_or(0.0, |pd| pd.effort(&physics::input(series, it)));
            pd - series.torque[it]
        })
        .collect();
    let network = stream.torque.iter().zip(&series.torque).map(|(a, b)| a - b).collect();
    page.picture(curves(
        Labels {
            name: &format!("frequency{suffix}"),
            title: "Error against frequency".to_owned(),
            x: "frequency, Hz",
            y: "N²·m²/Hz",
            caption: "Power spectral density of the measured torque and of each model's error."
                .to_owned(),
        },
        &[
            ("measured torque", density(series.torque.clone())),
            ("error of PD, fitted", density(fitted)),
            ("error of GRU", density(network)),
        ],
        true,
    ));
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
    let fitted = evaluation.fitted;
    let of_network = respond(inertia, rate, &mut |input| step(network.as_mut(), input))?;
    let of_pd =
        respond(inertia, rate, &mut |input| Ok(fitted.map_or(0.0, |pd| pd.effort(&input))))?;
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
