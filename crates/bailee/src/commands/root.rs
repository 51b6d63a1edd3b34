//! `bailee root …`: the root key's protection, copies of it, and putting one back.

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use bailee_rooms::House;
use bailee_rooms::keys::{Protection, RenewRootKey, Unlock, WriteRootKey};
use clap::Subcommand;
use serde_json::json;

use super::on_runtime;
use crate::config::{Common, Output, secret_line};
use crate::output::Stop;

/// The root key: everything else is sealed under it.
#[derive(Subcommand)]
pub(crate) enum Root {
    /// Say under what it lies.
    Status,
    /// Put it under something else; a running server goes on with what it has opened.
    Protect {
        #[command(subcommand)]
        under: Under,
    },
    /// Make a new root key, and seal under it everything that lies under the old one. All servers must be stopped: one that ended well may
    /// be so this moment, one that was killed, or another command, for 30 seconds.
    /// It lies under what the old one lay under. Sessions of roles end; copies of the old key are worth nothing for this house any
    /// more, but for backups of its database from before.
    Renew,
    /// Write a copy under a passphrase of its own, to be kept elsewhere.
    Backup {
        /// The new file; it must not exist.
        #[arg(long, value_name = "FILE")]
        to: PathBuf,
        /// A file with the copy's passphrase on its first line.
        #[arg(long, value_name = "FILE")]
        new_passphrase_file: PathBuf,
    },
    /// Put a copy back, after the key or its passphrase was lost; its passphrase comes with --root-passphrase-file.
    Restore {
        /// The copy.
        #[arg(long, value_name = "FILE")]
        from: PathBuf,
    },
}

#[derive(Subcommand)]
pub(crate) enum Under {
    /// A passphrase, which each start then needs (`--root-passphrase-file`). Also changes it.
    Passphrase {
        /// A file with the new passphrase on its first line.
        #[arg(long, value_name = "FILE")]
        new_passphrase_file: PathBuf,
    },
    /// A key in an HSM, made there if it is not there yet; each start then needs the PIN (`--root-pin-file`).
    Hsm {
        /// The PKCS#11 module of the HSM, e.g. SoftHSM's `libsofthsm2.so`.
        #[arg(long, value_name = "FILE")]
        module: PathBuf,
        /// The token's label.
        #[arg(long)]
        token: String,
        /// The key's label.
        #[arg(long, default_value = "bailee-root")]
        key: String,
    },
    /// Nothing but the file's mode.
    Clear,
}

impl Under {
    /// Under what, and what opens it then. `before` is what was given to open it now.
    pub(super) fn chosen(self, before: &Unlock) -> Result<(Protection, Unlock), Stop> {
        Ok(match self {
            Self::Clear => (Protection::Clear, Unlock::default()),
            Self::Passphrase { new_passphrase_file } => {
                let passphrase = Some(secret_line(&new_passphrase_file)?);
                (Protection::Passphrase, Unlock { passphrase, pin: None })
            }
            Self::Hsm { module, token, key } => {
                let pin = before.pin.clone();
                (Protection::Hsm { module, token, key }, Unlock { passphrase: None, pin })
            }
        })
    }
}

pub(crate) fn run(common: &Common, command: Root) -> Result<ExitCode, Stop> {
    let config = common.house()?;
    let path = config.root_key_path();
    match command {
        Root::Status => {
            let (protection, opens) = House::root_protection(&config)?;
            match common.output {
                Output::Json => println!(
                    "{}",
                    json!({ "file": path, "protection": word(&protection), "detail": protection.to_string(), "opens": opens })
                ),
                Output::Table => println!(
                    "{} lies {protection}; {}",
                    path.display(),
                    if opens { "it opens" } else { "it does not open with what was given" }
                ),
            }
        }
        Root::Protect { under } => {
            let (protection, unlock) = under.chosen(&config.unlock)?;
            write(common, &path, protection, unlock, false)?;
        }
        Root::Renew => {
            let protection = House::root_protection(&config)?.0;
            let house = common.open()?;
            let op = RenewRootKey {
                path: path.clone(),
                protection: protection.clone(),
                unlock: config.unlock.clone(),
            };
            on_runtime(async {
                house.perform(house.system_caller("bailee root"), op).await?;
                Ok(())
            })?;
            say(common, &path, &protection);
            if common.output == Output::Table {
                println!(
                    "it is new: make a copy of it (`bailee root backup`), and keep copies of the old one as long as"
                );
                println!("backups of the database from before");
            }
        }
        Root::Backup { to, new_passphrase_file } => {
            let unlock = Unlock { passphrase: Some(secret_line(&new_passphrase_file)?), pin: None };
            write(common, &to, Protection::Passphrase, unlock, true)?;
        }
        Root::Restore { from } => {
            House::restore_root_key(&config, &from, &config.unlock)?;
            say(common, &path, &House::root_protection(&config)?.0);
        }
    }
    Ok(ExitCode::SUCCESS)
}

fn write(
    common: &Common,
    path: &Path,
    protection: Protection,
    unlock: Unlock,
    backup: bool,
) -> Result<(), Stop> {
    let house = common.open()?;
    let op = WriteRootKey { path: path.to_path_buf(), protection: protection.clone(), unlock, backup };
    on_runtime(async {
        house.perform(house.system_caller("bailee root"), op).await?;
        Ok(())
    })?;
    say(common, path, &protection);
    Ok(())
}

const fn word(protection: &Protection) -> &'static str {
    match protection {
        Protection::Clear => "clear",
        Protection::Passphrase => "passphrase",
        Protection::Hsm { .. } => "hsm",
    }
}

fn say(common: &Common, path: &Path, protection: &Protection) {
    match common.output {
        Output::Json => println!("{}", json!({ "file": path, "protection": word(protection) })),
        Output::Table => println!("{} lies {protection}", path.display()),
    }
}
