//! /sys/kernel/debug/irqlab: the files of the lab's test module.
//!
//! They are the only paths that a real machine does not have. Each takes an interrupt, `24`, or
//! several, `24-30`, and stops at the first that fails.

use drivers::test;
use kfn::kframe;
use kstate::{Errno, Irq, Kernel};

use crate::vfs::Written;

/// Their names.
pub const FILES: [&str; 8] =
    ["arm", "calm", "disable_irq", "enable_irq", "free_irq", "raise", "request_irq", "storm"];

/// The first and the last interrupt of a text.
fn range(text: &str) -> Option<(u32, u32)> {
    let number = |t: &str| t.bytes().all(|b| b.is_ascii_digit()).then(|| t.parse().ok())?;
    let (first, last) = text.split_once('-').unwrap_or((text, text));
    let (first, last) = (number(first)?, number(last)?);
    (first <= last).then_some((first, last))
}

/// Writes to a file. Nothing is done when an interrupt does not exist.
///
/// # Errors
/// `ENOENT` for a file that is not there, `EINVAL` for a text that names no interrupts or one that
/// does not exist, and those of what the file does.
pub fn write(k: &mut Kernel, file: &str, text: &str) -> Result<Written, Errno> {
    if !FILES.contains(&file) {
        return Err(Errno::ENOENT);
    }
    let (first, last) = range(text.trim()).ok_or(Errno::EINVAL)?;
    if last >= k.irq.nr_irqs || (first..=last).any(|irq| k.find_desc(Irq(irq)).is_none()) {
        return Err(Errno::EINVAL);
    }
    let op: fn(&mut Kernel, Irq) -> Result<(), Errno> = match file {
        // These two wait for handlers.
        "disable_irq" => return Ok(Written::Start(disable_each(first, last))),
        "free_irq" => return Ok(Written::Start(free_each(first, last))),
        "enable_irq" => test::test_enable_irq,
        "raise" => test::test_raise,
        "arm" => |k, irq| test::test_ask(k, irq, false),
        "storm" => |k, irq| test::test_ask(k, irq, true),
        "calm" => test::test_calm,
        _ => test::test_request_irq,
    };
    Ok(Written::Now((first..=last).try_for_each(|irq| op(k, Irq(irq)))))
}

#[kframe("irqlab")]
fn disable_each(k: &mut Kernel, first: u32, last: u32) -> Result<(), Errno> {
    let _ = &k;
    let irq: u32 = first;
    while irq <= last {
        call!(test::test_disable_irq(Irq(irq)))?;
        irq += 1;
    }
    Ok(())
}

#[kframe("irqlab")]
fn free_each(k: &mut Kernel, first: u32, last: u32) -> Result<(), Errno> {
    let _ = &k;
    let irq: u32 = first;
    while irq <= last {
        call!(test::test_free_irq(Irq(irq)))?;
        irq += 1;
    }
    Ok(())
}
