//! What of a client goes into events: cut to size, without control characters.

use http::HeaderMap;

const USER_AGENT_CHARS_MAX: usize = 256;

/// The client's name for itself; empty when it has none or it is not text.
pub(crate) fn user_agent(headers: &HeaderMap) -> String {
    let value = headers.get(http::header::USER_AGENT).and_then(|v| v.to_str().ok()).unwrap_or_default();
    value.chars().filter(|c| !c.is_control()).take(USER_AGENT_CHARS_MAX).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_long_name_is_cut() {
        let mut headers = HeaderMap::new();
        assert_eq!(user_agent(&headers), "");
        headers.insert("user-agent", "x".repeat(1000).parse().unwrap());
        assert_eq!(user_agent(&headers).len(), 256);
    }
}
