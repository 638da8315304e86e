//! JSON values with the file and key that errors name.

use crate::quote::quote;
use serde_json::{Map, Value};
use std::ops::RangeInclusive;
use std::path::{Path, PathBuf};

/// Why a JSON file was refused.
#[derive(Debug, thiserror::Error)]
pub enum JsonError {
    /// It is not JSON.
    #[error("{}: not valid JSON: {}; copy the file again", file.display(), quote(&source.to_string()))]
    Syntax {
        /// Path of the file.
        file: PathBuf,
        /// What is wrong, with line and column.
        source: serde_json::Error,
    },
    /// A key is not there.
    #[error("{}: key {key} is missing, needed {needed}; the file was written by a version of LeRobot that is not supported, or edited", file.display(), key = quote(key))]
    Missing {
        /// Path of the file.
        file: PathBuf,
        /// Path of the key, joined by dots.
        key: String,
        /// What it should be.
        needed: String,
    },
    /// A key holds something else.
    #[error("{}: {key} is {found}, needed {needed}", file.display(), found = quote(found), key = quote(key))]
    Value {
        /// Path of the file.
        file: PathBuf,
        /// Path of the key, joined by dots.
        key: String,
        /// What it holds, as JSON.
        found: String,
        /// What it should be.
        needed: String,
    },
}

/// Longest piece of JSON that an error repeats, in characters.
const LONGEST_QUOTE: usize = 80;

/// A value, the file it is from and the path of keys that leads to it.
#[derive(Clone)]
pub(crate) struct Node<'a> {
    file: &'a Path,
    key: String,
    value: &'a Value,
}

/// Parses a whole file.
pub(crate) fn parse(file: &Path, bytes: &[u8]) -> Result<Value, JsonError> {
    serde_json::from_slice(bytes)
        .map_err(|source| JsonError::Syntax { file: file.to_path_buf(), source })
}

impl<'a> Node<'a> {
    /// The root of a file.
    pub(crate) fn root(file: &'a Path, value: &'a Value) -> Self {
        Self { file, key: String::new(), value }
    }

    /// Path of the file.
    pub(crate) fn file(&self) -> &'a Path {
        self.file
    }

    /// Path of the key, joined by dots.
    pub(crate) fn key(&self) -> &str {
        if self.key.is_empty() { "(the whole file)" } else { &self.key }
    }

    /// The value as JSON, shortened.
    pub(crate) fn quote(&self) -> String {
        let text = self.value.to_string();
        if text.chars().count() <= LONGEST_QUOTE {
            return text;
        }
        text.chars().take(LONGEST_QUOTE).chain(" ...".chars()).collect()
    }

    /// Error for a value that is not what is `needed`.
    pub(crate) fn refuse(&self, needed: impl Into<String>) -> JsonError {
        JsonError::Value {
            file: self.file.to_path_buf(),
            key: self.key().to_owned(),
            found: self.quote(),
            needed: needed.into(),
        }
    }

    fn child_key(&self, key: &str) -> String {
        if self.key.is_empty() { key.to_owned() } else { format!("{}.{key}", self.key) }
    }

    fn map(&self) -> Result<&'a Map<String, Value>, JsonError> {
        self.value.as_object().ok_or_else(|| self.refuse("an object"))
    }

    /// Members of an object, in the order of the file.
    pub(crate) fn members(&self) -> Result<Vec<(&'a str, Node<'a>)>, JsonError> {
        let node = |(key, value): (&'a String, &'a Value)| {
            (key.as_str(), Node { file: self.file, key: self.child_key(key), value })
        };
        Ok(self.map()?.iter().map(node).collect())
    }

    /// Elements of a list.
    pub(crate) fn elements(&self) -> Result<Vec<Node<'a>>, JsonError> {
        let list = self.value.as_array().ok_or_else(|| self.refuse("a list"))?;
        let node = |(index, value): (usize, &'a Value)| Node {
            file: self.file,
            key: self.child_key(&index.to_string()),
            value,
        };
        Ok(list.iter().enumerate().map(node).collect())
    }

    /// A member that may be absent or null.
    pub(crate) fn optional(&self, key: &str) -> Result<Option<Node<'a>>, JsonError> {
        let value = self.map()?.get(key).filter(|value| !value.is_null());
        Ok(value.map(|value| Node { file: self.file, key: self.child_key(key), value }))
    }

    /// A member that must be there.
    pub(crate) fn required(&self, key: &str, needed: &str) -> Result<Node<'a>, JsonError> {
        self.optional(key)?.ok_or_else(|| JsonError::Missing {
            file: self.file.to_path_buf(),
            key: self.child_key(key),
            needed: needed.to_owned(),
        })
    }

    /// The value as a string.
    pub(crate) fn string(&self) -> Result<&'a str, JsonError> {
        self.value.as_str().ok_or_else(|| self.refuse("a string"))
    }

    /// The value as a finite number.
    pub(crate) fn number(&self) -> Result<f64, JsonError> {
        let number = self.value.as_f64().filter(|number| number.is_finite());
        number.ok_or_else(|| self.refuse("a finite number"))
    }

    /// The value as a whole number within `range`.
    pub(crate) fn integer(&self, range: RangeInclusive<usize>) -> Result<usize, JsonError> {
        let number = self.value.as_u64().and_then(|number| usize::try_from(number).ok());
        number.filter(|number| range.contains(number)).ok_or_else(|| {
            self.refuse(format!("a whole number from {} to {}", range.start(), range.end()))
        })
    }

    /// The value as a truth value; LeRobot declares some of them as 0 or 1.
    pub(crate) fn boolean(&self) -> Result<bool, JsonError> {
        match self.value {
            Value::Bool(value) => Ok(*value),
            Value::Number(number) if number.as_u64() == Some(0) => Ok(false),
            Value::Number(number) if number.as_u64() == Some(1) => Ok(true),
            _ => Err(self.refuse("true or false")),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn errors_name_file_key_and_value() {
        let file = Path::new("config.json");
        let value = parse(file, br#"{"a": {"b": [1, "x"]}, "n": null}"#).unwrap();
        let root = Node::root(file, &value);
        let list = root.required("a", "an object").unwrap().required("b", "a list").unwrap();
        assert_eq!(
            list.elements().unwrap()[1].integer(1..=3).unwrap_err().to_string(),
            r#"config.json: a.b.1 is "x", needed a whole number from 1 to 3"#
        );
        assert!(list.elements().unwrap()[0].boolean().unwrap());
        assert!(root.optional("n").unwrap().is_none());
        let missing = root.required("n", "a number").err().unwrap().to_string();
        assert!(missing.starts_with("config.json: key n is missing, needed a number"), "{missing}");
        let syntax = parse(file, b"{\n  \"a\": NaN}").unwrap_err().to_string();
        assert!(syntax.contains("line 2"), "{syntax}");
    }
}
