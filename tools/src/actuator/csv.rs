//! One file of the rig: `Time_ms, Encoder_Angle, Commanded_Angle, Acc_X…Z, Gyro_X…Z`.

use super::digest;
use super::rate::{Rate, rate};
use std::path::{Path, PathBuf};

/// Why a file cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum CsvError {
    #[error("{}: {source}", path.display())]
    Read { path: PathBuf, source: std::io::Error },
    #[error("{}: there is no column {column}{hint}; the header is {found}", path.display())]
    Missing { path: PathBuf, column: String, hint: String, found: String },
    #[error("{}: the column {column} is there {count} times; remove or rename all but one", path.display())]
    Twice { path: PathBuf, column: String, count: usize },
    #[error("{}, line {line}: {message}; every line needs as many fields as the header", path.display())]
    Line { path: PathBuf, line: u64, message: String },
    #[error("{}, line {line}, column {column}: {value:?} is no finite number; repair or remove the line", path.display())]
    Value { path: PathBuf, line: u64, column: String, value: String },
    #[error("{}, line {line}, column Time_ms: {value} comes after {before}: time goes backwards; cut the file where the clock began again", path.display())]
    Backwards { path: PathBuf, line: u64, value: f64, before: f64 },
    #[error("{}, Time_ms {time_ms}: Encoder_Angle goes from {before}° to {after}° while the gyroscope turns by {turned:.1}°: a wrap or a glitch; unwrap or cut the file, or raise data.max_encoder_jump_deg ({limit_deg})", path.display())]
    Jump { path: PathBuf, time_ms: f64, before: f64, after: f64, turned: f64, limit_deg: f64 },
    #[error("{}: {samples} samples, needed at least {needed} ({what}); record longer, or leave the file out", path.display())]
    Short { path: PathBuf, samples: usize, needed: usize, what: &'static str },
}

/// Columns of a file, in the file's units.
#[derive(Clone, Debug, Default)]
pub struct Recording {
    pub path: PathBuf,
    /// Of the file's bytes.
    pub sha256: String,
    pub time_ms: Vec<f64>,
    pub encoder_deg: Vec<f64>,
    pub commanded_deg: Vec<f64>,
    /// m/s², of the axis that was asked for.
    pub acceleration: Vec<f64>,
    /// deg/s.
    pub gyro_deg_s: Vec<f64>,
    pub rate: Rate,
    /// What is read, but hard to believe.
    pub warnings: Vec<String>,
}

impl Recording {
    /// Reads the five columns that matter; others are ignored.
    pub fn read(path: &Path, acceleration: &str, gyro: &str) -> Result<Self, CsvError> {
        let bytes = std::fs::read(path)
            .map_err(|source| CsvError::Read { path: path.to_owned(), source })?;
        let sha256 = digest::sha256(&bytes);
        let mut reader = csv::ReaderBuilder::new().trim(csv::Trim::All).from_reader(&bytes[..]);
        let failed = |error: &csv::Error| {
            let line = error.position().map_or(1, csv::Position::line);
            CsvError::Line { path: path.to_owned(), line, message: error.to_string() }
        };
        let header = reader.headers().map_err(|error| failed(&error))?.clone();
        let names = ["Time_ms", "Encoder_Angle", "Commanded_Angle", acceleration, gyro];
        let mut columns = [0; 5];
        for (column, name) in columns.iter_mut().zip(names) {
            *column = find(path, &header, name)?;
        }
        let mut recording = Self { path: path.to_owned(), sha256, ..Self::default() };
        let mut record = csv::StringRecord::new();
        while reader.read_record(&mut record).map_err(|error| failed(&error))? {
            let line = record.position().map_or(0, csv::Position::line);
            let mut values = [0.0; 5];
            for ((value, column), name) in values.iter_mut().zip(columns).zip(names) {
                let text = record.get(column).unwrap_or_default();
                *value =
                    text.parse().ok().filter(|value: &f64| value.is_finite()).ok_or_else(|| {
                        CsvError::Value {
                            path: path.to_owned(),
                            line,
                            column: name.to_owned(),
                            value: text.to_owned(),
                        }
                    })?;
            }
            if let Some(before) = recording.time_ms.last().copied()
                && values[0] <= before
            {
                let (path, value) = (path.to_owned(), values[0]);
                return Err(CsvError::Backwards { path, line, value, before });
            }
            for (column, value) in recording.columns_mut().into_iter().zip(values) {
                column.push(value);
            }
        }
        if recording.time_ms.len() < 2 {
            let (path, samples) = (path.to_owned(), recording.time_ms.len());
            return Err(CsvError::Short { path, samples, needed: 2, what: "for a rate" });
        }
        recording.rate = rate(&recording.time_ms);
        recording.warnings = recording.suspicions();
        Ok(recording)
    }

    fn columns_mut(&mut self) -> [&mut Vec<f64>; 5] {
        [
            &mut self.time_ms,
            &mut self.encoder_deg,
            &mut self.commanded_deg,
            &mut self.acceleration,
            &mut self.gyro_deg_s,
        ]
    }

