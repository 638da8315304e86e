//! Faults that the mock arm can be told to have.

/// What is wrong with the mock arm. The default is nothing.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Faults {}

/// Why a fault's description was refused.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum FaultError {
    /// No fault of this name.
    #[error("unknown fault \"{name}\"")]
    Unknown {
        /// The name given.
        name: String,
    },
}

impl Faults {
    /// Adds one fault described as `NAME[=VALUE][@START]`.
    ///
    /// # Errors
    /// [`FaultError`] names what is wrong with the description.
    pub fn add(&mut self, description: &str) -> Result<(), FaultError> {
        Err(FaultError::Unknown { name: description.to_owned() })
    }
}
