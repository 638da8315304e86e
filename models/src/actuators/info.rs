//! A description of an actuator network for people.

use super::bundle::Network;
use super::import::{self, Imported};
use super::{
    ActuatorFileError, DcMotorCurve, ImportOptions, MlpSpec, Output, PdPart, Spring,
    SpringConvention, TargetVelocity, TorqueSpeedCurve,
};
use crate::quote::quote;
use serde::Serialize;
use std::collections::BTreeMap;
use std::fmt::{self, Display, Formatter};
use std::path::{Path, PathBuf};

/// What an actuator network is and needs. Prints as text and serialises with the same content.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct ActuatorInfo {
    /// `gru` or `mlp`.
    pub kind: &'static str,
    /// What was read.
    pub path: PathBuf,
    /// Which program wrote it.
    pub source: &'static str,
    /// SHA-256 of the weights file, in hexadecimal.
    pub sha256: String,
    /// Outputs of each layer, the last one the torque's.
    pub layers: Vec<usize>,
    /// Number of weights.
    pub parameters: usize,
    /// Rate of the training; `None` where no file says it.
    pub rate_hz: Option<f64>,
    /// Inputs of a GRU.
    pub features: Vec<FeatureInfo>,
    /// Inputs and scales of an MLP.
    pub history: Option<MlpSpec>,
    /// What a GRU gives, with the mean and standard deviation of the torque, N·m.
    pub output: Option<OutputInfo>,
    /// PD controller.
    pub pd: Option<PdPart>,
    /// Torque–speed curve of the PD controller.
    pub torque_speed_curve: Option<TorqueSpeedCurve>,
    /// Spring.
    pub spring: Option<Spring>,
    /// Motor whose four quadrants bound the sum.
    pub dc_motor: Option<DcMotorCurve>,
    /// Limit of the sum, N·m.
    pub effort_limit_nm: Option<f64>,
    /// Where it comes from.
    pub provenance: BTreeMap<String, String>,
    /// What was ignored, and what was assumed.
    pub notes: Vec<String>,
    /// What is probably wrong.
    pub warnings: Vec<String>,
}

/// An input and how it is normalised.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct FeatureInfo {
    /// Name.
    pub name: &'static str,
    /// Mean.
    pub mean: f64,
    /// What the difference from the mean is divided by.
    pub divisor: f64,
}

/// What the network gives.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct OutputInfo {
    /// Whole torque or residual.
    pub kind: Output,
    /// Mean of the torque, N·m.
    pub mean: f64,
    /// What the network's output is multiplied by, N·m.
    pub scale: f64,
}

impl ActuatorInfo {
    /// Describes a folder or file; one that does not say its rate is described as well.
    ///
    /// # Errors
    /// [`ActuatorFileError`] as [`import`](super::import()) has it.
    pub fn read(path: &Path, options: &ImportOptions) -> Result<Self, ActuatorFileError> {
        let reading = import::read(path, options)?;
        let mut info = Self::of(path, &reading.imported);
        if !reading.rate_is_known {
            info.rate_hz = None;
        }
        Ok(info)
    }

    /// Describes what was imported.
    #[must_use]
    pub fn of(path: &Path, imported: &Imported) -> Self {
        let Imported { bundle, source, sha256, notes, warnings } = imported;
        let mut info = Self {
            kind: "gru",
            path: path.to_path_buf(),
            source,
            sha256: sha256.clone(),
            layers: Vec::new(),
            parameters: 0,
            rate_hz: Some(bundle.rate_hz()),
            features: Vec::new(),
            history: None,
            output: None,
            pd: None,
            torque_speed_curve: None,
            spring: None,
            dc_motor: None,
            effort_limit_nm: None,
            provenance: bundle.provenance.clone(),
            notes: notes.clone(),
            warnings: warnings.clone(),
        };
        let count = |tensors: Vec<(String, Vec<usize>, &[f32])>| {
            tensors.iter().map(|(_, _, values)| values.len()).sum()
        };
        match &bundle.network {
            Network::Gru(spec, parameters) => {
                info.layers = vec![parameters.hidden; parameters.layers.len()];
                info.layers.push(1);
                info.parameters = count(parameters.tensors());
                let normalized = spec.features.iter().zip(spec.normalization.inputs());
                info.features = normalized
                    .map(|(feature, (mean, divisor))| FeatureInfo {
                        name: feature.name(),
                        mean,
                        divisor,
                    })
                    .collect();
                let (kind, mean) = (spec.output, spec.normalization.target_mean);
                let scale = spec.normalization.output_scale();
                info.output = Some(OutputInfo { kind, mean, scale });
                info.pd = spec.pd;
                info.torque_speed_curve = spec.torque_speed_curve;
                info.spring = spec.spring;
                info.dc_motor = spec.dc_motor;
                info.effort_limit_nm = spec.effort_limit_nm;
            }
            Network::Mlp(spec, parameters) => {
                info.kind = "mlp";
                info.layers = parameters.layers.iter().map(|layer| layer.outputs).collect();
                info.parameters = count(parameters.tensors());
                info.dc_motor = spec.dc_motor;
                info.effort_limit_nm = spec.effort_limit_nm;
                info.history = Some(spec.clone());
            }
        }
        info
    }
}

