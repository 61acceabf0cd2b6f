//! What keeps the house in order: floors, sizes of files, and who may name what.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

/// More lines than a reader takes in at once.
const MAX_LINES: usize = 500;

/// Floors that do no input or output: all but the faces.
const PURE_FLOORS: usize = 11;

fn source() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("src")
}

/// Every Rust file below a folder, with its text.
fn files(folder: &Path) -> Vec<(PathBuf, String)> {
    let mut found = vec![];
    let Ok(entries) = fs::read_dir(folder) else { return found };
    let mut paths: Vec<PathBuf> = entries.map(|e| e.expect("folder entry").path()).collect();
    paths.sort();
    for path in paths {
        if path.is_dir() && path.file_name().is_some_and(|n| n != "target") {
            found.extend(files(&path));
        } else if path.extension().is_some_and(|e| e == "rs") {
            let text = fs::read_to_string(&path).expect("source file");
            found.push((path, text));
        }
    }
    found
}

/// The floors as `lib.rs` lists them: module to floor, and its place in the list.
fn floors() -> BTreeMap<String, (usize, usize)> {
    let text = fs::read_to_string(source().join("lib.rs")).expect("lib.rs");
    let mut found = BTreeMap::new();
    for line in text.lines().filter_map(|l| l.strip_prefix("//! ")) {
        let line = line.trim_start();
        let digits = line.chars().take_while(char::is_ascii_digit).count();
        let Ok(floor) = line[..digits].parse::<usize>() else { continue };
        // Modules end where the description begins, behind two spaces.
        let modules = line[digits..].trim_start().split("  ").next().unwrap_or_default();
        for module in modules.split_whitespace() {
            found.insert(module.to_string(), (floor, found.len()));
        }
    }
    assert!(found.len() >= 12, "lib.rs lists the floors");
    found
}

/// The top-level module that a file belongs to.
fn module(path: &Path) -> String {
    let relative = path.strip_prefix(source()).expect("below src");
    let first = relative.components().next().expect("a file").as_os_str().to_string_lossy();
    first.trim_end_matches(".rs").to_string()
}

/// A line without its comment, and nothing of one that is inside a test module.
fn code(text: &str) -> impl Iterator<Item = (usize, &str)> {
    let lines = text.lines().take_while(|l| *l != "#[cfg(test)]").enumerate();
    lines.map(|(i, l)| (i + 1, l.split("//").next().unwrap_or_default()))
}

/// Names right behind `crate::`, braces opened.
fn named(line: &str) -> Vec<String> {
    let mut found = vec![];
    for rest in line.split("crate::").skip(1) {
        let list = match rest.strip_prefix('{') {
            Some(group) => group.split('}').next().unwrap_or_default().split(',').collect(),
            None => vec![rest],
        };
        for name in list {
            let name = name.trim();
            let end = name.find(|c: char| !(c.is_alphanumeric() || c == '_')).unwrap_or(name.len());
            found.push(name[..end].to_string());
        }
    }
    found
}

#[test]
fn modules_name_only_lower_floors() {
    let floors = floors();
    let mut broken = vec![];
    for (path, text) in files(&source()) {
        let own = module(&path);
        let Some(&(floor, place)) = floors.get(&own) else { continue };
        for (line, code) in code(&text) {
            for name in named(code) {
                let Some(&(other, at)) = floors.get(&name) else { continue };
                let lower = other < floor || (other == floor && at < place);
                if name != own && !lower {
                    broken.push(format!("{}:{line}: `{own}` names `{name}`", path.display()));
                }
            }
        }
    }
    assert!(broken.is_empty(), "modules that look up:\n{}", broken.join("\n"));
}

#[test]
fn every_module_has_a_floor() {
    let floors = floors();
    let faces = ["lib", "build", "files", "report"];
    for (path, _) in files(&source()) {
        let own = module(&path);
        assert!(
            floors.contains_key(&own) || faces.contains(&own.as_str()),
            "`{own}` is not in the list of lib.rs"
        );
    }
}

#[test]
fn files_are_short() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("workspace");
    let long: Vec<_> = ["compiler", "runtime-core", "codegen-tests"]
        .iter()
        .flat_map(|folder| files(&root.join(folder)))
        .map(|(path, text)| (path, text.lines().count()))
        .filter(|(_, lines)| *lines > MAX_LINES)
        .map(|(path, lines)| format!("{}: {lines} lines", path.display()))
        .collect();
    assert!(long.is_empty(), "files over {MAX_LINES} lines:\n{}", long.join("\n"));
}

#[test]
fn only_the_reader_names_prost() {
    for (path, text) in files(&source()) {
        let named = code(&text).any(|(_, line)| line.contains("prost"));
        assert!(!named || module(&path) == "onnx", "{} names prost", path.display());
    }
}

#[test]
fn the_core_does_no_io() {
    let floors = floors();
    let forbidden = [
        "std::fs",
        "std::env",
        "std::process",
        "std::io",
        "println!",
        "eprintln!",
        "dbg!",
        "SystemTime",
        "Instant::",
    ];
    let mut broken = vec![];
    for (path, text) in files(&source()) {
        let pure = floors.get(&module(&path)).is_some_and(|(floor, _)| *floor <= PURE_FLOORS);
        for (line, code) in code(&text).filter(|_| pure) {
            if let Some(word) = forbidden.iter().find(|f| code.contains(**f)) {
                broken.push(format!("{}:{line}: {word}", path.display()));
            }
        }
    }
    assert!(broken.is_empty(), "input or output in the core:\n{}", broken.join("\n"));
}

#[test]
fn the_tests_here_see_what_they_forbid() {
    assert_eq!(named("use crate::{diag::Diagnostic, graph};"), ["diag", "graph"]);
    assert_eq!(named("let x: crate::plan::Plan = crate::lower::lower(g);"), ["plan", "lower"]);
    assert_eq!(code("a // b\n#[cfg(test)]\nc").collect::<Vec<_>>(), [(1, "a ")]);
}
