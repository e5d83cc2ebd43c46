//! `#[kfn]`: one inner function with the body, one outer function with the C name.

use proc_macro2::TokenStream;
use quote::{format_ident, quote};
use syn::{FnArg, ItemFn, Pat, spanned::Spanned};

use crate::place::Place;

/// The identifiers of a traced function's parameters, the kernel first.
pub(crate) fn parameters(item: &ItemFn) -> syn::Result<Vec<syn::Ident>> {
    let mut names = Vec::new();
    for arg in &item.sig.inputs {
        let FnArg::Typed(arg) = arg else {
            return Err(syn::Error::new(arg.span(), "a kernel function is a free function"));
        };
        let Pat::Ident(name) = arg.pat.as_ref() else {
            return Err(syn::Error::new(arg.pat.span(), "expected a plain parameter name"));
        };
        names.push(name.ident.clone());
    }
    if names.first().is_none_or(|n| n != "k") {
        return Err(syn::Error::new(
            item.sig.inputs.span(),
            "the first parameter of a kernel function is `k: &mut Kernel`",
        ));
    }
    Ok(names)
}

/// What is known of a parameter: its name, whether it is a `struct irq_data`, and how it is shown.
pub(crate) fn param(name: &syn::Ident, ty: Option<&syn::Type>) -> TokenStream {
    let name = name.to_string().trim_start_matches("r#").to_owned();
    let ty = match ty {
        Some(syn::Type::Path(path)) => path.path.segments.last().map(|segment| segment.ident.to_string()),
        _ => None,
    };
    let ty = ty.unwrap_or_default();
    let irq_data = ty == "Irqd";
    let shown = match ty.as_str() {
        "Irqd" => quote!(IrqData),
        "PciDevId" => quote!(Function),
        "DevId" => quote!(DevId),
        "CpuhpState" => quote!(State),
        "ReqId" | "MsiDescId" => quote!(Key),
        _ => quote!(Word),
    };
    quote!(::kstate::trace::Param { name: #name, irq_data: #irq_data, shown: ::kstate::trace::Shown::#shown })
}

pub(crate) fn expand(attr: TokenStream, item: TokenStream) -> syn::Result<TokenStream> {
    let Place { files, part: _ } = Place::of_function(attr)?;
    let item: ItemFn = syn::parse2(item)?;
    let names = parameters(&item)?;
    let (attrs, vis, sig, body) = (&item.attrs, &item.vis, &item.sig, &item.block);
    let name = sig.ident.to_string();
    let inner = format_ident!("body");
    let mut inner_sig = sig.clone();
    inner_sig.ident = inner.clone();
    let args = &names[1..];
    let stmts = &body.stmts;
    let kernel = &names[0];
    let types = sig.inputs.iter().skip(1).map(|input| match input {
        syn::FnArg::Typed(typed) => Some(&*typed.ty),
        syn::FnArg::Receiver(_) => None,
    });
    let params = args.iter().zip(types).map(|(name, ty)| param(name, ty));
    // Without a named return type there is nothing to record but the exit itself.
    let ret = match &sig.output {
        syn::ReturnType::Default => quote!(None),
        syn::ReturnType::Type(..) => quote! {{
            use ::kstate::trace::{ByValue as _, NoValue as _};
            (&::kstate::trace::Probe(&ret)).word()
        }},
    };
    Ok(quote! {
        #(#attrs)*
        #vis #sig {
            static META: ::kstate::trace::FnMeta =
                ::kstate::trace::FnMeta { name: #name, files: &[#(#files),*], args: &[#(#params),*], part: false };
            #[inline]
            #inner_sig {
                // A function that has no use for the kernel takes it all the same.
                let _ = &*#kernel;
                #(#stmts)*
            }
            if !#kernel.trace.on {
                return #inner(#(#names),*);
            }
            {
                use ::kstate::trace::{ByValue as _, NoValue as _};
                let args = ::kstate::trace::Args::of([#((&::kstate::trace::Probe(&#args)).word()),*]);
                ::kstate::trace::enter(#kernel, &META, &args);
            }
            let ret = #inner(#(#names),*);
            let word: Option<u64> = #ret;
            ::kstate::trace::exit(#kernel, &META, word);
            ret
        }
    })
}
