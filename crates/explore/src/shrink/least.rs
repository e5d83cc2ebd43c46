//! The least schedule: fewest unusual choices.
//!
//! States are visited in the order of how many unusual choices it takes to come to them, so that the first step that
//! shows what is looked for has the least. A livelock is a way to a state and a way from there back to it: of all that
//! were seen the shortest are tried.

use core::hash::BuildHasher;
use core::ops::ControlFlow;
use std::collections::{BTreeMap, HashMap, VecDeque};

use foldhash::quality::FixedState;

use crate::exhaustive::{Taken, every_step};
use crate::fingerprint::fingerprint;
use crate::graph::{Agent, who_ends};
use crate::pool::Pool;
use crate::{Kind, Schedule, World, Wrong};

use super::Reads;

/// States that are looked at in one search.
const STATES: usize = 20_000;
/// Ways around that are tried, since the least of them may starve somebody and not count.
const CIRCLES: usize = 200;

/// A step, by the numbers of the places where it begins and ends.
struct Edge {
    to: u32,
    agent: Agent,
    answers: Box<[u32]>,
}

/// A state and what the next step is called in it: equal states may list their steps in another order.
struct Place {
    print: u64,
    /// The place before, and the answers from there.
    from: Option<(u32, Box<[u32]>)>,
    /// Unusual choices on the way.
    cost: usize,
    edges: Vec<Edge>,
}

fn unusual(answers: &[u32]) -> usize {
    answers.iter().filter(|answer| **answer != 0).count()
}

/// In which order a world lists its steps, beyond what its state says.
fn order(world: &World) -> u64 {
    let sched = &world.k.sched;
    FixedState::default().hash_one((&sched.runnable, &sched.spinning, &sched.waiters))
}

struct Search {
    places: Vec<Place>,
    numbers: HashMap<(u64, u64), u32>,
    /// By the cost of coming there.
    open: Vec<VecDeque<(u32, World)>>,
    reads: Reads,
}

impl Search {
    /// Comes to a world by a way that costs so much; says which place it is.
    fn come(&mut self, mut world: World, from: Option<(u32, Box<[u32]>)>, cost: usize) -> u32 {
        let key = (fingerprint(&world, self.reads), order(&world));
        let number = match self.numbers.get(&key) {
            Some(&number) if self.places[number as usize].cost <= cost => return number,
            Some(&number) => number,
            None => self.places.len() as u32,
        };
        // A place is gone on from once, by the least way: one that costs more is still open, and left there.
        if number as usize == self.places.len() {
            self.numbers.insert(key, number);
            self.places.push(Place { print: key.0, from, cost, edges: Vec::new() });
        } else {
            let place = &mut self.places[number as usize];
            (place.from, place.cost) = (from, cost);
        }
        world.k.share();
        if self.open.len() <= cost {
            self.open.resize_with(cost + 1, VecDeque::new);
        }
        self.open[cost].push_back((number, world));
        number
    }

    fn way(&self, mut place: u32) -> Vec<u32> {
        let mut parts: Vec<&[u32]> = Vec::new();
        while let Some((from, answers)) = &self.places[place as usize].from {
            parts.push(answers);
            place = *from;
        }
        parts.into_iter().rev().flatten().copied().collect()
    }

    /// Visits places that cost less than `below`. Where a step shows `wanted`: its schedule.
    fn visit(&mut self, below: usize, wanted: Option<&Wrong>) -> Option<Vec<u32>> {
        let (mut cost, pool) = (0, &mut Pool::default());
        while cost < below.min(self.open.len()) {
            let Some((place, mut world)) = self.open[cost].pop_front() else {
                cost += 1;
                continue;
            };
            if self.places[place as usize].cost != cost || self.places.len() > STATES {
                continue;
            }
            let ended = world.steps().is_empty().then(|| world.check_end()).flatten();
            if wanted.is_some_and(|wanted| ended.is_some_and(|wrong| wrong.is_like(wanted))) {
                return Some(self.way(place));
            }
            let shown = every_step(&world, pool, |pool, Taken { world: mut to, agent, made }| {
                let answers: Box<[u32]> = made.iter().map(|choice| choice.answer).collect();
                let cost = cost + unusual(&answers);
                if cost >= below {
                    pool.give(to);
                    return ControlFlow::Continue(());
                }
                let wrong = to.check();
                if let Some(wanted) = wanted
                    && wrong.as_ref().is_some_and(|wrong| wrong.is_like(wanted))
                {
                    return ControlFlow::Break(answers);
                }
                // What follows on something else that is wrong is not the same finding.
                if wrong.is_none() {
                    let to = self.come(*to, Some((place, answers.clone())), cost);
                    self.places[place as usize].edges.push(Edge { to, agent, answers });
                }
                ControlFlow::Continue(())
            });
            if let Some(last) = shown {
                let mut way = self.way(place);
                way.extend(last);
                return Some(way);
            }
        }
        None
    }

