//! `.npy` and `.npz` arrays as tensors, and back.

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

/// Writes arrays by name.
///
/// # Errors
/// When the file cannot be written.
pub fn write_npz<'a>(path: &Path, arrays: impl Iterator<Item = (&'a str, &'a Tensor)>) -> Result<(), String> {
    use npyz::WriterBuilder;
    let fail = |e: std::io::Error| format!("{}: {e}", path.display());
    let mut archive = npyz::npz::NpzWriter::create(path).map_err(fail)?;
    for (name, tensor) in arrays {
        let shape: Vec<u64> = tensor.shape().iter().map(|&d| d as u64).collect();
        let options = zip::write::FileOptions::default();
        macro_rules! write {
            ($values:expr) => {{
                let array = archive.array(name, options).map_err(fail)?;
                let mut writer = array.default_dtype().shape(&shape).begin_nd().map_err(fail)?;
                writer.extend($values).map_err(fail)?;
                writer.finish().map_err(fail)?;
            }};
        }
        match tensor.elem() {
            ElemType::I8 => write!(tensor.to_i8s()),
            ElemType::U8 | ElemType::Bool => write!(tensor.to_u8s()),
            ElemType::I32 => write!(tensor.to_i32s()),
            ElemType::I64 => write!(tensor.to_i64s()),
            _ => write!(tensor.to_f32s()),
        }
    }
    Ok(())
}
