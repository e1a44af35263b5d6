//! Which draws a member's perturbation is made of, so that those of all members sum to zero.
//!
//! Member 0 is the control: the analysis itself. The others come in pairs, of which one has the draw that the other has
//! with the opposite sign; where their number is odd, the last three share two draws, at 120° to each other. A single one
//! has nobody to balance it. Each member needs two draws at most, whatever the ensemble's size: it can be made alone.

/// Members whose perturbations sum to zero.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Group {
    pub first_draw: u64,
    /// Of the first draw and of the one after it, by member of the group; their squares sum to 1.
    pub coefficients: &'static [[f64; 2]],
    /// Which of the group the member is.
    pub place: usize,
}

/// √3 / 2
const HEIGHT: f64 = 0.866_025_403_784_438_6;
const ONE: &[[f64; 2]] = &[[1.0, 0.0]];
const PAIR: &[[f64; 2]] = &[[1.0, 0.0], [-1.0, 0.0]];
const THREE: &[[f64; 2]] = &[[1.0, 0.0], [-0.5, HEIGHT], [-0.5, -HEIGHT]];

impl Group {
    /// `None` for the control.
    pub fn of(member: usize, members: usize) -> Option<Self> {
        let (number, perturbed) = (member.checked_sub(1)?, members.saturating_sub(1));
        // those before the last three are pairs
        let paired = if perturbed.is_multiple_of(2) { perturbed } else { perturbed.saturating_sub(3) };
        let (first_draw, coefficients, place) = if number < paired {
            (number / 2, PAIR, number % 2)
        } else if perturbed == 1 {
            (0, ONE, 0)
        } else {
            (paired / 2, THREE, number - paired)
        };
        Some(Self { first_draw: first_draw as u64, coefficients, place })
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;

    #[test]
    fn what_is_added_to_the_members_sums_to_zero() {
        for members in 3..=12 {
            let mut sums: BTreeMap<u64, f64> = BTreeMap::new();
            for member in 0..members {
                let Some(group) = Group::of(member, members) else {
                    assert_eq!(member, 0);
                    continue;
                };
                let [a, b] = group.coefficients[group.place];
                assert!((a * a + b * b - 1.0).abs() < 1e-15, "each has the variance that is asked for");
                *sums.entry(group.first_draw).or_default() += a;
                *sums.entry(group.first_draw + 1).or_default() += b;
            }
            assert!(sums.values().all(|sum| *sum == 0.0), "{members} members: {sums:?}");
        }
        assert_eq!(Group::of(1, 2), Some(Group { first_draw: 0, coefficients: ONE, place: 0 }));
    }
}
