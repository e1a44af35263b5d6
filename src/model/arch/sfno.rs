//! Spherical Fourier Neural Operator.
//!
//! Bonev et al. (2023), <https://arxiv.org/abs/2306.03838>. Weights and options are those of
//! `torch_harmonics.examples.models.SphericalFourierNeuralOperator`, torch-harmonics 0.9.3
//! (<https://github.com/NVIDIA/torch-harmonics>): the "linear" variant with one complex matrix per degree.
//!
//! Inside, fields are `[H, W, C]`, so that every layer is a product with a matrix on the left (transforms) or on the
//! right (channels) and nothing is ever transposed in memory.

use candle_core::{Device, Result, Tensor, bail};
use candle_nn::VarBuilder;
use serde::Deserialize;

use super::WeightShapes;
use crate::device::{
    Activation, Triangle, add, batched_complex_matmul, channel_norm, linear, residual_mlp, transposed,
};
use crate::model::ProblemList;
use crate::model::layers::spherical::{InverseRealSht, RealSht, SphereGrid};

/// The reference's constructor arguments, with its defaults.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct SfnoConfig {
    pub img_size: (usize, usize),
    pub grid: SphereGrid,
    pub grid_internal: SphereGrid,
    pub scale_factor: usize,
    pub in_chans: usize,
    pub out_chans: usize,
    pub embed_dim: usize,
    pub num_layers: usize,
    pub activation_function: Activation,
    /// Accepted and without effect, as in the reference: encoder and decoder always have one layer.
    pub encoder_layers: usize,
    pub use_mlp: bool,
    pub mlp_ratio: f64,
    /// Without effect at inference, except that the second layer of each MLP has another index.
    pub drop_rate: f64,
    /// Without effect at inference.
    pub drop_path_rate: f64,
    pub normalization_layer: Normalization,
    pub hard_thresholding_fraction: f64,
    pub residual_prediction: bool,
    pub pos_embed: PositionEmbedding,
    pub bias: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Normalization {
    /// Over all points of a channel, with weight and bias per point.
    LayerNorm,
    /// Over all points of a channel, with weight and bias per channel.
    InstanceNorm,
    None,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum PositionEmbedding {
    Sequence,
    Spectral,
    #[serde(rename = "learnable lat")]
    LearnableLat,
    #[serde(rename = "learnable latlon")]
    LearnableLatLon,
    None,
}

impl Default for SfnoConfig {
    fn default() -> Self {
        Self {
            img_size: (128, 256),
            grid: SphereGrid::Equiangular,
            grid_internal: SphereGrid::LegendreGauss,
            scale_factor: 3,
            in_chans: 3,
            out_chans: 3,
            embed_dim: 256,
            num_layers: 4,
            activation_function: Activation::Gelu,
            encoder_layers: 1,
            use_mlp: true,
            mlp_ratio: 2.0,
            drop_rate: 0.0,
            drop_path_rate: 0.0,
            normalization_layer: Normalization::None,
            hard_thresholding_fraction: 1.0,
            residual_prediction: false,
            pos_embed: PositionEmbedding::None,
            bias: false,
        }
    }
}

/// Largest values that any hyperparameter may have: far beyond what exists.
const LARGEST: usize = 1 << 16;
/// Most rows of a grid (0.04°): computing its quadrature takes the square of it.
const MOST_ROWS: usize = 4096;
/// Most memory that the tables of the four transforms may take, in bytes.
const LARGEST_TABLES: u64 = 1 << 34;

impl SfnoConfig {
    /// Adds what is wrong with the hyperparameters to `problems`.
    pub fn validate(&self, problems: &mut ProblemList) {
        let mut check = |key: &str, value: usize, low: usize| {
            if !(low..=LARGEST).contains(&value) {
                problems.add(format!("model.toml: [arch] {key}"), value.to_string(), format!("{low} to {LARGEST}"));
            }
        };
        check("img_size[0]", self.img_size.0, 3);
        check("img_size[1]", self.img_size.1, 4);
        check("scale_factor", self.scale_factor, 1);
        check("in_chans", self.in_chans, 1);
        check("out_chans", self.out_chans, 1);
        check("embed_dim", self.embed_dim, 1);
        check("num_layers", self.num_layers, 1);
        if !(self.mlp_ratio.is_finite() && (0.0..=64.0).contains(&self.mlp_ratio))
            || (self.use_mlp && self.hidden() == 0)
        {
            problems.add("model.toml: [arch] mlp_ratio", self.mlp_ratio.to_string(), "a number from 1/embed_dim to 64");
        }
        let fraction = self.hard_thresholding_fraction;
        if !(fraction.is_finite() && fraction > 0.0 && fraction <= 1.0) {
            problems.add("model.toml: [arch] hard_thresholding_fraction", fraction.to_string(), "above 0, at most 1");
        } else if self.scale_factor > 0 && (self.internal_size().0 < 3 || self.modes() == 0) {
            let (h, w) = self.internal_size();
            let found = format!("an internal grid of {h}×{w} with {} modes", self.modes());
            problems.add("model.toml: [arch] scale_factor", found, "at least 3 latitudes and one mode");
        }
        if self.img_size.0 > MOST_ROWS {
            problems.add("model.toml: [arch] img_size[0]", self.img_size.0.to_string(), format!("at most {MOST_ROWS}"));
        } else if self.scale_factor > 0 && fraction <= 1.0 && self.table_bytes() > LARGEST_TABLES {
            let found = format!("transforms whose tables take {} GiB", self.table_bytes() >> 30);
            let expected = format!("at most {} GiB: a larger scale_factor, or fewer modes", LARGEST_TABLES >> 30);
            problems.add("model.toml: [arch] img_size", found, expected);
        }
    }

    /// Memory that the tables of all transforms take.
    fn table_bytes(&self) -> u64 {
        let modes = self.modes() as u64;
        let table = |(h, w): (usize, usize)| modes * modes * h as u64 + 2 * modes * w as u64;
        8 * (table(self.img_size) + table(self.internal_size()))
    }

    /// `(h, w)` of the grid that all but the first and last transform work on.
    fn internal_size(&self) -> (usize, usize) {
        ((self.img_size.0.saturating_sub(1)) / self.scale_factor + 1, self.img_size.1 / self.scale_factor)
    }

    /// Number of degrees and of orders.
    fn modes(&self) -> usize {
        let (h, w) = self.internal_size();
        (h.min(w / 2) as f64 * self.hard_thresholding_fraction) as usize
    }

    fn hidden(&self) -> usize {
        (self.embed_dim as f64 * self.mlp_ratio) as usize
    }

    /// Height and width of the field that layer `i` gives.
    fn output_size(&self, layer: usize) -> (usize, usize) {
        if layer + 1 == self.num_layers { self.img_size } else { self.internal_size() }
    }

    /// Second layer of an MLP in the reference's `Sequential`.
    fn second_layer(&self) -> &'static str {
        if self.drop_rate > 0.0 { "mlp.fwd.3" } else { "mlp.fwd.2" }
    }

    /// Weight keys and shapes. Complex tensors have a last dimension of 2: real part, imaginary part.
    pub fn weight_shapes(&self) -> WeightShapes {
        let (c, d) = (self.embed_dim, self.hidden());
        let mut shapes = WeightShapes::new();
        let mut add = |key: String, shape: &[usize]| shapes.insert(key, shape.to_vec());
        add("encoder.0.weight".into(), &[c, self.in_chans, 1, 1]);
        add("decoder.0.weight".into(), &[self.out_chans, c, 1, 1]);
        if self.bias {
            add("encoder.0.bias".into(), &[c]);
            add("decoder.0.bias".into(), &[self.out_chans]);
        }
        if self.pos_embed != PositionEmbedding::None {
            let columns = if self.pos_embed == PositionEmbedding::LearnableLat { 1 } else { self.img_size.1 };
            add("pos_embed.position_embeddings".into(), &[1, c, self.img_size.0, columns]);
        }
        if self.residual_prediction && self.in_chans != self.out_chans {
            add("residual_projection.weight".into(), &[self.out_chans, self.in_chans, 1, 1]);
        }
        for i in 0..self.num_layers {
            let mut add = |key: &str, shape: &[usize]| add(format!("blocks.{i}.{key}"), shape);
            add("global_conv.weight", &[c, c, self.modes(), 2]);
            if self.bias {
                add("global_conv.bias", &[1, c, 1, 1]);
            }
            let (h, w) = self.output_size(i);
            match self.normalization_layer {
                Normalization::LayerNorm => {
                    add("norm.weight", &[h, w]);
                    add("norm.bias", &[h, w]);
                }
                Normalization::InstanceNorm => {
                    add("norm.weight", &[c]);
                    add("norm.bias", &[c]);
                }
                Normalization::None => {}
            }
            if self.use_mlp {
                add("mlp.fwd.0.weight", &[d, c, 1, 1]);
                add("mlp.fwd.0.bias", &[d]);
                add(&format!("{}.weight", self.second_layer()), &[c, d, 1, 1]);
            }
        }
        shapes
    }
}

