//! What a benchmark says: one line a figure for programs, tables for people, a bar while it runs.

use std::io::{self, Write};
use std::time::Duration;

use indicatif::{ProgressBar, ProgressStyle};
use serde_json::json;

use super::contest::Summary;
use super::workload::Round;

/// One figure.
#[derive(Debug, Clone, PartialEq)]
pub struct Line {
    /// What was done.
    pub case: String,
    /// What about it was measured.
    pub metric: &'static str,
    /// How much.
    pub value: f64,
    /// Of what.
    pub unit: &'static str,
    /// What it is compared with, measured in the same run.
    pub baseline: Option<f64>,
    /// The value divided by the baseline: the median over the rounds where there are rounds.
    pub ratio: Option<f64>,
}

/// Collects figures, and writes them out in the end or one by one.
pub struct Report {
    bench: &'static str,
    json: bool,
    lines: Vec<Line>,
}

impl Report {
    /// An empty report of a benchmark; as JSON lines when `json`, else as tables.
    #[must_use]
    pub fn new(bench: &'static str, json: bool) -> Self {
        Self {
            bench,
            json,
            lines: Vec::new(),
        }
    }

    /// A figure with nothing to compare it with.
    pub fn figure(&mut self, case: &str, metric: &'static str, value: f64, unit: &'static str) {
        self.lines.push(Line {
            case: case.to_owned(),
            metric,
            value,
            unit,
            baseline: None,
            ratio: None,
        });
    }

    /// A figure beside the one it is compared with.
    pub fn compared(
        &mut self,
        case: &str,
        metric: &'static str,
        value: f64,
        unit: &'static str,
        baseline: f64,
    ) {
        self.figure(case, metric, value, unit);
        if let Some(line) = self.lines.last_mut() {
            line.baseline = Some(baseline);
            line.ratio = Some(value / baseline);
        }
    }

    /// All figures of an entry.
    pub fn summary(&mut self, summary: &Summary) {
        let case = summary.case.clone();
        self.figure(&case, "throughput", summary.median(Round::rate), "events/s");
        self.figure(&case, "lowest", summary.lowest(Round::rate), "events/s");
        self.figure(&case, "highest", summary.highest(Round::rate), "events/s");
        for (metric, share) in [("p50", 0.5), ("p99", 0.99), ("p99.9", 0.999)] {
            let value = summary.median(|round| round.quantile_us(share));
            self.figure(&case, metric, value, "us");
        }
        let worst = summary.highest(|round| round.quantile_us(1.0));
        self.figure(&case, "max", worst, "us");
        let bytes = summary.median(|round| round.bytes_per_event);
        self.figure(&case, "disk", bytes, "bytes/event");
        let processor = summary.median(|round| round.processor_per_1000);
        self.figure(&case, "processor", processor, "s/1000 events");
        if summary
            .rounds
            .iter()
            .all(|round| round.syncs_per_event.is_some())
        {
            let syncs = summary.median(|round| round.syncs_per_event.unwrap_or(0.0));
            self.figure(&case, "syncs", syncs, "syncs/event");
        }
        let conflicts = summary.median(|round| round.conflicts as f64);
        if conflicts > 0.0 {
            self.figure(&case, "conflicts", conflicts, "answers/round");
        }
    }

    /// How much faster `ours` is than `theirs`, and how much sooner it answers: medians of the
    /// ratios within the rounds.
    pub fn against(&mut self, ours: &Summary, theirs: &Summary) {
        let case = format!("{} / {}", ours.case, theirs.case);
        let mut add = |metric, unit, of: &dyn Fn(&Round) -> f64| {
            self.lines.push(Line {
                case: case.clone(),
                metric,
                value: ours.median(of),
                unit,
                baseline: Some(theirs.median(of)),
                ratio: Some(ours.ratio(theirs, of)),
            });
        };
        add("throughput", "events/s", &Round::rate);
        add("p50", "us", &|round| round.quantile_us(0.5));
        add("p99", "us", &|round| round.quantile_us(0.99));
    }

    /// Writes everything.
    ///
    /// # Errors
    /// When `out` does not take it.
    pub fn write(&self, out: &mut impl Write) -> io::Result<()> {
        if self.json {
            return self
                .lines
                .iter()
                .try_for_each(|line| self.json_line(line, out));
        }
        self.table(out)
    }

