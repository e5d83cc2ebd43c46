//! The exhaustive search: it takes every possible step from every state.

use core::ops::ControlFlow;
use std::collections::{BTreeMap, HashMap, HashSet, VecDeque};
use std::sync::{Mutex, PoisonError, RwLock};

use kstate::oracle::{Choice, Oracle};

use states::States;

use super::coverage::Seen;
use super::fingerprint::{self, Eye, Reads};
use super::graph::{Agent, Graph, Livelock, Passed, StepId};
use super::jobs::crew;
use super::pool::Pool;
use super::{Finding, Kind, Schedule, World, Wrong};

mod reduction;
mod share;
mod states;

pub(crate) use reduction::Reduction;
use share::Captured;
pub use share::Estimate;

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
    /// The fingerprints of the states in which nothing more can happen, in ascending order.
    pub ends: Vec<u64>,
    /// How many states there are, if not all were seen.
    pub estimate: Option<Estimate>,
    /// What the steps have shown, if the world records.
    pub seen: Option<Seen>,
}

impl Explored {
    /// Everything there is was seen.
    pub fn is_complete(&self) -> bool {
        self.covered.cut == 0 && !self.stopped
    }
}

/// How a search goes about it. What it finds does not depend on it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct How {
    /// Threads that search.
    pub jobs: usize,
    /// Leaves out steps that show nothing new.
    pub reduction: bool,
}

impl Default for How {
    fn default() -> Self {
        Self { jobs: 1, reduction: false }
    }
}

/// States whose steps are tried at once, whatever the number of threads: this decides in which order states are come to,
/// and so what a bounded search sees.
const ROUND: usize = 256;
/// So many states are visited one after the other before that: several threads would gain nothing yet.
const ALONE: usize = 2048;

/// The answers after these: the last one that can be another is.
fn successor(made: &[Choice]) -> Option<Vec<u32>> {
    let last = made.iter().rposition(|choice| choice.answer + 1 < choice.of)?;
    let mut answers: Vec<u32> = made[..=last].iter().map(|choice| choice.answer).collect();
    answers[last] += 1;
    Some(answers)
}

/// A step that was taken from some state.
pub(super) struct Taken {
    pub(super) world: Box<World>,
    pub(super) agent: Agent,
    pub(super) made: Vec<Choice>,
}

/// The steps from a state that have to be tried. The pool is where copies come from; who takes a step can give its world
/// back.
fn steps_to_try<R>(
    world: &World,
    reduction: Reduction,
    pool: &mut Pool,
    mut each: impl FnMut(&mut Pool, Taken) -> ControlFlow<R>,
) -> Option<R> {
    if reduction != Reduction::default() {
        // The clock has gone on already where it was to.
        let (steps, _) = world.steps_now();
        if let Some(at) = reduction.only(world, &steps) {
            let mut to = pool.copy(world);
            to.k.oracle = Oracle::scripted(vec![at as u32]).interleaving();
            let agent = to.advance().map(Agent::of)?;
            let made = to.take_log();
            return each(pool, Taken { world: to, agent, made }).break_value();
        }
    }
    every_step(world, pool, each)
}

/// All steps from a state, told apart by the choices that are made; `each` sees them one by one.
pub(super) fn every_step<R>(
    world: &World,
    pool: &mut Pool,
    mut each: impl FnMut(&mut Pool, Taken) -> ControlFlow<R>,
) -> Option<R> {
    // Of each copy the same steps can be taken, at the same time.
    let mut steps = None;
    let mut next = Some(Vec::new());
    while let Some(answers) = next {
        let mut to = pool.copy(world);
        to.k.oracle = Oracle::scripted(answers).interleaving();
        let (steps, now) = steps.get_or_insert_with(|| (to.steps(), to.k.events.now));
        to.k.events.now = *now;
        let step = to.choose(steps)?;
        to.take(step);
        let made = to.take_log();
        next = successor(&made);
        if let ControlFlow::Break(result) = each(pool, Taken { world: to, agent: Agent::of(step), made }) {
            return Some(result);
        }
    }
    None
}

/// A state whose steps are to be tried.
struct Open {
    world: Box<World>,
    state: u32,
    depth: u32,
}

