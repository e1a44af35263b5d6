//! One object of a variable: a shard of Zarr v3's sharding codec.
//!
//! A shard is its inner chunks one after the other, then an index of them (offset and length of each as little-endian
//! u64, and a CRC-32C): <https://zarr-specs.readthedocs.io/en/latest/v3/codecs/sharding-indexed/>. The object is put
//! together and taken apart here, so that a window costs two ranged reads, work for the processor stays off the threads
//! that wait for storage, and whatever is wrong with the bytes is told apart from a store that does not answer. The
//! chunks go through the array library's codecs.

use std::num::NonZeroU64;
use std::ops::Range;

use ndarray::{Array2, Array3, ArrayView3, ArrayViewMut3, s};
use serde_json::{Value, json};
use zarrs::array::{ArrayBytes, ArrayToBytesCodecTraits, CodecChain, CodecOptions, DataType, FillValue, data_type};

use super::metadata::Copy;
use super::packing::{Packing, Width};
use super::spec::ForecastSpec;

/// Inner chunks of the map copy have at most this many points a side: a map tile reads one to four of them.
const MAP_CHUNK: usize = 96;
/// Points a side of the inner chunks of the series copy.
const SERIES_CHUNK: usize = 16;
/// Lead times of one object of the series copy: all, but in very long runs.
const SERIES_LEADS: usize = 512;
/// Most values in one object of the series copy: what bounds the memory that writing it takes.
const SERIES_VALUES: usize = 1 << 24;
/// An inner chunk that cannot be compressed grows by a header, and has a checksum.
const CODEC_OVERHEAD: u64 = 64;

/// How a copy is cut into objects and inner chunks. Both hold the same lead times of one level.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Shape {
    /// Of an object.
    pub leads: usize,
    pub rows: usize,
    pub columns: usize,
    /// Of an inner chunk.
    pub chunk_rows: usize,
    pub chunk_columns: usize,
}

impl Shape {
    pub fn of(spec: &ForecastSpec, copy: Copy) -> Self {
        let (h, w) = spec.grid.shape();
        let whole = |n: usize, chunk: usize| n.div_ceil(chunk) * chunk;
        // points have one row, and chunks as large as a square of columns
        let side = |chunk: usize| if spec.grid.dimensions().len() > 1 { (chunk, chunk) } else { (1, chunk * chunk) };
        match copy {
            Copy::Map => {
                // evenly: 721 rows are 8 × 91, not 7 × 96 + 49
                let split = |n: usize, chunk: usize| n.div_ceil(n.div_ceil(chunk));
                let (chunk_rows, chunk_columns) = side(MAP_CHUNK);
                let (chunk_rows, chunk_columns) = (split(h, chunk_rows), split(w, chunk_columns));
                let (rows, columns) = (whole(h, chunk_rows), whole(w, chunk_columns));
                Self { leads: 1, rows, columns, chunk_rows, chunk_columns }
            }
            Copy::Series => {
                let leads = spec.lead_times.len().min(SERIES_LEADS);
                let (chunk_rows, chunk_columns) = side(SERIES_CHUNK);
                let columns = whole(w, chunk_columns);
                let band = SERIES_VALUES / (leads * columns) / chunk_rows * chunk_rows;
                let rows = whole(h, chunk_rows).min(band.max(chunk_rows));
                Self { leads, rows, columns, chunk_rows, chunk_columns }
            }
        }
    }

    /// Inner chunks of an object along rows and columns.
    fn chunks(&self) -> (usize, usize) {
        (self.rows / self.chunk_rows, self.columns / self.chunk_columns)
    }

    fn chunk_count(&self) -> usize {
        self.chunks().0 * self.chunks().1
    }

    fn chunk_len(&self) -> usize {
        self.leads * self.chunk_rows * self.chunk_columns
    }
}

/// A part of an object: what a read asks of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Part {
    pub leads: Range<usize>,
    pub rows: Range<usize>,
    pub columns: Range<usize>,
}

