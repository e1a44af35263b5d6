//! Numbers in the type that they are stored in.

use std::io::Read;

use serde::{Deserialize, Serialize};

/// What an array holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum ElementType {
    I8,
    U8,
    I16,
    U16,
    I32,
    U32,
    I64,
    U64,
    F16,
    F32,
    F64,
    /// Strings, or characters.
    Text,
    /// Compounds, opaque bytes, …
    Other,
}

impl ElementType {
    pub fn is_float(self) -> bool {
        matches!(self, Self::F16 | Self::F32 | Self::F64)
    }

    /// Bytes of a number; 0 where it is none.
    pub fn size(self) -> usize {
        match self {
            Self::I8 | Self::U8 => 1,
            Self::I16 | Self::U16 | Self::F16 => 2,
            Self::I32 | Self::U32 | Self::F32 => 4,
            Self::I64 | Self::U64 | Self::F64 => 8,
            Self::Text | Self::Other => 0,
        }
    }
}

/// A block of numbers.
#[derive(Debug, Clone, PartialEq)]
pub enum Numbers {
    I8(Vec<i8>),
    U8(Vec<u8>),
    I16(Vec<i16>),
    U16(Vec<u16>),
    I32(Vec<i32>),
    U32(Vec<u32>),
    I64(Vec<i64>),
    U64(Vec<u64>),
    F32(Vec<f32>),
    F64(Vec<f64>),
}

/// Does the same with the vector of any type.
macro_rules! each {
    ($numbers:expr, $values:ident => $result:expr) => {
        match $numbers {
            $crate::ingest::dataset::Numbers::I8($values) => $result,
            $crate::ingest::dataset::Numbers::U8($values) => $result,
            $crate::ingest::dataset::Numbers::I16($values) => $result,
            $crate::ingest::dataset::Numbers::U16($values) => $result,
            $crate::ingest::dataset::Numbers::I32($values) => $result,
            $crate::ingest::dataset::Numbers::U32($values) => $result,
            $crate::ingest::dataset::Numbers::I64($values) => $result,
            $crate::ingest::dataset::Numbers::U64($values) => $result,
            $crate::ingest::dataset::Numbers::F32($values) => $result,
            $crate::ingest::dataset::Numbers::F64($values) => $result,
        }
    };
}
pub(in crate::ingest) use each;

/// A stored number of any type. Integers beyond 2^53 round.
pub trait Number: bytemuck::Pod + Send + Sync {
    fn number(self) -> f64;
}

macro_rules! numbers {
    ($($kind:ty),*) => {
        $(impl Number for $kind {
            fn number(self) -> f64 {
                self as f64
            }
        })*
    };
}
numbers!(i8, u8, i16, u16, i32, u32, i64, u64, f32, f64);

impl Numbers {
    pub fn len(&self) -> usize {
        each!(self, values => values.len())
    }

    pub fn kind(&self) -> ElementType {
        match self {
            Self::I8(_) => ElementType::I8,
            Self::U8(_) => ElementType::U8,
            Self::I16(_) => ElementType::I16,
            Self::U16(_) => ElementType::U16,
            Self::I32(_) => ElementType::I32,
            Self::U32(_) => ElementType::U32,
            Self::I64(_) => ElementType::I64,
            Self::U64(_) => ElementType::U64,
            Self::F32(_) => ElementType::F32,
            Self::F64(_) => ElementType::F64,
        }
    }

    /// As they lie in memory.
    pub fn as_bytes(&self) -> &[u8] {
        each!(self, values => bytemuck::cast_slice(values))
    }

    /// Reads so many numbers as they lie in memory.
    pub fn read(kind: ElementType, count: usize, from: &mut impl Read) -> std::io::Result<Self> {
        fn typed<T: Number>(count: usize, from: &mut impl Read) -> std::io::Result<Vec<T>> {
            let mut values = vec![T::zeroed(); count];
            from.read_exact(bytemuck::cast_slice_mut(&mut values)).map(|()| values)
        }
        Ok(match kind {
            ElementType::I8 => Self::I8(typed(count, from)?),
            ElementType::U8 => Self::U8(typed(count, from)?),
            ElementType::I16 => Self::I16(typed(count, from)?),
            ElementType::U16 => Self::U16(typed(count, from)?),
            ElementType::I32 => Self::I32(typed(count, from)?),
            ElementType::U32 => Self::U32(typed(count, from)?),
            ElementType::I64 => Self::I64(typed(count, from)?),
            ElementType::U64 => Self::U64(typed(count, from)?),
            ElementType::F32 => Self::F32(typed(count, from)?),
            ElementType::F64 => Self::F64(typed(count, from)?),
            ElementType::F16 | ElementType::Text | ElementType::Other => {
                return Err(std::io::Error::other("no numbers that are sent"));
            }
        })
    }

    /// From numbers in the machine's byte order. Half precision becomes single.
    pub fn from_ne_bytes(kind: ElementType, bytes: &[u8]) -> Result<Self, String> {
        fn each<const N: usize, T>(bytes: &[u8], value: impl Fn([u8; N]) -> T) -> Vec<T> {
            bytes.as_chunks::<N>().0.iter().map(|bytes| value(*bytes)).collect()
        }
        Ok(match kind {
            ElementType::I8 => Self::I8(each(bytes, i8::from_ne_bytes)),
            ElementType::U8 => Self::U8(bytes.to_vec()),
            ElementType::I16 => Self::I16(each(bytes, i16::from_ne_bytes)),
            ElementType::U16 => Self::U16(each(bytes, u16::from_ne_bytes)),
            ElementType::I32 => Self::I32(each(bytes, i32::from_ne_bytes)),
            ElementType::U32 => Self::U32(each(bytes, u32::from_ne_bytes)),
            ElementType::I64 => Self::I64(each(bytes, i64::from_ne_bytes)),
            ElementType::U64 => Self::U64(each(bytes, u64::from_ne_bytes)),
            ElementType::F16 => Self::F32(each(bytes, |bytes| half::f16::from_ne_bytes(bytes).to_f32())),
            ElementType::F32 => Self::F32(each(bytes, f32::from_ne_bytes)),
            ElementType::F64 => Self::F64(each(bytes, f64::from_ne_bytes)),
            ElementType::Text | ElementType::Other => return Err("no numbers".to_owned()),
        })
    }
}
