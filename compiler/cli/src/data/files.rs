//! Folders with one file a sample and input: `.npy`, or ONNX `TensorProto` in `.pb`.

use super::{KINDS, extension, names, only_port, unreadable};
use crate::npy;
use kiln_compiler::diag::Diagnostic;
use kiln_compiler::onnx;
use kiln_compiler::program::Port;
use kiln_compiler::tensor::Tensor;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

/// Paths by sample and input.
#[derive(Debug)]
pub(super) struct Files(Vec<Vec<PathBuf>>);

impl Files {
    /// One `.pb` file is one sample.
    pub(super) fn one(path: &Path, ports: &[Port]) -> Result<Files, Diagnostic> {
        only_port(path, ports)?;
        Ok(Files(vec![vec![path.to_owned()]]))
    }

    /// The samples of a folder, see [`super::Dataset::open`].
    pub(super) fn find(folder: &Path, ports: &[Port]) -> Result<Files, Diagnostic> {
        let entries = entries(folder)?;
        let (folders, files): (Vec<PathBuf>, Vec<PathBuf>) = entries.into_iter().partition(|p| p.is_dir());
        let files: Vec<PathBuf> =
            files.into_iter().filter(|p| matches!(extension(p).as_str(), "npy" | "pb")).collect();
        if let Some(cases) = cases(&files, ports)? {
            return Ok(Files(cases));
        }
        if !files.is_empty() {
            only_port(folder, ports)?;
            return Ok(Files(files.into_iter().map(|f| vec![f]).collect()));
        }
        if let Some(inputs) = folder_per_input(folder, ports)? {
            return Ok(Files(inputs));
        }
        let mut samples = vec![];
        for folder in folders {
            let files: Vec<PathBuf> = self::entries(&folder)?.into_iter().filter(|p| p.is_file()).collect();
            samples.extend(cases(&files, ports)?.unwrap_or_default());
        }
        if samples.is_empty() {
            return Err(unreadable(folder, "the folder holds no samples").help(KINDS));
        }
        Ok(Files(samples))
    }

    pub(super) fn len(&self) -> usize {
        self.0.len()
    }

    pub(super) fn path(&self, sample: usize, input: usize) -> &Path {
        &self.0[sample][input]
    }

    pub(super) fn read(&self, sample: usize, input: usize) -> Result<Tensor, Diagnostic> {
        let path = self.path(sample, input);
        if extension(path) == "npy" {
            return npy::read(path).map_err(|e| Diagnostic::new("E0603", e));
        }
        let bytes = std::fs::read(path).map_err(|e| unreadable(path, e))?;
        onnx::read_tensor(&bytes).map_err(|d| d.fact("file", path.display()))
    }
}

/// What lies in a folder, in the order of the names, numbers in them by value: `x2` before `x10`.
pub(super) fn entries(folder: &Path) -> Result<Vec<PathBuf>, Diagnostic> {
    let listing = std::fs::read_dir(folder).and_then(|list| list.collect::<Result<Vec<_>, _>>());
    let mut paths: Vec<PathBuf> =
        listing.map_err(|e| unreadable(folder, e))?.into_iter().map(|e| e.path()).collect();
    paths.sort_by_cached_key(|path| {
        let name = path.file_name().map(|n| n.to_string_lossy().into_owned()).unwrap_or_default();
        (natural(&name), name)
    });
    Ok(paths)
}

/// A name as text and numbers in turn.
fn natural(name: &str) -> Vec<(String, u64)> {
    let mut parts = vec![(String::new(), 0u64)];
    let mut digits = false;
    for c in name.chars() {
        let digit = c.to_digit(10);
        if digit.is_none() && digits {
            parts.push((String::new(), 0));
        }
        digits = digit.is_some();
        if let Some(part) = parts.last_mut() {
            match digit {
                Some(d) => part.1 = part.1.saturating_mul(10).saturating_add(d as u64),
                None => part.0.push(c),
            }
        }
    }
    parts
}

/// Files called `input_INPUT.pb` (one sample) or `input_CASE_INPUT.npy`; other files beside them, outputs perhaps, do not count.
fn cases(files: &[PathBuf], ports: &[Port]) -> Result<Option<Vec<Vec<PathBuf>>>, Diagnostic> {
    let mut cases: BTreeMap<u64, BTreeMap<usize, PathBuf>> = BTreeMap::new();
    for file in files {
        let stem = file.file_stem().map(|s| s.to_string_lossy().into_owned()).unwrap_or_default();
        let numbers = stem.strip_prefix("input_").map(|s| s.split('_').map(str::parse::<u64>).collect());
        match numbers {
            Some(Ok::<Vec<u64>, _>(n)) if n.len() == 1 => {
                cases.entry(0).or_default().insert(n[0] as usize, file.clone());
            }
            Some(Ok(n)) if n.len() == 2 => {
                cases.entry(n[0]).or_default().insert(n[1] as usize, file.clone());
            }
            _ => {}
        }
    }
    if cases.is_empty() {
        return Ok(None);
    }
    let mut samples = vec![];
    for inputs in cases.into_values() {
        let first = inputs.values().next().cloned().unwrap_or_default();
        if inputs.len() != ports.len() || inputs.keys().enumerate().any(|(i, key)| i != *key) {
            return Err(Diagnostic::new("E0604", "a sample has files for other inputs than the model takes")
                .fact("sample", first.display())
                .fact("files", inputs.len())
                .fact("inputs", names(ports))
                .help("number the files from 0, in the order of the model's inputs"));
        }
        samples.push(inputs.into_values().collect());
    }
    Ok(Some(samples))
}

/// A folder named like each input, with as many files.
fn folder_per_input(folder: &Path, ports: &[Port]) -> Result<Option<Vec<Vec<PathBuf>>>, Diagnostic> {
    if !ports.iter().all(|p| folder.join(&p.name).is_dir()) {
        return Ok(None);
    }
    let mut lists = vec![];
    for port in ports {
        let files = entries(&folder.join(&port.name))?;
        let wanted = |p: &PathBuf| matches!(extension(p).as_str(), "npy" | "pb");
        lists.push(files.into_iter().filter(wanted).collect::<Vec<_>>());
    }
    let count = lists.first().map_or(0, Vec::len);
    if let Some((list, port)) = lists.iter().zip(ports).find(|(l, _)| l.len() != count) {
        return Err(Diagnostic::new("E0603", "the folders have different numbers of samples")
            .fact(&ports[0].name, count)
            .fact(&port.name, list.len()));
    }
    Ok(Some((0..count).map(|i| lists.iter().map(|l| l[i].clone()).collect()).collect()))
}
