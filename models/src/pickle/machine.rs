//! The stack machine: opcodes in, values out.

use super::document::{Document, Id, Node};
use super::error::{Fault, PickleError, Place, quote};
use super::globals::Known;
use super::limits::{Budget, Limits};
use super::nesting::is_tree;
use super::opcode as op;
use super::operand::{integer, memo_index};
use super::source::Source;
use super::torch::Storages;
use super::{Classes, text};
use std::borrow::Cow;
use std::collections::HashMap;

/// Highest protocol.
const MAX_PROTOCOL: u8 = 5;
/// What is charged for one value, and for one place in a list: vectors may be twice as large as
/// their content.
const NODE_COST: usize = 2 * size_of::<Node<'static>>();
pub(super) const EDGE_COST: usize = 2 * size_of::<(Id, Id)>();
/// What is charged for one remembered value.
const MEMO_COST: usize = 32;

/// Runs one pickle.
pub(super) struct Machine<'a, 'l> {
    pub(super) nodes: Vec<Node<'a>>,
    pub(super) classes: Classes,
    pub(super) storages: Storages<'a, 'l>,
    stack: Vec<Id>,
    /// Heights of the stack at each MARK.
    marks: Vec<usize>,
    memo: HashMap<u32, Id>,
    root: Option<Id>,
    budget: Budget,
    limits: Limits,
    place: Place,
}

impl<'a, 'l> Machine<'a, 'l> {
    /// A machine for the pickle at `place`.
    pub(super) fn new(
        place: Place,
        limits: &Limits,
        classes: Classes,
        storages: Storages<'a, 'l>,
    ) -> Self {
        Self {
            nodes: Vec::new(),
            classes,
            storages,
            stack: Vec::new(),
            marks: Vec::new(),
            memo: HashMap::new(),
            root: None,
            budget: Budget::new(limits),
            limits: limits.clone(),
            place,
        }
    }

    /// Runs the pickle that begins at `start`. Returns where it ends.
    pub(super) fn run(&mut self, bytes: &'a [u8], start: usize) -> Result<usize, PickleError> {
        let mut source = Source::new(bytes, start);
        for _ in 0..self.limits.opcodes {
            let offset = source.position();
            let at = |place: &Place| Place { offset, ..place.clone() };
            let Some(code) = source.byte() else {
                let at = at(&self.place);
                return Err(PickleError::Truncated { at, opcode: "the opcode after the last" });
            };
            let Some(name) = op::name(code) else {
                let (at, opcode) = (at(&self.place), format!("0x{code:02x}"));
                let reason = "no protocol has it; the file is damaged: copy it again";
                return Err(PickleError::Opcode { at, opcode, reason });
            };
            self.step(code, &mut source).map_err(|fault| fault.at(at(&self.place), name))?;
            if code == op::STOP {
                return Ok(source.position());
            }
        }
        let at = Place { offset: source.position(), ..self.place.clone() };
        let limit = self.limits.opcodes;
        Err(PickleError::Limit { at, opcode: "the pickle", what: "opcodes", limit })
    }

    /// Refuses bytes behind the end of the pickle.
    pub(super) fn refuse_rest(&self, bytes: &[u8], end: usize) -> Result<(), PickleError> {
        if end == bytes.len() {
            return Ok(());
        }
        let at = Place { offset: end, ..self.place.clone() };
        Err(PickleError::Malformed { at, opcode: "STOP", found: "more bytes behind the end" })
    }

