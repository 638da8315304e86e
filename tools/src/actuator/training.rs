//! Training of one network on one set of windows.

use super::checkpoint::{Checkpoint, CheckpointError, Epoch, Progress};
use super::dataset::Dataset;
use super::features::Features;
use super::metrics::Metrics;
use super::network;
use super::optimizer::{Moments, clip, learning_rate};
use super::progress::Reporter;
use super::random::Random;
use super::settings::Settings;
use super::splits::{Window, Windows};
use super::tensorboard::Events;
use sinew_models::recurrent::sequence::{Dropout, GruSequence, Sequences};
use std::fmt::Write as _;
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Instant, SystemTime, UNIX_EPOCH};

pub const BEST: &str = "best.safetensors";
pub const LAST: &str = "last.safetensors";

/// Why a training ended early.
#[derive(Debug, thiserror::Error)]
pub enum TrainingError {
    #[error(transparent)]
    Checkpoint(#[from] CheckpointError),
    #[error("{}: {source}", path.display())]
    File { path: PathBuf, source: std::io::Error },
    #[error("the threads for training cannot be started: {0}")]
    Threads(std::io::Error),
    #[error(
        "the loss of epoch {epoch} is {loss}: lower training.learning_rate, or look at the data with inspect"
    )]
    Diverged { epoch: usize, loss: f64 },
    #[error("interrupted; go on with: sinew-tools actuator train --resume {}", run.display())]
    Interrupted { run: PathBuf },
}

/// What a training learns from and where it leaves its files.
pub struct Training<'a> {
    pub settings: &'a Settings,
    pub dataset: &'a Dataset,
    pub windows: &'a Windows,
    pub features: &'a Features,
    /// Of checkpoints and metrics: the run's, or that of a fold.
    pub folder: &'a Path,
    /// What a later run goes on with.
    pub run: &'a Path,
    pub interrupt: &'a AtomicBool,
}

