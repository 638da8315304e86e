//! Files that were made to do harm are refused by name, in bounded memory.

#![allow(clippy::unwrap_used, clippy::panic)]

mod support;

use sinew_models::pickle::{self, ArchiveError, Classes, Limits, PickleError};
use std::path::Path;
use support::torch_file::{Entry, archive, integer, storage, tensor, text, zip};

/// Most bytes that may be allocated at once for any of these files.
const MAX_BYTES: u64 = 600 << 20;

fn plain_error(bytes: &[u8], limits: &Limits) -> PickleError {
    let mut result = None;
    let allocations = allocation_counter::measure(|| {
        let read = pickle::plain(Path::new("bad.pkl"), bytes, limits, Classes::Refused);
        result = Some(read.map(drop).unwrap_err());
    });
    assert!(allocations.bytes_max < MAX_BYTES, "{} bytes", allocations.bytes_max);
    result.unwrap()
}

fn plain(bytes: &[u8]) -> String {
    plain_error(bytes, &Limits::default()).to_string()
}

fn torch(bytes: &[u8]) -> String {
    let mut result = None;
    let allocations = allocation_counter::measure(|| {
        let limits = Limits::for_file(bytes);
        let read = pickle::torch(Path::new("bad.ckpt"), bytes, &limits, Classes::Refused);
        result = Some(read.map(drop).unwrap_err().to_string());
    });
    assert!(allocations.bytes_max < MAX_BYTES, "{} bytes", allocations.bytes_max);
    result.unwrap()
}

fn assert_says(message: &str, expected: &str) {
    assert!(message.contains(expected), "{message}\n  lacks: {expected}");
}

#[test]
fn calls_of_other_modules_are_refused_and_never_made() {
    let witness = std::env::temp_dir().join(format!("pickle-witness-{}", std::process::id()));
    let command = format!("touch {}", witness.display());
    let gadgets: [(Vec<u8>, &str); 9] = [
        (
            [b"cos\nsystem\n(", &text(&command)[..], b"tR."].concat(),
            "byte 0: GLOBAL names os.system",
        ),
        ([b"cposix\nsystem\n(", &text(&command)[..], b"tR."].concat(), "GLOBAL names posix.system"),
        (
            [b"\x80\x04\x8c\x08builtins\x8c\x04eval\x93(", &text("1")[..], b"tR."].concat(),
            "byte 18: STACK_GLOBAL names builtins.eval",
        ),
        ([b"(", &text(&command)[..], b"ios\nsystem\n."].concat(), "INST names os.system"),
        (b"c__builtin__\ngetattr\n.".to_vec(), "__builtin__.getattr"),
        (b"csubprocess\nPopen\n.".to_vec(), "subprocess.Popen"),
        (b"ctorch.serialization\nload\n.".to_vec(), "torch.serialization.load"),
        (b"ctorch\njit\n.".to_vec(), "torch.jit"),
        // A dotted name would reach through a known module.
        (b"\x80\x04\x8c\x05numpy\x8c\x0ctesting.exec\x93.".to_vec(), "numpy.testing.exec"),
    ];
    for (bytes, expected) in gadgets {
        let message = plain(&bytes);
        assert_says(&message, expected);
        assert_says(&message, "refused: a pickle can run any code by such names");
        assert_says(&torch(&archive(bytes, &[])), expected);
    }
    assert!(!witness.exists());
}

/// Where the caller allows unknown classes, they are names: nothing is called for them either.
#[test]
fn named_classes_do_nothing() {
    let bytes = [b"cos\nsystem\n(", &text("true")[..], b"tR."].concat();
    let file = Path::new("named.pkl");
    let document = pickle::plain(file, &bytes, &Limits::default(), Classes::Named).unwrap();
    let pickle::Kind::Object(object) = document.root().kind() else { panic!("no object") };
    assert_eq!((object.class, object.arguments.iter().len()), ("os.system", 1));
    assert!(object.attributes.is_none() && object.state.is_none());
}

