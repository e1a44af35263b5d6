//! A frame along the edges of the grid, where the boundary's data overwrite the state.

use std::collections::BTreeMap;
use std::ops::Range;

use candle_core::{Device, Error, Result, Tensor};

use crate::atmos::{Grid, ValidTime};

/// The outermost points of a grid, where a limited-area model is told what happens.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Frame {
    /// Row-major, ascending.
    points: Vec<u32>,
}

impl Frame {
    /// `width` rows and columns along each edge of a grid of `shape` rows and columns.
    pub fn new((h, w): (usize, usize), width: usize) -> Self {
        let inside =
            |row: usize, column: usize| row >= width && row + width < h && column >= width && column + width < w;
        let points = (0..h * w).filter(|point| !inside(point / w, point % w)).map(|point| point as u32);
        Self { points: points.collect() }
    }

    pub fn points(&self) -> &[u32] {
        &self.points
    }

    /// The frame's points among some of the grid's: their places in the frame, and as a frame of their own.
    pub fn part(&self, points: &Range<usize>) -> (Range<usize>, Self) {
        let place = |point: usize| self.points.partition_point(|&other| (other as usize) < point);
        let places = place(points.start)..place(points.end);
        let of_its_own = self.points[places.clone()].iter().map(|&point| point - points.start as u32).collect();
        (places, Self { points: of_its_own })
    }

    /// The frame's part of `[channels, H, W]`.
    pub fn cut(&self, values: &[f32], points: usize) -> Vec<f32> {
        values.chunks_exact(points).flat_map(|field| self.points.iter().map(|&point| field[point as usize])).collect()
    }
}

/// The boundary's data on a frame.
#[derive(Debug)]
pub struct FrameData {
    frame: Frame,
    /// `[1, points]`: 1 on the frame.
    mask: Tensor,
    states: BTreeMap<ValidTime, Vec<f32>>,
}

impl FrameData {
    pub fn new(frame: Frame, states: BTreeMap<ValidTime, Vec<f32>>, grid: &Grid, device: &Device) -> Result<Self> {
        let mut mask = vec![0u8; grid.len()];
        frame.points().iter().for_each(|&point| mask[point as usize] = 1);
        Ok(Self { frame, mask: Tensor::from_vec(mask, (1, grid.len()), device)?, states })
    }

    /// `[F, H·W]` with the boundary's data on the frame.
    pub fn overwrite(&self, state: &Tensor, time: ValidTime) -> Result<Tensor> {
        let (channels, points) = state.dims2()?;
        let frame = self.frame.points();
        let told = self.states.get(&time).filter(|told| told.len() == channels * frame.len());
        let told = told.ok_or_else(|| Error::Msg(format!("no boundary data for {time}")))?;
        let mut values = vec![0f32; channels * points];
        for (values, told) in values.chunks_exact_mut(points).zip(told.chunks_exact(frame.len().max(1))) {
            frame.iter().zip(told).for_each(|(&point, &told)| values[point as usize] = told);
        }
        let told = Tensor::from_vec(values, (channels, points), state.device())?;
        self.mask.broadcast_as(state.shape())?.where_cond(&told, state)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_frame_is_as_wide_as_it_says() {
        assert_eq!(Frame::new((3, 4), 1).points(), [0, 1, 2, 3, 4, 7, 8, 9, 10, 11]);
        assert!(Frame::new((3, 4), 0).points().is_empty());
        assert_eq!(Frame::new((3, 4), 2).points().len(), 12, "no interior is left");
        let values: Vec<f32> = (0..24).map(|i| i as f32).collect();
        let cut = Frame::new((3, 4), 1).cut(&values, 12);
        assert_eq!((cut.len(), cut[4], cut[10], cut[19]), (20, 4.0, 12.0, 23.0));
        let (places, part) = Frame::new((3, 4), 1).part(&(4..8));
        assert_eq!((places, part.points()), (4..6, [0, 3].as_slice()));
    }
}
