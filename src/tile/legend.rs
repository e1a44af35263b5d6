//! What a colour means.

use serde::Serialize;

use super::style::{Display, Style, nice_step};

/// Stops of the ramp that a legend is drawn from: more than the eye needs for a bar.
const STOPS: usize = 32;

/// A legend, in the units that people read.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Legend {
    pub units: String,
    /// From the variable's units to these: `shown = value × scale + offset`.
    pub display: Display,
    /// First and last value of the ramp.
    pub low: f64,
    pub high: f64,
    /// Round values between them, for labels.
    pub ticks: Vec<f64>,
    /// Colours as `#rrggbbaa`, evenly spaced from `low` to `high`.
    pub colors: Vec<String>,
    /// Colours of values below and above the ramp.
    pub under: String,
    pub over: String,
}

impl Legend {
    pub fn new(style: &Style) -> Self {
        // to a billionth of the range: what conversion there and back leaves is not for people
        let quantum = nice_step(style.display.scale.abs() * (style.range.high - style.range.low) * 1e-9);
        let show = |value: f64| (style.display.show(value) / quantum).round() * quantum;
        let (low, high) = (show(style.range.low), show(style.range.high));
        let ramp = style.palette.ramp();
        let stop = |i: usize| hex_color(ramp[i * (ramp.len() - 1) / (STOPS - 1)]);
        Self {
            units: style.units.clone(),
            display: style.display,
            low,
            high,
            ticks: ticks(low, high),
            colors: (0..STOPS).map(stop).collect(),
            under: hex_color(style.palette.under()),
            over: hex_color(style.palette.over()),
        }
    }
}

/// Multiples of a round step inside the range, about six of them.
fn ticks(low: f64, high: f64) -> Vec<f64> {
    let step = nice_step((high - low) / 7.0);
    if !step.is_finite() || step <= 0.0 {
        return vec![low, high];
    }
    let (first, last) = ((low / step - 1e-9).ceil() as i64, (high / step + 1e-9).floor() as i64);
    // multiplication by a reciprocal keeps 0.3 from printing as 0.30000000000000004
    (first..=last)
        .take(16)
        .map(|i| if step < 1.0 { i as f64 / (1.0 / step).round() } else { i as f64 * step })
        .collect()
}

fn hex_color([r, g, b, a]: [u8; 4]) -> String {
    format!("#{r:02x}{g:02x}{b:02x}{a:02x}")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::atmos::{Level, Variable, known_variable};

    #[test]
    fn a_legend_reads_in_forecasters_units() {
        let t = Variable::from(known_variable("t").unwrap());
        let legend = Legend::new(&Style::conventional(&t, Level::Pressure(500.0)).unwrap());
        assert_eq!((legend.low, legend.high, legend.units.as_str()), (-55.0, 0.0, "°C"));
        assert_eq!(legend.ticks, [-50.0, -40.0, -30.0, -20.0, -10.0, 0.0]);
        assert_eq!(legend.colors.len(), STOPS);
        let msl = Variable::from(known_variable("msl").unwrap());
        let legend = Legend::new(&Style::conventional(&msl, Level::Surface).unwrap());
        assert_eq!((legend.low, legend.high), (970.0, 1050.0));
        assert_eq!(ticks(0.0, 1.0), [0.0, 0.2, 0.4, 0.6, 0.8, 1.0]);
    }
}
