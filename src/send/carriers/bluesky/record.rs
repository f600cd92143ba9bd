//! Posts as records: their keys, their facets, what they answer.

use crate::domain::clock::UnixMillis;
use crate::domain::ids;
use crate::render::blurb::Blurb;
use crate::render::fit::Kind;
use crate::send::social::network::Remote;
use serde::Deserialize;
use serde_json::{Value, json};
use std::collections::BTreeMap;

#[derive(Deserialize)]
pub(super) struct Record {
    uri: String,
    cid: String,
}

/// The alphabet of record keys, in the order of their values (<https://atproto.com/specs/tid>).
const TID_LETTERS: &[u8; 32] = b"234567abcdefghijklmnopqrstuvwxyz";

/// The record key of a delivery: microseconds since 1970 and a clock's number, of which what isn't known of the time follows from the id.
pub(super) fn record_key(id: &str, since: UnixMillis) -> String {
    let hash = ids::content_hash(id.as_bytes());
    let drawn = u64::from_str_radix(&hash[..12], 16).unwrap_or_default();
    let micros = u64::try_from(since.0).unwrap_or_default() * 1_000 + drawn % 1_000;
    let value = ((micros << 10) | ((drawn / 1_000) & 0x3ff)) & (u64::MAX >> 1);
    (0..13).rev().map(|place| char::from(TID_LETTERS[((value >> (place * 5)) & 31) as usize])).collect()
}

/// Addresses and hashtags as stretches of octets (`app.bsky.richtext.facet`).
pub(super) fn facets(blurb: &Blurb) -> Vec<Value> {
    let spans = blurb.spans.iter().filter(|span| blurb.text.get(span.start..span.end).is_some());
    spans
        .map(|span| {
            let said = &blurb.text[span.start..span.end];
            let feature = match span.kind {
                Kind::Url => json!({ "$type": "app.bsky.richtext.facet#link", "uri": said }),
                Kind::Tag => json!({ "$type": "app.bsky.richtext.facet#tag", "tag": said.trim_start_matches('#') }),
            };
            json!({ "index": { "byteStart": span.start, "byteEnd": span.end }, "features": [feature] })
        })
        .collect()
}

/// What a thread begins with, and what is answered (`app.bsky.feed.post#replyRef`).
pub(super) fn reply_refs(parent: &Remote) -> Value {
    let hash = |name: &str| parent.more.get(name).cloned();
    let own = json!({ "uri": parent.id, "cid": hash("cid").unwrap_or_default() });
    let root = hash("root_uri").zip(hash("root_cid")).map(|(uri, cid)| json!({ "uri": uri, "cid": cid }));
    json!({ "root": root.unwrap_or_else(|| own.clone()), "parent": own })
}

pub(super) fn remote(record: Record, parent: Option<&Remote>) -> Remote {
    let url = record.uri.strip_prefix("at://").and_then(|path| {
        let mut steps = path.split('/');
        Some(format!("https://bsky.app/profile/{}/post/{}", steps.next()?, steps.nth(1)?))
    });
    let mut more = BTreeMap::from([("cid".to_owned(), record.cid)]);
    if let Some(parent) = parent {
        let of = |name: &str, own: &str| parent.more.get(name).cloned().unwrap_or_else(|| own.to_owned());
        let cid = parent.more.get("cid").cloned().unwrap_or_default();
        more.insert("root_uri".to_owned(), of("root_uri", &parent.id));
        more.insert("root_cid".to_owned(), of("root_cid", &cid));
    }
    Remote { id: record.uri, url, more }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn record_keys_are_such_as_servers_take() {
        let since = UnixMillis(1_795_392_000_123);
        let key = record_key("gkotely4btjppnnactjjdvgxsk", since);
        assert_eq!(key, record_key("gkotely4btjppnnactjjdvgxsk", since));
        assert_ne!(key, record_key("gkotely4btjppnnactjjdvgxsl", since));
        // https://atproto.com/specs/tid: thirteen of these letters, the first of which stays below `k`.
        assert!(key.len() == 13 && key.bytes().all(|letter| TID_LETTERS.contains(&letter)), "{key}");
        assert!(key.as_bytes()[0] < b'k');
        let value = key.bytes().fold(0_u64, |value, letter| {
            (value << 5) | TID_LETTERS.iter().position(|known| *known == letter).expect("a letter") as u64
        });
        assert_eq!((value >> 10) / 1_000, 1_795_392_000_123);
    }
}
