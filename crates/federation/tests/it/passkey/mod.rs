//! Passkeys: both ceremonies with an authenticator in software, and each of its possible lies.

mod chromium;
mod soft;

use bailee_federation::passkey::{
    CEREMONY_MS, CREDENTIALS_MAX, Ceremony, CredentialRecord, Outcome, PasskeyError, RESPONSE_BYTES_MAX,
    RelyingParty, credential_id,
};
use bailee_types::Timestamp;
use ciborium::Value as Cbor;
use proptest::prelude::*;
use serde_json::Value;

use self::soft::{BE, BS, ED, KeyChange, Soft, UP, UV};

const NOW: Timestamp = Timestamp::from_secs(1_800_000_000);

fn party() -> RelyingParty {
    RelyingParty::new("trust.example", &["https://trust.example".to_owned()], "Trust").unwrap()
}

fn begin(require_user_verification: bool) -> Ceremony {
    party().start_registration(b"user-1", "lin", &[], require_user_verification, NOW).unwrap()
}

fn register(soft: &Soft) -> Result<CredentialRecord, PasskeyError> {
    let ceremony = begin(false);
    party().finish_registration(&ceremony.state, &soft.create(&ceremony.options), NOW)
}

/// A sign-on with a registered passkey; `change` makes the authenticator lie.
fn sign_on(change: impl Fn(&mut Soft), require_user_verification: bool) -> Result<Outcome, PasskeyError> {
    let mut soft = Soft::es256();
    let record = register(&soft).unwrap();
    soft.counter = 2;
    change(&mut soft);
    answer(&soft, &record, require_user_verification)
}

fn answer(soft: &Soft, record: &CredentialRecord, verify: bool) -> Result<Outcome, PasskeyError> {
    let ceremony = party().start_authentication(std::slice::from_ref(record), false, NOW).unwrap();
    let answer = soft.get(&ceremony.options).to_string().into_bytes();
    assert_eq!(credential_id(&answer).unwrap(), soft.id);
    party().finish_authentication(&ceremony.state, &answer, record, verify, NOW)
}

#[test]
fn each_kind_of_key_registers_and_signs_on() {
    for mut soft in [Soft::es256(), Soft::ed25519(), Soft::rs256()] {
        let record = register(&soft).unwrap();
        assert_eq!((record.id.as_slice(), record.counter), (&[7; 20][..], 1));
        assert_eq!(record.transports, ["internal", "hybrid"]);
        assert!(record.user_verified && !record.backup_eligible && !record.backed_up);
        let stored = serde_json::to_string(&record).unwrap();
        assert_eq!(serde_json::from_str::<CredentialRecord>(&stored).unwrap(), record);
        soft.counter = 2;
        let found = answer(&soft, &record, true).unwrap();
        let wanted = Outcome { counter: 2, counter_regressed: false, user_verified: true, backed_up: false };
        assert_eq!(found, wanted);
    }
}

#[test]
fn the_options_are_what_browsers_parse() {
    let record = register(&Soft::es256()).unwrap();
    let made =
        party().start_registration(b"user-1", "lin", std::slice::from_ref(&record), true, NOW).unwrap();
    let mut options: Value = serde_json::from_str(&made.options).unwrap();
    assert_eq!(options["challenge"].take().as_str().unwrap().len(), 43);
    assert_eq!(
        options,
        serde_json::json!({
            "rp": {"id": "trust.example", "name": "Trust"},
            "user": {"id": "dXNlci0x", "name": "lin", "displayName": "lin"},
            "challenge": null,
            "pubKeyCredParams": [
                {"type": "public-key", "alg": -7}, {"type": "public-key", "alg": -8},
                {"type": "public-key", "alg": -257},
            ],
            "timeout": 300_000,
            "excludeCredentials":
                [{"type": "public-key", "id": "BwcHBwcHBwcHBwcHBwcHBwcHBwc", "transports": ["internal", "hybrid"]}],
            "authenticatorSelection":
                {"residentKey": "preferred", "requireResidentKey": false, "userVerification": "required"},
            "attestation": "none",
        })
    );
    let made = party().start_authentication(&[record], false, NOW).unwrap();
    let options: Value = serde_json::from_str(&made.options).unwrap();
    assert_eq!(
        (&options["rpId"], &options["userVerification"]),
        (&"trust.example".into(), &"preferred".into())
    );
}

