//! Damaged pickles, archives and statistics never make the reader panic or allocate without bound:
//! each is refused with a message that names the file, or is read.

#![allow(clippy::unwrap_used, clippy::panic)]

mod support;

use proptest::prelude::*;
use proptest::sample::Index;
use sinew_models::Colors;
use sinew_models::original::{Camera, Conversion, convert};
use sinew_models::pickle::{self, Classes, Document, Kind, Limits, PickleError, Value};
use std::path::Path;
use support::torch_file::{Entry, zip};
use support::{Checkpoint, fixture};

/// Most bytes that may be allocated at once. The files have up to 0.5 MB.
const MAX_BYTES: u64 = 64 << 20;
/// What the pickles may ask for, so that the bound above is one.
const LIMITS: Limits =
    Limits { memory: 16 << 20, opcodes: 1 << 20, stack: 1 << 16, memo: 1 << 16, depth: 50 };

const PLAIN: [&str; 6] = [
    "act_original_repo/dataset_stats.pkl",
    "pickles/numpy1_protocol0.pkl",
    "pickles/numpy1_protocol2.pkl",
    "pickles/numpy2_protocol4.pkl",
    "pickles/numpy2_protocol5.pkl",
    "pickles/numpy116_python27_protocol1.pkl",
];
const TORCH: [&str; 6] = [
    "act_original_repo/policy_best.ckpt",
    "pickles/torch_2_4.pt",
    "pickles/torch_2_4_protocol5.pt",
    "pickles/torch_2_4_state_dict.pt",
    "pickles/torch_2_4_stream.pt",
    "pickles/torchscript_2_4.pt",
];

