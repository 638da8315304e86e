//! A made-up run: three joints that follow sines, two cameras of different rates.
#![allow(dead_code, clippy::unwrap_used)]

use std::path::{Path, PathBuf};

use sinew_episodes::image;
use sinew_episodes::journal::{
    CameraMeta, ChunkRecord, CycleRecord, EventRecord, FILE_NAME, FrameRecord, Header, JointMeta,
    Phases, SensorMeta, WriteError, Writer,
};

pub const RATE_HZ: u64 = 50;
pub const PERIOD_NS: u64 = 1_000_000_000 / RATE_HZ;
pub const FPS: u64 = 10;
/// Cycles before the arm runs, and after.
pub const HOLDING: u64 = 10;
pub const STOPPING: u64 = 5;
/// When the first cycle is due.
pub const START_NS: u64 = 1_000_000_000;

pub const CAMERAS: [(&str, u32, u32, u64); 2] = [("front", 32, 24, 20), ("wrist", 16, 16, 7)];

pub fn header(run: &str, task: &str) -> Header {
    let joint = |name: &str, unit: &str| JointMeta { name: name.into(), unit: unit.into() };
    Header {
        version: "0.1.0".into(),
        run: run.into(),
        unix_ns: 1_790_000_000_000_000_000,
        robot: "bench".into(),
        joints: vec![joint("joint1", "rad"), joint("joint2", "rad"), joint("gripper", "1")],
        sensors: vec![
            SensorMeta { name: "acc_y".into(), unit: "m/s²".into() },
            SensorMeta { name: "temperature".into(), unit: "°C".into() },
        ],
        cameras: CAMERAS
            .iter()
            .map(|&(name, width, height, rate)| CameraMeta {
                name: name.into(),
                width,
                height,
                rate_hz: rate as f64,
            })
            .collect(),
        rate_hz: RATE_HZ as f64,
        dataset_rate_hz: FPS as f64,
        task: task.into(),
        policy: None,
        actuator: None,
        config: "[robot]\n".into(),
    }
}

/// `running` cycles run, after [`HOLDING`] that hold; later ones stop.
pub fn cycle(index: u64, running: u64) -> CycleRecord {
    let scheduled_ns = START_NS + index * PERIOD_NS;
    let angle = |joint: u64| (index as f64 * 0.05 + joint as f64).sin();
    let requested: Vec<f64> = (0..3).map(angle).collect();
    let limited: Vec<f64> = requested.iter().map(|value| value.clamp(-0.8, 0.8)).collect();
    let clamps = requested.iter().zip(&limited).map(|(r, l)| u16::from(r != l)).collect();
    CycleRecord {
        index,
        scheduled_ns,
        woke_ns: scheduled_ns + 40_000 + index % 7 * 1_000,
        phases: Phases {
            read: 1_000,
            decide: 2_000,
            write: 3_000,
            record: 4_000,
            ..Phases::default()
        },
        state: match index {
            i if i < HOLDING => 1,
            i if i < HOLDING + running => 2,
            _ => 3,
        },
        measured: limited.iter().map(|value| value - 0.01).collect(),
        measured_ns: (0..3).map(|joint| scheduled_ns - 5_000_000 - joint * 1_000).collect(),
        sensors: vec![angle(7), 25.0],
        substituted: 0,
        requested,
        limited,
        clamps,
        observation_ns: Some(scheduled_ns),
        operator: 0,
        link: 1,
        epoch: 1,
        sample: index,
        ..CycleRecord::default()
    }
}

/// Image number `sequence` of a camera: a moving square on a gradient.
pub fn frame(camera: usize, sequence: u64) -> FrameRecord {
    let (_, width, height, rate) = CAMERAS[camera];
    let mut rgb = Vec::with_capacity((width * height * 3) as usize);
    let left = (sequence as u32 * 3) % (width - 4);
    for y in 0..height {
        for x in 0..width {
            let inside = (left..left + 4).contains(&x) && (4..8).contains(&y);
            let gradient = [(x * 255 / width) as u8, (y * 255 / height) as u8, sequence as u8];
            rgb.extend(if inside { [255, 64, 0] } else { gradient });
        }
    }
    FrameRecord {
        camera: camera as u32,
        sequence,
        captured_ns: START_NS + 3_000_000 + sequence * 1_000_000_000 / rate,
        png: image::encode_png(width, height, &rgb).unwrap(),
    }
}

/// Cycles of a run that runs for `running` of them.
pub fn cycles_of(running: u64) -> u64 {
    HOLDING + running + STOPPING
}

/// Writes cycle `index` and the images taken since the cycle before.
pub fn write_cycle(writer: &mut Writer, index: u64, running: u64) -> Result<(), WriteError> {
    let cycle = cycle(index, running);
    for (camera, &(_, _, _, rate)) in CAMERAS.iter().enumerate() {
        let taken = |at_ns: u64| (at_ns.saturating_sub(START_NS) * rate).div_ceil(1_000_000_000);
        for sequence in taken(cycle.scheduled_ns)..taken(cycle.scheduled_ns + PERIOD_NS) {
            writer.append_frame(&frame(camera, sequence))?;
        }
    }
    if index.is_multiple_of(20) {
        writer.append_chunk(&ChunkRecord {
            cycle: index,
            sequence: index / 20,
            observation_ns: cycle.scheduled_ns,
            started_ns: cycle.scheduled_ns,
            finished_ns: cycle.woke_ns,
            step_ns: 20_000_000,
            action_size: 3,
            actions: vec![0.5; 24],
        })?;
    }
    writer.append_cycle(&cycle)
}

/// Writes a whole run into `folder` and returns its journal.
pub fn write_run(folder: &Path, run: &str, task: &str, running: u64) -> PathBuf {
    let path = folder.join(FILE_NAME);
    let mut writer = Writer::create(&path, &header(run, task)).unwrap();
    for index in 0..cycles_of(running) {
        write_cycle(&mut writer, index, running).unwrap();
    }
    let at_ns = START_NS + cycles_of(running) * PERIOD_NS;
    let event = EventRecord { at_ns, kind: "stop".into(), message: "the time is up".into() };
    writer.append_event(&event).unwrap();
    writer.append_summary("{\"exit\":\"finished\"}").unwrap();
    writer.flush().unwrap();
    path
}

/// The same run with its first joint only and no camera.
pub fn write_small_run(folder: &Path, run: &str, running: u64) -> PathBuf {
    let path = folder.join(FILE_NAME);
    let mut small = header(run, "move");
    small.joints.truncate(1);
    small.cameras.clear();
    let mut writer = Writer::create(&path, &small).unwrap();
    for index in 0..cycles_of(running) {
        let mut cycle = cycle(index, running);
        for list in [&mut cycle.measured, &mut cycle.requested, &mut cycle.limited] {
            list.truncate(1);
        }
        cycle.measured_ns.truncate(1);
        cycle.clamps.truncate(1);
        writer.append_cycle(&cycle).unwrap();
    }
    writer.append_summary("{}").unwrap();
    path
}
