//! What an administrator types to read: files, and the few programs that pick lines out of them.
//!
//! Scripts know none of this: a script has to run unchanged on a real machine, and its commands take time there. A line
//! of a session that only reads takes no time, so that it can be typed in the middle of a step, and in the past. The
//! programs do what they do on a real machine, or say what they do not do.

use core::fmt::Write as _;

use kstate::Kernel;
use regex::{Regex, RegexBuilder};
use sim::vfs;

/// What a line of reading programs came to.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub(crate) struct Read {
    /// What is printed, errors among it.
    pub(crate) text: String,
    /// The last program ended well.
    pub(crate) ok: bool,
}

/// What stands in for a program that is not here.
const ELSEWHERE: [(&[&str], &str); 22] = [
    (&["lspci", "lsblk", "nvme", "lsscsi"], "`ls /sys/bus/pci/devices` and `ls /sys/block` list the devices"),
    (
        &["lscpu", "numactl"],
        "`cat /sys/devices/system/cpu/online` and `ls /sys/devices/system/node` say which CPUs there are",
    ),
    (&["lsirq", "irqtop"], "`cat /proc/interrupts` has the counts"),
    (&["chcpu"], "`echo 0 > /sys/devices/system/cpu/cpuN/online` takes CPU N down, `echo 1` brings it up"),
    (
        &["systemctl", "service", "irqbalance", "tuned-adm", "tuna"],
        "nothing balances interrupts here; `echo 3 > /proc/irq/N/smp_affinity_list` moves one",
    ),
    (
        &["trace-cmd", "perf", "bpftrace"],
        "`:break`, `:watch` and `:flow` look at functions and tracepoints, and /sys/kernel/tracing is the tracer",
    ),
    (&["gdb", "crash", "drgn"], "`:break`, `:bt`, `:print` and `:watch` are the debugger"),
    (
        &["watch"],
        "`:watch FIELD` stops where a value changes; a command that is typed again reads the file again",
    ),
    (
        &["top", "htop", "ps", "pgrep", "vmstat", "mpstat", "sar", "uptime"],
        "`:where` shows what every CPU and task does",
    ),
    (
        &["modprobe", "rmmod", "insmod", "lsmod"],
        "`echo ADDRESS > /sys/bus/pci/drivers/NAME/unbind` and `bind` take a driver off a device and back",
    ),
    (&["reboot", "shutdown", "poweroff", "init"], "`:goto start` goes back to the machine as it was booted"),
    (
        &["ethtool"],
        "`cat /proc/interrupts` shows the interrupts of the queues; how many there are is said in the machine file",
    ),
    (
        &["fio", "ioping", "hdparm", "blkdiscard"],
        "`dd if=/dev/nvme0n1 of=/dev/null bs=4k count=8 iflag=direct` reads the disk, `taskset -c N` before it says on which CPU",
    ),
    (&["sysctl"], "the machine has no /proc/sys; `irqlab semantics` lists what can be changed with `:set`"),
    (&["vi", "vim", "nano", "ed"], "`echo VALUE > FILE` writes a file of the kernel"),
    (
        &["awk", "sed", "tr", "xargs", "find", "jq", "column"],
        "`grep`, `cut`, `sort`, `uniq`, `head`, `tail` and `wc` are there",
    ),
    (&["journalctl"], "`dmesg` has the kernel's log"),
    (&["time", "timeout", "nice", "nohup", "strace"], "the machine's own time stands in front of every stop"),
    (
        &["apt", "yum", "dnf", "pip", "git", "wget", "curl", "ssh"],
        "the machine has a kernel, devices and a shell, and nothing else",
    ),
    (&["su", "useradd", "passwd", "chmod", "chown"], "the shell is root's"),
    (
        &["mount", "umount", "df", "mkdir", "rm", "cp", "mv", "touch", "ln"],
        "proc, sysfs, debugfs and tracefs are there, and no other file system",
    ),
    (
        &["kill", "killall", "jobs", "fg", "bg"],
        "Ctrl-C stops the machine; `&` and `wait` are for lines that run at the same time",
    ),
];

