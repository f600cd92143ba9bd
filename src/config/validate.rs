//! Checks a file and makes the values that the parts are built from: parsed at the door, nothing is checked again inside.

use super::accounts::{self, Account};
use super::file::{DigestTable, File};
use super::ways::{self, Class, Group};
use super::{Dkim, Inbox, Mistake, Receipts, Roles, control_room, digests, dkim, inbound, outside, partners_in};
use crate::domain::audience::{Address, IMMEDIATE};
use crate::domain::destination;
use crate::domain::language::Language;
use crate::guard;
use crate::intake::accept::Source;
use crate::intake::feed::Followed;
use crate::intake::wire::SourcePolicy;
use crate::plan::digest::Digest;
use crate::plan::release;
use crate::render::letter::Sender;
use crate::render::share::{self, ShareLink};
use crate::render::site::{LocalText, Site};
use crate::render::theme::Theme;
use crate::store::Location;
use crate::web::{self, TrustedProxies};
use std::collections::{BTreeMap, BTreeSet};
use std::net::{IpAddr, SocketAddr};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

/// A configuration that holds together.
#[derive(Clone, Debug)]
pub struct Config {
    /// The file, with the environment laid over it.
    pub file: File,
    /// Where the configuration file lies: relative template folders are taken from here.
    pub base: PathBuf,
    /// The store.
    pub store: Location,
    /// What this daemon does.
    pub roles: Roles,
    /// Sources by name.
    pub sources: BTreeMap<String, Source>,
    /// Feeds of partners that are pulled.
    pub feeds: Vec<Followed>,
    /// Inboxes for signed webhooks, by source.
    pub inboxes: BTreeMap<String, Inbox>,
    /// How sources are told what became of what they sent.
    pub receipts: BTreeMap<String, Receipts>,
    /// Digests by name.
    pub digests: BTreeMap<String, Digest>,
    /// Languages and waits.
    pub release: release::Rules,
    /// The institution.
    pub site: Site,
    /// How its pages look; the pictures are read by `app`, as whatever else lies in files of its own.
    pub theme: Theme,
    /// The site's zone.
    pub zone: jiff::tz::TimeZone,
    /// Senders by name.
    pub senders: BTreeMap<String, Arc<Sender>>,
    /// The domains whose mail the listener for returned mail takes.
    pub inbound_domains: Vec<String>,
    /// The signatures of each sender.
    pub dkim: BTreeMap<String, Vec<Dkim>>,
    /// Reverse proxies that are believed.
    pub proxies: TrustedProxies,
    /// Where the control room listens, and what is set of it.
    pub control_room: Option<(SocketAddr, web::admin::Settings)>,
    /// Sender and destination by schedule and language.
    pub routes: BTreeMap<(String, Option<Language>), (String, String)>,
    /// The groups of relays that mail goes by, that of immediate mail first.
    pub groups: Vec<Group>,
    /// Recipient domains with a pace of their own.
    pub classes: Vec<Class>,
    /// The links by which readers pass a post on.
    pub shares: Vec<ShareLink>,
    /// The hubs of the feeds, our own first.
    pub hubs: Vec<String>,
    /// Own accounts at social networks.
    pub accounts: Vec<Account>,
    /// What may be asked of what others name.
    pub outgoing: guard::Rules,
    /// The name server that is asked about senders, if not the system's.
    pub resolver: Option<SocketAddr>,
}

/// The destination of mail when no relay is configured.
pub const FOLDER_DESTINATION: &str = "email:folder";

/// Longest name of a topic, digest, sender, relay or source.
const NAME_LEN_MAX: usize = 64;

