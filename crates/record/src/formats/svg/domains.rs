//! The domains of an interrupt, the interrupt's own number first.

use core::fmt::Display;

use petgraph::graph::DiGraph;

use super::{Picture, fitting, px, width_of};
use crate::formats::graph::Node;

const LEFT: u32 = 16;
const WIDTH: u32 = 260;
const LINE: u32 = 15;
const GAP: u32 = 34;

/// The picture of [`domains()`](crate::formats::graph::domains): a box for each level, one below the other.
pub fn domains<E: Display>(graph: &DiGraph<Node, E>) -> String {
    let mut picture = Picture::default();
    let mut y = 16;
    let mut before = None;
    let mut said = Vec::new();
    let longest = graph.node_weights().flat_map(|Node(lines)| lines).map(|line| width_of(line)).max();
    let width = px(WIDTH).max(longest.unwrap_or_default() + px(24));
    for node in graph.node_indices() {
        if let Some(before) = before {
            let x = LEFT + WIDTH / 2;
            picture.arrow(&format!("M{x} {y}V{}", y + GAP - 1), "flow");
            let edge = graph.find_edge(before, node).map(|edge| graph[edge].to_string());
            picture.text(px(x + 8), px(y + GAP / 2 + 4), "start", "dim", &edge.unwrap_or_default());
            y += GAP;
        }
        let Node(lines) = &graph[node];
        let height = 12 + LINE * lines.len() as u32;
        picture.rect((px(LEFT), px(y)), (width, px(height)), "box", "");
        for (line, text) in lines.iter().enumerate() {
            let class = if line == 0 { "head" } else { "" };
            let text = fitting(text, width).unwrap_or_default();
            picture.text(px(LEFT + 12), px(y + 18 + LINE * line as u32), "start", class, &text);
        }
        said.push(lines.join(", "));
        y += height;
        before = Some(node);
    }
    let title = said.first().map_or_else(|| "no interrupt".to_owned(), |irq| format!("Domains of {irq}"));
    let description = format!("From the interrupt's own number to the vector: {}.", said.join("; "));
    picture.finish("irqlab-domains", (width + px(2 * LEFT), px(y + 16)), &title, &description)
}
