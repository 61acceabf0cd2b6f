//! What the walk needs of a linked program: its functions, its bytes, and which addresses they take.

use object::elf::SHF_ALLOC;
use object::{Architecture, Object, ObjectSection, ObjectSymbol};
use object::{RelocationFlags, RelocationTarget, SectionFlags, SymbolKind};
use std::collections::{BTreeMap, BTreeSet};

/// The instruction sets that can be read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Set {
    /// Thumb, with everything that Cortex-M cores have.
    Thumb,
    /// RV32IMC.
    RiscV,
}

impl Set {
    /// Types of the relocations of calls and jumps, as the ABIs number them.
    fn calls(self) -> &'static [u32] {
        match self {
            // R_ARM_THM_CALL, JUMP24, THM_JUMP24, THM_JUMP19, THM_JUMP11, THM_JUMP8
            Set::Thumb => &[10, 29, 30, 51, 102, 103],
            // R_RISCV_BRANCH, JAL, CALL, CALL_PLT, RVC_BRANCH, RVC_JUMP
            Set::RiscV => &[16, 17, 18, 19, 44, 45],
        }
    }
}

/// Whether a section lies in the memory of the device: others say that they begin at 0.
fn is_loaded(section: &object::Section<'_, '_>) -> bool {
    matches!(section.flags(), SectionFlags::Elf { sh_flags, .. } if sh_flags.0 & SHF_ALLOC.0 != 0)
}

/// A linked program.
pub struct Image<'a> {
    pub set: Set,
    /// Name and end of each function, by its start.
    functions: BTreeMap<u64, (String, u64)>,
    /// End of each constant and variable, by its start.
    objects: BTreeMap<u64, u64>,
    /// Sections with contents: start and bytes.
    sections: Vec<(u64, &'a [u8])>,
    /// Ranges of constants between instructions.
    literals: Vec<(u64, u64)>,
    /// Addresses that are taken, by the place where that is done.
    taken: BTreeMap<u64, u64>,
}