/// What does the same as a program that is not here.
pub(crate) fn instead_of(program: &str) -> Option<String> {
    let (_, text) = ELSEWHERE.iter().find(|(names, _)| names.contains(&program))?;
    Some(format!("{program}: not on this machine; {text}"))
}

/// The programs that read.
const PROGRAMS: [&str; 20] = [
    "cat", "ls", "head", "tail", "grep", "egrep", "fgrep", "zgrep", "wc", "sort", "uniq", "cut", "dmesg",
    "nproc", "uname", "less", "more", "echo", "true", "tac",
];

/// A word of a line, and whether what is in it stands for files.
#[derive(Clone, PartialEq, Eq, Debug)]
struct Word {
    text: String,
    /// It was written without quotes and has `*`, `?` or `[` in it.
    pattern: bool,
}

/// A program with its words.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
struct Program {
    words: Vec<Word>,
    /// Nobody wants to see its errors.
    quiet: bool,
}

/// What a name behind `<` ends at.
const ENDS_A_NAME: &str = " \t|<>;&$`()#'\"\\*?[{";

/// Splits a line into its programs; `None` where it is more than programs and pipes.
fn programs(line: &str) -> Option<Vec<Program>> {
    let mut programs = vec![Program::default()];
    let mut word: Option<Word> = None;
    // What the first program reads.
    let mut from: Option<String> = None;
    let mut chars = line.chars().peekable();
    let push = |programs: &mut Vec<Program>, word: &mut Option<Word>| {
        if let (Some(word), Some(program)) = (word.take(), programs.last_mut()) {
            program.words.push(word);
        }
    };
    while let Some(c) = chars.next() {
        let empty = || Word { text: String::new(), pattern: false };
        match c {
            '\'' | '"' => {
                let word = word.get_or_insert_with(empty);
                loop {
                    match chars.next()? {
                        end if end == c => break,
                        '$' | '`' if c == '"' => return None,
                        '\\' if c == '"' && matches!(chars.peek(), Some('"' | '\\' | '$' | '`')) => {
                            word.text.extend(chars.next());
                        }
                        inner => word.text.push(inner),
                    }
                }
            }
            '\\' => word.get_or_insert_with(empty).text.push(chars.next()?),
            c if c.is_whitespace() => push(&mut programs, &mut word),
            '|' => {
                push(&mut programs, &mut word);
                if programs.last()?.words.is_empty() || chars.peek() == Some(&'|') {
                    return None;
                }
                programs.push(Program::default());
            }
            '2' if word.is_none() && chars.peek() == Some(&'>') => {
                chars.next();
                let target: String = core::iter::from_fn(|| chars.next_if(|c| !c.is_whitespace())).collect();
                match target.as_str() {
                    "/dev/null" => programs.last_mut()?.quiet = true,
                    // Both are the terminal.
                    "&1" => {}
                    _ => return None,
                }
            }
            '<' if word.is_none()
                && programs.len() == 1
                && !matches!(chars.peek(), Some('<' | '(' | '&')) =>
            {
                while chars.next_if(|c| c.is_whitespace()).is_some() {}
                let file: String =
                    core::iter::from_fn(|| chars.next_if(|c| !ENDS_A_NAME.contains(*c))).collect();
                if file.is_empty()
                    || chars.peek().is_some_and(|c| !c.is_whitespace() && *c != '|')
                    || from.is_some()
                {
                    return None;
                }
                from = Some(file);
            }
            '>' | '<' | ';' | '&' | '$' | '`' | '(' | ')' | '#' => return None,
            c => {
                let word = word.get_or_insert_with(empty);
                word.pattern |= matches!(c, '*' | '?' | '[' | '{');
                word.text.push(c);
            }
        }
    }
    push(&mut programs, &mut word);
    if let Some(file) = from {
        let word = |text: String| Word { text, pattern: false };
        programs.insert(0, Program { words: vec![word("cat".to_owned()), word(file)], quiet: false });
    }
    if programs.iter().any(|program| program.words.is_empty()) { None } else { Some(programs) }
}

