//! Damaged bytes for every reader, by the million: `SINEW_MUTATIONS=3000000 cargo test -p
//! sinew-models mutations`. Without it each reader gets a few thousand.
//!
//! A reader must not panic or overflow, must not allocate without bound, and must say what it
//! refuses in a message of one line that names the file and cannot move a terminal. A damage is a
//! function of its number, which is printed where one fails; `SINEW_MUTATIONS_FROM` begins there.

use crate::actuators::{self, ImportOptions, damaged};
use crate::lerobot::test_config;
use crate::pickle::{self, Classes, Kind, Limits};
use crate::preprocessing::Geometry;
use crate::tensor_file::TensorFile;
use safetensors::Dtype;
use safetensors::tensor::TensorView;
use std::path::{Path, PathBuf};

/// Damages of each reader where the environment says nothing.
const FEW: u64 = 4_000;
/// Most bytes that a reader may hold at once.
const MAX_BYTES: u64 = 96 << 20;
/// Longest message, in bytes.
const MAX_MESSAGE: usize = 4_096;
/// What the pickles may ask for, so that the bound above is one.
const LIMITS: Limits =
    Limits { memory: 16 << 20, opcodes: 1 << 18, stack: 1 << 16, memo: 1 << 16, depth: 50 };
/// Pieces that mean something to one of the readers.
const TOKENS: [&[u8]; 44] = [
    b"null",
    b"true",
    b"-1",
    b"0",
    b"1",
    b"4096",
    b"4294967296",
    b"1e308",
    b"-0.0",
    b"18446744073709551615",
    b"[]",
    b"{}",
    b"\"\"",
    b"[[[[[[[[",
    b"\"\\u001b[2J\"",
    b"\"\\u202e\"",
    b",",
    b":",
    b"\"type\"",
    b"\"shape\"",
    b"\"sinew\"",
    b"\"crop\"",
    b"\"keep\"",
    b"\"drop\"",
    b"\"resize\"",
    b"\"cameras\"",
    b"\"background\"",
    b"\"image_weights\"",
    b"\"VISUAL\"",
    b"\"STATE\"",
    b"\"MEAN_STD\"",
    b"\"F32\"",
    b"\"data_offsets\"",
    b"cos\nsystem\n",
    b"ctorch\nFloatStorage\n",
    b"ccollections\nOrderedDict\n",
    b"PK\x03\x04",
    b"PK\x01\x02",
    b"PK\x05\x06",
    b"PK\x06\x06",
    b"\x80\x02",
    b"\x95\xff\xff\xff\xff\xff\xff\xff\x7f",
    b"r\xff\xff\xff\x7f",
    b"IHDR",
];
const NUMBERS: [u64; 10] =
    [0, 1, 0x7f, 0xff, 0xffff, 0x7fff_ffff, 0x8000_0000, 0xffff_ffff, 1 << 40, u64::MAX];

/// Numbers that look random: SplitMix64 (Steele et al., 2014).
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    fn below(&mut self, limit: usize) -> usize {
        (self.next() % limit.max(1) as u64) as usize
    }

    fn part(&mut self, length: usize) -> std::ops::Range<usize> {
        let begin = self.below(length);
        let longest = if self.below(4) == 0 { 400 } else { 12 };
        begin..(begin + 1 + self.below(longest)).min(length)
    }
}

/// Damages a seed in one to four places, at times with a piece of another seed.
fn damaged(seeds: &[Vec<u8>], random: &mut Random) -> Vec<u8> {
    let mut bytes = seeds[random.below(seeds.len())].clone();
    for _ in 0..=random.below(4) {
        if bytes.is_empty() {
            break;
        }
        let length = bytes.len();
        let part = random.part(length);
        let at = part.start;
        match random.below(10) {
            0 => bytes[at] ^= 1 << random.below(8),
            1 => bytes[at] = random.next() as u8,
            2 => {
                let late = length - 1 - random.below(length.min(300));
                bytes[late] ^= 1 << random.below(8);
            }
            3 => {
                let number = NUMBERS[random.below(NUMBERS.len())].to_le_bytes();
                let count = [2, 4, 8][random.below(3)].min(length - at);
                bytes[at..at + count].copy_from_slice(&number[..count]);
            }
            4 => drop(bytes.drain(part)),
            5 => {
                let copy = bytes[part].to_vec();
                bytes.splice(at..at, copy);
            }
            6 => {
                let token = TOKENS[random.below(TOKENS.len())];
                bytes.splice(at..at, token.iter().copied());
            }
            7 => {
                let token = TOKENS[random.below(TOKENS.len())];
                bytes.splice(part, token.iter().copied());
            }
            8 => {
                let other = &seeds[random.below(seeds.len())];
                let piece = random.part(other.len());
                bytes.splice(part, other[piece].iter().copied());
            }
            _ if random.below(4) == 0 => bytes.truncate(at),
            // A run of digits becomes another number.
            _ => {
                let Some(begin) = (at..length).find(|i| bytes[*i].is_ascii_digit()) else {
                    continue;
                };
                let end = (begin..length).find(|i| !bytes[*i].is_ascii_digit()).unwrap_or(length);
                let number = NUMBERS[random.below(NUMBERS.len())].to_string();
                bytes.splice(begin..end, number.bytes());
            }
        }
    }
    bytes
}

