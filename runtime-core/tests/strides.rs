//! Every kernel computes the same values in any layout, from rings of rows, and over its own input where it may.

mod common;

use common::{
    ARENA, BLOCKS, Case, Element, INPUT, ORDERS, OUTPUT, Order, Random, Visit, every_kernel, get, image, put,
};
use kiln_runtime_core::*;

struct Layouts;

impl Visit for Layouts {
    #[allow(clippy::single_range_in_vec_init)]
    fn case<A: Element, B: Element>(&mut self, case: Case<A, B>) {
        let values = |from, to| {
            let mem = case.memory_after(from, to, &[0..5]);
            get::<B>(&mem, &case.output_image(to), 0..5)
        };
        let expected = values(case.plain(), case.plain());
        for from in ORDERS.into_iter().filter(|from| case.reads(*from)) {
            for to in ORDERS.into_iter().filter(|to| case.writes(*to)) {
                assert_eq!(values(from, to), expected, "{}: {from:?} to {to:?}", case.name);
            }
        }
    }
}

#[test]
fn layouts_change_nothing() {
    every_kernel(&mut Layouts);
}

struct Rings;

impl Visit for Rings {
    #[allow(clippy::single_range_in_vec_init)]
    fn case<A: Element, B: Element>(&mut self, case: Case<A, B>) {
        let order = case.plain();
        let whole = case.memory_after(order, order, &[0..5]);
        let expected = get::<B>(&whole, &case.output_image(order), 0..5);
        // As many rows as the window is high, and two of output; the producer runs just ahead of the window.
        let ring = case.window.map_or(1, |w| w.height);
        let input = Image { ring, ..image::<A>(INPUT, case.input, order) };
        let output = Image { ring: 2, ..case.output_image(order) };
        let (values, mut mem) = case.start();
        let (mut produced, mut seen) = (0, vec![]);
        for y in 0..5 {
            let needed =
                case.window.map_or(y + 1, |w| y * w.stride_h + w.height - w.pad_top).min(input.height);
            put(&mut mem, &input, produced..needed, &values);
            produced = needed;
            (case.run)(&mut mem, input, output, y..y + 1);
            seen.extend(get::<B>(&mem, &output, y..y + 1));
        }
        assert_eq!(seen, expected, "{}", case.name);
    }
}

#[test]
fn a_ring_of_rows_is_enough() {
    every_kernel(&mut Rings);
}

struct Overlays(usize);

impl Visit for Overlays {
    #[allow(clippy::single_range_in_vec_init)]
    fn case<A: Element, B: Element>(&mut self, case: Case<A, B>) {
        if !case.overlay {
            return;
        }
        self.0 += 1;
        let order = case.plain();
        let apart = case.memory_after(order, order, &[0..5]);
        let over = image::<A>(INPUT, case.input, order);
        let (values, mut mem) = case.start();
        put(&mut mem, &over, 0..5, &values);
        (case.run)(&mut mem, over, over, 0..5);
        let expected = get::<B>(&apart, &case.output_image(order), 0..5);
        assert_eq!(get::<B>(&mem, &over, 0..5), expected, "{}", case.name);
    }
}

#[test]
fn elementwise_outputs_may_lie_over_their_input() {
    let mut visit = Overlays(0);
    every_kernel(&mut visit);
    assert_eq!(visit.0, 25);
}

/// A second operand of one value for each channel, of one row, of one value: strides of 0 repeat it.
#[test]
fn strides_of_zero_broadcast() {
    let extent = (5, 7, 4);
    let a = image::<i8>(INPUT, extent, Order::Planar);
    let output = image::<i8>(OUTPUT, extent, Order::Interleaved);
    let mut random = Random(9);
    let (values, table) = (random.many::<i8>(5 * 7 * 4), random.many::<i8>(28));
    for layout in [
        Layout { row: 0, col: 0, chan: 1 },
        Layout { row: 0, col: 4, chan: 1 },
        Layout { row: 1, col: 0, chan: 0 },
        Layout { row: 0, col: 0, chan: 0 },
    ] {
        let b = Image { offset: 0, layout, ..a };
        let p = MulI8 {
            a,
            b,
            output,
            a_zero_point: 1,
            b_zero_point: -2,
            output_zero_point: 0,
            multiplier: 1 << 26,
            shift: 0,
            min: -128,
            max: 127,
        };
        let used = b.end();
        assert_eq!(p.check(&table[..used], ARENA), Ok(()));
        assert!(p.check(&table[..used - 1], ARENA).is_err() || used == 1);
        let mut mem = [Block::ZERO; BLOCKS];
        put(&mut mem, &a, 0..5, &values);
        mul_i8(&mut mem, &p, 0..5, &table[..used]);
        let mut expected = vec![];
        for (i, &x) in values.iter().enumerate() {
            let (y, col, c) = (i / 28, i / 4 % 7, i % 4);
            let right = table[y * layout.row + col * layout.col + c * layout.chan];
            let product = (x as i32 - 1) * (right as i32 + 2);
            expected.push(((product + 32) >> 6).clamp(-128, 127) as i8);
        }
        assert_eq!(get::<i8>(&mem, &output, 0..5), expected, "{layout:?}");
    }
}
