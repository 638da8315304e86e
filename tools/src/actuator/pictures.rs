//! Pictures of a training and of what its network predicts, from test parts alone.

use super::checkpoint::{Checkpoint, Epoch};
use super::evaluation::{Evaluation, FITTED, NETWORK, Stream};
use super::folds::Fold;
use super::physics::{self, Physics};
use super::plots::{Labels, Picture, Points, clouds, curves};
use super::run::{Run, RunError};
use super::run_folder::RunFolder;
use super::series::Series;
use super::settings::{Group, Model};
use super::spectrum::Spectrum;
use super::training::LAST;
use std::ops::Range;

/// Length of the time series that are drawn.
const SHOWN_S: f64 = 4.0;

/// Loss and validation over the epochs.
pub fn history(run: &RunFolder, fold: &Fold, suffix: &str) -> Result<Picture, RunError> {
    let sizes = super::network::sizes(&run.settings.model);
    let progress = Checkpoint::read(&fold.folder.join(LAST), &sizes)?.progress;
    let of = |value: fn(&Epoch) -> f64| -> Points {
        progress.history.iter().map(|it| (it.epoch as f64 + 1.0, value(it))).collect()
    };
    let labels = Labels {
        name: &format!("training{suffix}"),
        title: "Training".to_owned(),
        x: "epoch",
        y: "loss; RMSE, N·m",
        caption: "Loss of the training windows (normalised) and RMSE of the validation windows."
            .to_owned(),
    };
    let lines =
        [("training loss", of(|it| it.train_loss)), ("validation RMSE", of(|it| it.val_rmse))];
    Ok(curves(labels, &lines, true))
}

/// Predicted against measured torque.
pub fn scatter(evaluation: &Evaluation, suffix: &str) -> Picture {
    let points = |name: &str| -> Points {
        let predicted = evaluation.model(name).map(|it| it.predicted.as_slice());
        let predicted = predicted.unwrap_or_default().iter().copied();
        evaluation.measured.iter().copied().zip(predicted).collect()
    };
    let most = evaluation.measured.iter().fold(0.0_f64, |most, it| most.max(it.abs()));
    let labels = Labels {
        name: &format!("scatter{suffix}"),
        title: "Predicted against measured torque".to_owned(),
        x: "measured, N·m",
        y: "predicted, N·m",
        caption: "Last steps of the test windows.".to_owned(),
    };
    clouds(
        labels,
        &[(FITTED, points(FITTED)), (NETWORK, points(NETWORK))],
        &[("equal", vec![(-most, -most), (most, most)])],
    )
}

/// The file of a group whose test parts are drawn.
pub struct Shown<'a> {
    /// The group's name.
    group: &'a str,
    model: &'a Model,
    evaluation: &'a Evaluation,
    series: &'a Series,
    stream: &'a Stream,
}

impl<'a> Shown<'a> {
    /// Of each group the first file that has test parts.
    pub fn of_groups(run: &'a Run, evaluation: &'a Evaluation) -> Vec<Self> {
        let model = &run.trained.settings.model;
        let first = |(index, group): (usize, &'a Group)| {
            let of = |stream: &&Stream| run.dataset.series[stream.series].group == index;
            let stream = evaluation.streams.iter().find(of)?;
            let series = &run.dataset.series[stream.series];
            Some(Self { group: &group.id, model, evaluation, series, stream })
        };
        run.dataset.groups.iter().enumerate().filter_map(first).collect()
    }

    fn name(&self, of: &str, suffix: &str) -> String {
        format!("{of}{suffix}-{}", self.group)
    }

    fn title(&self, of: &str) -> String {
        format!("{of}: {}", self.group)
    }

    /// All samples for testing.
    fn samples(&self) -> impl Iterator<Item = usize> {
        self.stream.test.iter().cloned().flatten()
    }

    /// The beginning of the longest test part.
    fn stretch(&self) -> Range<usize> {
        let longest = self.stream.test.iter().max_by_key(|part| part.len());
        let range = longest.cloned().unwrap_or_default();
        let length = (SHOWN_S * self.series.rate_hz) as usize;
        range.start..range.end.min(range.start + length)
    }

    fn points(&self, of: &dyn Fn(usize) -> f64) -> Points {
        self.stretch().map(|sample| (sample as f64 / self.series.rate_hz, of(sample))).collect()
    }

    fn fitted(&self, sample: usize) -> f64 {
        let physics = Physics::of(self.model);
        let fitted = self.evaluation.fitted.map(|pd| physics.with(pd));
        fitted.map_or(0.0, |fitted| fitted.effort(&physics::input(self.series, sample)))
    }

