//! Which cycle and which images make each frame of an episode.

use serde::Serialize;

use super::convert::ConvertError;
use crate::image;
use crate::journal::{ArmState, Header, Reader, Record, Tail};

const HOLDING: u8 = ArmState::Holding as u8;
const RUNNING: u8 = ArmState::Running as u8;

/// A cycle due this much after a frame's time still counts as due at it: ticks and frames are
/// rounded to whole nanoseconds separately.
const TOLERANCE_NS: u64 = 1_000;

/// Most frames of one episode: a day at 50 per second, 83 minutes at 1000. A conversion keeps a few
/// values of each in memory.
pub const FRAME_LIMIT: usize = 5_000_000;

/// Frames beyond the limit that a run within it may still have: time in which a robot was away, or
/// that passed between two cycles.
const GRACE: usize = FRAME_LIMIT / 10;

struct Cycle {
    scheduled_ns: u64,
    state: u8,
    offset: u64,
}

/// A camera image in the journal.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Shot {
    pub captured_ns: u64,
    pub offset: u64,
    pub bytes: usize,
}

/// What one frame of the episode is made of.
#[derive(Clone, Debug)]
pub(super) struct Moment {
    /// Offset of its cycle in the journal.
    pub cycle: u64,
    /// One per camera.
    pub shots: Vec<Shot>,
}

/// Images of one camera in an episode.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct CameraFrames {
    /// Name.
    pub camera: String,
    /// Different images used.
    pub used: u64,
    /// Frames that repeat the image before.
    pub repeated: u64,
    /// Images that were not PNG files of the declared size.
    pub rejected: u64,
}

/// The episode's frames, and how the journal ended.
#[derive(Debug)]
pub(super) struct Timeline {
    pub moments: Vec<Moment>,
    pub cameras: Vec<CameraFrames>,
    /// Whether the run ended in order.
    pub complete: bool,
    pub tail: Tail,
    pub skipped: u64,
    /// Times of the first cycle and of the last record, on the run's clock.
    pub first_ns: u64,
    pub last_ns: u64,
}

impl Timeline {
    /// Reads a journal through once and lays the dataset's grid over it.
    ///
    /// Frame k is at t0 + k / fps, where t0 is when the first running cycle was due (the first
    /// holding one, if none ran); the last frame is not after the last such cycle. A frame takes
    /// the last cycle due at or before it, and of each camera the last image taken at or before
    /// it, or the first one of the journal.
    pub fn of(reader: &mut Reader) -> Result<Self, ConvertError> {
        let header = reader.header().clone();
        let joints = header.joints.len();
        let mut cycles = Vec::new();
        let mut shots: Vec<Vec<Shot>> = header.cameras.iter().map(|_| Vec::new()).collect();
        let mut rejected = vec![0_u64; header.cameras.len()];
        let (mut complete, mut last_ns) = (false, 0);
        while let Some(record) = reader.next() {
            let offset = reader.last_offset();
            match record? {
                Record::Cycle(cycle) => {
                    let lengths = [
                        cycle.measured.len(),
                        cycle.measured_ns.len(),
                        cycle.requested.len(),
                        cycle.limited.len(),
                        cycle.clamps.len(),
                    ];
                    if let Some(&found) = lengths.iter().find(|&&length| length != joints) {
                        let index = cycle.index;
                        let (what, expected) = ("joints", joints);
                        return Err(ConvertError::Count { index, what, expected, found });
                    }
                    if cycle.sensors.len() != header.sensors.len() {
                        let (what, expected) = ("sensors", header.sensors.len());
                        let (index, found) = (cycle.index, cycle.sensors.len());
                        return Err(ConvertError::Count { index, what, expected, found });
                    }
                    last_ns = last_ns.max(cycle.woke_ns);
                    let (scheduled_ns, state) = (cycle.scheduled_ns, cycle.state);
                    cycles.push(Cycle { scheduled_ns, state, offset });
                }
                Record::Frame(frame) => {
                    last_ns = last_ns.max(frame.captured_ns);
                    let index = frame.camera as usize;
                    let (Some(meta), Some(list)) =
                        (header.cameras.get(index), shots.get_mut(index))
                    else {
                        continue;
                    };
                    if image::png_size(&frame.png) == Some((meta.width, meta.height)) {
                        let (captured_ns, bytes) = (frame.captured_ns, frame.png.len());
                        list.push(Shot { captured_ns, offset, bytes });
                    } else if let Some(count) = rejected.get_mut(index) {
                        *count += 1;
                    }
                }
                Record::Summary(_) => complete = true,
                Record::Event(event) => last_ns = last_ns.max(event.at_ns),
                Record::Header(_) | Record::Chunk(_) => {}
            }
        }
        for list in &mut shots {
            list.sort_by_key(|shot| shot.captured_ns);
        }
        let (moments, cameras) = lay_out(&header, &cycles, &shots, &rejected)?;
        let (tail, skipped) = (reader.tail(), reader.skipped());
        let first_ns = cycles.first().map_or(last_ns, |cycle| cycle.scheduled_ns);
        Ok(Self { moments, cameras, complete, tail, skipped, first_ns, last_ns })
    }
}

