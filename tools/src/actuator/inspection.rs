//! What recordings look like before anything is trained on them, file by file and group by group.

use super::csv::Recording;
use super::dataset::{Dataset, csv_files};
use super::folds;
use super::html::Page;
use super::plots::{Labels, Points, curves, histogram};
use super::run::RunError;
use super::series::{Series, series};
use super::settings::{Filter, Group, Settings};
use super::spectrum::Spectrum;
use std::fmt::Write as _;
use std::path::Path;

/// What is drawn of each file: name, unit, values.
type Signal = (&'static str, &'static str, fn(&Series) -> &[f64]);

const SIGNALS: [Signal; 3] = [
    ("angle", "rad", |it| &it.position),
    ("velocity", "rad/s", |it| &it.velocity),
    ("torque", "N·m", |it| &it.torque),
];

/// Part of a file that stays at an end of its range without being told to a person.
const UNSUSPICIOUS: f64 = 1e-3;

/// Reports on every file and group, unfiltered, and says what a training would refuse.
pub fn inspect(settings: &Settings, out: Option<&Path>) -> Result<String, RunError> {
    let data = super::settings::Data { filter: Filter::default(), ..settings.data.clone() };
    let mut text = String::new();
    let mut page = Page::new("Recordings");
    for (index, group) in data.groups.iter().enumerate() {
        let folder = data.directory.join(&group.folder);
        let files =
            csv_files(&folder).map_err(|source| RunError::File { path: folder.clone(), source })?;
        let mut usable = Vec::new();
        let mut lines = String::new();
        let mut warnings = Vec::new();
        for path in files {
            let read = Recording::read(&path, &data.acceleration_axis, &data.gyro_axis);
            let read = read.map_err(super::dataset::DataError::from).and_then(|recording| {
                let about = describe(&recording);
                warnings.extend(recording.warnings.iter().cloned());
                let series = series(&data, recording, index, group.inertia_kg_m2, &mut warnings);
                series.map(|series| (about, series))
            });
            match read {
                Ok((about, series)) => {
                    let _ = writeln!(lines, "  {}: {about}", path.display());
                    lines += &cutoffs(&[&series]);
                    usable.push(series);
                }
                Err(error) => {
                    let _ = writeln!(lines, "  unusable: {error}");
                }
            }
        }
        let all: Vec<&Series> = usable.iter().collect();
        let _ = writeln!(text, "{}", total(group, &all, &folder));
        text += &cutoffs(&all);
        text += &lines;
        page.heading(&format!("Group {}, {} kg·m²", group.id, group.inertia_kg_m2));
        page.lines(&lines);
        for warning in &warnings {
            let _ = writeln!(text, "warning: {warning}");
            page.warning(warning);
        }
        if out.is_some() && !all.is_empty() {
            pictures(&mut page, &group.id, &format!("all of group {}", group.id), &all);
            if let [_, _, ..] = all[..] {
                for series in &all {
                    let file = series.path.file_stem().unwrap_or_default().to_string_lossy();
                    let what = series.path.display().to_string();
                    pictures(&mut page, &format!("{}-{file}", group.id), &what, &[series]);
                }
            }
        }
    }
    let read = Dataset::read(&settings.data, settings.windows.duration_s);
    match read.and_then(|dataset| folds::check(settings, &dataset).map(|()| dataset)) {
        Ok(dataset) => {
            let (files, rate) = (dataset.series.len(), dataset.rate_hz);
            let _ = writeln!(text, "a training would begin with {files} files at {rate:.2} Hz");
            for reason in dataset.skipped {
                let _ = writeln!(text, "left out: {reason}");
            }
        }
        Err(error) => {
            let _ = writeln!(text, "a training would be refused: {error}");
            page.warning(&format!("A training would be refused: {error}"));
        }
    }
    if let Some(out) = out {
        let path = page.write(out, "inspection")?;
        let _ = writeln!(text, "{}", path.display());
    }
    Ok(text)
}

/// Samples, rate, gaps, saturation of one file.
fn describe(recording: &Recording) -> String {
    let time = &recording.time_ms;
    let distances = time.windows(2).map(|pair| pair[1] - pair[0]);
    let longest = distances.clone().fold(0.0, f64::max);
    let gaps = distances.filter(|distance| *distance > 2.5e3 / recording.rate.hz).count();
    let mut text = format!(
        "{} samples, {:.1} s, {:.2} Hz, {gaps} gaps, longest distance {longest:.2} ms\n    at the ends of their \
         ranges:",
        time.len(),
        (time[time.len() - 1] - time[0]) / 1e3,
        recording.rate.hz
    );
    let mut suspected = false;
    for (name, values) in [
        ("angle", &recording.encoder_deg),
        ("acceleration", &recording.acceleration),
        ("gyroscope", &recording.gyro_deg_s),
    ] {
        let share = saturation(values);
        suspected |= share > UNSUSPICIOUS;
        let _ = write!(text, " {name} {:.1} %,", 100.0 * share);
    }
    text.pop();
    if suspected {
        text += " of the samples: saturated?";
    }
    text
}