/// Says which damage it was, if one panics.
struct Which(u64);

impl Drop for Which {
    fn drop(&mut self) {
        if std::thread::panicking() {
            eprintln!("SINEW_MUTATIONS_FROM={} SINEW_MUTATIONS=1", self.0);
        }
    }
}

/// Gives `read` damaged seeds; one in `cost` of what is asked for, where reading is slow.
fn mutate(seeds: &[Vec<u8>], cost: u64, name: &str, read: impl Fn(&[u8]) -> Result<(), String>) {
    let from_environment = |key: &str| std::env::var(key).ok().and_then(|text| text.parse().ok());
    let count: u64 = from_environment("SINEW_MUTATIONS").unwrap_or(FEW);
    let first: u64 = from_environment("SINEW_MUTATIONS_FROM").unwrap_or(0);
    seeds.iter().for_each(|seed| read(seed).unwrap());
    let (mut accepted, mut refused) = (0_u64, 0_u64);
    for number in first..first + count.div_ceil(cost) {
        let which = Which(number);
        let bytes = damaged(seeds, &mut Random(number));
        let mut result = Ok(());
        let allocations = allocation_counter::measure(|| result = read(&bytes));
        assert!(allocations.bytes_max < MAX_BYTES, "{} bytes", allocations.bytes_max);
        match result {
            Ok(()) => accepted += 1,
            Err(message) => {
                refused += 1;
                assert!(message.contains(name), "names no file: {message}");
                assert!(message.len() < MAX_MESSAGE, "{} bytes: {message:.200}", message.len());
                assert!(!message.contains(char::is_control), "{message:?}");
            }
        }
        drop(which);
    }
    println!("{name}: {accepted} accepted, {refused} refused");
    assert!(refused > 0 || count < 100);
}

fn fixture(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../tests/fixtures").join(name)
}

fn seeds(names: &[&str]) -> Vec<Vec<u8>> {
    names.iter().map(|name| std::fs::read(fixture(name)).unwrap()).collect()
}

/// Looks at everything that a document holds, once.
fn look(document: &pickle::Document<'_>) {
    let Kind::Dict(entries) = document.root().kind() else { return };
    for (_, value) in entries.iter() {
        if let Kind::Tensor(tensor) = value.kind() {
            // Views may repeat what is stored; what they hold is bounded by nothing else.
            if tensor.shape().iter().product::<usize>() < 1 << 20 {
                std::hint::black_box(tensor.to_f32());
            }
        }
    }
}

#[test]
fn mutations_of_pickles() {
    let seeds = seeds(&[
        "act_original_repo/dataset_stats.pkl",
        "diffusion_act_plus_plus/dataset_stats.pkl",
        "pickles/numpy1_protocol0.pkl",
        "pickles/numpy1_protocol2.pkl",
        "pickles/numpy2_protocol4.pkl",
        "pickles/numpy2_protocol5.pkl",
        "pickles/numpy116_python27_protocol1.pkl",
    ]);
    mutate(&seeds, 1, "damaged.pkl", |bytes| {
        let document = pickle::plain(Path::new("damaged.pkl"), bytes, &LIMITS, Classes::Refused);
        document.map(|document| look(&document)).map_err(|error| error.to_string())
    });
}

