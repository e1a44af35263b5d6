//! Scores for people and for programs.

use std::collections::BTreeSet;

use serde_json::{Value, json};

use super::Score;
use crate::atmos::LeadTime;

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

/// What is the ensembles' own, one block per variable and level; empty where there are none.
pub fn ensemble_table(scores: &[Score], units: impl Fn(&str) -> String) -> String {
    let mut text = String::new();
    let mut heading = None;
    for (score, ensemble) in scores.iter().filter_map(|score| Some((score, score.ensemble.as_ref()?))) {
        let block = (score.cell.variable.clone(), score.cell.level);
        if heading.as_ref() != Some(&block) {
            text += &format!("\n{} {} [{}], {} members\n", block.0, block.1, units(&block.0), ensemble.members);
            text += "    lead        crps   crps fair   mean rmse      spread  spread/skill\n";
            heading = Some(block);
        }
        let ratio = ensemble.spread_skill.map_or("-".to_owned(), |ratio| format!("{ratio:.3}"));
        text += &format!(
            "{:>8} {:>11} {:>11} {:>11} {:>11}  {ratio:>12}\n",
            score.cell.lead.to_string(),
            digits(ensemble.crps),
            digits(ensemble.crps_fair),
            digits(ensemble.mean_rmse),
            digits(ensemble.spread),
        );
    }
    text
}

/// How far the forecasts are useful, in two lines: against persistence, and against climatology where there is one.
pub fn summary(scores: &[Score]) -> String {
    let better = scores.iter().filter(|score| score.rmse < score.persistence_rmse).count();
    let mut text = format!("RMSE below persistence in {better} of {} cells (variable, level, lead)", scores.len());
    let leads: BTreeSet<LeadTime> = scores.iter().map(|score| score.cell.lead).collect();
    let skilful = |lead: &LeadTime| {
        let mut cells = scores.iter().filter(|score| score.cell.lead == *lead);
        cells.all(|score| score.climatology_rmse.is_some_and(|climatology| score.rmse < climatology))
    };
    if scores.iter().any(|score| score.climatology_rmse.is_some()) {
        text += &match leads.iter().take_while(|lead| skilful(lead)).last() {
            Some(lead) => format!("\nRMSE below climatology for every variable and level up to a lead of {lead}"),
            None => "\nRMSE below climatology for every variable and level at no lead".to_owned(),
        };
    }
    text
}

/// The same as JSON: a list of objects.
pub fn as_json(scores: &[Score], units: impl Fn(&str) -> String) -> Value {
    scores
        .iter()
        .map(|score| {
            let mut object = json!({
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
            });
            if let Some(ensemble) = &score.ensemble {
                object["ensemble"] = json!({
                    "members": ensemble.members,
                    "crps": ensemble.crps,
                    "crps_fair": ensemble.crps_fair,
                    "mean_rmse": ensemble.mean_rmse,
                    "spread": ensemble.spread,
                    "spread_skill": ensemble.spread_skill,
                    "rank_histogram": ensemble.ranks,
                });
            }
            object
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
