//! Forecasts in object storage: write a step, read a window, list runs.
