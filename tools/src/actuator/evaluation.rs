//! What a trained network is worth, beside PD control, a DC motor and a dense network.

use super::baselines::Baselines;
use super::dataset::Dataset;
use super::features::Features;
use super::metrics::Metrics;
use super::network;
use super::physics::{self, Physics};
use super::series::Series;
use super::settings::Settings;
use super::splits::{Window, Windows};
use super::training;
use serde::{Deserialize, Serialize};
use sinew_models::actuators::{
    ActuatorError, ActuatorModel, DcMotor, Gains, IdealPd, JointInput, ParameterError, Parts,
    PdPart, TargetVelocity,
};
use sinew_models::recurrent::sequence::GruSequence;
use std::collections::BTreeMap;
use std::ops::Range;
use std::time::Instant;

/// Why nothing was evaluated.
#[derive(Debug, thiserror::Error)]
pub enum EvaluationError {
    #[error("the trained model cannot be stepped: {0}")]
    Model(#[from] ParameterError),
    #[error("a step of the model failed: {0}")]
    Step(#[from] ActuatorError),
    #[error("the threads cannot be started: {0}")]
    Threads(#[from] std::io::Error),
}

/// One model on the test windows.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct Compared {
    pub name: String,
    pub all: Metrics,
    /// By the group's id.
    pub groups: BTreeMap<String, Metrics>,
    /// Median time of one step of one joint.
    pub step_us: Option<f64>,
    /// Torque at the last step of each test window.
    #[serde(skip)]
    pub predicted: Vec<f64>,
}

/// All models on the test windows of one training.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct Evaluation {
    /// The group that was left out.
    pub fold: Option<String>,
    /// Of the checkpoint's file.
    pub model_sha256: String,
    pub split: String,
    pub leak: Option<String>,
    pub train_windows: usize,
    pub validation_windows: usize,
    pub test_windows: usize,
    pub models: Vec<Compared>,
    /// The network stepped over whole files without a reset, measured at the samples of test windows.
    pub streamed: BTreeMap<String, Metrics>,
    /// Gains of the fitted PD control.
    pub fitted: Option<PdPart>,
    #[serde(skip)]
    pub measured: Vec<f64>,
    #[serde(skip)]
    pub windows: Vec<Window>,
    #[serde(skip)]
    pub streams: Vec<Stream>,
}

/// The network stepped over one file.
#[derive(Clone, Debug)]
pub struct Stream {
    pub series: usize,
    pub torque: Vec<f64>,
    pub parts: Vec<Parts>,
    /// Samples of test windows.
    pub test: Vec<Range<usize>>,
}

/// Name of the network in tables.
pub const NETWORK: &str = "GRU";
/// The network stepped through.
pub const STREAMED: &str = "GRU, streamed";
/// PD control as it is configured, inside curve and clamp, with the spring.
pub const PD: &str = "PD, configured";
/// The same with gains fitted to the training windows.
pub const FITTED: &str = "PD, fitted";
pub const DC_MOTOR: &str = "DC motor";
pub const MLP: &str = "MLP";

/// Compares all models on the test windows.
pub fn evaluate(
    settings: &Settings,
    dataset: &Dataset,
    windows: &Windows,
    features: &Features,
    parameters: &[f32],
    baselines: &Baselines,
) -> Result<Evaluation, EvaluationError> {
    let mut network = GruSequence::new(network::sizes(&settings.model), settings.threads())?;
    let (of_network, measured) = training::predictions(
        settings,
        dataset,
        features,
        &mut network,
        parameters,
        &windows.test,
        windows.steps,
    );
    let mut evaluation = Evaluation {
        split: windows.method.clone(),
        leak: windows.leak.clone(),
        train_windows: windows.train.len(),
        validation_windows: windows.validation.len(),
        test_windows: windows.test.len(),
        measured,
        windows: windows.test.clone(),
        ..Evaluation::default()
    };
    let last = |window: &Window| window.begin + windows.steps - 1;
    let at_windows = |of: &dyn Fn(&Series, usize) -> f64| -> Vec<f64> {
        let each = windows.test.iter();
        each.map(|window| of(&dataset.series[window.series], last(window))).collect()
    };

    let gains =
        |pd: PdPart| Gains { stiffness: pd.stiffness_nm_per_rad, damping: pd.damping_nm_s_per_rad };
    let configured = Physics::of(&settings.model);
    if settings.model.pd.is_some() {
        let predicted =
            at_windows(&|series, sample| configured.effort(&physics::input(series, sample)));
        evaluation.add(dataset, PD, predicted, None);
    }
    let fitted = baselines.fitted;
    evaluation.fitted = Some(fitted);
    let mut ideal = IdealPd::new(&[(gains(fitted), None)])?;
    let zero = |input: JointInput| JointInput { target_velocity: 0.0, ..input };
    let inside = configured.with(fitted);
    let predicted = at_windows(&|series, sample| inside.effort(&physics::input(series, sample)));
    let step_us = time(&mut ideal, dataset)?;
    evaluation.add(dataset, FITTED, predicted, Some(step_us));
    if let Some(motor) = settings.baselines.dc_motor {
        let pd = settings.model.pd.unwrap_or(fitted);
        let mut model = DcMotor::new(&[(gains(pd), motor)])?;
        let predicted = at_windows(&|series, sample| {
            let input = physics::input(series, sample);
            let input =
                if pd.target_velocity == TargetVelocity::Zero { zero(input) } else { input };
            motor.clip(pd.effort(&input), input.velocity)
        });
        let step_us = time(&mut model, dataset)?;
        evaluation.add(dataset, DC_MOTOR, predicted, Some(step_us));
    }
    if let Some(bundle) = &baselines.mlp {
        let mut model = bundle.model(1, dataset.rate_hz)?;
        let torques = torques_of_files(model.as_mut(), dataset, &windows.test)?;
        let step_us = time(model.as_mut(), dataset)?;
        let predicted = windows.test.iter().map(|it| torques[&it.series][last(it)]).collect();
        evaluation.add(dataset, MLP, predicted, Some(step_us));
    }
    let normalization = features.normalization.clone();
    let bundle = network::bundle(&settings.model, normalization, dataset.rate_hz, parameters);
    let mut model = bundle.model(1, dataset.rate_hz)?;
    let step_us = time(model.as_mut(), dataset)?;
    evaluation.add(dataset, NETWORK, of_network, Some(step_us));

    let mut streamed = Vec::with_capacity(windows.test.len());
    let mut of_group: BTreeMap<String, (Vec<f64>, Vec<f64>)> = BTreeMap::new();
    for (index, series) in dataset.series.iter().enumerate() {
        if !windows.test.iter().any(|window| window.series == index) {
            continue;
        }
        let mut stream = stream(model.as_mut(), index, series)?;
        stream.test = windows.test_parts(index);
        let (predicted, measured) =
            of_group.entry(dataset.groups[series.group].id.clone()).or_default();
        for part in &stream.test {
            predicted.extend(&stream.torque[part.clone()]);
            measured.extend(&series.torque[part.clone()]);
        }
        evaluation.streams.push(stream);
    }
    for window in &windows.test {
        let stream = evaluation.streams.iter().find(|stream| stream.series == window.series);
        streamed.extend(stream.map(|stream| stream.torque[last(window)]));
    }
    evaluation.add(dataset, STREAMED, streamed, None);
    evaluation.streamed = of_group
        .into_iter()
        .map(|(id, (predicted, measured))| (id, Metrics::of(&predicted, &measured)))
        .collect();
    Ok(evaluation)
}

impl Evaluation {
    fn add(&mut self, dataset: &Dataset, name: &str, predicted: Vec<f64>, step_us: Option<f64>) {
        let mut groups = BTreeMap::new();
        for (index, group) in dataset.groups.iter().enumerate() {
            let pairs: (Vec<f64>, Vec<f64>) = self
                .windows
                .iter()
                .zip(predicted.iter().zip(&self.measured))
                .filter(|(window, _)| dataset.series[window.series].group == index)
                .map(|(_, (predicted, measured))| (*predicted, *measured))
                .unzip();
            if !pairs.0.is_empty() {
                groups.insert(group.id.clone(), Metrics::of(&pairs.0, &pairs.1));
            }
        }
        let all = Metrics::of(&predicted, &self.measured);
        self.models.push(Compared { name: name.to_owned(), all, groups, step_us, predicted });
    }

