//! Verification against analyses: how good a forecast was.
//!
//! All means are weighted by area. Measures and their names follow the WMO's standard verification of deterministic
//! forecasts (Manual on the WIPPS, appendix 2.2.34): bias (mean error), RMSE, and the correlation between anomalies (ACC,
//! centred), each computed per forecast; over several forecasts, squared errors are averaged before the root is taken,
//! and correlations are averaged. Of an ensemble these are the control's; what is the ensemble's own stands beside them
//! ([`EnsembleScore`]).

mod ensemble;
mod table;
mod verification;

pub use ensemble::EnsembleScore;
pub use table::{as_json, as_table, ensemble_table, summary};
pub use verification::{Cell, Pair, Score, Verification};
