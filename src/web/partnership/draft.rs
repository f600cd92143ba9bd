//! What somebody says of a partner, and whether it can be.

use crate::domain::audience::Address;
use crate::domain::keyring::Broker;
use crate::domain::language::Language;
use crate::domain::partner::{self, Format, Order, Selection, Way};
use crate::domain::post::TAG_PREFIX;
use crate::guard::Rules;
use crate::render::feed::House;
use crate::store::partners::{Change, Partner};
use serde::Deserialize;
use utoipa::ToSchema;

/// What is said of a partner. Of one that is there already, what is left out stays.
#[derive(Clone, Default, Deserialize, ToSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Draft {
    /// What it is called, for good: up to 64 of `a-z`, `0-9`, `-` and `_`.
    #[schema(example = "han-university")]
    pub name: Option<String>,
    /// Where it is told: `https://…`, or `amqps://user:password@host:5671/vhost`. A partner without one asks for itself.
    pub url: Option<String>,
    /// What it is told in; `cloudevent` unless said otherwise.
    #[schema(pattern = "^(cloudevent|jsonfeed|atom|activitystreams)$")]
    pub format: Option<String>,
    /// Topics, tags as `tag:…`; none: all.
    pub topics: Option<Vec<String>>,
    /// Languages with their regional forms; none: all.
    pub languages: Option<Vec<String>>,
    /// `pass`: others pass a delivery that fails; `line`: it holds the line.
    #[schema(pattern = "^(pass|line)$")]
    pub ordering: Option<String>,
    /// Whether it is told of posts under an embargo, marked as such.
    pub trusted: Option<bool>,
    /// The mail address that is told when the partner doesn't answer; empty for nobody.
    pub contact: Option<String>,
    /// The language of that letter; the site's first unless said otherwise.
    pub contact_language: Option<String>,
    /// Of a broker: the exchange; the default one unless said otherwise.
    pub exchange: Option<String>,
    /// Of a broker: the routing key.
    pub routing_key: Option<String>,
    /// Of a broker: whether attributes stand in header fields, and the body is the post alone.
    pub binary: Option<bool>,
    /// Of a broker: certificates (PEM) to trust beside the system's.
    pub ca: Option<String>,
}

/// What can't be.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{field}: {detail}")]
pub struct Broken {
    /// Which field.
    pub field: &'static str,
    /// What would be right.
    pub detail: String,
}

/// What was said, read.
#[derive(Clone)]
pub struct Named {
    pub(super) name: String,
    pub(super) way: Way,
    /// As it may be shown: without a password.
    pub(super) url: String,
    pub(super) format: Format,
    pub(super) selection: Selection,
    pub(super) ordering: Order,
    pub(super) is_trusted: bool,
    pub(super) contact: Option<(String, String)>,
    pub(super) broker: Option<Broker>,
}

fn broken(field: &'static str, detail: impl ToString) -> Broken {
    Broken { field, detail: detail.to_string() }
}

impl Draft {
    /// Reads it; `there` is the partner as it is, if it is there.
    pub(super) fn read(&self, house: &House, rules: &Rules, there: Option<&Partner>) -> Result<Named, Broken> {
        let name = match there {
            Some(partner) if self.name.as_ref().is_some_and(|name| *name != partner.name) => {
                return Err(broken("name", "a name stays for good"));
            }
            Some(partner) => partner.name.clone(),
            None => self.name.clone().unwrap_or_default(),
        };
        partner::check_name(&name).map_err(|detail| broken("name", detail))?;
        let (way, url, broker) = self.target(rules, there)?;
        let format = word("format", self.format.as_deref(), Format::from_word, Format::ALL, Format::CloudEvent)?;
        let ordering = word("ordering", self.ordering.as_deref(), Order::from_word, Order::ALL, Order::Pass)?;
        let known = |topic: &&String| !topic.starts_with(TAG_PREFIX) && !house.topics.iter().any(|(t, _)| t == *topic);
        let topics = self.topics.clone().unwrap_or_default();
        if let Some(unknown) = topics.iter().find(known) {
            return Err(broken("topics", format!("no [[topic]] has the name `{unknown}`")));
        }
        let read = |tag: &String| Language::parse(tag).map_err(|error| broken("languages", error));
        let languages = self.languages.iter().flatten().map(read).collect::<Result<_, _>>()?;
        let selection = Selection { topics, languages };
        let (contact, is_trusted) = (self.contact(house)?, self.trusted.unwrap_or_default());
        Ok(Named { name, way, url, format, selection, ordering, is_trusted, contact, broker })
    }

