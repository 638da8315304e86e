//! Against the definition, derived by differences in 64-bit numbers.

use super::*;
use crate::engine::numbers;

/// The outputs of one sequence by the definition.
fn defined(sizes: &SequenceSizes, parameters: &[f64], inputs: &[f64]) -> Vec<f64> {
    let sigmoid = |x: f64| 1.0 / (1.0 + (-x).exp());
    let hidden = sizes.hidden;
    let mut states = vec![vec![0.0; hidden]; sizes.layers];
    let mut outputs = Vec::new();
    for inputs in inputs.chunks_exact(sizes.inputs) {
        let mut x = inputs.to_vec();
        for (index, state) in states.iter_mut().enumerate() {
            let layer = sizes.layer(index);
            let affine = |weight: &Range<usize>, bias: &Range<usize>, x: &[f64], row: usize| {
                let line = &parameters[weight.clone()][row * x.len()..][..x.len()];
                parameters[bias.start + row] + line.iter().zip(x).map(|(w, x)| w * x).sum::<f64>()
            };
            let next = (0..hidden).map(|unit| {
                let of_x = |gate: usize| {
                    affine(&layer.weight_ih, &layer.bias_ih, &x, gate * hidden + unit)
                };
                let of_h = |gate: usize| {
                    affine(&layer.weight_hh, &layer.bias_hh, state, gate * hidden + unit)
                };
                let (reset, update) = (sigmoid(of_x(0) + of_h(0)), sigmoid(of_x(1) + of_h(1)));
                let new = (of_x(2) + reset * of_h(2)).tanh();
                (1.0 - update) * new + update * state[unit]
            });
            *state = next.collect();
            x.clone_from(state);
        }
        let (weight, bias) = sizes.head();
        for output in 0..sizes.outputs {
            let line = &parameters[weight.clone()][output * hidden..][..hidden];
            let sum: f64 = line.iter().zip(&x).map(|(w, x)| w * x).sum();
            outputs.push(parameters[bias.start + output] + sum);
        }
    }
    outputs
}

fn wide(values: &[f32]) -> Vec<f64> {
    values.iter().map(|value| f64::from(*value)).collect()
}

/// Half the sum of squares of the difference to targets of every step.
fn squares<'a>(targets: &'a [f32], width: usize) -> Box<SequenceLoss<'a>> {
    Box::new(move |rows, outputs, derivative| {
        let targets = &targets[rows.start * width..rows.end * width];
        let mut sum = 0.0;
        for ((output, target), derivative) in outputs.iter().zip(targets).zip(derivative) {
            *derivative = output - target;
            sum += 0.5 * f64::from(*derivative).powi(2);
        }
        sum
    })
}

const SIZES: SequenceSizes = SequenceSizes { inputs: 3, hidden: 21, layers: 2, outputs: 2 };

#[test]
fn gradients_are_those_of_the_definition_on_every_instruction_set() {
    let (rows, steps) = (13, 9);
    let parameters: Vec<f32> =
        numbers(SIZES.parameters(), 1).iter().map(|value| value * 0.4).collect();
    let inputs = numbers(rows * steps * SIZES.inputs, 2);
    let targets = numbers(rows * steps * SIZES.outputs, 3);
    let width = steps * SIZES.outputs;
    let wide_loss = |parameters: &[f64]| -> f64 {
        let sequences = inputs.chunks_exact(steps * SIZES.inputs).zip(targets.chunks_exact(width));
        let losses = sequences.map(|(inputs, targets)| {
            let outputs = defined(&SIZES, parameters, &wide(inputs));
            let squares = outputs.iter().zip(targets).map(|(o, t)| (o - f64::from(*t)).powi(2));
            0.5 * squares.sum::<f64>()
        });
        losses.sum()
    };
    for isa in Isa::ALL.into_iter().filter(|isa| isa.is_here()) {
        let mut network = GruSequence::for_isa(SIZES, 2, isa).unwrap();
        let mut gradient = vec![7.0; parameters.len()];
        let sequences = Sequences { steps, inputs: &inputs };
        let loss = squares(&targets, width);
        let sum = network.gradient(&parameters, sequences, None, &loss, &mut gradient);
        let mut moved = wide(&parameters);
        assert!((sum - wide_loss(&moved)).abs() < 1e-3);
        for index in (0..parameters.len()).step_by(7).chain(parameters.len() - 2..parameters.len())
        {
            let at = moved[index];
            moved[index] = at + 1e-5;
            let above = wide_loss(&moved);
            moved[index] = at - 1e-5;
            let slope = (above - wide_loss(&moved)) / 2e-5;
            moved[index] = at;
            let got = f64::from(gradient[index]);
            assert!(
                (got - slope).abs() < 2e-4 * slope.abs().max(1.0),
                "{isa:?} {index}: {got} {slope}"
            );
        }
        let mut outputs = vec![0.0; rows * width];
        network.outputs(&parameters, sequences, &mut outputs);
        let first = defined(&SIZES, &moved, &wide(&inputs[..steps * SIZES.inputs]));
        for (output, defined) in outputs.iter().zip(first) {
            assert!((f64::from(*output) - defined).abs() < 2e-6);
        }
    }
}

