//! Every kernel on every instruction set of this computer against the definitions.

use super::twin::{TwinGru, mlp};
use super::{
    Activation, GruLayerWeights, GruNetwork, GruWeights, LinearWeights, MlpActivations, MlpNetwork,
    MlpWeights, Precision, StepOptions,
};
use crate::engine::isa::Isa;

/// What this computer can run.
pub(super) fn isas() -> impl Iterator<Item = Isa> {
    [Isa::Avx512, Isa::Avx2, Isa::Portable].into_iter().filter(|isa| isa.is_here())
}

/// Numbers between -1 and 1 that look random.
struct Noise(u64);

impl Noise {
    fn number(&mut self) -> f32 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963);
        (self.0 >> 40) as f32 / (1 << 23) as f32 - 1.0
    }

    fn numbers(&mut self, count: usize, scale: f32) -> Vec<f32> {
        (0..count).map(|_| self.number() * scale).collect()
    }
}

/// Owned weights of a GRU, scaled as PyTorch initialises them.
struct Gru {
    inputs: usize,
    hidden: usize,
    layers: Vec<[Vec<f32>; 4]>,
    head: Option<(usize, Vec<f32>, Vec<f32>)>,
}

impl Gru {
    fn random(inputs: usize, hidden: usize, layers: usize, outputs: usize) -> Self {
        let mut noise = Noise((inputs * 7 + hidden * 31 + layers) as u64);
        let scale = 1.0 / (hidden as f32).sqrt();
        let layers = (0..layers).map(|layer| {
            let inputs = if layer == 0 { inputs } else { hidden };
            [3 * hidden * inputs, 3 * hidden * hidden, 3 * hidden, 3 * hidden]
                .map(|count| noise.numbers(count, scale))
        });
        let layers = layers.collect();
        let head = (outputs > 0).then(|| {
            (outputs, noise.numbers(outputs * hidden, scale), noise.numbers(outputs, scale))
        });
        Self { inputs, hidden, layers, head }
    }

