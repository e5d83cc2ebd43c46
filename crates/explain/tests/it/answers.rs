//! Everything that can be asked for is answered, and what the answers say holds.

use std::collections::BTreeSet;
use std::fs::File;
use std::io::Read as _;
use std::path::Path;
use std::sync::OnceLock;

use explain::words::{self, Word};
use explain::{Entry, Kind, asked, look_up, source};
use kstate::Kernel;
use kstate::semantics::{KernelVersion, Semantics};
use record::functions::Functions;
use sim::lab::Lab;
use sim::machine::Machine;
use sim::{params, vfs};

#[track_caller]
fn answer(question: &str, kind: Kind) -> Entry {
    let found = look_up(question);
    let kinds: Vec<(Kind, &str)> = found.answers.iter().map(|e| (e.kind, e.name.as_str())).collect();
    let entry = found.answers.iter().find(|entry| entry.kind == kind);
    let entry = entry.unwrap_or_else(|| panic!("`{question}` is no {kind:?}: {kinds:?}"));
    assert!(!entry.text.is_empty(), "`{question}` has no text");
    entry.clone()
}

/// All files below a folder.
fn files(k: &mut Kernel, folder: &str, found: &mut Vec<String>) {
    for name in vfs::list(k, folder).expect("a folder") {
        let path = format!("{}/{name}", folder.trim_end_matches('/'));
        // A driver and its function name each other.
        if vfs::is_link(k, &path) {
            continue;
        }
        if vfs::list(k, &path).is_ok() {
            files(k, &path, found);
        } else {
            found.push(path);
        }
    }
}

#[test]
fn every_virtual_file_is_known() {
    for &version in KernelVersion::ALL {
        let mut lab = Lab::boot(&Machine::embedded(version));
        let mut found = Vec::new();
        files(&mut lab.k, "/", &mut found);
        assert!(found.len() > 500, "{}", found.len());
        // One of each kind is enough: numbers differ and nothing else.
        let mut seen = BTreeSet::new();
        for path in found {
            let kind: String = path.chars().map(|c| if c.is_ascii_digit() { '0' } else { c }).collect();
            if seen.insert(kind) {
                answer(&path, Kind::File);
            }
        }
    }
}

#[test]
fn every_word_of_the_command_line_is_known() {
    for name in params::known().chain(["iommu", "pcie_ports"]) {
        let entry = answer(name, Kind::Parameter);
        assert_ne!(entry.text, "", "{name}");
    }
    // What is obeyed has a text of its own, a function that decides, and the kernels that have it.
    for name in params::known() {
        if let Some(params::Meaning::Modelled(versions)) = params::meaning(name, None) {
            let names: Vec<&str> = versions.iter().map(|version| version.name()).collect();
            let found = look_up(name);
            let of = found.answers.iter().find(|e| e.kind == Kind::Parameter).expect("the parameter");
            assert!(!of.decides.is_empty(), "{name}");
            if of.name.trim_end_matches('=') == name {
                let all = of.kernels.len() == KernelVersion::ALL.len();
                assert!(
                    of.kernels == names || all && name == "disableapic",
                    "{name}: {:?}, {names:?}",
                    of.kernels
                );
            }
        }
    }
}

#[test]
fn every_tracepoint_and_each_of_its_fields_is_known() {
    for &version in KernelVersion::ALL {
        let mut lab = Lab::boot(&Machine::embedded(version));
        let mut fields: BTreeSet<(String, String)> = BTreeSet::new();
        let script = "echo 0 > /sys/devices/system/cpu/cpu3/online\necho 1 > /sys/class/nvme/nvme0/reset_controller\n\
                      taskset -c 1 dd if=/dev/nvme0n1 of=/dev/null bs=4096 count=1 iflag=direct\n";
        let script = sim::script::Script::parse("script", script).expect("a script");
        lab.run_each(&script, |_| {}, |_, _| {});
        for record in &lab.k.trace.records {
            if let kstate::trace::What::Tracepoint(tracepoint) = record.what {
                let text = tracepoint.to_string();
                let (name, rest) = text.split_once(": ").expect("a name");
                for field in rest.split_whitespace().filter_map(|part| part.split_once('=')) {
                    fields.insert((name.to_owned(), field.0.to_owned()));
                }
            }
        }
        assert!(fields.len() > 60, "{fields:?}");
        for (tracepoint, field) in fields {
            answer(&format!("{tracepoint}.{field}"), Kind::Field);
        }
    }
    for name in asked::tracepoints() {
        answer(name, Kind::Tracepoint);
    }
}

