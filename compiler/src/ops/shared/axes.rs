//! Axes and indices as ONNX counts them, from either end.

use crate::diag::Diagnostic;

/// An axis from the start; negative ones count from the end.
///
/// # Errors
/// `E0205` when it lies outside of `rank` axes.
pub fn axis(axis: i64, rank: usize) -> Result<usize, Diagnostic> {
    let n = rank as i64;
    let at = if axis < 0 { axis + n } else { axis };
    if (0..n).contains(&at) {
        return Ok(at as usize);
    }
    Err(Diagnostic::new("E0205", format!("axis {axis} does not exist in a value of rank {rank}")).help(
        match rank {
            0 => "a scalar has no axes".to_string(),
            _ => format!("its axes are 0 to {}, or -{rank} to -1 counted from the end", rank - 1),
        },
    ))
}

/// Several axes, sorted, each once.
///
/// # Errors
/// `E0205` when one lies outside, or twice.
pub fn axes(list: &[i64], rank: usize) -> Result<Vec<usize>, Diagnostic> {
    let mut result = list.iter().map(|&a| axis(a, rank)).collect::<Result<Vec<_>, _>>()?;
    result.sort_unstable();
    if result.windows(2).any(|w| w[0] == w[1]) {
        return Err(Diagnostic::new("E0205", format!("axes {list:?} name one axis twice"))
            .help("name each axis once; negative ones count from the end"));
    }
    Ok(result)
}

/// The shape of numpy broadcasting.
///
/// # Errors
/// `E0202` when the shapes do not broadcast.
pub fn broadcast(a: &[usize], b: &[usize]) -> Result<Vec<usize>, Diagnostic> {
    let rank = a.len().max(b.len());
    let at = |s: &[usize], i: usize| (i + s.len()).checked_sub(rank).map_or(1, |j| s[j]);
    (0..rank)
        .map(|i| match (at(a, i), at(b, i)) {
            (x, y) if x == y => Ok(x),
            (1, y) => Ok(y),
            (x, 1) => Ok(x),
            (x, y) => {
                Err(Diagnostic::new("E0202", format!("shapes do not broadcast: axis {i} is {x} and {y}"))
                    .help("extents must be equal, or one of them 1"))
            }
        })
        .collect()
}
