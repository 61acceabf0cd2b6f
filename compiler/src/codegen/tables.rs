//! Constant tables: decimal rows where they can be read, one file of bytes where they cannot.

use crate::kernels::ConstData;
use crate::program::{ConstId, Program};
use std::collections::BTreeMap;
use std::fmt::Write;

/// Tables of more values lie in the file of bytes: rustc needs 27 s for 3 MB of weights as tokens.
pub const LARGEST_DECIMAL: usize = 1024;

/// The bytes of all large tables, and where each lies in them.
#[derive(Debug, Default)]
pub struct Blob {
    /// Bytes, each table at a multiple of 16.
    pub bytes: Vec<u8>,
    offsets: BTreeMap<ConstId, usize>,
}

impl Blob {
    /// Collects the large tables of a program, each once.
    pub fn new(program: &Program) -> Blob {
        let mut blob = Blob::default();
        for step in &program.steps {
            for id in &step.consts {
                let data = &program.consts[id.0].data;
                if data.len() <= LARGEST_DECIMAL || blob.offsets.contains_key(id) {
                    continue;
                }
                blob.bytes.resize(blob.bytes.len().next_multiple_of(16), 0);
                blob.offsets.insert(*id, blob.bytes.len());
                blob.bytes.extend(data.to_bytes());
            }
        }
        blob
    }

    /// Where a table lies; `None` for small ones.
    pub fn offset(&self, id: ConstId) -> Option<usize> {
        self.offsets.get(&id).copied()
    }
}

/// A table as an array expression, in rows of at most `width` characters after `indent` spaces.
pub fn decimal(data: &ConstData, indent: usize, width: usize) -> String {
    let values: Vec<String> = match data {
        ConstData::I8(v) => v.iter().map(ToString::to_string).collect(),
        ConstData::U8(v) => v.iter().map(ToString::to_string).collect(),
        ConstData::I16(v) => v.iter().map(ToString::to_string).collect(),
        ConstData::U16(v) => v.iter().map(ToString::to_string).collect(),
        ConstData::I32(v) => v.iter().map(ToString::to_string).collect(),
        ConstData::U32(v) => v.iter().map(ToString::to_string).collect(),
        ConstData::I64(v) => v.iter().map(ToString::to_string).collect(),
        ConstData::F32(v) => v.iter().map(|x| float(*x)).collect(),
    };
    let line = values.join(", ");
    if line.len() + indent + 30 <= width {
        return format!("[{line}]");
    }
    let column = values.iter().map(String::len).max().unwrap_or(0);
    // Columns line up; a power of two of them, since that is what most layers have.
    let fit = ((width - indent - 4) / (column + 2)).max(1);
    let columns = if fit >= 32 { 32 } else { 1 << fit.ilog2() };
    let mut text = String::from("[\n");
    for row in values.chunks(columns) {
        let row: Vec<String> = row.iter().map(|v| format!("{v:>column$}")).collect();
        let _ = writeln!(text, "{:1$}{2},", "", indent + 4, row.join(", "));
    }
    let _ = write!(text, "{:indent$}]", "");
    text
}

/// A float literal that reads back as the same bits.
pub fn float(x: f32) -> String {
    if x.is_finite() { format!("{x:?}") } else { format!("f32::from_bits({})", x.to_bits()) }
}

/// Rust's name of a table's element type.
pub fn elem(data: &ConstData) -> &'static str {
    data.elem().name()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_line_up() {
        let text = decimal(&ConstData::I8((0..20).map(|x| x * 5 - 50).collect()), 4, 48);
        insta::assert_snapshot!(text, @r"
        [
                -50, -45, -40, -35, -30, -25, -20, -15,
                -10,  -5,   0,   5,  10,  15,  20,  25,
                 30,  35,  40,  45,
            ]
        ");
        assert_eq!(
            decimal(&ConstData::F32(vec![0.1, -0.0, 1e-40, 3e38]), 0, 100),
            "[0.1, -0.0, 1e-40, 3e38]"
        );
        assert_eq!(float(f32::NAN), "f32::from_bits(2143289344)");
    }
}
