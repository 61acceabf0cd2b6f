//! The emulated boards.

/// A board of QEMU, and how to link and time a program for it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Board {
    /// Rust target triple.
    pub target: &'static str,
    /// Short names that `--target` takes as well.
    pub names: &'static [&'static str],
    /// QEMU program.
    pub emulator: &'static str,
    /// `-machine`, and what else the emulator needs.
    pub machine: &'static [&'static str],
    /// Debian package of the emulator.
    pub package: &'static str,
    /// `ORIGIN = .., LENGTH = ..` of program and of data memory, in the linker's words.
    pub flash: &'static str,
    /// As `flash`.
    pub ram: &'static str,
    /// Flags of the compiler.
    pub rustflags: &'static [&'static str],
    /// Picoseconds of emulated time from one tick of the board's timer to the next.
    pub tick_ps: u64,
}

const ARM: &str = "qemu-system-arm";
const AARCH64: &str = "qemu-system-aarch64"; // in the same package

/// The bare triple avoids unaligned accesses for the sake of programs without a map of memory; this one has a map, like those of an
/// operating system.
const ANY_ALIGNMENT: &[&str] = &["-Ctarget-feature=-strict-align"];

/// Every target of the bench, the default first.
pub const BOARDS: &[Board] = &[
    Board {
        target: "thumbv7em-none-eabihf",
        names: &["cortex-m4", "m4", "cortex-m7", "m7"],
        emulator: ARM,
        machine: &["-machine", "mps2-an386"],
        package: ARM,
        flash: "0x00000000, LENGTH = 4M",
        ram: "0x20000000, LENGTH = 4M",
        rustflags: &["-Ctarget-cpu=cortex-m4"],
        tick_ps: 40_000,
    },
    Board {
        target: "thumbv7m-none-eabi",
        names: &["cortex-m3", "m3"],
        emulator: ARM,
        machine: &["-machine", "mps2-an385"],
        package: ARM,
        flash: "0x00000000, LENGTH = 4M",
        ram: "0x20000000, LENGTH = 4M",
        rustflags: &[],
        tick_ps: 40_000,
    },
    Board {
        target: "thumbv6m-none-eabi",
        names: &["cortex-m0", "m0", "cortex-m0plus", "m0plus"],
        emulator: ARM,
        machine: &["-machine", "mps2-an385"], // a Cortex-M3, which runs the M0's code as it is
        package: ARM,
        flash: "0x00000000, LENGTH = 4M",
        ram: "0x20000000, LENGTH = 4M",
        rustflags: &[],
        tick_ps: 40_000,
    },
    Board {
        target: "thumbv8m.main-none-eabihf",
        names: &["cortex-m33", "m33"],
        emulator: ARM,
        machine: &["-machine", "mps2-an505"],
        package: ARM,
        flash: "0x10000000, LENGTH = 4M",
        ram: "0x38000000, LENGTH = 4M",
        rustflags: &["-Ctarget-cpu=cortex-m33", "--cfg=board=\"an505\""],
        tick_ps: 50_000,
    },
    Board {
        target: "thumbv8m.main-none-eabihf",
        names: &["cortex-m55", "m55", "cortex-m85", "m85"],
        emulator: ARM,
        machine: &["-machine", "mps3-an547"],
        package: ARM,
        flash: "0x00000000, LENGTH = 512K",
        ram: "0x21000000, LENGTH = 4M",
        rustflags: &["-Ctarget-cpu=cortex-m55", "--cfg=board=\"an547\""],
        tick_ps: 31_250,
    },
    Board {
        target: "riscv32imc-unknown-none-elf",
        names: &["rv32imc", "riscv32"],
        emulator: "qemu-system-riscv32",
        machine: &["-machine", "virt", "-bios", "none"],
        package: "qemu-system-misc",
        flash: "0x80000000, LENGTH = 16M",
        ram: "0x81000000, LENGTH = 16M",
        rustflags: &["-Crelocation-model=static"],
        tick_ps: 1_000,
    },
    Board {
        target: "aarch64-unknown-none",
        names: &["aarch64", "cortex-a53", "a53", "cortex-a72", "a72"],
        emulator: AARCH64,
        machine: &["-machine", "virt", "-cpu", "cortex-a72", "-nic", "none"],
        package: ARM,
        flash: "0x41000000, LENGTH = 16M", // the emulator keeps the beginning of the memory for itself
        ram: "0x42000000, LENGTH = 16M",
        rustflags: ANY_ALIGNMENT,
        tick_ps: 16_000,
    },
];

impl Board {
    /// The name that no other board has: boards may share a triple.
    pub fn name(&self) -> &'static str {
        self.names.first().unwrap_or(&self.target)
    }

    /// The board for a triple or a short name.
    pub fn find(name: &str) -> Result<&'static Board, String> {
        BOARDS.iter().find(|board| board.target == name || board.names.contains(&name)).ok_or_else(|| {
            let known: Vec<_> = BOARDS.iter().map(|board| format!("`{}`", board.name())).collect();
            format!("no emulated board for target `{name}`\n  = help: use one of {}", known.join(", "))
        })
    }
}