    /// The way from a place back to its state that costs least and in which `agent` steps without beginning anew.
    fn around(&self, first: u32, agent: Agent, below: usize) -> Option<(usize, Vec<u32>)> {
        let print = self.places[first as usize].print;
        // The least cost of each place, without and with a step of the agent, and the step that led there.
        let mut least: BTreeMap<(u32, bool), (usize, Option<(u32, bool, &Edge)>)> = BTreeMap::new();
        let mut open: Vec<VecDeque<(u32, bool)>> = vec![VecDeque::from([(first, false)])];
        least.insert((first, false), (0, None));
        let mut cost = 0;
        while cost < below.min(open.len()) {
            let Some(at) = open[cost].pop_front() else {
                cost += 1;
                continue;
            };
            if least.get(&at).is_some_and(|(least, _)| *least < cost) {
                continue;
            }
            for edge in &self.places[at.0 as usize].edges {
                let to = (edge.to, at.1 || edge.agent == agent);
                let cost = cost + unusual(&edge.answers);
                if agent.begins() == Some(edge.agent)
                    || cost >= below
                    || least.get(&to).is_some_and(|(least, _)| *least <= cost)
                {
                    continue;
                }
                if to.1 && self.places[edge.to as usize].print == print {
                    let mut parts = vec![&edge.answers];
                    let mut back = at;
                    while let Some((_, Some((from, stepped, edge)))) = least.get(&back) {
                        parts.push(&edge.answers);
                        back = (*from, *stepped);
                    }
                    return Some((cost, parts.into_iter().rev().flatten().copied().collect()));
                }
                least.insert(to, (cost, Some((at.0, at.1, edge))));
                if open.len() <= cost {
                    open.resize_with(cost + 1, VecDeque::new);
                }
                open[cost].push_back(to);
            }
        }
        None
    }
}

/// Schedules with fewer than `below` unusual choices that may show what is wanted, the least first. Empty where none was
/// found among the states that are looked at.
pub(super) fn least(world: &World, wanted: &Wrong, below: usize, reads: Reads) -> Vec<Schedule> {
    let mut search = Search { places: Vec::new(), numbers: HashMap::new(), open: Vec::new(), reads };
    search.come(world.clone(), None, 0);
    if wanted.kind != Kind::Livelock {
        let found = search.visit(below, Some(wanted));
        return found.into_iter().map(|answers| Schedule::from_answers(answers.into_iter())).collect();
    }
    search.visit(below, None);
    let mut found: Vec<(usize, usize, Schedule)> = Vec::new();
    let edges = search.places.iter().flat_map(|place| &place.edges);
    let never_ends = |agent: &Agent| {
        who_ends(world, *agent).is_some_and(|who| wanted.text.starts_with(&format!("{who} ")))
    };
    let mut agents: Vec<Agent> = edges.map(|edge| edge.agent).collect();
    agents.sort_unstable();
    agents.dedup();
    agents.retain(never_ends);
    for place in 0..search.places.len() as u32 {
        let cost = search.places[place as usize].cost;
        for &agent in &agents {
            let Some((around, answers)) = search.around(place, agent, below.saturating_sub(cost)) else {
                continue;
            };
            let all: Vec<u32> = search.way(place).into_iter().chain(answers).collect();
            found.push((cost + around, all.len(), Schedule::from_answers(all.into_iter())));
        }
    }
    found.sort_by_key(|(cost, length, _)| (*cost, *length));
    found.into_iter().take(CIRCLES).map(|(_, _, schedule)| schedule).collect()
}
