//! One table from the lines of all cells.

use std::collections::BTreeMap;

use serde_json::Value;

type Key = (bool, String, String);

/// Prints, per variant, medians over rounds (and the largest maximum), and sums of what was lost.
pub fn print(path: &str) -> Result<(), String> {
    let text = std::fs::read_to_string(path).map_err(|error| format!("{path}: {error}"))?;
    let mut groups: BTreeMap<Key, Vec<Value>> = BTreeMap::new();
    for line in text.lines() {
        let row: Value = serde_json::from_str(line).map_err(|error| error.to_string())?;
        let word = |name: &str| row[name].as_str().unwrap_or("?").to_owned();
        let key = (row["paced"] == true, word("class"), word("who"));
        groups.entry(key).or_default().push(row);
    }
    println!(
        "{:<5} {:<13} {:<13} {:>6} {:>8} | {:>8} {:>8} {:>9} {:>9} | {:>9} {:>9} | {:>8} {:>8} \
         {:>8} {:>9} | {:>5} {:>8} {:>8} {:>9}",
        "pace",
        "class",
        "who",
        "rounds",
        "cycles",
        "p50 µs",
        "p99",
        "p99.9",
        "max",
        "end p99.9",
        "end max",
        "late p50",
        "p99",
        "p99.9",
        "max",
        "lost",
        "dropped",
        "read",
        "B/record"
    );
    for ((paced, class, who), rows) in &groups {
        let all = |group: &str, name: &str| -> Vec<f64> {
            rows.iter().filter_map(|row| row[group][name].as_f64()).collect()
        };
        let middle = |group: &str, name: &str| median(all(group, name));
        let most = |group: &str| all(group, "max_us").into_iter().fold(0.0, f64::max);
        let sum = |name: &str| rows.iter().filter_map(|row| row[name].as_u64()).sum::<u64>();
        let bytes = median(rows.iter().filter_map(|row| row["record_bytes"].as_f64()).collect());
        println!(
            "{:<5} {:<13} {:<13} {:>6} {:>8} | {:>8.2} {:>8.2} {:>9.2} {:>9.1} | {:>9.2} {:>9.1} | \
             {:>8.2} {:>8.1} {:>8.1} {:>9.1} | {:>5} {:>8} {:>8} {:>9.0}",
            if *paced { "1 kHz" } else { "flat" },
            class,
            who,
            rows.len(),
            sum("cycles"),
            middle("response", "p50_us"),
            middle("response", "p99_us"),
            middle("response", "p999_us"),
            most("response"),
            middle("cycle", "p999_us"),
            most("cycle"),
            middle("lateness", "p50_us"),
            middle("lateness", "p99_us"),
            middle("lateness", "p999_us"),
            most("lateness"),
            sum("lost"),
            sum("dropped"),
            sum("read_back"),
            bytes
        );
    }
    Ok(())
}

fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    match values.len() {
        0 => f64::NAN,
        n if n % 2 == 1 => values[n / 2],
        n => 0.5 * (values[n / 2 - 1] + values[n / 2]),
    }
}
