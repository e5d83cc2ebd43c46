//! Pictures: the vectors of all CPUs, the lanes of a recording, and the domains of an interrupt.
//!
//! A picture is one SVG 1.1 document without scripts, fonts or links. Text is text, so that it can be searched and read
//! aloud, and every picture has a title and a description. What a colour says, a letter, a shape or a word says as well.
//! A viewer that prefers dark gets dark. The same input makes the same bytes.
//!
//! # What it doesn't implement
//! Zooming: what is too narrow to be seen is drawn as one hatched piece that says how much it stands for. The page that
//! `irqlab page` writes is there to look closer.

use core::fmt::{self, Display, Write as _};

mod domains;
mod lanes;
mod vectors;

use super::xml::Escaped;

pub use domains::domains;
pub use lanes::lanes;
pub use vectors::vectors;

/// Width of a letter of small text, in tenths of a pixel: the widest of the usual fonts that have one width.
const LETTER: u32 = 67;

/// A length or a place, in tenths of a pixel, so that nothing depends on how a float is printed.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug, Default)]
struct Px(u32);

impl Display for Px {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 % 10 {
            0 => write!(f, "{}", self.0 / 10),
            tenths => write!(f, "{}.{tenths}", self.0 / 10),
        }
    }
}

/// Whole pixels.
const fn px(pixels: u32) -> Px {
    Px(pixels.saturating_mul(10))
}

impl core::ops::Add for Px {
    type Output = Self;

    fn add(self, other: Self) -> Self {
        Self(self.0.saturating_add(other.0))
    }
}

impl core::ops::Sub for Px {
    type Output = Self;

    fn sub(self, other: Self) -> Self {
        Self(self.0.saturating_sub(other.0))
    }
}

