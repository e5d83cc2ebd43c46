//! Names a person may ask for, and what a misspelt one may have meant.

/// Tracepoints, sorted.
pub const TRACEPOINTS: [&str; 26] = [
    "irq_handler_entry",
    "irq_handler_exit",
    "irq_matrix_alloc",
    "irq_matrix_alloc_managed",
    "irq_matrix_alloc_reserved",
    "irq_matrix_assign",
    "irq_matrix_assign_system",
    "irq_matrix_free",
    "irq_matrix_offline",
    "irq_matrix_online",
    "irq_matrix_remove_managed",
    "irq_matrix_remove_reserved",
    "irq_matrix_reserve",
    "irq_matrix_reserve_managed",
    "vector_activate",
    "vector_alloc",
    "vector_alloc_managed",
    "vector_clear",
    "vector_config",
    "vector_deactivate",
    "vector_free_moved",
    "vector_reserve",
    "vector_reserve_managed",
    "vector_setup",
    "vector_teardown",
    "vector_update",
];

/// What a misspelt name may have meant, as help for an error; `None` where nothing is close.
pub fn near<'a>(names: impl Iterator<Item = &'a str>, wanted: &str) -> Option<String> {
    let mut close: Vec<(usize, &str)> = names.map(|name| (distance(name, wanted), name)).collect();
    close.sort_unstable();
    close.dedup();
    let close: Vec<&str> =
        close.iter().take(3).filter(|(d, _)| *d <= wanted.len() / 2).map(|(_, name)| *name).collect();
    (!close.is_empty()).then(|| format!("did you mean {}?", close.join(", ")))
}

/// The edit distance of two names.
fn distance(a: &str, b: &str) -> usize {
    let mut row: Vec<usize> = (0..=b.len()).collect();
    for (i, x) in a.bytes().enumerate() {
        let mut diagonal = row[0];
        row[0] = i + 1;
        for (j, y) in b.bytes().enumerate() {
            let cost = diagonal + usize::from(x != y);
            diagonal = row[j + 1];
            row[j + 1] = cost.min(diagonal + 1).min(row[j] + 1);
        }
    }
    row[b.len()]
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

    #[test]
    fn tracepoints_are_sorted() {
        assert!(TRACEPOINTS.is_sorted());
    }
}
