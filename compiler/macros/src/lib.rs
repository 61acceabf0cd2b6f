//! `include_model!` compiles an ONNX file where it stands.
//!
//! ```ignore
//! kiln_macros::include_model!("model.onnx");                    // pub mod model
//! kiln_macros::include_model!(pub struct Keyword = "kws.onnx"); // pub use kws::Model as Keyword
//! ```
//!
//! Paths start at the folder of the package's Cargo.toml. The build is repeated when the file changes.

use kiln_compiler::build::{Precision, Source, compile_source, name_after_file, source};
use kiln_compiler::diag::Diagnostics;
use kiln_compiler::driver::{Artifact, Budget, EXCEEDED, Options};
use kiln_compiler::plan::Axis;
use kiln_runtime_core::Family;
use proc_macro2::{Group, Literal, Span, TokenStream, TokenTree};
use quote::quote;
use std::path::{Path, PathBuf};
use syn::parse::{Parse, ParseStream};
use syn::{Attribute, Ident, LitBool, LitInt, LitStr, Token, Visibility};

/// Compiles an ONNX model into a module that is named after the file. `include_model!(pub struct Name = "file.onnx")` also
/// gives the module's `Model` that name. A dynamic batch becomes 1, or what `batch = N` says behind the file. With
/// `stream_input = true`, the input comes row by row, through `Model::run_rows`, and never lies in memory as a whole. With
/// `stream = "time"` (or `stream = N`, the number of the axis), the model takes one frame of its window over time a call, through
/// `Model::step`; `stream_pad = "drop"` leaves padding in time out.
/// `ram = "32K"` and `flash = "100K"` are what the model may take: more is an error, on the targets where it is more.
#[proc_macro]
pub fn include_model(input: proc_macro::TokenStream) -> proc_macro::TokenStream {
    let call = syn::parse_macro_input!(input as Call);
    expand(&call).unwrap_or_else(syn::Error::into_compile_error).into()
}

struct Call {
    alias: Option<(Vec<Attribute>, Visibility, Ident)>,
    file: LitStr,
    batch: usize,
    stream_input: bool,
    stream: Option<Axis>,
    drop_time_padding: bool,
    budget: Budget,
}

impl Parse for Call {
    fn parse(input: ParseStream) -> syn::Result<Call> {
        let alias = if input.peek(LitStr) {
            None
        } else {
            let (attributes, visibility) = (input.call(Attribute::parse_outer)?, input.parse()?);
            input.parse::<Token![struct]>()?;
            let name = input.parse()?;
            input.parse::<Token![=]>()?;
            Some((attributes, visibility, name))
        };
        let mut call = Call {
            alias,
            file: input.parse()?,
            batch: 1,
            stream_input: false,
            stream: None,
            drop_time_padding: false,
            budget: Budget::default(),
        };
        while !input.is_empty() {
            input.parse::<Token![,]>()?;
            if input.is_empty() {
                break;
            }
            let option: Ident = input.parse()?;
            input.parse::<Token![=]>()?;
            match option.to_string().as_str() {
                "batch" => call.batch = input.parse::<LitInt>()?.base10_parse()?,
                "stream_input" => call.stream_input = input.parse::<LitBool>()?.value,
                "ram" => call.budget.ram = Some(bytes(input)?),
                "flash" => call.budget.flash = Some(bytes(input)?),
                "stream" if input.peek(LitInt) => {
                    call.stream = Some(Axis::Index(input.parse::<LitInt>()?.base10_parse()?));
                }
                "stream" => {
                    let text: LitStr = input.parse()?;
                    call.stream = Some(text.value().parse().map_err(|e| syn::Error::new(text.span(), e))?);
                }
                "stream_pad" => {
                    let text: LitStr = input.parse()?;
                    if text.value() != "drop" {
                        return Err(syn::Error::new(text.span(), "known is `stream_pad = \"drop\"`"));
                    }
                    call.drop_time_padding = true;
                }
                other => {
                    let message = format!(
                        "unknown option `{other}`; known are `batch`, `stream_input`, `stream`, `stream_pad`, `ram`, `flash`"
                    );
                    return Err(syn::Error::new(option.span(), message));
                }
            }
        }
        Ok(call)
    }
}

/// A number of bytes: `32768` or `"32K"`.
fn bytes(input: ParseStream) -> syn::Result<usize> {
    if input.peek(LitInt) {
        return input.parse::<LitInt>()?.base10_parse();
    }
    let text: LitStr = input.parse()?;
    Budget::bytes(&text.value()).map_err(|e| syn::Error::new(text.span(), e))
}