    /// Where it is told, and how.
    fn target(&self, rules: &Rules, there: Option<&Partner>) -> Result<(Way, String, Option<Broker>), Broken> {
        let Some(url) = self.url.as_deref().filter(|url| !url.is_empty()) else {
            let is_of_broker = self.exchange.is_some() || self.routing_key.is_some() || self.binary.is_some();
            if is_of_broker || self.ca.is_some() {
                return Err(broken("url", "what concerns a broker is set together with its address"));
            }
            return Ok((there.map_or(Way::Pull, |partner| partner.way), String::new(), None));
        };
        let way = if url.starts_with("amqp:") || url.starts_with("amqps:") { Way::Amqp } else { Way::Webhook };
        if there.is_some_and(|partner| partner.way != way) {
            let detail = "how a partner is told stays; end it and add another";
            return Err(broken("url", detail));
        }
        if way == Way::Webhook {
            rules.check(url).map_err(|refused| broken("url", format!("{refused}; see [outgoing]")))?;
            return Ok((way, url.to_owned(), None));
        }
        if cfg!(not(feature = "amqp")) {
            return Err(broken("url", "this allim was built without RabbitMQ"));
        }
        // Its words may repeat the address, and with it a password.
        let hint = "write amqps://user:password@host:5671/%2f";
        let mut shown = url::Url::parse(url).map_err(|_| broken("url", hint))?;
        if shown.host_str().is_none_or(str::is_empty) || shown.path() == "/" {
            return Err(broken("url", hint));
        }
        let _ = shown.set_password(None);
        let routing_key = self.routing_key.clone().unwrap_or_default();
        let exchange = self.exchange.clone().unwrap_or_default();
        if exchange.is_empty() && routing_key.is_empty() {
            return Err(broken("routing_key", "name an exchange, or by the routing key a queue"));
        }
        for (field, text) in [("exchange", &exchange), ("routing_key", &routing_key)] {
            if text.len() > 255 {
                return Err(broken(field, "AMQP has room for 255 octets"));
            }
        }
        let (is_binary, ca) = (self.binary.unwrap_or_default(), self.ca.clone());
        Ok((way, shown.into(), Some(Broker { url: url.to_owned(), exchange, routing_key, is_binary, ca })))
    }

    /// Whom to tell when it doesn't answer.
    fn contact(&self, house: &House) -> Result<Option<(String, String)>, Broken> {
        let Some(contact) = self.contact.as_deref().filter(|contact| !contact.is_empty()) else { return Ok(None) };
        let address = Address::parse(contact).map_err(|_| broken("contact", "it is not one mail address"))?;
        let language = match &self.contact_language {
            Some(tag) => Language::parse(tag).map_err(|error| broken("contact_language", error))?,
            None => house.languages[0].clone(),
        };
        Ok(Some((address.as_str().to_owned(), language.to_string())))
    }

    /// What of it is to be set.
    pub(super) fn change(&self, named: &Named) -> Change {
        Change {
            url: (!named.url.is_empty()).then(|| named.url.clone()),
            format: self.format.is_some().then_some(named.format),
            topics: self.topics.is_some().then(|| named.selection.topics.clone()),
            languages: self.languages.is_some().then(|| named.selection.languages.clone()),
            ordering: self.ordering.is_some().then_some(named.ordering),
            is_trusted: self.trusted,
            contact: self.contact.is_some().then(|| named.contact.clone()),
        }
    }
}

fn word<T: Copy + std::fmt::Display>(
    field: &'static str,
    said: Option<&str>,
    read: impl Fn(&str) -> Option<T>,
    all: &[T],
    default: T,
) -> Result<T, Broken> {
    let Some(said) = said else { return Ok(default) };
    let words: Vec<String> = all.iter().map(T::to_string).collect();
    read(said).ok_or_else(|| broken(field, format!("write one of: {}", words.join(", "))))
}
