//! A Diffusion Policy in the whole program: its history, its options, and how its chunks join.

#![allow(clippy::unwrap_used)]

mod support;

use sinew_episodes::journal::{ChunkRecord, Reader, Record};
use support::{Ended, run, sinew};

const CONFIG: &str = "configs/diffusion.toml";

fn simulated(folder: &std::path::Path, sets: &[&str]) -> Ended {
    let mut more = vec!["--for", "6s", "--set", "run.clock=simulated"];
    sets.iter().for_each(|set| more.extend(["--set", set]));
    let ended = run(CONFIG, folder, &more);
    assert_eq!((ended.code, ended.cause()), (0, "completed"), "{}", ended.stderr);
    ended
}

fn chunks(ended: &Ended) -> Vec<ChunkRecord> {
    let reader = Reader::open(&ended.folder().join("journal.sinew")).unwrap();
    let chunk = |record: Result<Record, _>| match record.unwrap() {
        Record::Chunk(chunk) => Some(chunk),
        _ => None,
    };
    reader.filter_map(chunk).collect()
}

/// What a chunk says at a time, joint by joint.
fn at(chunk: &ChunkRecord, time: u64) -> Vec<f64> {
    let elapsed = (time - chunk.observation_ns) as f64 / chunk.step_ns as f64;
    let size = chunk.action_size as usize;
    let action = |index: usize| {
        let last = chunk.actions.len() / size - 1;
        &chunk.actions[index.min(last) * size..][..size]
    };
    let (index, fraction) = (elapsed as usize, elapsed.fract());
    let pairs = action(index).iter().zip(action(index + 1));
    pairs.map(|(here, next)| here + (next - here) * fraction).collect()
}

/// Root of the mean square of the difference between a chunk and the next, at the moment when the
/// next is there.
fn jump(chunks: &[ChunkRecord]) -> f64 {
    let jumps = chunks.windows(2).flat_map(|pair| {
        let handover = pair[1].finished_ns;
        let (old, new) = (at(&pair[0], handover), at(&pair[1], handover));
        old.into_iter().zip(new).map(|(old, new)| (old - new).powi(2)).collect::<Vec<_>>()
    });
    let squares: Vec<f64> = jumps.collect();
    (squares.iter().sum::<f64>() / squares.len() as f64).sqrt()
}

#[test]
fn the_same_seed_gives_the_same_run_and_another_gives_another() {
    let folder = tempfile::tempdir().unwrap();
    let actions = |sets: &[&str]| {
        let ended = simulated(folder.path(), sets);
        ended.journal().assert_inside_limits();
        let chunks = chunks(&ended);
        assert!(chunks.len() > 10, "{}", chunks.len());
        assert!(chunks.iter().all(|chunk| chunk.actions.len() == 7 * 4));
        chunks.into_iter().flat_map(|chunk| chunk.actions).collect::<Vec<f64>>()
    };
    let first = actions(&[]);
    assert_eq!(first, actions(&[]));
    assert_eq!(first, actions(&["policy.threads=2"]), "threads change nothing");
    assert_ne!(first, actions(&["policy.seed=1"]));
    assert_ne!(first, actions(&["policy.steps=5"]));
}

/// What is committed is kept at the times of the new chunk's actions. Between them both chunks are
/// straight lines, whose corners differ where an observation lies between two actions of the old
/// chunk: a policy with random weights has sharp ones.
#[test]
fn chunks_that_keep_what_is_committed_join_almost_without_a_jump() {
    let folder = tempfile::tempdir().unwrap();
    let jump = |sets: &[&str]| jump(&chunks(&simulated(folder.path(), sets)));
    let kept = jump(&["policy.inpaint=true"]);
    let free = jump(&["policy.inpaint=false"]);
    println!("inpainted {kept:.4}, free {free:.4}");
    assert!(kept < free / 4.0, "{kept} {free}");
}

/// Each chunk begins where LeRobot's queue was used up; nothing overlaps, so nothing is kept.
#[test]
fn chunks_are_executed_from_a_queue_too() {
    let folder = tempfile::tempdir().unwrap();
    let ended = simulated(folder.path(), &["policy.execution=queue", "policy.inpaint=false"]);
    ended.journal().assert_inside_limits();
    assert!(chunks(&ended).len() > 8, "{}", chunks(&ended).len());
}

#[test]
fn a_run_in_real_time_ends_in_order() {
    let folder = tempfile::tempdir().unwrap();
    let ended = run(CONFIG, folder.path(), &["--for", "3s"]);
    assert_eq!((ended.code, ended.cause()), (0, "completed"), "{}", ended.stderr);
    let journal = ended.journal();
    journal.assert_inside_limits();
    assert!(journal.chunks >= 3, "{}", journal.chunks);
    assert_eq!(ended.count("/policy/refused"), 0);
}

#[test]
fn options_of_a_diffusion_policy_are_refused_for_others_by_name() {
    let check = |config: &str, set: &str| {
        let output = sinew().args(["check", config, "--set", set]).output().unwrap();
        let text = String::from_utf8_lossy(&output.stderr).into_owned()
            + &String::from_utf8_lossy(&output.stdout);
        (output.status.success(), text)
    };
    for set in [
        "policy.scheduler=ddim",
        "policy.steps=10",
        "policy.seed=0",
        "policy.warm_start=0.5",
        "policy.inpaint=false",
    ] {
        let (fine, text) = check("configs/demo.toml", set);
        let key = set.split('=').next().unwrap();
        assert!(!fine && text.contains(key) && text.contains("of type act"), "{text}");
        assert!(check(CONFIG, set).0, "{set}");
    }
    let (fine, text) = check(CONFIG, "policy.steps=101");
    assert!(!fine && text.contains("steps is 101, needed 1 to 100"), "{text}");
}
