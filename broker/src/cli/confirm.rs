//! Asks before something is destroyed.

use std::io::{self, IsTerminal, Write};

use clap::Args;

use super::error::CliError;

/// The argument of commands that destroy something.
#[derive(Debug, Clone, Copy, Args)]
pub struct ConfirmArgs {
    /// Do not ask
    #[arg(long, visible_alias = "yes")]
    pub no_confirm: bool,
}

impl ConfirmArgs {
    /// Returns only if the user agreed to `question`, or said beforehand that he does.
    ///
    /// # Errors
    /// [`CliError::NotConfirmed`] if he did not, or if there is no terminal to ask on.
    pub async fn ask(self, question: String) -> Result<(), CliError> {
        if self.no_confirm {
            return Ok(());
        }
        // The answer may take long; Ctrl-C has to work meanwhile.
        let asked = tokio::task::spawn_blocking(move || ask_on_terminal(&question)).await;
        asked.map_err(|error| CliError::Failed(format!("the question could not be asked: {error}")))?
    }

    /// [`ConfirmArgs::ask`] for commands without an event loop.
    ///
    /// # Errors
    /// Those of [`ConfirmArgs::ask`].
    pub fn ask_blocking(self, question: &str) -> Result<(), CliError> {
        if self.no_confirm {
            Ok(())
        } else {
            ask_on_terminal(question)
        }
    }
}

fn ask_on_terminal(question: &str) -> Result<(), CliError> {
    let question = super::output::printable(question);
    if !io::stdin().is_terminal() {
        let refusal = "this needs a yes, and standard input is no terminal to ask on; add --yes to do it";
        return Err(CliError::NotConfirmed(format!("{question}: {refusal}")));
    }
    let mut stderr = io::stderr().lock();
    let asked = write!(stderr, "{question}? [y/N] ").and_then(|()| stderr.flush());
    asked.map_err(|source| CliError::Io {
        what: "ask on the terminal".to_owned(),
        source,
    })?;
    let mut answer = String::new();
    io::stdin()
        .read_line(&mut answer)
        .map_err(|source| CliError::Io {
            what: "read the answer".to_owned(),
            source,
        })?;
    match answer.trim().to_ascii_lowercase().as_str() {
        "y" | "yes" => Ok(()),
        _ => Err(CliError::NotConfirmed("nothing was changed".to_owned())),
    }
}
