//! Data whose truth is known: the seed author's recipe, and the simulated rig.

use super::csv::median;
use super::random::Random;
use sinew_simulation::actuator::{ActuatorConfig, ActuatorPlant, Drive};
use std::f64::consts::TAU;
use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// Why no data was made.
#[derive(Debug, thiserror::Error)]
pub enum SynthesisError {
    #[error("{}: {source}", path.display())]
    File { path: PathBuf, source: std::io::Error },
    #[error("{} is there already; name a folder that is not", path.display())]
    Exists { path: PathBuf },
    #[error("{name} is {value}, allowed: {allowed}")]
    Value { name: &'static str, value: f64, allowed: &'static str },
    #[error("the simulated rig: {0}")]
    Plant(#[from] sinew_simulation::actuator::ActuatorConfigError),
}

/// What moves.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub enum Plant {
    /// PD control of a load, as the seed's author made it: chirp, noise, torque limit.
    Recipe,
    /// The simulated rig: delay, friction, play, torque–speed line, spring.
    Rig,
}

#[derive(clap::Args)]
pub struct Arguments {
    /// Folder to make; each inertia becomes a folder in it.
    #[arg(long)]
    pub out: PathBuf,
    #[arg(long, value_enum, default_value = "recipe")]
    pub plant: Plant,
    /// Of all that turns, kg·m².
    #[arg(long, value_delimiter = ',', default_value = "0.01,0.015,0.02")]
    pub inertias: Vec<f64>,
    /// Files of each inertia.
    #[arg(long, default_value_t = 1)]
    pub files: usize,
    /// Amplitude of the target in the first file, rad; the next ones have half and twice of it, and so on.
    #[arg(long, default_value_t = 0.5)]
    pub amplitude_rad: f64,
    /// Length of a file.
    #[arg(long, default_value_t = 60.0)]
    pub seconds: f64,
    #[arg(long, default_value_t = 240.0)]
    pub rate_hz: f64,
    #[arg(long, default_value_t = 42)]
    pub seed: u64,
}

/// Proportional gain of the recipe's plant, N·m/rad.
const STIFFNESS: f64 = 4.0;
/// Derivative gain, N·m·s/rad.
const DAMPING: f64 = 0.2;
/// Largest torque, N·m.
const STALL: f64 = 3.6;
/// Of the accelerometer, m.
const RADIUS: f64 = 0.2;
/// Deviations of the recipe: encoder rad, gyroscope rad/s, accelerometer m/s², torque N·m.
const NOISE: [f64; 4] = [0.005, 0.01, 0.01, 0.01];

/// One sample of the rig, rad and m/s².
struct Sample {
    encoder: f64,
    command: f64,
    acceleration: [f64; 3],
    gyro: [f64; 3],
    torque: f64,
}

/// Makes the files and says which.
pub fn run(arguments: &Arguments) -> Result<String, SynthesisError> {
    for (name, value) in [
        ("--seconds", arguments.seconds),
        ("--rate-hz", arguments.rate_hz),
        ("--amplitude-rad", arguments.amplitude_rad),
    ] {
        if !(value > 0.0 && value <= 1e5) {
            return Err(SynthesisError::Value { name, value, allowed: "above 0, up to 100000" });
        }
    }
    for &value in &arguments.inertias {
        if !(value > 0.0 && value <= 1e3) {
            let name = "--inertias";
            return Err(SynthesisError::Value {
                name,
                value,
                allowed: "above 0, up to 1000 kg·m²",
            });
        }
    }
    if arguments.out.exists() {
        return Err(SynthesisError::Exists { path: arguments.out.clone() });
    }
    let mut lines = Vec::new();
    for (group, inertia) in arguments.inertias.iter().enumerate() {
        let folder = arguments.out.join(format!("{inertia}kgm2"));
        std::fs::create_dir_all(&folder)
            .map_err(|source| SynthesisError::File { path: folder.clone(), source })?;
        for file in 0..arguments.files {
            let purpose = (group * 1000 + file) as u64;
            let random = Random::new(arguments.seed, purpose);
            let scale = [1.0, 0.5, 2.0][file % 3];
            let amplitude = scale * arguments.amplitude_rad;
            let samples = match arguments.plant {
                Plant::Recipe => recipe(arguments, *inertia, amplitude, random),
                Plant::Rig => rig(arguments, *inertia, amplitude, random)?,
            };
            let path = folder.join(format!("{:02}.csv", file + 1));
            write(&path, &samples, arguments.rate_hz)?;
            let torques = samples.iter().map(|sample| sample.torque.abs()).collect();
            let typical = median(torques);
            lines.push(format!(
                "{}: {} samples, median torque {typical:.3} N·m",
                path.display(),
                samples.len()
            ));
        }
    }
    Ok(lines.join("\n"))
}

