//! Thumb instructions: Armv6-M to Armv8.1-M, as the Arm Architecture Reference Manuals have them.

use super::image::Image;
use super::walk::{Flow, Instruction, Number, Stack};

const SP: u16 = 13;
const LR: u16 = 14;
const PC: u16 = 15;

/// The instruction at an address; none where there are no bytes.
pub fn decode(image: &Image, at: u64) -> Option<Instruction> {
    let first = image.half(at)?;
    // 11101, 11110 and 11111 begin an instruction of two halves.
    if first < 0xe800 {
        return Some(short(image, at, first));
    }
    Some(long(image, at, first, image.half(at + 2)?))
}

/// `value`, of `bits` bits, with its sign.
fn signed(value: u64, bits: u32) -> i64 {
    (value << (64 - bits)) as i64 >> (64 - bits)
}

fn relative(at: u64, offset: i64) -> u64 {
    at.wrapping_add(4).wrapping_add_signed(offset)
}

fn bits(list: u16) -> i64 {
    4 * i64::from(list.count_ones())
}

fn short(image: &Image, at: u64, code: u16) -> Instruction {
    let low = u64::from(code & 0xff);
    let flows = |flow| Instruction::flows(2, flow);
    match code {
        0xb400..=0xb5ff => Instruction::grows(2, bits(code & 0x1ff)), // push
        0xbc00..=0xbcff => Instruction::grows(2, -bits(code & 0xff)), // pop
        0xbd00..=0xbdff => flows(Flow::End),
        0xb000..=0xb07f => Instruction::grows(2, -4 * i64::from(code & 0x7f)), // add sp
        0xb080..=0xb0ff => Instruction::grows(2, 4 * i64::from(code & 0x7f)),  // sub sp
        0xde00..=0xdeff => flows(Flow::End),                                   // udf
        0xd000..=0xddff => flows(Flow::Branch(relative(at, signed(low, 8) * 2))),
        0xe000..=0xe7ff => flows(Flow::Jump(relative(at, signed(u64::from(code & 0x7ff), 11) * 2))),
        _ if code & 0xf500 == 0xb100 => {
            // cbz, cbnz
            let offset = u64::from(code >> 9 & 1) << 6 | u64::from(code >> 3 & 0x1f) << 1;
            flows(Flow::Branch(relative(at, offset as i64)))
        }
        0xbf00..=0xbfff if code & 0xf != 0 => {
            // it
            let conditional = 4 - (code & 0xf).trailing_zeros() as u8;
            Instruction { conditional, ..Instruction::plain(2) }
        }
        0x4700..=0x477f if code >> 3 & 15 == LR => flows(Flow::End),
        0x4700..=0x477f => flows(Flow::JumpRegister((code >> 3 & 15) as u8, 0)), // bx
        0x4780..=0x47ff => flows(Flow::CallRegister((code >> 3 & 15) as u8, 0)), // blx
        0x4400..=0x44ff | 0x4600..=0x46ff => high(code),
        0x4800..=0x4fff => {
            // ldr from a literal
            literal(image, 2, (code >> 8 & 7) as u8, ((at + 4) & !3) + low * 4)
        }
        0x2000..=0x27ff => Instruction::numbers(2, Number::Set((code >> 8 & 7) as u8, low as i64)), // movs
        _ => Instruction::plain(2),
    }
}

/// Loads a register from a word of the program.
fn literal(image: &Image, len: u64, register: u8, at: u64) -> Instruction {
    let number = image.word(at).map_or(Number::Other, |word| Number::Set(register, signed(word, 32)));
    Instruction::numbers(len, number)
}

/// `add` and `mov` with any register.
fn high(code: u16) -> Instruction {
    let (to, from) = (code >> 4 & 8 | code & 7, code >> 3 & 15);
    let adds = code < 0x4500;
    match to {
        SP if adds => Instruction { stack: Stack::AddRegister(from as u8, 1), ..Instruction::plain(2) },
        // From a frame pointer, or a stack that was aligned to 16 bytes, which takes up to 8 more.
        SP => Instruction::grows(2, 8),
        PC if from == LR && !adds => Instruction::flows(2, Flow::End),
        PC => Instruction::flows(2, Flow::JumpTable),
        _ => Instruction::plain(2),
    }
}

