//! Whatever is in the files, reading gives a value or a named error.
#![allow(clippy::unwrap_used)]

mod common;

use std::fs;
use std::path::Path;
use std::sync::OnceLock;

use proptest::prelude::*;
use sinew_episodes::lerobot::{Dataset, Reader, describe, repair};

const FILES: [&str; 5] = [
    "data/chunk-000/file-000.parquet",
    "meta/episodes/chunk-000/file-000.parquet",
    "meta/tasks.parquet",
    "meta/info.json",
    "meta/stats.json",
];

fn original() -> &'static [Vec<u8>] {
    static CONTENT: OnceLock<Vec<Vec<u8>>> = OnceLock::new();
    CONTENT.get_or_init(|| {
        let folder = tempfile::tempdir().unwrap();
        let mut dataset = Dataset::open(folder.path()).unwrap();
        let run = dataset.create_run("run").unwrap();
        dataset.convert(&common::write_run(&run, "run", "t", 20)).unwrap();
        FILES.iter().map(|file| fs::read(folder.path().join(file)).unwrap()).collect()
    })
}

fn read_all(root: &Path) {
    let _ = describe(root).map(|info| info.to_string());
    if let Ok(mut reader) = Reader::open(root) {
        for index in 0..reader.frames().min(8) {
            let _ = reader.frame(index);
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 128, failure_persistence: None, ..Default::default() })]

    #[test]
    fn damaged_files_never_panic(
        file in 0_usize..FILES.len(),
        at in 0_usize..1 << 20,
        from_end in any::<bool>(),
        patch in prop::collection::vec(any::<u8>(), 1..8),
        cut in any::<bool>(),
    ) {
        let folder = tempfile::tempdir().unwrap();
        for (number, (path, content)) in FILES.iter().zip(original()).enumerate() {
            let mut content = content.clone();
            if number == file {
                // Half of the damage goes to the footer, where the structure is.
                let span = if from_end { content.len().min(3000) } else { content.len() };
                let at = content.len() - span + at % span;
                if cut {
                    content.truncate(at);
                } else {
                    for (byte, new) in content[at..].iter_mut().zip(&patch) {
                        *byte = *new;
                    }
                }
            }
            fs::create_dir_all(folder.path().join(path).parent().unwrap()).unwrap();
            fs::write(folder.path().join(path), content).unwrap();
        }
        read_all(folder.path());
        let _ = repair(folder.path()).map(|report| report.to_string());
        read_all(folder.path());
    }
}