#[test]
fn results_do_not_depend_on_the_number_of_threads() {
    let (rows, steps) = (50, 12);
    let parameters = numbers(SIZES.parameters(), 4);
    let inputs = numbers(rows * steps * SIZES.inputs, 5);
    let targets = numbers(rows * steps * SIZES.outputs, 6);
    let loss = squares(&targets, steps * SIZES.outputs);
    let dropout = Some(Dropout { probability: 0.3, seed: 9 });
    let results: Vec<(f64, Vec<f32>)> = [1, 2, 5]
        .map(|threads| {
            let mut network = GruSequence::new(SIZES, threads).unwrap();
            let mut gradient = vec![0.0; parameters.len()];
            let sequences = Sequences { steps, inputs: &inputs };
            let sum = network.gradient(&parameters, sequences, dropout, &loss, &mut gradient);
            (sum, gradient)
        })
        .into();
    assert_eq!(results[0], results[1]);
    assert_eq!(results[0], results[2]);
}

#[test]
fn a_gradient_with_dropout_is_the_slope_of_the_same_dropout() {
    let (rows, steps) = (6, 7);
    let mut parameters: Vec<f32> =
        numbers(SIZES.parameters(), 4).iter().map(|value| value * 0.5).collect();
    let inputs = numbers(rows * steps * SIZES.inputs, 5);
    let targets = numbers(rows * steps * SIZES.outputs, 6);
    let loss = squares(&targets, steps * SIZES.outputs);
    let mut network = GruSequence::new(SIZES, 1).unwrap();
    let mut gradient = vec![0.0; parameters.len()];
    let mut at = |parameters: &[f32], gradient: &mut [f32], seed| {
        let dropout = Some(Dropout { probability: 0.4, seed });
        let sequences = Sequences { steps, inputs: &inputs };
        network.gradient(parameters, sequences, dropout, &loss, gradient)
    };
    let mut unused = gradient.clone();
    assert_ne!(at(&parameters, &mut gradient, 1), at(&parameters, &mut unused, 2));
    for index in (0..parameters.len()).step_by(97) {
        let before = parameters[index];
        parameters[index] = before + 4e-3;
        let above = at(&parameters, &mut unused, 1);
        parameters[index] = before - 4e-3;
        let slope = (above - at(&parameters, &mut unused, 1)) / 8e-3;
        parameters[index] = before;
        let got = f64::from(gradient[index]);
        assert!((got - slope).abs() < 1e-2 * slope.abs().max(0.5), "{index}: {got} {slope}");
    }
}

#[test]
fn dropout_takes_the_part_that_was_asked_for() {
    let (from, mut to) = (vec![1.0; 100_000], vec![0.0; 100_000]);
    gates::Mask::new(0.1, 3, 0).apply(Isa::best(), 0, &from, &mut to);
    let gone = to.iter().filter(|value| **value == 0.0).count();
    assert!((9_500..10_500).contains(&gone), "{gone}");
    assert!(to.iter().all(|value| *value == 0.0 || (*value - 1.0 / 0.9).abs() < 1e-6));
}

#[test]
fn the_gradient_is_that_of_pytorch() {
    let file =
        concat!(env!("CARGO_MANIFEST_DIR"), "/../tests/fixtures/gru_training/two_layers.json");
    let fixture: serde_json::Value =
        serde_json::from_str(&std::fs::read_to_string(file).unwrap()).unwrap();
    let list = |value: &serde_json::Value| -> Vec<f32> {
        value.as_array().unwrap().iter().map(|it| it.as_f64().unwrap() as f32).collect()
    };
    let joined = |key: &str| -> Vec<f32> {
        fixture[key].as_array().unwrap().iter().flat_map(list).collect()
    };
    let size = |key: &str| fixture["sizes"][key].as_u64().unwrap() as usize;
    let sizes = SequenceSizes {
        inputs: size("inputs"),
        hidden: size("hidden"),
        layers: size("layers"),
        outputs: 1,
    };
    let names: Vec<String> = sizes.tensors().into_iter().map(|tensor| tensor.name).collect();
    assert_eq!(serde_json::json!(names), fixture["names"]);
    let (rows, steps) = (size("rows"), size("steps"));
    let (parameters, inputs, targets) =
        (joined("parameters"), list(&fixture["x"]), list(&fixture["target"]));
    let (each, between) = ((rows * steps) as f32, (rows * (steps - 1)) as f32);
    for isa in Isa::ALL.into_iter().filter(|isa| isa.is_here()) {
        let mut network = GruSequence::for_isa(sizes, 2, isa).unwrap();
        let sequences = Sequences { steps, inputs: &inputs };
        let mut outputs = vec![0.0; rows * steps];
        network.outputs(&parameters, sequences, &mut outputs);
        for (output, expected) in outputs.iter().zip(list(&fixture["outputs"])) {
            assert!((output - expected).abs() < 1e-6, "{isa:?}");
        }
        let loss = |range: Range<usize>, outputs: &[f32], derivative: &mut [f32]| {
            let targets = &targets[range.start * steps..range.end * steps];
            let mut sum = 0.0;
            for at in 0..outputs.len() {
                let error = |at: usize| outputs[at] - targets[at];
                sum += f64::from(error(at).powi(2) / each);
                derivative[at] += 2.0 * error(at) / each;
                if at % steps > 0 {
                    let difference = error(at) - error(at - 1);
                    sum += 0.1 * f64::from(difference.powi(2) / between);
                    derivative[at] += 0.2 * difference / between;
                    derivative[at - 1] -= 0.2 * difference / between;
                }
            }
            sum
        };
        let mut gradient = vec![0.0; parameters.len()];
        let sum = network.gradient(&parameters, sequences, None, &loss, &mut gradient);
        assert!((sum - fixture["loss"].as_f64().unwrap()).abs() < 1e-6);
        for (got, expected) in gradient.iter().zip(joined("gradient")) {
            assert!((got - expected).abs() < 1e-6, "{isa:?}: {got} {expected}");
        }
    }
}
