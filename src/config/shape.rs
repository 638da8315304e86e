//! Checks a merged tree against [`super::keys`]: unknown and missing keys, types, ranges. Brings
//! numbers and paths into their final form on the way.

use std::path::Path;

use super::error::{Origin, Problem};
use super::keys::{Key, Names, Need, Range, Shape, choices_words, key_names, sections, with_unit};
use super::source::resolve;
use super::suggest::closest;
use super::tree::{Node, Value, child, element, number, quoted};

/// Checks `node`, said under `key`, and everything below it. `unit` is the unit of its numbers.
pub(super) fn check(
    node: &mut Node,
    shape: &'static Shape,
    key: &str,
    unit: &str,
    problems: &mut Vec<Problem>,
) {
    let problem = match shape {
        Shape::Text | Shape::Name => check_text(node, shape, key),
        Shape::Path => check_path(node, key),
        Shape::NameOrPath(names) => check_name_or_path(node, shape, key, names),
        Shape::Bool => match node.value {
            Value::Bool(_) => None,
            _ => Some(wrong_type(node, shape, key, unit)),
        },
        Shape::Integer { min, max } => check_integer(node, shape, key, unit, *min, *max),
        Shape::Sign => check_sign(node, shape, key),
        Shape::Number(range) => check_number(node, shape, key, unit, *range),
        Shape::Factor(range) => check_factor(node, shape, key, *range),
        Shape::Choice(choices) => check_choice(node, shape, key, choices),
        Shape::Pair(range) => return check_pair(node, shape, key, unit, *range, problems),
        Shape::Each(range) => match &mut node.value {
            Value::List(items) if !items.is_empty() => {
                let one = Shape::Number(*range);
                for (index, item) in items.iter_mut().enumerate() {
                    problems.extend(check_number(item, &one, &element(key, index), unit, *range));
                }
                None
            }
            _ => check_number(node, shape, key, unit, *range),
        },
        Shape::Point(range) => match &mut node.value {
            Value::List(items) if items.len() == 3 => {
                let one = Shape::Number(*range);
                for (index, item) in items.iter_mut().enumerate() {
                    problems.extend(check_number(item, &one, &element(key, index), unit, *range));
                }
                None
            }
            _ => Some(wrong_type(node, shape, key, unit)),
        },
        Shape::List { of, least } => match &mut node.value {
            Value::List(items) if items.len() >= *least => {
                for (index, item) in items.iter_mut().enumerate() {
                    check(item, of, &element(key, index), unit, problems);
                }
                None
            }
            _ => Some(wrong_type(node, shape, key, unit)),
        },
        Shape::Map { of, names, .. } => match &mut node.value {
            Value::Table(table) => {
                for (name, item) in table {
                    let path = child(key, name);
                    problems.extend(check_name(&item.at, &path, name, *names));
                    check(item, of, &path, unit, problems);
                }
                None
            }
            _ => Some(wrong_type(node, shape, key, unit)),
        },
        Shape::Table(keys) => match node.value {
            Value::Table(_) => return check_keys(node, keys, None, key, problems),
            _ => Some(wrong_type(node, shape, key, unit)),
        },
        Shape::Tagged { tag, meaning, variants } => {
            return check_tagged(node, shape, (tag, meaning), variants, key, problems);
        }
    };
    problems.extend(problem);
}

fn wrong_type(node: &Node, shape: &Shape, key: &str, unit: &str) -> Problem {
    Problem::WrongType {
        at: node.at.clone(),
        key: key.to_owned(),
        found: node.value.describe(),
        needed: shape.words(unit),
    }
}

fn out_of_range(at: &Origin, key: &str, value: String, allowed: String, remedy: String) -> Problem {
    Problem::OutOfRange { at: at.clone(), key: key.to_owned(), value, allowed, remedy }
}

fn check_text(node: &Node, shape: &Shape, key: &str) -> Option<Problem> {
    let Value::Text(text) = &node.value else {
        return Some(wrong_type(node, shape, key, ""));
    };
    let refuse = |allowed: &str, remedy: &str| {
        Some(out_of_range(&node.at, key, quoted(text), allowed.to_owned(), remedy.to_owned()))
    };
    if text.trim().is_empty() {
        return refuse("text that is not empty", "Write something");
    }
    if text.chars().any(char::is_control) {
        return refuse("text without control characters", "Keep it on one line");
    }
    if matches!(shape, Shape::Name) && !is_plain_name(text) {
        return refuse(PLAIN_NAME, "It becomes part of a file name");
    }
    None
}

const PLAIN_NAME: &str =
    "up to 64 letters, digits, `.`, `_` and `-`, not beginning with `.` or `-`";

fn is_plain_name(text: &str) -> bool {
    text.len() <= 64
        && !text.starts_with(['.', '-'])
        && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"._-".contains(&byte))
}

