//! The zoo of real models: `KILN_ZOO` names its folder, `zoo.tsv` what each model must show.

use kiln_cli::npy;
use kiln_compiler::tensor::{ElemType, Tensor};
use std::path::{Path, PathBuf};

/// What a model must show against its golden outputs.
#[derive(Debug, Clone, PartialEq)]
pub enum Rule {
    /// `|ours - golden| <= 1e-5 + 1e-4 * |golden|`, as numpy's `allclose` and ONNX's own tests compare.
    Relative,
    /// Integer outputs within this many steps, and the same argmax where the golden's two best are further apart.
    Steps(f64),
    /// Float outputs within this distance, and the same argmax where the golden's two best are further apart.
    Absolute(f64),
    /// At least this signal-to-noise ratio, in dB, over all cases.
    Snr(f64),
    /// The importer refuses it with a diagnostic that contains this text.
    Unsupported(String),
}

/// A model of the zoo.
#[derive(Debug, Clone)]
pub struct Entry {
    /// Its folder's name.
    pub name: String,
    /// Its folder.
    pub dir: PathBuf,
    /// What it must show.
    pub rule: Rule,
}

/// One golden case.
#[derive(Debug, Clone)]
pub struct Case {
    /// Inputs in the order of the model.
    pub inputs: Vec<Tensor>,
    /// Expected outputs in the order of the model.
    pub outputs: Vec<Tensor>,
}

/// The zoo's models, `None` where `KILN_ZOO` is not set.
///
/// # Panics
/// When a folder lacks a line in `zoo.tsv` or the other way round: a model that is dropped in must be judged.
pub fn entries() -> Option<Vec<Entry>> {
    let Some(root) = std::env::var_os("KILN_ZOO").map(PathBuf::from) else {
        println!("skipped: KILN_ZOO does not name the folder of real models");
        return None;
    };
    let table = include_str!("../zoo.tsv");
    let lines = table.lines().filter(|l| !l.starts_with('#') && !l.is_empty());
    let entries: Vec<Entry> = lines.map(|line| entry(&root, line)).collect();
    let folders = std::fs::read_dir(&root).unwrap_or_else(|e| panic!("{}: {e}", root.display()));
    for folder in folders.flatten().filter(|f| f.path().join("model.onnx").exists()) {
        let name = folder.file_name();
        assert!(entries.iter().any(|e| *e.name == *name), "{name:?} has no line in codegen-tests/zoo.tsv");
    }
    Some(entries)
}

fn entry(root: &Path, line: &str) -> Entry {
    let fields: Vec<&str> = line.split('\t').collect();
    let number = || fields[2].parse().unwrap_or_else(|_| panic!("no number in `{line}`"));
    let rule = match fields[1] {
        "relative" => Rule::Relative,
        "steps" => Rule::Steps(number()),
        "absolute" => Rule::Absolute(number()),
        "snr" => Rule::Snr(number()),
        "unsupported" => Rule::Unsupported(fields[2].to_string()),
        other => panic!("unknown rule `{other}` in `{line}`"),
    };
    Entry { name: fields[0].to_string(), dir: root.join(fields[0]), rule }
}

impl Entry {
    /// The model file.
    pub fn model(&self) -> PathBuf {
        self.dir.join("model.onnx")
    }

    /// All golden cases. QOperator models are compared with their exact QDQ rewrite, where there is one.
    ///
    /// # Errors
    /// When a file cannot be read.
    pub fn cases(&self) -> Result<Vec<Case>, String> {
        let files = |kind: &str, case: usize| -> Result<Vec<Tensor>, String> {
            (0..)
                .map(|index| self.dir.join(format!("{kind}_{case}_{index}.npy")))
                .take_while(|path| path.exists())
                .map(|path| npy::read(&path))
                .collect()
        };
        let mut cases = vec![];
        for case in 0.. {
            let inputs = files("input", case)?;
            if inputs.is_empty() {
                break;
            }
            let exact = files("output_qdqref", case)?;
            let outputs = if exact.is_empty() { files("output", case)? } else { exact };
            cases.push(Case { inputs, outputs });
        }
        Ok(cases)
    }
}

