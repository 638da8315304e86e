//! What a pickle holds once it is read.

use super::globals::Known;
use super::tensor::{ElementType, Layout, Tensor};
use std::borrow::Cow;

/// Place of a value among all values.
pub(super) type Id = u32;

/// One value. Values refer to each other by place, so that a shared one is stored once and nothing
/// is dropped or copied recursively.
#[derive(Debug)]
pub(super) enum Node<'a> {
    None,
    Bool(bool),
    Int(i128),
    Float(f64),
    Text(Cow<'a, str>),
    Bytes(Cow<'a, [u8]>),
    /// A string of Python 2, which is text or bytes.
    Old(Cow<'a, [u8]>),
    List(Vec<Id>),
    Tuple(Vec<Id>),
    Dict(Vec<(Id, Id)>),
    Known(Known),
    Named(String),
    Object {
        class: Id,
        arguments: Id,
        state: Option<Id>,
    },
    Storage(usize),
    Dtype {
        element: ElementType,
        big_endian: bool,
    },
    /// An array that BUILD has yet to fill.
    EmptyArray,
    /// A tensor, and how many numbers there are for it to lie in.
    Tensor {
        layout: Box<Layout>,
        numbers: Numbers,
        available: usize,
    },
}

/// Where the numbers of a tensor are.
#[derive(Clone, Copy, Debug)]
pub(super) enum Numbers {
    Storage(usize),
    Value(Id),
}

/// Everything that a pickle holds. Values may be shared, but none contains itself.
#[derive(Debug)]
pub struct Document<'a> {
    pub(super) nodes: Vec<Node<'a>>,
    pub(super) storages: Vec<&'a [u8]>,
    pub(super) root: Id,
}

impl Document<'_> {
    /// The value that the pickle is of.
    #[must_use]
    pub fn root(&self) -> Value<'_> {
        Value { document: self, id: self.root }
    }
}

/// One value of a [`Document`].
#[derive(Clone, Copy, Debug)]
pub struct Value<'d> {
    document: &'d Document<'d>,
    id: Id,
}

/// What a value is.
#[derive(Clone, Copy, Debug)]
pub enum Kind<'d> {
    /// Python's `None`.
    None,
    /// A truth value.
    Bool(bool),
    /// A whole number.
    Int(i128),
    /// A number.
    Float(f64),
    /// Text.
    Text(&'d str),
    /// Bytes.
    Bytes(&'d [u8]),
    /// A list.
    List(Items<'d>),
    /// A tuple.
    Tuple(Items<'d>),
    /// A dictionary, ordered or not.
    Dict(Entries<'d>),
    /// A tensor or an array.
    Tensor(Tensor<'d>),
    /// An object of a class that is not known; only with [`super::Classes::Named`].
    Object(Object<'d>),
    /// The name of a class or function.
    Name(&'d str),
}

impl Kind<'_> {
    /// What it is, in words.
    #[must_use]
    pub fn describe(&self) -> &'static str {
        match self {
            Self::None => "None",
            Self::Bool(_) => "a truth value",
            Self::Int(_) | Self::Float(_) => "a number",
            Self::Text(_) => "text",
            Self::Bytes(_) => "bytes",
            Self::List(_) => "a list",
            Self::Tuple(_) => "a tuple",
            Self::Dict(_) => "a dictionary",
            Self::Tensor(_) => "a tensor",
            Self::Object(_) => "an object",
            Self::Name(_) => "a name",
        }
    }
}

/// The values of a list or tuple.
#[derive(Clone, Copy, Debug)]
pub struct Items<'d> {
    document: &'d Document<'d>,
    ids: &'d [Id],
}

impl<'d> Items<'d> {
    /// The values in order.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = Value<'d>> + use<'d> {
        let document = self.document;
        self.ids.iter().map(move |id| Value { document, id: *id })
    }
}

/// The entries of a dictionary.
#[derive(Clone, Copy, Debug)]
pub struct Entries<'d> {
    document: &'d Document<'d>,
    ids: &'d [(Id, Id)],
}

impl<'d> Entries<'d> {
    /// Keys and values in the order of the file. A key that was set twice is there twice; the
    /// later one counts.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = (Value<'d>, Value<'d>)> + use<'d> {
        let document = self.document;
        let value = move |id: Id| Value { document, id };
        self.ids.iter().map(move |(key, item)| (value(*key), value(*item)))
    }

    /// The value of a textual key. Looks through all entries.
    #[must_use]
    pub fn get(&self, key: &str) -> Option<Value<'d>> {
        let is_key = |value: &Value<'_>| matches!(value.kind(), Kind::Text(text) if text == key);
        self.iter().filter(|(found, _)| is_key(found)).last().map(|(_, value)| value)
    }
}

