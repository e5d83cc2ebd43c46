//! irqcore