#[test]
fn an_answer_of_another_page_or_party_is_refused() {
    let elsewhere = "https://trust.example.evil.example";
    let wrong_origin = PasskeyError::Origin { found: elsewhere.into() };
    assert_eq!(sign_on(|s| s.origin = elsewhere, false), Err(wrong_origin.clone()));
    assert_eq!(sign_on(|s| s.rp_id = "evil.example", false), Err(PasskeyError::RelyingPartyId));
    assert_eq!(
        sign_on(|s| s.client = |d| d["crossOrigin"] = true.into(), false),
        Err(PasskeyError::CrossOrigin)
    );
    assert_eq!(
        sign_on(|s| s.client = |d| d["topOrigin"] = "https://a.example".into(), false),
        Err(PasskeyError::CrossOrigin)
    );
    let kind = PasskeyError::Kind { found: "webauthn.create".into() };
    assert_eq!(sign_on(|s| s.client = |d| d["type"] = "webauthn.create".into(), false), Err(kind));
    assert_eq!(register(&Soft { origin: elsewhere, ..Soft::es256() }), Err(wrong_origin));
    assert_eq!(register(&Soft { rp_id: "evil.example", ..Soft::es256() }), Err(PasskeyError::RelyingPartyId));
}

#[test]
fn an_answer_to_another_challenge_is_refused() {
    assert_eq!(
        sign_on(|s| s.client = |d| d["challenge"] = "AAAA".into(), false),
        Err(PasskeyError::Challenge)
    );
    // A good answer, played again to the next ceremony.
    let soft = Soft { counter: 5, ..Soft::es256() };
    let record = register(&soft).unwrap();
    let ask = || party().start_authentication(std::slice::from_ref(&record), false, NOW).unwrap();
    let (first, second) = (ask(), ask());
    let heard = soft.get(&first.options).to_string().into_bytes();
    assert!(party().finish_authentication(&first.state, &heard, &record, true, NOW).is_ok());
    let replayed = party().finish_authentication(&second.state, &heard, &record, true, NOW);
    assert_eq!(replayed, Err(PasskeyError::Challenge));
    let (first, second) = (begin(false), begin(false));
    let replayed = party().finish_registration(&second.state, &soft.create(&first.options), NOW);
    assert_eq!(replayed, Err(PasskeyError::Challenge));
}

#[test]
fn nobody_present_or_nobody_verified_is_refused() {
    assert_eq!(sign_on(|s| s.flags = UV, false), Err(PasskeyError::NotPresent));
    assert_eq!(sign_on(|s| s.flags = UP, true), Err(PasskeyError::NotVerified));
    assert_eq!(sign_on(|s| s.flags = UP, false).map(|o| o.user_verified), Ok(false));
    let ceremony = begin(true);
    let soft = Soft { flags: UP, ..Soft::es256() };
    let found = party().finish_registration(&ceremony.state, &soft.create(&ceremony.options), NOW);
    assert_eq!(found, Err(PasskeyError::NotVerified));
    let record = register(&soft).unwrap();
    assert!(!record.user_verified);
    let ceremony = party().start_authentication(std::slice::from_ref(&record), true, NOW).unwrap();
    let answer = soft.get(&ceremony.options).to_string();
    let found = party().finish_authentication(&ceremony.state, answer.as_bytes(), &record, false, NOW);
    assert_eq!(found, Err(PasskeyError::NotVerified), "either half may ask for it");
}

#[test]
fn a_signature_of_another_key_or_over_other_bytes_is_refused() {
    assert_eq!(sign_on(|s| s.key = Soft::es256().key, false), Err(PasskeyError::Signature));
    assert_eq!(sign_on(|s| s.key = Soft::ed25519().key, false), Err(PasskeyError::Signature));
    let soft = Soft::es256();
    let record = register(&soft).unwrap();
    let ceremony = party().start_authentication(std::slice::from_ref(&record), false, NOW).unwrap();
    let good = soft.get(&ceremony.options);
    let mut verified = good.clone();
    // The authenticator said "present", somebody adds "verified".
    let unverified = Soft { flags: UP, ..Soft::es256() }.get(&ceremony.options);
    verified["response"]["authenticatorData"] = unverified["response"]["authenticatorData"].clone();
    for changed in [verified, with_signature(&good, ""), with_signature(&good, "MAYCAQACAQA")] {
        let found = party().finish_authentication(
            &ceremony.state,
            changed.to_string().as_bytes(),
            &record,
            false,
            NOW,
        );
        assert_eq!(found, Err(PasskeyError::Signature));
    }
}

