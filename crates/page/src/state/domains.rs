//! Domains of interrupts.

use kstate::irqdomain::IrqDomain;
use kstate::shared::Shared;
use kstate::{DomainId, Kernel};

use super::{Object, Slots, is_same, keep};

#[derive(Debug, Default)]
pub(super) struct Seen {
    domains: Option<Shared<Vec<Option<IrqDomain>>>>,
}

impl Seen {
    pub(super) fn look(&mut self, k: &mut Kernel, slots: &mut Slots) {
        if is_same(self.domains.as_ref(), &k.irq.domains) {
            return;
        }
        keep(&mut self.domains, &mut k.irq.domains, Vec::new());
        for (at, domain) in k.irq.domains.iter().enumerate() {
            let object = Object::Domain(DomainId(at as u32));
            match domain {
                Some(domain) => {
                    slots.set(object, "name", None, domain.name.as_str());
                    slots.set(object, "parent", None, domain.parent.map(|parent| parent.0));
                    slots.set(object, "mapped", None, domain.mapcount);
                }
                None => slots.clear(object),
            }
        }
    }
}
