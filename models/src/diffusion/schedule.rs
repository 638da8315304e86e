//! How much noise there is at each step of the diffusion, and what one step of its removal does.
//! Formulas and rounding as in diffusers 0.39, "leading" spacing, `fixed_small` variance, eta 0.

use super::options::Scheduler;

/// Largest share of the noise that one step of the cosine schedule adds.
const LARGEST_BETA: f64 = 0.999;
/// Offset of the cosine schedule (Nichol and Dhariwal, 2021).
const OFFSET: f64 = 0.008;
/// Smallest variance of DDPM's own noise.
const LEAST_VARIANCE: f32 = 1e-20;

/// Noise that each step of the training adds.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum BetaSchedule {
    /// `squaredcos_cap_v2`.
    Cosine,
    /// `linear`.
    Linear {
        /// Of the first step.
        start: f64,
        /// Of the last step.
        end: f64,
    },
    /// `scaled_linear`: the roots are linear.
    ScaledLinear {
        /// Of the first step.
        start: f64,
        /// Of the last step.
        end: f64,
    },
}

impl BetaSchedule {
    /// LeRobot's name.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Cosine => "squaredcos_cap_v2",
            Self::Linear { .. } => "linear",
            Self::ScaledLinear { .. } => "scaled_linear",
        }
    }

    /// Noise of each step.
    fn betas(self, count: usize) -> Vec<f32> {
        let line = |start: f32, end: f32| {
            let step = (end - start) / (count.max(2) - 1) as f32;
            // From both ends, as PyTorch does.
            (0..count).map(move |index| {
                if index < count / 2 {
                    start + step * index as f32
                } else {
                    end - step * (count - index - 1) as f32
                }
            })
        };
        match self {
            Self::Cosine => {
                let left = |step: usize| {
                    let time = step as f64 / count as f64;
                    libm::pow(
                        libm::cos((time + OFFSET) / (1.0 + OFFSET) * std::f64::consts::FRAC_PI_2),
                        2.0,
                    )
                };
                let beta = |step: usize| (1.0 - left(step + 1) / left(step)).min(LARGEST_BETA);
                (0..count).map(|step| beta(step) as f32).collect()
            }
            Self::Linear { start, end } => line(start as f32, end as f32).collect(),
            Self::ScaledLinear { start, end } => {
                line(start.sqrt() as f32, end.sqrt() as f32).map(|root| root * root).collect()
            }
        }
    }
}

/// What the network predicts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Prediction {
    /// The noise in its input.
    Noise,
    /// Its input without the noise.
    Sample,
}

impl Prediction {
    /// All of them.
    pub(crate) const ALL: [Self; 2] = [Self::Noise, Self::Sample];
}

impl AsRef<str> for Prediction {
    /// LeRobot's name.
    fn as_ref(&self) -> &str {
        match self {
            Self::Noise => "epsilon",
            Self::Sample => "sample",
        }
    }
}

/// What is left of a sample after each step of the training.
#[derive(Clone, Debug)]
pub(crate) struct Schedule {
    /// Products of one minus the noise of all steps up to each.
    left: Vec<f32>,
}

impl Schedule {
    /// Of a training with this many steps.
    pub(crate) fn new(betas: BetaSchedule, steps: usize) -> Self {
        let product = betas.betas(steps).into_iter().scan(1.0_f64, |product, beta| {
            *product *= f64::from(1.0 - beta);
            Some(*product as f32)
        });
        Self { left: product.collect() }
    }

    /// Steps of the training.
    pub(crate) fn train_steps(&self) -> usize {
        self.left.len()
    }

    /// Steps of an inference from noise to sample.
    pub(crate) fn timesteps(&self, steps: usize) -> Vec<usize> {
        let distance = self.train_steps() / steps;
        (0..steps).rev().map(|index| index * distance).collect()
    }

    /// Factors of a sample and of noise in their mixture at a timestep.
    pub(crate) fn mixture(&self, timestep: usize) -> [f32; 2] {
        let left = self.left[timestep];
        [left.sqrt(), (1.0 - left).sqrt()]
    }

    /// The removal of noise from `timestep` on, of an inference in this many steps.
    pub(crate) fn step(
        &self,
        (scheduler, steps): (Scheduler, usize),
        timestep: usize,
        prediction: Prediction,
        clip: Option<f32>,
    ) -> Step {
        let left = self.left[timestep];
        let previous = timestep.checked_sub(self.train_steps() / steps);
        let left_before = previous.map_or(1.0, |previous| self.left[previous]);
        let (noise, noise_before) = (1.0 - left, 1.0 - left_before);
        let alpha = left / left_before;
        let beta = 1.0 - alpha;
        let kind = match scheduler {
            Scheduler::Ddim => Kind::Ddim([left_before.sqrt(), noise_before.sqrt()]),
            Scheduler::Ddpm => {
                let variance = (noise_before / noise * beta).max(LEAST_VARIANCE);
                Kind::Ddpm {
                    original: left_before.sqrt() * beta / noise,
                    sample: alpha.sqrt() * noise_before / noise,
                    deviation: if timestep > 0 { variance.sqrt() } else { 0.0 },
                }
            }
        };
        Step { prediction, clip, roots: [left.sqrt(), noise.sqrt()], kind }
    }
}

