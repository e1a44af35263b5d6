//! Verification against analyses.