/// What a pickle says about an object whose class is not known.
#[derive(Clone, Copy, Debug)]
pub struct Object<'d> {
    /// Module and name of its class, for example `__torch__.Actuator`.
    pub class: &'d str,
    /// Arguments of its construction.
    pub arguments: Items<'d>,
    /// Its attributes, if they were set by a dictionary.
    pub attributes: Option<Entries<'d>>,
    /// What it was filled with, where that is no dictionary.
    pub state: Option<Value<'d>>,
}

impl<'d> Value<'d> {
    /// What it is.
    #[must_use]
    pub fn kind(&self) -> Kind<'d> {
        let document = self.document;
        match self.node() {
            // Storages, types and arrays without content are parts of tensors; alone they are
            // nothing.
            Node::None | Node::Storage(_) | Node::Dtype { .. } | Node::EmptyArray => Kind::None,
            Node::Bool(value) => Kind::Bool(*value),
            Node::Int(value) => Kind::Int(*value),
            Node::Float(value) => Kind::Float(*value),
            Node::Text(text) => Kind::Text(text),
            Node::Bytes(bytes) => Kind::Bytes(bytes),
            Node::Old(bytes) => std::str::from_utf8(bytes).map_or(Kind::Bytes(bytes), Kind::Text),
            Node::List(ids) => Kind::List(Items { document, ids }),
            Node::Tuple(ids) => Kind::Tuple(Items { document, ids }),
            Node::Dict(ids) => Kind::Dict(Entries { document, ids }),
            Node::Known(known) => Kind::Name(known.name()),
            Node::Named(name) => Kind::Name(name),
            Node::Object { class, arguments, state } => {
                Kind::Object(self.object(*class, *arguments, *state))
            }
            Node::Tensor { layout, numbers, .. } => {
                let bytes = match numbers {
                    Numbers::Storage(index) => document.storages.get(*index).copied(),
                    Numbers::Value(id) => document.nodes.get(*id as usize).and_then(bytes_of),
                };
                Kind::Tensor(Tensor { layout, bytes: bytes.unwrap_or_default() })
            }
        }
    }

    fn node(&self) -> &'d Node<'d> {
        &self.document.nodes[self.id as usize]
    }

    fn object(&self, class: Id, arguments: Id, state: Option<Id>) -> Object<'d> {
        let document = self.document;
        let value = |id: Id| Value { document, id };
        let class = match value(class).kind() {
            Kind::Name(name) => name,
            _ => "",
        };
        let arguments = match value(arguments).kind() {
            Kind::Tuple(items) => items,
            _ => Items { document, ids: &[] },
        };
        let state = state.map(value);
        match state.map(|state| state.kind()) {
            Some(Kind::Dict(entries)) => {
                Object { class, arguments, attributes: Some(entries), state: None }
            }
            _ => Object { class, arguments, attributes: None, state },
        }
    }
}

/// Bytes of a value that is bytes.
pub(super) fn bytes_of<'n>(node: &'n Node<'_>) -> Option<&'n [u8]> {
    match node {
        Node::Bytes(bytes) | Node::Old(bytes) => Some(bytes),
        _ => None,
    }
}