fn with_signature(answer: &Value, signature: &str) -> Value {
    let mut answer = answer.clone();
    answer["response"]["signature"] = signature.into();
    answer
}

#[test]
fn a_counter_that_went_back_is_told() {
    let counted = |counter| sign_on(|s| s.counter = counter, false).unwrap();
    assert!(!counted(2).counter_regressed);
    assert!(counted(1).counter_regressed, "the same again");
    assert!(counted(0).counter_regressed);
    let soft = Soft { counter: 0, ..Soft::es256() };
    let record = register(&soft).unwrap();
    assert!(!answer(&soft, &record, false).unwrap().counter_regressed, "it never counts");
}

#[test]
fn a_statement_is_signed_over_its_text_by_a_person() {
    for mut soft in [Soft::es256(), Soft::ed25519(), Soft::rs256()] {
        let record = register(&soft).unwrap();
        let own = std::slice::from_ref(&record);
        soft.counter = 2;
        let begun = party().start_statement(own, "yes\n", NOW).unwrap();
        let options: Value = serde_json::from_str(&begun.options).unwrap();
        assert_eq!(options["userVerification"], "required");
        let answer = soft.get(&begun.options).to_string().into_bytes();
        let finish = |state: &[u8], text: &str, answer: &[u8], now| {
            party().finish_statement(state, (text, answer), &record, now)
        };
        let signed = finish(&begun.state, "yes\n", &answer, NOW).unwrap();
        assert!(signed.outcome.user_verified && !signed.outcome.counter_regressed);
        assert_eq!(finish(&begun.state, "yes", &answer, NOW), Err(PasskeyError::Challenge));
        let other = party().start_statement(own, "no\n", NOW).unwrap();
        assert_eq!(finish(&other.state, "no\n", &answer, NOW), Err(PasskeyError::Challenge));
        let late = NOW.plus_ms(CEREMONY_MS);
        assert_eq!(finish(&begun.state, "yes\n", &answer, late), Err(PasskeyError::Expired));
        // The state of a sign-on signs nothing, and the other way round.
        let sign_on = party().start_authentication(own, true, NOW).unwrap();
        assert_eq!(finish(&sign_on.state, "yes\n", &answer, NOW), Err(PasskeyError::State));
        let crossed = party().finish_authentication(&begun.state, &answer, &record, true, NOW);
        assert_eq!(crossed, Err(PasskeyError::State));
        soft.flags = UP;
        let present = soft.get(&begun.options).to_string().into_bytes();
        assert_eq!(finish(&begun.state, "yes\n", &present, NOW), Err(PasskeyError::NotVerified));
    }
}

