//! Files and overrides that cannot be read or understood, and what is said about them.

use super::{Files, GOOD};

#[test]
fn overrides_are_refused_by_name() {
    let files = Files::new(&[("run.toml", GOOD)]);
    for (set, says) in [
        ("run.duration_s", "--set run.duration_s: there is no `=`"),
        ("run..x=3", "the key is not a dotted TOML key"),
        ("=3", "the key is not a dotted TOML key"),
        ("policy.state[0].joint=x", "one element of a list cannot be set"),
        ("extends=\"a.toml\"", "`extends` belongs into a file"),
        ("run.rat_hz=5", "--set: unknown key `run.rat_hz`; did you mean `run.rate_hz`?"),
        (
            "run.rate_hz=fast",
            "--set: `run.rate_hz` is the text \"fast\", needed is a number, 1 to 1000 Hz",
        ),
        ("run.rate_hz=1e9", "--set: `run.rate_hz` = 1000000000 Hz is not allowed"),
        ("run=5", "--set: `run` is the whole number 5, needed is a table"),
        ("run.rate_hz.x=5", "`run.rate_hz` is a table, needed is a number"),
    ] {
        let refusal = files.refusal("run.toml", &[set]);
        assert!(refusal.contains(says), "{set}\n{refusal}");
    }
    // Wrong overrides and wrong files are told together.
    let refusal = files.refusal("run.toml", &["nonsense", "run.rate_hz=0"]);
    assert!(
        refusal.contains("--set nonsense") && refusal.contains("`run.rate_hz` = 0"),
        "{refusal}"
    );
}

#[test]
fn extends_is_refused_by_name() {
    let files = Files::new(&[
        ("a.toml", "# first\nextends = \"b.toml\"\n"),
        ("b.toml", "extends = [\n  \"sub/c.toml\"]\n"),
        ("sub/c.toml", "extends = \"../a.toml\"\n"),
        ("self.toml", "extends = \"self.toml\"\n"),
        ("lost.toml", "\nextends = \"bb.toml\"\n"),
        ("typed.toml", "extends = 3\n"),
        ("listed.toml", "extends = [\"lost.toml\", \"\", {}]\n"),
        ("broken.toml", "extends = [\"bad.toml\", \"worse.toml\"]\n"),
        ("bad.toml", "x = \n"),
        ("worse.toml", "y = 'open\n"),
        ("dir/x", ""),
    ]);
    for (name, says) in [
        (
            "a.toml",
            &[
                "sub/c.toml:1: `extends` runs in a circle: ",
                "a.toml -> ",
                "b.toml -> ",
                "sub/c.toml -> ",
            ][..],
        ),
        ("self.toml", &["self.toml:1: `extends` runs in a circle"]),
        (
            "lost.toml",
            &["lost.toml:2: extends ", "bb.toml: No such file", "did you mean `", "b.toml`?"],
        ),
        (
            "typed.toml",
            &["typed.toml:1: `extends` is the whole number 3, needed is the path of a TOML file"],
        ),
        (
            "listed.toml",
            &["`extends[1]` is the text \"\"", "`extends[2]` is a table", "lost.toml:2: extends "],
        ),
        ("broken.toml", &["bad.toml:1:", "worse.toml:1:"]),
        ("nothing.toml", &["nothing.toml: No such file"]),
        ("dir", &["dir: Is a directory"]),
    ] {
        let refusal = files.refusal(name, &[]);
        for part in says {
            assert!(refusal.contains(part), "{name}: {part}\n{refusal}");
        }
    }
}

#[test]
fn chains_that_double_at_every_step_end() {
    let texts: Vec<(String, String)> = (0..40)
        .map(|index| {
            let next = index + 1;
            (format!("f{index}.toml"), format!("extends = [\"f{next}.toml\", \"f{next}.toml\"]\n"))
        })
        .collect();
    let mut files: Vec<(&str, &str)> =
        texts.iter().map(|(name, text)| (name.as_str(), text.as_str())).collect();
    files.push(("f40.toml", GOOD));
    let refusal = Files::new(&files).refusal("f0.toml", &[]);
    assert!(refusal.contains("`extends` reaches more than 32 files"), "{refusal}");
}

#[test]
fn files_that_are_no_text_are_refused() {
    let files = Files::new(&[("big.toml", &"# filler\n".repeat(1 << 18))]);
    assert!(files.refusal("big.toml", &[]).contains("larger than 1024 KiB"));
    std::fs::write(files.path("bytes.toml"), b"a = 1\nb = \"\xff\"\n").unwrap();
    assert!(files.refusal("bytes.toml", &[]).contains("bytes.toml: line 2 is not UTF-8"));
    // Nesting far beyond any configuration ends in a named error, not in an overflow.
    let deep = format!("x = {}{}", "[".repeat(100_000), "]".repeat(100_000));
    let dotted = format!("{}x = 1", "a.".repeat(100_000));
    let headers = format!("[{}x]", "a.".repeat(100_000));
    for text in [deep, dotted, headers] {
        let files = Files::new(&[("deep.toml", &text)]);
        assert!(files.refusal("deep.toml", &[]).contains("deep.toml:1:"));
        let refusal = Files::new(&[("run.toml", GOOD)]).refusal("run.toml", &[&text]);
        assert!(refusal.contains("--set"));
    }
}
