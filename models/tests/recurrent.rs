//! Recurrent and small dense networks through the public interface.
#![allow(clippy::unwrap_used, clippy::expect_used)]

mod support;

use serde_json::Value;
use sinew_models::recurrent::{
    Activation, GruLayerWeights, GruNetwork, GruTensors, GruWeights, LinearWeights, MlpActivations,
    MlpNetwork, MlpTensors, MlpWeights, NetworkError, Precision, StepError, StepOptions,
};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use support::{Tensor, fixture, floats};

fn numbers(value: &Value) -> Vec<f32> {
    match value {
        Value::Array(values) => values.iter().flat_map(numbers).collect(),
        value => vec![value.as_f64().unwrap() as f32],
    }
}

fn golden() -> Value {
    serde_json::from_slice(&std::fs::read(fixture("gru/two_layers.json")).unwrap()).unwrap()
}

/// The golden's parameters as a file, names and values changed as the test likes.
fn file(folder: &Path, edit: impl FnOnce(&mut BTreeMap<String, Tensor>)) -> PathBuf {
    let golden = golden();
    let mut tensors = BTreeMap::new();
    for (name, value) in golden["params"].as_object().unwrap() {
        let mut shape = vec![value.as_array().unwrap().len()];
        shape.extend(value[0].as_array().map(Vec::len));
        let name = match name.as_str() {
            "fc_weight" => "fc.weight".to_owned(),
            "fc_bias" => "fc.bias".to_owned(),
            name => format!("gru.{name}"),
        };
        tensors.insert(name, floats(&shape, numbers(value)));
    }
    edit(&mut tensors);
    let views = tensors.iter().map(|(name, (dtype, shape, data))| {
        (name, safetensors::tensor::TensorView::new(*dtype, shape.clone(), data).unwrap())
    });
    let path = folder.join("actuator.safetensors");
    std::fs::write(&path, safetensors::serialize(views, None).unwrap()).unwrap();
    path
}

const TENSORS: GruTensors<'_> = GruTensors { gru: "gru.", head: Some("fc."), others: &[] };

/// Twenty steps of two rows, together and one by one, as ONNX Runtime has computed them.
#[test]
fn gru_equals_onnx_runtime_step_by_step() {
    let folder = tempfile::tempdir().unwrap();
    let (file, golden) = (file(folder.path(), |_| ()), golden());
    let (x, y, last) = (numbers(&golden["x"]), numbers(&golden["y"]), numbers(&golden["h_last"]));
    let options = StepOptions { rows: 2, ..StepOptions::default() };
    let mut network = GruNetwork::from_safetensors(&file, TENSORS, options).unwrap();
    assert_eq!((network.inputs(), network.hidden(), network.layers()), (3, 16, 2));
    let mut worst = 0.0_f32;
    for (x, y) in x.chunks_exact(6).zip(y.chunks_exact(2)) {
        let mut out = [0.0; 2];
        network.step(x, &mut out).unwrap();
        for (out, y) in out.iter().zip(y) {
            worst = worst.max((out - y).abs());
        }
    }
    for (index, last) in last.chunks_exact(16).enumerate() {
        for (state, last) in network.state(index / 2, index % 2).iter().zip(last) {
            worst = worst.max((state - last).abs());
        }
    }
    println!("at most {worst:e} from ONNX Runtime");
    assert!(worst <= 1e-6, "{worst:e}");
}

/// A network of 3 inputs, 2 layers of 20 and a head of 2, all weights `weight`.
fn gru(weight: f32, rows: usize, precision: Precision) -> Result<GruNetwork, NetworkError> {
    let weights = vec![weight; 60 * 20];
    let layer = |inputs: usize| GruLayerWeights {
        weight_ih: &weights[..60 * inputs],
        weight_hh: &weights,
        bias_ih: Some(&weights[..60]),
        bias_hh: None,
    };
    let head = LinearWeights { outputs: 2, weight: &weights[..40], bias: None };
    let layers = [layer(3), layer(20)];
    let weights = GruWeights { inputs: 3, hidden: 20, layers: &layers, head: Some(head) };
    GruNetwork::new(&weights, StepOptions { rows, precision })
}

const ELU: MlpActivations = MlpActivations { between: Activation::Elu, last: None };

