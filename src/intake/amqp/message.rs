//! A delivery as intake reads it.

use crate::intake::wire::{Incoming, MESSAGE_BYTES_MAX};
use lapin::message::Delivery;
use lapin::types::AMQPValue;

/// Bytes kept of a message that is too large anyway: as many as the HTTP interface reads. The broker lets through 16 or
/// 128 MiB, and the dead-letter queue has the whole of it.
const KEPT_BYTES_MAX: usize = 2 * MESSAGE_BYTES_MAX;
/// Body, content type and headers of a delivery; in binary mode the headers hold the CloudEvents attributes.
pub(super) fn incoming(source: &str, delivery: Delivery) -> Incoming {
    let properties = &delivery.properties;
    let content_type = properties.content_type().as_ref().map(ToString::to_string);
    let fields = properties.headers().iter().flatten();
    let headers = fields.filter_map(|(name, value)| Some((name.to_string(), text(value)?))).collect();
    let mut bytes = delivery.data;
    if bytes.len() > KEPT_BYTES_MAX {
        tracing::warn!(bytes = bytes.len(), "a message is far too large; the quarantine gets its beginning only");
        bytes.truncate(KEPT_BYTES_MAX);
    }
    Incoming { source: source.to_owned(), content_type, headers, bytes }
}

/// A header's value as text, if it is one value; tables and lists, such as `x-death`, are the broker's own.
fn text(value: &AMQPValue) -> Option<String> {
    Some(match value {
        AMQPValue::LongString(text) => text.to_string(),
        AMQPValue::ShortString(text) => text.to_string(),
        AMQPValue::ByteArray(bytes) => String::from_utf8(bytes.as_slice().to_vec()).ok()?,
        AMQPValue::Boolean(value) => value.to_string(),
        AMQPValue::ShortShortInt(value) => value.to_string(),
        AMQPValue::ShortShortUInt(value) => value.to_string(),
        AMQPValue::ShortInt(value) => value.to_string(),
        AMQPValue::ShortUInt(value) => value.to_string(),
        AMQPValue::LongInt(value) => value.to_string(),
        AMQPValue::LongUInt(value) => value.to_string(),
        AMQPValue::LongLongInt(value) => value.to_string(),
        AMQPValue::Timestamp(value) => value.to_string(),
        AMQPValue::Float(value) => value.to_string(),
        AMQPValue::Double(value) => value.to_string(),
        AMQPValue::DecimalValue(_) | AMQPValue::FieldArray(_) | AMQPValue::FieldTable(_) | AMQPValue::Void => {
            return None;
        }
    })
}