/// A 1×1 convolution as a product over channels: `[N, I] → [N, O]`.
#[derive(Debug)]
struct Linear {
    /// `[I, O]`.
    weight: Tensor,
    bias: Option<Tensor>,
}

impl Linear {
    fn load(inputs: usize, outputs: usize, bias: bool, vb: VarBuilder<'_>) -> Result<Self> {
        let weight = vb.get((outputs, inputs, 1, 1), "weight")?.reshape((outputs, inputs))?.t()?.contiguous()?;
        let bias = bias.then(|| vb.get(outputs, "bias")).transpose()?;
        Ok(Self { weight, bias })
    }

    /// With `more` added, `[N, O]` or a row for each of so many points.
    fn forward(&self, x: &Tensor, more: Option<&Tensor>) -> Result<Tensor> {
        let terms: Vec<&Tensor> = self.bias.iter().chain(more).collect();
        linear(x, &self.weight, &terms)
    }
}

/// Convolution with a learnt zonal filter per pair of channels (Driscoll & Healy): one complex matrix per degree.
#[derive(Debug)]
struct SpectralConv {
    /// `[L, 2, I, O]`: real parts, imaginary parts.
    weight: Tensor,
    /// `[C]`.
    bias: Option<Tensor>,
}

impl SpectralConv {
    fn load(config: &SfnoConfig, vb: VarBuilder<'_>) -> Result<Self> {
        let c = config.embed_dim;
        let weight = vb.get((c, c, config.modes(), 2), "weight")?; // [O, I, L, 2]
        let bias = config.bias.then(|| vb.get((1, c, 1, 1), "bias")).transpose()?;
        Ok(Self {
            weight: weight.permute((2, 3, 1, 0))?.contiguous()?,
            bias: bias.map(|bias| bias.flatten_all()).transpose()?,
        })
    }

