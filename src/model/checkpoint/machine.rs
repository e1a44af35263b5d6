//! The pickle machine, inert: it builds values, and no class or function is ever looked up or called.
//!
//! Opcodes as CPython documents them in `pickletools` (<https://docs.python.org/3/library/pickletools.html>), protocols 0 to
//! 5. Values live in one list and name each other by their place in it: nothing recurses, however deep they are nested, and
//! a value that is used a million times exists once.

use std::collections::HashMap;

use super::CheckpointError;
use super::calls::is_hostile;

/// Values that a pickle may make, and places on its stack and in its memo: more than any checkpoint has. Each takes less
/// than 100 bytes.
const MOST_VALUES: usize = 4_000_000;
/// Bytes of the name of a class or function, and of all of them: each is written out, however short the opcodes are that
/// put it together from texts in the memo.
const LONGEST_NAME: usize = 1_000;
const MOST_NAMES: usize = 16 << 20;

/// A value, by its place.
pub(super) type Id = u32;

#[derive(Debug)]
pub(super) enum Node {
    None,
    Bool(bool),
    Int(i64),
    /// Too large for 64 bits; what it is, nobody needs.
    LargeInt,
    Float(f64),
    Text(String),
    /// Raw bytes: what they are, nobody needs.
    Bytes,
    Tuple(Vec<Id>),
    List(Vec<Id>),
    Set(Vec<Id>),
    Dict(Vec<(Id, Id)>),
    /// A class or function, by its name.
    Global(String),
    /// What a call would have made, and what was done to it since.
    Object(Box<Object>),
    /// What lies outside the pickle: a tensor's storage.
    Persistent(Id),
}

#[derive(Debug)]
pub(super) struct Object {
    pub callable: Id,
    pub arguments: Id,
    pub state: Option<Id>,
    pub items: Vec<Id>,
    pub entries: Vec<(Id, Id)>,
}

/// What a pickle made.
pub(super) struct Outcome {
    pub nodes: Vec<Node>,
    pub root: Id,
    /// Where the pickle was damaged: the values are what was made before.
    pub damage: Option<CheckpointError>,
}

/// Runs a pickle to its end, or to where it is damaged.
pub(super) fn run(pickle: &[u8]) -> Result<Outcome, CheckpointError> {
    let mut machine = Machine {
        pickle,
        at: 0,
        opcode_at: 0,
        nodes: Vec::new(),
        stack: Vec::new(),
        marks: Vec::new(),
        memo: HashMap::new(),
        names: 0,
    };
    match machine.run() {
        Ok(root) => Ok(Outcome { nodes: machine.nodes, root, damage: None }),
        Err(damage) => match machine.unwind() {
            Some(root) if !damage.is_hostile() => Ok(Outcome { nodes: machine.nodes, root, damage: Some(damage) }),
            _ => Err(damage),
        },
    }
}

struct Machine<'a> {
    pickle: &'a [u8],
    at: usize,
    opcode_at: usize,
    nodes: Vec<Node>,
    stack: Vec<Id>,
    /// Heights of the stack where marks were set.
    marks: Vec<usize>,
    memo: HashMap<u32, Id>,
    /// Bytes of all names of classes and functions.
    names: usize,
}

impl<'a> Machine<'a> {
    fn run(&mut self) -> Result<Id, CheckpointError> {
        loop {
            self.opcode_at = self.at;
            let opcode = self.byte()?;
            if opcode == b'.' {
                return self.pop();
            }
            self.step(opcode)?;
        }
    }

    /// Puts what is on the stack where it would have gone, and returns what is lowest.
    fn unwind(&mut self) -> Option<Id> {
        while !self.marks.is_empty() {
            let mut values = self.pop_marked().ok()?;
            match self.stack.last().and_then(|&id| self.nodes.get_mut(id as usize)) {
                Some(Node::Dict(entries)) => entries.extend(values.as_chunks::<2>().0.iter().map(|&[k, v]| (k, v))),
                Some(Node::List(items)) => items.append(&mut values),
                _ => {}
            }
        }
        self.stack.first().copied()
    }

    fn wrong(&self, reason: impl Into<String>) -> CheckpointError {
        let opcode = self.pickle.get(self.opcode_at).copied().unwrap_or_default();
        CheckpointError::Pickle { at: self.opcode_at, opcode: char::from(opcode), reason: reason.into() }
    }

