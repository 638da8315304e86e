//! Why bytes were refused.

/// A frame or line that is whole and yet makes no sense.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
pub enum WireError {
    /// No such type of frame.
    #[error("unknown frame type {kind:#04x}")]
    UnknownType {
        /// The type byte.
        kind: u8,
    },
    /// The type exists, but not with a payload of this length.
    #[error("frame type {kind:#04x} with a payload of {length} bytes instead of {expected}")]
    Length {
        /// The type byte.
        kind: u8,
        /// Payload bytes received.
        length: usize,
        /// Payload bytes of this type.
        expected: usize,
    },
    /// A number that is none.
    #[error("{field} is not a finite number")]
    NotFinite {
        /// The quantity.
        field: &'static str,
    },
    /// A number that has no meaning there.
    #[error("{field} is {value}, which means nothing")]
    Meaningless {
        /// The quantity.
        field: &'static str,
        /// The value on the wire.
        value: f64,
    },
    /// A line of text with too few values.
    #[error("a line with {count} values; expected at least {expected}")]
    TooFewValues {
        /// Values in the line.
        count: usize,
        /// Values needed.
        expected: usize,
    },
    /// A value of a line that is not a number.
    #[error("{field}: not a number")]
    NotANumber {
        /// The column.
        field: &'static str,
    },
    /// A header without one of the nine columns.
    #[error(
        "the header has no column {column}; expected Time_ms,Encoder_Angle,Commanded_Angle,Acc_X,Acc_Y,Acc_Z,Gyro_X,Gyro_Y,Gyro_Z"
    )]
    MissingColumn {
        /// The column.
        column: &'static str,
    },
    /// A header that names a column twice.
    #[error("the header names column {column} twice")]
    RepeatedColumn {
        /// The column.
        column: &'static str,
    },
    /// A line that is no command of the text protocol.
    #[error("not a command")]
    NotACommand,
}
