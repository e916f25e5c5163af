//! Errors with details.
//!
//! A node answers bad input with INVALID_ARGUMENT and says in the details,
//! machine-readable, which field of the request is at fault.

use std::fmt;

use prost::{Message as _, Name as _};
use tonic::{Code, Status};

use super::convert::MISSING;
use super::google_rpc;
use super::pb::ErrorReason;
use crate::Error;

/// What is wrong with one field of a request.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Violation {
    /// Path of the field, for example `requests[0].object_id`.
    pub field: String,
    /// What is wrong with it; also the text of the status.
    pub description: String,
    /// Whether it is missing or unusable.
    pub reason: ErrorReason,
}

impl Violation {
    /// A field that is there but unusable.
    pub fn invalid(field: impl Into<String>, description: impl Into<String>) -> Self {
        Self {
            field: field.into(),
            description: description.into(),
            reason: ErrorReason::FieldInvalid,
        }
    }

    /// A field that is not there. The description, and so the text of the
    /// status, is empty.
    pub fn missing(field: impl Into<String>) -> Self {
        Self { field: field.into(), description: String::new(), reason: ErrorReason::FieldMissing }
    }

    /// Puts a step in front of the field's path.
    pub fn within(mut self, parent: &str) -> Self {
        self.field = format!("{parent}.{}", self.field);
        self
    }

    /// The error as a message, for the items of a batch.
    pub fn to_message(&self) -> google_rpc::Status {
        let details = google_rpc::BadRequest {
            field_violations: vec![google_rpc::bad_request::FieldViolation {
                field: self.field.clone(),
                description: self.description.clone(),
                reason: self.reason.as_str_name().to_owned(),
                localized_message: None,
            }],
        };
        google_rpc::Status {
            code: Code::InvalidArgument.into(),
            message: self.description.clone(),
            details: vec![prost_types::Any {
                type_url: google_rpc::BadRequest::type_url(),
                value: details.encode_to_vec(),
            }],
        }
    }
}

impl fmt::Display for Violation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.reason {
            ErrorReason::FieldMissing => write!(f, "{}: missing", self.field),
            _ => write!(f, "{}: {}", self.field, self.description),
        }
    }
}

impl std::error::Error for Violation {}

impl From<Violation> for Status {
    fn from(violation: Violation) -> Self {
        from_message(violation.to_message())
    }
}

impl From<Error> for Violation {
    /// Keeps the field of [`Error::Field`]; other errors name none.
    fn from(error: Error) -> Self {
        match error {
            Error::Field { field, reason } if reason == MISSING => Self::missing(field),
            Error::Field { field, reason } => Self::invalid(field, reason),
            other => Self::invalid("", other.to_string()),
        }
    }
}

/// A status that carries itself, without further details, in its details too.
pub fn status(code: Code, message: impl Into<String>) -> Status {
    from_message(message_of(code, message))
}

/// An error as a message, for the items of a batch.
pub fn message_of(code: Code, message: impl Into<String>) -> google_rpc::Status {
    google_rpc::Status { code: code.into(), message: message.into(), details: Vec::new() }
}

/// What a client sees of an error message.
pub fn from_message(message: google_rpc::Status) -> Status {
    let details = message.encode_to_vec();
    Status::with_details(Code::from(message.code), message.message, details.into())
}

/// The violations that a status carries; none if it carries no details or
/// others.
pub fn violations(status: &Status) -> Vec<Violation> {
    let Ok(message) = google_rpc::Status::decode(status.details()) else { return Vec::new() };
    message
        .details
        .iter()
        .filter(|any| any.type_url.ends_with("/google.rpc.BadRequest"))
        .filter_map(|any| google_rpc::BadRequest::decode(any.value.as_slice()).ok())
        .flat_map(|bad_request| bad_request.field_violations)
        .map(|violation| Violation {
            reason: ErrorReason::from_str_name(&violation.reason).unwrap_or_default(),
            field: violation.field,
            description: violation.description,
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn details_hold_the_violation_under_a_short_type_url() {
        let violation = Violation::invalid("read_mask", "invalid read_mask path: x");
        let status = Status::from(violation.clone());
        assert_eq!(status.code(), Code::InvalidArgument);
        assert_eq!(status.message(), "invalid read_mask path: x");
        let message = google_rpc::Status::decode(status.details()).unwrap();
        assert_eq!(message.code, 3);
        assert_eq!(message.details[0].type_url, "/google.rpc.BadRequest");
        assert_eq!(violations(&status), [violation]);
    }

    #[test]
    fn a_missing_field_has_an_empty_text() {
        let status = Status::from(Violation::missing("transaction"));
        assert_eq!((status.code(), status.message()), (Code::InvalidArgument, ""));
        assert_eq!(violations(&status)[0].reason.as_str_name(), "FIELD_MISSING");
    }

    #[test]
    fn a_status_without_details_has_no_violations() {
        assert_eq!(violations(&Status::not_found("x")), []);
        assert_eq!(violations(&status(Code::NotFound, "x")), []);
    }
}
