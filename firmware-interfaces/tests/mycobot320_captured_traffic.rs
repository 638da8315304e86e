//! The codec against traffic that pymycobot 4.0.7 produced.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use sinew_firmware_interfaces::mycobot320::wire::{Answer, Frame, FrameReader, Reply, Request};

const TRAFFIC: &str = include_str!("../../tests/fixtures/mycobot320/mc_traffic.log");

fn lines() -> impl Iterator<Item = (char, Vec<u8>)> {
    TRAFFIC.lines().map(|line| {
        let mut words = line.split_whitespace().skip(1);
        let direction = words.next().and_then(|word| word.chars().next()).unwrap();
        (direction, words.map(|word| u8::from_str_radix(word, 16).unwrap()).collect())
    })
}

fn frame(bytes: &[u8]) -> Frame {
    let mut rest = bytes;
    let frame = FrameReader::new().next(&mut rest).unwrap();
    assert!(rest.is_empty());
    frame
}

#[test]
fn every_captured_frame_is_understood_and_encoded_to_the_same_bytes() {
    let (mut requests, mut replies) = (0, 0);
    for (direction, bytes) in lines() {
        let encoded = if direction == '>' {
            requests += 1;
            Request::parse(&frame(&bytes)).unwrap().encode()
        } else {
            replies += 1;
            Reply::parse(&frame(&bytes)).unwrap().encode()
        };
        assert_eq!(encoded.as_bytes(), bytes, "{direction} {bytes:02x?}");
    }
    assert_eq!((requests, replies), (266, 266));
}

#[test]
fn known_frames_have_the_documented_meaning() {
    let request = |bytes: &[u8]| Request::parse(&frame(bytes)).unwrap();
    let send_angles = [
        0xfe, 0xfe, 0x0f, 0x22, 0x03, 0xe8, 0x07, 0xd0, 0xf4, 0x48, 0x0f, 0xd2, 0xec, 0x5f, 0x17,
        0x70, 0x32, 0xfa,
    ];
    assert_eq!(
        request(&send_angles),
        Request::SendAngles { angles: [1000, 2000, -3000, 4050, -5025, 6000], speed: 50 }
    );
    assert_eq!(
        request(&[0xfe, 0xfe, 0x06, 0x21, 0x01, 0x06, 0x0e, 0x1e, 0xfa]),
        Request::SendAngle { joint: 1, angle: 1550, speed: 30 }
    );
    assert_eq!(
        request(&[0xfe, 0xfe, 0x05, 0x4c, 0x01, 0xf9, 0xc0, 0xfa]),
        Request::SetJointMinimum { joint: 1, limit: -1600 }
    );
    assert_eq!(request(&[0xfe, 0xfe, 0x02, 0x34, 0xfa]), Request::JogStop {});
    assert_eq!(
        Reply::parse(&frame(&[0xfe, 0xfe, 0x04, 0x4a, 0xf9, 0x70, 0xfa])),
        Ok(Reply::Answer(Answer::JointMinimum { limit: -1680 }))
    );
    assert_eq!(
        Reply::parse(&frame(&[0xfe, 0xfe, 0x03, 0x22, 0x01, 0xfa])),
        Ok(Reply::Acknowledged { command: 0x22, result: 1 })
    );
    // The documentation's own examples.
    let voltages = [0xfe, 0xfe, 0x08, 0xe3, 0xe9, 0xe9, 0xea, 0xeb, 0xe5, 0xe5, 0xfa];
    assert_eq!(
        Reply::parse(&frame(&voltages)),
        Ok(Reply::Answer(Answer::ServoVoltages { voltages: [233, 233, 234, 235, 229, 229] }))
    );
    assert_eq!(
        request(&[0xfe, 0xfe, 0x07, 0xe8, 0x0e, 0x00, 0x0b, 0x00, 0x32, 0xfa]),
        Request::SetProGripper { id: 14, address: 11, value: 50 }
    );
}
