//! A crash between any two steps of a conversion leaves a dataset that repair completes.
#![allow(clippy::unwrap_used)]

mod common;

use std::collections::BTreeMap;
use std::fs;
use std::ops::ControlFlow;
use std::path::{Path, PathBuf};

use sinew_episodes::journal;
use sinew_episodes::lerobot::{Dataset, Reader, RunOutcome, repair};

const DATA: &str = "data/chunk-000/file-001.parquet";
const META: &str = "meta/episodes/chunk-000/file-001.parquet";
/// Files in the order in which a conversion writes them.
const STEPS: [&str; 6] = [
    DATA,
    META,
    "meta/tasks.parquet",
    "meta/stats.json",
    "meta/info.json",
    "runs/run-2/episode.json",
];

type Files = BTreeMap<PathBuf, Vec<u8>>;

fn snapshot(root: &Path) -> Files {
    fn collect(root: &Path, folder: &Path, files: &mut Files) {
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                collect(root, &path, files);
            } else if path.file_name().unwrap() != ".sinew.lock" {
                files.insert(path.strip_prefix(root).unwrap().to_owned(), fs::read(path).unwrap());
            }
        }
    }
    let mut files = Files::new();
    collect(root, root, &mut files);
    files
}

fn restore(root: &Path, files: &Files) {
    fs::create_dir_all(root).unwrap();
    for (path, content) in files {
        fs::create_dir_all(root.join(path).parent().unwrap()).unwrap();
        fs::write(root.join(path), content).unwrap();
    }
    // So that the directory counts as ours without its info.json.
    fs::write(root.join(".sinew.lock"), "").unwrap();
}

/// The directory before and after its second run was converted.
fn before_and_after(root: &Path) -> (Files, Files) {
    let mut dataset = Dataset::open(root).unwrap();
    let mut states = Vec::new();
    for (name, task, running) in [("run", "first", 30), ("run-2", "second", 45)] {
        let folder = dataset.create_run(name).unwrap();
        let journal = common::write_run(&folder, name, task, running);
        states.push(snapshot(root));
        dataset.convert(&journal).unwrap();
    }
    (states.remove(1), snapshot(root))
}

fn check_content(root: &Path, expected: &Files, name: &str) {
    let found = snapshot(root);
    assert_eq!(found.keys().collect::<Vec<_>>(), expected.keys().collect::<Vec<_>>(), "{name}");
    for (path, content) in &found {
        assert!(content == &expected[path], "{name}: {} differs", path.display());
    }
    let mut reader = Reader::open(root).unwrap();
    assert_eq!((reader.episodes().len(), reader.frames()), (2, 15), "{name}");
    for index in 0..15 {
        reader.frame(index).unwrap();
    }
}

#[test]
fn a_crash_after_any_step_is_repaired_to_the_same_bytes() {
    let folder = tempfile::tempdir().unwrap();
    let (before, after) = before_and_after(&folder.path().join("made"));
    for done in 0..=STEPS.len() {
        for torn in [false, true] {
            let mut files = before.clone();
            for step in &STEPS[..done] {
                files.insert(step.into(), after[Path::new(step)].clone());
            }
            if let Some(step) = STEPS.get(done).filter(|_| torn) {
                let whole = &after[Path::new(step)];
                files.insert(format!("{step}.part").into(), whole[..whole.len() / 2].to_vec());
            }
            let name = format!("{done} steps done, torn: {torn}");
            let root = folder.path().join(format!("{done}-{torn}"));
            restore(&root, &files);
            let report = repair(&root).unwrap();
            // A missing marker alone is written without a word.
            assert_eq!(report.is_nothing(), done >= 5, "{name}");
            check_content(&root, &after, &name);
            assert!(repair(&root).unwrap().is_nothing(), "{name}");
        }
    }
}

#[test]
fn lost_metadata_is_made_again_from_the_episodes() {
    let folder = tempfile::tempdir().unwrap();
    let (_, after) = before_and_after(&folder.path().join("made"));
    let derived = ["meta/tasks.parquet", "meta/stats.json", "meta/info.json"];
    let markers = ["runs/run/episode.json", "runs/run-2/episode.json"];
    let cases: [&[&str]; 7] = [
        &derived[..1],
        &derived[1..2],
        &derived[2..],
        &derived,
        &markers,
        &[derived[2], markers[0], markers[1]],
        &[derived[0], derived[2], markers[1]],
    ];
    for (number, lost) in cases.into_iter().enumerate() {
        let mut files = after.clone();
        for path in lost {
            files.remove(Path::new(path)).unwrap();
        }
        let root = folder.path().join(number.to_string());
        restore(&root, &files);
        repair(&root).unwrap();
        check_content(&root, &after, &format!("{lost:?}"));
        assert!(repair(&root).unwrap().is_nothing());
    }
    let mut files = after.clone();
    files.insert("meta/info.json".into(), b"{ \"fps\": ".to_vec());
    let root = folder.path().join("cut");
    restore(&root, &files);
    assert!(repair(&root).unwrap().rewritten);
    check_content(&root, &after, "info.json cut short");
}