fn lay_out(
    header: &Header,
    cycles: &[Cycle],
    shots: &[Vec<Shot>],
    rejected: &[u64],
) -> Result<(Vec<Moment>, Vec<CameraFrames>), ConvertError> {
    let of_state = |state: u8| {
        let first = cycles.iter().position(|cycle| cycle.state == state)?;
        let last = cycles.iter().rposition(|cycle| cycle.state == state)?;
        Some((first, last))
    };
    let (first, last) =
        of_state(RUNNING).or_else(|| of_state(HOLDING)).ok_or(ConvertError::Empty)?;
    let (Some(start), Some(end)) = (cycles.get(first), cycles.get(last)) else {
        return Err(ConvertError::Empty);
    };
    let mut cameras = Vec::with_capacity(shots.len());
    for ((meta, list), &rejected) in header.cameras.iter().zip(shots).zip(rejected) {
        if list.is_empty() {
            return Err(ConvertError::NoImages { camera: meta.name.clone(), rejected });
        }
        let camera = meta.name.clone();
        cameras.push(CameraFrames { camera, used: 0, repeated: 0, rejected });
    }
    let mut moments: Vec<Moment> = Vec::new();
    let mut cycle = first;
    let mut current = vec![0_usize; shots.len()];
    let fps = header.dataset_rate_hz as u64;
    for frame in 0_u64.. {
        // Exact: fps is a whole number.
        let after = u128::from(frame) * 1_000_000_000 / u128::from(fps.max(1));
        let at = start.scheduled_ns.saturating_add(u64::try_from(after).unwrap_or(u64::MAX));
        if at > end.scheduled_ns.saturating_add(TOLERANCE_NS) {
            break;
        }
        if moments.len() >= FRAME_LIMIT + GRACE {
            return Err(ConvertError::TooLong { limit: FRAME_LIMIT + GRACE });
        }
        while cycle < last
            && cycles
                .get(cycle + 1)
                .is_some_and(|next| next.scheduled_ns <= at.saturating_add(TOLERANCE_NS))
        {
            cycle += 1;
        }
        let mut chosen = Vec::with_capacity(shots.len());
        for ((list, place), counts) in shots.iter().zip(&mut current).zip(&mut cameras) {
            let before = *place;
            while list.get(*place + 1).is_some_and(|next| next.captured_ns <= at) {
                *place += 1;
            }
            if frame > 0 && *place == before {
                counts.repeated += 1;
            } else {
                counts.used += 1;
            }
            chosen.extend(list.get(*place).copied());
        }
        let Some(taken) = cycles.get(cycle) else { break };
        moments.push(Moment { cycle: taken.offset, shots: chosen });
    }
    Ok((moments, cameras))
}