    /// Torque over time.
    pub fn time_series(&self, suffix: &str) -> Picture {
        let labels = Labels {
            name: &self.name("time-series", suffix),
            title: self.title("Torque over time"),
            x: "time, s",
            y: "torque, N·m",
            caption: format!(
                "The longest test part of {}, the network stepped through from the beginning of the file.",
                self.series.path.display()
            ),
        };
        let lines = [
            ("measured", self.points(&|it| self.series.torque[it])),
            (FITTED, self.points(&|it| self.fitted(it))),
            ("GRU", self.points(&|it| self.stream.torque[it])),
        ];
        curves(labels, &lines, false)
    }

    /// What the torque is made of. What of the rest looks like friction: a constant against the motion,
    /// and a part that goes with the speed.
    pub fn parts(&self, suffix: &str) -> Picture {
        let (series, stream) = (self.series, self.stream);
        let rest = |it: usize| {
            let (pd, spring) = Physics::of(self.model).parts(&physics::input(series, it));
            series.torque[it] - pd - spring
        };
        let direction = |it: usize| (series.velocity[it] / 0.1).tanh();
        let (mut dd, mut dv, mut vv, mut rd, mut rv) = (0.0, 0.0, 0.0, 0.0, 0.0);
        for it in self.samples() {
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
        let labels = Labels {
            name: &self.name("parts", suffix),
            title: self.title("Parts of the torque"),
            x: "time, s",
            y: "torque, N·m",
            caption: format!(
                "What the network adds to PD control and spring. Dry and viscous friction fitted to what \
                 these leave of the measurement: {:.4} N·m and {:.5} N·m·s/rad against the motion.",
                -sliding, -viscous
            ),
        };
        let lines = [
            ("measured", self.points(&|it| series.torque[it])),
            ("network", self.points(&|it| stream.parts[it].network)),
            ("PD in the curve", self.points(&|it| stream.parts[it].pd)),
            ("spring", self.points(&|it| stream.parts[it].spring)),
            (
                "friction, fitted",
                self.points(&|it| sliding * direction(it) + viscous * series.velocity[it]),
            ),
        ];
        curves(labels, &lines, false)
    }

    /// Torque and speed, inside the curve.
    pub fn plane(&self, suffix: &str) -> Picture {
        let cloud = |torque: &[f64]| -> Points {
            self.samples().map(|it| (self.series.velocity[it], torque[it])).collect()
        };
        let speeds = self.samples().map(|it| self.series.velocity[it].abs());
        let fastest = speeds.fold(0.0, f64::max);
        let mut lines: Vec<(&str, Points)> = Vec::new();
        if let Some(curve) = self.model.torque_speed_curve {
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
        let labels = Labels {
            name: &self.name("torque-speed", suffix),
            title: self.title("Torque and speed"),
            x: "velocity, rad/s",
            y: "torque, N·m",
            caption: "Measured and predicted in the test parts, with the configured torque–speed curve of \
                      the motor."
                .to_owned(),
        };
        clouds(
            labels,
            &[("measured", cloud(&self.series.torque)), ("GRU", cloud(&self.stream.torque))],
            &lines,
        )
    }

    /// Error against frequency.
    pub fn frequencies(&self, suffix: &str) -> Picture {
        let density = |of: &dyn Fn(usize) -> f64| -> Points {
            let parts: Vec<Vec<f64>> =
                self.stream.test.iter().map(|part| part.clone().map(of).collect()).collect();
            let parts: Vec<&[f64]> = parts.iter().map(Vec::as_slice).collect();
            let spectrum = Spectrum::of_parts(&parts, self.series.rate_hz);
            let points = spectrum.frequency.into_iter().zip(spectrum.density);
            points.skip(1).map(|(f, density)| (f, density.max(1e-14))).collect()
        };
        let (series, stream) = (self.series, self.stream);
        let labels = Labels {
            name: &self.name("frequency", suffix),
            title: self.title("Error against frequency"),
            x: "frequency, Hz",
            y: "N²·m²/Hz",
            caption: "Power spectral density of the measured torque and of each model's error in the test \
                      parts."
                .to_owned(),
        };
        let lines = [
            ("measured torque", density(&|it| series.torque[it])),
            ("error of PD, fitted", density(&|it| self.fitted(it) - series.torque[it])),
            ("error of GRU", density(&|it| stream.torque[it] - series.torque[it])),
        ];
        curves(labels, &lines, true)
    }
}
