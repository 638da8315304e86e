//! Damaged checkpoints never make the reader panic or allocate without bound: each is refused with
//! a message that names the file, or is a policy that answers.

mod support;

use proptest::prelude::*;
use proptest::sample::Index;
use sinew_models::{FeatureKind, Observation, golden};
use std::path::Path;
use support::Checkpoint;

/// Most bytes that may be allocated at once while reading a checkpoint of 0.3 MB.
const MAX_BYTES: u64 = 256 << 20;

/// One piece of damage.
#[derive(Clone, Debug)]
enum Damage {
    Truncate(Index),
    FlipBit(Index, u8),
    /// Like `FlipBit`, within the first bytes: lengths and the header.
    FlipHeaderBit(Index, u8),
    SetHeaderLength(u64),
    /// Replaces one run of digits.
    ReplaceNumber(Index, &'static str),
    /// Removes everything between two positions.
    Cut(Index, Index),
    /// Repeats everything between two positions.
    Repeat(Index, Index),
    Append(Vec<u8>),
}

const NUMBERS: [&str; 12] = [
    "0",
    "1",
    "2",
    "31",
    "4096",
    "999999999",
    "4294967296",
    "9223372036854775807",
    "18446744073709551615",
    "-1",
    "1e400",
    "0.5",
];

fn damage() -> impl Strategy<Value = Damage> {
    prop_oneof![
        any::<Index>().prop_map(Damage::Truncate),
        (any::<Index>(), 0..8_u8).prop_map(|(at, bit)| Damage::FlipBit(at, bit)),
        (any::<Index>(), 0..8_u8).prop_map(|(at, bit)| Damage::FlipHeaderBit(at, bit)),
        any::<u64>().prop_map(Damage::SetHeaderLength),
        (any::<Index>(), prop::sample::select(&NUMBERS[..]))
            .prop_map(|(at, number)| Damage::ReplaceNumber(at, number)),
        (any::<Index>(), any::<Index>()).prop_map(|(a, b)| Damage::Cut(a, b)),
        (any::<Index>(), any::<Index>()).prop_map(|(a, b)| Damage::Repeat(a, b)),
        prop::collection::vec(any::<u8>(), 1..64).prop_map(Damage::Append),
    ]
}

fn range(bytes: &[u8], a: Index, b: Index) -> std::ops::Range<usize> {
    let (a, b) = (a.index(bytes.len()), b.index(bytes.len()));
    a.min(b)..a.max(b)
}

fn apply(damage: &Damage, bytes: &mut Vec<u8>) {
    if bytes.is_empty() {
        return;
    }
    match damage {
        Damage::Truncate(at) => bytes.truncate(at.index(bytes.len())),
        Damage::FlipBit(at, bit) => {
            let at = at.index(bytes.len());
            bytes[at] ^= 1 << bit;
        }
        Damage::FlipHeaderBit(at, bit) => {
            let at = at.index(bytes.len().min(4096));
            bytes[at] ^= 1 << bit;
        }
        Damage::SetHeaderLength(length) => {
            let count = bytes.len().min(8);
            bytes[..count].copy_from_slice(&length.to_le_bytes()[..count]);
        }
        Damage::ReplaceNumber(at, number) => {
            // Among the weights a digit means nothing: look in the text at the front.
            let text = bytes.len().min(32 << 10);
            let from = at.index(text);
            let Some(start) = (from..text).find(|i| bytes[*i].is_ascii_digit()) else { return };
            let end = (start..text).find(|i| !bytes[*i].is_ascii_digit()).unwrap_or(text);
            bytes.splice(start..end, number.bytes());
        }
        Damage::Cut(a, b) => drop(bytes.drain(range(bytes, *a, *b))),
        Damage::Repeat(a, b) => {
            let range = range(bytes, *a, *b);
            let copy = bytes[range.clone()].to_vec();
            bytes.splice(range.start..range.start, copy);
        }
        Damage::Append(more) => bytes.extend(more),
    }
}

/// Loads the folder; a policy that comes out must answer or refuse.
fn exercise(folder: &Path) -> Result<(), String> {
    let mut policy = sinew_models::load(folder, &sinew_models::LoadOptions::default())
        .map_err(|error| error.to_string())?;
    let description = policy.description().clone();
    let (mut vectors, mut images) = (Vec::new(), Vec::new());
    for input in &description.inputs {
        let size: usize = input.shape.iter().product();
        if input.kind == FeatureKind::Visual {
            images.push(vec![128; size]);
        } else {
            vectors.push(vec![0.5; size]);
        }
    }
    // A large image is slow rather than dangerous.
    if images.iter().map(Vec::len).sum::<usize>() > 1 << 18 {
        return Ok(());
    }
    let vectors: Vec<&[f32]> = vectors.iter().map(Vec::as_slice).collect();
    let images: Vec<&[u8]> = images.iter().map(Vec::as_slice).collect();
    let mut actions = vec![f32::NAN; description.chunk_size * description.action_size];
    let answer = policy.predict(&Observation { vectors: &vectors, images: &images }, &mut actions);
    if answer.is_ok() {
        assert!(actions.iter().all(|action| action.is_finite()));
    }
    Ok(())
}

fn files() -> impl Strategy<Value = (&'static str, &'static str)> {
    prop::sample::select(vec![
        ("act_tiny", "config.json"),
        ("act_tiny", "model.safetensors"),
        ("act_tiny", "policy_preprocessor.json"),
        ("act_tiny", "policy_postprocessor.json"),
        ("act_tiny", "policy_preprocessor_step_3_normalizer_processor.safetensors"),
        ("act_tiny", "policy_postprocessor_step_0_unnormalizer_processor.safetensors"),
        ("act_legacy_v033", "config.json"),
        ("act_legacy_v033", "model.safetensors"),
        ("act_tiny_prenorm_env", "config.json"),
        ("act_tiny_prenorm_env", "model.safetensors"),
        ("diffusion_tiny_env", "config.json"),
        ("diffusion_tiny_env", "model.safetensors"),
        ("diffusion_legacy_v033", "config.json"),
        ("diffusion_legacy_v033", "model.safetensors"),
    ])
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(600) })]

    #[test]
    fn a_damaged_checkpoint_is_refused_by_name_or_works(
        (checkpoint, file) in files(),
        damages in prop::collection::vec(damage(), 1..3),
    ) {
        let copy = Checkpoint::copy(checkpoint);
        let path = copy.path().join(file);
        let mut bytes = std::fs::read(&path).unwrap();
        for damage in &damages {
            apply(damage, &mut bytes);
        }
        std::fs::write(&path, &bytes).unwrap();
        let mut result = Ok(());
        let allocations = allocation_counter::measure(|| result = exercise(copy.path()));
        prop_assert!(allocations.bytes_max < MAX_BYTES, "{} bytes", allocations.bytes_max);
        if let Err(message) = result {
            let folder = copy.path().display().to_string();
            prop_assert!(message.contains(&folder), "names no file: {}", message);
        }
    }

    #[test]
    fn a_damaged_golden_file_is_refused_or_compared(
        checkpoint in prop::sample::select(vec!["act_tiny_prenorm_env", "diffusion_tiny_env"]),
        file in prop::sample::select(vec!["inference.safetensors", "rollout.safetensors"]),
        damages in prop::collection::vec(damage(), 1..3),
    ) {
        let copy = Checkpoint::copy(checkpoint);
        let path = copy.path().join(file);
        let mut bytes = std::fs::read(&path).unwrap();
        for damage in &damages {
            apply(damage, &mut bytes);
        }
        std::fs::write(&path, &bytes).unwrap();
        let mut policy = sinew_models::load(copy.path(), &sinew_models::LoadOptions::default()).unwrap();
        let mut result = None;
        let allocations = allocation_counter::measure(|| {
            result = Some(golden::check(policy.as_mut(), &path));
        });
        prop_assert!(allocations.bytes_max < MAX_BYTES, "{} bytes", allocations.bytes_max);
        if let Some(Ok(report)) = result {
            prop_assert!(report.comparisons.iter().any(|comparison| comparison.decides));
        }
    }
}