#[test]
fn a_crash_in_the_first_conversion_is_repaired() {
    let folder = tempfile::tempdir().unwrap();
    let made = folder.path().join("made");
    let mut dataset = Dataset::open(&made).unwrap();
    let run = dataset.create_run("run").unwrap();
    let journal = common::write_run(&run, "run", "first", 30);
    let before = snapshot(&made);
    dataset.convert(&journal).unwrap();
    let after = snapshot(&made);
    let steps = STEPS.map(|step| step.replace("file-001", "file-000").replace("run-2", "run"));
    for done in 0..steps.len() {
        let mut files = before.clone();
        for step in &steps[..done] {
            files.insert(step.into(), after[Path::new(step)].clone());
        }
        let root = folder.path().join(done.to_string());
        restore(&root, &files);
        repair(&root).unwrap();
        assert_eq!(snapshot(&root), after, "{done} steps done");
    }
}

#[test]
fn data_without_a_journal_is_set_aside_not_deleted() {
    let folder = tempfile::tempdir().unwrap();
    let (before, after) = before_and_after(&folder.path().join("made"));
    let mut files = before;
    files.insert(DATA.into(), after[Path::new(DATA)].clone());
    files.remove(Path::new("runs/run-2").join(journal::FILE_NAME).as_path()).unwrap();
    let root = folder.path().join("set");
    restore(&root, &files);
    let report = repair(&root).unwrap();
    assert_eq!(report.set_aside, [root.join(DATA)]);
    let kept = fs::read(root.join("orphans/episode-000001.parquet")).unwrap();
    assert!(kept == after[Path::new(DATA)]);
    assert_eq!(Reader::open(&root).unwrap().episodes().len(), 1);
    assert!(repair(&root).unwrap().is_nothing());
}

#[test]
fn a_damaged_episode_that_counts_is_named_and_nothing_is_removed() {
    let folder = tempfile::tempdir().unwrap();
    let (_, after) = before_and_after(&folder.path().join("made"));
    let first = "data/chunk-000/file-000.parquet";
    for (number, lost) in [(first, None), (META, None), (first, Some(100))].into_iter().enumerate()
    {
        let mut files = after.clone();
        match lost {
            (path, None) => drop(files.remove(Path::new(path)).unwrap()),
            (path, Some(length)) => files.get_mut(Path::new(path)).unwrap().truncate(length),
        }
        // Something must be wrong for repair to look: a whole listing is taken as it is.
        files.remove(Path::new("meta/stats.json")).unwrap();
        let root = folder.path().join(number.to_string());
        restore(&root, &files);
        let error = repair(&root).unwrap_err().to_string();
        assert!(error.contains(lost.0), "{error}");
        assert_eq!(snapshot(&root), files);
    }
}

#[test]
fn a_torn_journal_becomes_an_episode_up_to_its_last_record() {
    let folder = tempfile::tempdir().unwrap();
    let root = folder.path().join("set");
    let (before, _) = before_and_after(&folder.path().join("made"));
    let path = Path::new("runs/run-2").join(journal::FILE_NAME);
    let mut files = before;
    let journal = files.get_mut(&path).unwrap();
    let length = journal.len() * 3 / 4;
    journal.truncate(length);
    restore(&root, &files);
    // A clock that was set meanwhile says nothing about what was lost.
    let touched = std::fs::File::options().append(true).open(root.join(path)).unwrap();
    touched
        .set_modified(std::time::SystemTime::now() + std::time::Duration::from_hours(9))
        .unwrap();
    let report = repair(&root).unwrap();
    let RunOutcome::Converted { episode } = &report.runs[0].outcome else { panic!("{report}") };
    assert!(episode.lost_ms.unwrap() < 1000.0 * episode.duration_s, "{episode:?}");
    assert!(episode.frames >= 6 && episode.frames < 9, "{}", episode.frames);
    assert!(!episode.complete && episode.lost_ms.is_some());
    assert!(matches!(episode.tail, journal::Tail::Torn { .. }));
    assert!(report.to_string().contains("run run-2 became episode 1"), "{report}");
    assert!(repair(&root).unwrap().is_nothing());
}

