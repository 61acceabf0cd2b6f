//! RV32IMC instructions, as the RISC-V unprivileged specification has them.

use super::image::Image;
use super::walk::{Flow, Instruction, Number, Stack};

const RA: u64 = 1;
const SP: u64 = 2;

/// The instruction at an address; none where there are no bytes.
pub fn decode(image: &Image, at: u64) -> Option<Instruction> {
    let half = u64::from(image.half(at)?);
    Some(if half & 3 == 3 { long(at, image.word(at)?) } else { short(at, half) })
}

/// Bits `from` up to `count` of a code, moved to bit `to`.
fn field(code: u64, from: u32, count: u32, to: u32) -> u64 {
    (code >> from & ((1 << count) - 1)) << to
}

fn signed(value: u64, bits: u32) -> i64 {
    (value << (64 - bits)) as i64 >> (64 - bits)
}

fn short(at: u64, code: u64) -> Instruction {
    let (to, from) = (field(code, 7, 5, 0), field(code, 2, 5, 0));
    let flows = |flow| Instruction::flows(2, flow);
    let six = signed(field(code, 12, 1, 5) | from, 6);
    let to_place = |offset: i64| at.wrapping_add_signed(offset);
    match (code & 3, code >> 13) {
        (0, 0) if code == 0 => flows(Flow::End), // unimp
        (1, 0) if to == SP => Instruction::grows(2, -six),
        (1, 3) if to == SP => {
            let scaled = field(code, 12, 1, 9)
                | field(code, 3, 2, 7)
                | field(code, 5, 1, 6)
                | field(code, 2, 1, 5)
                | field(code, 6, 1, 4);
            Instruction::grows(2, -signed(scaled, 10))
        }
        (1, 2) => Instruction::numbers(2, Number::Set(to as u8, six)), // li
        (1, 0) => Instruction::numbers(2, Number::Add(to as u8, six)), // addi
        (1, 3) => Instruction::numbers(2, Number::Set(to as u8, six << 12)), // lui
        (1, 1 | 5) => {
            let offset = field(code, 12, 1, 11)
                | field(code, 8, 1, 10)
                | field(code, 9, 2, 8)
                | field(code, 6, 1, 7)
                | field(code, 7, 1, 6)
                | field(code, 2, 1, 5)
                | field(code, 11, 1, 4)
                | field(code, 3, 3, 1);
            let target = to_place(signed(offset, 12));
            flows(if code >> 13 == 1 { Flow::Call(target) } else { Flow::Jump(target) })
        }
        (1, 6 | 7) => {
            let offset = field(code, 12, 1, 8)
                | field(code, 5, 2, 6)
                | field(code, 2, 1, 5)
                | field(code, 10, 2, 3)
                | field(code, 3, 2, 1);
            flows(Flow::Branch(to_place(signed(offset, 9))))
        }
        (2, 4) if from == 0 && to != 0 => match (code >> 12 & 1, to) {
            (0, RA) => flows(Flow::End),
            (0, _) => flows(Flow::JumpRegister(to as u8, 0)),
            _ => flows(Flow::CallRegister(to as u8, 0)),
        },
        (2, 4) if to == SP && code >> 12 & 1 == 1 => {
            Instruction { stack: Stack::AddRegister(from as u8, 1), ..Instruction::plain(2) }
        }
        _ => Instruction::plain(2),
    }
}

fn long(at: u64, code: u64) -> Instruction {
    let (to, from, other) = (field(code, 7, 5, 0), field(code, 15, 5, 0), field(code, 20, 5, 0));
    let (kind, twelve) = (field(code, 12, 3, 0), signed(code >> 20, 12));
    let flows = |flow| Instruction::flows(4, flow);
    match code & 0x7f {
        0x13 if kind == 0 && to == SP && from == SP => Instruction::grows(4, -twelve), // addi
        0x13 if kind == 0 && from == 0 => Instruction::numbers(4, Number::Set(to as u8, twelve)),
        0x13 if kind == 0 && to == from => Instruction::numbers(4, Number::Add(to as u8, twelve)),
        // lui, auipc
        0x37 => Instruction::numbers(4, Number::Set(to as u8, signed(code & 0xffff_f000, 32))),
        0x17 => {
            let number = at.wrapping_add_signed(signed(code & 0xffff_f000, 32));
            Instruction::numbers(4, Number::Set(to as u8, number as i64))
        }
        0x33 if kind == 0 && to == SP && from == SP => {
            let sign = if code >> 30 == 1 { -1 } else { 1 };
            Instruction { stack: Stack::AddRegister(other as u8, sign), ..Instruction::plain(4) }
        }
        0x6f => {
            let offset = field(code, 31, 1, 20)
                | field(code, 12, 8, 12)
                | field(code, 20, 1, 11)
                | field(code, 21, 10, 1);
            let target = at.wrapping_add_signed(signed(offset, 21));
            flows(if to == 0 { Flow::Jump(target) } else { Flow::Call(target) })
        }
        0x67 => flows(match (to, from) {
            (0, RA) => Flow::End,
            (0, _) => Flow::JumpRegister(from as u8, twelve),
            _ => Flow::CallRegister(from as u8, twelve),
        }),
        0x63 => {
            let offset =
                field(code, 31, 1, 12) | field(code, 7, 1, 11) | field(code, 25, 6, 5) | field(code, 8, 4, 1);
            flows(Flow::Branch(at.wrapping_add_signed(signed(offset, 13))))
        }
        _ => Instruction::plain(4),
    }
}
