//! Runs a program under QEMU and reads its report.

use super::targets::Board;
use crate::toolchain::find_program;
use std::io::Read;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

/// `-icount shift=7`: an instruction lasts 2^7 ns of emulated time, more than three ticks of the slowest timer, so that
/// ticks divide into instructions without doubt.
const INSTRUCTION_PS: u64 = 128_000;

/// What the harness reports.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub struct Report {
    /// `size_of::<Model>()`.
    pub ram: u64,
    /// Deepest stack of the first `invoke`, in bytes.
    pub stack: u64,
    /// Instructions of the second `invoke`, call to return.
    pub instructions: u64,
    /// Cycles of it, as a plugin estimates them.
    pub cycles: Option<u64>,
    /// Instructions of each layer, when the model marks them.
    pub layers: Vec<u64>,
    /// Outputs of the first call, of a fresh model.
    pub first: Vec<Vec<u8>>,
    /// Outputs of the second call.
    pub second: Vec<Vec<u8>>,
}

/// Runs `program`, at most for `limit`. A plugin counts cycles.
pub fn run(board: &Board, program: &Path, limit: Duration, plugin: Option<&Path>) -> Result<Report, String> {
    let emulator = find_program(board.emulator).ok_or_else(|| {
        format!(
            "`{}` is not installed\n  = help: on Debian, apt-get install --no-install-recommends {}",
            board.emulator, board.package
        )
    })?;
    let counted = program.with_extension("cycles");
    let plugin: Vec<String> = plugin
        .map(|plugin| vec!["-plugin".into(), format!("{},out={}", plugin.display(), counted.display())])
        .unwrap_or_default();
    let mut child = Command::new(emulator)
        .args(board.machine)
        .args(&plugin)
        .args(["-icount", "shift=7,align=off,sleep=off"])
        .args(["-display", "none", "-monitor", "none", "-serial", "none", "-chardev", "stdio,id=out"])
        .args(["-semihosting-config", "enable=on,target=native,chardev=out", "-kernel"])
        .arg(program)
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .map_err(|error| format!("cannot run `{}`: {error}", board.emulator))?;
    let output = drain(child.stdout.take());
    let errors = drain(child.stderr.take());
    let start = Instant::now();
    loop {
        match child.try_wait() {
            Ok(Some(_)) => break,
            Ok(None) if start.elapsed() < limit => std::thread::sleep(Duration::from_millis(5)),
            _ => {
                let _ = child.kill();
                let _ = child.wait();
                return Err(format!("the firmware did not end within {} s", limit.as_secs()));
            }
        }
    }
    let text = output.join().unwrap_or_default();
    let mut report = parse(&text, board.tick_ps)
        .map_err(|what| format!("{what}\n{}{}", text.trim_end(), errors.join().unwrap_or_default()))?;
    if !plugin.is_empty() {
        let counts = std::fs::read_to_string(&counted).unwrap_or_default();
        report.cycles = Some(cycles(&counts).ok_or("the plugin counted no cycles")?);
    }
    Ok(report)
}

/// Cycles of the second counted stretch less those of the first, which is empty. A line has instructions, cycles, and more.
fn cycles(counts: &str) -> Option<u64> {
    let mut lines =
        counts.lines().map(|line| line.split(' ').nth(1).and_then(|cycles| cycles.parse::<u64>().ok()));
    let (empty, steady) = (lines.next()??, lines.next()??);
    Some(steady.saturating_sub(empty))
}

fn drain(stream: Option<impl Read + Send + 'static>) -> std::thread::JoinHandle<String> {
    std::thread::spawn(move || {
        let mut bytes = Vec::new();
        if let Some(mut stream) = stream {
            let _ = stream.read_to_end(&mut bytes);
        }
        String::from_utf8_lossy(&bytes).into_owned()
    })
}

/// Lines of a name and hexadecimal bytes, `done` at the end.
fn parse(text: &str, tick_ps: u64) -> Result<Report, String> {
    let mut report = Report::default();
    let (mut empty, mut steady) = ([0u64; 2], [0u64; 2]);
    let mut done = false;
    let mut marks = vec![];
    for line in text.lines() {
        let (name, value) = line.split_once(' ').unwrap_or((line, ""));
        let number =
            || u64::from_str_radix(value, 16).map_err(|_| format!("the firmware's line `{line}` is broken"));
        match name {
            "ram" => report.ram = number()?,
            "stack" => report.stack = number()?,
            "empty_fine" => empty[0] = number()?,
            "empty_coarse" => empty[1] = number()?,
            "steady_fine" => steady[0] = number()?,
            "steady_coarse" => steady[1] = number()?,
            "mark" => marks.push(number()?),
            "first" => report.first.push(bytes(value)?),
            "second" => report.second.push(bytes(value)?),
            "done" => done = true,
            _ => return Err(format!("the firmware said `{line}`")),
        }
    }
    if !done {
        return Err("the firmware stopped early".into());
    }
    let ticks = unwrap(steady).saturating_sub(unwrap(empty));
    // The empty function is a call and a return: two instructions that the difference has lost.
    report.instructions = (ticks * tick_ps + INSTRUCTION_PS / 2) / INSTRUCTION_PS + 2;
    let instructions = |ticks: u64| (ticks * tick_ps + INSTRUCTION_PS / 2) / INSTRUCTION_PS;
    report.layers = marks.into_iter().map(instructions).collect();
    Ok(report)
}

/// Ticks in 64 bits from a counter of 32 bits and one that is 256 times slower.
fn unwrap([fine, coarse]: [u64; 2]) -> u64 {
    let wraps = ((coarse << 8) + (1 << 31)).saturating_sub(fine) >> 32;
    fine + (wraps << 32)
}

pub(super) fn bytes(hex: &str) -> Result<Vec<u8>, String> {
    let digits: Option<Vec<u32>> = hex.chars().map(|digit| digit.to_digit(16)).collect();
    let digits = digits.ok_or("the firmware's outputs are broken")?;
    Ok(digits.chunks(2).map(|pair| pair.iter().fold(0, |byte, digit| byte * 16 + *digit as u8)).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_report_is_read() {
        let text = "ram 00000100\nstack 00000020\nfirst 0aff\nempty_fine 00000008\nempty_coarse 00000000\n\
                    steady_fine 000000c8\nsteady_coarse 00000000\nmark 00000060\nsecond 0aff\ndone\n";
        let report = parse(text, 40_000).unwrap();
        assert_eq!((report.ram, report.stack, report.instructions), (256, 32, 62));
        assert_eq!(report.layers, [30]);
        assert_eq!(report.first, [[0x0a, 0xff]]);
        assert_eq!(report.second, report.first);
    }

    #[test]
    fn the_empty_stretch_is_taken_off_the_cycles() {
        assert_eq!(cycles("2 5 0\n100 165 3\n"), Some(160));
        assert_eq!((cycles("2 5 0\n"), cycles("")), (None, None));
    }

    #[test]
    fn a_report_without_its_end_is_an_error() {
        assert_eq!(parse("ram 00000100\n", 40_000), Err("the firmware stopped early".into()));
        assert_eq!(parse("fault\n", 40_000), Err("the firmware said `fault`".into()));
    }

    #[test]
    fn wraps_of_the_fast_counter_are_counted() {
        assert_eq!(unwrap([5, 0]), 5);
        assert_eq!(unwrap([u64::from(u32::MAX), 0xff_ffff]), u64::from(u32::MAX));
        assert_eq!(unwrap([300, (2 << 24) + 1]), (2 << 32) + 300);
    }
}
