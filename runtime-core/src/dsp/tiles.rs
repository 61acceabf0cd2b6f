//! What convolutions share: their parameters in few bytes, and the walk over output pixels, four at a time.

use super::FilterDsp;
use super::gemm::{Distances, Tile};
use super::lines::{Lines, nonzero};
use super::outside::{self, Outside};
use super::words::rolled;
use crate::{Block, Image, Layout, view_mut};
use core::num::NonZero;
use core::ops::Range;

/// Whether the pixels of all rows lie one after the other, in each channel.
#[inline(never)]
pub(crate) const fn flat(image: &Image) -> bool {
    image.layout.col == 1 && image.layout.row == image.width && image.ring >= image.height
}

/// As [`flat`], in each channel or interleaved.
pub(super) const fn gapless(image: &Image) -> bool {
    let Layout { row, col, chan } = image.layout;
    (col == 1 || chan == 1 || image.channels == 1) && row == image.width * col && image.ring >= image.height
}

/// Whether pixels or channels lie one after the other: what the micro-kernel can store.
pub(super) const fn storable(image: &Image) -> bool {
    planar(image) || image.layout.chan == 1 || image.channels == 1
}

/// Whether the pixels of a row lie one after the other, in each channel.
pub(super) const fn planar(image: &Image) -> bool {
    image.layout.col == 1 || image.width == 1
}

/// Whether the planes of both begin together, and no plane of the output reaches beyond that of the input: for kernels that
/// read a channel of the input as a whole, then write that of the output.
pub(crate) const fn planes_within(input: &Image, output: &Image) -> bool {
    let span = output.height.saturating_sub(1) * output.layout.row
        + output.width.saturating_sub(1) * output.layout.col
        + 1;
    let whole = input.ring >= input.height && output.ring >= output.height;
    whole
        && input.offset == output.offset
        && output.layout.chan <= input.layout.chan
        && span <= input.layout.chan
}

/// What the parameters of a convolution say of its tiles.
pub(super) struct Form<'a> {
    pub output: &'a Image,
    /// Byte offset of the scratch: that of the gather, the columns of a tile, and a buffer for its outputs.
    pub scratch: usize,
    /// Bytes of the gather's scratch, a multiple of 16.
    pub ahead: usize,
    /// Words of weights for a pair of output channels.
    pub words: usize,
    /// Whether the weights are packed in the dual way.
    pub dual: bool,
    /// Whether all pixels are one run; otherwise every row is one.
    pub one_run: bool,
    /// Whether no pixel may be written twice, since the output may lie over the input.
    pub once: bool,
    pub zero_point: i8,
    pub min: i8,
    pub max: i8,
}

impl Form<'_> {
    /// Bytes for the outputs of one tile where not all of them are stored, a multiple of 16.
    const fn buffer_len(&self) -> usize {
        if self.output.width >= 4 && !self.once { 0 } else { (4 * self.output.channels).next_multiple_of(16) }
    }

    /// Bytes of scratch.
    pub const fn scratch_len(&self) -> usize {
        self.ahead + 16 * self.words + self.buffer_len()
    }

    /// Whether 16 bits hold what [`Tiles`] keeps.
    pub const fn holds(&self) -> bool {
        let most = u16::MAX as usize;
        self.ahead / 16 <= most && self.words <= most && Lines::hold(self.output) && self.pixel() <= most
    }

    /// Bytes from pixel to pixel. Of a single one it does not matter, and the micro-kernel wants it to be 1.
    const fn pixel(&self) -> usize {
        if planar(self.output) && !self.one_run { 1 } else { self.output.layout.col }
    }
}

/// A convolution as [`run`] reads it.
#[derive(Debug, Clone, Copy)]
pub(super) struct Tiles<'a> {
    /// Tables of `channels` outputs of `words` words a pair: [`Tiles::new`] has compared their lengths.
    filter: FilterDsp<'a>,
    output: Lines,
    scratch: u32,
    /// In blocks, as `buffer`.
    ahead: u16,
    words: u16,
    buffer: u16,
    channels: u16,
    pixel: u16,
    pub width: NonZero<u16>,
    dual: bool,
    one_run: bool,
    once: bool,
    zero_point: i8,
    min: i8,
    max: i8,
}

