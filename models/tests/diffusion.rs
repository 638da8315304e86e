//! What a Diffusion Policy does beyond what LeRobot recorded: seeds, history, cancellation, and
//! chunks that continue others.

#![allow(clippy::unwrap_used)]

mod support;

use serde_json::json;
use sinew_models::{
    Continuation, DiffusionOptions, DiffusionPolicy, Isa, LoadOptions, NetworkInfo, Observation,
    Policy, Precision, PredictError, Scheduler, golden,
};
use support::{Checkpoint, fixture, floats, values};

const PIXELS: usize = 48 * 64 * 3;
/// Actions of a chunk: the horizon of 8 without the one before the newest observation.
const CHUNK: usize = 7;
const SIZE: usize = 4;

fn ddim(steps: usize) -> DiffusionOptions {
    DiffusionOptions {
        scheduler: Some(Scheduler::Ddim),
        steps: Some(steps),
        ..DiffusionOptions::default()
    }
}

fn load(diffusion: DiffusionOptions) -> DiffusionPolicy {
    let options = LoadOptions { diffusion, ..LoadOptions::default() };
    DiffusionPolicy::load(&fixture("diffusion_tiny"), &options).unwrap()
}

/// State and two images of one moment.
struct Scene([f32; SIZE], Vec<u8>, Vec<u8>);

impl Scene {
    fn new(moment: usize) -> Self {
        let byte = |index: usize, factor: usize| (index * factor / 7 + 40 * moment) as u8;
        Self(
            std::array::from_fn(|joint| 0.1 * (moment as f32 + joint as f32).sin()),
            (0..PIXELS).map(|index| byte(index, 3)).collect(),
            (0..PIXELS).map(|index| byte(index, 5)).collect(),
        )
    }

