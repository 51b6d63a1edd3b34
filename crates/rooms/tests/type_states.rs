//! What the compiler refuses: to act without an intent, to use a key without one, to make any of the gate's values.

#[test]
fn nothing_acts_without_an_intent() {
    trybuild::TestCases::new().compile_fail("tests/compile_fail/*.rs");
}