#[test]
fn another_passkey_or_user_is_refused() {
    let mut soft = Soft::es256();
    let record = register(&soft).unwrap();
    let other = CredentialRecord { id: vec![8; 20], ..record.clone() };
    let ceremony = party().start_authentication(&[other], false, NOW).unwrap();
    let given = soft.get(&ceremony.options).to_string();
    let finish =
        |record| party().finish_authentication(&ceremony.state, given.as_bytes(), record, false, NOW);
    assert_eq!(finish(&record), Err(PasskeyError::Credential), "it was not asked for");
    let other = CredentialRecord { id: vec![8; 20], ..record.clone() };
    let both = party().start_authentication(&[record.clone(), other.clone()], false, NOW).unwrap();
    let by_first = soft.get(&both.options).to_string();
    let finish = |record| party().finish_authentication(&both.state, by_first.as_bytes(), record, false, NOW);
    assert!(finish(&record).is_ok());
    assert_eq!(finish(&other), Err(PasskeyError::Credential), "the record of another one");
    let ceremony = begin(false);
    let mut renamed: Value = serde_json::from_slice(&soft.create(&ceremony.options)).unwrap();
    (renamed["id"], renamed["rawId"]) = ("CAgI".into(), "CAgI".into());
    let found = party().finish_registration(&ceremony.state, renamed.to_string().as_bytes(), NOW);
    assert_eq!(found, Err(PasskeyError::Credential));
    soft.user_handle = Some(b"user-2".to_vec());
    assert_eq!(answer(&soft, &record, false), Err(PasskeyError::User));
    soft.user_handle = None;
    assert!(answer(&soft, &record, false).is_ok());
    let any = party().start_authentication(&[], false, NOW).unwrap();
    let nameless = soft.get(&any.options).to_string();
    let found = party().finish_authentication(&any.state, nameless.as_bytes(), &record, false, NOW);
    assert_eq!(found, Err(PasskeyError::User), "without a list the handle says who it is");
    soft.user_handle = Some(b"user-1".to_vec());
    let named = soft.get(&any.options).to_string();
    assert!(party().finish_authentication(&any.state, named.as_bytes(), &record, false, NOW).is_ok());
    let again = party().start_registration(b"user-1", "lin", &[record], false, NOW).unwrap();
    let found = party().finish_registration(&again.state, &soft.create(&again.options), NOW);
    assert_eq!(found, Err(PasskeyError::AlreadyRegistered));
}

#[test]
fn a_state_ends_and_counts_for_its_own_half() {
    let soft = Soft::es256();
    let record = register(&soft).unwrap();
    let ceremony = party().start_authentication(std::slice::from_ref(&record), false, NOW).unwrap();
    let given = soft.get(&ceremony.options).to_string();
    let at = |now| party().finish_authentication(&ceremony.state, given.as_bytes(), &record, false, now);
    assert!(at(NOW.plus_ms(CEREMONY_MS - 1)).is_ok());
    assert_eq!(at(NOW.plus_ms(CEREMONY_MS)), Err(PasskeyError::Expired));
    assert_eq!(at(NOW.plus_ms(-1)), Err(PasskeyError::Expired));
    let swapped = party().finish_registration(&ceremony.state, &soft.create(&ceremony.options), NOW);
    assert_eq!(swapped, Err(PasskeyError::State));
    assert_eq!(party().finish_registration(b"{}", b"", NOW), Err(PasskeyError::State));
}

#[test]
fn backup_flags_are_kept_and_must_make_sense() {
    assert_eq!(register(&Soft { flags: UP | BS, ..Soft::es256() }), Err(PasskeyError::Backup));
    let mut soft = Soft { flags: UP | BE, ..Soft::es256() };
    let record = register(&soft).unwrap();
    assert!(record.backup_eligible && !record.backed_up);
    soft.flags = UP | BE | BS;
    assert!(answer(&soft, &record, false).unwrap().backed_up);
    soft.flags = UP;
    assert_eq!(answer(&soft, &record, false), Err(PasskeyError::Backup));
}

#[test]
fn authenticator_data_is_read_to_its_last_byte() {
    let data = PasskeyError::Form { what: "authenticatorData" };
    assert_eq!(sign_on(|s| s.tail = vec![0], false), Err(data.clone()));
    assert_eq!(register(&Soft { tail: vec![0], ..Soft::es256() }), Err(data.clone()));
    let extensions =
        soft::bytes(&Cbor::Map(vec![(Cbor::Text("credProtect".into()), Cbor::Integer(2.into()))]));
    let extended = Soft { flags: UP | ED, tail: extensions, ..Soft::es256() };
    let record = register(&extended).unwrap();
    assert!(answer(&extended, &record, false).is_ok());
    assert_eq!(register(&Soft { flags: UP | ED, ..Soft::es256() }), Err(data.clone()), "none is there");
    // Attested data belongs to a registration.
    assert_eq!(sign_on(|s| s.flags |= 64, false), Err(data));
}

