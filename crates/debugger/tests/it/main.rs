//! Sessions, as somebody types them.

mod habits;
mod places;
mod sessions;
