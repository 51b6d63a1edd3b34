//! `bailee keyhouse …`: the key service that a tenant runs at home, and the keys of its approvers. Nothing here needs a house.

use std::io::{IsTerminal as _, Read as _, Write as _};
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;

use bailee_keyhouse::{
    Covers, GrantStatement, Keyhouse as Service, Tls, Trouble, bind, check_journal, first_config,
    new_approver, read_approver, read_journal,
};
use bailee_types::{Clock as _, SystemClock, Timestamp};
use clap::{Args, Subcommand};
use serde_json::json;
use tokio::signal::unix::{SignalKind, signal};

use super::on_runtime;
use super::root::Under;
use super::serve::logs;
use crate::config::{Common, LogFormat, Output};
use crate::output::{Stop, table};

/// Bytes of a statement that are read.
const STATEMENT_MAX: u64 = 64 * 1024;

/// A tenant's own key service (XKS): keys that a provider asks for and never has. Run it at home.
#[derive(Args)]
pub(crate) struct Keyhouse {
    /// The folder with its keys, rules and journal.
    #[arg(long, global = true, env = "BAILEE_KEYHOUSE", default_value = "keyhouse", value_name = "DIR")]
    dir: PathBuf,
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Make the folder: root key, rules (keyhouse.toml), a first key and a first credential.
    Init {
        /// The tenant's id at the provider, 16 digits.
        #[arg(long)]
        tenant: String,
        /// Where to listen.
        #[arg(long, default_value = "127.0.0.1:9443", value_name = "ADDR:PORT")]
        listen: String,
        /// What stands before /kms/xks/v1 in every path, e.g. `/acme`.
        #[arg(long, default_value = "")]
        prefix: String,
        /// The key of the tenant's log at the provider (console, Trail): with --approver, people of the provider can be let.
        #[arg(long, value_name = "VKEY")]
        log: Option<String>,
        /// The key of who approves (`bailee keyhouse approver`).
        #[arg(long, value_name = "VKEY")]
        approver: Option<String>,
        /// The first key's name.
        #[arg(long, default_value = "k1")]
        key: String,
    },
    /// Serve. keyhouse.toml, keys and credentials are read again when they change.
    Serve {
        /// The certificate with its chain, PEM.
        #[arg(long, value_name = "FILE", requires = "tls_key")]
        tls_cert: Option<PathBuf>,
        /// Its key, PEM.
        #[arg(long, value_name = "FILE", requires = "tls_cert")]
        tls_key: Option<PathBuf>,
        /// How its own output is written.
        #[arg(long, value_enum, default_value_t = LogFormat::Text)]
        log_format: LogFormat,
    },
    /// Keys.
    #[command(subcommand)]
    Key(KeyCommand),
    /// Credentials by which the provider signs its requests; two may be good at a time.
    #[command(subcommand)]
    Credential(CredentialCommand),
    /// Put the root key of this folder under something else. Stop the service before.
    Protect {
        #[command(subcommand)]
        under: Under,
    },
    /// Make an approver's key; keep it on his own machine.
    Approver {
        /// His name in signatures, e.g. `alice@acme`.
        #[arg(long)]
        name: String,
        /// The new file.
        #[arg(long, value_name = "FILE")]
        out: PathBuf,
    },
    /// Sign a grant's statement (console, Consent) with an approver's key; paste what is printed there.
    Approve {
        /// The approver's key.
        #[arg(long, value_name = "FILE")]
        key: PathBuf,
        /// The statement's file; without it, standard input.
        statement: Option<PathBuf>,
        /// Allow it for fewer minutes, from now.
        #[arg(long, value_parser = clap::value_parser!(u32).range(1..))]
        minutes: Option<u32>,
        /// Allow fewer reads.
        #[arg(long, value_parser = clap::value_parser!(u32).range(1..))]
        reads: Option<u32>,
        /// Do not ask.
        #[arg(long)]
        yes: bool,
    },
    /// Show the journal; every line is checked against the one before it. Exit code 3 when lines were changed or removed.
    Journal {
        /// Check only.
        #[arg(long)]
        check: bool,
    },
}

#[derive(Subcommand)]
enum KeyCommand {
    /// Make a key.
    Add {
        /// Its name: letters, digits, `-`, `.`, `_`.
        name: String,
        /// What for.
        #[arg(long, value_delimiter = ',', default_value = "ENCRYPT,DECRYPT", value_parser = ["ENCRYPT", "DECRYPT", "NONE"])]
        usage: Vec<String>,
    },
    /// List keys.
    List,
    /// Give a key a new version; the old ones go on to decrypt.
    Rotate {
        /// Its name.
        name: String,
    },
    /// Let a key do its work again.
    Enable {
        /// Its name.
        name: String,
    },
    /// Let a key do nothing, at once.
    Disable {
        /// Its name.
        name: String,
    },
}

#[derive(Subcommand)]
enum CredentialCommand {
    /// Make one; its secret is printed this once.
    Add,
    /// List ids.
    List,
    /// Forget one; requests that it signs are refused at once.
    Remove {
        /// Its id.
        id: String,
    },
}

