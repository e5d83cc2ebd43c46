//! Scripts are understood as the shell would, and mistakes are named with their place.

use super::*;

fn only(text: &str) -> Command {
    let script = Script::parse("script.sh", text).unwrap();
    match script.statements.as_slice() {
        [Statement { action: Action::Run(command), .. }] => command.clone(),
        other => panic!("{text:?} is not one command: {other:?}"),
    }
}

#[test]
fn commands_mean_what_the_shell_means() {
    let check = |text: &str, expect: &str| {
        let Command { cpu, program, .. } = only(text);
        let got = match program {
            Program::Echo { value, path, append } => {
                format!("{cpu:?} echo{} [{value}] {}", if append { "+" } else { "" }, path.text)
            }
            Program::Printf { text, path, append } => {
                format!("{cpu:?} printf{} [{text}] {}", if append { "+" } else { "" }, path.text)
            }
            Program::Print { value } => format!("{cpu:?} print [{value}]"),
            Program::Ls { path, long } => {
                format!("{cpu:?} ls {}{}", if long { "-l " } else { "" }, path.text)
            }
            Program::Stat { format, paths } => {
                let paths: Vec<&str> = paths.iter().map(|path| path.text.as_str()).collect();
                format!("{cpu:?} stat [{format}] {}", paths.join(" "))
            }
            Program::Dmesg => format!("{cpu:?} dmesg"),
            Program::Cat { path, quiet } => format!("{cpu:?} cat {} {quiet}", path.text),
            Program::Dd { input, output, block_size, count, skip, direct } => {
                format!("{cpu:?} dd {} {} {block_size} {count} {skip} {direct}", input.text, output.text)
            }
            Program::Sleep { nanoseconds } => format!("{cpu:?} sleep {nanoseconds}"),
            Program::Wait => format!("{cpu:?} wait"),
        };
        assert_eq!(got, expect, "{text}");
    };
    check("echo 0 > /a   # why", "None echo [0] /a");
    check("echo 0 >/a", "None echo [0] /a");
    check("echo 0 1>/a", "None echo [0] /a");
    check("echo  'a  b' \"c\"d > '/e f'\r\n", "None echo [a  b cd] /e f");
    check("echo > /a", "None echo [] /a");
    check("echo '' > /a", "None echo [] /a");
    check("echo 1 >> /a", "None echo+ [1] /a");
    check("printf 0 > /a", "None printf [0] /a");
    check(r"printf 'a\nb\t\\%%\055\52c' >> /a", "None printf+ [a\nb\t\\%-*c] /a");
    check("echo 1   2", "None print [1 2]");
    check("echo", "None print []");
    check("ls /proc; ", "None ls /proc");
    check("ls -l /proc/irq/24", "None ls -l /proc/irq/24");
    check("stat -c '%a %n' /a /b # modes", "None stat [%a %n] /a /b");
    check("dmesg", "None dmesg");
    check("cat /a", "None cat /a false");
    check("cat /a > /dev/null", "None cat /a true");
    check("sleep 2", "None sleep 2000000000");
    check("sleep 0.5", "None sleep 500000000");
    check("wait ; # all of them", "None wait");
    check(
        "taskset -c 5 dd if=/dev/vda of=/dev/null bs=4k count=2 skip=8 iflag=direct",
        "Some(5) dd /dev/vda /dev/null 4096 2 8 true",
    );
    check("dd if=/a of=/b count=1", "None dd /a /b 512 1 0 false");
}

#[test]
fn spans_name_line_and_column() {
    let text = "# comment\n\n  echo é > /proc/x # y\n#: state  s\n";
    let script = Script::parse("script.sh", text).unwrap();
    let [write, state] = script.statements.as_slice() else { panic!("{script:?}") };
    assert_eq!(script.source(write.span), "echo é > /proc/x");
    assert_eq!((write.span.line, write.span.column), (3, 3));
    let Action::Run(Command { program: Program::Echo { path, .. }, .. }) = &write.action else {
        panic!("{write:?}")
    };
    assert_eq!((path.span.line, path.span.column), (3, 12));
    assert_eq!(script.source(path.span), "/proc/x");
    assert_eq!(script.source(state.span), "#: state  s");
}

#[test]
fn what_needs_bash_says_where_there_is_one() {
    for text in ["if true; then\n", "while true; do\n", "x=$(cat /proc/cmdline)\n", "read x\n"] {
        let help = Script::parse("script.sh", text).unwrap_err().help.unwrap_or_default();
        assert!(help.contains("`irqlab enter`") && help.contains("`lab run FILE`"), "{text:?}: {help}");
    }
    assert_eq!(Script::parse("script.sh", "lspci\n").unwrap_err().help, None);
}

