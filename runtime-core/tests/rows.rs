//! Every kernel computes exactly the output rows that it is asked for, and in pieces the same as at once.

mod common;

use common::{BLOCKS, Case, Element, INPUT, Order, SCRATCH, Visit, bytes_of, every_kernel, image, put};
use core::ops::Range;
use kiln_runtime_core::{Block, view};

const PIECES: [&[Range<usize>]; 3] = [&[0..1, 1..4, 4..5], &[3..5, 0..3], &[4..5, 3..4, 2..3, 1..2, 0..1]];

/// The memory without what kernels may leave in scratch.
fn bytes(mem: &[Block]) -> &[u8] {
    &view::<u8>(mem)[..SCRATCH]
}

struct Pieces(usize);

impl Visit for Pieces {
    fn case<A: Element, B: Element>(&mut self, case: Case<A, B>) {
        self.0 += 1;
        let order = case.plain();
        #[allow(clippy::single_range_in_vec_init)]
        let whole = case.memory_after(order, order, &[0..5]);
        for pieces in PIECES {
            let mem = case.memory_after(order, order, pieces);
            assert!(bytes(&mem) == bytes(&whole), "{}: {pieces:?}", case.name);
        }
    }
}

#[test]
fn rows_in_pieces_equal_all_rows_at_once() {
    let mut visit = Pieces(0);
    every_kernel(&mut visit);
    assert_eq!(visit.0, 77, "kernels of the crate");
}

struct Bounds;

impl Visit for Bounds {
    fn case<A: Element, B: Element>(&mut self, case: Case<A, B>) {
        let order = Order::Padded;
        let order = if case.dense { Order::Interleaved } else { order };
        let (values, mut before) = case.start();
        let input = image::<A>(INPUT, case.input, order);
        put(&mut before, &input, 0..input.height, &values);
        for rows in [0..0, 0..1, 2..4, 4..5, 0..5] {
            let after = case.memory_after(order, Order::Padded, core::slice::from_ref(&rows));
            let mut written = [false; 16 * BLOCKS];
            bytes_of::<B>(&case.output_image(Order::Padded), rows.clone()).for_each(|at| written[at] = true);
            let (before, after) = (bytes(&before), bytes(&after));
            let changed = |at: &usize| before[*at] != after[*at];
            assert!((0..SCRATCH).filter(changed).all(|at| written[at]), "{}: {rows:?}", case.name);
            assert!(rows.is_empty() || (0..SCRATCH).any(|at| changed(&at)), "{} does something", case.name);
        }
    }
}

#[test]
fn nothing_but_the_asked_rows_is_written() {
    every_kernel(&mut Bounds);
}
