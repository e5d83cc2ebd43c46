//! What an attribute says about its function: the C files, and whether it is a part of its caller.

use proc_macro2::{Ident, TokenStream};
use syn::parse::{Parse, ParseStream};
use syn::{LitStr, Token};

/// What is said about a function.
pub(crate) struct Place {
    /// Its C files, the oldest generation's first.
    pub(crate) files: Vec<LitStr>,
    /// It is a part of its caller.
    pub(crate) part: bool,
}

impl Parse for Place {
    fn parse(input: ParseStream<'_>) -> syn::Result<Self> {
        let mut place = Self { files: vec![input.parse()?], part: false };
        while !input.is_empty() {
            input.parse::<Token![,]>()?;
            if !place.part && input.peek(LitStr) {
                place.files.push(input.parse()?);
                continue;
            }
            let word: Ident = input.parse()?;
            if word != "part" || place.part {
                return Err(syn::Error::new(word.span(), "expected another C file, or `part` at the end"));
            }
            place.part = true;
        }
        Ok(place)
    }
}

impl Place {
    /// The same for a function that is no part of another one.
    pub(crate) fn of_function(attr: TokenStream) -> syn::Result<Self> {
        let place: Self = syn::parse2(attr.clone())?;
        if place.part {
            return Err(syn::Error::new_spanned(attr, "a plain function has no marks that would cut it"));
        }
        Ok(place)
    }
}
