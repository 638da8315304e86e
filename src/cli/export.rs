//! `sinew export`

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use clap::{Args, ValueEnum};
use sinew_episodes::{journal, mcap, rig_csv};

use super::{Format, fail};
use crate::poses_csv::{self, PosesError, Torques};
use crate::supervision::StopCause;

#[derive(Debug, Args)]
pub(super) struct ExportArguments {
    /// A run's folder (RECORDING/runs/NAME), or a journal
    episode: PathBuf,
    /// What to make of it
    #[arg(long, value_enum)]
    to: Target,
    /// The file to write; without it, beside the journal and named after it
    #[arg(long, value_name = "FILE")]
    output: Option<PathBuf>,
    /// Replace the file if it exists
    #[arg(long)]
    force: bool,
    /// With poses-csv: fr3, panda, panda_identified, viperx300, mycobot320, or the path of a URDF
    #[arg(long, value_name = "NAME|URDF", required_if_eq("to", "poses-csv"))]
    arm: Option<String>,
    /// With poses-csv: link at the end of the arm, of a URDF with several ends
    #[arg(long, value_name = "LINK")]
    tip: Option<String>,
    /// With poses-csv: the tool in the frame of the arm's end, in m and rad (roll, pitch, yaw)
    #[arg(long, num_args = 6, value_delimiter = ',', allow_negative_numbers = true,
        value_names = ["X", "Y", "Z", "ROLL", "PITCH", "YAW"])]
    tool: Vec<f64>,
    /// With poses-csv: which torques
    #[arg(long, value_enum, default_value_t)]
    torques: Torques,
    /// Text for people, or one JSON object as the last line
    #[arg(long, value_enum, default_value_t)]
    format: Format,
}

/// Formats that journals can be exported to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Target {
    /// For Foxglove, Rerun, PlotJuggler and ROS 2 tools
    Mcap,
    /// Samples of an actuator on a test rig, to train on
    Csv,
    /// Torques, pose of the tool and positions of an arm, for in-context identification
    PosesCsv,
}

impl Target {
    const fn extension(self) -> &'static str {
        match self {
            Self::Mcap => "mcap",
            Self::Csv => "csv",
            Self::PosesCsv => "poses.csv",
        }
    }
}

/// Time between two lines of progress.
const PROGRESS_EVERY: Duration = Duration::from_secs(1);

pub(super) fn export(arguments: &ExportArguments) -> u8 {
    let format = arguments.format;
    let journal = match journal::locate(&arguments.episode) {
        Ok(journal) => journal,
        Err(error) => return fail(&error, 2, format),
    };
    let beside = || journal.with_extension(arguments.to.extension());
    let output = arguments.output.clone().unwrap_or_else(beside);
    match arguments.to {
        Target::Mcap => to_mcap(&journal, &output, arguments.force, format),
        Target::Csv => to_csv(&journal, &output, arguments.force, format),
        Target::PosesCsv => to_poses_csv(&journal, &output, arguments),
    }
}

fn to_poses_csv(journal: &Path, output: &Path, arguments: &ExportArguments) -> u8 {
    let format = arguments.format;
    let options = poses_csv::Options {
        arm: arguments.arm.clone().unwrap_or_default(),
        tip: arguments.tip.clone(),
        tool: <[f64; 6]>::try_from(&arguments.tool[..]).unwrap_or_default(),
        torques: arguments.torques,
        replace: arguments.force,
    };
    let summary = match poses_csv::export(journal, output, &options) {
        Ok(summary) => summary,
        Err(error @ PosesError::File(_)) => return fail(&error, 13, format),
        Err(error) => return fail(&error, 2, format),
    };
    match format {
        Format::Text => say!("{summary}"),
        Format::Json => {
            complain!("{summary}");
            // Plain numbers and strings: serialising cannot fail.
            say!("{}", serde_json::to_string(&summary).unwrap_or_default());
        }
    }
    0
}

fn to_csv(journal: &Path, output: &Path, replace: bool, format: Format) -> u8 {
    let summary = match rig_csv::export(journal, output, replace) {
        Ok(summary) => summary,
        Err(error @ rig_csv::CsvError::File(_)) => return fail(&error, 13, format),
        Err(error) => return fail(&error, 2, format),
    };
    match format {
        Format::Text => say!("{summary}"),
        Format::Json => {
            complain!("{summary}");
            // Plain numbers and strings: serialising cannot fail.
            say!("{}", serde_json::to_string(&summary).unwrap_or_default());
        }
    }
    0
}

fn to_mcap(journal: &Path, output: &Path, replace: bool, format: Format) -> u8 {
    let names = StopCause::ALL.map(StopCause::name);
    let intended = [StopCause::Completed, StopCause::Operator, StopCause::OperatorTorqueOff]
        .map(StopCause::name);
    let causes = mcap::StopCauses { names: &names, intended: &intended };
    let options = mcap::ExportOptions { replace, causes };
    let begun = Instant::now();
    let mut reported = begun;
    let result = mcap::export(journal, output, &options, |done, of| {
        if reported.elapsed() >= PROGRESS_EVERY {
            reported = Instant::now();
            complain!("{} of {} MB", done / 1_000_000, of / 1_000_000);
        }
    });
    let summary = match result {
        Ok(summary) => summary,
        Err(error) => return fail(&error, if error.is_output() { 13 } else { 2 }, format),
    };
    let text = format!("{summary}, written in {:.2} s", begun.elapsed().as_secs_f64());
    match format {
        Format::Text => say!("{text}"),
        Format::Json => {
            complain!("{text}");
            // Plain numbers and strings: serialising cannot fail.
            say!("{}", serde_json::to_string(&summary).unwrap_or_default());
        }
    }
    0
}
