//! Datasets written by LeRobot 0.6.1, compared with what its own reader returns.
#![allow(clippy::unwrap_used)]

use std::path::PathBuf;

use safetensors::SafeTensors;
use sinew_episodes::lerobot::{Reader, ReaderError, Value, VideoError, describe};

fn fixture(name: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../tests/fixtures").join(name)
}

fn floats(tensors: &SafeTensors<'_>, name: &str) -> Vec<f32> {
    let data = tensors.tensor(name).unwrap().data().to_vec();
    data.chunks_exact(4).map(|bytes| f32::from_le_bytes(bytes.try_into().unwrap())).collect()
}

fn whole(tensors: &SafeTensors<'_>, name: &str) -> i64 {
    i64::from_le_bytes(tensors.tensor(name).unwrap().data().try_into().unwrap())
}

/// Channels first, as the read-back has images.
fn planar(rgb: &[u8]) -> Vec<u8> {
    (0..3).flat_map(|channel| rgb.iter().skip(channel).step_by(3).copied()).collect()
}

fn vector(reader: &mut Reader, index: u64, feature: &str) -> Vec<f32> {
    match reader.row(index).unwrap().values.remove(feature) {
        Some(Value::Float32(values)) => values,
        other => panic!("{feature}: {other:?}"),
    }
}

/// LeRobot repeats the first or last frame of the episode where a delta leaves it, and says so.
fn check_window(
    reader: &mut Reader,
    tensors: &SafeTensors<'_>,
    index: u64,
    feature: &str,
    deltas: &[i64],
) {
    let episode = reader.row(index).unwrap().episode as usize;
    let (first, length) =
        (reader.episodes()[episode].from_index, reader.episodes()[episode].length);
    let last = (first + length - 1) as i64;
    let expected = floats(tensors, &format!("{index:02}.{feature}"));
    let padding = tensors.tensor(&format!("{index:02}.{feature}_is_pad")).unwrap().data().to_vec();
    for (place, delta) in deltas.iter().enumerate() {
        let wanted = index as i64 + delta;
        let taken = wanted.clamp(first as i64, last);
        assert_eq!(padding[place] != 0, wanted != taken, "{index} {feature} {delta}");
        let found = vector(reader, taken as u64, feature);
        assert_eq!(found, expected[place * 4..(place + 1) * 4], "{index} {feature} {delta}");
    }
}

fn check(name: &str) {
    let root = fixture(name);
    let bytes = std::fs::read(root.join("readback.safetensors")).unwrap();
    let tensors = SafeTensors::deserialize(&bytes).unwrap();
    let mut reader = Reader::open(&root).unwrap();
    assert_eq!((reader.frames(), reader.episodes().len(), reader.info().fps), (12, 2, 10.0));
    assert_eq!(reader.tasks(), ["pick the cube", "place the cube"]);
    for index in 0..12 {
        let key = |feature: &str| format!("{index:02}.{feature}");
        let row = reader.row(index).unwrap();
        for feature in ["frame_index", "episode_index", "index", "task_index"] {
            assert_eq!(row.values[feature], Value::Int(vec![whole(&tensors, &key(feature))]));
        }
        assert_eq!(row.values["timestamp"], Value::Float32(floats(&tensors, &key("timestamp"))));
        assert_eq!(row.task, if row.episode == 0 { "pick the cube" } else { "place the cube" });
        check_window(&mut reader, &tensors, index, "observation.state", &[-1, 0]);
        check_window(&mut reader, &tensors, index, "action", &[-1, 0, 1, 2]);
        let wrist = reader.image(index, "observation.images.wrist").unwrap();
        let expected = tensors.tensor(&key("observation.images.wrist")).unwrap();
        assert_eq!((wrist.width, wrist.height, expected.shape()), (64, 48, &[3, 48, 64][..]));
        assert_eq!(planar(&wrist.rgb), expected.data());
    }
    let state = reader.vectors(1, "observation.state").unwrap();
    assert_eq!((state.len(), state[0].len()), (5, 4));
    assert!(matches!(reader.row(12), Err(ReaderError::NoFrame { index: 12, frames: 12, .. })));
    assert!(matches!(reader.image(0, "front"), Err(ReaderError::NoFeature { .. })));
    assert!(matches!(reader.image(0, "action"), Err(ReaderError::Kind { .. })));
    assert!(matches!(reader.vectors(2, "action"), Err(ReaderError::NoEpisode { .. })));
}

