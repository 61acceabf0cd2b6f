//! Rust identifiers from ONNX names: readable, unique, and the same on every machine.

use std::collections::BTreeSet;

/// Keywords, reserved words, and names that generated modules use or that would shadow a primitive type or a crate.
const TAKEN: &str = "as async await become box break const continue crate do dyn else enum extern false final fn for gen \
    if impl in let loop macro match mod move mut override priv pub ref return self static struct super trait true try \
    type typeof unsafe unsized use virtual where while yield union \
    bool char str i8 i16 i32 i64 i128 isize u8 u16 u32 u64 u128 usize f16 f32 f64 f128 core std alloc kiln_runtime_core";

/// Longest identifier that is made from a name; longer ones keep their end, which tells layers apart.
const LONGEST: usize = 48;

/// `name` in snake case, `fallback` where nothing of it can be kept.
pub fn snake(name: &str, fallback: &str) -> String {
    let mut id = String::new();
    let mut lower_before = false;
    for c in name.chars() {
        if !c.is_ascii_alphanumeric() {
            if !id.ends_with('_') {
                id.push('_');
            }
            lower_before = false;
            continue;
        }
        // CamelCase becomes camel_case; digits and runs of capitals stay together.
        if c.is_ascii_uppercase() && lower_before {
            id.push('_');
        }
        lower_before = c.is_ascii_lowercase();
        id.push(c.to_ascii_lowercase());
    }
    let mut id = id.trim_matches('_');
    if id.len() > LONGEST {
        let end = &id[id.len() - LONGEST..];
        id = end.split_once('_').map_or(end, |(_, rest)| rest).trim_matches('_');
    }
    if id.is_empty() {
        return fallback.to_owned();
    }
    let starts_well = id.starts_with(|c: char| c.is_ascii_alphabetic());
    let id = if starts_well { id.to_owned() } else { format!("{fallback}_{id}") };
    if TAKEN.split_whitespace().any(|t| t == id) { id + "_" } else { id }
}

/// Hands out identifiers, each once.
#[derive(Debug, Default)]
pub struct Names(BTreeSet<String>);

impl Names {
    /// `id`, or `id_2`, `id_3`, ... where it is in use.
    pub fn unique(&mut self, id: String) -> String {
        let mut candidate = id.clone();
        let mut n = 2;
        while !self.0.insert(candidate.clone()) {
            candidate = format!("{}_{n}", id.trim_end_matches('_'));
            n += 1;
        }
        candidate
    }
}

/// The leading path that all names share, up to the last `/`: it says nothing within the model.
pub fn shared_path<'a>(names: impl IntoIterator<Item = &'a str>) -> String {
    let mut names = names.into_iter();
    let Some(first) = names.next() else { return String::new() };
    let mut shared = first.rsplit_once('/').map_or("", |(path, _)| path).to_owned();
    for name in names {
        while !shared.is_empty() && !name.starts_with(&format!("{shared}/")) {
            shared = shared.rsplit_once('/').map_or(String::new(), |(path, _)| path.to_owned());
        }
    }
    if shared.is_empty() { shared } else { shared + "/" }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn identifiers_are_valid() {
        let of = |name: &str| snake(name, "layer");
        assert_eq!(of("model/Conv2D_1:0"), "model_conv2d_1_0");
        assert_eq!(of("MobileNetV1"), "mobile_net_v1");
        assert_eq!(of("GlobalAveragePool"), "global_average_pool");
        assert_eq!(of("type"), "type_");
        assert_eq!(of("f32"), "f32_");
        assert_eq!(of("12"), "layer_12");
        assert_eq!(of("数字"), "layer");
        assert_eq!(of("größe"), "gr_e");
        assert_eq!(of("_"), "layer");
        assert!(of(&"a_long_name/".repeat(20)).len() <= LONGEST);
    }

    #[test]
    fn identifiers_are_unique() {
        let mut names = Names::default();
        names.unique("a".into());
        let all = ["a", "b", "b", "a_2"].map(|n| names.unique(n.into()));
        assert_eq!(all, ["a_2", "b", "b_2", "a_2_2"]);
        assert_eq!(["fn_", "fn_"].map(|n| names.unique(n.into())), ["fn_", "fn_2"]);
    }

    #[test]
    fn a_shared_path_is_dropped() {
        assert_eq!(shared_path(["m/a/x", "m/a/y", "m/b"]), "m/");
        assert_eq!(shared_path(["m/a/x", "m/ab"]), "m/");
        assert_eq!(shared_path(["m/a", "n/a"]), "");
        assert_eq!(shared_path(["a"]), "");
    }
}