#[test]
fn errors_say_where_and_what_was_expected() {
    let check = |text: &str, line: usize, column: usize, message: &str, label: &str| {
        let e = Script::parse("script.sh", text).unwrap_err();
        assert_eq!((e.line, e.column, e.message.as_str()), (line, column, message), "{text:?}");
        assert!(e.label().contains(label), "{text:?}: {}", e.label());
    };
    check("sleep 1\nrm /a\n", 2, 1, "no command `rm`", "`echo`");
    check("echo -n 1\n", 1, 6, "`echo -n` is not the same in every shell", "what is to be written");
    check("printf %s > /a", 1, 8, "`printf` does not know `%s`", "`%%`");
    check(r"printf '\377' > /a", 1, 8, r"`printf` does not know `\377`", "`%%`");
    check("printf a", 1, 9, "`printf` writes to a file here", "a path");
    check("printf -n > /a", 1, 8, "`-n` is an option for some shells", "another character");
    check("echo 1 >\n", 1, 9, "`>` needs a file", "a path");
    check("echo 1 > a\n", 1, 10, "`a` depends on where the shell stands", "`/`");
    check("echo 1 > /a /b\n", 1, 13, "the command ends before this", "end of the line");
    check("echo $X > /a", 1, 6, "`X` was never set", "`X=...`");
    let substituted = "`$(` runs a command in the middle of another one, which scripts do not use";
    check("echo $(date) > /a", 1, 6, substituted, "not in a script");
    check("ls -a /proc", 1, 4, "`-a` is an option, which this command does not have here", "`/`");
    check("X=1\necho ${X:-2}", 2, 6, "`$` stands before the name of a variable", "`${NAME}`");
    check("echo a | b", 1, 8, "`|` has a meaning for the shell that scripts do not use", "not in a script");
    check("X=1 echo a", 1, 5, "a variable for one command only", "`;`");
    check("X=a\nsleep $X", 2, 7, "`a` is not a time", "seconds");
    check("sleep 1; ; sleep 1", 1, 10, "there is no command here", "`echo`");
    check("for 1 in 2; do echo; done", 1, 5, "`for` needs a variable", "a variable's name");
    check("for i of 2; do echo; done", 1, 7, "`for` needs words", "`in`");
    check("for i in 2 do echo; done", 1, 21, "a loop needs a body", "`do`");
    check("for i in 2; do\ndone", 2, 1, "a loop that does nothing", "a command");
    check("for i in 2; do; echo; done", 1, 15, "`do` is followed by a command", "a command");
    check("for i in 2\ndo\necho", 1, 1, "a loop is never closed", "opened here");
    check("for i in 2", 1, 11, "a loop needs a body", "`do`");
    check("done", 1, 1, "`done` without a loop", "a command");
    check("for i in 2; do echo; done done", 1, 27, "the command ends before this", "`;`");
    check("for i in a b; do\n  sleep $i; done", 2, 9, "`a` is not a time", "seconds");
    check("for i in a; do\n#: state x\ndone", 2, 1, "a line for the recorder inside a loop", "line 1");
    check("echo 'a > /a", 1, 6, "a quote is never closed", "opened here");
    check("cat /a > /b", 1, 10, "what was read goes nowhere else", "/dev/null");
    check("sleep x", 1, 7, "`x` is not a time", "seconds");
    check("taskset -c 0-1 sleep 1", 1, 12, "`0-1` is not one CPU", "a CPU number");
    check("dd if=/a count=1", 1, 1, "`dd` without `of=`", "`of=`");
    check("dd if=/a of=/b bs=4q count=1", 1, 16, "`4q` is not a number", "4k");
    check("#: flwo x", 1, 4, "the recorder does not know `flwo`", "`flow`");
    check("#: flow", 1, 8, "`#: flow` needs a name", "a name");
    check("#: flow a/b", 1, 9, "`a/b` cannot be part of a file's name", "letters");
    check("#: flow a\nsleep 1", 1, 4, "a recording is never closed", "opened here");
    check("#: flow a\n#: events b", 2, 4, "a recording inside a recording", "line 1");
    check("#: end", 1, 4, "no recording is open", "nothing to end");
    check("#: state a\n#: state a", 2, 10, "there is a `#: state a` already", "another name");
}

#[test]
fn jobs_and_assertions_say_where_they_are_wrong() {
    let mut out = String::new();
    for text in [
        "echo a && echo b",
        "echo a &> /b",
        "dd if=/a of=/b 2>&1 &",
        "&",
        "echo a & & echo b",
        "echo a &; echo b",
        "for i in 1 & do echo; done",
        "for i in 1; do & echo; done",
        "for i in 1; do echo; done &&",
        "X=1 & echo $X",
        "rm /a & wait",
        "wait 1",
        "X=1\nwait $X",
        "taskset -c 1 wait",
        "#: flow a &\n#: end",
        "#: assert",
        "#: assert proc/irq == 1",
        "#: assert /proc/irq",
        "#: assert /proc/irq = 1",
        "#: assert /proc/irq ==",
        "#: assert /proc/irq == \"a",
        "#: assert /proc/irq == \"a\" b",
        "#: assert /proc/irq == $irq",
        "#: assert /proc/irq == a $ b",
        "#: assert /proc/irq lacks \"\"",
        "for i in 1\n#: assert dmesg lacks a\ndo echo; done",
        "for i in 1; do\n  #: flow a\ndone",
    ] {
        let e = Script::parse("script.sh", text).unwrap_err();
        out.push_str(&format!("{text}\n    {}:{}: {e}; {}\n", e.line, e.column, e.label()));
    }
    insta::assert_snapshot!(out);
}

