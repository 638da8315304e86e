//! Journals become episodes, and the dataset says what the journals said.
#![allow(clippy::unwrap_used)]

mod common;

use std::fs;
use std::path::{Path, PathBuf};

use common::{CAMERAS, FPS, HOLDING, PERIOD_NS, RATE_HZ, START_NS};
use sinew_episodes::image;
use sinew_episodes::journal::{self, CycleRecord, Header, Writer};
use sinew_episodes::lerobot::{
    self, ConvertError, Dataset, EpisodeSummary, OpenError, Reader, RunOutcome, Value, describe,
    repair,
};

fn record(dataset: &mut Dataset, name: &str, task: &str, running: u64) -> EpisodeSummary {
    let folder = dataset.create_run(name).unwrap();
    let run = folder.file_name().unwrap().to_str().unwrap().to_owned();
    let journal = common::write_run(&folder, &run, task, running);
    dataset.convert(&journal).unwrap()
}

fn floats(values: &[f64]) -> Value {
    Value::Float32(values.iter().map(|&value| value as f32).collect())
}

fn integers(values: &[u64]) -> Value {
    Value::Int(values.iter().map(|&value| value as i64).collect())
}

#[test]
fn every_frame_is_the_cycle_and_the_images_of_its_time() {
    let folder = tempfile::tempdir().unwrap();
    let root = folder.path().join("set");
    let mut dataset = Dataset::open(&root).unwrap();
    let running = [75, 40];
    for (run, running) in running.into_iter().enumerate() {
        let summary = record(&mut dataset, "run", ["wave", "rest"][run], running);
        assert_eq!(summary.episode, run as u64);
        assert_eq!(summary.frames, (running - 1) / (RATE_HZ / FPS) + 1);
        assert!(summary.complete && summary.lost_ms.is_none() && summary.skipped == 0);
        for camera in &summary.cameras {
            assert_eq!(camera.used + camera.repeated, summary.frames);
            assert_eq!(camera.rejected, 0);
        }
        // 7 images a second cannot fill 10 frames.
        assert_eq!(summary.cameras[0].repeated, 0);
        assert!(summary.cameras[1].repeated > 0);
    }
    let mut reader = Reader::open(&root).unwrap();
    assert_eq!(reader.tasks(), ["wave", "rest"]);
    let mut index = 0;
    for (episode, running) in running.into_iter().enumerate() {
        let length = (running - 1) / (RATE_HZ / FPS) + 1;
        assert_eq!(reader.episodes()[episode].length, length);
        for number in 0..length {
            let expected = common::cycle(HOLDING + number * (RATE_HZ / FPS), running);
            let frame = reader.frame(index).unwrap();
            let values = &frame.values;
            assert_eq!(values["observation.state"], floats(&expected.measured));
            assert_eq!(values["action"], floats(&expected.limited));
            assert_eq!(values["sinew.requested"], floats(&expected.requested));
            assert_eq!(values["sinew.limited"], floats(&expected.limited));
            assert_eq!(values["sinew.measured"], floats(&expected.measured));
            assert_eq!(values["sinew.time_ns"], integers(&[expected.woke_ns]));
            assert_eq!(values["sinew.measured_ns"], integers(&expected.measured_ns));
            let clamps: Vec<u64> = expected.clamps.iter().map(|&set| u64::from(set)).collect();
            assert_eq!(values["sinew.sensors"], floats(&expected.sensors));
            assert_eq!(values["sinew.clamps"], integers(&clamps));
            assert_eq!(values["sinew.state"], integers(&[2]));
            assert_eq!(values["index"], integers(&[index]));
            assert_eq!(values["frame_index"], integers(&[number]));
            assert_eq!(values["episode_index"], integers(&[episode as u64]));
            assert_eq!(values["timestamp"], floats(&[number as f64 / FPS as f64]));
            assert_eq!(frame.task, ["wave", "rest"][episode]);
            for (camera, (name, _, _, rate)) in CAMERAS.into_iter().enumerate() {
                let at = START_NS + (HOLDING * PERIOD_NS) + number * 1_000_000_000 / FPS;
                let sequence = (0..1000)
                    .take_while(|n| START_NS + 3_000_000 + n * 1_000_000_000 / rate <= at)
                    .last()
                    .unwrap();
                let shot = common::frame(camera, sequence);
                let key = format!("sinew.frame_ns.{name}");
                assert_eq!(values[&key], integers(&[shot.captured_ns]));
                let key = format!("observation.images.{name}");
                assert_eq!(values[&key], Value::Image(image::decode_png(&shot.png).unwrap()));
            }
            index += 1;
        }
    }
    assert_eq!(reader.frames(), index);
    let info = describe(&root).unwrap();
    assert_eq!(info.units.as_ref().unwrap()["gripper"], "1");
    assert_eq!(info.episodes[1].run.as_deref(), Some("run-2"));
    assert!(info.recorded_by_sinew && info.other_runs.is_empty());
}

