//! Files and stores read in a process of their own.
//!
//! The C libraries below NetCDF and GRIB crash, or never end, on some damaged files, and what a damaged Zarr store asks for
//! may be more than there is. Here only a child process suffers: it has limits on memory, its parent waits no longer than the
//! size of what it asked for allows, and no error of a library is ever the parent's. Several children also read side by side,
//! which the NetCDF library does not.
//!
//! Parent and child exchange frames: length (u64, little-endian), then a message as `postcard` writes it; numbers follow
//! as they lie in memory.

use std::io::{BufReader, BufWriter, Read, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::mpsc::{Receiver, RecvTimeoutError, sync_channel};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use super::format::{self, Format, ZarrPlace};
use super::{Array, Attributes, Dataset, Dimension, ElementType, Numbers, Source, open_here};

/// How files and stores are read.
#[derive(Debug, Clone, Default)]
pub enum Isolation {
    /// In this process: for files that are trusted.
    #[default]
    None,
    /// In child processes: this program, called with [`READ_APART`], must call [`read_apart`].
    Process { program: PathBuf },
}

/// The argument that tells a program that it is such a child.
pub const READ_APART: &str = "read-apart";

/// A child that has had so long for an answer, beside what reading the bytes takes, is ended.
const PATIENCE: Duration = Duration::from_secs(5);
/// The same where the answer comes over a network, whose own errors come first.
const PATIENCE_AFAR: Duration = Duration::from_secs(240);
/// So many times as long by the clock: on a machine that has much to do, a child waits for its turn.
const MOST_WAITING: u32 = 12;
/// Between two looks at how long it has worked.
const LOOK: Duration = Duration::from_millis(200);
/// Bytes a second that the slowest storage delivers.
const SLOWEST: u64 = 10_000_000;
/// What a child may hold in memory.
const MOST_MEMORY: u64 = 6 << 30;
/// Larger messages are none.
const LARGEST_FRAME: u64 = 16 << 30;

#[derive(Debug, Serialize, Deserialize)]
enum Question {
    Open { path: PathBuf },
    Read { array: usize, start: Vec<usize>, count: Vec<usize> },
    Texts { array: usize },
}

#[derive(Debug, Serialize, Deserialize)]
enum Answer {
    Opened {
        format: String,
        attributes: Attributes,
        arrays: Vec<Array>,
        dimensions: Vec<Dimension>,
        groups: Vec<String>,
    },
    /// So many numbers of this type follow.
    Numbers {
        kind: ElementType,
        count: usize,
    },
    Texts(Vec<String>),
    Failed(String),
}

/// An answer, and the numbers that follow it.
type Received = Result<(Answer, Option<Numbers>), String>;

/// The parent's end.
struct Apart {
    process: Mutex<Process>,
    arrays: Vec<String>,
}

struct Process {
    child: Child,
    questions: Option<BufWriter<ChildStdin>>,
    answers: Receiver<Received>,
    /// For an answer, beside what reading the bytes takes.
    patience: Duration,
    /// Why nothing more can be asked.
    ended: Option<String>,
}

/// Opens a file or store in a child process.
pub fn open(path: &Path, format: &Format, program: &Path) -> Result<Dataset, String> {
    let (path, patience) = match format {
        Format::Zarr(ZarrPlace::Objects(place)) if place.local_folder().is_none() => (path.to_owned(), PATIENCE_AFAR),
        _ => (path.canonicalize().map_err(|error| format!("no readable file ({error})"))?, PATIENCE),
    };
    let mut process = Process::start(program, patience)?;
    match process.ask(&Question::Open { path }, 0)? {
        (Answer::Opened { format, attributes, arrays, dimensions, groups }, _) => {
            let names = arrays.iter().map(|array| array.name.clone()).collect();
            let source: Box<dyn Source> = Box::new(Apart { process: Mutex::new(process), arrays: names });
            Ok(Dataset { attributes, arrays, dimensions, groups, ..Dataset::new(format, source) })
        }
        _ => Err("an answer that was not asked for".to_owned()),
    }
}

impl Process {
    fn start(program: &Path, patience: Duration) -> Result<Self, String> {
        let mut child = Command::new(program)
            .arg(READ_APART)
            // HDF5 allocates each chunk anew: kept by the C library, its pages are not cleared again for every one
            .env("MALLOC_MMAP_THRESHOLD_", "33554432")
            .env("MALLOC_TRIM_THRESHOLD_", "268435456")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .map_err(|error| format!("no process to read with ({}: {error})", program.display()))?;
        let (Some(questions), Some(output)) = (child.stdin.take(), child.stdout.take()) else {
            return Err("no process to read with (its pipes are missing)".to_owned());
        };
        // one answer is under way at a time
        let (sender, answers) = sync_channel(1);
        std::thread::spawn(move || {
            let mut output = BufReader::with_capacity(1 << 20, output);
            // ends with the child, or with whoever asks
            while let Some(received) = receive(&mut output).transpose() {
                let failed = received.is_err();
                if sender.send(received).is_err() || failed {
                    return;
                }
            }
        });
        Ok(Self { child, questions: Some(BufWriter::new(questions)), answers, patience, ended: None })
    }

    /// `bytes`: how much the answer holds.
    fn ask(&mut self, question: &Question, bytes: u64) -> Received {
        if let Some(reason) = &self.ended {
            return Err(reason.clone());
        }
        // a child that has ended takes no question; what it answered, or that it did not, tells
        let _ = self.questions.as_mut().map(|questions| send(questions, question).and_then(|()| questions.flush()));
        let patience = self.patience + Duration::from_secs(bytes / SLOWEST);
        let reason = match self.answer(patience) {
            Ok(Ok((Answer::Failed(reason), _))) => return Err(reason),
            Ok(Ok(answer)) => return Ok(answer),
            Ok(Err(reason)) => reason,
            Err(RecvTimeoutError::Timeout) => {
                let what = match self.patience {
                    PATIENCE_AFAR => "a slow network or a damaged store; try again, or copy it here first",
                    _ => "a damaged file",
                };
                format!("{what} (reading it did not end within {} s)", patience.as_secs())
            }
            Err(RecvTimeoutError::Disconnected) => {
                // of one that has ended already, the status stays what it is
                let _ = self.child.kill();
                let status = self.child.wait().map_or_else(|error| error.to_string(), |status| status.to_string());
                format!("a damaged file (the process that read it ended: {status})")
            }
        };
        let _ = self.child.kill();
        self.ended = Some(reason.clone());
        Err(reason)
    }
}

impl Process {
    /// Waits until the child has had so long: to work, or to wait for something that does not come. That it waits for its turn
    /// on a processor or a disk is not its fault.
    fn answer(&self, patience: Duration) -> Result<Received, RecvTimeoutError> {
        let begin = Instant::now();
        let (mut had, mut looked, mut before) = (Duration::ZERO, begin, self.effort());
        loop {
            match self.answers.recv_timeout(LOOK) {
                Err(RecvTimeoutError::Timeout) => {}
                other => return other,
            }
            let (passed, now) = (looked.elapsed(), self.effort());
            looked = Instant::now();
            had += match (&before, &now) {
                // several threads work longer than the clock says
                (Some(before), Some(now)) if now.wants_its_turn => now.worked.saturating_sub(before.worked).min(passed),
                _ => passed,
            };
            before = now;
            if had >= patience || begin.elapsed() >= patience * MOST_WAITING {
                return Err(RecvTimeoutError::Timeout);
            }
        }
    }

    /// `None` where the system does not tell.
    fn effort(&self) -> Option<Effort> {
        let text = std::fs::read_to_string(format!("/proc/{}/stat", self.child.id())).ok()?;
        // the name before it may hold anything; then the state, and as fields 14 and 15 hundredths of a second
        let fields: Vec<&str> = text.rsplit_once(')')?.1.split_whitespace().collect();
        let ticks: u64 = fields.get(11)?.parse::<u64>().ok()? + fields.get(12)?.parse::<u64>().ok()?;
        Some(Effort { worked: Duration::from_millis(ticks * 10), wants_its_turn: ["R", "D"].contains(fields.first()?) })
    }
}

/// What a child has done so far.
struct Effort {
    /// On a processor.
    worked: Duration,
    /// It would go on if it were let.
    wants_its_turn: bool,
}

impl Drop for Process {
    fn drop(&mut self) {
        // at the end of its input a child ends by itself; one that hangs does not
        self.questions = None;
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Apart {
    fn ask(&self, array: &Array, bytes: u64, question: impl FnOnce(usize) -> Question) -> Received {
        let place = self.arrays.iter().position(|name| *name == array.name).ok_or("no such array")?;
        self.process.lock().unwrap_or_else(PoisonError::into_inner).ask(&question(place), bytes)
    }
}

impl Source for Apart {
    fn read(&self, array: &Array, start: &[usize], count: &[usize]) -> Result<Numbers, String> {
        let bytes = 8 * count.iter().map(|count| *count as u64).product::<u64>();
        let question = |array| Question::Read { array, start: start.to_vec(), count: count.to_vec() };
        match self.ask(array, bytes, question)? {
            (_, Some(numbers)) => Ok(numbers),
            _ => Err("an answer that was not asked for".to_owned()),
        }
    }

    fn read_texts(&self, array: &Array) -> Result<Vec<String>, String> {
        match self.ask(array, 0, |array| Question::Texts { array })? {
            (Answer::Texts(texts), _) => Ok(texts),
            _ => Err("an answer that was not asked for".to_owned()),
        }
    }
}

fn send(to: &mut impl Write, message: &impl Serialize) -> std::io::Result<()> {
    let bytes = postcard::to_stdvec(message).map_err(std::io::Error::other)?;
    to.write_all(&(bytes.len() as u64).to_le_bytes())?;
    to.write_all(&bytes)
}

/// `None` at the end.
fn message<T: DeserializeOwned>(from: &mut impl Read) -> Result<Option<T>, String> {
    let mut length = [0; 8];
    match from.read_exact(&mut length) {
        Ok(()) => {}
        Err(error) if error.kind() == std::io::ErrorKind::UnexpectedEof => return Ok(None),
        Err(error) => return Err(error.to_string()),
    }
    let bytes = take(from, u64::from_le_bytes(length))?;
    postcard::from_bytes(&bytes).map(Some).map_err(|error| format!("an answer that cannot be read ({error})"))
}

fn take(from: &mut impl Read, length: u64) -> Result<Vec<u8>, String> {
    if length > LARGEST_FRAME {
        return Err(format!("an answer of {length} bytes"));
    }
    let mut bytes = Vec::new();
    // grows with what comes, not with what is announced
    let read = from.take(length).read_to_end(&mut bytes).map_err(|error| error.to_string())?;
    if read as u64 == length { Ok(bytes) } else { Err("an answer that ends early".to_owned()) }
}

fn receive(from: &mut impl Read) -> Result<Option<(Answer, Option<Numbers>)>, String> {
    let Some(answer) = message(from)? else { return Ok(None) };
    let numbers = match &answer {
        Answer::Numbers { kind, count } if count.saturating_mul(kind.size()) as u64 > LARGEST_FRAME => {
            return Err(format!("an answer of {count} numbers"));
        }
        Answer::Numbers { kind, count } => {
            Some(Numbers::read(*kind, *count, from).map_err(|_| "an answer that ends early")?)
        }
        _ => None,
    };
    Ok(Some((answer, numbers)))
}

/// The child's end: answers questions until its input ends. The first must open a file.
pub fn read_apart(questions: impl Read, answers: impl Write) -> std::io::Result<()> {
    #[cfg(unix)]
    limit_memory()?;
    let mut questions = BufReader::new(questions);
    let mut answers = BufWriter::with_capacity(1 << 20, answers);
    let mut dataset: Option<Dataset> = None;
    while let Some(question) = message(&mut questions).map_err(std::io::Error::other)? {
        match reply(question, &mut dataset) {
            Ok((answer, numbers)) => {
                send(&mut answers, &answer)?;
                if let Some(numbers) = numbers {
                    answers.write_all(numbers.as_bytes())?;
                }
            }
            Err(reason) => send(&mut answers, &Answer::Failed(reason))?,
        }
        answers.flush()?;
    }
    Ok(())
}

fn reply(question: Question, dataset: &mut Option<Dataset>) -> Result<(Answer, Option<Numbers>), String> {
    let opened = |array: usize| {
        let dataset = dataset.as_ref().ok_or("no file is open")?;
        dataset.arrays.get(array).map(|array| (dataset, array)).ok_or("no such array")
    };
    match question {
        Question::Open { path } => {
            let found = open_here(&path, format::recognise(&path)?)?;
            let Dataset { format, attributes, arrays, dimensions, groups, .. } = &found;
            let answer = Answer::Opened {
                format: format.clone(),
                attributes: attributes.clone(),
                arrays: arrays.clone(),
                dimensions: dimensions.clone(),
                groups: groups.clone(),
            };
            *dataset = Some(found);
            Ok((answer, None))
        }
        Question::Read { array, start, count } => {
            let (dataset, array) = opened(array)?;
            let numbers = dataset.read(array, &start, &count)?;
            Ok((Answer::Numbers { kind: numbers.kind(), count: numbers.len() }, Some(numbers)))
        }
        Question::Texts { array } => {
            let (dataset, array) = opened(array)?;
            dataset.read_texts(array).map(|texts| (Answer::Texts(texts), None))
        }
    }
}

/// What a damaged header asks for is refused by the system, not given.
#[cfg(unix)]
fn limit_memory() -> std::io::Result<()> {
    use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
    let limit = getrlimit(Resource::Data);
    let current = Some(limit.maximum.map_or(MOST_MEMORY, |maximum| maximum.min(MOST_MEMORY)));
    setrlimit(Resource::Data, Rlimit { current, maximum: limit.maximum }).map_err(Into::into)
}
