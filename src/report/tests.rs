//! Reports of small journals.

use std::fs;
use std::path::PathBuf;

use serde_json::{Value, json};
use sinew_episodes::journal::{
    CameraMeta, ChunkRecord, ClampCause, CycleRecord, EventRecord, FrameRecord, Header, JointMeta,
    PolicyMeta, Writer,
};

use super::filmstrip::tests::picture;
use super::{ReportError, write};

fn header() -> Header {
    let joint = |name: &str, unit: &str| JointMeta { name: name.into(), unit: unit.into() };
    Header {
        version: "0.1.0".into(),
        run: "run <7>".into(),
        unix_ns: 1_709_251_199_000_000_000,
        robot: "mycobot320".into(),
        joints: vec![joint("shoulder", "rad"), joint("gripper", "1")],
        sensors: Vec::new(),
        cameras: vec![CameraMeta { name: "wrist".into(), width: 64, height: 48, rate_hz: 10.0 }],
        rate_hz: 100.0,
        dataset_rate_hz: 10.0,
        task: "put </script><script>alert(1)</script> away".into(),
        policy: Some(PolicyMeta {
            kind: "act".into(),
            path: "models/\"tiny\"".into(),
            sha256: "00ff".repeat(16),
            action_steps: 8,
        }),
        actuator: None,
        config: "[run]\nname = \"a<b\"\n".into(),
    }
}

fn summary() -> Value {
    let timing =
        json!({"n": 99, "p50_us": 61.25, "p99_us": 84.5, "p999_us": 90.0, "max_us": 1234.5});
    json!({
        "run": "run <7>",
        "exit": {"cause": "tracking_error", "message": "the arm did not follow", "code": 32},
        "seconds": 1.5,
        "timing": {"lateness": timing, "missed": 2, "overruns": 1},
        "bus": {"requests": 4321, "read_mean_ms": 18.25},
        "clamps": {"shoulder": {"velocity": 40}},
        "drops": {"samples": 0, "frames": 5, "expired_actions": 12_345},
        "recording_fault": "the disk was <full>",
    })
}

struct Bench {
    folder: tempfile::TempDir,
}

impl Bench {
    fn new(cycles: u64) -> Self {
        let bench = Self { folder: tempfile::tempdir().unwrap() };
        let mut writer = Writer::create(&bench.journal(), &header()).unwrap();
        for index in (0..cycles).filter(|index| *index != 50 && *index != 51) {
            writer.append_cycle(&cycle(index)).unwrap();
        }
        for sequence in 0..3 {
            let captured_ns = 100_000_000 * sequence;
            let png = if sequence == 2 { b"torn".to_vec() } else { picture(64, 48) };
            let frame = FrameRecord { camera: 0, sequence, captured_ns, png };
            writer.append_frame(&frame).unwrap();
        }
        let chunk = ChunkRecord {
            cycle: 20,
            sequence: 0,
            observation_ns: 130_000_000,
            started_ns: 150_000_000,
            finished_ns: 190_000_000,
            step_ns: 20_000_000,
            action_size: 2,
            actions: vec![0.0; 8],
        };
        writer.append_chunk(&chunk).unwrap();
        let message = "silent; <img src=x> reopened".to_owned();
        let event = EventRecord { at_ns: 1_234_567_890, kind: "reconnect".into(), message };
        writer.append_event(&event).unwrap();
        writer.flush().unwrap();
        bench
    }

    fn journal(&self) -> PathBuf {
        self.folder.path().join("journal.sinew")
    }

    fn report(&self, summary: &Value) -> String {
        let out = self.folder.path().join("report.html");
        write(&self.journal(), summary, &out).unwrap();
        assert!(!self.folder.path().join("report.html.part").exists());
        fs::read_to_string(out).unwrap()
    }
}

/// Cycle 30 asks for a NaN and is clamped; cycle 31 has a substituted gripper.
fn cycle(index: u64) -> CycleRecord {
    let scheduled_ns = index * 10_000_000;
    let woke_ns = scheduled_ns + 60_000;
    let position = (index as f64 * 0.1).sin();
    let clamps = match index {
        30 => ClampCause::NonFinite.bit(),
        31..35 => ClampCause::Velocity.bit() | ClampCause::Acceleration.bit(),
        _ => 0,
    };
    CycleRecord {
        index,
        scheduled_ns,
        woke_ns,
        state: if index < 10 { 1 } else { 2 },
        measured: vec![position - 0.05, 0.5],
        measured_ns: vec![woke_ns.saturating_sub(5_000_000); 2],
        substituted: u32::from(index == 31) << 1,
        requested: vec![if index == 30 { f64::NAN } else { position + 0.1 }, 0.5],
        limited: vec![position, 0.5],
        clamps: vec![clamps, 0],
        observation_ns: (index > 20).then_some(130_000_000),
        ..CycleRecord::default()
    }
}

/// The numbers that the page's script draws.
fn payload(html: &str) -> Value {
    let (_, rest) = html.split_once("<script type=\"application/json\" id=\"data\">").unwrap();
    let (json, _) = rest.split_once("</script>").unwrap();
    serde_json::from_str(json).unwrap()
}

fn row<'a>(html: &'a str, head: &str) -> &'a str {
    let (_, rest) = html.split_once(&format!("<tr><th scope=\"row\">{head}")).unwrap();
    rest.split_once("</tr>").unwrap().0
}

