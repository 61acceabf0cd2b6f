//! Folders of PNG and JPEG images, with the scaling that the user states.

use super::fit::Layout;
use super::{DataArgs, extension, files, only_port, unreadable};
use kiln_compiler::diag::Diagnostic;
use kiln_compiler::program::Port;
use kiln_compiler::tensor::Tensor;
use std::path::{Path, PathBuf};
use zune_jpeg::zune_core::bytestream::ZCursor;
use zune_jpeg::zune_core::colorspace::ColorSpace;
use zune_jpeg::zune_core::options::DecoderOptions;

/// Order of an image's channels.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub enum Color {
    /// Red, green, blue
    Rgb,
    /// Blue, green, red, as OpenCV has it
    Bgr,
    #[value(alias = "gray")]
    /// Luma: 0.299 red + 0.587 green + 0.114 blue (ITU-R BT.601)
    Grey,
}

/// The images of a folder.
#[derive(Debug)]
pub(super) struct Found {
    paths: Vec<PathBuf>,
    /// Number of the folder that each lies in, when each class has one.
    classes: Option<Vec<i64>>,
}

impl Found {
    pub(super) fn labels(&self) -> Option<Tensor> {
        self.classes.as_ref().map(|c| Tensor::from_i64(&[c.len()], c))
    }
}

/// The images in a folder, or in its folders, one a class; `None` when there are none.
pub(super) fn find(folder: &Path) -> Result<Option<Found>, Diagnostic> {
    let is_image = |p: &PathBuf| matches!(extension(p).as_str(), "png" | "jpg" | "jpeg") && p.is_file();
    let entries = files::entries(folder)?;
    let paths: Vec<PathBuf> = entries.iter().filter(|p| is_image(p)).cloned().collect();
    if !paths.is_empty() {
        return Ok(Some(Found { paths, classes: None }));
    }
    let (mut paths, mut classes) = (vec![], vec![]);
    for (class, folder) in entries.iter().filter(|p| p.is_dir()).enumerate() {
        for path in files::entries(folder)?.into_iter().filter(is_image) {
            paths.push(path);
            classes.push(class as i64);
        }
    }
    Ok((!paths.is_empty()).then_some(Found { paths, classes: Some(classes) }))
}

/// A factor: `0.0078125` or `1/128`.
pub(super) fn parse_scale(text: &str) -> Result<f32, String> {
    let number = |t: &str| t.trim().parse::<f64>().ok().filter(|v| v.is_finite() && *v != 0.0);
    let value = match text.split_once('/') {
        Some((a, b)) => number(a).zip(number(b)).map(|(a, b)| a / b),
        None => number(text),
    };
    value.map(|v| v as f32).ok_or_else(|| format!("`{text}` is not a factor like 1/255 or 0.5"))
}

/// Images as samples of the model's one input.
#[derive(Debug)]
pub(super) struct Images {
    paths: Vec<PathBuf>,
    shape: Vec<usize>,
    layout: Layout,
    color: Color,
    scale: f32,
    mean: Vec<f32>,
    std: Vec<f32>,
}

impl Images {
    pub(super) fn new(found: Found, ports: &[Port], args: &DataArgs) -> Result<Images, Diagnostic> {
        let port = only_port(&found.paths[0], ports)?;
        let layout = layout(port, args.layout)?;
        let shape = port.ty.shape.clone();
        let channels = if layout == Layout::Nchw { shape[1] } else { shape[3] };
        let color = match (args.color, channels) {
            (None | Some(Color::Grey), 1) => Color::Grey,
            (None, _) => Color::Rgb,
            (Some(color), _) => color,
        };
        if (color == Color::Grey) != (channels == 1) {
            return Err(Diagnostic::new("E0605", "the colours do not fit the model's channels")
                .fact("input", format!("`{}` {}", port.name, port.ty))
                .help(if channels == 1 {
                    "give `--color grey`"
                } else {
                    "give `--color rgb` or `--color bgr`"
                }));
        }
        let Some(scale) = args.scale else {
            return Err(Diagnostic::new("E0605", "the scaling of the images is not stated")
                .help("give what training used: `--scale 1/255` for 0 to 1, `--scale 1/127.5 --mean 1` for -1 to 1, `--scale 1` for 0 to 255")
                .help("with `--mean` and `--std` (after the scale), one number or one a channel, where training used them"));
        };
        let per_channel = |list: &[f32], default: f32, flag: &str| match list {
            [] => Ok(vec![default; channels]),
            [value] => Ok(vec![*value; channels]),
            list if list.len() == channels => Ok(list.to_vec()),
            list => Err(Diagnostic::new(
                "E0605",
                format!("`--{flag}` has {} numbers for {channels} channels", list.len()),
            )
            .help("give one, or one a channel")),
        };
        let (mean, std) = (per_channel(&args.mean, 0.0, "mean")?, per_channel(&args.std, 1.0, "std")?);
        if std.contains(&0.0) {
            return Err(Diagnostic::new("E0605", "`--std` is a divisor: it cannot be 0"));
        }
        Ok(Images { paths: found.paths, shape, layout, color, scale, mean, std })
    }

