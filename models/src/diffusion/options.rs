//! What may be chosen over a checkpoint's own settings.

/// How samples are drawn.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Scheduler {
    /// Ancestral sampling (Ho et al., 2020): noise is added again after every step but the last.
    Ddpm,
    /// Deterministic sampling (Song et al., 2021, eta 0): good with a tenth of the steps, also of
    /// weights that were trained for DDPM.
    Ddim,
}

impl Scheduler {
    /// All of them.
    pub const ALL: [Self; 2] = [Self::Ddpm, Self::Ddim];
}

impl AsRef<str> for Scheduler {
    /// LeRobot's name.
    fn as_ref(&self) -> &str {
        match self {
            Self::Ddpm => "DDPM",
            Self::Ddim => "DDIM",
        }
    }
}

/// Choices for a Diffusion Policy; other policies have no use for them.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct DiffusionOptions {
    /// How samples are drawn; the checkpoint's own way if not given.
    pub scheduler: Option<Scheduler>,
    /// Steps of one inference; the checkpoint's own number if not given.
    pub steps: Option<usize>,
    /// Where the noise begins: the same seed gives the same chunks.
    pub seed: u64,
    /// Begin with the previous chunk instead of noise only: it gets the noise of this part of the
    /// diffusion, above 0 and at most 1, and only the steps from there on are run.
    pub warm_start: Option<f32>,
    /// Keep the actions that are already committed, so that the rest continues them.
    pub inpaint: bool,
}
