//! Samples for a model's inputs, from the files that people have: `.npz`, `.npy`, ONNX `.pb`, image folders.
//!
//! A [`Dataset`] reads a sample when it is asked for one: memory does not grow with their number.

mod array;
mod files;
mod fit;
mod images;

pub use fit::{Layout, convert};
pub use images::Color;

use array::Array;
use clap::Args;
use files::Files;
use images::Images;
use kiln_compiler::diag::Diagnostic;
use kiln_compiler::program::Port;
use kiln_compiler::tensor::Tensor;
use sha2::{Digest, Sha256};
use std::path::Path;

/// How samples become inputs, where their files do not say it.
#[derive(Debug, Clone, Default, Args)]
pub struct DataArgs {
    /// Layout that the model's image input has; arrays in the other one are transposed
    #[arg(long, value_enum)]
    pub layout: Option<Layout>,
    /// Images: factor of each pixel value (0 to 255), a number or a fraction such as 1/255
    #[arg(long, value_parser = images::parse_scale)]
    pub scale: Option<f32>,
    /// Images: what is subtracted after scaling, one number or one a channel, separated by commas
    #[arg(long, value_delimiter = ',', allow_hyphen_values = true)]
    pub mean: Vec<f32>,
    /// Images: what is divided by at last, one number or one a channel, separated by commas
    #[arg(long, value_delimiter = ',')]
    pub std: Vec<f32>,
    /// Images: order of the colours that the model takes; rgb for three channels, grey for one
    #[arg(long, value_enum)]
    pub color: Option<Color>,
}

/// Samples of a model's inputs, read when they are asked for. Several threads may ask.
#[derive(Debug)]
pub struct Dataset {
    ports: Vec<Port>,
    layout: Option<Layout>,
    source: Source,
    labels: Option<Tensor>,
}

#[derive(Debug)]
enum Source {
    /// One array an input, samples along the first axis.
    Arrays(Vec<Array>),
    /// One file a sample and input.
    Files(Files),
    /// One image a sample.
    Images(Images),
}

impl Dataset {
    /// Opens the samples at `path` for the inputs `ports`:
    ///
    /// * `.npz`: an array named like each input, samples along its first axis. For a single input, `x`, `x_test` and the like,
    ///   or the only array. Labels: `y`, `y_test`, `labels`.
    /// * `.npy`: samples along the first axis, or one sample; for a single input.
    /// * a folder of `.npy` or `.pb` files: one a sample; or `input_CASE_INPUT.npy`; or a folder for each input; or
    ///   ONNX test data, `test_data_set_*/input_*.pb`.
    /// * a folder of PNG and JPEG images, or of one folder a class, in the order of their names.
    ///
    /// # Errors
    /// `E0602` when shapes do not fit, `E0603` when files cannot be read or hold no samples, `E0604` when they do not say which
    /// array is which input, `E0605` when images need more to be stated.
    pub fn open(path: &Path, ports: &[Port], args: &DataArgs) -> Result<Dataset, Diagnostic> {
        let (mut labels, extension) = (None, extension(path));
        if !path.exists() {
            return Err(unreadable(path, "there is no such file or folder").help(KINDS));
        }
        let source = if path.is_dir() {
            match images::find(path)? {
                Some(found) => {
                    labels = found.labels();
                    Source::Images(Images::new(found, ports, args)?)
                }
                None => Source::Files(Files::find(path, ports)?),
            }
        } else {
            match extension.as_str() {
                "npz" => {
                    let (arrays, found) = array::open_npz(path, ports, args.layout)?;
                    labels = found;
                    Source::Arrays(arrays)
                }
                "npy" => Source::Arrays(vec![array::open_npy(path, ports, args.layout)?]),
                "pb" => Source::Files(Files::one(path, ports)?),
                _ => return Err(unreadable(path, "no kind of data that Kiln reads").help(KINDS)),
            }
        };
        let data = Dataset { ports: ports.to_vec(), layout: args.layout, source, labels };
        data.check(path)?;
        Ok(data)
    }

    /// Samples and labels must be there, equally many, and the first sample must fit.
    fn check(&self, path: &Path) -> Result<(), Diagnostic> {
        if self.is_empty() {
            return Err(Diagnostic::new("E0603", format!("`{}` holds no samples", path.display())));
        }
        let labels = self.labels.as_ref().map_or(self.len(), |l| l.shape().first().copied().unwrap_or(1));
        if labels != self.len() {
            return Err(Diagnostic::new(
                "E0603",
                format!("`{}` has another number of labels", path.display()),
            )
            .fact("samples", self.len())
            .fact("labels", labels));
        }
        self.sample(0).map(|_| ())
    }

