//! Records a few made-up runs into a directory and converts them: a dataset to try readers on.
//!
//! `cargo run -p sinew-episodes --example write_dataset -- DIRECTORY [RUNS] [SECONDS] [small]`
//!
//! `small` makes the runs of one joint and no camera.

#[path = "../tests/common/mod.rs"]
mod common;

use std::path::PathBuf;
use std::process::ExitCode;

use sinew_episodes::lerobot::Dataset;

fn record(
    root: &std::path::Path,
    runs: u64,
    seconds: u64,
    small: bool,
) -> Result<(), Box<dyn std::error::Error>> {
    let mut dataset = Dataset::open(root)?;
    println!("{}", dataset.repair()?);
    for run in 0..runs {
        let folder = dataset.create_run("example")?;
        let name = folder.file_name().unwrap_or_default().to_string_lossy().into_owned();
        let task = if run.is_multiple_of(2) { "pick the cube" } else { "place the cube" };
        let journal = if small {
            common::write_small_run(&folder, &name, seconds * common::RATE_HZ)
        } else {
            common::write_run(&folder, &name, task, seconds * common::RATE_HZ)
        };
        let summary = dataset.convert(&journal)?;
        println!("{name}: episode {}, {} frames", summary.episode, summary.frames);
    }
    Ok(())
}

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let number = |index: usize, default: u64| {
        arguments.get(index).map_or(Ok(default), |text| text.parse::<u64>())
    };
    let (Some(root), Ok(runs), Ok(seconds)) =
        (arguments.first().map(PathBuf::from), number(1, 3), number(2, 4))
    else {
        eprintln!("usage: write_dataset DIRECTORY [RUNS] [SECONDS] [small]");
        return ExitCode::from(2);
    };
    let small = arguments.get(3).is_some_and(|text| text == "small");
    match record(&root, runs, seconds, small) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("{error}");
            ExitCode::FAILURE
        }
    }
}
