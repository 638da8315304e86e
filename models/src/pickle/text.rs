//! Text of protocol 0: numbers and strings as lines.

/// A number in decimal digits.
pub(super) fn number<T: std::str::FromStr>(line: &[u8]) -> Option<T> {
    std::str::from_utf8(line).ok()?.parse().ok()
}

/// A string as Python 2 prints it: in quotes, with escapes.
pub(super) fn quoted(line: &[u8]) -> Option<Vec<u8>> {
    let quote = *line.first().filter(|byte| **byte == b'\'' || **byte == b'"')?;
    let inner = line.get(1..)?.strip_suffix(&[quote])?;
    let mut bytes = Vec::with_capacity(inner.len());
    let mut rest = inner.iter();
    while let Some(byte) = rest.next() {
        if *byte != b'\\' {
            bytes.push(*byte);
            continue;
        }
        bytes.push(match rest.next()? {
            b'n' => b'\n',
            b'r' => b'\r',
            b't' => b'\t',
            b'x' => u8::try_from(hexadecimal(rest.by_ref().take(2), 2)?).ok()?,
            literal @ (b'\\' | b'\'' | b'"') => *literal,
            _ => return None,
        });
    }
    Some(bytes)
}

/// Text in Python's `raw-unicode-escape`: Latin-1 with escapes for everything else.
pub(super) fn raw_unicode(line: &[u8]) -> Option<String> {
    let mut text = String::with_capacity(line.len());
    let mut rest = line.iter().peekable();
    while let Some(byte) = rest.next() {
        let digits = match (byte, rest.peek()) {
            (b'\\', Some(b'u')) => 4,
            (b'\\', Some(b'U')) => 8,
            _ => {
                text.push(char::from(*byte));
                continue;
            }
        };
        rest.next();
        text.push(char::from_u32(hexadecimal(rest.by_ref().take(digits), digits)?)?);
    }
    Some(text)
}

fn hexadecimal<'b>(bytes: impl Iterator<Item = &'b u8>, count: usize) -> Option<u32> {
    let mut digits = 0;
    let value = bytes.into_iter().try_fold(0_u32, |value, byte| {
        digits += 1;
        value.checked_mul(16)?.checked_add(char::from(*byte).to_digit(16)?)
    })?;
    (digits == count).then_some(value)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn escapes_of_old_protocols_are_read() {
        assert_eq!(quoted(br"'a\x00\\\'\n'").unwrap(), b"a\0\\'\n");
        assert_eq!(quoted(b"\"it's\"").unwrap(), b"it's");
        for bad in [&b"abc"[..], b"'", b"'a\"", br"'\q'", br"'\x1'", b""] {
            assert!(quoted(bad).is_none(), "{bad:?}");
        }
        assert_eq!(raw_unicode(b"a\\u005c\xe9\\U0001f600\\n").unwrap(), "a\\\u{e9}\u{1f600}\\n");
        for bad in [&b"\\ud800"[..], b"\\u12", b"\\Uffffffff"] {
            assert!(raw_unicode(bad).is_none(), "{bad:?}");
        }
    }
}
