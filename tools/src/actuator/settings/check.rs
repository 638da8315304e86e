//! What a configuration may say: everything is checked before a file is read.

use super::{Mode, Settings, SettingsError, Target};
use crate::actuator::network;
use sinew_models::actuators::{DcMotor, Gains, Normalization, ParameterError};
use std::path::Path;

/// Numbers that a key may have.
#[derive(Clone, Copy)]
enum Range {
    Finite,
    Positive,
    NotNegative,
}

impl Range {
    fn holds(self, value: f64) -> bool {
        value.is_finite()
            && match self {
                Self::Finite => true,
                Self::Positive => value > 0.0,
                Self::NotNegative => value >= 0.0,
            }
    }

    fn name(self) -> &'static str {
        match self {
            Self::Finite => "a finite number",
            Self::Positive => "a finite number above 0",
            Self::NotNegative => "a finite number, 0 or more",
        }
    }
}

impl Settings {
    /// Refuses what makes no sense, by its key.
    pub(super) fn check(&self, path: &Path) -> Result<(), SettingsError> {
        let refuse = |key: &str, value: String, allowed: &str| {
            let (key, allowed) = (key.to_owned(), allowed.to_owned());
            Err(SettingsError::Value { path: path.to_owned(), key, value, allowed })
        };
        let Self { data, windows, split, model, training, baselines, .. } = self;
        if !is_file_name(&self.name) {
            return refuse("name", self.name.clone(), FILE_NAME);
        }
        for (index, group) in data.groups.iter().enumerate() {
            if !is_file_name(&group.id) {
                return refuse("data.groups.id", group.id.clone(), FILE_NAME);
            }
            if data.groups[..index].iter().any(|other| other.id == group.id) {
                return refuse("data.groups.id", group.id.clone(), "a name for each group");
            }
            let (key, value) =
                (format!("inertia_kg_m2 of group {}", group.id), group.inertia_kg_m2);
            if !Range::Positive.holds(value) {
                return refuse(&key, value.to_string(), Range::Positive.name());
            }
        }
        for (key, value, range) in self.numbers() {
            if !range.holds(value) {
                return refuse(key, value.to_string(), range.name());
            }
        }
        let part = "above 0 and below 1, and both together below 1";
        for (key, value) in [("split.train", split.train), ("split.validation", split.validation)] {
            if !(value > 0.0 && value < 1.0 && split.train + split.validation < 1.0) {
                return refuse(key, value.to_string(), part);
            }
        }
        for (key, value, low, high) in [
            ("data.groups", data.groups.len(), 1, 1000),
            ("data.filter.order", data.filter.order, 1, 12),
            ("windows.stride", windows.stride, 1, usize::MAX),
            ("split.blocks_per_file", split.blocks_per_file, 3, usize::MAX),
            ("model.layers", model.layers, 1, 16),
            ("model.hidden", model.hidden, 1, 1024),
            ("training.batch", training.batch, 1, 1 << 20),
            ("training.max_epochs", training.max_epochs, 1, 1 << 20),
            ("training.patience", training.patience, 1, usize::MAX),
            ("training.threads", training.threads, 0, 1024),
            ("baselines.mlp_epochs", baselines.mlp_epochs, 1, 1 << 20),
            ("baselines.mlp_hidden", baselines.mlp_hidden, 1, 1024),
        ] {
            if !(low..=high).contains(&value) {
                let allowed = match high {
                    usize::MAX => format!("{low} or more"),
                    _ => format!("{low} to {high}"),
                };
                return refuse(key, value.to_string(), &allowed);
            }
        }
        if training.warm_up_epochs > training.max_epochs as f64 {
            let allowed = "at most training.max_epochs: the learning rate would never be reached";
            return refuse("training.warm_up_epochs", training.warm_up_epochs.to_string(), allowed);
        }
        if !(0.0..1.0).contains(&model.dropout) {
            return refuse("model.dropout", model.dropout.to_string(), "0 to less than 1");
        }
        if self.mode == Mode::Lomo && data.groups.len() < 2 {
            let found = format!("lomo with {} group", data.groups.len());
            return refuse("mode", found, "lomo needs two groups or more: train with global");
        }
        if model.target == Target::Residual && model.pd.is_none() {
            let allowed = "residual needs [model.pd]; or target = \"full\"";
            return refuse("model.target", "residual without model.pd".to_owned(), allowed);
        }
        let parameter = |table| {
            let path = path.to_owned();
            move |source| SettingsError::Parameter { path, table, source: Box::new(source) }
        };
        self.check_model().map_err(parameter("model"))?;
        if let Some(motor) = baselines.dc_motor {
            let gains = Gains { stiffness: 1.0, damping: 0.0 };
            DcMotor::new(&[(gains, motor)]).map_err(parameter("baselines"))?;
        }
        Ok(())
    }