/// The first word of a line, which names a program.
pub(crate) fn first_word(line: &str) -> &str {
    line.split(|c: char| c.is_whitespace() || matches!(c, '|' | ';' | '&' | '>' | '<')).next().unwrap_or("")
}

/// Runs a line of programs that read, from a folder; `None` where it is something else.
pub(crate) fn read(k: &mut Kernel, line: &str, folder: &str) -> Option<Read> {
    let programs = programs(line)?;
    if !PROGRAMS.contains(&programs.first()?.words.first()?.text.as_str()) {
        return None;
    }
    // Errors go past the pipe.
    let (mut errors, mut input, mut ok) = (String::new(), None, true);
    for Program { words, quiet } in &programs {
        let mut run =
            Run { k, folder, input: input.take(), out: String::new(), errors: String::new(), ok: true };
        let name = words[0].text.as_str();
        if let Err(why) = run.program(name, &words[1..]) {
            run.ok = false;
            let _ = writeln!(run.errors, "{name}: {why}");
        }
        if !quiet {
            errors.push_str(&run.errors);
        }
        ok = run.ok;
        input = Some(run.out);
    }
    Some(Read { text: errors + &input.unwrap_or_default(), ok })
}

/// An absolute path, seen from a folder.
pub(crate) fn absolute(path: &str, folder: &str) -> String {
    let mut parts: Vec<&str> = if path.starts_with('/') { Vec::new() } else { split(folder).collect() };
    for part in split(path) {
        match part {
            "." => {}
            ".." => {
                parts.pop();
            }
            part => parts.push(part),
        }
    }
    format!("/{}", parts.join("/"))
}

fn split(path: &str) -> impl Iterator<Item = &str> {
    path.split('/').filter(|part| !part.is_empty())
}

/// The words that braces make of one.
fn braces(text: &str) -> Vec<String> {
    let Some((before, rest)) = text.split_once('{') else { return vec![text.to_owned()] };
    let Some((inner, after)) = rest.split_once('}') else { return vec![text.to_owned()] };
    let alternatives: Vec<String> = match inner.split_once("..") {
        Some((first, last)) => match (first.parse::<u32>(), last.parse::<u32>()) {
            (Ok(first), Ok(last)) if first <= last && last - first < 10_000 => {
                (first..=last).map(|n| n.to_string()).collect()
            }
            _ => return vec![text.to_owned()],
        },
        None if inner.contains(',') => inner.split(',').map(str::to_owned).collect(),
        None => return vec![text.to_owned()],
    };
    alternatives.iter().flat_map(|one| braces(&format!("{before}{one}{after}"))).collect()
}

/// A name fits a pattern of a shell.
fn fits(pattern: &str, name: &str) -> bool {
    let mut expression = String::from("^");
    for c in pattern.chars() {
        match c {
            '*' => expression.push_str(".*"),
            '?' => expression.push('.'),
            '[' | ']' | '-' => expression.push(c),
            '!' if expression.ends_with('[') => expression.push('^'),
            c => expression.push_str(&regex::escape(&c.to_string())),
        }
    }
    expression.push('$');
    Regex::new(&expression).is_ok_and(|regex| regex.is_match(name))
}

/// The files that a pattern stands for, in the order of their names; itself where there are none.
pub(crate) fn expand(k: &Kernel, pattern: &str, folder: &str) -> Vec<String> {
    braces(pattern).iter().flat_map(|pattern| expand_one(k, pattern, folder)).collect()
}

