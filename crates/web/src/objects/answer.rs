//! Failures of the rooms as errors of the object dialects.

use bailee_rooms::gate::RefusalKind;
use bailee_rooms::identity::AuthError;
use bailee_rooms::keys::cmk::{KeyProblem, StoreProblem};
use bailee_rooms::vault::ChecksumProblem;
use bailee_rooms::{Failure, Thing};
use bailee_wire::object::{Code, ObjectError};

pub(super) fn auth_error(error: AuthError<ObjectError>) -> ObjectError {
    match error {
        AuthError::UnknownKey => ObjectError::new(Code::InvalidAccessKeyId),
        AuthError::Inactive => ObjectError::because(Code::InvalidAccessKeyId, "The access key is inactive."),
        AuthError::Signature(error) => error,
        AuthError::TokenMissing => ObjectError::because(
            Code::InvalidToken,
            "The access key is a session's; send its security token with the request.",
        ),
        AuthError::TokenMalformed | AuthError::TokenMismatch => ObjectError::new(Code::InvalidToken),
        AuthError::TokenExpired => ObjectError::new(Code::ExpiredToken),
        AuthError::Failed(failure) => of_failure(failure),
    }
}

pub(super) fn of_failure(failure: Failure) -> ObjectError {
    let text = failure.to_string();
    match failure {
        Failure::Refused(refusal) if *refusal.kind() == RefusalKind::NotYours => {
            // As of a bucket that is not there.
            let error = ObjectError::new(Code::NoSuchBucket);
            let object = refusal.resource().strip_prefix("acs:oss:").and_then(|r| r.splitn(3, ':').nth(2));
            match object.and_then(|object| object.split('/').next()) {
                Some(bucket) => error.with("BucketName", bucket),
                None => error,
            }
        }
        Failure::Refused(refusal) if *refusal.kind() == RefusalKind::LegalBlock => {
            ObjectError::new(Code::UnavailableForLegalReasons)
        }
        Failure::Refused(_) | Failure::WrongCode | Failure::FreshMfa => {
            ObjectError::because(Code::AccessDenied, sentence(&text))
        }
        Failure::NotFound { thing: Thing::Object, name } => {
            ObjectError::new(Code::NoSuchKey).with("Key", name)
        }
        Failure::NotFound { thing: Thing::Version, name } => {
            ObjectError::new(Code::NoSuchVersion).with("VersionId", name)
        }
        Failure::DeleteMarker { key, marker } => {
            // A marker that is named cannot be read; one that is current hides what is behind it.
            let error = if marker.named {
                ObjectError::new(Code::MethodNotAllowed).with_header("Allow", "DELETE")
            } else {
                ObjectError::new(Code::NoSuchKey).with("Key", key)
            };
            error.with_own_header("delete-marker", "true").with_own_header("version-id", marker.id)
        }
        Failure::NotFound { thing: Thing::Upload, name } => {
            ObjectError::new(Code::NoSuchUpload).with("UploadId", name)
        }
        Failure::NotFound { thing: Thing::Key | Thing::Alias | Thing::KeyVersion, name } => {
            ObjectError::new(Code::NoSuchKmsKey).with("KeyId", name)
        }
        Failure::NotFound { thing: Thing::Destruction, name } => super::destroy::missing(&name),
        Failure::NotFound { thing: Thing::Worm, .. } => ObjectError::new(Code::NoSuchWorm),
        Failure::NotFound { name, .. } => ObjectError::new(Code::NoSuchBucket).with("BucketName", name),
        Failure::Exists { thing: Thing::Object, .. } => ObjectError::new(Code::ObjectExists),
        Failure::Exists { thing: Thing::Worm, .. } => ObjectError::new(Code::WormLocked),
        Failure::Exists { name, .. } => ObjectError::new(Code::BucketAlreadyExists).with("BucketName", name),
        Failure::Invalid { field: "LocationConstraint", .. } => {
            ObjectError::because(Code::InvalidLocation, sentence(&text))
        }
        Failure::Invalid { field: "ObjectLock" | "CustomerKey", .. } => {
            ObjectError::because(Code::InvalidRequest, sentence(&text))
        }
        Failure::Invalid { field: "Tag", .. } => ObjectError::because(Code::InvalidTag, sentence(&text)),
        Failure::Invalid { field: "Part", .. } => ObjectError::because(Code::InvalidPart, sentence(&text)),
        Failure::Invalid { field: "PartOrder", .. } => {
            ObjectError::because(Code::InvalidPartOrder, sentence(&text))
        }
        Failure::Invalid { field: "PartSize", .. } => {
            ObjectError::because(Code::EntityTooSmall, sentence(&text))
        }
        Failure::Invalid { .. } => ObjectError::because(Code::InvalidArgument, sentence(&text)),
        Failure::Limit { thing: Thing::Upload, .. } => {
            ObjectError::because(Code::OperationAborted, sentence(&text))
        }
        Failure::Limit { .. } => ObjectError::new(Code::TooManyBuckets),
        Failure::Conflict(_) | Failure::InUse { .. } => {
            ObjectError::because(Code::BucketNotEmpty, sentence(&text))
        }
        Failure::BucketState(_) => ObjectError::because(Code::InvalidBucketState, sentence(&text)),
        Failure::Append(None) => ObjectError::new(Code::NotAppendable),
        Failure::Append(Some(end)) => {
            ObjectError::new(Code::PositionNotEqual).with_own_header("next-append-position", end.to_string())
        }
        Failure::Quota { .. } => ObjectError::because(Code::QuotaExceeded, sentence(&text)),
        Failure::ObjectState(_) => ObjectError::because(Code::ObjectState, sentence(&text)),
        Failure::PublicBlocked(_) => ObjectError::because(Code::AccessDenied, sentence(&text)),
        Failure::Retained(_) => ObjectError::because(Code::ObjectImmutable, sentence(&text)),
        Failure::Precondition(_) => ObjectError::because(Code::PreconditionFailed, sentence(&text)),
        // S3 prescribes these texts.
        Failure::Checksum(ChecksumProblem::Differs(_)) => ObjectError::because(Code::BadDigest, text),
        Failure::Checksum(_) => ObjectError::because(Code::InvalidRequest, text),
        Failure::Body(_) => ObjectError::because(Code::IncompleteBody, sentence(&text)),
        Failure::Key(KeyProblem::State(_)) => ObjectError::because(Code::KmsKeyState, sentence(&text)),
        Failure::Key(KeyProblem::Store(StoreProblem::Unreachable)) => {
            ObjectError::because(Code::ServiceUnavailable, sentence(&text))
        }
        Failure::Key(KeyProblem::Store(StoreProblem::NoKey | StoreProblem::Disabled)) => {
            ObjectError::because(Code::KmsKeyState, sentence(&text))
        }
        Failure::Key(_) => ObjectError::because(Code::AccessDenied, sentence(&text)),
        Failure::Throttled(_) => ObjectError::new(Code::SlowDown),
        Failure::Unavailable(_) => ObjectError::new(Code::ServiceUnavailable),
        Failure::Replayed | Failure::SignIn(_) => ObjectError::new(Code::AccessDenied),
        Failure::Damaged(_) | Failure::Bug(_) => {
            tracing::error!("an object operation failed: {text}");
            ObjectError::new(Code::InternalError)
        }
    }
}

pub(super) fn sentence(text: &str) -> String {
    let mut chars = text.chars();
    chars.next().map_or_else(String::new, |c| c.to_uppercase().chain(chars).chain(['.']).collect())
}
