//! The graph of visited states and the steps between them. It gives the way to a state, and the places where a run can
//! stay for ever.

use core::ops::Range;
use std::collections::{BTreeMap, BTreeSet};

use kstate::event::Event;
use kstate::sched::TaskKind;
use kstate::{CpuId, TaskId};
use petgraph::algo::tarjan_scc;
use petgraph::graphmap::DiGraphMap;

use super::{Step, World};
use sim::engine;
use sim::shell::ActorId;

/// Who takes a step.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub(super) enum Agent {
    /// A CPU takes an interrupt.
    Entry(CpuId),
    /// A CPU goes on with its interrupt.
    Hardirq(CpuId),
    /// A CPU runs its softirqs.
    Softirq(CpuId),
    /// A task.
    Task(TaskId),
    /// A device, the cleanup of vectors, or time.
    Event(Event),
    /// The shell or a job.
    Actor(ActorId),
}

impl Agent {
    pub(super) fn of(next: Step) -> Self {
        match next {
            Step::Machine(engine::Step::Interrupt(cpu, _)) => Self::Entry(cpu),
            Step::Machine(engine::Step::Hardirq(cpu)) => Self::Hardirq(cpu),
            Step::Machine(engine::Step::Softirq(cpu)) => Self::Softirq(cpu),
            Step::Machine(engine::Step::Task(task)) => Self::Task(task),
            Step::Machine(engine::Step::Event(event)) => Self::Event(event),
            Step::Actor(actor) => Self::Actor(actor),
        }
    }

    /// Who takes the step by which this begins anew.
    pub(super) fn begins(self) -> Option<Self> {
        match self {
            Self::Hardirq(cpu) => Some(Self::Entry(cpu)),
            _ => None,
        }
    }

    /// It may leave off for ever: a device need not do anything.
    fn may_rest(self) -> bool {
        matches!(self, Self::Event(event) if event.is_elastic())
    }
}

/// A set of agents, by their numbers.
type Agents = u128;

/// Somewhere that a run can stay for ever.
pub(super) struct Livelock {
    /// Who never comes to an end.
    pub who: String,
    /// The same.
    pub agent: Agent,
    /// The state to begin at.
    pub first: u32,
    /// All states there.
    pub states: BTreeSet<u32>,
}

/// A step: the state it begins in, and its number among those from there.
pub(super) type StepId = (u32, u32);

/// No state, where a state would stand.
const NONE: u32 = u32::MAX;

/// The graph of all states. A state is its number; what belongs to it stands in lists, 12 bytes for a state and 5 for a
/// step.
#[derive(Default)]
pub(super) struct Graph {
    /// The state before each, on the way by which it was come to first.
    origins: Vec<u32>,
    /// Where the steps from a state begin, and how many they are.
    steps: Vec<(u32, u32)>,
    /// Where each step leads.
    to: Vec<u32>,
    /// Who takes it.
    by: Vec<u8>,
    /// The number of each agent. More than there are bits share the last one, so that nothing is found
    /// that is not there.
    agents: BTreeMap<Agent, u8>,
    /// The same as the search has come to them, once `origins` says something else. Where this way is gone again everything
    /// is as it was, also what no fingerprint covers.
    first: Vec<u32>,
    /// The order in which a search that takes the first step first comes to the states, once that is known.
    ranks: Vec<u32>,
}

/// What a search that takes the first step first passes.
pub(super) enum Passed {
    /// A step from a state, by its number among those from there.
    Step(u32, u32),
    /// A state, for the first time, after so many steps.
    State(u32, usize),
}

impl Graph {
    fn number(&mut self, agent: Agent) -> u8 {
        let next = self.agents.len().min(Agents::BITS as usize - 1) as u8;
        *self.agents.entry(agent).or_insert(next)
    }

    /// Adds a state that is new.
    pub(super) fn state(&mut self, origin: Option<u32>) {
        self.origins.push(origin.unwrap_or(NONE));
        self.steps.push((0, 0));
    }

    /// There is room for so many more steps: they are counted in 32 bits.
    pub(super) const fn has_room(&self, steps: usize) -> bool {
        self.to.len() + steps < NONE as usize
    }

    /// Adds all steps from a state.
    pub(super) fn steps(&mut self, from: u32, steps: impl Iterator<Item = (Agent, u32)>) {
        let begin = self.to.len() as u32;
        for (agent, to) in steps {
            let agent = self.number(agent);
            self.to.push(to);
            self.by.push(agent);
        }
        self.steps[from as usize] = (begin, self.to.len() as u32 - begin);
    }

