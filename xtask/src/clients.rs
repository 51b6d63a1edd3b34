//! Real clients against the release binaries: the suites under `tests/clients`, run by pytest.

use std::path::PathBuf;
use std::process::Command;

use crate::host::python_of_clients;
use crate::workspace::{self, Workspace, cargo};

/// A part of the client tests.
pub(crate) enum Suite {
    /// All but those below.
    EndToEnd,
    /// `kill -9` under mixed load.
    Kill {
        /// How often the server dies.
        rounds: u32,
    },
    /// The README's tour.
    Tour,
    /// What takes too long to make for each run: a real Kubernetes API server.
    Nightly {
        /// Its program.
        api_server: PathBuf,
    },
}

/// Builds the binaries that the clients meet.
///
/// # Errors
/// When they do not build.
pub(crate) fn build(workspace: &Workspace) -> Result<(), String> {
    cargo(workspace, &["build", "--release", "--locked", "-p", "bailee", "-p", "bailee-verify"], &[])
}

/// Runs a suite; `extra` goes to pytest.
///
/// # Errors
/// When a test fails, or none ran.
pub(crate) fn run(workspace: &Workspace, suite: &Suite, extra: &[&str]) -> Result<(), String> {
    let mut command = Command::new(python_of_clients(workspace));
    command.args(["-m", "pytest", "-p", "no:cacheprovider", "--durations=5"]);
    command.current_dir(workspace.root.join("tests/clients"));
    command.env("BAILEE_BIN", workspace.release("bailee"));
    command.env("BAILEE_VERIFY_BIN", workspace.release("bailee-verify"));
    command.env("BAILEE_ARTIFACTS", workspace.root.join("ci-artifacts"));
    command.env("CARGO_TARGET_DIR", &workspace.target).env("PYTHONDONTWRITEBYTECODE", "1");
    match suite {
        Suite::EndToEnd => {
            // Two files at a time: half of the time of a test is waiting.
            command.args(["-n", "2", "--dist", "loadfile", "--ignore=test_kill.py", "--ignore=test_tour.py"]);
            command.arg("--ignore=test_kubernetes.py");
        }
        Suite::Kill { rounds } => {
            command.args(["test_kill.py", "-s"]).env("BAILEE_KILL_ROUNDS", rounds.to_string());
        }
        Suite::Tour => {
            command.args(["test_tour.py", "-s"]);
        }
        Suite::Nightly { api_server } => {
            command.arg("test_kubernetes.py").env("BAILEE_KUBE_APISERVER", api_server);
        }
    }
    workspace::run(command.args(extra))
}