fn expand_one(k: &Kernel, pattern: &str, folder: &str) -> Vec<String> {
    if !pattern.contains(['*', '?', '[']) {
        return vec![pattern.to_owned()];
    }
    let mut found = vec![if pattern.starts_with('/') { "/".to_owned() } else { String::new() }];
    for part in split(pattern) {
        let mut next = Vec::new();
        for above in &found {
            let join = |name: &str| {
                let slash = if above.is_empty() || above.ends_with('/') { "" } else { "/" };
                format!("{above}{slash}{name}")
            };
            if !part.contains(['*', '?', '[']) {
                next.push(join(part));
                continue;
            }
            let mut names = vfs::list(k, &absolute(above, folder)).unwrap_or_default();
            names.retain(|name| fits(part, name));
            // As `sort` orders them: by letters.
            names.sort();
            next.extend(names.iter().map(|name| join(name)));
        }
        found = next;
    }
    let there = |path: &String| {
        let path = absolute(path, folder);
        match path.rsplit_once('/') {
            Some((above, name)) => vfs::list(k, above).is_ok_and(|names| names.iter().any(|n| n == name)),
            None => true,
        }
    };
    found.retain(there);
    if found.is_empty() { vec![pattern.to_owned()] } else { found }
}

/// A program of a line while it runs.
struct Run<'a> {
    k: &'a mut Kernel,
    folder: &'a str,
    /// What the program before it printed.
    input: Option<String>,
    out: String,
    errors: String,
    ok: bool,
}

/// Options and what else stands in a line.
struct Arguments {
    options: Vec<(char, Option<String>)>,
    rest: Vec<String>,
}

impl Arguments {
    fn has(&self, option: char) -> bool {
        self.options.iter().any(|(o, _)| *o == option)
    }

    fn value(&self, option: char) -> Option<&str> {
        self.options.iter().rev().find(|(o, _)| *o == option)?.1.as_deref()
    }

    fn number(&self, option: char) -> Result<Option<usize>, String> {
        let Some(text) = self.value(option) else { return Ok(None) };
        text.parse().map(Some).map_err(|_| format!("`{text}` is no number; expected one behind -{option}"))
    }
}