    /// Coefficients `[M, L, 2·C]` → field `[H, W, C]`.
    fn forward(&self, coefficients: &Tensor, inverse: &InverseRealSht) -> Result<Tensor> {
        let by_degree = coefficients.transpose(0, 1)?; // [L, M, 2C]
        let product = batched_complex_matmul(&by_degree, &self.weight, Triangle::RowsTo)?;
        let field = inverse.forward(&product.transpose(0, 1)?)?;
        let (h, w, c) = field.dims3()?;
        match &self.bias {
            Some(bias) => add(&field.reshape((h * w, c))?, &[bias])?.reshape((h, w, c)),
            None => Ok(field),
        }
    }
}

/// Zero mean and unit variance over all points of each channel, then an affine map.
#[derive(Debug)]
struct Norm {
    /// `[1, C]` or `[N, 1]`.
    weight: Tensor,
    bias: Tensor,
}

impl Norm {
    const EPS: f64 = 1e-6;

    fn load(config: &SfnoConfig, (h, w): (usize, usize), vb: VarBuilder<'_>) -> Result<Option<Self>> {
        let get = |name| match config.normalization_layer {
            Normalization::LayerNorm => vb.get((h, w), name)?.reshape((h * w, 1)).map(Some),
            Normalization::InstanceNorm => vb.get(config.embed_dim, name)?.reshape((1, config.embed_dim)).map(Some),
            Normalization::None => Ok(None),
        };
        let (Some(weight), Some(bias)) = (get("weight")?, get("bias")?) else { return Ok(None) };
        Ok(Some(Self { weight, bias }))
    }

