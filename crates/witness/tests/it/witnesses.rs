//! Witnesses with state in a folder of the test.

use std::path::Path;
use std::sync::Arc;

use bailee_proof::note::VerifierKey;
use bailee_witness::{Limits, Witness, WitnessKey, serve};

use crate::site::NOW;

pub(crate) fn create(folder: &Path, name: &str, mldsa44: bool) -> Vec<VerifierKey> {
    let key = WitnessKey::create(&folder.join(format!("{name}.key")), name, mldsa44).unwrap();
    Witness::create(&folder.join(name), &key).unwrap();
    key.signers.iter().map(|s| s.verifier().clone()).collect()
}

pub(crate) fn open(folder: &Path, name: &str, logs: &[VerifierKey]) -> Witness {
    let key = WitnessKey::read(&folder.join(format!("{name}.key"))).unwrap();
    Witness::open(&folder.join(name), key, logs).unwrap()
}

/// Serves it on a free port; ends with the runtime.
pub(crate) async fn listen(witness: Witness, limits: Limits) -> std::net::SocketAddr {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(serve(listener, Arc::new(witness), limits, || NOW, std::future::pending()));
    address
}
