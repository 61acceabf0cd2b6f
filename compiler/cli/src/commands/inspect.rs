//! `kiln inspect`.

use crate::model::ModelArgs;
use crate::target::TargetArgs;
use clap::{Args, ValueEnum};
use kiln_compiler::driver::Budget;
use std::process::ExitCode;

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Stage {
    /// Operators over typed values, after all passes
    Graph,
    /// Kernel calls over buffers
    Program,
    /// Where every buffer lies, and when it is alive
    Plan,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Format {
    Text,
    Json,
    Dot,
    Svg,
}

#[derive(Debug, Args)]
pub(super) struct Inspect {
    #[command(flatten)]
    model: ModelArgs,
    #[command(flatten)]
    target: TargetArgs,
    /// Show the graph after that pass (`import` for the graph as it was read; `list` names them all)
    #[arg(long, conflicts_with_all = ["stage", "format"])]
    after: Option<String>,
    #[arg(long, value_enum, default_value_t = Stage::Graph)]
    stage: Stage,
    #[arg(long, value_enum, default_value_t = Format::Text)]
    format: Format,
}

impl Inspect {
    pub(super) fn run(self) -> Result<ExitCode, String> {
        let artifact = self.model.compile_for(None, self.target.family()?, Budget::default())?;
        if let Some(after) = &self.after {
            if after == "list" {
                artifact.stages.iter().for_each(|(name, _)| println!("{name}"));
                return Ok(ExitCode::SUCCESS);
            }
            let stage = artifact.stages.iter().find(|(name, _)| name == after);
            let (_, text) = stage.ok_or_else(|| {
                format!("error: there is no pass `{after}`\n   = help: `--after list` names all passes")
            })?;
            print!("{text}");
            return Ok(ExitCode::SUCCESS);
        }
        match (self.stage, self.format) {
            (Stage::Graph, Format::Text) => print!("{}", artifact.graph),
            (Stage::Graph, Format::Dot) => print!("{}", artifact.graph.to_dot()),
            (Stage::Graph, Format::Json) => println!("{}", artifact.graph.to_json()),
            (Stage::Program, Format::Text) => print!("{}", artifact.program),
            (Stage::Program, Format::Json) => println!("{}", artifact.program.to_json()),
            (Stage::Plan, Format::Text) => print!("{}", artifact.plan),
            (Stage::Plan, Format::Json) => println!("{}", artifact.plan.to_json()),
            (Stage::Plan, Format::Svg) => print!("{}", artifact.plan.to_svg()),
            (Stage::Graph | Stage::Program, Format::Svg) => {
                return Err("error: only the plan has a picture\n   = help: use `--stage plan`".into());
            }
            (Stage::Program | Stage::Plan, Format::Dot) => {
                return Err(
                    "error: only the graph can be drawn as DOT\n   = help: use `--stage graph`".into()
                );
            }
        }
        Ok(ExitCode::SUCCESS)
    }
}
