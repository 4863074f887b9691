//! Commands that write files: a configuration, completions and manual pages.

use std::fs::File;
use std::io::{ErrorKind, Write};
use std::path::Path;
use std::process::ExitCode;

use fedimeter::cli::{CompletionsArgs, InitArgs, ManArgs, manual_page, write_manual_pages};
use fedimeter::clock::Clock;
use fedimeter::config::{self, Config};
use fedimeter::fetch::Client;
use fedimeter::refresh::Refresher;
use fedimeter::snapshot::View;
use fedimeter::{init, logging};

use super::{Complaint, USAGE, env, print, start_logging, without_servers_log, wrong};

/// The file name that means standard output.
const STANDARD_OUTPUT: &str = "-";

pub async fn init(args: &InitArgs) -> Result<ExitCode, Complaint> {
    let mut config = without_servers_log(&args.load_with_origins(&env).map_err(wrong)?);
    let is_file = args.output != Path::new(STANDARD_OUTPUT);
    if is_file && args.output.symlink_metadata().is_ok() {
        return Err(exists(&args.output));
    }
    start_logging(&config.log, Vec::new())?;
    config.targets.iter_mut().for_each(init::ask_for_all);
    let view = ask(&config).await?;
    let file = init::file(&view);
    let all_up = view.readings().all(|reading| reading.up() == Some(true));
    if is_file {
        write_new(&args.output, &file)?;
        report(&args.output, &view);
    } else {
        print(file.as_bytes())?;
    }
    Ok(if all_up { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

async fn ask(config: &Config) -> Result<View, Complaint> {
    let client = Client::new(config.http.clone()).map_err(wrong)?;
    let refresher = Refresher::new(config.targets.clone(), client, Clock::default());
    Ok(refresher.refresh(config.deadline).await.ended_by(config.deadline))
}

fn exists(path: &Path) -> Complaint {
    let path = path.display();
    (
        USAGE,
        format!(
            "{path} exists, and init does not overwrite files; name another with --output, or move it away"
        ),
    )
}

/// Writes a file that must not exist, without a race against other processes.
fn write_new(path: &Path, text: &str) -> Result<(), Complaint> {
    let written = File::create_new(path).and_then(|mut file| file.write_all(text.as_bytes()));
    written.map_err(|e| match e.kind() {
        ErrorKind::AlreadyExists => exists(path),
        _ => (1, format!("cannot write {}: {e}; name another file with --output", path.display())),
    })
}

/// Reports what was written, and the next step. Standard output is reserved for files.
fn report(path: &Path, view: &View) {
    let path = path.display();
    for reading in view.readings().filter(|reading| reading.up() != Some(true)) {
        let name = &reading.target.name;
        logging::print(&format!("{name} did not answer; {path} says why. Check its name."));
    }
    logging::print(&format!("wrote {path}; next: fedimeter check --config {path}"));
}

pub fn schema() -> Result<ExitCode, Complaint> {
    print(format!("{:#}\n", config::schema()).as_bytes())?;
    Ok(ExitCode::SUCCESS)
}

pub fn completions(args: &CompletionsArgs) -> Result<ExitCode, Complaint> {
    print(&args.script())?;
    Ok(ExitCode::SUCCESS)
}

pub fn man(args: &ManArgs) -> Result<ExitCode, Complaint> {
    if let Some(directory) = &args.directory {
        write_manual_pages(directory)
            .map_err(|e| (1, format!("cannot write manual pages to {}: {e}", directory.display())))?;
    } else {
        print(&manual_page().map_err(|e| (1, format!("cannot make the manual page: {e}")))?)?;
    }
    Ok(ExitCode::SUCCESS)
}
