//! Graphs: who called whom in a run, and the domains above an interrupt. For Graphviz and Mermaid.

use std::collections::HashMap;
use std::fmt::{self, Write as _};

use kstate::trace::{Table, What};
use kstate::{Irq, Kernel};
use petgraph::dot::{Config, Dot};
use petgraph::graph::{DiGraph, NodeIndex};
use petgraph::visit::EdgeRef;

use super::Slice;

/// A node: its lines of text.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub struct Node(pub Vec<String>);

impl fmt::Display for Node {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0.join("\n"))
    }
}

/// Who called whom, and how often.
pub fn calls(slice: &Slice<'_>) -> DiGraph<Node, u32> {
    let mut graph = DiGraph::new();
    let mut nodes: HashMap<&str, NodeIndex> = HashMap::new();
    let mut open: Table<Vec<NodeIndex>> = slice.trace.ctxs.table();
    for (_, record) in slice.timed() {
        let Some(stack) = open.get_mut(record.ctx) else { continue };
        match record.what {
            What::Enter { meta, .. } => {
                let node = *nodes
                    .entry(meta.name)
                    .or_insert_with(|| graph.add_node(Node(vec![meta.name.to_owned()])));
                if let Some(caller) = stack.last() {
                    match graph.find_edge(*caller, node) {
                        Some(edge) => graph[edge] += 1,
                        None => {
                            graph.add_edge(*caller, node, 1);
                        }
                    }
                }
                stack.push(node);
            }
            What::Exit { .. } => {
                stack.pop();
            }
            What::Tracepoint(_) | What::Warn(_) | What::Hardware(_) => {}
        }
    }
    graph
}

/// The domains of an interrupt, outermost first: its own number, then one node per level with the
/// hardware number and the chip there. `None` where there is no such interrupt.
pub fn domains(k: &Kernel, irq: Irq) -> Option<DiGraph<Node, String>> {
    let desc = k.find_desc(irq)?;
    let mut graph = DiGraph::new();
    let name = desc.action.first().map_or("no handler", |a| &a.name);
    let mut below = graph.add_node(Node(vec![format!("irq {irq}"), name.to_owned()]));
    for (level, data) in desc.irq_data.iter().enumerate() {
        let domain = data.domain.and_then(|d| k.irq.domains.get(d.index())?.as_ref());
        let chip = k.irq.chips.get(data.chip.index()).map_or("none", |c| c.name.as_ref());
        let domain = domain.map_or_else(|| "no domain".to_owned(), |d| d.name.to_string());
        let node =
            graph.add_node(Node(vec![domain, format!("chip {chip}"), format!("hwirq {:#x}", data.hwirq)]));
        graph.add_edge(below, node, if level == 0 { "irq_data".into() } else { "parent_data".into() });
        below = node;
    }
    Some(graph)
}

/// The graph for Graphviz.
pub fn dot<E: fmt::Display>(graph: &DiGraph<Node, E>) -> String {
    let shape = |_, _| "shape=box ".to_owned();
    let plain = |_, _| String::new();
    let config = [Config::GraphContentOnly];
    let dot = Dot::with_attr_getters(graph, &config, &plain, &shape);
    format!("digraph irqlab {{\n    rankdir=LR\n{dot}}}\n")
}

/// The graph for Mermaid.
pub fn mermaid<E: fmt::Display>(graph: &DiGraph<Node, E>) -> String {
    let mut out = String::from("flowchart LR\n");
    // Writing to a string cannot fail.
    for node in graph.node_indices() {
        let _ = writeln!(out, "    n{}[\"{}\"]", node.index(), graph[node].0.join("<br/>"));
    }
    for edge in graph.edge_references() {
        let (from, to) = (edge.source().index(), edge.target().index());
        let _ = writeln!(out, "    n{from} -->|{}| n{to}", edge.weight());
    }
    out
}