#[test]
fn known_functions_are_refused_with_other_arguments() {
    let cases: [(&[u8], &str); 9] = [
        (b"ccollections\nOrderedDict\n(K\x01tR.", "calls collections.OrderedDict"),
        (b"c_codecs\nencode\n(X\x01\0\0\0aX\x04\0\0\0zliptR.", "calls _codecs.encode"),
        (b"c_codecs\nencode\n(X\x03\0\0\0\xe4\xb8\x80X\x06\0\0\0latin1tR.", "calls _codecs.encode"),
        (b"cnumpy\ndtype\n(X\x01\0\0\0OK\0K\x01tR.", "calls numpy.dtype"),
        (b"cnumpy\nndarray\n(tR.", "calls numpy.ndarray with something else than nothing"),
        (b"c_codecs\nencode\n(X\x01\0\0\0aX\x06\0\0\0latin1t\x81.", "NEWOBJ calls _codecs.encode"),
        (b"ctorch\nFloatStorage\n)R.", "calls a storage type of torch"),
        (b"cnumpy.core.multiarray\nscalar\n(K\x01K\x02tR.", "calls numpy.core.multiarray.scalar"),
        (b"K\x01)R.", "REDUCE finds nothing that could be called"),
    ];
    for (bytes, expected) in cases {
        assert_says(&plain(bytes), expected);
    }
}

#[test]
fn arrays_that_contradict_themselves_are_refused() {
    let array = |shape: &[u8], data: &[u8]| {
        let dtype = [b"cnumpy\ndtype\n(", &text("f4")[..], b"\x89\x88tR"].concat();
        let start = b"\x80\x04cnumpy.core.multiarray\n_reconstruct\n(cnumpy\nndarray\nK\0\x85C\x01btR(K\x01";
        [&start[..], shape, &dtype, b"\x89B", &(data.len() as u32).to_le_bytes(), data, b"tb."]
            .concat()
    };
    let file = Path::new("good.pkl");
    let good = array(b"K\x02\x85", &[0; 8]);
    pickle::plain(file, &good, &Limits::default(), Classes::Refused).unwrap();
    let state = "BUILD calls numpy.ndarray.__setstate__";
    assert_says(&plain(&array(b"K\x02\x85", &[0; 12])), state);
    assert_says(&plain(&array(b"J\xff\xff\xff\xff\x85", &[0; 8])), state);
    assert_says(&plain(&array(b"K\x03\x85", &[0; 8])), "shape [3] is larger than its storage of 2");
    let giant = [integer(1 << 62), integer(1 << 62), b"\x86".to_vec()].concat();
    assert_says(&plain(&array(&giant, &[0; 8])), "is larger than its storage of 2 numbers");
}

#[test]
fn tensors_outside_their_storage_are_refused() {
    let refusal = |len: i64, offset: i64, shape: &[i64], strides: &[i64], bytes: usize| {
        let made = tensor(&storage("FloatStorage", "0", len), offset, shape, strides);
        let pickle = [b"\x80\x02", &made[..], b"."].concat();
        torch(&archive(pickle, &[("0", vec![0; bytes])]))
    };
    let larger = "is larger than its storage of 4 numbers";
    let beyond = "reaches beyond its storage of 4 numbers";
    assert_says(&refusal(4, 0, &[1 << 40], &[1], 16), larger);
    assert_says(&refusal(4, 0, &[1 << 40, 1 << 40], &[1, 1], 16), larger);
    assert_says(&refusal(4, 0, &[i64::MAX, 0, i64::MAX], &[0, 0, 0], 16), larger);
    assert_says(&refusal(4, 0, &[5], &[0], 16), larger);
    assert_says(&refusal(4, 1, &[4], &[1], 16), beyond);
    assert_says(&refusal(4, 0, &[2, 2], &[3, 1], 16), beyond);
    assert_says(&refusal(4, i64::MAX, &[2], &[i64::MAX], 16), beyond);
    let call = "calls torch._utils._rebuild_tensor_v2 with something else than a storage, an offset, a shape, strides (none negative)";
    assert_says(&refusal(4, 3, &[4], &[-1], 16), call);
    assert_says(&refusal(4, -1, &[4], &[1], 16), call);
    assert_says(&refusal(4, 0, &[-4], &[1], 16), call);
    assert_says(&refusal(4, 0, &[2, 2], &[1], 16), call);
    assert_says(&refusal(4, 0, &[1; 20], &[1; 20], 16), "has more than 16 axes");
    // The storage itself.
    assert_says(
        &refusal(5, 0, &[4], &[1], 16),
        "storage 0 of 20 bytes is named, but its entry holds 16",
    );
    assert_says(
        &refusal(4, 0, &[4], &[1], 20),
        "storage 0 of 16 bytes is named, but its entry holds 20",
    );
    assert_says(&refusal(i64::MAX, 0, &[4], &[1], 16), "but its entry holds 16 bytes");
    let made = tensor(&storage("FloatStorage", "../0", 4), 0, &[4], &[1]);
    let pickle = [b"\x80\x02", &made[..], b"."].concat();
    assert_says(
        &torch(&archive(pickle.clone(), &[])),
        "storage ../0 of 16 bytes is named, but the archive has no such entry",
    );
    assert_says(
        &plain(&pickle),
        "BINPERSID is refused: tensors of PyTorch are in files of torch.save",
    );
    let twice = [storage("FloatStorage", "0", 4), storage("IntStorage", "0", 4), b"\x86.".to_vec()];
    let bytes = archive(twice.concat(), &[("0", vec![0; 16])]);
    assert_says(&torch(&bytes), "it was named before with another type or length");
}

