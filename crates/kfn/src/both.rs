//! `#[kirq]`: one body, compiled whole and as a frame.

use proc_macro2::TokenStream;
use quote::{ToTokens, format_ident, quote};
use syn::visit_mut::{self, VisitMut};
use syn::{Expr, ExprCall, ItemFn, Macro, Stmt, parse_quote, spanned::Spanned};

/// What becomes of the marks.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Form {
    /// They vanish; a `call!` calls.
    Whole,
    /// They stay; a `call!` calls the callee's frame.
    Cut,
}

struct Marks {
    form: Form,
    error: Option<syn::Error>,
}

impl Marks {
    /// The call inside a `call!`, for this form.
    fn callee(&mut self, mac: &Macro) -> TokenStream {
        let mut call: ExprCall = match mac.parse_body() {
            Ok(call) => call,
            Err(error) => {
                self.error = Some(error);
                return TokenStream::new();
            }
        };
        match self.form {
            Form::Whole => call.args.insert(0, parse_quote!(k)),
            Form::Cut => {
                let Expr::Path(path) = call.func.as_mut() else {
                    self.error = Some(syn::Error::new(call.func.span(), "expected the name of a function"));
                    return TokenStream::new();
                };
                if let Some(last) = path.path.segments.last_mut() {
                    last.ident = format_ident!("{}_frame", last.ident);
                }
            }
        }
        call.to_token_stream()
    }

    fn refuse_waits(&mut self, mac: &Macro) {
        if mac.path.is_ident("wait") || mac.path.is_ident("wait_until") {
            self.error = Some(syn::Error::new(mac.span(), "an interrupt cannot sleep"));
        }
    }
}

impl VisitMut for Marks {
    fn visit_expr_mut(&mut self, e: &mut Expr) {
        if let Expr::Macro(m) = e
            && m.mac.path.is_ident("call")
        {
            let call = self.callee(&m.mac);
            *e = match self.form {
                Form::Whole => parse_quote!(#call),
                Form::Cut => parse_quote!(call!(#call)),
            };
            return;
        }
        visit_mut::visit_expr_mut(self, e);
    }

    fn visit_stmt_mut(&mut self, stmt: &mut Stmt) {
        if let Stmt::Macro(m) = stmt {
            self.refuse_waits(&m.mac);
            if m.mac.path.is_ident("call") {
                let call = self.callee(&m.mac);
                *stmt = match self.form {
                    Form::Whole => parse_quote!(let _ = #call;),
                    Form::Cut => parse_quote!(call!(#call);),
                };
                return;
            }
            if self.form == Form::Whole && m.mac.path.is_ident("step") {
                *stmt = parse_quote!({});
                return;
            }
            // Whole, no other handler can be half done, so that there is nothing to spin for.
            if self.form == Form::Whole && m.mac.path.is_ident("spin_until") {
                let condition = &m.mac.tokens;
                *stmt = parse_quote!(debug_assert!(#condition, "nobody is there to end this wait"););
                return;
            }
        }
        visit_mut::visit_stmt_mut(self, stmt);
    }
}

fn form(item: &ItemFn, form: Form) -> syn::Result<ItemFn> {
    let mut item = item.clone();
    let mut marks = Marks { form, error: None };
    marks.visit_block_mut(&mut item.block);
    marks.error.map_or(Ok(item), Err)
}

pub(crate) fn expand(attr: TokenStream, item: TokenStream) -> syn::Result<TokenStream> {
    let item: ItemFn = syn::parse2(item)?;
    let whole = form(&item, Form::Whole)?.into_token_stream();
    // A piece of its caller is recorded in neither form.
    let part = syn::parse2::<crate::place::Place>(attr.clone())?.part;
    let whole = if part { whole } else { crate::function::expand(attr.clone(), whole)? };
    let frame_name = format_ident!("{}_frame", item.sig.ident);
    let cut = crate::frame::expand_as(attr, form(&item, Form::Cut)?.into_token_stream(), &frame_name)?;
    Ok(quote!(#whole #cut))
}
