//! Multilayer perceptrons on the rows of a tensor, without a hidden layer, or its input, ever being as large as the whole.

use std::ops::Range;

use candle_core::{D, Device, Result, Tensor, bail};
use rayon::prelude::*;

use super::activation::wide_silu;
use super::layer_norm::{EPS, layer_norm_rows};
use super::matmul::product;
use super::slices::{Shared, with_all, with_contiguous, written};

/// Numbers of a hidden layer that one task holds: they stay in the second-level cache.
const HIDDEN: usize = 128 << 10;

/// Linear, then (SiLU, linear) as often as it has hidden layers, then LayerNorm (eps 1e-5) where it has one.
#[derive(Debug, Clone)]
pub struct Perceptron {
    /// `[in, out]` and `[out]` each.
    layers: Vec<(Tensor, Tensor)>,
    norm: Option<(Tensor, Tensor)>,
    /// Widths: of the input, of each layer's output.
    widths: Vec<usize>,
}

/// A perceptron's numbers on the CPU.
pub(super) struct Slices<'a> {
    pub layers: Vec<(&'a [f32], &'a [f32])>,
    pub norm: Option<(&'a [f32], &'a [f32])>,
    pub widths: &'a [usize],
}

impl Perceptron {
    /// `layers`: weight `[out, in]` and bias `[out]`, as PyTorch has them; `norm`: weight and bias `[out]`.
    pub fn new(layers: Vec<(Tensor, Tensor)>, norm: Option<(Tensor, Tensor)>) -> Result<Self> {
        let mut widths = Vec::new();
        let mut transposed = Vec::new();
        for (weight, bias) in layers {
            let (to, from) = weight.dims2()?;
            if widths.is_empty() {
                widths.push(from);
            }
            if widths.last() != Some(&from) || bias.dims() != [to] {
                bail!("a layer of {:?} and {:?} after one of width {:?}", weight.dims(), bias.dims(), widths.last());
            }
            widths.push(to);
            transposed.push((weight.t()?.contiguous()?, bias.contiguous()?));
        }
        let Some(&out) = widths.get(1..).and_then(<[usize]>::last) else { bail!("a perceptron without layers") };
        if let Some((weight, bias)) = &norm
            && (weight.dims() != [out] || bias.dims() != [out])
        {
            bail!("a normalisation of {:?} and {:?} after width {out}", weight.dims(), bias.dims());
        }
        Ok(Self { layers: transposed, norm, widths })
    }

    /// Width of the input.
    pub fn input_width(&self) -> usize {
        self.widths[0]
    }

    /// Width of the output.
    pub fn output_width(&self) -> usize {
        self.widths[self.widths.len() - 1]
    }

    /// Width of the first layer's output.
    pub fn first_width(&self) -> usize {
        self.widths[1]
    }

    pub(super) fn widths(&self) -> &[usize] {
        &self.widths
    }

    /// `residual +` the perceptron of `inputs` side by side, `[N, w]` each, contiguous float32 → `[N, out]`.
    pub fn forward(&self, inputs: &[&Tensor], residual: Option<&Tensor>) -> Result<Tensor> {
        let n = inputs.first().map_or(Ok(0), |input| input.dim(0))?;
        let mut widths = Vec::with_capacity(inputs.len());
        for input in inputs {
            let (rows, width) = input.dims2()?;
            widths.push(width);
            if rows != n {
                bail!("a perceptron of inputs with {n} and {rows} rows");
            }
        }
        let (found, due, out) = (widths.iter().sum::<usize>(), self.input_width(), self.output_width());
        if found != due {
            bail!("a perceptron of {found} features {widths:?}; it takes {due}");
        }
        if residual.is_some_and(|residual| residual.dims() != [n, out]) {
            bail!("a perceptron with a residual of {:?}; expected [{n}, {out}]", residual.map(Tensor::dims));
        }
        if !matches!(self.layers[0].0.device(), Device::Cpu) {
            let (weight, bias) = &self.layers[0];
            let out = self.rest_with_candle(&Tensor::cat(inputs, 1)?.matmul(weight)?.broadcast_add(bias)?)?;
            return residual.map_or(Ok(out.clone()), |residual| residual + &out);
        }
        let fill = |shared: Shared| {
            self.with_slices(|mlp| {
                with_all(inputs, &mut |inputs| {
                    with_optional(residual, |residual| {
                        let rows = mlp.rows_at_once();
                        let run = |buffers: &mut Buffers, chunk: usize| {
                            let start = chunk * rows;
                            let count = rows.min(n - start);
                            let first = mlp.widths[1];
                            buffers.a.resize(count * first, 0.0);
                            let mut from = 0;
                            for (i, (input, width)) in inputs.iter().zip(&widths).enumerate() {
                                // SAFETY: the widths add up to the first layer's, the rows were counted above
                                unsafe {
                                    let input = (input.as_ptr().add(start * width), *width, 1);
                                    let weight = (mlp.layers[0].0.as_ptr().add(from * first), first, 1);
                                    let out = (buffers.a.as_mut_ptr(), first);
                                    product((count, first, *width), out, input, weight, (i > 0, 1.0));
                                }
                                from += width;
                            }
                            mlp.finish(buffers, count, true);
                            // SAFETY: each chunk writes its own rows
                            let result = unsafe { shared.part(start * out, count * out) };
                            let outputs = result.iter_mut().zip(&buffers.a);
                            match residual {
                                Some(residual) => {
                                    let residual = &residual[start * out..][..count * out];
                                    outputs.zip(residual).for_each(|((result, a), b)| _ = result.write(a + b));
                                }
                                None => outputs.for_each(|(result, a)| _ = result.write(*a)),
                            }
                        };
                        (0..n.div_ceil(rows)).into_par_iter().for_each_init(Buffers::default, run);
                        Ok(())
                    })
                })
            })
        };
        // SAFETY: the chunks are all rows
        let result = unsafe { written(n * out, fill) }?;
        Tensor::from_vec(result, (n, out), &Device::Cpu)
    }

