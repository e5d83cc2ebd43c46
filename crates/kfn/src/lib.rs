//! The attributes that turn a Rust function into a traced kernel function.
//!
//! * [`macro@kfn`] wraps a plain function: its entry, its arguments, its exit and its return
//!   value are recorded on every path, including `?`.
//! * [`macro@kframe`] compiles a function that can sleep or spin into a *frame*: plain data with
//!   a program counter, so that a half-finished kernel function can be copied, compared and
//!   hashed like the rest of the machine.
//! * [`macro@kirq`] does both to a function on the way of an interrupt: whole it is fast, and as a
//!   frame it can be stopped in the middle while other CPUs go on.
//!
//! # What it doesn't implement
//! Frames have no borrowed locals and no pattern bindings that live across a wait: what has to
//! survive a wait is an annotated `let name: Type` whose type implements `kstate::sched::Slot`.

use proc_macro::TokenStream;

mod both;
mod frame;
mod function;
mod place;

/// Records entry and exit of a kernel function.
///
/// `#[kfn("kernel/irq/chip.c")]` stands above a free function whose first parameter is
/// `k: &mut Kernel`. The string is the C file, relative to the kernel tree of the oldest release
/// that has the function; where later ones have it in another file, that follows:
/// `#[kfn("drivers/pci/msi.c", "drivers/pci/msi/msi.c")]`.
#[proc_macro_attribute]
pub fn kfn(attr: TokenStream, item: TokenStream) -> TokenStream {
    function::expand(attr.into(), item.into()).unwrap_or_else(|e| e.into_compile_error()).into()
}

/// Compiles a kernel function that can sleep into a frame on its task's explicit stack.
///
/// The body is ordinary straight-line Rust with these marks, each usable as a statement at any
/// depth of `if`, `match`, `loop`, `while` and labelled blocks:
/// * `call!(f(args))` calls another frame; it is an expression of the callee's return type;
/// * `wait!(on)` sleeps until `on` (a `WaitOn`) is woken;
/// * `wait_until!(condition, on)` sleeps on `on` for as long as `condition` is false;
/// * `spin_until!(condition)` spins: runnable again when anything else has changed;
/// * `step!()` is a label where another CPU may run, without waiting for anything.
///
/// A variable that lives across a mark is declared with its type: `let n: u32 = 0;`. One without
/// a type exists until the next mark. What C does with `goto out` is a labelled block with a value,
/// `let ret: Result<(), Errno> = 'out: { .. break 'out Err(e); .. };`, and the code at C's label follows it. `#[kframe("block/blk-mq.c", part)]` says that the function is a
/// piece of the C function that calls it, cut out only because of its marks or its returns: it is not
/// recorded and no stack shows it. The function the attribute leaves behind takes the
/// arguments without `k` and returns a `Call<R>`.
#[proc_macro_attribute]
pub fn kframe(attr: TokenStream, item: TokenStream) -> TokenStream {
    frame::expand(attr.into(), item.into()).unwrap_or_else(|e| e.into_compile_error()).into()
}

/// Compiles a function on the way of an interrupt twice, from one body with the marks of
/// [`macro@kframe`]:
/// * whole, under its own name and as [`macro@kfn`] does: nothing happens at its marks;
/// * cut at its marks, as `NAME_frame(args)`, where what other CPUs do meanwhile matters.
///
/// `call!(f(args))` calls another function of this kind. `part` means what it means there. `wait!` and `wait_until!` are refused:
/// an interrupt cannot sleep.
#[proc_macro_attribute]
pub fn kirq(attr: TokenStream, item: TokenStream) -> TokenStream {
    both::expand(attr.into(), item.into()).unwrap_or_else(|e| e.into_compile_error()).into()
}