    fn json_line(&self, line: &Line, out: &mut impl Write) -> io::Result<()> {
        let object = json!({
            "bench": self.bench, "case": line.case, "metric": line.metric, "value": line.value,
            "unit": line.unit, "baseline": line.baseline, "ratio": line.ratio,
        });
        writeln!(out, "{object}")
    }

    /// The lines of one case that have nothing to compare with in one row, the others below.
    fn table(&self, out: &mut impl Write) -> io::Result<()> {
        let width = self.lines.iter().map(|line| line.case.len()).max();
        let width = width.unwrap_or(0).max(4);
        let contest: Vec<_> = self
            .lines
            .iter()
            .filter(|line| self.is_in_contest(line))
            .collect();
        write!(out, "{:<width$}", "case")?;
        for (title, _, _) in COLUMNS {
            write!(out, " {title:>10}")?;
        }
        writeln!(out)?;
        for row in contest.chunk_by(|a, b| a.case == b.case) {
            write!(out, "{:<width$}", row[0].case)?;
            for (_, metric, scale) in COLUMNS {
                let found = row.iter().find(|line| line.metric == metric);
                let text = found.map_or("-".to_owned(), |line| short(line.value * scale));
                write!(out, " {text:>10}")?;
            }
            writeln!(out)?;
        }
        writeln!(out)?;
        for line in self.lines.iter().filter(|line| !self.is_in_contest(line)) {
            let value = format!("{} {}", short(line.value), line.unit);
            write!(out, "{:<width$} {:<16} {value:>22}", line.case, line.metric)?;
            if let (Some(baseline), Some(ratio)) = (line.baseline, line.ratio) {
                write!(out, "   against {:>8}: x {ratio:.2}", short(baseline))?;
            }
            writeln!(out)?;
        }
        Ok(())
    }

    /// Entries of a contest have all columns, and so a lowest round.
    fn is_in_contest(&self, line: &Line) -> bool {
        line.baseline.is_none()
            && self
                .lines
                .iter()
                .any(|other| other.case == line.case && other.metric == "lowest")
    }
}

/// Title, metric, and what the value is multiplied by.
const COLUMNS: [(&str, &str, f64); 8] = [
    ("events/s", "throughput", 1.0),
    ("p50 ms", "p50", 1e-3),
    ("p99 ms", "p99", 1e-3),
    ("p99.9 ms", "p99.9", 1e-3),
    ("max ms", "max", 1e-3),
    ("B/event", "disk", 1.0),
    ("cpu us/ev", "processor", 1e3),
    ("syncs/ev", "syncs", 1.0),
];

/// Three digits that say something.
#[must_use]
pub fn short(value: f64) -> String {
    match value {
        0.0 => "0".to_owned(),
        value if value >= 100.0 => format!("{value:.0}"),
        value if value >= 10.0 => format!("{value:.1}"),
        value if value >= 0.1 => format!("{value:.2}"),
        value => format!("{value:.4}"),
    }
}

/// A bar on standard error for the steps of a run; nothing where there is no terminal.
pub struct Steps(ProgressBar);

impl Steps {
    /// For so many steps.
    #[must_use]
    pub fn new(count: u64) -> Self {
        let style = ProgressStyle::with_template("{bar:30} {pos} of {len}  {elapsed}  {msg}")
            .expect("the template is well formed");
        let bar = ProgressBar::new(count).with_style(style);
        bar.enable_steady_tick(Duration::from_secs(1));
        Self(bar)
    }

    /// Says what comes now.
    pub fn begin(&self, what: &str) {
        self.0.set_message(what.to_owned());
    }

    /// One step is done.
    pub fn done(&self) {
        self.0.inc(1);
    }
}

impl Drop for Steps {
    fn drop(&mut self) {
        self.0.finish_and_clear();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_line_is_an_object_with_the_agreed_fields() {
        let mut report = Report::new("log", true);
        report.figure("open", "time", 12.5, "ms");
        report.compared("open", "time", 12.5, "ms", 5.0);
        let mut out = Vec::new();
        report.write(&mut out).unwrap();
        let text = String::from_utf8(out).unwrap();
        let objects: Vec<serde_json::Value> = text
            .lines()
            .map(|line| serde_json::from_str(line).unwrap())
            .collect();
        assert_eq!(objects.len(), 2);
        assert_eq!(objects[0]["bench"], "log");
        assert!(objects[0]["baseline"].is_null());
        assert_eq!(objects[1]["ratio"], 2.5);
    }
}