/// Where a step leads.
enum Target {
    /// To a state that was seen before.
    Seen(u32),
    /// To one in which more can happen.
    Open(Box<World>),
    /// To an end: its fingerprint without any reduction, and what is wrong there.
    Final(u64, Option<Wrong>),
    /// To where a rule is broken; beyond it the model promises nothing.
    Broken,
}

/// A step, without the world it led to if that is known already.
struct Arrival {
    agent: Option<Agent>,
    print: u64,
    wrong: Option<Wrong>,
    target: Target,
    shown: Option<Box<Seen>>,
}

/// What a step has shown, where that is noted.
fn shown(taken: &mut Taken) -> Option<Box<Seen>> {
    taken.world.covers().then(|| {
        let mut shown = Box::<Seen>::default();
        shown.step(&mut taken.world, taken.agent, &taken.made);
        shown
    })
}

/// Looks at the world behind a step from `before`. `seen` has the states that are known.
fn arrive(
    mut world: Box<World>,
    agent: Option<Agent>,
    shown: Option<Box<Seen>>,
    before: Option<&World>,
    eye: Eye,
    seen: &States,
    pool: &mut Pool,
) -> Arrival {
    let wrong = world.check_since(before);
    let broken = wrong.as_ref().is_some_and(|wrong| wrong.kind == Kind::Invariant);
    let print = world.print(eye, before);
    let target = match seen.find(print) {
        Some(state) => Target::Seen(state),
        None if broken => Target::Broken,
        None if world.steps().is_empty() => {
            Target::Final(fingerprint::fingerprint(&world, eye.reads), world.check_end())
        }
        None => {
            world.k.share();
            return Arrival { agent, print, wrong, target: Target::Open(world), shown };
        }
    };
    pool.give(world);
    Arrival { agent, print, wrong, target, shown }
}

/// Things that are wrong, each text once.
#[derive(Default)]
struct Wrongs {
    all: Vec<Wrong>,
    numbers: HashMap<(Kind, String), u32>,
    /// On a step, by where it begins and its number there.
    at_step: BTreeMap<StepId, u32>,
    /// In a state, or at its end.
    in_state: BTreeMap<u32, Vec<u32>>,
}

impl Wrongs {
    fn number(&mut self, wrong: Wrong) -> u32 {
        let next = self.all.len() as u32;
        let Self { all, numbers, .. } = self;
        *numbers.entry((wrong.kind, wrong.text.clone())).or_insert_with(|| {
            all.push(wrong);
            next
        })
    }
}

/// How far a search is.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct SoFar {
    /// What was covered.
    pub covered: Covered,
    /// Different things that were found.
    pub found: usize,
}

/// A finding that has no schedule yet.
struct Sight {
    wrong: u32,
    /// Where.
    state: u32,
    /// The step from there that shows it; none where the state does.
    step: Option<StepId>,
}

struct Search<'a> {
    root: &'a World,
    seen: &'a RwLock<States>,
    graph: Graph,
    open: Vec<Open>,
    wrongs: Wrongs,
    /// Kinds of things that are wrong, for who looks on.
    kinds: Vec<Wrong>,
    result: Explored,
    bounds: Bounds,
    eye: Eye,
}