/// A hundred thousand views of one storage would be a hundred thousand times as much to read.
#[test]
fn views_of_one_storage_do_not_add_up() {
    let count = 1 << 20;
    let mut pickle = [b"\x80\x02]", &storage("FloatStorage", "0", count)[..], b"q\x000("].concat();
    let one = tensor(b"h\x00", 0, &[count], &[1]);
    (0..1000).for_each(|_| pickle.extend(&one));
    pickle.extend(b"e.");
    let bytes = archive(pickle, &[("0", vec![0; 4 << 20])]);
    assert_says(&torch(&bytes), "REDUCE exceeds the limit of");
    assert_says(&torch(&bytes), "bytes of memory");
}

#[test]
fn nesting_is_limited_and_takes_no_stack() {
    let deep = [vec![b']'; 1], [b']'; 1].repeat(500_000), b"a".repeat(500_000), b".".to_vec()];
    let error = plain_error(&deep.concat(), &Limits::default());
    assert!(matches!(error, PickleError::Nesting { limit: 100, .. }), "{error}");
    let tuples = [&b")"[..], &b"\x85".repeat(500_000), b"."].concat();
    assert!(matches!(plain_error(&tuples, &Limits::default()), PickleError::Nesting { .. }));
    let marks = b"(".repeat(3 << 20);
    assert_says(&plain(&marks), "MARK exceeds the limit of 1048576 marks");
    // A list that contains itself, directly and through a tuple.
    for cycle in [&b"]q\x00h\x00a."[..], b"]q\x00h\x00\x85a.", b"}q\x00K\x01h\x00s."] {
        assert!(matches!(plain_error(cycle, &Limits::default()), PickleError::Nesting { .. }));
    }
    // A hundred levels are fine, and a shared value counts at its deepest.
    let levels = |count: usize| [vec![b']'; count], vec![b'a'; count - 1], b".".to_vec()].concat();
    let file = Path::new("deep.pkl");
    pickle::plain(file, &levels(100), &Limits::default(), Classes::Refused).unwrap();
    assert_says(&plain(&levels(101)), "nested more than 100 deep");
    // Fifty levels of a list, and sixty more around the same list.
    let inner = [b"]".repeat(50), b"a".repeat(49), b"q\x00".to_vec()].concat();
    let outer = [b"]".repeat(60), b"h\x00".to_vec(), b"a".repeat(60)].concat();
    assert_says(&plain(&[inner, outer, b"\x86.".to_vec()].concat()), "nested more than 100 deep");
}

/// Ten lists of ten references to the one before: 10^30 values for a reader that expands them.
#[test]
fn shared_values_are_stored_once() {
    let mut bomb = b"\x80\x04]\x94".to_vec();
    for level in 0..30_u8 {
        bomb.extend([b"](".to_vec(), [b'h', level].repeat(10), b"e\x94".to_vec()].concat());
    }
    bomb.push(b'.');
    // What is left on the stack is refused; what matters is that it ends.
    assert_says(&plain(&bomb), "STOP finds values left on the stack");
    let tidy = [&b"]\x94]\x94("[..], &b"h\0".repeat(1000), b"e\x86."].concat();
    pickle::plain(Path::new("x"), &tidy, &Limits::default(), Classes::Refused).unwrap();
}

