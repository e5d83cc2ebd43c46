//! Archives of machines: those that the emulator writes, small ones made by hand, and hostile ones.

mod captures;
mod hostile;
mod machines;
mod states;