impl Run<'_> {
    /// Sorts out the words of a program that knows these options; `with` have a value.
    fn arguments(&self, words: &[Word], without: &str, with: &str) -> Result<Arguments, String> {
        let mut arguments = Arguments { options: Vec::new(), rest: Vec::new() };
        let mut words = words.iter();
        let mut over = false;
        while let Some(word) = words.next() {
            let text = word.text.as_str();
            if over || text == "-" || !text.starts_with('-') {
                if word.pattern {
                    arguments.rest.extend(expand(self.k, text, self.folder));
                } else {
                    arguments.rest.push(text.to_owned());
                }
                continue;
            }
            if text == "--" {
                over = true;
                continue;
            }
            // `head -5`.
            if with.contains('n') && text[1..].bytes().all(|b| b.is_ascii_digit()) {
                arguments.options.push(('n', Some(text[1..].to_owned())));
                continue;
            }
            for (at, letter) in text[1..].char_indices() {
                if without.contains(letter) {
                    arguments.options.push((letter, None));
                } else if with.contains(letter) {
                    let rest = &text[1 + at + letter.len_utf8()..];
                    let value = if rest.is_empty() {
                        let next = words.next().ok_or_else(|| format!("-{letter} needs a value"))?;
                        next.text.clone()
                    } else {
                        rest.to_owned()
                    };
                    arguments.options.push((letter, Some(value)));
                    break;
                } else {
                    let known: Vec<String> =
                        without.chars().chain(with.chars()).map(|c| format!("-{c}")).collect();
                    let known = if known.is_empty() { "no option".to_owned() } else { known.join(" ") };
                    return Err(format!("`{text}` is no option that works here; expected {known}"));
                }
            }
        }
        Ok(arguments)
    }

    /// What files hold, by their names; without a file what the program before printed.
    fn files(&mut self, program: &str, names: &[String]) -> Result<Vec<(String, String)>, String> {
        if names.is_empty() {
            let input = self.input.take().ok_or("which file? expected a path")?;
            return Ok(vec![(String::new(), input)]);
        }
        let mut texts = Vec::new();
        for name in names {
            if name == "-" {
                texts.push((name.clone(), self.input.take().unwrap_or_default()));
                continue;
            }
            match vfs::read(self.k, &absolute(name, self.folder)) {
                Ok(text) => texts.push((name.clone(), text)),
                Err(e) => {
                    self.ok = false;
                    let _ = writeln!(self.errors, "{program}: {name}: {e}");
                }
            }
        }
        Ok(texts)
    }

    fn program(&mut self, name: &str, words: &[Word]) -> Result<(), String> {
        match name {
            "cat" | "less" | "more" | "tac" => {
                let arguments = self.arguments(words, "nvA", "")?;
                let texts = self.files(name, &arguments.rest)?;
                let mut n = 0;
                for (_, text) in texts {
                    let mut lines: Vec<&str> = text.lines().collect();
                    if name == "tac" {
                        lines.reverse();
                    }
                    for line in lines {
                        n += 1;
                        let _ = match arguments.has('n') {
                            true => writeln!(self.out, "{n:>6}\t{line}"),
                            false => writeln!(self.out, "{line}"),
                        };
                    }
                }
            }
            "ls" => self.ls(words)?,
            "head" | "tail" => self.ends(name, words)?,
            "grep" | "egrep" | "fgrep" | "zgrep" => self.grep(name, words)?,
            "wc" => self.wc(words)?,
            "sort" => self.sort(words)?,
            "uniq" => self.uniq(words)?,
            "cut" => self.cut(words)?,
            "dmesg" => {
                self.arguments(words, "T", "")?;
                let lines: Vec<&str> = self.k.log.iter().flat_map(|text| text.lines()).collect();
                self.out = lines.iter().map(|line| format!("{line}\n")).collect();
            }
            "nproc" => {
                let count = self.k.topo.online.iter().count();
                let _ = writeln!(self.out, "{count}");
            }
            "uname" => {
                let arguments = self.arguments(words, "r", "")?;
                if !arguments.has('r') {
                    return Err("`uname -r` says which kernel runs".to_owned());
                }
                let _ = writeln!(self.out, "{}", self.k.sem.version.name().trim_start_matches('v'));
            }
            "echo" => {
                let words: Vec<String> = words
                    .iter()
                    .flat_map(|word| match word.pattern {
                        true => expand(self.k, &word.text, self.folder),
                        false => vec![word.text.clone()],
                    })
                    .collect();
                let _ = writeln!(self.out, "{}", words.join(" "));
            }
            "true" => {}
            _ => {
                return Err(instead_of(name).map_or_else(
                    || format!("no such program reads here; expected one of {}", PROGRAMS.join(", ")),
                    |text| text.split_once(": ").map_or(text.clone(), |(_, why)| why.to_owned()),
                ));
            }
        }
        Ok(())
    }

    fn ls(&mut self, words: &[Word]) -> Result<(), String> {
        let mut arguments = self.arguments(words, "1adFAl", "")?;
        if arguments.rest.is_empty() {
            arguments.rest.push(".".to_owned());
        }
        let (mut files, mut folders) = (Vec::new(), Vec::new());
        for name in &arguments.rest {
            let path = absolute(name, self.folder);
            let found = match arguments.has('l') {
                true => vfs::attributes::list_long(self.k, &path),
                false => vfs::list(self.k, &path),
            };
            match found {
                Ok(names) if !arguments.has('d') => folders.push((name, names)),
                Ok(_) => files.push(name),
                Err(kstate::Errno::ENOTDIR) => files.push(name),
                Err(e) => {
                    self.ok = false;
                    let _ = writeln!(self.errors, "ls: cannot access '{name}': {e}");
                }
            }
        }
        let many = arguments.rest.len() > 1;
        for name in &files {
            let _ = writeln!(self.out, "{name}");
        }
        for (i, (name, names)) in folders.iter().enumerate() {
            if many {
                let gap = if i > 0 || !files.is_empty() { "\n" } else { "" };
                let _ = writeln!(self.out, "{gap}{name}:");
            }
            for name in names {
                let _ = writeln!(self.out, "{name}");
            }
        }
        Ok(())
    }

    fn ends(&mut self, program: &str, words: &[Word]) -> Result<(), String> {
        let arguments = self.arguments(words, "q", "n")?;
        let from = arguments.value('n').and_then(|n| n.strip_prefix('+')).map(str::to_owned);
        let many = match &from {
            Some(_) => 0,
            None => arguments.number('n')?.unwrap_or(10),
        };
        let texts = self.files(program, &arguments.rest)?;
        for (i, (name, text)) in texts.iter().enumerate() {
            if texts.len() > 1 {
                let gap = if i > 0 { "\n" } else { "" };
                let _ = writeln!(self.out, "{gap}==> {name} <==");
            }
            let lines: Vec<&str> = text.lines().collect();
            let range = match (program, &from) {
                ("tail", Some(from)) => {
                    let from: usize = from.parse().map_err(|_| format!("`+{from}` is no line"))?;
                    from.saturating_sub(1).min(lines.len())..lines.len()
                }
                ("tail", None) => lines.len().saturating_sub(many)..lines.len(),
                _ => 0..many.min(lines.len()),
            };
            for line in &lines[range] {
                let _ = writeln!(self.out, "{line}");
            }
        }
        Ok(())
    }

    fn grep(&mut self, program: &str, words: &[Word]) -> Result<(), String> {
        // The expression is no pattern for files, whatever is in it.
        let mut words = words.to_vec();
        let at = words.iter().position(|word| !word.text.starts_with('-'));
        if let Some(at) = at {
            words[at].pattern = false;
        }
        let mut arguments = self.arguments(&words, "ivcnEFGwrRhHqosl", "eABCm")?;
        let expression = match arguments.value('e') {
            Some(expression) => expression.to_owned(),
            None if arguments.rest.is_empty() => {
                return Err("what is to be found? expected an expression".to_owned());
            }
            None => arguments.rest.remove(0),
        };
        let extended = arguments.has('E') || program == "egrep";
        let expression = match () {
            () if arguments.has('F') || program == "fgrep" => regex::escape(&expression),
            () if extended => expression,
            () => basic(&expression),
        };
        let expression = if arguments.has('w') { format!(r"\b(?:{expression})\b") } else { expression };
        let regex = RegexBuilder::new(&expression).case_insensitive(arguments.has('i')).build();
        let regex = regex.map_err(|_| format!("`{expression}` is no regular expression"))?;
        let recursive = arguments.has('r') || arguments.has('R');
        let names = if recursive { self.below(&arguments.rest) } else { arguments.rest.clone() };
        let texts = if recursive {
            names
                .iter()
                .filter_map(|n| Some((n.clone(), vfs::read(self.k, &absolute(n, self.folder)).ok()?)))
                .collect()
        } else {
            self.files(program, &names)?
        };
        let named = arguments.has('H') || ((texts.len() > 1 || names.len() > 1) && !arguments.has('h'));
        let around = arguments.number('C')?;
        let before = arguments.number('B')?.or(around).unwrap_or(0);
        let after = arguments.number('A')?.or(around).unwrap_or(0);
        let most = arguments.number('m')?.unwrap_or(usize::MAX);
        let mut found = 0;
        for (name, text) in &texts {
            let prefix = if named { format!("{name}:") } else { String::new() };
            let lines: Vec<&str> = text.lines().collect();
            let hits: Vec<usize> = (0..lines.len())
                .filter(|i| regex.is_match(lines[*i]) != arguments.has('v'))
                .take(most)
                .collect();
            found += hits.len();
            if arguments.has('q') {
                continue;
            }
            if arguments.has('l') {
                if !hits.is_empty() {
                    let _ = writeln!(self.out, "{name}");
                }
                continue;
            }
            if arguments.has('c') {
                let _ = writeln!(self.out, "{prefix}{}", hits.len());
                continue;
            }
            if arguments.has('o') {
                for hit in hits {
                    for part in regex.find_iter(lines[hit]).filter(|part| !part.is_empty()) {
                        let _ = writeln!(self.out, "{prefix}{}", part.as_str());
                    }
                }
                continue;
            }
            let mut last = None;
            for (i, line) in lines.iter().enumerate() {
                let near = |hit: &usize| i + before >= *hit && i <= hit + after;
                if !hits.iter().any(near) {
                    continue;
                }
                if (before, after) != (0, 0) && last.is_some_and(|last| last + 1 < i) {
                    self.out.push_str("--\n");
                }
                last = Some(i);
                let sign = if hits.contains(&i) { ':' } else { '-' };
                let prefix = if named { format!("{name}{sign}") } else { String::new() };
                let number = if arguments.has('n') { format!("{}{sign}", i + 1) } else { String::new() };
                let _ = writeln!(self.out, "{prefix}{number}{line}");
            }
        }
        self.ok &= found > 0;
        Ok(())
    }

    /// All files below some paths.
    fn below(&self, names: &[String]) -> Vec<String> {
        let mut open: Vec<String> = names.iter().rev().cloned().collect();
        if open.is_empty() {
            open.push(".".to_owned());
        }
        let mut found = Vec::new();
        while let Some(path) = open.pop() {
            match vfs::list(self.k, &absolute(&path, self.folder)) {
                Ok(names) => {
                    let path = path.trim_end_matches('/');
                    open.extend(names.iter().rev().map(|name| format!("{path}/{name}")));
                }
                Err(_) => found.push(path),
            }
        }
        found
    }

    fn wc(&mut self, words: &[Word]) -> Result<(), String> {
        let arguments = self.arguments(words, "lwc", "")?;
        let texts = self.files("wc", &arguments.rest)?;
        let all = !['l', 'w', 'c'].iter().any(|o| arguments.has(*o));
        let count = |text: &str| {
            let counts =
                [('l', text.lines().count()), ('w', text.split_whitespace().count()), ('c', text.len())];
            let shown: Vec<String> =
                counts.iter().filter(|(o, _)| all || arguments.has(*o)).map(|(_, n)| n.to_string()).collect();
            shown.join(" ")
        };
        for (name, text) in &texts {
            let line = format!("{} {name}", count(text));
            let _ = writeln!(self.out, "{}", line.trim_end());
        }
        if texts.len() > 1 {
            let all: String = texts.iter().map(|(_, text)| text.as_str()).collect();
            let _ = writeln!(self.out, "{} total", count(&all));
        }
        Ok(())
    }

    fn sort(&mut self, words: &[Word]) -> Result<(), String> {
        let arguments = self.arguments(words, "nrugh", "kt")?;
        let key = match arguments.value('k') {
            None => None,
            Some(text) => {
                let first: String = text.chars().take_while(char::is_ascii_digit).collect();
                let column: usize = first.parse().map_err(|_| format!("`{text}` is no column"))?;
                Some(column.checked_sub(1).ok_or("columns are counted from 1")?)
            }
        };
        let numeric = arguments.options.iter().any(|(o, _)| "ngh".contains(*o))
            || arguments.value('k').is_some_and(|k| k.ends_with('n') || k.contains("n"));
        let texts = self.files("sort", &arguments.rest)?;
        let all: String = texts.iter().map(|(_, text)| text.as_str()).collect();
        let mut lines: Vec<&str> = all.lines().collect();
        let field = |line: &str| match (key, arguments.value('t')) {
            (None, _) => line.to_owned(),
            (Some(at), None) => line.split_whitespace().nth(at).unwrap_or("").to_owned(),
            (Some(at), Some(sign)) => line.split(sign).nth(at).unwrap_or("").to_owned(),
        };
        let number = |text: &str| {
            let text = text.trim_start();
            let digits: String = text.chars().take_while(|c| c.is_ascii_digit() || *c == '-').collect();
            digits.parse::<i64>().unwrap_or(0)
        };
        lines.sort_by(|a, b| {
            let (x, y) = (field(a), field(b));
            let order = if numeric { number(&x).cmp(&number(&y)) } else { x.cmp(&y) };
            order.then_with(|| a.cmp(b))
        });
        if arguments.has('r') || arguments.value('k').is_some_and(|k| k.contains('r')) {
            lines.reverse();
        }
        if arguments.has('u') {
            lines.dedup();
        }
        self.out = lines.iter().map(|line| format!("{line}\n")).collect();
        Ok(())
    }

    fn uniq(&mut self, words: &[Word]) -> Result<(), String> {
        let arguments = self.arguments(words, "cdu", "")?;
        let texts = self.files("uniq", &arguments.rest)?;
        let all: String = texts.iter().map(|(_, text)| text.as_str()).collect();
        let mut groups: Vec<(&str, usize)> = Vec::new();
        for line in all.lines() {
            match groups.last_mut() {
                Some((last, n)) if *last == line => *n += 1,
                _ => groups.push((line, 1)),
            }
        }
        for (line, n) in groups {
            if (arguments.has('d') && n == 1) || (arguments.has('u') && n > 1) {
                continue;
            }
            let _ = match arguments.has('c') {
                true => writeln!(self.out, "{n:>7} {line}"),
                false => writeln!(self.out, "{line}"),
            };
        }
        Ok(())
    }

    fn cut(&mut self, words: &[Word]) -> Result<(), String> {
        let arguments = self.arguments(words, "s", "dfc")?;
        let sign = arguments.value('d').unwrap_or("\t").to_owned();
        let (list, letters) = match (arguments.value('f'), arguments.value('c')) {
            (Some(list), None) => (list.to_owned(), false),
            (None, Some(list)) => (list.to_owned(), true),
            _ => return Err("which part? expected -f LIST or -c LIST".to_owned()),
        };
        let mut ranges = Vec::new();
        for part in list.split(',') {
            let (first, last) = part.split_once('-').unwrap_or((part, part));
            let number = |text: &str, default: usize| match text {
                "" => Ok(default),
                text => text.parse::<usize>().map_err(|_| format!("`{part}` is no range")),
            };
            ranges.push(number(first, 1)?..=number(last, usize::MAX)?);
        }
        let wanted = |at: usize| ranges.iter().any(|range| range.contains(&(at + 1)));
        let texts = self.files("cut", &arguments.rest)?;
        for line in texts.iter().flat_map(|(_, text)| text.lines()) {
            let picked = if letters {
                line.chars().enumerate().filter(|(at, _)| wanted(*at)).map(|(_, c)| c).collect()
            } else if line.contains(&sign) {
                let parts = line.split(&sign).enumerate().filter(|(at, _)| wanted(*at)).map(|(_, p)| p);
                parts.collect::<Vec<_>>().join(&sign)
            } else if arguments.has('s') {
                continue;
            } else {
                line.to_owned()
            };
            let _ = writeln!(self.out, "{picked}");
        }
        Ok(())
    }
}

/// A basic regular expression as an extended one: what has a meaning with a backslash there has it without here.
fn basic(expression: &str) -> String {
    let mut out = String::new();
    let mut chars = expression.chars().peekable();
    while let Some(c) = chars.next() {
        match c {
            '\\' => match chars.next() {
                Some(c @ ('|' | '+' | '?' | '(' | ')' | '{' | '}')) => out.push(c),
                Some(c) => out.extend(['\\', c]),
                None => out.push_str("\\\\"),
            },
            '|' | '+' | '?' | '(' | ')' | '{' | '}' => out.extend(['\\', c]),
            '[' => {
                // A bracket is the same in both.
                out.push('[');
                for c in chars.by_ref() {
                    out.push(c);
                    if c == ']' && !out.ends_with("[]") && !out.ends_with("[^]") {
                        break;
                    }
                }
            }
            c => out.push(c),
        }
    }
    out
}
