use super::*;
use proptest::prelude::*;
use serde::de::{Deserialize, Deserializer, MapAccess, SeqAccess, Visitor};

/// What `serde_json` says, with the rules that it does not have by itself.
fn oracle(bytes: &[u8]) -> bool {
    struct Strict(usize);
    struct Walk;
    impl<'de> Visitor<'de> for Walk {
        type Value = Strict;
        fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
            f.write_str("any value")
        }
        fn visit_bool<E>(self, _: bool) -> Result<Strict, E> {
            Ok(Strict(0))
        }
        fn visit_i64<E>(self, _: i64) -> Result<Strict, E> {
            Ok(Strict(0))
        }
        fn visit_u64<E>(self, _: u64) -> Result<Strict, E> {
            Ok(Strict(0))
        }
        fn visit_f64<E>(self, _: f64) -> Result<Strict, E> {
            Ok(Strict(0))
        }
        fn visit_str<E>(self, _: &str) -> Result<Strict, E> {
            Ok(Strict(0))
        }
        fn visit_unit<E>(self) -> Result<Strict, E> {
            Ok(Strict(0))
        }
        fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Strict, A::Error> {
            let mut depth = 0;
            while let Some(Strict(inner)) = seq.next_element()? {
                depth = depth.max(inner);
            }
            Ok(Strict(depth + 1))
        }
        fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Strict, A::Error> {
            let (mut depth, mut names) = (0, std::collections::BTreeSet::new());
            while let Some((name, Strict(inner))) = map.next_entry::<String, Strict>()? {
                if !names.insert(name) {
                    return Err(serde::de::Error::custom("twice"));
                }
                depth = depth.max(inner);
            }
            Ok(Strict(depth + 1))
        }
    }
    impl<'de> Deserialize<'de> for Strict {
        fn deserialize<D: Deserializer<'de>>(d: D) -> Result<Self, D::Error> {
            d.deserialize_any(Walk)
        }
    }
    let object = bytes.iter().find(|b| !b" \n\t\r".contains(b)) == Some(&b'{');
    object && serde_json::from_slice::<Strict>(bytes).is_ok_and(|s| s.0 <= EVENT_DEPTH_MAX)
}

fn nested(depth: usize) -> String {
    format!("{{\"a\":{}{}}}", "[".repeat(depth - 1), "]".repeat(depth - 1))
}

