//! What known functions would return. None of them is called: each is a few lines here.

use super::document::{Id, Node, Numbers, bytes_of};
use super::error::Fault;
use super::globals::{Known, element_type};
use super::machine::{EDGE_COST, Machine};
use super::tensor::{ElementType, Layout};

/// Version of the state of NumPy's arrays, and of its types.
const ARRAY_VERSION: i128 = 1;
const DTYPE_VERSION: i128 = 3;
/// What is charged for a storage, beside its key.
const STORAGE_COST: usize = 256;

impl<'a> Machine<'a, '_> {
    /// The value of `callee(*arguments)`.
    pub(super) fn call(
        &mut self,
        callee: Id,
        arguments: Id,
        is_new: bool,
    ) -> Result<Node<'a>, Fault> {
        let Node::Tuple(given) = &self.nodes[arguments as usize] else {
            return Err(Fault::Malformed("no arguments"));
        };
        let known = match &self.nodes[callee as usize] {
            Node::Known(known) => *known,
            Node::Named(_) => {
                return Ok(Node::Object { class: callee, arguments, state: None });
            }
            _ => return Err(Fault::Malformed("nothing that could be called")),
        };
        // No function has more arguments; more are kept out of the copy.
        let given: Vec<Id> = given.iter().take(8).copied().collect();
        let needed = match known {
            Known::OrderedDict => "nothing, or a list of keys and values",
            Known::DefaultDict => "nothing, or the name of what makes missing values",
            Known::Encode => "text of 8-bit characters and \"latin1\"",
            Known::Bytes => "nothing",
            Known::RebuildTensor => {
                "a storage, an offset, a shape, strides (none negative), a truth value and hooks"
            }
            Known::RebuildParameter => "a tensor, a truth value and hooks",
            Known::Reconstruct => "numpy.ndarray, (0,) and b\"b\"",
            Known::Dtype => "f2, f4, f8, i1, i2, i4, i8, u1 or b1",
            Known::Scalar => "a type and the bytes of one number",
            Known::FromBuffer => "bytes, a type, a shape and \"C\" or \"F\"",
            Known::Storage(_) | Known::NdArray => "nothing: it is no function",
        };
        let refused = Fault::Call { global: known.name(), needed };
        if is_new && known != Known::OrderedDict {
            return Err(refused);
        }
        let made = match known {
            Known::OrderedDict => self.ordered_dict(&given)?,
            Known::DefaultDict => self.default_dict(&given),
            Known::Encode => self.encode(&given)?,
            Known::Bytes if given.is_empty() => Some(Node::Bytes(Default::default())),
            Known::RebuildTensor => self.rebuild_tensor(&given)?,
            Known::RebuildParameter => self.rebuild_parameter(&given)?,
            Known::Reconstruct => self.reconstruct(&given),
            Known::Dtype => self.dtype(&given),
            Known::Scalar => self.scalar(&given),
            Known::FromBuffer => self.frombuffer(&given)?,
            Known::Bytes | Known::Storage(_) | Known::NdArray => None,
        };
        made.ok_or(refused)
    }

    /// Gives `target` the state that BUILD brings.
    pub(super) fn fill(&mut self, target: Id, state: Id) -> Result<(), Fault> {
        let refused = |global, needed: &'static str| Err(Fault::Call { global, needed });
        match &self.nodes[target as usize] {
            Node::EmptyArray => match self.array(state)? {
                Some(array) => self.nodes[target as usize] = array,
                None => {
                    return refused("numpy.ndarray.__setstate__", "(1, shape, type, order, bytes)");
                }
            },
            Node::Dtype { element, .. } => match self.byte_order(state) {
                Some(big_endian) => {
                    let element = *element;
                    self.nodes[target as usize] = Node::Dtype { element, big_endian };
                }
                None => {
                    return refused(
                        "numpy.dtype.__setstate__",
                        "(3, byte order, None, None, None, -1, -1, 0)",
                    );
                }
            },
            // Attributes of a dictionary, such as the _metadata of a state_dict, are not values.
            Node::Dict(_) if matches!(self.nodes[state as usize], Node::Dict(_)) => {}
            Node::Object { class, arguments, state: None } => {
                let (class, arguments) = (*class, *arguments);
                self.nodes[target as usize] = Node::Object { class, arguments, state: Some(state) };
            }
            _ => return Err(Fault::Malformed("nothing that has a state")),
        }
        Ok(())
    }

    /// The storage of a persistent identifier: ("storage", type, key, device, length), and before
    /// PyTorch 1.6 a view, which nothing has written since 2017.
    pub(super) fn storage(&mut self, id: Id) -> Result<usize, Fault> {
        const NEEDED: Fault = Fault::Call {
            global: "persistent_load",
            needed: "(\"storage\", type, key, device, length)",
        };
        let Some(parts) = self.items(id) else { return Err(NEEDED) };
        let [tag, kind, key, _, length, view @ ..] = parts else { return Err(NEEDED) };
        let no_view = match view {
            [] => true,
            [view] => matches!(self.node(*view), Node::None),
            _ => false,
        };
        if self.text(*tag) != Some("storage") || !no_view {
            return Err(NEEDED);
        }
        let (Node::Known(Known::Storage(element)), Some(key), Some(length)) =
            (self.node(*kind), self.text(*key), self.size(*length))
        else {
            return Err(NEEDED);
        };
        let (element, key) = (*element, key.to_owned());
        self.charge(STORAGE_COST + 2 * key.len())?;
        self.storages.name(&key, element, length)
    }

    fn node(&self, id: Id) -> &Node<'a> {
        &self.nodes[id as usize]
    }

    fn items(&self, id: Id) -> Option<&[Id]> {
        match self.node(id) {
            Node::Tuple(items) | Node::List(items) => Some(items),
            _ => None,
        }
    }

    fn text(&self, id: Id) -> Option<&str> {
        match self.node(id) {
            Node::Text(text) => Some(text),
            // Short, because the check is not charged: longer text is no name.
            Node::Old(bytes) if bytes.len() <= 256 => std::str::from_utf8(bytes).ok(),
            _ => None,
        }
    }

    fn size(&self, id: Id) -> Option<usize> {
        match self.node(id) {
            Node::Int(value) => usize::try_from(*value).ok(),
            _ => None,
        }
    }

    fn sizes(&self, id: Id) -> Option<Vec<usize>> {
        // A hundred axes are refused later, with a shape; a million are not even copied.
        let items = self.items(id).filter(|items| items.len() <= 100)?;
        items.iter().map(|id| self.size(*id)).collect()
    }

    fn ordered_dict(&mut self, given: &[Id]) -> Result<Option<Node<'a>>, Fault> {
        let count = given.first().and_then(|list| self.items(*list)).map_or(0, <[Id]>::len);
        self.charge(count.saturating_mul(EDGE_COST))?;
        Ok(self.ordered_pairs(given).map(Node::Dict))
    }

    fn default_dict(&self, given: &[Id]) -> Option<Node<'a>> {
        let plain = match given {
            [] => true,
            [factory] => {
                matches!(self.node(*factory), Node::None | Node::Known(_) | Node::Named(_))
            }
            _ => false,
        };
        plain.then(|| Node::Dict(Vec::new()))
    }

    fn ordered_pairs(&self, given: &[Id]) -> Option<Vec<(Id, Id)>> {
        let [pairs] = given else { return given.is_empty().then(Vec::new) };
        let pair = |id: &Id| match self.items(*id)? {
            [key, value] => Some((*key, *value)),
            _ => None,
        };
        let Node::List(pairs) = self.node(*pairs) else { return None };
        pairs.iter().map(pair).collect()
    }

    fn encode(&mut self, given: &[Id]) -> Result<Option<Node<'a>>, Fault> {
        let [text, encoding] = given else { return Ok(None) };
        if !matches!(self.text(*encoding), Some("latin1" | "latin-1")) {
            return Ok(None);
        }
        let length = self.text(*text).map_or(0, str::len);
        self.charge(length)?;
        let bytes = self.text(*text).map(|text| text.chars().map(|c| u8::try_from(c).ok()));
        let bytes = bytes.and_then(|bytes| bytes.collect::<Option<Vec<u8>>>());
        Ok(bytes.map(|bytes| Node::Bytes(bytes.into())))
    }

    fn rebuild_tensor(&mut self, given: &[Id]) -> Result<Option<Node<'a>>, Fault> {
        // A seventh argument, metadata, holds what concerns training.
        let [storage, offset, shape, strides, gradient, hooks, ..] = given else {
            return Ok(None);
        };
        let &Node::Storage(index) = self.node(*storage) else { return Ok(None) };
        let (Some(offset), Some(shape), Some(strides)) =
            (self.size(*offset), self.sizes(*shape), self.sizes(*strides))
        else {
            return Ok(None);
        };
        let plain = matches!(self.node(*gradient), Node::Bool(_))
            && matches!(self.node(*hooks), Node::Dict(hooks) if hooks.is_empty());
        let Some(storage) = self.storages.get(index) else { return Ok(None) };
        if shape.len() != strides.len() || !plain {
            return Ok(None);
        }
        let (element, available) = (storage.element, storage.len);
        let big_endian = self.storages.big_endian;
        let layout = Layout { element, big_endian, offset, shape, strides };
        self.tensor(layout, available, Numbers::Storage(index)).map(Some)
    }

    /// A tensor whose numbers lie within `available` ones.
    fn tensor(
        &mut self,
        layout: Layout,
        available: usize,
        numbers: Numbers,
    ) -> Result<Node<'a>, Fault> {
        let bytes = layout.check(available)?;
        self.charge(bytes)?;
        self.charge(size_of::<Layout>() + (layout.shape.len() + layout.strides.len()) * 16)?;
        Ok(Node::Tensor { layout: Box::new(layout), numbers, available })
    }

    fn rebuild_parameter(&mut self, given: &[Id]) -> Result<Option<Node<'a>>, Fault> {
        let [tensor, _, hooks] = given else { return Ok(None) };
        let Node::Tensor { layout, numbers, available } = self.node(*tensor) else {
            return Ok(None);
        };
        if !matches!(self.node(*hooks), Node::Dict(hooks) if hooks.is_empty()) {
            return Ok(None);
        }
        let (layout, numbers, available) = (layout.as_ref().clone(), *numbers, *available);
        self.tensor(layout, available, numbers).map(Some)
    }

    fn reconstruct(&self, given: &[Id]) -> Option<Node<'a>> {
        let [class, shape, code] = given else { return None };
        let empty = self.sizes(*shape)? == [0];
        let is_array = matches!(self.node(*class), Node::Known(Known::NdArray));
        let code = bytes_of(self.node(*code)).or_else(|| self.text(*code).map(str::as_bytes))?;
        (empty && is_array && code == b"b").then_some(Node::EmptyArray)
    }

    fn dtype(&self, given: &[Id]) -> Option<Node<'a>> {
        let element = element_type(self.text(*given.first()?)?)?;
        Some(Node::Dtype { element, big_endian: false })
    }

    /// Whether the state of a type says that its bytes are in network order.
    fn byte_order(&self, state: Id) -> Option<bool> {
        let [version, order, subarray, names, fields, ..] = self.items(state)? else {
            return None;
        };
        let simple =
            [subarray, names, fields].iter().all(|id| matches!(self.node(**id), Node::None));
        let version = matches!(self.node(*version), Node::Int(DTYPE_VERSION));
        let big_endian = match self.text(*order)? {
            "<" | "|" | "=" => false,
            ">" => true,
            _ => return None,
        };
        (simple && version).then_some(big_endian)
    }

    fn number_type(&self, id: Id) -> Option<(ElementType, bool)> {
        match self.node(id) {
            Node::Dtype { element, big_endian } => Some((*element, *big_endian)),
            _ => None,
        }
    }

    fn array(&mut self, state: Id) -> Result<Option<Node<'a>>, Fault> {
        let Some([version, shape, kind, fortran, bytes]) = self.items(state) else {
            return Ok(None);
        };
        let (Node::Int(ARRAY_VERSION), Node::Bool(fortran)) =
            (self.node(*version), self.node(*fortran))
        else {
            return Ok(None);
        };
        let (bytes, shape, kind, fortran) = (*bytes, *shape, *kind, *fortran);
        self.array_of(bytes, kind, shape, fortran)
    }

    fn array_of(
        &mut self,
        bytes: Id,
        kind: Id,
        shape: Id,
        fortran: bool,
    ) -> Result<Option<Node<'a>>, Fault> {
        let (Some((element, big_endian)), Some(shape), Some(length)) = (
            self.number_type(kind),
            self.sizes(shape),
            bytes_of(self.node(bytes)).map(<[u8]>::len),
        ) else {
            return Ok(None);
        };
        let layout = Layout::packed(element, big_endian, shape, fortran);
        let needed = layout.shape.iter().try_fold(element.size(), |n, size| n.checked_mul(*size));
        let array = self.tensor(layout, length / element.size(), Numbers::Value(bytes))?;
        // More bytes than the shape has room for contradict it as well.
        Ok((needed == Some(length)).then_some(array))
    }

    fn frombuffer(&mut self, given: &[Id]) -> Result<Option<Node<'a>>, Fault> {
        let [bytes, kind, shape, order] = *given else { return Ok(None) };
        let fortran = match self.text(order) {
            Some("C") => false,
            Some("F") => true,
            _ => return Ok(None),
        };
        self.array_of(bytes, kind, shape, fortran)
    }

    fn scalar(&self, given: &[Id]) -> Option<Node<'a>> {
        let [kind, bytes] = given else { return None };
        let (element, big_endian) = self.number_type(*kind)?;
        let bytes = bytes_of(self.node(*bytes)).filter(|bytes| bytes.len() == element.size())?;
        let sign = if big_endian { bytes.first()? } else { bytes.last()? };
        let mut wide = [if sign & 0x80 == 0 { 0 } else { 0xff }; 8];
        let number = &mut wide[..bytes.len()];
        number.copy_from_slice(bytes);
        if big_endian {
            number.reverse();
        }
        let integer = i64::from_le_bytes(wide);
        Some(match element {
            ElementType::F64 => Node::Float(f64::from_bits(integer as u64)),
            ElementType::F32 => Node::Float(f32::from_bits(integer as u32).into()),
            ElementType::F16 => Node::Float(half::f16::from_bits(integer as u16).into()),
            ElementType::BF16 => Node::Float(half::bf16::from_bits(integer as u16).into()),
            ElementType::U8 => Node::Int((integer as u8).into()),
            ElementType::Bool => Node::Bool(integer != 0),
            _ => Node::Int(integer.into()),
        })
    }
}
