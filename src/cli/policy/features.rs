//! `sinew policy features`

use std::path::PathBuf;

use clap::Args;

use super::EngineArguments;
use crate::cli::{Format, fail};
use crate::feature_maps::{self, FeatureMapError, MapReport, Request};

#[derive(Debug, Args)]
pub(crate) struct FeaturesArguments {
    /// The checkpoint folder
    folder: PathBuf,
    /// A PNG file of the size of the camera's images
    #[arg(long, value_name = "PNG")]
    image: PathBuf,
    /// Which camera's eyes to look through, for example top; needed where there are several
    #[arg(long, value_name = "NAME")]
    camera: Option<String>,
    /// The new folder for the pictures; nothing is overwritten
    #[arg(long, value_name = "DIR", default_value = "features")]
    out: PathBuf,
    /// Channels on a sheet, the strongest first
    #[arg(long, value_name = "N", default_value_t = 16, value_parser = clap::value_parser!(u16).range(1..=1024))]
    channels: u16,
    #[command(flatten)]
    engine: EngineArguments,
    /// Text for people, or one JSON object
    #[arg(long, value_enum, default_value_t)]
    format: Format,
}

pub(super) fn features(arguments: &FeaturesArguments) -> u8 {
    let request = Request {
        policy: arguments.folder.clone(),
        image: arguments.image.clone(),
        camera: arguments.camera.clone(),
        out: arguments.out.clone(),
        channels: arguments.channels.into(),
    };
    if let Err(error) = arguments.engine.check() {
        return fail(&error, 2, arguments.format);
    }
    let report = match feature_maps::draw(&request, &arguments.engine.options()) {
        Ok(report) => report,
        Err(error) => return fail(&error, code_of(&error), arguments.format),
    };
    match arguments.format {
        Format::Text => {
            say!("image         {}", report.image);
            report.maps.iter().flat_map(lines).for_each(|line| say!("{line}"));
        }
        // Plain numbers and strings: serialising cannot fail.
        Format::Json => say!("{}", serde_json::to_string(&report).unwrap_or_default()),
    }
    0
}

fn lines(map: &MapReport) -> [String; 3] {
    let strongest = map.strongest.iter().map(|(channel, mean)| format!("{channel} ({mean:.3})"));
    let strongest: Vec<String> = strongest.collect();
    [
        format!(
            "{:<13} {} channels of {} x {}, {} of them silent: {}",
            map.name,
            map.channels,
            map.height,
            map.width,
            map.silent,
            map.picture.display()
        ),
        format!("              strongest, line by line: {}", map.sheet.display()),
        format!("              {}", strongest.join(", ")),
    ]
}

/// What was asked for is wrong, the checkpoint cannot be read, or pictures cannot be written.
fn code_of(error: &FeatureMapError) -> u8 {
    match error {
        FeatureMapError::Load(_) | FeatureMapError::NotFinite { .. } => 11,
        FeatureMapError::Write { .. }
        | FeatureMapError::Picture(feature_maps::PictureError::Encode { .. }) => 13,
        _ => 2,
    }
}
