//! One institution that shows every post in every way there is.

use crate::{outputs, pages};
use allim::domain::audience::Address;
use allim::domain::clock::UnixMillis;
use allim::domain::delivery::DeliveryKey;
use allim::domain::edition::{EditionKind, ItemForm};
use allim::domain::language::Language;
use allim::domain::post::{Post, Showable, Standing};
use allim::render::calendar::{self, feed as calendars};
use allim::render::feed::{Format, History, Meta, Tombstone, feed};
use allim::render::letter::{Fill, LetterForm, Sender};
use allim::render::mail::{Entry, Issue, LocalText, Site, pieces};
use allim::render::page::post::{Copied, PostPage};
use allim::render::page::{self, Look};
use allim::render::share::{self, ShareLink};
use allim::render::templates::Templates;
use allim::render::theme::{Theme, ThemeTable};
use jiff::tz::TimeZone;
use proptest::prelude::*;
use proptest::test_runner::TestCaseError;
use std::collections::BTreeMap;

const AT: UnixMillis = UnixMillis(1_776_812_400_000);
pub const ORIGIN: &str = "https://allim.example.org";

pub struct House {
    templates: Templates,
    site: Site,
    zone: TimeZone,
    sender: Sender,
    languages: Vec<Language>,
    shares: Vec<ShareLink>,
    theme: Theme,
}

/// A renderer's refusal is a fault: the post was taken in.
fn made<T, E: std::fmt::Display>(what: &str, result: Result<T, E>) -> Result<T, TestCaseError> {
    result.map_err(|error| TestCaseError::fail(format!("{what}: {error}")))
}

impl House {
    pub fn new() -> Self {
        let language = |tag: &str| Language::parse(tag).expect("a tag");
        Self {
            templates: Templates::load(None).expect("templates"),
            site: Site {
                name: LocalText::same("해오름 물연구소 & <벗들>"),
                public_url: Some(ORIGIN.to_owned()),
                contact: Some("info@example.org".to_owned()),
                postal_address: Some("1 Harbour Road".to_owned()),
            },
            zone: TimeZone::get("Asia/Seoul").expect("a zone"),
            sender: Sender {
                name: "news".to_owned(),
                from: LocalText::same("해오름 물연구소"),
                address: Address::parse("news@example.org").expect("an address"),
                reply_to: None,
                list_id: "news.example.org".to_owned(),
                message_id_domain: "example.org".to_owned(),
                bounce_domain: None,
                help_url: None,
            },
            languages: ["ko", "en", "zh"].map(language).to_vec(),
            shares: share::links(&[]).expect("the links that it comes with"),
            theme: Theme::read(&ThemeTable::default()).expect("the colours that it comes with"),
        }
    }

    /// Shows a post in every way. `mark` is a word of its title, which must be found again in each.
    pub fn check(&self, post: Post, mark: &str) -> Result<(), TestCaseError> {
        let standing = Standing {
            post_id: "id1".to_owned(),
            story_id: "s1".to_owned(),
            source: "cms".to_owned(),
            revision: 1,
            received_at: AT,
            revised_at: None,
            public_at: Some(AT),
            expired_at: None,
            withdrawn_at: None,
            backfill_at: None,
        };
        let showable = Showable::public(standing, post).map_err(|_| TestCaseError::fail("it isn't public"))?;
        self.feeds(&showable)?;
        self.calendars(&showable)?;
        self.pages(&showable)?;
        self.mails(&showable, mark)
    }

    fn feeds(&self, showable: &Showable) -> Result<(), TestCaseError> {
        for format in Format::ALL {
            let meta = Meta {
                title: "행사 · 해오름",
                name: "events",
                language: &self.languages[0],
                self_url: "https://allim.example.org/feeds/events",
                page_url: "https://allim.example.org/topics/events",
                site: &self.site,
                zone: &self.zone,
                tag_authority: "example.org,2026",
                history: &History {
                    is_archive: true,
                    next: Some(format!("{ORIGIN}/feeds/events/1")),
                    ..History::default()
                },
                hubs: &["https://hub.example.net/?a=1&b=<2>".to_owned()],
                topic_title: &|topic, _| format!("<{topic}> & co"),
            };
            let gone = [Tombstone { post_id: "id2".to_owned(), withdrawn_at: AT }];
            let made =
                made(format.name(), feed(format, &meta, std::slice::from_ref(showable), &gone, &self.templates))?;
            prop_assert_eq!(&made.left_out, &[], "{} leaves it out", format.name());
            outputs::feed(format, &made.bytes, showable)?;
        }
        Ok(())
    }

