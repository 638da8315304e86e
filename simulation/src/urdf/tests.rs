use std::path::PathBuf;

use proptest::prelude::*;

use super::*;
use crate::tool::ToolChain;

/// Two joints, a gripper of two fingers that mimic each other, and what else a URDF may have.
const ARM: &str = r#"<?xml version="1.0"?>
<robot name="arm" xmlns:xacro="http://www.ros.org/wiki/xacro">
  <!-- a comment -->
  <material name="grey"><color rgba="0.5 0.5 0.5 1"/></material>
  <link name="base"/>
  <link name="upper"><visual><geometry><mesh filename="package://a.stl"/></geometry></visual></link>
  <link name="fore"/>
  <link name="flange"/>
  <link name="left"/>
  <link name="right"/>
  <joint name="shoulder" type="revolute">
    <origin xyz="0 0 0.3" rpy="0 0 0"/>
    <parent link="base"/>
    <child link="upper"/>
    <axis xyz="0 0 1"/>
    <limit lower="-1" upper="1" effort="10" velocity="1"/>
  </joint>
  <joint name="elbow" type="prismatic">
    <origin xyz="0.4 0 0"/>
    <parent link="upper"/>
    <child link="fore"/>
    <limit lower="-0.1" upper="0.2" effort="10" velocity="1"/>
  </joint>
  <joint name="mount" type="fixed">
    <parent link="fore"/>
    <child link="flange"/>
  </joint>
  <joint name="finger" type="prismatic">
    <parent link="flange"/>
    <child link="left"/>
    <axis xyz="0 1 0"/>
    <limit lower="0" upper="0.04" effort="10" velocity="1"/>
  </joint>
  <joint name="other_finger" type="prismatic">
    <parent link="flange"/>
    <child link="right"/>
    <axis xyz="0 -1 0"/>
    <limit lower="0" upper="0.04" effort="10" velocity="1"/>
    <mimic joint="finger"/>
  </joint>
  <transmission name="drive"><joint name="shoulder"/></transmission>
</robot>
"#;

const ROBOT: [&str; 3] = ["shoulder", "elbow", "gripper"];

/// Writes `text` into a file and reads it as the arm of [`ROBOT`].
fn tool(text: impl AsRef<[u8]>, tip: Option<&str>) -> Result<ToolChain, UrdfError> {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("arm.urdf");
    std::fs::write(&file, text).unwrap();
    ToolChain::from_urdf(&file, tip, &ROBOT)
}

#[test]
fn the_chain_is_followed_to_the_link_that_is_named() {
    let chain = parse(ARM, Path::new("arm.urdf"), Some("flange")).unwrap();
    let names: Vec<_> = chain.joints.iter().map(|joint| joint.name.as_str()).collect();
    assert_eq!(names, ["shoulder", "elbow", "mount"]);
    assert_eq!(chain.joints[0].motion, Motion::Turns([0.0, 0.0, 1.0]));
    assert_eq!(chain.joints[0].line, 11);
    // No axis is x, no origin none; a prismatic joint keeps the farther end of its range.
    assert_eq!(chain.joints[1].motion, Motion::Slides([1.0, 0.0, 0.0], 0.2));
    assert_eq!(chain.joints[2].origin, Transform::IDENTITY);
    let tool = tool(ARM, Some("flange")).unwrap();
    assert_eq!(tool.tip(&[0.0, 0.1, 0.5]), [0.5, 0.0, 0.3]);
    assert_eq!(tool.joints().collect::<Vec<_>>(), [(0, false), (1, true)]);
    assert!((tool.reach(0) - 0.6).abs() < 1e-15 && tool.reach(1) == 1.0 && tool.reach(2) == 0.0);
}

