//! `kiln check`.

use crate::model::ModelArgs;
use crate::target::{BudgetArgs, TargetArgs};
use clap::Args;
use std::path::PathBuf;
use std::process::ExitCode;

#[derive(Debug, Args)]
pub(super) struct Check {
    #[command(flatten)]
    model: ModelArgs,
    #[command(flatten)]
    target: TargetArgs,
    #[command(flatten)]
    budget: BudgetArgs,
    /// The generated file
    file: PathBuf,
}

impl Check {
    pub(super) fn run(self) -> Result<ExitCode, String> {
        let name = self.file.file_stem().map(|s| s.to_string_lossy().into_owned());
        let family = self.target.family()?;
        let artifact = self.model.compile_for(name.as_deref(), family, self.budget.into())?;
        let text = std::fs::read(&self.file).map_err(|e| format!("error: `{}`: {e}", self.file.display()))?;
        let weights_path = self.file.with_file_name(&artifact.weights_file);
        let fresh = match &artifact.weights {
            Some(weights) => std::fs::read(&weights_path).is_ok_and(|w| w == *weights),
            None => true,
        };
        if fresh && text == artifact.text.as_bytes() {
            println!("{} is up to date", self.file.display());
            return Ok(ExitCode::SUCCESS);
        }
        let stale = if fresh { &self.file } else { &weights_path };
        Err(format!(
            "error: `{}` is out of date with `{}`\n   = help: run `kiln compile {} -o {}`",
            stale.display(),
            self.model.model.display(),
            self.model.model.display(),
            self.file.display()
        ))
    }
}
