//! Text for the page: escaping, numbers and dates, without a locale.

use std::fmt::Write as _;

/// What stands where a number is unknown.
pub const UNKNOWN: &str = "–";

/// Keeps digits of a group and a number and its unit on one line.
const NARROW_SPACE: char = '\u{202f}';

/// Text as HTML, safe in elements and in quoted attributes.
pub fn escape(text: &str) -> String {
    let mut html = String::with_capacity(text.len());
    for character in text.chars() {
        match character {
            '&' => html.push_str("&amp;"),
            '<' => html.push_str("&lt;"),
            '>' => html.push_str("&gt;"),
            '"' => html.push_str("&quot;"),
            '\'' => html.push_str("&#39;"),
            // No other control character is allowed in HTML.
            '\n' | '\t' => html.push(character),
            control if control.is_control() => html.push('\u{fffd}'),
            other => html.push(other),
        }
    }
    html
}

/// JSON as the content of a `script` element: nothing in it can end the element.
pub fn script_json(value: &serde_json::Value) -> String {
    // These characters only occur inside JSON strings, where the escape means the same.
    value.to_string().replace('&', "\\u0026").replace('<', "\\u003c").replace('>', "\\u003e")
}

/// Base64 with padding (RFC 4648, section 4).
pub fn base64(bytes: &[u8]) -> String {
    const ALPHABET: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut text = String::with_capacity(bytes.len().div_ceil(3) * 4);
    for group in bytes.chunks(3) {
        let byte = |index: usize| u32::from(group.get(index).copied().unwrap_or(0));
        let bits = byte(0) << 16 | byte(1) << 8 | byte(2);
        for digit in 0..4 {
            if digit <= group.len() {
                text.push(char::from(ALPHABET[(bits >> (18 - 6 * digit) & 63) as usize]));
            } else {
                text.push('=');
            }
        }
    }
    text
}

/// A count, with its digits in groups of three.
pub fn count(value: u64) -> String {
    group(&value.to_string())
}

/// A number with `decimals` digits after the point.
pub fn fixed(value: f64, decimals: usize) -> String {
    if !value.is_finite() {
        return UNKNOWN.to_owned();
    }
    let text = format!("{:.decimals$}", value.abs());
    let sign =
        if value < 0.0 && text.contains(|c: char| matches!(c, '1'..='9')) { "−" } else { "" };
    match text.split_once('.') {
        Some((whole, part)) => format!("{sign}{}.{part}", group(whole)),
        None => format!("{sign}{}", group(&text)),
    }
}

fn group(digits: &str) -> String {
    let mut text = String::with_capacity(digits.len() * 2);
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) && digits.len() > 4 {
            text.push(NARROW_SPACE);
        }
        text.push(digit);
    }
    text
}

/// A duration in µs, in the unit in which it has one to three digits before the point.
pub fn micros(value: f64) -> String {
    let (value, unit) = match value.abs() {
        small if small < 999.5 => (value, "µs"),
        medium if medium < 999_500.0 => (value / 1e3, "ms"),
        _ => (value / 1e6, "s"),
    };
    format!("{}{NARROW_SPACE}{unit}", significant(value))
}

/// A number with three significant digits.
pub fn significant(value: f64) -> String {
    let decimals = match value.abs() {
        size if size < 9.995 => 2,
        size if size < 99.95 => 1,
        _ => 0,
    };
    fixed(value, decimals)
}

/// A duration in s: as seconds, and above two minutes in hours, minutes and seconds too.
pub fn seconds(value: f64) -> String {
    if !value.is_finite() {
        return UNKNOWN.to_owned();
    }
    if value < 120.0 {
        return format!("{}{NARROW_SPACE}s", fixed(value, 2));
    }
    let whole = value.round() as u64;
    let (hours, minutes, seconds) = (whole / 3600, whole / 60 % 60, whole % 60);
    if hours > 0 {
        format!("{hours}{NARROW_SPACE}h {minutes:02}{NARROW_SPACE}min {seconds:02}{NARROW_SPACE}s")
    } else {
        format!("{minutes}{NARROW_SPACE}min {seconds:02}{NARROW_SPACE}s")
    }
}

