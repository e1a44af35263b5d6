//! What can be wrong with a checkpoint.

/// A checkpoint that cannot be read.
#[derive(Debug, thiserror::Error)]
pub enum CheckpointError {
    #[error("cannot be read: {0}")]
    Unreadable(std::io::Error),
    /// A file of another kind, and what to do.
    #[error("this is {0}")]
    Other(&'static str),
    #[error("no sound checkpoint: {0}")]
    Archive(String),
    #[error("the pickle is damaged at byte {at} (opcode {opcode:?}): {reason}")]
    Pickle { at: usize, opcode: char, reason: String },
    /// Nothing of it was run.
    #[error("the pickle wants {call} called (byte {at}): no checkpoint does, this file was made to harm")]
    Hostile { at: usize, call: String },
    #[error("a tensor {0}")]
    Tensor(String),
}

impl CheckpointError {
    pub(super) fn is_hostile(&self) -> bool {
        matches!(self, Self::Hostile { .. })
    }
}

impl From<zip::result::ZipError> for CheckpointError {
    fn from(error: zip::result::ZipError) -> Self {
        Self::Archive(error.to_string())
    }
}
