//! `sinew actuator`

use std::hint::black_box;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use clap::{Args, Subcommand, ValueEnum};
use serde_json::json;
use sinew_models::actuators::{
    self, ActuatorFileError, ActuatorInfo, ActuatorModel, ImportOptions, JointInput,
    SpringConvention,
};

use super::tables::micros;
use super::{Format, fail};

/// Steps before those that are counted.
const WARM: usize = 2_000;
/// Steps between two looks at the clock that ends the measurement.
const TURN: usize = 1_000;

#[derive(Debug, Subcommand)]
pub(super) enum ActuatorVerb {
    /// Print what an actuator network is and needs
    Info(InfoArguments),
    /// Make a folder with actuator.json of a TorchScript, Lightning, PyTorch or safetensors file
    Convert(ConvertArguments),
    /// Measure what a step costs on this computer
    Bench(BenchArguments),
}

/// A network, and what its files do not say.
#[derive(Debug, Args)]
struct NetworkArguments {
    /// A folder with actuator.json, or a .pt, .ckpt, .pth or .safetensors file
    path: PathBuf,
    /// Rate at which the network was trained, in Hz, where no file says it
    #[arg(long, value_name = "HZ")]
    rate_hz: Option<f64>,
    /// The statistics, if not normalization_stats.json beside the network
    #[arg(long, value_name = "FILE")]
    stats: Option<PathBuf>,
    /// The settings, if not training_config_summary.json beside the network
    #[arg(long, value_name = "FILE")]
    summary: Option<PathBuf>,
    /// Sign of the spring; the seed's where nothing says otherwise
    #[arg(long, value_enum)]
    spring: Option<SpringName>,
    /// Limit of the effort, in N·m
    #[arg(long, value_name = "NM")]
    effort_limit: Option<f64>,
    /// Add the mean of the torque to a residual, as mars_jumper does by mistake
    #[arg(long)]
    mars_jumper: bool,
    /// The network is Isaac Lab's ActuatorNetGRU or ActuatorNetGRUResidual, with this configuration (JSON)
    #[arg(long, value_name = "FILE")]
    isaac_lab: Option<PathBuf>,
    /// The network is a dense one, with these settings (JSON)
    #[arg(long, value_name = "FILE", conflicts_with = "isaac_lab")]
    mlp: Option<PathBuf>,
    /// Text for people, or one JSON object
    #[arg(long, value_enum, default_value_t)]
    format: Format,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum SpringName {
    /// +k (q - theta0)
    Seed,
    /// -k (q - theta0)
    Physical,
}

#[derive(Debug, Args)]
pub(super) struct InfoArguments {
    #[command(flatten)]
    network: NetworkArguments,
}

#[derive(Debug, Args)]
pub(super) struct ConvertArguments {
    #[command(flatten)]
    network: NetworkArguments,
    /// The new folder; nothing is overwritten
    #[arg(long, value_name = "DIR")]
    out: PathBuf,
}

#[derive(Debug, Args)]
pub(super) struct BenchArguments {
    #[command(flatten)]
    network: NetworkArguments,
    /// Joints of a step
    #[arg(long, value_name = "N", default_value_t = 12, value_parser = clap::value_parser!(u16).range(1..=1024))]
    joints: u16,
    /// How long to measure, in s
    #[arg(long, value_name = "N", default_value_t = 2.0, value_parser = super::bench::seconds)]
    seconds: f64,
}

impl NetworkArguments {
    fn options(&self) -> ImportOptions {
        ImportOptions {
            rate_hz: self.rate_hz,
            statistics: self.stats.clone(),
            summary: self.summary.clone(),
            spring_convention: self.spring.map(|spring| match spring {
                SpringName::Seed => SpringConvention::Seed,
                SpringName::Physical => SpringConvention::Physical,
            }),
            effort_limit_nm: self.effort_limit,
            mars_jumper: self.mars_jumper,
            isaac_lab: self.isaac_lab.clone(),
            mlp: self.mlp.clone(),
        }
    }
}

pub(super) fn actuator(verb: &ActuatorVerb) -> u8 {
    let (result, format) = match verb {
        ActuatorVerb::Info(arguments) => (info(&arguments.network), arguments.network.format),
        ActuatorVerb::Convert(arguments) => (convert(arguments), arguments.network.format),
        ActuatorVerb::Bench(arguments) => (bench(arguments), arguments.network.format),
    };
    result.map_or_else(|error| fail(&error, code_of(&error), format), |()| 0)
}

fn info(network: &NetworkArguments) -> Result<(), ActuatorFileError> {
    print(&ActuatorInfo::read(&network.path, &network.options())?, network.format);
    Ok(())
}

fn print(info: &ActuatorInfo, format: Format) {
    match format {
        Format::Text => say!("{info}"),
        // Plain numbers and strings: serialising cannot fail.
        Format::Json => say!("{}", serde_json::to_string(info).unwrap_or_default()),
    }
}

fn convert(arguments: &ConvertArguments) -> Result<(), ActuatorFileError> {
    let network = &arguments.network;
    let imported = actuators::import(&network.path, &network.options())?;
    imported.bundle.write(&arguments.out)?;
    // What was written is read once, and described; what was ignored on the way is said as well.
    let mut info = ActuatorInfo::read(&arguments.out, &ImportOptions::default())?;
    info.notes.extend(imported.notes);
    info.warnings.extend(imported.warnings);
    print(&info, network.format);
    Ok(())
}

fn bench(arguments: &BenchArguments) -> Result<(), ActuatorFileError> {
    let network = &arguments.network;
    let imported = actuators::import(&network.path, &network.options())?;
    let bundle = &imported.bundle;
    let joints = usize::from(arguments.joints);
    let mut model = bundle.model(joints, bundle.rate_hz()).map_err(|source| {
        ActuatorFileError::Parameters { file: network.path.clone(), source: Box::new(source) }
    })?;
    let times = measure(model.as_mut(), joints, Duration::from_secs_f64(arguments.seconds));
    let at = |quantile: f64| times[((times.len() - 1) as f64 * quantile).round() as usize];
    let [p50, p99, p999] = [0.5, 0.99, 0.999].map(at);
    let (min, steps) = (at(0.0), times.len());
    match network.format {
        Format::Text => {
            let layers = ActuatorInfo::of(&network.path, &imported).layers;
            let layers: Vec<String> = layers.iter().map(usize::to_string).collect();
            let layers = layers.join(" -> ");
            say!("network       {} {layers}, {joints} joints in one batch", model.kind());
            say!("steps         {steps}, one by one, with one reading of the clock each");
            for (name, ns) in [("min", min), ("p50", p50), ("p99", p99), ("p99.9", p999)] {
                say!("{name:<13} {}", micros(ns as f64 / 1e3));
            }
        }
        Format::Json => say!(
            "{}",
            json!({
                "kind": model.kind(), "joints": joints, "steps": steps, "min_ns": min,
                "p50_ns": p50, "p99_ns": p99, "p999_ns": p999,
            })
        ),
    }
    Ok(())
}

/// Nanoseconds of each step, sorted.
fn measure(model: &mut dyn ActuatorModel, joints: usize, length: Duration) -> Vec<u64> {
    let mut inputs = vec![JointInput::default(); joints];
    let mut efforts = vec![0.0; joints];
    let (mut times, mut step, begin) = (Vec::new(), 0_usize, Instant::now());
    while step < WARM + TURN || begin.elapsed() < length {
        for _ in 0..TURN {
            for (joint, input) in inputs.iter_mut().enumerate() {
                let phase = step as f64 * 0.01 + joint as f64;
                let (position, velocity) = (0.8 * (phase - 0.1).sin(), 0.8 * phase.cos());
                let target_position = 0.8 * phase.sin();
                *input =
                    JointInput { position, velocity, target_position, target_velocity: velocity };
            }
            let start = Instant::now();
            let stepped = model.step(black_box(&inputs), black_box(&mut efforts));
            let elapsed = start.elapsed().as_nanos() as u64;
            let _ = black_box(stepped);
            if step >= WARM {
                times.push(elapsed);
            }
            step += 1;
        }
    }
    times.sort_unstable();
    times
}

/// What was asked for is wrong, the output cannot be written, or the network cannot be read.
fn code_of(error: &ActuatorFileError) -> u8 {
    match error {
        ActuatorFileError::NoRate { .. } | ActuatorFileError::Exists { .. } => 2,
        ActuatorFileError::Write { .. } => 13,
        _ => 11,
    }
}
