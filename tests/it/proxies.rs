//! A forward proxy: hosts that only it can reach are read through it, on every host of a
//! site.

use std::collections::BTreeMap;
use std::net::SocketAddr;

use fedimeter::simulator::{Settings, Simulator};
use serde_json::{Value, json};

use crate::support::forward::Forward;
use crate::support::otlp_sink::{GrpcSink, Options};
use crate::support::pki::Pki;
use crate::support::program::{Serving, run};

async fn simulator() -> Simulator {
    let settings = Settings { versions: vec!["4.6.4".to_owned()], ..Settings::default() };
    Simulator::start(settings, ([127, 0, 0, 1], 0).into()).await.unwrap()
}

/// The output of `once` for a target, with this environment.
fn once(config: &str, env: &[(&str, &str)]) -> (Value, String) {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("config.yaml");
    std::fs::write(&file, config).unwrap();
    let ran = run(&["once", "--format", "json", "--config", file.to_str().unwrap()], env);
    let printed: Value = serde_json::from_str(&ran.out).unwrap_or_else(|e| panic!("{e}: {ran:?}"));
    (printed.as_array().map_or(&printed["targets"][0], |all| &all[0]).clone(), ran.err)
}

fn outcome<'a>(target: &'a Value, endpoint: &str) -> &'a str {
    let endpoints = target["endpoints"].as_array().unwrap();
    let of = |e: &&Value| e["name"] == endpoint || e["endpoint"] == endpoint;
    endpoints.iter().find(of).and_then(|e| e["outcome"].as_str()).unwrap_or("none")
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn names_that_only_the_proxy_knows_are_read_through_it() {
    let simulator = simulator().await;
    // NodeInfo is on another host of the same site.
    let links = json!({"links": [{
        "rel": "http://nodeinfo.diaspora.software/ns/schema/2.0",
        "href": "http://www2.example.com/nodeinfo/2.0",
    }]});
    simulator.set_json(0, "/.well-known/nodeinfo", links.to_string());
    let hosts = ["www1.example.com", "www2.example.com"];
    let known = hosts.iter().map(|host| ((*host).to_owned(), simulator.addr())).collect();
    let proxy = Forward::start(known).await;
    let (target, log) = once("targets: [http://www1.example.com]\n", &[("HTTP_PROXY", &proxy.url)]);
    assert_eq!(target["up"], json!(true), "{target:#}\n{log}");
    for endpoint in ["instance_v2", "instance_v1", "nodeinfo_discovery", "nodeinfo", "activity"] {
        assert_eq!(outcome(&target, endpoint), "ok", "{endpoint}: {target:#}");
    }
    assert!(hosts.iter().all(|host| proxy.asked().iter().any(|asked| asked == host)), "{:?}", proxy.asked());
}

