//! RPC requests: nothing panics and nobody signs without the secret.
#![no_main]

use bailee_types::{SecretText, Timestamp};
use bailee_wire::rpc::RpcRequest;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    let Some((parts, body)) = bailee_fuzz::request(bytes) else { return };
    let Ok(request) = RpcRequest::read(&parts, body) else { return };
    let _ = (request.tags(), request.list("ResourceNames"), request.flag("SetAsDefault"));
    if let Ok(signed) = request.signed(Timestamp::from_secs(1_767_323_045)) {
        assert!(signed.verify(&SecretText::new("a secret that no input knows".to_owned())).is_err());
    }
});