impl From<Trouble> for Stop {
    fn from(e: Trouble) -> Self {
        let code =
            if matches!(e, Trouble::Journal(bailee_keyhouse::JournalError::Broken { .. })) { 3 } else { 1 };
        Self { code, text: e.to_string() }
    }
}

pub(crate) fn run(common: &Common, keyhouse: Keyhouse) -> Result<ExitCode, Stop> {
    let dir = keyhouse.dir;
    let now = SystemClock::default().now();
    let json_out = common.output == Output::Json;
    match keyhouse.command {
        Command::Init { tenant, listen, prefix, log, approver, key } => {
            if tenant.len() != 16 || !tenant.bytes().all(|b| b.is_ascii_digit()) {
                return Err(Stop::unable("--tenant is the account's id: 16 digits"));
            }
            let config = first_config(&listen, &prefix, &tenant, log.as_deref(), approver.as_deref());
            Service::init(&dir, &config)?;
            let store = Service::store(&dir, &common.unlock()?)?;
            store.add(&key, &["ENCRYPT", "DECRYPT"], now)?;
            let credential = store.add_credential(now)?;
            if json_out {
                println!(
                    "{}",
                    json!({ "dir": dir, "key": key, "credentialId": credential.id, "secret": credential.secret.expose() })
                );
            } else {
                println!("{} holds a keyhouse now, with the key `{key}`.", dir.display());
                println!("Give these to the provider (CreateKeyStore); the secret is not shown again:");
                println!("  credential  {}\n  secret      {}", credential.id, credential.secret.expose());
                println!("Who may do what stands in {}.", dir.join("keyhouse.toml").display());
            }
        }
        Command::Serve { tls_cert, tls_key, log_format } => {
            logs(log_format);
            let tls = tls_cert.zip(tls_key).map(|(c, k)| Tls::read(&c, &k)).transpose()?;
            let clock = Arc::new(SystemClock::default());
            let service = Arc::new(Service::open(&dir, &common.unlock()?, clock)?);
            serve(&service, tls)?;
        }
        Command::Key(command) => keys(common, &dir, command, now)?,
        Command::Credential(command) => credentials(common, &dir, command, now)?,
        Command::Protect { under } => {
            let unlock = common.unlock()?;
            let (protection, new) = under.chosen(&unlock)?;
            Service::protect(&dir, &unlock, &protection, &new)?;
            println!("the root key of {} lies {protection}", dir.display());
        }
        Command::Approver { name, out } => {
            let signer = new_approver(&out, &name)?;
            if json_out {
                println!("{}", json!({ "file": out, "vkey": signer.verifier().to_string() }));
            } else {
                println!("{}", signer.verifier());
            }
        }
        Command::Approve { key, statement, minutes, reads, yes } => {
            let signer = read_approver(&key)?;
            let statement = narrowed(&read_statement(statement)?, minutes, reads, now)?;
            confirm(&statement, yes)?;
            let signed = statement.sign(&signer).map_err(|e| Stop::unable(e.to_string()))?;
            print!("{signed}");
        }
        Command::Journal { check } => {
            let path = Service::journal_path(&dir);
            let found =
                if check { check_journal(&path) } else { read_journal(&path, |line| println!("{line}")) }
                    .map_err(Trouble::from)?;
            let cut = if found.cut > 0 {
                format!("; {} bytes of a cut line follow", found.cut)
            } else {
                String::new()
            };
            if check && json_out {
                println!("{}", json!({ "lines": found.lines, "cutBytes": found.cut }));
            } else {
                eprintln!("{} lines, each follows the one before it{cut}", found.lines);
            }
        }
    }
    Ok(ExitCode::SUCCESS)
}

fn serve(service: &Arc<Service>, tls: Option<Tls>) -> Result<(), Stop> {
    let listen = service.config()?.listen.clone();
    on_runtime(async move {
        let handler =
            |kind| signal(kind).map_err(|e| Stop::unable(format!("cannot listen for signals: {e}")));
        let (mut term, mut int) = (handler(SignalKind::terminate())?, handler(SignalKind::interrupt())?);
        let bound = bind(&listen, tls.is_some()).await?;
        let scheme = if tls.is_some() { "https" } else { "http" };
        println!("serving {scheme}://{}{}/kms/xks/v1", bound.address, service.config()?.prefix);
        let stop = async {
            tokio::select! {
                _ = term.recv() => {}
                _ = int.recv() => {}
            }
        };
        bound.serve(Arc::clone(service), tls, stop).await.map_err(|e| Stop::unable(e.to_string()))
    })
}

