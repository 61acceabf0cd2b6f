//! Lays out the `Debug` text of a parameter struct, which is a Rust literal, over lines.

use std::collections::BTreeSet;

/// Widest line that a nested literal may take.
const WIDTH: usize = 140;

/// A literal with each field on a line of its own; nested ones stay on one line while they fit.
pub fn layout(literal: &str, indent: usize) -> String {
    let Some((name, fields)) = parts(literal) else { return literal.to_owned() };
    if fields.is_empty() {
        return literal.to_owned();
    }
    let inner = indent + 4;
    let mut text = format!("{name} {{\n");
    for field in fields {
        let line = if field.len() + inner < WIDTH {
            field.to_owned()
        } else {
            match field.split_once(": ") {
                Some((name, value)) => format!("{name}: {}", layout(value, inner)),
                None => field.to_owned(),
            }
        };
        text += &format!("{:inner$}{line},\n", "");
    }
    text + &format!("{:indent$}}}", "")
}

/// `Name { a: 1, b: C { d: 2 } }` as its name and the text of its fields.
fn parts(literal: &str) -> Option<(&str, Vec<&str>)> {
    let (name, rest) = literal.split_once(" { ")?;
    let body = rest.strip_suffix(" }")?;
    if !name.chars().all(|c| c.is_ascii_alphanumeric()) {
        return None;
    }
    let mut fields = vec![];
    let (mut depth, mut start) = (0usize, 0);
    for (i, c) in body.char_indices() {
        match c {
            '{' | '[' | '(' => depth += 1,
            '}' | ']' | ')' => depth = depth.saturating_sub(1),
            ',' if depth == 0 => {
                fields.push(body[start..i].trim());
                start = i + 1;
            }
            _ => {}
        }
    }
    fields.push(body[start..].trim());
    Some((name, fields))
}

/// Names of the structs in a literal, to be imported.
pub fn structs(literal: &str) -> BTreeSet<&str> {
    literal
        .split(|c: char| !c.is_ascii_alphanumeric() && c != '_')
        .filter(|word| word.starts_with(|c: char| c.is_ascii_uppercase()))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fields_take_a_line_each() {
        let text = "P { a: I { x: 1, y: [1, 2] }, b: -3.5 }";
        assert_eq!(layout(text, 0), "P {\n    a: I { x: 1, y: [1, 2] },\n    b: -3.5,\n}");
        assert_eq!(structs(text).into_iter().collect::<Vec<_>>(), ["I", "P"]);
    }
}