impl Training<'_> {
    /// Trains to the end, from the last checkpoint in the folder if there is one. There must be windows to
    /// learn from and to choose by.
    pub fn run(&self, reporter: &mut Reporter) -> Result<Progress, TrainingError> {
        let training = &self.settings.training;
        let sizes = network::sizes(&self.settings.model);
        let last = self.folder.join(LAST);
        let mut at = if last.exists() {
            Checkpoint::read(&last, &sizes)?
        } else {
            Checkpoint {
                parameters: network::first_weights(&sizes, self.settings.seed),
                ..Checkpoint::default()
            }
        };
        let mut network =
            GruSequence::new(sizes, self.settings.threads()).map_err(TrainingError::Threads)?;
        let now =
            || SystemTime::now().duration_since(UNIX_EPOCH).map_or(0.0, |it| it.as_secs_f64());
        let events = self.folder.join("tensorboard");
        let mut events = Events::create(&events, now()).map_err(self.file(&events))?;
        let batches = self.windows.train.len().div_ceil(training.batch);
        let warm_up = (training.warm_up_epochs * batches as f64).round() as usize;
        let total = training.max_epochs * batches;
        let (mut inputs, mut targets) = (Vec::new(), Vec::new());
        let mut gradient = vec![0.0; sizes.parameters()];
        while at.progress.epoch < training.max_epochs && !at.progress.finished {
            let epoch = at.progress.epoch;
            let begin = Instant::now();
            reporter.begin_epoch(epoch, training.max_epochs, batches);
            let mut order = self.windows.train.clone();
            Random::new(self.settings.seed, 0xE000 + epoch as u64).shuffle(&mut order);
            for windows in order.chunks(training.batch).skip(at.progress.batch) {
                let step = epoch * batches + at.progress.batch;
                let rate = learning_rate(training.learning_rate, step, warm_up, total);
                let steps = self.windows.steps;
                network::gather(self.features, windows, steps, &mut inputs);
                self.gather_targets(windows, &mut targets);
                let dropout = Dropout {
                    probability: self.settings.model.dropout,
                    seed: self.settings.seed
                        ^ (step as u64 + 1).wrapping_mul(0x2545_f491_4f6c_dd1d),
                };
                let loss = Loss {
                    targets: &targets,
                    steps,
                    rows: windows.len(),
                    many_to_many: training.many_to_many,
                    difference_weight: training.difference_weight,
                };
                let loss = network.gradient(
                    &at.parameters,
                    Sequences { steps, inputs: &inputs },
                    Some(dropout),
                    &|rows, outputs, derivative| loss.of(rows, outputs, derivative),
                    &mut gradient,
                );
                let norm = clip(&mut gradient, training.gradient_clip);
                if !(loss.is_finite() && norm.is_finite()) {
                    return Err(TrainingError::Diverged { epoch, loss });
                }
                at.moments.step(&mut at.parameters, &gradient, rate, training.weight_decay);
                at.progress.batch += 1;
                at.progress.loss_sum += loss;
                at.progress.norm_sum += norm;
                reporter.batch(at.progress.batch, at.progress.loss_sum);
                if self.interrupt.load(Ordering::Relaxed) {
                    at.write(&last, &sizes)?;
                    return Err(TrainingError::Interrupted { run: self.run.to_owned() });
                }
            }
            let metrics = self.evaluate(&mut network, &at.parameters, &self.windows.validation);
            // Of the last batch, whether it was in this process or before an interruption.
            let step = (epoch + 1) * batches - 1;
            let rate = learning_rate(training.learning_rate, step, warm_up, total);
            let record = Epoch {
                epoch,
                train_loss: at.progress.loss_sum / batches as f64,
                val_rmse: metrics.rmse,
                val_mae: metrics.mae,
                val_r2: metrics.r2,
                learning_rate: rate,
                gradient_norm: at.progress.norm_sum / batches as f64,
                seconds: begin.elapsed().as_secs_f64(),
            };
            let better = at.progress.advance(record, training);
            if better {
                let best = Checkpoint { moments: Moments::default(), ..at.clone() };
                best.write(&self.folder.join(BEST), &sizes)?;
            }
            at.write(&last, &sizes)?;
            self.write_history(&at.progress)?;
            for (tag, value) in [
                ("train_loss", record.train_loss),
                ("val_rmse_epoch", record.val_rmse),
                ("val_mae_epoch", record.val_mae),
                ("val_r2_epoch", record.val_r2),
                ("learning_rate", record.learning_rate),
                ("gradient_norm", record.gradient_norm),
            ] {
                events
                    .scalar(now(), epoch as u64, tag, value)
                    .map_err(self.file(&self.folder.join("tensorboard")))?;
            }
            reporter.end_epoch(&record, better);
        }
        Ok(at.progress)
    }

    /// Metrics of torque in N·m at the last steps of windows.
    pub fn evaluate(
        &self,
        network: &mut GruSequence,
        parameters: &[f32],
        windows: &[Window],
    ) -> Metrics {
        let (predicted, measured) = predictions(
            self.settings,
            self.dataset,
            self.features,
            network,
            parameters,
            windows,
            self.windows.steps,
        );
        Metrics::of(&predicted, &measured)
    }

    fn gather_targets(&self, windows: &[Window], targets: &mut Vec<f32>) {
        targets.clear();
        for window in windows {
            let of_series = &self.features.targets[window.series];
            targets.extend_from_slice(&of_series[window.begin..][..self.windows.steps]);
        }
    }

    fn write_history(&self, progress: &Progress) -> Result<(), TrainingError> {
        let mut text = "epoch,train_loss,val_rmse_epoch,val_mae_epoch,val_r2_epoch,learning_rate,gradient_norm,seconds\n".to_owned();
        for it in &progress.history {
            let _ = writeln!(
                text,
                "{},{},{},{},{},{},{},{:.3}",
                it.epoch,
                it.train_loss,
                it.val_rmse,
                it.val_mae,
                it.val_r2,
                it.learning_rate,
                it.gradient_norm,
                it.seconds
            );
        }
        let path = self.folder.join("metrics.csv");
        std::fs::write(&path, text).map_err(self.file(&path))
    }

    fn file(&self, path: &Path) -> impl FnOnce(std::io::Error) -> TrainingError + use<> {
        let path = path.to_owned();
        move |source| TrainingError::File { path, source }
    }
}

/// Predicted and measured torque at the last step of each window, N·m.
pub fn predictions(
    settings: &Settings,
    dataset: &Dataset,
    features: &Features,
    network: &mut GruSequence,
    parameters: &[f32],
    windows: &[Window],
    steps: usize,
) -> (Vec<f64>, Vec<f64>) {
    let outputs = network::predict(network, parameters, features, windows, steps);
    let torques = windows.iter().zip(outputs).map(|(window, output)| {
        let series = &dataset.series[window.series];
        let sample = window.begin + steps - 1;
        let known = features.known(&settings.model, series, sample);
        let torque = f64::from(output) * features.scale() + known;
        // As the model clamps it when it runs.
        let limit = settings.model.effort_limit_nm.unwrap_or(f64::INFINITY);
        (torque.clamp(-limit, limit), series.torque[sample])
    });
    torques.unzip()
}

/// Mean square of the error, and of its differences over time.
struct Loss<'a> {
    targets: &'a [f32],
    steps: usize,
    /// Of the whole batch.
    rows: usize,
    many_to_many: bool,
    difference_weight: f64,
}

