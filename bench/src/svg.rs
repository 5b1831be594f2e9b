//! Bar charts as SVG, written by hand: two colours, a scale, a label. A plotting crate would bring more lines of lock
//! file than this has lines, and these pictures must render wherever the report is read.

use std::fmt::Write;

use crate::figures::{Spread, digits, names};
use crate::results::Results;
use crate::runs::Contender;

const WIDTH: f64 = 860.0;
const LABEL: f64 = 190.0;
const BAR: f64 = 16.0;
const GAP: f64 = 10.0;
const TOP: f64 = 64.0;
const VALUE: f64 = 130.0;

/// One picture: a figure over scenarios of some groups.
#[derive(Clone, Copy, Debug)]
pub struct Plot {
    /// Name of the file without `.svg`.
    pub file: &'static str,
    /// Heading.
    pub title: &'static str,
    /// Groups of scenarios.
    groups: &'static [&'static str],
    /// The figures; more than one become rows of each scenario.
    figures: &'static [&'static str],
}

/// All pictures of a comparison.
pub const PLOTS: &[Plot] = &[
    Plot {
        file: "throughput",
        title: "Throughput, MB/s (more is better)",
        groups: &["produce", "librdkafka", "fetch", "codec"],
        figures: &[names::THROUGHPUT],
    },
    Plot {
        file: "cpu",
        title: "CPU of the broker, seconds per GiB (less is better)",
        groups: &["produce", "librdkafka", "fetch", "codec"],
        figures: &[names::CPU],
    },
    Plot {
        file: "partitions",
        title: "Throughput by number of partitions, MB/s (more is better)",
        groups: &["spread"],
        figures: &[names::THROUGHPUT],
    },
    Plot {
        file: "latency",
        title: "Latency at 20,000 records/s, ms (less is better)",
        groups: &["latency"],
        figures: &[names::P50, names::P95, names::P99, names::P999],
    },
];

struct Row {
    label: String,
    bars: Vec<(Contender, Spread)>,
}

impl Plot {
    /// Whether a run measured anything that the picture shows.
    pub fn has_data(&self, results: &Results) -> bool {
        !self.rows(results).is_empty()
    }

    fn rows(&self, results: &Results) -> Vec<Row> {
        let mut rows = Vec::new();
        for measured in &results.measured {
            let group = measured.scenario.split('.').next().unwrap_or_default();
            if !self.groups.contains(&group) {
                continue;
            }
            for figure in self.figures {
                let all = [Contender::Thalweg, Contender::Kafka, Contender::KafkaFlushed];
                let bars: Vec<(Contender, Spread)> = all
                    .into_iter()
                    .filter_map(|contender| {
                        let spread = results.get(&measured.scenario, contender.name(), figure)?;
                        Some((contender, spread))
                    })
                    .collect();
                let label = match self.figures.len() {
                    1 => measured.scenario.clone(),
                    _ => (*figure).to_owned(),
                };
                if !bars.is_empty() {
                    rows.push(Row { label, bars });
                }
            }
        }
        rows
    }

    /// Draws the picture.
    pub fn draw(&self, results: &Results) -> String {
        let rows = self.rows(results);
        let greatest = rows
            .iter()
            .flat_map(|row| row.bars.iter().map(|(_, spread)| spread.max))
            .fold(0.0f64, f64::max);
        let bars: usize = rows.iter().map(|row| row.bars.len()).sum();
        let height = TOP + bars as f64 * BAR + rows.len() as f64 * GAP + 10.0;
        let mut svg = format!(
            "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {WIDTH} {height}\" font-family=\"sans-serif\" \
             font-size=\"12\">\n<rect width=\"100%\" height=\"100%\" fill=\"white\"/>\n\
             <text x=\"10\" y=\"20\" font-size=\"15\" font-weight=\"bold\">{}</text>\n",
            escaped(self.title)
        );
        legend(&mut svg, &rows);
        let mut y = TOP;
        for row in &rows {
            let middle = y + row.bars.len() as f64 * BAR / 2.0 + 4.0;
            let _ = writeln!(
                svg,
                "<text x=\"{}\" y=\"{middle}\" text-anchor=\"end\">{}</text>",
                LABEL - 8.0,
                escaped(&row.label)
            );
            for (contender, spread) in &row.bars {
                bar(&mut svg, y, *contender, spread, greatest);
                y += BAR;
            }
            y += GAP;
        }
        svg.push_str("</svg>\n");
        svg
    }
}

fn bar(svg: &mut String, y: f64, contender: Contender, spread: &Spread, greatest: f64) {
    let room = WIDTH - LABEL - VALUE;
    let scaled = |value: f64| {
        if greatest > 0.0 {
            value / greatest * room
        } else {
            0.0
        }
    };
    let width = scaled(spread.median).max(1.0);
    let middle = y + BAR / 2.0;
    let _ = writeln!(
        svg,
        "<rect x=\"{LABEL}\" y=\"{}\" width=\"{width:.1}\" height=\"{}\" fill=\"{}\"/>",
        y + 1.0,
        BAR - 2.0,
        colour(contender)
    );
    // From the least to the greatest round.
    let _ = writeln!(
        svg,
        "<line x1=\"{:.1}\" x2=\"{:.1}\" y1=\"{middle}\" y2=\"{middle}\" stroke=\"black\"/>",
        LABEL + scaled(spread.min),
        LABEL + scaled(spread.max)
    );
    let _ = writeln!(
        svg,
        "<text x=\"{:.1}\" y=\"{:.1}\" font-size=\"11\">{}</text>",
        LABEL + scaled(spread.max).max(width) + 5.0,
        middle + 4.0,
        digits(spread.median)
    );
}

fn legend(svg: &mut String, rows: &[Row]) {
    let mut shown: Vec<Contender> = rows
        .iter()
        .flat_map(|row| row.bars.iter().map(|(who, _)| *who))
        .collect();
    shown.sort();
    shown.dedup();
    for (place, contender) in shown.into_iter().enumerate() {
        let x = LABEL + place as f64 * 150.0;
        let _ = writeln!(
            svg,
            "<rect x=\"{x}\" y=\"34\" width=\"12\" height=\"12\" fill=\"{}\"/><text x=\"{}\" y=\"45\">{}</text>",
            colour(contender),
            x + 18.0,
            escaped(contender.name())
        );
    }
}

fn colour(contender: Contender) -> &'static str {
    match contender {
        Contender::Thalweg => "#1f6f8b",
        Contender::Kafka => "#b0b0b0",
        Contender::KafkaFlushed => "#6e6e6e",
    }
}

/// Text as XML takes it.
pub fn escaped(text: &str) -> String {
    text.replace('&', "&amp;")
        .replace('<', "&lt;")
        .replace('>', "&gt;")
}
