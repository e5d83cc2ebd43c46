//! Completions and manual pages, as a shell and man(1) get them.

use std::fs;
use std::io::Write as _;
use std::process::{Command, Output, Stdio};

use crate::guide::Folder;

fn irqlab(arguments: &[&str]) -> String {
    let Output { status, stdout, stderr } =
        Command::new(env!("CARGO_BIN_EXE_irqlab")).args(arguments).output().unwrap();
    assert!(status.success(), "{arguments:?}: {}", String::from_utf8_lossy(&stderr));
    String::from_utf8(stdout).unwrap()
}

/// What bash offers for the last of these words.
fn offered(words: &str) -> Vec<String> {
    let script = irqlab(&["completions", "bash"]);
    let count = words.split(' ').count() - 1;
    let ask = format!(
        "{script}\nCOMP_WORDS=({}) COMP_CWORD={count}\n_irqlab irqlab \"${{COMP_WORDS[{count}]}}\" \
         \"${{COMP_WORDS[{}]}}\"\nprintf '%s\\n' \"${{COMPREPLY[@]}}\"",
        words.split(' ').map(|word| format!("'{word}'")).collect::<Vec<_>>().join(" "),
        count - 1
    );
    // It is longer than an argument may be.
    let mut shell = Command::new("bash");
    shell.args(["--norc", "-s"]).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = shell.spawn().unwrap();
    child.stdin.take().unwrap().write_all(ask.as_bytes()).unwrap();
    let output = child.wait_with_output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap().lines().map(str::to_owned).collect()
}

#[test]
fn bash_completes_commands_kernels_behaviours_and_exhibits() {
    if Command::new("bash").arg("--version").output().is_err() {
        return println!("skipped: bash is not here");
    }
    assert_eq!(offered("irqlab what"), ["whatif"]);
    assert_eq!(offered("irqlab run --kernel v6"), ["v6.12"]);
    assert_eq!(offered("irqlab run --set vector_cleanup"), ["vector_cleanup=ipi", "vector_cleanup=timer"]);
    assert_eq!(offered("irqlab diff --right-set hctx_drain"), ["hctx_drain=off", "hctx_drain=on"]);
    assert_eq!(offered("irqlab semantics spread_by"), ["spread_by_cluster"]);
    assert!(offered("irqlab museum M0").contains(&"M03".to_owned()));
    assert_eq!(offered("irqlab explore --exhibit M12"), ["M12"]);
    assert!(offered("irqlab run --for").contains(&"--format".to_owned()));
    assert!(offered("irqlab run --format tr").contains(&"trace-cmd".to_owned()));
}

/// Whether a shell can be started.
fn is_here(shell: &str) -> bool {
    let here = Command::new(shell).arg("--version").output().is_ok();
    if !here {
        println!("skipped: {shell} is not here");
    }
    here
}

/// Words whose last one can be completed in one way, and the line that comes of it.
const COMPLETED: [(&str, &str); 9] = [
    ("irqlab what", "irqlab whatif"),
    ("irqlab run --kernel v6", "irqlab run --kernel v6.12"),
    ("irqlab import --as v7", "irqlab import --as v7.3"),
    ("irqlab run --set vector_cleanup=i", "irqlab run --set vector_cleanup=ipi"),
    ("irqlab semantics spread_by", "irqlab semantics spread_by_cluster"),
    ("irqlab museum M5", "irqlab museum M57"),
    ("irqlab explore --exhibit M57", "irqlab explore --exhibit M57"),
    ("irqlab run --format tr", "irqlab run --format trace-cmd"),
    ("irqlab run --forc", "irqlab run --force"),
];