fn mlp(weight: f32, rows: usize) -> Result<MlpNetwork, NetworkError> {
    let weights = vec![weight; 100 * 40];
    let layer = |inputs: usize, outputs: usize| LinearWeights {
        outputs,
        weight: &weights[..inputs * outputs],
        bias: Some(&weights[..outputs]),
    };
    let layers = [layer(40, 100), layer(100, 30), layer(30, 3)];
    MlpNetwork::new(
        &MlpWeights { inputs: 40, layers: &layers },
        ELU,
        StepOptions { rows, ..StepOptions::default() },
    )
}

#[test]
fn steps_and_resets_allocate_nothing() {
    for precision in [Precision::F32, Precision::Bf16] {
        let mut network = gru(0.05, 12, precision).unwrap();
        let mut dense = mlp(0.01, 12).unwrap();
        let (mut out, mut actions) = ([0.0; 24], [0.0; 36]);
        let allocations = allocation_counter::measure(|| {
            for step in 0..100 {
                network.step(&[0.5; 36], &mut out).unwrap();
                dense.step(&[0.5; 480], &mut actions).unwrap();
                network.reset(step % 12);
                assert!(network.step(&[f32::NAN; 36], &mut out).is_err());
            }
        });
        assert_eq!(allocations.count_total, 0, "{precision:?}");
    }
}

#[test]
fn a_refused_step_leaves_the_state_as_it_was() {
    let mut network = gru(0.05, 2, Precision::F32).unwrap();
    let mut out = [0.0; 4];
    network.step(&[0.5; 6], &mut out).unwrap();
    let before = network.state(1, 1).to_vec();
    assert!(before[0] != 0.0);
    let mut inputs = [0.5; 6];
    inputs[4] = f32::INFINITY;
    let error = network.step(&inputs, &mut out).unwrap_err();
    assert_eq!(
        error,
        StepError::NotFinite { what: "input", row: 1, index: 1, value: f32::INFINITY }
    );
    assert!(network.step(&[0.5; 5], &mut out).unwrap_err().to_string().contains("needed 6"));
    assert!(network.step(&[0.5; 6], &mut out[..3]).unwrap_err().to_string().contains("outputs"));
    assert_eq!(network.state(1, 1), before);

    network.set_state(1, 1, &before).unwrap();
    assert!(network.set_state(1, 1, &before[1..]).is_err());
    assert!(network.set_state(1, 0, &[f32::NAN; 20]).is_err());
    network.reset(1);
    assert_eq!(network.state(1, 1), [0.0; 20]);
    assert!(network.state(1, 0)[0] != 0.0);
    network.reset_all();
    assert_eq!(network.state(1, 0), [0.0; 20]);
}

/// The head overflows: nothing may come out of it, and the state must not have moved.
#[test]
fn an_output_that_is_no_number_is_refused() {
    let weights = [1.0; 3];
    let layer =
        GruLayerWeights { weight_ih: &weights, weight_hh: &weights, bias_ih: None, bias_hh: None };
    let head = LinearWeights { outputs: 1, weight: &[3e38], bias: Some(&[3e38]) };
    let weights = GruWeights { inputs: 1, hidden: 1, layers: &[layer], head: Some(head) };
    let mut network = GruNetwork::new(&weights, StepOptions::default()).unwrap();
    let mut out = [0.0];
    let mut refused = false;
    for _ in 0..100 {
        let before = network.state(0, 0).to_vec();
        if let Err(error) = network.step(&[5.0], &mut out) {
            assert!(error.to_string().contains("output 0 of row 0"), "{error}");
            assert_eq!(network.state(0, 0), before);
            refused = true;
        }
    }
    assert!(refused);
}

#[test]
fn unusable_weights_are_refused_by_name() {
    let message = |result: Result<GruNetwork, NetworkError>| result.err().unwrap().to_string();
    assert!(
        message(gru(f32::NAN, 1, Precision::F32)).contains("weight_ih_l0 holds NaN at index 0")
    );
    assert!(message(gru(3.4e38, 1, Precision::Bf16)).contains("weight_ih_l0 holds 3.4e38"));
    assert!(gru(3.4e38, 1, Precision::F32).is_ok());
    assert!(message(gru(0.1, 0, Precision::F32)).contains("rows is 0, allowed are 1 to 4096"));
    assert!(mlp(f32::INFINITY, 1).err().unwrap().to_string().contains("layer 0's weight"));
    let layer = LinearWeights { outputs: 2, weight: &[1.0; 5], bias: None };
    let weights = MlpWeights { inputs: 3, layers: &[layer] };
    let error = MlpNetwork::new(&weights, ELU, StepOptions::default()).err().unwrap();
    assert!(error.to_string().contains("layer 0's weight holds 5 numbers, needed [2, 3]"));
    let weights = MlpWeights { inputs: 3, layers: &[] };
    assert!(MlpNetwork::new(&weights, ELU, StepOptions::default()).is_err());
}

