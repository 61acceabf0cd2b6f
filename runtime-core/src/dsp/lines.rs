//! Images as the drivers read them: in twelve bytes.

use crate::Image;
use core::num::NonZero;

/// Where the rows of an image lie, whose pixels are neighbours. A layer of a model holds two of them in flash.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Lines {
    offset: u32,
    /// From channel to channel.
    pub chan: u32,
    /// From row to row.
    row: u16,
    /// Rows that memory holds.
    ring: NonZero<u16>,
}

/// A number that is not zero, in 16 bits: as a divisor it needs no test.
pub(super) const fn nonzero(number: usize) -> NonZero<u16> {
    match NonZero::new(number as u16) {
        Some(number) => number,
        None => NonZero::<u16>::MIN,
    }
}

impl Lines {
    /// The lines of an image that [`Lines::hold`].
    pub const fn of(image: &Image) -> Lines {
        let rows = if image.ring < image.height { image.ring } else { image.height };
        let ring = nonzero(rows);
        Lines {
            offset: image.offset as u32,
            chan: image.layout.chan as u32,
            row: image.layout.row as u16,
            ring,
        }
    }

    /// Whether rows and columns can be counted with 16 bits.
    pub const fn hold(image: &Image) -> bool {
        const MOST: usize = u16::MAX as usize;
        image.height <= MOST && image.width <= MOST && image.channels <= MOST && image.layout.row <= MOST
    }

    /// Offset of the first pixel of row `y` in the first channel.
    #[inline(always)]
    pub fn at(&self, y: usize) -> usize {
        let slot = y as u32 % NonZero::<u32>::from(self.ring);
        self.offset as usize + slot as usize * self.row as usize
    }

    /// Offset of row `y` of a channel.
    #[inline(always)]
    pub fn row(&self, y: usize, channel: usize) -> usize {
        self.at(y) + channel * self.chan as usize
    }

    /// From row to row.
    #[inline(always)]
    pub fn step(&self) -> usize {
        self.row as usize
    }

    /// Rows from `y` on that follow each other without a jump back to the ring's first row.
    #[inline(always)]
    pub fn run(&self, y: usize) -> usize {
        let ring = NonZero::<u32>::from(self.ring);
        (ring.get() - y as u32 % ring) as usize
    }
}