#[test]
fn every_row_of_proc_interrupts_is_known() {
    for &version in KernelVersion::ALL {
        for remapped in [false, true] {
            let mut machine = Machine::embedded(version);
            machine.interrupt_remapping = remapped;
            let lab = Lab::boot(&machine);
            let text = vfs::read(&lab.k, "/proc/interrupts").expect("the file");
            for line in text.lines().skip(1) {
                let label = line.trim_start().split(':').next().unwrap_or_default();
                if label.parse::<u32>().is_err() {
                    answer(label, Kind::Row);
                    continue;
                }
                let counts = lab.k.topo.online.weight() as usize;
                let mut words = line.split_whitespace().skip(1 + counts);
                answer(words.next().expect("a chip"), Kind::Row);
                let flow = words.find_map(|word| word.rsplit_once('-').map(|(_, flow)| flow));
                if let Some(flow) = flow.filter(|flow| flow.chars().all(char::is_alphabetic)) {
                    answer(flow, Kind::Row);
                }
            }
        }
    }
}

#[test]
fn every_exhibit_flag_behaviour_driver_and_error_is_known() {
    for exhibit in explore::museum::EXHIBITS.iter() {
        answer(exhibit.id, Kind::Exhibit);
        answer(&exhibit.id.to_lowercase(), Kind::Exhibit);
    }
    for flag in words::texts().flags.keys() {
        answer(flag, Kind::Flag);
    }
    for field in Semantics::fields() {
        let entry = answer(field.name, Kind::Behaviour);
        assert_eq!(entry.values.len(), field.values.len(), "{}", field.name);
    }
    for (name, fields) in kstate::trace::HARDWARE {
        let entry = answer(name, Kind::Hardware);
        assert_eq!(entry.values[0].text, fields.join(", "), "{name}");
    }
    for profile in drivers::profile::table::PROFILES {
        answer(profile.driver.name, Kind::Driver);
    }
    for error in (1..1000).filter_map(kstate::Errno::from_number) {
        answer(error.name(), Kind::Error);
        answer(error.text(), Kind::Error);
    }
}

#[test]
fn every_function_is_known_with_its_place() {
    // Two of them whole, all others by what the answer is made of: the embedded machine runs for each.
    for name in ["irq_startup", "do_IRQ"] {
        let entry = answer(name, Kind::Function);
        assert_eq!(entry.notes.len(), KernelVersion::ALL.len());
    }
    assert_eq!(answer("do_IRQ()", Kind::Function).kernels, ["v5.4"]);
    for &version in KernelVersion::ALL {
        for function in Functions::of(version).iter() {
            assert!(words::texts().functions.contains_key(function.name), "{} has no text", function.name);
            let places = source::places(version, function.name);
            let at = |place: &source::Place| place.file == function.file && place.line == function.line;
            assert!(
                places.iter().any(at),
                "{} of {}: {places:?}, {function:?}",
                function.name,
                version.name()
            );
        }
    }
}

/// The kernels for which a word holds.
fn kernels(word: &Word) -> Vec<KernelVersion> {
    words::kernels(&word.kernels, KernelVersion::ALL)
}

/// The names that a kernel's sources have, headers and files out of the tables as well.
fn all_names(version: KernelVersion) -> &'static BTreeSet<String> {
    static NAMES: [OnceLock<BTreeSet<String>>; KernelVersion::ALL.len()] =
        [const { OnceLock::new() }; KernelVersion::ALL.len()];
    NAMES[version as usize].get_or_init(|| {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/facts");
        let file = File::open(folder.join(format!("names-{}.txt.gz", version.name()))).expect("the names");
        let mut text = String::new();
        flate2::read::GzDecoder::new(file).read_to_string(&mut text).expect("a text");
        text.lines().map(str::to_owned).collect()
    })
}

/// A kernel has a function that decides. One whose place is not in the tables is named with its file.
fn has(version: KernelVersion, decider: &str) -> bool {
    let decider = words::decider(decider);
    match decider.file {
        None => !source::places(version, decider.function).is_empty(),
        Some(_) => {
            let there = decider.kernels.is_empty() || decider.kernels.contains(&version.name());
            there && all_names(version).contains(decider.function)
        }
    }
}

