//! Every kernel as a case that the tests of the contract run: the same parameters, any layout, any rows.

// Each test file uses its own part of this.
#![allow(dead_code)]

pub mod convolution;
mod floats;
mod integers;
mod wide;

use core::fmt::Debug;
use core::ops::Range;
use kiln_runtime_core::*;

/// The memory of every case: input, output, a second operand and scratch, 4 KB each.
pub const BLOCKS: usize = 1024;
/// Bytes of [`BLOCKS`].
pub const ARENA: usize = 16 * BLOCKS;
/// Byte offsets of the areas.
pub const INPUT: usize = 0;
pub const OUTPUT: usize = 4096;
pub const SECOND: usize = 8192;
pub const SCRATCH: usize = 12288;

/// Rows, columns, channels.
pub type Extent = (usize, usize, usize);

/// SplitMix64.
pub struct Random(pub u64);

impl Random {
    pub fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    pub fn many<T: Element>(&mut self, n: usize) -> Vec<T> {
        (0..n).map(|_| T::random(self.next())).collect()
    }
}

/// Element types of activations.
pub trait Element: Plain + PartialEq + Debug {
    fn random(bits: u64) -> Self;
}

macro_rules! element {
    ($($t:ty),*) => { $( impl Element for $t { fn random(bits: u64) -> Self { bits as $t } } )* };
}
element!(i8, u8, i16, u16, i32, u32, i64);

impl Element for f32 {
    /// Quarters from -8 to 8, so that sums of products are exact in any order.
    fn random(bits: u64) -> Self {
        (bits % 65) as f32 * 0.25 - 8.0
    }
}

#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Order {
    Planar,
    Interleaved,
    RowPlanar,
    Padded,
}

pub const ORDERS: [Order; 4] = [Order::Planar, Order::Interleaved, Order::RowPlanar, Order::Padded];

/// An image of elements of type `T` from a byte offset on.
pub fn image<T>(byte: usize, (height, width, channels): Extent, order: Order) -> Image {
    let layout = match order {
        Order::Planar => Layout { row: width, col: 1, chan: width * height },
        Order::Interleaved => Layout { row: width * channels, col: channels, chan: 1 },
        Order::RowPlanar => Layout { row: width * channels, col: 1, chan: width },
        Order::Padded => Layout { row: width + 3, col: 1, chan: (width + 3) * height + 5 },
    };
    Image { offset: byte / size_of::<T>(), height, width, channels, layout, ring: height }
}

fn positions(rows: Range<usize>, image: Image) -> impl Iterator<Item = usize> {
    rows.flat_map(move |y| {
        (0..image.width).flat_map(move |x| (0..image.channels).map(move |c| image.at(y, x, c)))
    })
}

/// Writes rows in the order `[y][x][c]`; `values` are those of the whole image.
pub fn put<T: Element>(mem: &mut [Block], image: &Image, rows: Range<usize>, values: &[T]) {
    let from = rows.start * image.width * image.channels;
    for (at, &value) in positions(rows, *image).zip(&values[from..]) {
        view_mut::<T>(mem)[at] = value;
    }
}

/// Reads rows in the order `[y][x][c]`.
pub fn get<T: Element>(mem: &[Block], image: &Image, rows: Range<usize>) -> Vec<T> {
    positions(rows, *image).map(|at| view::<T>(mem)[at]).collect()
}

/// Every byte that the given rows of an image occupy.
pub fn bytes_of<T>(image: &Image, rows: Range<usize>) -> impl Iterator<Item = usize> {
    positions(rows, *image).flat_map(|at| at * size_of::<T>()..(at + 1) * size_of::<T>())
}

/// One kernel from elements `A` to elements `B`.
pub struct Case<A, B> {
    pub name: &'static str,
    pub input: Extent,
    pub output: Extent,
    /// How the kernel walks over input rows; `None` when output row `y` reads input row `y`.
    pub window: Option<Window>,
    /// Whether the values of an input row must be contiguous.
    pub dense: bool,
    /// Whether the pixels of a row must be contiguous, in input and output.
    pub planar: bool,
    /// Whether the output may lie over the input.
    pub overlay: bool,
    /// Checks the parameters and runs the kernel.
    pub run: fn(&mut [Block], Image, Image, Range<usize>),
    pub elements: core::marker::PhantomData<(A, B)>,
}

impl<A: Element, B: Element> Case<A, B> {
    /// A kernel of one pixel at a time.
    pub fn pointwise(name: &'static str, run: fn(&mut [Block], Image, Image, Range<usize>)) -> Self {
        let (input, output) = ((5, 7, 4), (5, 7, 4));
        let elements = core::marker::PhantomData;
        Case { name, input, output, window: None, dense: false, planar: false, overlay: false, run, elements }
    }

    /// A kernel that slides [`WINDOW`] over the input.
    pub fn windowed(name: &'static str, run: fn(&mut [Block], Image, Image, Range<usize>)) -> Self {
        Case { input: (9, 7, 4), output: (5, 7, 4), window: Some(WINDOW), ..Self::pointwise(name, run) }
    }

    /// Input values and the memory around them: every byte differs from what the kernel should leave there.
    pub fn start(&self) -> (Vec<A>, Vec<Block>) {
        let mut random = Random(self.name.len() as u64);
        let (h, w, c) = self.input;
        let values = random.many(h * w * c);
        let mut mem = vec![Block::ZERO; BLOCKS];
        for value in view_mut::<f32>(&mut mem) {
            *value = f32::random(random.next());
        }
        (values, mem)
    }

    /// Runs the kernel once for every piece of rows, and returns the memory.
    pub fn memory_after(&self, from: Order, to: Order, pieces: &[Range<usize>]) -> Vec<Block> {
        let (values, mut mem) = self.start();
        let (input, output) = (image::<A>(INPUT, self.input, from), self.output_image(to));
        put(&mut mem, &input, 0..input.height, &values);
        for rows in pieces {
            (self.run)(&mut mem, input, output, rows.clone());
        }
        mem
    }

    pub fn output_image(&self, order: Order) -> Image {
        image::<B>(OUTPUT, self.output, order)
    }

    /// A layout that the kernel takes: dense layers want interleaved values.
    pub fn plain(&self) -> Order {
        if self.planar { Order::Planar } else { Order::Interleaved }
    }

    /// Whether the kernel takes input in this layout.
    pub fn reads(&self, order: Order) -> bool {
        (!self.dense || order == Order::Interleaved) && self.writes(order)
    }

    /// Whether the kernel takes output in this layout.
    pub fn writes(&self, order: Order) -> bool {
        !self.planar || order != Order::Interleaved
    }
}

/// What a test does with every case.
pub trait Visit {
    fn case<A: Element, B: Element>(&mut self, case: Case<A, B>);
}

/// Visits every kernel of the crate.
pub fn every_kernel(visit: &mut impl Visit) {
    integers::kernels(visit);
    integers::dsp(visit);
    integers::moves(visit);
    wide::layers(visit);
    wide::elements(visit);
    floats::kernels(visit);
    floats::unary(visit);
}

pub const WINDOW: Window = Window {
    height: 3,
    width: 2,
    stride_h: 2,
    stride_w: 1,
    dilation_h: 1,
    dilation_w: 2,
    pad_top: 1,
    pad_left: 1,
};

/// Turns table sizes into tables that live as long as the kernels need them.
pub fn table<T: Element>(seed: u64, n: usize) -> Vec<T> {
    Random(seed).many(n)
}
