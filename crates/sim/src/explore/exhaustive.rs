//! All interleavings: from every state, every choice that leads on.

use core::ops::ControlFlow;

use kstate::oracle::{Choice, Oracle};

use super::identity::{self, Reads};
use super::{Choices, Finding, Kind, World, Wrong};

/// How far to go.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Bounds {
    /// States to visit.
    pub states: usize,
    /// Moves from the beginning.
    pub depth: usize,
    /// Different findings to collect.
    pub findings: usize,
}

impl Default for Bounds {
    fn default() -> Self {
        Self { states: 1_000_000, depth: 10_000, findings: 8 }
    }
}

/// What a search has covered.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Covered {
    /// Different states.
    pub states: usize,
    /// Moves from a state to a state, told apart by the choices that were made.
    pub transitions: usize,
    /// States in which nothing more can happen.
    pub finals: usize,
    /// The longest way from the beginning to a state that was new.
    pub depth: usize,
    /// States whose moves were not all tried: a bound was reached there.
    pub cut: usize,
}

/// The result of a search.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Explored {
    /// What was covered.
    pub covered: Covered,
    /// What was found, in the order of finding.
    pub findings: Vec<Finding>,
    /// The search was told to stop.
    pub stopped: bool,
}

impl Explored {
    /// Everything there is was seen.
    pub fn is_complete(&self) -> bool {
        self.covered.cut == 0 && !self.stopped
    }
}

/// A state whose moves are being tried.
struct Node {
    world: World,
    identity: u64,
    /// The answers of the next move to try; `None` when all were.
    next: Option<Vec<u32>>,
    /// The choices that led here from the state before.
    made: Vec<Choice>,
}

/// The answers after these: the last one that can be another is.
fn successor(mut made: Vec<Choice>) -> Option<Vec<u32>> {
    while let Some(last) = made.pop() {
        if last.answer + 1 < last.of {
            let mut answers: Vec<u32> = made.iter().map(|choice| choice.answer).collect();
            answers.push(last.answer + 1);
            return Some(answers);
        }
    }
    None
}

struct Search {
    seen: std::collections::HashSet<u64, foldhash::fast::FixedState>,
    path: Vec<Node>,
    result: Explored,
    bounds: Bounds,
    reads: Reads,
}

impl Search {
    fn found(&mut self, wrong: Wrong, made: &[Choice]) {
        let known = |f: &Finding| wrong.is_like(&Wrong { kind: f.kind, text: f.text.clone() });
        if self.result.findings.len() >= self.bounds.findings || self.result.findings.iter().any(known) {
            return;
        }
        let log: Vec<Choice> = self.path.iter().flat_map(|node| &node.made).chain(made).copied().collect();
        let Wrong { kind, text } = wrong;
        self.result.findings.push(Finding { kind, text, choices: Choices::of(&log), depth: self.path.len() });
    }

    /// Comes to a state, with the choices that led there.
    fn visit(&mut self, mut world: World, made: Vec<Choice>) {
        let wrong = world.check();
        // Beyond a broken rule the model promises nothing.
        let broken = wrong.as_ref().is_some_and(|wrong| wrong.kind == Kind::Invariant);
        if let Some(wrong) = wrong {
            self.found(wrong, &made);
        }
        let identity = identity::identity(&world, self.reads);
        if !self.seen.insert(identity) {
            if let Some(from) = self.path.iter().position(|node| node.identity == identity) {
                let round = self.path.len() - from;
                let text = format!("the state after {from} moves comes back {round} moves later");
                self.found(Wrong::new(Kind::Livelock, text), &made);
            }
            return;
        }
        let covered = &mut self.result.covered;
        covered.states += 1;
        covered.depth = covered.depth.max(self.path.len());
        if broken {
            return;
        }
        if world.moves().is_empty() {
            covered.finals += 1;
            if let Some(wrong) = world.check_end() {
                self.found(wrong, &made);
            }
            return;
        }
        if self.path.len() >= self.bounds.depth || covered.states >= self.bounds.states {
            covered.cut += 1;
            return;
        }
        self.path.push(Node { world, identity, next: Some(Vec::new()), made });
    }
}

/// Visits every state that can be reached, within `bounds`. `progress` is called after every thousand
/// transitions and can end the search.
pub fn explore(
    root: &World,
    bounds: Bounds,
    mut progress: impl FnMut(&Explored) -> ControlFlow<()>,
) -> Explored {
    let mut search = Search {
        seen: Default::default(),
        path: Vec::new(),
        result: Explored::default(),
        bounds,
        reads: Reads::of(root.shell.script()),
    };
    search.visit(root.clone(), Vec::new());
    while let Some(node) = search.path.last_mut() {
        let Some(answers) = node.next.take() else {
            search.path.pop();
            continue;
        };
        if search.result.covered.states >= bounds.states {
            search.result.covered.cut += 1;
            search.path.pop();
            continue;
        }
        let mut world = node.world.with(Oracle::scripted(answers));
        world.advance();
        let made = world.take_log();
        node.next = successor(made.clone());
        search.result.covered.transitions += 1;
        search.visit(world, made);
        if search.result.covered.transitions.is_multiple_of(1000) && progress(&search.result).is_break() {
            search.result.stopped = true;
            break;
        }
    }
    search.result
}