#[test]
fn zsh_completes_the_same() {
    if !is_here("zsh") {
        return;
    }
    let folder = Folder::new("zsh");
    fs::write(folder.0.join("_irqlab"), irqlab(&["completions", "zsh"])).unwrap();
    // A shell at a terminal of its own, to which keys are sent: Tab, and one that writes down the line.
    let script = "zmodload zsh/zpty\n\
        zpty z zsh -f -i\n\
        zpty -w z \"PS1=; fpath=($PWD \\$fpath); autoload -Uz compinit; compinit -u -d $PWD/dump; bindkey '^I' complete-word; \
        tell() { print -r -- \\\"\\$BUFFER\\\" >>$PWD/out; BUFFER= }; zle -N tell; bindkey '^Xt' tell\"\n\
        for words in \"$@\"; do zpty -w -n z \"$words\"$'\\t'$'\\x18t'; done\n\
        zpty -w z exit\n\
        while zpty -r z; do :; done\n\
        zpty -d z\n";
    fs::write(folder.0.join("ask.zsh"), script).unwrap();
    let mut shell = Command::new("zsh");
    shell.args(["-f", "ask.zsh"]).args(COMPLETED.map(|(words, _)| words)).current_dir(&folder.0);
    let output = shell.stdin(Stdio::null()).output().unwrap();
    let said =
        String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr);
    let lines = fs::read_to_string(folder.0.join("out")).unwrap_or_else(|e| panic!("{e}: {said}"));
    let lines: Vec<&str> = lines.lines().map(str::trim_end).collect();
    assert_eq!(lines, COMPLETED.map(|(_, line)| line), "{said}");
}

#[test]
fn fish_completes_the_same() {
    if !is_here("fish") {
        return;
    }
    let folder = Folder::new("fish");
    fs::write(folder.0.join("irqlab.fish"), irqlab(&["completions", "fish"])).unwrap();
    let ask = |words: &str| {
        let mut shell = Command::new("fish");
        shell.args(["--no-config", "-c", "source irqlab.fish; complete -C $argv[1]", words]);
        let output = shell.env("HOME", &folder.0).current_dir(&folder.0).output().unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8(output.stdout).unwrap()
    };
    for (words, line) in COMPLETED {
        let offered = ask(words);
        let names: Vec<&str> = offered.lines().map(|line| line.split('\t').next().unwrap()).collect();
        assert_eq!(names, [line.rsplit(' ').next().unwrap()], "{words}: {offered}");
    }
    // With its title, in which there may be quotes.
    assert_eq!(
        ask("irqlab museum M12"),
        "M12\tA device sends a message with the new CPU and the old vector\n"
    );
}

#[test]
fn every_command_has_its_page() {
    let folder = Folder::new("man");
    let path = folder.0.display().to_string();
    let written = irqlab(&["man", &path]);
    let help = irqlab(&["--help"]);
    let (_, commands) = help.split_once("Commands:\n").unwrap();
    let commands: Vec<&str> = commands
        .lines()
        .take_while(|line| line.starts_with("  "))
        .filter(|line| !line.starts_with("   "))
        .filter_map(|line| line.split_whitespace().next())
        .filter(|name| *name != "help")
        .collect();
    assert!(commands.len() > 15, "{commands:?}");
    assert_eq!(written.lines().count(), commands.len() + 1, "{written}");
    for command in commands {
        let page = fs::read_to_string(folder.0.join(format!("irqlab-{command}.1"))).unwrap();
        assert!(page.contains(".SH NAME") && page.contains(".SH OPTIONS"), "{command}");
    }
    let page = fs::read_to_string(folder.0.join("irqlab.1")).unwrap();
    assert!(page.contains("irqlab\\-whatif(1)"), "{page}");
    // man(1) shows it where it is.
    let shown = Command::new("man").args(["-l", "--warnings"]).arg(folder.0.join("irqlab.1")).output();
    match shown {
        Ok(Output { status, stdout, stderr }) if status.success() => {
            let (shown, said) = (String::from_utf8_lossy(&stdout), String::from_utf8_lossy(&stderr));
            assert!(shown.contains("What does this interrupt do, and why?"), "{shown}");
            assert!(!said.contains("warning"), "{said}");
        }
        _ => println!("skipped: man(1) is not here"),
    }
}
