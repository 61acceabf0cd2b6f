//! Every diagnostic code of the source has a heading in `docs/errors.md`, and every heading a code.

use std::collections::BTreeSet;
use std::path::Path;

fn codes_in(text: &str, prefix: &str, codes: &mut BTreeSet<String>) {
    for (at, _) in text.match_indices(prefix) {
        let code: String = text[at + prefix.len() - 1..].chars().take(5).collect();
        if code.len() == 5 && code[1..].chars().all(|c| c.is_ascii_digit()) {
            codes.insert(code);
        }
    }
}

fn walk(folder: &Path, codes: &mut BTreeSet<String>) {
    for entry in std::fs::read_dir(folder).expect("the folder is there").flatten() {
        let path = entry.path();
        if path.is_dir() {
            walk(&path, codes);
        } else if path.extension().is_some_and(|e| e == "rs") {
            codes_in(&std::fs::read_to_string(&path).expect("the file can be read"), "\"E", codes);
        }
    }
}

#[test]
fn codes_and_headings_agree() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let (mut source, mut headings) = (BTreeSet::new(), BTreeSet::new());
    walk(&root.join("src"), &mut source);
    walk(&root.join("cli/src"), &mut source);
    codes_in(
        &std::fs::read_to_string(root.join("docs/errors.md")).expect("the document"),
        "\n### E",
        &mut headings,
    );
    let missing: Vec<_> = source.symmetric_difference(&headings).collect();
    assert!(missing.is_empty(), "codes without heading, or headings without code: {missing:?}");
}
