//! Which values of fields contradict each other.

use super::{MsiDomains, Semantics};

impl Semantics {
    /// Looks for values that contradict each other: no kernel could be built like that.
    ///
    /// # Errors
    /// Which fields do, and why.
    pub fn check(&self) -> Result<(), String> {
        if self.ioapic_entry_from_msi && self.msi_domains == MsiDomains::Global {
            return Err("ioapic_entry_from_msi=on needs msi_domains=per-device: with the global \
                        domain only the MSI chips compose messages, and none lies below the IO-APIC"
                .to_owned());
        }
        Ok(())
    }
}
