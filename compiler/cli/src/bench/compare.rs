//! What moved between two results of the bench.

use serde_json::Value;
use std::fmt;

/// A figure of both results.
#[derive(Debug, Clone, PartialEq)]
pub struct Change {
    /// Where it stands: names of members, joined by dots. Layers stand under their number and name.
    pub figure: String,
    /// Its old value.
    pub old: f64,
    /// Its new value.
    pub new: f64,
}

impl Change {
    /// By how much it grew, in percent of the old value.
    pub fn percent(&self) -> f64 {
        match self.old {
            0.0 if self.new == 0.0 => 0.0,
            old => (self.new / old - 1.0) * 100.0,
        }
    }
}

impl fmt::Display for Change {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:>12} -> {:>12} {:>+8.2} %  {}", self.old, self.new, self.percent(), self.figure)
    }
}

/// The figures that both results have, in the order of the new one. Other values are not compared.
pub fn compare(old: &Value, new: &Value) -> Vec<Change> {
    let mut changes = vec![];
    walk(old, new, String::new(), &mut changes);
    changes
}

fn walk(old: &Value, new: &Value, figure: String, changes: &mut Vec<Change>) {
    let below = |name: &str| if figure.is_empty() { name.to_owned() } else { format!("{figure}.{name}") };
    match (old, new) {
        (Value::Object(old), Value::Object(new)) => {
            for (name, new) in new {
                if let Some(old) = old.get(name) {
                    walk(old, new, below(name), changes);
                }
            }
        }
        (Value::Array(old), Value::Array(new)) => {
            for (i, (old, new)) in old.iter().zip(new).enumerate() {
                let name = new.get("name").and_then(Value::as_str).unwrap_or_default();
                // Exporters chain the names of what they fused.
                let name: String = name.chars().take(30).collect();
                walk(old, new, below(&format!("{i} {name}")), changes);
            }
        }
        _ => {
            if let (Some(old), Some(new)) = (old.as_f64(), new.as_f64()) {
                changes.push(Change { figure, old, new });
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn figures_of_both_results_are_compared() {
        let old =
            json!({"instructions": 200, "target": "m4", "gone": 1, "layers": [{"name": "a", "macs": 4}]});
        let new =
            json!({"instructions": 150, "target": "m3", "more": 1, "layers": [{"name": "b", "macs": 5}, {}]});
        let changes = compare(&old, &new);
        let figures: Vec<_> = changes.iter().map(|c| (c.figure.as_str(), c.percent())).collect();
        assert_eq!(figures, [("instructions", -25.0), ("layers.0 b.macs", 25.0)]);
        assert_eq!(changes[0].to_string(), "         200 ->          150   -25.00 %  instructions");
        assert_eq!(Change { figure: String::new(), old: 0.0, new: 0.0 }.percent(), 0.0);
    }
}
