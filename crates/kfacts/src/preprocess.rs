//! What the C preprocessor decides, without its includes: comments go, `#if` is resolved.
//!
//! Lines keep their numbers. Text that an option of the configuration leaves out is kept apart, since
//! its functions are facts too: they exist, and this kernel was built without them.

use std::collections::{BTreeMap, BTreeSet};

/// A C file after its conditions were decided.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Source {
    /// What is compiled. Lines that are not are empty.
    pub text: String,
    /// What is not: the condition's line as it stands, and a text of its own with the same line numbers.
    pub left_out: Vec<(String, String)>,
    /// Function-like macros with their lines.
    pub macros: Vec<(String, u32)>,
    /// Object-like macros that are strings or `pr_fmt`, with their definition.
    pub defines: BTreeMap<String, String>,
}

/// The options of one kernel: `CONFIG_` names without the prefix.
#[derive(Clone, Debug, Default)]
pub struct Config {
    options: BTreeMap<String, bool>,
    /// Options that a condition asked for and nobody listed.
    pub unknown: BTreeSet<String>,
}

impl Config {
    /// Reads a list of `NAME y|n` lines; `NAME@v5.4 y` holds for one kernel and wins.
    ///
    /// # Errors
    /// A line that is neither, with its number.
    pub fn parse(text: &str, kernel: &str) -> Result<Self, String> {
        let mut options = BTreeMap::new();
        for (i, line) in text.lines().enumerate() {
            let line = line.split('#').next().unwrap_or_default().trim();
            if line.is_empty() {
                continue;
            }
            let bad = || format!("line {}: expected `NAME y` or `NAME@KERNEL n`: {line}", i + 1);
            let (name, value) = line.split_once(' ').ok_or_else(bad)?;
            let value = match value.trim() {
                "y" => true,
                "n" => false,
                _ => return Err(bad()),
            };
            match name.split_once('@') {
                Some((name, of)) if of == kernel => {
                    options.insert(name.to_owned(), value);
                }
                Some(_) => {}
                None => {
                    options.entry(name.to_owned()).or_insert(value);
                }
            }
        }
        Ok(Self { options, unknown: BTreeSet::new() })
    }

    fn defined(&mut self, name: &str) -> bool {
        let Some(option) = name.strip_prefix("CONFIG_") else {
            // What the compiler and the architecture define in every file.
            return matches!(name, "__KERNEL__" | "__GNUC__" | "__x86_64__");
        };
        if option.ends_with("_MODULE") && !self.options.contains_key(option) {
            return false;
        }
        match self.options.get(option) {
            Some(&on) => on,
            None => {
                self.unknown.insert(option.to_owned());
                false
            }
        }
    }

    fn value(&mut self, name: &str) -> i64 {
        match name {
            "BITS_PER_LONG" => 64,
            "NR_CPUS" | "CONFIG_NR_CPUS" => 64,
            "PAGE_SHIFT" => 12,
            _ => i64::from(self.defined(name)),
        }
    }

    /// Decides a condition.
    ///
    /// # Errors
    /// An expression that is not understood.
    pub fn holds(&mut self, condition: &str) -> Result<bool, String> {
        let tokens = tokens(condition);
        let mut reader = Reader { tokens: &tokens, at: 0, config: self };
        let value = reader.binary(0)?;
        if reader.at != tokens.len() {
            return Err(format!("cannot read the condition `{condition}`"));
        }
        Ok(value != 0)
    }
}

fn tokens(text: &str) -> Vec<String> {
    let mut found = Vec::new();
    let mut chars = text.chars().peekable();
    while let Some(&c) = chars.peek() {
        let mut token = String::new();
        if c.is_whitespace() {
            chars.next();
            continue;
        }
        if c.is_alphanumeric() || c == '_' {
            while let Some(&c) = chars.peek().filter(|c| c.is_alphanumeric() || **c == '_') {
                token.push(c);
                chars.next();
            }
        } else {
            token.push(c);
            chars.next();
            if let Some(&next) = chars.peek()
                && matches!(
                    (c, next),
                    ('&', '&') | ('|', '|') | ('=' | '!' | '<' | '>', '=') | ('<', '<') | ('>', '>')
                )
            {
                token.push(next);
                chars.next();
            }
        }
        found.push(token);
    }
    found
}

struct Reader<'a> {
    tokens: &'a [String],
    at: usize,
    config: &'a mut Config,
}