impl Display for ActuatorInfo {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        writeln!(f, "actuator      {} in {} ({})", self.kind, self.path.display(), self.source)?;
        writeln!(f, "sha256        {}", self.sha256)?;
        let layers: Vec<String> = self.layers.iter().map(usize::to_string).collect();
        writeln!(f, "layers        {}; {} weights", layers.join(" -> "), self.parameters)?;
        match self.rate_hz {
            Some(rate_hz) => writeln!(f, "rate          {rate_hz} Hz")?,
            None => writeln!(f, "rate          not said in any file: give it with --rate-hz")?,
        }
        for feature in &self.features {
            let FeatureInfo { name, mean, divisor } = feature;
            writeln!(f, "feature       {name:<22} (x - {mean:.6}) / {divisor:.6}")?;
        }
        if let Some(history) = &self.history {
            let MlpSpec { input_idx, pos_scale, vel_scale, torque_scale, .. } = history;
            writeln!(
                f,
                "inputs        steps back {input_idx:?}: {:?}, errors {:?} x {pos_scale}, velocities x {vel_scale}",
                history.input_order, history.error_sign
            )?;
            writeln!(f, "activation    {:?}, output x {torque_scale} N·m", history.activation)?;
        }
        if let Some(OutputInfo { kind, mean, scale }) = self.output {
            let what = match kind {
                Output::Full => format!("whole torque: nn x {scale:.6} + {mean:.6} N·m"),
                Output::Residual => format!(
                    "residual: nn x {scale:.6} N·m, added to PD and spring (the mean {mean:.6} is not)"
                ),
                Output::ResidualWithMean => {
                    format!("residual: nn x {scale:.6} + {mean:.6} N·m, added to PD and spring")
                }
            };
            writeln!(f, "output        {what}")?;
        }
        if let Some(pd) = self.pd {
            let towards = match pd.target_velocity {
                TargetVelocity::Zero => "rest",
                TargetVelocity::Given => "the target's velocity",
            };
            let (stiffness, damping) = (pd.stiffness_nm_per_rad, pd.damping_nm_s_per_rad);
            writeln!(
                f,
                "pd            {stiffness} N·m/rad, {damping} N·m·s/rad towards {towards}"
            )?;
        }
        if let Some(curve) = self.torque_speed_curve {
            let TorqueSpeedCurve { stall_torque_nm, no_load_speed_rad_s } = curve;
            writeln!(
                f,
                "curve         {stall_torque_nm} N·m at rest, none at {no_load_speed_rad_s} rad/s; of the PD part alone"
            )?;
        }
        if let Some(spring) = self.spring {
            let (k, rest) = (spring.stiffness_nm_per_rad, spring.rest_position_rad);
            let (sign, name) = match spring.convention {
                SpringConvention::Seed => ('+', "seed"),
                SpringConvention::Physical => ('-', "physical"),
            };
            writeln!(f, "spring        {sign}{k} N·m/rad x (q - {rest} rad) ({name})")?;
        }
        if let Some(motor) = self.dc_motor {
            let (stall, speed) = (motor.saturation_effort_nm, motor.no_load_speed_rad_s);
            let limit = motor.effort_limit_nm;
            writeln!(
                f,
                "motor         {stall} N·m at rest, {speed} rad/s without load, {limit} N·m for long"
            )?;
        }
        match self.effort_limit_nm {
            Some(limit) => writeln!(f, "effort limit  {limit} N·m")?,
            None => writeln!(f, "effort limit  none of its own")?,
        }
        for (key, value) in &self.provenance {
            writeln!(f, "provenance    {}: {}", quote(key), quote(value))?;
        }
        self.notes.iter().try_for_each(|note| writeln!(f, "note          {note}"))?;
        self.warnings.iter().try_for_each(|warning| writeln!(f, "warning       {warning}"))
    }
}
