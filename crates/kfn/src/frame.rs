//! `#[kframe]`: from straight-line code with marks to basic blocks around a program counter.
//!
//! The body is cut at every mark and at every branch that contains one. Each piece becomes one
//! arm of a `match` on the program counter; a mark stores the number of the piece after it and
//! returns to the scheduler. Annotated `let`s become fields of a generated struct that is loaded
//! from the frame's slots on entry and stored on every way out.

use std::collections::BTreeMap;

use proc_macro2::{Group, Ident, TokenStream, TokenTree};
use quote::{ToTokens, quote};
use syn::visit::{self, Visit};
use syn::visit_mut::{self, VisitMut};
use syn::{Block, Expr, ExprMacro, ItemFn, Pat, Stmt, Type, parse_quote, spanned::Spanned};

use crate::function::parameters;
use crate::place::Place;

const MARKS: [&str; 5] = ["call", "wait", "wait_until", "spin_until", "step"];

fn is_mark(path: &syn::Path) -> bool {
    path.get_ident().is_some_and(|i| MARKS.iter().any(|m| i == m))
}

/// Finds marks, and jumps that leave the code looked at.
#[derive(Default)]
struct Finder {
    marks: usize,
    jumps: usize,
    depth: usize,
    /// Labels of loops and blocks around the place that is looked at.
    labels: Vec<String>,
}

impl Finder {
    /// Looks at what stands under a label.
    fn under(&mut self, label: Option<&syn::Label>, f: impl FnOnce(&mut Self)) {
        let label = label.map(|label| label.name.ident.to_string());
        let named = usize::from(label.is_some());
        self.labels.extend(label);
        f(self);
        self.labels.truncate(self.labels.len() - named);
    }

    /// The code is cut into blocks.
    fn is_cut(&self) -> bool {
        self.marks > 0 || self.jumps > 0
    }

    fn jump(&mut self, label: Option<&syn::Lifetime>) {
        let leaves = match label {
            Some(label) => !self.labels.iter().any(|known| label.ident == known),
            None => self.depth == 0,
        };
        self.jumps += usize::from(leaves);
    }
}