    /// Number of samples, at least one.
    pub fn len(&self) -> usize {
        match &self.source {
            Source::Arrays(arrays) => arrays.first().map_or(0, Array::len),
            Source::Files(files) => files.len(),
            Source::Images(images) => images.len(),
        }
    }

    /// Whether there are none; never, for one that was opened.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Sample `i`, one tensor an input, of exactly the type and shape that the input has.
    ///
    /// # Errors
    /// As [`Dataset::open`], and `E0603` when there is no sample `i`.
    pub fn sample(&self, i: usize) -> Result<Vec<Tensor>, Diagnostic> {
        let tensors = self.stored(i)?;
        tensors.iter().zip(&self.ports).map(|(tensor, port)| convert(tensor, port)).collect()
    }

    /// Sample `i` in the inputs' shapes and in the element types of the files.
    ///
    /// # Errors
    /// As [`Dataset::sample`].
    pub fn stored(&self, i: usize) -> Result<Vec<Tensor>, Diagnostic> {
        if i >= self.len() {
            return Err(Diagnostic::new("E0603", format!("there is no sample {i} of {}", self.len())));
        }
        let read = |(input, port): (usize, &Port)| match &self.source {
            Source::Arrays(arrays) => fit::fit(arrays[input].sample(i)?, port, self.layout),
            Source::Files(files) => {
                let tensor = files.read(i, input)?;
                let shaped = fit::fit(tensor, port, self.layout);
                shaped.map_err(|d| d.fact("file", files.path(i, input).display()))
            }
            Source::Images(images) => images.read(i),
        };
        self.ports.iter().enumerate().map(read).collect()
    }

    /// Labels, the first axis is the sample.
    pub fn labels(&self) -> Option<&Tensor> {
        self.labels.as_ref()
    }

    /// A name for the samples: SHA-256 of their element types, shapes and bytes, in order, as the model's inputs receive them.
    /// Reads all of them. The same values have the same hash in whatever files they lie; labels do not count.
    ///
    /// # Errors
    /// As [`Dataset::sample`].
    pub fn hash(&self) -> Result<String, Diagnostic> {
        let mut hasher = DataHash::default();
        for i in 0..self.len() {
            hasher.add(&self.sample(i)?);
        }
        Ok(hasher.finish())
    }
}

/// [`Dataset::hash`] for a caller that reads all samples in order anyway.
#[derive(Debug, Default)]
pub struct DataHash(Sha256);

impl DataHash {
    /// Adds the next sample.
    pub fn add(&mut self, sample: &[Tensor]) {
        for tensor in sample {
            self.0.update(tensor.ty().to_string());
            self.0.update(tensor.bytes());
        }
    }

    /// 64 hexadecimal digits.
    pub fn finish(self) -> String {
        self.0.finalize().iter().map(|byte| format!("{byte:02x}")).collect()
    }
}

/// The part of a file name behind the last dot, in lower case.
fn extension(path: &Path) -> String {
    path.extension().map(|e| e.to_string_lossy().to_lowercase()).unwrap_or_default()
}

fn unreadable(path: &Path, reason: impl std::fmt::Display) -> Diagnostic {
    Diagnostic::new("E0603", format!("`{}`: {reason}", path.display()))
}

const KINDS: &str = "give an .npz (one array an input, samples along the first axis), an .npy, a folder of .npy, a folder of \
                     ONNX test data (.pb), or a folder of PNG or JPEG images";

/// The one input of a model, for data that do not name it.
fn only_port<'a>(path: &Path, ports: &'a [Port]) -> Result<&'a Port, Diagnostic> {
    match ports {
        [port] => Ok(port),
        _ => Err(Diagnostic::new("E0604", format!("the model has {} inputs", ports.len()))
            .fact("data", path.display())
            .fact("inputs", names(ports))
            .help("give an .npz with one array an input, of the same name")),
    }
}

fn names(ports: &[Port]) -> String {
    ports.iter().map(|p| format!("`{}`", p.name)).collect::<Vec<_>>().join(", ")
}
