//! Files that PyTorch and NumPy wrote are read, number for number.

#![allow(clippy::unwrap_used, clippy::panic)]

use sinew_models::pickle::{
    self, Classes, Document, ElementType, Entries, Kind, Limits, PickleError, TorchArchive, Value,
};
use std::path::PathBuf;

fn fixture(name: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../tests/fixtures").join(name)
}

fn read(name: &str) -> (PathBuf, Vec<u8>) {
    let file = fixture(name);
    let bytes = pickle::read_file(&file).unwrap();
    (file, bytes)
}

fn entries<'d>(document: &'d Document<'_>) -> Entries<'d> {
    match document.root().kind() {
        Kind::Dict(entries) => entries,
        kind => panic!("{}", kind.describe()),
    }
}

/// Type, shape and numbers of a tensor.
fn tensor(entries: Entries<'_>, key: &str) -> (ElementType, Vec<usize>, Vec<f32>) {
    match entries.get(key).unwrap().kind() {
        Kind::Tensor(tensor) => (tensor.element_type(), tensor.shape().to_vec(), tensor.to_f32()),
        kind => panic!("{key}: {}", kind.describe()),
    }
}

#[test]
fn numpy_arrays_of_every_protocol_are_read() {
    let programs = [("numpy1", 0..=5), ("numpy2", 0..=5), ("numpy116_python27", 0..=2)];
    let names = programs.into_iter().flat_map(|(program, protocols)| {
        protocols.map(move |protocol| format!("pickles/{program}_protocol{protocol}.pkl"))
    });
    for name in names {
        let (file, bytes) = read(&name);
        let document = pickle::plain(&file, &bytes, &Limits::default(), Classes::Refused);
        let document = document.unwrap_or_else(|error| panic!("{error}"));
        let entries = entries(&document);
        let down = [0.0, -1.0, -2.0, -3.0, -4.0, -5.0];
        for (key, element, sign) in [
            ("f4", ElementType::F32, 1.0),
            ("f8", ElementType::F64, 1.0),
            ("i4", ElementType::I32, 1.0),
            ("i8", ElementType::I64, 1.0),
            ("u1", ElementType::U8, -1.0),
            (">f4", ElementType::F32, 1.0),
            (">f8", ElementType::F64, 1.0),
            ("shared", ElementType::F32, 1.0),
        ] {
            let numbers = down.map(|number| number * sign).to_vec();
            assert_eq!(tensor(entries, key), (element, vec![2, 3], numbers), "{name} {key}");
        }
        let truth = vec![0.0, 1.0, 0.0, 1.0, 0.0, 1.0];
        assert_eq!(tensor(entries, "b1"), (ElementType::Bool, vec![2, 3], truth));
        let up = vec![0.0, 1.0, 2.0, 3.0, 4.0, 5.0];
        assert_eq!(tensor(entries, "fortran"), (ElementType::F32, vec![2, 3], up));
        let turned = vec![0.0, 3.0, 1.0, 4.0, 2.0, 5.0];
        assert_eq!(tensor(entries, "transposed"), (ElementType::F32, vec![3, 2], turned));
        assert_eq!(tensor(entries, "empty"), (ElementType::F32, vec![0, 3], vec![]));
        assert_eq!(tensor(entries, "single"), (ElementType::F64, vec![], vec![2.5]));
        check_scalars(entries.get("scalars").unwrap());
        check_python(entries.get("python").unwrap(), name.contains("python27"));
    }
}

fn check_scalars(scalars: Value<'_>) {
    let Kind::List(scalars) = scalars.kind() else { panic!("no list") };
    let kinds: Vec<Kind<'_>> = scalars.iter().map(|scalar| scalar.kind()).collect();
    let [Kind::Float(1.5), Kind::Float(-0.25), Kind::Int(-7), Kind::Int(200), Kind::Bool(true)] =
        kinds.as_slice()
    else {
        panic!("{kinds:?}");
    };
}

fn check_python(values: Value<'_>, python_2: bool) {
    let Kind::Tuple(values) = values.kind() else { panic!("no tuple") };
    let kinds: Vec<Kind<'_>> = values.iter().map(|value| value.kind()).collect();
    let [
        Kind::None,
        Kind::Bool(true),
        Kind::Bool(false),
        Kind::Int(1),
        Kind::Int(-300),
        Kind::Int(70_000),
        Kind::Int(large),
        Kind::Int(larger),
        Kind::Float(0.1),
        Kind::Text(text),
        Kind::Bytes([0, 0xff]),
        Kind::List(list),
        Kind::Dict(dict),
        Kind::Tuple(tuple),
    ] = kinds.as_slice()
    else {
        panic!("{python_2} {kinds:?}");
    };
    assert_eq!((*large, *larger), (1 << 40, -(1 << 70)));
    assert_eq!(*text, "\u{e9}\u{4e00}\\\n");
    assert_eq!((list.iter().len(), dict.iter().len(), tuple.iter().len()), (0, 0, 0));
}