impl Search<'_> {
    fn print(&self, state: u32) -> u64 {
        self.seen.read().unwrap_or_else(PoisonError::into_inner).print(state)
    }

    fn wrong(&mut self, wrong: Wrong) -> u32 {
        if self.kinds.len() < self.bounds.findings && !self.kinds.iter().any(|known| known.is_like(&wrong)) {
            self.kinds.push(wrong.clone());
        }
        self.wrongs.number(wrong)
    }

    /// Adds a state that is new, to be gone on from.
    fn add(&mut self, state: u32, origin: Option<u32>, target: Target, depth: u32) -> Option<Open> {
        self.graph.state(origin);
        let covered = &mut self.result.covered;
        covered.states += 1;
        covered.depth = covered.depth.max(depth as usize);
        match target {
            Target::Seen(_) | Target::Broken => None,
            Target::Final(print, wrong) => {
                covered.finals += 1;
                self.result.ends.push(print);
                if let Some(wrong) = wrong {
                    let wrong = self.wrong(wrong);
                    self.wrongs.in_state.entry(state).or_default().push(wrong);
                }
                None
            }
            Target::Open(_) if depth as usize >= self.bounds.depth => {
                covered.cut += 1;
                None
            }
            Target::Open(world) => Some(Open { world, state, depth }),
        }
    }

    /// Adds the state that everything begins in.
    fn begin(&mut self, root: World) {
        let (root, pool) = (Box::new(root), &mut Pool::default());
        let Arrival { print, wrong, target, .. } =
            arrive(root, None, None, None, self.eye, &States::default(), pool);
        let (state, _) = self.seen.write().unwrap_or_else(PoisonError::into_inner).add(print);
        if let Some(wrong) = wrong {
            let wrong = self.wrong(wrong);
            self.wrongs.in_state.entry(state).or_default().push(wrong);
        }
        let open = self.add(state, None, target, 0);
        self.open.extend(open);
    }

    /// Adds what the steps from a state led to. Worlds in a state that came up twice in this round go to `spare`.
    fn merge(&mut self, state: u32, depth: u32, arrivals: Vec<Arrival>, spare: &mut Pool) {
        if self.result.covered.states >= self.bounds.states || !self.graph.has_room(arrivals.len()) {
            self.result.covered.cut += 1;
            return;
        }
        let (mut steps, mut open) = (Vec::with_capacity(arrivals.len()), Vec::new());
        let mut whole = true;
        let mut seen = self.seen.write().unwrap_or_else(PoisonError::into_inner);
        for Arrival { agent, print, wrong, target, shown } in arrivals {
            let Some(agent) = agent else { continue };
            let full = self.result.covered.states >= self.bounds.states;
            let (to, new) = match target {
                Target::Seen(state) => (state, false),
                _ if full && seen.find(print).is_none() => {
                    whole = false;
                    continue;
                }
                _ => seen.add(print),
            };
            if let Some(wrong) = wrong {
                let wrong = self.wrong(wrong);
                self.wrongs.at_step.insert((state, steps.len() as u32), wrong);
            }
            self.result.covered.transitions += 1;
            if let Some(shown) = shown {
                self.result.seen.get_or_insert_default().add(*shown);
            }
            steps.push((agent, to));
            if new {
                open.extend(self.add(to, Some(state), target, depth + 1));
            } else if let Target::Open(world) = target {
                spare.give(world);
            }
        }
        drop(seen);
        if whole {
            self.graph.steps(state, steps.into_iter());
        } else {
            self.result.covered.cut += 1;
        }
        // The first step is gone on from first.
        self.open.extend(open.into_iter().rev());
    }

    /// Says how many states there are, where not all were seen.
    fn estimate(&mut self) {
        if !self.result.is_complete() {
            let seen = self.seen.read().unwrap_or_else(PoisonError::into_inner);
            let captured = Captured { eye: self.eye, seen: &seen, depths: &self.graph.depths() };
            self.result.estimate = Some(captured.estimate(self.root));
        }
    }

    /// What was found, in the order of a search that takes the first step first if all was seen, else in that of
    /// coming to it.
    fn sights(&mut self) -> Vec<Sight> {
        let mut order: Vec<(u32, StepId, bool)> = Vec::new();
        if self.result.is_complete() {
            let Self { graph, wrongs, result, .. } = self;
            result.covered.depth = 0;
            graph.walk(|passed| match passed {
                Passed::Step(state, nth) => {
                    order.extend(wrongs.at_step.get(&(state, nth)).map(|&wrong| (wrong, (state, nth), true)));
                }
                Passed::State(state, depth) => {
                    result.covered.depth = result.covered.depth.max(depth);
                    let there = wrongs.in_state.get(&state).into_iter().flatten();
                    order.extend(there.map(|&wrong| (wrong, (state, 0), false)));
                }
            });
        } else {
            let steps = self.wrongs.at_step.iter().map(|(&step, &wrong)| (wrong, step, true));
            order.extend(steps);
            let states = self.wrongs.in_state.iter();
            order.extend(
                states.flat_map(|(&state, all)| all.iter().map(move |&wrong| (wrong, (state, 0), false))),
            );
            order.sort_by_key(|&(_, (state, nth), _)| (state, nth));
        }
        let mut sights: Vec<Sight> = Vec::new();
        for (number, (state, nth), on_step) in order {
            let wrong = &self.wrongs.all[number as usize];
            let known = |sight: &Sight| self.wrongs.all[sight.wrong as usize].is_like(wrong);
            if sights.len() == self.bounds.findings {
                break;
            }
            if !sights.iter().any(known) {
                sights.push(Sight { wrong: number, state, step: on_step.then_some((state, nth)) });
            }
        }
        sights
    }

    /// A step of a world that leads to this state and shows what is wanted, and what it shows.
    fn step(&self, world: &World, to: Option<u32>, wanted: Option<&Wrong>) -> Option<(Taken, Option<Wrong>)> {
        let print = to.map(|to| self.print(to));
        steps_to_try(world, self.eye.reduction, &mut Pool::default(), |pool, mut taken| {
            let wrong = taken.world.check();
            let leads = print.is_none_or(|print| print == self.eye.print(&taken.world));
            let shows = wanted.is_none_or(|wanted| wrong.as_ref().is_some_and(|wrong| wrong.is_like(wanted)));
            if leads && shows {
                return ControlFlow::Break((taken, wrong));
            }
            pool.give(taken.world);
            ControlFlow::Continue(())
        })
    }

    /// Goes a way from the beginning: the world there, and the answers. A state of the graph stands for all worlds that are
    /// in it, in which the same steps may have other numbers.
    fn go(&self, way: &[u32]) -> Option<(World, Vec<u32>)> {
        let mut world = self.root.clone();
        let mut answers = Vec::new();
        for &to in way {
            let (taken, _) = self.step(&world, Some(to), None)?;
            answers.extend(taken.made.iter().map(|choice| choice.answer));
            world = *taken.world;
        }
        Some((world, answers))
    }

    /// Goes a way to where something is wrong, or shows on the way already: the answers, and how many steps they are.
    fn answers_to(&self, way: &[u32], step: Option<StepId>, wrong: &Wrong) -> Option<(Vec<u32>, usize)> {
        let mut world = self.root.clone();
        let mut answers = Vec::new();
        let mut depth = 0;
        let to_there = way.iter().map(|&to| (Some(to), None));
        let shows = step.map(|step| (self.graph.target(step), Some(wrong)));
        for (to, wanted) in to_there.chain(shows) {
            let (taken, said) = self.step(&world, to, wanted)?;
            answers.extend(taken.made.iter().map(|choice| choice.answer));
            world = *taken.world;
            depth += 1;
            if said.is_some_and(|said| said.is_like(wrong)) {
                break;
            }
        }
        Some((answers, depth))
    }

    /// Gives what was found its schedule.
    fn tell(&mut self, sights: &[Sight]) {
        for &Sight { wrong, state, step } in sights {
            let wrong = self.wrongs.all[wrong as usize].clone();
            // A state stands for all worlds that are in it, and what a kernel says once may have been said on the one way and
            // not on the other. On the way of the search itself everything is as it was.
            let told = self.answers_to(&self.graph.way(state), step, &wrong);
            let told = told.or_else(|| self.answers_to(&self.graph.first_way(state), step, &wrong));
            debug_assert!(told.is_some(), "what was found is not there any more: {wrong:?}");
            let Some((answers, depth)) = told else { continue };
            let Wrong { kind, text } = wrong;
            let schedule = Schedule::from_answers(answers.into_iter());
            self.result.findings.push(Finding { kind, text, schedule, depth });
        }
    }

    /// Goes once around in a livelock, so that the way there and the circle are the schedule of a finding.
    fn found_livelock(&mut self, livelock: &Livelock) {
        let before = self.graph.way(livelock.first);
        let Some((world, mut made)) = self.go(&before) else { return };
        // Breadth first over states, and whether the agent has stepped on the way to them.
        let mut seen = HashSet::from([(livelock.first, false)]);
        let mut open = VecDeque::from([(world, Vec::<u32>::new(), false, 0)]);
        while let Some((world, way, stepped, steps)) = open.pop_front() {
            let pool = &mut Pool::default();
            let around = every_step(&world, pool, |_, Taken { world: to, agent, made }| {
                let stepped = stepped || agent == livelock.agent;
                let print = self.eye.print(&to);
                let state = self.seen.read().unwrap_or_else(PoisonError::into_inner).find(print);
                let Some(state) = state.filter(|state| livelock.states.contains(state)) else {
                    return ControlFlow::Continue(());
                };
                if Some(agent) == livelock.agent.begins() {
                    return ControlFlow::Continue(());
                }
                let way: Vec<u32> = way.iter().copied().chain(made.iter().map(|c| c.answer)).collect();
                if state == livelock.first && stepped {
                    return ControlFlow::Break(way);
                }
                if seen.insert((state, stepped)) {
                    open.push_back((*to, way, stepped, steps + 1));
                }
                ControlFlow::Continue(())
            });
            if let Some(around) = around {
                let text =
                    format!("{} never ends: a state comes back after {} steps", livelock.who, steps + 1);
                let wrong = Wrong::new(Kind::Livelock, text);
                let findings = &self.result.findings;
                if findings.len() < self.bounds.findings && !findings.iter().any(|known| known.shows(&wrong))
                {
                    made.extend(around);
                    let schedule = Schedule::from_answers(made.into_iter());
                    let Wrong { kind, text } = wrong;
                    let depth = before.len() + steps + 1;
                    self.result.findings.push(Finding { kind, text, schedule, depth });
                }
                return;
            }
        }
    }
}