impl Reader<'_> {
    fn peek(&self) -> &str {
        self.tokens.get(self.at).map_or("", String::as_str)
    }

    fn next(&mut self) -> String {
        self.at += 1;
        self.tokens.get(self.at - 1).cloned().unwrap_or_default()
    }

    fn expect(&mut self, token: &str) -> Result<(), String> {
        let found = self.next();
        if found == token {
            Ok(())
        } else {
            Err(format!("expected `{token}` in a condition, found `{found}`"))
        }
    }

    fn binary(&mut self, floor: u8) -> Result<i64, String> {
        let mut left = self.unary()?;
        loop {
            let level = match self.peek() {
                "||" => 1,
                "&&" => 2,
                "==" | "!=" => 3,
                "<" | ">" | "<=" | ">=" => 4,
                "<<" | ">>" => 5,
                "+" | "-" => 6,
                "*" | "/" => 7,
                _ => return Ok(left),
            };
            if level <= floor {
                return Ok(left);
            }
            let operator = self.next();
            let right = self.binary(level)?;
            left = match operator.as_str() {
                "||" => i64::from(left != 0 || right != 0),
                "&&" => i64::from(left != 0 && right != 0),
                "==" => i64::from(left == right),
                "!=" => i64::from(left != right),
                "<" => i64::from(left < right),
                ">" => i64::from(left > right),
                "<=" => i64::from(left <= right),
                ">=" => i64::from(left >= right),
                "<<" => left << (right & 63),
                ">>" => left >> (right & 63),
                "+" => left.wrapping_add(right),
                "-" => left.wrapping_sub(right),
                "*" => left.wrapping_mul(right),
                _ => left.checked_div(right).unwrap_or(0),
            };
        }
    }

    fn unary(&mut self) -> Result<i64, String> {
        let token = self.next();
        match token.as_str() {
            "!" => Ok(i64::from(self.unary()? == 0)),
            "-" => Ok(-self.unary()?),
            "(" => {
                let value = self.binary(0)?;
                self.expect(")")?;
                Ok(value)
            }
            "defined" => {
                let bracket = self.peek() == "(";
                if bracket {
                    self.next();
                }
                let name = self.next();
                if bracket {
                    self.expect(")")?;
                }
                Ok(i64::from(self.config.defined(&name)))
            }
            "IS_ENABLED" | "IS_BUILTIN" | "IS_REACHABLE" | "IS_MODULE" => {
                self.expect("(")?;
                let name = self.next();
                self.expect(")")?;
                Ok(i64::from(token != "IS_MODULE" && self.config.defined(&name)))
            }
            word if word.starts_with(|c: char| c.is_ascii_digit()) => {
                let digits = word.trim_end_matches(['u', 'U', 'l', 'L']);
                let number = match digits.strip_prefix("0x") {
                    Some(hex) => i64::from_str_radix(hex, 16),
                    None => digits.parse(),
                };
                number.map_err(|_| format!("`{word}` is no number"))
            }
            word if word.starts_with(|c: char| c.is_alphabetic() || c == '_') => {
                // A macro with arguments that nobody defined is 0.
                let value = self.config.value(word);
                if self.peek() == "(" {
                    let mut depth = 0;
                    loop {
                        match self.next().as_str() {
                            "(" => depth += 1,
                            ")" => depth -= 1,
                            "" => return Err("a bracket is open in a condition".to_owned()),
                            _ => {}
                        }
                        if depth == 0 {
                            break;
                        }
                    }
                }
                Ok(value)
            }
            other => Err(format!("`{other}` in a condition")),
        }
    }
}

/// Takes comments out and leaves their line ends.
#[must_use]
pub fn without_comments(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut chars = text.chars().peekable();
    let mut quote: Option<char> = None;
    while let Some(c) = chars.next() {
        if let Some(end) = quote {
            out.push(c);
            if c == '\\' {
                out.extend(chars.next());
            } else if c == end || c == '\n' {
                quote = None;
            }
            continue;
        }
        match (c, chars.peek()) {
            ('/', Some('*')) => {
                chars.next();
                out.push(' ');
                let mut last = ' ';
                for c in chars.by_ref() {
                    if c == '\n' {
                        out.push('\n');
                    }
                    if last == '*' && c == '/' {
                        break;
                    }
                    last = c;
                }
            }
            ('/', Some('/')) => {
                while chars.peek().is_some_and(|c| *c != '\n') {
                    chars.next();
                }
            }
            ('"' | '\'', _) => {
                quote = Some(c);
                out.push(c);
            }
            _ => out.push(c),
        }
    }
    out
}

/// One open `#if`.
struct Open {
    /// What is around it is compiled.
    outer: bool,
    /// This branch is.
    active: bool,
    /// Some branch was.
    taken: bool,
    /// The condition of this branch as it stands.
    condition: String,
}

