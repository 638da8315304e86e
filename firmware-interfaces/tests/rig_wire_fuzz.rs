//! Damaged bytes for both ends of the rig's protocol: `SINEW_MUTATIONS=1000000 cargo test --release -p
//! sinew-firmware-interfaces --test rig_wire_fuzz`. Without it each end gets a few thousand.
//!
//! Neither end may panic, move past its limits, or show a number that is none; and each must
//! understand the next sound message. A damage is a function of its number, which is printed where
//! one fails.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::time::Duration;

use sinew_firmware_interfaces::rig::emulator::{Firmware, FirmwareConfig};
use sinew_firmware_interfaces::rig::session::{Session, Step};
use sinew_firmware_interfaces::rig::wire::{HEADER, KEEP, Mode, Report, Request, Sample};
use sinew_firmware_interfaces::rig::{Config, Protocol};
use sinew_firmware_interfaces::{LinkStatus, Timestamp};

const FEW: u64 = 4_000;
const TOKENS: [&[u8]; 14] = [
    b"\xA5\x5A",
    b"\xA5\x5A\x01\x00\x3C",
    b"\xFF",
    b"\x00",
    b"\n",
    b",",
    b"-",
    b"NaN",
    b"inf",
    b"1e308",
    b"Time_ms,",
    b"#",
    b"A",
    b"T9999999999999999999999",
];

/// Numbers that look random: SplitMix64 (Steele et al., 2014).
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    fn below(&mut self, limit: usize) -> usize {
        (self.next() % limit.max(1) as u64) as usize
    }
}

fn damaged(sound: &[u8], random: &mut Random) -> Vec<u8> {
    let mut bytes = sound.to_vec();
    for _ in 0..=random.below(4) {
        let at = random.below(bytes.len().max(1));
        match random.below(6) {
            0 if !bytes.is_empty() => bytes[at] ^= 1 << random.below(8),
            1 if !bytes.is_empty() => bytes[at] = random.next() as u8,
            2 => drop(bytes.drain(at.min(bytes.len())..(at + random.below(9)).min(bytes.len()))),
            3 => {
                let token = TOKENS[random.below(TOKENS.len())];
                bytes.splice(at.min(bytes.len())..at.min(bytes.len()), token.iter().copied());
            }
            4 => bytes.truncate(at),
            _ => {
                let copy = bytes[..at.min(bytes.len())].to_vec();
                bytes.extend(copy);
            }
        }
    }
    bytes
}

fn count() -> u64 {
    std::env::var("SINEW_MUTATIONS").ok().and_then(|count| count.parse().ok()).unwrap_or(FEW)
}

fn sample(index: u32) -> Sample {
    Sample {
        index,
        time_us: u64::from(index) * 1000,
        mode: Mode::Hold,
        temperature: 25.0,
        supply: 6.0,
        ..Sample::default()
    }
}

#[test]
fn the_driver_survives_damaged_states_and_understands_the_next_sound_ones() {
    for text in [false, true] {
        let mut sound = Vec::new();
        for index in 1..4 {
            if text {
                sound
                    .extend_from_slice(format!("{index},1.5,2.5,0.1,0.2,9.8,1,2,3\r\n").as_bytes());
            } else {
                sound.extend_from_slice(Report::State(sample(index)).frame(0).as_bytes());
            }
        }
        if text {
            let header = format!("{HEADER}\r\n");
            sound.splice(0..0, header.bytes());
        }
        for number in 0..count() {
            let mut random = Random(number);
            let protocol = match (text, random.below(2)) {
                (_, 0) => Protocol::Auto,
                (true, _) => Protocol::Text,
                (false, _) => Protocol::Binary,
            };
            let mut session = Session::new(Config { protocol, ..Config::default() });
            let mut now = Timestamp::from_nanos(1_000_000);
            session.connected(now);
            session.arm(now);
            for piece in damaged(&sound, &mut random).chunks(1 + random.below(40)) {
                session.receive(now, piece);
                for _ in 0..5 {
                    if !matches!(session.poll(now), Step::Transmit(_)) {
                        break;
                    }
                }
                now = now.after(Duration::from_millis(1));
                let state = session.state();
                let shown = [state.position[0], state.velocity[0], state.effort[0]];
                let finite = shown.iter().chain(&state.sensors).all(|value| value.is_finite());
                assert!(finite && state.position[0].abs() < 3.3, "damage {number}: {state:?}");
            }
            if session.state().link == LinkStatus::Lost || protocol == Protocol::Auto {
                // Damage may have said that the device speaks another version, or another way.
                continue;
            }
            let before = session.statistics().replies;
            for index in 1_000..1_300_u32 {
                now = now.after(Duration::from_millis(1));
                if text {
                    // An end of line, for a damaged line that has lost its own.
                    let line = format!("\n{index},1.5,2.5,0.1,0.2,9.8,1,2,3\r\n");
                    session.receive(now, line.as_bytes());
                } else {
                    session.receive(now, Report::State(sample(index)).frame(0).as_bytes());
                }
            }
            let damaged_columns = text && session.statistics().rejected > 250;
            let understood = session.statistics().replies > before + 250;
            assert!(understood || damaged_columns, "damage {number}: {:?}", session.failure());
        }
    }
}

#[test]
fn the_device_survives_damaged_requests_and_follows_the_next_sound_one() {
    let requests = [
        Request::Hello,
        Request::Configure { rate_hz: 0, watchdog_ms: KEEP },
        Request::Arm,
        Request::Position(0.5),
        Request::Torque(0.5),
        Request::Hold,
        Request::Off,
        Request::Heartbeat,
    ];
    for text in [false, true] {
        let say = |request: &Request| {
            if text {
                request.line().as_bytes().to_vec()
            } else {
                request.frame(0).as_bytes().to_vec()
            }
        };
        let sound: Vec<u8> = requests.iter().flat_map(say).collect();
        let config = FirmwareConfig { text, rate_hz: 100, ..FirmwareConfig::default() };
        for number in 0..count() / 4 {
            let mut random = Random(number);
            let mut firmware = Firmware::new(config.clone()).unwrap();
            let mut now = Timestamp::ZERO;
            for piece in damaged(&sound, &mut random).chunks(1 + random.below(40)) {
                now = now.after(Duration::from_millis(1));
                firmware.receive(now, piece);
                while firmware.transmit(now).is_some() {}
            }
            assert!(firmware.truth().load_angle.is_finite(), "damage {number}");
            // Enough to end whatever had begun.
            firmware.receive(now, &[b'\n'; 80]);
            firmware.receive(now, &say(&Request::Arm));
            firmware.receive(now, &say(&Request::Position(0.25)));
            assert_eq!(firmware.mode(), Mode::Position, "damage {number}");
            firmware.receive(now, &say(&Request::Off));
            assert_eq!(firmware.mode(), Mode::Off, "damage {number}");
        }
    }
}
