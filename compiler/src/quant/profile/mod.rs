//! The profile of a quantized model, `MODEL.kiln.toml`: its lock file. It says from which model and data the quantized file
//! came, which compilation then takes in place of the model.

mod toml;

use crate::diag::Diagnostic;
use std::fmt::{self, Write};
use toml::{Value, quoted};

/// What a profile says.
#[derive(Debug, Clone, PartialEq)]
pub struct Profile {
    /// Name and version of the tool that wrote it.
    pub tool: String,
    /// File name of the float model, and its SHA-256.
    pub model: (String, String),
    /// File name of the quantized model, in the same folder, and its SHA-256.
    pub quantized: (String, String),
    /// Calibration data as the command named them, and the SHA-256 of their values.
    pub data: (String, String),
    /// Number of samples.
    pub samples: usize,
    /// How ranges were chosen.
    pub method: String,
    /// Output signal-to-noise ratio on the samples, in dB.
    pub snr_db: f64,
    /// Layers in order of execution, with their precision.
    pub layers: Vec<(String, String)>,
    /// Activations in the same order.
    pub ranges: Vec<(String, ProfileRange)>,
}

/// The range of an activation and what follows from it.
#[derive(Debug, Clone, PartialEq)]
pub struct ProfileRange {
    /// Smallest real value.
    pub low: f32,
    /// Largest real value.
    pub high: f32,
    /// Scale.
    pub scale: f32,
    /// Zero point.
    pub zero_point: i32,
    /// Who found it: a method, or `fixed` by the operator.
    pub method: String,
}

const VERSION: f64 = 1.0;

impl fmt::Display for Profile {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let pair = |name: &str, (file, hash): &(String, String)| {
            format!("{name} = {{ file = {}, sha256 = {} }}\n", quoted(file), quoted(hash))
        };
        f.write_str(
            "# How this model was quantized. `kiln quantize` writes this file; `kiln compile`, build scripts and\n\
             # `include_model!` follow it from the model to the quantized file. Commit all three.\n\n",
        )?;
        writeln!(f, "version = {VERSION}\ntool = {}", quoted(&self.tool))?;
        f.write_str(&pair("model", &self.model))?;
        f.write_str(&pair("quantized", &self.quantized))?;
        f.write_str("\n[calibration]\n")?;
        f.write_str(&pair("data", &self.data))?;
        writeln!(f, "samples = {}\nmethod = {}", self.samples, quoted(&self.method))?;
        f.write_str("# Signal-to-noise ratio of the outputs on these samples, in dB.\n")?;
        writeln!(f, "snr_db = {}", number(self.snr_db))?;
        f.write_str("\n# Arithmetic of each layer, in order of execution.\n[layers]\n")?;
        for (name, precision) in &self.layers {
            writeln!(f, "{} = {}", quoted(name), quoted(precision))?;
        }
        f.write_str(
            "\n# Activations: real = scale * (q - zero_point), for real values from low to high.\n[ranges]\n",
        )?;
        for (name, r) in &self.ranges {
            let (low, high, scale) = (number(r.low.into()), number(r.high.into()), number(r.scale.into()));
            let (zero_point, method) = (r.zero_point, quoted(&r.method));
            writeln!(
                f,
                "{} = {{ low = {low}, high = {high}, scale = {scale}, zero_point = {zero_point}, method = {method} }}",
                quoted(name)
            )?;
        }
        Ok(())
    }
}

/// Enough digits for an f32, which is what all numbers of a profile are at most; infinite as TOML writes it.
fn number(x: f64) -> String {
    let mut text = format!("{}", x as f32);
    if text.parse::<i64>().is_ok() {
        let _ = text.write_str(".0");
    }
    text
}

impl Profile {
    /// Reads a profile.
    ///
    /// # Errors
    /// `E0711` when it is not one, or of another version.
    pub fn parse(text: &str) -> Result<Profile, Diagnostic> {
        let broken = |what: String| {
            Diagnostic::new("E0711", format!("the profile cannot be read: {what}"))
                .help("restore it, or write it anew with `kiln quantize MODEL --calibrate DATA`")
        };
        let root = toml::parse(text).map_err(broken)?;
        match root.get("version") {
            Some(Value::Number(v)) if *v == VERSION => {}
            Some(Value::Number(v)) => {
                return Err(broken(format!("version {v}, this Kiln reads version {VERSION}")));
            }
            _ => return Err(broken("it says no `version`".into())),
        }
        read(&root).ok_or_else(|| broken("entries are missing, or of another kind".into()))
    }
}

