//! The library, as the README shows it.

use irqlab_test::{KernelVersion, Lab, Machine};

#[test]
fn a_queue_goes_down_with_its_cpu() {
    let mut lab = Lab::boot(&Machine::embedded(KernelVersion::V5_4));
    lab.run_script("echo 0 > /sys/devices/system/cpu/cpu4/online").unwrap();
    assert!(lab.stacks("irq_shutdown").contains("irq_migrate_all_off_this_cpu"));
    insta::assert_snapshot!(lab.flow());
}

#[test]
fn the_readme_shows_this_file() {
    let readme = include_str!("../../../../README.md");
    let (_, rest) = readme.split_once("```rust\n").expect("an example");
    let (example, _) = rest.split_once("```").expect("its end");
    assert!(include_str!("library.rs").contains(example), "the example of the README is not the test above");
}
