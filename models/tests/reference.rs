//! The networks in Burn and in the engine say the same, and both what LeRobot and PyTorch say.
#![cfg(any(feature = "train", feature = "ndarray"))]
#![allow(clippy::unwrap_used, clippy::expect_used)]

mod support;

use sinew_models::golden::{TOLERANCE, check};
use sinew_models::{Device, DiffusionOptions, LoadOptions, Policy, Scheduler};
use support::fixture;
use support::scene::{Scene, compare, traces};

/// Largest difference of a tensor between Burn and the engine, relative to its largest magnitude,
/// or absolute where that is below 1.
const ENGINE_TOLERANCE: f32 = 1e-5;
/// The same after the ten steps of a sampling, whose differences add up.
const SAMPLING_TOLERANCE: f32 = 3e-5;

/// The devices of this build that need no graphics card.
fn devices() -> Vec<Device> {
    [Device::Flex, Device::Ndarray].into_iter().filter(|device| device.is_built()).collect()
}

fn load(checkpoint: &str, device: Device, diffusion: &DiffusionOptions) -> Box<dyn Policy> {
    let diffusion = diffusion.clone();
    let options = LoadOptions { device, diffusion, ..LoadOptions::default() };
    sinew_models::load(&fixture(checkpoint), &options).unwrap()
}

/// Every recorded tensor, intermediate ones as well.
fn recorded(checkpoint: &str, golden: &str, diffusion: &DiffusionOptions) {
    for device in devices() {
        let mut policy = load(checkpoint, device, diffusion);
        let report = check(policy.as_mut(), &fixture(checkpoint).join(golden)).unwrap();
        for comparison in &report.comparisons {
            println!("{}: {checkpoint}/{golden}: {comparison}", device.name());
            assert!(comparison.passed, "{}: {comparison}", device.name());
        }
        assert!(report.passed());
    }
}

#[test]
fn act_agrees_with_the_recorded_runs() {
    const { assert!(TOLERANCE <= 1e-4) };
    for checkpoint in ["act_tiny", "act_tiny_prenorm_env"] {
        for golden in ["inference.safetensors", "rollout.safetensors"] {
            recorded(checkpoint, golden, &DiffusionOptions::default());
        }
    }
    recorded("act_legacy_v033", "inference.safetensors", &DiffusionOptions::default());
}

#[test]
fn diffusion_agrees_with_the_recorded_samplings_and_rollouts() {
    let ddim = DiffusionOptions {
        scheduler: Some(Scheduler::Ddim),
        steps: Some(10),
        ..DiffusionOptions::default()
    };
    for checkpoint in ["diffusion_tiny", "diffusion_tiny_v06", "diffusion_tiny_env"] {
        recorded(checkpoint, "inference.safetensors", &DiffusionOptions::default());
        recorded(checkpoint, "rollout.safetensors", &ddim);
    }
    recorded("diffusion_legacy_v033", "inference.safetensors", &DiffusionOptions::default());
}

/// What a policy says of itself, but for the bytes in which its weights lie.
fn known(policy: &dyn Policy) -> serde_json::Value {
    let mut info = serde_json::to_value(policy.info()).unwrap();
    info["network"].as_object_mut().unwrap().remove("step_bytes");
    info
}

#[test]
fn policies_in_burn_and_in_the_engine_agree_on_other_observations() {
    let ddim = DiffusionOptions {
        scheduler: Some(Scheduler::Ddim),
        steps: Some(10),
        seed: 5,
        ..DiffusionOptions::default()
    };
    for checkpoint in [
        "act_tiny",
        "act_tiny_prenorm_env",
        "act_legacy_v033",
        "diffusion_tiny",
        "diffusion_tiny_v06",
        "diffusion_tiny_env",
    ] {
        let mut engine = load(checkpoint, Device::Cpu, &ddim);
        let scenes = [1, 2, 3].map(|seed| Scene::new(engine.as_ref(), seed));
        let expected = traces(engine.as_mut(), &scenes);
        let tolerance = match engine.description().kind {
            "act" => ENGINE_TOLERANCE,
            _ => SAMPLING_TOLERANCE,
        };
        for device in devices() {
            let mut burn = load(checkpoint, device, &ddim);
            assert_eq!(burn.description(), engine.description());
            assert_eq!(known(burn.as_ref()), known(engine.as_ref()));
            let what = format!("{checkpoint} on {}", device.name());
            let got = traces(burn.as_mut(), &scenes);
            let worst = expected.iter().zip(&got).map(|(a, b)| compare(&what, tolerance, a, b));
            println!("{what}: at most {:e} from the engine", worst.fold(0.0, f32::max));
        }
    }
}

