//! `sinew info`

use std::path::{Path, PathBuf};

use clap::Args;
use sinew_episodes::journal::LocateError;
use sinew_episodes::{journal, lerobot};

use super::{Format, fail, refuse};

#[derive(Debug, Args)]
pub(super) struct InfoArguments {
    /// A recording directory (LeRobotDataset v3.0), a run's folder in it, or a journal
    path: PathBuf,
    /// Text for people, or one JSON object
    #[arg(long, value_enum, default_value_t)]
    format: Format,
}

pub(super) fn info(arguments: &InfoArguments) -> u8 {
    let path = arguments.path.as_path();
    match journal::locate(path) {
        Ok(found) => return journal(&found, arguments.format),
        Err(error @ LocateError::Missing { .. }) => return fail(&error, 2, arguments.format),
        Err(LocateError::Directory { .. } | LocateError::NoRun { .. }) => {}
    }
    match lerobot::describe(path) {
        Ok(info) => print(&info, arguments.format),
        Err(error) if path.join("meta/info.json").exists() => fail(&error, 2, arguments.format),
        Err(_) => {
            let text = format!(
                "{}: neither a dataset (no meta/info.json), nor a run's folder (no {}), nor a \
                 journal. A recording directory becomes a dataset with its first episode; until \
                 then name one of the folders in its runs/",
                path.display(),
                journal::FILE_NAME
            );
            refuse(&text, 2, arguments.format)
        }
    }
}

fn journal(path: &Path, format: Format) -> u8 {
    match journal::describe(path) {
        Ok(info) => print(&info, format),
        Err(error) => fail(&error, 2, format),
    }
}

fn print(info: &(impl std::fmt::Display + serde::Serialize), format: Format) -> u8 {
    match format {
        Format::Text => say!("{info}"),
        // Plain numbers and strings: serialising cannot fail.
        Format::Json => say!("{}", serde_json::to_string(info).unwrap_or_default()),
    }
    0
}