#[test]
fn every_function_that_decides_exists() {
    let mut missing = Vec::new();
    for (kind, word) in words::words() {
        let title = &word.names[0];
        for name in word.kernels.iter().chain(word.values.iter().flat_map(|value| &value.kernels)) {
            assert!(KernelVersion::from_name(name).is_some(), "{title}: {name} is no kernel");
        }
        for function in word.decides.iter().chain(word.values.iter().flat_map(|value| &value.decides)) {
            let known = KernelVersion::ALL.iter().any(|version| has(*version, function));
            if !known {
                missing.push(format!("{title}: no kernel has {function}()"));
            }
        }
        let needed = matches!(kind, Kind::File | Kind::Parameter | Kind::Message | Kind::Error);
        let device = title.starts_with("/dev/");
        for version in kernels(word) {
            let some = word.decides.iter().any(|function| has(version, function));
            if !(some || device || !needed) {
                missing.push(format!("{title}: none of its functions is in {}", version.name()));
            }
        }
        for value in &word.values {
            for version in words::kernels(&value.kernels, &kernels(word)) {
                let some = value.decides.iter().any(|function| has(version, function));
                if !(some || value.decides.is_empty()) {
                    missing.push(format!("{title}, {}: no function in {}", value.name, version.name()));
                }
            }
        }
        assert!(
            !word.look.is_empty() || matches!(kind, Kind::Field | Kind::Hardware),
            "{title}: nothing to look at"
        );
    }
    assert!(missing.is_empty(), "{}", missing.join("\n"));
}

/// What a line of `irqlab sh` prints.
fn typed(booted: &Lab, lines: &[String]) -> Vec<String> {
    let mut lab = booted.clone();
    lab.terminal.clear();
    let script = sim::script::Script::parse("line", &(lines.join("\n") + "\n"));
    let script = script.unwrap_or_else(|e| panic!("{lines:?}: {e}"));
    lab.run_each(&script, |_| {}, |_, _| {});
    core::mem::take(&mut lab.terminal)
}

#[test]
fn what_there_is_to_look_at_can_be_typed() {
    let mut tried = BTreeSet::new();
    for &version in KernelVersion::ALL {
        let booted = Lab::boot(&Machine::embedded(version));
        for (_, word) in words::words() {
            if !kernels(word).contains(&version) {
                continue;
            }
            for line in &word.look {
                let shell = !line.starts_with("irqlab") && !line.starts_with(':');
                if shell && tried.insert((version, line.clone())) {
                    let refused = word.values.iter().any(|value| value.shown.last() == Some(line));
                    let printed = typed(&booted, core::slice::from_ref(line));
                    let wrong =
                        printed.iter().any(|text| text.contains("error:") || text.starts_with("sh: "));
                    let expected =
                        refused || line.ends_with("/irq/29/smp_affinity") && line.starts_with("echo");
                    let expected = expected || line.ends_with("/irq/29/node") || line.starts_with("echo x ");
                    assert!(!wrong || expected, "{}: `{line}`: {printed:?}", version.name());
                }
            }
        }
    }
}

#[test]
fn errors_of_files_are_what_the_machine_answers() {
    let mut wrong = Vec::new();
    for &version in KernelVersion::ALL {
        let booted = Lab::boot(&Machine::embedded(version));
        for (kind, word) in words::words() {
            for value in word.values.iter().filter(|value| !value.shown.is_empty()) {
                assert_eq!(*kind, Kind::File);
                if !words::kernels(&value.kernels, &kernels(word)).contains(&version) {
                    continue;
                }
                let error = (1..1000).filter_map(kstate::Errno::from_number).find(|e| e.name() == value.name);
                let text = error.expect("an errno").text();
                let printed = typed(&booted, &value.shown);
                let last = printed.last().map(String::as_str).unwrap_or_default();
                if !last.ends_with(text) {
                    wrong.push(format!("{}: {} {:?}: {printed:?}", version.name(), value.name, value.shown));
                }
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn what_else_to_ask_for_is_answered() {
    let mut asked = BTreeSet::new();
    for (_, word) in words::words() {
        for name in &word.see {
            if asked.insert(name.clone()) {
                assert!(!look_up(name).answers.is_empty(), "{}: nothing is known of `{name}`", word.names[0]);
            }
        }
    }
}

#[test]
fn every_message_of_a_kernel_is_found_by_itself() {
    // Every seventh: one takes a while.
    let formats = explain::message::Formats::get();
    let plain = |text: &str| !text.contains('%') && text.split_whitespace().count() > 2;
    let mut missed = Vec::new();
    let mut count = 0;
    for format in formats.iter().filter(|format| plain(&format.text)).step_by(7) {
        count += 1;
        let fits = formats.fitting(&format.text.replace("\\n", " ").replace('\\', ""));
        if !fits.iter().any(|fit| fit.format.text == format.text) {
            missed.push(&format.text);
        }
    }
    assert!(count > 30 && missed.len() * 50 < count, "{missed:?} of {count}");
}

#[test]
fn messages_with_a_text_are_of_the_sources_or_said_to_be_others() {
    // Formats of C files of which the tables have the names alone.
    let elsewhere = ["Unknown kernel command line parameters"];
    for (kind, word) in words::words().iter().filter(|(kind, _)| *kind == Kind::Message) {
        let there = asked::has_format(word) || elsewhere.contains(&word.names[0].as_str());
        assert!(there, "{kind:?}: no format has a piece of {:?}", word.names);
    }
}
