//! A TOML value whose every part knows where it was said, and how two of them merge.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use toml_edit::{Item, TableLike};

use super::error::Origin;

/// A value with its origin.
#[derive(Clone, Debug)]
pub(super) struct Node {
    pub at: Origin,
    pub value: Value,
}

/// TOML's types.
#[derive(Clone, Debug)]
pub(super) enum Value {
    Text(String),
    Integer(i64),
    Number(f64),
    Bool(bool),
    Datetime(String),
    List(Vec<Node>),
    Table(BTreeMap<String, Node>),
}

impl Value {
    /// Type and value in words, for messages.
    pub(super) fn describe(&self) -> String {
        match self {
            Self::Text(text) => format!("the text {}", quoted(text)),
            Self::Integer(value) => format!("the whole number {value}"),
            Self::Number(value) => format!("the number {}", number(*value)),
            Self::Bool(value) => format!("`{value}`"),
            Self::Datetime(text) => format!("the date or time {text}"),
            Self::List(items) => format!("a list of {}", items.len()),
            Self::Table(_) => "a table".to_owned(),
        }
    }
}

impl Node {
    /// Puts `over` on top: tables merge key by key, everything else is replaced whole.
    pub(super) fn merge(&mut self, over: Self) {
        match (&mut self.value, over.value) {
            (Value::Table(base), Value::Table(over_table)) => {
                for (key, node) in over_table {
                    match base.get_mut(&key) {
                        Some(existing) => existing.merge(node),
                        None => {
                            base.insert(key, node);
                        }
                    }
                }
                // A table on the command line is only the way to its keys: the place to look for
                // missing neighbours stays the file.
                if over.at != Origin::Override {
                    self.at = over.at;
                }
            }
            (base, value) => {
                *base = value;
                self.at = over.at;
            }
        }
    }

    /// Takes out what the dotted path `key` names, if it is there.
    pub(super) fn remove(&mut self, key: &str) {
        let Value::Table(table) = &mut self.value else { return };
        match key.split_once('.') {
            Some((first, rest)) => {
                if let Some(inner) = table.get_mut(first) {
                    inner.remove(rest);
                }
            }
            None => drop(table.remove(key)),
        }
    }

    /// From a parsed table. `at` maps a byte offset to its origin; parts without a span take
    /// `inherited`.
    pub(super) fn from_table(
        table: &dyn TableLike,
        inherited: &Origin,
        at: &dyn Fn(usize) -> Origin,
    ) -> Self {
        let mut entries = BTreeMap::new();
        for (name, item) in table.iter() {
            let said = table
                .key(name)
                .and_then(toml_edit::Key::span)
                .map_or_else(|| inherited.clone(), |span| at(span.start));
            if let Some(node) = Self::from_item(item, &said, at) {
                entries.insert(name.to_owned(), node);
            }
        }
        Self { at: inherited.clone(), value: Value::Table(entries) }
    }

    fn from_item(item: &Item, said: &Origin, at: &dyn Fn(usize) -> Origin) -> Option<Self> {
        match item {
            Item::None => None,
            Item::Value(value) => Some(Self::from_value(value, said, at)),
            Item::Table(table) => {
                // A header names its table better than the first key that passed through it.
                let header = match table.span() {
                    Some(span) if !table.is_implicit() && !table.is_dotted() => at(span.start),
                    _ => said.clone(),
                };
                Some(Self::from_table(table, &header, at))
            }
            Item::ArrayOfTables(tables) => {
                let items = tables.iter().map(|table| {
                    let header = table.span().map_or_else(|| said.clone(), |span| at(span.start));
                    Self::from_table(table, &header, at)
                });
                Some(Self { at: said.clone(), value: Value::List(items.collect()) })
            }
        }
    }