/// Continuing a chunk, cancelling and resetting belong to the policy, whoever computes.
#[test]
fn a_diffusion_policy_in_burn_continues_cancels_and_begins_anew() {
    let options = DiffusionOptions {
        scheduler: Some(Scheduler::Ddim),
        steps: Some(10),
        warm_start: Some(0.4),
        inpaint: true,
        ..DiffusionOptions::default()
    };
    let mut engine = load("diffusion_tiny", Device::Cpu, &options);
    let scene = Scene::new(engine.as_ref(), 9);
    let count = engine.description().chunk_size * engine.description().action_size;
    let run = |policy: &mut dyn Policy| {
        let (mut first, mut second) = (vec![0.0; count], vec![0.0; count]);
        scene.see(|seen| policy.predict(seen, &mut first)).unwrap();
        let continuation = sinew_models::Continuation { previous: &first, committed: 2 };
        scene.see(|seen| policy.predict_from(seen, continuation, &mut second)).unwrap();
        policy.reset();
        let mut again = vec![0.0; count];
        scene.see(|seen| policy.predict(seen, &mut again)).unwrap();
        assert_eq!(first, again);
        let progress = policy.progress().unwrap();
        progress.cancel();
        assert!(scene.see(|seen| policy.predict(seen, &mut again)).is_err());
        progress.allow();
        [first, second]
    };
    let expected = run(engine.as_mut());
    for device in devices() {
        let got = run(load("diffusion_tiny", device, &options).as_mut());
        for (expected, got) in expected.iter().flatten().zip(got.iter().flatten()) {
            assert!((expected - got).abs() <= 1e-4 * expected.abs().max(1.0), "{expected} {got}");
        }
    }
}

mod refusals {
    use super::*;
    use sinew_models::{Isa, LoadError, Precision};

    fn refusal(checkpoint: &str, options: LoadOptions) -> String {
        let device = devices()[0];
        let options = LoadOptions { device, ..options };
        sinew_models::load(&fixture(checkpoint), &options).err().unwrap().to_string()
    }

    #[test]
    fn what_burn_does_not_honour_is_refused_by_name() {
        let name = devices()[0].name();
        let bf16 = LoadOptions { precision: Precision::Bf16, ..LoadOptions::default() };
        let text = refusal("act_tiny", bf16);
        let needed = format!("option precision is bf16, needed f32 on device {name}");
        assert!(text.contains(&needed), "{text}");
        if Isa::best() != Isa::Portable {
            let portable = LoadOptions { isa: Isa::Portable, ..LoadOptions::default() };
            let text = refusal("act_tiny", portable);
            assert!(text.contains("option instructions is portable"), "{text}");
        }
        let text = refusal("vinn_tiny", LoadOptions::default());
        assert!(text.contains("option policy is vinn, needed act or diffusion"), "{text}");
    }

    #[test]
    fn a_type_of_the_engine_is_not_loaded_for_another_device() {
        let options = LoadOptions { device: devices()[0], ..LoadOptions::default() };
        let error = sinew_models::ActPolicy::load(&fixture("act_tiny"), &options).err().unwrap();
        assert!(matches!(error, LoadError::Option { option: "device", .. }), "{error}");
    }
}

/// Recurrent layers over a long sequence; needs Burn's own CPU library.
#[cfg(feature = "train")]
mod recurrent {
    use sinew_models::recurrent::{
        GruLayerWeights, GruNetwork, GruWeights, LinearWeights, StepOptions,
    };
    use sinew_models::reference::GruReference;
    use sinew_models::reference::burn::tensor::{Device, Tensor, TensorData};

    const ROWS: usize = 3;
    const STEPS: usize = 2000;

