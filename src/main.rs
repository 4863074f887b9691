//! The program: arguments, logging, exit statuses.

#[path = "main/files.rs"]
mod files;
#[cfg(feature = "simulator")]
#[path = "main/simulated.rs"]
mod simulated;

use std::io::{IsTerminal, Write};
use std::process::ExitCode;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use fedimeter::bridge::{Bridge, Exporters};
use fedimeter::cli::{
    CatalogueFormat, CheckArgs, Cli, Color, Command, HealthcheckArgs, MetricsArgs, OnceArgs, OnceFormat,
    ServeArgs, is_coloured, misspelt_variables,
};
use fedimeter::clock::Clock;
use fedimeter::config::otel::{OtelEnv, Warning};
use fedimeter::config::{
    Config, Flags, Loaded, Log, LogFilter, Place, Sources, Web, WebSettings, read_token_file,
};
use fedimeter::export::exposition::Format;
use fedimeter::export::telemetry::{BoxedLayer, Telemetry};
use fedimeter::healthcheck::{self, Access};
use fedimeter::reload::{self, Setup, Start};
use fedimeter::serve::{Listening, ServeError};
use fedimeter::server::socket::Inherited;
use fedimeter::target::Target;
use fedimeter::{catalogue, cli, exposure, fetch, listing, logging, runtime, serve};

/// Requests allocate much and free it on another thread, which the allocator of musl
/// does slowly, and that of glibc not fast.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// Wrong usage or configuration.
const USAGE: u8 = 2;
/// An address cannot be listened on.
const NOT_BOUND: u8 = 3;

/// How long sending the last logs and spans may take. All tasks of the bridge end
/// within 4.5 s before that, and everything within 5 s.
const TELEMETRY_FLUSH_TIMEOUT: Duration = Duration::from_millis(400);

/// The value of `--color`.
static COLOR: OnceLock<Color> = OnceLock::new();

/// The width of a terminal that does not report it.
const USUAL_WIDTH: usize = 80;

fn main() -> ExitCode {
    let Cli { command, output } = match cli::parse(std::env::args_os()) {
        Ok(cli) => cli,
        Err(e) => e.exit(),
    };
    COLOR.get_or_init(|| output.color);
    if let Some(name) = unreadable() {
        return complain(USAGE, &format!("{name}: its value is not UTF-8; set it again, or unset it"));
    }
    // This changes the environment, so it happens while there is only one thread.
    let inherited = match Inherited::take() {
        Ok(inherited) => inherited,
        Err(e) => return complain(USAGE, &e.to_string()),
    };
    let runtime = match runtime::build() {
        Ok(runtime) => runtime,
        Err(e) => return complain(1, &e.to_string()),
    };
    let status = runtime.block_on(run(command, inherited));
    logging::flush();
    // Look-ups that hang on their own threads are not awaited.
    runtime.shutdown_background();
    status
}

async fn run(command: Command, inherited: Inherited) -> ExitCode {
    let result = match command {
        Command::Serve(args) => run_serve(&args, inherited).await,
        Command::Once(args) => once(&args).await,
        Command::Check(args) => check(&args),
        Command::Healthcheck(args) => healthcheck(&args).await,
        Command::Init(args) => files::init(&args).await,
        Command::Metrics(args) => metrics(&args),
        Command::Schema => files::schema(),
        Command::Completions(args) => files::completions(&args),
        Command::Man(args) => files::man(&args),
        #[cfg(feature = "simulator")]
        Command::Demo(args) => simulated::demo(args, inherited).await,
        #[cfg(feature = "simulator")]
        Command::Simulate(args) => simulated::simulate(args).await,
    };
    result.unwrap_or_else(|(status, message)| complain(status, &message))
}

/// An exit status, and the message that goes with it.
type Complaint = (u8, String);

fn complain(status: u8, message: &str) -> ExitCode {
    for line in message.lines() {
        logging::print(&format!("fedimeter: {line}"));
    }
    ExitCode::from(status)
}

