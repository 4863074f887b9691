//! Simulated Mastodon servers, for demos, tests and load runs of programs that
//! read Mastodon's API.
//!
//! One listener serves any number of instances over plain HTTP/1.1 and HTTP/2.
//! The `Host` header selects the instance: `art.localhost`,
//! `science.localhost`, …, `i00042.localhost`. Instances run the versions 4.6,
//! 4.2, 3.4 and 2.4 in turn, and answer with the JSON, headers and status codes
//! of their version. Every number follows from a seed and the clock, so equal
//! settings give equal answers. A [`Fault`] makes an instance fail: by status,
//! by delay, by broken JSON, by a closed connection.
//!
//! ```
//! use fedimeter_simulator::{Clock, Fault, Settings, Simulator};
//!
//! # #[tokio::main]
//! # async fn main() -> std::io::Result<()> {
//! let settings = Settings {
//!     instances: 2,
//!     clock: Clock::Fixed(1_785_592_262), // 2026-08-01T13:51:02Z
//!     versions: vec!["4.6.4".to_owned()],
//!     ..Settings::default()
//! };
//! // Port 0 takes a free port.
//! let simulator = Simulator::start(settings, ([127, 0, 0, 1], 0).into()).await?;
//! let port = simulator.addr().port();
//! assert_eq!(simulator.url(1), format!("http://science.localhost:{port}"));
//!
//! // What `http://art.localhost:PORT/api/v1/instance` says.
//! let mut truth = simulator.truth(0);
//! assert_eq!(truth.version, "4.6.4");
//! assert!(truth.users > 10_000);
//!
//! // A test can make an instance say something else, or fail.
//! truth.users = 7;
//! simulator.set_truth(0, Some(truth));
//! simulator.set_fault(1, "/api/*", Some(Fault::Status(503)));
//!
//! simulator.shutdown().await;
//! # Ok(())
//! # }
//! ```
//!
//! Start with [`Simulator`] and its [`Settings`]. [`Truth`] and [`AdminTruth`] are what
//! an instance answers, [`Switches`] its administrator's settings, [`TokenSpec`] an
//! access token, and [`Fault`] a way to fail.
//!
//! # Reading order of the source
//!
//! A module uses the modules above it in this table, never those below it.
//!
//! | Module | Contents |
//! |---|---|
//! | `dates`, `clock`, `version` | days and instants as text, the time, what a version can do |
//! | `truth` | seed, version and time → what an instance says, as plain data |
//! | `tokens`, `faults`, `settings` | access tokens, kinds of faults, the simulator's settings |
//! | `texts`, `reply` | a response before and after it is serialised |
//! | `state` | the running instances: changes by tests, and requests |
//! | `limits` | rate limits |
//! | `call` | a request as an endpoint sees it |
//! | `endpoints` | truth → JSON of each version, one file for each family |
//! | `routes` | the table of endpoints |
//! | `broken` | the effects of faults |
//! | `server` | the steps of a request through all of these |
//! | `simulator` | the public interface |

mod broken;
mod call;
mod clock;
mod dates;
mod endpoints;
mod faults;
mod limits;
mod reply;
mod routes;
mod server;
mod settings;
mod simulator;
mod state;
#[cfg(test)]
mod tests;
mod texts;
mod tokens;
mod truth;
mod version;

pub use clock::Clock;
pub use faults::{Fault, FaultRule, MAX_BODY, ParseFaultError};
pub use settings::Settings;
pub use simulator::Simulator;
pub use state::Request;
pub use tokens::{TokenSpec, permission};
pub use truth::Truth;
pub use truth::accounts::Account;
pub use truth::activity::ActivityRow;
pub use truth::admin::{AdminTruth, Day, IpBlocks, PRIVATE, Trending};
pub use truth::community::Tag;
pub use truth::domains::DomainBlocks;
pub use truth::reports::Report;
pub use truth::switches::{ShowDomainBlocks, Switches};