impl<'a> Tiles<'a> {
    /// Packs the parameters. Nothing will be computed where the tables do not fit.
    pub const fn new(form: &Form, filter: &FilterDsp<'a>) -> Tiles<'a> {
        let output = form.output;
        let fits =
            form.words > 0 && output.width > 0 && form.holds() && filter.fits(output.channels, form.words);
        Tiles {
            filter: *filter,
            output: Lines::of(output),
            scratch: form.scratch as u32,
            ahead: (form.ahead / 16) as u16,
            words: form.words as u16,
            buffer: (form.buffer_len() / 16) as u16,
            channels: if fits { output.channels as u16 } else { 0 },
            pixel: form.pixel() as u16,
            width: nonzero(output.width),
            dual: form.dual,
            one_run: form.one_run,
            once: form.once,
            zero_point: form.zero_point,
            min: form.min,
            max: form.max,
        }
    }

    /// All output channels of a tile. Nothing is written when the lengths do not fit. Out of line: LLVM would keep all that it needs
    /// on the stack, and make two of it.
    #[inline(never)]
    fn compute(&self, x: &[[u32; 4]], out: &mut [i8], to: Distances) {
        let channels = self.channels as usize;
        let stored = to.pixel == 1 || to.channel == 1 || channels == 1;
        if channels > 0 && x.len() == self.words as usize && to.reach(channels) <= out.len() && stored {
            let FilterDsp { weights, pairs } = self.filter;
            let zero_point = self.zero_point as i32;
            Tile { x, weights, pairs, channels, zero_point, out, to }.run(self.dual);
        }
    }
}

/// Where a tile of pixels begins: column `x` counts on over the rows of an image that is one run.
#[derive(Clone, Copy)]
pub(super) struct Start {
    pub y: usize,
    pub x: usize,
    /// Pixels that there are, 1 to 4; of those behind, any values are computed and none is stored.
    pub count: usize,
}

/// Fills the columns of a tile; the blocks are its scratch.
pub(super) type Gather<'a> = dyn FnMut(&Outside, &mut [Block], Start, &mut [[u32; 4]]) + 'a;

/// Computes output `rows`: `gather` fills the columns of a tile, the micro-kernel turns them into outputs.
///
/// A run of pixels is cut into tiles of four; the last tile ends where the run ends and computes some pixels again. Where each
/// may be written only once, those that were computed before are dropped: they may be wrong, but no others, since every
/// pixel has its own column.
///
/// One copy of it serves all convolutions: a call of `gather` costs little beside the tile behind it.
#[inline(never)]
pub(super) fn run(mem: &mut [Block], t: &Tiles, rows: Range<usize>, gather: &mut Gather) {
    let (ahead, words) = (t.ahead as usize, t.words as usize);
    let len = ahead + words + t.buffer as usize;
    let Some((scratch, mut outside)) = outside::split(mem, t.scratch as usize, 16 * len) else { return };
    let Some((ahead, rest)) = scratch.split_at_mut_checked(ahead) else { return };
    let Some((columns, buffer)) = rest.split_at_mut_checked(words) else { return };
    let columns = view_mut::<u32>(columns).as_chunks_mut::<4>().0;
    let (buffer, width, channels) = (view_mut::<i8>(buffer), t.width.get() as usize, t.channels as usize);
    let distances = Distances { channel: t.output.chan as usize, pixel: t.pixel as usize };

    let mut y = rows.start;
    while y < rows.end {
        // A row of pixels, or one run over all rows.
        let (row, first, end) = match t.one_run {
            true => (0, y * width, rows.end * width),
            false => (y, 0, width),
        };
        y = if t.one_run { rows.end } else { y + 1 };
        let mut x = first;
        while x < end {
            let from = x.min(end.saturating_sub(4));
            let count = (end - from).min(4);
            gather(&outside, ahead, Start { y: row, x: from, count }, columns);
            let at = t.output.at(row) + from * distances.pixel;
            // Pixels in front of the run are not ours, nor are those behind a short one.
            let direct = count == 4 && (x == from || (from >= first && !t.once));
            let (out, to) = match direct {
                true => (outside.get_mut(at, distances.reach(channels)), distances),
                false => (&mut *buffer, Distances { channel: 4, pixel: 1 }),
            };
            t.compute(columns, out, to);
            if !direct {
                let outputs = buffer.get(..4 * channels).unwrap_or(&[]);
                store(&mut outside, (at, distances), x - from..count, outputs);
            }
            x += 4;
        }
    }
    let runs = match distances.pixel {
        1 => Runs::of_planes(&t.output, channels, width),
        pixel => Runs { count: width, distance: pixel, len: channels },
    };
    clamp_lines(&mut outside, &t.output, (rows, runs), t.min, t.max);
}

/// Stores the outputs of some pixels of a tile.
#[inline(never)]
fn store(outside: &mut Outside, (at, to): (usize, Distances), pixels: Range<usize>, values: &[i8]) {
    let mut at = at + pixels.start * to.pixel;
    for values in values.as_chunks::<4>().0 {
        let mut pixel = at;
        for &value in values.get(pixels.clone()).unwrap_or(&[]) {
            if let [to] = outside.get_mut(pixel, 1) {
                *to = value;
            }
            pixel += to.pixel;
            rolled();
        }
        at += to.channel;
    }
}

/// Runs of bytes in a row: of a channel each, or of a pixel.
#[derive(Clone, Copy)]
pub(super) struct Runs {
    pub count: usize,
    pub distance: usize,
    pub len: usize,
}

impl Runs {
    /// A row of each channel.
    #[inline(always)]
    pub fn of_planes(lines: &Lines, channels: usize, width: usize) -> Runs {
        Runs { count: channels, distance: lines.chan as usize, len: width }
    }
}

/// Narrows outputs to `min..=max`, where those are not what saturation to int8 gave already.
#[inline(never)]
pub(super) fn clamp_lines(
    outside: &mut Outside,
    output: &Lines,
    (rows, runs): (Range<usize>, Runs),
    min: i8,
    max: i8,
) {
    if min == i8::MIN && max == i8::MAX {
        return;
    }
    for y in rows {
        let mut at = output.at(y);
        for _ in 0..runs.count {
            for value in outside.get_mut(at, runs.len) {
                *value = (*value).max(min).min(max);
                rolled();
            }
            at += runs.distance;
            rolled();
        }
    }
}

/// Narrows outputs, of planes, to `min..=max`, where those are not what saturation to int8 gave already.
#[inline(never)]
pub(crate) fn clamp(outside: &mut Outside, output: &Image, rows: Range<usize>, min: i8, max: i8) {
    if min == i8::MIN && max == i8::MAX {
        return;
    }
    for y in rows {
        for c in 0..output.channels {
            for value in outside.get_mut(output.row(y) + c * output.layout.chan, output.width) {
                *value = (*value).max(min).min(max);
                rolled();
            }
            rolled();
        }
    }
}

/// As [`clamp`], in planes or interleaved.
#[inline(never)]
pub(crate) fn clamp_any(outside: &mut Outside, output: &Image, rows: Range<usize>, min: i8, max: i8) {
    if min == i8::MIN && max == i8::MAX {
        return;
    }
    for y in rows {
        for c in 0..output.channels {
            let mut at = output.at(y, 0, c);
            for _ in 0..output.width {
                if let [value] = outside.get_mut(at, 1) {
                    *value = (*value).max(min).min(max);
                }
                at += output.layout.col;
                rolled();
            }
            rolled();
        }
    }
}
