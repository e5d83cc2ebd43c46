//! The graph of visited states and the steps between them. It gives the way to a state, and the places where a run can
//! stay for ever.

use std::collections::{BTreeMap, BTreeSet};

use kstate::event::Event;
use kstate::oracle::Choice;
use kstate::sched::TaskKind;
use kstate::{CpuId, TaskId};
use petgraph::algo::tarjan_scc;
use petgraph::graph::{DiGraph, NodeIndex};

use super::{Schedule, Step, World};
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

/// Where a state came from first.
#[derive(Clone, Debug)]
struct Origin {
    from: Option<u32>,
    answers: Box<[u32]>,
}

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

/// The graph of all states.
#[derive(Default)]
pub(super) struct Graph {
    origins: Vec<Origin>,
    /// Who could take a step in a state.
    enabled: Vec<Agents>,
    edges: Vec<(u32, u32, u8)>,
    /// The number of each agent. More than there are bits share the last one, so that nothing is found
    /// that is not there.
    agents: BTreeMap<Agent, u8>,
    /// Some edge leads back to a state that is older than where it comes from.
    backward: bool,
}

impl Graph {
    fn number(&mut self, agent: Agent) -> u8 {
        let next = self.agents.len().min(Agents::BITS as usize - 1) as u8;
        *self.agents.entry(agent).or_insert(next)
    }

    /// Adds a state that is new.
    pub(super) fn state(&mut self, from: Option<u32>, made: &[Choice], steps: &[Step]) {
        let answers = made.iter().map(|choice| choice.answer).collect();
        self.origins.push(Origin { from, answers });
        let enabled = steps.iter().fold(0, |all, &next| all | 1 << self.number(Agent::of(next)));
        self.enabled.push(enabled);
    }

    pub(super) fn edge(&mut self, from: u32, to: u32, agent: Agent) {
        self.backward |= to <= from;
        let agent = self.number(agent);
        self.edges.push((from, to, agent));
    }

    /// The states on the way to one, the first one last.
    fn way(&self, state: Option<u32>) -> impl Iterator<Item = &Origin> {
        core::iter::successors(state.and_then(|at| self.origins.get(at as usize)), |origin| {
            origin.from.and_then(|at| self.origins.get(at as usize))
        })
    }

    /// The schedule that leads to a state, and `made` from there.
    pub(super) fn schedule(&self, state: Option<u32>, made: &[Choice]) -> Schedule {
        let way: Vec<&Origin> = self.way(state).collect();
        let before = way.iter().rev().flat_map(|origin| origin.answers.iter().copied());
        Schedule::from_answers(before.chain(made.iter().map(|choice| choice.answer)))
    }

    /// Steps on the way to a state.
    pub(super) fn depth(&self, state: u32) -> usize {
        self.way(Some(state)).count().saturating_sub(1)
    }

    /// The livelocks: strongly connected components in which an interrupt or a command keeps running, none
    /// completes, and the schedule is weakly fair. The answer has the first state of each.
    ///
    /// Without the edges by which the agent begins again, what is left is a cycle in which it never ends. If an
    /// agent is enabled in all states of the cycle and never takes a step, the schedule is not fair: it starves
    /// that agent, and this is no livelock.
    pub(super) fn livelocks(&self, root: &World) -> Vec<Livelock> {
        if !self.backward {
            return Vec::new();
        }
        let mut found = Vec::new();
        for (&agent, &number) in &self.agents {
            let Some(who) = who_ends(root, agent) else { continue };
            let begins = agent.begins().and_then(|agent| self.agents.get(&agent).copied());
            let kept = self.edges.iter().filter(|edge| Some(edge.2) != begins);
            let graph: DiGraph<(), u8> = DiGraph::from_edges(kept);
            for component in tarjan_scc(&graph) {
                if let Some(first) = self.stays(&graph, &component, number) {
                    let states = component.iter().map(|state| state.index() as u32).collect();
                    found.push(Livelock { who, agent, first, states });
                    break;
                }
            }
        }
        found
    }

    /// The first state of a strongly connected component, if runs can stay in it in which `agent` steps.
    fn stays(&self, graph: &DiGraph<(), u8>, component: &[NodeIndex], agent: u8) -> Option<u32> {
        let inside: BTreeSet<NodeIndex> = component.iter().copied().collect();
        let mut stepped: Agents = 0;
        let mut always = Agents::MAX;
        for &state in component {
            always &= self.enabled.get(state.index()).copied().unwrap_or(0);
            for edge in graph.edges(state) {
                if inside.contains(&petgraph::visit::EdgeRef::target(&edge)) {
                    stepped |= 1 << edge.weight();
                }
            }
        }
        let rests = self.agents.iter().filter(|(agent, _)| agent.may_rest());
        let resting = rests.fold(0, |all, (_, number)| all | 1 << number);
        let fair = always & !stepped & !resting == 0;
        let first = component.iter().map(|state| state.index() as u32).min();
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
fn who_ends(root: &World, agent: Agent) -> Option<String> {
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
