//! The micro-kernel of dense layers: four outputs, whose weights lie in four rows.
//!
//! Cortex-M0+ and M23 run assembly:
//!
//! ```text
//! r0  x    r1..r4  rows of weights    r5  feature    r6  value    r7  product    r8..r11  sums    r12  features in blocks    lr  and in all
//!
//! a feature, 4 MACs in 14:    r6 = r0[r5];  r7 = r1[r5] * r6;  r8 += r7;  ...  r11 += r7;  r5 += 1
//! ```

/// `sum of x[i] * weights[k * n + i]` for `k` in 0 to 3 and the `n` values of `x`; zeros when the lengths do not fit.
#[inline(always)]
pub(super) fn sums(x: &[i8], weights: &[i8]) -> [i32; 4] {
    if x.is_empty() || weights.len() < 4 * x.len() {
        return [0; 4];
    }
    imp::sums(x, weights)
}

#[cfg(not(kiln_short_products))]
mod imp {
    /// Features of a pass.
    const PASS: usize = 4;

    #[inline(never)]
    pub fn sums(x: &[i8], weights: &[i8]) -> [i32; 4] {
        let n = x.len();
        let row = |k: usize| weights.get(k * n..(k + 1) * n).unwrap_or(&[]).as_chunks::<PASS>();
        let ((x, x_rest), (a, a_rest), (b, b_rest)) = (x.as_chunks::<PASS>(), row(0), row(1));
        let ((c, c_rest), (d, d_rest)) = (row(2), row(3));
        let mut sums = [0; 4];
        for ((((x, a), b), c), d) in x.iter().zip(a).zip(b).zip(c).zip(d) {
            add(&mut sums, x, [a, b, c, d]);
        }
        let rest = x_rest.iter().zip(a_rest).zip(b_rest).zip(c_rest).zip(d_rest);
        for ((((&x, &a), &b), &c), &d) in rest {
            add(&mut sums, &[x], [&[a], &[b], &[c], &[d]]);
        }
        sums
    }

    #[inline(always)]
    fn add<const N: usize>(sums: &mut [i32; 4], x: &[i8; N], rows: [&[i8; N]; 4]) {
        for (sum, row) in sums.iter_mut().zip(rows) {
            for (&x, &w) in x.iter().zip(row) {
                *sum = sum.wrapping_add(i32::from(x) * i32::from(w));
            }
        }
    }
}

#[cfg(kiln_short_products)]
#[allow(unsafe_code)]
mod imp {
    /// The arguments of the assembly, in the order in which it loads them.
    #[repr(C)]
    struct Args {
        rows: [*const i8; 4],
        /// Features, and those of them that are whole blocks of four.
        features: usize,
        blocks: usize,
    }

    #[inline(always)]
    pub fn sums(x: &[i8], weights: &[i8]) -> [i32; 4] {
        let n = x.len();
        let rows = [0, 1, 2, 3].map(|k| weights.as_ptr().wrapping_add(k * n));
        let mut sums = [0; 4];
        let args = Args { rows, features: n, blocks: n / 4 * 4 };
        // SAFETY: there are features, and four times as many weights; the assembly reads those and writes `sums`.
        unsafe { four_rows(x.as_ptr(), core::hint::black_box(&args), core::hint::black_box(&mut sums)) }
        sums
    }

    /// One feature.
    macro_rules! feature {
        () => {
            "ldrsb r6, [r0, r5]\n ldrsb r7, [r1, r5]\n muls r7, r6, r7\n add r8, r7\n ldrsb r7, [r2, r5]\n muls r7, r6, r7\n add r9, r7\n ldrsb r7, [r3, r5]\n muls r7, r6, r7\n add r10, r7\n ldrsb r7, [r4, r5]\n muls r7, r6, r7\n add r11, r7\n adds r5, #1\n"
        };
    }

    #[unsafe(naked)]
    unsafe extern "C" fn four_rows(x: *const i8, args: *const Args, sums: *mut [i32; 4]) {
        core::arch::naked_asm!(
            "push {{r2, r4-r7, lr}}",
            "mov r4, r8",
            "mov r5, r9",
            "mov r6, r10",
            "mov r7, r11",
            "push {{r4-r7}}",
            "ldr r5, [r1, #16]",
            "ldr r6, [r1, #20]",
            "mov lr, r5",
            "mov r12, r6",
            "movs r5, #0",
            "mov r8, r5",
            "mov r9, r5",
            "mov r10, r5",
            "mov r11, r5",
            "ldmia r1, {{r1, r2, r3, r4}}",
            "cmp r5, r12",
            "beq 20f",
            "10:",
            feature!(),
            feature!(),
            feature!(),
            feature!(),
            "cmp r5, r12",
            "bne 10b",
            "20:",
            "cmp r5, lr",
            "beq 30f",
            feature!(),
            "b 20b",
            "30:",
            "ldr r0, [sp, #16]",
            "mov r1, r8",
            "mov r2, r9",
            "mov r3, r10",
            "mov r4, r11",
            "stmia r0!, {{r1, r2, r3, r4}}",
            "pop {{r4-r7}}",
            "mov r8, r4",
            "mov r9, r5",
            "mov r10, r6",
            "mov r11, r7",
            "pop {{r2, r4-r7, pc}}",
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn four_rows_are_summed() {
        let weights: [i8; 45] = core::array::from_fn(|i| (i * 37 % 256) as u8 as i8);
        for n in 1..=11 {
            let x: [i8; 11] = core::array::from_fn(|i| if i % 3 == 0 { -128 } else { 127 - i as i8 });
            let exact = [0, 1, 2, 3].map(|k| {
                let row = &weights[k * n..];
                x[..n].iter().zip(row).map(|(&x, &w)| i32::from(x) * i32::from(w)).sum::<i32>()
            });
            assert_eq!(sums(&x[..n], &weights), exact, "{n}");
        }
        assert_eq!(sums(&[1; 12], &weights), [0; 4]);
    }
}
