//! int8 dense layer: each row of the input times a constant matrix, four outputs at a time.

use super::copy_rows::copy_rows;
use super::dense::Quads;
use super::{DenseFilterMve, Range as Clamp};
use crate::dsp::outside;
use crate::{Block, Image, view_mut};
use core::ops::Range;

/// Parameters of [`fully_connected_i8_mve`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FullyConnectedI8Mve {
    /// Input image; the `width * channels` values of a row are its features, one after the other.
    pub input: Image,
    /// Output image, `rows x 1 x features`.
    pub output: Image,
    /// Zero point of the output.
    pub output_zero_point: i8,
    /// Smallest output.
    pub min: i8,
    /// Largest output.
    pub max: i8,
    /// Byte offset of [`FullyConnectedI8Mve::scratch_len`] bytes, a multiple of 16: the features of a row.
    pub scratch: usize,
}

impl FullyConnectedI8Mve {
    const fn features(&self) -> usize {
        self.input.width * self.input.channels
    }

    /// Bytes of scratch.
    pub const fn scratch_len(&self) -> usize {
        self.features().next_multiple_of(16)
    }

    /// Whether images, tables and scratch fit together in `arena` bytes.
    pub const fn check(&self, filter: &DenseFilterMve, arena: usize) -> Result<(), &'static str> {
        let l = &self.input.layout;
        let (n, one) = (self.input.channels, self.input.width == 1);
        let flat = (one || l.col == n) && (n == 1 || l.chan == 1) || (n == 1 && l.col == 1);
        if !flat {
            return Err("fully_connected_i8_mve: the values of a row must be contiguous");
        }
        if self.input.height != self.output.height || self.output.width != 1 {
            return Err("fully_connected_i8_mve: the output needs one column and the rows of the input");
        }
        if !self.input.fits(1, arena) || !self.output.fits(1, arena) {
            return Err("fully_connected_i8_mve: image outside of the arena");
        }
        if !outside::fits(self.scratch, self.scratch_len(), arena) {
            return Err("fully_connected_i8_mve: scratch outside of the arena");
        }
        if self.features() == 0 || !filter.fits(self.output.channels, self.features()) {
            return Err("fully_connected_i8_mve: tables do not fit the features");
        }
        Ok(())
    }
}

/// Computes output `rows` of [`fully_connected_i8`](crate::fully_connected_i8) with symmetric weights.
pub fn fully_connected_i8_mve(
    mem: &mut [Block],
    p: &FullyConnectedI8Mve,
    rows: Range<usize>,
    filter: &DenseFilterMve,
) {
    let Some((scratch, mut outside)) = outside::split(mem, p.scratch, p.scratch_len()) else { return };
    let (n, step, features) = (p.output.channels, p.output.layout.chan, p.features());
    let Some(x) = view_mut::<i8>(scratch).get_mut(..features) else { return };
    let len = DenseFilterMve::quad_len(features);
    // Those that lie one after the other.
    let direct = if step == 1 { n / 4 } else { 0 };
    for y in rows {
        copy_rows((outside.get(p.input.row(y), features), features), (&mut *x, features), 1, features);
        let quads = |quads: Range<usize>| Quads {
            x,
            weights: filter.weights.get(quads.start * len..quads.end * len).unwrap_or(&[]),
            params: filter.quads.get(quads.start * 8..quads.end * 8).unwrap_or(&[]),
            range: Clamp::new(p.output_zero_point, p.min, p.max),
        };
        let at = p.output.row(y);
        quads(0..direct).run(outside.get_mut(at, 4 * direct));
        for quad in direct..n.div_ceil(4) {
            let mut out = [0i8; 4];
            quads(quad..quad + 1).run(&mut out);
            for (c, value) in (quad * 4..n).zip(out) {
                if let [to] = outside.get_mut(at + c * step, 1) {
                    *to = value;
                }
            }
        }
    }
}