    fn with<T>(&self, use_them: impl FnOnce(&GruWeights<'_>) -> T) -> T {
        let layers: Vec<GruLayerWeights<'_>> = self
            .layers
            .iter()
            .map(|[weight_ih, weight_hh, bias_ih, bias_hh]| GruLayerWeights {
                weight_ih,
                weight_hh,
                bias_ih: Some(bias_ih),
                bias_hh: Some(bias_hh),
            })
            .collect();
        let head = self.head.as_ref().map(|(outputs, weight, bias)| LinearWeights {
            outputs: *outputs,
            weight,
            bias: Some(bias),
        });
        use_them(&GruWeights { inputs: self.inputs, hidden: self.hidden, layers: &layers, head })
    }

    fn network(&self, rows: usize, precision: Precision, isa: Isa) -> GruNetwork {
        self.with(|weights| GruNetwork::for_isa(weights, StepOptions { rows, precision }, isa))
            .unwrap()
    }
}

fn assert_near(got: &[f32], expected: &[f64], tolerance: f64, what: &str) {
    assert_eq!(got.len(), expected.len(), "{what}");
    for (index, (got, expected)) in got.iter().zip(expected).enumerate() {
        let error = (f64::from(*got) - expected).abs();
        assert!(error <= tolerance, "{what}: {got} {expected} at {index}, off by {error:e}");
    }
}

/// Sizes around those of vectors and panels, rows around those of tiles.
#[test]
fn gru_follows_its_definition_for_odd_sizes_and_rows() {
    let sizes =
        [(1, 1, 1, 1), (3, 5, 2, 0), (3, 16, 2, 1), (4, 33, 1, 2), (7, 70, 2, 17), (2, 128, 1, 1)];
    for isa in isas() {
        for (inputs, hidden, layers, outputs) in sizes {
            let gru = Gru::random(inputs, hidden, layers, outputs);
            for (rows, precision) in [1, 2, 3, 4, 5, 7, 12, 16]
                .into_iter()
                .flat_map(|rows| [(rows, Precision::F32), (rows, Precision::Bf16)])
            {
                let what = format!(
                    "{isa:?} {inputs}-{layers}x{hidden}-{outputs}, {rows} rows, {precision:?}"
                );
                let mut network = gru.network(rows, precision, isa);
                gru.with(|weights| {
                    let mut twins: Vec<TwinGru<'_>> =
                        (0..rows).map(|_| TwinGru::new(*weights, precision)).collect();
                    let mut noise = Noise(1);
                    let mut out = vec![0.0; rows * network.outputs()];
                    for _ in 0..4 {
                        let x = noise.numbers(rows * inputs, 2.0);
                        network.step(&x, &mut out).unwrap();
                        for (row, twin) in twins.iter_mut().enumerate() {
                            let expected = twin.step(&x[row * inputs..][..inputs]);
                            let got = &out[row * network.outputs()..][..network.outputs()];
                            assert_near(got, &expected, 1e-6, &what);
                            for layer in 0..layers {
                                let state = network.state(layer, row);
                                assert_near(state, &twin.states[layer], 1e-6, &what);
                            }
                        }
                    }
                });
            }
        }
    }
}

/// Steps of 4 ms for 40 s: rounding must not add up.
#[test]
fn gru_does_not_drift_in_ten_thousand_steps() {
    let gru = Gru::random(3, 128, 2, 1);
    for (isa, precision) in isas().flat_map(|isa| [(isa, Precision::F32), (isa, Precision::Bf16)]) {
        let mut network = gru.network(1, precision, isa);
        let mut worst = 0.0_f64;
        gru.with(|weights| {
            let mut twin = TwinGru::new(*weights, precision);
            let mut noise = Noise(2);
            for step in 0..10_000 {
                let t = step as f32 * 0.004;
                let x = [(3.0 * t).sin(), (3.1 * t).sin() + 0.1 * noise.number(), (9.0 * t).cos()];
                let mut out = [0.0];
                network.step(&x, &mut out).unwrap();
                worst = worst.max((f64::from(out[0]) - twin.step(&x)[0]).abs());
            }
        });
        println!("{isa:?} {precision:?}: at most {worst:e} from the definition in 10,000 steps");
        assert!(worst > 0.0 && worst < 1e-6, "{isa:?} {precision:?}: {worst:e}");
    }
}

/// Twelve joints in one batch are twelve single joints.
#[test]
fn a_row_does_not_depend_on_its_neighbours() {
    for hidden in [24, 128] {
        let gru = Gru::random(3, hidden, 2, 1);
        for (isa, precision) in
            isas().flat_map(|isa| [(isa, Precision::F32), (isa, Precision::Bf16)])
        {
            let mut batch = gru.network(12, precision, isa);
            let mut singles: Vec<GruNetwork> =
                (0..12).map(|_| gru.network(1, precision, isa)).collect();
            let mut noise = Noise(3);
            let mut together = [0.0; 12];
            for step in 0..50 {
                let x = noise.numbers(36, 1.5);
                if step == 20 {
                    batch.reset(7);
                    singles[7].reset_all();
                }
                batch.step(&x, &mut together).unwrap();
                for (row, single) in singles.iter_mut().enumerate() {
                    let mut alone = [0.0];
                    single.step(&x[row * 3..][..3], &mut alone).unwrap();
                    assert_eq!(alone[0].to_bits(), together[row].to_bits(), "{isa:?} row {row}");
                    assert_eq!(single.state(1, 0), batch.state(1, row), "{isa:?} row {row}");
                }
            }
        }
    }
}

#[test]
fn instruction_sets_agree() {
    for precision in [Precision::F32, Precision::Bf16] {
        let gru = Gru::random(3, 256, 2, 1);
        let mut networks: Vec<GruNetwork> =
            isas().map(|isa| gru.network(3, precision, isa)).collect();
        let mut noise = Noise(4);
        for _ in 0..200 {
            let x = noise.numbers(9, 1.0);
            let mut outs = networks.iter_mut().map(|network| {
                let mut out = [0.0; 3];
                network.step(&x, &mut out).unwrap();
                out
            });
            let first = outs.next().unwrap();
            for other in outs {
                for (a, b) in first.iter().zip(other) {
                    assert!((a - b).abs() <= 1e-6, "{a} {b}");
                }
            }
        }
    }
}

const ACTIVATIONS: [Activation; 6] = [
    Activation::Relu,
    Activation::Tanh,
    Activation::Softsign,
    Activation::Elu,
    Activation::Silu,
    Activation::Gelu,
];

#[test]
fn mlp_follows_its_definition_for_odd_sizes_and_rows() {
    let shapes: [&[usize]; 5] =
        [&[1, 1], &[6, 32, 32, 1], &[48, 70, 17, 12], &[5, 16, 130, 40], &[48, 512, 3]];
    let mut case = 0;
    for isa in isas() {
        for shape in shapes {
            for (rows, precision) in [1, 2, 3, 5, 6, 8, 12, 13]
                .into_iter()
                .flat_map(|rows| [(rows, Precision::F32), (rows, Precision::Bf16)])
            {
                case += 1;
                let activations = MlpActivations {
                    between: ACTIVATIONS[case % 6],
                    last: (case % 7 < 6).then(|| ACTIVATIONS[case % 7]),
                };
                let mut noise = Noise(case as u64);
                let owned: Vec<(usize, Vec<f32>, Vec<f32>)> = shape
                    .windows(2)
                    .map(|pair| {
                        let scale = (3.0 / pair[0] as f32).sqrt();
                        (
                            pair[1],
                            noise.numbers(pair[0] * pair[1], scale),
                            noise.numbers(pair[1], 0.2),
                        )
                    })
                    .collect();
                let layers: Vec<LinearWeights<'_>> = owned
                    .iter()
                    .map(|(outputs, weight, bias)| LinearWeights {
                        outputs: *outputs,
                        weight,
                        bias: Some(bias),
                    })
                    .collect();
                let weights = MlpWeights { inputs: shape[0], layers: &layers };
                let options = StepOptions { rows, precision };
                let mut network = MlpNetwork::for_isa(&weights, activations, options, isa).unwrap();
                let x = noise.numbers(rows * shape[0], 2.0);
                let mut out = vec![f32::NAN; rows * network.outputs()];
                // Twice: what a step leaves in the buffers must not matter to the next.
                for _ in 0..2 {
                    network.step(&x, &mut out).unwrap();
                }
                for row in 0..rows {
                    let expected =
                        mlp(&weights, activations, precision, &x[row * shape[0]..][..shape[0]]);
                    let got = &out[row * network.outputs()..][..network.outputs()];
                    let what =
                        format!("{isa:?} {shape:?}, {rows} rows, {precision:?}, {activations:?}");
                    assert_near(got, &expected, 3e-6, &what);
                }
            }
        }
    }
}