/// Why an object could not be made.
#[derive(Debug)]
pub(super) enum EncodeError {
    OutOfReach { value: f32, reach: (f64, f64) },
    Codec(String),
}

/// Makes and reads the objects of one variable in one copy.
pub(super) struct ShardCodec {
    shape: Shape,
    packing: Option<Packing>,
    chunks: CodecChain,
    /// `[leads, rows, columns]` of an inner chunk.
    chunk_shape: [NonZeroU64; 3],
    data_type: DataType,
    fill: FillValue,
}

/// The codecs of the inner chunks, as Zarr metadata. The checksum is outermost: damaged bytes never reach the decompressor.
fn chunk_codecs(packing: Option<Packing>) -> Value {
    let size = if packing.is_some_and(|packing| packing.width == Width::Bits16) { 2 } else { 4 };
    json!([
        { "name": "bytes", "configuration": { "endian": "little" } },
        { "name": "blosc", "configuration": {
            "cname": "zstd", "clevel": 3, "shuffle": "shuffle", "typesize": size, "blocksize": 0
        } },
        { "name": "crc32c" },
    ])
}

/// The codec of a variable's array, as Zarr metadata. `chunk_shape` has all dimensions of the array.
pub(super) fn sharding_document(packing: Option<Packing>, chunk_shape: &[u64]) -> Value {
    json!({ "name": "sharding_indexed", "configuration": {
        "chunk_shape": chunk_shape,
        "codecs": chunk_codecs(packing),
        "index_codecs": [{ "name": "bytes", "configuration": { "endian": "little" } }, { "name": "crc32c" }],
        "index_location": "end",
    } })
}

impl ShardCodec {
    pub fn new(shape: Shape, packing: Option<Packing>) -> Result<Self, String> {
        let chunks: Vec<_> = serde_json::from_value(chunk_codecs(packing)).map_err(|error| error.to_string())?;
        let chunks = CodecChain::from_metadata(&chunks).map_err(|error| error.to_string())?;
        let (data_type, fill) = match packing {
            None => (data_type::float32(), FillValue::from(f32::NAN)),
            Some(packing) => match packing.width {
                Width::Bits16 => (data_type::int16(), FillValue::from(packing.fill() as i16)),
                Width::Bits32 => (data_type::int32(), FillValue::from(packing.fill())),
            },
        };
        let side = |n: usize| NonZeroU64::new(n as u64).ok_or_else(|| "a chunk without values".to_owned());
        let chunk_shape = [side(shape.leads)?, side(shape.chunk_rows)?, side(shape.chunk_columns)?];
        Ok(Self { shape, packing, chunks, chunk_shape, data_type, fill })
    }

    pub fn shape(&self) -> &Shape {
        &self.shape
    }

    /// The object for `values`, `[leads, rows, columns]` from its first corner on. Where they end before the object does,
    /// at the edges of the grid, the rest of a chunk is missing values, and chunks without any value are left out.
    pub fn encode(&self, values: ArrayView3<'_, f32>) -> Result<Vec<u8>, EncodeError> {
        let (_, rows, columns) = values.dim();
        let Shape { chunk_rows, chunk_columns, .. } = self.shape;
        let mut object = Vec::new();
        let mut index = Vec::with_capacity(self.index_len());
        for chunk in 0..self.shape.chunk_count() {
            let (row, column) = self.corner(chunk);
            if row >= rows || column >= columns {
                index.extend([0xff; 16]);
                continue;
            }
            let within = s![.., row..rows.min(row + chunk_rows), column..columns.min(column + chunk_columns)];
            let encoded = self.encode_chunk(values.slice(within))?;
            index.extend((object.len() as u64).to_le_bytes());
            index.extend((encoded.len() as u64).to_le_bytes());
            object.extend(encoded);
        }
        let checksum = crc32c::crc32c(&index);
        object.extend(index);
        object.extend(checksum.to_le_bytes());
        Ok(object)
    }