#[test]
fn mutations_of_torch_archives_and_streams() {
    let seeds = seeds(&[
        "pickles/torch_2_4.pt",
        "pickles/torch_2_4_protocol5.pt",
        "pickles/torch_2_4_state_dict.pt",
        "pickles/torch_2_4_stream.pt",
    ]);
    mutate(&seeds, 1, "damaged.pt", |bytes| {
        let document = pickle::torch(Path::new("damaged.pt"), bytes, &LIMITS, Classes::Named);
        document.map(|document| look(&document)).map_err(|error| error.to_string())
    });
}

#[test]
fn mutations_of_tensor_files() {
    let state = "policy_preprocessor_step_3_normalizer_processor.safetensors";
    let seeds = seeds(&[
        &format!("diffusion_tiny/{state}"),
        &format!("act_tiny/{state}"),
        "vinn_tiny/memory.safetensors",
    ]);
    mutate(&seeds, 1, "damaged.safetensors", |bytes| {
        let read = || {
            let mut file = TensorFile::parse(Path::new("damaged.safetensors"), bytes)?;
            let names: Vec<String> = file.names().map(str::to_owned).collect();
            for name in names {
                let shape = file.shape(&name).unwrap_or_default().to_vec();
                std::hint::black_box(file.take(&name, &shape)?);
            }
            file.finish()
        };
        read().map_err(|error| error.to_string())
    });
}

#[test]
fn mutations_of_configurations() {
    let mut seeds = seeds(&[
        "act_tiny/config.json",
        "act_tiny_prenorm_env/config.json",
        "act_legacy_v033/config.json",
        "diffusion_tiny/config.json",
        "diffusion_tiny_v06/config.json",
        "vinn_tiny/config.json",
    ]);
    seeds.push(prepared());
    // Beside the background that the last of them names.
    let file = fixture("image_preparation/damaged.json");
    mutate(&seeds, 1, "image_preparation", |bytes| test_config::read(&file, bytes));
}

/// A configuration that says everything there is to say of images.
fn prepared() -> Vec<u8> {
    br#"{"type": "act", "input_features": {"observation.images.top": {"type": "VISUAL", "shape": [3, 36, 50]}},
        "output_features": {"action": {"type": "ACTION", "shape": [2]}}, "normalization_mapping": {},
        "sinew": {"colors": "bgr", "backbone_per_camera": false, "keep": [[1, 2, 40, 30], [3, 3, 4, 4]],
        "drop": [[5, 5, 9, 9]], "crop": {"center": [20, 30]}, "resize": [64, 96],
        "image_weights": {"inside": 1.5, "outside": 0.5, "rectangle": [2, 2, 9, 9]},
        "background": {"file": "background.png", "threshold": 40},
        "cameras": {"observation.images.top": {"crop": {"rectangle": [0, 0, 50, 36]}, "keep": null}}}}"#
        .to_vec()
}

#[test]
fn mutations_of_backgrounds() {
    let folder = tempfile::tempdir_in(scratch()).unwrap();
    let config: serde_json::Value = serde_json::from_slice(&prepared()).unwrap();
    let picture = folder.path().join("background.png");
    let file = folder.path().join("config.json");
    mutate(&seeds(&["image_preparation/background.png"]), 4, "background.png", |bytes| {
        std::fs::write(&picture, bytes).unwrap();
        let plans = test_config::image_plans(&file, &config, Geometry::default());
        plans.map(drop).map_err(|error| error.to_string())
    });
}

#[test]
fn mutations_of_statistics() {
    let folder = tempfile::tempdir_in(scratch()).unwrap();
    let file = folder.path().join("dataset_stats.pkl");
    let seeds = seeds(&["diffusion_act_plus_plus/dataset_stats.pkl"]);
    mutate(&seeds, 4, "dataset_stats.pkl", |bytes| {
        std::fs::write(&file, bytes).unwrap();
        crate::original::test_statistics(&file, [5, 6]).map_err(|error| error.to_string())
    });
}

#[test]
fn mutations_of_processors() {
    let folder = tempfile::tempdir_in(scratch()).unwrap();
    for entry in std::fs::read_dir(fixture("act_tiny")).unwrap() {
        let entry = entry.unwrap();
        if entry.file_name().to_string_lossy().starts_with("policy_") {
            std::fs::copy(entry.path(), folder.path().join(entry.file_name())).unwrap();
        }
    }
    let config = std::fs::read(fixture("act_tiny/config.json")).unwrap();
    for name in ["policy_preprocessor.json", "policy_postprocessor.json"] {
        let file = folder.path().join(name);
        let whole = std::fs::read(&file).unwrap();
        mutate(std::slice::from_ref(&whole), 8, &folder.path().display().to_string(), |bytes| {
            std::fs::write(&file, bytes).unwrap();
            test_config::processors(folder.path(), &config)
        });
        std::fs::write(&file, whole).unwrap();
    }
}

