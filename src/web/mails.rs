//! The mails of the folder, for those who try allim out: shown only with `web.show_mail_folder`, and only to this
//! machine and its private network, since they hold addresses and unsubscribe links.

use super::ui::Asked;
use super::validators::fixed;
use super::{Front, client};
use crate::domain::clock::UnixMillis;
use crate::render::page::{self, Mail, MailLine, Notice};
use axum::extract::{Path as PathOf, Request, State};
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use mail_parser::{Message, MessageParser};
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// Mails listed on the first page.
const LISTED: usize = 20;
/// The folders of a Maildir that hold mail.
const HELD_IN: [&str; 2] = ["new", "cur"];
/// A mail program's page may style itself and load pictures; it may not run, submit or lead elsewhere.
const MAIL_POLICY: &str = "default-src 'none'; style-src 'unsafe-inline'; img-src https: http:; base-uri 'self'; \
                           frame-ancestors 'self'; sandbox allow-popups allow-popups-to-escape-sandbox";

/// The newest mails, newest first.
pub(super) async fn newest(front: &Arc<Front>, asked: &Asked) -> Vec<MailLine> {
    let Some(folder) = front.mail_folder.clone() else { return Vec::new() };
    let mails = tokio::task::spawn_blocking(move || read_newest(&folder)).await.unwrap_or_default();
    let look = asked.look(front);
    let line = |(name, bytes): &(String, Vec<u8>)| {
        let message = MessageParser::default().parse(bytes)?;
        Some(MailLine {
            href: look.link(&format!("/mails/{name}")),
            subject: message.subject().unwrap_or("–").to_owned(),
            to: address(message.to()),
            date: sent_at(&message).map(|at| look.instant(at)).unwrap_or_default(),
        })
    };
    mails.iter().filter_map(line).collect()
}

/// One mail with its headers, its HTML in a frame, and its text.
pub(super) async fn show(State(front): State<Arc<Front>>, PathOf(name): PathOf<String>, request: Request) -> Response {
    let (asked, is_near) = (Asked::new(&front, &request), client::is_near(&front, &request));
    let Some(bytes) = read(&front, &name, is_near).await else {
        return asked.notice(&front, StatusCode::NOT_FOUND, Notice::NotFound);
    };
    let look = asked.look(&front);
    let Some(message) = MessageParser::default().parse(&bytes) else {
        return asked.notice(&front, StatusCode::NOT_FOUND, Notice::NotFound);
    };
    let mail = Mail {
        href: format!("{}/mails/{name}", front.base),
        subject: message.subject().unwrap_or("–").to_owned(),
        from: address(message.from()),
        to: address(message.to()),
        date: sent_at(&message).map(|at| look.instant(at)).unwrap_or_default(),
        text: message.body_text(0).unwrap_or_default().into_owned(),
    };
    asked.answer(StatusCode::OK, page::mail(&look, &front.templates, &mail))
}

/// The HTML part alone. Its links open beside the frame.
pub(super) async fn html(State(front): State<Arc<Front>>, PathOf(name): PathOf<String>, request: Request) -> Response {
    let is_near = client::is_near(&front, &request);
    let bytes = read(&front, &name, is_near).await;
    let message = bytes.as_deref().and_then(|bytes| MessageParser::default().parse(bytes));
    let Some(html) = message.as_ref().and_then(|message| message.body_html(0)) else {
        return super::ui::not_found(&front, &request);
    };
    let html = html.replacen("<head>", "<head><base target=\"_blank\">", 1);
    let headers = fixed([
        (header::CONTENT_TYPE, "text/html; charset=utf-8"),
        (header::CACHE_CONTROL, "no-store"),
        (header::CONTENT_SECURITY_POLICY, MAIL_POLICY),
        (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
        (header::REFERRER_POLICY, "no-referrer"),
    ]);
    (headers, html).into_response()
}

/// The bytes as they would go over the wire.
pub(super) async fn source(
    State(front): State<Arc<Front>>,
    PathOf(name): PathOf<String>,
    request: Request,
) -> Response {
    let is_near = client::is_near(&front, &request);
    let Some(bytes) = read(&front, &name, is_near).await else { return super::ui::not_found(&front, &request) };
    let headers = fixed([
        (header::CONTENT_TYPE, "text/plain; charset=utf-8"),
        (header::CACHE_CONTROL, "no-store"),
        (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
    ]);
    (headers, bytes).into_response()
}

/// A mail by the name of its file, for those who may see it.
async fn read(front: &Front, name: &str, is_near: bool) -> Option<Vec<u8>> {
    let folder = front.mail_folder.as_ref().filter(|_| is_near)?;
    if !name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'.') || name.starts_with('.') {
        return None;
    }
    for held_in in HELD_IN {
        if let Ok(bytes) = tokio::fs::read(folder.join(held_in).join(name)).await {
            return Some(bytes);
        }
    }
    None
}

fn read_newest(folder: &Path) -> Vec<(String, Vec<u8>)> {
    let mut files: Vec<(std::time::SystemTime, String, PathBuf)> = Vec::new();
    for held_in in HELD_IN {
        for entry in std::fs::read_dir(folder.join(held_in)).into_iter().flatten().flatten() {
            let Ok(modified) = entry.metadata().and_then(|metadata| metadata.modified()) else { continue };
            files.push((modified, entry.file_name().to_string_lossy().into_owned(), entry.path()));
        }
    }
    files.sort_by(|a, b| b.cmp(a));
    files.truncate(LISTED);
    files.into_iter().filter_map(|(_, name, path)| Some((name, std::fs::read(path).ok()?))).collect()
}

fn address(addresses: Option<&mail_parser::Address<'_>>) -> String {
    let Some(first) = addresses.and_then(|addresses| addresses.first()) else { return String::new() };
    match (first.name(), first.address()) {
        (Some(name), Some(address)) => format!("{name} <{address}>"),
        (_, address) => address.unwrap_or_default().to_owned(),
    }
}

fn sent_at(message: &Message<'_>) -> Option<UnixMillis> {
    message.date().map(|date| UnixMillis(date.to_timestamp().saturating_mul(1_000)))
}