impl<'a> Image<'a> {
    /// Reads a program that was linked with its relocations kept (`--emit-relocs`).
    pub fn read(data: &'a [u8]) -> Result<Image<'a>, String> {
        let elf = object::File::parse(data).map_err(|error| format!("no program: {error}"))?;
        let set = match elf.architecture() {
            Architecture::Arm => Set::Thumb,
            Architecture::Riscv32 => Set::RiscV,
            other => return Err(format!("instructions of {other:?} cannot be read")),
        };
        let sections = elf.sections().filter(is_loaded);
        let sections = sections.filter_map(|s| Some((s.address(), s.data().ok()?))).collect();
        let mut image = Image {
            set,
            functions: BTreeMap::new(),
            objects: BTreeMap::new(),
            sections,
            literals: vec![],
            taken: BTreeMap::new(),
        };
        image.read_symbols(&elf);
        image.read_relocations(&elf)?;
        Ok(image)
    }

    /// The address of an instruction: the lowest bit of a pointer to it only says that it is Thumb code.
    pub fn code(&self, address: u64) -> u64 {
        if self.set == Set::Thumb { address & !1 } else { address }
    }

    fn read_symbols(&mut self, elf: &object::File<'a>) {
        let end_of_section = |symbol: &object::Symbol<'_, '_>| {
            let section = symbol.section_index().and_then(|index| elf.section_by_index(index).ok());
            section.map_or(0, |s| s.address() + s.size())
        };
        let mut marks: Vec<(u64, bool, u64)> = vec![];
        for symbol in elf.symbols() {
            let name = symbol.name().unwrap_or_default();
            let (start, end) = (self.code(symbol.address()), end_of_section(&symbol));
            // `$d` marks where constants begin between instructions, `$t` and `$x` where instructions go on.
            let mark = name.split('.').next().unwrap_or_default();
            match symbol.kind() {
                _ if ["$d", "$t", "$a"].contains(&mark) || mark.starts_with("$x") => {
                    marks.push((symbol.address(), mark == "$d", end));
                }
                SymbolKind::Text => {
                    // A function without a size ends where the next one begins.
                    let size = symbol.size();
                    let known = self.functions.entry(start).or_insert((name.to_owned(), 0));
                    known.1 = known.1.max(if size > 0 { start + size } else { 0 });
                }
                SymbolKind::Data => drop(self.objects.insert(start, start + symbol.size())),
                _ => {}
            }
        }
        marks.sort_unstable();
        for (i, &(start, literal, end)) in marks.iter().enumerate() {
            if literal {
                let next = marks[i + 1..].iter().find(|(at, other, _)| *at > start && !other);
                self.literals.push((start, next.map_or(end, |next| next.0.min(end))));
            }
        }
        let starts: Vec<u64> = self.functions.keys().copied().collect();
        for (i, start) in starts.iter().enumerate() {
            let next = starts.get(i + 1).copied().unwrap_or(u64::MAX);
            if let Some((_, end)) = self.functions.get_mut(start)
                && *end == 0
            {
                *end = next;
            }
        }
    }

    /// Which addresses are taken, apart from those that are called.
    fn read_relocations(&mut self, elf: &object::File<'a>) -> Result<(), String> {
        let mut any = false;
        for (at, relocation) in elf.sections().flat_map(|s| s.relocations().collect::<Vec<_>>()) {
            any = true;
            let RelocationFlags::Elf { r_type } = relocation.flags() else { continue };
            let RelocationTarget::Symbol(index) = relocation.target() else { continue };
            let Ok(symbol) = elf.symbol_by_index(index) else { continue };
            if self.set.calls().contains(&r_type.0) {
                continue;
            }
            // A word of data holds the address itself, with what the assembler added to the symbol.
            let address = match (symbol.kind(), self.word(at)) {
                (SymbolKind::Section, Some(word)) => word,
                _ => symbol.address(),
            };
            self.taken.insert(at, self.code(address));
        }
        if any { Ok(()) } else { Err("the program was linked without `--emit-relocs`".into()) }
    }

    /// The function of that name.
    pub fn named(&self, name: &str) -> Option<u64> {
        self.functions.iter().find(|(_, (other, _))| other == name).map(|(start, _)| *start)
    }

    /// Name of a function.
    pub fn name(&self, function: u64) -> &str {
        self.functions.get(&function).map_or("?", |(name, _)| name)
    }

    /// Where a function ends.
    pub fn end(&self, function: u64) -> Option<u64> {
        self.functions.get(&function).map(|(_, end)| *end)
    }

    /// The two bytes at an address.
    pub fn half(&self, at: u64) -> Option<u16> {
        let bytes = self.bytes(at)?;
        Some(u16::from_le_bytes([*bytes.first()?, *bytes.get(1)?]))
    }

    /// The four bytes at an address.
    pub fn word(&self, at: u64) -> Option<u64> {
        Some(u64::from(self.half(at)?) | u64::from(self.half(at + 2)?) << 16)
    }

    fn bytes(&self, at: u64) -> Option<&'a [u8]> {
        let behind = |(start, bytes): &(u64, &'a [u8])| {
            bytes.get(usize::try_from(at.checked_sub(*start)?).ok()?..).filter(|rest| !rest.is_empty())
        };
        self.sections.iter().find_map(behind)
    }

    /// Whether a constant lies there, between instructions.
    pub fn is_literal(&self, at: u64) -> bool {
        self.literals.iter().any(|(start, end)| (*start..*end).contains(&at))
    }

    /// The functions whose addresses a function takes, or constants that it names, or constants that these name.
    pub fn taken_by(&self, function: u64) -> BTreeSet<u64> {
        let (mut found, mut seen) = (BTreeSet::new(), BTreeSet::new());
        let mut waiting = vec![(function, self.end(function).unwrap_or(function))];
        while let Some((start, end)) = waiting.pop() {
            for (_, &target) in self.taken.range(start..end) {
                if self.functions.contains_key(&target) {
                    found.insert(target);
                } else if let Some((&start, &end)) = self.objects.range(..=target).next_back()
                    && target < end
                    && seen.insert(start)
                {
                    waiting.push((start, end));
                }
            }
        }
        // A jump within itself takes no address of a function.
        found.remove(&function);
        found
    }
}
