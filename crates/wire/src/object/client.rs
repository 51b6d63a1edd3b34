//! The other side of the wire: addresses that a tenant's own tool signs, and the listings it reads. OSS's words, V4, presigned.
//!
//! INVARIANT: what [`Signer::address`] signs, [`super::auth`] verifies: both write the canonical request by the same rules.

use bailee_types::{SecretText, Timestamp};

use super::auth::oss_v4_signature;
use super::encode::{percent_decode, percent_encode};
use super::error::ObjectError;
use super::xml::{malformed, walk};

/// How long a signed address holds, in seconds.
const SECONDS: &str = "3600";

/// An AccessKey that signs.
#[derive(Clone)]
pub struct Signer {
    /// Its id.
    pub access_key_id: String,
    /// Its secret.
    pub secret: SecretText,
    /// The token of a session's key.
    pub token: Option<SecretText>,
    /// The region of the scope.
    pub region: String,
}

impl Signer {
    /// The address of a request, signed for an hour: `base` without a path, the bucket and key if there are any, and parameters.
    pub fn address(
        &self,
        base: &str,
        method: &str,
        (bucket, key): (Option<&str>, Option<&str>),
        query: &[(&str, &str)],
        now: Timestamp,
    ) -> String {
        let mut path = b"/".to_vec();
        if let Some(bucket) = bucket {
            path.extend_from_slice(bucket.as_bytes());
            path.push(b'/');
        }
        percent_encode(&mut path, key.unwrap_or_default().as_bytes(), true);
        let date = now.basic();
        let day = date.get(..8).unwrap_or_default();
        let credential = format!("{}/{day}/{}/oss/aliyun_v4_request", self.access_key_id, self.region);
        let mut pairs: Vec<(&str, &str)> = query.to_vec();
        pairs.push(("x-oss-signature-version", "OSS4-HMAC-SHA256"));
        pairs.push(("x-oss-credential", &credential));
        pairs.push(("x-oss-date", &date));
        pairs.push(("x-oss-expires", SECONDS));
        if let Some(token) = &self.token {
            pairs.push(("x-oss-security-token", token.expose()));
        }
        let encoded = |text: &str| {
            let mut out = Vec::new();
            percent_encode(&mut out, text.as_bytes(), false);
            String::from_utf8_lossy(&out).into_owned()
        };
        let mut pairs: Vec<(String, String)> = pairs.iter().map(|(n, v)| (encoded(n), encoded(v))).collect();
        pairs.sort();
        let joined = |pair: &(String, String)| match pair.1.is_empty() {
            true => pair.0.clone(),
            false => format!("{}={}", pair.0, pair.1),
        };
        let query = pairs.iter().map(joined).collect::<Vec<_>>().join("&");
        let path = String::from_utf8_lossy(&path).into_owned();
        let canonical = format!("{method}\n{path}\n{query}\n\n\nUNSIGNED-PAYLOAD");
        let signature =
            oss_v4_signature(&self.secret, (&self.access_key_id, &self.region), &date, canonical.as_bytes());
        format!("{}{path}?{query}&x-oss-signature={signature}", base.trim_end_matches('/'))
    }
}

/// A version, or a delete marker, of a listing.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct FoundVersion {
    /// The key.
    pub key: String,
    /// The version's id; `null` where the bucket keeps none.
    pub version: String,
    /// Whether it is what a read without a version gets.
    pub latest: bool,
    /// Whether it is a delete marker.
    pub marker: bool,
    /// When it was written, as the wire says it.
    pub modified: String,
    /// The ETag, without quotes.
    pub etag: String,
    /// Bytes of content.
    pub size: u64,
    /// The storage class.
    pub class: String,
    /// `Normal`, `Symlink`, …
    pub kind: String,
}

/// One page of a listing.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct FoundVersions {
    /// What is on it.
    pub versions: Vec<FoundVersion>,
    /// Key and version behind which the next page begins.
    pub next: Option<(String, String)>,
}

/// Reads the answer to ListObjectVersions with `encoding-type=url`.
///
/// # Errors
/// When it is not such an answer.
pub fn read_versions(body: &[u8]) -> Result<FoundVersions, ObjectError> {
    let mut out = FoundVersions::default();
    let mut one = FoundVersion::default();
    let (mut truncated, mut key, mut version) = (false, String::new(), String::new());
    let plain = |text: &str| {
        percent_decode(text, true)
            .map(|t| t.into_owned())
            .ok_or_else(|| malformed("a key is not URL-encoded"))
    };
    walk(body, |path, text| {
        let path: Vec<&str> = path.iter().map(String::as_str).collect();
        match path.as_slice() {
            ["ListVersionsResult" | "ListVersionResult", "IsTruncated"] => truncated = text.trim() == "true",
            ["ListVersionsResult" | "ListVersionResult", "NextKeyMarker"] => key = plain(text)?,
            ["ListVersionsResult" | "ListVersionResult", "NextVersionIdMarker"] => {
                text.clone_into(&mut version)
            }
            [_, "Version" | "DeleteMarker", member] => match *member {
                "Key" => one.key = plain(text)?,
                "VersionId" => text.clone_into(&mut one.version),
                "IsLatest" => one.latest = text.trim() == "true",
                "LastModified" => text.clone_into(&mut one.modified),
                "ETag" => text.trim_matches('"').clone_into(&mut one.etag),
                "Size" => one.size = text.trim().parse().map_err(|_| malformed("a size is no number"))?,
                "StorageClass" => text.clone_into(&mut one.class),
                "Type" => text.clone_into(&mut one.kind),
                _ => {}
            },
            [_, what @ ("Version" | "DeleteMarker")] => {
                one.marker = *what == "DeleteMarker";
                out.versions.push(std::mem::take(&mut one));
            }
            _ => {}
        }
        Ok(())
    })?;
    out.next = truncated.then_some((key, version));
    Ok(out)
}

