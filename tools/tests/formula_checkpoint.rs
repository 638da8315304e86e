//! The checkpoint of default size that the formula gives is the one that LeRobot ran.

#![allow(clippy::unwrap_used)]

use safetensors::SafeTensors;
use sinew_models::{LoadOptions, golden};
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

fn template() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../tests/fixtures/act_default_formula")
}

fn run(template: &Path, out: &Path) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_sinew-tools"));
    command.arg("formula-checkpoint").arg("--template").arg(template).arg("--out").arg(out);
    command.output().unwrap()
}

/// Sum of every tensor in alphabetical order, in f64.
fn sums(weights: &[u8]) -> Vec<f64> {
    let tensors = SafeTensors::deserialize(weights).unwrap();
    let mut names = tensors.names();
    names.sort_unstable();
    let sum = |name: &&str| {
        let view = tensors.tensor(name).unwrap();
        let numbers = view.data().as_chunks::<4>().0;
        numbers.iter().map(|bytes| f64::from(f32::from_le_bytes(*bytes))).sum()
    };
    names.iter().map(sum).collect()
}

#[test]
fn generated_weights_have_the_recorded_sums_and_give_the_recorded_outputs() {
    let folder = tempfile::tempdir().unwrap();
    let out = folder.path().join("checkpoint");
    let output = run(&template(), &out);
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let message = String::from_utf8(output.stdout).unwrap();
    assert!(message.contains("51668614 weights"), "{message}");

    let recorded = std::fs::read(template().join("inference.safetensors")).unwrap();
    let recorded = SafeTensors::deserialize(&recorded).unwrap();
    let recorded = recorded.tensor("check.sum_of_each_tensor_sorted_by_name_f64").unwrap();
    let numbers = recorded.data().as_chunks::<8>().0;
    let recorded: Vec<f64> = numbers.iter().map(|bytes| f64::from_le_bytes(*bytes)).collect();
    let sums = sums(&std::fs::read(out.join("model.safetensors")).unwrap());
    assert_eq!((sums.len(), recorded.len()), (234, 234));
    for (index, (sum, recorded)) in sums.iter().zip(&recorded).enumerate() {
        // Only the order of summation may differ.
        assert!((sum - recorded).abs() < 1e-9, "tensor {index}: {sum} {recorded}");
    }

    let mut policy = sinew_models::load(&out, &LoadOptions::default()).unwrap();
    let golden = template().join("inference.safetensors");
    let report = golden::check(policy.as_mut(), &golden).unwrap();
    for comparison in &report.comparisons {
        println!("{comparison}");
        assert!(comparison.passed, "{comparison}");
    }
    assert_eq!(report.comparisons.iter().filter(|comparison| comparison.decides).count(), 2);
}

#[test]
fn unusable_folders_are_refused_by_name() {
    let folder = tempfile::tempdir().unwrap();
    let refusal = |template: &Path, out: &Path| {
        let output = run(template, out);
        assert!(!output.status.success());
        String::from_utf8(output.stderr).unwrap()
    };
    std::fs::write(folder.path().join("occupied"), "").unwrap();
    let message = refusal(&template(), folder.path());
    assert!(message.contains("is not empty; name a new folder"), "{message}");

    let empty = folder.path().join("empty");
    std::fs::create_dir(&empty).unwrap();
    let message = refusal(&empty, &folder.path().join("out"));
    assert!(message.contains("tensors.tsv"), "{message}");

    std::fs::write(empty.join("tensors.tsv"), "model.pool.grid\tfloat32\t[2, 2]\n").unwrap();
    let message = refusal(&empty, &folder.path().join("out"));
    assert!(message.contains("no formula for tensor model.pool.grid"), "{message}");
    assert!(!folder.path().join("out").exists());
}