/// What all pictures look like: light, and dark for who prefers that. No variables, which programs for slides do not know.
const STYLE: &str = "\
text{font:11px ui-monospace,'DejaVu Sans Mono',Menlo,Consolas,monospace;fill:#1b1f24}
.paper{fill:#fff}.dim{fill:#59636e}.head{font-weight:bold}.big{font-size:14px}
.line{stroke:#c9ced6;fill:none}.box{fill:#f3f5f8;stroke:#59636e}
.call{fill:#dbe9f6;stroke:#3f6f9f}.irq{fill:#fbe3c0;stroke:#9a6200}.many{fill:url(#hatch);stroke:#59636e}
.stroke{stroke:#59636e;fill:none}.free{fill:#f3f5f8;stroke:#dfe3e8}.system{fill:#d8dce2;stroke:#9aa3ad}
.managed{fill:#bcdcf5;stroke:#0b5c94}.kept{fill:#eaf4fc;stroke:#0b5c94;stroke-dasharray:2 2}.taken{fill:#f9d492;stroke:#8a5a00}
.point{fill:#0b5c94}.device{fill:#a34700}.warn{fill:#b00020}.flow{stroke:#a34700;fill:none;opacity:.75}.tip{fill:#a34700}
@media(prefers-color-scheme:dark){text{fill:#e8eaed}.paper{fill:#15181d}.dim{fill:#a6afba}
.line{stroke:#3a424d}.box{fill:#20252d;stroke:#a6afba}
.call{fill:#1f3a56;stroke:#7fb2e0}.irq{fill:#513a12;stroke:#e0ac55}.many{stroke:#a6afba}
.stroke{stroke:#a6afba}.free{fill:#1b1f26;stroke:#2c333d}.system{fill:#3a414b;stroke:#69727e}
.managed{fill:#17507c;stroke:#8cc7f2}.kept{fill:#1c2c3a;stroke:#8cc7f2}.taken{fill:#6b4a0e;stroke:#f0bd62}
.point{fill:#8cc7f2}.device{fill:#ff9d5c}.warn{fill:#ff8a94}.flow{stroke:#ff9d5c}.tip{fill:#ff9d5c}}
";

/// A picture that is being drawn.
#[derive(Default)]
struct Picture {
    body: String,
}

// Writing to a string cannot fail.
impl Picture {
    /// A line of text. `anchor` is `start`, `middle` or `end`.
    fn text(&mut self, x: Px, y: Px, anchor: &str, class: &str, text: &str) {
        let class = if class.is_empty() { String::new() } else { format!(" class=\"{class}\"") };
        let anchor = if anchor == "start" { String::new() } else { format!(" text-anchor=\"{anchor}\"") };
        let _ = writeln!(self.body, "<text x=\"{x}\" y=\"{y}\"{anchor}{class}>{}</text>", Escaped(text));
    }

    /// Text that runs upwards from a point.
    fn upwards(&mut self, x: Px, y: Px, class: &str, text: &str) {
        let _ = writeln!(
            self.body,
            "<text transform=\"translate({x} {y}) rotate(-90)\" class=\"{class}\">{}</text>",
            Escaped(text)
        );
    }

    /// A box, with what is said of it where somebody points at it.
    fn rect(&mut self, (x, y): (Px, Px), (width, height): (Px, Px), class: &str, title: &str) {
        let _ = write!(
            self.body,
            "<rect x=\"{x}\" y=\"{y}\" width=\"{width}\" height=\"{height}\" class=\"{class}\""
        );
        self.end("rect", title);
    }

    /// A path, likewise.
    fn path(&mut self, d: &str, class: &str, title: &str) {
        let _ = write!(self.body, "<path d=\"{d}\" class=\"{class}\"");
        self.end("path", title);
    }

    /// A line with a tip.
    fn arrow(&mut self, d: &str, class: &str) {
        let _ = writeln!(self.body, "<path d=\"{d}\" class=\"{class}\" marker-end=\"url(#tip)\"/>");
    }

    fn end(&mut self, element: &str, title: &str) {
        let _ = if title.is_empty() {
            writeln!(self.body, "/>")
        } else {
            writeln!(self.body, "><title>{}</title></{element}>", Escaped(title))
        };
    }

    /// The document. `name` tells the ids of this kind of picture from others on one page.
    fn finish(self, name: &str, (width, height): (Px, Px), title: &str, description: &str) -> String {
        let mut out = String::new();
        let _ = writeln!(
            out,
            "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"{width}\" height=\"{height}\" \
             viewBox=\"0 0 {width} {height}\" role=\"img\" aria-labelledby=\"{name}-title {name}-desc\">"
        );
        let _ = writeln!(out, "<title id=\"{name}-title\">{}</title>", Escaped(title));
        let _ = writeln!(out, "<desc id=\"{name}-desc\">{}</desc>", Escaped(description));
        let _ = writeln!(out, "<style>{STYLE}</style>");
        out.push_str(
            "<defs><pattern id=\"hatch\" width=\"4\" height=\"4\" patternUnits=\"userSpaceOnUse\">\
             <rect width=\"4\" height=\"4\" class=\"box\" stroke=\"none\"/><path d=\"M0 4L4 0\" class=\"stroke\"/></pattern>\
             <marker id=\"tip\" viewBox=\"0 0 6 6\" refX=\"6\" refY=\"3\" markerWidth=\"6\" markerHeight=\"6\" \
             orient=\"auto\"><path d=\"M0 0L6 3L0 6z\" class=\"tip\"/></marker></defs>\n",
        );
        let _ = writeln!(out, "<rect width=\"{width}\" height=\"{height}\" class=\"paper\"/>");
        out.push_str(&self.body);
        out.push_str("</svg>\n");
        out
    }
}

/// As much of a text as fits into a width; nothing where only a letter or two would.
fn fitting(text: &str, width: Px) -> Option<String> {
    let letters = (width.0 / LETTER) as usize;
    let all = text.chars().count();
    match letters {
        _ if all <= letters => Some(text.to_owned()),
        0..4 => None,
        _ => Some(text.chars().take(letters - 1).chain(['\u{2026}']).collect()),
    }
}

/// How wide a text is.
fn width_of(text: &str) -> Px {
    Px(LETTER * text.chars().count() as u32)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_is_cut_where_it_does_not_fit() {
        assert_eq!(fitting("irq_startup", px(200)).as_deref(), Some("irq_startup"));
        assert_eq!(fitting("irq_startup", px(40)).as_deref(), Some("irq_\u{2026}"));
        assert_eq!(fitting("irq_startup", px(20)), None);
        assert_eq!(fitting("irq", Px(3 * LETTER)).as_deref(), Some("irq"));
    }

    #[test]
    fn lengths_are_printed_without_floats() {
        assert_eq!([px(12), Px(123), px(3) - px(5)].map(|px| px.to_string()), ["12", "12.3", "0"]);
    }
}