    fn range(&self, state: u32) -> Range<usize> {
        let (begin, count) = self.steps[state as usize];
        begin as usize..(begin + count) as usize
    }

    /// The states on the way to one, which is the last of them; the first of all is left out.
    pub(super) fn way(&self, state: u32) -> Vec<u32> {
        Self::way_by(&self.origins, state)
    }

    /// The way on which the search has come to a state.
    pub(super) fn first_way(&self, state: u32) -> Vec<u32> {
        Self::way_by(if self.first.is_empty() { &self.origins } else { &self.first }, state)
    }

    fn way_by(origins: &[u32], state: u32) -> Vec<u32> {
        let before = |&state: &u32| origins.get(state as usize).copied().filter(|&from| from != NONE);
        let mut way: Vec<u32> = core::iter::successors(Some(state), before).collect();
        way.pop();
        way.reverse();
        way
    }

    /// By state, the steps on the way to it.
    pub(super) fn depths(&self) -> Vec<u32> {
        let mut depths: Vec<u32> = Vec::with_capacity(self.origins.len());
        for &origin in &self.origins {
            // A state is added after the one before it.
            depths.push(depths.get(origin as usize).map_or(0, |depth| depth + 1));
        }
        depths
    }

    /// Where a step leads, if the steps from there were all tried.
    pub(super) fn target(&self, (from, nth): StepId) -> Option<u32> {
        self.range(from).nth(nth as usize).map(|step| self.to[step])
    }

    /// Goes through the graph as a search that goes on from the first new state at once. From now on the way to a state is
    /// that of this search.
    pub(super) fn walk(&mut self, mut pass: impl FnMut(Passed)) {
        self.ranks = vec![NONE; self.origins.len()];
        self.first.clone_from(&self.origins);
        self.origins[0] = NONE;
        let mut next = 0;
        let mut path = vec![(0u32, 0u32)];
        self.ranks[0] = 0;
        pass(Passed::State(0, 0));
        while let Some((state, nth)) = path.last_mut() {
            let (from, at) = (*state, *nth);
            let Some(to) = self.range(from).nth(at as usize).map(|step| self.to[step]) else {
                path.pop();
                continue;
            };
            *nth += 1;
            pass(Passed::Step(from, at));
            if self.ranks[to as usize] == NONE {
                next += 1;
                self.ranks[to as usize] = next;
                self.origins[to as usize] = from;
                pass(Passed::State(to, path.len()));
                path.push((to, 0));
            }
        }
    }

    /// The states among which a run can stay: strongly connected components with a step inside.
    ///
    /// This is Tarjan's algorithm ("Depth-First Search and Linear Graph Algorithms", 1972) without recursion.
    fn components(&self) -> Vec<Vec<u32>> {
        let states = self.steps.len();
        let mut index = vec![NONE; states];
        let mut low = vec![0u32; states];
        let (mut stack, mut path, mut found) = (Vec::new(), Vec::new(), Vec::new());
        let mut next = 0;
        for root in 0..states as u32 {
            if index[root as usize] != NONE {
                continue;
            }
            path.push((root, self.range(root)));
            while let Some((state, rest)) = path.last_mut() {
                let at = *state as usize;
                if index[at] == NONE {
                    (index[at], low[at]) = (next, next);
                    next += 1;
                    stack.push(*state);
                }
                if let Some(step) = rest.next() {
                    let to = self.to[step];
                    match index[to as usize] {
                        NONE => path.push((to, self.range(to))),
                        // A state of a component that was found has the highest.
                        before => low[at] = low[at].min(before.min(low[to as usize])),
                    }
                    continue;
                }
                path.pop();
                if let Some((above, _)) = path.last() {
                    low[*above as usize] = low[*above as usize].min(low[at]);
                }
                if low[at] == index[at] {
                    let begin = stack.iter().rposition(|&state| state as usize == at).unwrap_or_default();
                    let component = stack.split_off(begin);
                    for &state in &component {
                        (index[state as usize], low[state as usize]) = (NONE - 1, NONE - 1);
                    }
                    let turns = |&state: &u32| self.range(state).any(|step| self.to[step] == state);
                    if component.len() > 1 || component.iter().any(turns) {
                        found.push(component);
                    }
                }
            }
        }
        found
    }

