//! Archives of machines: those that the emulator writes, small ones made by hand, and hostile ones.

mod captures;
mod hostile;
mod kinds;
mod machines;
mod states;
