//! Policies on a graphics card, or on what stands in for one in software.
//!
//! Where there is neither, these tests say so and pass; with `SINEW_TEST_GPU=required` they fail.
#![cfg(feature = "wgpu")]
#![allow(clippy::unwrap_used, clippy::expect_used)]

mod support;

use sinew_models::golden::check;
use sinew_models::{Device, DiffusionOptions, LoadError, LoadOptions, Policy, Scheduler};
use support::fixture;
use support::scene::{Scene, compare, traces};

/// Ten times what the engine is allowed: graphics cards round differently.
const TOLERANCE: f64 = 1e-3;

/// The policy on the graphics card; `None` where there is none.
fn load(checkpoint: &str, diffusion: &DiffusionOptions) -> Option<Box<dyn Policy>> {
    let (device, diffusion) = (Device::Gpu, diffusion.clone());
    let options = LoadOptions { device, diffusion, ..LoadOptions::default() };
    match sinew_models::load(&fixture(checkpoint), &options) {
        Ok(policy) => Some(policy),
        Err(error @ LoadError::NoAdapter { .. }) => {
            let required = std::env::var("SINEW_TEST_GPU").is_ok_and(|value| value == "required");
            assert!(!required, "{error}");
            eprintln!("NOT TESTED: {error}");
            None
        }
        Err(error) => panic!("{error}"),
    }
}

fn recorded(checkpoint: &str, golden: &str, diffusion: &DiffusionOptions) {
    let Some(mut policy) = load(checkpoint, diffusion) else { return };
    let report = check(policy.as_mut(), &fixture(checkpoint).join(golden)).unwrap();
    for comparison in &report.comparisons {
        println!("{checkpoint}/{golden}: {comparison}");
        let scale = comparison.largest_magnitude.max(1.0);
        let allowed = comparison.tolerance.max(TOLERANCE * scale);
        assert!(comparison.largest_difference <= allowed, "{comparison}");
    }
}

fn ddim() -> DiffusionOptions {
    let (scheduler, steps) = (Some(Scheduler::Ddim), Some(10));
    DiffusionOptions { scheduler, steps, ..DiffusionOptions::default() }
}

#[test]
fn act_on_the_graphics_card_agrees_with_the_recorded_runs() {
    for checkpoint in ["act_tiny", "act_tiny_prenorm_env"] {
        recorded(checkpoint, "inference.safetensors", &DiffusionOptions::default());
    }
}

#[test]
fn diffusion_on_the_graphics_card_agrees_with_the_recorded_rollouts() {
    for checkpoint in ["diffusion_tiny", "diffusion_tiny_env"] {
        recorded(checkpoint, "rollout.safetensors", &ddim());
    }
}

/// Hundreds of steps: minutes on a graphics card made of software.
#[test]
#[ignore = "takes minutes; run it by hand on a new card"]
fn every_recorded_sampling_comes_out_on_the_graphics_card() {
    for checkpoint in ["diffusion_tiny", "diffusion_tiny_v06", "diffusion_tiny_env"] {
        recorded(checkpoint, "inference.safetensors", &DiffusionOptions::default());
    }
}

#[test]
fn policies_on_the_graphics_card_and_in_the_engine_agree() {
    for checkpoint in ["act_tiny", "act_tiny_prenorm_env", "diffusion_tiny_v06"] {
        let Some(mut gpu) = load(checkpoint, &ddim()) else { return };
        let options = LoadOptions { diffusion: ddim(), ..LoadOptions::default() };
        let mut engine = sinew_models::load(&fixture(checkpoint), &options).unwrap();
        let scenes = [1, 2].map(|seed| Scene::new(engine.as_ref(), seed));
        let (expected, got) = (traces(engine.as_mut(), &scenes), traces(gpu.as_mut(), &scenes));
        for (engine, gpu) in expected.iter().zip(&got) {
            let worst = compare(checkpoint, TOLERANCE as f32, engine, gpu);
            println!("{checkpoint}: at most {worst:e} from the engine");
        }
    }
}
