//! The codec against arbitrary bytes.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use proptest::prelude::*;
use sinew_firmware_interfaces::mycobot320::wire::{
    Frame, FrameReader, MAX_PAYLOAD, ParseError, Reply, Request,
};

proptest! {
    #![proptest_config(ProptestConfig::with_cases(4096))]

    #[test]
    fn any_stream_is_read_without_a_panic_and_what_is_understood_round_trips(
        bytes in prop::collection::vec(
            prop_oneof![4 => Just(0xFEu8), 2 => Just(0xFAu8), 4 => 2u8..=30, 4 => any::<u8>()],
            0..200),
    ) {
        let mut reader = FrameReader::new();
        let mut rest = &bytes[..];
        while let Some(frame) = reader.next(&mut rest) {
            if let Ok(request) = Request::parse(&frame) {
                prop_assert_eq!(request.encode(), frame);
            }
            if let Ok(reply) = Reply::parse(&frame) {
                prop_assert_eq!(reply.encode(), frame);
            }
        }
    }

    #[test]
    fn any_frame_is_understood_exactly_or_refused_by_name(
        command in any::<u8>(), payload in prop::collection::vec(any::<u8>(), 0..=MAX_PAYLOAD),
    ) {
        let frame = Frame::new(command, &payload).unwrap();
        for result in [
            Request::parse(&frame).map(|request| request.encode()),
            Reply::parse(&frame).map(|reply| reply.encode()),
        ] {
            match result {
                Ok(encoded) => prop_assert_eq!(encoded, frame),
                Err(ParseError::UnknownCommand { command: named }) => prop_assert_eq!(named, command),
                Err(ParseError::Length { command: named, length }) => {
                    prop_assert_eq!((named, length), (command, payload.len()));
                }
            }
        }
    }
}

#[test]
fn every_command_of_the_reference_is_known() {
    // Command bytes of the vendor's table for the 320.
    let listed = [
        0x02..=0x02,
        0x07..=0x09,
        0x10..=0x17,
        0x19..=0x1B,
        0x1D..=0x1D,
        0x20..=0x2B,
        0x30..=0x34,
        0x3A..=0x3E,
        0x4A..=0x4D,
        0x50..=0x57,
        0x60..=0x62,
        0x65..=0x6E,
        0x81..=0x8A,
        0x8D..=0x8D,
        0xA0..=0xA1,
        0xB0..=0xB1,
        0xC0..=0xC1,
        0xD5..=0xD5,
        0xD8..=0xD8,
        0xE1..=0xE9,
        0xF6..=0xF7,
    ];
    for command in listed.into_iter().flatten() {
        let known = (0..=MAX_PAYLOAD)
            .any(|length| Request::parse(&Frame::new(command, &vec![0; length]).unwrap()).is_ok());
        assert!(known, "request {command:#04x}");
        if matches!(command, 0xB0 | 0xB1) {
            continue; // answered in plain text
        }
        let answered = (0..=MAX_PAYLOAD)
            .any(|length| Reply::parse(&Frame::new(command, &vec![0; length]).unwrap()).is_ok());
        assert!(answered, "reply {command:#04x}");
    }
}