/// A chirp from 0.3 to 2 times 1 Hz and back, whose amplitude swings between 0.5 and 1.5 times its mean
/// in ten seconds. Files differ in their phases.
struct Excitation {
    phases: [f64; 2],
    seconds: f64,
    amplitude: f64,
}

impl Excitation {
    fn new(random: &mut Random, seconds: f64, amplitude: f64) -> Self {
        Self { phases: [TAU * random.unit(), TAU * random.unit()], seconds, amplitude }
    }

    fn at(&self, time: f64) -> f64 {
        // The frequency rises over the first half and falls over the second.
        let half = 0.5 * self.seconds;
        let (low, rise) = (0.3, 1.7 / half);
        let up = |time: f64| low * time + 0.5 * rise * time * time;
        let cycles = if time <= half { up(time) } else { 2.0 * up(half) - up(self.seconds - time) };
        let swing = 1.0 + 0.5 * (TAU * 0.1 * time + self.phases[1]).sin();
        self.amplitude * swing * (TAU * cycles + self.phases[0]).sin()
    }
}

fn recipe(arguments: &Arguments, inertia: f64, amplitude: f64, mut random: Random) -> Vec<Sample> {
    let excitation = Excitation::new(&mut random, arguments.seconds, amplitude);
    let count = (arguments.seconds * arguments.rate_hz).round() as usize;
    // Fine enough that the plant is a continuous one.
    let parts = (4000.0 / arguments.rate_hz).ceil().max(1.0) as usize;
    let dt = 1.0 / (arguments.rate_hz * parts as f64);
    let (mut angle, mut velocity) = (0.0, 0.0);
    let mut samples = Vec::with_capacity(count);
    for index in 0..count {
        let command = excitation.at(index as f64 / arguments.rate_hz);
        let torque = |angle: f64, velocity: f64| {
            (STIFFNESS * (command - angle) - DAMPING * velocity).clamp(-STALL, STALL)
        };
        let now = torque(angle, velocity) + NOISE[3] * random.normal();
        let mut noisy = |value: f64, deviation: f64| value + deviation * random.normal();
        samples.push(Sample {
            encoder: noisy(angle, NOISE[0]),
            command,
            acceleration: [
                noisy(-velocity * velocity * RADIUS, NOISE[2]),
                noisy(now / inertia * RADIUS, NOISE[2]),
                noisy(9.806_65, NOISE[2]),
            ],
            gyro: [noisy(0.0, NOISE[1]), noisy(0.0, NOISE[1]), noisy(velocity, NOISE[1])],
            torque: now,
        });
        for _ in 0..parts {
            velocity += torque(angle, velocity) / inertia * dt;
            angle += velocity * dt;
        }
    }
    samples
}

fn rig(
    arguments: &Arguments,
    inertia: f64,
    amplitude: f64,
    mut random: Random,
) -> Result<Vec<Sample>, SynthesisError> {
    let excitation = Excitation::new(&mut random, arguments.seconds, amplitude);
    let config = ActuatorConfig { inertia, ..ActuatorConfig::default() };
    let mut plant = ActuatorPlant::new(config, random.next())?;
    let count = (arguments.seconds * arguments.rate_hz).round() as usize;
    let period = Duration::from_secs_f64(1.0 / arguments.rate_hz);
    let samples = (0..count).map(|index| {
        let command = excitation.at(index as f64 / arguments.rate_hz);
        let sensed = plant.sense();
        let torque = plant.truth().net_torque;
        plant.step(period, Drive::Position(command));
        Sample {
            encoder: sensed.encoder,
            command,
            acceleration: sensed.acceleration,
            gyro: sensed.gyro,
            torque,
        }
    });
    Ok(samples.collect())
}