/// One piece of damage.
#[derive(Clone, Debug)]
enum Damage {
    Truncate(Index),
    FlipBit(Index, u8),
    /// Within the last bytes: the directory of an archive.
    FlipLateBit(Index, u8),
    /// Opcodes and lengths are bytes.
    SetByte(Index, u8),
    SetNumber(Index, u32),
    Cut(Index, Index),
    Repeat(Index, Index),
    /// Replaces a name by another that is known.
    Rename(Index, &'static str),
    Insert(Index, Vec<u8>),
}

/// Every opcode, so that what is inserted is often one.
const OPCODES: &[u8] =
    b"(.012FIJKLMNPQRSTUVXabcd}eghijl]opqrst)uGBC\x80\x81\x82\x85\x86\x87\x88\x89\x8a\x8b\x8c\x8d\x8e\x8f\x90\x91\x92\x93\x94\x95\x96\x97\x98";
const NAMES: [&str; 6] =
    ["OrderedDict", "_reconstruct", "_rebuild_tensor_v2", "FloatStorage", "scalar", "dtype"];
const NUMBERS: [u32; 8] = [0, 1, 0x7f, 0xff, 0xffff, 0x7fff_ffff, 0x8000_0000, 0xffff_ffff];

fn opcode() -> impl Strategy<Value = u8> {
    prop_oneof![prop::sample::select(OPCODES), any::<u8>()]
}

fn damage() -> impl Strategy<Value = Damage> {
    prop_oneof![
        any::<Index>().prop_map(Damage::Truncate),
        (any::<Index>(), 0..8_u8).prop_map(|(at, bit)| Damage::FlipBit(at, bit)),
        (any::<Index>(), 0..8_u8).prop_map(|(at, bit)| Damage::FlipLateBit(at, bit)),
        (any::<Index>(), opcode()).prop_map(|(at, byte)| Damage::SetByte(at, byte)),
        (any::<Index>(), prop::sample::select(&NUMBERS[..]))
            .prop_map(|(at, number)| Damage::SetNumber(at, number)),
        (any::<Index>(), any::<Index>()).prop_map(|(a, b)| Damage::Cut(a, b)),
        (any::<Index>(), any::<Index>()).prop_map(|(a, b)| Damage::Repeat(a, b)),
        (any::<Index>(), prop::sample::select(&NAMES[..]))
            .prop_map(|(at, name)| Damage::Rename(at, name)),
        (any::<Index>(), prop::collection::vec(opcode(), 1..12))
            .prop_map(|(at, bytes)| Damage::Insert(at, bytes)),
    ]
}

fn apply(damage: &Damage, bytes: &mut Vec<u8>) {
    if bytes.is_empty() {
        return;
    }
    let len = bytes.len();
    let range = |a: &Index, b: &Index| {
        let (a, b) = (a.index(len), b.index(len));
        // Short pieces hit the structure; long ones only destroy it.
        let (from, to) = (a.min(b), a.max(b));
        from..to.min(from + 200)
    };
    match damage {
        Damage::Truncate(at) => bytes.truncate(at.index(len)),
        Damage::FlipBit(at, bit) => bytes[at.index(len)] ^= 1 << bit,
        Damage::FlipLateBit(at, bit) => {
            let late = len.min(2000);
            bytes[len - late + at.index(late)] ^= 1 << bit;
        }
        Damage::SetByte(at, byte) => bytes[at.index(len)] = *byte,
        Damage::SetNumber(at, number) => {
            let at = at.index(len);
            let end = len.min(at + 4);
            bytes[at..end].copy_from_slice(&number.to_le_bytes()[..end - at]);
        }
        Damage::Cut(a, b) => drop(bytes.drain(range(a, b))),
        Damage::Repeat(a, b) => {
            let range = range(a, b);
            let copy = bytes[range.clone()].to_vec();
            bytes.splice(range.start..range.start, copy);
        }
        Damage::Rename(at, name) => {
            let from = at.index(len);
            let old = NAMES.iter().find_map(|old| {
                let found = bytes[from..].windows(old.len()).position(|w| w == old.as_bytes())?;
                Some(from + found..from + found + old.len())
            });
            if let Some(old) = old {
                bytes.splice(old, name.bytes());
            }
        }
        Damage::Insert(at, more) => {
            let at = at.index(len);
            bytes.splice(at..at, more.iter().copied());
        }
    }
}

/// Looks at values, but not at all paths to shared ones.
fn visit(value: Value<'_>, left: &mut usize) {
    if *left == 0 {
        return;
    }
    *left -= 1;
    match value.kind() {
        Kind::List(items) | Kind::Tuple(items) => items.iter().for_each(|item| visit(item, left)),
        Kind::Dict(entries) => entries.iter().for_each(|(key, value)| {
            visit(key, left);
            visit(value, left);
        }),
        Kind::Tensor(tensor) => assert_eq!(tensor.to_f32().len(), tensor.len()),
        Kind::Object(object) => {
            object.arguments.iter().for_each(|item| visit(item, left));
            object.attributes.iter().for_each(|entries| {
                entries.iter().for_each(|(_, value)| visit(value, left));
            });
            object.state.iter().for_each(|state| visit(*state, left));
        }
        _ => {}
    }
}

/// Reads and looks; a refusal must name the file.
fn exercise(read: impl FnOnce() -> Result<(), PickleError>) {
    let mut result = Ok(());
    let allocations = allocation_counter::measure(|| result = read());
    assert!(allocations.bytes_max < MAX_BYTES, "{} bytes", allocations.bytes_max);
    if let Err(error) = result {
        assert!(error.to_string().contains("damaged.file"), "names no file: {error}");
    }
}

fn look(document: &Document<'_>) {
    visit(document.root(), &mut 10_000);
}

fn exercise_plain(bytes: &[u8], classes: Classes) {
    exercise(|| {
        pickle::plain(Path::new("damaged.file"), bytes, &LIMITS, classes).map(|read| look(&read))
    });
}

fn exercise_torch(bytes: &[u8], classes: Classes) {
    exercise(|| {
        pickle::torch(Path::new("damaged.file"), bytes, &LIMITS, classes).map(|read| look(&read))
    });
}

fn classes() -> impl Strategy<Value = Classes> {
    prop::sample::select(vec![Classes::Refused, Classes::Named])
}

/// The entries of an archive, by an independent reading of its directory.
fn entries(bytes: &[u8]) -> Vec<Entry> {
    let number = |at: usize, count: usize| {
        bytes[at..at + count].iter().rev().fold(0, |sum, byte| sum << 8 | usize::from(*byte))
    };
    let end = bytes.len() - 22;
    let mut at = number(end + 16, 4);
    let mut entries = Vec::new();
    for _ in 0..number(end + 10, 2) {
        let (size, name_len, begin) = (number(at + 20, 4), number(at + 28, 2), number(at + 42, 4));
        let name = String::from_utf8(bytes[at + 46..at + 46 + name_len].to_vec()).unwrap();
        let from = begin + 30 + number(begin + 26, 2) + number(begin + 28, 2);
        if number(at + 10, 2) == 0 {
            entries.push(Entry::new(&name, &bytes[from..from + size]));
        }
        at += 46 + name_len + number(at + 30, 2) + number(at + 32, 2);
    }
    entries
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(2000) })]

    #[test]
    fn a_damaged_pickle_is_refused_by_name_or_read(
        file in prop::sample::select(&PLAIN[..]),
        damages in prop::collection::vec(damage(), 1..4),
        classes in classes(),
    ) {
        let mut bytes = std::fs::read(fixture(file)).unwrap();
        damages.iter().for_each(|damage| apply(damage, &mut bytes));
        exercise_plain(&bytes, classes);
    }

    #[test]
    fn a_damaged_torch_file_is_refused_by_name_or_read(
        file in prop::sample::select(&TORCH[..]),
        damages in prop::collection::vec(damage(), 1..4),
        classes in classes(),
    ) {
        let mut bytes = std::fs::read(fixture(file)).unwrap();
        damages.iter().for_each(|damage| apply(damage, &mut bytes));
        exercise_torch(&bytes, classes);
    }

    /// The damage is inside, and the archive around it is as it should be.
    #[test]
    fn a_damaged_pickle_in_a_sound_archive_is_refused_by_name_or_read(
        file in prop::sample::select(&TORCH[1..4]),
        damages in prop::collection::vec(damage(), 1..4),
        classes in classes(),
    ) {
        let mut entries = entries(&std::fs::read(fixture(file)).unwrap());
        let pickle = entries.iter_mut().find(|entry| entry.name.ends_with("/data.pkl")).unwrap();
        damages.iter().for_each(|damage| apply(damage, &mut pickle.data));
        exercise_torch(&zip(&entries), classes);
    }

    #[test]
    fn arbitrary_opcodes_are_refused_by_name_or_read(
        bytes in prop::collection::vec(opcode(), 0..200),
        classes in classes(),
    ) {
        exercise_plain(&bytes, classes);
    }
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(300) })]

    #[test]
    fn a_damaged_original_is_refused_by_name_or_converted(
        file in prop::sample::select(vec!["policy_best.ckpt", "dataset_stats.pkl"]),
        damages in prop::collection::vec(damage(), 1..3),
    ) {
        let copy = Checkpoint::copy("act_original_repo");
        let path = copy.path().join(file);
        let mut bytes = std::fs::read(&path).unwrap();
        damages.iter().for_each(|damage| apply(damage, &mut bytes));
        std::fs::write(&path, &bytes).unwrap();
        let camera = |name: &str| Camera { name: name.to_owned(), height: 48, width: 64 };
        let conversion = Conversion {
            from: copy.path().to_path_buf(),
            statistics: None,
            cameras: vec![camera("top"), camera("wrist")],
            heads: Some(4),
            colors: Colors::Rgb,
            qpos: None,
            actions: None,
            chunk: None,
        };
        let out = copy.path().join("out");
        let mut result = None;
        let allocations = allocation_counter::measure(|| result = Some(convert(&conversion, &out)));
        prop_assert!(allocations.bytes_max < MAX_BYTES, "{} bytes", allocations.bytes_max);
        match result.unwrap() {
            Ok(_) => prop_assert!(sinew_models::load(&out, &sinew_models::LoadOptions::default()).is_ok()),
            Err(error) => {
                let folder = copy.path().display().to_string();
                prop_assert!(error.to_string().contains(&folder), "names no file: {}", error);
                prop_assert!(!out.exists());
            }
        }
    }
}