#[test]
fn every_wrong_urdf_is_named_with_file_and_line() {
    let cases: &[(&str, &str, &str)] = &[
        ("<robot", "<robut", "arm.urdf:42: not readable as XML: "),
        ("</robot>", "", "not readable as XML: "),
        (
            "<?xml version=\"1.0\"?>",
            "<!DOCTYPE robot [<!ENTITY a \"b\">]>",
            "XML with DTD detected",
        ),
        ("<link name=\"base\"/>", "<link/>", "arm.urdf:5: a link has no attribute name. Add it"),
        (
            "<link name=\"fore\"/>",
            "",
            "arm.urdf:21: joint `elbow` connects link `fore`, which is not there. Links: base, upper, flange, left, right",
        ),
        (
            "<link name=\"fore\"/>",
            "<link name=\"base\"/>",
            "arm.urdf:7: link `base` is there twice. Rename one",
        ),
        ("\"elbow\" type", "\"shoulder\" type", "arm.urdf:18: joint `shoulder` is there twice"),
        ("<parent link=\"base\"/>", "", "arm.urdf:11: joint `shoulder` has no <parent>. Add it"),
        (
            "<parent link=\"base\"/>",
            "<parent/>",
            "arm.urdf:13: joint `shoulder`: <parent> has no attribute link",
        ),
        (
            "<child link=\"flange\"/>",
            "<child link=\"upper\"/>",
            "link `upper` hangs on the joints `shoulder` and `mount`. A link has one parent",
        ),
        (
            "<parent link=\"base\"/>",
            "<parent link=\"flange\"/>",
            "link `fore` is its own ancestor: elbow, shoulder, mount. Remove the joint",
        ),
        ("type=\"revolute\"", "", "arm.urdf:11: joint `shoulder` has no attribute type"),
        (
            "type=\"revolute\"",
            "type=\"floating\"",
            "arm.urdf:11: joint `shoulder` is of type \"floating\". A chain to the tip takes fixed, revolute",
        ),
        (
            "<axis xyz=\"0 0 1\"/>",
            "<axis xyz=\"0 0 0\"/>",
            "arm.urdf:15: joint `shoulder`: <axis> xyz = \"0 0 0\", needed is a direction, not zero",
        ),
        (
            "xyz=\"0.4 0 0\"",
            "xyz=\"0.4 0\"",
            "arm.urdf:19: joint `elbow`: <origin> xyz = \"0.4 0\", needed is 3 numbers, -100 to 100",
        ),
        ("xyz=\"0.4 0 0\"", "xyz=\"0.4 0 0 0\"", "needed is 3 numbers"),
        ("xyz=\"0.4 0 0\"", "xyz=\"0.4 O 0 0\"", "xyz = \"0.4 O 0 0\", needed is 3 numbers"),
        ("xyz=\"0.4 0 0\"", "xyz=\"nan 0 0\"", "xyz = \"nan 0 0\", needed is 3 numbers"),
        (
            "xyz=\"0.4 0 0\"",
            "xyz=\"400 0 0\"",
            "xyz = \"400 0 0\", needed is 3 numbers, -100 to 100",
        ),
        (
            "xyz=\"0.4 0 0\"",
            "quat_xyzw=\"0 0 0 1\"",
            "<origin> quat_xyzw = \"0 0 0 1\", needed is rpy instead",
        ),
        (
            "<limit lower=\"-0.1\" upper=\"0.2\" effort=\"10\" velocity=\"1\"/>",
            "",
            "arm.urdf:18: joint `elbow` has no <limit>",
        ),
        (
            "upper=\"0.2\"",
            "upper=\"inf\"",
            "arm.urdf:22: joint `elbow`: <limit> upper = \"inf\", needed is a number",
        ),
        (
            "type=\"fixed\">",
            "type=\"fixed\"><mimic joint=\"elbow\"/>",
            "joint `mount` mimics joint `elbow`, which a chain to the tip must not",
        ),
        (
            "name=\"elbow\"",
            "name=\"elbo\"",
            "arm.urdf:18: joint `elbo` moves the tip, but the robot has no joint of that name. Its joints: shoulder, elbow, gripper. Rename it, or make it fixed",
        ),
    ];
    let mut failures = String::new();
    for (old, new, says) in cases {
        assert!(ARM.contains(old), "the example has no {old}");
        let refusal = tool(ARM.replacen(old, new, 1), Some("flange")).unwrap_err().to_string();
        if !refusal.contains(says) || !refusal.contains("arm.urdf") {
            failures.push_str(&format!("{old} -> {new}\nmissing: {says}\nsaid: {refusal}\n\n"));
        }
    }
    assert!(failures.is_empty(), "{failures}");
}

