//! `sinew policy convert`, from the command line to the exit code.

#![allow(clippy::unwrap_used)]

use std::path::Path;
use std::process::{Command, Output};

const ORIGINAL: &str = "tests/fixtures/act_original_repo";

fn sinew(arguments: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_sinew"))
        .args(arguments)
        .current_dir(env!("CARGO_MANIFEST_DIR"))
        .output()
        .unwrap()
}

fn convert(from: &str, out: &Path, more: &[&str]) -> Output {
    let out = out.to_str().unwrap();
    let cameras = ["--camera", "top=48x64", "--camera", "wrist=48x64", "--heads", "4"];
    sinew(&[&["policy", "convert", from, "--out", out][..], &cameras, more].concat())
}

fn refusal(output: &Output, code: i32) -> String {
    let message = String::from_utf8(output.stderr.clone()).unwrap();
    assert_eq!(output.status.code(), Some(code), "{message}");
    message
}

#[test]
fn a_converted_checkpoint_passes_the_check_of_the_original_program() {
    let folder = tempfile::tempdir().unwrap();
    let out = folder.path().join("converted");
    let output = convert(ORIGINAL, &out, &[]);
    let text = String::from_utf8(output.stdout).unwrap();
    assert!(output.status.success(), "{text}");
    assert!(text.contains("of 3 decoder layers only the first counts"), "{text}");
    assert!(text.contains("observation.images.wrist [3, 48, 64], MEAN_STD"), "{text}");
    let golden = format!("{ORIGINAL}/inference.safetensors");
    let output = sinew(&["policy", "check", out.to_str().unwrap(), "--golden", &golden]);
    let text = String::from_utf8(output.stdout).unwrap();
    assert!(output.status.success() && text.contains("every output is within"), "{text}");
}

#[test]
fn json_holds_the_notes_and_the_policy() {
    let folder = tempfile::tempdir().unwrap();
    let out = folder.path().join("converted");
    let output = convert(ORIGINAL, &out, &["--colors", "bgr", "--format", "json"]);
    let text = String::from_utf8(output.stdout).unwrap();
    let line: serde_json::Value = serde_json::from_str(text.lines().last().unwrap()).unwrap();
    assert_eq!(line["policy"]["network"]["backbone"]["colors"], "bgr");
    assert_eq!(line["notes"].as_array().unwrap().len(), 2);
}

#[test]
fn every_refusal_has_its_code() {
    let folder = tempfile::tempdir().unwrap();
    let out = folder.path().join("converted");
    assert!(convert(ORIGINAL, &out, &[]).status.success());
    let message = refusal(&convert(ORIGINAL, &out, &[]), 2);
    assert!(message.contains("nothing is overwritten"), "{message}");
    let other = folder.path().join("other");
    refusal(&convert(ORIGINAL, &other, &["--actions", "15"]), 2);
    refusal(&convert(ORIGINAL, &other, &["--camera", "third=48"]), 2);
    refusal(&sinew(&["policy", "convert", ORIGINAL, "--out", other.to_str().unwrap()]), 2);
    refusal(&convert("tests/fixtures/act_tiny", &other, &[]), 11);
    let message = refusal(&convert("tests/fixtures/pickles/torch_2_4_module.pt", &other, &[]), 11);
    assert!(message.contains("GLOBAL names torch.nn.modules.container.Sequential"), "{message}");
    if cfg!(target_os = "linux") {
        refusal(&convert(ORIGINAL, Path::new("/proc/converted"), &[]), 13);
    }
    assert!(!other.exists());
}
