//! `sinew policy features`, from the command line to the pictures.

#![allow(clippy::unwrap_used)]

use std::path::Path;
use std::process::{Command, Output};

use sinew::feature_maps::Picture;

const POLICY: &str = "tests/fixtures/act_tiny";

fn features(image: &Path, out: &Path, more: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_sinew"))
        .args(["policy", "features", POLICY, "--image"])
        .arg(image)
        .arg("--out")
        .arg(out)
        .args(more)
        .current_dir(env!("CARGO_MANIFEST_DIR"))
        .output()
        .unwrap()
}

/// An image of the checkpoint's size with a bright square.
fn image(folder: &Path) -> std::path::PathBuf {
    let mut picture = Picture::filled(64, 48, [20, 30, 40]);
    (30..44).for_each(|x| (10..24).for_each(|y| picture.set(x, y, [250, 200, 90])));
    let file = folder.join("image.png");
    picture.write(&file).unwrap();
    file
}

#[test]
fn every_map_becomes_a_picture_and_a_sheet() {
    let folder = tempfile::tempdir().unwrap();
    let (image, out) = (image(folder.path()), folder.path().join("maps"));
    let output =
        features(&image, &out, &["--camera", "wrist", "--channels", "5", "--format", "json"]);
    let text = String::from_utf8(output.stdout).unwrap();
    assert!(output.status.success(), "{text}");
    let report: serde_json::Value = serde_json::from_str(text.lines().last().unwrap()).unwrap();
    assert_eq!(report["camera"], "observation.images.wrist");
    let names: Vec<&str> = report["maps"]
        .as_array()
        .unwrap()
        .iter()
        .map(|map| map["name"].as_str().unwrap())
        .collect();
    assert_eq!(names, ["stem", "layer1", "layer2", "layer3", "layer4"]);
    for (place, name) in names.iter().enumerate() {
        let picture = Picture::read(&out.join(format!("{place}-{name}.png"))).unwrap();
        assert_eq!((picture.width(), picture.height()), (64, 48));
        let sheet = Picture::read(&out.join(format!("{place}-{name}-channels.png"))).unwrap();
        // Five tiles of 64 x 48 in three columns and two rows, four pixels apart.
        assert_eq!((sheet.width(), sheet.height()), (3 * 64 + 8, 2 * 48 + 4));
        let strongest = report["maps"][place]["strongest"].as_array().unwrap();
        let means: Vec<f64> = strongest.iter().map(|pair| pair[1].as_f64().unwrap()).collect();
        assert!(means.len() == 5 && means.is_sorted_by(|a, b| a >= b), "{means:?}");
    }
    let refused = features(&image, &out, &["--camera", "wrist"]);
    let message = String::from_utf8(refused.stderr).unwrap();
    assert!(
        refused.status.code() == Some(2) && message.contains("nothing is overwritten"),
        "{message}"
    );
}

#[test]
fn every_refusal_says_what_is_needed() {
    let folder = tempfile::tempdir().unwrap();
    let (image, out) = (image(folder.path()), folder.path().join("maps"));
    let large = folder.path().join("large.png");
    Picture::filled(640, 480, [0; 3]).write(&large).unwrap();
    let refusal = |output: Output| {
        assert_eq!(output.status.code(), Some(2));
        assert!(!out.exists());
        String::from_utf8(output.stderr).unwrap()
    };
    let known = "needed one of observation.images.top, observation.images.wrist";
    let message = refusal(features(&image, &out, &[]));
    assert!(
        message.contains("not named, although there are 2") && message.contains(known),
        "{message}"
    );
    let message = refusal(features(&image, &out, &["--camera", "front"]));
    assert!(message.contains("\"front\" is not there") && message.contains(known), "{message}");
    let message = refusal(features(&large, &out, &["--camera", "top"]));
    assert!(
        message.contains("is 640 x 480 pixels") && message.contains("has 64 x 48"),
        "{message}"
    );
    let message = refusal(features(&folder.path().join("none.png"), &out, &["--camera", "top"]));
    assert!(message.contains("none.png"), "{message}");
}
