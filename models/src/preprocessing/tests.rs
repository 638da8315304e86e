//! What becomes of images, against torchvision and against what must hold for any of them.

use super::{Geometry, ImageInput, ImagePlan};
use crate::engine::Engine;
use crate::layers::convolution::MapSize;
use crate::layers::feature_scaling::FeatureScaling;
use crate::lerobot::test_config;
use proptest::prelude::*;
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::path::PathBuf;

/// Size of the recorded picture.
const HEIGHT: usize = 36;
const WIDTH: usize = 50;

fn fixture(name: &str) -> PathBuf {
    let root = concat!(env!("CARGO_MANIFEST_DIR"), "/../tests/fixtures/image_preparation");
    PathBuf::from(root).join(name)
}

fn picture(name: &str) -> Vec<u8> {
    let file = std::io::BufReader::new(std::fs::File::open(fixture(name)).unwrap());
    let mut reader = png::Decoder::new(file).read_info().unwrap();
    let mut pixels = vec![0; 3 * HEIGHT * WIDTH];
    reader.next_frame(&mut pixels).unwrap();
    pixels
}

/// A configuration beside the fixture's pictures.
fn plan(sinew: &Value, geometry: Geometry) -> ImagePlan {
    let mut plans = plans(sinew, geometry).unwrap();
    plans.remove(0)
}

fn plans(sinew: &Value, geometry: Geometry) -> Result<Vec<ImagePlan>, String> {
    let config = json!({
        "input_features": {
            "observation.images.top": { "type": "VISUAL", "shape": [3, HEIGHT, WIDTH] },
        },
        "output_features": { "action": { "type": "ACTION", "shape": [1] } },
        "normalization_mapping": {},
        "sinew": sinew,
    });
    test_config::image_plans(&fixture("config.json"), &config, geometry)
        .map_err(|error| error.to_string())
}

fn size(value: Option<&Value>) -> Option<MapSize> {
    let side = |index: usize| value.unwrap()[index].as_u64().unwrap() as usize;
    value.map(|_| MapSize { height: side(0), width: side(1) })
}

/// As LeRobot writes statistics of images.
fn imagenet() -> FeatureScaling {
    let (mean, std) = (vec![0.485, 0.456, 0.406], vec![0.229, 0.224, 0.225]);
    FeatureScaling::MeanStd { mean, std, epsilon: 0.0 }
}

/// The outcome, channels first, which is the same whatever computes it.
fn prepared(plan: &ImagePlan, scaling: &FeatureScaling, image: &[u8]) -> Vec<f32> {
    let mut outcomes = Engine::all().map(|engine| {
        let mut input = ImageInput::new(plan, scaling);
        let layout = input.layout();
        assert_eq!(layout.size, plan.output());
        let mut map = vec![0.0; layout.len()];
        // What an image leaves behind does not reach the next.
        let other: Vec<u8> = image.iter().map(|byte| !byte).collect();
        input.write(&engine, &other, &mut map);
        input.write(&engine, image, &mut map);
        let mut cleared = map.clone();
        layout.clear_border(&mut cleared);
        assert_eq!(map, cleared, "the border stays zero");
        layout.channels_first(&map)
    });
    let first = outcomes.next().unwrap();
    assert!(outcomes.all(|other| other == first));
    first
}

#[test]
fn every_case_is_as_torchvision_computes_it() {
    let cases: BTreeMap<String, Value> =
        serde_json::from_slice(&std::fs::read(fixture("cases.json")).unwrap()).unwrap();
    let bytes = std::fs::read(fixture("expected.safetensors")).unwrap();
    let expected = safetensors::SafeTensors::deserialize(&bytes).unwrap();
    assert_eq!(cases.len(), expected.len());
    let image = picture("picture.png");
    for (name, case) in cases {
        let geometry = Geometry { resize: size(case.get("resize")), crop: size(case.get("crop")) };
        let plan = plan(&case["sinew"], geometry);
        let expected = expected.tensor(&name).unwrap();
        let MapSize { height, width } = plan.output();
        assert_eq!(expected.shape(), [3, height, width], "{name}");
        let expected = expected.data().as_chunks().0.iter().map(|bytes| f32::from_le_bytes(*bytes));
        let got = prepared(&plan, &imagenet(), &image);
        let differences = got.iter().zip(expected).map(|(a, b)| (a - b).abs());
        let worst = differences.max_by(f32::total_cmp).unwrap();
        assert!(worst < 2e-6, "{name}: differs by {worst}");
    }
}

