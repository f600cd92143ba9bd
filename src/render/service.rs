//! Letters that answer what somebody did: one sentence, one button, and who writes.

use super::RenderError;
use super::mail::Site;
use super::pieces::{self, MARKS, Pieces};
use super::templates::Templates;
use super::words::people::{PeopleWords, people_words};
use super::words::{Words, words};
use crate::domain::edition::EditionKind;
use crate::domain::language::Language;
use crate::domain::text::{CleanText, HeaderText};
use serde::Serialize;

/// What a service letter is made from.
#[derive(Clone, Copy)]
pub struct Service<'a> {
    /// What it is. An issue isn't one.
    pub kind: EditionKind,
    /// The reader's language.
    pub language: &'a Language,
    /// The title of the digest that it speaks of, if it speaks of one.
    pub about: Option<&'a str>,
    /// Who sends.
    pub site: &'a Site,
    /// The day on which what it speaks of was done.
    pub on: Option<jiff::civil::Date>,
}

/// What `service.html` and `service.txt` see.
#[derive(Serialize)]
struct ServiceView<'a> {
    language: String,
    subject: String,
    sentence: &'static str,
    about: Option<&'a str>,
    /// The day, where the law wants it told.
    date: Option<String>,
    button: &'static str,
    /// What follows from doing nothing.
    otherwise: Option<&'static str>,
    site_name: &'a str,
    site_url: Option<&'a str>,
    contact: Option<&'a str>,
    postal_address: Option<&'a str>,
    words: &'static Words,
    say: &'static PeopleWords,
    personal: pieces::Marks,
}

/// Renders a service letter without anything personal: its button leads to the recipient's own link.
///
/// # Errors
/// [`RenderError::Template`] when an operator's template asks for something that isn't there or has lost the link;
/// [`RenderError::Empty`] for what is no service letter.
pub fn service(letter: &Service<'_>, templates: &Templates) -> Result<Pieces, RenderError> {
    let (words, say) = (words(letter.language), people_words(letter.language));
    let (subject, sentence, button) = match letter.kind {
        EditionKind::Issue
        | EditionKind::Heartbeat
        | EditionKind::Correction
        | EditionKind::Test
        | EditionKind::Push => {
            return Err(RenderError::Empty);
        }
        EditionKind::Confirmation => (&say.mail_confirm, &say.mail_confirm_why, &say.mail_confirm_button),
        EditionKind::Link => (&say.mail_link, &say.mail_link_why, &say.mail_link_button),
        EditionKind::Granted => (&say.mail_granted, &say.mail_granted_why, &say.mail_manage_button),
        EditionKind::Withdrawn => (&say.mail_withdrawn, &say.mail_withdrawn_why, &say.mail_manage_button),
        // It has no button: the operator and the partner mend it between them.
        EditionKind::PartnerPaused => (&say.mail_partner_paused, &say.mail_partner_paused_why, &say.mail_manage_button),
        EditionKind::Reminder => (&say.mail_reminder, &say.mail_reminder_why, &say.mail_manage_button),
    };
    let site_name = letter.site.name.get(letter.language);
    let view = ServiceView {
        language: letter.language.to_string(),
        subject: format!("{subject} · {site_name}"),
        sentence,
        about: letter.about,
        date: letter.on.map(|on| words.date(on)),
        button,
        otherwise: (letter.kind == EditionKind::Confirmation).then_some(&say.mail_ignore),
        site_name,
        site_url: letter.site.public_url.as_deref(),
        contact: letter.site.contact.as_deref(),
        postal_address: letter.site.postal_address.as_deref(),
        words,
        say,
        personal: MARKS,
    };
    let part = |name: &str| {
        let part = templates.render(name, &view)?;
        match pieces::fault(&part) {
            None => Ok(part),
            Some(reason) => {
                Err(RenderError::Template { template: name.to_owned(), line: 0, reason: reason.to_owned() })
            }
        }
    };
    let subject = HeaderText::fold(&CleanText::new(&view.subject)).as_str().to_owned();
    Ok(Pieces { subject, html: part("service.html")?, text: part("service.txt")?, calendar: None })
}
