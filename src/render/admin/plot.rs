//! Plots as SVG: bars that stand on each other, and lines. No script, no style of its own: classes of the style sheet colour them.

use crate::render::templates::escape;
use crate::render::words::grouped;
use std::fmt::Write as _;

/// Width of a plot, in its own units.
const WIDTH: f64 = 720.0;
/// Height of the part that shows values.
const HEIGHT: f64 = 160.0;
/// Room below for the labels of the axis.
const FOOT: f64 = 22.0;
/// Room at the left for the greatest value.
const LEFT: f64 = 56.0;
/// Labels on the axis at most.
const LABELS_MAX: usize = 8;

/// Values of one kind, one for each step.
#[derive(Clone, Debug)]
pub struct Series {
    /// What they are, for the legend and for who can't see the plot.
    pub name: String,
    /// The class that colours them: `one`, `two`, `three`, `good`, `warn` or `bad`.
    pub class: &'static str,
    /// The values.
    pub values: Vec<i64>,
}

/// What is plotted over time.
#[derive(Clone, Debug)]
pub struct Plot {
    /// What it shows, in a sentence.
    pub title: String,
    /// What each step is called, such as `09:00`.
    pub steps: Vec<String>,
    /// The series.
    pub series: Vec<Series>,
}

impl Plot {
    /// Bars that stand on each other.
    #[must_use]
    pub fn bars(&self) -> String {
        let sum = |step: usize| self.series.iter().map(|series| value(series, step)).sum::<i64>();
        let top = (0..self.steps.len()).map(sum).max().unwrap_or(0).max(1);
        let (step_width, scale) = (self.step_width(), HEIGHT / top as f64);
        let mut svg = self.begin(&grouped(top));
        for step in 0..self.steps.len() {
            let (mut foot, x) = (HEIGHT, LEFT + step as f64 * step_width);
            for series in &self.series {
                let count = value(series, step);
                let height = count as f64 * scale;
                foot -= height;
                if count > 0 {
                    let (title, width) =
                        (escape(&format!("{} {}: {count}", self.steps[step], series.name)), step_width * 0.86);
                    let class = series.class;
                    let _ = write!(
                        svg,
                        "<rect class=\"{class}\" x=\"{x:.1}\" y=\"{foot:.1}\" width=\"{width:.1}\" height=\"{height:.1}\"><title>{title}</title></rect>"
                    );
                }
            }
        }
        svg + &self.end()
    }

    /// Lines on a logarithmic scale, for spans of time from a second to a week; 0 is a gap.
    #[must_use]
    pub fn lines(&self, top_label: &str) -> String {
        let greatest = self.series.iter().flat_map(|series| series.values.iter().copied()).max().unwrap_or(0).max(10);
        let top = (greatest as f64).log10();
        let step_width = self.step_width();
        let place = |step: usize, value: i64| {
            let height = (value.max(1) as f64).log10() / top * HEIGHT;
            (LEFT + (step as f64 + 0.43) * step_width, HEIGHT - height)
        };
        let mut svg = self.begin(top_label);
        for series in &self.series {
            for run in runs(&series.values) {
                let points: Vec<String> = run
                    .clone()
                    .map(|step| place(step, series.values[step]))
                    .map(|(x, y)| format!("{x:.1},{y:.1}"))
                    .collect();
                let class = series.class;
                let _ = write!(svg, "<polyline class=\"{class}\" points=\"{}\"/>", points.join(" "));
                for step in run {
                    let (x, y) = place(step, series.values[step]);
                    let _ = write!(svg, "<circle class=\"{class}\" cx=\"{x:.1}\" cy=\"{y:.1}\" r=\"2.5\"/>");
                }
            }
        }
        svg + &self.end()
    }

    fn step_width(&self) -> f64 {
        (WIDTH - LEFT) / self.steps.len().max(1) as f64
    }

    fn begin(&self, top: &str) -> String {
        let (height, title) = (HEIGHT + FOOT, escape(&self.title));
        let top = escape(top);
        let near = LEFT - 6.0;
        format!(
            "<svg class=\"plot\" viewBox=\"0 -8 {WIDTH} {:.0}\" role=\"img\" aria-label=\"{title}\">\
             <line class=\"axis\" x1=\"{LEFT}\" y1=\"{HEIGHT}\" x2=\"{WIDTH}\" y2=\"{HEIGHT}\"/>\
             <line class=\"axis\" x1=\"{LEFT}\" y1=\"0\" x2=\"{WIDTH}\" y2=\"0\"/>\
             <text x=\"{near}\" y=\"5\" text-anchor=\"end\">{top}</text><text x=\"{near}\" y=\"{HEIGHT}\" text-anchor=\"end\">0</text>",
            height + 8.0
        )
    }

    fn end(&self) -> String {
        let every = self.steps.len().div_ceil(LABELS_MAX).max(1);
        let (y, step_width) = (HEIGHT + 16.0, self.step_width());
        let labels = self.steps.iter().enumerate().step_by(every).map(|(step, label)| {
            let x = LEFT + step as f64 * step_width;
            format!("<text x=\"{x:.1}\" y=\"{y}\">{}</text>", escape(label))
        });
        labels.collect::<String>() + "</svg>"
    }
}

fn value(series: &Series, step: usize) -> i64 {
    series.values.get(step).copied().unwrap_or(0).max(0)
}

/// The stretches of steps that have a value.
fn runs(values: &[i64]) -> Vec<std::ops::Range<usize>> {
    let mut runs: Vec<std::ops::Range<usize>> = Vec::new();
    for (step, _) in values.iter().enumerate().filter(|(_, value)| **value > 0) {
        match runs.last_mut() {
            Some(run) if run.end == step => run.end = step + 1,
            _ => runs.push(step..step + 1),
        }
    }
    runs
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bars_stand_on_each_other_and_names_are_escaped() {
        let series =
            |name: &str, class, values: &[i64]| Series { name: name.to_owned(), class, values: values.to_vec() };
        let plot = Plot {
            title: "a <b>".to_owned(),
            steps: vec!["09:00".to_owned(), "10:00".to_owned()],
            series: vec![series("sent", "good", &[3, 0]), series("refused", "bad", &[1, 0])],
        };
        let svg = plot.bars();
        assert!(svg.contains("aria-label=\"a &lt;b&gt;\"") && svg.matches("<rect").count() == 2, "{svg}");
        assert!(svg.contains("y=\"40.0\"") && svg.contains("y=\"0.0\""), "{svg}");
        assert!(!svg.contains("style="));
        assert_eq!(runs(&[0, 1, 2, 0, 5]), [1..3, 4..5]);
        assert_eq!(plot.lines("1 s").matches("<polyline").count(), 2);
    }
}
