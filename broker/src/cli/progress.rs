//! Progress bars on standard error, on a terminal only.

use std::io::{self, IsTerminal};
use std::time::Duration;

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

/// What a bar counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Unit {
    /// Bytes, shown with binary units.
    Bytes,
    /// Things, shown as numbers.
    Count,
}

/// A progress bar that is silent where nobody looks.
#[derive(Debug)]
pub struct Progress {
    bar: ProgressBar,
}

impl Progress {
    /// Starts a bar. It shows only if standard error is a terminal.
    pub fn start(what: &str, total: u64, unit: Unit) -> Self {
        if !io::stderr().is_terminal() {
            return Self {
                bar: ProgressBar::hidden(),
            };
        }
        let bar = ProgressBar::with_draw_target(Some(total), ProgressDrawTarget::stderr());
        let template = match unit {
            Unit::Bytes => "{msg} {wide_bar} {binary_bytes}/{binary_total_bytes} {eta}",
            Unit::Count => "{msg} {wide_bar} {human_pos}/{human_len} {eta}",
        };
        if let Ok(style) = ProgressStyle::with_template(template) {
            bar.set_style(style);
        }
        bar.set_message(super::output::printable(what));
        bar.enable_steady_tick(Duration::from_millis(250));
        Self { bar }
    }

    /// Moves the bar forward.
    pub fn add(&self, amount: u64) {
        self.bar.inc(amount);
    }

    /// Moves the bar to a place.
    pub fn set(&self, place: u64) {
        self.bar.set_position(place);
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        self.bar.finish_and_clear();
    }
}