/// Visits every state that can be reached, within `bounds`, with one thread. `progress` is called now and then and can
/// end the search.
pub fn explore(root: &World, bounds: Bounds, progress: impl FnMut(&SoFar) -> ControlFlow<()>) -> Explored {
    explore_with(root, bounds, How::default(), progress)
}

/// As [`explore`], in the way of `how`.
///
/// The states that were come to and not gone on from are a stack. Every round takes some from its top, tries all their
/// steps, and puts what is new in their place, in their order. So who did which part of a round makes no difference.
pub fn explore_with(
    root: &World,
    bounds: Bounds,
    how: How,
    mut progress: impl FnMut(&SoFar) -> ControlFlow<()>,
) -> Explored {
    let script = root.shell.script();
    let reduction = if how.reduction { Reduction::of(script) } else { Reduction::default() };
    let eye = Eye { reads: Reads::of(script), reduction };
    let seen = RwLock::new(States::default());
    // Ways are gone again to give them a schedule: that shows nothing new.
    let unrecorded = root.unrecorded();
    let mut search = Search {
        root: &unrecorded,
        seen: &seen,
        graph: Graph::default(),
        open: Vec::new(),
        wrongs: Wrongs::default(),
        kinds: Vec::new(),
        result: Explored::default(),
        bounds,
        eye,
    };
    search.begin(root.clone());
    // Worlds that the thread that leads has no need for: in a round several states often lead to the same new one.
    let spare = Mutex::new(Pool::new(4 * ROUND));
    let work = |pool: &mut Pool, world: Box<World>| {
        let mut arrivals = Vec::new();
        let seen = seen.read().unwrap_or_else(PoisonError::into_inner);
        pool.refill(&spare);
        steps_to_try(&world, reduction, pool, |pool, mut taken| {
            let shown = shown(&mut taken);
            let Taken { world: to, agent, .. } = taken;
            arrivals.push(arrive(to, Some(agent), shown, Some(&world), eye, &seen, pool));
            ControlFlow::<()>::Continue(())
        });
        pool.give(world);
        arrivals
    };
    crew(how.jobs, work, |crew| {
        while !search.open.is_empty() {
            let round = if search.result.covered.states < ALONE { 1 } else { ROUND };
            let rest = search.open.len().saturating_sub(round);
            let mut round = search.open.split_off(rest);
            round.reverse();
            let places: Vec<(u32, u32)> = round.iter().map(|open| (open.state, open.depth)).collect();
            let arrivals = crew.all(round.into_iter().map(|open| open.world));
            let merged = places.into_iter().zip(arrivals);
            // What the first of them leads to comes to the top.
            let mut new = Vec::new();
            let mut spare = spare.lock().unwrap_or_else(PoisonError::into_inner);
            for ((state, depth), arrivals) in merged {
                search.merge(state, depth, arrivals, &mut spare);
                new.push(search.open.split_off(rest));
            }
            drop(spare);
            search.open.extend(new.into_iter().rev().flatten());
            let so_far = SoFar { covered: search.result.covered, found: search.kinds.len() };
            if progress(&so_far).is_break() {
                search.result.stopped = true;
                break;
            }
            if search.result.covered.states >= bounds.states {
                search.result.covered.cut += search.open.len();
                break;
            }
        }
    });
    search.result.ends.sort_unstable();
    search.estimate();
    let sights = search.sights();
    search.tell(&sights);
    for livelock in search.graph.livelocks(root) {
        search.found_livelock(&livelock);
    }
    search.result
}
