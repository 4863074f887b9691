//! The program: arguments, logging, exit statuses.

use std::io::{IsTerminal, Write};
use std::process::ExitCode;
use std::sync::Arc;

use fedimeter::bridge::{Bridge, Exporters};
use fedimeter::cli::{
    CatalogueFormat, Cli, Command, HealthcheckArgs, MetricsArgs, OnceArgs, OnceFormat, ServeArgs,
};
use fedimeter::clock::Clock;
use fedimeter::config::otel::{OtelEnv, Warning};
use fedimeter::config::{Config, effective_yaml};
use fedimeter::export::exposition::Format;
use fedimeter::healthcheck::{self, Place};
use fedimeter::{catalogue, cli, listing, logging, serve};

/// Wrong usage or configuration.
const USAGE: u8 = 2;

fn main() -> ExitCode {
    let Cli { command } = match cli::parse(std::env::args_os()) {
        Ok(cli) => cli,
        Err(e) => e.exit(),
    };
    if let Some(name) = unreadable() {
        return complain(USAGE, &format!("{name}: its value is not UTF-8; write it anew, or unset it"));
    }
    // Two workers at least: a single one that waits for itself never ends.
    let workers = std::thread::available_parallelism().map_or(2, usize::from).clamp(2, 8);
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(workers).enable_all().build();
    let runtime = match runtime {
        Ok(runtime) => runtime,
        Err(e) => return complain(1, &format!("no threads can be started: {e}")),
    };
    let status = runtime.block_on(run(command));
    // Lookups of names that hang on a thread of their own are not waited for.
    runtime.shutdown_background();
    status
}

async fn run(command: Command) -> ExitCode {
    let result = match command {
        Command::Serve(args) => run_serve(&args).await,
        Command::Once(args) => once(&args).await,
        Command::Check(args) => check(&args),
        Command::Healthcheck(args) => healthcheck(&args).await,
        Command::Metrics(args) => metrics(&args),
        #[cfg(feature = "simulator")]
        Command::Demo(args) => simulated::demo(args).await,
        #[cfg(feature = "simulator")]
        Command::Simulate(args) => simulated::simulate(args).await,
    };
    result.unwrap_or_else(|(status, message)| complain(status, &message))
}

/// An exit status, and the message that goes with it.
type Complaint = (u8, String);

fn complain(status: u8, message: &str) -> ExitCode {
    let mut err = std::io::stderr().lock();
    for line in message.lines() {
        // Where even this cannot be written, the exit status has to tell.
        let _ = writeln!(err, "fedimeter: {line}");
    }
    ExitCode::from(status)
}

fn env(name: &str) -> Option<String> {
    std::env::var(name).ok()
}

/// A variable of ours that cannot be read, which would otherwise be ignored as
/// if it were not set.
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