#[test]
fn one_joint_without_cameras_is_a_dataset_too() {
    let folder = tempfile::tempdir().unwrap();
    let mut dataset = Dataset::open(folder.path()).unwrap();
    let run = dataset.create_run("run").unwrap();
    let journal = common::write_small_run(&run, "run", 50);
    assert_eq!(dataset.convert(&journal).unwrap().frames, 10);
    let mut reader = Reader::open(folder.path()).unwrap();
    let expected = common::cycle(HOLDING + 45, 50).measured[0];
    assert_eq!(reader.frame(9).unwrap().values["observation.state"], floats(&[expected]));
}

/// A journal of cycles alone: `(scheduled_ns, state)`.
fn write_cycles(path: &Path, header: &Header, cycles: &[(u64, u8)]) {
    let mut writer = Writer::create(path, header).unwrap();
    for (index, &(scheduled_ns, state)) in cycles.iter().enumerate() {
        let cycle = CycleRecord {
            index: index as u64,
            scheduled_ns,
            woke_ns: scheduled_ns,
            state,
            measured: vec![index as f64],
            measured_ns: vec![scheduled_ns],
            requested: vec![0.0],
            limited: vec![0.0],
            clamps: vec![0],
            ..CycleRecord::default()
        };
        writer.append_cycle(&cycle).unwrap();
    }
}

fn small_header(fps: f64) -> Header {
    let mut header = common::header("run", "t");
    header.joints.truncate(1);
    header.cameras.clear();
    header.sensors.clear();
    header.dataset_rate_hz = fps;
    header
}

fn sampled(fps: f64, cycles: &[(u64, u8)]) -> Result<Vec<f64>, ConvertError> {
    let folder = tempfile::tempdir().unwrap();
    let mut dataset = Dataset::open(&folder.path().join("set")).unwrap();
    let journal = folder.path().join("journal");
    write_cycles(&journal, &small_header(fps), cycles);
    dataset.convert(&journal)?;
    let mut reader = Reader::open(dataset.root()).unwrap();
    let rows = reader.vectors(0, "observation.state").unwrap();
    Ok(rows.into_iter().map(|row| row[0]).collect())
}

#[test]
fn frames_take_the_last_cycle_due_at_their_time() {
    // 90 Hz rounded down to whole nanoseconds, 30 frames a second: every third, without slips.
    let cycles: Vec<(u64, u8)> = (0..901_u64).map(|i| (i * 1_000_000_000 / 90, 2)).collect();
    let expected: Vec<f64> = (0..301).map(|frame| f64::from(frame * 3)).collect();
    assert_eq!(sampled(30.0, &cycles).unwrap(), expected);
    // More frames than one row group holds.
    let cycles: Vec<(u64, u8)> = (0..5_000_u64).map(|i| (i * 1_000_000, 2)).collect();
    let expected: Vec<f64> = (0..5_000).map(f64::from).collect();
    assert_eq!(sampled(1000.0, &cycles).unwrap(), expected);
    // A gap repeats the cycle before it; the grid begins and ends with the running cycles.
    let ms = |time: u64, state: u8| (time * 1_000_000, state);
    let cycles = [ms(0, 1), ms(50, 2), ms(150, 2), ms(460, 2), ms(470, 1), ms(480, 2), ms(900, 3)];
    assert_eq!(sampled(10.0, &cycles).unwrap(), [1.0, 2.0, 2.0, 2.0, 2.0]);
    // Nothing ran: what was held is kept.
    let cycles = [ms(0, 0), ms(100, 1), ms(200, 1), ms(300, 3)];
    assert_eq!(sampled(10.0, &cycles).unwrap(), [1.0, 2.0]);
    assert!(matches!(sampled(10.0, &[ms(0, 0), ms(10, 3)]), Err(ConvertError::Empty)));
    let centuries = [ms(0, 2), (u64::MAX, 2)];
    assert!(matches!(sampled(10.0, &centuries), Err(ConvertError::TooLong { .. })));
    assert!(matches!(sampled(29.97, &[ms(0, 2)]), Err(ConvertError::Header(_))));
}