#[test]
fn a_report_shows_what_the_journal_and_the_summary_hold() {
    let html = Bench::new(100).report(&summary());
    for text in [
        "tracking error",
        "The arm did not follow",
        "exit code 32",
        "2024-02-29 23:59:59 UTC",
        "shoulder",
        "gripper",
        "percent open",
        "reconnect",
        "1.235",
        "holding",
        "running",
        "4321",
        "12\u{202f}345",
        "the disk was &lt;full&gt;",
        "wrist",
        "0.100\u{202f}s",
        "the frame&#39;s PNG file is damaged",
        "data:image/png;base64,",
        &"00ff".repeat(16),
    ] {
        assert!(html.contains(text), "{text}");
    }
    let shoulder = row(&html, "shoulder");
    // Velocity from the summary, which counts more; acceleration and non-finite from the journal.
    let cells = "<td>40</td><td>4</td><td><span class=\"zero\">·</span></td><td>1</td>";
    assert!(shoulder.contains(cells), "{shoulder}");
    assert!(
        row(&html, "lateness").ends_with("<td>61.2</td><td>84.5</td><td>90.0</td><td>1234.5</td>")
    );
    assert!(row(&html, "period").contains("<td>97</td>"), "from the journal, 98 cycles");
}

#[test]
fn no_text_of_a_journal_becomes_markup() {
    let html = Bench::new(100).report(&summary());
    assert!(html.contains("put &lt;/script&gt;&lt;script&gt;alert(1)&lt;/script&gt; away"));
    assert!(html.contains("name = &quot;a&lt;b&quot;") && html.contains("run &lt;7&gt;"));
    assert!(html.contains("models/&quot;tiny&quot;"));
    assert!(!html.contains("alert(1)</script>") && !html.contains("<img src=x>"));
    // Beside the payload there is one script: the page's own.
    assert_eq!(html.matches("<script").count(), 2);
    assert_eq!(payload(&html)["events"][0][2], "silent; <img src=x> reopened");
}

#[test]
fn a_report_asks_nothing_of_the_network() {
    let html = Bench::new(100).report(&summary());
    let namespace = "http://www.w3.org/2000/svg";
    let rest = html.replace(namespace, "");
    for text in ["http:", "https:", "url(//", "@import", "src=\"/", "<link"] {
        assert!(!rest.contains(text), "{text}");
    }
    assert!(html.contains("default-src 'none'"));
}

#[test]
fn the_drawn_series_are_those_of_the_journal() {
    let data = payload(&Bench::new(100).report(&Value::Null));
    assert_eq!(data["range"], json!([0.0, 0.99]));
    assert_eq!(data["states"], json!([[0.0, "holding"], [0.1, "running"]]));
    assert_eq!(data["gaps"], json!([[0.52006, 2]]));
    assert_eq!(data["grid"]["per"], 1);
    let limited = &data["joints"][0]["limited"];
    let most = (0..100_i32).map(|index| (f64::from(index) * 0.1).sin()).fold(0.0, f64::max);
    assert!((limited[1].as_f64().unwrap() - most).abs() < 1e-6, "{limited}");
    assert!(data["joints"][0]["flags"].is_string());
    // The gripper was never clamped, but substituted.
    assert!(data["joints"][1]["flags"].is_string());
    assert!(data["joints"][1]["scale"] == 100.0);
}

#[test]
fn a_journal_without_a_cycle_has_a_report() {
    let html = Bench::new(0).report(&Value::Null);
    assert!(html.contains("no control cycle"));
    assert!(html.contains("end unknown") && html.contains("Without a summary"));
    for text in [">NaN", "NaN<", ">inf<", ">-inf"] {
        assert!(!html.contains(text), "{text}");
    }
    assert_eq!(payload(&html)["range"], json!([0.0, 0.0]));
}

#[test]
fn a_torn_journal_has_a_report_of_what_is_left() {
    let bench = Bench::new(100);
    let bytes = fs::read(bench.journal()).unwrap();
    fs::write(bench.journal(), &bytes[..bytes.len() - 5]).unwrap();
    let html = bench.report(&Value::Null);
    assert!(html.contains("The journal ends inside a record"));
    assert!(html.contains("The journal has no summary"));
    assert!(html.contains("No events") && html.contains("98 cycles"));
}

#[test]
fn the_summary_of_the_journal_is_used_where_none_is_given() {
    let bench = Bench::new(3);
    fs::remove_file(bench.journal()).unwrap();
    let mut writer = Writer::create(&bench.journal(), &header()).unwrap();
    let text = json!({"exit": {"cause": "completed", "message": "done", "code": 0}}).to_string();
    writer.append_summary(&text).unwrap();
    writer.flush().unwrap();
    let html = bench.report(&Value::Null);
    assert!(html.contains("badge good") && html.contains("exit code 0"));
    let other = json!({"exit": {"cause": "operator", "message": "asked", "code": 20}});
    assert!(bench.report(&other).contains("badge asked"));
}

#[test]
fn a_summary_of_another_shape_is_no_trouble() {
    let odd = json!({
        "exit": "completed", "seconds": "long", "timing": [1], "clamps": {"shoulder": 3},
        "bus": null, "drops": {"samples": -1}, "policy": {"latency": {"n": 1}},
    });
    let html = Bench::new(5).report(&odd);
    assert!(html.contains("end unknown"));
    assert!(Bench::new(5).report(&json!([1, 2])).contains("end unknown"));
}

#[test]
fn what_cannot_be_read_or_written_is_named() {
    let bench = Bench::new(1);
    let nowhere = bench.folder.path().join("nowhere").join("report.html");
    let error = write(&bench.journal(), &Value::Null, &nowhere).unwrap_err();
    assert!(matches!(error, ReportError::Write { .. }) && error.to_string().contains("nowhere"));
    let missing = bench.folder.path().join("missing.sinew");
    let error = write(&missing, &Value::Null, &nowhere).unwrap_err();
    assert!(matches!(error, ReportError::Journal(_)), "{error}");
}
