//! `tensors.tsv`: name, type and shape of every tensor of a checkpoint, one line each.

use std::collections::BTreeSet;

/// Most values in one table: 2 GiB of weights, which is what a checkpoint's reader takes.
const MAX_VALUES: usize = 1 << 29;

/// One tensor of the table.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Entry {
    /// Name of the tensor.
    pub name: String,
    /// Shape of the tensor.
    pub shape: Vec<usize>,
    /// Number of its values.
    pub count: usize,
}

/// Why a table was refused. Lines count from 1.
#[derive(Debug, PartialEq, thiserror::Error)]
pub(crate) enum TableError {
    /// Not three columns.
    #[error("line {line} has {found} columns, needed 3 (name, type, shape), separated by tabs")]
    Columns { line: usize, found: usize },
    /// Not 32-bit floating point.
    #[error("line {line}: type of {tensor} is {found}, needed float32")]
    Type { line: usize, tensor: String, found: String },
    /// Not a list of sizes.
    #[error("line {line}: shape of {tensor} is {found:?}, needed a list such as [512, 64]")]
    Shape { line: usize, tensor: String, found: String },
    /// Too large.
    #[error("line {line}: with {tensor} the table holds more than {MAX_VALUES} values")]
    Size { line: usize, tensor: String },
    /// Listed twice.
    #[error("line {line}: {tensor} is listed twice")]
    Duplicate { line: usize, tensor: String },
    /// Nothing listed.
    #[error("the table lists no tensors")]
    Empty,
}

/// Parses a whole table.
pub(crate) fn parse(text: &str) -> Result<Vec<Entry>, TableError> {
    let mut seen = BTreeSet::new();
    let mut total = 0_usize;
    let mut entries = Vec::new();
    for (index, row) in text.lines().enumerate().filter(|(_, row)| !row.trim().is_empty()) {
        let line = index + 1;
        let columns: Vec<&str> = row.split('\t').collect();
        let [name, kind, shape_text] = columns[..] else {
            return Err(TableError::Columns { line, found: columns.len() });
        };
        let tensor = name.to_owned();
        if kind != "float32" {
            return Err(TableError::Type { line, tensor, found: kind.to_owned() });
        }
        let Some(shape) = parse_shape(shape_text) else {
            return Err(TableError::Shape { line, tensor, found: shape_text.to_owned() });
        };
        let count = shape.iter().try_fold(1_usize, |count, size| count.checked_mul(*size));
        let sum = count.and_then(|count| total.checked_add(count));
        let (Some(count), Some(sum)) = (count, sum.filter(|sum| *sum <= MAX_VALUES)) else {
            return Err(TableError::Size { line, tensor });
        };
        if !seen.insert(tensor.clone()) {
            return Err(TableError::Duplicate { line, tensor });
        }
        total = sum;
        entries.push(Entry { name: tensor, shape, count });
    }
    if entries.is_empty() { Err(TableError::Empty) } else { Ok(entries) }
}

fn parse_shape(text: &str) -> Option<Vec<usize>> {
    let sizes = text.trim().strip_prefix('[')?.strip_suffix(']')?;
    sizes.split(',').map(|size| size.trim().parse().ok()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_become_entries() {
        let entries = parse("a\tfloat32\t[2, 3]\n\nb\tfloat32\t[4]\n").unwrap();
        let entry = |name: &str, shape: &[usize], count| Entry {
            name: name.to_owned(),
            shape: shape.to_vec(),
            count,
        };
        assert_eq!(entries, [entry("a", &[2, 3], 6), entry("b", &[4], 4)]);
    }

    #[test]
    fn bad_lines_are_named() {
        let tensor = "a".to_owned();
        let cases = [
            ("", TableError::Empty),
            ("a\tfloat32", TableError::Columns { line: 1, found: 2 }),
            (
                "a\tint64\t[1]",
                TableError::Type { line: 1, tensor: tensor.clone(), found: "int64".into() },
            ),
            (
                "a\tfloat32\t[1,-2]",
                TableError::Shape { line: 1, tensor: tensor.clone(), found: "[1,-2]".into() },
            ),
            (
                "a\tfloat32\t[9223372036854775807, 4]",
                TableError::Size { line: 1, tensor: tensor.clone() },
            ),
            ("a\tfloat32\t[1]\na\tfloat32\t[1]", TableError::Duplicate { line: 2, tensor }),
        ];
        for (text, expected) in cases {
            assert_eq!(parse(text), Err(expected), "{text}");
        }
    }
}
