//! The text of a failure as a report shows it: what happened, and nothing of the machine's folders.

use anyhow::Error;

/// Returns the error with its causes, each absolute path cut down to its last part.
pub fn told(error: &Error) -> String {
    without_folders(&format!("{error:#}"))
}

fn without_folders(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    let mut before = None;
    while let Some(letter) = rest.chars().next() {
        let starts = before.is_none_or(|before: char| before.is_whitespace() || "\"'`(=,[".contains(before));
        let len = if letter == '/' && starts {
            let end = |letter: char| letter.is_whitespace() || "\"'`),;:]".contains(letter);
            let len = rest.find(end).unwrap_or(rest.len());
            let path = rest[..len].trim_end_matches('/');
            out.push_str(path.rsplit('/').next().unwrap_or(path));
            len
        } else {
            out.push(letter);
            letter.len_utf8()
        };
        before = rest[..len].chars().last();
        rest = &rest[len..];
    }
    out
}

#[cfg(test)]
#[path = "failure_test.rs"]
mod tests;
