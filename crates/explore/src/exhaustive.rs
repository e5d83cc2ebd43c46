//! The exhaustive search: it takes every possible step from every state.

use core::ops::ControlFlow;
use std::collections::{HashMap, HashSet, VecDeque};

use kstate::oracle::{Choice, Oracle};

use super::fingerprint::{self, Reads};
use super::graph::{Agent, Graph, Livelock};
use super::{Finding, Kind, Schedule, World, Wrong};

/// How far to go.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Bounds {
    /// States to visit.
    pub states: usize,
    /// Steps from the beginning.
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
    /// Steps from a state to a state, told apart by the choices that were made.
    pub transitions: usize,
    /// States in which nothing more can happen.
    pub finals: usize,
    /// The longest way from the beginning to a state that was new.
    pub depth: usize,
    /// States whose steps were not all tried: a bound was reached there.
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

/// A state whose steps are being tried.
struct Node {
    world: World,
    /// Its number.
    state: u32,
    /// The answers of the next step to try; `None` when all were.
    next: Option<Vec<u32>>,
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
    /// The number of every state, by its fingerprint.
    seen: HashMap<u64, u32, foldhash::fast::FixedState>,
    graph: Graph,
    path: Vec<Node>,
    result: Explored,
    bounds: Bounds,
    reads: Reads,
}

impl Search {
    fn found(&mut self, wrong: Wrong, schedule: Schedule, depth: usize) {
        let findings = &self.result.findings;
        if findings.len() >= self.bounds.findings || findings.iter().any(|known| known.shows(&wrong)) {
            return;
        }
        let Wrong { kind, text } = wrong;
        self.result.findings.push(Finding { kind, text, schedule, depth });
    }

    /// Comes to a state from the last one of the path, by `agent` with these choices.
    fn visit(&mut self, mut world: World, agent: Option<Agent>, made: Vec<Choice>) {
        let wrong = world.check();
        // Beyond a broken rule the model promises nothing.
        let broken = wrong.as_ref().is_some_and(|wrong| wrong.kind == Kind::Invariant);
        let from = self.path.last().map(|node| node.state);
        let schedule = |graph: &Graph| graph.schedule(from, &made);
        if let Some(wrong) = wrong {
            self.found(wrong, schedule(&self.graph), self.path.len());
        }
        let number = self.seen.len() as u32;
        let to = *self.seen.entry(fingerprint::fingerprint(&world, self.reads)).or_insert(number);
        if let (Some(from), Some(agent)) = (from, agent) {
            self.graph.edge(from, to, agent);
        }
        if to != number {
            return;
        }
        let steps = world.steps();
        self.graph.state(from, &made, &steps);
        let covered = &mut self.result.covered;
        covered.states += 1;
        covered.depth = covered.depth.max(self.path.len());
        if broken {
            return;
        }
        if steps.is_empty() {
            covered.finals += 1;
            if let Some(wrong) = world.check_end() {
                self.found(wrong, self.graph.schedule(Some(to), &[]), self.path.len());
            }
            return;
        }
        if self.path.len() >= self.bounds.depth || covered.states >= self.bounds.states {
            covered.cut += 1;
            return;
        }
        world.k.share();
        self.path.push(Node { world, state: to, next: Some(Vec::new()) });
    }
}

impl Search {
    /// Goes once around in a livelock, so that the way there and the circle are the schedule of a finding.
    fn found_livelock(&mut self, root: &World, livelock: &Livelock) {
        let before = self.graph.schedule(Some(livelock.first), &[]);
        let mut world = root.with(before.oracle());
        for _ in 0..self.graph.depth(livelock.first) {
            world.advance();
        }
        let mut made: Vec<u32> = world.take_log().iter().map(|choice| choice.answer).collect();
        // Breadth first over states, and whether the agent has stepped on the way to them.
        let mut seen = HashSet::from([(livelock.first, false)]);
        let mut open = VecDeque::from([(world, Vec::<u32>::new(), false, 0)]);
        while let Some((world, way, stepped, steps)) = open.pop_front() {
            let mut next = Some(Vec::new());
            while let Some(answers) = next {
                let mut to = world.with(Oracle::scripted(answers));
                let agent = to.advance().map(Agent::of);
                let log = to.take_log();
                let way: Vec<u32> = way.iter().copied().chain(log.iter().map(|c| c.answer)).collect();
                next = successor(log);
                let stepped = stepped || agent == Some(livelock.agent);
                let state = self.seen.get(&fingerprint::fingerprint(&to, self.reads)).copied();
                let Some(state) = state.filter(|state| livelock.states.contains(state)) else { continue };
                if agent == livelock.agent.begins() {
                    continue;
                }
                if state == livelock.first && stepped {
                    let text =
                        format!("{} never ends: a state comes back after {} steps", livelock.who, steps + 1);
                    made.extend(way);
                    let schedule = Schedule::from_answers(made.into_iter());
                    let depth = self.graph.depth(livelock.first) + steps + 1;
                    self.found(Wrong::new(Kind::Livelock, text), schedule, depth);
                    return;
                }
                if seen.insert((state, stepped)) {
                    open.push_back((to, way, stepped, steps + 1));
                }
            }
        }
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
        seen: HashMap::default(),
        graph: Graph::default(),
        path: Vec::new(),
        result: Explored::default(),
        bounds,
        reads: Reads::of(root.shell.script()),
    };
    search.visit(root.clone(), None, Vec::new());
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
        let stepped = world.advance();
        let made = world.take_log();
        node.next = successor(made.clone());
        search.result.covered.transitions += 1;
        search.visit(world, stepped.map(Agent::of), made);
        if search.result.covered.transitions.is_multiple_of(1000) && progress(&search.result).is_break() {
            search.result.stopped = true;
            break;
        }
    }
    for livelock in search.graph.livelocks(root) {
        search.found_livelock(root, &livelock);
    }
    search.result
}
