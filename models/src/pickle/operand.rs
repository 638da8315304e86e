//! Operands that opcodes spell in several ways.

use super::document::Node;
use super::error::Fault;
use super::opcode as op;
use super::source::Source;
use super::text;

/// Longest integer, in bytes.
const MAX_INTEGER: usize = size_of::<i128>();

/// Where a value is remembered.
pub(super) fn memo_index(code: u8, source: &mut Source<'_>) -> Result<u32, Fault> {
    match code {
        op::BINGET | op::BINPUT => source.byte().map(u32::from).ok_or(Fault::Truncated),
        op::LONG_BINGET | op::LONG_BINPUT => source.u32().ok_or(Fault::Truncated),
        _ => {
            let index = text::number(source.line().ok_or(Fault::Truncated)?);
            index.ok_or(Fault::Malformed("no number"))
        }
    }
}

/// The operand of an opcode for whole numbers. Protocol 0 spells truth values as 00 and 01.
pub(super) fn integer<'a>(code: u8, source: &mut Source<'a>) -> Result<Node<'a>, Fault> {
    let number = match code {
        op::BININT => source.i32().map(i128::from),
        op::BININT1 => source.byte().map(i128::from),
        op::BININT2 => source.u16().map(i128::from),
        op::LONG1 | op::LONG4 => {
            let bytes = if code == op::LONG1 { source.counted_u8() } else { source.counted_u32() };
            let bytes = bytes.ok_or(Fault::Truncated)?;
            if bytes.len() > MAX_INTEGER {
                return Err(Fault::Limit("bytes in a whole number", MAX_INTEGER));
            }
            let negative = bytes.last().is_some_and(|byte| byte & 0x80 != 0);
            let mut wide = [if negative { 0xff } else { 0 }; MAX_INTEGER];
            wide[..bytes.len()].copy_from_slice(bytes);
            Some(i128::from_le_bytes(wide))
        }
        _ => {
            let line = source.line().ok_or(Fault::Truncated)?;
            if code == op::INT && (line == b"00" || line == b"01") {
                return Ok(Node::Bool(line == b"01"));
            }
            // Python 2 marks long integers.
            let digits = line.strip_suffix(b"L").unwrap_or(line);
            return text::number(digits).map(Node::Int).ok_or(Fault::Malformed("no number"));
        }
    };
    number.map(Node::Int).ok_or(Fault::Truncated)
}