#[test]
fn a_job_is_one_command_or_loop() {
    let text = "echo 1 > /a & echo 2 > /b&\nfor i in 1 2; do\n  echo $i & #: why\n  #: assert /a == $i\ndone & wait\n";
    let script = Script::parse("script.sh", text).unwrap();
    let [first, second, third, wait] = &script.statements[..] else { panic!("{script:?}") };
    assert_eq!(script.source(first.span), "echo 1 > /a &");
    assert_eq!(script.source(second.span), "echo 2 > /b&");
    assert!(matches!(&wait.action, Action::Run(Command { cpu: None, program: Program::Wait, .. })));
    let Action::Job { body } = &third.action else { panic!("{third:?}") };
    let [Statement { action: Action::For { body, .. }, .. }] = &body[..] else { panic!("{body:?}") };
    let [Statement { action: Action::Job { .. }, .. }, assert] = &body[..] else { panic!("{body:?}") };
    assert_eq!((script.source(assert.span), assert.span.column), ("#: assert /a == $i", 3));
}

#[test]
fn variables_become_words_as_in_a_shell() {
    let check = |value: &str, word: &str, expect: &[&str]| {
        let script =
            Script::parse("script.sh", &format!("E=\nV={value}\nfor i in {word}; do echo $i; done")).unwrap();
        let mut vars = Variables::default();
        for statement in &script.statements {
            match &statement.action {
                Action::Assign { name, value } => vars.set(name, value.value(&vars)),
                Action::For { words, .. } => {
                    let fields: Vec<String> = words.iter().flat_map(|w| w.fields(&vars)).collect();
                    assert_eq!(fields, expect, "{word}");
                }
                other => panic!("{other:?}"),
            }
        }
    };
    check("1", "$V", &["1"]);
    check("'1  2'", "$V", &["1", "2"]);
    check("'1  2'", "\"$V\"", &["1  2"]);
    check("'1 2'", "a${V}b", &["a1", "2b"]);
    check("1", "'$V'", &["$V"]);
    check("1", "$E", &[]);
    check("1", "$E$V \"$E\"", &["1", ""]);
    check("\"a b\"c", "x\"$V\"y", &["xa bcy"]);
}

#[test]
fn a_loop_may_span_lines() {
    let one = "for i in 1 2; do echo $i > /a; done";
    let many = "for i in 1 2 # why\n\ndo\n  # because\n  echo $i > /a\ndone\n";
    for text in [one, many] {
        let script = Script::parse("script.sh", text).unwrap();
        let [Statement { action: Action::For { name, words, body }, .. }] = &script.statements[..] else {
            panic!("{script:?}")
        };
        assert_eq!((name.as_str(), words.len(), body.len()), ("i", 2, 1));
    }
    let unfinished = ["for", "for i", "for i in", "for i in 1;", "for i in 1; do", "for i in 1; do echo"];
    for text in unfinished {
        let error = Script::parse("script.sh", text).unwrap_err();
        assert_eq!(error.incomplete, text.contains("in"), "{text}");
    }
}

#[test]
fn an_error_prints_with_its_source() {
    let error = Script::parse("script.sh", "echo 1 > /a\nrm /b\n").unwrap_err();
    let text = diagnostic::Report::from(error).plain();
    assert!(text.contains("--> script.sh:2:1\n") && text.contains("2 | rm /b\n  | ^^ "), "{text}");
}

#[test]
fn a_line_that_writes_a_text_writes_that_text() {
    let texts = [
        "",
        "0",
        "0\n",
        "\n",
        "a b\n",
        "a  b",
        "-n\n",
        "-",
        "it's\n",
        "%d\n",
        "100%",
        "a\\n",
        "a\nb\n",
        "\t",
        "\u{1}7",
        "é\n",
        "$x `y` \"z\"\n",
        "a=b\n",
        "#\n",
        "~\n",
        "*\n",
    ];
    for text in texts {
        for path in ["/proc/irq/9/smp_affinity", "/sys/a b/'c'"] {
            let line = Program::write_line(text, path, false);
            let written = match only(&line).program {
                Program::Echo { value, path, append: false } => (format!("{value}\n"), path.text),
                Program::Printf { text, path, append: false } => (text, path.text),
                other => panic!("{line}: {other:?}"),
            };
            assert_eq!(written, (text.to_owned(), path.to_owned()), "{line}");
        }
    }
}