#[test]
fn memory_work_and_memo_are_limited() {
    let file = Path::new("big.pkl");
    let memo = [&b"N"[..], &b"\x94".repeat(3 << 20), b"."].concat();
    assert_says(&plain(&memo), "MEMOIZE exceeds the limit of 2097152 remembered values");
    // One remembered place costs what it holds, not what its number says.
    let far = b"Nr\xff\xff\xff\xff0j\xff\xff\xff\xff.";
    pickle::plain(file, far, &Limits::default(), Classes::Refused).unwrap();
    let opcodes = [&b"N"[..], &b"20".repeat(5 << 20), b"."].concat();
    assert_says(&plain(&opcodes), "exceeds the limit of 4194304 opcodes");
    let values = b"]".repeat(3 << 20);
    assert_says(&plain(&values), "EMPTY_LIST exceeds the limit of 1048576 values on the stack");
    let dropped = b"]0".repeat(2 << 20);
    let tight = Limits { memory: 1 << 20, ..Limits::default() };
    let message = plain_error(&dropped, &tight).to_string();
    assert_says(&message, "EMPTY_LIST exceeds the limit of 1048576 bytes of memory");
    // Lengths that are announced are not allocated.
    for announced in [
        &b"B\xff\xff\xff\xff"[..],
        b"\x8e\xff\xff\xff\xff\xff\xff\xff\xff",
        b"\x95\xff\xff\xff\xff\xff\xff\xff\x7f",
    ] {
        assert!(matches!(
            plain_error(announced, &Limits::default()),
            PickleError::Truncated { .. }
        ));
    }
    assert_says(&plain(b"\x8b\xff\xff\xff\x7f"), "ends within LONG4");
    let long = [&b"\x8a\xff"[..], &[1; 255], b"."].concat();
    assert_says(&plain(&long), "LONG1 exceeds the limit of 16 bytes in a whole number");
    // A megabyte of text, encoded again and again by a few bytes each time.
    let long = "a".repeat(1 << 20);
    let call = b"c_codecs\nencode\nh\x00h\x01\x86R0".repeat(10_000);
    let work = [&text(&long)[..], b"q\x000", &text("latin1"), b"q\x01", &call, b"."].concat();
    assert_says(&plain(&work), "REDUCE exceeds the limit of 268435456 bytes of memory");
    // The same with a list of keys and values.
    let list = [&b"]q\x00(NN\x86q\x01"[..], &b"h\x01".repeat(200_000), b"e0"].concat();
    let call = b"ccollections\nOrderedDict\nh\x00\x85R0".repeat(10_000);
    let message = plain(&[&list[..], &call, b"."].concat());
    assert_says(&message, "REDUCE exceeds the limit of 268435456 bytes of memory");
}

#[test]
fn opcodes_that_no_checkpoint_needs_are_refused() {
    let cases: [(&[u8], &str); 17] = [
        (b"", "the pickle ends within the opcode after the last"),
        (b"\x80\x06.", "PROTO is refused: its protocol is newer than 5"),
        (b"\xff", "opcode 0xff is refused"),
        (b"\x82\x01.", "EXT1 is refused"),
        (b"\x8f.", "EMPTY_SET is refused: no checkpoint needs sets"),
        (b"P0\n.", "PERSID is refused: neither PyTorch nor NumPy writes it"),
        (b"\x97.", "NEXT_BUFFER is refused"),
        (b".", "STOP finds too few values"),
        (b"(.", "STOP finds too few values"),
        (b"(N0.", "STOP finds too few values"),
        (b"NN.", "STOP finds values left"),
        (b"NN(\x86.", "TUPLE2 finds too few values"),
        (b"Na.", "APPEND finds too few values"),
        (b"NNa.", "APPEND finds no list"),
        (b"}(Nu.", "SETITEMS finds a key without a value"),
        (b"h\x00.", "BINGET finds a place that remembers nothing"),
        (b"N.N", "STOP finds more bytes behind the end"),
    ];
    for (bytes, expected) in cases {
        assert_says(&plain(bytes), expected);
    }
}

fn open(entries: &[Entry]) -> String {
    torch(&zip(entries))
}

