//! Behaviour of the 8259A pair (Intel 8259A data sheet), minimal: masks, requests, initialization.
//!
//! # What it doesn't implement
//! Rotating priorities, poll command, special mask mode. The pair's output is the boot CPU's LINT0.

use kstate::hw::pic::I8259;
use kstate::{CpuId, Kernel};

use super::lapic;

/// After power-on: all lines masked, vectors as firmware leaves them, and level-triggered lines where
/// its links put PCI functions.
pub fn power_on(k: &mut Kernel) {
    k.hw.pic = I8259 { imr: [0xff; 2], elcr: [0, 0x0c], base: [0x08, 0x70], ..I8259::default() };
}

/// The output follows what is requested, masked and in service.
fn update(k: &mut Kernel) {
    let intr = pending(k).is_some();
    if core::mem::replace(&mut k.hw.pic.intr, intr) != intr {
        lapic::intr_changed(k, CpuId(0));
    }
}

/// A line changes its level.
pub fn set_line(k: &mut Kernel, line: u32, level: bool) {
    let (chip, bit) = ((line >> 3 & 1) as usize, 1u8 << (line & 7));
    let pic = &mut k.hw.pic;
    if level {
        pic.irr[chip] |= bit;
    } else if pic.elcr[chip] & bit != 0 {
        pic.irr[chip] &= !bit;
    }
    update(k);
}

/// Writes the edge/level control registers: a line is level-triggered.
pub fn set_level(k: &mut Kernel, line: u32) {
    k.hw.pic.elcr[(line >> 3 & 1) as usize] |= 1 << (line & 7);
}

/// The line that the pair requests, if any: the lowest unmasked one of the master, then through
/// the cascade on line 2 the slave's.
pub fn pending(k: &Kernel) -> Option<u32> {
    let I8259 { imr, irr, isr, .. } = &k.hw.pic;
    let first = |chip: usize| {
        let line = (irr[chip] & !imr[chip]).trailing_zeros();
        (line < 8 && line < isr[chip].trailing_zeros()).then_some(line)
    };
    let slave = first(1).filter(|_| imr[0] & 1 << 2 == 0 && isr[0].trailing_zeros() > 2);
    match (first(0), slave) {
        (Some(line), None) => Some(line),
        (Some(line), Some(_)) if line < 2 => Some(line),
        (_, Some(line)) => Some(line + 8),
        (None, None) => None,
    }
}

/// INTA: the pending line goes into service; returns its vector. Without one it is the spurious
/// vector of the master's line 7.
pub fn ack(k: &mut Kernel) -> u8 {
    let line = pending(k);
    let pic = &mut k.hw.pic;
    let Some(line) = line else {
        return pic.base[0] + 7;
    };
    let (chip, bit) = ((line >> 3) as usize, 1u8 << (line & 7));
    if pic.elcr[chip] & bit == 0 {
        pic.irr[chip] &= !bit;
    }
    if !pic.auto_eoi[chip] {
        pic.isr[chip] |= bit;
        if chip == 1 {
            pic.isr[0] |= 1 << 2;
        }
    }
    let vector = pic.base[chip] + (line & 7) as u8;
    update(k);
    vector
}

/// Writes a command port (20H, A0H: `data` false) or data port (21H, A1H: `data` true).
pub fn write(k: &mut Kernel, chip: usize, data: bool, value: u8) {
    let pic = &mut k.hw.pic;
    match (data, pic.init_state[chip]) {
        // ICW1 starts the initialization and clears the mask.
        (false, _) if value & 0x10 != 0 => {
            pic.init_state[chip] = 2;
            pic.imr[chip] = 0;
            pic.isr[chip] = 0;
            pic.auto_eoi[chip] = false;
        }
        // OCW2: specific and non-specific EOI.
        (false, _) if value & 0x18 == 0 => match value >> 5 {
            0b001 => pic.isr[chip] &= pic.isr[chip].wrapping_sub(1),
            0b011 => pic.isr[chip] &= !(1 << (value & 7)),
            _ => {}
        },
        (false, _) => {}
        (true, 2) => {
            pic.base[chip] = value & 0xf8;
            pic.init_state[chip] = 3;
        }
        (true, 3) => pic.init_state[chip] = 4,
        (true, 4) => {
            pic.auto_eoi[chip] = value & 2 != 0;
            pic.init_state[chip] = 0;
        }
        (true, _) => pic.imr[chip] = value,
    }
    update(k);
}

/// Reads the data port: the mask register.
pub fn read_mask(k: &Kernel, chip: usize) -> u8 {
    k.hw.pic.imr[chip]
}
