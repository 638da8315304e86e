//! What a table of keys is made of, and how it is put into words. The table is [`super::table`].

use super::table::ROOT;
use super::tree::number;

/// Allowed numbers, ends included unless `above` is set.
#[derive(Clone, Copy, Debug)]
pub(super) struct Range {
    pub min: f64,
    pub max: f64,
    /// The lower end itself is not allowed.
    pub above: bool,
}

impl Range {
    pub(super) fn contains(self, value: f64) -> bool {
        value.is_finite()
            && value <= self.max
            && (value > self.min || (!self.above && value >= self.min))
    }

    /// For example `1 to 1000 Hz`, `above 0, up to 60 s`.
    pub(super) fn words(self, unit: &str) -> String {
        let (min, max) = (number(self.min), number(self.max));
        let range = if self.above {
            format!("above {min}, up to {max}")
        } else {
            format!("{min} to {max}")
        };
        with_unit(&range, unit)
    }
}

/// `text` followed by its unit, if it has one.
pub(super) fn with_unit(text: &str, unit: &str) -> String {
    if unit.is_empty() { text.to_owned() } else { format!("{text} {unit}") }
}

/// What a value must be.
#[derive(Debug)]
pub(super) enum Shape {
    /// Text that is not empty and has no control characters.
    Text,
    /// Text that may name a file: letters, digits, `.`, `_`, `-`.
    Name,
    /// A path, relative to the file that says it.
    Path,
    /// One of these names, or a path to something of one's own.
    NameOrPath(&'static [&'static str]),
    Bool,
    Integer {
        min: i64,
        max: i64,
    },
    /// 1 or -1.
    Sign,
    Number(Range),
    /// A number of either sign and of this magnitude.
    Factor(Range),
    Choice(&'static [&'static str]),
    /// One number for all joints, or a list of one per joint.
    Each(Range),
    /// Lower and upper end, in this order.
    Pair(Range),
    /// Three numbers: x, y, z.
    Point(Range),
    /// A list of at least `least` values.
    List {
        of: &'static Shape,
        least: usize,
    },
    /// Values by name. `placeholder` stands for the name in the reference.
    Map {
        of: &'static Shape,
        placeholder: &'static str,
        names: Names,
    },
    Table(&'static [Key]),
    /// A table whose other keys depend on the value of `tag`.
    Tagged {
        tag: &'static str,
        meaning: &'static str,
        variants: &'static [(&'static str, &'static [Key])],
    },
}

/// What the names of a [`Shape::Map`] may be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Names {
    /// Any text that is not empty: names that somebody else chose.
    Any,
    /// As [`Shape::Name`].
    Plain,
}

/// Whether a key must be said.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Need {
    Required,
    /// The schema has a default.
    Default,
    /// Without it, what this says.
    Optional(&'static str),
}

/// One key of a table.
#[derive(Debug)]
pub(super) struct Key {
    pub name: &'static str,
    pub shape: Shape,
    pub need: Need,
    pub unit: &'static str,
    pub meaning: &'static str,
}

impl Shape {
    /// What is wanted, in words, for messages and the reference.
    pub(super) fn words(&self, unit: &str) -> String {
        match self {
            Self::Text => "text".into(),
            Self::Name => "a name of letters, digits, `.`, `_` and `-`".into(),
            Self::Path => "a path".into(),
            Self::NameOrPath(names) => format!("one of {}, or a path", choices_words(names)),
            Self::Bool => "`true` or `false`".into(),
            Self::Integer { min, max: i64::MAX } => {
                with_unit(&format!("a whole number from {min}"), unit)
            }
            Self::Integer { min, max } => {
                format!("a whole number, {}", with_unit(&format!("{min} to {max}"), unit))
            }
            Self::Sign => "1 or -1".into(),
            Self::Number(range) => format!("a number, {}", range.words(unit)),
            Self::Factor(range) => format!("a number of magnitude {}", range.words(unit)),
            Self::Choice(choices) => format!("one of {}", choices_words(choices)),
            Self::Each(range) => {
                format!("a number for all joints or a list of one each, {}", range.words(unit))
            }
            Self::Pair(range) => format!("[lower, upper], two numbers, {}", range.words(unit)),
            Self::Point(range) => format!("[x, y, z], three numbers, {}", range.words(unit)),
            Self::List { of, least: 0 } => format!("a list, each {}", of.words(unit)),
            Self::List { of, least } => {
                format!("a list of {least} or more, each {}", of.words(unit))
            }
            Self::Map { of, placeholder, .. } => {
                format!("a table of {placeholder} = {}", of.words(unit))
            }
            Self::Table(keys) => {
                format!("a table with {}", key_names(keys).collect::<Vec<_>>().join(", "))
            }
            Self::Tagged { tag, variants, .. } => {
                let tags: Vec<_> = variants.iter().map(|(name, _)| *name).collect();
                format!("a table with {tag} = {}", choices_words(&tags))
            }
        }
    }

    fn is_text(&self) -> bool {
        matches!(self, Self::Text | Self::Name | Self::Path | Self::NameOrPath(_) | Self::Choice(_))
    }
}

/// `"a"`, `"b"`.
pub(super) fn choices_words(choices: &[&str]) -> String {
    choices.iter().map(|choice| format!("\"{choice}\"")).collect::<Vec<_>>().join(", ")
}

/// The names of a table's keys.
pub(super) fn key_names(keys: &'static [Key]) -> impl Iterator<Item = &'static str> {
    keys.iter().map(|key| key.name)
}

/// True where the schema wants text at this key path, in every variant that has it.
pub(super) fn wants_text(names: &[String]) -> bool {
    fn follow(shape: &Shape, names: &[String]) -> bool {
        let Some((name, rest)) = names.split_first() else {
            return shape.is_text();
        };
        let among = |keys: &'static [Key]| {
            keys.iter().find(|key| key.name == name).is_some_and(|key| follow(&key.shape, rest))
        };
        match shape {
            Shape::Table(keys) => among(keys),
            Shape::Map { of, .. } => follow(of, rest),
            Shape::Tagged { tag, variants, .. } => {
                (name == tag && rest.is_empty()) || variants.iter().any(|(_, keys)| among(keys))
            }
            _ => false,
        }
    }
    follow(&ROOT, names)
}

/// Tables at fixed places with their keys, for "this key belongs elsewhere".
pub(super) fn sections() -> impl Iterator<Item = (&'static str, &'static [Key])> {
    let keys: &'static [Key] = match &ROOT {
        Shape::Table(keys) => keys,
        _ => &[],
    };
    keys.iter().filter_map(|key| match &key.shape {
        Shape::Table(inner) => Some((key.name, *inner)),
        _ => None,
    })
}