#[test]
fn files_that_end_at_any_byte_are_refused() {
    let limits = Limits { memory: 64 << 20, ..LIMITS };
    let file = Path::new("short.file");
    for name in PLAIN {
        let bytes = std::fs::read(fixture(name)).unwrap();
        for end in 0..bytes.len() {
            let read = pickle::plain(file, &bytes[..end], &limits, Classes::Refused);
            let error = read.map(drop).unwrap_err();
            assert!(matches!(error, PickleError::Truncated { .. }), "{name} {end}: {error}");
        }
    }
    for name in TORCH {
        let bytes = std::fs::read(fixture(name)).unwrap();
        for end in 0..bytes.len() {
            let read = pickle::torch(file, &bytes[..end], &limits, Classes::Named);
            assert!(read.is_err(), "{name} {end}");
        }
    }
}

/// The archive is whole, the pickle in it ends at any byte.
#[test]
fn pickles_in_archives_that_end_at_any_byte_are_refused() {
    for name in ["pickles/torch_2_4.pt", "pickles/torch_2_4_state_dict.pt"] {
        let mut entries = entries(&std::fs::read(fixture(name)).unwrap());
        let index = entries.iter().position(|entry| entry.name.ends_with("/data.pkl")).unwrap();
        let whole = entries[index].data.clone();
        for end in 0..whole.len() {
            entries[index].data.truncate(0);
            entries[index].data.extend(&whole[..end]);
            let bytes = zip(&entries);
            let read = pickle::torch(Path::new("x"), &bytes, &LIMITS, Classes::Refused);
            let error = read.map(drop).unwrap_err();
            assert!(matches!(error, PickleError::Truncated { .. }), "{name} {end}: {error}");
        }
    }
}