    fn with<R>(&self, run: impl FnOnce(&Observation<'_>) -> R) -> R {
        run(&Observation { vectors: &[&self.0], images: &[&self.1, &self.2] })
    }
}

fn predict(policy: &mut DiffusionPolicy, scene: &Scene) -> Vec<f32> {
    let mut actions = vec![f32::NAN; CHUNK * SIZE];
    scene.with(|observation| policy.predict(observation, &mut actions)).unwrap();
    actions
}

fn continued(
    policy: &mut DiffusionPolicy,
    scene: &Scene,
    previous: &[f32],
    committed: usize,
) -> Vec<f32> {
    let mut actions = vec![f32::NAN; CHUNK * SIZE];
    let continuation = Continuation { previous, committed };
    scene.with(|observation| policy.predict_from(observation, continuation, &mut actions)).unwrap();
    actions
}

#[test]
fn description_and_details_say_what_the_checkpoint_is() {
    let policy = load(DiffusionOptions::default());
    let description = policy.description();
    let sizes = (description.action_size, description.chunk_size, description.action_steps);
    assert_eq!((sizes, description.observation_steps), ((4, 7, 4), 2));
    let NetworkInfo::Diffusion(network) = &policy.info().network else { panic!() };
    assert_eq!((network.backbones.len(), network.crop), (1, Some([40, 56])));
    assert_eq!((network.scheduler.as_str(), network.steps), ("DDPM", 100));
    let text = policy.info().to_string();
    for part in [
        "policy        diffusion in",
        "basic blocks x channels 2x16, 2x16, 2x32, 2x32; 6 key points",
        "cropped to their centre, 40 x 56",
        "u-net         16, 24, 32 channels, 8 actions",
        "DDPM in 100 steps of 100 (squaredcos_cap_v2), predicts epsilon, clipped to 1",
    ] {
        assert!(text.contains(part), "{part:?} is not in: {text}");
    }
    let json = serde_json::to_value(policy.info()).unwrap();
    assert_eq!(json["network"]["widths"], json!([16, 24, 32]));
    let v06 = DiffusionPolicy::load(&fixture("diffusion_tiny_v06"), &LoadOptions::default());
    let text = v06.unwrap().info().to_string();
    assert!(text.contains("resized to 36 x 40") && text.contains("32 x 36"), "{text}");
    assert_eq!(text.matches("basic blocks").count(), 2);
}

#[test]
fn the_seed_decides_and_a_reset_begins_anew() {
    let scene = Scene::new(0);
    for options in [ddim(5), DiffusionOptions { steps: Some(5), ..DiffusionOptions::default() }] {
        let mut policy = load(DiffusionOptions { seed: 3, ..options.clone() });
        let first = predict(&mut policy, &scene);
        let second = predict(&mut policy, &scene);
        assert_ne!(first, second, "every inference has noise of its own");
        policy.reset();
        assert_eq!(predict(&mut policy, &scene), first);
        assert_eq!(predict(&mut policy, &scene), second);
        let mut same = load(DiffusionOptions { seed: 3, ..options.clone() });
        assert_eq!(predict(&mut same, &scene), first);
        let mut other = load(DiffusionOptions { seed: 4, ..options });
        assert_ne!(predict(&mut other, &scene), first);
    }
}

#[test]
fn results_do_not_depend_on_the_number_of_threads() {
    let scene = Scene::new(0);
    for isa in Isa::ALL.into_iter().filter(|isa| isa.is_here()) {
        for precision in [Precision::F32, Precision::Bf16] {
            let chunk = |threads: usize| {
                let diffusion = ddim(4);
                let options =
                    LoadOptions { threads, isa, precision, diffusion, ..LoadOptions::default() };
                let folder = fixture("diffusion_tiny_v06");
                predict(&mut DiffusionPolicy::load(&folder, &options).unwrap(), &scene)
            };
            let one = chunk(1);
            assert_eq!(one, chunk(2));
            assert_eq!(one, chunk(3));
        }
    }
}

#[test]
fn weights_of_half_the_size_give_almost_the_same_actions() {
    let scene = Scene::new(0);
    let chunk = |precision| {
        let options = LoadOptions { precision, diffusion: ddim(10), ..LoadOptions::default() };
        let folder = fixture("diffusion_tiny");
        predict(&mut DiffusionPolicy::load(&folder, &options).unwrap(), &scene)
    };
    let (exact, short) = (chunk(Precision::F32), chunk(Precision::Bf16));
    assert_ne!(exact, short);
    let largest = exact.iter().fold(0.0_f32, |largest, x| largest.max(x.abs()));
    for (exact, short) in exact.iter().zip(&short) {
        assert!((exact - short).abs() < 0.05 * largest, "{exact} {short}");
    }
}

#[test]
fn observing_predicting_and_continuing_allocate_nothing() {
    for threads in [1, 2] {
        for (checkpoint, steps) in [("diffusion_tiny", 3), ("diffusion_tiny_v06", 3)] {
            let diffusion = DiffusionOptions {
                steps: Some(steps),
                warm_start: Some(0.8),
                inpaint: true,
                ..DiffusionOptions::default()
            };
            let options = LoadOptions { threads, diffusion, ..LoadOptions::default() };
            let mut policy = DiffusionPolicy::load(&fixture(checkpoint), &options).unwrap();
            let scenes: Vec<Scene> = (0..3).map(Scene::new).collect();
            let previous = predict(&mut policy, &scenes[0]);
            let mut actions = vec![0.0; CHUNK * SIZE];
            let allocations = allocation_counter::measure(|| {
                for scene in &scenes {
                    scene.with(|observation| {
                        policy.observe(observation).unwrap();
                        policy.predict(observation, &mut actions).unwrap();
                        let continuation = Continuation { previous: &previous, committed: 2 };
                        policy.predict_from(observation, continuation, &mut actions).unwrap();
                    });
                }
                policy.reset();
            });
            assert_eq!(allocations.count_total, 0, "{checkpoint}, {threads} threads");
        }
    }
}

/// The history counts observations, not inferences: what is noted in between is seen.
#[test]
fn observations_between_inferences_are_seen() {
    let scenes: Vec<Scene> = (0..3).map(Scene::new).collect();
    let after = |noted: &[usize]| {
        let mut policy = load(ddim(3));
        for moment in noted {
            scenes[*moment].with(|observation| policy.observe(observation)).unwrap();
        }
        predict(&mut policy, &scenes[2])
    };
    assert_eq!(after(&[]), after(&[2]), "the first observation stands for those before it");
    assert_ne!(after(&[]), after(&[1]));
    assert_eq!(after(&[1]), after(&[0, 1]), "two observations are seen, no more");
}

#[test]
fn a_refused_observation_leaves_the_history_as_it_was() {
    let (scene, bad) = (Scene::new(1), Scene([0.0, f32::NAN, 0.0, 0.0], vec![0; 9], vec![]));
    let mut policy = load(ddim(3));
    let expected = {
        scene.with(|observation| policy.observe(observation)).unwrap();
        predict(&mut policy, &Scene::new(2))
    };
    policy.reset();
    scene.with(|observation| policy.observe(observation)).unwrap();
    let refused = bad.with(|observation| policy.observe(observation));
    assert!(matches!(refused, Err(PredictError::NotFinite { index: 1, .. })), "{refused:?}");
    assert_eq!(predict(&mut policy, &Scene::new(2)), expected);
}

#[test]
fn a_long_sampling_shows_its_progress_and_can_be_cancelled() {
    let mut policy = load(DiffusionOptions::default());
    let progress = policy.progress().unwrap();
    let scene = Scene::new(0);
    predict(&mut policy, &scene);
    assert_eq!(progress.steps(), (100, 100));
    // Cancelled before it begins: the first step already is not done.
    progress.cancel();
    let mut actions = vec![0.0; CHUNK * SIZE];
    let refused = scene.with(|observation| policy.predict(observation, &mut actions));
    assert_eq!(refused, Err(PredictError::Cancelled { step: 0, steps: 100 }));
    progress.allow();
    // Cancelled from another thread while it runs, again and again until one is hit.
    let stopper = std::thread::spawn({
        let progress = std::sync::Arc::clone(&progress);
        move || {
            while progress.steps().0 < 5 || progress.steps().0 > 90 {
                std::hint::spin_loop();
            }
            progress.cancel();
        }
    });
    let cancelled = loop {
        match scene.with(|observation| policy.predict(observation, &mut actions)) {
            Ok(()) => {}
            Err(error) => break error,
        }
    };
    stopper.join().unwrap();
    assert!(matches!(cancelled, PredictError::Cancelled { steps: 100, .. }), "{cancelled}");
    progress.allow();
    predict(&mut policy, &scene);
}

#[test]
fn committed_actions_are_kept_exactly_and_only_on_request() {
    let (first, second) = (Scene::new(0), Scene::new(1));
    for scheduler in Scheduler::ALL {
        for isa in Isa::ALL.into_iter().filter(|isa| isa.is_here()) {
            let diffusion = |inpaint| DiffusionOptions {
                scheduler: Some(scheduler),
                steps: Some(10),
                inpaint,
                ..DiffusionOptions::default()
            };
            let load = |inpaint| {
                let diffusion = diffusion(inpaint);
                let options = LoadOptions { isa, diffusion, ..LoadOptions::default() };
                DiffusionPolicy::load(&fixture("diffusion_tiny"), &options).unwrap()
            };
            let (mut keeps, mut forgets) = (load(true), load(false));
            let previous = predict(&mut keeps, &first);
            assert_eq!(predict(&mut forgets, &first), previous);
            let previous = &previous[2 * SIZE..];
            let kept = continued(&mut keeps, &second, previous, 3);
            assert_eq!(kept[..3 * SIZE], previous[..3 * SIZE]);
            let forgot = continued(&mut forgets, &second, previous, 3);
            assert_ne!(forgot[..SIZE], previous[..SIZE]);
            assert_ne!(kept[3 * SIZE..], forgot[3 * SIZE..], "the rest knows what is committed");
            // Nothing committed: as if nothing was known.
            keeps.reset();
            forgets.reset();
            predict(&mut keeps, &first);
            predict(&mut forgets, &first);
            let unbound = continued(&mut keeps, &second, previous, 0);
            assert_eq!(unbound, predict(&mut forgets, &second));
        }
    }
}

/// The less noise it begins with, the closer a chunk is to the one before, and the fewer steps it
/// takes.
#[test]
fn a_warm_start_stays_near_the_previous_chunk() {
    let (first, second) = (Scene::new(0), Scene::new(1));
    let mut distances = Vec::new();
    for part in [None, Some(0.5), Some(0.2), Some(0.1)] {
        let mut policy = load(DiffusionOptions { warm_start: part, ..ddim(20) });
        let previous = predict(&mut policy, &first);
        assert_eq!(policy.progress().unwrap().steps(), (20, 20), "no chunk came before");
        let next = continued(&mut policy, &second, &previous[SIZE..], 0);
        let steps = policy.progress().unwrap().steps().1;
        let expected = part.map_or(20, |part| (part * 20.0) as usize + 1);
        assert_eq!(steps, expected);
        let pairs = next.iter().zip(&previous[SIZE..]);
        distances.push(pairs.map(|(a, b)| (a - b).powi(2)).sum::<f32>());
    }
    assert!(distances.is_sorted_by(|a, b| a > b), "{distances:?}");
}

/// A warm start at the very first step still begins with the actions, under all of the noise.
#[test]
fn a_warm_start_of_the_whole_diffusion_knows_the_previous_chunk() {
    let scene = Scene::new(1);
    let next = |part| {
        let mut policy = load(DiffusionOptions { warm_start: part, ..ddim(20) });
        let previous = vec![0.7; 2 * SIZE];
        let next = continued(&mut policy, &scene, &previous, 0);
        (next, policy.progress().unwrap().steps().1)
    };
    let (cold, warm) = (next(None), next(Some(1.0)));
    assert_eq!((cold.1, warm.1), (20, 20));
    assert_ne!(cold.0, warm.0);
}

#[test]
fn continuations_that_make_no_sense_are_refused() {
    let mut policy = load(ddim(2));
    let scene = Scene::new(0);
    let mut actions = vec![0.0; CHUNK * SIZE];
    let mut refuse = |previous: &[f32], committed: usize| {
        let continuation = Continuation { previous, committed };
        scene.with(|o| policy.predict_from(o, continuation, &mut actions)).unwrap_err()
    };
    assert!(matches!(refuse(&[0.0; 5], 0), PredictError::Size { got: 5, .. }));
    assert!(matches!(refuse(&[0.0; 8], 3), PredictError::Size { needed: 12, got: 8, .. }));
    let refused = refuse(&[0.0, 0.0, 0.0, f32::INFINITY], 0);
    assert!(matches!(refused, PredictError::NotFinite { index: 3, .. }));
}

/// Finite weights whose products are not: the policy says so instead of commanding them. Clipping
/// does not hide it.
#[test]
fn actions_that_are_not_finite_are_refused() {
    let copy = Checkpoint::copy("diffusion_tiny_env");
    copy.edit_weights(|tensors| {
        let head = tensors.get_mut("diffusion.unet.final_conv.1.weight").unwrap();
        *head = floats(&[2, 16, 1], [3e38; 32]);
    });
    let mut policy = sinew_models::load(copy.path(), &LoadOptions::default()).unwrap();
    let observation = Observation { vectors: &[&[0.1; 2], &[0.2; 16]], images: &[] };
    let refused = policy.predict(&observation, &mut [0.0; 14]);
    assert!(
        matches!(&refused, Err(PredictError::NotFinite { feature, .. }) if feature == "action"),
        "{refused:?}"
    );
}

/// `torch.compile` puts `_orig_mod.` into the names of what it compiled.
#[test]
fn compiled_models_are_read() {
    let copy = Checkpoint::copy("diffusion_tiny_env");
    copy.set("compile_model", json!(true));
    copy.edit_weights(|tensors| {
        let names: Vec<String> = tensors.keys().cloned().collect();
        for name in names {
            let tensor = tensors.remove(&name).unwrap();
            let compiled = name.replace("diffusion.unet.", "diffusion.unet._orig_mod.");
            assert_ne!(compiled, name);
            tensors.insert(compiled, tensor);
        }
    });
    let mut policy = sinew_models::load(copy.path(), &LoadOptions::default()).unwrap();
    let golden = copy.path().join("inference.safetensors");
    assert!(golden::check(policy.as_mut(), &golden).unwrap().passed());
}

#[test]
fn a_wrong_policy_fails_the_comparison() {
    let copy = Checkpoint::copy("diffusion_tiny_env");
    copy.edit_weights(|tensors| {
        let bias = tensors.get_mut("diffusion.unet.final_conv.1.bias").unwrap();
        let mut changed = values(bias);
        changed[0] += 0.01;
        *bias = floats(&[2], changed);
    });
    let options = LoadOptions { diffusion: ddim(10), ..LoadOptions::default() };
    let mut policy = sinew_models::load(copy.path(), &options).unwrap();
    for file in ["inference.safetensors", "rollout.safetensors"] {
        let report = golden::check(policy.as_mut(), &copy.path().join(file)).unwrap();
        assert!(!report.passed(), "{file}");
    }
}

#[test]
fn golden_files_of_another_way_of_sampling_are_refused() {
    let folder = fixture("diffusion_tiny_env");
    let mut policy = sinew_models::load(&folder, &LoadOptions::default()).unwrap();
    let refused = golden::check(policy.as_mut(), &folder.join("rollout.safetensors")).unwrap_err();
    assert!(refused.to_string().contains("samples by DDPM"), "{refused}");
    let copy = Checkpoint::copy("diffusion_tiny_env");
    copy.edit_tensors("inference.safetensors", |tensors| {
        let outcome = tensors["sample.ddim10.out_normalized"].clone();
        tensors.insert("sample.euler10.out_normalized".to_owned(), outcome);
    });
    let file = copy.path().join("inference.safetensors");
    let refused = golden::check(policy.as_mut(), &file).unwrap_err();
    assert!(refused.to_string().contains("sample.euler10 does not say how"), "{refused}");
    let mut act =
        sinew_models::load(&fixture("act_tiny_prenorm_env"), &LoadOptions::default()).unwrap();
    assert!(golden::check(act.as_mut(), &file).is_err());
}

#[test]
fn options_that_do_not_fit_are_named() {
    let refuse = |diffusion: DiffusionOptions| {
        let options = LoadOptions { diffusion, ..LoadOptions::default() };
        let refused = DiffusionPolicy::load(&fixture("diffusion_tiny"), &options).err();
        refused.unwrap().to_string()
    };
    let message = refuse(ddim(101));
    assert!(message.contains("steps is 101, needed 1 to 100"), "{message}");
    let message = refuse(ddim(0));
    assert!(message.contains("steps is 0"), "{message}");
    for part in [0.0, 1.5, f32::NAN] {
        let message = refuse(DiffusionOptions { warm_start: Some(part), ..ddim(10) });
        assert!(message.contains("warm_start is"), "{message}");
    }
    let refused = DiffusionPolicy::load(&fixture("act_tiny"), &LoadOptions::default()).err();
    let message = refused.unwrap().to_string();
    assert!(message.contains("type act, needed diffusion"), "{message}");
}

/// Root of the mean square, and largest magnitude.
fn spread(values: &[f32]) -> (f32, f32) {
    let squares: f32 = values.iter().map(|value| value * value).sum();
    let largest = values.iter().fold(0.0_f32, |largest, value| largest.max(value.abs()));
    ((squares / values.len() as f32).sqrt(), largest)
}

/// The table of `docs/benchmarks.md`: how far the next chunk is from the one before at the
/// hand-over, and how large the step is that follows what is committed. Recorded observations, an
/// inference every four of them, the hand-over one action later.
#[test]
fn hand_overs_are_smoother_with_a_warm_start_and_smoothest_with_inpainting() {
    const EVERY: usize = 4;
    const COMMITTED: usize = 2;
    let file = std::fs::read(fixture("diffusion_tiny").join("rollout.safetensors")).unwrap();
    let tensors = safetensors::SafeTensors::deserialize(&file).unwrap();
    let tensor = |name: &str| tensors.tensor(&format!("in.raw.observation.{name}")).unwrap();
    let state = tensor("state").data().to_vec();
    let (top, wrist) = (tensor("images.top").data(), tensor("images.wrist").data());
    let scene = |step: usize| {
        let numbers = state.as_chunks::<4>().0[step * SIZE..][..SIZE].iter();
        let values: Vec<f32> = numbers.map(|bytes| f32::from_le_bytes(*bytes)).collect();
        let image = |bytes: &[u8]| bytes[step * PIXELS..][..PIXELS].to_vec();
        Scene(values.try_into().unwrap(), image(top), image(wrist))
    };
    let scenes: Vec<Scene> = (0..10).map(scene).collect();
    let measure = |warm_start: Option<f32>, inpaint: bool| {
        let (mut jumps, mut steps) = (Vec::new(), Vec::new());
        for seed in 0..12 {
            let mut policy = load(DiffusionOptions { seed, warm_start, inpaint, ..ddim(10) });
            let mut previous: Vec<f32> = Vec::new();
            for (index, scene) in scenes.iter().enumerate() {
                if index % EVERY != 0 {
                    scene.with(|observation| policy.observe(observation)).unwrap();
                    continue;
                }
                let old = previous.get(EVERY * SIZE..).unwrap_or_default();
                let committed = COMMITTED.min(old.len() / SIZE);
                let new = continued(&mut policy, scene, old, committed);
                if !old.is_empty() {
                    let at = (COMMITTED - 1) * SIZE..COMMITTED * SIZE;
                    let pairs = old[at.clone()].iter().zip(&new[at.clone()]);
                    jumps.extend(pairs.map(|(old, new)| old - new));
                    // What the arm goes through: the old chunk, then the new one.
                    let pairs = old[at].iter().zip(&new[COMMITTED * SIZE..]);
                    steps.extend(pairs.map(|(old, new)| old - new));
                }
                previous = new;
            }
        }
        let ((jump, largest_jump), (step, largest_step)) = (spread(&jumps), spread(&steps));
        println!(
            "warm start {warm_start:?}, inpaint {inpaint}: jump {jump:.2} (max {largest_jump:.2}), step {step:.2} (max {largest_step:.2})"
        );
        (jump, step)
    };
    let neither = measure(None, false);
    let warm = measure(Some(0.5), false);
    let warmer = measure(Some(0.2), false);
    let inpainted = measure(None, true);
    let both = measure(Some(0.5), true);
    assert!(warm.0 < neither.0 && warmer.0 < warm.0);
    assert_eq!((inpainted.0, both.0), (0.0, 0.0), "what is committed is exact");
    assert!(both.1 < neither.1, "the step after it is smaller");
}