impl Config {
    /// Checks a file.
    ///
    /// # Errors
    /// The first [`Mistake`].
    pub fn check(file: File, base: &Path) -> Result<Self, Mistake> {
        let zone = zone(&file.site.zone, "site.zone")?;
        let site = Site {
            name: file.site.name.clone(),
            public_url: public_url(&file)?,
            contact: file.site.contact.clone(),
            postal_address: file.site.postal_address.clone(),
        };
        tag_authority(&file.site.tag_authority)?;
        let proxies = TrustedProxies::parse(&file.web.trusted_proxies)
            .map_err(|(index, error)| Mistake::new(format!("web.trusted_proxies[{index}]"), error))?;
        let release = languages(&file)?;
        ways::relays(&file)?;
        let senders = senders(&file)?;
        let sources = sources(&file)?;
        ways_in(&file, &sources)?;
        numbers(&file)?;
        let outgoing = outside::rules(&file)?;
        let roles = Roles::new(file.instance.roles.iter().copied());
        let none = || Mistake::new("instance.roles", "name at least one of `intake`, `plan`, `send` and `web`");
        Ok(Self {
            roles: roles.ok_or_else(none)?,
            store: store(&file)?,
            feeds: partners_in::feeds(&file, &sources, &outgoing)?,
            inboxes: partners_in::inboxes(&file, &sources)?,
            receipts: partners_in::receipts(&file, &sources, &outgoing)?,
            digests: digests::check(&file)?,
            routes: routes(&file, &senders)?,
            groups: ways::groups(&file)?,
            classes: ways::classes(&file)?,
            dkim: dkim::check(&file, &senders)?,
            inbound_domains: inbound::domains(&file, &senders)?,
            shares: shares(&file)?,
            theme: theme(&file)?,
            resolver: resolver(&file)?,
            control_room: control_room::check(&file)?,
            hubs: outside::hubs(&file, site.public_url.as_deref(), &outgoing)?,
            accounts: accounts::check(&file, &release.languages, site.public_url.as_deref(), &outgoing)?,
            outgoing,
            base: base.to_owned(),
            sources,
            release,
            proxies,
            site,
            zone,
            senders,
            file,
        })
    }

    /// A path of the file, taken from the state folder when it is relative.
    #[must_use]
    pub fn in_state(&self, path: &Path) -> PathBuf {
        self.file.instance.state_dir.join(path)
    }

    /// The domain that ids are minted under.
    #[must_use]
    pub fn tag_domain(&self) -> &str {
        self.file.site.tag_authority.split(',').next().unwrap_or_default()
    }

    /// The names of all destinations: each group of relays, then each class of domains by each group.
    #[must_use]
    pub fn destinations(&self) -> Vec<String> {
        let groups = self.groups.iter().map(|group| group.name.clone());
        let of_classes = self
            .groups
            .iter()
            .filter(|group| !group.relays.is_empty())
            .flat_map(|group| self.classes.iter().map(|class| destination::of_class(&group.name, &class.name)));
        groups.chain(of_classes).collect()
    }

    /// Topic titles by name.
    #[must_use]
    pub fn topic_titles(&self) -> BTreeMap<String, LocalText> {
        self.file.topic.iter().map(|topic| (topic.name.clone(), topic.title.clone())).collect()
    }
}

fn store(file: &File) -> Result<Location, Mistake> {
    let url = &file.store.url;
    if let Some(path) = url.strip_prefix("sqlite:") {
        return Ok(Location::Sqlite(file.instance.state_dir.join(path)));
    }
    if url.starts_with("postgres://") || url.starts_with("postgresql://") {
        return Ok(Location::Postgres { url: url.clone(), connections: file.store.connections });
    }
    Err(Mistake::new("store.url", "write `sqlite:FILE` or `postgres://user@host/database`"))
}

fn public_url(file: &File) -> Result<Option<String>, Mistake> {
    let Some(url) = &file.web.public_url else {
        return match file.relay.is_empty() {
            true => Ok(None),
            false => Err(Mistake::new("web.public_url", "is needed once a relay is configured: mails link to it")),
        };
    };
    let parsed = url::Url::parse(url).map_err(|e| Mistake::new("web.public_url", format!("not a URL: {e}")))?;
    let local = matches!(parsed.host_str(), Some("localhost" | "127.0.0.1" | "[::1]"));
    if parsed.scheme() != "https" && !(local && parsed.scheme() == "http") {
        return Err(Mistake::new("web.public_url", "must be https: unsubscribe links travel in mail (RFC 8058)"));
    }
    Ok(Some(url.trim_end_matches('/').to_owned()))
}