    fn encode_chunk(&self, values: ArrayView3<'_, f32>) -> Result<Vec<u8>, EncodeError> {
        let mut padded;
        let [leads, rows, columns] = [self.shape.leads, self.shape.chunk_rows, self.shape.chunk_columns];
        let values = if values.dim() == (leads, rows, columns) {
            values
        } else {
            padded = Array3::from_elem((leads, rows, columns), f32::NAN);
            let (l, r, c) = values.dim();
            padded.slice_mut(s![..l, ..r, ..c]).assign(&values);
            padded.view()
        };
        let bytes: Vec<u8> = match self.packing {
            None => bytes_of(values.iter().map(|value| value.to_ne_bytes())),
            Some(packing) => {
                let out_of_reach = |value| EncodeError::OutOfReach { value, reach: packing.reach() };
                let pack = |&value: &f32| packing.pack(value).ok_or_else(|| out_of_reach(value));
                let packed = values.iter().map(pack).collect::<Result<Vec<i32>, _>>()?;
                match packing.width {
                    Width::Bits16 => bytes_of(packed.iter().map(|&value| (value as i16).to_ne_bytes())),
                    Width::Bits32 => bytes_of(packed.iter().map(|value| value.to_ne_bytes())),
                }
            }
        };
        self.chunks
            .encode(ArrayBytes::from(bytes), &self.chunk_shape, &self.data_type, &self.fill, &options())
            .map(std::borrow::Cow::into_owned)
            .map_err(|error| EncodeError::Codec(error.to_string()))
    }

    /// First row and column of an inner chunk.
    fn corner(&self, chunk: usize) -> (usize, usize) {
        let along = self.shape.chunks().1;
        (chunk / along * self.shape.chunk_rows, chunk % along * self.shape.chunk_columns)
    }

    /// Bytes of the index at the end of an object.
    pub fn index_len(&self) -> usize {
        self.shape.chunk_count() * 16 + 4
    }

    /// An object that is larger is not one of ours.
    pub fn largest_object(&self) -> u64 {
        self.shape.chunk_count() as u64 * self.largest_chunk() + self.index_len() as u64
    }

    /// What is wrong with the size of an object, if something is.
    pub fn check_size(&self, size: u64) -> Result<(), String> {
        let sizes = self.index_len() as u64..=self.largest_object();
        if sizes.contains(&size) { Ok(()) } else { Err(format!("it has {size} bytes, expected {sizes:?}")) }
    }

    fn largest_chunk(&self) -> u64 {
        self.shape.chunk_len() as u64 * 4 + CODEC_OVERHEAD
    }

    /// The inner chunks that a part touches.
    pub fn chunks_of(&self, part: &Part) -> Vec<usize> {
        let along = self.shape.chunks().1;
        let span = |range: &Range<usize>, size: usize| range.start / size..range.end.div_ceil(size);
        let columns = span(&part.columns, self.shape.chunk_columns);
        span(&part.rows, self.shape.chunk_rows)
            .flat_map(|row| columns.clone().map(move |column| row * along + column))
            .collect()
    }

    /// Whether a part touches so much of an object that all of it is best read at once.
    pub fn wants_all(&self, chunks: usize) -> bool {
        chunks * 2 >= self.shape.chunk_count()
    }

    /// Where in an object of `size` bytes the given inner chunks lie, from the bytes of its index.
    pub fn locate(&self, index: &[u8], size: u64, chunks: &[usize]) -> Result<Vec<Range<u64>>, String> {
        let (entries, checksum) = match index.split_last_chunk::<4>() {
            Some((entries, checksum)) if index.len() == self.index_len() => (entries, u32::from_le_bytes(*checksum)),
            _ => return Err(format!("it has {size} bytes, less than its index")),
        };
        if crc32c::crc32c(entries) != checksum {
            return Err("the checksum of its index is wrong".to_owned());
        }
        let (entries, _) = entries.as_chunks::<8>();
        let entry = |i: usize| entries.get(i).map_or(u64::MAX, |bytes| u64::from_le_bytes(*bytes));
        let end = size.saturating_sub(index.len() as u64);
        let place = |&chunk: &usize| {
            let (offset, length) = (entry(2 * chunk), entry(2 * chunk + 1));
            match offset.checked_add(length) {
                Some(stop) if length > 0 && stop <= end && length <= self.largest_chunk() => Ok(offset..stop),
                _ => Err(format!("chunk {chunk} is not where its index says")),
            }
        };
        chunks.iter().map(place).collect()
    }

