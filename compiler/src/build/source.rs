//! From a model to the file that is compiled: the model itself, or the quantized one that its profile names.

use crate::diag::{Diagnostic, Diagnostics};
use crate::quant::Profile;
use crate::sha256::sha256;
use crate::{files, onnx};
use std::path::{Path, PathBuf};

/// Which arithmetic a user asks for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Precision {
    /// What the profile beside the model says; the model as it is where there is none.
    #[default]
    Profile,
    /// int8: the profile has to be there, unless the model is quantized itself.
    Int8,
    /// The model as it is, whatever a profile says.
    F32,
}

/// What is compiled.
#[derive(Debug, Clone)]
pub struct Source {
    /// Contents of the ONNX file.
    pub bytes: Vec<u8>,
    /// Its folder, from which it may read data.
    pub folder: PathBuf,
    /// The files that it depends on: the model, and where there are such, profile and quantized model.
    pub files: Vec<PathBuf>,
    /// The profile that was followed.
    pub profile: Option<Profile>,
}

/// Where the profile of a model is: `MODEL.kiln.toml` beside `MODEL.onnx`.
pub fn profile_path(model: &Path) -> PathBuf {
    model.with_extension("kiln.toml")
}

/// Reads what is to be compiled for a model.
///
/// # Errors
/// `E0100` when the model cannot be read, `E0711` for a broken profile, `E0712` for one of another model, `E0713` when the
/// quantized model is missing or was changed, `E0714` when int8 is asked for and nothing says how.
pub fn source(model: &Path, precision: Precision) -> Result<Source, Diagnostics> {
    let bytes = super::read_file(model)?;
    let folder = model.parent().unwrap_or(Path::new("")).to_path_buf();
    let path = profile_path(model);
    if precision == Precision::F32 || !path.exists() {
        if precision == Precision::Int8 && !is_quantized(&bytes, &folder) {
            return Err(not_quantized(model).into());
        }
        return Ok(Source { bytes, folder, files: vec![model.to_path_buf()], profile: None });
    }
    let text = std::fs::read_to_string(&path).map_err(|e| {
        Diagnostic::new("E0711", format!("the profile `{}` cannot be read", path.display())).fact("reason", e)
    })?;
    let profile = Profile::parse(&text).map_err(|d| d.fact("profile", path.display()))?;
    if model_hash(&bytes, &folder)? != profile.model.1 {
        return Err(stale(model, &path, &profile).into());
    }
    let quantized = folder.join(&profile.quantized.0);
    let changed = |what: &str| {
        Diagnostic::new("E0713", format!("the quantized model `{}` {what}", quantized.display()))
            .fact("profile", path.display())
            .help(renew(model, &profile))
    };
    let bytes = std::fs::read(&quantized).map_err(|e| changed("cannot be read").fact("reason", e))?;
    if sha256(&bytes) != profile.quantized.1 {
        return Err(changed("is not the one that the profile describes").into());
    }
    let folder = quantized.parent().unwrap_or(Path::new("")).to_path_buf();
    Ok(Source { bytes, folder, files: vec![model.to_path_buf(), path, quantized], profile: Some(profile) })
}

/// The hash by which a profile knows its model: the file's SHA-256, or, for a model that stores tensors outside, that of all
/// hashes together, the file's first.
///
/// # Errors
/// When the model cannot be read.
pub fn model_hash(bytes: &[u8], folder: &Path) -> Result<String, Diagnostics> {
    let mut hashes = sha256(bytes);
    let mut beside = files::external(folder);
    let mut outside = false;
    onnx::read(bytes, &mut |location, offset, length| {
        let data = beside(location, offset, length)?;
        hashes += &sha256(&data);
        outside = true;
        Ok(data)
    })?;
    Ok(if outside { sha256(hashes.as_bytes()) } else { hashes })
}

fn stale(model: &Path, path: &Path, profile: &Profile) -> Diagnostic {
    let message = format!("`{}` has changed since it was quantized", model.display());
    Diagnostic::new("E0712", message)
        .fact("profile", path.display())
        .fact("written by", &profile.tool)
        .help(format!("{}; or delete the profile to compile the model as it is", renew(model, profile)))
}

fn renew(model: &Path, profile: &Profile) -> String {
    format!("quantize it anew: `kiln quantize {} --calibrate {}`", model.display(), profile.data.0)
}

fn not_quantized(model: &Path) -> Diagnostic {
    let model = model.display();
    Diagnostic::new("E0714", format!("int8 was asked for, but nothing says how to quantize `{model}`")).help(format!(
        "give sample inputs once: `kiln quantize {model} --calibrate DATA`, which build scripts and the macro then follow, or \
         `kiln compile {model} --calibrate DATA`"
    ))
}

/// Whether a file is quantized itself, in whatever format; a file that cannot be read is an error later.
fn is_quantized(bytes: &[u8], folder: &Path) -> bool {
    let Ok(model) = onnx::read(bytes, &mut files::external(folder)) else { return true };
    let quantized = |n: &onnx::Node| {
        n.op_type.contains("Quantize") || n.op_type.starts_with("QLinear") || n.op_type == "QGemm"
    };
    model.graph.nodes.iter().any(quantized)
}
