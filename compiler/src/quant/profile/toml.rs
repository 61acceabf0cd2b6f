//! The part of TOML that a profile is written in: tables of strings, numbers and inline tables.

use std::fmt::Write;

/// A value.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Value {
    Text(String),
    Number(f64),
    Table(Vec<(String, Value)>),
}

impl Value {
    /// The entry of a table.
    pub(super) fn get(&self, key: &str) -> Option<&Value> {
        let Value::Table(entries) = self else { return None };
        entries.iter().find(|(name, _)| name == key).map(|(_, value)| value)
    }
}

/// A string between quotes.
pub(super) fn quoted(text: &str) -> String {
    let mut out = String::from("\"");
    for c in text.chars() {
        match c {
            '"' | '\\' => out.extend(['\\', c]),
            c if c.is_control() => {
                let _ = write!(out, "\\u{:04X}", c as u32);
            }
            c => out.push(c),
        }
    }
    out.push('"');
    out
}

/// Reads a file as a table of tables.
///
/// # Errors
/// The number of the line, and what is wrong with it.
pub(super) fn parse(text: &str) -> Result<Value, String> {
    let mut tables: Vec<(String, Value)> = vec![];
    let mut entries: Vec<(String, Value)> = vec![];
    let mut name = String::new();
    for (number, line) in text.lines().enumerate() {
        let fail = |what: &str| format!("line {}: {what}", number + 1);
        let mut cursor = Cursor { rest: line.trim() };
        if cursor.end() {
            continue;
        }
        if cursor.take('[') {
            let next = cursor.key().ok_or_else(|| fail("a name in brackets"))?;
            if !cursor.take(']') || !cursor.end() {
                return Err(fail("expected `]`"));
            }
            tables.push((std::mem::replace(&mut name, next), Value::Table(std::mem::take(&mut entries))));
            continue;
        }
        let entry = cursor.entry().filter(|_| cursor.end());
        entries.push(entry.ok_or_else(|| fail("expected `name = value`"))?);
    }
    tables.push((name, Value::Table(entries)));
    // What stands before the first table belongs to the file.
    let Value::Table(mut all) = tables.remove(0).1 else { return Err(String::new()) };
    all.extend(tables);
    Ok(Value::Table(all))
}

struct Cursor<'a> {
    rest: &'a str,
}

impl Cursor<'_> {
    fn skip(&mut self) {
        self.rest = self.rest.trim_start();
    }

    fn take(&mut self, c: char) -> bool {
        self.skip();
        let rest = self.rest.strip_prefix(c);
        self.rest = rest.unwrap_or(self.rest);
        rest.is_some()
    }

    /// Whether nothing but a comment is left.
    fn end(&mut self) -> bool {
        self.skip();
        self.rest.is_empty() || self.rest.starts_with('#')
    }

    fn word(&mut self, allowed: &str) -> Option<String> {
        let ok = |c: char| c.is_ascii_alphanumeric() || allowed.contains(c);
        let end = self.rest.find(|c| !ok(c)).unwrap_or(self.rest.len());
        let (word, rest) = self.rest.split_at(end);
        self.rest = rest;
        (!word.is_empty()).then(|| word.to_string())
    }

    fn key(&mut self) -> Option<String> {
        self.skip();
        if self.rest.starts_with('"') { self.string() } else { self.word("_-") }
    }

    fn string(&mut self) -> Option<String> {
        let mut chars = self.rest.strip_prefix('"')?.chars();
        let mut out = String::new();
        loop {
            match chars.next()? {
                '"' => break,
                '\\' => match chars.next()? {
                    c @ ('"' | '\\') => out.push(c),
                    'n' => out.push('\n'),
                    't' => out.push('\t'),
                    'u' => {
                        let digits: String = chars.by_ref().take(4).collect();
                        out.push(char::from_u32(u32::from_str_radix(&digits, 16).ok()?)?);
                    }
                    _ => return None,
                },
                c => out.push(c),
            }
        }
        self.rest = chars.as_str();
        Some(out)
    }

    fn entry(&mut self) -> Option<(String, Value)> {
        let key = self.key()?;
        self.take('=').then_some(())?;
        Some((key, self.value()?))
    }

    fn value(&mut self) -> Option<Value> {
        self.skip();
        if self.rest.starts_with('"') {
            return self.string().map(Value::Text);
        }
        if !self.take('{') {
            return self.word("+-._")?.parse().ok().map(Value::Number);
        }
        let mut entries = vec![];
        while !self.take('}') {
            if !entries.is_empty() && !self.take(',') {
                return None;
            }
            entries.push(self.entry()?);
        }
        Some(Value::Table(entries))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_what_it_says() {
        let text = "# c\na = 1 # one\n[t]\n\"x \\\"y\\\" \\u0007#\" = { low = -1.5e-3, m = \"k\" }\n\n[e]\n";
        let value = parse(text).expect("it is well formed");
        assert_eq!(value.get("a"), Some(&Value::Number(1.0)));
        let entry = value.get("t").and_then(|t| t.get("x \"y\" \u{7}#")).expect("the entry");
        assert_eq!(entry.get("low"), Some(&Value::Number(-0.0015)));
        assert_eq!(entry.get("m"), Some(&Value::Text("k".into())));
        assert_eq!(value.get("e"), Some(&Value::Table(vec![])));
        assert_eq!(quoted("x \"y\" \u{7}#"), "\"x \\\"y\\\" \\u0007#\"");
    }

    #[test]
    fn names_the_line_that_is_wrong() {
        for (text, line) in
            [("a = ", 1), ("\n[b", 2), ("a = \"b", 1), ("a = 1 2", 1), ("a = { b = 1 c = 2 }", 1)]
        {
            let error = parse(text).expect_err(text);
            assert!(error.starts_with(&format!("line {line}:")), "{text}: {error}");
        }
    }
}
