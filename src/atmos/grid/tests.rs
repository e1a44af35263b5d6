use super::*;

fn regular(h: usize, w: usize) -> Grid {
    let latitude = (0..h).map(|i| 90.0 - 180.0 * i as f64 / (h - 1) as f64).collect();
    let longitude = (0..w).map(|i| 360.0 * i as f64 / w as f64).collect();
    Grid::new(latitude, longitude).unwrap()
}

#[test]
fn weights_sum_to_one_and_follow_the_cosine() {
    let grid = regular(181, 360);
    let weights = weights::row_weights(grid.rectilinear().unwrap().0, 360);
    assert!((weights.iter().sum::<f64>() * 360.0 - 1.0).abs() < 1e-12);
    assert!((weights[30] / weights[90] - 60f64.to_radians().cos()).abs() < 1e-9);
    assert!(weights[0] > 0.0 && weights[0] < weights[1]);
}

#[test]
fn kinds_are_told_apart() {
    assert_eq!(regular(73, 144).kind(), GridKind::LatLon);
    // outermost and next latitudes of a T31 Gaussian grid
    let mut north = vec![
        87.159_094_55,
        83.478_936_67,
        79.777_045_5,
        76.070_244_5,
        72.361_58,
        68.652_02,
        64.941_94,
        61.231_57,
        57.520_99,
        53.810_27,
        50.099_45,
        46.388_57,
        42.677_63,
        38.966_66,
        35.255_65,
        31.544_63,
        27.833_58,
        24.122_53,
        20.411_46,
        16.700_38,
        12.989_3,
        9.278_21,
        5.567_13,
        1.856_04,
    ];
    let south: Vec<f64> = north.iter().rev().map(|value| -value).collect();
    north.extend(south);
    assert_eq!(Grid::new(north, vec![0.0, 180.0]).unwrap().kind(), GridKind::Gaussian);
    assert_eq!(Grid::new(vec![90.0, 60.0, 10.0, -90.0], vec![0.0]).unwrap().kind(), GridKind::Rectilinear);
}

#[test]
fn axes_that_make_no_grid_are_refused() {
    assert!(matches!(Grid::new(vec![], vec![0.0]), Err(GridError::TooShort { axis: "latitude", .. })));
    assert!(matches!(
        Grid::new(vec![0.0, 1.0], vec![0.0]),
        Err(GridError::NotMonotonic { axis: "latitude", index: 1, .. })
    ));
    assert!(matches!(Grid::new(vec![91.0, 1.0], vec![0.0]), Err(GridError::OutOfRange { .. })));
    assert!(matches!(Grid::new(vec![f64::NAN], vec![0.0]), Err(GridError::OutOfRange { .. })));
    assert!(matches!(Grid::new(vec![0.0], vec![0.0, 180.0, 360.0]), Err(GridError::Overlaps { .. })));
}

#[test]
fn same_points_ignores_full_turns_and_float32() {
    let a = Grid::new(vec![10.0, 0.0], vec![350.0, 360.0, 370.0]).unwrap();
    let b = Grid::new(vec![10.0, f64::from(1e-6f32)], vec![-10.0, 0.0, 10.0]).unwrap();
    assert!(a.same_points(&b));
    assert!(!a.is_global_in_longitude() && regular(3, 8).is_global_in_longitude());
}