    /// `[N, C]`.
    fn forward(&self, x: &Tensor) -> Result<Tensor> {
        channel_norm(x, &self.weight, &self.bias, Self::EPS)
    }
}

/// The two layers over channels after each convolution.
#[derive(Debug)]
struct Mlp {
    first: Linear,
    first_bias: Tensor,
    activation: Activation,
    second: Linear,
}

impl Mlp {
    fn load(config: &SfnoConfig, vb: &VarBuilder<'_>) -> Result<Self> {
        let (c, d) = (config.embed_dim, config.hidden());
        let first = Linear::load(c, d, false, vb.pp("mlp.fwd.0"))?;
        let first_bias = vb.get(d, "mlp.fwd.0.bias")?;
        let second = Linear::load(d, c, false, vb.pp(config.second_layer()))?;
        Ok(Self { first, first_bias, activation: config.activation_function, second })
    }

    /// `residual + mlp(x)`, all `[N, C]`.
    fn forward(&self, x: &Tensor, residual: &Tensor) -> Result<Tensor> {
        residual_mlp(x, (&self.first.weight, &self.first_bias), self.activation, &self.second.weight, residual)
    }
}

/// Convolution on the sphere, normalisation, MLP, skip connection.
#[derive(Debug)]
struct Block {
    global_conv: SpectralConv,
    norm: Option<Norm>,
    mlp: Option<Mlp>,
}

impl Block {
    fn load(config: &SfnoConfig, layer: usize, vb: VarBuilder<'_>) -> Result<Self> {
        Ok(Self {
            global_conv: SpectralConv::load(config, vb.pp("global_conv"))?,
            norm: Norm::load(config, config.output_size(layer), vb.pp("norm"))?,
            mlp: config.use_mlp.then(|| Mlp::load(config, &vb)).transpose()?,
        })
    }

    /// `[H, W, C]` on the grid of `sht` → `[H', W', C]` on the grid of `inverse`.
    fn forward(&self, x: &Tensor, sht: &RealSht, inverse: &InverseRealSht) -> Result<Tensor> {
        let c = x.dim(2)?;
        let coefficients = sht.forward(x)?;
        // where the resolution changes, the skip connection goes through the transforms too
        let residual = if sht.shape() == inverse.shape() { x.clone() } else { inverse.forward(&coefficients)? };
        let (h, w) = inverse.shape();
        let points = h * w;
        let residual = residual.reshape((points, c))?;
        let mut x = self.global_conv.forward(&coefficients, inverse)?.reshape((points, c))?;
        if let Some(norm) = &self.norm {
            x = norm.forward(&x)?;
        }
        let y = match &self.mlp {
            Some(mlp) => mlp.forward(&x, &residual)?,
            None => add(&x, &[&residual])?,
        };
        y.reshape((h, w, c))
    }
}

