//! `.npy` and `.npz` arrays as tensors, and back.

use kiln_compiler::tensor::{ElemType, Tensor, TensorType};
use npyz::{DType, TypeChar};
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
    let file = std::fs::File::open(path).map_err(|e| fail(e.to_string()))?;
    let mut archive = zip::ZipArchive::new(std::io::BufReader::new(file)).map_err(|e| fail(e.to_string()))?;
    let member = archive.by_name(&npyz::npz::file_name_from_array_name(name));
    from_reader(member.map_err(|_| fail(format!("no array `{name}`")))?).map_err(fail)
}

fn from_reader(mut reader: impl Read) -> Result<Tensor, String> {
    let header = Header::read(&mut reader)?;
    // Not allocated ahead: a header may promise more than the file has.
    let mut bytes = vec![];
    reader.take(header.bytes()? as u64).read_to_end(&mut bytes).map_err(|e| e.to_string())?;
    header.tensor(&header.ty.shape, bytes)
}

/// What stands before the values of an array.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Header {
    /// Element type and shape.
    pub ty: TensorType,
    /// Whether the bytes of each element come in reverse order.
    swapped: bool,
}

impl Header {
    /// Reads the header; the reader then stands at the first value.
    ///
    /// # Errors
    /// When there is none, the array is not in C order, or has an element type that ONNX lacks.
    pub fn read(reader: impl Read) -> Result<Header, String> {
        let header = npyz::NpyHeader::from_reader(reader).map_err(|e| e.to_string())?;
        let DType::Plain(ty) = header.dtype() else {
            return Err("structured arrays are not supported".into());
        };
        let elem = match (ty.type_char(), ty.size_field()) {
            (TypeChar::Float, 2) => ElemType::F16,
            (TypeChar::Float, 4) => ElemType::F32,
            (TypeChar::Float, 8) => ElemType::F64,
            (TypeChar::Int, 1) => ElemType::I8,
            (TypeChar::Int, 2) => ElemType::I16,
            (TypeChar::Int, 4) => ElemType::I32,
            (TypeChar::Int, 8) => ElemType::I64,
            (TypeChar::Uint, 1) => ElemType::U8,
            (TypeChar::Uint, 2) => ElemType::U16,
            (TypeChar::Uint, 4) => ElemType::U32,
            (TypeChar::Uint, 8) => ElemType::U64,
            (TypeChar::Bool, 1) => ElemType::Bool,
            _ => return Err(format!("element type {ty} is not supported")),
        };
        let shape: Vec<usize> = header.shape().iter().map(|&d| d as usize).collect();
        if header.order() != npyz::Order::C {
            return Err("arrays in Fortran order are not supported: save `numpy.ascontiguousarray(x)`".into());
        }
        let ty_of = TensorType::new(elem, shape);
        Ok(Header { ty: ty_of, swapped: ty.endianness() == npyz::Endianness::Big })
    }

    /// Bytes of all values.
    ///
    /// # Errors
    /// When their number overflows.
    pub fn bytes(&self) -> Result<usize, String> {
        let elements = self.ty.checked_elements().and_then(|n| n.checked_mul(self.ty.elem.size()));
        elements.filter(|n| *n <= isize::MAX as usize).ok_or_else(|| format!("{} is too large", self.ty))
    }

    /// A part of the array, or all of it, from its bytes in the file.
    ///
    /// # Errors
    /// When they do not fill the shape.
    pub fn tensor(&self, shape: &[usize], mut bytes: Vec<u8>) -> Result<Tensor, String> {
        if self.swapped {
            bytes.chunks_exact_mut(self.ty.elem.size()).for_each(<[u8]>::reverse);
        }
        Tensor::new(TensorType::new(self.ty.elem, shape), bytes).map_err(|e| e.to_string())
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