#[test]
fn vectors_and_png_images_are_lerobots() {
    check("dataset_v3");
    check("dataset_v3_h264");
}

#[test]
fn lerobots_datasets_are_described_and_not_written_to() {
    let root = fixture("dataset_v3");
    let info = describe(&root).unwrap();
    assert_eq!((info.episodes.len(), info.frames, info.recorded_by_sinew), (2, 12, false));
    assert_eq!(info.robot_type.as_deref(), Some("so101_follower"));
    let text = info.to_string();
    assert!(text.contains("observation.images.front  video [48, 64, 3]"), "{text}");
    let refused = sinew_episodes::lerobot::repair(&root).unwrap_err().to_string();
    assert!(refused.contains("is a dataset that sinew did not record"), "{refused}");
}

#[cfg(not(feature = "video"))]
#[test]
fn without_the_video_feature_only_video_frames_are_refused() {
    let mut reader = Reader::open(&fixture("dataset_v3")).unwrap();
    let error = reader.image(3, "observation.images.front").unwrap_err();
    assert!(matches!(error, ReaderError::Video { source: VideoError::Disabled, index: 3, .. }));
    assert!(error.to_string().contains("--features video"));
    assert!(reader.row(3).is_ok());
    assert!(reader.frame(3).is_err());
}

#[cfg(feature = "video")]
mod video {
    use super::*;

    /// The read-back is PyAV's; our decoders and our conversion to RGB give the same bytes.
    fn check_video(name: &str) {
        let root = fixture(name);
        let bytes = std::fs::read(root.join("readback.safetensors")).unwrap();
        let tensors = SafeTensors::deserialize(&bytes).unwrap();
        let mut reader = Reader::open(&root).unwrap();
        let mut largest = 0;
        // Forwards, then backwards: both ways through the groups of pictures.
        for index in (0..12).chain((0..12).rev()) {
            let frame = reader.frame(index).unwrap();
            let Value::Image(found) = &frame.values["observation.images.front"] else { panic!() };
            let expected = tensors.tensor(&format!("{index:02}.observation.images.front")).unwrap();
            for (&found, &expected) in planar(&found.rgb).iter().zip(expected.data()) {
                largest = largest.max(found.abs_diff(expected));
            }
        }
        assert_eq!(largest, 0, "{name}");
    }

    #[test]
    fn av1_frames_are_lerobots() {
        check_video("dataset_v3");
    }

    #[test]
    fn h264_frames_are_lerobots() {
        check_video("dataset_v3_h264");
    }

    #[test]
    fn a_missing_or_damaged_video_is_named() {
        let folder = tempfile::tempdir().unwrap();
        let root = folder.path();
        let original = fixture("dataset_v3_h264");
        for file in [
            "meta/info.json",
            "meta/tasks.parquet",
            "meta/episodes/chunk-000/file-000.parquet",
            "data/chunk-000/file-000.parquet",
        ] {
            std::fs::create_dir_all(root.join(file).parent().unwrap()).unwrap();
            std::fs::copy(original.join(file), root.join(file)).unwrap();
        }
        let read = || {
            let mut reader = Reader::open(root).unwrap();
            match reader.image(3, "observation.images.front") {
                Err(ReaderError::Video { source, .. }) => source,
                other => panic!("{other:?}"),
            }
        };
        assert!(matches!(read(), VideoError::Read { .. }));
        let video = "videos/observation.images.front/chunk-000/file-000.mp4";
        let whole = std::fs::read(original.join(video)).unwrap();
        std::fs::create_dir_all(root.join(video).parent().unwrap()).unwrap();
        std::fs::write(root.join(video), &whole[..whole.len() / 4]).unwrap();
        let cut = read();
        assert!(matches!(cut, VideoError::Container { .. } | VideoError::Decode { .. }), "{cut}");
        std::fs::write(root.join(video), b"not a video at all, but text").unwrap();
        assert!(matches!(read(), VideoError::Container { .. }));
    }
}