fn expand(call: &Call) -> syn::Result<TokenStream> {
    let fail = |message: String| syn::Error::new(call.file.span(), message);
    let folder = std::env::var_os("CARGO_MANIFEST_DIR")
        .map(PathBuf::from)
        .ok_or_else(|| fail("include_model! needs Cargo: CARGO_MANIFEST_DIR is not set".to_owned()))?;
    let path = folder.join(call.file.value());
    let mut options = Options {
        batch: call.batch,
        stream_input: call.stream_input,
        stream: call.stream,
        drop_time_padding: call.drop_time_padding,
        budget: call.budget,
        ..Options::default()
    };
    name_after_file(&mut options, &path);
    let source = source(&path, Precision::default()).map_err(|e| fail(e.to_string()))?;
    let mut arms = families(&source, &options).map_err(|e| fail(e.to_string()))?;
    arms.iter_mut().for_each(|arm| arm.tokens = arm.module(call));
    let module = select(&arms);
    let tracked =
        source.files.iter().map(|file| tracked(file)).collect::<Result<TokenStream, _>>().map_err(fail)?;
    Ok(quote!(#module #tracked))
}

/// The model for one family of kernels.
struct Arm {
    family: Family,
    /// The model, or why it does not fit these targets.
    model: Result<Artifact, String>,
    tokens: TokenStream,
}

impl Arm {
    /// Whether other targets can do with what this one has.
    fn same(&self, other: &Arm) -> bool {
        match (&self.model, &other.model) {
            (Ok(one), Ok(two)) => one.text == two.text,
            (Err(one), Err(two)) => one == two,
            _ => false,
        }
    }

    /// The module and its alias, or the error: only the target that it is about will see it.
    fn module(&self, call: &Call) -> TokenStream {
        let fail = |message: &str| syn::Error::new(call.file.span(), message).into_compile_error();
        let model = match &self.model {
            Ok(model) => model,
            Err(message) => return fail(message),
        };
        let tokens = match module(model) {
            Ok(tokens) => tokens,
            Err(e) => return fail(&format!("internal error: generated text: {e}")),
        };
        let alias = call.alias.as_ref().map(|(attributes, visibility, name)| {
            let module = Ident::new(&model.module, Span::call_site());
            quote!(#(#attributes)* #visibility use self::#module::Model as #name;)
        });
        quote!(#tokens #alias)
    }
}

/// The model for each family of kernels, the plain one last. A macro cannot know the target, so it offers all that differ
/// from the plain one. Whether a budget is exceeded depends on the family.
fn families(source: &Source, options: &Options) -> Result<Vec<Arm>, Diagnostics> {
    let compile = |family| {
        let model = match compile_source(source, &Options { family, ..options.clone() }) {
            Ok(model) => Ok(model),
            Err(e) if e.0.iter().all(|d| d.code == EXCEEDED) => Err(e.to_string()),
            Err(e) => return Err(e),
        };
        Ok(Arm { family, model, tokens: TokenStream::new() })
    };
    let mut arms = Family::ALL.into_iter().map(compile).collect::<Result<Vec<_>, _>>()?;
    let plain = arms.pop();
    arms.retain(|arm| plain.iter().all(|plain| !arm.same(plain)));
    arms.extend(plain);
    Ok(arms)
}

/// One module, or `select!` over one for each family.
fn select(arms: &[Arm]) -> TokenStream {
    let modules = arms.iter().map(|arm| &arm.tokens);
    if let [arm] = arms {
        return arm.tokens.clone();
    }
    let families = arms.iter().map(|arm| Ident::new(arm.family.name(), Span::call_site()));
    quote!(::kiln_runtime_core::select! { #(#families { #modules })* })
}

/// The text as tokens, with the tables as one byte string in place of the file that it includes.
fn module(artifact: &Artifact) -> Result<TokenStream, String> {
    let tokens: TokenStream = artifact.text.parse().map_err(|e| format!("{e}"))?;
    Ok(match &artifact.weights {
        Some(weights) => bake(tokens, weights),
        None => tokens,
    })
}

/// Replaces `include_bytes!(..)`, of which the text has one.
fn bake(tokens: TokenStream, weights: &[u8]) -> TokenStream {
    let mut baked = vec![];
    let mut tokens = tokens.into_iter();
    while let Some(token) = tokens.next() {
        match token {
            TokenTree::Ident(name) if name == "include_bytes" => {
                let _ = (tokens.next(), tokens.next()); // `!` and the file
                baked.push(TokenTree::Literal(Literal::byte_string(weights)));
            }
            TokenTree::Group(group) => {
                let mut inner = Group::new(group.delimiter(), bake(group.stream(), weights));
                inner.set_span(group.span());
                baked.push(TokenTree::Group(inner));
            }
            other => baked.push(other),
        }
    }
    baked.into_iter().collect()
}

/// Makes rustc watch a file: a macro cannot say so itself on stable Rust.
fn tracked(path: &Path) -> Result<TokenStream, String> {
    let path = path.canonicalize().map_err(|e| e.to_string())?;
    let path = path.to_str().ok_or("the path of the model is not UTF-8")?;
    Ok(quote!(
        const _: &[u8] = ::core::include_bytes!(#path);
    ))
}
