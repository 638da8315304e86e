//! Fields of a payload and the table macro that turns a list of messages into an enum with
//! `encode` and `parse`.

/// A cursor over a payload that is being parsed.
pub(super) struct Reader<'a> {
    bytes: &'a [u8],
}

impl<'a> Reader<'a> {
    pub(super) const fn new(bytes: &'a [u8]) -> Self {
        Self { bytes }
    }

    fn take(&mut self) -> Option<u8> {
        let (first, rest) = self.bytes.split_first()?;
        self.bytes = rest;
        Some(*first)
    }

    pub(super) const fn is_empty(&self) -> bool {
        self.bytes.is_empty()
    }
}

/// Something with a fixed place in a payload.
pub(super) trait Field: Sized {
    fn put(&self, frame: &mut super::Frame);
    fn get(reader: &mut Reader<'_>) -> Option<Self>;
}

impl Field for u8 {
    fn put(&self, frame: &mut super::Frame) {
        frame.append(*self);
    }

    fn get(reader: &mut Reader<'_>) -> Option<Self> {
        reader.take()
    }
}

impl Field for u16 {
    fn put(&self, frame: &mut super::Frame) {
        self.to_be_bytes().iter().for_each(|byte| frame.append(*byte));
    }

    fn get(reader: &mut Reader<'_>) -> Option<Self> {
        Some(Self::from_be_bytes([reader.take()?, reader.take()?]))
    }
}

impl Field for i16 {
    fn put(&self, frame: &mut super::Frame) {
        self.to_be_bytes().iter().for_each(|byte| frame.append(*byte));
    }

    fn get(reader: &mut Reader<'_>) -> Option<Self> {
        Some(Self::from_be_bytes([reader.take()?, reader.take()?]))
    }
}

impl<T: Field + Copy + Default, const N: usize> Field for [T; N] {
    fn put(&self, frame: &mut super::Frame) {
        self.iter().for_each(|item| item.put(frame));
    }

    fn get(reader: &mut Reader<'_>) -> Option<Self> {
        let mut items = [T::default(); N];
        for item in &mut items {
            *item = T::get(reader)?;
        }
        Some(items)
    }
}

/// Present if bytes are left: only for the last field of a message.
impl<T: Field> Field for Option<T> {
    fn put(&self, frame: &mut super::Frame) {
        if let Some(value) = self {
            value.put(frame);
        }
    }

    fn get(reader: &mut Reader<'_>) -> Option<Self> {
        if reader.is_empty() { Some(None) } else { T::get(reader).map(Some) }
    }
}

/// Defines an enum of messages from a table of `CODE Name { field: type, … },` rows.
///
/// Several rows may share a code if their payload lengths differ: parsing takes the first row that
/// consumes the payload exactly.
macro_rules! messages {
    (
        $(#[$outer:meta])*
        $vis:vis enum $name:ident {
            $(
                $(#[$meta:meta])*
                $code:literal $variant:ident { $($field:ident: $type:ty),* $(,)? },
            )*
        }
    ) => {
        $(#[$outer])*
        $vis enum $name {
            $(
                $(#[$meta])*
                #[allow(missing_docs, reason = "fields are described with their message")]
                $variant { $($field: $type),* },
            )*
        }

        impl $name {
            /// The message's command byte.
            pub const fn command(&self) -> u8 {
                match self {
                    $(Self::$variant { .. } => $code,)*
                }
            }

            /// The message's name, for reports.
            pub const fn name(&self) -> &'static str {
                match self {
                    $(Self::$variant { .. } => stringify!($variant),)*
                }
            }

            /// The message as a frame.
            pub fn encode(&self) -> $crate::mycobot320::wire::Frame {
                #[allow(unused_mut, reason = "messages without fields append nothing")]
                let mut frame = $crate::mycobot320::wire::Frame::empty(self.command());
                match self {
                    $(Self::$variant { $($field),* } => {
                        $($crate::mycobot320::wire::field::Field::put($field, &mut frame);)*
                    })*
                }
                frame
            }

            fn parse_table(
                command: u8,
                payload: &[u8],
            ) -> Result<Self, $crate::mycobot320::wire::ParseError> {
                use $crate::mycobot320::wire::ParseError;
                use $crate::mycobot320::wire::field::{Field, Reader};
                #[allow(unused_mut, reason = "set by any row of the table")]
                let mut known = false;
                $(
                    if command == $code {
                        known = true;
                        #[allow(unused_mut, reason = "messages without fields read nothing")]
                        let mut reader = Reader::new(payload);
                        #[allow(unused_mut, reason = "messages without fields read nothing")]
                        let mut fields = || {
                            Some(Self::$variant {
                                $($field: <$type as Field>::get(&mut reader)?),*
                            })
                        };
                        let message = fields();
                        if let (Some(message), true) = (message, reader.is_empty()) {
                            return Ok(message);
                        }
                    }
                )*
                Err(if known {
                    ParseError::Length { command, length: payload.len() }
                } else {
                    ParseError::UnknownCommand { command }
                })
            }
        }
    };
}

pub(super) use messages;