    fn bytes(&mut self, count: u64) -> Result<&'a [u8], CheckpointError> {
        let left = self.pickle.len() - self.at;
        let bytes = usize::try_from(count).ok().filter(|count| *count <= left);
        let bytes = bytes.and_then(|count| self.pickle.get(self.at..self.at + count));
        let bytes = bytes.ok_or_else(|| self.wrong(format!("{count} bytes wanted where {left} are left")))?;
        self.at += bytes.len();
        Ok(bytes)
    }

    fn byte(&mut self) -> Result<u8, CheckpointError> {
        Ok(self.bytes(1)?[0])
    }

    /// Little-endian, of at most eight bytes.
    fn number(&mut self, width: u64) -> Result<u64, CheckpointError> {
        Ok(self.bytes(width)?.iter().rev().fold(0, |number, byte| number << 8 | u64::from(*byte)))
    }

    fn line(&mut self) -> Result<&'a str, CheckpointError> {
        let rest = &self.pickle[self.at..];
        let end = rest.iter().position(|byte| *byte == b'\n').ok_or_else(|| self.wrong("a line without an end"))?;
        self.at += end + 1;
        std::str::from_utf8(&rest[..end]).map_err(|_| self.wrong("a line that is not text"))
    }

    fn parsed<T: std::str::FromStr>(&mut self, expected: &str) -> Result<T, CheckpointError> {
        let line = self.line()?;
        line.trim().parse().map_err(|_| {
            let start: String = line.chars().take(40).collect();
            self.wrong(format!("{start:?}; expected {expected}"))
        })
    }

    fn text(&mut self, length: u64) -> Result<Node, CheckpointError> {
        // Python writes lone surrogates, too
        Ok(Node::Text(String::from_utf8_lossy(self.bytes(length)?).into_owned()))
    }

    fn add(&mut self, node: Node) -> Result<Id, CheckpointError> {
        if self.nodes.len() >= MOST_VALUES {
            return Err(self.wrong(format!("more than {MOST_VALUES} values")));
        }
        self.nodes.push(node);
        Ok((self.nodes.len() - 1) as Id)
    }

    fn push_id(&mut self, id: Id) -> Result<(), CheckpointError> {
        if self.stack.len() >= MOST_VALUES {
            return Err(self.wrong(format!("a stack of more than {MOST_VALUES} values")));
        }
        self.stack.push(id);
        Ok(())
    }

    fn push(&mut self, node: Node) -> Result<(), CheckpointError> {
        let id = self.add(node)?;
        self.push_id(id)
    }

    fn top(&self) -> Result<Id, CheckpointError> {
        let above = self.marks.last().copied().unwrap_or_default();
        let top = self.stack.last().filter(|_| self.stack.len() > above);
        top.copied().ok_or_else(|| self.wrong("nothing on the stack"))
    }

    fn pop(&mut self) -> Result<Id, CheckpointError> {
        let top = self.top()?;
        self.stack.pop();
        Ok(top)
    }

    /// What is above the last mark, and the mark.
    fn pop_marked(&mut self) -> Result<Vec<Id>, CheckpointError> {
        let mark = self.marks.pop().ok_or_else(|| self.wrong("no mark on the stack"))?;
        if mark > self.stack.len() {
            return Err(self.wrong("a mark above the stack"));
        }
        Ok(self.stack.split_off(mark))
    }

    fn remember(&mut self, key: u64) -> Result<(), CheckpointError> {
        let key = u32::try_from(key).map_err(|_| self.wrong(format!("memo entry {key}")))?;
        let top = self.top()?;
        if self.memo.len() >= MOST_VALUES {
            return Err(self.wrong(format!("more than {MOST_VALUES} memo entries")));
        }
        self.memo.insert(key, top);
        Ok(())
    }

    fn recall(&mut self, key: u64) -> Result<(), CheckpointError> {
        let found = u32::try_from(key).ok().and_then(|key| self.memo.get(&key).copied());
        let id = found.ok_or_else(|| self.wrong(format!("no memo entry {key}")))?;
        self.push_id(id)
    }

    fn pairs(&self, values: &[Id]) -> Result<Vec<(Id, Id)>, CheckpointError> {
        let (pairs, rest) = values.as_chunks::<2>();
        if !rest.is_empty() {
            return Err(self.wrong("a key without a value"));
        }
        Ok(pairs.iter().map(|&[key, value]| (key, value)).collect())
    }

    fn object(&mut self, callable: Id, arguments: Id) -> Result<(), CheckpointError> {
        if let Some(Node::Global(name)) = self.nodes.get(callable as usize)
            && is_hostile(name)
        {
            return Err(CheckpointError::Hostile { at: self.opcode_at, call: name.clone() });
        }
        let object = Object { callable, arguments, state: None, items: Vec::new(), entries: Vec::new() };
        self.push(Node::Object(Box::new(object)))
    }

    fn append(&mut self, values: Vec<Id>) -> Result<(), CheckpointError> {
        let target = self.top()?;
        match self.nodes.get_mut(target as usize) {
            Some(Node::List(items) | Node::Set(items)) => items.extend(values),
            Some(Node::Object(object)) => object.items.extend(values),
            _ => return Err(self.wrong("items added to what has none")),
        }
        Ok(())
    }

    fn insert(&mut self, pairs: Vec<(Id, Id)>) -> Result<(), CheckpointError> {
        let target = self.top()?;
        match self.nodes.get_mut(target as usize) {
            Some(Node::Dict(entries)) => entries.extend(pairs),
            Some(Node::Object(object)) => object.entries.extend(pairs),
            _ => return Err(self.wrong("entries added to what has none")),
        }
        Ok(())
    }

    fn long(&mut self, length: u64) -> Result<(), CheckpointError> {
        let bytes = self.bytes(length)?;
        let node = match (bytes.len(), bytes.last()) {
            (0, _) | (_, None) => Node::Int(0),
            (1..=8, Some(last)) => {
                let mut all = [if last & 0x80 == 0 { 0 } else { 0xff }; 8];
                all[..bytes.len()].copy_from_slice(bytes);
                Node::Int(i64::from_le_bytes(all))
            }
            _ => Node::LargeInt,
        };
        self.push(node)
    }

    fn global(&mut self, module: &str, name: &str) -> Result<Id, CheckpointError> {
        let length = module.len() + name.len();
        self.names += length;
        if length > LONGEST_NAME || self.names > MOST_NAMES {
            let found = format!("a name of {length} bytes, {} with those before", self.names);
            return Err(self.wrong(format!("{found}; expected at most {LONGEST_NAME} and {MOST_NAMES}")));
        }
        self.add(Node::Global(format!("{module}.{name}")))
    }

    fn step(&mut self, opcode: u8) -> Result<(), CheckpointError> {
        match opcode {
            // protocol, frame: nothing to do
            0x80 => self.byte().map(drop),
            0x95 => self.number(8).map(drop),
            b'(' => {
                if self.marks.len() >= MOST_VALUES {
                    return Err(self.wrong(format!("more than {MOST_VALUES} marks")));
                }
                self.marks.push(self.stack.len());
                Ok(())
            }
            b'0' => match self.marks.last() {
                Some(&mark) if mark == self.stack.len() => {
                    self.marks.pop();
                    Ok(())
                }
                _ => self.pop().map(drop),
            },
            b'1' => self.pop_marked().map(drop),
            b'2' => {
                let top = self.top()?;
                self.push_id(top)
            }
            b'N' => self.push(Node::None),
            0x88 => self.push(Node::Bool(true)),
            0x89 => self.push(Node::Bool(false)),
            b'I' => match self.line()?.trim() {
                "00" => self.push(Node::Bool(false)),
                "01" => self.push(Node::Bool(true)),
                number => {
                    let number = number.parse().map(Node::Int).unwrap_or(Node::LargeInt);
                    self.push(number)
                }
            },
            b'L' => {
                let number = self.line()?.trim_end_matches('L').trim().parse().map(Node::Int);
                self.push(number.unwrap_or(Node::LargeInt))
            }
            b'J' => {
                let number = self.number(4)? as u32 as i32;
                self.push(Node::Int(i64::from(number)))
            }
            b'K' => {
                let number = self.number(1)?;
                self.push(Node::Int(number as i64))
            }
            b'M' => {
                let number = self.number(2)?;
                self.push(Node::Int(number as i64))
            }
            0x8a => {
                let length = self.number(1)?;
                self.long(length)
            }
            0x8b => {
                let length = self.number(4)?;
                self.long(length)
            }
            b'F' => {
                let number = self.parsed("a number")?;
                self.push(Node::Float(number))
            }
            b'G' => {
                let bytes = self.bytes(8)?.iter().fold(0u64, |bits, byte| bits << 8 | u64::from(*byte));
                self.push(Node::Float(f64::from_bits(bytes)))
            }
            b'S' | b'V' => {
                let line = self.line()?;
                let text = if opcode == b'S' { line.trim_matches(['\'', '"']) } else { line };
                self.push(Node::Text(text.to_owned()))
            }
            b'T' | b'U' | b'X' | 0x8c | 0x8d => {
                let length = self.number(match opcode {
                    b'T' | b'X' => 4,
                    0x8d => 8,
                    _ => 1,
                })?;
                let text = self.text(length)?;
                self.push(text)
            }
            b'B' | b'C' | 0x8e | 0x96 => {
                let length = self.number(match opcode {
                    b'B' => 4,
                    b'C' => 1,
                    _ => 8,
                })?;
                self.bytes(length)?;
                self.push(Node::Bytes)
            }
            b')' => self.push(Node::Tuple(Vec::new())),
            b']' => self.push(Node::List(Vec::new())),
            b'}' => self.push(Node::Dict(Vec::new())),
            0x8f => self.push(Node::Set(Vec::new())),
            b't' | b'l' | b'd' | 0x91 => {
                let values = self.pop_marked()?;
                let node = match opcode {
                    b't' => Node::Tuple(values),
                    b'l' => Node::List(values),
                    b'd' => Node::Dict(self.pairs(&values)?),
                    _ => Node::Set(values),
                };
                self.push(node)
            }
            0x85..=0x87 => {
                let mut values = (0x85..=opcode).map(|_| self.pop()).collect::<Result<Vec<_>, _>>()?;
                values.reverse();
                self.push(Node::Tuple(values))
            }
            b'a' => {
                let value = self.pop()?;
                self.append(vec![value])
            }
            b'e' | 0x90 => {
                let values = self.pop_marked()?;
                self.append(values)
            }
            b's' => {
                let (value, key) = (self.pop()?, self.pop()?);
                self.insert(vec![(key, value)])
            }
            b'u' => {
                let values = self.pop_marked()?;
                let pairs = self.pairs(&values)?;
                self.insert(pairs)
            }
            b'p' => {
                let key = self.parsed("a memo entry")?;
                self.remember(key)
            }
            b'q' => {
                let key = self.number(1)?;
                self.remember(key)
            }
            b'r' => {
                let key = self.number(4)?;
                self.remember(key)
            }
            0x94 => self.remember(self.memo.len() as u64),
            b'g' => {
                let key = self.parsed("a memo entry")?;
                self.recall(key)
            }
            b'h' => {
                let key = self.number(1)?;
                self.recall(key)
            }
            b'j' => {
                let key = self.number(4)?;
                self.recall(key)
            }
            b'c' => {
                let (module, name) = (self.line()?, self.line()?);
                let global = self.global(module, name)?;
                self.push_id(global)
            }
            0x93 => {
                let (name, module) = (self.pop()?, self.pop()?);
                let text = |id: Id| match self.nodes.get(id as usize) {
                    Some(Node::Text(text)) => Ok(text.clone()),
                    _ => Err(self.wrong("a class whose name is no text")),
                };
                let (module, name) = (text(module)?, text(name)?);
                let global = self.global(&module, &name)?;
                self.push_id(global)
            }
            b'R' | 0x81 => {
                let (arguments, callable) = (self.pop()?, self.pop()?);
                self.object(callable, arguments)
            }
            0x92 => {
                // keyword arguments: nobody needs them
                self.pop()?;
                let (arguments, callable) = (self.pop()?, self.pop()?);
                self.object(callable, arguments)
            }
            b'o' => {
                let mut values = self.pop_marked()?;
                if values.is_empty() {
                    return Err(self.wrong("an object without a class"));
                }
                let callable = values.remove(0);
                let arguments = self.add(Node::Tuple(values))?;
                self.object(callable, arguments)
            }
            b'i' => {
                let (module, name) = (self.line()?, self.line()?);
                let values = self.pop_marked()?;
                let callable = self.global(module, name)?;
                let arguments = self.add(Node::Tuple(values))?;
                self.object(callable, arguments)
            }
            b'b' => {
                let state = self.pop()?;
                let target = self.top()?;
                if let Some(Node::Object(object)) = self.nodes.get_mut(target as usize) {
                    object.state = Some(state);
                }
                Ok(())
            }
            b'P' => {
                let line = self.line()?.to_owned();
                let id = self.add(Node::Text(line))?;
                self.push(Node::Persistent(id))
            }
            b'Q' => {
                let id = self.pop()?;
                self.push(Node::Persistent(id))
            }
            0x82..=0x84 => Err(self.wrong("an extension code; no PyTorch checkpoint has one")),
            0x97 | 0x98 => Err(self.wrong("a buffer outside the pickle; no PyTorch checkpoint has one")),
            other => Err(self.wrong(format!("opcode {other:#04x}, which no protocol has"))),
        }
    }
}
