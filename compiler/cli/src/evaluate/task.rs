//! What a model does, from its shapes and the labels, and what a right answer is.

use super::metrics::{among_top, argmax};
use super::tally::Judged;
use crate::data::Dataset;
use kiln_compiler::diag::Diagnostic;
use kiln_compiler::program::Program;
use kiln_compiler::tensor::Tensor;

/// What a model does.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub enum Task {
    /// The largest output names the class; a single output says yes or no
    Classification,
    /// Outputs are numbers that labels state
    Regression,
    /// The output repeats the input; a large error marks an anomaly (label 1)
    Reconstruction,
}

/// Top-5 accuracy says something from this number of classes on.
const TOP_FIVE: usize = 10;

/// The task with the labels of all samples.
#[derive(Debug)]
pub(super) struct Labels {
    /// `None`: nothing is known to be right, only the two models can be compared.
    pub(super) task: Option<Task>,
    /// Classes of the samples, or whether they are anomalies.
    pub(super) classes: Option<Vec<usize>>,
    /// Targets of a regression, all samples.
    pub(super) targets: Vec<f64>,
    /// Values of the output.
    pub(super) width: usize,
}

impl Labels {
    /// Decides what the model does, unless `task` says it, and reads the labels for it.
    ///
    /// # Errors
    /// `E0606` when the labels do not fit.
    pub(super) fn new(
        data: &Dataset,
        program: &Program,
        output: usize,
        task: Option<Task>,
    ) -> Result<Labels, Diagnostic> {
        let width = program.outputs[output].ty.elements();
        let inputs = &program.inputs;
        let repeats =
            inputs.len() == 1 && inputs[0].ty.shape == program.outputs[output].ty.shape && width > 1;
        let labels = data.labels();
        let classes = labels.and_then(|l| classes(l, data.len(), width));
        let binary = classes.as_ref().is_some_and(|c| c.iter().all(|c| *c < 2));
        let chosen = task.or(match labels {
            None => repeats.then_some(Task::Reconstruction),
            Some(_) if repeats && binary && width > 2 => Some(Task::Reconstruction),
            Some(_) if classes.is_some() && (width > 1 || binary) => Some(Task::Classification),
            Some(_) => Some(Task::Regression),
        });
        let mut this = Labels { task: chosen, classes, targets: vec![], width };
        let refuse = |message: &str| {
            let given = labels.map_or("none".to_owned(), |l| l.ty().to_string());
            Diagnostic::new("E0606", message)
                .fact("output", format!("`{}` {}", program.outputs[output].name, program.outputs[output].ty))
                .fact("labels", given)
        };
        match chosen {
            Some(Task::Classification) => {
                let help = "give `y` with one class from 0 on a sample, or one-hot rows";
                let Some(classes) = &this.classes else {
                    return Err(refuse("the labels are no classes").help(help));
                };
                let limit = if width == 1 { 2 } else { width };
                if let Some((i, class)) = classes.iter().enumerate().find(|(_, c)| **c >= limit) {
                    return Err(refuse("a label names a class that the model does not have")
                        .fact("sample", format!("{i}, label {class}"))
                        .help(format!("classes count from 0 to {}", limit - 1)));
                }
            }
            Some(Task::Regression) => {
                let targets = labels.filter(|l| l.elements() == data.len() * width);
                this.classes = None;
                this.targets = targets
                    .ok_or_else(|| {
                        refuse("the labels are no targets of a regression")
                            .help(format!("give `y` with {width} numbers a sample"))
                    })?
                    .to_f64s();
            }
            Some(Task::Reconstruction) => {
                if inputs.len() != 1 || inputs[0].ty.elements() != width {
                    return Err(refuse("the output does not repeat the input")
                        .fact("input", &inputs[0].ty)
                        .help("leave `--task` out, or choose the output with `--output`"));
                }
                if labels.is_some() && !binary {
                    return Err(refuse("the labels do not tell anomalies")
                        .help("give `y` with 0 for a normal sample and 1 for an anomaly, or none"));
                }
            }
            None => {}
        }
        Ok(this)
    }

    /// Whether top-5 accuracy is counted.
    pub(super) fn top_five(&self) -> bool {
        self.task == Some(Task::Classification) && self.width >= TOP_FIVE
    }

    /// Whether the output is compared with the input.
    pub(super) fn repeats(&self) -> bool {
        self.task == Some(Task::Reconstruction)
    }

    /// What a model gave for sample `i` against what it should be.
    pub(super) fn judge(&self, i: usize, seen: &Seen) -> Judged {
        let output = &seen.output;
        let score = output.first().copied().unwrap_or(0.0);
        let mut judged = Judged { answer: argmax(output), score, ..Judged::default() };
        if let Some(classes) = self.classes.as_ref().filter(|_| self.top_five()) {
            judged.top_five = among_top(output, classes[i], 5);
        }
        let target = match self.task {
            Some(Task::Regression) => &self.targets[i * self.width..(i + 1) * self.width],
            _ => &seen.input,
        };
        for (a, b) in output.iter().zip(target) {
            judged.absolute += (a - b).abs();
            judged.square += (a - b) * (a - b);
        }
        if self.repeats() {
            judged.score = judged.square / self.width as f64;
        }
        judged
    }
}

/// What a model gave for a sample, and what it was given where the output repeats the input; else nothing.
pub(super) struct Seen {
    pub(super) output: Vec<f64>,
    pub(super) input: Vec<f64>,
}

/// One class a sample: whole numbers from 0 on, or rows with a single 1.
fn classes(labels: &Tensor, samples: usize, width: usize) -> Option<Vec<usize>> {
    let values = labels.to_f64s();
    let whole = |v: &f64| (*v >= 0.0 && v.fract() == 0.0 && *v < 1e9).then_some(*v as usize);
    if values.len() == samples {
        // Floats that happen to be whole are targets when there is one output to hit.
        if width == 1 && !labels.elem().is_integer() && values.iter().any(|v| *v > 1.0) {
            return None;
        }
        return values.iter().map(whole).collect();
    }
    if width < 2 || values.len() != samples * width {
        return None;
    }
    let one = |row: &[f64]| {
        let hot = row.iter().position(|v| *v == 1.0)?;
        (row.iter().filter(|v| **v != 0.0).count() == 1).then_some(hot)
    };
    values.chunks(width).map(one).collect()
}
