//! Forms that a browser posts to a bucket: fields first, then the file, which is stored as it arrives.

use std::sync::Arc;
use std::time::Duration;

use bailee_types::{BucketName, RequestId};
use bailee_wire::object::auth::Terms;
use bailee_wire::object::{
    Code, FORM_BYTES_MAX, FORM_FIELDS_MAX, Form, Head, Hosts, OBJECT_BYTES_MAX, ObjectError, ObjectRequest,
    Target,
};
use http::Response;
use http_body_util::BodyExt;
use hyper::body::Incoming;
use multer::{Constraints, Field, Multipart, SizeLimit};

use super::body::{Answer, Source};
use super::{HOST_ID, Objects, answer, dispatch, granted};

/// A browser that sends nothing for this long is given up.
const IDLE: Duration = Duration::from_secs(60);

fn malformed(why: &'static str) -> ObjectError {
    ObjectError::because(Code::InvalidRequest, format!("The form is not understood: {why}."))
}

async fn in_time<T>(work: impl Future<Output = multer::Result<T>>) -> Result<T, ObjectError> {
    match tokio::time::timeout(IDLE, work).await {
        Err(_) => Err(ObjectError::because(Code::IncompleteBody, "The form stopped arriving.")),
        Ok(Ok(found)) => Ok(found),
        Ok(Err(multer::Error::StreamSizeExceeded { .. })) => Err(ObjectError::new(Code::EntityTooLarge)),
        Ok(Err(_)) => Err(malformed("it is no multipart/form-data, or it was cut")),
    }
}

/// The fields up to the file, and the file.
async fn read(form: &mut Multipart<'static>) -> Result<(Vec<(String, String)>, Field<'static>), ObjectError> {
    let (mut fields, mut bytes) = (Vec::new(), 0);
    loop {
        let field = in_time(form.next_field()).await?;
        let Some(mut field) = field else { return Err(malformed("it has no file")) };
        let name = field.name().ok_or_else(|| malformed("a field has no name"))?.to_owned();
        if name.eq_ignore_ascii_case("file") {
            return Ok((fields, field));
        }
        let mut value = Vec::new();
        bytes += name.len();
        while let Some(piece) = in_time(field.chunk()).await? {
            bytes += piece.len();
            if bytes > FORM_BYTES_MAX {
                return Err(ObjectError::because(
                    Code::EntityTooLarge,
                    "The fields before the file are too large, or the file does not come last.",
                ));
            }
            value.extend_from_slice(&piece);
        }
        if fields.len() >= FORM_FIELDS_MAX {
            return Err(malformed("it has more than 100 fields"));
        }
        let value = String::from_utf8(value).map_err(|_| malformed("a field is no UTF-8"))?;
        fields.push((name, value));
    }
}

/// Whether a request is a form.
pub(super) fn boundary(parts: &http::request::Parts) -> Option<String> {
    let kind = parts.headers.get(http::header::CONTENT_TYPE)?.to_str().ok()?;
    // A form names no sub-resource: `?delete` with a body of this kind is none.
    (parts.method == http::Method::POST && parts.uri.query().is_none_or(str::is_empty))
        .then(|| multer::parse_boundary(kind).ok())?
}

/// Stores the file of a form.
pub(super) async fn post(
    objects: &Arc<Objects>,
    bucket: &BucketName,
    boundary: String,
    body: Incoming,
    origin: bailee_rooms::gate::Origin,
    request_id: &RequestId,
) -> Result<Response<Answer>, ObjectError> {
    let room = OBJECT_BYTES_MAX + 2 * FORM_BYTES_MAX as u64;
    let limits = Constraints::new().size_limit(SizeLimit::new().whole_stream(room));
    let mut multipart = Multipart::with_constraints(body.into_data_stream(), boundary, limits);
    let (fields, file) = read(&mut multipart).await?;
    let form = Form::read(fields, file.file_name().unwrap_or_default())?;
    // From here on it is known whose words the sender speaks.
    store(objects, bucket, &form, file, origin, request_id).await.or_else(|error| {
        Ok(Answer::complete(error.render(form.dialect(), request_id.as_str(), HOST_ID, false)))
    })
}

async fn store(
    objects: &Arc<Objects>,
    bucket: &BucketName,
    form: &Form,
    file: Field<'static>,
    origin: bailee_rooms::gate::Origin,
    request_id: &RequestId,
) -> Result<Response<Answer>, ObjectError> {
    let dialect = form.dialect();
    let bytes = form.check(bucket, objects.house().now())?;
    let cx = match form.signature()? {
        None => dispatch::Cx::anonymous(objects, origin, dialect, request_id),
        Some(signed) => {
            let presented = bailee_rooms::identity::Presented {
                access_key_id: signed.access_key_id(),
                token: signed.security_token(),
                nonce: None,
                service: "Oss",
                scheme: signed.scheme().word(),
            };
            let terms = Terms { now: objects.house().now(), regions: &[], keys: Some(&objects.keys) };
            let (caller, verified) = objects
                .house()
                .authenticate(presented, origin, |secret| signed.verify(secret, &terms))
                .await
                .map_err(answer::auth_error)?;
            dispatch::Cx { objects, caller, dialect, request_id, verified }
        }
    };
    if cx.caller.grant_keys().is_some() {
        return granted::refuse(cx, "PostObject", &Target::Bucket(bucket.clone())).await;
    }
    let parts = form.put_head(bucket)?;
    let head = Head::read(&parts, dialect, &Hosts::default())?;
    let put = ObjectRequest::of_form(&head)?;
    let tenant = cx.whose(Some(bucket)).await?;
    let upload = cx.upload(Source::Form { file, bytes }, &put.claims, None)?;
    let (reply, md5) = cx.put_body(tenant, put, None, upload).await?;
    let version = reply.header("x-oss-version-id").or_else(|| reply.header("x-amz-version-id"));
    let stored = form.stored(bucket, &md5).of_version(dialect, version, false);
    Ok(Answer::complete(stored.stamped(dialect, request_id.as_str(), HOST_ID)))
}
