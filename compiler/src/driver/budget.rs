//! Budgets: what a device has room for. A model that exceeds one is an error with a table of its layers, and what would help.

use super::report::Report;
use crate::diag::{Diagnostic, ending, grouped};

/// What a device has room for, in bytes; `None` sets no limit.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Budget {
    /// Memory of the model, exactly `size_of::<Model>()`: inputs, outputs, activations, scratch.
    pub ram: Option<usize>,
    /// Constant tables.
    pub flash: Option<usize>,
}

/// The code of the error.
pub const EXCEEDED: &str = "E0721";

/// A figure that a budget limits.
struct Limit {
    /// Its unit in a sentence.
    name: &'static str,
    needed: usize,
    budget: Option<usize>,
}

impl Limit {
    fn exceeded(&self) -> bool {
        self.budget.is_some_and(|budget| self.needed > budget)
    }
}

/// More layers than a table shows.
const ROWS: usize = 32;

impl Budget {
    /// Bytes from text: `32768`, `32K` or `32KiB` (1024 each), `1M` or `1MiB`.
    ///
    /// # Errors
    /// What is wrong with the text.
    pub fn bytes(text: &str) -> Result<usize, String> {
        let digits = text.chars().take_while(char::is_ascii_digit).count();
        let unit = match text[digits..].trim_start() {
            "" => Some(1),
            "K" | "k" | "KiB" => Some(1024),
            "M" | "MiB" => Some(1024 * 1024),
            _ => None,
        };
        let number = text[..digits].parse::<usize>().ok();
        number.zip(unit).and_then(|(number, unit)| number.checked_mul(unit)).ok_or_else(|| {
            format!("`{text}` is no number of bytes; write it like 32768, 32K (1024 each) or 1M")
        })
    }

    fn limits(&self, report: &Report) -> [Limit; 2] {
        [
            Limit { name: "RAM", needed: report.ram, budget: self.ram },
            Limit { name: "flash", needed: report.flash, budget: self.flash },
        ]
    }

    /// Whether a model stays within all budgets.
    pub fn holds(&self, report: &Report) -> bool {
        !self.limits(report).iter().any(Limit::exceeded)
    }

    /// How many bytes are missing, all budgets together.
    pub(super) fn missing(&self, report: &Report) -> usize {
        let over = |l: &Limit| l.needed.saturating_sub(l.budget.unwrap_or(usize::MAX));
        self.limits(report).iter().map(over).sum()
    }

    /// The error of a model that exceeds a budget: which, and by how much, layer by layer.
    pub(super) fn exceeded(&self, report: &Report) -> Option<Diagnostic> {
        let over = self.limits(report).into_iter().filter(Limit::exceeded);
        let text = |l: Limit| {
            let budget = grouped(l.budget.unwrap_or(0) as u64);
            format!("{} bytes of {}, where the budget is {budget}", grouped(l.needed as u64), l.name)
        };
        let text: Vec<String> = over.map(text).collect();
        if text.is_empty() {
            return None;
        }
        let mut diagnostic = Diagnostic::new(EXCEEDED, format!("the model needs {}", text.join(", and ")));
        for (name, value) in table(report, self) {
            diagnostic = diagnostic.fact(&name, value);
        }
        Some(diagnostic)
    }
}

/// A line for each layer: what it needs of memory, who holds that, and its tables. Of many, those that need most.
fn table(report: &Report, budget: &Budget) -> Vec<(String, String)> {
    let share = |n: usize, of: Option<usize>| of.map_or(0, |of| n * 1000 / of.max(1));
    let mut order: Vec<usize> = (0..report.layers.len()).collect();
    order.sort_by_key(|&i| {
        let layer = &report.layers[i];
        std::cmp::Reverse(share(layer.live, budget.ram).max(share(layer.tables, budget.flash)))
    });
    let mut shown = order[..order.len().min(ROWS)].to_vec();
    shown.sort_unstable();
    let header = format!("{:>9}  {:>9}  held by", "memory", "tables");
    let mut rows = vec![("layer".to_owned(), header)];
    for layer in shown.into_iter().map(|i| &report.layers[i]) {
        let over = if budget.ram.is_some_and(|ram| layer.live > ram) { '!' } else { ' ' };
        let held: Vec<String> =
            layer.held.iter().map(|(name, bytes)| format!("{} {bytes}", ending(name, 32))).collect();
        let line = format!("{:>9}{over} {:>9}  {}", layer.live, layer.tables, held.join(", "));
        rows.push((ending(&layer.name, 40), line.trim_end().to_owned()));
    }
    if order.len() > ROWS {
        rows.push(("..".to_owned(), format!("and {} layers that need less", order.len() - ROWS)));
    }
    rows
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_are_written_with_units_of_1024() {
        for (text, bytes) in [("32768", 32768), ("32K", 32768), ("1M", 1 << 20), ("2 KiB", 2048), ("0", 0)] {
            assert_eq!(Budget::bytes(text), Ok(bytes), "{text}");
        }
        for text in ["", "K", "32 kB", "-1", "1.5K", "32KB", "99999999999999999999", "18446744073709551615M"]
        {
            assert!(Budget::bytes(text).unwrap_err().contains(text), "{text}");
        }
    }
}
