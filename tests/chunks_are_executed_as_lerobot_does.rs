//! The chunk timeline against LeRobot's own rollouts: the same chunks, at the same times, give the
//! same actions in queue mode and with temporal ensembling.
#![allow(clippy::unwrap_used)]

use std::path::{Path, PathBuf};
use std::time::Duration;

use safetensors::SafeTensors;
use sinew::targets::{Blend, Chunk, Timeline};
use sinew_firmware_interfaces::{MAX_JOINTS, Timestamp};

const STEP: Duration = Duration::from_millis(100);

struct Rollout {
    /// Chunks in robot units: time, step, element.
    chunks: Vec<Vec<Vec<f64>>>,
    file: Vec<u8>,
}

fn values(bytes: &[u8], name: &str) -> (Vec<usize>, Vec<f64>) {
    let tensors = SafeTensors::deserialize(bytes).unwrap();
    let tensor = tensors.tensor(name).unwrap();
    let values = tensor.data().chunks_exact(4).map(|b| f32::from_le_bytes(b.try_into().unwrap()));
    (tensor.shape().to_vec(), values.map(f64::from).collect())
}

impl Rollout {
    fn read(checkpoint: &str) -> Self {
        let folder: PathBuf =
            Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures").join(checkpoint);
        let file = std::fs::read(folder.join("rollout.safetensors")).unwrap();
        let statistics = "policy_postprocessor_step_0_unnormalizer_processor.safetensors";
        let statistics = std::fs::read(folder.join(statistics)).unwrap();
        let (_, mean) = values(&statistics, "action.mean");
        let (_, deviation) = values(&statistics, "action.std");
        let (shape, chunks) = values(&file, "out.chunks_normalized");
        let [_, steps, size] = shape[..] else { panic!("three axes") };
        let real = |(element, value): (usize, &f64)| value * deviation[element] + mean[element];
        let chunks = chunks
            .chunks_exact(steps * size)
            .map(|chunk| {
                chunk
                    .chunks_exact(size)
                    .map(|action| action.iter().enumerate().map(real).collect())
                    .collect()
            })
            .collect();
        Self { chunks, file }
    }

    fn chunk(&self, time: usize, now: Timestamp) -> Box<Chunk> {
        let actions = &self.chunks[time];
        let mut chunk = Chunk::with_capacity(actions.len(), STEP);
        chunk.sequence = time as u64 + 1;
        chunk.observed = now;
        for action in actions {
            let mut positions = [f64::NAN; MAX_JOINTS];
            positions[..action.len()].copy_from_slice(action);
            chunk.actions.push(positions);
        }
        Box::new(chunk)
    }

    /// Plays the rollout and returns the largest difference from LeRobot's actions.
    fn difference(&self, blend: Blend, expected: &str) -> f64 {
        let (shape, expected) = values(&self.file, expected);
        let size = shape[1];
        let mut timeline = Timeline::new(blend, Duration::ZERO);
        let mut largest = 0.0f64;
        for (time, expected) in expected.chunks_exact(size).enumerate() {
            let now = Timestamp::from_nanos(time as u64 * STEP.as_nanos() as u64);
            let infers = match blend {
                Blend::Queue { .. } => timeline.is_used_up(now),
                _ => true,
            };
            if infers {
                timeline.insert(self.chunk(time, now), now, size);
            }
            while timeline.retire(now).is_some() {}
            let mut target = [f64::NAN; MAX_JOINTS];
            assert!(timeline.sample(now, size, &mut target));
            for (ours, theirs) in target.iter().zip(expected) {
                largest = largest.max((ours - theirs).abs());
            }
        }
        largest
    }
}

#[test]
fn queue_and_ensembles_give_lerobots_actions() {
    for checkpoint in ["act_tiny", "act_tiny_prenorm_env"] {
        let rollout = Rollout::read(checkpoint);
        for (blend, expected) in [
            (Blend::Queue { steps: 4 }, "out.queue.action"),
            (Blend::Ensemble { coefficient: 0.01 }, "out.ensemble_0.01.action"),
            (Blend::Ensemble { coefficient: -0.1 }, "out.ensemble_-0.1.action"),
        ] {
            let difference = rollout.difference(blend, expected);
            assert!(difference < 1e-4, "{checkpoint} {expected}: {difference}");
        }
    }
}
