//! Lines of equal value through a lattice of samples: marching squares (Lorensen and Cline 1987, in the plane;
//! <https://doi.org/10.1145/37402.37422>), each square's saddle decided by the mean of its corners. Where a corner is missing,
//! there is no line.

use std::collections::HashMap;

/// The lines of one value: positions in columns and rows, fractions between them. Closed ones end where they begin.
#[derive(Debug, Clone, PartialEq)]
pub struct Contour {
    pub value: f64,
    pub lines: Vec<Vec<(f64, f64)>>,
}

/// An edge between two neighbouring samples: the index of the one, and whether the other is to the right (or below).
type Edge = (usize, bool);

/// The multiples of `interval` that occur among the values, as lines. Values are row-major, `width` in a row.
pub fn contours(values: &[f32], width: usize, interval: f64) -> Vec<Contour> {
    let finite = || values.iter().copied().filter(|value| value.is_finite()).map(f64::from);
    let (Some(low), Some(high)) = (finite().reduce(f64::min), finite().reduce(f64::max)) else { return Vec::new() };
    let (first, last) = ((low / interval).ceil(), (high / interval).floor());
    let mut found = Vec::new();
    let mut step = first;
    while step <= last {
        let value = step * interval;
        let lines = lines(values, width, value);
        if !lines.is_empty() {
            found.push(Contour { value, lines });
        }
        step += 1.0;
    }
    found
}

fn lines(values: &[f32], width: usize, value: f64) -> Vec<Vec<(f64, f64)>> {
    let height = values.len() / width.max(1);
    // from each edge to the edges that it is joined to
    let mut joins: HashMap<Edge, [Option<Edge>; 2]> = HashMap::new();
    let mut order: Vec<Edge> = Vec::new();
    let mut join = |a: Edge, b: Edge| {
        for (from, to) in [(a, b), (b, a)] {
            let ends = joins.entry(from).or_insert_with(|| {
                order.push(from);
                [None, None]
            });
            if let Some(free) = ends.iter_mut().find(|end| end.is_none()) {
                *free = Some(to);
            }
        }
    };
    // a value that is met exactly counts as above, so that a line never passes through a sample ambiguously
    let above = |index: usize| f64::from(values[index]) >= value;
    for row in 0..height.saturating_sub(1) {
        for column in 0..width.saturating_sub(1) {
            let (nw, sw) = (row * width + column, (row + 1) * width + column);
            let (ne, se) = (nw + 1, sw + 1);
            let corners = [nw, ne, se, sw];
            if corners.iter().any(|&corner| !values[corner].is_finite()) {
                continue;
            }
            let (top, left, bottom, right) = ((nw, true), (nw, false), (sw, true), (ne, false));
            let case =
                corners.iter().enumerate().fold(0, |case, (bit, &corner)| case | usize::from(above(corner)) << bit);
            match case {
                0 | 15 => {}
                1 | 14 => join(left, top),
                2 | 13 => join(top, right),
                3 | 12 => join(left, right),
                4 | 11 => join(right, bottom),
                6 | 9 => join(top, bottom),
                7 | 8 => join(left, bottom),
                saddle => {
                    let mean = corners.iter().map(|&corner| f64::from(values[corner])).sum::<f64>() / 4.0;
                    // whether the middle belongs to the corners north-west and south-east
                    if (mean >= value) == (saddle == 5) {
                        join(top, right);
                        join(left, bottom);
                    } else {
                        join(left, top);
                        join(right, bottom);
                    }
                }
            }
        }
    }
    let place = |(index, right): Edge| {
        let other = if right { index + 1 } else { index + width };
        let (a, b) = (f64::from(values[index]), f64::from(values[other]));
        let part = if a == b { 0.5 } else { (value - a) / (b - a) };
        let (row, column) = ((index / width) as f64, (index % width) as f64);
        if right { (column + part, row) } else { (column, row + part) }
    };
    let mut lines = Vec::new();
    // open lines first, from their ends; then what is left is closed
    for closed in [false, true] {
        for &start in &order {
            let Some(ends) = joins.get(&start) else { continue };
            if !closed && ends[1].is_some() {
                continue;
            }
            let mut line = vec![place(start)];
            let (mut from, mut next) = (start, ends[0]);
            joins.remove(&start);
            while let Some(edge) = next {
                line.push(place(edge));
                let Some(ends) = joins.remove(&edge) else { break };
                next = if ends[0] == Some(from) { ends[1] } else { ends[0] };
                from = edge;
            }
            lines.push(line);
        }
    }
    lines
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_hill_has_rings_and_a_slope_has_lines() {
        let size = 41;
        let at = |f: fn(f64, f64) -> f64| -> Vec<f32> {
            (0..size * size).map(|i| f((i % size) as f64 - 20.0, (i / size) as f64 - 20.0) as f32).collect()
        };
        let hill = contours(&at(|x, y| 100.0 - (x * x + y * y).sqrt()), size, 5.0);
        let ring = hill.iter().find(|contour| contour.value == 90.0).unwrap();
        assert_eq!(ring.lines.len(), 1);
        let line = &ring.lines[0];
        assert_eq!(line.first(), line.last());
        for (x, y) in line {
            assert!(((x - 20.0).hypot(y - 20.0) - 10.0).abs() < 0.05, "{x} {y}");
        }
        let slope = contours(&at(|x, _| x), size, 4.0);
        // -16 to 20: around the lowest value there is no line
        assert_eq!(slope.len(), 10);
        for contour in &slope {
            assert_eq!(contour.lines.len(), 1);
            assert_eq!(contour.lines[0].len(), size);
            assert!(contour.lines[0].iter().all(|(x, _)| (x - 20.0 - contour.value).abs() < 1e-9));
        }
    }

    #[test]
    fn no_line_passes_what_is_missing_and_saddles_do_not_cross() {
        let mut values: Vec<f32> = (0..100).map(|i| (i % 10) as f32).collect();
        values[45] = f32::NAN;
        let lines = &contours(&values, 10, 4.5)[0];
        assert_eq!(lines.value, 4.5);
        assert_eq!(lines.lines.len(), 2, "{lines:?}");
        let saddle = contours(&[1.0, 0.0, 0.0, 1.0], 2, 0.5);
        assert!(saddle.iter().filter(|contour| contour.value == 0.5).all(|contour| contour.lines.len() == 2));
        assert!(contours(&[f32::NAN; 4], 2, 1.0).is_empty() && contours(&[], 0, 1.0).is_empty());
    }
}