/// Reads the answer to ListBuckets: names, and behind which the next page begins.
///
/// # Errors
/// When it is not such an answer.
pub fn read_buckets(body: &[u8]) -> Result<(Vec<String>, Option<String>), ObjectError> {
    let (mut names, mut truncated, mut next) = (Vec::new(), false, String::new());
    walk(body, |path, text| {
        let path: Vec<&str> = path.iter().map(String::as_str).collect();
        match path.as_slice() {
            [_, "Buckets", "Bucket", "Name"] => names.push(text.to_owned()),
            [_, "IsTruncated"] => truncated = text.trim() == "true",
            [_, "NextMarker"] => text.clone_into(&mut next),
            _ => {}
        }
        Ok(())
    })?;
    Ok((names, truncated.then_some(next)))
}

/// Reads a Tagging.
///
/// # Errors
/// When it is none.
pub fn read_tags(body: &[u8]) -> Result<Vec<(String, String)>, ObjectError> {
    super::TagSet::parse(body).map(|tags| tags.0)
}

/// A text of the wire that is URL-encoded, as the target of a symbolic link.
pub fn url_decoded(text: &str) -> Option<String> {
    percent_decode(text, false).map(|t| t.into_owned())
}

#[cfg(test)]
mod tests {
    use super::super::auth::{Auth, Terms, parse};
    use super::super::{Dialect, Head, Hosts, ObjectRequest};
    use super::*;

    #[test]
    fn what_is_signed_here_is_verified_there() {
        let now = Timestamp::from_secs(1_767_323_045);
        let secret = SecretText::new("BaileeFakeSecret0123456789abcd".to_owned());
        let signer = Signer {
            access_key_id: "LTAI5tBaileeFakeKey01".into(),
            secret: secret.clone(),
            token: None,
            region: "cn-hangzhou".into(),
        };
        for (bucket, key, query, name) in [
            (None, None, vec![("marker", "a b")], "ListBuckets"),
            (
                Some("site"),
                None,
                vec![("versions", ""), ("encoding-type", "url"), ("key-marker", "ä/+%")],
                "ListObjectVersions",
            ),
            (Some("site"), Some("发票/a b+c%.txt"), vec![("versionId", "null")], "GetObject"),
            (Some("site"), Some("a"), vec![("tagging", "")], "GetObjectTagging"),
        ] {
            let address = signer.address("http://h:1/", "GET", (bucket, key), &query, now);
            let (parts, ()) =
                http::Request::get(&address).header("host", "h:1").body(()).unwrap().into_parts();
            let head = Head::read(&parts, Dialect::detect(&parts), &Hosts::default()).unwrap();
            let Auth::Signed(signed) = parse(&head).unwrap() else { panic!("it is signed") };
            signed.verify(&head, &secret, &Terms { now, regions: &[], keys: None }).unwrap();
            assert_eq!(ObjectRequest::parse(&head).unwrap().name(), name);
            let other = SecretText::new("another".to_owned());
            assert!(signed.verify(&head, &other, &Terms { now, regions: &[], keys: None }).is_err());
        }
    }

    #[test]
    fn listings_are_read() {
        let body = b"<ListVersionsResult><IsTruncated>true</IsTruncated><NextKeyMarker>a%2Fb</NextKeyMarker>\
            <NextVersionIdMarker>v1</NextVersionIdMarker><Version><Key>a%20b</Key><VersionId>v2</VersionId>\
            <IsLatest>true</IsLatest><ETag>\"AB\"</ETag><Type>Normal</Type><Size>7</Size></Version>\
            <DeleteMarker><Key>c</Key><VersionId>v3</VersionId></DeleteMarker></ListVersionsResult>";
        let page = read_versions(body).unwrap();
        assert_eq!(page.next, Some(("a/b".into(), "v1".into())));
        assert_eq!(
            (page.versions[0].key.as_str(), page.versions[0].size, page.versions[1].marker),
            ("a b", 7, true)
        );
        assert!(read_versions(b"<a><Version><Size>x</Size></Version></a>").is_err());
        let buckets =
            b"<R><Buckets><Bucket><Name>a</Name></Bucket></Buckets><IsTruncated>false</IsTruncated></R>";
        assert_eq!(read_buckets(buckets).unwrap(), (vec!["a".to_owned()], None));
    }
}
