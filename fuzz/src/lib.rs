//! What fuzz targets share: a request out of bytes.

/// A request's head and body out of text: a line `METHOD address`, lines `name: value`, an empty line, the body. None
/// when HTTP itself would not let it through.
pub fn request(bytes: &[u8]) -> Option<(http::request::Parts, &[u8])> {
    let at = bytes.windows(2).position(|w| w == b"\n\n");
    let (head, body) = at.map_or((bytes, &[][..]), |at| (&bytes[..at], &bytes[at + 2..]));
    let mut lines = head.split(|b| *b == b'\n');
    let first = std::str::from_utf8(lines.next()?).ok()?;
    let (method, address) = first.split_once(' ')?;
    let mut request = http::Request::builder().method(method).uri(address);
    for line in lines.take(64) {
        let colon = line.iter().position(|b| *b == b':')?;
        request = request.header(&line[..colon], line[colon + 1..].trim_ascii());
    }
    Some((request.body(()).ok()?.into_parts().0, body))
}