fn check_name(at: &Origin, key: &str, name: &str, names: Names) -> Option<Problem> {
    let (good, allowed) = match names {
        Names::Any => (
            !name.trim().is_empty() && !name.chars().any(char::is_control),
            "a name that is not empty, without control characters",
        ),
        Names::Plain => (!name.is_empty() && is_plain_name(name), PLAIN_NAME),
    };
    (!good).then(|| {
        out_of_range(at, key, quoted(name), allowed.to_owned(), "Choose another name".into())
    })
}

fn check_path(node: &mut Node, key: &str) -> Option<Problem> {
    let Value::Text(text) = &mut node.value else {
        return Some(wrong_type(node, &Shape::Path, key, ""));
    };
    if text.trim().is_empty() || text.contains('\0') {
        let allowed = "a path that is not empty";
        return Some(out_of_range(&node.at, key, quoted(text), allowed.into(), "Write one".into()));
    }
    if text.starts_with("~/") || text == "~" {
        let remedy = "`~` is not expanded here: write the home folder out";
        let allowed = "an absolute path, or one relative to the file that says it";
        return Some(out_of_range(&node.at, key, quoted(text), allowed.into(), remedy.into()));
    }
    let directory = node.at.file().and_then(Path::parent).unwrap_or(Path::new(""));
    let path = resolve(directory, Path::new(text.as_str()));
    match std::path::absolute(&path)
        .map(|path| resolve(Path::new(""), &path).into_os_string().into_string())
    {
        Ok(Ok(path)) => {
            *text = path;
            None
        }
        Ok(Err(_)) => Some(Problem::Invalid {
            at: node.at.clone(),
            key: key.to_owned(),
            message: format!("the folder that {} stands in is not UTF-8", quoted(text)),
        }),
        Err(error) => Some(Problem::Invalid {
            at: node.at.clone(),
            key: key.to_owned(),
            message: format!("{} cannot be made absolute: {error}", quoted(text)),
        }),
    }
}

/// A name as it is, and anything that looks like a path as one.
fn check_name_or_path(
    node: &mut Node,
    shape: &Shape,
    key: &str,
    names: &'static [&'static str],
) -> Option<Problem> {
    let Value::Text(text) = &node.value else {
        return Some(wrong_type(node, shape, key, ""));
    };
    if names.contains(&text.as_str()) {
        return None;
    }
    if text.contains(['/', '.', '\0']) {
        return check_path(node, key);
    }
    let allowed = format!("{}, or the path of a file", choices_words(names));
    let remedy = match closest(text, names.iter().copied()) {
        Some(near) => format!("Did you mean \"{near}\"?"),
        None => "A path has a `/` or a `.` in it".to_owned(),
    };
    Some(out_of_range(&node.at, key, quoted(text), allowed, remedy))
}

fn check_integer(
    node: &Node,
    shape: &Shape,
    key: &str,
    unit: &str,
    min: i64,
    max: i64,
) -> Option<Problem> {
    let Value::Integer(value) = node.value else {
        return Some(wrong_type(node, shape, key, unit));
    };
    let remedy = if value < min {
        format!("Raise it to {} or more", with_unit(&min.to_string(), unit))
    } else if value > max {
        format!("Lower it to {} or less", with_unit(&max.to_string(), unit))
    } else {
        return None;
    };
    let range = with_unit(&format!("{min} to {max}"), unit);
    Some(out_of_range(&node.at, key, with_unit(&value.to_string(), unit), range, remedy))
}

fn check_sign(node: &mut Node, shape: &Shape, key: &str) -> Option<Problem> {
    let value = match node.value {
        Value::Integer(value) => value as f64,
        Value::Number(value) => value,
        _ => return Some(wrong_type(node, shape, key, "")),
    };
    if value == 1.0 || value == -1.0 {
        node.value = Value::Integer(value as i64);
        return None;
    }
    let remedy = "Write -1 to turn the direction round; `scale` takes other factors";
    Some(out_of_range(&node.at, key, number(value), "1 or -1".into(), remedy.into()))
}

/// Turns whole numbers into floating point in place; `None` for anything that is no number.
fn as_number(node: &mut Node) -> Option<f64> {
    if let Value::Integer(value) = node.value {
        node.value = Value::Number(value as f64);
    }
    match node.value {
        Value::Number(value) => Some(value),
        _ => None,
    }
}

fn check_number(
    node: &mut Node,
    shape: &Shape,
    key: &str,
    unit: &str,
    range: Range,
) -> Option<Problem> {
    match as_number(node) {
        Some(value) if range.contains(value) => None,
        Some(value) => {
            let shown = with_unit(&number(value), unit);
            let remedy = if !value.is_finite() {
                "Write a finite number".to_owned()
            } else if value > range.max {
                format!("Lower it to {} or less", with_unit(&number(range.max), unit))
            } else if range.above {
                format!("Write more than {}", with_unit(&number(range.min), unit))
            } else {
                format!("Raise it to {} or more", with_unit(&number(range.min), unit))
            };
            Some(out_of_range(&node.at, key, shown, range.words(unit), remedy))
        }
        None => Some(wrong_type(node, shape, key, unit)),
    }
}