fn write(path: &Path, samples: &[Sample], rate_hz: f64) -> Result<(), SynthesisError> {
    let mut text =
        "Time_ms,Encoder_Angle,Commanded_Angle,Acc_X,Acc_Y,Acc_Z,Gyro_X,Gyro_Y,Gyro_Z,Torque_Nm\n"
            .to_owned();
    for (index, sample) in samples.iter().enumerate() {
        let [ax, ay, az] = sample.acceleration;
        let [gx, gy, gz] = sample.gyro.map(f64::to_degrees);
        let _ = writeln!(
            text,
            "{:.4},{:.5},{:.5},{ax:.5},{ay:.5},{az:.5},{gx:.4},{gy:.4},{gz:.4},{:.6}",
            1e3 * index as f64 / rate_hz,
            sample.encoder.to_degrees(),
            sample.command.to_degrees(),
            sample.torque
        );
    }
    std::fs::write(path, text)
        .map_err(|source| SynthesisError::File { path: path.to_owned(), source })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::actuator::csv::Recording;

    fn arguments(out: &Path, plant: Plant) -> Arguments {
        Arguments {
            out: out.to_owned(),
            plant,
            inertias: vec![0.02],
            files: 1,
            amplitude_rad: 0.5,
            seconds: 4.0,
            rate_hz: 200.0,
            seed: 5,
        }
    }

    #[test]
    fn the_same_seed_makes_the_same_files_and_old_ones_are_kept() {
        let folder = tempfile::tempdir().unwrap();
        for plant in [Plant::Recipe, Plant::Rig] {
            let [a, b, c] = ["a", "b", "c"].map(|it| folder.path().join(format!("{it}{plant:?}")));
            run(&arguments(&a, plant)).unwrap();
            run(&arguments(&b, plant)).unwrap();
            run(&Arguments { seed: 6, ..arguments(&c, plant) }).unwrap();
            assert!(run(&arguments(&a, plant)).is_err(), "an old folder is kept");
            let read = |of: &Path| std::fs::read(of.join("0.02kgm2/01.csv")).unwrap();
            assert_eq!(read(&a), read(&b));
            assert_ne!(read(&a), read(&c));
        }
    }

    #[test]
    fn torque_is_inertia_times_angular_acceleration() {
        let folder = tempfile::tempdir().unwrap();
        let rms = |values: &[f64]| {
            (values.iter().map(|it| it * it).sum::<f64>() / values.len() as f64).sqrt()
        };
        for (plant, radius, share) in [(Plant::Recipe, RADIUS, 0.01), (Plant::Rig, 0.1, 0.1)] {
            let out = folder.path().join(format!("{plant:?}"));
            run(&arguments(&out, plant)).unwrap();
            let path = out.join("0.02kgm2/01.csv");
            let recording = Recording::read(&path, "Acc_Y", "Gyro_Z").unwrap();
            assert_eq!(recording.time_ms.len(), 800);
            assert!((recording.rate.hz - 200.0).abs() < 1e-9);
            assert!(recording.warnings.is_empty(), "{:?}", recording.warnings);
            let text = std::fs::read_to_string(&path).unwrap();
            let last = |line: &str| line.rsplit(',').next().unwrap().parse::<f64>().unwrap();
            let torque: Vec<f64> = text.lines().skip(1).map(last).collect();
            let measured = recording.acceleration.iter().map(|it| 0.02 * it / radius);
            let errors: Vec<f64> = measured.zip(&torque).map(|(a, b)| a - b).collect();
            let ratio = rms(&errors) / rms(&torque);
            assert!(ratio < share, "{plant:?}: {ratio}");
        }
    }

    #[test]
    fn the_excitation_has_its_amplitude_and_returns_to_its_first_frequency() {
        let excitation = Excitation { phases: [0.3, 0.7], seconds: 20.0, amplitude: 0.5 };
        let values: Vec<f64> =
            (0..4000).map(|index| excitation.at(f64::from(index) / 200.0)).collect();
        let square = values.iter().map(|it| it * it).sum::<f64>() / 4000.0;
        assert!((0.3..0.45).contains(&square.sqrt()), "{square}");
        assert!(values.iter().all(|it| it.abs() <= 0.75));
        // 1.7 Hz more in the middle than at both ends.
        let turns = |from: usize| {
            values[from..from + 400].windows(2).filter(|it| it[0] * it[1] < 0.0).count()
        };
        assert!(turns(1800) >= 7 && turns(0) <= 2 && turns(3600) <= 2, "{}", turns(1800));
    }
}
