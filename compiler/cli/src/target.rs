//! Targets by name, and the kernels that they have.

use clap::Args;
use kiln_compiler::driver::Budget;
use kiln_runtime_core::{FAMILY, Family};

/// Cores, the beginnings of their triples, and their kernels, as the build script of `kiln-runtime-core` decides them.
const TARGETS: &[(&[&str], &str, Family)] = &[
    (&["any"], "", Family::Plain),
    (&["host"], "", FAMILY),
    (&["cortex-m0", "cortex-m0plus", "m0", "m0plus"], "thumbv6m", Family::Scalar),
    (&["cortex-m3", "m3"], "thumbv7m-", Family::Scalar),
    (&["cortex-m4", "m4", "cortex-m7", "m7"], "thumbv7em", Family::Dsp),
    (&["cortex-m33", "m33"], "thumbv8m.main", Family::Dsp),
    (&["cortex-m55", "m55", "cortex-m85", "m85"], "", Family::Mve), // their triple is that of the M33
    (&["rv32imc", "riscv32"], "riscv32", Family::Scalar),
    (&["cortex-m23", "m23"], "thumbv8m.base", Family::Scalar),
    (&["wasm32"], "wasm32", Family::Simd),
    (&["x86_64"], "x86_64", Family::Simd),
    (&["aarch64", "cortex-a53", "a53", "cortex-a72", "a72"], "aarch64", Family::Simd),
];

/// The device that a model is compiled for.
#[derive(Debug, Clone, Args)]
pub struct TargetArgs {
    /// Device: cortex-m0plus, m3, m4, m7, m33, m55, rv32imc, aarch64, wasm32 (with simd128), host, or a triple. Code for
    /// `any` runs everywhere; code for a core with faster kernels needs them, and gives the same bits
    #[arg(long, default_value = "any")]
    pub target: String,
}

impl TargetArgs {
    /// The kernels of the device.
    ///
    /// # Errors
    /// When nothing is known by that name.
    pub fn family(&self) -> Result<Family, String> {
        family(&self.target)
    }
}

/// What the device has room for, in a linked program.
#[derive(Debug, Clone, Copy, Args)]
pub struct LinkedBudgetArgs {
    /// What the compiler checks, too.
    #[command(flatten)]
    pub model: BudgetArgs,
    /// Stack that the model may take: the bound of the linked program counts
    #[arg(long, value_name = "BYTES", value_parser = Budget::bytes)]
    pub stack: Option<usize>,
}

impl LinkedBudgetArgs {
    /// What exceeds the budgets, of a program with so many bytes of flash for code and tables, and that bound of its stack.
    pub fn exceeded(&self, flash: u64, stack: &Result<u64, String>) -> Vec<String> {
        let over = |name: &str, needed: u64, budget: Option<usize>| {
            let budget = budget.filter(|&budget| needed > budget as u64)?;
            Some(format!("the linked model takes {needed} bytes of {name}, where the budget is {budget}"))
        };
        let stack = match (stack, self.stack) {
            (Ok(bytes), budget) => over("stack", *bytes, budget),
            (Err(reason), Some(_)) => Some(format!("the stack of the linked model has no bound: {reason}")),
            (Err(_), None) => None,
        };
        over("flash", flash, self.model.flash).into_iter().chain(stack).collect()
    }
}

/// What the device has room for.
#[derive(Debug, Clone, Copy, Args)]
pub struct BudgetArgs {
    /// Memory that the model may take, for instance 32K (1024 bytes each); more is an error
    #[arg(long, value_name = "BYTES", value_parser = Budget::bytes)]
    ram: Option<usize>,
    /// Flash that the model's tables may take; `kiln bench` counts its code, too
    #[arg(long, value_name = "BYTES", value_parser = Budget::bytes)]
    flash: Option<usize>,
}

impl From<BudgetArgs> for Budget {
    fn from(args: BudgetArgs) -> Budget {
        Budget { ram: args.ram, flash: args.flash }
    }
}

/// The kernels of a target, by name or triple. A triple of another system has the plain ones.
///
/// # Errors
/// When it is neither a known name nor has the form of a triple.
pub fn family(name: &str) -> Result<Family, String> {
    let listed = TARGETS.iter().find(|(names, triple, _)| {
        names.contains(&name) || !triple.is_empty() && name.contains('-') && name.starts_with(triple)
    });
    match listed {
        Some((_, _, family)) => Ok(*family),
        None if name.matches('-').count() >= 2 => Ok(Family::Plain),
        None => {
            let known: Vec<_> = TARGETS.iter().filter_map(|(names, ..)| names.first()).copied().collect();
            Err(format!(
                "error: no target is called `{name}`\n   = help: use {}, or a target triple",
                known.join(", ")
            ))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn linked_programs_are_held_to_their_budgets() {
        let model = BudgetArgs { ram: None, flash: Some(1000) };
        let budget = LinkedBudgetArgs { model, stack: Some(100) };
        assert!(budget.exceeded(1000, &Ok(100)).is_empty());
        let both = budget.exceeded(1001, &Ok(101));
        assert!(
            both[0].contains("1001 bytes of flash") && both[1].contains("101 bytes of stack"),
            "{both:?}"
        );
        let none = Err("it may call itself".to_owned());
        assert!(budget.exceeded(0, &none)[0].ends_with("no bound: it may call itself"));
        assert!(LinkedBudgetArgs { model, stack: None }.exceeded(0, &none).is_empty());
    }

    #[test]
    fn names_and_triples_have_their_kernels() {
        for dsp in ["m4", "cortex-m7", "thumbv7em-none-eabi", "thumbv8m.main-none-eabihf"] {
            assert_eq!(family(dsp), Ok(Family::Dsp), "{dsp}");
        }
        for mve in ["m55", "cortex-m85"] {
            assert_eq!(family(mve), Ok(Family::Mve), "{mve}");
        }
        for scalar in ["m0plus", "m3", "thumbv7m-none-eabi", "rv32imc", "riscv32imac-unknown-none-elf"] {
            assert_eq!(family(scalar), Ok(Family::Scalar), "{scalar}");
        }
        for simd in ["wasm32", "x86_64-unknown-linux-gnu", "aarch64-apple-darwin", "wasm32-unknown-unknown"] {
            assert_eq!(family(simd), Ok(Family::Simd), "{simd}");
        }
        assert_eq!(family("host"), Ok(FAMILY));
        for plain in ["any", "armv7-unknown-linux-gnueabihf"] {
            assert_eq!(family(plain), Ok(Family::Plain), "{plain}");
        }
        assert!(family("m5").unwrap_err().contains("cortex-m4"));
    }
}
