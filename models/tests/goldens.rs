//! Every recorded run of LeRobot is reproduced.

#![allow(clippy::unwrap_used)]

use sinew_models::golden::{GoldenReport, Layout, check};
use sinew_models::{DiffusionOptions, Isa, LoadOptions, Scheduler};
use std::path::PathBuf;

fn fixture(name: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../tests/fixtures").join(name)
}

fn run(checkpoint: &str, golden: &str) -> GoldenReport {
    run_with(checkpoint, golden, &DiffusionOptions::default())
}

fn run_with(checkpoint: &str, golden: &str, diffusion: &DiffusionOptions) -> GoldenReport {
    let folder = fixture(checkpoint);
    let golden = folder.join(golden);
    let mut last = None;
    // With all instructions that this computer has; the number of threads changes nothing.
    for isa in Isa::ALL.into_iter().filter(|isa| isa.is_here()) {
        let mut of_one = None;
        for threads in [1, 2, 3] {
            let diffusion = diffusion.clone();
            let options = LoadOptions { isa, threads, diffusion, ..LoadOptions::default() };
            let mut policy = sinew_models::load(&folder, &options).unwrap();
            let report = check(policy.as_mut(), &golden).unwrap();
            for comparison in &report.comparisons {
                println!("{isa:?}, {threads} threads, {}: {comparison}", golden.display());
                // Intermediate tensors do not decide, but here they must agree as well.
                assert!(comparison.passed, "{isa:?}: {comparison}");
            }
            assert!(report.passed());
            assert_eq!(of_one.get_or_insert_with(|| report.clone()), &report, "{threads} threads");
            last = Some(report);
        }
    }
    last.unwrap()
}

fn names(report: &GoldenReport) -> Vec<&str> {
    report.comparisons.iter().map(|comparison| comparison.name.as_str()).collect()
}

#[test]
fn inference_with_two_cameras_agrees() {
    let report = run("act_tiny", "inference.safetensors");
    assert_eq!(report.layout, Layout::Inference);
    assert_eq!(
        names(&report),
        [
            "in.normalized.observation.images.top",
            "in.normalized.observation.images.wrist",
            "in.normalized.observation.state",
            "mid.backbone.cam0",
            "mid.backbone.cam1",
            "mid.cam_pos_embed",
            "mid.decoder_out",
            "mid.encoder_in_tokens",
            "mid.encoder_out",
            "mid.encoder_pos_embed",
            "out.action_chunk",
            "out.action_chunk_normalized",
        ]
    );
}

#[test]
fn inference_without_images_before_norm_with_gelu_agrees() {
    let report = run("act_tiny_prenorm_env", "inference.safetensors");
    assert_eq!(report.comparisons.iter().filter(|comparison| comparison.decides).count(), 2);
}

#[test]
fn inference_of_the_old_format_agrees() {
    assert_eq!(names(&run("act_legacy_v033", "inference.safetensors")), ["out.action_chunk"]);
}

#[test]
fn rollouts_by_queue_and_by_ensembling_agree() {
    for checkpoint in ["act_tiny", "act_tiny_prenorm_env"] {
        let report = run(checkpoint, "rollout.safetensors");
        assert_eq!((report.layout, report.steps), (Layout::Rollout, 12));
        let expected = [
            "out.chunks_normalized",
            "out.ensemble_-0.1.action",
            "out.ensemble_0.01.action",
            "out.queue.action",
        ];
        assert_eq!(names(&report), expected);
    }
}

/// All that is recorded of one history of observations: inputs, encoders, one pass through the
/// network, and five samplings.
const SAMPLED: usize = 15;

fn sampled(checkpoint: &str, more: &[&str]) {
    let report = run(checkpoint, "inference.safetensors");
    assert_eq!((report.layout, report.steps), (Layout::Sampling, 2));
    let names = names(&report);
    for name in ["mid.global_cond", "unet.mid.timestep_embedding", "unet.out"] {
        assert!(names.contains(&name), "{name}");
    }
    for sampling in ["ddim10", "ddim10_sample_noclip", "ddim16", "ddpm10", "ddpm100"] {
        for part in ["out_actions", "out_normalized", "timesteps"] {
            let name = format!("sample.{sampling}.{part}");
            assert!(names.contains(&name.as_str()), "{name}");
        }
    }
    for part in more {
        assert!(names.contains(part), "{part}");
    }
    assert_eq!(report.comparisons.iter().filter(|c| c.decides).count(), 10);
    let others = names.iter().filter(|name| !name.starts_with("in.normalized")).count();
    assert_eq!(others, SAMPLED + 3 + more.len());
}

#[test]
fn samplings_with_a_shared_encoder_and_a_crop_agree() {
    let parts = ["after_resize_crop", "preprocessed_and_backbone", "keypoints", "features"];
    sampled(
        "diffusion_tiny",
        &parts.map(|part| format!("mid.rgb0.{part}")).each_ref().map(|s| s.as_str()),
    );
}

#[test]
fn samplings_with_resized_images_and_an_encoder_per_camera_agree() {
    let parts = ["after_resize_crop", "preprocessed_and_backbone", "keypoints", "features"];
    let names: Vec<String> =
        (0..2).flat_map(|camera| parts.map(|part| format!("mid.rgb{camera}.{part}"))).collect();
    let names: Vec<&str> = names.iter().map(String::as_str).collect();
    sampled("diffusion_tiny_v06", &names);
}

#[test]
fn samplings_without_images_and_with_shifts_only_agree() {
    sampled("diffusion_tiny_env", &[]);
}

#[test]
fn rollouts_of_diffusion_policies_agree() {
    let ddim = DiffusionOptions {
        scheduler: Some(Scheduler::Ddim),
        steps: Some(10),
        ..DiffusionOptions::default()
    };
    for checkpoint in ["diffusion_tiny", "diffusion_tiny_v06", "diffusion_tiny_env"] {
        let report = run_with(checkpoint, "rollout.safetensors", &ddim);
        assert_eq!((report.layout, report.steps), (Layout::SampledRollout, 10));
        assert_eq!(names(&report), ["out.action"]);
    }
}

/// Here the checkpoint itself asks for DDIM in ten steps.
#[test]
fn rollouts_of_diffusion_policies_of_the_old_format_agree() {
    let report = run("diffusion_legacy_v033", "inference.safetensors");
    assert_eq!((report.layout, report.steps), (Layout::SampledRollout, 6));
}
