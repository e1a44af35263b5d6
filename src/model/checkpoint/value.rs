//! Looking into a checkpoint.

use super::machine::{Id, Node, Object};
use super::{Checkpoint, CheckpointError, MOST_TENSOR};

/// Type of a tensor's elements.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DType {
    F64,
    F32,
    F16,
    BF16,
    I64,
    I32,
    I16,
    I8,
    U8,
    Bool,
}

impl DType {
    /// By the class of the storage.
    fn of_storage(name: &str) -> Option<Self> {
        Some(match name.rsplit('.').next()? {
            "DoubleStorage" => Self::F64,
            "FloatStorage" => Self::F32,
            "HalfStorage" => Self::F16,
            "BFloat16Storage" => Self::BF16,
            "LongStorage" => Self::I64,
            "IntStorage" => Self::I32,
            "ShortStorage" => Self::I16,
            "CharStorage" => Self::I8,
            "ByteStorage" => Self::U8,
            "BoolStorage" => Self::Bool,
            _ => return None,
        })
    }

    /// By the name of the type, of tensors on storages without one.
    fn of_name(name: &str) -> Option<Self> {
        Some(match name {
            "torch.float64" => Self::F64,
            "torch.float32" => Self::F32,
            "torch.float16" => Self::F16,
            "torch.bfloat16" => Self::BF16,
            "torch.int64" => Self::I64,
            "torch.int32" => Self::I32,
            "torch.int16" => Self::I16,
            "torch.int8" => Self::I8,
            "torch.uint8" => Self::U8,
            "torch.bool" => Self::Bool,
            _ => return None,
        })
    }

    pub fn bytes(self) -> usize {
        match self {
            Self::F64 | Self::I64 => 8,
            Self::F32 | Self::I32 => 4,
            Self::F16 | Self::BF16 | Self::I16 => 2,
            Self::I8 | Self::U8 | Self::Bool => 1,
        }
    }

    pub fn is_float(self) -> bool {
        matches!(self, Self::F64 | Self::F32 | Self::F16 | Self::BF16)
    }
}

/// A tensor, not read yet.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TensorInfo {
    pub dtype: DType,
    pub shape: Vec<usize>,
    /// In elements, as the offset.
    pub strides: Vec<usize>,
    pub offset: usize,
    /// Key of its storage in the archive.
    pub storage: String,
}

impl TensorInfo {
    pub fn elements(&self) -> usize {
        self.shape.iter().fold(1, |all: usize, length| all.saturating_mul(*length))
    }

    pub(super) fn is_contiguous(&self) -> bool {
        let mut due: usize = 1;
        self.shape.iter().zip(&self.strides).rev().all(|(&length, &stride)| {
            let right = length <= 1 || stride == due;
            due = due.saturating_mul(length);
            right
        })
    }

    /// Bytes of the storage up to the last element; an error where the tensor, or its place, is larger than any is.
    pub(super) fn reach(&self) -> Result<usize, CheckpointError> {
        let size = self.shape.iter().try_fold(self.dtype.bytes(), |all, length| all.checked_mul(*length));
        let too_large = || CheckpointError::Tensor(format!("of shape {:?}: larger than any is", self.shape));
        let size = size.filter(|size| *size <= MOST_TENSOR).ok_or_else(too_large)?;
        if size == 0 {
            return Ok(0);
        }
        let reach = self
            .shape
            .iter()
            .zip(&self.strides)
            .try_fold(self.offset, |reach, (length, stride)| reach.checked_add((length - 1).checked_mul(*stride)?));
        reach.and_then(|last| last.checked_add(1)?.checked_mul(self.dtype.bytes())).ok_or_else(too_large)
    }
}

/// A value of a checkpoint.
#[derive(Debug, Clone, Copy)]
pub struct Value<'a> {
    checkpoint: &'a Checkpoint,
    id: Id,
}

