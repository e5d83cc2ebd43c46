//! The keys of a function whose driver is a profile (`drivers::profile`).

use drivers::profile::{Board, Named, Profile, Sets, Spread};
use kstate::msi::IRQ_AFFINITY_MAX_SETS;
use toml::Spanned;

use super::file::Function;
use super::{MAX_MSIX, MachineError};

/// The keys that such a function has beside those of every function.
pub(super) const KEYS: [&str; 7] = ["name", "vectors", "managed", "pre", "post", "sets", "actions"];

/// What the table of a function says of its driver.
pub(super) fn read(f: &Function<'_>, profile: &'static Profile) -> Result<Board, Box<MachineError>> {
    let name = f.read("name", "a string", |v| v.as_str().map(str::to_owned))?.map(Spanned::into_inner);
    let vectors = match f.number("vectors")? {
        Some(n) => Some(f.report.within("the number of messages that a driver asks for", &n, 1, MAX_MSIX)?),
        None => None,
    };
    Ok(Board { profile, name, vectors, spread: spread(f, profile)?, actions: actions(f)? })
}

/// `managed`, `pre`, `post` and `sets`; `None` where the driver's own count.
fn spread(f: &Function<'_>, profile: &Profile) -> Result<Option<Option<Spread>>, Box<MachineError>> {
    let managed = f.read("managed", "true or false", toml::Value::as_bool)?;
    let on = managed.as_ref().map_or(profile.spread.is_some(), |m| *m.get_ref());
    let most = |key: &str| match f.number(key)? {
        None => Ok(None),
        Some(n) if !on => Err(f.report.error(
            n.span(),
            format!("`{key}` of messages that the kernel does not spread"),
            "expected managed = true as well, or no such line",
        )),
        Some(n) => f.report.within(key, &n, 0, MAX_MSIX).map(Some),
    };
    let (pre, post) = (most("pre")?, most("post")?);
    let sizes = f.read("sets", "a list of numbers", |v| {
        v.as_array()?
            .iter()
            .map(|n| n.as_integer().and_then(|n| u16::try_from(n).ok()))
            .collect::<Option<Vec<u16>>>()
    })?;
    let sets = match sizes {
        None => None,
        Some(list) => {
            let sizes = list.get_ref();
            let fits = (1..=IRQ_AFFINITY_MAX_SETS).contains(&sizes.len()) && sizes.iter().all(|&n| n > 0);
            if !on || !fits {
                return Err(f.report.error(
                    list.span(),
                    format!("sets of {sizes:?} messages"),
                    format!("expected the sizes of one to {IRQ_AFFINITY_MAX_SETS} sets of managed messages, from 1 on"),
                ));
            }
            let mut all = [0; IRQ_AFFINITY_MAX_SETS];
            all[..sizes.len()].copy_from_slice(sizes);
            Some(Sets::Sizes(all))
        }
    };
    if !on {
        return Ok(managed.map(|_| None));
    }
    let own = profile.spread.unwrap_or(Spread { pre: 0, post: 0, sets: Sets::One });
    let spread = Spread {
        pre: pre.unwrap_or(own.pre),
        post: post.unwrap_or(own.post),
        sets: sets.unwrap_or(own.sets),
    };
    Ok((Some(spread) != profile.spread).then_some(Some(spread)))
}

/// `actions`: messages and what they are called, `"1-4: eth0-TxRx-{}"`.
fn actions(f: &Function<'_>) -> Result<Option<Vec<Named>>, Box<MachineError>> {
    let Some(list) = f.read("actions", "a list of strings", toml::Value::as_array)? else { return Ok(None) };
    let mut named: Vec<Named> = Vec::new();
    let mut seen = vec![false; MAX_MSIX as usize];
    for entry in list.get_ref().iter() {
        let text = entry.as_str().unwrap_or_default();
        let mistake = || {
            f.report.error(
                list.span(),
                format!("`{text}` does not say which messages are called what"),
                "expected \"0: NAME\" or \"1-4: NAME-{}\", each message once",
            )
        };
        let (range, name) = text.split_once(": ").ok_or_else(mistake)?;
        let (first, last) = range.split_once('-').unwrap_or((range, range));
        let number = |t: &str| t.parse::<u32>().ok().filter(|n| *n < MAX_MSIX);
        let (Some(first), Some(last)) = (number(first), number(last)) else { return Err(mistake()) };
        let free = first <= last && !seen[first as usize..=last as usize].contains(&true);
        // /proc/interrupts has a line for each interrupt.
        if !free || name.is_empty() || name.contains(char::is_control) {
            return Err(mistake());
        }
        seen[first as usize..=last as usize].fill(true);
        named.push(Named { first, last, name: name.to_owned() });
    }
    Ok(Some(named))
}