/// One line for a group.
fn total(group: &Group, all: &[&Series], folder: &Path) -> String {
    let seconds: f64 = all.iter().map(|it| it.len() as f64 / it.rate_hz).sum();
    let rates = all.iter().map(|it| it.rate_hz);
    let (low, high) = (rates.clone().fold(f64::INFINITY, f64::min), rates.fold(0.0, f64::max));
    let gaps: usize = all.iter().map(|it| it.gaps.len()).sum();
    format!(
        "group {} ({} kg·m²): {} usable files in {}, {seconds:.1} s, {low:.2} to {high:.2} Hz, {gaps} samples \
         behind gaps",
        group.id,
        group.inertia_kg_m2,
        all.len(),
        folder.display()
    )
}

/// The spectrum of some files together, of those that have the rate of the first.
fn spectrum(all: &[&Series], values: fn(&Series) -> &[f64]) -> Spectrum {
    let Some(rate_hz) = all.first().map(|it| it.rate_hz) else { return Spectrum::default() };
    let alike = all.iter().filter(|it| (it.rate_hz / rate_hz - 1.0).abs() < 5e-3);
    let parts: Vec<&[f64]> =
        alike.flat_map(|it| it.stretches().into_iter().map(|range| &values(it)[range])).collect();
    Spectrum::of_parts(&parts, rate_hz)
}

fn cutoffs(all: &[&Series]) -> String {
    let mut text = String::new();
    for (name, unit, values) in SIGNALS.iter().filter(|_| !all.is_empty()) {
        let _ = writeln!(text, "    {name}, {unit}: {}", spectrum(all, *values).describe());
    }
    text
}

/// Spectra and histograms of some files together.
fn pictures(page: &mut Page, name: &str, what: &str, all: &[&Series]) {
    let spectra: Vec<(String, Points)> = SIGNALS
        .iter()
        .map(|(signal, unit, values)| {
            let spectrum = spectrum(all, *values);
            let points = spectrum.frequency.into_iter().zip(spectrum.density);
            (format!("{signal}, {unit}"), points.skip(1).collect())
        })
        .collect();
    let spectra: Vec<(&str, Points)> =
        spectra.iter().map(|(name, points)| (name.as_str(), points.clone())).collect();
    page.picture(curves(
        Labels {
            name: &format!("spectrum-{name}"),
            title: format!("Power spectral density, {name}"),
            x: "frequency, Hz",
            y: "unit²/Hz",
            caption: format!("Welch's method, {what}"),
        },
        &spectra,
        true,
    ));
    for (signal, unit, values) in SIGNALS {
        let values: Vec<f64> = all.iter().flat_map(|it| values(it).iter().copied()).collect();
        page.picture(histogram(
            Labels {
                name: &format!("histogram-{signal}-{name}"),
                title: format!("{signal}, {name}"),
                x: unit,
                y: "samples",
                caption: format!("Values, {what}"),
            },
            &values,
        ));
    }
}

/// Part of the samples that stay at an end of the range for three or more in a row.
pub fn saturation(values: &[f64]) -> f64 {
    let low = values.iter().copied().fold(f64::INFINITY, f64::min);
    let high = values.iter().copied().fold(f64::NEG_INFINITY, f64::max);
    if low >= high {
        return 0.0;
    }
    let mut stuck = 0;
    let mut run = 0;
    for value in values {
        run = if *value <= low || *value >= high { run + 1 } else { 0 };
        stuck += match run {
            3 => 3,
            4.. => 1,
            _ => 0,
        };
    }
    f64::from(stuck) / values.len() as f64
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_stays_at_the_end_of_its_range_is_saturated() {
        let wave = |limit: f64| -> Vec<f64> {
            (0..1000).map(|i| (f64::from(i) * 0.0457).sin().clamp(-limit, limit)).collect()
        };
        assert_eq!(saturation(&wave(2.0)), 0.0);
        assert!(saturation(&wave(0.5)) > 0.5);
    }
}