/// Objects inside objects that are looked through for a tensor: a parameter holds a tensor, a subclass another.
const DEEPEST: usize = 8;
/// Arguments of what makes a tensor.
const MOST_ARGUMENTS: usize = 8;
/// Dimensions of a tensor, as PyTorch has them.
const MOST_DIMENSIONS: usize = 64;
/// Bytes of a storage's key: a number, as a rule.
const LONGEST_KEY: usize = 255;

impl<'a> Value<'a> {
    pub(super) fn new(checkpoint: &'a Checkpoint, id: Id) -> Self {
        Self { checkpoint, id }
    }

    fn at(self, id: Id) -> Self {
        Self { id, ..self }
    }

    fn node(self) -> &'a Node {
        self.checkpoint.nodes.get(self.id as usize).unwrap_or(&Node::None)
    }

    fn object(self) -> Option<&'a Object> {
        match self.node() {
            Node::Object(object) => Some(object),
            _ => None,
        }
    }

    /// For people: `a dictionary`, `torch._utils._rebuild_tensor_v2(…)`.
    pub fn kind_name(self) -> String {
        match self.node() {
            Node::None => "nothing".to_owned(),
            Node::Bool(_) => "a truth value".to_owned(),
            Node::Int(_) | Node::LargeInt => "an integer".to_owned(),
            Node::Float(_) => "a number".to_owned(),
            Node::Text(_) => "a text".to_owned(),
            Node::Bytes => "bytes".to_owned(),
            Node::Tuple(_) => "a tuple".to_owned(),
            Node::List(_) => "a list".to_owned(),
            Node::Set(_) => "a set".to_owned(),
            Node::Dict(_) => "a dictionary".to_owned(),
            Node::Global(name) => name.clone(),
            Node::Object(object) => format!("{}(…)", self.at(object.callable).global().unwrap_or("an object")),
            Node::Persistent(_) => "a storage".to_owned(),
        }
    }

    /// Name of a class or function.
    fn global(self) -> Option<&'a str> {
        match self.node() {
            Node::Global(name) => Some(name),
            _ => None,
        }
    }

    /// The class of an object, or the function that would have made it.
    pub fn class_name(self) -> Option<&'a str> {
        let object = self.object()?;
        let name = self.at(object.callable).global()?;
        // what copyreg makes is of the class that it is told
        match name {
            "copyreg.__newobj__" | "copyreg._reconstructor" | "copy_reg._reconstructor" => {
                self.at(object.arguments).items().next()?.global()
            }
            name => Some(name),
        }
    }

    pub fn as_str(self) -> Option<&'a str> {
        match self.node() {
            Node::Text(text) => Some(text),
            _ => None,
        }
    }

    pub fn as_i64(self) -> Option<i64> {
        match self.node() {
            Node::Int(number) => Some(*number),
            _ => None,
        }
    }

    /// Of an integer, too.
    pub fn as_f64(self) -> Option<f64> {
        match self.node() {
            Node::Float(number) => Some(*number),
            Node::Int(number) => Some(*number as f64),
            _ => None,
        }
    }

    pub fn as_bool(self) -> Option<bool> {
        match self.node() {
            Node::Bool(flag) => Some(*flag),
            _ => None,
        }
    }

    fn as_usize(self) -> Option<usize> {
        self.as_i64().and_then(|number| usize::try_from(number).ok())
    }

    /// Items of a list, tuple or set, or those that were appended to an object.
    pub fn items(self) -> impl Iterator<Item = Value<'a>> {
        let items: &'a [Id] = match self.node() {
            Node::List(items) | Node::Tuple(items) | Node::Set(items) => items,
            Node::Object(object) => &object.items,
            _ => &[],
        };
        items.iter().map(move |&id| self.at(id))
    }

    /// Entries of a dictionary; of an object those that were set, then its attributes.
    pub fn entries(self) -> impl Iterator<Item = (Value<'a>, Value<'a>)> {
        let own: &'a [(Id, Id)] = match self.node() {
            Node::Dict(entries) => entries,
            Node::Object(object) => &object.entries,
            _ => &[],
        };
        let state = self.object().and_then(|object| object.state).map(|state| self.at(state).node());
        // an object with slots has its attributes in a pair
        let parts: Vec<&'a Node> = match state {
            Some(Node::Tuple(parts)) => parts.iter().take(2).map(|&part| self.at(part).node()).collect(),
            other => other.into_iter().collect(),
        };
        let attributes = parts.into_iter().flat_map(|part| match part {
            Node::Dict(entries) => entries.as_slice(),
            _ => &[],
        });
        own.iter().chain(attributes).map(move |&(key, value)| (self.at(key), self.at(value)))
    }

    /// The entry or attribute with this name; of several, the last, as Python has it.
    pub fn get(self, name: &str) -> Option<Value<'a>> {
        self.entries().filter(|(key, _)| key.as_str() == Some(name)).last().map(|(_, value)| value)
    }

    /// The tensor that this is: bare, or as a parameter.
    pub fn tensor(self) -> Option<TensorInfo> {
        let mut value = self;
        for _ in 0..DEEPEST {
            let object = value.object()?;
            let arguments: Vec<Value<'a>> = value.at(object.arguments).items().take(MOST_ARGUMENTS).collect();
            match value.at(object.callable).global()? {
                "torch._utils._rebuild_tensor_v2" | "torch._utils._rebuild_tensor" => {
                    return value.rebuilt(&arguments, None);
                }
                "torch._utils._rebuild_tensor_v3" => {
                    let dtype = DType::of_name(arguments.get(6)?.global()?)?;
                    return value.rebuilt(&arguments, Some(dtype));
                }
                "torch._tensor._rebuild_from_type_v2" => {
                    // the function, the type, the function's arguments
                    let (function, inner) = (arguments.first()?.global()?, arguments.get(2)?);
                    if !function.starts_with("torch._utils._rebuild_tensor") {
                        return None;
                    }
                    let inner: Vec<Value<'a>> = inner.items().take(MOST_ARGUMENTS).collect();
                    return value.rebuilt(&inner, None);
                }
                "torch._utils._rebuild_parameter"
                | "torch._utils._rebuild_parameter_with_state"
                | "torch.nn.parameter.Parameter" => value = *arguments.first()?,
                _ => return None,
            }
        }
        None
    }

    /// Storage, offset, shape, strides.
    fn rebuilt(self, arguments: &[Value<'a>], dtype: Option<DType>) -> Option<TensorInfo> {
        let [storage, offset, shape, strides, rest @ ..] = arguments else { return None };
        // a view whose elements PyTorch negates as it reads them: the bytes alone would have the wrong sign
        let mut metadata = rest.iter().flat_map(|metadata| metadata.entries().take(MOST_ARGUMENTS));
        if metadata.any(|(key, value)| key.as_str() == Some("neg") && value.as_bool() == Some(true)) {
            return None;
        }
        let Node::Persistent(id) = storage.node() else { return None };
        // ("storage", class, key, device, elements)
        let parts: Vec<Value<'a>> = self.at(*id).items().take(MOST_ARGUMENTS).collect();
        let [kind, class, key, ..] = parts.as_slice() else { return None };
        if kind.as_str() != Some("storage") {
            return None;
        }
        let dtype = dtype.or_else(|| DType::of_storage(class.global()?))?;
        let key = key.as_str().filter(|key| key.len() <= LONGEST_KEY)?;
        let numbers = |value: &Value<'a>| {
            // one more than there may be, to tell too many
            let numbers = value.items().take(MOST_DIMENSIONS + 1).map(Value::as_usize).collect::<Option<Vec<usize>>>();
            numbers.filter(|numbers| numbers.len() <= MOST_DIMENSIONS)
        };
        let (shape, strides) = (numbers(shape)?, numbers(strides)?);
        let offset = offset.as_usize()?;
        (shape.len() == strides.len()).then(|| TensorInfo { dtype, shape, strides, offset, storage: key.to_owned() })
    }
}