#[test]
fn a_conversion_that_is_broken_off_leaves_nothing_and_is_made_up_for() {
    let folder = tempfile::tempdir().unwrap();
    let (before, after) = before_and_after(&folder.path().join("made"));
    let root = folder.path().join("set");
    restore(&root, &before);
    let mut dataset = Dataset::open(&root).unwrap();
    let mut seen = Vec::new();
    let report = dataset
        .repair_watched(&mut |converted| {
            seen.push((converted.run.to_owned(), converted.frames, converted.of));
            ControlFlow::Break(())
        })
        .unwrap();
    assert_eq!(seen.len(), 1, "{seen:?}");
    assert!(seen[0].0 == "run-2" && seen[0].1 == 0 && seen[0].2 > 0, "{seen:?}");
    assert!(report.to_string().contains("still to be converted: interrupted"), "{report}");
    assert_eq!(runs_in(&root).len(), 1);
    assert!(!dataset.repair().unwrap().is_nothing());
    drop(dataset);
    assert_eq!(snapshot(&root), after);
}

/// The files that are neither one of `lost` nor in one of them.
fn without(files: &Files, lost: &[&str]) -> Files {
    let mut files = files.clone();
    files.retain(|path, _| !lost.iter().any(|lost| path.starts_with(lost)));
    files
}

fn runs_in(root: &Path) -> Vec<Option<String>> {
    Reader::open(root).unwrap().episodes().iter().map(|episode| episode.run.clone()).collect()
}

#[test]
fn runs_whose_episodes_are_gone_are_converted_again() {
    let folder = tempfile::tempdir().unwrap();
    let (_, after) = before_and_after(&folder.path().join("made"));
    for (number, lost) in [&["meta"][..], &["data"], &["meta", "data"]].into_iter().enumerate() {
        let mut files = without(&after, lost);
        files.remove(Path::new("meta/info.json"));
        let root = folder.path().join(number.to_string());
        restore(&root, &files);
        let report = repair(&root).unwrap();
        assert_eq!(report.runs.len(), 2, "{report}");
        check_content(&root, &after, &format!("{lost:?}"));
        assert!(repair(&root).unwrap().is_nothing());
    }
}

#[test]
fn a_torn_first_episode_without_info_takes_no_other_with_it() {
    let folder = tempfile::tempdir().unwrap();
    let (_, after) = before_and_after(&folder.path().join("made"));
    let mut files = without(&after, &["meta/info.json"]);
    files.get_mut(Path::new("data/chunk-000/file-000.parquet")).unwrap().truncate(100);
    let root = folder.path().join("set");
    restore(&root, &files);
    let report = repair(&root).unwrap();
    assert_eq!(report.runs.len(), 2, "{report}");
    fs::remove_dir_all(root.join("orphans")).unwrap();
    check_content(&root, &after, "after the torn file is cleared away");
    assert!(repair(&root).unwrap().is_nothing());
}

#[test]
fn old_markers_do_not_hide_runs_while_others_become_episodes() {
    let folder = tempfile::tempdir().unwrap();
    let root = folder.path().join("set");
    let mut dataset = Dataset::open(&root).unwrap();
    let mut journals = Vec::new();
    // The first run in name order is the last episode.
    for name in ["b", "a"] {
        let run = dataset.create_run(name).unwrap();
        journals.push(common::write_run(&run, name, "task", 30));
        dataset.convert(&journals[journals.len() - 1]).unwrap();
    }
    drop(dataset);
    let lose = || ["meta", "data"].map(|lost| fs::remove_dir_all(root.join(lost)).unwrap());
    lose();
    assert_eq!(repair(&root).unwrap().runs.len(), 2);
    assert_eq!(runs_in(&root), [Some("a".to_owned()), Some("b".to_owned())]);
    lose();
    // A conversion that is asked for must not be refused either, nor hide the other run.
    let mut dataset = Dataset::open(&root).unwrap();
    assert_eq!(dataset.convert(&journals[0]).unwrap().episode, 0);
    assert_eq!(dataset.repair().unwrap().runs.len(), 1);
    assert_eq!(runs_in(&root), [Some("b".to_owned()), Some("a".to_owned())]);
    assert!(dataset.repair().unwrap().is_nothing());
}

#[test]
fn data_whose_journal_cannot_be_read_is_set_aside() {
    let folder = tempfile::tempdir().unwrap();
    let (_, after) = before_and_after(&folder.path().join("made"));
    let mut files = without(&after, &["meta"]);
    files.get_mut(&Path::new("runs/run-2").join(journal::FILE_NAME)).unwrap().truncate(20);
    let root = folder.path().join("set");
    restore(&root, &files);
    let report = repair(&root).unwrap();
    assert_eq!(report.set_aside, [root.join(DATA)]);
    let kept = fs::read(root.join("orphans/episode-000001.parquet")).unwrap();
    assert!(kept == after[Path::new(DATA)]);
    assert_eq!(runs_in(&root), [Some("run".to_owned())]);
}