/// One step of an inference.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Step {
    prediction: Prediction,
    clip: Option<f32>,
    /// Factors of the sample and of the noise in what comes in.
    roots: [f32; 2],
    kind: Kind,
}

#[derive(Clone, Copy, Debug)]
enum Kind {
    /// Factors of the sample and of the noise in what goes out.
    Ddim([f32; 2]),
    Ddpm {
        /// Factor of the predicted sample.
        original: f32,
        /// Factor of what comes in.
        sample: f32,
        /// Of the noise that is added.
        deviation: f32,
    },
}

impl Step {
    /// Whether it adds noise of its own.
    pub(crate) fn draws(&self) -> bool {
        matches!(self.kind, Kind::Ddpm { deviation, .. } if deviation > 0.0)
    }

    /// Replaces `sample` by what it was a step earlier, given the network's `output`. `noise` is
    /// read where the step [draws](Self::draws).
    pub(crate) fn apply(&self, sample: &mut [f32], output: &[f32], noise: &[f32]) {
        let [root, noise_root] = self.roots;
        let bounded = |value: f32| match self.clip {
            // A network that overflows has failed: clipping must not hide it.
            Some(range) if value.is_finite() => value.clamp(-range, range),
            _ => value,
        };
        for (index, (sample, output)) in sample.iter_mut().zip(output).enumerate() {
            let (original, predicted_noise) = match self.prediction {
                Prediction::Noise => ((*sample - noise_root * output) / root, *output),
                Prediction::Sample => (*output, (*sample - root * output) / noise_root),
            };
            let original = bounded(original);
            *sample = match self.kind {
                Kind::Ddim([root, noise_root]) => root * original + noise_root * predicted_noise,
                Kind::Ddpm { original: factor, sample: sample_factor, deviation } => {
                    let own = noise.get(index).map_or(0.0, |noise| deviation * noise);
                    factor * original + sample_factor * *sample + own
                }
            };
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::diffusion::sampler::mix;
    use crate::tensor_file::TensorFile;
    use std::path::Path;

    const SHAPE: [usize; 3] = [1, 8, 4];

    fn check(golden: &mut TensorFile<'_>, name: &str, got: &[f32]) {
        let shape = golden.shape(name).unwrap().to_vec();
        let expected = golden.take(name, &shape).unwrap();
        assert_eq!(expected.len(), got.len(), "{name}");
        let largest = expected.iter().fold(1.0_f32, |largest, x| largest.max(x.abs()));
        for (expected, got) in expected.iter().zip(got) {
            assert!((expected - got).abs() <= 2e-6 * largest, "{name}: {got}, recorded {expected}");
        }
    }

    /// Every recorded number of diffusers is reproduced: schedules, mixtures, timesteps, and
    /// single steps of both kinds, either prediction, clipped and not.
    #[test]
    fn schedules_and_steps_equal_the_recorded_ones() {
        let root = Path::new(env!("CARGO_MANIFEST_DIR"));
        let file = root.join("../tests/fixtures/diffusion_schedulers/schedulers.safetensors");
        let bytes = std::fs::read(&file).unwrap();
        let mut golden = TensorFile::parse(&file, &bytes).unwrap();
        let [sample, output, noise] = ["sample", "model_output", "step_noise"]
            .map(|name| golden.take(&format!("in.{name}"), &SHAPE).unwrap());
        let (start, end) = (1e-4, 0.02);
        for betas in [
            BetaSchedule::Cosine,
            BetaSchedule::Linear { start, end },
            BetaSchedule::ScaledLinear { start, end },
        ] {
            let name = betas.name();
            check(&mut golden, &format!("{name}.betas"), &betas.betas(100));
            let schedule = Schedule::new(betas, 100);
            check(&mut golden, &format!("{name}.alphas_cumprod"), &schedule.left);
            for timestep in [0, 1, 50, 99] {
                let mut got = [0.0; 32];
                mix(schedule.mixture(timestep), &sample, &output, &mut got);
                check(&mut golden, &format!("{name}.add_noise.t{timestep}"), &got);
            }
        }
        let schedule = Schedule::new(BetaSchedule::Cosine, 100);
        for (scheduler, counts) in [
            (Scheduler::Ddpm, [5, 8, 10, 16, 20, 50, 100].as_slice()),
            (Scheduler::Ddim, &[10, 100]),
        ] {
            let kind = scheduler.as_ref().to_lowercase();
            for count in counts {
                let name = format!("{kind}.{count}.timesteps");
                let expected = golden.take_integers(&name, &[*count]).unwrap();
                assert_eq!(schedule.timesteps(*count), expected, "{name}");
            }
            for (count, timesteps) in [(10, [0, 10, 40, 90]), (100, [0, 1, 49, 99])] {
                for prediction in Prediction::ALL {
                    for (clip, clipped) in [(None, "clip0"), (Some(1.0), "clip1")] {
                        for timestep in timesteps {
                            let name = format!(
                                "{kind}.{count}.{}.{clipped}.step_t{timestep}",
                                prediction.as_ref()
                            );
                            let step =
                                schedule.step((scheduler, count), timestep, prediction, clip);
                            assert_eq!(step.draws(), scheduler == Scheduler::Ddpm && timestep > 0);
                            let mut got = sample.clone();
                            step.apply(&mut got, &output, &noise);
                            check(&mut golden, &name, &got);
                        }
                    }
                }
            }
        }
        golden.finish().unwrap();
    }
}
