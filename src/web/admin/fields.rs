//! What a form or a query brings.

use super::desk::Lost;
use axum::body::{Bytes, to_bytes};
use axum::extract::{FromRequest, Multipart, Request};
use axum::http::header;

/// Octets of a form without files.
const FORM_LEN_MAX: usize = 2 * 1024 * 1024;
/// Fields of a form at most.
const FIELDS_MAX: usize = 2_000;

/// A file of a form.
#[derive(Clone, Debug)]
pub(super) struct Upload {
    /// The field it came in.
    field: String,
    /// What it holds.
    pub(super) bytes: Bytes,
}

/// The fields of a form or a query, in their order.
#[derive(Clone, Debug, Default)]
pub(super) struct Fields {
    texts: Vec<(String, String)>,
    files: Vec<Upload>,
}

impl Fields {
    /// The fields of a query.
    pub(super) fn of_query(query: Option<&str>) -> Self {
        Self { texts: pairs(query.unwrap_or_default().as_bytes()), files: Vec::new() }
    }

    /// The first field of this name, without spaces around it; empty when there is none.
    pub(super) fn get(&self, name: &str) -> &str {
        self.raw(name).trim()
    }

    /// The first field of this name, as it was sent.
    pub(super) fn raw(&self, name: &str) -> &str {
        self.texts.iter().find(|(key, _)| key == name).map_or("", |(_, value)| value)
    }

    /// The first field of this name, if it isn't empty.
    pub(super) fn some(&self, name: &str) -> Option<&str> {
        Some(self.get(name)).filter(|value| !value.is_empty())
    }

    /// All fields of this name that aren't empty.
    pub(super) fn all(&self, name: &str) -> Vec<&str> {
        let theirs = self.texts.iter().filter(|(key, _)| key == name);
        theirs.map(|(_, value)| value.trim()).filter(|value| !value.is_empty()).collect()
    }

    /// The file of a field, if one was chosen.
    pub(super) fn file(&self, field: &str) -> Option<&Upload> {
        self.files(field).next()
    }

    /// The files of a field.
    pub(super) fn files(&self, field: &str) -> impl Iterator<Item = &Upload> {
        self.files.iter().filter(move |file| file.field == field && !file.bytes.is_empty())
    }
}

fn pairs(form: &[u8]) -> Vec<(String, String)> {
    let pairs = url::form_urlencoded::parse(form).take(FIELDS_MAX);
    pairs.map(|(key, value)| (key.into_owned(), value.into_owned())).collect()
}

impl<S: Send + Sync> FromRequest<S> for Fields {
    type Rejection = Lost;

    async fn from_request(request: Request, state: &S) -> Result<Self, Lost> {
        let kind = request.headers().get(header::CONTENT_TYPE).and_then(|kind| kind.to_str().ok()).unwrap_or_default();
        if !kind.starts_with("multipart/form-data") {
            let body = to_bytes(request.into_body(), FORM_LEN_MAX).await.map_err(|_| Lost::Refused("error_form"))?;
            return Ok(Self { texts: pairs(&body), files: Vec::new() });
        }
        let mut parts = Multipart::from_request(request, state).await.map_err(|_| Lost::Refused("error_form"))?;
        let mut fields = Self::default();
        while let Some(part) = parts.next_field().await.map_err(|_| Lost::Refused("error_form"))? {
            if fields.texts.len() + fields.files.len() >= FIELDS_MAX {
                return Err(Lost::Refused("error_form"));
            }
            let field = part.name().unwrap_or_default().to_owned();
            // What it is called and said to be is the sender's word only.
            let is_file = part.file_name().is_some();
            let bytes = part.bytes().await.map_err(|_| Lost::Refused("error_form"))?;
            if is_file {
                fields.files.push(Upload { field, bytes });
            } else {
                fields.texts.push((field, String::from_utf8_lossy(&bytes).into_owned()));
            }
        }
        Ok(fields)
    }
}
