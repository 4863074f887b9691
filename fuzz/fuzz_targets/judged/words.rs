//! What must hold of everything that is shown, and what the log is told.

use std::fmt::{Debug, Write};
use std::sync::{Mutex, PoisonError};

use tracing::field::{Field, Visit};
use tracing::span::{Attributes, Id, Record};
use tracing::{Event, Metadata, Subscriber};

/// The target's token.
pub const SECRET: &str = "hush-s3cr3t-t0ken";

/// Nothing that a terminal, a log or a reader could be misled by, and no secret.
pub fn judge(what: &str, text: &str) {
    let is_harm = |c: char| {
        c.is_control()
            || matches!(
                c,
                '\u{61c}' | '\u{180e}' | '\u{200b}' | '\u{200e}' | '\u{200f}' | '\u{2028}' | '\u{2029}'
            )
            || matches!(c, '\u{202a}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{feff}')
    };
    assert!(!text.contains(is_harm), "{what} has a harmful character: {text:?}");
    assert!(!text.to_ascii_lowercase().contains(SECRET), "{what} shows the token: {text:?}");
}

static LOGGED: Mutex<Vec<String>> = Mutex::new(Vec::new());

/// From now on everything that the library logs is kept.
pub fn listen() {
    tracing::subscriber::set_global_default(Listener).expect("nobody else listens");
}

/// What was logged since the last call: a field's value each.
pub fn logged() -> Vec<String> {
    std::mem::take(&mut *LOGGED.lock().unwrap_or_else(PoisonError::into_inner))
}

struct Listener;

impl Subscriber for Listener {
    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        metadata.target().starts_with("fedimeter")
    }

    fn new_span(&self, span: &Attributes<'_>) -> Id {
        span.record(&mut Values);
        Id::from_u64(1)
    }

    fn record(&self, _: &Id, values: &Record<'_>) {
        values.record(&mut Values);
    }

    fn record_follows_from(&self, _: &Id, _: &Id) {}

    fn event(&self, event: &Event<'_>) {
        event.record(&mut Values);
    }

    fn enter(&self, _: &Id) {}

    fn exit(&self, _: &Id) {}
}

/// Takes values as they are before any format escapes them.
struct Values;

impl Visit for Values {
    fn record_str(&mut self, _: &Field, value: &str) {
        LOGGED.lock().unwrap_or_else(PoisonError::into_inner).push(value.to_owned());
    }

    fn record_debug(&mut self, _: &Field, value: &dyn Debug) {
        let mut text = String::new();
        // A string takes everything.
        let _ = write!(text, "{value:?}");
        LOGGED.lock().unwrap_or_else(PoisonError::into_inner).push(text);
    }
}