    pub(super) fn len(&self) -> usize {
        self.paths.len()
    }

    /// Image `i` as f32 in the shape of the input: `(pixel * scale - mean) / std`.
    pub(super) fn read(&self, i: usize) -> Result<Tensor, Diagnostic> {
        let path = &self.paths[i];
        let bytes = std::fs::read(path).map_err(|e| unreadable(path, e))?;
        let image = decode(&bytes).map_err(|e| unreadable(path, e))?;
        let (height, width, channels) = match self.layout {
            Layout::Nchw => (self.shape[2], self.shape[3], self.shape[1]),
            Layout::Nhwc => (self.shape[1], self.shape[2], self.shape[3]),
        };
        if (image.height, image.width) != (height, width) {
            return Err(Diagnostic::new("E0605", "an image has another size than the model takes")
                .fact("image", path.display())
                .fact("expected", format!("{width} x {height} pixels"))
                .fact("given", format!("{} x {} pixels", image.width, image.height))
                .help("resize the images as it was done for training; Kiln does not guess the filter"));
        }
        let mut values = vec![0f32; height * width * channels];
        for (at, pixel) in image.rgb.as_chunks::<3>().0.iter().enumerate() {
            for c in 0..channels {
                let value = match self.color {
                    Color::Rgb => pixel[c] as f32,
                    Color::Bgr => pixel[2 - c] as f32,
                    Color::Grey => luma(*pixel),
                };
                let to = match self.layout {
                    Layout::Nchw => c * height * width + at,
                    Layout::Nhwc => at * channels + c,
                };
                values[to] = (value * self.scale - self.mean[c]) / self.std[c];
            }
        }
        Ok(Tensor::from_f32(&self.shape, &values))
    }
}

/// Rounded to a whole step; grey pixels stay what they are.
fn luma([r, g, b]: [u8; 3]) -> f32 {
    ((299 * r as u32 + 587 * g as u32 + 114 * b as u32 + 500) / 1000) as f32
}

/// The layout of an image input: as stated, else by where 1 or 3 channels stand.
fn layout(port: &Port, stated: Option<Layout>) -> Result<Layout, Diagnostic> {
    let channels = |axis: usize| matches!(port.ty.shape[axis], 1 | 3);
    let refuse = |help: &str| {
        Diagnostic::new("E0605", format!("images do not fit input `{}`", port.name))
            .fact("expected", &port.ty)
            .help(help)
    };
    if port.ty.shape.len() != 4 || port.ty.shape[0] != 1 {
        return Err(refuse(
            "the model must take one image at a time, 1xCxHxW or 1xHxWxC; give arrays otherwise",
        ));
    }
    match (stated, channels(1), channels(3)) {
        (Some(Layout::Nchw), true, _) | (None, true, false) => Ok(Layout::Nchw),
        (Some(Layout::Nhwc), _, true) | (None, false, true) => Ok(Layout::Nhwc),
        (None, true, true) => {
            Err(refuse("its shape can be read in two ways: give `--layout nchw` or `--layout nhwc`"))
        }
        _ => Err(refuse("images have 1 or 3 channels; give arrays for other numbers")),
    }
}

/// 8 bits a channel, red, green, blue.
struct Decoded {
    height: usize,
    width: usize,
    rgb: Vec<u8>,
}

/// By what the file is, not by its name. Transparency does not count.
fn decode(bytes: &[u8]) -> Result<Decoded, String> {
    if bytes.starts_with(b"\x89PNG") { decode_png(bytes) } else { decode_jpeg(bytes) }
}

fn decode_png(bytes: &[u8]) -> Result<Decoded, String> {
    let mut decoder = png::Decoder::new(std::io::Cursor::new(bytes));
    decoder.set_transformations(png::Transformations::normalize_to_color8());
    let mut reader = decoder.read_info().map_err(|e| e.to_string())?;
    let size = reader.output_buffer_size().ok_or("the image is too large")?;
    let mut pixels = vec![0; size];
    let info = reader.next_frame(&mut pixels).map_err(|e| e.to_string())?;
    pixels.truncate(info.buffer_size());
    let rgb = match info.color_type {
        png::ColorType::Grayscale => pixels.iter().flat_map(|&g| [g; 3]).collect(),
        png::ColorType::GrayscaleAlpha => pixels.chunks_exact(2).flat_map(|p| [p[0]; 3]).collect(),
        png::ColorType::Rgba => pixels.chunks_exact(4).flat_map(|p| [p[0], p[1], p[2]]).collect(),
        _ => pixels,
    };
    Ok(Decoded { height: info.height as usize, width: info.width as usize, rgb })
}

fn decode_jpeg(bytes: &[u8]) -> Result<Decoded, String> {
    let options = DecoderOptions::default().jpeg_set_out_colorspace(ColorSpace::RGB);
    let mut decoder = zune_jpeg::JpegDecoder::new_with_options(ZCursor::new(bytes), options);
    let rgb = decoder.decode().map_err(|e| e.to_string())?;
    let (width, height) = decoder.dimensions().ok_or("it has no size")?;
    Ok(Decoded { height, width, rgb })
}