#[test]
fn nothing_is_prepared_twice_or_by_halves() {
    let image = picture("picture.png");
    let nothing = prepared(&plan(&json!({}), Geometry::default()), &imagenet(), &image);
    for sinew in [
        json!({ "colors": "rgb" }),
        json!({ "resize": [HEIGHT, WIDTH] }),
        json!({ "keep": [[0, 0, WIDTH, HEIGHT]] }),
        json!({ "crop": { "center": [HEIGHT, WIDTH] } }),
        json!({ "image_weights": { "inside": 1.0, "outside": 1.0, "rectangle": [0, 0, 1, 1] } }),
        json!({ "drop": [[0, 0, 9, 9]], "crop": { "center": [9, 9] }, "cameras": { "observation.images.top": { "drop": null, "crop": null } } }),
        json!({ "drop": [[0, 0, 9, 9]], "cameras": { "observation.images.top": { "drop": [[0, 0, 1, 1]], "keep": null } } }),
    ] {
        let got = prepared(&plan(&sinew, Geometry::default()), &imagenet(), &image);
        let differing = got.iter().zip(&nothing).filter(|(a, b)| a != b).count();
        // The last of them drops one pixel, not what is said of all cameras; the one before it nothing.
        let drops = &sinew["cameras"]["observation.images.top"]["drop"];
        let expected = if drops.is_array() { 3 } else { 0 };
        assert_eq!(differing, expected, "{sinew}");
    }
}

#[test]
fn what_cannot_be_is_refused_by_name() {
    let long = vec![json!([0, 0, 1, 1]); 65];
    for (sinew, expected) in [
        (json!({ "crops": {} }), "sinew.crops is {}, needed no other keys than"),
        (json!({ "crop": {} }), "sinew.crop is {}, needed either rectangle or center"),
        (
            json!({ "crop": { "rectangle": [0, 0, 9, 9], "center": [9, 9] } }),
            "needed either rectangle or center, one of both",
        ),
        (
            json!({ "crop": { "middle": [1, 1] } }),
            "sinew.crop.middle is [1,1], needed no other keys",
        ),
        (json!({ "crop": { "center": [37, 10] } }), "needed at most [36, 50]"),
        (
            json!({ "crop": { "rectangle": [40, 0, 51, 9] } }),
            "sinew.crop.rectangle is [40,0,51,9], needed [first column, first row, column after the last, row after the last] within 50 x 36 pixels, not empty",
        ),
        (json!({ "keep": [[3, 3, 3, 9]] }), "sinew.keep.0 is [3,3,3,9]"),
        (json!({ "keep": [[0, 0, 1]] }), "sinew.keep.0 is [0,0,1]"),
        (json!({ "keep": [[-1, 0, 1, 1]] }), "sinew.keep.0.0 is -1, needed a whole number"),
        (json!({ "drop": [] }), "sinew.drop is [], needed a list of 1 to 64 rectangles"),
        (json!({ "drop": long }), "needed a list of 1 to 64 rectangles"),
        (
            json!({ "drop": [[0, 0, 50, 36]] }),
            "needed rectangles of keep and drop that leave a pixel",
        ),
        (
            json!({ "keep": [[0, 0, 20, 20], [30, 30, 40, 36]], "drop": [[0, 0, 20, 19], [0, 19, 40, 36]] }),
            "needed rectangles of keep and drop that leave a pixel",
        ),
        (
            json!({ "keep": [[0, 0, 5, 5]], "crop": { "rectangle": [5, 5, 9, 9] } }),
            "sinew.keep is [[0,0,5,5]], needed rectangles of keep and drop that leave a pixel of the crop",
        ),
        (json!({ "resize": [0, 9] }), "sinew.resize.0 is 0, needed a whole number from 1 to 4096"),
        (json!({ "resize": [4096, 4096] }), "needed at most 4194304 pixels"),
        (
            json!({ "image_weights": { "inside": 1e300, "outside": 1, "rectangle": [0, 0, 1, 1] } }),
            "needed a number from 0 to 1000",
        ),
        (
            json!({ "image_weights": { "inside": 1, "rectangle": [0, 0, 1, 1] } }),
            "key sinew.image_weights.outside is missing",
        ),
        (json!({ "background": { "threshold": 4 } }), "key sinew.background.file is missing"),
        (
            json!({ "background": { "file": "background.png", "threshold": 256 } }),
            "sinew.background.threshold is 256, needed a number from 0 to 255",
        ),
        (
            json!({ "background": { "file": "../image_preparation/background.png", "threshold": 4 } }),
            "needed the name of a PNG file in this folder",
        ),
        (
            json!({ "background": { "file": "absent.png", "threshold": 4 } }),
            "absent.png: no such file",
        ),
        (
            json!({ "background": { "file": "cases.json", "threshold": 4 } }),
            "the name of a PNG file",
        ),
        (
            json!({ "cameras": { "observation.images.left": {} } }),
            "needed no cameras but observation.images.top",
        ),
        (
            json!({ "cameras": { "observation.images.top": { "colors": "bgr" } } }),
            "sinew.cameras.observation.images.top.colors is \"bgr\", needed no other keys than background",
        ),
    ] {
        let message = plans(&sinew, Geometry::default()).unwrap_err();
        assert!(message.contains(expected), "{sinew}: {message}");
        assert!(message.contains("image_preparation"), "{message}");
    }
}