/// A size in bytes.
pub fn bytes(value: u64) -> String {
    let size = value as f64;
    let (size, unit) = match value {
        0..1_000 => return format!("{value}{NARROW_SPACE}B"),
        1_000..1_000_000 => (size / 1e3, "kB"),
        1_000_000..1_000_000_000 => (size / 1e6, "MB"),
        _ => (size / 1e9, "GB"),
    };
    format!("{}{NARROW_SPACE}{unit}", significant(size))
}

/// A time in ns since the Unix epoch as date and time of day in UTC.
pub fn utc(unix_ns: u64) -> String {
    let seconds = unix_ns / 1_000_000_000;
    let (mut days, time) = (seconds / 86_400, seconds % 86_400);
    let leap = |year: u64| {
        year.is_multiple_of(4) && (!year.is_multiple_of(100) || year.is_multiple_of(400))
    };
    // At most some 600 steps for any u64 of nanoseconds.
    let mut year = 1970;
    while days >= 365 + u64::from(leap(year)) {
        days -= 365 + u64::from(leap(year));
        year += 1;
    }
    let february = 28 + u64::from(leap(year));
    let mut month = 1;
    for length in [31, february, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31] {
        if days < length {
            break;
        }
        days -= length;
        month += 1;
    }
    let mut text = String::new();
    // Writing to a string cannot fail.
    let _ = write!(
        text,
        "{year:04}-{month:02}-{:02} {:02}:{:02}:{:02} UTC",
        days + 1,
        time / 3600,
        time / 60 % 60,
        time % 60
    );
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_in_a_text_or_in_json_can_end_its_element() {
        assert_eq!(
            escape("<b a='1'>\"&\"\u{1}</b>\n"),
            "&lt;b a=&#39;1&#39;&gt;&quot;&amp;&quot;\u{fffd}&lt;/b&gt;\n"
        );
        let value = serde_json::json!({"a</script><!--": "&amp;"});
        let text = script_json(&value);
        assert!(!text.contains(['<', '>', '&']), "{text}");
        assert_eq!(serde_json::from_str::<serde_json::Value>(&text).unwrap(), value);
    }

    #[test]
    fn base64_agrees_with_the_examples_of_rfc_4648() {
        for (bytes, text) in [
            ("", ""),
            ("f", "Zg=="),
            ("fo", "Zm8="),
            ("foo", "Zm9v"),
            ("foob", "Zm9vYg=="),
            ("fooba", "Zm9vYmE="),
            ("foobar", "Zm9vYmFy"),
        ] {
            assert_eq!(base64(bytes.as_bytes()), text);
        }
        assert_eq!(base64(&[0xfb, 0xff, 0xbf]), "+/+/");
    }

    #[test]
    fn numbers_have_sensible_digits() {
        assert_eq!(count(1234), "1234");
        assert_eq!(count(1_234_567), "1\u{202f}234\u{202f}567");
        assert_eq!(fixed(-12345.678, 1), "−12\u{202f}345.7");
        assert_eq!(fixed(-0.001, 1), "0.0");
        assert_eq!(fixed(f64::NAN, 1), UNKNOWN);
        assert_eq!(micros(84.123), "84.1\u{202f}µs");
        assert_eq!(micros(999.9), "1.00\u{202f}ms");
        assert_eq!(micros(20_012.0), "20.0\u{202f}ms");
        assert_eq!(micros(1_500_000.0), "1.50\u{202f}s");
        assert_eq!(seconds(10.021), "10.02\u{202f}s");
        assert_eq!(seconds(3725.4), "1\u{202f}h 02\u{202f}min 05\u{202f}s");
        assert_eq!(bytes(4_812_345), "4.81\u{202f}MB");
    }

    #[test]
    fn dates_count_leap_years() {
        let at = |seconds: u64| utc(seconds * 1_000_000_000);
        assert_eq!(at(0), "1970-01-01 00:00:00 UTC");
        assert_eq!(at(951_782_400), "2000-02-29 00:00:00 UTC");
        assert_eq!(at(1_709_251_199), "2024-02-29 23:59:59 UTC");
        assert_eq!(at(1_709_251_200), "2024-03-01 00:00:00 UTC");
        assert_eq!(at(4_107_542_400), "2100-03-01 00:00:00 UTC");
    }
}