    fn numbers(&self) -> Vec<(&'static str, f64, Range)> {
        use Range::{Finite, NotNegative, Positive};
        let Self { data, windows, training, .. } = self;
        let mut numbers = vec![
            ("data.radius_m", data.radius_m, Positive),
            ("data.skip_start_s", data.skip_start_s, NotNegative),
            ("data.skip_end_s", data.skip_end_s, NotNegative),
            ("data.acceleration_bias_m_s2", data.acceleration_bias_m_s2, Finite),
            ("data.gyro_bias_rad_s", data.gyro_bias_rad_s, Finite),
            ("data.max_encoder_jump_deg", data.max_encoder_jump_deg, Positive),
            ("windows.duration_s", windows.duration_s, Positive),
            ("training.learning_rate", training.learning_rate, Positive),
            ("training.weight_decay", training.weight_decay, NotNegative),
            ("training.warm_up_epochs", training.warm_up_epochs, NotNegative),
            ("training.gradient_clip", training.gradient_clip, Positive),
            ("training.min_delta", training.min_delta, NotNegative),
            ("training.difference_weight", training.difference_weight, NotNegative),
        ];
        for (key, value) in [
            ("data.target_sampling_frequency_hz", data.target_sampling_frequency_hz),
            ("data.filter.acceleration_hz", data.filter.acceleration_hz),
            ("data.filter.position_hz", data.filter.position_hz),
            ("data.filter.velocity_hz", data.filter.velocity_hz),
            ("data.filter.torque_hz", data.filter.torque_hz),
            ("data.torque_limit_nm", data.torque_limit_nm),
            ("data.max_target_speed_rad_s", data.max_target_speed_rad_s),
        ] {
            numbers.extend(value.map(|value| (key, value, Positive)));
        }
        if let Some(gravity) = data.gravity {
            numbers.push(("data.gravity.tilt_rad", gravity.tilt_rad, Finite));
            numbers.push(("data.gravity.hangs_at_rad", gravity.hangs_at_rad, Finite));
        }
        numbers
    }

    /// What the model that will run refuses: its own check, on a network of one number.
    fn check_model(&self) -> Result<(), ParameterError> {
        let normalization = Normalization {
            input_mean: vec![0.0; network::INPUTS],
            input_std: vec![1.0; network::INPUTS],
            target_mean: 0.0,
            target_std: 1.0,
            epsilon: 0.0,
            std_floor: 0.0,
        };
        let small = super::Model { layers: 1, hidden: 1, ..self.model.clone() };
        let weights = network::first_weights(&network::sizes(&small), 0);
        network::bundle(&small, normalization, 100.0, &weights).check()
    }
}

const FILE_NAME: &str = "a name of letters, digits, '.', '-' and '_': files are named after it";

fn is_file_name(name: &str) -> bool {
    let plain = |letter: char| letter.is_alphanumeric() || ".-_".contains(letter);
    !name.is_empty() && name.chars().all(plain) && !name.chars().all(|letter| letter == '.')
}