/// A background must be what the camera delivers, to the pixel.
#[test]
fn a_background_of_another_kind_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let config = |sinew: Value| {
        json!({
            "input_features": { "image": { "type": "VISUAL", "shape": [3, 4, 6] } },
            "output_features": { "action": { "type": "ACTION", "shape": [1] } },
            "normalization_mapping": {},
            "sinew": sinew,
        })
    };
    let config = config(json!({ "background": { "file": "b.png", "threshold": 1 } }));
    let refused = |color: png::ColorType, width: u32, height: u32, cut: usize| {
        let mut bytes = Vec::new();
        let mut encoder = png::Encoder::new(&mut bytes, width, height);
        encoder.set_color(color);
        let mut writer = encoder.write_header().unwrap();
        let length = color.samples() * (width * height) as usize;
        writer.write_image_data(&vec![7; length]).unwrap();
        writer.finish().unwrap();
        std::fs::write(folder.path().join("b.png"), &bytes[..bytes.len() - cut]).unwrap();
        let file = folder.path().join("config.json");
        test_config::image_plans(&file, &config, Geometry::default()).map(drop)
    };
    refused(png::ColorType::Rgb, 6, 4, 0).unwrap();
    for (color, width, height, cut, expected) in [
        (
            png::ColorType::Rgb,
            4,
            6,
            0,
            "b.png: is Rgb of 8 bits in 4 x 6 pixels, needed RGB of 8 bits in 6 x 4 pixels",
        ),
        (png::ColorType::Rgba, 6, 4, 0, "is Rgba of 8 bits"),
        (png::ColorType::Grayscale, 6, 4, 0, "is Grayscale of 8 bits"),
        (png::ColorType::Rgb, 6, 4, 30, "config.json names it as sinew.background.file"),
    ] {
        let message = refused(color, width, height, cut).unwrap_err().to_string();
        assert!(message.contains(expected), "{message}");
    }
}

/// Begin and end of a part of `0..limit`.
fn part(limit: usize) -> impl Strategy<Value = (usize, usize)> {
    (0..limit).prop_flat_map(move |first| (Just(first), first + 1..=limit))
}

