//! The kernel functions that the model has, as they are declared. The build lists them from the sources of the crates that
//! have kernel code.

/// A kernel function of the model.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Modelled {
    /// The C name.
    pub name: &'static str,
    /// The C files it is in, the oldest generation's first. What no kernel has names who has it: `dd`, or `irqlab` for its
    /// test module.
    pub files: &'static [&'static str],
    /// It is a piece of its caller, and nothing records it.
    pub part: bool,
    /// Its first parameters without the kernel, name and type as they are written.
    pub parameters: &'static [(&'static str, &'static str)],
    /// The type of what it returns, as it is written; empty where it returns nothing.
    pub returns: &'static str,
    /// The names of the error numbers that its body makes. Those of what it calls are not among them.
    pub errors: &'static [&'static str],
}

impl Modelled {
    /// A kernel has it.
    pub fn is_kernel(&self) -> bool {
        self.files.iter().all(|file| file.ends_with(".c") || file.ends_with(".h"))
    }
}

// MODELLED: all of them, by name and first file. build.rs lists them.
include!(concat!(env!("OUT_DIR"), "/modelled.rs"));

/// All functions, by name and then by first file. Two C files can each have one of a name.
pub const fn all() -> &'static [Modelled] {
    MODELLED
}

/// The functions with a name.
pub fn named(name: &str) -> &'static [Modelled] {
    let begin = MODELLED.partition_point(|function| function.name < name);
    let count = MODELLED[begin..].iter().take_while(|function| function.name == name).count();
    &MODELLED[begin..begin + count]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn functions_are_listed_as_they_are_declared() {
        assert!(MODELLED.len() > 700, "{}", MODELLED.len());
        let in_order = |pair: &[Modelled]| (pair[0].name, pair[0].files) < (pair[1].name, pair[1].files);
        assert!(MODELLED.windows(2).all(in_order));
        let [affinity] = named("irq_chip_set_affinity_parent") else { panic!("there is one") };
        assert_eq!(affinity.files, ["kernel/irq/chip.c"]);
        assert_eq!(affinity.parameters, [("d", "Irqd"), ("dest", "&CpuMask"), ("force", "bool")]);
        assert_eq!((affinity.returns, affinity.part), ("Result<SetMask, Errno>", false));
        assert_eq!(affinity.errors, ["ENOSYS"]);
        // What a macro writes.
        let [ack] = named("irq_chip_ack_parent") else { panic!("there is one") };
        assert_eq!((ack.files, ack.parameters), (&["kernel/irq/chip.c"][..], &[("d", "Irqd")][..]));
        // It compares with EBUSY and never makes it.
        let [set] = named("irq_move_masked_irq") else { panic!("there is one") };
        assert_eq!(set.errors, <[&str; 0]>::default());
        assert!(named("irq_startpu").is_empty());
    }

    #[test]
    fn what_a_function_returns_is_read_to_the_body() {
        for function in MODELLED {
            assert!(!function.returns.contains(['{', ';']), "{}: {}", function.name, function.returns);
            let elsewhere = matches!(function.files, ["irqlab" | "dd"]);
            assert!(function.is_kernel() || elsewhere, "{function:?}");
        }
        assert!(MODELLED.iter().any(|function| function.part));
        assert!(MODELLED.iter().filter(|function| function.returns == "bool").count() > 30);
    }
}