#[test]
fn a_key_that_was_not_offered_is_refused() {
    let changes: [KeyChange; 5] = [
        |key| key[1].1 = Cbor::Integer((-35).into()),
        |key| key[2].1 = Cbor::Integer(2.into()),
        |key| key[3].1 = Cbor::Bytes(vec![1; 31]),
        |key| key.push(key[1].clone()),
        |key| drop(key.pop()),
    ];
    for cose in changes {
        assert_eq!(register(&Soft { cose, ..Soft::es256() }), Err(PasskeyError::Key));
    }
    let weak = Soft { cose: |key| key[2].1 = Cbor::Bytes(vec![0xff; 128]), ..Soft::rs256() };
    assert_eq!(register(&weak), Err(PasskeyError::Key));
    // A statement of the authenticator's maker is taken along unread.
    let statement = vec![(Cbor::Text("alg".into()), Cbor::Integer((-7).into()))];
    assert!(register(&Soft { format: "packed", statement: statement.clone(), ..Soft::es256() }).is_ok());
    let found = register(&Soft { statement, ..Soft::es256() });
    assert_eq!(found, Err(PasskeyError::Form { what: "attestationObject" }));
}

#[test]
fn origins_must_be_on_the_domain_and_https() {
    let with = |id, origin: &str| RelyingParty::new(id, &[origin.to_owned()], "Trust").is_ok();
    for good in ["https://trust.example", "https://a.trust.example:8443"] {
        assert!(with("trust.example", good), "{good}");
    }
    assert!(with("localhost", "http://localhost:8080"));
    for bad in [
        "http://trust.example",
        "https://eviltrust.example",
        "https://trust.example.evil.example",
        "https://trust.example/",
        "https://Trust.example",
        "trust.example",
    ] {
        assert!(!with("trust.example", bad), "{bad}");
    }
    assert!(RelyingParty::new("trust.example", &[], "Trust").is_err());
    assert!(!with("", "https://trust.example"));
    let long = party().start_registration(&[0; 65], "lin", &[], false, NOW);
    assert_eq!(long.unwrap_err(), PasskeyError::UserHandle);
    let record = register(&Soft::es256()).unwrap();
    let many = party().start_authentication(&vec![record; CREDENTIALS_MAX + 1], false, NOW);
    assert_eq!(many.unwrap_err(), PasskeyError::TooMany);
    let huge = vec![b' '; RESPONSE_BYTES_MAX + 1];
    assert_eq!(party().finish_registration(&begin(false).state, &huge, NOW), Err(PasskeyError::TooLong));
}

proptest! {
    /// One bit of the answer, wherever it is: refused, or it says the same.
    #[test]
    fn a_changed_answer_says_nothing_else(at in any::<prop::sample::Index>(), bit in 0u8..7) {
        let soft = Soft::ed25519();
        let record = register(&soft).unwrap();
        let ceremony = party().start_authentication(std::slice::from_ref(&record), false, NOW).unwrap();
        let mut given = soft.get(&ceremony.options).to_string().into_bytes();
        let finish = |given: &[u8]| party().finish_authentication(&ceremony.state, given, &record, false, NOW);
        let wanted = finish(&given).unwrap();
        let at = at.index(given.len());
        given[at] ^= 1 << bit;
        if let Ok(found) = finish(&given) {
            prop_assert_eq!(found, wanted);
        }
    }

    #[test]
    fn any_bytes_are_read_without_a_panic(bytes in proptest::collection::vec(any::<u8>(), 0..300)) {
        use base64::Engine as _;
        let b64 = |b: &[u8]| base64::engine::general_purpose::URL_SAFE_NO_PAD.encode(b);
        let ceremony = begin(false);
        let soft = Soft::es256();
        let mut made: Value = serde_json::from_slice(&soft.create(&ceremony.options)).unwrap();
        made["response"]["attestationObject"] = b64(&bytes).into();
        prop_assert!(party().finish_registration(&ceremony.state, made.to_string().as_bytes(), NOW).is_err());
        let object = Cbor::Map(vec![
            (Cbor::Text("fmt".into()), Cbor::Text("none".into())),
            (Cbor::Text("attStmt".into()), Cbor::Map(vec![])),
            (Cbor::Text("authData".into()), Cbor::Bytes(bytes)),
        ]);
        made["response"]["attestationObject"] = b64(&soft::bytes(&object)).into();
        prop_assert!(party().finish_registration(&ceremony.state, made.to_string().as_bytes(), NOW).is_err());
    }
}