fn rectangle() -> impl Strategy<Value = [usize; 4]> {
    (part(WIDTH), part(HEIGHT))
        .prop_map(|((left, right), (top, bottom))| [left, top, right, bottom])
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]

    /// Blanking and cropping bytes by hand is the same, bit for bit, with and without resampling
    /// after it.
    #[test]
    fn a_prepared_image_is_what_a_person_cuts_out(
        keep in proptest::collection::vec(rectangle(), 0..3),
        drop in proptest::collection::vec(rectangle(), 0..3),
        crop in rectangle(),
        resize in proptest::option::of((1usize..40, 1usize..40)),
        bgr in any::<bool>(),
        image in proptest::collection::vec(any::<u8>(), 3 * HEIGHT * WIDTH),
    ) {
        let mut sinew = json!({ "crop": { "rectangle": crop }, "colors": if bgr { "bgr" } else { "rgb" } });
        if !keep.is_empty() {
            sinew["keep"] = json!(keep);
        }
        if !drop.is_empty() {
            sinew["drop"] = json!(drop);
        }
        if let Some((height, width)) = resize {
            sinew["resize"] = json!([height, width]);
        }
        let inside = |[left, top, right, bottom]: &[usize; 4], row: usize, column: usize| {
            (*left..*right).contains(&column) && (*top..*bottom).contains(&row)
        };
        let mut by_hand = Vec::new();
        let mut shown = 0;
        for row in crop[1]..crop[3] {
            for column in crop[0]..crop[2] {
                let is_shown = (keep.is_empty() || keep.iter().any(|r| inside(r, row, column)))
                    && !drop.iter().any(|r| inside(r, row, column));
                shown += usize::from(is_shown);
                let mut pixel = [0; 3];
                if is_shown {
                    pixel.copy_from_slice(&image[3 * (row * WIDTH + column)..][..3]);
                }
                if bgr {
                    pixel.reverse();
                }
                by_hand.extend(pixel);
            }
        }
        let planned = plans(&sinew, Geometry::default());
        prop_assert_eq!(planned.is_ok(), shown > 0);
        let Ok(planned) = planned else { return Ok(()) };
        let source = MapSize { height: crop[3] - crop[1], width: crop[2] - crop[0] };
        let resize = resize.map(|(height, width)| MapSize { height, width });
        let geometry = Geometry { resize, crop: None };
        let plain = ImagePlan { geometry, ..ImagePlan::plain(source) };
        prop_assert_eq!(
            prepared(&planned[0], &imagenet(), &image),
            prepared(&plain, &imagenet(), &by_hand)
        );
    }

    /// Whatever is cropped and resized, in one step or two, a colour stays that colour.
    #[test]
    fn one_colour_stays_one_colour(
        color in any::<[u8; 3]>(),
        crop in rectangle(),
        first in (1usize..70, 1usize..70),
        then in (1usize..70, 1usize..70),
        part in (1usize..70, 1usize..70),
    ) {
        let sinew = json!({ "crop": { "rectangle": crop }, "resize": [first.0, first.1] });
        let geometry = Geometry {
            resize: Some(MapSize { height: then.0, width: then.1 }),
            crop: Some(MapSize { height: part.0.min(then.0), width: part.1.min(then.1) }),
        };
        let plan = plan(&sinew, geometry);
        let image: Vec<u8> = color.iter().copied().cycle().take(3 * HEIGHT * WIDTH).collect();
        let got = prepared(&plan, &FeatureScaling::Identity, &image);
        let pixels = plan.output().pixels();
        for (index, value) in got.iter().enumerate() {
            prop_assert!((value - f32::from(color[index / pixels]) / 255.0).abs() < 1e-5);
        }
        let seen: [usize; 4] = plan.seen().into();
        prop_assert!(crop[0] <= seen[0] && crop[1] <= seen[1]);
        prop_assert!(seen[2] <= crop[2] && seen[3] <= crop[3]);
        prop_assert!(seen[0] < seen[2] && seen[1] < seen[3]);
    }
}
