//! Answers of a real browser (`tests/oracles/make_passkey.py`): Chromium with its virtual authenticators.

use bailee_federation::passkey::{PasskeyError, RelyingParty};
use serde_json::Value;

use super::NOW;

fn party(origin: &str) -> RelyingParty {
    RelyingParty::new("localhost", &[origin.to_owned()], "Trust").unwrap()
}

/// A state of ours with the challenge that the browser was given.
fn with_challenge(state: &[u8], half: &Value) -> Vec<u8> {
    let mut state: Value = serde_json::from_slice(state).unwrap();
    assert!(state["challenge"].is_string());
    state["challenge"] = half["challenge"].clone();
    state.to_string().into_bytes()
}

#[test]
fn what_chromium_answers_registers_and_signs_on() {
    let all: Value = serde_json::from_str(include_str!("../fixtures/chromium.json")).unwrap();
    let ours = party("http://localhost:8765");
    let mut names = Vec::new();
    for ceremony in all["ceremonies"].as_array().unwrap() {
        let name = ceremony["name"].as_str().unwrap();
        let verified = ceremony["verified"].as_bool().unwrap();
        let (create, get) = (&ceremony["create"], &ceremony["get"]);
        let made = create["answer"].to_string();
        let state = ours.start_registration(b"user-1", "lin", &[], verified, NOW).unwrap().state;
        let state = with_challenge(&state, create);
        let record = ours.finish_registration(&state, made.as_bytes(), NOW).expect(name);
        assert_eq!(record.user_verified, verified, "{name}");
        assert!(!record.transports.is_empty());

        let answer = get["answer"].to_string();
        let state = ours.start_authentication(std::slice::from_ref(&record), verified, NOW).unwrap().state;
        let good = with_challenge(&state, get);
        let finish = |party: &RelyingParty, state: &[u8], verify| {
            party.finish_authentication(state, answer.as_bytes(), &record, verify, NOW)
        };
        let found = finish(&ours, &good, verified).expect(name);
        assert_eq!((found.user_verified, found.counter_regressed), (verified, false), "{name}");
        assert_eq!(finish(&ours, &state, verified), Err(PasskeyError::Challenge));
        let elsewhere = party("http://localhost:8766");
        assert!(matches!(finish(&elsewhere, &good, verified), Err(PasskeyError::Origin { .. })));
        if !verified {
            assert_eq!(finish(&ours, &good, true), Err(PasskeyError::NotVerified), "{name}");
        }
        names.push(name);
    }
    assert_eq!(names, ["platform", "usb without PIN", "U2F", "EdDSA", "RS256"]);
}