    fn calendars(&self, showable: &Showable) -> Result<(), TestCaseError> {
        let page_url = |id: &str| Some(format!("{ORIGIN}/posts/{id}"));
        let one = calendar::calendar([showable], "example.org", page_url);
        prop_assert_eq!(one.is_some(), showable.post().event.is_some());
        let about = calendars::About {
            title: "행사 · 해오름",
            self_url: "https://allim.example.org/feeds/events.ics",
            page_url: "https://allim.example.org/topics/events",
            authority: "example.org",
            zone: &self.zone,
        };
        let all = made("iCalendar", calendars::feed(&about, std::slice::from_ref(showable), &[], page_url))?;
        prop_assert_eq!(&all.left_out, &[], "the calendar leaves it out");
        for text in one.iter().chain([&all.text]) {
            outputs::calendar(text, showable)?;
        }
        Ok(())
    }

    fn pages(&self, showable: &Showable) -> Result<(), TestCaseError> {
        // Every other picture and file has a copy.
        let post = showable.post();
        let files = post.attachments.iter().map(|file| file.url.clone());
        let urls = post.images.iter().map(|image| image.url.clone()).chain(post.pictures_in_text()).chain(files);
        let copied = |url| {
            let (href, small) = ("/media/0a".to_owned(), Some("/media/0b".to_owned()));
            (url, Copied { href, small, size: Some((1_280, 720)), bytes: 1_234 })
        };
        let copies: BTreeMap<String, Copied> = urls.step_by(2).map(copied).collect();
        for language in &self.languages {
            let look = Look {
                language,
                is_chosen: true,
                offered: &self.languages,
                path: "/posts/id1",
                query: "",
                base: "",
                origin: ORIGIN,
                style: "/style-0.css",
                icon: "/icon-0.svg",
                site: &self.site,
                theme: &self.theme,
                has_issues: true,
                zone: &self.zone,
            };
            let shown = PostPage {
                showable,
                variants: &[],
                topic: Some(&("행사".to_owned(), "events".to_owned())),
                copies: &copies,
                views: Some(7),
                shares: &self.shares,
                discover: &[],
            };
            let html = made("the page", page::post::post(&look, &self.templates, &shown))?;
            pages::post(&html, showable)?;
            let line = look.line(showable, |topic| format!("<{topic}>"));
            let html = made("the front page", page::home(&look, &self.templates, &[], &[line], None, &[]))?;
            pages::front(&html, showable)?;
        }
        Ok(())
    }

    fn mails(&self, showable: &Showable, mark: &str) -> Result<(), TestCaseError> {
        let entry = Entry {
            showable: showable.clone(),
            topic_title: "행사".to_owned(),
            also_titles: Vec::new(),
            form: ItemForm::Post,
        };
        for (is_digest, language) in [(false, &self.languages[0]), (true, &self.languages[1])] {
            let issue = Issue {
                language,
                schedule_title: "주간 소식",
                kind: EditionKind::Issue,
                is_digest,
                is_commercial: false,
                site: &self.site,
                entries: std::slice::from_ref(&entry),
                planned_at: AT,
                zone: &self.zone,
                web_copy_url: Some("https://allim.example.org/editions/k1.a"),
                notes_revisions: true,
                calendar_authority: Some("example.org"),
            };
            let pieces = made("the mail", pieces(&issue, &self.templates))?;
            let form = made("the letter", LetterForm::new(&pieces, &self.sender, language))?;
            let fill = Fill {
                to: &Address::parse("reader@example.com").expect("an address"),
                to_name: None,
                delivery: &DeliveryKey { plan_id: 1, recipient_id: 1, carrier: "email".to_owned() },
                planned_at: AT,
                unsubscribe_url: Some("https://allim.example.org/unsubscribe/x"),
                manage_url: Some("https://allim.example.org/manage/x"),
                leave_address: None,
                text_only: false,
            };
            let letter = made("the letter", form.fill(&fill))?;
            outputs::mail(&letter, &pieces.subject, mark)?;
        }
        Ok(())
    }
}
