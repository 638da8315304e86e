//! Headers, and the reader that cuts a TCP stream into messages.

use super::WireError;
use super::field::Reader;

/// The longest request of either port, header included: SetCollisionBehavior.
pub const MAX_REQUEST: usize = 428;

/// How a port's headers look.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum HeaderLayout {
    /// Command in four bytes, number, size.
    Robot,
    /// Command in two bytes, number, size.
    Gripper,
}

impl HeaderLayout {
    /// Bytes of a header.
    pub const fn size(self) -> usize {
        match self {
            Self::Robot => 12,
            Self::Gripper => 10,
        }
    }
}

/// What stands before every message on TCP, in both directions.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Header {
    /// Number of the function.
    pub command: u32,
    /// Number of the request; an answer has the number of its request.
    pub id: u32,
    /// Bytes of the message, header included.
    pub size: u32,
}

impl Header {
    /// Appends the header. Commands of the hand have two bytes.
    pub fn encode(&self, layout: HeaderLayout, out: &mut Vec<u8>) {
        match layout {
            HeaderLayout::Robot => out.extend_from_slice(&self.command.to_le_bytes()),
            HeaderLayout::Gripper => out.extend_from_slice(&(self.command as u16).to_le_bytes()),
        }
        out.extend_from_slice(&self.id.to_le_bytes());
        out.extend_from_slice(&self.size.to_le_bytes());
    }

    /// The header at the front of `bytes`, if all of it is there.
    pub fn parse(layout: HeaderLayout, bytes: &[u8]) -> Option<Self> {
        let mut reader = Reader::new(bytes.get(..layout.size())?);
        let command = match layout {
            HeaderLayout::Robot => reader.u32(),
            HeaderLayout::Gripper => reader.u16().into(),
        };
        Some(Self { command, id: reader.u32(), size: reader.u32() })
    }
}

/// One whole message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Message {
    /// Its header.
    pub header: Header,
    /// What follows the header.
    pub payload: Vec<u8>,
}

/// Cuts a stream into requests. A header that announces an impossible size ends the stream: what
/// follows it cannot be found.
#[derive(Clone, Debug)]
pub struct MessageReader {
    layout: HeaderLayout,
    held: Vec<u8>,
}

impl MessageReader {
    /// A reader that has seen nothing.
    pub const fn new(layout: HeaderLayout) -> Self {
        Self { layout, held: Vec::new() }
    }

    /// Takes bytes from the stream. Take messages before the next call.
    pub fn push(&mut self, bytes: &[u8]) {
        self.held.extend_from_slice(bytes);
    }

    /// Forgets all held bytes.
    pub fn reset(&mut self) {
        self.held.clear();
    }

    /// The next whole message, if there is one.
    ///
    /// # Errors
    /// [`WireError::Announced`]: close the connection.
    pub fn take_message(&mut self) -> Result<Option<Message>, WireError> {
        let Some(header) = Header::parse(self.layout, &self.held) else { return Ok(None) };
        let least = self.layout.size();
        let size = usize::try_from(header.size).unwrap_or(usize::MAX);
        if !(least..=MAX_REQUEST).contains(&size) {
            return Err(WireError::Announced { size: header.size, least, most: MAX_REQUEST });
        }
        let Some(payload) = self.held.get(least..size) else { return Ok(None) };
        let payload = payload.to_vec();
        self.held.drain(..size);
        Ok(Some(Message { header, payload }))
    }
}
