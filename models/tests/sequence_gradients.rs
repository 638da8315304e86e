//! The hand-written gradient of GRU layers against Burn's automatic differentiation (feature `train`).
#![cfg(feature = "train")]
#![allow(clippy::unwrap_used)]

use sinew_models::recurrent::sequence::{GruSequence, SequenceSizes, Sequences};
use sinew_models::recurrent::{GruLayerWeights, GruWeights, LinearWeights};
use sinew_models::reference::GruReference;
use sinew_models::reference::burn::tensor::{Device, Tensor, TensorData};

/// Numbers between -1 and 1.
fn numbers(count: usize, seed: f64) -> Vec<f32> {
    (0..count).map(|index| ((index as f64 + seed) * 78.233).sin() as f32).collect()
}

#[test]
fn the_gradient_is_that_of_burn() {
    let sizes = SequenceSizes { inputs: 3, hidden: 17, layers: 2, outputs: 1 };
    let (rows, steps) = (6, 13);
    let parameters: Vec<f32> =
        numbers(sizes.parameters(), 0.5).iter().map(|value| 0.4 * value).collect();
    let inputs = numbers(rows * steps * sizes.inputs, 9.25);
    let targets = numbers(rows * steps, 4.75);

    let mut network = GruSequence::new(sizes, 2).unwrap();
    let mut gradient = vec![0.0; parameters.len()];
    let loss = network.gradient(
        &parameters,
        Sequences { steps, inputs: &inputs },
        None,
        &|range, outputs, derivative| {
            let targets = &targets[range.start * steps..range.end * steps];
            let mut sum = 0.0;
            for ((output, target), derivative) in outputs.iter().zip(targets).zip(derivative) {
                *derivative = 2.0 * (output - target);
                sum += f64::from((output - target).powi(2));
            }
            sum
        },
        &mut gradient,
    );

    let device = Device::flex().autodiff();
    let tensors = sizes.tensors();
    let part = |name: &str| {
        let tensor = tensors.iter().find(|tensor| tensor.name == name).unwrap();
        &parameters[tensor.range.clone()]
    };
    let layers = [0, 1].map(|layer| GruLayerWeights {
        weight_ih: part(&format!("gru.weight_ih_l{layer}")),
        weight_hh: part(&format!("gru.weight_hh_l{layer}")),
        bias_ih: Some(part(&format!("gru.bias_ih_l{layer}"))),
        bias_hh: Some(part(&format!("gru.bias_hh_l{layer}"))),
    });
    let head = LinearWeights { outputs: 1, weight: part("fc.weight"), bias: Some(part("fc.bias")) };
    let weights = GruWeights { inputs: 3, hidden: 17, layers: &layers, head: Some(head) };
    let reference = GruReference::new(&weights, &device);
    let tensor = |values: &[f32], width: usize| {
        Tensor::<3>::from_data(TensorData::new(values.to_vec(), [rows, steps, width]), &device)
    };
    let (outputs, _) = reference.forward(tensor(&inputs, 3), None);
    let error = outputs - tensor(&targets, 1);
    let squares = (error.clone() * error).sum();
    let burns = f64::from(squares.clone().into_scalar::<f32>());
    assert!((loss - burns).abs() < 1e-4 * burns, "{loss} {burns}");
    let gradients = reference.gradients(&squares.backward());
    assert_eq!(gradients.len(), parameters.len());
    for (index, (got, expected)) in gradient.iter().zip(&gradients).enumerate() {
        assert!(
            (got - expected).abs() < 2e-4 * expected.abs().max(1.0),
            "{index}: {got} {expected}"
        );
    }
}