    /// Numbers between -1 and 1 that look random.
    fn numbers(count: usize, seed: u32) -> Vec<f32> {
        let mut state = seed;
        let mut next = || {
            state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            (state >> 8) as f32 / (1 << 23) as f32 - 1.0
        };
        (0..count).map(|_| next()).collect()
    }

    fn compare(inputs: usize, hidden: usize, layers: usize, biased: bool) {
        let scale = 1.5 / (hidden as f32).sqrt();
        let weights = |count, seed| -> Vec<f32> {
            numbers(count, seed).into_iter().map(|value| scale * value).collect()
        };
        let parts: Vec<[Vec<f32>; 4]> = (0..layers)
            .map(|layer| {
                let inputs = if layer == 0 { inputs } else { hidden };
                let sizes = [3 * hidden * inputs, 3 * hidden * hidden, 3 * hidden, 3 * hidden];
                std::array::from_fn(|part| weights(sizes[part], (10 * layer + part) as u32))
            })
            .collect();
        let layers: Vec<GruLayerWeights<'_>> = parts
            .iter()
            .map(|[weight_ih, weight_hh, bias_ih, bias_hh]| GruLayerWeights {
                weight_ih,
                weight_hh,
                bias_ih: biased.then_some(bias_ih),
                bias_hh: Some(bias_hh),
            })
            .collect();
        let (weight, bias) = (weights(2 * hidden, 90), weights(2, 91));
        let head = LinearWeights { outputs: 2, weight: &weight, bias: Some(&bias) };
        let weights = GruWeights { inputs, hidden, layers: &layers, head: Some(head) };
        let options = StepOptions { rows: ROWS, ..StepOptions::default() };
        let mut engine = GruNetwork::new(&weights, options).unwrap();
        let x = numbers(ROWS * STEPS * inputs, 7);

        let device = Device::flex();
        let sequence = TensorData::new(x.clone(), [STEPS, ROWS, inputs]);
        let sequence = Tensor::<3>::from_data(sequence, &device).swap_dims(0, 1);
        let reference = GruReference::new(&weights, &device);
        // In two parts, so that the state is handed on.
        let [first, second] = [0..STEPS / 3, STEPS / 3..STEPS]
            .map(|steps| sequence.clone().slice([0..ROWS, steps, 0..inputs]));
        let (first, states) = reference.forward(first, None);
        let (second, states) = reference.forward(second, Some(states));
        let expected = Tensor::cat(vec![first, second], 1).swap_dims(0, 1).into_data();

        let mut worst = 0.0_f32;
        let mut out = [0.0; 2 * ROWS];
        let steps = expected.as_slice::<f32>().unwrap().chunks_exact(2 * ROWS);
        for (x, expected) in x.chunks_exact(ROWS * inputs).zip(steps) {
            engine.step(x, &mut out).unwrap();
            for (out, expected) in out.iter().zip(expected) {
                worst = worst.max((out - expected).abs());
            }
        }
        for (layer, state) in states.into_iter().enumerate() {
            let state = state.into_data();
            for (row, state) in state.as_slice::<f32>().unwrap().chunks_exact(hidden).enumerate() {
                for (own, state) in engine.state(layer, row).iter().zip(state) {
                    worst = worst.max((own - state).abs());
                }
            }
        }
        println!("{inputs} inputs, {} x {hidden}: at most {worst:e}", layers.len());
        assert!(worst <= 1e-5, "{worst:e}");
    }

    #[test]
    fn gru_steps_of_the_engine_equal_a_long_sequence_in_burn() {
        compare(3, 128, 2, true);
        compare(5, 20, 3, false);
        compare(4, 64, 1, true);
    }
}

/// One step of LeRobot's training: losses, and the norm of all gradients.
#[cfg(feature = "train")]
mod training {
    use super::fixture;
    use safetensors::SafeTensors;
    use sinew_models::reference::burn::module::{Module, ModuleVisitor, Param};
    use sinew_models::reference::burn::tensor::{Bool, Device, Gradients, Tensor, TensorData};
    use sinew_models::reference::{ActInputs, ActReference};

    /// Of the recorded training.
    const KL_WEIGHT: f64 = 10.0;

