//! What recordings look like before anything is trained on them.

use super::csv::Recording;
use super::dataset::{Dataset, csv_files};
use super::html::Page;
use super::plots::{Labels, curves, histogram};
use super::run::RunError;
use super::settings::Settings;
use super::spectrum::Spectrum;
use std::fmt::Write as _;
use std::path::Path;

/// Reports on every file that can be read, and says why others cannot.
pub fn inspect(settings: &Settings, out: Option<&Path>) -> Result<String, RunError> {
    let data = &settings.data;
    let mut text = String::new();
    let mut page = Page::new("Recordings");
    for group in &data.groups {
        let folder = data.directory.join(&group.folder);
        let files =
            csv_files(&folder).map_err(|source| RunError::File { path: folder.clone(), source })?;
        let _ = writeln!(
            text,
            "group {} ({} kg·m²): {} files in {}",
            group.id,
            group.inertia_kg_m2,
            files.len(),
            folder.display()
        );
        for path in files {
            match Recording::read(&path, &data.acceleration_axis, &data.gyro_axis) {
                Ok(recording) => text += &describe(&recording),
                Err(error) => {
                    let _ = writeln!(text, "  unusable: {error}");
                }
            }
        }
    }
    // What a training would see; a file that it would refuse has been named above.
    let mut lenient = data.clone();
    lenient.skip_bad_files = true;
    let unfiltered = super::settings::Filter::default();
    lenient.filter = unfiltered;
    let dataset = Dataset::read(&lenient, settings.windows.duration_s)?;
    for (index, group) in dataset.groups.iter().enumerate() {
        let series: Vec<_> = dataset.series.iter().filter(|it| it.group == index).collect();
        let Some(longest) = series.iter().max_by_key(|it| it.len()) else { continue };
        let mut spectra = Vec::new();
        for (name, values) in [
            ("angle, rad", &longest.position),
            ("velocity, rad/s", &longest.velocity),
            ("torque, N·m", &longest.torque),
        ] {
            let spectrum = Spectrum::welch(values, longest.rate_hz);
            let _ = writeln!(text, "group {}, {name}: {}", group.id, spectrum.describe());
            spectra.push((name, spectrum));
        }
        if out.is_none() {
            continue;
        }
        page.heading(&format!("Group {}, {} kg·m²", group.id, group.inertia_kg_m2));
        let points: Vec<(&str, Vec<(f64, f64)>)> = spectra
            .iter()
            .map(|(name, it)| {
                let points = it.frequency.iter().copied().zip(it.density.iter().copied());
                (*name, points.skip(1).collect())
            })
            .collect();
        page.picture(curves(
            Labels {
                name: &format!("spectrum-{}", group.id),
                title: format!("Power spectral density, {}", group.id),
                x: "frequency, Hz",
                y: "unit²/Hz",
                caption: format!("Welch's method, {}", longest.path.display()),
            },
            &points,
            true,
        ));
        for (name, of) in [("angle, rad", 0), ("velocity, rad/s", 1), ("torque, N·m", 2)] {
            let values: Vec<f64> = series
                .iter()
                .flat_map(|it| [&it.position, &it.velocity, &it.torque][of].iter().copied())
                .collect();
            let short = name.split(',').next().unwrap_or(name);
            page.picture(histogram(
                Labels {
                    name: &format!("histogram-{short}-{}", group.id),
                    title: format!("{short}, {}", group.id),
                    x: name,
                    y: "samples",
                    caption: format!("All files of group {}", group.id),
                },
                &values,
            ));
        }
    }
    for warning in dataset.warnings.iter().chain(&dataset.skipped) {
        let _ = writeln!(text, "warning: {warning}");
        page.warning(warning);
    }
    if let Some(out) = out {
        let path = page.write(out, "inspection")?;
        let _ = writeln!(text, "{}", path.display());
    }
    Ok(text)
}

fn describe(recording: &Recording) -> String {
    let distances = recording.time_ms.windows(2).map(|pair| pair[1] - pair[0]);
    let longest = distances.clone().fold(0.0, f64::max);
    let gaps = distances.filter(|distance| *distance > 2.5e3 / recording.rate.hz).count();
    let seconds = (recording.time_ms[recording.time_ms.len() - 1] - recording.time_ms[0]) / 1e3;
    let mut text = format!(
        "  {}: {} samples, {seconds:.1} s, {:.2} Hz, {gaps} gaps, longest distance {longest:.2} ms\n",
        recording.path.display(),
        recording.time_ms.len(),
        recording.rate.hz
    );
    for (name, values) in [
        ("Encoder_Angle", &recording.encoder_deg),
        ("acceleration", &recording.acceleration),
        ("gyroscope", &recording.gyro_deg_s),
    ] {
        let share = saturation(values);
        if share > 1e-3 {
            let _ = writeln!(
                text,
                "    {name}: {:.1} % of the samples are at the largest or smallest value: saturated?",
                100.0 * share
            );
        }
    }
    text
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
