//! Object storage on the wire: bytes of a request ↔ one typed request, in two dialects (OSS and S3; contract §7).
//!
//! The server's path: [`Dialect::detect`] → [`Head::read`] → [`auth::parse`] → look up the secret →
//! [`auth::Signed::verify`] → [`ObjectRequest::parse`] → (body through [`ChunkDecoder`] and [`Checksums`]) → act →
//! a [`reply`] or [`ObjectError::render`].
//!
//! Promises: sans-IO, no clock; every input is bounded; no input panics.
//! Refuses: ACLs other than canned ones, and every other sub-resource:
//! they become [`ObjectRequest::NotOffered`], a 501 in the caller's dialect.
//! INVARIANT: signature and typed request are read from the same decoded head ([`Head`]).
//! INVARIANT: a body's bytes count only after [`ChunkDecoder::finish`] and [`Checksums::finish`] both said yes.
//!
//! ```
//! use bailee_types::{SecretText, Timestamp};
//! use bailee_wire::object::{Dialect, Head, Hosts, ObjectRequest, auth};
//!
//! let (parts, ()) = http::Request::get("/bkt-a/?lifecycle&prefix=x")
//!     .header("date", "Fri, 02 Jan 2026 03:04:05 GMT")
//!     .header("authorization", "OSS LTAI5tBaileeFakeKey01:apHm7tMl87WRlY+EhmmhU2+hJFc=")
//!     .body(())?
//!     .into_parts();
//! let head = Head::read(&parts, Dialect::detect(&parts), &Hosts::default())?;
//! let auth::Auth::Signed(signed) = auth::parse(&head)? else { panic!("it is signed") };
//! let secret = SecretText::new("BaileeFakeSecret0123456789abcd".to_owned());
//! let now = Timestamp::parse_basic("20260102T030500Z")?;
//! signed.verify(&head, &secret, &auth::Terms { now, regions: &[], keys: None })?;
//! assert_eq!(ObjectRequest::parse(&head)?.name(), "GetBucketLifecycle");
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

pub mod auth;
mod checksum;
mod chunk;
pub mod client;
mod dialect;
pub(crate) mod encode;
mod error;
mod form;
mod head;
mod range;
pub mod reply;
mod request;
mod xml;

pub use checksum::{Algorithm, ChecksumType, Checksums, Claims, Digests};
pub use chunk::{ChunkContext, ChunkDecoder, Trailers};
pub use dialect::Dialect;
pub use error::{Code, ObjectError};
pub use form::{FORM_BYTES_MAX, FORM_FIELDS_MAX, Form};
pub use head::{Head, Hosts, Target};
pub use range::{ByteRange, Span};
pub use reply::Reply;
pub use request::{
    BatchDelete, BucketSettings, CannedAcl, CompleteUpload, Conditions, ContentHeaders, CopyObject,
    CopySource, CorsRule, CreateUpload, CustomerKey, Described, Encryption, GetAttributes, GetObject,
    LifecycleRule, LifecycleRules, ListBuckets, ListObjectsV1, ListObjectsV2, ListParts, ListUploads,
    ListVersions, Listing, LockHeaders, LockSettings, LockTerm, OBJECT_BYTES_MAX, ObjectRequest, Overrides,
    PartList, PartTag, PutObject, ReplicationSpec, StorageClass, TagAct, TagList, TagSet, Transition,
    UploadOf, UploadPart, UploadPartCopy, VersioningSettings, WormRequest, continuation_token, cors_rules,
    logging_target, public_access_block, quota_bytes, read_legal_hold, read_retention, replication_rules,
    restore_days, worm_days,
};
pub use xml::{XML_BYTES_MAX, XML_DECLARATION};