    /// Takes the values of `part` out of inner chunks, given with their numbers.
    pub fn decode<B: AsRef<[u8]>>(
        &self,
        part: &Part,
        chunks: &[(usize, B)],
        mut into: ArrayViewMut3<'_, f32>,
    ) -> Result<(), String> {
        let Shape { leads, chunk_rows, chunk_columns, .. } = self.shape;
        for (chunk, bytes) in chunks {
            let values = self.decode_chunk(bytes.as_ref()).map_err(|reason| format!("chunk {chunk}: {reason}"))?;
            let values = Array3::from_shape_vec((leads, chunk_rows, chunk_columns), values)
                .map_err(|error| format!("chunk {chunk}: {error}"))?;
            let (row, column) = self.corner(*chunk);
            // the overlap of the chunk and the part, in the object
            let overlap =
                |part: &Range<usize>, start: usize, size: usize| part.start.max(start)..part.end.min(start + size);
            let rows = overlap(&part.rows, row, chunk_rows);
            let columns = overlap(&part.columns, column, chunk_columns);
            let shifted = |range: &Range<usize>, by: usize| range.start - by..range.end - by;
            let (r, c) = (shifted(&rows, row), shifted(&columns, column));
            let source = values.slice(s![part.leads.clone(), r, c]);
            let (r, c) = (shifted(&rows, part.rows.start), shifted(&columns, part.columns.start));
            into.slice_mut(s![.., r, c]).assign(&source);
        }
        Ok(())
    }

    /// A whole inner chunk of one lead time, `[rows, columns]`.
    pub fn decode_field(&self, chunk: usize, encoded: &[u8]) -> Result<Array2<f32>, String> {
        let values = self.decode_chunk(encoded).map_err(|reason| format!("chunk {chunk}: {reason}"))?;
        let shape = (self.shape.chunk_rows, self.shape.chunk_columns);
        Array2::from_shape_vec(shape, values).map_err(|error| format!("chunk {chunk}: {error}"))
    }

    fn decode_chunk(&self, encoded: &[u8]) -> Result<Vec<f32>, String> {
        let bytes = self
            .chunks
            .decode(encoded.into(), &self.chunk_shape, &self.data_type, &self.fill, &options())
            .and_then(|bytes| Ok(bytes.into_fixed()?))
            .map_err(|error| error.to_string())?;
        let four = || bytes.as_chunks::<4>().0.iter();
        Ok(match self.packing {
            None => four().map(|value| f32::from_ne_bytes(*value)).collect(),
            Some(packing) => match packing.width {
                Width::Bits16 => {
                    let values = bytes.as_chunks::<2>().0.iter();
                    values.map(|value| packing.unpack(i32::from(i16::from_ne_bytes(*value)))).collect()
                }
                Width::Bits32 => four().map(|value| packing.unpack(i32::from_ne_bytes(*value))).collect(),
            },
        })
    }
}

/// All bytes in a row. What they are of is as many as it says: unlike of single bytes, there is room for all at once.
pub(super) fn bytes_of<const N: usize>(values: impl Iterator<Item = [u8; N]>) -> Vec<u8> {
    values.collect::<Vec<_>>().into_flattened()
}

/// Objects are many: each is worked on by one thread.
fn options() -> CodecOptions {
    CodecOptions::default().with_concurrent_target(1)
}