    pub fn model(&self, name: &str) -> Option<&Compared> {
        self.models.iter().find(|model| model.name == name)
    }

    /// One line a model.
    pub fn table(&self) -> String {
        let mut text = format!(
            "{:<18}{:>12}{:>12}{:>10}{:>12}\n",
            "model", "RMSE N·m", "MAE N·m", "R²", "step µs"
        );
        for it in &self.models {
            let step = it.step_us.map_or_else(|| "-".to_owned(), |step| format!("{step:.2}"));
            text += &format!(
                "{:<18}{:>12.5}{:>12.5}{:>10.4}{step:>12}\n",
                it.name, it.all.rmse, it.all.mae, it.all.r2
            );
        }
        text
    }
}

/// Steps a model over a file from a state of zeros, which it also has after a gap.
pub fn stream(
    model: &mut dyn ActuatorModel,
    index: usize,
    series: &Series,
) -> Result<Stream, ActuatorError> {
    model.reset_all();
    let (mut torque, mut parts) = (Vec::new(), Vec::new());
    let mut effort = [0.0];
    for sample in 0..series.len() {
        if series.gaps.binary_search(&sample).is_ok() {
            model.reset_all();
        }
        model.step(&[physics::input(series, sample)], &mut effort)?;
        torque.push(effort[0]);
        parts.push(model.parts(0));
    }
    Ok(Stream { series: index, torque, parts, test: Vec::new() })
}

fn torques_of_files(
    model: &mut dyn ActuatorModel,
    dataset: &Dataset,
    windows: &[Window],
) -> Result<BTreeMap<usize, Vec<f64>>, ActuatorError> {
    let mut torques = BTreeMap::new();
    for window in windows {
        if let std::collections::btree_map::Entry::Vacant(entry) = torques.entry(window.series) {
            entry.insert(stream(model, window.series, &dataset.series[window.series])?.torque);
        }
    }
    Ok(torques)
}

/// Median time of a step, in microseconds.
fn time(model: &mut dyn ActuatorModel, dataset: &Dataset) -> Result<f64, ActuatorError> {
    const AT_ONCE: usize = 64;
    let series = &dataset.series[0];
    let mut times = Vec::new();
    let mut effort = [0.0];
    for repetition in 0..30 {
        let begin = Instant::now();
        for step in 0..AT_ONCE {
            let sample = (repetition * AT_ONCE + step) % series.len();
            model.step(&[physics::input(series, sample)], &mut effort)?;
        }
        times.push(begin.elapsed().as_secs_f64() * 1e6 / AT_ONCE as f64);
    }
    Ok(super::csv::median(times))
}
