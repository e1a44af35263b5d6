//! Numbers in the type that they are stored in.

/// What an array holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
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
pub trait Number: Copy + Send + Sync {
    fn number(self) -> f64;
}

macro_rules! numbers {
    ($($kind:ty),*) => { $(impl Number for $kind { fn number(self) -> f64 { self as f64 } })* };
}
numbers!(i8, u8, i16, u16, i32, u32, i64, u64, f32, f64);

impl Numbers {
    pub fn len(&self) -> usize {
        each!(self, values => values.len())
    }
}
