//! The library for tests: what it offers, listed.

mod api;
