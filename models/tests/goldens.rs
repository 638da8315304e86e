//! Every recorded run of LeRobot is reproduced.

#![allow(clippy::unwrap_used)]

use sinew_models::golden::{GoldenReport, Layout, check};
use sinew_models::{Isa, LoadOptions};
use std::path::PathBuf;

fn fixture(name: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../tests/fixtures").join(name)
}

fn run(checkpoint: &str, golden: &str) -> GoldenReport {
    let folder = fixture(checkpoint);
    let golden = folder.join(golden);
    let mut last = None;
    // With all instructions that this computer has; the number of threads changes nothing.
    for isa in Isa::ALL.into_iter().filter(|isa| isa.is_here()) {
        let mut of_one = None;
        for threads in [1, 2, 3] {
            let options = LoadOptions { isa, threads, ..LoadOptions::default() };
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