fn otel_env() -> Result<(OtelEnv, Vec<Warning>), Complaint> {
    OtelEnv::read(&env)
        .map_err(|errors| (USAGE, errors.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n")))
}

/// Reads OTEL_* and begins logging.
fn otel(config: &Config) -> Result<OtelEnv, Complaint> {
    let (otel, warnings) = otel_env()?;
    logging::start(&config.log);
    for warning in &config.warnings {
        tracing::warn!("{warning}");
    }
    for warning in warnings {
        tracing::warn!("{}: {}", warning.variable, warning.message);
    }
    Ok(otel)
}

async fn run_serve(args: &ServeArgs) -> Result<ExitCode, Complaint> {
    let config = args.load(&env).map_err(wrong)?;
    let otel = otel(&config)?;
    let targets = config.targets.len();
    let ready = |addresses: &[std::net::SocketAddr]| {
        for address in addresses {
            let targets = if targets == 1 { "1 target".to_owned() } else { format!("{targets} targets") };
            tracing::info!("{targets} on http://{address}/metrics");
        }
    };
    serve::serve(config, otel, serve::signal(), ready).await.map_err(wrong)?;
    Ok(ExitCode::SUCCESS)
}

async fn once(args: &OnceArgs) -> Result<ExitCode, Complaint> {
    let config = args.common.load(&env).map_err(wrong)?;
    let otel = otel(&config)?;
    let pull = matches!(args.format, OnceFormat::Prometheus | OnceFormat::Openmetrics);
    let exporters = Exporters { pull, push: None };
    let resource = serve::resource(&config, &otel);
    let bridge = Bridge::new(&config, &resource, exporters, Clock::default()).map_err(wrong)?;
    let bridge = Arc::new(bridge);
    let view = bridge.refresher().refresh(config.deadline).await;
    let all_up = view.readings().all(|reading| reading.up() == Some(true));
    let printed = match args.format {
        OnceFormat::Table => {
            let colour = std::io::stdout().is_terminal() && std::env::var_os("NO_COLOR").is_none();
            listing::table(&view, listing::Paint(colour)).into_bytes()
        }
        OnceFormat::Json => format!("{:#}\n", listing::json(&view)).into_bytes(),
        OnceFormat::Prometheus => {
            bridge.expose(view, Format::Text004).await.map_err(|e| (1, e.to_string()))?
        }
        OnceFormat::Openmetrics => {
            bridge.expose(view, Format::OpenMetrics100).await.map_err(|e| (1, e.to_string()))?
        }
    };
    print(&printed)?;
    Ok(if all_up { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

fn check(args: &ServeArgs) -> Result<ExitCode, Complaint> {
    let config = args.load(&env).map_err(wrong)?;
    let otel = otel(&config)?;
    if !otel.disabled {
        serve::prepare(&mut config.clone(), &otel).map_err(wrong)?;
    }
    print(effective_yaml(&config).as_bytes())?;
    Ok(ExitCode::SUCCESS)
}

async fn healthcheck(args: &HealthcheckArgs) -> Result<ExitCode, Complaint> {
    let places = if let Some(url) = &args.url {
        vec![Place::below(url)]
    } else {
        let listen = args.listen(&env).map_err(wrong)?;
        healthcheck::places(&listen, &otel_env()?.0).map_err(wrong)?
    };
    healthcheck::ask(&places, args.timeout).await.map_err(|e| (1, e.to_string()))?;
    print(b"fedimeter is healthy\n")?;
    Ok(ExitCode::SUCCESS)
}

fn metrics(args: &MetricsArgs) -> Result<ExitCode, Complaint> {
    let printed = match args.format {
        CatalogueFormat::Table => catalogue::table(),
        CatalogueFormat::Markdown => catalogue::markdown(),
        CatalogueFormat::Json => format!("{:#}\n", catalogue::json()),
    };
    print(printed.as_bytes())?;
    Ok(ExitCode::SUCCESS)
}

/// Prints to standard output. A reader that has seen enough is no failure;
/// a full disk is.
fn print(bytes: &[u8]) -> Result<(), Complaint> {
    let mut out = std::io::stdout().lock();
    match out.write_all(bytes).and_then(|()| out.flush()) {
        Err(e) if e.kind() != std::io::ErrorKind::BrokenPipe => {
            Err((1, format!("cannot write to standard output: {e}")))
        }
        _ => Ok(()),
    }
}

#[cfg(feature = "simulator")]
mod simulated {
    //! Commands that need no server.

    use std::process::ExitCode;

    use fedimeter::cli::{CommonArgs, DemoArgs, ServeArgs, SimulateArgs};
    use fedimeter::config::{Log, LogFilter};
    use fedimeter::endpoint::{Endpoint, On};
    use fedimeter::simulator::{FaultRule, Settings, Simulator};
    use fedimeter::target::{AccountRef, Target, Token};
    use fedimeter::{logging, serve};

    use super::{Complaint, USAGE, env, otel, print, wrong};

    /// Instances of the demo: one of each age, one with an endpoint that fails,
    /// and one that fails whole now and then.
    const DEMO_INSTANCES: usize = 6;
    const DEMO_PORT: u16 = 9465;
    const DEMO_FAULTS: [&str; 2] =
        ["i=4,path=/api/v1/instance/activity,kind=status:500", "i=5,path=*,kind=status:503,every=5m,for=90s"];

    /// The administrator's token of every simulated instance.
    const DEMO_TOKEN: &str = "demo";

    /// How many generations of servers are simulated in turn, the two newest
    /// first.
    const GENERATIONS: usize = 4;

    /// All that can be asked of a target, so that there is something to see in
    /// every panel of the dashboards.
    fn everything(target: &mut Target) {
        target.token = Some(Token::new(DEMO_TOKEN));
        target.accounts = ["admin", "news"].map(|name| AccountRef::Acct(name.into())).to_vec();
        target.tags = ["introductions", "photography"].map(Into::into).to_vec();
        let collect: Vec<Endpoint> =
            Endpoint::ALL.iter().copied().filter(|endpoint| endpoint.on() == On::OptIn).collect();
        target.select_endpoints(&collect);
    }

    pub async fn demo(args: DemoArgs) -> Result<ExitCode, Complaint> {
        let faults: Result<_, _> = DEMO_FAULTS.iter().map(|fault| fault.parse().map_err(wrong)).collect();
        let settings = Settings {
            instances: DEMO_INSTANCES,
            // So that numbers are seen to move.
            cache_headers: false,
            token: Some(DEMO_TOKEN.to_owned()),
            faults: faults?,
            ..Settings::default()
        };
        // A port of its own, so that series go on after a restart; any other
        // where that is taken.
        let simulator = match Simulator::start(settings.clone(), ([127, 0, 0, 1], DEMO_PORT).into()).await {
            Ok(simulator) => Ok(simulator),
            Err(_) => Simulator::start(settings, ([127, 0, 0, 1], 0).into()).await,
        };
        let simulator =
            simulator.map_err(|e| (1, format!("the simulator cannot listen on 127.0.0.1: {e}")))?;
        let common = CommonArgs { targets: simulator.urls(), log: args.log, ..CommonArgs::default() };
        let mut config = ServeArgs { common, pull: args.pull }.load(&env).map_err(wrong)?;
        // Older servers would only say of most that they do not have it.
        config.targets.chunks_mut(GENERATIONS).flat_map(|ages| ages.iter_mut().take(2)).for_each(everything);
        let otel = otel(&config)?;
        let ready = |addresses: &[std::net::SocketAddr]| {
            let places = addresses.iter().flat_map(|address| {
                [
                    format!("  http://{address}/          the targets and how they fare\n"),
                    format!("  http://{address}/metrics   what Prometheus sees\n"),
                ]
            });
            let places: String = places.collect();
            let look = if places.is_empty() { "" } else { " Look at" };
            let text = format!(
                "{DEMO_INSTANCES} simulated Mastodon instances.{look}\n{places}One instance fails for 90 seconds of \
                 every five minutes, another fails to tell its activity. Ctrl-C ends it.\n"
            );
            if let Err((_, message)) = print(text.as_bytes()) {
                tracing::warn!("{message}");
            }
        };
        serve::serve(config, otel, serve::signal(), ready).await.map_err(wrong)?;
        simulator.shutdown().await;
        Ok(ExitCode::SUCCESS)
    }

    pub async fn simulate(args: SimulateArgs) -> Result<ExitCode, Complaint> {
        let level = args.log.log_level.or_else(|| LogFilter::of_otel(&env)).unwrap_or_default();
        logging::start(&Log { level, format: args.log.log_format.unwrap_or_default() });
        let faults: Result<Vec<FaultRule>, _> = args.faults.iter().map(|spec| spec.parse()).collect();
        let faults = faults.map_err(|e| (USAGE, format!("--fault: {e}")))?;
        let settings =
            Settings { instances: args.instances.max(1), seed: args.seed, faults, ..Settings::default() };
        let simulator = Simulator::start(settings, args.listen).await.map_err(|e| {
            (USAGE, format!("cannot listen on {}: {e}; choose another address with --listen", args.listen))
        })?;
        let mut list = simulator.urls().join("\n");
        list.push('\n');
        print(list.as_bytes())?;
        tokio::select! {
            () = simulator.run() => {}
            () = serve::signal() => {}
        }
        Ok(ExitCode::SUCCESS)
    }
}