    /// What was read.
    pub(super) fn finish(self) -> Result<Document<'a>, PickleError> {
        let place = self.place.clone();
        let fault = |fault: Fault| fault.at(place, "STOP");
        let Some(root) = self.root else {
            return Err(fault(Fault::Malformed("no value")));
        };
        if !is_tree(&self.nodes, root, self.limits.depth) {
            let (file, limit) = (self.place.file, self.limits.depth);
            return Err(PickleError::Nesting { file, limit });
        }
        let storages = self.storages.finish().map_err(fault)?;
        Ok(Document { nodes: self.nodes, storages, root })
    }

    /// One opcode whose byte has been read.
    fn step(&mut self, code: u8, source: &mut Source<'a>) -> Result<(), Fault> {
        match code {
            op::PROTO if source.byte().ok_or(Fault::Truncated)? > MAX_PROTOCOL => {
                Err(Fault::Opcode("its protocol is newer than 5: save the file with protocol 4"))
            }
            op::PROTO => Ok(()),
            op::FRAME => {
                let length = source.u64().ok_or(Fault::Truncated)?;
                if usize::try_from(length).is_ok_and(|length| length <= source.left()) {
                    return Ok(());
                }
                Err(Fault::Truncated)
            }
            op::STOP => {
                self.root = Some(self.pop()?);
                if self.stack.is_empty() && self.marks.is_empty() {
                    return Ok(());
                }
                Err(Fault::Malformed("values left on the stack"))
            }
            op::MARK => {
                if self.marks.len() >= self.limits.stack {
                    return Err(Fault::Limit("marks", self.limits.stack));
                }
                self.marks.push(self.stack.len());
                Ok(())
            }
            op::POP if self.stack.len() == self.floor() && !self.marks.is_empty() => {
                self.pop_mark().map(drop)
            }
            op::POP => self.pop().map(drop),
            op::POP_MARK => self.pop_mark().map(drop),
            op::DUP => {
                let top = self.top()?;
                self.push_id(top)
            }
            op::GET | op::BINGET | op::LONG_BINGET => {
                let index = memo_index(code, source)?;
                let id = self.memo.get(&index).copied();
                self.push_id(id.ok_or(Fault::Malformed("a place that remembers nothing"))?)
            }
            op::PUT | op::BINPUT | op::LONG_BINPUT => {
                let index = memo_index(code, source)?;
                self.remember(index)
            }
            op::MEMOIZE => {
                let index = u32::try_from(self.memo.len()).map_err(|_| Fault::Truncated)?;
                self.remember(index)
            }
            op::NONE => self.push(Node::None),
            op::NEWTRUE => self.push(Node::Bool(true)),
            op::NEWFALSE => self.push(Node::Bool(false)),
            op::INT | op::LONG | op::BININT | op::BININT1 | op::BININT2 | op::LONG1 | op::LONG4 => {
                let number = integer(code, source)?;
                self.push(number)
            }
            op::FLOAT => {
                let number = text::number::<f64>(source.line().ok_or(Fault::Truncated)?);
                self.push(Node::Float(number.ok_or(Fault::Malformed("no number"))?))
            }
            op::BINFLOAT => {
                let bytes = source.array().ok_or(Fault::Truncated)?;
                self.push(Node::Float(f64::from_be_bytes(bytes)))
            }
            op::STRING | op::UNICODE => {
                let line = source.line().ok_or(Fault::Truncated)?;
                self.charge(line.len())?;
                let decoded = if code == op::STRING {
                    text::quoted(line).map(|bytes| Node::Old(bytes.into()))
                } else {
                    text::raw_unicode(line).map(|text| Node::Text(text.into()))
                };
                self.push(decoded.ok_or(Fault::Malformed("no text"))?)
            }
            op::BINSTRING | op::SHORT_BINSTRING => {
                let bytes =
                    if code == op::BINSTRING { source.counted_u32() } else { source.counted_u8() };
                self.push(Node::Old(Cow::Borrowed(bytes.ok_or(Fault::Truncated)?)))
            }
            op::SHORT_BINUNICODE | op::BINUNICODE | op::BINUNICODE8 => {
                let bytes = match code {
                    op::SHORT_BINUNICODE => source.counted_u8(),
                    op::BINUNICODE => source.counted_u32(),
                    _ => source.counted_u64(),
                };
                let text = std::str::from_utf8(bytes.ok_or(Fault::Truncated)?);
                let text = text.map_err(|_| Fault::Malformed("text that is not UTF-8"))?;
                self.push(Node::Text(Cow::Borrowed(text)))
            }
            op::SHORT_BINBYTES | op::BINBYTES | op::BINBYTES8 | op::BYTEARRAY8 => {
                let bytes = match code {
                    op::SHORT_BINBYTES => source.counted_u8(),
                    op::BINBYTES => source.counted_u32(),
                    _ => source.counted_u64(),
                };
                self.push(Node::Bytes(Cow::Borrowed(bytes.ok_or(Fault::Truncated)?)))
            }
            op::EMPTY_TUPLE => self.push(Node::Tuple(Vec::new())),
            op::TUPLE1 | op::TUPLE2 | op::TUPLE3 => {
                let items = self.pop_many(usize::from(code - op::TUPLE1) + 1)?;
                self.push(Node::Tuple(items))
            }
            op::TUPLE => {
                let items = self.pop_mark()?;
                self.push(Node::Tuple(items))
            }
            op::EMPTY_LIST => self.push(Node::List(Vec::new())),
            op::LIST => {
                let items = self.pop_mark()?;
                self.push(Node::List(items))
            }
            op::EMPTY_DICT => self.push(Node::Dict(Vec::new())),
            op::DICT => {
                let items = self.pop_mark()?;
                self.push(Node::Dict(pairs(&items)?))
            }
            op::APPEND | op::APPENDS => {
                let items = if code == op::APPEND { self.pop_many(1)? } else { self.pop_mark()? };
                match self.top_node()? {
                    Node::List(list) => {
                        list.extend(items);
                        Ok(())
                    }
                    _ => Err(Fault::Malformed("no list to append to")),
                }
            }
            op::SETITEM | op::SETITEMS => {
                let items = if code == op::SETITEM { self.pop_many(2)? } else { self.pop_mark()? };
                let items = pairs(&items)?;
                match self.top_node()? {
                    Node::Dict(entries) => {
                        entries.extend(items);
                        Ok(())
                    }
                    _ => Err(Fault::Malformed("no dictionary to set entries of")),
                }
            }
            op::GLOBAL => {
                let module = source.line().ok_or(Fault::Truncated)?;
                let name = source.line().ok_or(Fault::Truncated)?;
                let [module, name] = [module, name].map(String::from_utf8_lossy);
                self.push_global(&module, &name)
            }
            op::STACK_GLOBAL => {
                let names = self.pop_many(2)?;
                let [module, name] = [0, 1].map(|i| match &self.nodes[names[i] as usize] {
                    Node::Text(text) => Some(text.to_string()),
                    _ => None,
                });
                let (Some(module), Some(name)) = (module, name) else {
                    return Err(Fault::Malformed("no names"));
                };
                self.charge(module.len() + name.len())?;
                self.push_global(&module, &name)
            }
            op::REDUCE | op::NEWOBJ => {
                let [callee, arguments] = self.pop_pair()?;
                let made = self.call(callee, arguments, code == op::NEWOBJ)?;
                self.push(made)
            }
            op::BUILD => {
                let state = self.pop()?;
                let target = self.top()?;
                self.fill(target, state)
            }
            op::BINPERSID => {
                let id = self.pop()?;
                let storage = self.storage(id)?;
                self.push(Node::Storage(storage))
            }
            op::INST => {
                let module = source.line().ok_or(Fault::Truncated)?;
                let name = source.line().ok_or(Fault::Truncated)?;
                let [module, name] = [module, name].map(String::from_utf8_lossy);
                Err(Fault::Global(quote(&format!("{module}.{name}"))))
            }
            op::EXT1 | op::EXT2 | op::EXT4 => {
                Err(Fault::Opcode("the registry of names that it refers to is not in the file"))
            }
            op::EMPTY_SET | op::ADDITEMS | op::FROZENSET => {
                Err(Fault::Opcode("no checkpoint needs sets: save a list"))
            }
            op::NEXT_BUFFER | op::READONLY_BUFFER => {
                Err(Fault::Opcode("the buffer that it refers to is not in the file"))
            }
            // PERSID, OBJ and NEWOBJ_EX.
            _ => Err(Fault::Opcode("neither PyTorch nor NumPy writes it")),
        }
    }

    /// Takes `bytes` from the budget.
    pub(super) fn charge(&mut self, bytes: usize) -> Result<(), Fault> {
        if self.budget.take(bytes) {
            return Ok(());
        }
        Err(Fault::Limit("bytes of memory", self.limits.memory))
    }

    fn push_id(&mut self, id: Id) -> Result<(), Fault> {
        if self.stack.len() >= self.limits.stack {
            return Err(Fault::Limit("values on the stack", self.limits.stack));
        }
        // Paid here and not where values are popped: every place in a list was on the stack before.
        self.charge(EDGE_COST)?;
        self.stack.push(id);
        Ok(())
    }

    /// Adds a value without putting it on the stack.
    pub(super) fn add(&mut self, node: Node<'a>) -> Result<Id, Fault> {
        self.charge(NODE_COST)?;
        let id = Id::try_from(self.nodes.len()).map_err(|_| Fault::Limit("values", usize::MAX))?;
        self.nodes.push(node);
        Ok(id)
    }

    fn push(&mut self, node: Node<'a>) -> Result<(), Fault> {
        let id = self.add(node)?;
        self.push_id(id)
    }

    fn push_global(&mut self, module: &str, name: &str) -> Result<(), Fault> {
        let node = match (Known::find(module, name), self.classes) {
            (Some(known), _) => Node::Known(known),
            (None, classes) => {
                // TorchScript writes the whole name as the module.
                let full =
                    if name.is_empty() { module.to_owned() } else { format!("{module}.{name}") };
                let is_one = |listed: &str| {
                    if listed.ends_with('.') { full.starts_with(listed) } else { full == listed }
                };
                let allowed = match classes {
                    Classes::Refused => false,
                    Classes::Named => true,
                    Classes::Listed(names) => names.iter().any(|listed| is_one(listed)),
                };
                if !allowed {
                    return Err(Fault::Global(quote(&format!("{module}.{name}"))));
                }
                self.charge(full.len())?;
                Node::Named(full)
            }
        };
        self.push(node)
    }

    /// Height below which the stack belongs to what is outside the last MARK.
    fn floor(&self) -> usize {
        self.marks.last().copied().unwrap_or(0)
    }

    fn pop_many(&mut self, count: usize) -> Result<Vec<Id>, Fault> {
        let at = self.stack.len().checked_sub(count).filter(|at| *at >= self.floor());
        Ok(self.stack.split_off(at.ok_or(Fault::Malformed("too few values on the stack"))?))
    }

    fn pop(&mut self) -> Result<Id, Fault> {
        Ok(self.pop_many(1)?[0])
    }

    fn pop_pair(&mut self) -> Result<[Id; 2], Fault> {
        let popped = self.pop_many(2)?;
        Ok([popped[0], popped[1]])
    }

    /// Everything above the last MARK.
    fn pop_mark(&mut self) -> Result<Vec<Id>, Fault> {
        let height = self.marks.pop().ok_or(Fault::Malformed("no mark on the stack"))?;
        Ok(self.stack.split_off(height))
    }

    fn top(&self) -> Result<Id, Fault> {
        let top = self.stack.last().filter(|_| self.stack.len() > self.floor());
        top.copied().ok_or(Fault::Malformed("too few values on the stack"))
    }

    fn top_node(&mut self) -> Result<&mut Node<'a>, Fault> {
        let top = self.top()?;
        Ok(&mut self.nodes[top as usize])
    }

    fn remember(&mut self, index: u32) -> Result<(), Fault> {
        let top = self.top()?;
        if self.memo.len() >= self.limits.memo && !self.memo.contains_key(&index) {
            return Err(Fault::Limit("remembered values", self.limits.memo));
        }
        self.charge(MEMO_COST)?;
        self.memo.insert(index, top);
        Ok(())
    }
}

/// Entries from alternating keys and values.
fn pairs(items: &[Id]) -> Result<Vec<(Id, Id)>, Fault> {
    match items.as_chunks::<2>() {
        (pairs, []) => Ok(pairs.iter().map(|[key, value]| (*key, *value)).collect()),
        _ => Err(Fault::Malformed("a key without a value")),
    }
}
