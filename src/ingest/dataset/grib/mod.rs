//! GRIB 1 and 2 by way of ECMWF's ecCodes (<https://confluence.ecmwf.int/display/ECC>), as if it were a file of arrays: the
//! messages of one quantity, on one kind of level and one grid, are an array with its members, times and levels, and CF
//! attributes tell what the messages' keys do. Of an array that has not all messages the fields without one are missing.

mod cube;
mod grid;
mod header;
mod messages;
mod sections;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::fmt;
use std::fs::File;
use std::io;
use std::ops::Range;
use std::os::unix::fs::FileExt;
use std::path::Path;
use std::sync::Arc;

use eccodes::{GribMessage, Library, Logging};

use super::{Array, Dataset, Dimension, Numbers, Source};
use cube::Cubes;
use grid::Horizontal;
use header::Header;
use messages::Messages;
use sections::Field;

/// More messages than anybody keeps in one file.
const MOST_MESSAGES: usize = 1 << 20;

/// Where a field is in its file.
#[derive(Debug, Clone)]
struct Place {
    /// Of its message.
    offset: u64,
    length: usize,
    /// One of several in the message.
    field: Option<Field>,
}

impl Place {
    /// A message with this field alone.
    fn message(&self, file: &File) -> io::Result<Vec<u8>> {
        let read = |range: Range<usize>| {
            let mut bytes = vec![0; range.len()];
            file.read_exact_at(&mut bytes, self.offset + range.start as u64)?;
            Ok(bytes)
        };
        match &self.field {
            Some(field) => field.alone(read),
            None => read(0..self.length),
        }
    }
}

struct Grib {
    file: File,
    /// Numbers of the arrays that are no data.
    coordinates: BTreeMap<String, Vec<f64>>,
    data: BTreeMap<String, Data>,
}

/// An array of data.
struct Data {
    horizontal: Arc<Horizontal>,
    /// By the place in the dimensions before the field's own.
    fields: BTreeMap<Vec<usize>, Place>,
}

pub fn open(path: &Path) -> Result<Dataset, String> {
    Library::set_logging(Logging::Silent);
    let file = File::open(path).map_err(|error| format!("no readable file ({error})"))?;
    let damaged =
        |number: usize, reason: &dyn fmt::Display| format!("a damaged GRIB file (message {number}: {reason})");
    let messages = Messages::of(&file).map_err(|error| format!("no readable file ({error})"))?;
    let mut cubes = Cubes::default();
    let mut editions = [false; 2];
    let mut number = 0;
    for message in messages {
        number += 1;
        let messages::Message { offset, bytes } = message.map_err(|reason| damaged(number, &reason))?;
        let fields = sections::fields(&bytes).map_err(|reason| damaged(number, &reason))?;
        let place = |field| Place { offset, length: bytes.len(), field };
        editions[usize::from(!fields.is_empty())] = true;
        let mut add = |message: &GribMessage, field: Option<Field>| {
            if cubes.messages() == MOST_MESSAGES {
                return Err(format!("more than {MOST_MESSAGES} messages"));
            }
            let field_number = cubes.messages() + 1;
            let header = Header::read(message, field_number).map_err(|reason| format!("message {number}: {reason}"))?;
            cubes.look_at_grid(&header.grid, message);
            cubes.add(header, place(field));
            Ok(())
        };
        if fields.len() < 2 {
            add(&GribMessage::from_bytes(&bytes).map_err(|error| damaged(number, &error))?, None)?;
            continue;
        }
        for field in fields {
            let alone = field.alone(|range| Ok(bytes[range].to_vec())).map_err(|error| damaged(number, &error))?;
            let alone = GribMessage::from_bytes(&alone).map_err(|error| damaged(number, &error))?;
            add(&alone, Some(field))?;
        }
    }
    if number == 0 {
        return Err("a GRIB file without a message".to_owned());
    }
    let format = match editions {
        [true, true] => "GRIB 1 and 2",
        [true, false] => "GRIB 1",
        _ => "GRIB 2",
    };
    let made = cubes.finish();
    let source = Box::new(Grib { file, coordinates: made.coordinates, data: made.data });
    Ok(Dataset { arrays: made.arrays, dimensions: made.dimensions, ..Dataset::new(format, source) })
}

impl Grib {
    /// Values of a field in the order of its array, `[rows, columns]`; NaN where there are none.
    fn field(&self, place: &Place, horizontal: &Horizontal) -> Result<Vec<f32>, String> {
        let bytes = place.message(&self.file).map_err(|error| error.to_string())?;
        /// No quantity's value.
        const MISSING: f64 = -1e100;
        let wrong = |error: eccodes::Error| format!("a message that cannot be decoded ({error})");
        let mut message = GribMessage::from_bytes(&bytes).map_err(wrong)?;
        // there has to be room for what it claims before anything is decoded
        horizontal.check_size(message.key("values").len().map_err(wrong)?)?;
        message.set("missingValue", MISSING).map_err(wrong)?;
        let values = message.values().map_err(wrong)?;
        let values = values.into_iter().map(|value| if value == MISSING { f32::NAN } else { value as f32 });
        horizontal.in_order(values.collect())
    }
}

impl Source for Grib {
    fn read(&self, array: &Array, start: &[usize], count: &[usize]) -> Result<Numbers, String> {
        if let Some(values) = self.coordinates.get(&array.name) {
            let block: Vec<f64> = match (start, count) {
                ([], _) | (_, []) => values.clone(),
                (&[start, ..], &[count, ..]) => values.iter().skip(start).take(count).copied().collect(),
            };
            return Ok(Numbers::F64(block));
        }
        let data = self.data.get(&array.name).ok_or("no such array")?;
        let leading = array.dimensions.len() - data.horizontal.dimensions.len();
        let (fields, inside) = (&count[..leading], (&start[leading..], &count[leading..]));
        let shape: Vec<usize> = data.horizontal.dimensions.iter().map(|dimension| dimension.length).collect();
        let mut block = Vec::with_capacity(count.iter().product());
        for place in ndarray::indices(fields) {
            use ndarray::Dimension as _;
            let place: Vec<usize> = place.slice().iter().zip(start).map(|(place, start)| place + start).collect();
            match data.fields.get(&place) {
                Some(place) => {
                    let field = self.field(place, &data.horizontal)?;
                    cut(&field, &shape, inside, &mut block);
                }
                None => block.extend(std::iter::repeat_n(f32::NAN, inside.1.iter().product())),
            }
        }
        Ok(Numbers::F32(block))
    }

    fn read_texts(&self, array: &Array) -> Result<Vec<String>, String> {
        Err(format!("{} holds no texts", array.name))
    }
}

/// A block of a field of one or two dimensions.
fn cut(field: &[f32], shape: &[usize], (start, count): (&[usize], &[usize]), block: &mut Vec<f32>) {
    match (shape, start, count) {
        (&[_, width], &[row, column], &[rows, columns]) => {
            let rows = field.chunks_exact(width.max(1)).skip(row).take(rows);
            rows.for_each(|row| block.extend_from_slice(&row[column..column + columns]));
        }
        (_, &[start], &[count]) => block.extend_from_slice(&field[start..start + count]),
        _ => block.extend_from_slice(field),
    }
}

/// Arrays of coordinates and of data.
#[derive(Default)]
struct Made {
    arrays: Vec<Array>,
    dimensions: Vec<Dimension>,
    coordinates: BTreeMap<String, Vec<f64>>,
    data: BTreeMap<String, Data>,
}
