//! Whether DMA is remapped, as far as interrupts depend on it.
//!
//! C file: drivers/iommu/intel-iommu.c of 5.4, drivers/iommu/intel/iommu.c of 6.12.

use kstate::Kernel;

/// `intel_iommu=`. Says whether the word was taken: 5.4's function says no, after it has obeyed.
pub fn intel_iommu_setup(k: &mut Kernel, text: &str) -> bool {
    for (i, option) in text.split(',').enumerate() {
        if option.is_empty() {
            continue;
        }
        // The options that are about DMA alone have no effect here.
        if option.starts_with("on") {
            k.params.intel_iommu = Some(true);
            k.log.push("DMAR: IOMMU enabled".to_owned());
        } else if option.starts_with("off") {
            k.params.intel_iommu = Some(false);
            k.log.push("DMAR: IOMMU disabled".to_owned());
        } else if k.sem.intel_iommu_setup_handles && !DMA_OPTIONS.iter().any(|o| option.starts_with(o)) {
            let rest: Vec<&str> = text.split(',').skip(i).collect();
            k.log.push(format!("DMAR: Unknown option - '{}'", rest.join(",")));
        }
    }
    k.sem.intel_iommu_setup_handles
}

/// What `intel_iommu=` takes besides on and off.
const DMA_OPTIONS: [&str; 8] =
    ["igfx_off", "intgpu_off", "forcedac", "strict", "sp_off", "sm_on", "sm_off", "tboot_noforce"];
