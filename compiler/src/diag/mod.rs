//! Diagnostics: what is wrong, where, with which facts, and the way out.
//!
//! Operators raise a [`Diagnostic`], callers add the place with [`Diagnostic::at`]; phases collect them as
//! [`Diagnostics`]. Every code has a heading in `compiler/docs/errors.md`.

use std::fmt;

/// The node that a diagnostic is about.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Site {
    /// Name of the node.
    pub node: String,
    /// ONNX operator type.
    pub op: String,
}

/// One problem. Messages start in lower case and have no full stop; users' names stand in back-quotes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Diagnostic {
    /// Code, `E` and four digits.
    pub code: &'static str,
    /// What is wrong.
    pub message: String,
    /// Where.
    pub site: Option<Site>,
    /// Types, shapes, values that explain it.
    pub facts: Vec<(String, String)>,
    /// Ways out.
    pub help: Vec<String>,
}

impl Diagnostic {
    /// A diagnostic without place, facts and help.
    pub fn new(code: &'static str, message: impl Into<String>) -> Diagnostic {
        Diagnostic { code, message: message.into(), site: None, facts: vec![], help: vec![] }
    }

    /// Names the node, unless a place is named already: the innermost caller knows best.
    pub fn at(mut self, node: &str, op: &str) -> Diagnostic {
        if self.site.is_none() {
            self.site = Some(Site { node: node.to_string(), op: op.to_string() });
        }
        self
    }

    /// Adds a fact.
    pub fn fact(mut self, name: &str, value: impl fmt::Display) -> Diagnostic {
        self.facts.push((name.to_string(), value.to_string()));
        self
    }

    /// Adds a way out.
    pub fn help(mut self, text: impl Into<String>) -> Diagnostic {
        self.help.push(text.into());
        self
    }
}

impl fmt::Display for Diagnostic {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "error[{}]: {}", self.code, self.message)?;
        if let Some(site) = &self.site {
            write!(f, "\n  --> node `{}` ({})", site.node, site.op)?;
        }
        let width = self.facts.iter().map(|(name, _)| name.chars().count()).max().unwrap_or(0);
        for (name, value) in &self.facts {
            write!(f, "\n   | {name:width$}  {value}")?;
        }
        for help in &self.help {
            write!(f, "\n   = help: {help}")?;
        }
        Ok(())
    }
}

impl std::error::Error for Diagnostic {}

/// One or more problems of one phase.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Diagnostics(pub Vec<Diagnostic>);

impl Diagnostics {
    /// `value` when there are no problems, otherwise all of them.
    ///
    /// # Errors
    /// The problems.
    pub fn ok_or<T>(value: T, problems: Vec<Diagnostic>) -> Result<T, Diagnostics> {
        if problems.is_empty() { Ok(value) } else { Err(Diagnostics(problems)) }
    }
}

impl From<Diagnostic> for Diagnostics {
    fn from(diagnostic: Diagnostic) -> Diagnostics {
        Diagnostics(vec![diagnostic])
    }
}

impl fmt::Display for Diagnostics {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (i, diagnostic) in self.0.iter().enumerate() {
            if i > 0 {
                f.write_str("\n\n")?;
            }
            write!(f, "{diagnostic}")?;
        }
        Ok(())
    }
}

impl std::error::Error for Diagnostics {}

/// The end of a long name, which tells layers apart.
pub fn ending(name: &str, most: usize) -> String {
    match name.chars().count() {
        count if count <= most => name.to_owned(),
        count => format!("…{}", name.chars().skip(count + 1 - most).collect::<String>()),
    }
}

/// `1234567` as `1,234,567`.
pub fn grouped(n: u64) -> String {
    let digits = n.to_string();
    let mut text = String::new();
    for (i, c) in digits.chars().enumerate() {
        if i > 0 && (digits.len() - i).is_multiple_of(3) {
            text.push(',');
        }
        text.push(c);
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_is_aligned_and_complete() {
        let d = Diagnostic::new("E0202", "input has 16 features, weights expect 32")
            .at("fc1/Gemm", "Gemm")
            .at("outer", "Other")
            .fact("input", "f32[1, 16]")
            .fact("weights", "f32[10, 32]")
            .help("set transB = 1, or transpose the weights at export");
        insta::assert_snapshot!(d, @r"
        error[E0202]: input has 16 features, weights expect 32
          --> node `fc1/Gemm` (Gemm)
           | input    f32[1, 16]
           | weights  f32[10, 32]
           = help: set transB = 1, or transpose the weights at export
        ");
    }
}