#[test]
fn mutations_of_actuator_networks() {
    let seeds = seeds(&[
        "actuators/seed/gru-global_tiny_best_jit.pt",
        "actuators/seed/gru-global_tiny-epoch=03.ckpt",
        "actuators/seed/state_dict.pth",
        "actuators/seed/model.safetensors",
    ]);
    mutate(&seeds, 4, "damaged.pt", |bytes| {
        damaged::network(Path::new("damaged.pt"), bytes, &LIMITS)
    });
}

#[test]
fn mutations_of_actuator_folders() {
    let folder = tempfile::tempdir_in(scratch()).unwrap();
    let options = ImportOptions { rate_hz: Some(240.0), ..ImportOptions::default() };
    let seed = fixture("actuators/seed/model.safetensors");
    let out = folder.path().join("out");
    actuators::import(&seed, &options).unwrap().bundle.write(&out).unwrap();
    let json = std::fs::read(out.join("actuator.json")).unwrap();
    let weights = std::fs::read(out.join("weights.safetensors")).unwrap();
    let file = Path::new("damaged/actuator.json");
    mutate(std::slice::from_ref(&json), 4, "damaged", |bytes| {
        damaged::folder(file, bytes, &weights)
    });
    // Weights that are damaged, with a hash that is not.
    let json = String::from_utf8(json).unwrap();
    let hash = damaged::sha256(&weights);
    mutate(std::slice::from_ref(&weights), 4, "damaged", |bytes| {
        let json = json.replace(&hash, &damaged::sha256(bytes));
        damaged::folder(file, json.as_bytes(), bytes)
    });
}

#[test]
fn mutations_of_actuator_settings() {
    let folder = tempfile::tempdir_in(scratch()).unwrap();
    let copy = |name: &str| {
        let from = fixture("actuators").join(name);
        let to = folder.path().join(from.file_name().unwrap());
        std::fs::copy(from, &to).unwrap();
        to
    };
    let network = copy("seed/model.safetensors");
    let scripted = copy("isaac_lab/network.pt");
    let mlp = br#"{"rate_hz": 400, "input_idx": [0, 4, 8], "input_order": "pos_vel",
        "error_sign": "measured_minus_target", "pos_scale": 1, "vel_scale": 0.1, "torque_scale": 20,
        "activation": "softsign", "dc_motor": null, "effort_limit_nm": 40}"#;
    let dense = folder.path().join("dense.safetensors");
    let tensor = |shape: &[usize]| vec![0_u8; shape.iter().product::<usize>() * 4];
    let (weight, bias) = (tensor(&[1, 6]), tensor(&[1]));
    let view = |shape: &[usize], data| TensorView::new(Dtype::F32, shape.to_vec(), data).unwrap();
    let tensors = [("0.weight", view(&[1, 6], &weight)), ("0.bias", view(&[1], &bias))];
    std::fs::write(&dense, safetensors::serialize(tensors, None).unwrap()).unwrap();
    std::fs::write(folder.path().join("mlp.json"), mlp).unwrap();
    let files = [
        (copy("seed/normalization_stats.json"), &network, 0),
        (copy("seed/training_config_summary.json"), &network, 0),
        (copy("isaac_lab/full.json"), &scripted, 1),
        (folder.path().join("mlp.json"), &dense, 2),
    ];
    for (file, network, kind) in files {
        let whole = std::fs::read(&file).unwrap();
        let options = ImportOptions {
            rate_hz: (kind == 0).then_some(240.0),
            isaac_lab: (kind == 1).then(|| file.clone()),
            mlp: (kind == 2).then(|| file.clone()),
            ..ImportOptions::default()
        };
        let name = folder.path().display().to_string();
        mutate(std::slice::from_ref(&whole), 16, &name, |bytes| {
            std::fs::write(&file, bytes).unwrap();
            let imported = actuators::import(network, &options);
            imported.map(drop).map_err(|error| error.to_string())
        });
        std::fs::write(&file, whole).unwrap();
    }
}

/// A folder in memory, where there is one.
fn scratch() -> PathBuf {
    let memory = PathBuf::from("/dev/shm");
    if memory.is_dir() { memory } else { std::env::temp_dir() }
}
