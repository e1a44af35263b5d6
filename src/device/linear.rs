//! A layer over the features of each point, and what is added to it: neither is ever in memory without the other.

use candle_core::{Device, Result, Tensor, bail};
use rayon::prelude::*;

use super::matmul::product;
use super::slices::{Shared, with_all, written};

/// Points that one task takes: their results stay in the second-level cache until all is added.
const POINTS: usize = 96;

/// `x · weight + terms`: `x [N, I]`, `weight [I, O]` → `[N, O]`, all contiguous float32. Each of the `terms` is `[O]`, or `[R, O]`
/// where `R` divides `N` and a row is for `N / R` points that follow one another.
pub fn linear(x: &Tensor, weight: &Tensor, terms: &[&Tensor]) -> Result<Tensor> {
    let ((n, i), (weight_i, o)) = (x.dims2()?, weight.dims2()?);
    if weight_i != i {
        bail!("linear: {:?} does not multiply {:?}", x.dims(), weight.dims());
    }
    check(terms, (n, o))?;
    if !matches!(x.device(), Device::Cpu) {
        return add_with_candle(&x.matmul(weight)?, terms);
    }
    with_all(&[x, weight], &mut |slices| {
        let [x, weight] = slices else { bail!("linear: {} tensors of 2", slices.len()) };
        // SAFETY: the shapes were checked above
        let rows = |start: usize, points: usize, to: *mut f32| unsafe {
            let rows = (x.as_ptr().add(start * i), i, 1);
            product((points, o, i), (to, o), rows, (weight.as_ptr(), o, 1), (false, 1.0));
        };
        // SAFETY: a product writes all its rows
        unsafe { plus(rows, terms, (n, o)) }
    })
}

/// `x + terms`, as above; `x [N, O]`.
pub fn add(x: &Tensor, terms: &[&Tensor]) -> Result<Tensor> {
    let (n, o) = x.dims2()?;
    check(terms, (n, o))?;
    if !matches!(x.device(), Device::Cpu) {
        return add_with_candle(x, terms);
    }
    with_all(&[x], &mut |slices| {
        let [x] = slices else { bail!("add: {} tensors of 1", slices.len()) };
        // SAFETY: `x` has as many rows as the result
        let rows = |start: usize, points: usize, to: *mut f32| unsafe {
            to.copy_from_nonoverlapping(x.as_ptr().add(start * o), points * o);
        };
        // SAFETY: all rows are copied
        unsafe { plus(rows, terms, (n, o)) }
    })
}

/// `[N, O]`: what `rows` writes of a number of points from a first one on, and the terms.
///
/// # Safety
/// `rows` writes that many rows of `O` numbers.
unsafe fn plus(
    rows: impl Fn(usize, usize, *mut f32) + Sync,
    terms: &[&Tensor],
    (n, o): (usize, usize),
) -> Result<Tensor> {
    let fill = |out: Shared| {
        with_all(terms, &mut |terms| {
            (0..n.div_ceil(POINTS)).into_par_iter().for_each(|chunk| {
                let start = chunk * POINTS;
                let points = POINTS.min(n - start);
                // SAFETY: each chunk has its own rows, which are written before they are seen
                let out = unsafe {
                    rows(start, points, out.at(start * o));
                    std::slice::from_raw_parts_mut(out.at(start * o), points * o)
                };
                add_terms(out, start, terms, (n, o));
            });
            Ok(())
        })
    };
    // SAFETY: the chunks are all rows
    let out = unsafe { written(n * o, fill) }?;
    Tensor::from_vec(out, (n, o), &Device::Cpu)
}

fn check(terms: &[&Tensor], (n, o): (usize, usize)) -> Result<()> {
    for term in terms {
        let rows = term.elem_count() / o.max(1);
        if term.dims().last() != Some(&o) || (n > 0 && (rows == 0 || n % rows != 0)) {
            bail!("{:?} is to be added to [{n}, {o}]", term.dims());
        }
    }
    Ok(())
}

/// Rows from `start` on get theirs of each term.
fn add_terms(out: &mut [f32], start: usize, terms: &[&[f32]], (n, o): (usize, usize)) {
    for term in terms {
        let each = n / (term.len() / o.max(1)).max(1);
        for (row, values) in (start..).zip(out.chunks_exact_mut(o.max(1))) {
            let term = &term[row / each * o..][..o];
            values.iter_mut().zip(term).for_each(|(value, term)| *value += term);
        }
    }
}

fn add_with_candle(x: &Tensor, terms: &[&Tensor]) -> Result<Tensor> {
    let (n, o) = x.dims2()?;
    let mut sum = x.clone();
    for term in terms {
        let rows = term.elem_count() / o.max(1);
        sum = sum.reshape((rows, (), o))?.broadcast_add(&term.reshape((rows, 1, o))?)?.reshape((n, o))?;
    }
    Ok(sum)
}

#[cfg(test)]
mod tests {
    use super::super::perceptron::tests::{distance, random};
    use super::*;

    #[test]
    fn agrees_with_candle() {
        let (x, weight, bias) = (random(&[300, 7]), random(&[7, 5]), random(&[5]));
        let (by_row, by_point) = (random(&[20, 5]), random(&[300, 5]));
        let product = x.matmul(&weight).unwrap();
        for terms in [vec![], vec![&bias], vec![&bias, &by_row], vec![&by_point, &bias]] {
            let expected = add_with_candle(&product, &terms).unwrap();
            assert!(distance(&linear(&x, &weight, &terms).unwrap(), &expected) < 2e-6);
            assert!(distance(&add(&product, &terms).unwrap(), &expected) < 1e-7);
        }
        let rows = by_row.unsqueeze(1).unwrap().broadcast_as((20, 15, 5)).unwrap().reshape((300, 5)).unwrap();
        let expected = (product + rows).unwrap();
        assert!(distance(&linear(&x, &weight, &[&by_row]).unwrap(), &expected) < 2e-6);
    }

    #[test]
    fn what_does_not_fit_is_refused() {
        let (x, weight) = (random(&[30, 7]), random(&[7, 5]));
        assert!(linear(&x, &random(&[6, 5]), &[]).is_err());
        for term in [random(&[4]), random(&[7, 5]), random(&[60, 5]), random(&[0, 5])] {
            assert!(linear(&x, &weight, &[&term]).is_err(), "{:?}", term.dims());
            assert!(add(&random(&[30, 5]), &[&term]).is_err());
        }
        assert_eq!(linear(&random(&[0, 7]), &weight, &[&random(&[5])]).unwrap().dims(), [0, 5]);
    }
}
