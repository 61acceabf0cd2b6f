//! Arrays with the samples along their first axis, in `.npy` and `.npz` files.

use super::fit::{self, Layout};
use super::{names, only_port, unreadable};
use crate::npy::{self, Header};
use kiln_compiler::diag::Diagnostic;
use kiln_compiler::program::Port;
use kiln_compiler::tensor::Tensor;
use std::fs::File;
use std::io::{Read, Seek, SeekFrom};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

/// Names of the samples in an archive for a model with one input, and of the labels that go with them.
const SINGLE: &[&str] = &[
    "x", "x_test", "x_calib", "x_val", "x_train", "X", "X_test", "input", "inputs", "data", "images", "arr_0",
];
const LABELS: &[&str] =
    &["y", "y_test", "y_val", "y_train", "Y", "Y_test", "label", "labels", "target", "targets"];

/// An array whose values stay in the file.
#[derive(Debug)]
pub(super) struct Array {
    path: PathBuf,
    file: Mutex<File>,
    /// Byte offset of the first value.
    start: u64,
    header: Header,
    len: usize,
    shape: Vec<usize>,
}

impl Array {
    /// `name` is that of an array in an archive.
    fn new(
        path: &Path,
        name: Option<&str>,
        (file, start, header): (File, u64, Header),
        port: &Port,
        layout: Option<Layout>,
    ) -> Result<Array, Diagnostic> {
        let given = &header.ty.shape;
        let fits = |shape: &[usize]| fit::order(shape, port, layout).is_some();
        let (len, shape) = match given.split_first() {
            Some((&len, rest)) if fits(rest) => (len, rest.to_vec()),
            // One sample, without an axis of samples.
            _ if fits(given) => (1, given.clone()),
            split => {
                let rest = split.map_or(&given[..], |(_, rest)| rest);
                let array = name.map_or(String::new(), |n| format!(", array `{n}`"));
                return Err(
                    fit::refuse(&header.ty, rest, port).fact("data", format!("{}{array}", path.display()))
                );
            }
        };
        let bytes = header.bytes().map_err(|e| unreadable(path, e))? as u64;
        let size = file.metadata().map_err(|e| unreadable(path, e))?.len();
        if size.saturating_sub(start) < bytes {
            return Err(unreadable(path, "the file is truncated")
                .fact("expected", format!("{bytes} bytes of values"))
                .fact("found", format!("{} bytes", size.saturating_sub(start)))
                .help("copy or make it again"));
        }
        Ok(Array { path: path.to_owned(), file: Mutex::new(file), start, header, len, shape })
    }

    pub(super) fn len(&self) -> usize {
        self.len
    }

    /// Sample `i`, in the shape of the file.
    pub(super) fn sample(&self, i: usize) -> Result<Tensor, Diagnostic> {
        let size = self.shape.iter().product::<usize>() * self.header.ty.elem.size();
        let mut bytes = vec![0; size];
        {
            let mut file = self.file.lock().unwrap_or_else(PoisonError::into_inner);
            let at = self.start + i as u64 * size as u64;
            let read = file.seek(SeekFrom::Start(at)).and_then(|_| file.read_exact(&mut bytes));
            read.map_err(|e| unreadable(&self.path, e))?;
        }
        self.header.tensor(&self.shape, bytes).map_err(|e| unreadable(&self.path, e))
    }
}

pub(super) fn open_npy(path: &Path, ports: &[Port], layout: Option<Layout>) -> Result<Array, Diagnostic> {
    let port = only_port(path, ports)?;
    Array::new(path, None, header_of(path)?, port, layout)
}

fn header_of(path: &Path) -> Result<(File, u64, Header), Diagnostic> {
    let mut file = File::open(path).map_err(|e| unreadable(path, e))?;
    let header = Header::read(&mut file).map_err(|e| unreadable(path, e))?;
    let start = file.stream_position().map_err(|e| unreadable(path, e))?;
    Ok((file, start, header))
}

/// The arrays of all inputs, and the labels if there are some.
pub(super) fn open_npz(
    path: &Path,
    ports: &[Port],
    layout: Option<Layout>,
) -> Result<(Vec<Array>, Option<Tensor>), Diagnostic> {
    let present = members(path)?;
    let has = |name: &&str| present.iter().any(|p| p == name);
    let label = LABELS.iter().find(|n| has(n) && ports.iter().all(|p| p.name != **n));
    let mut arrays = vec![];
    for port in ports {
        let single = || SINGLE.iter().copied().find(has).filter(|_| ports.len() == 1);
        let name = Some(port.name.as_str()).filter(has).or_else(single);
        let others = || present.iter().map(String::as_str).filter(|n| !LABELS.contains(n));
        let only = || others().next().filter(|_| ports.len() == 1 && others().count() == 1);
        let name = name.or_else(only).ok_or_else(|| {
            Diagnostic::new("E0604", format!("there is no array for input `{}`", port.name))
                .fact("data", path.display())
                .fact("arrays", present.iter().map(|n| format!("`{n}`")).collect::<Vec<_>>().join(", "))
                .help(format!("name the arrays like the inputs: {}", names(ports)))
        })?;
        arrays.push(Array::new(path, Some(name), member(path, name)?, port, layout)?);
    }
    if let Some((array, port)) = arrays.iter().zip(ports).find(|(a, _)| a.len != arrays[0].len) {
        return Err(Diagnostic::new("E0603", "the arrays have different numbers of samples")
            .fact(&ports[0].name, arrays[0].len)
            .fact(&port.name, array.len));
    }
    let read = |name: &&str| npy::read_npz(path, name).map_err(|e| Diagnostic::new("E0603", e));
    Ok((arrays, label.map(read).transpose()?))
}

fn archive(path: &Path) -> Result<zip::ZipArchive<File>, Diagnostic> {
    let file = File::open(path).map_err(|e| unreadable(path, e))?;
    zip::ZipArchive::new(file).map_err(|e| unreadable(path, e))
}

/// Names of the arrays, sorted.
fn members(path: &Path) -> Result<Vec<String>, Diagnostic> {
    let archive = archive(path)?;
    let names = archive.file_names().filter_map(npyz::npz::array_name_from_file_name);
    let mut names: Vec<String> = names.map(str::to_owned).collect();
    names.sort();
    Ok(names)
}

/// A file that holds the array's values uncompressed: the archive itself, or an unnamed one on disk.
fn member(path: &Path, name: &str) -> Result<(File, u64, Header), Diagnostic> {
    let fail = |e: &dyn std::fmt::Display| unreadable(path, format!("array `{name}`: {e}"));
    let mut archive = archive(path)?;
    let mut member = archive.by_name(&npyz::npz::file_name_from_array_name(name)).map_err(|e| fail(&e))?;
    if member.compression() == zip::CompressionMethod::Stored {
        let start = member.data_start();
        let mut file = File::open(path).map_err(|e| fail(&e))?;
        file.seek(SeekFrom::Start(start)).map_err(|e| fail(&e))?;
        let header = Header::read(&mut file).map_err(|e| fail(&e))?;
        let start = file.stream_position().map_err(|e| fail(&e))?;
        return Ok((file, start, header));
    }
    let header = Header::read(&mut member).map_err(|e| fail(&e))?;
    let mut file = tempfile::tempfile().map_err(|e| fail(&e))?;
    std::io::copy(&mut member, &mut file).map_err(|e| fail(&e))?;
    Ok((file, 0, header))
}