fn read(root: &Value) -> Option<Profile> {
    let calibration = root.get("calibration")?;
    let entries = |name: &str| match root.get(name)? {
        Value::Table(entries) => Some(entries.as_slice()),
        _ => None,
    };
    let range = |v: &Value| {
        let zero_point = real(v.get("zero_point")?)? as i32;
        let at = |name: &str| real(v.get(name)?).map(|x| x as f32);
        let (low, high, scale) = (at("low")?, at("high")?, at("scale")?);
        Some(ProfileRange { low, high, scale, zero_point, method: text(v.get("method")?)? })
    };
    let layers = entries("layers")?.iter().map(|(n, v)| Some((n.clone(), text(v)?)));
    let ranges = entries("ranges")?.iter().map(|(n, v)| Some((n.clone(), range(v)?)));
    Some(Profile {
        tool: text(root.get("tool")?)?,
        model: file(root.get("model")?)?,
        quantized: file(root.get("quantized")?)?,
        data: file(calibration.get("data")?)?,
        samples: real(calibration.get("samples")?)? as usize,
        method: text(calibration.get("method")?)?,
        snr_db: real(calibration.get("snr_db")?)?,
        layers: layers.collect::<Option<_>>()?,
        ranges: ranges.collect::<Option<_>>()?,
    })
}

fn text(value: &Value) -> Option<String> {
    if let Value::Text(text) = value { Some(text.clone()) } else { None }
}

fn real(value: &Value) -> Option<f64> {
    if let Value::Number(number) = value { Some(*number) } else { None }
}

fn file(value: &Value) -> Option<(String, String)> {
    Some((text(value.get("file")?)?, text(value.get("sha256")?)?))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn profile() -> Profile {
        let pair = |name: &str| (name.to_string(), "00ff".to_string());
        let range = ProfileRange {
            low: -0.1,
            high: 6.0,
            scale: 0.023_921_57,
            zero_point: -124,
            method: "mse".into(),
        };
        let fixed = ProfileRange {
            low: 0.0,
            high: 0.996_093_75,
            scale: 1.0 / 256.0,
            zero_point: -128,
            method: "fixed".into(),
        };
        Profile {
            tool: "kiln 0.1.0".into(),
            model: pair("model.onnx"),
            quantized: pair("model.int8.onnx"),
            data: pair("data with \"quotes\".npz"),
            samples: 200,
            method: "auto".into(),
            snr_db: 43.5,
            layers: vec![("conv/1".into(), "int8".into()), ("top".into(), "float".into())],
            ranges: vec![("input:0".into(), range), ("y".into(), fixed)],
        }
    }

    #[test]
    fn round_trip() {
        let text = profile().to_string();
        assert_eq!(Profile::parse(&text), Ok(profile()), "{text}");
        insta::assert_snapshot!(text, @r##"
        # How this model was quantized. `kiln quantize` writes this file; `kiln compile`, build scripts and
        # `include_model!` follow it from the model to the quantized file. Commit all three.

        version = 1
        tool = "kiln 0.1.0"
        model = { file = "model.onnx", sha256 = "00ff" }
        quantized = { file = "model.int8.onnx", sha256 = "00ff" }

        [calibration]
        data = { file = "data with \"quotes\".npz", sha256 = "00ff" }
        samples = 200
        method = "auto"
        # Signal-to-noise ratio of the outputs on these samples, in dB.
        snr_db = 43.5

        # Arithmetic of each layer, in order of execution.
        [layers]
        "conv/1" = "int8"
        "top" = "float"

        # Activations: real = scale * (q - zero_point), for real values from low to high.
        [ranges]
        "input:0" = { low = -0.1, high = 6.0, scale = 0.02392157, zero_point = -124, method = "mse" }
        "y" = { low = 0.0, high = 0.99609375, scale = 0.00390625, zero_point = -128, method = "fixed" }
        "##);
    }

    #[test]
    fn errors() {
        let error = |text: &str| Profile::parse(text).map(|_| ()).unwrap_err().to_string();
        insta::assert_snapshot!(error("version = 1\n[layers"), @r"
        error[E0711]: the profile cannot be read: line 2: expected `]`
           = help: restore it, or write it anew with `kiln quantize MODEL --calibrate DATA`
        ");
        insta::assert_snapshot!(error("version = 2"), @r"
        error[E0711]: the profile cannot be read: version 2, this Kiln reads version 1
           = help: restore it, or write it anew with `kiln quantize MODEL --calibrate DATA`
        ");
        insta::assert_snapshot!(error(&profile().to_string().replace("samples", "sample")), @r"
        error[E0711]: the profile cannot be read: entries are missing, or of another kind
           = help: restore it, or write it anew with `kiln quantize MODEL --calibrate DATA`
        ");
    }
}