    /// From a parsed value that was said at `said`.
    pub(super) fn from_value(
        value: &toml_edit::Value,
        said: &Origin,
        at: &dyn Fn(usize) -> Origin,
    ) -> Self {
        let converted = match value {
            toml_edit::Value::String(text) => Value::Text(text.value().clone()),
            toml_edit::Value::Integer(value) => Value::Integer(*value.value()),
            toml_edit::Value::Float(value) => Value::Number(*value.value()),
            toml_edit::Value::Boolean(value) => Value::Bool(*value.value()),
            toml_edit::Value::Datetime(value) => Value::Datetime(value.value().to_string()),
            toml_edit::Value::Array(array) => Value::List(
                array
                    .iter()
                    .map(|item| {
                        let place = item.span().map_or_else(|| said.clone(), |span| at(span.start));
                        Self::from_value(item, &place, at)
                    })
                    .collect(),
            ),
            toml_edit::Value::InlineTable(table) => return Self::from_table(table, said, at),
        };
        Self { at: said.clone(), value: converted }
    }

    /// As plain TOML, for serde.
    pub(super) fn to_toml(&self) -> toml::Value {
        match &self.value {
            Value::Text(text) | Value::Datetime(text) => toml::Value::String(text.clone()),
            Value::Integer(value) => toml::Value::Integer(*value),
            Value::Number(value) => toml::Value::Float(*value),
            Value::Bool(value) => toml::Value::Boolean(*value),
            Value::List(items) => toml::Value::Array(items.iter().map(Self::to_toml).collect()),
            Value::Table(table) => toml::Value::Table(
                table.iter().map(|(key, node)| (key.clone(), node.to_toml())).collect(),
            ),
        }
    }

    /// Calls `visit` with the key path and origin of this node and everything below it.
    pub(super) fn visit(&self, key: &str, visit: &mut dyn FnMut(&str, &Origin)) {
        visit(key, &self.at);
        match &self.value {
            Value::List(items) => {
                for (index, item) in items.iter().enumerate() {
                    item.visit(&element(key, index), visit);
                }
            }
            Value::Table(table) => {
                for (name, node) in table {
                    node.visit(&child(key, name), visit);
                }
            }
            _ => {}
        }
    }
}

/// The key path of `name` in table `key`; names that TOML needs quoted are quoted.
pub(super) fn child(key: &str, name: &str) -> String {
    let bare = !name.is_empty()
        && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_' || byte == b'-');
    let name = if bare { name.to_owned() } else { quoted(name) };
    if key.is_empty() { name } else { format!("{key}.{name}") }
}

/// The key path of element `index` of list `key`, counted from 0.
pub(super) fn element(key: &str, index: usize) -> String {
    format!("{key}[{index}]")
}

/// The key path one level up, or `None` at the top.
pub(super) fn parent(key: &str) -> Option<&str> {
    let mut inside_quotes = false;
    let mut escaped = false;
    let mut cut = None;
    for (index, character) in key.char_indices() {
        match character {
            _ if escaped => escaped = false,
            '\\' if inside_quotes => escaped = true,
            '"' => inside_quotes = !inside_quotes,
            '.' | '[' if !inside_quotes => cut = Some(index),
            _ => {}
        }
    }
    cut.and_then(|index| key.get(..index))
}

/// Text as a TOML basic string, cut to a length that fits a message.
pub(super) fn quoted(text: &str) -> String {
    const LONGEST: usize = 200;
    let mut out = String::from("\"");
    for (index, character) in text.chars().enumerate() {
        if index == LONGEST {
            out.push('…');
            break;
        }
        match character {
            '"' => out.push_str("\\\""),
            '\\' => out.push_str("\\\\"),
            '\n' => out.push_str("\\n"),
            '\t' => out.push_str("\\t"),
            control if control.is_control() => {
                let _ = write!(out, "\\u{:04X}", u32::from(control));
            }
            other => out.push(other),
        }
    }
    out.push('"');
    out
}

/// A number for messages: short for the usual, with an exponent for the very large and small.
pub(super) fn number(value: f64) -> String {
    if value == 0.0 {
        "0".to_owned() // and never "-0"
    } else if (1e-4..1e12).contains(&value.abs()) || !value.is_finite() {
        format!("{value}")
    } else {
        format!("{value:e}")
    }
}