fn check_factor(node: &mut Node, shape: &Shape, key: &str, range: Range) -> Option<Problem> {
    match as_number(node) {
        Some(value) if range.contains(value.abs()) => None,
        Some(value) => {
            let remedy = "Write a finite number that is not zero: a factor of zero loses the joint";
            let allowed = format!("a magnitude of {}", range.words(""));
            Some(out_of_range(&node.at, key, number(value), allowed, remedy.into()))
        }
        None => Some(wrong_type(node, shape, key, "")),
    }
}

fn check_choice(node: &Node, shape: &Shape, key: &str, choices: &[&str]) -> Option<Problem> {
    let Value::Text(text) = &node.value else {
        return Some(wrong_type(node, shape, key, ""));
    };
    if choices.contains(&text.as_str()) {
        return None;
    }
    let remedy = closest(text, choices.iter().copied())
        .map_or("Choose one of these".into(), |near| format!("Did you mean \"{near}\"?"));
    Some(out_of_range(&node.at, key, quoted(text), choices_words(choices), remedy))
}

fn check_pair(
    node: &mut Node,
    shape: &Shape,
    key: &str,
    unit: &str,
    range: Range,
    problems: &mut Vec<Problem>,
) {
    if let Value::List(items) = &mut node.value
        && let [low, high] = items.as_mut_slice()
    {
        let before = problems.len();
        let one = Shape::Number(range);
        problems.extend(check_number(low, &one, &element(key, 0), unit, range));
        problems.extend(check_number(high, &one, &element(key, 1), unit, range));
        if problems.len() > before {
            return;
        }
        if let (Some(low), Some(high)) = (as_number(low), as_number(high))
            && low >= high
        {
            let value = with_unit(&format!("[{}, {}]", number(low), number(high)), unit);
            let remedy = "Write the lower end first; nothing is swapped for you".to_owned();
            let allowed = "[lower, upper] with lower below upper".to_owned();
            problems.push(out_of_range(&node.at, key, value, allowed, remedy));
        }
        return;
    }
    problems.push(wrong_type(node, shape, key, unit));
}

/// Checks the keys of a table. `tag` is a key that was checked already.
fn check_keys(
    node: &mut Node,
    keys: &'static [Key],
    tag: Option<&'static str>,
    path: &str,
    problems: &mut Vec<Problem>,
) {
    let Value::Table(table) = &mut node.value else { return };
    for (name, item) in table.iter_mut() {
        if tag == Some(name.as_str()) {
            continue;
        }
        match keys.iter().find(|key| key.name == name) {
            Some(key) => check(item, &key.shape, &child(path, name), key.unit, problems),
            None => problems.push(Problem::UnknownKey {
                at: item.at.clone(),
                key: child(path, name),
                suggestion: suggestion(path, name, keys),
                allowed: tag.into_iter().chain(key_names(keys)).map(str::to_owned).collect(),
            }),
        }
    }
    for key in keys.iter().filter(|key| key.need == Need::Required) {
        if !table.contains_key(key.name) {
            problems.push(Problem::Missing {
                at: node.at.clone(),
                key: child(path, key.name),
                meaning: key.meaning.to_owned(),
                needed: key.shape.words(key.unit),
            });
        }
    }
}

fn suggestion(path: &str, name: &str, keys: &'static [Key]) -> Option<String> {
    if let Some(near) = closest(name, key_names(keys)) {
        return Some(child(path, near));
    }
    // The right key in the wrong table.
    sections()
        .find(|(_, keys)| keys.iter().any(|key| key.name == name))
        .map(|(section, _)| child(section, name))
}

fn check_tagged(
    node: &mut Node,
    shape: &Shape,
    (tag, meaning): (&'static str, &'static str),
    variants: &'static [(&'static str, &'static [Key])],
    path: &str,
    problems: &mut Vec<Problem>,
) {
    let Value::Table(table) = &node.value else {
        problems.push(wrong_type(node, shape, path, ""));
        return;
    };
    let tags: Vec<&str> = variants.iter().map(|(name, _)| *name).collect();
    let key = child(path, tag);
    match table.get(tag) {
        None => problems.push(Problem::Missing {
            at: node.at.clone(),
            key,
            meaning: meaning.to_owned(),
            needed: format!("one of {}", choices_words(&tags)),
        }),
        Some(said) => {
            let found = variants
                .iter()
                .find(|(name, _)| matches!(&said.value, Value::Text(text) if text == name));
            match found {
                Some((_, keys)) => check_keys(node, keys, Some(tag), path, problems),
                None => {
                    let said = said.clone();
                    let wanted = Shape::Text;
                    problems.extend(match &said.value {
                        Value::Text(_) => check_choice(&said, &wanted, &key, &tags),
                        _ => Some(Problem::WrongType {
                            at: said.at.clone(),
                            key,
                            found: said.value.describe(),
                            needed: format!("one of {}", choices_words(&tags)),
                        }),
                    });
                }
            }
        }
    }
}
