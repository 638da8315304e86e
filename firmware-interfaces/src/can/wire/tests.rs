//! Lines against the captured traffic of python-can, and against noise.

use proptest::prelude::*;

use super::super::bus::Condition;
use super::super::frame::{Frame, Id};
use super::*;

fn line(text: &str) -> Line {
    let mut reader = LineReader::new();
    let bytes = [text.as_bytes(), b"\r"].concat();
    reader.next(&mut &bytes[..]).unwrap()
}

fn frames() -> impl Strategy<Value = Frame> {
    let id = prop_oneof![
        (0..=0x7FFu16).prop_map(Id::Standard),
        (0..=0x1FFF_FFFFu32).prop_map(Id::Extended)
    ];
    (id, prop::collection::vec(any::<u8>(), 0..=8), any::<bool>()).prop_map(|(id, data, remote)| {
        if remote { Frame::remote(id, data.len() as u8) } else { Frame::new(id, &data) }.unwrap()
    })
}

#[test]
fn every_captured_line_is_understood_and_written_again_as_it_was() {
    let log = include_str!("../../../../tests/fixtures/slcan/slcan_traffic.log");
    let mut frames = 0;
    for row in log.lines() {
        let quoted = row.split_once("b'").unwrap().1.trim_end_matches('\'');
        let text = quoted.trim_end_matches("\\r");
        let captured = line(text);
        if row.contains(" > ") {
            let request = Request::parse(text.as_bytes()).unwrap_or_else(|| panic!("{row}"));
            frames += usize::from(matches!(request, Request::Transmit(_)));
            assert_eq!(request.encode().as_bytes(), format!("{text}\r").as_bytes(), "{row}");
        } else {
            let reply = Reply::parse(&captured).unwrap_or_else(|| panic!("{row}"));
            frames += usize::from(matches!(reply, Reply::Received { .. }));
            assert_eq!(reply.encode().as_bytes(), format!("{text}\r").as_bytes(), "{row}");
        }
    }
    assert_eq!(frames, 416);
}

#[test]
fn times_status_and_states_are_read() {
    let received = Reply::parse(&line("t0118117FFF7FF7FF2320EA5F")).unwrap();
    assert!(matches!(received, Reply::Received { time: Some(0xEA5F), .. }));
    assert_eq!(Reply::parse(&line("F82")), Some(Reply::Flags(Flags(0x82))));
    assert_eq!(Flags(0x82).condition(), Condition::BusOff);
    assert_eq!(Flags(0x20).condition(), Condition::Passive);
    assert_eq!(Flags(0x40).condition(), Condition::Active);
    let state =
        Reply::State { condition: Condition::BusOff, receive_errors: 0, transmit_errors: 255 };
    assert_eq!(Reply::parse(&line("sb000255")), Some(state));
    assert_eq!(state.encode().as_bytes(), b"sb000255\r");
}

#[test]
fn what_is_no_line_of_the_protocol_is_refused() {
    for text in [
        "t8001AA",
        "t01",
        "t0119",
        "t011811",
        "t0112AAB",
        "T200000000",
        "TFFFFFFFF0",
        "tXYZ0",
        "t0111G0",
        "S9",
        "s12",
        "Z2",
        "q",
        "t0110AA",
        "r0119",
    ] {
        assert_eq!(Request::parse(text.as_bytes()), None, "{text}");
    }
    for text in ["Fx0", "F1", "V10", "N", "sb12", "sx000000", "sb0002x5", "t0110AA", "zz"] {
        assert_eq!(Reply::parse(&line(text)), None, "{text}");
    }
}

#[test]
fn a_bell_ends_a_line_and_refuses() {
    let mut reader = LineReader::new();
    let mut bytes: &[u8] = b"\x07z\r";
    let bell = reader.next(&mut bytes).unwrap();
    assert_eq!(Reply::parse(&bell), Some(Reply::Refused));
    let next = reader.next(&mut bytes).unwrap();
    assert_eq!(Reply::parse(&next), Some(Reply::Sent { extended: false }));
}

#[test]
fn a_line_that_is_too_long_does_not_swallow_the_next() {
    let mut reader = LineReader::new();
    let bytes = [&[b'A'; 200][..], b"\rt0110\r"].concat();
    let mut rest = &bytes[..];
    let found = reader.next(&mut rest).unwrap();
    assert!(matches!(Reply::parse(&found), Some(Reply::Received { .. })));
    assert!(reader.skipped() > 0);
    assert_eq!(reader.next(&mut rest), None);
}

proptest! {
    #[test]
    fn frames_come_back_as_they_went(frame in frames(), time in prop::option::of(0..60_000u16)) {
        let text = Request::Transmit(frame).encode();
        let bytes = text.as_bytes();
        let sent = Request::parse(&bytes[..bytes.len() - 1]);
        prop_assert_eq!(sent, Some(Request::Transmit(frame)));
        let reply = Reply::Received { frame, time };
        let text = reply.encode();
        let mut bytes = text.as_bytes();
        let line = LineReader::new().next(&mut bytes).unwrap();
        prop_assert_eq!(Reply::parse(&line), Some(reply));
    }

    #[test]
    fn any_bytes_are_survived_and_frames_behind_them_are_found(
        noise in prop::collection::vec(any::<u8>(), 0..200), cut in 1usize..40, frame in frames(),
    ) {
        let text = Reply::Received { frame, time: None }.encode();
        let bytes = [&noise[..], b"\r", text.as_bytes()].concat();
        let mut reader = LineReader::new();
        let mut last = None;
        for mut piece in bytes.chunks(cut) {
            while let Some(line) = reader.next(&mut piece) {
                last = Reply::parse(&line);
            }
        }
        prop_assert_eq!(last, Some(Reply::Received { frame, time: None }));
    }

    #[test]
    fn a_flipped_bit_gives_a_frame_or_nothing_and_never_a_panic(
        frame in frames(), place in 0usize..26, bit in 0u8..8,
    ) {
        let mut bytes = Request::Transmit(frame).encode().as_bytes().to_vec();
        let place = place % bytes.len();
        bytes[place] ^= 1 << bit;
        let mut reader = LineReader::new();
        let mut rest = &bytes[..];
        while let Some(line) = reader.next(&mut rest) {
            if let Some(Request::Transmit(other)) = Request::parse(line.as_bytes()) {
                prop_assert!(other.id().is_valid() && other.length() <= 8);
            }
        }
    }
}