    /// What columns `columns` of the input add to the first layer: `x [N, columns]` → `[N, first]`, with the bias where
    /// asked.
    pub fn project(&self, columns: Range<usize>, x: &Tensor, bias: bool) -> Result<Tensor> {
        let (weight, b) = &self.layers[0];
        let y = x.matmul(&weight.narrow(0, columns.start, columns.len())?)?;
        if bias { y.broadcast_add(b) } else { Ok(y) }
    }

    /// What comes after the products of the first layer, with Candle's operations.
    pub(super) fn rest_with_candle(&self, first: &Tensor) -> Result<Tensor> {
        let mut x = first.clone();
        for (weight, bias) in &self.layers[1..] {
            x = x.silu()?.matmul(weight)?.broadcast_add(bias)?;
        }
        let Some((weight, bias)) = &self.norm else { return Ok(x) };
        let x = x.broadcast_sub(&x.mean_keepdim(D::Minus1)?)?;
        let scale = (x.sqr()?.mean_keepdim(D::Minus1)? + f64::from(EPS))?.sqrt()?.recip()?;
        x.broadcast_mul(&scale)?.broadcast_mul(weight)?.broadcast_add(bias)
    }

    /// Runs `f` on the weights, which must lie on the CPU.
    pub(super) fn with_slices<R>(&self, f: impl FnOnce(&Slices<'_>) -> Result<R>) -> Result<R> {
        let tensors: Vec<&Tensor> = self
            .layers
            .iter()
            .flat_map(|(weight, bias)| [weight, bias])
            .chain(self.norm.iter().flat_map(|(weight, bias)| [weight, bias]))
            .collect();
        let mut f = Some(f);
        let mut result = None;
        with_all(&tensors, &mut |slices| {
            let pairs: Vec<(&[f32], &[f32])> = slices.as_chunks::<2>().0.iter().map(|&[a, b]| (a, b)).collect();
            let (layers, norm) = pairs.split_at(self.layers.len());
            let slices = Slices { layers: layers.to_vec(), norm: norm.first().copied(), widths: &self.widths };
            if let Some(f) = f.take() {
                result = Some(f(&slices)?);
            }
            Ok(())
        })?;
        result.ok_or_else(|| candle_core::Error::Msg("a perceptron without layers".to_owned()))
    }
}

/// What one task computes in: `a` holds the layer that was computed last.
#[derive(Default)]
pub(super) struct Buffers {
    pub a: Vec<f32>,
    b: Vec<f32>,
}

impl Slices<'_> {
    /// Rows that one task takes through all layers.
    pub fn rows_at_once(&self) -> usize {
        let widest = self.widths[1..].iter().copied().max().unwrap_or(1).max(1);
        (HIDDEN / widest).clamp(32, 512)
    }

    /// `count` rows of input → the output in `buffers.a`.
    pub fn apply(&self, buffers: &mut Buffers, input: &[f32], count: usize) {
        let (width, first) = (self.widths[0], self.widths[1]);
        buffers.a.resize(count * first, 0.0);
        debug_assert_eq!(input.len(), count * width);
        // SAFETY: there are `count` rows of both, and the weight is `[width, first]`
        unsafe {
            let (rows, weight) = ((input.as_ptr(), width, 1), (self.layers[0].0.as_ptr(), first, 1));
            product((count, first, width), (buffers.a.as_mut_ptr(), first), rows, weight, (false, 1.0));
        }
        self.finish(buffers, count, true);
    }

