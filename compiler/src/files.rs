//! What the faces share: data files beside a model, and writing only what changed.

use crate::onnx::check_location;
use std::io::{Read, Seek, SeekFrom};
use std::path::Path;

/// Reads external data from the model's folder. What lies outside of it, by links too, is refused.
pub fn external(folder: &Path) -> impl FnMut(&str, u64, Option<u64>) -> Result<Vec<u8>, String> + '_ {
    move |location, offset, length| {
        check_location(location).map_err(|d| d.message)?;
        let root = if folder.as_os_str().is_empty() { Path::new(".") } else { folder };
        let root = root.canonicalize().map_err(|e| e.to_string())?;
        let path = root.join(location).canonicalize().map_err(|e| e.to_string())?;
        if !path.starts_with(&root) {
            return Err("it is a link that leads out of the model's folder".into());
        }
        let mut file = std::fs::File::open(path).map_err(|e| e.to_string())?;
        let size = file.metadata().map_err(|e| e.to_string())?.len();
        let length = length.unwrap_or(size.saturating_sub(offset));
        if offset.checked_add(length).is_none_or(|end| end > size) {
            return Err(format!("it has {size} bytes, {length} from {offset} on are asked for"));
        }
        file.seek(SeekFrom::Start(offset)).map_err(|e| e.to_string())?;
        let mut bytes = Vec::new();
        file.take(length).read_to_end(&mut bytes).map_err(|e| e.to_string())?;
        Ok(bytes)
    }
}

/// Writes a file unless it holds these bytes already; whether it was written.
///
/// # Errors
/// When it cannot be written.
pub fn write_if_changed(path: &Path, bytes: &[u8]) -> std::io::Result<bool> {
    if std::fs::read(path).is_ok_and(|old| old == bytes) {
        return Ok(false);
    }
    std::fs::write(path, bytes).map(|()| true)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn data_files_lie_in_the_models_folder() {
        let folder = tempfile::tempdir().expect("a folder");
        let inside = folder.path().join("model");
        std::fs::create_dir(&inside).expect("a folder");
        std::fs::write(folder.path().join("secret"), b"secret").expect("a file");
        std::fs::write(inside.join("data"), b"0123456789").expect("a file");
        let mut read = external(&inside);
        assert_eq!(read("data", 2, Some(3)), Ok(b"234".to_vec()));
        assert!(read("data", 8, Some(3)).is_err());
        assert!(read("../secret", 0, None).is_err());
        assert!(read("missing", 0, None).is_err());
        #[cfg(unix)]
        {
            std::os::unix::fs::symlink(folder.path().join("secret"), inside.join("link")).expect("a link");
            let error = read("link", 0, None).unwrap_err();
            assert_eq!(error, "it is a link that leads out of the model's folder");
        }
    }
}
