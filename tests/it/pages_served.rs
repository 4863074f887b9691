//! The pages of the real program: addresses, methods, headers, and the state of exporters.

use crate::support::http;
use std::time::{Duration, Instant};

use crate::support::otlp_sink::{Answer, HttpSink};
use crate::support::program::{PATIENCE, Serving};
use fedimeter::server::page::{ICON, STYLE};
use fedimeter::simulator::{Fault, Settings, Simulator};
use reqwest::{Method, Response, StatusCode};

const POLICY: &str = "default-src 'none'; style-src 'self'; img-src 'self'; form-action 'self'; base-uri 'none'; \
                      frame-ancestors 'none'";

async fn simulator() -> Simulator {
    let settings = Settings { instances: 3, versions: vec!["4.6.4".to_owned()], ..Settings::default() };
    Simulator::start(settings, ([127, 0, 0, 1], 0).into()).await.unwrap()
}

async fn ask(method: Method, url: &str) -> Response {
    http::client().request(method, url).send().await.unwrap()
}

async fn text(url: &str) -> String {
    http::body(http::client().get(url)).await
}

/// The path of a target's page.
fn own(name: &str) -> String {
    format!("/target?name={}", name.replace(':', "%3A").replace('/', "%2F"))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn pages_have_addresses_methods_and_headers() {
    let simulator = simulator().await;
    let (a, b) = (simulator.url(0), simulator.url(1));
    let bridge = Serving::start(&["serve", "--listen", "127.0.0.1:0", &a, &b], &[]);
    let url = bridge.url();
    for path in ["/", "/?q=x&sort=%00&page=-1&%ff", &own(&a), "/target?name=nobody.example"] {
        let page = ask(Method::GET, &format!("{url}{path}")).await;
        let expected = if path.ends_with("nobody.example") { StatusCode::NOT_FOUND } else { StatusCode::OK };
        assert_eq!(page.status(), expected, "{path}");
        for (name, value) in [
            ("content-type", "text/html; charset=utf-8"),
            ("content-security-policy", POLICY),
            ("x-content-type-options", "nosniff"),
            ("referrer-policy", "no-referrer"),
            ("cache-control", "no-store"),
        ] {
            assert_eq!(page.headers()[name], value, "{path}: {name}");
        }
        let html = page.text().await.unwrap();
        // The policy allows one style sheet, and nothing inside the page.
        assert!(html.contains("<link rel=\"stylesheet\" href=\"style.css\">"), "{path}");
        for refused in ["<script", "<style", " style=\"", "http-equiv"] {
            assert!(!html.contains(refused), "{path} has {refused}");
        }
        let head = ask(Method::HEAD, &format!("{url}{path}")).await;
        assert_eq!(head.status(), expected, "{path}");
        assert_eq!(head.bytes().await.unwrap().len(), 0, "{path}");
        for method in [Method::POST, Method::PUT, Method::DELETE] {
            let refused = ask(method, &format!("{url}{path}")).await;
            assert_eq!(refused.status(), StatusCode::METHOD_NOT_ALLOWED, "{path}");
            assert_eq!(refused.headers()["allow"], "GET,HEAD", "{path}");
        }
    }
    for (path, content_type, body) in
        [("/style.css", "text/css; charset=utf-8", STYLE), ("/icon.svg", "image/svg+xml", ICON)]
    {
        let asset = ask(Method::GET, &format!("{url}{path}")).await;
        assert_eq!(asset.headers()["content-type"], content_type);
        assert_eq!(asset.headers()["x-content-type-options"], "nosniff");
        assert_eq!(asset.text().await.unwrap(), body);
    }
    for path in
        ["/target?name=%ff%fe", "/target?name=%00", "/target?name=../../etc/passwd", "/target", "/targets/"]
    {
        let status = ask(Method::GET, &format!("{url}{path}")).await.status();
        assert_eq!(status, StatusCode::NOT_FOUND, "{path}");
    }
    // Former addresses of pages, also with a name that a proxy decoded.
    for old in [format!("/targets/{}", a.replace(':', "%3A").replace('/', "%2F")), format!("/targets/{a}")] {
        assert!(text(&format!("{url}{old}")).await.contains("<h1><bdi>http://"), "{old}");
    }
    // A page reloads itself by default.
    for (path, refresh) in [("/", Some("15")), ("/?refresh=off", None), (&*(own(&a) + "&refresh=off"), None)]
    {
        let page = ask(Method::GET, &format!("{url}{path}")).await;
        assert_eq!(page.headers().get("refresh").map(|value| value.to_str().unwrap()), refresh, "{path}");
    }
    for (host, hint) in [("art.localhos", true), ("elsewhere", false)] {
        let html = ask(Method::GET, &format!("{url}{}", own(&a.replace("art.localhost", host)))).await;
        assert_eq!(html.status(), StatusCode::NOT_FOUND);
        assert_eq!(html.text().await.unwrap().contains("Did you mean"), hint, "{host}");
    }
    // The first collection sent one request, and no page sent any.
    assert_eq!(simulator.requests(0, "/api/v2/instance"), 1, "no page asks a server");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn pages_show_what_the_last_collection_saw() {
    let simulator = simulator().await;
    let [a, b, c] = [0, 1, 2].map(|i| simulator.url(i));
    simulator.set_fault(1, "*", Some(Fault::Status(503)));
    simulator.set_fault(2, "/api/*", Some(Fault::RateLimited(Duration::from_secs(1800))));
    let bridge = Serving::start(&["serve", "--listen", "127.0.0.1:0", &a, &b, &c], &[]);
    let url = bridge.url();
    let html = text(&url).await;
    assert!(html.contains("No exporter has collected yet") && html.contains("not scraped yet"));
    text(&format!("{url}/metrics")).await;
    let html = text(&url).await;
    assert!(html.contains("Last scraped <time") && html.contains(" of Prometheus text 0.0.4."));
    for tile in [
        "<b>2</b> <span>up</span>",
        "<b>1</b> <span>down</span>",
        "<b class=\"none\">0</b> <span>not asked yet</span>",
    ] {
        assert!(html.contains(tile), "{tile}");
    }
    let users = simulator.truth(0).users;
    let html = text(&format!("{url}{}", own(&a))).await;
    assert!(html.contains(&format!("<data value=\"{users}\">")), "users are {users}");
    assert!(html.contains("\">in 5"), "in fifty and some seconds it is asked again");
    assert!(!html.contains("rate limit is used up"));
    let html = text(&format!("{url}{}", own(&c))).await;
    assert!(html.contains("nothing below <code>/api</code> is requested for another 29 min."));
    assert!(html.contains("Absent: instance_v2 could not be read (rate_limited): "));
    let html = text(&format!("{url}{}", own(&b))).await;
    assert!(
        html.contains("HTTP 503 Service Unavailable")
            && html.contains("<span class=\"state down\">down</span>")
    );
    assert!(html.contains("Absent: instance_v2 could not be read (http_5xx): HTTP 503 Service Unavailable"));
}

/// Requests the page until it contains the text.
async fn says(url: &str, words: &[&str]) -> String {
    let began = Instant::now();
    loop {
        let html = text(url).await;
        if words.iter().all(|words| html.contains(words)) {
            return html;
        }
        assert!(began.elapsed() < PATIENCE, "{words:?}: {}", html.split("</section>").next().unwrap());
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

/// The demo collects without scrapes.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_demo_collects_by_itself_again_and_again() {
    let demo = Serving::start(&["demo", "--listen", "127.0.0.1:0"], &[]);
    let url = demo.url();
    let own = "when the bridge collected by itself.";
    let first = says(&url, &[own, "science.localhost", "class=\"state up\""]).await;
    let as_of = |html: &str| {
        let (_, rest) = html.split_once("As of <time datetime=\"").unwrap();
        rest.split('"').next().unwrap().to_owned()
    };
    let began = Instant::now();
    while as_of(&text(&url).await) == as_of(&first) {
        assert!(began.elapsed() < PATIENCE, "{first}");
        tokio::time::sleep(Duration::from_millis(200)).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn pages_tell_how_pushing_fares_and_no_secret() {
    let simulator = simulator().await;
    let sink = HttpSink::start().await;
    let endpoint = sink.endpoint().replace("http://", "http://me:hush-password@");
    let env = [
        ("OTEL_EXPORTER_OTLP_METRICS_ENDPOINT", &*format!("{endpoint}?key=hush-query")),
        ("OTEL_EXPORTER_OTLP_PROTOCOL", "http/protobuf"),
        ("OTEL_EXPORTER_OTLP_HEADERS", "x-api-key=hush-header"),
        ("OTEL_METRIC_EXPORT_INTERVAL", "300"),
        ("TOKEN", "hush-token"),
    ];
    let a = simulator.url(0);
    let arguments = ["serve", "--listen", "127.0.0.1:0", "--token-env", "TOKEN", &a];
    let bridge = Serving::start(&arguments, &env);
    let url = bridge.url();
    let well = says(&url, &["<span class=\"state up\">pushed</span>", " arrived, in ", "for OTLP"]).await;
    assert!(well.contains("?***</code> over http/protobuf."), "{well}");
    assert!(!well.contains("The failures began"));
    let refusal = b"key hush-header is not valid".to_vec();
    sink.answer_always(Answer::Http(401, vec![("content-type", "text/plain".to_owned())], refusal));
    let words = [
        "<span class=\"state down\">failing</span>",
        "HTTP status 401: key *** is not valid",
        "The failures began <time",
    ];
    let failing = says(&url, &words).await;
    let target = text(&format!("{url}{}", own(&a))).await;
    assert!(target.contains("<dt>Access token</dt><dd>given</dd>"));
    for html in [well, failing, target] {
        assert!(!html.contains("hush"), "{html}");
    }
}