    /// Units that somebody may have taken for others.
    fn suspicions(&self) -> Vec<String> {
        let mut found = Vec::new();
        let largest =
            |values: &[f64]| values.iter().fold(0.0_f64, |most, value| most.max(value.abs()));
        let file = self.path.display();
        for (column, values, full_turn) in [
            ("Encoder_Angle", &self.encoder_deg, 6.5),
            ("Commanded_Angle", &self.commanded_deg, 6.5),
        ] {
            let most = largest(values);
            if most > 0.0 && most < full_turn {
                found.push(format!(
                    "{file}: {column} stays within ±{most:.3}: is it in radians? Degrees are needed"
                ));
            } else if most > 3600.0 {
                found.push(format!(
                    "{file}: {column} reaches {most:.0}: degrees are needed, and ten turns are many"
                ));
            }
        }
        let rate = self.rate.hz;
        let moved = self.encoder_deg.windows(2).map(|pair| (pair[1] - pair[0]).powi(2));
        let by_encoder = (moved.sum::<f64>() / self.encoder_deg.len() as f64).sqrt() * rate;
        let squares = self.gyro_deg_s.iter().map(|value| value * value).sum::<f64>();
        let by_gyro = (squares / self.gyro_deg_s.len() as f64).sqrt();
        if by_gyro > 0.0 && by_encoder > 20.0 && (by_encoder / by_gyro - 57.3).abs() < 25.0 {
            found.push(format!(
                "{file}: the encoder moves {:.0} times as fast as the gyroscope says: is that in rad/s? \
                 deg/s are needed",
                by_encoder / by_gyro
            ));
        }
        if self.rate.coarse && self.rate.unlike > 0.05 {
            found.push(format!(
                "{file}: Time_ms is in whole milliseconds, and {:.0} % of its distances are unlike the others: \
                 {rate:.1} samples a second are a guess. Record times with decimals",
                100.0 * self.rate.unlike
            ));
        }
        if !(5.0..=20_000.0).contains(&rate) {
            found.push(format!(
                "{file}: Time_ms makes {rate:.1} samples a second: is it in milliseconds?"
            ));
        }
        found
    }
}

fn find(path: &Path, header: &csv::StringRecord, name: &str) -> Result<usize, CsvError> {
    let places: Vec<usize> = (0..header.len()).filter(|index| &header[*index] == name).collect();
    match places[..] {
        [place] => Ok(place),
        [] => {
            let plain = |text: &str| text.to_lowercase().replace(['_', ' ', '-'], "");
            let hint = header
                .iter()
                .find(|found| {
                    let (found, name) = (plain(found), plain(name));
                    !found.is_empty() && (found.contains(&name) || name.contains(&found))
                })
                .map(|found| format!(" (renamed to {found:?}?)"))
                .unwrap_or_default();
            Err(CsvError::Missing {
                path: path.to_owned(),
                column: name.to_owned(),
                hint,
                found: header.iter().collect::<Vec<_>>().join(","),
            })
        }
        _ => {
            let (column, count) = (name.to_owned(), places.len());
            Err(CsvError::Twice { path: path.to_owned(), column, count })
        }
    }
}

/// Of at least one value.
pub fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    match values.len() {
        0 => f64::NAN,
        count if count % 2 == 1 => values[count / 2],
        count => 0.5 * (values[count / 2 - 1] + values[count / 2]),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const HEADER: &str =
        "Time_ms,Encoder_Angle,Commanded_Angle,Acc_X,Acc_Y,Acc_Z,Gyro_X,Gyro_Y,Gyro_Z";

    fn read(text: &str) -> Result<Recording, CsvError> {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.csv");
        std::fs::write(&path, text).unwrap();
        Recording::read(&path, "Acc_Y", "Gyro_Z")
    }

    fn lines(times: &[f64]) -> String {
        let lines = times.iter().map(|time| format!("{time},10,20,0,1,9.8,0,0,30\n"));
        format!("{HEADER}\n{}", lines.collect::<String>())
    }

    #[test]
    fn columns_may_stand_in_any_order_and_others_are_ignored() {
        let text = "ADC,Gyro_Z,Time_ms, Encoder_Angle,Commanded_Angle,Acc_Y\n7,30,0,10,20,1\n7,31,4,11,21,2\n";
        let recording = read(text).unwrap();
        assert_eq!(recording.gyro_deg_s, [30.0, 31.0]);
        assert_eq!(recording.encoder_deg, [10.0, 11.0]);
        assert_eq!(recording.rate.hz, 250.0);
    }

    #[test]
    fn what_is_wrong_is_named_with_line_and_column() {
        let good = lines(&[0.0, 1.0, 2.0]);
        for (text, parts) in [
            (good.replace("Gyro_Z", "gyro z"), vec!["no column Gyro_Z", "renamed to \"gyro z\""]),
            (good.replace("Acc_X", "Acc_Y"), vec!["Acc_Y", "2 times"]),
            (good.replace("2,10,20,0,1", "2,10,20,0,NaN"), vec!["line 4", "Acc_Y", "NaN"]),
            (good.replace("1,10,", "1,ten,"), vec!["line 3", "Encoder_Angle", "ten"]),
            (good.replace("2,10,", "0.5,10,"), vec!["line 4", "backwards", "0.5 comes after 1"]),
            (lines(&[0.0]), vec!["1 samples"]),
            (format!("{good}3,1\n"), vec!["line 5", "as many fields"]),
        ] {
            let message = read(&text).unwrap_err().to_string();
            for part in parts {
                assert!(message.contains(part), "{part}: {message}");
            }
        }
    }

    #[test]
    fn radians_in_place_of_degrees_are_suspected() {
        let mut text = format!("{HEADER}\n");
        for index in 0..100 {
            let angle = (f64::from(index) * 0.1).sin();
            text += &format!("{index},{angle},{angle},0,1,9.8,0,0,{}\n", 100.0 * angle);
        }
        let warnings = read(&text).unwrap().warnings.join("\n");
        assert!(warnings.contains("Encoder_Angle") && warnings.contains("radians"), "{warnings}");
    }
}