    /// The livelocks: strongly connected components in which an interrupt or a command keeps running, none
    /// completes, and the schedule is weakly fair. The answer has the first state of each.
    ///
    /// Without the edges by which the agent begins again, what is left is a cycle in which it never ends. If an
    /// agent is enabled in all states of the cycle and never takes a step, the schedule is not fair: it starves
    /// that agent, and this is no livelock.
    pub(super) fn livelocks(&self, root: &World) -> Vec<Livelock> {
        let cycles: BTreeSet<u32> = self.components().into_iter().flatten().collect();
        if cycles.is_empty() {
            return Vec::new();
        }
        // Few states are in a cycle, and only these are looked at for every agent.
        let edges: Vec<(u32, u32, u8)> = (cycles.iter())
            .flat_map(|&from| self.range(from).map(move |step| (from, self.to[step], self.by[step])))
            .filter(|(_, to, _)| cycles.contains(to))
            .collect();
        let mut found = Vec::new();
        for (&agent, &number) in &self.agents {
            let Some(who) = who_ends(root, agent) else { continue };
            let begins = agent.begins().and_then(|agent| self.agents.get(&agent).copied());
            let mut graph: DiGraphMap<u32, Vec<u8>> = DiGraphMap::new();
            for &(from, to, by) in edges.iter().filter(|edge| Some(edge.2) != begins) {
                match graph.edge_weight_mut(from, to) {
                    Some(steps) => steps.push(by),
                    None => drop(graph.add_edge(from, to, vec![by])),
                }
            }
            let mut stays: Vec<(u32, Vec<u32>)> = Vec::new();
            for component in tarjan_scc(&graph) {
                if let Some(first) = self.stays(&graph, &component, number) {
                    stays.push((first, component));
                }
            }
            if let Some((first, component)) = stays.into_iter().min_by_key(|(first, _)| self.rank(*first)) {
                found.push(Livelock { who, agent, first, states: component.into_iter().collect() });
            }
        }
        found
    }

    fn rank(&self, state: u32) -> u32 {
        self.ranks.get(state as usize).copied().unwrap_or(state)
    }

    /// The first state of a strongly connected component, if runs can stay in it in which `agent` steps.
    fn stays(&self, graph: &DiGraphMap<u32, Vec<u8>>, component: &[u32], agent: u8) -> Option<u32> {
        let inside: BTreeSet<u32> = component.iter().copied().collect();
        let mut stepped: Agents = 0;
        let mut always = Agents::MAX;
        for &state in component {
            always &= self.range(state).fold(0, |all, step| all | 1 << self.by[step]);
            for (_, to, by) in graph.edges(state) {
                if inside.contains(&to) {
                    by.iter().for_each(|by| stepped |= 1 << by);
                }
            }
        }
        let rests = self.agents.iter().filter(|(agent, _)| agent.may_rest());
        let resting = rests.fold(0, |all, (_, number)| all | 1 << number);
        let fair = always & !stepped & !resting == 0;
        let first = component.iter().copied().min_by_key(|&state| self.rank(state));
        first.filter(|_| stepped >> agent & 1 == 1 && fair)
    }
}

/// The task does what somebody waits for, and is no thread that serves for ever.
fn is_command(root: &World, task: TaskId) -> bool {
    // Tasks that came later are those of the script and of what it started.
    root.k
        .sched
        .tasks
        .get(task.index())
        .is_none_or(|task| matches!(task.kind, TaskKind::Task | TaskKind::Kworker))
}

/// An interrupt or a command, in words: what has to come to an end.
pub(super) fn who_ends(root: &World, agent: Agent) -> Option<String> {
    match agent {
        Agent::Hardirq(cpu) => Some(format!("CPU {cpu} in its interrupt")),
        Agent::Task(task) if is_command(root, task) => Some(format!("task {}", task.0)),
        _ => None,
    }
}

/// Whether an interrupt or a command goes on in these steps, which lead back to where they began, without
/// coming to its end: who does. With each step stand all that could have been made. As in the graph, it is
/// no livelock where somebody could step all the time and never does.
pub(super) fn endless(root: &World, circle: &[(Step, Vec<Step>)]) -> Option<String> {
    let stepped: BTreeSet<Agent> = circle.iter().map(|(next, _)| Agent::of(*next)).collect();
    let enabled = |agent: Agent, steps: &[Step]| steps.iter().any(|&next| Agent::of(next) == agent);
    let (_, first) = circle.first()?;
    let mut patient = first.iter().map(|&next| Agent::of(next)).filter(|agent| !agent.may_rest());
    if patient.any(|agent| !stepped.contains(&agent) && circle.iter().all(|(_, steps)| enabled(agent, steps)))
    {
        return None;
    }
    stepped.iter().find_map(|&agent| {
        let anew = agent.begins().is_some_and(|begins| stepped.contains(&begins));
        who_ends(root, agent).filter(|_| !anew)
    })
}