#[test]
fn torch_files_of_both_formats_are_read() {
    for name in ["torch_2_4.pt", "torch_2_4_protocol5.pt", "torch_2_4_stream.pt"] {
        let (file, bytes) = read(&format!("pickles/{name}"));
        let document = pickle::torch(&file, &bytes, &Limits::default(), Classes::Refused);
        let document = document.unwrap_or_else(|error| panic!("{error}"));
        let entries = entries(&document);
        for (key, element) in [
            ("float64", ElementType::F64),
            ("float32", ElementType::F32),
            ("float16", ElementType::F16),
            ("bfloat16", ElementType::BF16),
            ("int64", ElementType::I64),
            ("int32", ElementType::I32),
            ("int16", ElementType::I16),
            ("int8", ElementType::I8),
            ("uint8", ElementType::U8),
        ] {
            let numbers = vec![0.0, 1.0, 2.0, 3.0, 4.0, 5.0];
            assert_eq!(tensor(entries, key), (element, vec![2, 3], numbers), "{name} {key}");
        }
        let truth = vec![0.0, 1.0, 1.0, 1.0, 1.0, 1.0];
        assert_eq!(tensor(entries, "bool"), (ElementType::Bool, vec![2, 3], truth));
        let base: Vec<f32> = (0..24_u8).map(f32::from).collect();
        assert_eq!(tensor(entries, "base"), (ElementType::F32, vec![4, 6], base));
        let (_, shape, turned) = tensor(entries, "transposed");
        assert_eq!((shape, &turned[..5]), (vec![6, 4], [0.0, 6.0, 12.0, 18.0, 1.0].as_slice()));
        let window = vec![8.0, 9.0, 10.0, 14.0, 15.0, 16.0];
        assert_eq!(tensor(entries, "window"), (ElementType::F32, vec![2, 3], window));
        let column = vec![3.0, 9.0, 15.0, 21.0];
        assert_eq!(tensor(entries, "column"), (ElementType::F32, vec![4], column));
        assert_eq!(tensor(entries, "single"), (ElementType::F32, vec![], vec![2.5]));
        assert_eq!(tensor(entries, "empty"), (ElementType::F32, vec![0, 4], vec![]));
        assert_eq!(tensor(entries, "parameter"), (ElementType::F32, vec![2], vec![1.0, -2.0]));
        assert!(matches!(entries.get("step").unwrap().kind(), Kind::Int(7)));
        assert!(matches!(entries.get("name").unwrap().kind(), Kind::Text("tiny")));
    }
}

/// A state_dict is an OrderedDict with an attribute.
#[test]
fn a_state_dict_is_a_dictionary() {
    let (file, bytes) = read("pickles/torch_2_4_state_dict.pt");
    let document = pickle::torch(&file, &bytes, &Limits::default(), Classes::Refused).unwrap();
    let entries = entries(&document);
    let keys: Vec<Kind<'_>> = entries.iter().map(|(key, _)| key.kind()).collect();
    assert!(matches!(keys[0], Kind::Text("0.weight")) && keys.len() == 7, "{keys:?}");
    assert_eq!(tensor(entries, "1.running_var"), (ElementType::F32, vec![2], vec![1.0, 1.0]));
    let count = (ElementType::I64, vec![], vec![0.0]);
    assert_eq!(tensor(entries, "1.num_batches_tracked"), count);
}

#[test]
fn a_whole_module_is_refused_by_the_name_of_its_class() {
    let (file, bytes) = read("pickles/torch_2_4_module.pt");
    let error = pickle::torch(&file, &bytes, &Limits::default(), Classes::Refused).unwrap_err();
    assert!(matches!(&error, PickleError::Global { global, at, .. }
        if global == "torch.nn.modules.container.Sequential"
            && at.entry.as_deref() == Some("data.pkl") && at.offset == 2));
    let message = error.to_string();
    assert!(message.contains("torch_2_4_module.pt, entry data.pkl, byte 2: GLOBAL"), "{message}");
    assert!(message.contains("save the plain state_dict()"), "{message}");
}

/// The door for TorchScript: classes become names with attributes, and nothing else.
#[test]
fn torchscript_objects_have_attributes_where_the_caller_wants_them() {
    let (file, bytes) = read("pickles/torchscript_2_4.pt");
    let refused = pickle::torch(&file, &bytes, &Limits::default(), Classes::Refused);
    assert!(refused.unwrap_err().to_string().contains("__torch__.Actuator"));

    let archive = TorchArchive::open(&file, &bytes).unwrap();
    assert!(archive.contains("constants.pkl") && !archive.contains("constants"));
    let limits = Limits::for_file(&bytes);
    let document = archive.pickle("data.pkl", "data", &limits, Classes::Named).unwrap();
    let Kind::Object(actuator) = document.root().kind() else { panic!("no object") };
    assert_eq!((actuator.class, actuator.arguments.iter().len()), ("__torch__.Actuator", 0));
    let attributes = actuator.attributes.unwrap();
    assert!(matches!(attributes.get("scale").unwrap().kind(), Kind::Float(0.5)));
    assert_eq!(tensor(attributes, "mean"), (ElementType::F32, vec![2], vec![0.5, -0.5]));
    let Kind::Object(gru) = attributes.get("gru").unwrap().kind() else { panic!("no object") };
    assert_eq!(gru.class, "__torch__.torch.nn.modules.rnn.GRU");
    assert_eq!(tensor(gru.attributes.unwrap(), "weight_hh_l0").1, [9, 3]);
    let constants = archive.pickle("constants.pkl", "constants", &limits, Classes::Named).unwrap();
    assert!(matches!(constants.root().kind(), Kind::Tuple(_)));
}

#[test]
fn the_original_repository_is_read() {
    let (file, bytes) = read("act_original_repo/policy_best.ckpt");
    let document = pickle::torch(&file, &bytes, &Limits::for_file(&bytes), Classes::Refused);
    let document = document.unwrap();
    assert_eq!(entries(&document).iter().len(), 224);
    assert_eq!(tensor(entries(&document), "model.action_head.weight").1, [14, 32]);
    let (file, bytes) = read("act_original_repo/dataset_stats.pkl");
    let document = pickle::plain(&file, &bytes, &Limits::default(), Classes::Refused).unwrap();
    assert_eq!(tensor(entries(&document), "example_qpos").1, [4, 14]);
}
