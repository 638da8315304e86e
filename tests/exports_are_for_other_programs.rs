//! `sinew export` as a person meets it. `tests/third_party/export_mcap.py` looks into the file.

#![allow(clippy::unwrap_used)]

mod support;

use std::path::Path;

use serde_json::Value;
use support::{Ended, run, sinew};

fn export(arguments: &[&str], episode: &Path) -> Ended {
    let mut command = sinew();
    command.arg("export").arg(episode).args(["--to", "mcap", "--format", "json"]).args(arguments);
    let output = command.output().unwrap();
    let stdout = String::from_utf8(output.stdout).unwrap();
    Ended {
        code: output.status.code().unwrap_or(-1),
        json: serde_json::from_str(stdout.lines().last().unwrap()).unwrap(),
        stderr: String::from_utf8_lossy(&output.stderr).into_owned(),
    }
}

#[test]
fn a_run_becomes_an_mcap_file_beside_its_journal_and_is_not_overwritten() {
    let folder = tempfile::tempdir().unwrap();
    let simulated = ["--set", "run.clock=simulated", "--for", "2s"];
    let ended = run("configs/demo.toml", folder.path(), &simulated);
    assert_eq!(ended.code, 0, "{}", ended.stderr);
    let episode = Path::new(ended.json["episode"].as_str().unwrap()).to_owned();
    let cycles = ended.journal().cycles.len();

    let exported = export(&[], &episode);
    assert_eq!(exported.code, 0, "{}", exported.stderr);
    let output = episode.join("journal.mcap");
    assert_eq!(exported.json["output"], output.to_str().unwrap());
    let bytes = std::fs::read(&output).unwrap();
    assert_eq!(exported.json["bytes"], bytes.len());
    assert_eq!(exported.json["complete"], true);
    let messages = |topic: &str| -> &Value {
        let channels = exported.json["channels"].as_array().unwrap();
        &channels.iter().find(|channel| channel["topic"] == topic).unwrap()["messages"]
    };
    assert_eq!(messages("/joint_states"), cycles);
    assert_eq!(messages("/cycle"), cycles);
    assert!(messages("/cameras/top/compressed").as_u64() > Some(0));

    let again = export(&[], &episode);
    assert_eq!(again.code, 2);
    assert!(again.stderr.contains("--force"), "{}", again.stderr);
    let forced = export(&["--force"], &episode.join("journal.sinew"));
    assert_eq!(forced.code, 0, "{}", forced.stderr);
    // The same journal, the same bytes.
    assert_eq!(std::fs::read(&output).unwrap(), bytes);

    let dataset = export(&[], folder.path());
    assert_eq!(dataset.code, 2);
    assert!(dataset.stderr.contains("name one of the folders in its runs/"), "{}", dataset.stderr);
}
