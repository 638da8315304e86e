//! From a TOML file and `--set` to settings.

use super::Settings;
use sinew_models::actuators::ParameterError;
use std::path::{Path, PathBuf};

/// Why a configuration was refused.
#[derive(Debug, thiserror::Error)]
pub enum SettingsError {
    #[error("{}: {source}; give the path of a configuration such as configs/actuator/train-rig.toml", path.display())]
    Read { path: PathBuf, source: std::io::Error },
    #[error("{}: {source}", path.display())]
    Syntax { path: PathBuf, source: toml::de::Error },
    #[error("--set {text}: {reason}; write KEY=VALUE, such as --set training.batch=64")]
    Override { text: String, reason: String },
    #[error("{}: {key} is {value}, allowed: {allowed}", path.display())]
    Value { path: PathBuf, key: String, value: String, allowed: String },
    #[error("{}: {table}.{source}", path.display())]
    Parameter { path: PathBuf, table: &'static str, source: Box<ParameterError> },
}

impl Settings {
    /// Reads a file and puts `KEY=VALUE` over it.
    pub fn load(path: &Path, overrides: &[String]) -> Result<Self, SettingsError> {
        let text = std::fs::read_to_string(path)
            .map_err(|source| SettingsError::Read { path: path.to_owned(), source })?;
        let syntax = |source| SettingsError::Syntax { path: path.to_owned(), source };
        let mut settings: Self = if overrides.is_empty() {
            toml::from_str(&text).map_err(syntax)?
        } else {
            let mut table: toml::Table = toml::from_str(&text).map_err(syntax)?;
            for text in overrides {
                set(&mut table, text)
                    .map_err(|reason| SettingsError::Override { text: text.clone(), reason })?;
            }
            table.try_into().map_err(syntax)?
        };
        if settings.data.directory.is_relative() {
            let folder = path.parent().unwrap_or(Path::new(""));
            settings.data.directory = folder.join(&settings.data.directory);
        }
        settings.check(path)?;
        Ok(settings)
    }
}

fn set(table: &mut toml::Table, text: &str) -> Result<(), String> {
    let (key, value) = text.split_once('=').ok_or("there is no =")?;
    let mut parts: Vec<&str> = key.trim().split('.').collect();
    let last = parts.pop().filter(|last| !last.is_empty()).ok_or("the key is empty")?;
    // What is no TOML value is a text.
    let value = format!("value = {}", value.trim())
        .parse::<toml::Table>()
        .ok()
        .and_then(|mut table| table.remove("value"))
        .unwrap_or_else(|| toml::Value::String(value.trim().to_owned()));
    let mut at = table;
    for part in parts {
        let entry = at.entry(part).or_insert_with(|| toml::Value::Table(toml::Table::new()));
        at = entry.as_table_mut().ok_or_else(|| format!("{part} is no table"))?;
    }
    at.insert(last.to_owned(), value);
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    const SMALL: &str = "[data]\ndirectory='d'\nradius_m=0.2\n[[data.groups]]\nid='a'\nfolder='a'\n\
        inertia_kg_m2=0.01\n[model]\ntarget='full'\n";

    fn load(text: &str, overrides: &[&str]) -> Result<Settings, SettingsError> {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("train.toml");
        std::fs::write(&path, text).unwrap();
        let overrides: Vec<String> = overrides.iter().map(|it| (*it).to_owned()).collect();
        Settings::load(&path, &overrides)
    }

    #[test]
    fn what_is_set_goes_over_the_file() {
        let settings =
            load(SMALL, &["training.batch=32", "name=night", "model.hidden=64"]).unwrap();
        assert_eq!((settings.training.batch, settings.model.hidden), (32, 64));
        assert_eq!((settings.name.as_str(), settings.seed), ("night", 42));
    }

    #[test]
    fn what_makes_no_sense_is_refused_by_name() {
        for (overrides, part) in [
            ("data.radius_m=0", "data.radius_m is 0"),
            ("model.target=residual", "[model.pd]"),
            ("mode=lomo", "two groups"),
            ("split.train=0.9", "split.train is 0.9"),
            ("training.bach=3", "bach"),
            ("training.batch", "KEY=VALUE"),
            ("model.dropout=1", "model.dropout is 1"),
            ("model.dropout=nan", "model.dropout is NaN"),
            ("baselines.mlp_hidden=0", "baselines.mlp_hidden is 0, allowed: 1 to 1024"),
            ("baselines.mlp_epochs=0", "baselines.mlp_epochs is 0"),
            ("training.patience=0", "training.patience is 0"),
            ("training.weight_decay=-1", "training.weight_decay is -1"),
            ("training.min_delta=-0.1", "training.min_delta is -0.1"),
            ("training.difference_weight=nan", "training.difference_weight is NaN"),
            ("training.warm_up_epochs=300", "training.warm_up_epochs is 300"),
            ("training.threads=100000", "training.threads is 100000"),
            ("model.hidden=1000000", "model.hidden is 1000000, allowed: 1 to 1024"),
            ("model.layers=0", "model.layers is 0"),
            ("data.skip_start_s=-1", "data.skip_start_s is -1"),
            ("data.gyro_bias_rad_s=inf", "data.gyro_bias_rad_s is inf"),
            ("data.filter.order=40", "data.filter.order is 40, allowed: 1 to 12"),
            ("name=a/b", "name is a/b"),
            (
                "model.torque_speed_curve={stall_torque_nm=-1,no_load_speed_rad_s=3}",
                "model.torque_speed_curve.stall_torque_nm is -1, allowed is",
            ),
            (
                "model.spring={stiffness_nm_per_rad=nan,rest_position_rad=0,convention='seed'}",
                "model.spring.stiffness_nm_per_rad is NaN",
            ),
            (
                "model.pd={stiffness_nm_per_rad=-2,damping_nm_s_per_rad=0,target_velocity='zero'}",
                "model.pd.stiffness_nm_per_rad is -2",
            ),
            ("model.effort_limit_nm=0", "model.effort_limit_nm is 0"),
            (
                "baselines.dc_motor={saturation_effort_nm=-1,no_load_speed_rad_s=3,effort_limit_nm=1}",
                "baselines.dc_motor.saturation_effort_nm is -1",
            ),
        ] {
            let message = load(SMALL, &[overrides]).unwrap_err().to_string();
            assert!(message.contains(part), "{overrides}: {message}");
        }
    }
}
