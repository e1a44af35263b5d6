//! One file or folder per architecture.