#[test]
fn the_tip_must_be_known_and_moved() {
    let refusal = |text: &str, tip| tool(text, tip).unwrap_err().to_string();
    let several = refusal(ARM, None);
    assert!(
        several.ends_with(
            "arm.urdf: the chain has several ends: left, right. Name one of the links as the tip"
        ),
        "{several}"
    );
    let unknown = refusal(ARM, Some("hand"));
    assert!(
        unknown.contains("there is no link `hand` to be the tip. Links: base, upper, fore, flange"),
        "{unknown}"
    );
    let still = refusal(ARM, Some("base"));
    assert!(still.contains("no joint moves link `base`. Name another"), "{still}");
    let mimic = refusal(ARM, Some("right"));
    assert!(mimic.contains("arm.urdf:39: joint `other_finger` mimics joint `finger`"), "{mimic}");
    let empty = refusal("<robot/>", None);
    assert!(empty.contains("<robot> has no <link>"), "{empty}");
    let xacro = refusal("<sdf/>", None);
    assert!(xacro.contains("the root element is <sdf>, needed is <robot>"), "{xacro}");
    let round = "<robot><link name=\"a\"/><joint name=\"j\" type=\"fixed\"><parent link=\"a\"/><child link=\"a\"/></joint></robot>";
    assert!(refusal(round, None).contains("link `a` is its own ancestor: j."));
}

#[test]
fn files_that_cannot_be_read_are_named() {
    let file = PathBuf::from("/nowhere/arm.urdf");
    let refusal = ToolChain::from_urdf(&file, None, &ROBOT).unwrap_err().to_string();
    assert!(refusal.starts_with("/nowhere/arm.urdf: No such file"), "{refusal}");
    let refusal = tool([0xff, 0xfe, 0x00], None).unwrap_err().to_string();
    assert!(refusal.contains("valid UTF-8"), "{refusal}");
    let large = tool(" ".repeat(LARGEST_FILE as usize + 1), None).unwrap_err();
    assert_eq!(*large.problem, UrdfProblem::TooLarge);
    assert!(large.to_string().contains("more than 4 MiB"), "{large}");
}

#[test]
fn deep_and_endless_files_end() {
    let deep = format!("<robot>{}{}</robot>", "<a>".repeat(200_000), "</a>".repeat(200_000));
    assert!(tool(deep, None).is_err());
    let wide = format!("<robot>{}</robot>", "<a/>".repeat(MOST_NODES as usize));
    assert!(tool(wide, None).unwrap_err().to_string().contains("nodes limit"));
}

proptest! {
    #[test]
    fn arbitrary_text_never_panics(text in any::<String>(), tip in proptest::option::of("[a-z]{1,6}")) {
        let _ = parse(&text, Path::new("arm.urdf"), tip.as_deref());
    }

    #[test]
    fn changed_characters_never_panic(
        edits in prop::collection::vec((any::<prop::sample::Index>(), any::<char>(), 0..3u8), 1..8),
    ) {
        let mut text: Vec<char> = ARM.chars().collect();
        for (index, new, kind) in edits {
            let place = index.index(text.len());
            match kind {
                0 => text[place] = new,
                1 => text.insert(place, new),
                _ => { text.remove(place); }
            }
        }
        let text: String = text.into_iter().collect();
        let _ = parse(&text, Path::new("arm.urdf"), Some("flange"));
    }

    #[test]
    fn links_and_joints_in_any_arrangement_end(
        joints in prop::collection::vec((0..6u8, 0..6u8, 0..5usize, "[0-9 .e-]{0,12}"), 0..8),
        tip in proptest::option::of(0..7u8),
    ) {
        let mut text = "<robot>".to_owned();
        for link in 0..6 {
            text.push_str(&format!("<link name=\"{link}\"/>"));
        }
        for (index, (parent, child, kind, numbers)) in joints.iter().enumerate() {
            let kind = ["fixed", "revolute", "continuous", "prismatic", "planar"][*kind];
            text.push_str(&format!(
                "<joint name=\"j{index}\" type=\"{kind}\"><parent link=\"{parent}\"/><child link=\"{child}\"/>\
                 <axis xyz=\"{numbers} 0 1\"/><limit upper=\"{numbers}\"/></joint>"
            ));
        }
        text.push_str("</robot>");
        let tip = tip.map(|tip| tip.to_string());
        let names: Vec<String> = (0..8).map(|index| format!("j{index}")).collect();
        if let Ok(chain) = parse(&text, Path::new("arm.urdf"), tip.as_deref()) {
            prop_assert!(chain.joints.len() <= joints.len());
            prop_assert!(chain.joints.iter().all(|joint| names.contains(&joint.name)));
        }
    }
}