impl<'a> Visit<'a> for Finder {
    fn visit_macro(&mut self, mac: &'a syn::Macro) {
        if is_mark(&mac.path) {
            self.marks += 1;
        }
    }
    fn visit_expr_closure(&mut self, _: &'a syn::ExprClosure) {}
    fn visit_item(&mut self, _: &'a syn::Item) {}
    fn visit_expr_loop(&mut self, e: &'a syn::ExprLoop) {
        self.depth += 1;
        self.under(e.label.as_ref(), |finder| visit::visit_expr_loop(finder, e));
        self.depth -= 1;
    }
    fn visit_expr_while(&mut self, e: &'a syn::ExprWhile) {
        self.depth += 1;
        self.under(e.label.as_ref(), |finder| visit::visit_expr_while(finder, e));
        self.depth -= 1;
    }
    fn visit_expr_for_loop(&mut self, e: &'a syn::ExprForLoop) {
        self.depth += 1;
        self.under(e.label.as_ref(), |finder| visit::visit_expr_for_loop(finder, e));
        self.depth -= 1;
    }
    fn visit_expr_block(&mut self, e: &'a syn::ExprBlock) {
        self.under(e.label.as_ref(), |finder| visit::visit_expr_block(finder, e));
    }
    fn visit_expr_break(&mut self, e: &'a syn::ExprBreak) {
        self.jump(e.label.as_ref());
        visit::visit_expr_break(self, e);
    }
    fn visit_expr_continue(&mut self, e: &'a syn::ExprContinue) {
        self.jump(e.label.as_ref());
    }
}

fn find(f: impl FnOnce(&mut Finder)) -> Finder {
    let mut finder = Finder::default();
    f(&mut finder);
    finder
}

/// Rewrites uses of hoisted locals to fields, and `return` to leaving the frame.
struct Rewrite<'a> {
    locals: &'a BTreeMap<String, (Ident, Type)>,
}

impl Rewrite<'_> {
    /// The arguments of a macro. Locals that a format string captures become named arguments.
    fn macro_tokens(&self, tokens: TokenStream) -> TokenStream {
        let mut captured = Vec::new();
        for tree in tokens.clone() {
            if let TokenTree::Literal(l) = tree {
                let text = l.to_string();
                captured.extend(self.locals.iter().filter_map(|(name, (ident, _))| {
                    let used = text.contains(&format!("{{{name}}}")) || text.contains(&format!("{{{name}:"));
                    used.then_some(ident)
                }));
            }
        }
        let tokens = self.tokens(tokens);
        quote!(#tokens #(, #captured = __l.#captured)*)
    }

    /// Names in a macro's arguments become fields, except where they are none of the frame's:
    /// fields and methods (`.name`) and segments of a path (`name::`, `::name`).
    fn tokens(&self, tokens: TokenStream) -> TokenStream {
        let mut out = TokenStream::new();
        let trees: Vec<TokenTree> = tokens.into_iter().collect();
        let is = |at: Option<usize>, c: char| {
            at.and_then(|i| trees.get(i))
                .is_some_and(|t| matches!(t, TokenTree::Punct(p) if p.as_char() == c))
        };
        for (at, tree) in trees.iter().enumerate() {
            let (before, twice) = (at.checked_sub(1), at.checked_sub(2));
            let field = is(before, '.') && !is(twice, '.');
            let segment =
                (is(before, ':') && is(twice, ':')) || (is(Some(at + 1), ':') && is(Some(at + 2), ':'));
            match tree {
                TokenTree::Ident(i) if !field && !segment && self.locals.contains_key(&i.to_string()) => {
                    quote!(__l.#i).to_tokens(&mut out);
                }
                TokenTree::Group(g) => {
                    let mut inner = Group::new(g.delimiter(), self.tokens(g.stream()));
                    inner.set_span(g.span());
                    out.extend([TokenTree::Group(inner)]);
                }
                other => out.extend([other.clone()]),
            }
        }
        out
    }
}

impl VisitMut for Rewrite<'_> {
    fn visit_expr_mut(&mut self, e: &mut Expr) {
        match e {
            Expr::Path(p) if p.qself.is_none() => {
                if let Some(i) = p.path.get_ident().cloned()
                    && self.locals.contains_key(&i.to_string())
                {
                    *e = parse_quote!(__l.#i);
                }
            }
            Expr::Return(r) => {
                if let Some(value) = &mut r.expr {
                    self.visit_expr_mut(value);
                }
                let value = r.expr.take().map_or(quote!(()), |v| v.to_token_stream());
                *e = parse_quote!(return Ok(__leave(#value)));
            }
            Expr::Closure(_) => {
                // A `return` inside a closure is the closure's own; captured locals still move.
                let Expr::Closure(c) = e else { return };
                let mut only_names = NamesOnly(self);
                only_names.visit_expr_mut(&mut c.body);
            }
            _ => visit_mut::visit_expr_mut(self, e),
        }
    }
    fn visit_field_value_mut(&mut self, f: &mut syn::FieldValue) {
        if f.colon_token.is_none() {
            f.colon_token = Some(Default::default());
        }
        self.visit_expr_mut(&mut f.expr);
    }
    fn visit_macro_mut(&mut self, m: &mut syn::Macro) {
        m.tokens = self.macro_tokens(m.tokens.clone());
    }
    fn visit_item_mut(&mut self, _: &mut syn::Item) {}
}

struct NamesOnly<'a, 'b>(&'a Rewrite<'b>);

impl VisitMut for NamesOnly<'_, '_> {
    fn visit_expr_mut(&mut self, e: &mut Expr) {
        if let Expr::Path(p) = e
            && let Some(i) = p.path.get_ident().cloned()
            && self.0.locals.contains_key(&i.to_string())
        {
            *e = parse_quote!(__l.#i);
            return;
        }
        visit_mut::visit_expr_mut(self, e);
    }
    fn visit_field_value_mut(&mut self, f: &mut syn::FieldValue) {
        f.colon_token = Some(Default::default());
        self.visit_expr_mut(&mut f.expr);
    }
    fn visit_macro_mut(&mut self, m: &mut syn::Macro) {
        m.tokens = self.0.macro_tokens(m.tokens.clone());
    }
}

/// Takes the first mark out of an expression.
struct TakeCall {
    taken: Option<TokenStream>,
    error: Option<syn::Error>,
}

impl VisitMut for TakeCall {
    fn visit_expr_mut(&mut self, e: &mut Expr) {
        if let Expr::Macro(ExprMacro { mac, .. }) = e
            && is_mark(&mac.path)
        {
            if !mac.path.is_ident("call") {
                self.error = Some(syn::Error::new(mac.span(), "this mark is a statement of its own"));
            } else if self.taken.is_some() {
                self.error = Some(syn::Error::new(mac.span(), "one `call!` per statement"));
            } else {
                let call = mac.tokens.clone();
                *e = parse_quote!(::kstate::sched::returned(|| #call, __f.ret));
                self.taken = Some(call);
            }
            return;
        }
        visit_mut::visit_expr_mut(self, e);
    }
}

/// A loop or a labelled block around the code that is cut.
struct Target {
    label: Option<String>,
    /// Where `continue` goes; a block has no such place.
    head: Option<usize>,
    /// Where `break` goes.
    end: usize,
    /// What takes the value of a `break`.
    value: Option<Ident>,
}

struct Lower {
    locals: BTreeMap<String, (Ident, Type)>,
    order: Vec<String>,
    blocks: Vec<TokenStream>,
    current: usize,
    /// The current block already ends in a jump: nothing more is emitted into it.
    closed: bool,
    targets: Vec<Target>,
}

impl Lower {
    fn block(&mut self) -> usize {
        self.blocks.push(TokenStream::new());
        self.blocks.len() - 1
    }

    fn emit(&mut self, tokens: TokenStream) {
        if !self.closed {
            self.blocks[self.current].extend(tokens);
        }
    }

    fn goto(&mut self, target: usize) {
        self.emit(quote! { __pc = #target; continue '__frame; });
        self.closed = true;
    }

    fn start(&mut self, block: usize) {
        self.current = block;
        self.closed = false;
    }

    fn rewrite_expr(&self, e: &Expr) -> Expr {
        let mut e = e.clone();
        Rewrite { locals: &self.locals }.visit_expr_mut(&mut e);
        e
    }

    fn rewrite_tokens(&self, t: TokenStream) -> TokenStream {
        Rewrite { locals: &self.locals }.tokens(t)
    }

    fn suspend(&mut self, next: usize, flow: TokenStream) {
        self.emit(quote! {
            __f.pc = #next as u16;
            let flow = #flow;
            __l.store(__f);
            return Ok(flow);
        });
        self.closed = true;
    }

    fn mark(&mut self, mac: &syn::Macro) -> syn::Result<()> {
        let name = mac.path.require_ident()?.to_string();
        let tokens = self.rewrite_tokens(mac.tokens.clone());
        match name.as_str() {
            "call" => {
                let next = self.block();
                self.suspend(next, quote!(::kstate::sched::Flow::Call((#tokens).frame)));
                self.start(next);
            }
            "wait" => {
                let next = self.block();
                self.suspend(next, quote!(::kstate::sched::Flow::Wait(#tokens)));
                self.start(next);
            }
            "step" => {
                let next = self.block();
                self.suspend(next, quote!(::kstate::sched::Flow::Again));
                self.start(next);
            }
            "wait_until" => {
                let parts = syn::parse::Parser::parse2(
                    syn::punctuated::Punctuated::<Expr, syn::Token![,]>::parse_terminated,
                    tokens,
                )?;
                let [cond, on] = parts.iter().collect::<Vec<_>>()[..] else {
                    return Err(syn::Error::new(mac.span(), "wait_until!(condition, on)"));
                };
                let (test, sleep, next) = (self.block(), self.block(), self.block());
                self.goto(test);
                self.start(test);
                self.emit(quote! { __pc = if #cond { #next } else { #sleep }; continue '__frame; });
                self.start(sleep);
                self.suspend(test, quote!(::kstate::sched::Flow::Wait(#on)));
                self.start(next);
            }
            _ => {
                let (test, sleep, next) = (self.block(), self.block(), self.block());
                self.goto(test);
                self.start(test);
                self.emit(quote! { __pc = if #tokens { #next } else { #sleep }; continue '__frame; });
                self.start(sleep);
                self.suspend(test, quote!(::kstate::sched::Flow::Spin));
                self.start(next);
            }
        }
        Ok(())
    }

    /// Emits the `call!` inside `e`, if there is one, and returns what is left to evaluate.
    fn extract(&mut self, e: &Expr) -> syn::Result<Expr> {
        let mut e = e.clone();
        let mut take = TakeCall { taken: None, error: None };
        take.visit_expr_mut(&mut e);
        if let Some(error) = take.error {
            return Err(error);
        }
        if let Some(call) = take.taken {
            let call = self.rewrite_tokens(call);
            let next = self.block();
            self.suspend(next, quote!(::kstate::sched::Flow::Call((#call).frame)));
            self.start(next);
        }
        Ok(self.rewrite_expr(&e))
    }

    fn stmts(&mut self, block: &Block) -> syn::Result<()> {
        for stmt in &block.stmts {
            self.stmt(stmt)?;
        }
        Ok(())
    }

    fn stmt(&mut self, stmt: &Stmt) -> syn::Result<()> {
        match stmt {
            Stmt::Local(local) => {
                let Pat::Type(typed) = &local.pat else {
                    let mut local = local.clone();
                    if let Some(init) = &mut local.init {
                        *init.expr = self.extract(&init.expr)?;
                        if let Some((_, diverge)) = &mut init.diverge {
                            Rewrite { locals: &self.locals }.visit_expr_mut(diverge);
                        }
                    }
                    self.emit(local.to_token_stream());
                    return Ok(());
                };
                let Pat::Ident(name) = typed.pat.as_ref() else {
                    return Err(syn::Error::new(typed.span(), "a local of a frame is a plain name"));
                };
                if let Some(init) = &local.init
                    && let Expr::Block(block) = init.expr.as_ref()
                    && block.label.is_some()
                    && find(|f| f.visit_expr(&init.expr)).is_cut()
                {
                    return self.labelled(block, Some(&name.ident));
                }
                let init = match &local.init {
                    Some(init) => self.extract(&init.expr)?,
                    None => parse_quote!(Default::default()),
                };
                let name = &name.ident;
                self.emit(quote! { __l.#name = #init; });
                Ok(())
            }
            Stmt::Macro(m) if is_mark(&m.mac.path) => self.mark(&m.mac),
            Stmt::Expr(e, semi) => self.expr_stmt(e, semi.is_some()),
            Stmt::Item(item) => {
                self.emit(item.to_token_stream());
                Ok(())
            }
            Stmt::Macro(m) => {
                let mut m = m.clone();
                Rewrite { locals: &self.locals }.visit_macro_mut(&mut m.mac);
                self.emit(m.to_token_stream());
                Ok(())
            }
        }
    }

    /// What a jump is about: what it names, or the innermost loop.
    fn target(&self, label: &Option<syn::Lifetime>, span: proc_macro2::Span) -> syn::Result<&Target> {
        let wanted = label.as_ref().map(|l| l.ident.to_string());
        self.targets
            .iter()
            .rev()
            .find(|t| if wanted.is_some() { t.label == wanted } else { t.head.is_some() })
            .ok_or_else(|| syn::Error::new(span, "no such loop or block in this frame"))
    }

    /// A block that can be left by its label. `value` takes what it comes to.
    fn labelled(&mut self, block: &syn::ExprBlock, value: Option<&Ident>) -> syn::Result<()> {
        let end = self.block();
        let label = block.label.as_ref().map(|label| label.name.ident.to_string());
        self.targets.push(Target { label, head: None, end, value: value.cloned() });
        let (last, before) = match block.block.stmts.split_last() {
            Some((Stmt::Expr(e, None), before)) => (Some(e), before),
            _ => (None, &block.block.stmts[..]),
        };
        for stmt in before {
            self.stmt(stmt)?;
        }
        match (last, value) {
            // The value is already where it goes to.
            (Some(Expr::Path(e)), Some(name)) if e.path.is_ident(name) => {}
            (Some(e), Some(name)) if !matches!(e, Expr::Break(_) | Expr::Continue(_) | Expr::Return(_)) => {
                let e = self.extract(e)?;
                self.emit(quote! { __l.#name = #e; });
            }
            (Some(e), _) => self.expr_stmt(e, true)?,
            (None, _) => {}
        }
        self.targets.pop();
        self.goto(end);
        self.start(end);
        Ok(())
    }

    fn expr_stmt(&mut self, e: &Expr, semi: bool) -> syn::Result<()> {
        let found = find(|f| f.visit_expr(e));
        if !found.is_cut() {
            let diverges = matches!(e, Expr::Return(_));
            let e = self.rewrite_expr(e);
            if semi
                || matches!(
                    e,
                    Expr::If(_)
                        | Expr::Match(_)
                        | Expr::Block(_)
                        | Expr::Loop(_)
                        | Expr::While(_)
                        | Expr::ForLoop(_)
                )
            {
                self.emit(quote!(#e;));
                self.closed |= diverges;
            } else {
                // The value of the whole function.
                self.emit(quote!(return Ok(__leave(#e));));
                self.closed = true;
            }
            return Ok(());
        }
        match e {
            Expr::Macro(m) if is_mark(&m.mac.path) && (semi || !m.mac.path.is_ident("call")) => {
                self.mark(&m.mac)
            }
            Expr::Break(b) => {
                let Target { end, value, .. } = self.target(&b.label, b.span())?;
                let (end, value) = (*end, value.clone());
                match (b.expr.as_deref(), value) {
                    // The value is already where it goes to.
                    (Some(Expr::Path(e)), Some(name)) if e.path.is_ident(&name) => {}
                    (Some(e), Some(name)) => {
                        let e = self.extract(e)?;
                        self.emit(quote! { __l.#name = #e; });
                    }
                    (None, None) => {}
                    (Some(e), None) => {
                        return Err(syn::Error::new(
                            e.span(),
                            "only a labelled block of a `let` has a value",
                        ));
                    }
                    (None, Some(_)) => return Err(syn::Error::new(b.span(), "this block has a value")),
                }
                self.goto(end);
                Ok(())
            }
            Expr::Continue(c) => {
                let head = self.target(&c.label, c.span())?.head;
                self.goto(head.ok_or_else(|| syn::Error::new(c.span(), "a block has no next round"))?);
                Ok(())
            }
            Expr::Return(r) => {
                let value = match &r.expr {
                    Some(v) => self.extract(v)?.to_token_stream(),
                    None => quote!(()),
                };
                self.emit(quote!(return Ok(__leave(#value));));
                self.closed = true;
                Ok(())
            }
            Expr::Block(b) if b.label.is_some() => self.labelled(b, None),
            Expr::Block(b) => self.stmts(&b.block),
            Expr::If(i) => {
                let cond = self.extract(&i.cond)?;
                if contains_let(&cond) {
                    return Err(syn::Error::new(
                        i.cond.span(),
                        "a pattern cannot be bound across a mark: use `let .. else` or a flag",
                    ));
                }
                let (then, other, end) = (self.block(), self.block(), self.block());
                self.emit(quote! { __pc = if #cond { #then } else { #other }; continue '__frame; });
                self.start(then);
                self.stmts(&i.then_branch)?;
                self.goto(end);
                self.start(other);
                if let Some((_, e)) = &i.else_branch {
                    self.expr_stmt(e, true)?;
                }
                self.goto(end);
                self.start(end);
                Ok(())
            }
            Expr::Match(m) => {
                let scrutinee = self.extract(&m.expr)?;
                let end = self.block();
                let arms: Vec<usize> = m.arms.iter().map(|_| self.block()).collect();
                let heads = m.arms.iter().zip(&arms).map(|(arm, block)| {
                    let pat = &arm.pat;
                    let guard = arm.guard.as_ref().map(|(_, g)| {
                        let g = self.rewrite_expr(g);
                        quote!(if #g)
                    });
                    quote!(#pat #guard => #block,)
                });
                let dispatch = quote! { __pc = match #scrutinee { #(#heads)* }; continue '__frame; };
                self.emit(dispatch);
                for (arm, block) in m.arms.iter().zip(arms) {
                    self.start(block);
                    self.expr_stmt(&arm.body, true)?;
                    self.goto(end);
                }
                self.start(end);
                Ok(())
            }
            Expr::Loop(l) => {
                let (head, end) = (self.block(), self.block());
                self.goto(head);
                self.start(head);
                self.targets.push(Target {
                    label: l.label.as_ref().map(|l| l.name.ident.to_string()),
                    head: Some(head),
                    end,
                    value: None,
                });
                self.stmts(&l.body)?;
                self.targets.pop();
                self.goto(head);
                self.start(end);
                Ok(())
            }
            Expr::While(w) => {
                let (head, body, end) = (self.block(), self.block(), self.block());
                self.goto(head);
                self.start(head);
                let cond = self.extract(&w.cond)?;
                if contains_let(&cond) {
                    return Err(syn::Error::new(
                        w.cond.span(),
                        "`while let` cannot contain a mark: use `loop`",
                    ));
                }
                self.emit(quote! { __pc = if #cond { #body } else { #end }; continue '__frame; });
                self.start(body);
                self.targets.push(Target {
                    label: w.label.as_ref().map(|l| l.name.ident.to_string()),
                    head: Some(head),
                    end,
                    value: None,
                });
                self.stmts(&w.body)?;
                self.targets.pop();
                self.goto(head);
                self.start(end);
                Ok(())
            }
            Expr::ForLoop(f) => Err(syn::Error::new(
                f.span(),
                "a `for` cannot contain a mark or leave for an outer loop: use `while`",
            )),
            _ => {
                let e = self.extract(e)?;
                if semi {
                    self.emit(quote!(#e;));
                } else {
                    self.emit(quote!(return Ok(__leave(#e));));
                    self.closed = true;
                }
                Ok(())
            }
        }
    }
}

fn contains_let(e: &Expr) -> bool {
    struct F(bool);
    impl<'a> Visit<'a> for F {
        fn visit_expr_let(&mut self, _: &'a syn::ExprLet) {
            self.0 = true;
        }
    }
    let mut f = F(false);
    f.visit_expr(e);
    f.0
}

/// Collects annotated `let`s at every level that is cut into blocks.
struct Hoist {
    found: Vec<(Ident, Type)>,
}

impl<'a> Visit<'a> for Hoist {
    fn visit_block(&mut self, b: &'a Block) {
        for stmt in &b.stmts {
            match stmt {
                Stmt::Local(local) => {
                    if let Pat::Type(t) = &local.pat
                        && let Pat::Ident(name) = t.pat.as_ref()
                    {
                        self.found.push((name.ident.clone(), (*t.ty).clone()));
                    }
                    if let Some(init) = &local.init
                        && matches!(init.expr.as_ref(), Expr::Block(block) if block.label.is_some())
                        && find(|f| f.visit_expr(&init.expr)).is_cut()
                    {
                        self.visit_expr(&init.expr);
                    }
                }
                Stmt::Expr(e, _) if find(|f| f.visit_expr(e)).is_cut() => self.visit_expr(e),
                _ => {}
            }
        }
    }
    fn visit_expr_closure(&mut self, _: &'a syn::ExprClosure) {}
}

pub(crate) fn expand(attr: TokenStream, item: TokenStream) -> syn::Result<TokenStream> {
    let parsed: ItemFn = syn::parse2(item.clone())?;
    expand_as(attr, item, &parsed.sig.ident)
}

/// The same, where the function left behind has another name than the kernel's.
pub(crate) fn expand_as(attr: TokenStream, item: TokenStream, left: &Ident) -> syn::Result<TokenStream> {
    let Place { files, part } = syn::parse2(attr)?;
    let item: ItemFn = syn::parse2(item)?;
    let params = parameters(&item)?;
    let mut locals = BTreeMap::new();
    let mut order = Vec::new();
    let mut add = |name: &Ident, ty: &Type| -> syn::Result<()> {
        match locals.get(&name.to_string()) {
            None => {
                order.push(name.to_string());
                locals.insert(name.to_string(), (name.clone(), ty.clone()));
            }
            Some((_, known)) if known == ty => {}
            Some(_) => {
                return Err(syn::Error::new(name.span(), "this name already has another type in this frame"));
            }
        }
        Ok(())
    };
    let mut arg_types = Vec::new();
    for (arg, name) in item.sig.inputs.iter().zip(&params).skip(1) {
        if let syn::FnArg::Typed(arg) = arg {
            add(name, &arg.ty)?;
            arg_types.push((*arg.ty).clone());
        }
    }
    let mut hoist = Hoist { found: Vec::new() };
    hoist.visit_block(&item.block);
    for (name, ty) in &hoist.found {
        add(name, ty)?;
    }
    let mut lower = Lower {
        locals,
        order,
        blocks: vec![TokenStream::new()],
        current: 0,
        closed: false,
        targets: Vec::new(),
    };
    lower.stmts(&item.block)?;
    let ret: Type = match &item.sig.output {
        syn::ReturnType::Default => parse_quote!(()),
        syn::ReturnType::Type(_, t) => (**t).clone(),
    };
    if !lower.closed {
        lower.emit(quote!(return Ok(__leave(()));));
    }
    let error: TokenStream = if let Type::Path(p) = &ret
        && p.path.segments.last().is_some_and(|s| s.ident == "Result")
    {
        quote!(Err(e) => __leave(Err(e)),)
    } else {
        quote!(Err(e) => match e {},)
    };
    let error_type: Type = if let Type::Path(p) = &ret
        && p.path.segments.last().is_some_and(|s| s.ident == "Result")
    {
        parse_quote!(::kstate::errno::Errno)
    } else {
        parse_quote!(::core::convert::Infallible)
    };
    let (attrs, vis) = (&item.attrs, &item.vis);
    let kernel = &params[0];
    let text = item.sig.ident.to_string();
    let args = &params[1..];
    let arg_params = args.iter().zip(&arg_types).map(|(name, ty)| crate::function::param(name, Some(ty)));
    let fields: Vec<&Ident> = lower.order.iter().map(|n| &lower.locals[n].0).collect();
    let types: Vec<&Type> = lower.order.iter().map(|n| &lower.locals[n].1).collect();
    let texts = &lower.order;
    let index: Vec<usize> = (0..fields.len()).collect();
    let count = fields.len();
    let arms = lower.blocks.iter().enumerate().map(|(i, b)| {
        if b.is_empty() {
            quote!(#i => unreachable!("an empty block of {}", #text),)
        } else {
            quote!(#i => { #b })
        }
    });
    Ok(quote! {
        #(#attrs)*
        #vis fn #left(#(#args: #arg_types),*) -> ::kstate::sched::Call<#ret> {
            struct Locals { #(#fields: #types),* }
            impl Locals {
                fn load(frame: &::kstate::sched::Frame) -> Self {
                    let _ = frame;
                    Self { #(#fields: ::kstate::sched::Slot::from_slot(frame.slots[#index])),* }
                }
                fn store(&self, frame: &mut ::kstate::sched::Frame) {
                    let _ = &frame;
                    #(frame.slots[#index] = ::kstate::sched::Slot::to_slot(self.#fields);)*
                }
            }
            fn __leave(value: #ret) -> ::kstate::sched::Flow {
                ::kstate::sched::Flow::Return(::kstate::sched::Slot::to_slot(value))
            }
            fn resume(k: &mut ::kstate::kernel::Kernel, frame: &mut ::kstate::sched::Frame) -> ::kstate::sched::Flow {
                match blocks(k, frame) {
                    Ok(flow) => flow,
                    #error
                }
            }
            fn blocks(
                #kernel: &mut ::kstate::kernel::Kernel,
                __f: &mut ::kstate::sched::Frame,
            ) -> Result<::kstate::sched::Flow, #error_type> {
                let _ = &#kernel;
                let mut __l = Locals::load(__f);
                let mut __pc = usize::from(__f.pc);
                '__frame: loop {
                    match __pc {
                        #(#arms)*
                        other => unreachable!("{} has no block {other}", #text),
                    }
                }
            }
            static CODE: ::kstate::sched::FrameCode = ::kstate::sched::FrameCode {
                meta: ::kstate::trace::FnMeta {
                    name: #text, files: &[#(#files),*], args: &[#(#arg_params),*], part: #part,
                },
                resume,
                locals: &[#(#texts),*],
            };
            let mut frame = ::kstate::sched::Frame::new(&CODE, #count);
            #(frame.set_arg(#args);)*
            ::kstate::sched::Call::new(frame)
        }
    })
}
