//! Which behaviours of a kernel are behind a difference: each field of [`Semantics`] in which two kernels differ is
//! given the other kernel's value, alone, on either side.

use std::collections::BTreeMap;

use compare::diff::attribution::swapped;
use kstate::semantics::Semantics;
use serde::Serialize;

use crate::answer::{Change, Kind};
use crate::picture::{Interrupt, Key, Picture, State};

/// A field that explains changes.
#[derive(Clone, PartialEq, Eq, Debug, Serialize)]
pub struct Cause {
    /// The field of `irqlab semantics`.
    pub field: &'static str,
    /// What it decides.
    pub doc: &'static str,
    /// Its value under the first kernel.
    pub left: String,
    /// Its value under the second one.
    pub right: String,
    /// The C function that differs.
    pub function: &'static str,
    /// The C file it is in.
    pub file: &'static str,
    /// The release or commit that changed it.
    pub changed: String,
    /// How many interrupts it changes by itself.
    pub interrupts: usize,
}

/// What is compared of an interrupt.
type Fate = (String, Option<u32>, State, bool);

fn fates(picture: &Picture) -> BTreeMap<Key, Fate> {
    let fate = |i: &Interrupt| (i.affinity.list(), i.cpu.map(|cpu| cpu.0), i.state, i.managed);
    picture.interrupts.iter().map(|(key, i)| (key.clone(), fate(i))).collect()
}

/// Finds the fields, and writes into each change which ones explain it. `run` is the changed machine under any
/// semantics.
pub(crate) fn find(
    from: &Semantics,
    to: &Semantics,
    changes: &mut [Change],
    run: impl Fn(&Semantics) -> Picture,
) -> Vec<Cause> {
    if changes.iter().all(|change| matches!(change.kind, Kind::Gone | Kind::New)) {
        return Vec::new();
    }
    let (left, right) = (fates(&run(from)), fates(&run(to)));
    let mut causes = Vec::new();
    for field in Semantics::fields() {
        let (a, b) = (from.get(field.name).unwrap_or_default(), to.get(field.name).unwrap_or_default());
        if a == b {
            continue;
        }
        let alone = |base: &Semantics, other: &Semantics, own: &BTreeMap<Key, Fate>| {
            let (without, with) = swapped(field.name, base, other)?;
            let without = without.map_or_else(|| own.clone(), |semantics| fates(&run(&semantics)));
            Some((without, fates(&run(&with))))
        };
        let sides: Vec<_> = [alone(from, to, &left), alone(to, from, &right)].into_iter().flatten().collect();
        let mut interrupts = 0;
        for change in changes.iter_mut() {
            let key = change.key();
            if left.get(&key) == right.get(&key) {
                continue;
            }
            if sides.iter().any(|(without, with)| without.get(&key) != with.get(&key)) {
                change.because.push(field.name);
                interrupts += 1;
            }
        }
        if interrupts > 0 {
            causes.push(Cause {
                field: field.name,
                doc: field.doc,
                left: a,
                right: b,
                function: field.function,
                file: field.file,
                changed: field.changed(),
                interrupts,
            });
        }
    }
    causes
}