#[test]
fn another_robot_rate_or_camera_is_refused_by_name() {
    let folder = tempfile::tempdir().unwrap();
    let mut dataset = Dataset::open(folder.path()).unwrap();
    record(&mut dataset, "run", "t", 20);
    let good = common::header("x", "another task");
    dataset.check(&good).unwrap();
    let mut refused = |change: &dyn Fn(&mut Header), expected: &str| {
        let mut header = good.clone();
        change(&mut header);
        let error = dataset.check(&header).unwrap_err().to_string();
        assert!(error.contains(expected), "{error}");
    };
    refused(&|h| h.dataset_rate_hz = 20.0, "its frame rate is 10, not 20; record into another");
    refused(&|h| h.robot = "other".into(), "its robot is bench, not other");
    refused(&|h| h.joints[1].name = "elbow".into(), "observation.state names");
    refused(&|h| h.joints[1].unit = "deg".into(), "its units are");
    refused(&|h| drop(h.joints.pop()), "its feature observation.state is float32 [3], not");
    refused(&|h| h.cameras[0].width = 64, "observation.images.front is image [24, 32, 3]");
    refused(&|h| h.cameras[0].name = "top".into(), "it has no feature observation.images.top");
    refused(&|h| drop(h.cameras.pop()), "it has a feature observation.images.wrist, this run");
    refused(&|h| h.joints[0].name = "a/b".into(), "joint name \"a/b\" cannot name");
    refused(&|h| h.cameras[1].name = "front".into(), "camera name \"front\" cannot name");
    // Asked for all the same, it is refused before anything is written.
    let run = dataset.create_run("other").unwrap();
    let journal = common::write_small_run(&run, "other", 20);
    let before = fs::read(folder.path().join("meta/info.json")).unwrap();
    assert!(matches!(dataset.convert(&journal), Err(ConvertError::Mismatch { .. })));
    assert_eq!(fs::read(folder.path().join("meta/info.json")).unwrap(), before);
    assert_eq!(Reader::open(folder.path()).unwrap().episodes().len(), 1);
    let report = dataset.repair().unwrap();
    assert!(matches!(report.runs[0].outcome, RunOutcome::NotConvertible { .. }));
    assert!(dataset.repair().unwrap().is_nothing());
}

#[test]
fn foreign_and_busy_directories_are_left_alone() {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("thesis.tex"), "words").unwrap();
    let error = Dataset::open(folder.path()).unwrap_err();
    assert!(matches!(&error, OpenError::Foreign { entry, .. } if entry == "thesis.tex"));
    assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1);

    let root = folder.path().join("set");
    let mut first = Dataset::open(&root).unwrap();
    let error = Dataset::open(&root).unwrap_err();
    let this_process = format!("process {}", std::process::id());
    assert!(matches!(&error, OpenError::Locked { holder, .. } if *holder == this_process));
    record(&mut first, "run", "t", 20);
    drop(first);
    assert!(repair(&root).unwrap().is_nothing());
}

/// Every file below `folder` with its content.
fn content(folder: &Path) -> Vec<(PathBuf, Vec<u8>)> {
    let mut all = Vec::new();
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            all.extend(content(&path));
        } else {
            all.push((path.clone(), fs::read(&path).unwrap()));
        }
    }
    all.sort();
    all
}

#[test]
fn looking_whether_a_run_fits_leaves_every_file_as_it_was() {
    let folder = tempfile::tempdir().unwrap();
    let root = folder.path().join("set");
    let header = common::header("x", "t");
    lerobot::check_ownership(&root).unwrap();
    lerobot::check(&root, &header).unwrap();
    assert!(!root.exists());
    let mut dataset = Dataset::open(&root).unwrap();
    record(&mut dataset, "run", "t", 20);
    // A second episode that was written and not counted, an unfinished file, and a run without an
    // episode: a repair would change all of them.
    for tree in ["data", "meta/episodes"] {
        let chunk = root.join(tree).join("chunk-000");
        fs::copy(chunk.join("file-000.parquet"), chunk.join("file-001.parquet")).unwrap();
    }
    fs::write(root.join("data/chunk-000/file-002.parquet.part"), "half").unwrap();
    common::write_small_run(&dataset.create_run("killed").unwrap(), "killed", 20);
    let before = content(&root);
    // The directory is locked by `dataset` all the while.
    assert!(matches!(Dataset::open(&root), Err(OpenError::Locked { .. })));
    lerobot::check_ownership(&root).unwrap();
    lerobot::check(&root, &header).unwrap();
    let mut other = header.clone();
    other.robot = "other".into();
    let refused = lerobot::check(&root, &other).unwrap_err().to_string();
    assert!(refused.contains("its robot is bench, not other"), "{refused}");
    other.dataset_rate_hz = 12.5;
    assert!(matches!(lerobot::check(&root, &other), Err(ConvertError::Header(_))));
    assert_eq!(content(&root), before);
    drop(dataset);
    assert!(!repair(&root).unwrap().is_nothing());
}

