//! The result: for people and as JSON.

use super::layers::LayerSnr;
use super::metrics::{auc, snr_db};
use super::tally::{Tally, threshold};
use super::task::{Labels, Task};
use serde_json::{Value, json};
use std::fmt;

/// Classes in the table of the worst.
const WORST: usize = 5;

/// Figures of one model. Those that do not apply are `None`.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Score {
    /// Accuracy, 0 to 1.
    pub accuracy: Option<f64>,
    /// How often the right class is among the five largest outputs, 0 to 1.
    pub top_five: Option<f64>,
    /// Area under the ROC curve, 0 to 1.
    pub auc: Option<f64>,
    /// Mean absolute error.
    pub mae: Option<f64>,
    /// Root of the mean squared error.
    pub rmse: Option<f64>,
    /// Coefficient of determination: 1 less the squared error over that of the mean.
    pub r2: Option<f64>,
    classes: Vec<Class>,
}

/// How one class fares.
#[derive(Debug, Clone, PartialEq)]
struct Class {
    class: usize,
    n: usize,
    hits: usize,
    /// What it is taken for most often, and how often.
    mistaken: Option<(usize, usize)>,
}

/// What [`super::Comparison::run`] found.
#[derive(Debug, Clone, PartialEq)]
pub struct Evaluation {
    /// Samples.
    pub n: usize,
    /// What the model does; `None` without labels, unless it repeats its input.
    pub task: Option<Task>,
    /// The compiled model.
    pub compiled: Score,
    /// The float model.
    pub float: Option<Score>,
    /// How often both models give the same answer, 0 to 1; `None` for a single number.
    pub agreement: Option<f64>,
    /// Signal-to-noise ratio of all outputs in dB, infinite when they are equal; `None` without float model.
    pub snr_db: Option<f64>,
    /// The table of layers, if it was asked for.
    pub layers: Vec<LayerSnr>,
}

impl Evaluation {
    pub(super) fn new(
        labels: &Labels,
        (mut compiled, mut float): (Tally, Option<Tally>),
        n: usize,
        agree: usize,
        (signal, noise): (f64, f64),
        layers: Vec<LayerSnr>,
    ) -> Evaluation {
        let mut agreement = (labels.width > 1).then_some(agree as f64 / n as f64);
        if let (1, Some(Task::Classification), Some(classes)) = (labels.width, labels.task, &labels.classes) {
            // The float model says what kind of number it is.
            let at = threshold(&float.as_ref().unwrap_or(&compiled).scores);
            compiled.decide(classes, at);
            if let Some(float) = &mut float {
                float.decide(classes, at);
                let pairs = float.scores.iter().zip(&compiled.scores);
                agreement = Some(pairs.filter(|(a, b)| (**a > at) == (**b > at)).count() as f64 / n as f64);
            }
        }
        Evaluation {
            n,
            task: labels.task,
            compiled: Score::new(labels, &compiled, n),
            agreement: agreement.filter(|_| float.is_some()),
            snr_db: float.is_some().then(|| snr_db(signal, noise)),
            float: float.map(|f| Score::new(labels, &f, n)),
            layers,
        }
    }

    /// Name of the figure that counts.
    pub fn metric(&self) -> Option<&'static str> {
        Some(match self.task? {
            Task::Classification => "accuracy",
            Task::Regression => "rmse",
            Task::Reconstruction if self.compiled.auc.is_some() => "auc",
            Task::Reconstruction => "rmse",
        })
    }

    fn main(&self, score: &Score) -> Option<f64> {
        match self.metric()? {
            "accuracy" => score.accuracy,
            "auc" => score.auc,
            _ => score.rmse,
        }
    }

    /// One object: `n`, `metric`, `float` and `compiled` (the figure that `metric` names), `argmax_agreement`, `snr_db` (null when
    /// the outputs are equal, see `identical`), `layers`; and all figures of both models.
    pub fn to_json(&self) -> Value {
        let layers =
            self.layers.iter().map(|l| json!({"name": l.name, "op": l.op, "snr_db": finite(l.snr_db)}));
        json!({
            "n": self.n,
            "task": self.task.map(|t| format!("{t:?}").to_lowercase()),
            "metric": self.metric(),
            "compiled": self.main(&self.compiled),
            "float": self.float.as_ref().and_then(|f| self.main(f)),
            "argmax_agreement": self.agreement,
            "snr_db": self.snr_db.and_then(finite),
            "identical": self.snr_db.map(|s| s == f64::INFINITY),
            "layers": layers.collect::<Vec<_>>(),
            "compiled_figures": self.compiled.to_json(),
            "float_figures": self.float.as_ref().map(Score::to_json),
        })
    }
}

/// JSON has no infinity.
fn finite(value: f64) -> Option<f64> {
    Some(value).filter(|v| v.is_finite())
}

