//! Flame graphs: `perf script` text in, one SVG out. Widths are CPU time; a frame stands on its caller.

use std::collections::BTreeMap;
use std::fmt::Write;

use crate::svg::escaped;

const WIDTH: f64 = 1200.0;
const ROW: f64 = 17.0;
const TOP: f64 = 30.0;
/// Narrower frames are left out.
const WIDTH_MIN: f64 = 0.8;
const LETTER: f64 = 6.3;
/// Deeper frames are left out; what is above belongs to them.
const DEPTH_MAX: usize = 90;

/// Samples by call path.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Node {
    /// Samples in this frame and those it calls.
    pub count: u64,
    /// What it calls.
    pub calls: BTreeMap<String, Node>,
}

impl Node {
    fn add(&mut self, path: &[String]) {
        self.count += 1;
        if let Some((first, rest)) = path.split_first() {
            self.calls.entry(first.clone()).or_default().add(rest);
        }
    }

    fn depth(&self) -> usize {
        1 + self.calls.values().map(Node::depth).max().unwrap_or(0)
    }
}

/// Reads the output of `perf script`: a line with thread and time, then the frames from the innermost out, then a
/// blank line, for each sample.
pub fn fold(script: &str) -> Node {
    let mut root = Node::default();
    let mut thread: Option<String> = None;
    let mut frames: Vec<String> = Vec::new();
    for line in script.lines().chain([""]) {
        if line.trim().is_empty() {
            if let Some(thread) = thread.take() {
                let mut path = vec![thread];
                path.extend(frames.drain(..).rev());
                path.truncate(DEPTH_MAX);
                root.add(&path);
            }
        } else if line.starts_with(char::is_whitespace) {
            frames.push(symbol(line));
        } else {
            frames.clear();
            thread = Some(thread_name(line));
        }
    }
    root
}

/// `name 123 45.6: …`: the name, which may hold blanks, ends before the number of the thread.
fn thread_name(line: &str) -> String {
    let words: Vec<&str> = line.split_whitespace().collect();
    let time = words
        .iter()
        .position(|word| word.ends_with(':'))
        .unwrap_or(words.len());
    let name = words.get(..time.saturating_sub(1)).unwrap_or(&words);
    crate::procfs::group_name(&name.join(" "))
}

/// `    ffff symbol+0x1f (file)`: the symbol.
fn symbol(line: &str) -> String {
    let text = line.trim();
    let text = text.split_once(' ').map_or(text, |(_, rest)| rest);
    let text = text.rsplit_once(" (").map_or(text, |(symbol, _)| symbol);
    let text = text.rsplit_once("+0x").map_or(text, |(symbol, _)| symbol);
    text.to_owned()
}

/// Draws the graph.
pub fn draw(root: &Node, title: &str) -> String {
    let height = TOP + root.depth() as f64 * ROW + 10.0;
    let mut svg = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {WIDTH} {height}\" font-family=\"monospace\" \
         font-size=\"10.5\">\n<rect width=\"100%\" height=\"100%\" fill=\"white\"/>\n\
         <text x=\"6\" y=\"18\" font-size=\"14\">{} ({} samples; hover for names)</text>\n",
        escaped(title),
        root.count
    );
    let mut x = 0.0;
    let per_sample = WIDTH / root.count.max(1) as f64;
    for (name, node) in &root.calls {
        frame(
            &mut svg,
            (name, node),
            (x, height - 10.0 - ROW),
            per_sample,
            root.count,
        );
        x += node.count as f64 * per_sample;
    }
    svg.push_str("</svg>\n");
    svg
}

/// The depth is bounded by [`DEPTH_MAX`].
fn frame(svg: &mut String, (name, node): (&str, &Node), (x, y): (f64, f64), per_sample: f64, all: u64) {
    let width = node.count as f64 * per_sample;
    if width < WIDTH_MIN {
        return;
    }
    let share = node.count as f64 / all.max(1) as f64 * 100.0;
    let letters = (width / LETTER) as usize;
    let shown: String = match letters {
        0..4 => String::new(),
        _ => name.chars().take(letters).collect(),
    };
    let _ = writeln!(
        svg,
        "<g><title>{0}: {share:.1} %</title><rect x=\"{x:.1}\" y=\"{y:.1}\" width=\"{1:.1}\" height=\"{2}\" \
         fill=\"{3}\"/><text x=\"{4:.1}\" y=\"{5:.1}\">{6}</text></g>",
        escaped(name),
        (width - 0.4).max(0.4),
        ROW - 1.0,
        colour(name),
        x + 2.0,
        y + 12.0,
        escaped(&shown)
    );
    let mut x = x;
    for (name, call) in &node.calls {
        frame(svg, (name, call), (x, y - ROW), per_sample, all);
        x += call.count as f64 * per_sample;
    }
}

/// Our own code stands out from libraries and from the kernel.
fn colour(name: &str) -> &'static str {
    match name {
        name if name.contains("thalweg") => "#7fc4d6",
        name if name.contains("::") => "#f2c48d",
        _ => "#d9d9d9",
    }
}

#[cfg(test)]
#[path = "flame_test.rs"]
mod tests;
