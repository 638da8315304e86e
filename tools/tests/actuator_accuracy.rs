//! What `sinew-tools actuator train` reaches on the simulated rig: a small training, short enough for
//! every test run. docs/benchmarks.md has the figures of longer ones.
#![allow(clippy::unwrap_used)]

use serde_json::Value;
use std::path::Path;
use std::process::Command;

const CONFIG: &str = r#"
seed = 42
[data]
directory = "recordings"
radius_m = 0.1
acceleration_bias_m_s2 = 0.0392
gyro_bias_rad_s = -0.00227
filter = { acceleration_hz = 30.0 }
groups = [
    { id = "light", folder = "0.01kgm2", inertia_kg_m2 = 0.01 },
    { id = "middle", folder = "0.015kgm2", inertia_kg_m2 = 0.015 },
    { id = "heavy", folder = "0.02kgm2", inertia_kg_m2 = 0.02 },
]
[windows]
duration_s = 0.4
stride = 6
[split]
method = "blocks"
[model]
target = "residual"
layers = 1
hidden = 24
dropout = 0.0
effort_limit_nm = 2.3
pd = { stiffness_nm_per_rad = 12.0, damping_nm_s_per_rad = 0.12, target_velocity = "zero" }
torque_speed_curve = { stall_torque_nm = 1.82, no_load_speed_rad_s = 36.0 }
spring = { stiffness_nm_per_rad = 0.2, rest_position_rad = 0.0, convention = "physical" }
[baselines]
mlp = false
[training]
batch = 32
learning_rate = 0.008
max_epochs = 40
threads = 1
"#;

fn run(folder: &Path, arguments: &str) {
    let output = Command::new(env!("CARGO_BIN_EXE_sinew-tools"))
        .current_dir(folder)
        .arg("actuator")
        .args(arguments.split_whitespace())
        .output()
        .unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
}

/// Trains and returns the metrics of its folds.
fn train(folder: &Path, mode: &str) -> Vec<Value> {
    run(folder, &format!("train train.toml --set mode={mode} --set output.directory={mode}"));
    let day = folder.join(mode).read_dir().unwrap().next().unwrap().unwrap().path();
    let run = day.read_dir().unwrap().next().unwrap().unwrap().path();
    let text = std::fs::read(run.join("metrics.json")).unwrap();
    let metrics: Value = serde_json::from_slice(&text).unwrap();
    metrics["folds"].as_array().unwrap().clone()
}

fn figure(fold: &Value, model: &str, figure: &str) -> f64 {
    let models = fold["models"].as_array().unwrap();
    let found = models.iter().find(|it| it["name"] == model).unwrap();
    found["all"][figure].as_f64().unwrap()
}

#[test]
fn a_residual_gru_has_a_quarter_of_the_error_of_pd_control_and_explains_a_mass_left_out() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    run(folder, "synthesize --out recordings --plant rig --files 3 --seconds 20 --rate-hz 120");
    std::fs::write(folder.join("train.toml"), CONFIG).unwrap();

    let whole = &train(folder, "global")[0];
    let (gru, pd) = (figure(whole, "GRU", "rmse"), figure(whole, "PD, configured", "rmse"));
    assert!(gru <= 0.25 * pd, "GRU {gru}, PD {pd}");
    assert!(figure(whole, "GRU, streamed", "rmse") <= 0.25 * pd, "{whole}");
    // A fit is made for this: it must not be worse than what somebody wrote down.
    let fitted = figure(whole, "PD, fitted", "rmse");
    assert!(fitted <= pd && gru <= 0.4 * fitted, "fitted {fitted}, PD {pd}");

    let folds = train(folder, "lomo");
    assert_eq!(folds.len(), 3);
    for fold in &folds {
        let r2 = figure(fold, "GRU", "r2");
        assert!(r2 >= 0.95, "without {}: R² {r2}", fold["fold"]);
    }
}
