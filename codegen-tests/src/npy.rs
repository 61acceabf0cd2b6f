//! `.npy` and `.npz` arrays as tensors.

use kiln_compiler::tensor::{ElemType, Tensor, TensorType};
use npyz::{DType, NpyFile, TypeChar};
use std::io::Read;
use std::path::Path;

/// Reads a `.npy` file.
///
/// # Errors
/// When the file cannot be read, is no array in C order, or has an element type that ONNX lacks.
pub fn read(path: &Path) -> Result<Tensor, String> {
    let file = std::fs::File::open(path).map_err(|e| format!("{}: {e}", path.display()))?;
    from_reader(std::io::BufReader::new(file)).map_err(|e| format!("{}: {e}", path.display()))
}

/// Reads one array of a `.npz` file.
///
/// # Errors
/// As [`read`], and when there is no array of that name.
pub fn read_npz(path: &Path, name: &str) -> Result<Tensor, String> {
    let fail = |e: String| format!("{}: {e}", path.display());
    let mut archive = npyz::npz::NpzArchive::open(path).map_err(|e| fail(e.to_string()))?;
    let array = archive.by_name(name).map_err(|e| fail(e.to_string()))?;
    let array = array.ok_or_else(|| fail(format!("no array `{name}`")))?;
    tensor(array).map_err(fail)
}

fn from_reader(reader: impl Read) -> Result<Tensor, String> {
    tensor(NpyFile::new(reader).map_err(|e| e.to_string())?)
}

fn tensor<R: Read>(file: NpyFile<R>) -> Result<Tensor, String> {
    if file.order() != npyz::Order::C {
        return Err("arrays in Fortran order are not supported".into());
    }
    let shape: Vec<usize> = file.shape().iter().map(|&d| d as usize).collect();
    let DType::Plain(ty) = file.dtype() else { return Err("structured arrays are not supported".into()) };
    macro_rules! values {
        ($t:ty, $elem:ident) => {{
            let values = file.into_vec::<$t>().map_err(|e| e.to_string())?;
            let bytes: Vec<u8> = values.iter().flat_map(|v| v.to_le_bytes()).collect();
            Tensor::new(TensorType::new(ElemType::$elem, shape), bytes).map_err(|e| e.to_string())
        }};
    }
    match (ty.type_char(), ty.size_field()) {
        (TypeChar::Float, 4) => values!(f32, F32),
        (TypeChar::Float, 8) => values!(f64, F64),
        (TypeChar::Int, 1) => values!(i8, I8),
        (TypeChar::Int, 4) => values!(i32, I32),
        (TypeChar::Int, 8) => values!(i64, I64),
        (TypeChar::Uint, 1) => values!(u8, U8),
        _ => Err(format!("element type {ty} is not supported")),
    }
}