fn tag_authority(text: &str) -> Result<(), Mistake> {
    let ok = text.split_once(',').is_some_and(|(domain, year)| {
        domain.contains('.') && url::Host::parse(domain).is_ok() && year.len() >= 4 && year.starts_with(['1', '2'])
    });
    if ok {
        Ok(())
    } else {
        Err(Mistake::new(
            "site.tag_authority",
            "write a domain of yours and a year in which it was, such as `example.org,2026`",
        ))
    }
}

pub(super) fn zone(name: &str, key: &str) -> Result<jiff::tz::TimeZone, Mistake> {
    jiff::tz::TimeZone::get(name)
        .map_err(|_| Mistake::new(key, format!("`{name}` is not an IANA time zone; write one such as `Asia/Seoul`")))
}

pub(super) fn name(value: &str, key: &str, seen: &mut BTreeSet<String>) -> Result<(), Mistake> {
    let fits = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-' || c == '_';
    if value.is_empty() || value.len() > NAME_LEN_MAX || !value.chars().all(fits) {
        return Err(Mistake::new(
            key,
            format!("`{value}` is not a name; use up to {NAME_LEN_MAX} of a-z, 0-9, - and _"),
        ));
    }
    if !seen.insert(value.to_owned()) {
        return Err(Mistake::new(key, format!("`{value}` stands here twice")));
    }
    Ok(())
}

fn languages(file: &File) -> Result<release::Rules, Mistake> {
    let read = |(index, tag): (usize, &String)| {
        Language::parse(tag).map_err(|e| Mistake::new(format!("languages.readers[{index}]"), e))
    };
    let languages: Vec<Language> = file.languages.readers.iter().enumerate().map(read).collect::<Result<_, _>>()?;
    if languages.is_empty() {
        return Err(Mistake::new("languages.readers", "name at least one language, such as `[\"ko\"]`"));
    }
    Ok(release::Rules { languages, translation_wait: file.languages.translation_wait })
}

fn senders(file: &File) -> Result<BTreeMap<String, Arc<Sender>>, Mistake> {
    let (mut senders, mut seen) = (BTreeMap::new(), BTreeSet::new());
    for (index, table) in file.sender.iter().enumerate() {
        let key = |field: &str| format!("sender[{index}].{field}");
        name(&table.name, &key("name"), &mut seen)?;
        let address = Address::parse(&table.address).map_err(|e| Mistake::new(key("address"), e))?;
        let reply_to = table.reply_to.as_deref().map(Address::parse).transpose();
        let reply_to = reply_to.map_err(|e| Mistake::new(key("reply_to"), e))?;
        if !table.list_id.contains('.') || table.list_id.contains(|c: char| c.is_whitespace() || c == '<' || c == '>') {
            return Err(Mistake::new(
                key("list_id"),
                "write a name under a domain of yours, such as `news.example.org`",
            ));
        }
        let message_id_domain = table.message_id_domain.clone().unwrap_or_else(|| address.domain().to_owned());
        let bounce_domain =
            table.bounce_domain.as_deref().map(|domain| inbound::mail_domain(domain, key("bounce_domain")));
        let bounce_domain = bounce_domain.transpose()?;
        let help_url = file.web.public_url.as_deref().map(|url| format!("{}/", url.trim_end_matches('/')));
        let (from, list_id, name) = (table.from.clone(), table.list_id.clone(), table.name.clone());
        let sender = Sender { name, from, address, reply_to, list_id, message_id_domain, bounce_domain, help_url };
        senders.insert(table.name.clone(), Arc::new(sender));
    }
    if senders.is_empty() {
        return Err(Mistake::new("sender", "at least one [[sender]] is needed"));
    }
    Ok(senders)
}