#[test]
fn a_deleted_episode_file_is_named_with_what_helps_and_that_helps() {
    let folder = tempfile::tempdir().unwrap();
    let root = folder.path().join("set");
    let mut dataset = Dataset::open(&root).unwrap();
    record(&mut dataset, "a", "t", 20);
    record(&mut dataset, "b", "t", 20);
    drop(dataset);
    fs::remove_file(root.join("data/chunk-000/file-000.parquet")).unwrap();
    let error = repair(&root).unwrap_err().to_string();
    for part in ["file-000.parquet is not there", "episode 0 was deleted", "move data and meta"] {
        assert!(error.contains(part), "{error}");
    }
    assert!(root.join("data/chunk-000/file-001.parquet").exists());
    for name in ["data", "meta"] {
        fs::rename(root.join(name), folder.path().join(name)).unwrap();
    }
    let report = repair(&root).unwrap();
    assert_eq!(report.runs.len(), 2);
    assert_eq!(Reader::open(&root).unwrap().episodes().len(), 2);
}

#[test]
fn a_run_becomes_one_episode_only() {
    let folder = tempfile::tempdir().unwrap();
    let mut dataset = Dataset::open(folder.path()).unwrap();
    record(&mut dataset, "run", "t", 20);
    let journal = folder.path().join("runs/run").join(journal::FILE_NAME);
    let again = dataset.convert(&journal).unwrap_err();
    assert!(matches!(again, ConvertError::Converted { episode: 0, .. }), "{again}");
}

#[test]
fn runs_that_cannot_become_episodes_are_kept_and_named_once() {
    let folder = tempfile::tempdir().unwrap();
    let mut dataset = Dataset::open(folder.path()).unwrap();
    let journal = |name: &str| dataset.create_run(name).unwrap().join(journal::FILE_NAME);
    fs::write(journal("a-empty"), b"").unwrap();
    fs::write(journal("b-foreign"), b"something else entirely").unwrap();
    drop(Writer::create(&journal("c-no-cycle"), &common::header("c", "t")).unwrap());
    let mut writer = Writer::create(&journal("d-no-image"), &common::header("d", "t")).unwrap();
    writer.append_cycle(&common::cycle(HOLDING, 5)).unwrap();
    drop(writer);
    let mut writer = Writer::create(&journal("e-joints"), &common::header("e", "t")).unwrap();
    let mut cycle = common::cycle(HOLDING, 5);
    cycle.clamps.pop();
    writer.append_cycle(&cycle).unwrap();
    drop(writer);
    let report = dataset.repair().unwrap();
    let expected = [
        "the run ended before it began",
        "is not a sinew journal",
        "no cycle in which the arm was holding or running",
        "camera front delivered no image of its declared size (0 were rejected)",
        "cycle 10 has values for 2 joints, the header names 3",
    ];
    assert_eq!(report.runs.len(), expected.len());
    for (run, expected) in report.runs.iter().zip(expected) {
        let RunOutcome::NotConvertible { reason } = &run.outcome else { panic!("{run:?}") };
        assert!(reason.contains(expected), "{reason}");
        assert!(folder.path().join("runs").join(&run.run).join(journal::FILE_NAME).exists());
    }
    assert!(dataset.repair().unwrap().is_nothing());
    record(&mut dataset, "good", "t", 20);
    assert_eq!(describe(folder.path()).unwrap().other_runs.len(), 5);
}

#[test]
fn images_of_another_size_are_rejected_and_counted() {
    let folder = tempfile::tempdir().unwrap();
    let mut dataset = Dataset::open(&folder.path().join("set")).unwrap();
    let path = folder.path().join("journal");
    let mut writer = Writer::create(&path, &common::header("run", "t")).unwrap();
    for index in 0..common::cycles_of(20) {
        common::write_cycle(&mut writer, index, 20).unwrap();
    }
    let mut wrong = common::frame(0, 99);
    wrong.camera = 1;
    writer.append_frame(&wrong).unwrap();
    wrong.png = b"JFIF".to_vec();
    writer.append_frame(&wrong).unwrap();
    drop(writer);
    let summary = dataset.convert(&path).unwrap();
    assert_eq!((summary.cameras[0].rejected, summary.cameras[1].rejected), (0, 2));
    assert!(!summary.complete && summary.lost_ms.is_some());
}
