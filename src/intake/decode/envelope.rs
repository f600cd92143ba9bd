//! The envelope around a post: CloudEvents 1.0 with everything in the body (structured), with the attributes in
//! headers (binary), or none at all (a bare post, which counts as published).

use super::Known;
use crate::domain::allim_path;
use crate::intake::fields::{Fault, Fields, Repairs, kind_of};
use crate::intake::front_matter;
use crate::intake::wire::{
    EventKind, ID_CHARS_MAX, Incoming, MESSAGE_BYTES_MAX, NESTING_MAX, RejectReason, SourcePolicy, URL_CHARS_MAX,
    clipped,
};
use base64::Engine as _;
use serde_json::{Map, Value};

/// An opened envelope.
pub struct Letter {
    /// What happened.
    pub kind: EventKind,
    /// The CloudEvents `source`, or the configured source of a bare post.
    pub event_source: String,
    /// The CloudEvents `id`; a bare post has none.
    pub event_id: Option<String>,
    /// The allims that it came through, oldest first.
    pub came_through: Vec<String>,
    /// The post.
    pub data: Map<String, Value>,
    /// What stands before the names of its fields in a path.
    pub path: &'static str,
}

/// Characters of a type that are repeated to its sender: enough to see the mistake.
const TYPE_CHARS_SHOWN: usize = 40;

/// Opens the envelope; what is learnt before a fault stays in `known`.
///
/// # Errors
/// Whatever is wrong with it, or the source may not send this.
pub fn open(incoming: &Incoming, policy: &SourcePolicy, known: &mut Known) -> Result<Letter, Fault> {
    let size = incoming.bytes.len();
    if size > MESSAGE_BYTES_MAX {
        let fix = "send pictures and files as URLs";
        let detail = format!("the message has {size} bytes, {MESSAGE_BYTES_MAX} at most; {fix}");
        return Err(Fault::new(RejectReason::TooLarge, "", &detail));
    }
    let content_type = incoming.content_type.as_deref().unwrap_or_default().trim().to_ascii_lowercase();
    if content_type.starts_with("application/cloudevents-batch") {
        let detail = "is a batch; send each event as a message of its own";
        return Err(Fault::new(RejectReason::BadField, "content_type", detail));
    }
    let structured = content_type.starts_with("application/cloudevents");
    let attributes = attributes_in(&incoming.headers);
    if !structured && !attributes.is_empty() {
        let (kind, event_source, event_id, came_through) = attributes_of(&attributes, policy, known)?;
        let data = object_in(&incoming.bytes, "data")?;
        return Ok(Letter { kind, event_source, event_id: Some(event_id), came_through, data, path: "data" });
    }
    let markdown = content_type.split(';').next().is_some_and(|essence| essence.trim_end() == "text/markdown");
    let mut map = if markdown { markdown_in(&incoming.bytes)? } else { object_in(&incoming.bytes, "")? };
    // An event whose `specversion` was forgotten must not pass for a bare post: it may be a withdrawal.
    let forgotten = map.contains_key("type") && (map.contains_key("data") || map.contains_key("data_base64"));
    if structured || forgotten || map.contains_key("specversion") {
        let (kind, event_source, event_id, came_through) = attributes_of(&map, policy, known)?;
        let data = data_in(&mut map)?;
        return Ok(Letter { kind, event_source, event_id: Some(event_id), came_through, data, path: "data" });
    }
    known.kind = Some(EventKind::Published);
    let event_source = policy.name.clone();
    allow(&event_source, policy, "")?;
    Ok(Letter {
        kind: EventKind::Published,
        event_source,
        event_id: idempotency_key(&incoming.headers)?,
        came_through: Vec::new(),
        data: map,
        path: "",
    })
}

/// The attributes of binary mode. In AMQP their prefix is `cloudEvents:` or `cloudEvents_`, in HTTP `ce-`, where the
/// values are percent-encoded (CloudEvents HTTP binding 1.0, section 3.1.3.2).
fn attributes_in(headers: &[(String, String)]) -> Map<String, Value> {
    let mut attributes = Map::new();
    for (name, value) in headers {
        let name = name.to_ascii_lowercase();
        let amqp = name.strip_prefix("cloudevents:").or_else(|| name.strip_prefix("cloudevents_"));
        let (name, value) = match (amqp, name.strip_prefix("ce-")) {
            (Some(name), _) => (name, value.clone()),
            (None, Some(name)) => (name, percent_decoded(value.trim())),
            (None, None) => continue,
        };
        if ["specversion", "type", "source", "id", allim_path::ATTRIBUTE].contains(&name) {
            attributes.insert(name.to_owned(), Value::String(value));
        }
    }
    attributes
}