    /// Recorded inputs and results.
    struct Recording<'a> {
        tensors: SafeTensors<'a>,
        device: Device,
    }

    impl Recording<'_> {
        fn find<const D: usize>(&self, name: &str) -> Option<Tensor<D>> {
            let view = self.tensors.tensor(name).ok()?;
            let numbers = view.data().as_chunks::<4>().0;
            let values: Vec<f32> = numbers.iter().map(|bytes| f32::from_le_bytes(*bytes)).collect();
            Some(Tensor::from_data(TensorData::new(values, view.shape().to_vec()), &self.device))
        }

        fn padding(&self) -> Tensor<2, Bool> {
            let view = self.tensors.tensor("in.action_is_pad").unwrap();
            let values: Vec<bool> = view.data().iter().map(|byte| *byte != 0).collect();
            Tensor::from_data(TensorData::new(values, view.shape().to_vec()), &self.device)
        }

        /// Loss, its L1 part, its divergence, and the norm of the gradients, of the first step.
        fn expected(&self) -> [f64; 4] {
            let view = self.tensors.tensor("out.losses_total_l1_kld_gradnorm").unwrap();
            let numbers = view.data().as_chunks::<8>().0;
            std::array::from_fn(|index| f64::from_le_bytes(numbers[index]))
        }
    }

    struct Norm<'a>(&'a Gradients, f64);

    impl ModuleVisitor for Norm<'_> {
        fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
            if let Some(gradient) = param.val().grad(self.0) {
                self.1 += f64::from(gradient.square().sum().into_scalar::<f32>());
            }
        }
    }

    fn scalar(tensor: &Tensor<1>) -> f64 {
        f64::from(tensor.clone().into_scalar::<f32>())
    }

    fn step(checkpoint: &str, cameras: &[&str]) {
        let folder = fixture(checkpoint);
        let bytes = std::fs::read(folder.join("training.safetensors")).unwrap();
        let device = Device::flex().autodiff();
        let network = ActReference::load(&folder, &device).unwrap();
        let tensors = SafeTensors::deserialize(&bytes).unwrap();
        let recording = Recording { tensors, device };
        let (action, padding) = (recording.find::<3>("in.action").unwrap(), recording.padding());
        let state = recording.find::<2>("in.observation.state");

        let (mut latent, mut divergence) = (None, Tensor::zeros([1], &recording.device));
        if let Some(encoder) = network.variational() {
            let (mean, log) = encoder.forward(state.clone(), action.clone(), padding.clone());
            let noise = recording.find::<3>("in.vae_eps").unwrap().slice([0..1]).squeeze_dim(0);
            latent = Some(mean.clone() + log.clone().div_scalar(2.0).exp() * noise);
            let each: Tensor<2> = log.clone() + 1.0 - mean.square() - log.exp();
            divergence = each.mul_scalar(-0.5).sum_dim(1).mean();
        }
        let image = |camera: &&str| recording.find::<4>(&format!("in.observation.images.{camera}"));
        let chunk = network.forward(ActInputs {
            state,
            environment: recording.find("in.observation.environment_state"),
            images: cameras.iter().filter_map(image).collect(),
            latent,
        });
        let real: Tensor<3> = padding.bool_not().float().unsqueeze_dim(2);
        let count = real.clone().sum().mul_scalar(chunk.dims()[2] as f64);
        let l1 = ((chunk - action).abs() * real).sum() / count;
        let loss = l1.clone() + divergence.clone().mul_scalar(KL_WEIGHT);
        let gradients = loss.backward();
        let mut norm = Norm(&gradients, 0.0);
        network.visit(&mut norm);
        let got = [scalar(&loss), scalar(&l1), scalar(&divergence), norm.1.sqrt()];
        let expected = recording.expected();
        println!("{checkpoint}: {got:?}, LeRobot {expected:?}");
        for (got, expected) in got.iter().zip(expected) {
            assert!((got - expected).abs() <= 1e-4 * expected.max(1.0), "{got} {expected}");
        }
    }

    #[test]
    fn the_losses_and_gradients_of_lerobots_first_training_step_come_out() {
        step("act_tiny_prenorm_env", &[]);
        step("act_tiny", &["top", "wrist"]);
    }
}