#[test]
fn archives_that_no_program_writes_are_refused() {
    let data = || Entry::new("x/data.pkl", *b"\x80\x02N.");
    let file = Path::new("good.ckpt");
    let good = zip(&[data(), Entry::new("x/version", *b"3")]);
    pickle::torch(file, &good, &Limits::default(), Classes::Refused).unwrap();

    assert_says(&torch(b""), "neither an archive of torch.save");
    assert_says(&torch(b"\x80\x02N."), "neither an archive of torch.save");
    let comment = [&good[..good.len() - 2], b"\x01\0a"].concat();
    assert_says(&torch(&comment), "neither an archive of torch.save");
    assert_says(&open(&[]), "has no entry data.pkl");
    assert_says(&open(&[Entry::new("data.pkl", *b"N.")]), "has no entry data.pkl");
    assert_says(&open(&[Entry::new("x/y/data.pkl", *b"N.")]), "has no entry data.pkl");
    assert_says(&open(&[data(), data()]), "entry x/data.pkl: occurs twice");
    let begin = Some(0);
    let inside = Entry { begin, local_name: Some("x/data.pkl".to_owned()), ..data() };
    assert_says(
        &open(&[data(), Entry { name: "x/other".to_owned(), ..inside }]),
        "contradicts the directory",
    );
    let begin = Some(good.len() as u32);
    assert_says(&open(&[Entry { begin, ..data() }]), "a record is missing");
    assert_says(
        &open(&[Entry { local_name: Some("x/other.pk".to_owned()), ..data() }]),
        "contradicts the directory",
    );
    assert_says(
        &open(&[Entry { checksum: Some(1), ..data() }]),
        "entry x/data.pkl: its checksum is wrong",
    );
    assert_says(
        &open(&[Entry { sizes: Some([400; 2]), ..data() }]),
        "reaches beyond the end of the data",
    );
    assert_says(
        &open(&[Entry { sizes: Some([u32::MAX; 2]), ..data() }]),
        "a size of more than 32 bits is missing",
    );
    assert_says(&open(&[Entry { sizes: Some([4, 400]), ..data() }]), "an entry has two sizes");
    assert_says(
        &open(&[data(), Entry::new("x/byteorder", *b"middle")]),
        "is \"middle\", needed \"little\" or \"big\"",
    );
    assert_says(&open(&[Entry { flags: 1, ..data() }]), "is encrypted or of an unknown kind");
    // A bomb says four gigabytes and is four bytes: it is not inflated.
    assert_says(
        &open(&[Entry { method: 8, sizes: Some([4, u32::MAX - 1]), ..data() }]),
        "entry x/data.pkl: is compressed",
    );
}

#[test]
fn entries_that_share_bytes_are_refused() {
    // The content of the first entry is a second one, header and all.
    let inner = zip(&[Entry::new("x/data.pkl", *b"\x80\x02N.")]);
    let header = &inner[..30 + "x/data.pkl".len() + 4];
    let outer = Entry::new("x/outer", header);
    let begin = Some(30 + "x/outer".len() as u32);
    let entries = [outer, Entry { begin, ..Entry::new("x/data.pkl", *b"\x80\x02N.") }];
    let bytes = zip(&entries);
    let file = Path::new("bad.ckpt");
    let error = pickle::torch(file, &bytes, &Limits::default(), Classes::Refused).unwrap_err();
    let expected = "entry x/data.pkl: overlaps with entry x/outer";
    assert!(matches!(error, PickleError::Archive(ArchiveError::Overlap { .. })), "{error}");
    assert_says(&error.to_string(), expected);
}

/// Numbers of a machine with the other byte order.
#[test]
fn a_big_endian_archive_is_read() {
    let pickle = [tensor(&storage("FloatStorage", "0", 2), 0, &[2], &[1]), b".".to_vec()].concat();
    let numbers = [1.5_f32, -2.0].map(f32::to_be_bytes).concat();
    let bytes = zip(&[
        Entry::new("x/data.pkl", pickle),
        Entry::new("x/byteorder", *b"big"),
        Entry::new("x/data/0", numbers),
    ]);
    let file = Path::new("big.ckpt");
    let document = pickle::torch(file, &bytes, &Limits::default(), Classes::Refused).unwrap();
    let pickle::Kind::Tensor(tensor) = document.root().kind() else { panic!("no tensor") };
    assert_eq!(tensor.to_f32(), [1.5, -2.0]);
}
