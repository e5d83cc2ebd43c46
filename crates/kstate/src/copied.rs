//! Copies over a value that is there already.

/// `Clone` of a structure by its fields. Unlike the derived one it copies field by field over another value, which
/// keeps its memory, and leaves alone what both have in common.
macro_rules! clone_by_field {
    ($name:ident { $($field:ident),+ $(,)? }) => {
        impl Clone for $name {
            fn clone(&self) -> Self {
                Self { $($field: self.$field.clone()),+ }
            }
            fn clone_from(&mut self, source: &Self) {
                let Self { $($field),+ } = self;
                $($field.clone_from(&source.$field);)+
            }
        }
    };
}

pub(crate) use clone_by_field;
