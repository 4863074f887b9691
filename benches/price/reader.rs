//! The bare clients: they read the documents that the bridge reads, and nothing more.

use std::io::{BufRead, BufReader, Write};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::time::Duration;

use crate::bridge::{Failure, cpu_of};
use crate::builder;
use crate::documents::Cost;

/// What a bridge asks a server for each minute.
const DOCUMENTS: [&str; 4] =
    ["/api/v2/instance", "/api/v1/instance", "/.well-known/nodeinfo", "/nodeinfo/2.0"];

/// What a client does with a document.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reads {
    /// It takes the bytes, as they come.
    Bytes,
    /// It unpacks them, and parses the JSON without keeping any of it: the least that
    /// whoever wants a number of it has to do.
    Json,
}

impl Reads {
    const ALL: [(&str, Reads); 2] = [("bytes", Reads::Bytes), ("json", Reads::Json)];

    fn name(self) -> &'static str {
        Reads::ALL.iter().find(|(_, reads)| *reads == self).map_or("", |(name, _)| name)
    }
}

/// A client as a process of its own.
pub struct Reader {
    child: Child,
    orders: ChildStdin,
    answers: BufReader<ChildStdout>,
}

impl Reader {
    /// Starts it, and waits until it is connected with all of these.
    pub fn start(reads: Reads, urls: &[String]) -> Result<Reader, Failure> {
        let mut child = Command::new(std::env::current_exe()?)
            .args(["read", reads.name(), &urls.join(",")])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()?;
        let orders = child.stdin.take().ok_or("no standard input")?;
        let answers = BufReader::new(child.stdout.take().ok_or("no standard output")?);
        let mut reader = Reader { child, orders, answers };
        reader.line()?;
        Ok(reader)
    }

    /// Reads all documents, the servers spread over this time.
    pub fn read(&mut self, over: Duration) -> Result<Cost, Failure> {
        self.begin(over)?;
        self.end()
    }

    /// Begins to read them.
    pub fn begin(&mut self, over: Duration) -> Result<(), Failure> {
        Ok(writeln!(self.orders, "{}", over.as_secs_f64())?)
    }

    /// Waits for the end.
    pub fn end(&mut self) -> Result<Cost, Failure> {
        let line = self.line()?;
        let (cpu, documents) = line.split_once(' ').ok_or("an odd answer of the client")?;
        Ok(Cost { cpu: cpu.parse()?, documents: documents.trim().parse()? })
    }

    fn line(&mut self) -> Result<String, Failure> {
        let mut line = String::new();
        // The servers are in this process, too, and must go on.
        tokio::task::block_in_place(|| self.answers.read_line(&mut line))?;
        if line.is_empty() { Err("the client ended".into()) } else { Ok(line) }
    }
}

impl Drop for Reader {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// The process itself: each line of standard input has the seconds over which the servers
/// are to be spread.
pub async fn run(reads: &str, bases: impl Iterator<Item = &str>) -> Result<(), Failure> {
    let reads = Reads::ALL.iter().find(|(name, _)| *name == reads).ok_or("an unknown client")?.1;
    let bases: Vec<&str> = bases.map(|base| base.trim_end_matches('/')).collect();
    // A bare client asks the system for names, which may not know those below localhost.
    let mut builder = builder(true)?
        .gzip(reads == Reads::Json)
        .tls_danger_accept_invalid_certs(true)
        .pool_idle_timeout(None);
    for base in &bases {
        let host = url::Url::parse(base)?.host_str().unwrap_or_default().to_owned();
        builder = builder.resolve(&host, ([127, 0, 0, 1], 0).into());
    }
    let client = builder.build()?;
    // Makes the connections, and leaves out what a version does not have. The handshakes are
    // over before the time that counts.
    let mut there = Vec::new();
    for base in &bases {
        let mut documents = Vec::new();
        for path in DOCUMENTS {
            let answer = client.get(format!("{base}{path}")).send().await?;
            if answer.status() == 200 {
                documents.push(answer.url().clone());
            }
            answer.bytes().await?;
        }
        there.push(documents);
    }
    println!("connected");
    let documents = there.iter().map(Vec::len).sum::<usize>();
    for line in std::io::stdin().lines() {
        let over = Duration::from_secs_f64(line?.parse()?);
        let before = cpu_of(std::process::id())?;
        // As the bridge does: all servers at the same time, or spread over an interval; and
        // of each one document at a time.
        let mut servers = tokio::task::JoinSet::new();
        for (place, documents) in there.iter().cloned().enumerate() {
            let (client, wait) = (client.clone(), over.mul_f64(place as f64 / there.len() as f64));
            servers.spawn(async move {
                tokio::time::sleep(wait).await;
                for document in documents {
                    let answer = client.get(document).send().await?.error_for_status()?;
                    let body = answer.bytes().await?;
                    if reads == Reads::Json {
                        std::hint::black_box(serde_json::from_slice::<serde::de::IgnoredAny>(&body)?);
                    }
                }
                Ok::<_, Box<dyn std::error::Error + Send + Sync>>(())
            });
        }
        servers.join_all().await.into_iter().collect::<Result<(), _>>().map_err(|e| e as Failure)?;
        println!("{} {documents}", cpu_of(std::process::id())? - before);
    }
    Ok(())
}