#[test]
fn unusable_files_are_refused_by_tensor() {
    type Edit = fn(&mut BTreeMap<String, Tensor>);
    let cases: [(Edit, &str); 8] = [
        (|t| drop(t.remove("gru.weight_ih_l0")), "tensor gru.weight_ih_l0 is missing"),
        (|t| drop(t.remove("gru.weight_hh_l1")), "tensor gru.weight_hh_l1 is missing"),
        (|t| drop(t.remove("fc.weight")), "tensor fc.weight is missing"),
        (
            |t| t.get_mut("gru.weight_hh_l1").unwrap().1 = vec![16, 48],
            "gru.weight_hh_l1 has shape [16, 48], needed [48, 16]",
        ),
        (
            |t| t.get_mut("gru.weight_hh_l0").unwrap().1 = vec![768],
            "gru.weight_hh_l0 has shape [768], needed [3 * hidden, hidden]",
        ),
        (|t| t.get_mut("gru.bias_hh_l0").unwrap().2[7] = 0x7f, "gru.bias_hh_l0"),
        (
            |t| drop(t.insert("gru.weight_ih_l0_reverse".into(), floats(&[1], [0.0]))),
            "weight_ih_l0_reverse",
        ),
        (
            |t| drop(t.insert("input_mean".into(), floats(&[3], [0.0; 3]))),
            "unknown tensor(s): input_mean",
        ),
    ];
    let folder = tempfile::tempdir().unwrap();
    for (edit, part) in cases {
        let path = file(folder.path(), |tensors| {
            edit(tensors);
            if let Some(bias) = tensors.get_mut("gru.bias_hh_l0").filter(|b| b.2[7] == 0x7f) {
                bias.2[4..8].copy_from_slice(&f32::NAN.to_le_bytes());
            }
        });
        let message = GruNetwork::from_safetensors(&path, TENSORS, StepOptions::default())
            .err()
            .expect(part)
            .to_string();
        assert!(message.contains(part), "{message}");
        assert!(message.contains("actuator.safetensors"), "{message}");
    }
    let path = file(folder.path(), |tensors| {
        tensors.insert("input_mean".into(), floats(&[3], [0.0; 3]));
        tensors.remove("gru.bias_ih_l0");
    });
    let tensors = GruTensors { others: &["input_mean"], ..TENSORS };
    assert!(GruNetwork::from_safetensors(&path, tensors, StepOptions::default()).is_ok());
}

#[test]
fn an_mlp_is_read_by_the_prefixes_of_its_layers() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("policy.safetensors");
    let tensors = [
        ("actor.0.weight", floats(&[2, 3], [1.0, 0.0, 0.0, 0.0, -1.0, 0.0])),
        ("actor.0.bias", floats(&[2], [0.5, 0.0])),
        ("actor.2.weight", floats(&[1, 2], [2.0, 4.0])),
        ("std", floats(&[1], [0.1])),
    ];
    let views = tensors.iter().map(|(name, (dtype, shape, data))| {
        (name, safetensors::tensor::TensorView::new(*dtype, shape.clone(), data).unwrap())
    });
    std::fs::write(&path, safetensors::serialize(views, None).unwrap()).unwrap();
    let layers: &[&str] = &["actor.0.", "actor.2."];
    let relu = MlpActivations { between: Activation::Relu, last: None };
    let read = |layers, others| {
        let tensors = MlpTensors { layers, others };
        MlpNetwork::from_safetensors(&path, tensors, relu, StepOptions::default())
    };
    let mut network = read(layers, &["std"]).unwrap();
    let mut out = [0.0];
    network.step(&[1.0, 3.0, 0.0], &mut out).unwrap();
    assert_eq!(out, [3.0]);
    network.step(&[-1.0, -3.0, 0.0], &mut out).unwrap();
    assert_eq!(out, [12.0]);
    let message = |result: Result<MlpNetwork, NetworkError>| result.err().unwrap().to_string();
    assert!(message(read(layers, &[])).contains("unknown tensor(s): std"));
    assert!(message(read(&["actor.2.", "actor.0."], &["std"])).contains("tensor actor.0.weight"));
    assert!(message(read(&[], &["std"])).contains("unknown"));
}
