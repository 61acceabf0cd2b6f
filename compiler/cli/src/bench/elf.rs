//! Sizes out of linked programs.

use object::{Object, ObjectSection, ObjectSymbol, SymbolKind};
use std::path::Path;

/// Bytes of a program that lie in flash.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Sizes {
    /// Instructions.
    pub text: u64,
    /// Constants, and the initial values of variables.
    pub constants: u64,
    /// Named constants whose name contains the module's: the tables of one generated model.
    pub tables: u64,
}

/// Reads the sizes; `module` is the generated module whose tables are counted.
pub fn sizes(path: &Path, module: &str) -> Result<Sizes, String> {
    let data = std::fs::read(path).map_err(|error| format!("cannot read `{}`: {error}", path.display()))?;
    let elf =
        object::File::parse(&*data).map_err(|error| format!("cannot read `{}`: {error}", path.display()))?;
    let size = |name| elf.section_by_name(name).map_or(0, |section| section.size());
    // Symbols are mangled: a path component is its length and its name.
    let component = format!("{}{module}", module.len());
    let tables = elf
        .symbols()
        .filter(|symbol| symbol.kind() == SymbolKind::Data)
        .filter(|symbol| symbol.name().is_ok_and(|name| name.contains(&component)))
        .filter(|symbol| {
            let section = symbol.section_index().and_then(|index| elf.section_by_index(index).ok());
            section.is_some_and(|section| section.name() == Ok(".rodata"))
        })
        .map(|symbol| symbol.size())
        .sum();
    Ok(Sizes { text: size(".text"), constants: size(".rodata") + size(".data"), tables })
}
