//! What a misspelt name may have meant.

/// What a misspelt name may have meant, as help for an error; `None` where nothing is close.
pub fn near<'a>(names: impl Iterator<Item = &'a str>, wanted: &str) -> Option<String> {
    let mut close: Vec<(usize, &str)> = names.map(|name| (strsim::levenshtein(name, wanted), name)).collect();
    close.sort_unstable();
    close.dedup();
    let close: Vec<&str> =
        close.iter().take(3).filter(|(d, _)| *d <= wanted.len() / 2).map(|(_, name)| *name).collect();
    (!close.is_empty()).then(|| format!("did you mean {}?", close.join(", ")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_misspelt_name_finds_its_neighbour() {
        let names = ["irq_startup", "irq_shutdown", "vector_config"];
        assert_eq!(near(names.into_iter(), "irq_startpu").as_deref(), Some("did you mean irq_startup?"));
        assert_eq!(near(names.into_iter(), "x"), None);
    }
}
