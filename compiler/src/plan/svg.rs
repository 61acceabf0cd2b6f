//! The arena over time as a picture: steps from left to right, bytes from bottom to top, a box for each buffer.

use super::Plan;
use crate::diag::{ending, grouped};
use std::fmt::Write;

/// Width of a step, and height of the arena, in pixels.
const STEP: f64 = 28.0;
const HEIGHT: f64 = 360.0;
/// Room for the axis of bytes, the title, and the numbers of the steps.
const LEFT: f64 = 72.0;
const TOP: f64 = 44.0;
const BOTTOM: f64 = 40.0;

/// Fills that are told apart in print and by the colour-blind (Okabe and Ito, "Color Universal Design", 2008), lightened.
const FILLS: [&str; 6] = ["#99d6f2", "#f5d58a", "#8fd3bf", "#f2b48c", "#e3b7d3", "#b9c9e8"];

impl Plan {
    /// The plan as an SVG image. Boxes are buffers, hatched ones scratch; the step that needs most is marked.
    pub fn to_svg(&self) -> String {
        let times = self.steps.len() + 2;
        let (width, height) = (LEFT + STEP * times as f64 + 16.0, TOP + HEIGHT + BOTTOM);
        let mut svg = format!(
            "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"{width}\" height=\"{height}\" viewBox=\"0 0 {width} {height}\" \
             font-family=\"sans-serif\" font-size=\"10\">\n\
             <defs><pattern id=\"scratch\" width=\"5\" height=\"5\" patternUnits=\"userSpaceOnUse\" patternTransform=\"rotate(45)\">\
             <rect width=\"5\" height=\"5\" fill=\"#eeeeee\"/><line y2=\"5\" stroke=\"#888888\"/></pattern></defs>\n\
             <rect width=\"{width}\" height=\"{height}\" fill=\"white\"/>\n\
             <text x=\"{LEFT}\" y=\"18\" font-size=\"13\">{}: {} bytes of memory</text>\n",
            escaped(&self.name),
            grouped(self.arena_len as u64)
        );
        self.mark_peak(&mut svg);
        self.axis(&mut svg, width);
        for (i, (name, size)) in self.buffers.iter().enumerate() {
            let life = self.lives[i];
            if life.first <= life.last && *size > 0 {
                let times = (life.first, life.last + 1);
                let fill = FILLS[i % FILLS.len()];
                self.area(&mut svg, times, (self.placement.buffers[i], *size), (fill, name));
            }
        }
        for (i, step) in self.steps.iter().enumerate().filter(|(_, s)| s.scratch > 0) {
            let what = format!("scratch of {}", step.layer);
            let bytes = (self.placement.scratch[i], step.scratch);
            self.area(&mut svg, (i + 1, i + 2), bytes, ("url(#scratch)", &what));
        }
        svg + "</svg>\n"
    }

    fn y(&self, byte: usize) -> f64 {
        TOP + HEIGHT * (1.0 - byte as f64 / self.arena_len.max(1) as f64)
    }

    fn area(
        &self,
        svg: &mut String,
        times: (usize, usize),
        bytes: (usize, usize),
        (fill, name): (&str, &str),
    ) {
        let (x, width) = (LEFT + STEP * times.0 as f64, STEP * (times.1 - times.0) as f64);
        let (y, bottom) = (self.y(bytes.0 + bytes.1), self.y(bytes.0));
        let size = grouped(bytes.1 as u64);
        let name = escaped(name);
        let _ = writeln!(
            svg,
            "<g><title>{name}: {size} bytes at {}</title><rect x=\"{x}\" y=\"{y:.1}\" width=\"{width}\" height=\"{:.1}\" \
             fill=\"{fill}\" stroke=\"#333333\" stroke-width=\"0.5\"/>",
            bytes.0,
            bottom - y
        );
        // A label where it fits: a letter is about 5.5 pixels wide.
        if bottom - y >= 11.0 && width >= 5.5 * size.len() as f64 {
            let (x, y) = (x + width / 2.0, (y + bottom) / 2.0 + 3.5);
            let _ = writeln!(svg, "<text x=\"{x}\" y=\"{y:.1}\" text-anchor=\"middle\">{size}</text>");
        }
        svg.push_str("</g>\n");
    }

    fn mark_peak(&self, svg: &mut String) {
        let Some(step) = self.steps.get(self.peak_step) else { return };
        let x = LEFT + STEP * (self.peak_step + 1) as f64;
        let _ = writeln!(
            svg,
            "<rect x=\"{x}\" y=\"{TOP}\" width=\"{STEP}\" height=\"{HEIGHT}\" fill=\"#fbe3e3\"/>\n\
             <text x=\"{LEFT}\" y=\"34\" fill=\"#b00020\">peak: {} bytes in step {}, {} ({})</text>",
            grouped(self.live[self.peak_step] as u64),
            self.peak_step,
            escaped(&ending(&step.layer, 36)),
            step.kernel
        );
    }

    fn axis(&self, svg: &mut String, width: f64) {
        for quarter in 0..=4 {
            let bytes = self.arena_len * quarter / 4;
            let (y, right) = (self.y(bytes), width - 16.0);
            let _ = writeln!(
                svg,
                "<line x1=\"{LEFT}\" y1=\"{y:.1}\" x2=\"{right}\" y2=\"{y:.1}\" stroke=\"#dddddd\"/>\
                 <text x=\"{}\" y=\"{:.1}\" text-anchor=\"end\">{}</text>",
                LEFT - 6.0,
                y + 3.5,
                grouped(bytes as u64)
            );
        }
        let y = TOP + HEIGHT + 14.0;
        for (time, label) in (0..self.steps.len() + 2).map(|t| (t, self.time(t))) {
            let x = LEFT + STEP * (time as f64 + 0.5);
            let _ = writeln!(svg, "<text x=\"{x}\" y=\"{y}\" text-anchor=\"middle\">{label}</text>");
        }
        let _ = writeln!(svg, "<text x=\"{LEFT}\" y=\"{}\">step</text>", y + 16.0);
    }

    fn time(&self, time: usize) -> String {
        match time {
            0 => "in".to_owned(),
            t if t > self.steps.len() => "out".to_owned(),
            t => (t - 1).to_string(),
        }
    }
}

/// A user's name inside of XML.
fn escaped(name: &str) -> String {
    let clean = name.chars().map(|c| if c.is_control() { ' ' } else { c }).collect::<String>();
    clean.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;")
}
