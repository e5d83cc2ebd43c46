//! Completion of what is typed into a session.

use kstate::semantics::Semantics;

use super::{Session, WORDS};
use crate::watch;
use record::functions::Functions;
use sim::{tracefs, vfs};

impl Session {
    /// What could stand at the end of a line: where its last word begins, and the words.
    pub fn complete(&self, line: &str) -> (usize, Vec<String>) {
        let start =
            line.rfind(|c: char| c.is_whitespace() || matches!(c, '>' | ';' | '=')).map_or(0, |i| i + 1);
        let word = &line[start..];
        let first = line[..start].split([';', '>']).next_back().unwrap_or("").trim();
        let mut found: Vec<String> = if word.starts_with('/') {
            self.paths(word)
        } else if first.starts_with(":break") || first.starts_with(":b") {
            let functions = Functions::of(self.here().sem.version).iter().map(|f| f.name);
            let functions = functions.filter(|name| crate::fields::is_modelled(name));
            let events = tracefs::EVENTS.iter().flat_map(|(_, names)| names.iter().copied());
            functions.chain(events).map(str::to_owned).collect()
        } else if first.starts_with(":set") {
            Semantics::fields().iter().map(|field| format!("{}=", field.name)).collect()
        } else if first.starts_with(":print") || first.starts_with(":watch") {
            let roots = watch::roots(self.here());
            let roots = roots.iter().map(|(name, _)| (*name).to_owned());
            roots.chain(["irq", "cpu", "task", "apicd.hw_irq_cfg.vector"].map(str::to_owned)).collect()
        } else if first.is_empty() {
            let words = WORDS.iter().map(|(word, ..)| (*word).to_owned());
            words.chain(sim::script::COMMANDS.map(str::to_owned)).collect()
        } else {
            Vec::new()
        };
        found.retain(|candidate| candidate.starts_with(word));
        found.sort();
        found.dedup();
        (start, found)
    }

    fn paths(&self, word: &str) -> Vec<String> {
        let (folder, _) = word.rsplit_once('/').unwrap_or(("", word));
        let names = vfs::list(self.here(), folder).unwrap_or_default();
        let full = names.into_iter().map(|name| {
            let path = format!("{folder}/{name}");
            if vfs::list(self.here(), &path).is_ok() { path + "/" } else { path }
        });
        full.collect()
    }
}