    /// From the first layer's products in `buffers.a`, `[count, first]`, to the output, which comes to lie there. Its bias
    /// is added where they do not have it yet.
    pub fn finish(&self, buffers: &mut Buffers, count: usize, add_bias: bool) {
        let (last, none) = (self.layers.len() - 1, Vec::new());
        for (n, (_, bias)) in self.layers.iter().enumerate() {
            let bias = if n == 0 && !add_bias { none.as_slice() } else { bias };
            let values = &mut buffers.a[..count * self.widths[n + 1]];
            if n == last {
                add_rows(values, bias);
                break;
            }
            wide_silu(values, bias);
            let (from, to) = (self.widths[n + 1], self.widths[n + 2]);
            buffers.b.resize(count * to, 0.0);
            // SAFETY: both buffers have `count` rows of these widths, and the weight is `[from, to]`
            unsafe {
                let (a, weight) = ((buffers.a.as_ptr(), from, 1), (self.layers[n + 1].0.as_ptr(), to, 1));
                product((count, to, from), (buffers.b.as_mut_ptr(), to), a, weight, (false, 1.0));
            }
            std::mem::swap(&mut buffers.a, &mut buffers.b);
        }
        if let Some((weight, bias)) = self.norm {
            layer_norm_rows(&mut buffers.a[..count * weight.len()], weight, bias);
        }
    }
}

fn add_rows(values: &mut [f32], row: &[f32]) {
    if row.is_empty() {
        return;
    }
    for values in values.chunks_exact_mut(row.len()) {
        values.iter_mut().zip(row).for_each(|(value, add)| *value += add);
    }
}

fn with_optional<R>(tensor: Option<&Tensor>, f: impl FnOnce(Option<&[f32]>) -> Result<R>) -> Result<R> {
    match tensor {
        Some(tensor) => with_contiguous(tensor, |values| f(Some(values))),
        None => f(None),
    }
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;

    pub fn random(shape: &[usize]) -> Tensor {
        Tensor::randn(0f32, 1f32, shape, &Device::Cpu).unwrap()
    }

    pub fn perceptron(widths: &[usize], norm: bool) -> Perceptron {
        let layers = widths.windows(2).map(|pair| (random(&[pair[1], pair[0]]), random(&[pair[1]])));
        let out = widths[widths.len() - 1];
        Perceptron::new(layers.collect(), norm.then(|| (random(&[out]), random(&[out])))).unwrap()
    }

    pub fn distance(ours: &Tensor, theirs: &Tensor) -> f32 {
        let norm = |x: &Tensor| x.sqr().unwrap().sum_all().unwrap().to_scalar::<f32>().unwrap().sqrt();
        norm(&(ours - theirs).unwrap()) / norm(theirs).max(1e-30)
    }

    #[test]
    fn agrees_with_candle_for_any_depth_and_width() {
        for (widths, norm) in [
            (vec![7, 5], false),
            (vec![7, 5], true),
            (vec![9, 12, 3], true),
            (vec![60, 64, 64], true),
            (vec![60, 33, 17, 70], false),
        ] {
            let mlp = perceptron(&widths, norm);
            for n in [1, 31, 700] {
                let x = random(&[n, widths[0]]);
                let parts = [x.narrow(1, 0, 4).unwrap(), x.narrow(1, 4, widths[0] - 4).unwrap()];
                let parts = parts.map(|part| part.contiguous().unwrap());
                let residual = random(&[n, widths[widths.len() - 1]]);
                let (weight, bias) = &mlp.layers[0];
                let first = x.matmul(weight).unwrap().broadcast_add(bias).unwrap();
                let expected = mlp.rest_with_candle(&first).unwrap();
                let ours = mlp.forward(&[&parts[0], &parts[1]], None).unwrap();
                assert!(distance(&ours, &expected) < 2e-6, "{widths:?} {n}: {}", distance(&ours, &expected));
                let ours = mlp.forward(&[&parts[0], &parts[1]], Some(&residual)).unwrap();
                assert!(distance(&ours, &(expected + residual).unwrap()) < 2e-6);
            }
            assert_eq!(mlp.forward(&[&random(&[0, widths[0]])], None).unwrap().dims(), [0, widths[widths.len() - 1]]);
        }
    }

    #[test]
    fn what_does_not_fit_is_refused() {
        let mlp = perceptron(&[7, 5, 3], true);
        assert!(mlp.forward(&[&random(&[4, 6])], None).is_err());
        assert!(mlp.forward(&[&random(&[4, 3]), &random(&[5, 4])], None).is_err());
        assert!(mlp.forward(&[&random(&[4, 7])], Some(&random(&[4, 5]))).is_err());
        assert!(Perceptron::new(vec![(random(&[5, 7]), random(&[4]))], None).is_err());
        assert!(Perceptron::new(vec![(random(&[5, 7]), random(&[5])), (random(&[5, 4]), random(&[5]))], None).is_err());
        assert!(Perceptron::new(Vec::new(), None).is_err());
    }

    #[test]
    fn bits_do_not_depend_on_the_number_of_threads() {
        let (mlp, x) = (perceptron(&[30, 40, 40], true), random(&[5000, 30]));
        let with = |threads: usize| {
            let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
            pool.install(|| mlp.forward(&[&x], None).unwrap().flatten_all().unwrap().to_vec1::<f32>().unwrap())
        };
        assert_eq!(with(1), with(4));
    }
}