/// Kind, source and id of an event, and the allims that it came through.
fn attributes_of(
    map: &Map<String, Value>,
    policy: &SourcePolicy,
    known: &mut Known,
) -> Result<(EventKind, String, String, Vec<String>), Fault> {
    let repairs = Repairs::default();
    let fields = Fields::root(map, "", &repairs);
    // What can be read is read first, so that a rejection names the event whatever is wrong with the rest.
    known.event_id = fields.get("id").and_then(|field| field.key(ID_CHARS_MAX).ok());
    known.kind = fields.get("type").and_then(|field| EventKind::of_type(field.string().ok()?));
    known.source_id = map.get("data").and_then(Value::as_object).and_then(super::id_in);

    // Whatever else is wrong with what is our own: nobody can mend it there, and nobody needs to.
    let came_through = came_through(&fields, policy)?;
    let version = fields.required("specversion", "write \"1.0\"")?;
    if version.string()? != "1.0" {
        return Err(version.bad("must be \"1.0\", the version of CloudEvents that is read here"));
    }
    let event_id = fields.required("id", "write an id that is unique within `source`")?.key(ID_CHARS_MAX)?;
    let event_source = fields.required("source", "write a URI that names the sender")?.key(URL_CHARS_MAX)?;
    let [published, revised, withdrawn] =
        [EventKind::Published, EventKind::Revised, EventKind::Withdrawn].map(EventKind::type_name);
    let types = format!("write {published}, {revised} or {withdrawn}");
    let field = fields.required("type", &types)?;
    let name = field.string()?;
    let kind = EventKind::of_type(name).ok_or_else(|| {
        let detail = format!("`{}` is not known; {types}", clipped(name, TYPE_CHARS_SHOWN));
        field.fault(RejectReason::UnknownType, &detail)
    })?;
    allow(&event_source, policy, "source")?;
    Ok((kind, event_source, event_id, came_through))
}

/// The allims that an event came through; a fault if this one is among them.
fn came_through(fields: &Fields, policy: &SourcePolicy) -> Result<Vec<String>, Fault> {
    let Some(field) = fields.get(allim_path::ATTRIBUTE) else { return Ok(Vec::new()) };
    let path = allim_path::read(field.string()?).map_err(|bad| field.bad(&bad.to_string()))?;
    let own = policy.own_authority.as_deref().map(allim_path::name_of);
    if own.is_some_and(|own| path.contains(&own)) {
        return Err(
            field.fault(RejectReason::Own, "names this installation: the post went out from here and came back")
        );
    }
    Ok(path)
}

fn allow(event_source: &str, policy: &SourcePolicy, path: &str) -> Result<(), Fault> {
    match &policy.event_sources_allowed {
        Some(allowed) if !allowed.iter().any(|name| name == event_source) => Err(Fault::new(
            RejectReason::NotAllowed,
            path,
            "this event source may not publish here; send a listed one, or add it to `event_sources_allowed`",
        )),
        _ => Ok(()),
    }
}

/// Takes `data` or `data_base64` out of a structured event.
fn data_in(map: &mut Map<String, Value>) -> Result<Map<String, Value>, Fault> {
    let bad = |path: &str, detail: &str| Err(Fault::new(RejectReason::BadField, path, detail));
    let mut take = |name: &str| map.remove(name).filter(|value| !value.is_null());
    match (take("data"), take("data_base64")) {
        (Some(_), Some(_)) => bad("data_base64", "stands beside `data`; leave one of them out"),
        (Some(Value::Object(data)), None) => Ok(data),
        (Some(other), None) => bad("data", &format!("must be an object, is {}", kind_of(&other))),
        (None, Some(Value::String(text))) => match base64::engine::general_purpose::STANDARD.decode(text.trim()) {
            Ok(bytes) => object_in(&bytes, "data_base64"),
            Err(_) => bad("data_base64", "must be base64 of RFC 4648 section 4, with its padding"),
        },
        (None, Some(other)) => bad("data_base64", &format!("must be a string, is {}", kind_of(&other))),
        (None, None) => {
            Err(Fault::new(RejectReason::MissingField, "data", "`data` is missing; write the post, or its id, there"))
        }
    }
}