fn long(image: &Image, at: u64, first: u16, second: u16) -> Instruction {
    let flows = |flow| Instruction::flows(4, flow);
    let grows = |bytes: i64| Instruction::grows(4, bytes);
    let to = second >> 8 & 15;
    match first {
        0xe92d => grows(bits(second)),                   // stmdb sp!
        0xe8bd if second >> 15 == 1 => flows(Flow::End), // ldmia sp!
        0xe8bd => grows(-bits(second)),
        0xf84d if second & 0xf00 == 0xd00 => grows(i64::from(second & 0xff)), // str [sp, #-n]!
        0xf85d if second & 0xff00 == 0xfb00 => flows(Flow::End),              // ldr pc, [sp], #n
        0xf85d if second & 0xf00 == 0xb00 => grows(-i64::from(second & 0xff)),
        0xe96d => grows(4 * i64::from(second & 0xff)), // strd [sp, #-n]!
        0xe8fd => grows(-4 * i64::from(second & 0xff)), // ldrd [sp], #n
        _ if first & 0xffbf == 0xed2d => grows(4 * i64::from(second & 0xff)), // vpush
        _ if first & 0xffbf == 0xecbd => grows(-4 * i64::from(second & 0xff)), // vpop
        _ if first & 0xfff0 == 0xe8d0 && second & 0xffe0 == 0xf000 => flows(Flow::JumpTable), // tbb, tbh
        0xebad if to == SP => register(second, -1),    // sub sp, sp, r
        0xeb0d if to == SP => register(second, 1),
        _ if first & 0xfe00 == 0xf800 && first & 0x50 == 0x50 && second >> 12 == PC && first & 0xf != SP => {
            flows(Flow::JumpRegister(PC as u8, 0)) // ldr pc, [..]
        }
        0xf85f | 0xf8df => {
            let offset = i64::from(second & 0xfff) * if first == 0xf8df { 1 } else { -1 };
            literal(image, 4, (second >> 12) as u8, ((at + 4) & !3).wrapping_add_signed(offset))
        }
        0xf000..=0xf7ff if second >> 15 == 1 => branch(at, first, second),
        0xf000..=0xf7ff => immediate(first, second),
        _ => Instruction::plain(4),
    }
}

/// Adds a register to the stack pointer, or takes it away; a shifted one is not known.
fn register(second: u16, sign: i64) -> Instruction {
    let register = if second & 0x70f0 == 0 { second & 15 } else { PC };
    Instruction { stack: Stack::AddRegister(register as u8, sign), ..Instruction::plain(4) }
}

fn branch(at: u64, first: u16, second: u16) -> Instruction {
    let (first, second) = (u64::from(first), u64::from(second));
    let (sign, j1, j2) = (first >> 10 & 1, second >> 13 & 1, second >> 11 & 1);
    let far = || {
        let (i1, i2) = (1 ^ j1 ^ sign, 1 ^ j2 ^ sign);
        let offset = sign << 24 | i1 << 23 | i2 << 22 | (first & 0x3ff) << 12 | (second & 0x7ff) << 1;
        relative(at, signed(offset, 25))
    };
    let flow = match second & 0x5000 {
        0x5000 => Flow::Call(far()),
        0x1000 => Flow::Jump(far()),
        0x0000 if first >> 6 & 15 < 14 => {
            let offset = sign << 20 | j2 << 19 | j1 << 18 | (first & 0x3f) << 12 | (second & 0x7ff) << 1;
            Flow::Branch(relative(at, signed(offset, 21)))
        }
        // Barriers and hints; loops of Armv8.1-M, whose bodies a path has entered from above.
        _ => Flow::Next,
    };
    Instruction::flows(4, flow)
}

/// Data processing with a number in the instruction: `add`, `sub` of the stack pointer, `mov`.
fn immediate(first: u16, second: u16) -> Instruction {
    let (to, from) = (second >> 8 & 15, first & 15);
    let twelve =
        u64::from(first >> 10 & 1) << 11 | u64::from(second >> 12 & 7) << 8 | u64::from(second & 0xff);
    let sixteen = u64::from(from) << 12 | twelve;
    let sets = |number: i64| Instruction::numbers(4, Number::Set(to as u8, number));
    let sp = |number: u64, sign: i64| match from {
        SP => Instruction::grows(4, sign * number as i64),
        _ => Instruction::plain(4), // from a frame pointer: takes back
    };
    match first & 0xfbf0 {
        0xf1a0 if to == SP => sp(expanded(twelve), 1),
        0xf2a0 if to == SP => sp(twelve, 1),
        0xf100 if to == SP => sp(expanded(twelve), -1),
        0xf200 if to == SP => sp(twelve, -1),
        0xf240 => sets(sixteen as i64),
        0xf2c0 => Instruction::numbers(4, Number::SetHigh(to as u8, sixteen as i64)),
        0xf040 if from == PC => sets(signed(expanded(twelve), 32)),
        _ => Instruction::plain(4),
    }
}

/// ThumbExpandImm: what twelve bits of a modified immediate stand for.
fn expanded(twelve: u64) -> u64 {
    let byte = twelve & 0xff;
    match twelve >> 8 {
        0 => byte,
        1 => byte << 16 | byte,
        2 => byte << 24 | byte << 8,
        3 => byte << 24 | byte << 16 | byte << 8 | byte,
        _ => u64::from((twelve as u32 & 0x7f | 0x80).rotate_right((twelve >> 7) as u32)),
    }
}