/// Decides the conditions of a file.
///
/// # Errors
/// A condition that is not understood, with its line.
pub fn preprocess(text: &str, config: &mut Config) -> Result<Source, String> {
    let text = without_comments(text);
    let lines: Vec<&str> = text.lines().collect();
    let mut source = Source::default();
    let mut open: Vec<Open> = Vec::new();
    // The branch that is left out now: its outermost condition, and its lines.
    let mut out: Option<(String, String)> = None;
    let mut i = 0;
    while i < lines.len() {
        let line = lines[i];
        let at = i + 1;
        if !line.trim_start().starts_with('#') {
            let active = open.last().is_none_or(|o| o.active);
            source.text.push_str(if active { line } else { "" });
            source.text.push('\n');
            if let Some((_, text)) = &mut out {
                text.push_str(line);
                text.push('\n');
            }
            i += 1;
            continue;
        }
        let mut directive = line.trim_start()[1..].trim().to_owned();
        let from = i;
        while lines[i].ends_with('\\') && i + 1 < lines.len() {
            directive.pop();
            i += 1;
            directive.push(' ');
            directive.push_str(lines[i].trim_end());
        }
        i += 1;
        let (word, rest) = directive.split_once(char::is_whitespace).unwrap_or((&directive, ""));
        let (word, rest) = match word.split_once('(') {
            Some((word, _)) => (word, &directive[word.len()..]),
            None => (word, rest.trim()),
        };
        let active = open.last().is_none_or(|o| o.active);
        let mut holds = |condition: &str| config.holds(condition).map_err(|e| format!("{at}: {e}"));
        match word {
            "if" | "ifdef" | "ifndef" => {
                let condition = match word {
                    "ifdef" => format!("defined({rest})"),
                    "ifndef" => format!("!defined({rest})"),
                    _ => rest.to_owned(),
                };
                let yes = active && holds(&condition)?;
                open.push(Open { outer: active, active: yes, taken: yes, condition });
            }
            "elif" | "else" => {
                let last = open.last_mut().ok_or_else(|| format!("{at}: #{word} without #if"))?;
                let yes = last.outer && !last.taken && (word == "else" || holds(rest)?);
                last.active = yes;
                last.taken |= yes;
                last.condition =
                    if word == "else" { format!("!({})", last.condition) } else { rest.to_owned() };
            }
            "endif" => {
                open.pop().ok_or_else(|| format!("{at}: #endif without #if"))?;
            }
            "define" if active => define(rest, at as u32, &mut source),
            _ => {}
        }
        let active_now = open.last().is_none_or(|o| o.active);
        if let Some((condition, text)) = &mut out {
            let ends = active_now || matches!(word, "elif" | "else") && !open.is_empty();
            for _ in from..i {
                text.push('\n');
            }
            if ends {
                source.left_out.push((core::mem::take(condition), core::mem::take(text)));
                out = None;
            }
        }
        if !active_now && out.is_none() {
            let condition = open.last().map(|o| o.condition.clone()).unwrap_or_default();
            out = Some((condition, "\n".repeat(i)));
        }
        for _ in from..i {
            source.text.push('\n');
        }
    }
    if let Some(open) = open.last() {
        return Err(format!("`#if {}` has no #endif", open.condition));
    }
    Ok(source)
}

fn define(rest: &str, line: u32, source: &mut Source) {
    let name: String = rest.chars().take_while(|c| c.is_alphanumeric() || *c == '_').collect();
    let body = &rest[name.len()..];
    if body.starts_with('(') {
        source.macros.push((name.clone(), line));
    }
    source.defines.insert(name, body.trim().to_owned());
}

#[cfg(test)]
mod tests {
    use super::*;

    fn config() -> Config {
        Config::parse("SMP y\nNUMA n # a comment\nNUMA@v6.12 y\nPM n\n", "v6.12").expect("a list")
    }

    #[test]
    fn conditions_are_decided() {
        let mut config = config();
        for (condition, holds) in [
            ("defined(CONFIG_SMP) && !defined(CONFIG_PM)", true),
            ("IS_ENABLED(CONFIG_PM)", false),
            ("defined CONFIG_NUMA", true),
            ("BITS_PER_LONG == 64 || 0", true),
            ("(1 + 2) * 3 > 8", true),
            ("LINUX_VERSION(5, (4)) > 0", false),
            ("0", false),
        ] {
            assert_eq!(config.holds(condition), Ok(holds), "{condition}");
        }
        assert!(config.unknown.is_empty());
        assert_eq!(config.holds("defined(CONFIG_NOBODY)"), Ok(false));
        assert!(config.unknown.contains("NOBODY"));
        assert!(config.holds("1 +").is_err() && config.holds("1 1").is_err());
        let bad = Config::parse("SMP maybe", "v5.4").expect_err("neither y nor n");
        assert_eq!(bad, "line 1: expected `NAME y` or `NAME@KERNEL n`: SMP maybe");
    }

    #[test]
    fn what_is_left_out_keeps_its_lines() {
        let text = "a; /* x\n y */ b;\n#ifdef CONFIG_SMP\nc;\n#else\nd;\n# if 1\nf;\n# endif\n#endif\n#define m(x) \\\n x\ne; // z\n";
        let source = preprocess(text, &mut config()).expect("a file");
        assert_eq!(source.text, "a;  \n b;\n\nc;\n\n\n\n\n\n\n\n\ne; \n");
        assert_eq!(
            source.left_out,
            [("!(defined(CONFIG_SMP))".to_owned(), "\n\n\n\n\nd;\n\nf;\n\n\n".to_owned())]
        );
        assert_eq!(source.macros, [("m".to_owned(), 11)]);
        assert!(preprocess("#if 1\n", &mut config()).is_err());
        assert_eq!(without_comments("\"/*\" '\"' /* \" */ x"), "\"/*\" '\"'   x");
    }
}