/// What a model showed.
#[derive(Debug, Clone, PartialEq)]
pub struct Outcome {
    /// The measured figure, in the rule's unit.
    pub figure: f64,
    /// What broke the rule; empty when it holds.
    pub failures: Vec<String>,
}

/// Judges (computed, golden) pairs of outputs.
pub fn judge(rule: &Rule, pairs: &[(Tensor, Tensor)]) -> Outcome {
    let mut outcome = Outcome { figure: 0.0, failures: vec![] };
    let (mut signal, mut noise) = (0.0, 0.0);
    for (i, (ours, golden)) in pairs.iter().enumerate() {
        if ours.ty() != golden.ty() {
            outcome.failures.push(format!("output {i} is {}, golden {}", ours.ty(), golden.ty()));
            continue;
        }
        let (a, b) = (ours.to_f64s(), golden.to_f64s());
        let worst = a.iter().zip(&b).map(|(a, b)| (a - b).abs()).fold(0.0, f64::max);
        match rule {
            Rule::Relative => {
                let excess = |(a, b): (&f64, &f64)| (a - b).abs() / (1e-5 + 1e-4 * b.abs());
                outcome.figure = a.iter().zip(&b).map(excess).fold(outcome.figure, f64::max);
            }
            Rule::Steps(limit) | Rule::Absolute(limit) => {
                outcome.figure = worst.max(outcome.figure);
                let (best, second) = two_best(&b);
                if b.len() > 1 && b[best] - b[second] > *limit && two_best(&a).0 != best {
                    outcome.failures.push(format!("output {i}: argmax {} instead of {best}", two_best(&a).0));
                }
            }
            Rule::Snr(_) => {
                signal += b.iter().map(|b| b * b).sum::<f64>();
                noise += a.iter().zip(&b).map(|(a, b)| (a - b).powi(2)).sum::<f64>();
                outcome.figure = 10.0 * (signal / noise).log10();
            }
            Rule::Unsupported(_) => {}
        }
        if a.iter().any(|x| x.is_nan()) || (golden.elem() == ElemType::F32 && worst.is_nan()) {
            outcome.failures.push(format!("output {i} is not a number"));
        }
    }
    let broken = match rule {
        Rule::Relative => outcome.figure > 1.0,
        Rule::Steps(limit) | Rule::Absolute(limit) => outcome.figure > *limit,
        Rule::Snr(limit) => outcome.figure.is_nan() || outcome.figure < *limit,
        Rule::Unsupported(_) => false,
    };
    if broken {
        outcome.failures.push(format!("{:.4} breaks {rule:?}", outcome.figure));
    }
    outcome
}

/// Indices of the two largest values; the first of equals.
fn two_best(values: &[f64]) -> (usize, usize) {
    let mut order: Vec<usize> = (0..values.len()).collect();
    order.sort_by(|&a, &b| values[b].total_cmp(&values[a]).then(a.cmp(&b)));
    (order[0], order.get(1).copied().unwrap_or(order[0]))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rules_can_fail() {
        let t = |v: &[i8]| Tensor::from_i8(&[v.len()], v);
        assert!(judge(&Rule::Steps(1.0), &[(t(&[1, 2]), t(&[2, 2]))]).failures.is_empty());
        assert!(!judge(&Rule::Steps(1.0), &[(t(&[1, 4]), t(&[3, 4]))]).failures.is_empty());
        assert!(!judge(&Rule::Steps(9.0), &[(t(&[9, 5]), t(&[0, 10]))]).failures.is_empty());
        let f = |v: &[f32]| Tensor::from_f32(&[v.len()], v);
        assert!(!judge(&Rule::Relative, &[(f(&[1.0]), f(&[1.001]))]).failures.is_empty());
        assert!(!judge(&Rule::Snr(25.0), &[(f(&[1.0]), f(&[1.1]))]).failures.is_empty());
        assert!(!judge(&Rule::Snr(25.0), &[(f(&[f32::NAN]), f(&[1.1]))]).failures.is_empty());
    }
}