/// Whether the output is coloured.
fn coloured(output: &impl IsTerminal) -> bool {
    is_coloured(COLOR.get().copied().unwrap_or_default(), output.is_terminal())
}

fn env(name: &str) -> Option<String> {
    std::env::var(name).ok()
}

/// Returns a variable of ours that is not UTF-8, which would otherwise be ignored
/// silently.
fn unreadable() -> Option<String> {
    let (name, _) = std::env::vars_os().find(|(name, value)| {
        let name = name.to_string_lossy();
        let ours = ["OTEL_", "FEDIMETER_", "MASTODON_HOST"].iter().any(|ours| name.starts_with(ours));
        ours && value.to_str().is_none()
    })?;
    Some(name.to_string_lossy().into_owned())
}

fn wrong(error: impl std::fmt::Display) -> Complaint {
    (USAGE, error.to_string())
}

/// Chooses the exit status. An address that is in use may be free later, so only this
/// error justifies another start.
fn not_served(error: &ServeError) -> Complaint {
    match error {
        ServeError::Listen { .. } => (NOT_BOUND, error.to_string()),
        _ => wrong(error),
    }
}

fn otel_env() -> Result<(OtelEnv, Vec<Warning>), Complaint> {
    OtelEnv::read(&env)
        .map_err(|errors| (USAGE, errors.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n")))
}

/// Reads OTEL_* and starts logging.
fn otel(config: &Config) -> Result<OtelEnv, Complaint> {
    let (otel, warnings) = otel_env()?;
    start_logging(&config.log, Vec::new())?;
    warn(config, &otel, &warnings);
    Ok(otel)
}

/// The same, and starts exporting logs and traces if OTEL_* asks for it.
fn otel_with_telemetry(config: &Config) -> Result<(OtelEnv, Telemetry), Complaint> {
    let (otel, warnings) = otel_env()?;
    let resource = serve::resource(config, &otel);
    let telemetry = Telemetry::start(&otel.telemetry, &config.delivery, &resource, config.targets.len())
        .map_err(wrong)?;
    start_logging(&config.log, telemetry.layers(&config.log.level.directives()))?;
    warn(config, &otel, &warnings);
    for signal in otel.telemetry.exported() {
        let (what, to) = (signal.otlp.signal, &signal.otlp.endpoint);
        tracing::info!("sending {what} to {to} ({})", signal.otlp.protocol);
    }
    Ok((otel, telemetry))
}

/// Serves until a signal ends it, and sends the last logs and spans.
async fn serve_with(
    setup: Setup,
    otel: OtelEnv,
    telemetry: Telemetry,
    inherited: Inherited,
    ready: impl FnOnce(&Listening),
) -> Result<(), Complaint> {
    let flushed = telemetry.clone();
    let signal = serve::signal();
    let ended = async move {
        signal.await;
        // Flushing runs parallel to the other tasks, because little time remains after
        // them.
        flushed.flush();
    };
    let served = serve::serve(setup, otel, &telemetry, inherited, ended, ready).await;
    telemetry.end(TELEMETRY_FLUSH_TIMEOUT).await;
    served.map_err(|e| not_served(&e))
}

/// Logs the warnings about the configuration. Returns how many of its parts are
/// ignored.
fn warn(config: &Config, otel: &OtelEnv, warnings: &[Warning]) -> usize {
    let misspelt = misspelt_variables(std::env::vars_os());
    for warning in misspelt.iter().chain(&config.warnings).chain(&exposure::warnings(config, otel)) {
        tracing::warn!("{warning}");
    }
    for warning in warnings {
        tracing::warn!("{}: {}", warning.variable, warning.message);
    }
    misspelt.len() + config.warnings.len() + warnings.len() + fetch::warn_of_proxies()
}

fn start_logging(log: &Log, others: Vec<BoxedLayer>) -> Result<(), Complaint> {
    logging::start(log, coloured(&std::io::stderr()), others)
        .map_err(|e| (1, format!("the thread that writes the log cannot be started: {e}")))
}

async fn run_serve(args: &ServeArgs, inherited: Inherited) -> Result<ExitCode, Complaint> {
    let mut loaded = args.load_with_origins(&env).map_err(wrong)?;
    let listen = loaded.config.listen.clone();
    inherited.replace(&mut loaded.config.listen);
    let taken_over = Some(loaded.config.listen.clone()).filter(|taken| *taken != listen);
    let (otel, telemetry) = otel_with_telemetry(&loaded.config)?;
    let ready = |listening: &Listening| {
        let n = listening.targets;
        let targets = if n == 1 { "1 target".to_owned() } else { format!("{n} targets") };
        for page in listening.pages("/metrics") {
            tracing::info!("{targets} on {page}");
        }
    };
    let again = args.clone();
    let load: reload::Load = Box::new(move |text| {
        let mut loaded = again.load_again(text, &env)?;
        if let Some(taken) = &taken_over {
            loaded.config.listen.clone_from(taken);
        }
        Ok(loaded)
    });
    let setup = Setup { loaded, load: Some(load) };
    Box::pin(serve_with(setup, otel, telemetry, inherited, ready)).await?;
    Ok(ExitCode::SUCCESS)
}

async fn once(args: &OnceArgs) -> Result<ExitCode, Complaint> {
    let loaded = args.common.load_with_origins(&env).map_err(wrong)?;
    let mut config = without_servers_log(&loaded);
    let otel = otel(&config)?;
    if !config.discovery.urls.is_empty() {
        let setup = Setup { loaded, load: None };
        Start::of(setup, Clock::default().unix()).await.map_err(wrong)?.complete(&mut config);
    }
    if let Some(name) = &args.target {
        choose(&mut config, name).map_err(wrong)?;
    }
    for signal in otel.telemetry.exported() {
        let what = signal.otlp.signal;
        tracing::warn!("{}: without effect: once sends no {what} over OTLP", otel.exporter_of(what));
    }
    // Nobody connects to it.
    serve::keep_within_the_system(&mut config, 0);
    let exposition = match args.format {
        OnceFormat::Prometheus => Some(Format::Text004),
        OnceFormat::Openmetrics => Some(Format::OpenMetrics100),
        OnceFormat::Table | OnceFormat::Json => None,
    };
    let exporters = Exporters { pull: exposition.is_some(), push: None };
    let resource = serve::resource(&config, &otel);
    let bridge = Bridge::new(&config, &resource, exporters, Clock::default()).map_err(wrong)?;
    let bridge = Arc::new(bridge);
    // This is the only collection, so what has not ended by now has timed out.
    let view = Arc::new(bridge.collect_for_console().await.ended_by(config.deadline));
    let all_up = view.readings().all(|reading| !reading.snapshot.is_waiting && reading.up() != Some(false));
    let printed = if let Some(format) = exposition {
        bridge.expose(view, format).await.map_err(|e| (1, e.to_string()))?.text().into_owned()
    } else if args.format == OnceFormat::Json {
        format!("{:#}\n", listing::json(&view)).into_bytes()
    } else {
        listing::table(&view, layout()).into_bytes()
    };
    print(&printed)?;
    Ok(if all_up { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// Returns the layout of a table on standard output.
fn layout() -> listing::Layout {
    let out = std::io::stdout();
    let columns = || terminal_size::terminal_size_of(&out).map_or(USUAL_WIDTH, |(width, _)| width.0.into());
    listing::Layout { is_coloured: coloured(&out), width: out.is_terminal().then(columns) }
}

/// The output itself shows the state of the servers, so their log lines are suppressed.
/// Warnings about the configuration remain, and a configured level overrides this.
fn without_servers_log(loaded: &Loaded) -> Config {
    let mut config = loaded.config.clone();
    if loaded.bridge.of("log_level").is_empty() {
        config.log.level = LogFilter::without_servers();
    }
    config
}

/// Keeps only the target with this name or host.
fn choose(config: &mut Config, name: &str) -> Result<(), String> {
    let is_chosen = |target: &Target| &*target.name == name || target.address() == name;
    if !config.targets.iter().any(is_chosen) {
        return Err(format!("--target: no server {name:?} is configured; `fedimeter check` lists them"));
    }
    config.targets.retain(is_chosen);
    Ok(())
}

fn check(args: &CheckArgs) -> Result<ExitCode, Complaint> {
    let loaded = args.common.load_with_origins(&env).map_err(wrong)?;
    let (otel, warnings) = otel_env()?;
    // The configured level is for the bridge. Problems are shown here unless a flag
    // says otherwise.
    let is_flag = |place: &Place| place.path.starts_with('-');
    let level = loaded.config.log.level.clone();
    let level = if loaded.bridge.of("log_level").iter().any(is_flag) { level } else { LogFilter::default() };
    start_logging(&Log { level, ..loaded.config.log }, Vec::new())?;
    let ignored = warn(&loaded.config, &otel, &warnings);
    if args.strict && ignored > 0 {
        return Err(wrong(
            "--strict: correct or unset what the warnings above name as without effect or doubtful",
        ));
    }
    if !otel.disabled {
        serve::prepare(&mut loaded.config.clone(), &otel).map_err(wrong)?;
    }
    print((loaded.effective_yaml() + &otel.effective()).as_bytes())?;
    Ok(ExitCode::SUCCESS)
}

/// Returns what a client needs for a bridge with this web configuration.
fn access(web: &WebSettings) -> Result<Access, String> {
    let read = web.file.as_deref().map(Web::read).transpose().map_err(|e| e.to_string())?;
    let token = web.token_files.first().filter(|_| !web.open_health).map(|file| read_token_file(file));
    Ok(Access { certificate: read.and_then(|web| web.certificate), token: token.transpose()? })
}

async fn healthcheck(args: &HealthcheckArgs) -> Result<ExitCode, Complaint> {
    let places = if let Some(url) = &args.url {
        vec![healthcheck::Place::below(url)]
    } else {
        let config = args.bridge(&env).map_err(wrong)?;
        let access = access(&config.web).map_err(wrong)?;
        healthcheck::places(&config.listen, &access, &otel_env()?.0).map_err(wrong)?
    };
    healthcheck::ask(&places, args.timeout).await.map_err(|e| (1, e.to_string()))?;
    print(b"fedimeter is healthy\n")?;
    Ok(ExitCode::SUCCESS)
}

fn metrics(args: &MetricsArgs) -> Result<ExitCode, Complaint> {
    let file = args.config.as_deref();
    let sources = Sources { file, text: None, targets: &[], flags: Flags::default(), env: &env };
    let left = catalogue::without(&Config::load_left_out(&sources).map_err(wrong)?);
    let printed = match args.format {
        CatalogueFormat::Table => catalogue::table(&left),
        CatalogueFormat::Markdown => catalogue::markdown(&left),
        CatalogueFormat::Json => format!("{:#}\n", catalogue::json(&left)),
    };
    print(printed.as_bytes())?;
    Ok(ExitCode::SUCCESS)
}

/// Prints to standard output. A reader that closes early is not an error, but a full
/// disk is.
fn print(bytes: &[u8]) -> Result<(), Complaint> {
    logging::flush();
    let mut out = std::io::stdout().lock();
    match out.write_all(bytes).and_then(|()| out.flush()) {
        Err(e) if e.kind() != std::io::ErrorKind::BrokenPipe => {
            Err((1, format!("cannot write to standard output: {e}")))
        }
        _ => Ok(()),
    }
}