fn keys(common: &Common, dir: &std::path::Path, command: KeyCommand, now: Timestamp) -> Result<(), Stop> {
    let store = Service::store(dir, &common.unlock()?)?;
    match command {
        KeyCommand::Add { name, usage } => {
            let usage: Vec<&str> = usage.iter().map(String::as_str).filter(|u| *u != "NONE").collect();
            store.add(&name, &usage, now)?;
            println!("{name}");
        }
        KeyCommand::Rotate { name } => println!("{name} has {} versions", store.rotate(&name)?),
        KeyCommand::Enable { name } => store.enable(&name, true)?,
        KeyCommand::Disable { name } => store.enable(&name, false)?,
        KeyCommand::List => {
            let all = store.list()?;
            if common.output == Output::Json {
                for k in &all {
                    println!(
                        "{}",
                        json!({ "key": k.id, "usage": k.usage, "enabled": k.enabled, "versions": k.versions(), "made": k.made })
                    );
                }
            } else if all.is_empty() {
                println!("no key");
            } else {
                let rows: Vec<_> = all
                    .iter()
                    .map(|k| {
                        let state = if k.enabled { "enabled" } else { "disabled" };
                        vec![
                            k.id.clone(),
                            k.usage.join(","),
                            state.to_owned(),
                            k.versions().to_string(),
                            k.made.clone(),
                        ]
                    })
                    .collect();
                println!("{}", table(&["KEY", "USAGE", "STATE", "VERSIONS", "MADE"], &rows));
            }
        }
    }
    Ok(())
}

fn credentials(
    common: &Common,
    dir: &std::path::Path,
    command: CredentialCommand,
    now: Timestamp,
) -> Result<(), Stop> {
    let store = Service::store(dir, &common.unlock()?)?;
    match command {
        CredentialCommand::Add => {
            let made = store.add_credential(now)?;
            if common.output == Output::Json {
                println!("{}", json!({ "credentialId": made.id, "secret": made.secret.expose() }));
            } else {
                println!("credential  {}\nsecret      {}", made.id, made.secret.expose());
            }
        }
        CredentialCommand::Remove { id } => store.remove_credential(&id)?,
        CredentialCommand::List => {
            for (id, made) in store.credential_ids()? {
                if common.output == Output::Json {
                    println!("{}", json!({ "credentialId": id, "made": made }));
                } else {
                    println!("{id}  made {made}");
                }
            }
        }
    }
    Ok(())
}

fn read_statement(path: Option<PathBuf>) -> Result<GrantStatement, Stop> {
    let mut text = String::new();
    let read = match &path {
        Some(path) => std::fs::File::open(path).and_then(|f| f.take(STATEMENT_MAX).read_to_string(&mut text)),
        None => std::io::stdin().lock().take(STATEMENT_MAX).read_to_string(&mut text),
    };
    read.map_err(|e| Stop::unable(format!("the statement cannot be read: {e}")))?;
    // As a page's text may come.
    let text = format!("{}\n", text.replace("\r\n", "\n").trim_end());
    GrantStatement::parse(&text).map_err(|e| Stop::unable(format!("this is no statement to sign: {e}")))
}

fn narrowed(
    said: &GrantStatement,
    minutes: Option<u32>,
    reads: Option<u32>,
    now: Timestamp,
) -> Result<GrantStatement, Stop> {
    let mut out = said.clone();
    let now_ms = u64::try_from(now.ms()).unwrap_or(0);
    if out.until_ms <= now_ms {
        return Err(Stop::unable("the statement's time is over; take a new one from the console"));
    }
    if let Some(minutes) = minutes {
        out.until_ms = out.until_ms.min(now_ms.saturating_add(u64::from(minutes) * 60_000));
    }
    if let Some(reads) = reads {
        out.reads = out.reads.min(reads);
    }
    Ok(out)
}

fn confirm(s: &GrantStatement, yes: bool) -> Result<(), Stop> {
    let until = Timestamp::from_ms(i64::try_from(s.until_ms).unwrap_or(i64::MAX)).iso();
    let plain = |text: &str| text.chars().map(|c| if c.is_control() { ' ' } else { c }).collect::<String>();
    eprintln!("You sign that {}, from {},", s.operator, s.place);
    eprintln!("may do {} on {} {}", s.action, s.covers.word(), plain(s.covers.name()));
    if let Covers::Target { limits, .. } = &s.covers {
        eprintln!("within {}", plain(limits));
    }
    eprintln!("until {until}, {} times at most, because: {}", s.reads, plain(&s.reason));
    if yes {
        return Ok(());
    }
    // The statement may have come by standard input: the answer comes from the terminal.
    let no_terminal = || Stop::unable("there is no terminal to ask at: give --yes");
    let mut tty =
        std::fs::File::options().read(true).write(true).open("/dev/tty").map_err(|_| no_terminal())?;
    if !tty.is_terminal() {
        return Err(no_terminal());
    }
    write!(tty, "Sign? [y/N] ").map_err(|e| Stop::unable(e.to_string()))?;
    let mut answer = String::new();
    std::io::BufRead::read_line(&mut std::io::BufReader::new(tty), &mut answer)
        .map_err(|e| Stop::unable(e.to_string()))?;
    if matches!(answer.trim(), "y" | "Y" | "yes") {
        Ok(())
    } else {
        Err(Stop { code: 2, text: "nothing was signed".to_owned() })
    }
}
