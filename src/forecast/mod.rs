//! Where the floors below meet.
