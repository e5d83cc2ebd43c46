//! Tables of functions: they are compared, hashed and printed as the name that identifies them.

/// Gives a structure with a field `name` the traits that state has.
macro_rules! by_name {
    ($($table:ident)*) => {$(
        impl PartialEq for $table {
            fn eq(&self, other: &Self) -> bool {
                // One name is most often at one address.
                core::ptr::eq(self.name, other.name) || self.name == other.name
            }
        }
        impl Eq for $table {}
        impl core::hash::Hash for $table {
            fn hash<H: core::hash::Hasher>(&self, state: &mut H) {
                self.name.hash(state);
            }
        }
        impl core::fmt::Debug for $table {
            fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
                f.write_str(self.name)
            }
        }
    )*};
}

pub(crate) use by_name;