type Routes = BTreeMap<(String, Option<Language>), (String, String)>;

fn routes(file: &File, senders: &BTreeMap<String, Arc<Sender>>) -> Result<Routes, Mistake> {
    let mut routes = BTreeMap::new();
    let immediate = ("immediate".to_owned(), IMMEDIATE, &file.immediate.sender, &file.immediate.sender_by_language);
    let of_digest = |(index, table): (usize, &'_ DigestTable)| (format!("digest[{index}]"), index, table.name.clone());
    let mut tables = vec![(immediate.0, immediate.1.to_owned(), immediate.2, immediate.3)];
    for (key, index, name) in file.digest.iter().enumerate().map(of_digest) {
        let table = &file.digest[index];
        tables.push((key, name, &table.sender, &table.sender_by_language));
    }
    for (key, schedule, sender, by_language) in tables {
        let known = |sender: &str, key: String| match senders.contains_key(sender) {
            true => Ok((sender.to_owned(), destination_of(file, sender)?)),
            false => Err(Mistake::new(key, format!("no [[sender]] has the name `{sender}`"))),
        };
        let first = file.sender.first().map_or("", |table| table.name.as_str());
        let default = known(sender.as_deref().unwrap_or(first), format!("{key}.sender"))?;
        routes.insert((schedule.clone(), None), default);
        for (tag, sender) in by_language {
            let key = format!("{key}.sender_by_language.{tag}");
            let language = Language::parse(tag).map_err(|e| Mistake::new(key.clone(), e))?;
            routes.insert((schedule.clone(), Some(language)), known(sender, key)?);
        }
    }
    Ok(routes)
}

fn shares(file: &File) -> Result<Vec<ShareLink>, Mistake> {
    share::links(&file.share).map_err(|bad| Mistake::new(format!("share[{}].{}", bad.index, bad.field), bad.reason))
}

fn theme(file: &File) -> Result<Theme, Mistake> {
    Theme::read(&file.site.theme).map_err(|bad| Mistake::new(format!("site.theme.{}", bad.field), bad.reason))
}

/// The port that name servers listen at (RFC 1035 section 4.2).
const DNS_PORT: u16 = 53;

fn resolver(file: &File) -> Result<Option<SocketAddr>, Mistake> {
    let Some(text) = &file.send.resolver else { return Ok(None) };
    let bare = || text.parse::<IpAddr>().map(|address| SocketAddr::new(address, DNS_PORT));
    let wrong = |_| Mistake::new("send.resolver", "write an address and a port, such as `127.0.0.1:53`");
    text.parse().or_else(|_| bare()).map(Some).map_err(wrong)
}

/// The destination that a sender's mail goes to.
fn destination_of(file: &File, sender: &str) -> Result<String, Mistake> {
    let index = file.sender.iter().position(|table| table.name == sender).unwrap_or_default();
    ways::group(file, index).map(|group| group.name)
}

fn sources(file: &File) -> Result<BTreeMap<String, Source>, Mistake> {
    let (mut sources, mut seen, mut topics) = (BTreeMap::new(), BTreeSet::new(), BTreeSet::new());
    for (index, topic) in file.topic.iter().enumerate() {
        name(&topic.name, &format!("topic[{index}].name"), &mut topics)?;
        if topic.name == "all" || topic.name == "private" {
            let reason =
                "`all` names the feed of all topics, `private` those of single institutions; choose another name";
            return Err(Mistake::new(format!("topic[{index}].name"), reason));
        }
    }
    if topics.is_empty() {
        return Err(Mistake::new("topic", "at least one [[topic]] is needed: people subscribe to topics"));
    }
    for (index, table) in file.intake.source.iter().enumerate() {
        let key = |field: &str| format!("intake.source[{index}].{field}");
        name(&table.name, &key("name"), &mut seen)?;
        for (field, list) in
            [("topics_default", Some(&table.topics_default)), ("topics_allowed", table.topics_allowed.as_ref())]
        {
            if let Some(unknown) = list.into_iter().flatten().find(|topic| !topics.contains(*topic)) {
                return Err(Mistake::new(key(field), format!("no [[topic]] has the name `{unknown}`")));
            }
        }
        let policy = SourcePolicy {
            name: table.name.clone(),
            topics_default: table.topics_default.clone(),
            topics_allowed: table.topics_allowed.clone(),
            topics_known: topics.iter().cloned().collect(),
            urgent_allowed: table.urgent,
            event_sources_allowed: table.event_sources.clone(),
            own_authority: Some(file.site.tag_authority.clone()),
        };
        sources.insert(table.name.clone(), Source { policy, republish: table.republish, revisions: table.revisions });
    }
    if sources.is_empty() {
        return Err(Mistake::new("intake.source", "at least one [[intake.source]] is needed"));
    }
    Ok(sources)
}

fn ways_in(file: &File, sources: &BTreeMap<String, Source>) -> Result<(), Mistake> {
    let known = |source: &str, key: String| match sources.contains_key(source) {
        true => Ok(()),
        false => Err(Mistake::new(key, format!("no [[intake.source]] has the name `{source}`"))),
    };
    for (index, quiet) in file.promises.quiet_max.iter().enumerate() {
        known(&quiet.source, format!("promises.quiet_max[{index}].source"))?;
    }
    for (index, token) in file.intake.token.iter().enumerate() {
        known(&token.source, format!("intake.token[{index}].source"))?;
        if token.sha256.len() != 64 || !token.sha256.chars().all(|c| c.is_ascii_hexdigit()) {
            let key = format!("intake.token[{index}].sha256");
            return Err(Mistake::new(key, "write the 64 hexadecimal digits that `allim token new` prints"));
        }
    }
    if let Some(amqp) = &file.intake.amqp {
        known(&amqp.source, "intake.amqp.source".to_owned())?;
        if !amqp.url.starts_with("amqp://") && !amqp.url.starts_with("amqps://") {
            return Err(Mistake::new("intake.amqp.url", "write `amqp://…` or `amqps://…`"));
        }
    }
    if let Some(spool) = &file.intake.spool {
        known(&spool.source, "intake.spool.source".to_owned())?;
    }
    if let Some(quickstart) = &file.quickstart {
        known(&quickstart.source, "quickstart.source".to_owned())?;
    }
    Ok(())
}

/// Consent holds for two years before it is told of again, and must be provable until then (design rule 20).
const CONSENT_KEPT_MIN: Duration = Duration::from_secs(730 * 86_400);

fn numbers(file: &File) -> Result<(), Mistake> {
    let positive = |value: usize, key: String| match value {
        0 => Err(Mistake::new(key, "must be at least 1")),
        _ => Ok(()),
    };
    positive(file.store.connections, "store.connections".to_owned())?;
    positive(usize::try_from(file.send.chunk).unwrap_or(0), "send.chunk".to_owned())?;
    positive(usize::try_from(file.send.large).unwrap_or(0), "send.large".to_owned())?;
    positive(file.send.posture_every.as_secs().try_into().unwrap_or(usize::MAX), "send.posture_every".to_owned())?;
    if file.people.consent_kept < CONSENT_KEPT_MIN {
        return Err(Mistake::new("people.consent_kept", "must be at least 730d: consent must be provable that long"));
    }
    if let Some(amqp) = &file.intake.amqp {
        positive(usize::from(amqp.prefetch), "intake.amqp.prefetch".to_owned())?;
    }
    let listen: Result<std::net::SocketAddr, _> = file.web.listen.parse();
    listen.map_err(|_| Mistake::new("web.listen", "write an address and a port, such as `127.0.0.1:8025`"))?;
    Ok(())
}
