//! Tests through the public API and the real binary, as one program: each file
//! that Cargo finds beside this folder would be linked on its own.

#[path = "../support/mod.rs"]
mod support;

mod absence;
mod any_order;
mod architecture;
mod caches;
mod cli;
mod cli_healthcheck;
mod cli_output;
mod clients;
mod config;
mod connections;
mod dashboards;
mod descriptors;
mod docs;
mod environment;
mod exposition;
mod fleet;
mod health;
mod hostile;
mod http2;
mod hung;
mod identity;
mod log;
mod matrix;
mod on_request;
mod on_request_matrix;
mod on_request_properties;
mod otlp;
mod own;
mod pages;
mod pages_served;
mod parameters;
mod politeness;
mod properties;
mod proxies;
mod push;
mod push_log;
mod readme;
mod refresh;
mod registry;
mod restarts;
mod scrapes;
mod series;
mod serve;
mod servers;
mod settings;
mod signals;
mod sources_of_rows;
mod telemetry;
mod token_files;
mod uncounted;
mod versions;
mod words;
