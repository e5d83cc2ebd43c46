//! Sessions, as somebody types them.

mod places;
mod sessions;