#[test]
fn the_members_a_verifier_needs_are_borrowed_as_they_stand() {
    let event = br#" {"record":"outcome","index":7,"timeMs":1700000000123,"tenant":"1000000000000001",
        "intent" : 3 ,"result":"done","detail":{"record":"intent","index":"x"},"r\u0065st":[]} "#;
    let view = scan(event).unwrap();
    assert_eq!(view.intent, Some("3"));
    let wanted = Envelope {
        kind: Kind::Outcome,
        index: 7,
        time_ms: 1_700_000_000_123,
        tenant: "1000000000000001",
        closes: Some(Closes { intent: 3, result: Ended::Done }),
    };
    assert_eq!(view.envelope(), Ok(wanted));
    // An escaped name is the same name.
    assert_eq!(scan(br#"{"\u0069ndex":1}"#).unwrap().index, Some("1"));
}

#[test]
fn a_missing_or_other_member_is_named() {
    let base =
        r#"{"record":"outcome","index":7,"timeMs":1,"tenant":"1000000000000001","intent":3,"result":"done"}"#;
    let text = |from: &str, to: &str| {
        let event = base.replace(from, to);
        scan(event.as_bytes()).unwrap().envelope().unwrap_err().to_string()
    };
    let number = "a whole number from 0 to 18446744073709551615";
    assert_eq!(
        text(r#""index":7"#, r#""index":"7""#),
        format!("the event's member `index` must be {number}")
    );
    for other in ["-7", "7.0", "7e0", "18446744073709551616", "null"] {
        assert_eq!(
            text(r#""index":7"#, &format!(r#""index":{other}"#)),
            format!("the event's member `index` must be {number}")
        );
    }
    assert_eq!(text(r#""timeMs""#, r#""TimeMs""#), format!("the event's member `timeMs` must be {number}"));
    assert_eq!(text("1000000000000001", "100000000000001"), "the event's member `tenant` must be 16 digits");
    assert_eq!(
        text("1000000000000001", "\\u0031000000000000001"),
        "the event's member `tenant` must be 16 digits"
    );
    assert_eq!(text(r#""intent":3,"#, ""), format!("the event's member `intent` must be {number}"));
    assert_eq!(
        text(r#""done""#, r#""ok""#),
        "the event's member `result` must be one of done, refused, failed, unknown"
    );
    assert_eq!(
        text(r#""outcome""#, r#""Outcome""#),
        "the event's member `record` must be one of intent, outcome, refusal, management, erasure, log, heartbeat, finding"
    );
}

#[test]
fn a_name_that_occurs_twice_is_refused_at_any_depth_and_in_any_spelling() {
    let text = |event: &str| scan(event.as_bytes()).unwrap_err().to_string();
    assert_eq!(
        text(r#"{"a":1,"b":2,"a":3}"#),
        "the event has the name `a` twice in one object, the second time at byte 13"
    );
    for event in [
        r#"{"x":{"a":1,"a":1}}"#,
        r#"{"x":[[{"a":1,"\u0061":1}]]}"#,
        r#"{"a\n":1,"a\u000a":1}"#,
        r#"{"\ud83d\ude00":1,"😀":1}"#,
        r#"{"":1,"":1}"#,
        r#"{"a long name, longer than eight":1,"b":1,"a long name, longer than eight":1}"#,
    ] {
        assert!(text(event).contains("twice in one object"), "{event}");
    }
    for event in [r#"{"a":{"a":{"a":1}},"b":{"a":1}}"#, r#"{"a":1,"A":2,"\u0000a":3,"a ":4}"#, r#"{"a":"a"}"#]
    {
        assert!(scan(event.as_bytes()).is_ok(), "{event}");
    }
    let names: Vec<String> = (0..5000).map(|i| format!("\"{i:05}\":0")).collect();
    assert!(scan(format!("{{{}}}", names.join(",")).as_bytes()).is_ok());
    assert!(text(&format!("{{{},\"04321\":1}}", names.join(","))).contains("`04321` twice"));
}

#[test]
fn text_that_is_not_strict_json_is_refused() {
    let deep = nested(EVENT_DEPTH_MAX + 1);
    let long = format!("{{\"a\":\"{}\"}}", "x".repeat(EVENT_BYTES_MAX));
    let bad: [&[u8]; 42] = [
        b"",
        b" ",
        b"{",
        b"}",
        b"[]",
        b"1",
        b"null",
        b"\"a\"",
        b"{}{}",
        b"{} x",
        b"{,}",
        b"{\"a\"}",
        b"{\"a\":}",
        b"{\"a\":1,}",
        b"{\"a\" 1}",
        b"{a:1}",
        b"{'a':1}",
        b"{\"a\":01}",
        b"{\"a\":-}",
        b"{\"a\":1.}",
        b"{\"a\":.1}",
        b"{\"a\":+1}",
        b"{\"a\":1e}",
        b"{\"a\":1e+}",
        b"{\"a\":1e999}",
        b"{\"a\":NaN}",
        b"{\"a\":tru}",
        b"{\"a\":True}",
        b"{\"a\":\"\n\"}",
        b"{\"a\":\"\\x\"}",
        b"{\"a\":\"\\u12g4\"}",
        b"{\"a\":\"\\ud800\"}",
        b"{\"a\":\"\\udc00\"}",
        b"{\"a\":\"\\ud800\\u0041\"}",
        b"{\"a\":\"\\ud800x\"}",
        b"{\"a\":\"",
        b"{\"a\":[1,]}",
        b"{\"a\":[1 2]}",
        b"\xef\xbb\xbf{}",
        b"{\"a\":\"\xff\"}",
        deep.as_bytes(),
        long.as_bytes(),
    ];
    for event in bad {
        assert!(scan(event).is_err(), "{:?}", String::from_utf8_lossy(&event[..event.len().min(80)]));
    }
    assert_eq!(scan(b"{\"a\":\"\xff\"}").unwrap_err().to_string(), "the event is not UTF-8 from byte 6");
    assert_eq!(
        scan(b"{\"a\":01}").unwrap_err().to_string(),
        "the event is not strict JSON at byte 6: expected a comma or the end of the object"
    );
    assert_eq!(
        scan(deep.as_bytes()).unwrap_err().to_string(),
        "the event is nested deeper than 32 at byte 36"
    );
    assert_eq!(scan(long.as_bytes()).unwrap_err().to_string(), "the event has 65544 bytes, more than 65536");
    let digits = format!("{{\"a\":{}}}", "1".repeat(65));
    assert!(scan(digits.as_bytes()).is_err());
    assert!(scan(nested(EVENT_DEPTH_MAX).as_bytes()).is_ok());
    assert!(scan(br#"{"a":[true,false,null,-0,0.5,1E+3,"\\\"\/\b\f\n\r\t\u00e9",{}]}"#).is_ok());
}

#[test]
fn each_special_byte_is_found_at_each_place_of_a_string() {
    for length in 0..40 {
        for at in 0..=length {
            for special in ["\\u0041", "é", "\u{7f}"] {
                let event = format!("{{\"{}{special}{}\":1}}", "x".repeat(at), "y".repeat(length - at));
                assert!(scan(event.as_bytes()).is_ok(), "{event}");
            }
            for special in ["\u{1f}", "\u{0}", "\"", "\\"] {
                let event = format!("{{\"{}{special}{}\":1}}", "x".repeat(at), "y".repeat(length - at));
                assert!(scan(event.as_bytes()).is_err(), "{event:?}");
            }
        }
    }
}

fn json() -> impl Strategy<Value = String> {
    let number =
        prop_oneof!["-?(0|[1-9][0-9]{0,20})(\\.[0-9]{1,5})?", "-?[1-9](\\.[0-9]{1,3})?[eE][+-]?[0-9]{1,2}"];
    let string = prop_oneof![
        "\"[a-c]{0,2}\"",
        "\"[ -!#-\\[\\]-~é😀]{0,20}\"",
        "\"(\\\\u006[12]|\\\\[\"\\\\/bfnrt]|\\\\ud83d\\\\ude0[0-3]|a){0,4}\"",
        "\"\\\\ud8[0-9a-f]{2}\"",
    ]
    .boxed();
    let leaf = prop_oneof![number, string.clone(), Just("true".to_owned()), Just("null".to_owned())];
    let value = leaf.prop_recursive(5, 60, 6, move |inner| {
        let member = (string.clone(), "[ \n]?", inner.clone())
            .prop_map(|(name, space, value)| format!("{name}:{space}{value}"));
        prop_oneof![
            proptest::collection::vec(inner, 0..5).prop_map(|all| format!("[{}]", all.join(", "))),
            proptest::collection::vec(member, 0..6).prop_map(|all| format!("{{{}}}", all.join(","))),
        ]
    });
    proptest::collection::vec(("\"[a-e]\"", value), 0..5).prop_map(|all| {
        format!("{{{}}}", all.into_iter().map(|(n, v)| format!("{n} :{v}")).collect::<Vec<_>>().join(","))
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2000))]

    #[test]
    fn it_accepts_exactly_what_serde_json_accepts_without_duplicate_names(event in json()) {
        prop_assert_eq!(scan(event.as_bytes()).is_ok(), oracle(event.as_bytes()), "{}", event);
    }

    #[test]
    fn a_changed_byte_is_judged_as_serde_json_does(event in json(), at: prop::sample::Index, byte: u8) {
        let mut bytes = event.into_bytes();
        let at = at.index(bytes.len());
        bytes[at] = byte;
        prop_assert_eq!(scan(&bytes).is_ok(), oracle(&bytes), "{:?}", String::from_utf8_lossy(&bytes));
    }

    #[test]
    fn any_characters_of_json_are_judged_as_serde_json_does(text in "[{}\\[\\]:,\"ae0-2.\\\\u -]{0,14}") {
        let event = format!("{{\"a\":{text}}}");
        prop_assert_eq!(scan(event.as_bytes()).is_ok(), oracle(event.as_bytes()), "{}", event);
        prop_assert_eq!(scan(text.as_bytes()).is_ok(), oracle(text.as_bytes()), "{}", text);
    }

    #[test]
    fn any_bytes_are_read_without_a_panic(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
        if let Ok(view) = scan(&bytes) {
            let _ = view.envelope();
        }
    }
}

#[test]
fn what_stands_inside_an_act_is_read_at_its_own_depth_only() {
    let event = br#"{"platform":{"EventID":"a","x":{"EventID":"deep"},"EventType":"T","EventLevel":"W","EmployeeID":"e"},"detail":{"EventID":"other","eventId":"other"}}"#;
    let view = scan(event).unwrap();
    let found = [view.event_id, view.event_type, view.event_level, view.employee];
    assert_eq!(found, [r#""a""#, r#""T""#, r#""W""#, r#""e""#].map(Some));
    let view =
        scan(br#"{"management":{"eventId":"m","EventType":"no"},"platform":[{"EventType":"no"}]}"#).unwrap();
    assert_eq!((view.event_id, view.event_type), (Some(r#""m""#), None));
}
