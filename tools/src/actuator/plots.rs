//! Pictures of a report: an SVG to embed and a PNG of each.

use kuva::plot::LegendPosition;
use kuva::plot::{Histogram, LinePlot, ScatterPlot};
use kuva::render::layout::Layout;
use kuva::render::plots::Plot;

/// Points of a curve or cloud that are drawn.
const MOST_POINTS: usize = 2500;

/// Colours of curves, in order: told apart by people who do not see red and green apart (Okabe and Ito).
const COLORS: [&str; 7] =
    ["#222222", "#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9"];

pub type Points = Vec<(f64, f64)>;

/// One picture.
pub struct Picture {
    /// Of the PNG, without its ending.
    pub name: String,
    pub caption: String,
    pub svg: String,
    pub png: Result<Vec<u8>, String>,
}

/// What stands on a picture.
pub struct Labels<'a> {
    pub name: &'a str,
    pub title: String,
    pub x: &'a str,
    pub y: &'a str,
    pub caption: String,
}

fn picture(
    labels: Labels<'_>,
    plots: impl Fn() -> Vec<Plot>,
    change: impl Fn(Layout) -> Layout,
) -> Picture {
    let layout = || {
        change(
            Layout::auto_from_plots(&plots())
                .with_title(labels.title.clone())
                .with_x_label(labels.x)
                .with_y_label(labels.y)
                .with_width(820.0)
                .with_height(420.0)
                .with_legend_position(LegendPosition::OutsideRightTop),
        )
    };
    Picture {
        name: labels.name.to_owned(),
        caption: labels.caption,
        svg: kuva::render_to_svg(plots(), layout()),
        png: kuva::render_to_png(plots(), layout(), 1.5),
    }
}

/// Curves, each with its name.
pub fn curves(labels: Labels<'_>, curves: &[(&str, Points)], logarithmic: bool) -> Picture {
    let plots = || {
        curves
            .iter()
            .zip(COLORS.iter().cycle())
            .filter(|((_, points), _)| !points.is_empty())
            .map(|((name, points), color)| {
                let line = LinePlot::new().with_data(thinned(points)).with_color(*color);
                Plot::Line(line.with_stroke_width(1.5).with_legend(*name))
            })
            .collect()
    };
    picture(labels, plots, |layout| if logarithmic { layout.with_log_y() } else { layout })
}

/// Clouds of points, and curves over them.
pub fn clouds(labels: Labels<'_>, clouds: &[(&str, Points)], lines: &[(&str, Points)]) -> Picture {
    let plots = || {
        let clouds = clouds.iter().zip(COLORS[1..].iter().cycle());
        let clouds =
            clouds.filter(|((_, points), _)| !points.is_empty()).map(|((name, points), color)| {
                let cloud = ScatterPlot::new().with_data(thinned(points)).with_color(*color);
                Plot::Scatter(cloud.with_size(1.6).with_marker_opacity(0.45).with_legend(*name))
            });
        let lines = lines.iter().map(|(name, points)| {
            let line = LinePlot::new().with_data(points.clone()).with_color(COLORS[0]);
            Plot::Line(line.with_stroke_width(1.5).with_legend(*name))
        });
        clouds.chain(lines).collect()
    };
    picture(labels, plots, |layout| layout)
}

/// How often which value.
pub fn histogram(labels: Labels<'_>, values: &[f64]) -> Picture {
    let low = values.iter().copied().fold(f64::INFINITY, f64::min);
    let high = values.iter().copied().fold(f64::NEG_INFINITY, f64::max);
    // Ends that are round numbers.
    let unit = 10_f64.powf((high - low).max(1e-9).log10().floor()) / 2.0;
    let range = ((low / unit).floor() * unit, (high / unit).ceil() * unit);
    let range = if range.1 > range.0 { range } else { (low - 0.5, low + 0.5) };
    let plots = || {
        let histogram = Histogram::new().with_data(values.iter().copied());
        vec![Plot::Histogram(histogram.with_bins(60).with_range(range).with_color(COLORS[1]))]
    };
    picture(labels, plots, |layout| layout)
}

/// Evenly spaced points of many.
fn thinned(points: &Points) -> Points {
    let step = points.len().div_ceil(MOST_POINTS).max(1);
    points.iter().step_by(step).copied().collect()
}
