//! Log lines on standard error: text for people, logfmt or JSON for programs.

use std::backtrace::{Backtrace, BacktraceStatus};
use std::fmt;
use std::io;
use std::time::Duration;

use tracing::field::{Field, Visit};
use tracing_subscriber::field::RecordFields;
use tracing_subscriber::filter::EnvFilter;
use tracing_subscriber::fmt::FormatFields;
use tracing_subscriber::fmt::format::Writer;
use tracing_subscriber::fmt::time::SystemTime;
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::util::SubscriberInitExt;
use tracing_subscriber::{Layer, Registry};

use crate::config::{Log, LogFormat};
use crate::export::telemetry::BoxedLayer;
use crate::log_queue::{self, LogQueue};

/// How long the process waits at its end for lines to be written.
const FLUSH_TIMEOUT: Duration = Duration::from_millis(250);

/// Starts logging for the whole process, including panics. A second call has no effect.
/// From now on no line blocks its caller: lines that nobody reads are lost and counted,
/// and the count is logged later. `others` receive the events that their own filters
/// allow. Text is coloured if `is_coloured` is set.
///
/// # Errors
///
/// When the thread that writes lines cannot be started.
pub fn start(log: &Log, is_coloured: bool, others: Vec<BoxedLayer>) -> io::Result<()> {
    let queue = LogQueue::start(io::stderr(), |lost| {
        tracing::warn!("{lost} log lines were lost: standard error was not read fast enough");
    })?;
    let writer = queue.clone();
    let writer = move || writer.clone();
    let filter = EnvFilter::new(log.level.directives());
    let lines: Box<dyn Layer<Registry> + Send + Sync> = match log.format {
        LogFormat::Text => {
            let layer = tracing_subscriber::fmt::layer()
                .with_writer(writer)
                .with_ansi(is_coloured)
                .with_target(false)
                .fmt_fields(Sentences);
            if is_the_journal() { layer.without_time().boxed() } else { layer.boxed() }
        }
        LogFormat::Logfmt => tracing_logfmt::builder()
            .with_target(false)
            .with_module_path(true)
            .layer()
            .with_writer(writer)
            .boxed(),
        LogFormat::Json => {
            let mut layer = json_subscriber::JsonLayer::new(writer);
            layer.with_timer("timestamp", SystemTime).with_level("level").with_target("module_path");
            layer.with_flattened_event().with_span_list("spans");
            layer.boxed()
        }
    };
    let mut layers = others;
    layers.push(lines.with_filter(filter).boxed());
    if tracing_subscriber::registry().with(layers).try_init().is_ok() {
        log_queue::install(queue);
        // The default hook writes to standard error itself, and waits for its reader.
        std::panic::set_hook(Box::new(|panic| {
            let trace = Backtrace::capture();
            if trace.status() == BacktraceStatus::Captured {
                tracing::error!("{panic}\n{trace}");
            } else {
                tracing::error!("{panic}");
            }
        }));
    }
    Ok(())
}

/// Whether standard error goes to the journal, which adds its own times
/// (systemd.exec(5), `JOURNAL_STREAM`).
#[cfg(unix)]
fn is_the_journal() -> bool {
    use std::os::unix::fs::MetadataExt;
    let Some(stream) = std::env::var_os("JOURNAL_STREAM") else { return false };
    std::fs::metadata("/dev/stderr").is_ok_and(|own| *stream == *format!("{}:{}", own.dev(), own.ino()))
}

#[cfg(not(unix))]
fn is_the_journal() -> bool {
    false
}

/// Formats fields for people: the sentence, and after it the fields that the sentence
/// does not contain. Lines about a server name the server, the endpoint and the outcome
/// in their sentence.
struct Sentences;

const IN_THE_SENTENCE: [&str; 4] = ["server", "endpoint", "outcome", "status"];

impl<'w> FormatFields<'w> for Sentences {
    fn format_fields<R: RecordFields>(&self, writer: Writer<'w>, fields: R) -> fmt::Result {
        let mut sentence = Sentence { writer, is_said: false, is_first: true, result: Ok(()) };
        fields.record(&mut sentence);
        sentence.result
    }
}

struct Sentence<'w> {
    writer: Writer<'w>,
    /// Whether there is a sentence of more than one word.
    is_said: bool,
    is_first: bool,
    result: fmt::Result,
}

impl Visit for Sentence<'_> {
    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        if self.is_said && IN_THE_SENTENCE.contains(&field.name()) {
            return;
        }
        let space = if std::mem::take(&mut self.is_first) { "" } else { " " };
        let written = if field.name() == "message" {
            let message = format!("{value:?}");
            self.is_said = message.contains(' ');
            write!(self.writer, "{space}{message}")
        } else {
            write!(self.writer, "{space}{}={value:?}", field.name())
        };
        self.result = self.result.and(written);
    }

    fn record_str(&mut self, field: &Field, value: &str) {
        match field.name() {
            "message" => self.record_debug(field, &format_args!("{value}")),
            _ if value.contains([' ', '"', '=']) => self.record_debug(field, &value),
            _ => self.record_debug(field, &format_args!("{value}")),
        }
    }
}

/// Waits until all lines are written, at most a quarter of a second.
pub fn flush() {
    if let Some(queue) = log_queue::installed() {
        queue.flush(FLUSH_TIMEOUT);
    }
}

/// Writes a line unchanged to standard error, in order with the log.
pub fn print(line: &str) {
    match log_queue::installed() {
        Some(queue) => queue.push(format!("{line}\n").as_bytes()),
        // If even this fails, only the exit status can report it.
        None => {
            let _ = io::Write::write_all(&mut io::stderr().lock(), format!("{line}\n").as_bytes());
        }
    }
}
