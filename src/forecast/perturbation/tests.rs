use super::*;
use crate::atmos::{Level, Projection, ValidTime, Variable};
use crate::model::{Clamp, Role};

fn channel(name: &str, standard_name: &str, plausible: (f64, f64)) -> Channel {
    Channel {
        variable: Variable::new(name, standard_name, name, "1"),
        level: Level::Pressure(500.0),
        role: Role::Prognostic,
        mean: 0.0,
        std: 1.0,
        diff_mean: 0.0,
        diff_std: 1.0,
        plausible,
        told_plausible: None,
        clamp: Clamp::default(),
        formula: None,
    }
}

/// Temperature near 250, moisture from nothing to more than the noise, a wind that is left alone.
fn case(noise: Noise, grid: &Grid) -> (Arc<ChannelLayout>, Perturbation, Vec<State>) {
    let layout = ChannelLayout::new(vec![
        channel("t", "air_temperature", (100.0, 360.0)),
        channel("q", "specific_humidity", (-0.01, 0.1)),
        channel("u", "eastward_wind", (-250.0, 250.0)),
    ]);
    let perturbation = Perturbation { noise, amplitudes: vec![0.5, 1e-3, 0.0] };
    let n = grid.len();
    let state = |hour: &str| {
        let t = (0..n).map(|i| 250.0 + i as f32 * 0.01);
        let q = (0..n).map(|i| i as f32 / n as f32 * 5e-3);
        let u = (0..n).map(|i| if i == 3 { f32::NAN } else { i as f32 });
        let values: Vec<f32> = t.chain(q).chain(u).collect();
        let (h, w) = grid.shape();
        let tensor = Tensor::from_vec(values, (1, 3, h, w), &candle_core::Device::Cpu).unwrap();
        State { tensor, valid_time: format!("2026-11-24T{hour}:00Z").parse::<ValidTime>().unwrap() }
    };
    (Arc::new(layout), perturbation, vec![state("00"), state("06")])
}

fn ensemble(members: usize, seed: u64) -> Ensemble {
    Ensemble { members, seed, ..Ensemble::SINGLE }
}

fn values(state: &State) -> Vec<f32> {
    state.tensor.flatten_all().unwrap().to_vec1().unwrap()
}

fn grids() -> Vec<Grid> {
    let latitude: Vec<f64> = (0..9).map(|i| 80.0 - 20.0 * f64::from(i)).collect();
    let longitude: Vec<f64> = (0..18).map(|j| 20.0 * f64::from(j)).collect();
    let lambert = Projection::from_proj_string("+proj=lcc +lat_1=60 +lat_0=60 +lon_0=10 +R=6371000").unwrap();
    let axis = |n: i32| (0..n).map(|i| 2.5e3 * f64::from(i)).collect::<Vec<_>>();
    vec![
        Grid::new(latitude.clone(), longitude.clone()).unwrap(),
        Grid::projected(lambert, axis(12).into_iter().rev().collect(), axis(15)).unwrap(),
        Grid::points(latitude, longitude[..9].to_vec()).unwrap(),
    ]
}

#[test]
fn members_are_centred_on_a_control_that_nothing_was_done_to() {
    for grid in grids() {
        for noise in [Noise::Gaussian, Noise::Correlated { length_scale: 500e3 }] {
            let (layout, perturbation, states) = case(noise, &grid);
            for members in [3, 4, 8] {
                let perturber = Perturber::new(&perturbation, &layout, &grid, &ensemble(members, 7)).unwrap();
                let made: Vec<Vec<State>> =
                    (0..members).map(|member| perturber.member(member, states.clone()).unwrap()).collect();
                let bits = |state: &State| values(state).into_iter().map(f32::to_bits).collect::<Vec<_>>();
                let n = grid.len();
                for (input, state) in states.iter().enumerate() {
                    assert_eq!(bits(&made[0][input]), bits(state), "the control");
                    let all: Vec<Vec<f32>> = made.iter().map(|states| values(&states[input])).collect();
                    for (point, base) in values(state).into_iter().enumerate().take(2 * n) {
                        let mean = all.iter().map(|values| f64::from(values[point])).sum::<f64>() / members as f64;
                        // what float32 rounds
                        let error = (mean - f64::from(base)).abs() / f64::from(base.abs().max(1e-6));
                        assert!(error < 1e-7, "{grid} {noise:?} {members}: {error}");
                    }
                }
                for member in &made[1..] {
                    assert_eq!(bits(&member[0])[2 * n..], bits(&states[0])[2 * n..], "what has no amplitude");
                    let moisture = &values(&member[1])[n..2 * n];
                    assert!(moisture[0] == 0.0 && moisture[1..].iter().all(|q| *q > 0.0), "{moisture:?}");
                    assert_ne!(bits(&member[1])[..n], bits(&states[1])[..n]);
                    let difference = |input: usize| -> Vec<f64> {
                        let (new, old) = (values(&member[input]), values(&states[input]));
                        (0..n).map(|point| f64::from(new[point]) - f64::from(old[point])).collect()
                    };
                    let jump = difference(0).iter().zip(difference(1)).map(|(a, b)| (a - b).abs()).fold(0.0, f64::max);
                    assert!(jump < 1e-4, "the same is added at all times: {jump}");
                }
            }
        }
    }
}

#[test]
fn the_spread_is_the_amplitude() {
    let grid = &grids()[0];
    let (layout, perturbation, states) = case(Noise::Correlated { length_scale: 1_000e3 }, grid);
    let members = 201;
    let perturber = Perturber::new(&perturbation, &layout, grid, &ensemble(members, 1)).unwrap();
    let mut square = 0.0;
    let base = values(&states[1]);
    for member in 1..members {
        let made = values(&perturber.member(member, states.clone()).unwrap()[1]);
        let squares = made.iter().zip(&base).take(grid.len()).map(|(a, b)| (f64::from(*a) - f64::from(*b)).powi(2));
        square += squares.sum::<f64>() / grid.len() as f64 / (members - 1) as f64;
    }
    assert!((square.sqrt() - 0.5).abs() < 0.02, "{}", square.sqrt());
}

/// On any machine, in any version: what a seed once gave.
#[test]
fn seeds_keep_their_promise() {
    let grid = &grids()[0];
    let (layout, perturbation, states) = case(Noise::Correlated { length_scale: 1_000e3 }, grid);
    let member = |members, seed| {
        let perturber = Perturber::new(&perturbation, &layout, grid, &ensemble(members, seed)).unwrap();
        values(&perturber.member(2, states.clone()).unwrap()[0])
    };
    assert_ne!(member(5, 1)[..50], member(5, 2)[..50]);
    // pairs depend on no other member
    assert_eq!(member(5, 1)[..50], member(9, 1)[..50]);
    let bits: Vec<u32> = member(5, 1)[..4].iter().map(|value| value.to_bits()).collect();
    // computed apart, from the definitions
    assert_eq!(bits, [1_132_047_036, 1_132_054_493, 1_132_071_106, 1_132_082_297]);
}

#[test]
fn what_is_asked_for_reads_back() {
    for text in ["noise", "lagged:6h", "lagged:24h"] {
        assert_eq!(text.parse::<EnsembleKind>().unwrap().to_string(), text);
    }
    for text in ["", "lagged", "lagged:", "lagged:x", "white"] {
        assert!(text.parse::<EnsembleKind>().unwrap_err().contains("expected"), "{text}");
    }
}