impl Score {
    fn new(labels: &Labels, tally: &Tally, n: usize) -> Score {
        let mut score = Score::default();
        let share = |count: usize| Some(count as f64 / n as f64);
        let values = (n * labels.width) as f64;
        match labels.task {
            Some(Task::Classification) => {
                score.accuracy = share(tally.hits);
                score.top_five = share(tally.top_five).filter(|_| labels.top_five());
                score.classes = classes(tally);
            }
            Some(Task::Regression | Task::Reconstruction) => {
                score.mae = Some(tally.absolute / values);
                score.rmse = Some((tally.square / values).sqrt());
            }
            None => {}
        }
        if labels.task == Some(Task::Regression) {
            let mean = labels.targets.iter().sum::<f64>() / values;
            let spread: f64 = labels.targets.iter().map(|t| (t - mean) * (t - mean)).sum();
            score.r2 = (spread > 0.0).then(|| 1.0 - tally.square / spread);
        }
        if let Some(classes) = labels.classes.as_ref().filter(|_| !tally.scores.is_empty()) {
            score.auc = auc(&tally.scores, &classes.iter().map(|c| *c == 1).collect::<Vec<_>>());
        }
        score
    }

    fn to_json(&self) -> Value {
        let class = |c: &Class| {
            json!({
                "class": c.class, "n": c.n, "hits": c.hits,
                "mistaken_for": c.mistaken.map(|m| m.0), "times": c.mistaken.map_or(0, |m| m.1),
            })
        };
        json!({
            "accuracy": self.accuracy, "top5": self.top_five, "auc": self.auc,
            "mae": self.mae, "rmse": self.rmse, "r2": self.r2,
            "classes": self.classes.iter().map(class).collect::<Vec<_>>(),
        })
    }
}

/// Classes in order of their numbers.
fn classes(tally: &Tally) -> Vec<Class> {
    let mut found: Vec<Class> = vec![];
    for (&(class, answer), &count) in &tally.confusion {
        if found.last().is_none_or(|c| c.class != class) {
            found.push(Class { class, n: 0, hits: 0, mistaken: None });
        }
        let Some(last) = found.last_mut() else { continue };
        last.n += count;
        if class == answer {
            last.hits = count;
        } else if last.mistaken.is_none_or(|(_, most)| count > most) {
            last.mistaken = Some((answer, count));
        }
    }
    found
}

impl fmt::Display for Evaluation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "samples   {}", self.n)?;
        for (name, score) in [("float", self.float.as_ref()), ("compiled", Some(&self.compiled))] {
            if let Some(score) = score.filter(|s| **s != Score::default()) {
                writeln!(f, "{name:9} {score}")?;
            }
        }
        if let Some(agreement) = self.agreement {
            writeln!(f, "agreement {:.2} % same answer", 100.0 * agreement)?;
        }
        if let Some(snr) = self.snr_db {
            let text = if snr.is_finite() { format!("{snr:.2} dB") } else { "the same values".to_owned() };
            writeln!(f, "SNR       {text}")?;
        }
        self.worst(f)?;
        self.table(f)
    }
}

impl Evaluation {
    /// The classes that the compiled model misses most.
    fn worst(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let share = |c: &Class| c.hits as f64 / c.n as f64;
        let mut worst: Vec<&Class> = self.compiled.classes.iter().filter(|c| c.hits < c.n).collect();
        worst.sort_by(|a, b| share(a).total_cmp(&share(b)).then(a.class.cmp(&b.class)));
        if worst.is_empty() {
            return Ok(());
        }
        writeln!(
            f,
            "\n{:>6}  {:>7}  {:>8}  {:>8}  most often taken for",
            "class", "samples", "float", "compiled"
        )?;
        for class in worst.into_iter().take(WORST) {
            let float = self.float.iter().flat_map(|s| &s.classes).find(|c| c.class == class.class);
            let float = float.map_or("-".to_owned(), |c| format!("{:.2} %", 100.0 * share(c)));
            let mistaken = class.mistaken.map_or(String::new(), |(c, n)| format!("{c} ({n} times)"));
            let ours = format!("{:.2} %", 100.0 * share(class));
            writeln!(f, "{:>6}  {:>7}  {float:>8}  {ours:>8}  {mistaken}", class.class, class.n)?;
        }
        Ok(())
    }

    fn table(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.layers.is_empty() {
            return Ok(());
        }
        let width = self.layers.iter().map(|l| l.name.chars().count()).max().unwrap_or(0).max(5);
        let op = self.layers.iter().map(|l| l.op.len()).max().unwrap_or(0).max(8);
        writeln!(f, "\n{:width$}  {:op$}  {:>9}", "value", "operator", "SNR")?;
        for l in &self.layers {
            let snr = if l.snr_db.is_finite() { format!("{:.2} dB", l.snr_db) } else { "equal".to_owned() };
            writeln!(f, "{:width$}  {:op$}  {snr:>9}", l.name, l.op)?;
        }
        Ok(())
    }
}

impl fmt::Display for Score {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let percent = [("correct", self.accuracy), ("among the first five", self.top_five)];
        let percent = percent.iter().filter_map(|(n, v)| v.map(|v| format!("{:.2} % {n}", 100.0 * v)));
        let plain = [("AUC", self.auc), ("RMSE", self.rmse), ("MAE", self.mae), ("R2", self.r2)];
        let plain = plain.iter().filter_map(|(n, v)| v.map(|v| format!("{n} {v:.4}")));
        f.write_str(&percent.chain(plain).collect::<Vec<_>>().join(", "))
    }
}
