//! From bytes of the keyboard to what they ask for.

use std::time::{Duration, Instant};

use crate::cycle::OperatorRequest;

/// What a key asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Action {
    /// Stop: `s` or `q`.
    Stop,
    /// Ctrl-C, where it arrives as a key and not as a signal.
    Interrupt,
    /// Show or hide the keys.
    Help,
    /// Draw everything anew.
    Redraw,
    /// Scroll the joints by this many rows.
    Scroll(i32),
}

#[derive(Clone, Copy, Debug, Default)]
enum Place {
    #[default]
    Ground,
    Escape,
    /// Inside `ESC [` or `ESC O`, with the first parameter so far.
    Sequence(u32),
}

/// Reads keys out of a stream of bytes, however it is cut into pieces.
#[derive(Clone, Copy, Debug, Default)]
pub struct Keys {
    place: Place,
}

impl Keys {
    /// Takes in one byte.
    pub fn feed(&mut self, byte: u8) -> Option<Action> {
        match (self.place, byte) {
            (_, 0x1b) => self.place = Place::Escape,
            (Place::Escape, b'[' | b'O') => self.place = Place::Sequence(0),
            (Place::Sequence(number), b'0'..=b'9') => {
                let number = number.saturating_mul(10).saturating_add(u32::from(byte - b'0'));
                self.place = Place::Sequence(number);
            }
            (Place::Sequence(number), 0x40..=0x7e) => {
                self.place = Place::Ground;
                return match (byte, number) {
                    (b'A', _) => Some(Action::Scroll(-1)),
                    (b'B', _) => Some(Action::Scroll(1)),
                    (b'~', 5) => Some(Action::Scroll(-10)),
                    (b'~', 6) => Some(Action::Scroll(10)),
                    _ => None,
                };
            }
            (Place::Sequence(_), 0x20..=0x3f) => {}
            _ => {
                self.place = Place::Ground;
                return match byte {
                    b's' | b'S' | b'q' | b'Q' => Some(Action::Stop),
                    0x03 => Some(Action::Interrupt),
                    b'?' | b'h' => Some(Action::Help),
                    0x0c => Some(Action::Redraw),
                    b'k' => Some(Action::Scroll(-1)),
                    b'j' => Some(Action::Scroll(1)),
                    _ => None,
                };
            }
        }
        None
    }
}

/// Decides which stop key counts. A key held down repeats itself, and the second stop takes torque
/// off: so a letter counts again only a second after whatever was asked for last. Ctrl-C counts as
/// its signal does.
#[derive(Clone, Copy, Debug, Default)]
pub struct StopKeys {
    request: OperatorRequest,
    raised: Option<Instant>,
}

impl StopKeys {
    const LETTER: Duration = Duration::from_secs(1);
    const INTERRUPT: Duration = Duration::from_millis(150);

    /// Notes what has been asked for by now, by keys or by signals.
    pub fn note(&mut self, request: OperatorRequest, now: Instant) {
        if request != self.request {
            self.request = request;
            self.raised = Some(now);
        }
    }

    /// True where `action`, pressed at `now`, is one more stop.
    pub fn counts(&self, action: Action, now: Instant) -> bool {
        let patience = match action {
            Action::Stop => Self::LETTER,
            Action::Interrupt => Self::INTERRUPT,
            _ => return false,
        };
        self.raised.is_none_or(|raised| now.saturating_duration_since(raised) >= patience)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn actions(bytes: &[u8]) -> Vec<Action> {
        let mut keys = Keys::default();
        bytes.iter().filter_map(|byte| keys.feed(*byte)).collect()
    }

    #[test]
    fn letters_control_keys_and_arrows_are_read() {
        assert_eq!(actions(b"sq"), [Action::Stop, Action::Stop]);
        assert_eq!(actions(b"\x03?\x0c"), [Action::Interrupt, Action::Help, Action::Redraw]);
        let scrolls = actions(b"\x1b[A\x1b[B\x1bOB\x1b[5~\x1b[6~jk");
        assert_eq!(scrolls, [-1, 1, 1, -10, 10, 1, -1].map(Action::Scroll));
    }

    #[test]
    fn a_letter_inside_a_sequence_of_the_terminal_stops_nothing() {
        // Reports of cursor, focus, size and colours, and function keys end in or hold letters.
        for bytes in
            [&b"\x1b[1;5S"[..], b"\x1b[8;24;80t", b"\x1b[?1;2c", b"\x1bOS", b"\x1b[I", b"\x1b[1;5q"]
        {
            assert_eq!(actions(bytes), [], "{bytes:?}");
        }
        assert_eq!(actions("größe, ß".as_bytes()), []);
    }

    #[test]
    fn a_key_held_down_does_not_take_torque_off_and_a_second_press_does() {
        let (mut keys, start) = (StopKeys::default(), Instant::now());
        let at = |millis| start + Duration::from_millis(millis);
        assert!(keys.counts(Action::Stop, at(0)));
        keys.note(OperatorRequest::Stop, at(0));
        for repeat in [250, 500, 533, 566, 990] {
            assert!(!keys.counts(Action::Stop, at(repeat)), "after {repeat} ms");
        }
        assert!(!keys.counts(Action::Interrupt, at(100)));
        assert!(keys.counts(Action::Interrupt, at(150)));
        assert!(keys.counts(Action::Stop, at(1000)));
        assert!(!keys.counts(Action::Help, at(5000)));
    }
}
