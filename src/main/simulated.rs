//! Commands of the simulator.

use std::process::ExitCode;
use std::time::Duration;

use fedimeter::cli::{DemoArgs, SimulateArgs};
use fedimeter::config::{Config, Loaded};
use fedimeter::reload::Setup;
use fedimeter::serve::Listening;
use fedimeter::server::socket::Inherited;
use fedimeter::simulator::{FaultRule, Settings, Simulator};
use fedimeter::target::{AccountRef, Target, Token};
use fedimeter::{init, serve};

use super::{Complaint, NOT_BOUND, USAGE, env, otel_with_telemetry, print, serve_with, start_logging, wrong};

/// The number of simulated servers of the demo: one of each generation, one with a
/// failing endpoint, and one that fails completely now and then.
const DEMO_INSTANCES: usize = 6;
const DEMO_PORT: u16 = 9465;
const DEMO_FAULTS: [&str; 2] =
    ["i=4,path=/api/v1/instance/activity,kind=status:500", "i=5,path=*,kind=status:503,every=5m,for=90s"];

/// How often the demo collects by itself. Fresh facts are not requested again.
const DEMO_INTERVAL: Duration = Duration::from_secs(5);

/// The administrator token of every simulated server.
const DEMO_TOKEN: &str = "demo";

/// The number of server generations, which are simulated in turn, the two newest first.
const GENERATIONS: usize = 4;

/// Requests all endpoints of a target, so that every panel of the dashboards has data.
fn everything(target: &mut Target) {
    target.token = Some(Token::new(DEMO_TOKEN));
    target.accounts = ["admin", "news"].map(|name| AccountRef::Acct(name.into())).to_vec();
    target.tags = ["introductions", "photography"].map(Into::into).to_vec();
    init::ask_for_all(target);
}

pub async fn demo(args: DemoArgs, inherited: Inherited) -> Result<ExitCode, Complaint> {
    let faults: Result<_, _> = DEMO_FAULTS.iter().map(|fault| fault.parse().map_err(wrong)).collect();
    let settings = Settings {
        instances: DEMO_INSTANCES,
        // Without cache headers, numbers change visibly.
        cache_headers: false,
        token: Some(DEMO_TOKEN.to_owned()),
        faults: faults?,
        ..Settings::default()
    };
    // A fixed port, so that series continue after a restart. If it is in use, any
    // other.
    let simulator = match Simulator::start(settings.clone(), ([127, 0, 0, 1], DEMO_PORT).into()).await {
        Ok(simulator) => Ok(simulator),
        Err(_) => Simulator::start(settings, ([127, 0, 0, 1], 0).into()).await,
    };
    let simulator =
        simulator.map_err(|e| (NOT_BOUND, format!("the simulator cannot listen on 127.0.0.1: {e}")))?;
    let mut settings = args.settings;
    settings.targets = simulator.urls();
    let mut config = Config::load(&settings.sources(None, &env)).map_err(wrong)?;
    config.collect_every = Some(DEMO_INTERVAL);
    inherited.replace(&mut config.listen);
    // Older servers lack most of the endpoints.
    config.targets.chunks_mut(GENERATIONS).flat_map(|ages| ages.iter_mut().take(2)).for_each(everything);
    let (otel, telemetry) = otel_with_telemetry(&config)?;
    let ready = |listening: &Listening| {
        let places =
            listening.pages("/").into_iter().zip(listening.pages("/metrics")).map(|(all, metrics)| {
                format!("  {all}          the targets and their state\n  {metrics}   what Prometheus sees\n")
            });
        let places: String = places.collect();
        let look = if places.is_empty() { "" } else { " Look at" };
        let text = format!(
            "{DEMO_INSTANCES} simulated Mastodon instances.{look}\n{places}One instance fails for 90 \
             seconds of every five minutes, another fails to tell its activity. Ctrl-C ends it.\n"
        );
        if let Err((_, message)) = print(text.as_bytes()) {
            tracing::warn!("{message}");
        }
    };
    let setup = Setup { loaded: Loaded::of(config), load: None };
    Box::pin(serve_with(setup, otel, telemetry, inherited, ready)).await?;
    simulator.shutdown().await;
    Ok(ExitCode::SUCCESS)
}

pub async fn simulate(args: SimulateArgs) -> Result<ExitCode, Complaint> {
    let config = Config::load_bridge(&args.settings.sources(None, &env)).map_err(wrong)?;
    start_logging(&config.log, Vec::new())?;
    let faults: Result<Vec<FaultRule>, _> = args.faults.iter().map(|spec| spec.parse()).collect();
    let faults = faults.map_err(|e| (USAGE, format!("--fault: {e}")))?;
    let settings =
        Settings { instances: args.instances.max(1), seed: args.seed, faults, ..Settings::default() };
    let simulator = Simulator::start(settings, args.listen).await.map_err(|e| {
        (NOT_BOUND, format!("cannot listen on {}: {e}; choose another address with --listen", args.listen))
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
