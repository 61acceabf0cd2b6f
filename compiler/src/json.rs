//! A JSON value and its text. Small on purpose: build scripts should not wait for a serializer.

use std::fmt::{self, Write};

/// A JSON value. Objects keep the order in which their members were given.
#[derive(Debug, Clone, PartialEq)]
pub enum Json {
    /// `null`.
    Null,
    /// `true` or `false`.
    Bool(bool),
    /// A whole number.
    Int(i64),
    /// A number; `null` when it is not finite.
    Float(f64),
    /// Text.
    Text(String),
    /// An array.
    Array(Vec<Json>),
    /// An object.
    Object(Vec<(&'static str, Json)>),
}

macro_rules! from {
    ($($t:ty, $x:ident => $e:expr;)*) => { $(
        impl From<$t> for Json {
            fn from($x: $t) -> Json {
                $e
            }
        }
    )* };
}
from! {
    bool, x => Json::Bool(x);
    usize, x => Json::Int(i64::try_from(x).unwrap_or(i64::MAX));
    u64, x => Json::Int(i64::try_from(x).unwrap_or(i64::MAX));
    i32, x => Json::Int(i64::from(x));
    f32, x => Json::Float(f64::from(x));
    &str, x => Json::Text(x.to_owned());
    &String, x => Json::Text(x.clone());
    String, x => Json::Text(x);
}

impl<T: Into<Json>> FromIterator<T> for Json {
    fn from_iter<I: IntoIterator<Item = T>>(items: I) -> Json {
        Json::Array(items.into_iter().map(Into::into).collect())
    }
}

impl Json {
    fn write(&self, f: &mut fmt::Formatter<'_>, depth: usize) -> fmt::Result {
        match self {
            Json::Null => f.write_str("null"),
            Json::Bool(b) => write!(f, "{b}"),
            Json::Int(i) => write!(f, "{i}"),
            Json::Float(x) if x.is_finite() => write!(f, "{x:?}"),
            Json::Float(_) => f.write_str("null"),
            Json::Text(s) => quote(f, s),
            Json::Array(items) => {
                let nested = items.iter().any(|i| matches!(i, Json::Array(_) | Json::Object(_)));
                list(f, '[', ']', depth, nested, items, |f, i| i.write(f, depth + 1))
            }
            Json::Object(members) => list(f, '{', '}', depth, true, members, |f, (name, value)| {
                quote(f, name)?;
                f.write_str(": ")?;
                value.write(f, depth + 1)
            }),
        }
    }
}

fn list<T>(
    f: &mut fmt::Formatter<'_>,
    open: char,
    close: char,
    depth: usize,
    lines: bool,
    items: &[T],
    item: impl Fn(&mut fmt::Formatter<'_>, &T) -> fmt::Result,
) -> fmt::Result {
    let newline = |f: &mut fmt::Formatter<'_>, depth: usize| write!(f, "\n{:1$}", "", 2 * depth);
    f.write_char(open)?;
    for (i, x) in items.iter().enumerate() {
        if i > 0 {
            f.write_str(if lines { "," } else { ", " })?;
        }
        if lines {
            newline(f, depth + 1)?;
        }
        item(f, x)?;
    }
    if lines && !items.is_empty() {
        newline(f, depth)?;
    }
    f.write_char(close)
}

fn quote(f: &mut fmt::Formatter<'_>, text: &str) -> fmt::Result {
    f.write_char('"')?;
    for c in text.chars() {
        match c {
            '"' | '\\' => write!(f, "\\{c}")?,
            '\n' => f.write_str("\\n")?,
            c if u32::from(c) < 0x20 => write!(f, "\\u{:04x}", u32::from(c))?,
            c => f.write_char(c)?,
        }
    }
    f.write_char('"')
}

impl fmt::Display for Json {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.write(f, 0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_is_json() {
        let rows: Json = [1usize, 2].into_iter().collect();
        let value =
            Json::Object(vec![("a\"b", "x\n\u{1}".into()), ("rows", rows), ("none", Json::Float(f64::NAN))]);
        assert_eq!(
            value.to_string(),
            "{\n  \"a\\\"b\": \"x\\n\\u0001\",\n  \"rows\": [1, 2],\n  \"none\": null\n}"
        );
    }
}
