//! Time of training steps of a GRU: the gradient of a batch of sequences.
//!
//! `gru_training THREADS STEPS_OF_TRAINING [BATCH STEPS HIDDEN LAYERS]` prints the seconds of each, one
//! line a step. `benches/peers/training/` compares it with PyTorch.

use sinew_models::recurrent::sequence::{Dropout, GruSequence, SequenceSizes, Sequences};
use std::time::Instant;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let numbers: Vec<usize> =
        std::env::args().skip(1).map(|text| text.parse()).collect::<Result<_, _>>()?;
    let number = |index: usize, default| numbers.get(index).copied().unwrap_or(default);
    let (threads, repetitions) = (number(0, 1), number(1, 5));
    let (batch, steps) = (number(2, 256), number(3, 240));
    let sizes =
        SequenceSizes { inputs: 3, hidden: number(4, 128), layers: number(5, 2), outputs: 1 };
    let made = |count: usize, scale: f32| -> Vec<f32> {
        (0..count).map(|index| scale * (index as f32 * 12.9898).sin()).collect()
    };
    let parameters = made(sizes.parameters(), 0.08);
    let (inputs, targets) = (made(batch * steps * 3, 1.0), made(batch * steps, 0.7));
    let mut network = GruSequence::new(sizes, threads)?;
    let mut gradient = vec![0.0; parameters.len()];
    let count = (batch * steps) as f32;
    for seed in 0..repetitions as u64 {
        let begin = Instant::now();
        let loss = network.gradient(
            &parameters,
            Sequences { steps, inputs: &inputs },
            Some(Dropout { probability: 0.1, seed }),
            &|rows, outputs, derivative| {
                let targets = &targets[rows.start * steps..rows.end * steps];
                let mut sum = 0.0;
                for ((output, target), derivative) in outputs.iter().zip(targets).zip(derivative) {
                    *derivative = 2.0 * (output - target) / count;
                    sum += f64::from((output - target).powi(2) / count);
                }
                sum
            },
            &mut gradient,
        );
        println!("{:.4} loss {loss:.6}", begin.elapsed().as_secs_f64());
    }
    Ok(())
}