impl Loss<'_> {
    fn of(&self, rows: Range<usize>, outputs: &[f32], derivative: &mut [f32]) -> f64 {
        let steps = self.steps;
        let targets = &self.targets[rows.start * steps..rows.end * steps];
        let count = self.rows as f64;
        let mut sum = 0.0;
        let sequences = outputs.chunks_exact(steps).zip(targets.chunks_exact(steps));
        for ((outputs, targets), derivative) in sequences.zip(derivative.chunks_exact_mut(steps)) {
            let error = |step: usize| f64::from(outputs[step] - targets[step]);
            if !self.many_to_many {
                let error = error(steps - 1);
                sum += error * error / count;
                derivative[steps - 1] = (2.0 * error / count) as f32;
                continue;
            }
            let each = 1.0 / (count * steps as f64);
            let between = match steps {
                1 => 0.0,
                _ => self.difference_weight / (count * (steps - 1) as f64),
            };
            let mut before: Option<f64> = None;
            for (step, derivative) in derivative.iter_mut().enumerate() {
                let here = error(step);
                sum += here * here * each;
                let mut slope = 2.0 * here * each;
                if let Some(before) = before {
                    let difference = here - before;
                    sum += difference * difference * between;
                    slope += 2.0 * difference * between;
                }
                if step + 1 < steps {
                    slope -= 2.0 * (error(step + 1) - here) * between;
                }
                *derivative = slope as f32;
                before = Some(here);
            }
        }
        sum
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_derivative_of_the_loss_is_its_slope() {
        let targets = [0.3, -0.2, 0.5, 0.1, 0.0, 0.7, 0.2, -0.4];
        let mut outputs = [0.1, 0.4, -0.3, 0.2, 0.6, 0.1, -0.5, 0.3_f32];
        for many_to_many in [true, false] {
            let loss =
                Loss { targets: &targets, steps: 4, rows: 2, many_to_many, difference_weight: 0.1 };
            let (mut derivative, mut unused) = ([0.0; 8], [0.0; 8]);
            loss.of(0..2, &outputs, &mut derivative);
            for index in 0..8 {
                let at = outputs[index];
                outputs[index] = at + 1e-2;
                let above = loss.of(0..2, &outputs, &mut unused);
                outputs[index] = at - 1e-2;
                let slope = (above - loss.of(0..2, &outputs, &mut unused)) / 2e-2;
                outputs[index] = at;
                assert!((f64::from(derivative[index]) - slope).abs() < 1e-4, "{index}");
            }
        }
    }

    #[test]
    fn three_steps_of_training_are_those_of_pytorch() {
        use sinew_models::recurrent::sequence::SequenceSizes;
        let file =
            concat!(env!("CARGO_MANIFEST_DIR"), "/../tests/fixtures/gru_training/two_layers.json");
        let fixture: serde_json::Value =
            serde_json::from_str(&std::fs::read_to_string(file).unwrap()).unwrap();
        let list = |value: &serde_json::Value| -> Vec<f32> {
            value.as_array().unwrap().iter().map(|it| it.as_f64().unwrap() as f32).collect()
        };
        let joined = |key: &str| -> Vec<f32> {
            fixture[key].as_array().unwrap().iter().flat_map(list).collect()
        };
        let size = |key: &str| fixture["sizes"][key].as_u64().unwrap() as usize;
        let (inputs, hidden, layers) = (size("inputs"), size("hidden"), size("layers"));
        let sizes = SequenceSizes { inputs, hidden, layers, outputs: 1 };
        let mut network = GruSequence::new(sizes, 2).unwrap();
        let (x, targets, steps) = (list(&fixture["x"]), list(&fixture["target"]), size("steps"));
        let loss = Loss {
            targets: &targets,
            steps,
            rows: size("rows"),
            many_to_many: true,
            difference_weight: 0.1,
        };
        let (mut parameters, mut moments) = (joined("parameters"), Moments::default());
        let mut gradient = vec![0.0; parameters.len()];
        let number = |key: &str| fixture[key].as_f64().unwrap();
        for told in list(&fixture["losses"]) {
            let sequences = Sequences { steps, inputs: &x };
            let of = |rows: Range<usize>, outputs: &[f32], derivative: &mut [f32]| {
                loss.of(rows, outputs, derivative)
            };
            let sum = network.gradient(&parameters, sequences, None, &of, &mut gradient);
            assert!((sum - f64::from(told)).abs() < 1e-5, "{sum} {told}");
            let (rate, decay) = (number("learning_rate"), number("weight_decay"));
            moments.step(&mut parameters, &gradient, rate, decay);
        }
        // A gradient near zero is divided by its own size: there the last digits count.
        for (got, expected) in parameters.iter().zip(joined("after")) {
            assert!((got - expected).abs() < 2e-4, "{got} {expected}");
        }
    }
}