/// The network.
#[derive(Debug)]
pub struct Sfno {
    config: SfnoConfig,
    encoder: Linear,
    /// `[H, W, C]` or `[H, 1, C]`.
    position: Option<Tensor>,
    blocks: Vec<Block>,
    decoder: Linear,
    residual_projection: Option<Linear>,
    trans_down: RealSht,
    trans: RealSht,
    itrans: InverseRealSht,
    itrans_up: InverseRealSht,
}

impl Sfno {
    /// `vb` is rooted at the reference's state dict; `config` is valid.
    pub fn load(config: &SfnoConfig, vb: VarBuilder<'_>) -> Result<Self> {
        let (c, device) = (config.embed_dim, vb.device().clone());
        let (outer, inner, modes) = (config.img_size, config.internal_size(), config.modes());
        let position = match config.weight_shapes().get("pos_embed.position_embeddings") {
            // [1, C, H, W|1] → [H, W|1, C]
            Some(shape) => {
                let table = vb.get(shape.as_slice(), "pos_embed.position_embeddings")?;
                Some(table.squeeze(0)?.permute((1, 2, 0))?.contiguous()?)
            }
            None => None,
        };
        let projection = config.residual_prediction && config.in_chans != config.out_chans;
        let projection = projection
            .then(|| Linear::load(config.in_chans, config.out_chans, false, vb.pp("residual_projection")))
            .transpose()?;
        let blocks = (0..config.num_layers).map(|i| Block::load(config, i, vb.pp("blocks").pp(i)));
        Ok(Self {
            encoder: Linear::load(config.in_chans, c, config.bias, vb.pp("encoder.0"))?,
            position,
            blocks: blocks.collect::<Result<_>>()?,
            decoder: Linear::load(c, config.out_chans, config.bias, vb.pp("decoder.0"))?,
            residual_projection: projection,
            trans_down: RealSht::new(outer, modes, config.grid, &device)?,
            trans: RealSht::new(inner, modes, config.grid_internal, &device)?,
            itrans: InverseRealSht::new(inner, modes, config.grid_internal, &device)?,
            itrans_up: InverseRealSht::new(outer, modes, config.grid, &device)?,
            config: config.clone(),
        })
    }

    /// `[B, in_chans, H, W]` → `[B, out_chans, H, W]`.
    pub fn forward(&self, x: &Tensor) -> Result<Tensor> {
        let (b, in_chans, h, w) = x.dims4()?;
        if (in_chans, (h, w)) != (self.config.in_chans, self.config.img_size) {
            let (expected_h, expected_w) = self.config.img_size;
            bail!(
                "input {:?} where the network takes [B, {}, {expected_h}, {expected_w}]",
                x.dims(),
                self.config.in_chans
            );
        }
        let samples: Vec<Tensor> = (0..b).map(|i| self.sample(&x.get(i)?)).collect::<Result<_>>()?;
        Tensor::stack(&samples, 0)
    }

    /// `[in_chans, H, W]` → `[out_chans, H, W]`.
    fn sample(&self, input: &Tensor) -> Result<Tensor> {
        let (h, w) = self.config.img_size;
        let c = self.config.embed_dim;
        let points = transposed(&input.flatten_from(1)?)?; // [N, in_chans]
        let mut x = self.encoder.forward(&points, self.position.as_ref())?.reshape((h, w, c))?;
        for (i, block) in self.blocks.iter().enumerate() {
            let sht = if i == 0 { &self.trans_down } else { &self.trans };
            let inverse = if i + 1 == self.blocks.len() { &self.itrans_up } else { &self.itrans };
            x = block.forward(&x, sht, inverse)?;
        }
        let x = x.reshape((h * w, c))?;
        let y = match &self.residual_projection {
            Some(projection) => self.decoder.forward(&x, Some(&projection.forward(&points, None)?))?,
            None => self.decoder.forward(&x, self.config.residual_prediction.then_some(&points))?,
        };
        transposed(&y)?.reshape((self.config.out_chans, h, w))
    }

    pub fn device(&self) -> &Device {
        self.encoder.weight.device()
    }
}