/// The post in a Markdown file with front matter.
fn markdown_in(bytes: &[u8]) -> Result<Map<String, Value>, Fault> {
    let fault = |detail: &str| Fault::new(RejectReason::BadFrontMatter, "", detail);
    let text = std::str::from_utf8(bytes).map_err(|_| fault("the file isn't UTF-8; save it as UTF-8"))?;
    match front_matter::to_json(text) {
        Ok(Value::Object(map)) => Ok(map),
        Ok(_) => Err(fault("the front matter holds no fields")),
        Err(error) => Err(fault(&error.to_string())),
    }
}

/// The JSON object in `bytes`.
fn object_in(bytes: &[u8], path: &str) -> Result<Map<String, Value>, Fault> {
    // Editors on Windows put a byte-order mark before files that end up in the spool folder.
    let bytes = bytes.strip_prefix(b"\xEF\xBB\xBF").unwrap_or(bytes);
    let not_json = |detail: &str| Fault::new(RejectReason::NotJson, path, detail);
    let text = std::str::from_utf8(bytes).map_err(|error| {
        let before = &bytes[..error.valid_up_to()];
        let line = 1 + before.iter().filter(|byte| **byte == b'\n').count();
        let column = 1 + before.iter().rev().take_while(|byte| **byte != b'\n').count();
        not_json(&format!("isn't UTF-8 at line {line} column {column}; send JSON in UTF-8"))
    })?;
    match serde_json::from_str(text) {
        Ok(Value::Object(map)) => Ok(map),
        Ok(other) => {
            let detail = format!("must be one JSON object, is {}; send each post as a message", kind_of(&other));
            Err(Fault::new(RejectReason::BadField, path, &detail))
        }
        Err(error) if error.to_string().starts_with("recursion limit exceeded") => {
            let (line, column) = (error.line(), error.column());
            let detail =
                format!("is nested deeper than {NESTING_MAX} levels at line {line} column {column}; flatten it");
            Err(Fault::new(RejectReason::TooLarge, path, &detail))
        }
        // The words of serde_json name what was expected and the place, never the content.
        Err(error) => Err(not_json(&format!("isn't JSON: {error}; send one JSON object in UTF-8"))),
    }
}

/// `text` with every `%41` made a byte; what isn't such a triplet stays.
#[must_use]
pub fn percent_decoded(text: &str) -> String {
    let digit = |byte: Option<&u8>| byte.and_then(|byte| char::from(*byte).to_digit(16));
    let bytes = text.as_bytes();
    let mut out = Vec::with_capacity(bytes.len());
    let mut at = 0;
    while let Some(&byte) = bytes.get(at) {
        match (byte, digit(bytes.get(at + 1)), digit(bytes.get(at + 2))) {
            (b'%', Some(high), Some(low)) => {
                out.push(u8::try_from(high * 16 + low).unwrap_or(b'?'));
                at += 3;
            }
            _ => {
                out.push(byte);
                at += 1;
            }
        }
    }
    String::from_utf8_lossy(&out).into_owned()
}

/// The header `Idempotency-Key` names the event of a bare post; a repeat with other content is then told from a new one.
fn idempotency_key(headers: &[(String, String)]) -> Result<Option<String>, Fault> {
    let Some((_, key)) = headers.iter().find(|(name, _)| name.eq_ignore_ascii_case("idempotency-key")) else {
        return Ok(None);
    };
    let key = key.trim();
    if key.is_empty() || key.chars().count() > ID_CHARS_MAX || key.chars().any(char::is_control) {
        let detail = format!("must have 1 to {ID_CHARS_MAX} characters and no control characters");
        return Err(Fault::new(RejectReason::BadField, "Idempotency-Key", &detail));
    }
    Ok(Some(format!("key:{key}")))
}