/// The streaming server may have its own host.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_streaming_server_is_asked_through_the_proxy() {
    let simulator = simulator().await;
    let streaming = json!({"configuration": {"urls": {"streaming": "ws://streaming.example.com"}}});
    simulator.set_json(0, "/api/v2/instance", streaming.to_string());
    let (web, streaming) = ("www.example.com", "streaming.example.com");
    for (hosts, up) in [(vec![web, streaming], 1), (vec![web], 0)] {
        let known = hosts.iter().map(|host| ((*host).to_owned(), simulator.addr())).collect();
        let proxy = Forward::start(known).await;
        let config = "targets: [{url: http://www.example.com, collect: [health]}]\n";
        let (target, log) = once(config, &[("HTTP_PROXY", &proxy.url)]);
        let metrics = target["metrics"].as_array().unwrap();
        let of = |name: &str| metrics.iter().find(|metric| metric["name"] == name).map(|m| &m["value"]);
        assert_eq!(of("mastodon.instance.web.up"), Some(&json!(1)), "{target:#}\n{log}");
        // The proxy's 502 counts as the answer of the streaming server, which is down.
        assert_eq!(of("mastodon.instance.streaming.up"), Some(&json!(up)), "{target:#}\n{log}");
        assert!(proxy.asked().iter().any(|asked| asked == streaming), "{:?}", proxy.asked());
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_proxy_is_asked_for_no_special_address_that_an_answer_names() {
    let simulator = simulator().await;
    let proxy = Forward::start(BTreeMap::new()).await;
    for href in ["http://art.localhost:9/nodeinfo/2.0", "http://127.0.0.9/nodeinfo/2.0"] {
        let links =
            json!({"links": [{"rel": "http://nodeinfo.diaspora.software/ns/schema/2.0", "href": href}]});
        simulator.set_json(0, "/.well-known/nodeinfo", links.to_string());
        let config = format!("targets: [http://{}]\n", simulator.addr());
        let env = [("HTTP_PROXY", &*proxy.url), ("NO_PROXY", "127.0.0.1")];
        let (target, log) = once(&config, &env);
        assert_eq!(target["up"], json!(true), "{target:#}\n{log}");
        assert!(
            ["blocked_address", "redirect"].contains(&outcome(&target, "nodeinfo_discovery")),
            "{target:#}"
        );
    }
    assert_eq!(proxy.asked(), [""; 0]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn https_goes_through_a_tunnel() {
    let pki = Pki::new();
    let simulator = simulator().await;
    let (port, _) = super::http2::serve(&pki, format!("http://{}", simulator.addr()), "h2").await;
    let address = SocketAddr::from(([127, 0, 0, 1], port));
    let proxy = Forward::start(BTreeMap::from([("127.0.0.1:443".to_owned(), address)])).await;
    let env = [("HTTPS_PROXY", &*proxy.url), ("SSL_CERT_FILE", pki.ca.to_str().unwrap())];
    let (target, log) = once("targets: [https://127.0.0.1]\n", &env);
    assert_eq!(target["up"], json!(true), "{target:#}\n{log}");
    assert!(proxy.asked().iter().all(|asked| asked == "127.0.0.1:443"), "{:?}", proxy.asked());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_proxy_exempts_every_host_or_what_it_names() {
    let simulator = simulator().await;
    let proxy = Forward::start(BTreeMap::new()).await;
    let config = format!("targets: [http://{}]\n", simulator.addr());
    for (no_proxy, up) in [("*", true), ("127.0.0.1", true), ("127.0.0.0/8", true), ("example", false)] {
        let (target, log) = once(&config, &[("HTTP_PROXY", &proxy.url), ("NO_PROXY", no_proxy)]);
        assert_eq!(target["up"], json!(up), "{no_proxy}: {target:#}\n{log}");
    }
    let (_, log) = once(&config, &[("HTTP_PROXY", &proxy.url), ("NO_PROXY", "127.0.0.1:8080,*")]);
    assert!(log.contains("NO_PROXY: `127.0.0.1:8080` names no host"), "{log}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_proxy_that_is_away_is_named() {
    let config = "targets: [http://social.example, https://social.example]\n";
    let env = [("ALL_PROXY", "http://user:hush@127.0.0.1:9"), ("FEDIMETER_LOG_LEVEL", "info")];
    let (target, log) = once(config, &env);
    assert_eq!((&target["up"], outcome(&target, "instance_v2")), (&json!(false), "connect"));
    assert!(log.contains("through the proxy http://127.0.0.1:9: "), "{log}");
    assert!(!log.contains("hush") && !target.to_string().contains("hush"), "{log}");
}

/// gRPC needs HTTP/2 end to end, so it uses a tunnel, with and without TLS.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn grpc_goes_through_a_tunnel() {
    let pki = Pki::new();
    let tls = Options { tls: Some(pki.server.clone()), ..Options::default() };
    for (endpoint, options) in [("http://receiver.example", Options::default()), ("https://localhost", tls)] {
        let sink = GrpcSink::start_with(options).await;
        let port = if endpoint.starts_with("https") { 443 } else { 80 };
        let (_, host) = endpoint.split_once("://").unwrap();
        let address = sink.endpoint().rsplit_once('/').unwrap().1.parse().unwrap();
        let known = BTreeMap::from([(format!("{host}:{port}"), address)]);
        let proxy = Forward::with(known, Some("proxy-authorization: Basic bWU6aHVzaA==\r\n")).await;
        let url = |user: &str| proxy.url.replace("://", &format!("://{user}"));
        let bridge = |proxy: &str| {
            let env = [
                ("ALL_PROXY", proxy),
                ("NO_PROXY", "127.0.0.1"),
                ("OTEL_EXPORTER_OTLP_ENDPOINT", endpoint),
                ("OTEL_EXPORTER_OTLP_PROTOCOL", "grpc"),
                ("OTEL_EXPORTER_OTLP_CERTIFICATE", pki.ca.to_str().unwrap()),
            ];
            Serving::start(&["serve", "--listen", "none", "http://127.0.0.1:1"], &env)
        };

        let stranger = bridge(&proxy.url);
        let failed = stranger.line(|line| line.contains("cannot push metrics").then(|| line.to_owned()));
        assert!(failed.contains(&format!("no connection through the proxy {}: ", proxy.url)), "{failed}");
        assert!(failed.contains("give the proxy's name and password in its URL"), "{failed}");
        drop(stranger);

        let bridge = bridge(&url("me:hush@"));
        sink.wait_for(1).await;
        assert!(!bridge.log().contains("hush"), "{}", bridge.log());
        assert!(bridge.log().contains(&format!("through the proxy {} every", proxy.url)), "{}", bridge.log());
        assert!(proxy.asked().iter().all(|asked| *asked == format!("{host}:{port}")), "{:?}", proxy.asked());
    }
}
