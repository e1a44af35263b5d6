//! Scores for people and for programs.

use serde_json::{Value, json};

use super::Score;

/// One block per variable and level, one line per lead time.
pub fn as_table(scores: &[Score], units: impl Fn(&str) -> String) -> String {
    let mut text = String::new();
    let mut heading = None;
    for score in scores {
        let block = (score.cell.variable.clone(), score.cell.level);
        if heading.as_ref() != Some(&block) {
            let units = units(&block.0);
            text += &format!("\n{} {} [{units}]\n", block.0, block.1);
            text += "    lead        rmse  persistence  climatology        bias     acc    n\n";
            heading = Some(block);
        }
        let climatology = score.climatology_rmse.map_or("-".to_owned(), digits);
        let acc = score.acc.map_or("-".to_owned(), |acc| format!("{acc:.3}"));
        text += &format!(
            "{:>8} {:>11}  {:>11}  {:>11} {:>11}  {:>6} {:>4}\n",
            score.cell.lead.to_string(),
            digits(score.rmse),
            digits(score.persistence_rmse),
            climatology,
            digits(score.bias),
            acc,
            score.forecasts
        );
    }
    text
}

/// The same as JSON: a list of objects.
pub fn as_json(scores: &[Score], units: impl Fn(&str) -> String) -> Value {
    scores
        .iter()
        .map(|score| {
            json!({
                "variable": &*score.cell.variable,
                "level": score.cell.level.to_string(),
                "lead_hours": score.cell.lead.hours(),
                "units": units(&score.cell.variable),
                "forecasts": score.forecasts,
                "rmse": score.rmse,
                "persistence_rmse": score.persistence_rmse,
                "climatology_rmse": score.climatology_rmse,
                "bias": score.bias,
                "acc": score.acc,
            })
        })
        .collect()
}

/// Four significant digits, without an exponent where that reads well.
fn digits(value: f64) -> String {
    if value == 0.0 || !value.is_finite() {
        return value.to_string();
    }
    let magnitude = value.abs().log10().floor() as i32;
    if (-4..7).contains(&magnitude) {
        format!("{value:.*}", (3 - magnitude).max(0) as usize)
    } else {
        format!("{value:.3e}")
    }
}

#[cfg(test)]
mod tests {
    use super::digits;

    #[test]
    fn four_digits() {
        assert_eq!(digits(123.456), "123.5");
        assert_eq!(digits(0.001_234_56), "0.001235");
        assert_eq!(digits(-98_765.4), "-98765");
        assert_eq!(digits(1.5e-9), "1.500e-9");
        assert_eq!(digits(0.0), "0");
    }
}
