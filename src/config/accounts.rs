//! Checks the accounts of a file.

use super::Mistake;
use super::file::{AccountTable, File};
use super::validate::{name, zone};
use crate::domain::account::{Revised, Rule, Slots};
use crate::domain::ids;
use crate::domain::language::Language;
use crate::guard::Rules;
use crate::render::blurb::{Link, Template, Wording};
use crate::send::carriers::Settings;
use crate::send::social::network::Can;
use crate::send::social::terms::Terms;
use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;
use std::time::Duration;

/// An account at a network.
#[derive(Clone, Debug)]
pub struct Account {
    /// What commands and the ledger call it.
    pub name: String,
    /// What is particular to its network; names the carrier.
    pub settings: Settings,
    /// How it words what it says.
    pub wording: Wording,
    /// Its language: posts in it are posted.
    pub language: Language,
    /// Only posts under one of these topics; empty: all.
    pub topics: Vec<String>,
    /// Only posts of these sources; empty: all.
    pub sources: Vec<String>,
    /// Times of day at which one post goes out; `None`: at once.
    pub slots: Option<Slots>,
    /// What waited longer is not posted any more.
    pub max_age: Duration,
    /// What becomes of a post that was revised.
    pub revised: Revised,
    /// Where its token lies, until a login is stored.
    pub token_file: Option<PathBuf>,
    /// Where our program's secret lies.
    pub client_secret_file: Option<PathBuf>,
}

impl Account {
    /// What planning goes by. `can` is what the network can do with what was said: what it can't isn't planned.
    #[must_use]
    pub fn rule(&self, can: Can) -> Rule {
        let revised = match self.revised {
            Revised::Edit if !can.edit => Revised::Leave,
            Revised::Reply if !can.reply => Revised::Leave,
            revised => revised,
        };
        Rule {
            name: self.name.clone(),
            carrier: self.carrier().to_owned(),
            language: self.language.clone(),
            topics: self.topics.clone(),
            sources: self.sources.clone(),
            revised,
        }
    }

    /// The endpoint that it is in the ledger.
    #[must_use]
    pub fn endpoint_id(&self) -> i64 {
        ids::endpoint_id(self.carrier(), &self.name, "")
    }

    /// The carrier's name in the ledger.
    #[must_use]
    pub fn carrier(&self) -> &'static str {
        self.settings.carrier()
    }
}

/// The accounts in their order.
///
/// # Errors
/// The first [`Mistake`].
pub(super) fn check(
    file: &File,
    languages: &[Language],
    public_url: Option<&str>,
    rules: &Rules,
) -> Result<Vec<Account>, Mistake> {
    let mut seen = BTreeSet::new();
    let tables = file.account.iter().enumerate();
    tables
        .map(|(index, table)| {
            let key = |field: &str| format!("account[{index}].{field}");
            name(&table.name, &key("name"), &mut seen)?;
            account(file, table, languages, public_url, rules, &key)
        })
        .collect()
}

fn account(
    file: &File,
    table: &AccountTable,
    languages: &[Language],
    public_url: Option<&str>,
    rules: &Rules,
    key: &dyn Fn(&str) -> String,
) -> Result<Account, Mistake> {
    let settings = Settings::read(&table.network, &terms(file, table))
        .map_err(|wrong| Mistake::new(key(wrong.key), wrong.reason))?;
    if let Some(server) = &table.server {
        rules.check(server).map_err(|error| Mistake::new(key("server"), format!("{error}; see [outgoing]")))?;
    }
    let language = Language::parse(&table.language).map_err(|error| Mistake::new(key("language"), error))?;
    if !languages.contains(&language) {
        return Err(Mistake::new(key("language"), format!("`{language}` is none of languages.readers")));
    }
    if table.link == Link::Page && public_url.is_none() {
        let reason = "leads to our own pages, which need web.public_url; or write `source`";
        return Err(Mistake::new(key("link"), reason));
    }
    let topics: BTreeSet<&str> = file.topic.iter().map(|topic| topic.name.as_str()).collect();
    let sources: BTreeSet<&str> = file.intake.source.iter().map(|source| source.name.as_str()).collect();
    known(&table.topics, &topics, "topics", "[[topic]]", key)?;
    known(&table.sources, &sources, "sources", "[[intake.source]]", key)?;
    if table.max_age.is_zero() {
        return Err(Mistake::new(key("max_age"), "must be longer: nothing would be posted"));
    }
    let zone_name = table.zone.as_deref().unwrap_or(&file.site.zone);
    zone(zone_name, &key("zone"))?;
    let template = table.template.as_deref().map(Template::parse).transpose();
    Ok(Account {
        name: table.name.clone(),
        settings,
        wording: Wording {
            origin: public_url.map(str::to_owned),
            link: table.link,
            language: language.clone(),
            zone: zone_name.to_owned(),
            topics: file
                .topic
                .iter()
                .map(|topic| (topic.name.clone(), topic.title.clone()))
                .collect::<BTreeMap<_, _>>(),
            template: template.map_err(|bad| Mistake::new(key("template"), bad))?,
        },
        language,
        topics: table.topics.clone(),
        sources: table.sources.clone(),
        slots: slots(table, zone_name, key)?,
        max_age: table.max_age,
        revised: table.revised,
        token_file: table.token_file.as_ref().map(|path| file.instance.state_dir.join(path)),
        client_secret_file: table.client_secret_file.as_ref().map(|path| file.instance.state_dir.join(path)),
    })
}

fn terms(file: &File, table: &AccountTable) -> Terms {
    let secret = table.client_secret_file.as_ref();
    Terms {
        server: table.server.clone(),
        target: table.target.clone(),
        user: table.user.clone(),
        flavour: table.flavour.clone(),
        visibility: table.visibility.clone(),
        client_id: table.client_id.clone(),
        client_secret_file: secret.map(|path| file.instance.state_dir.join(path)),
        client_secret: None,
        redirect: table.redirect.clone(),
        image: table.image,
    }
}

fn known(
    names: &[String],
    there: &BTreeSet<&str>,
    field: &str,
    of: &str,
    key: &dyn Fn(&str) -> String,
) -> Result<(), Mistake> {
    match names.iter().find(|name| !there.contains(name.as_str())) {
        Some(unknown) => Err(Mistake::new(key(field), format!("no {of} has the name `{unknown}`"))),
        None => Ok(()),
    }
}

fn slots(table: &AccountTable, zone: &str, key: &dyn Fn(&str) -> String) -> Result<Option<Slots>, Mistake> {
    let at = |index: usize| format!("{}[{index}]", key("slots"));
    if let Some(index) = (1..table.slots.len()).find(|index| table.slots[..*index].contains(&table.slots[*index])) {
        return Err(Mistake::new(at(index), format!("`{}` stands here twice", table.slots[index])));
    }
    Slots::parse(&table.slots, zone).map_err(|(index, reason)| Mistake::new(at(index), reason))
}

#[cfg(test)]
mod tests {
    use crate::config::{Config, ConfigError, parse};
    use std::path::Path;

    const LEAST: &str = include_str!("../../config/allim.toml");

    fn with(account: &str) -> Result<Config, ConfigError> {
        let text = format!("{}\n{account}", LEAST.replace("#public_url", "public_url"));
        parse(&text, Path::new("allim.toml"), Path::new("."), std::iter::empty())
    }

    #[test]
    fn an_account_is_read_and_its_mistakes_are_named() {
        let good = "[[account]]\nname = \"fedi\"\nnetwork = \"mastodon\"\nlanguage = \"ko\"\nserver = \"https://social.example.org\"\n\
                    slots = [\"18:00\", \"09:00\"]\ntopics = [\"events\"]\ntemplate = \"{{ title }} {{ url }}\"\n";
        let config = with(good).expect("it holds together");
        let account = &config.accounts[0];
        assert_eq!(
            (account.carrier(), account.slots.is_some(), account.max_age.as_secs()),
            ("mastodon", true, 259_200)
        );
        let wrong = [
            ("mastodon", "mastadon", "account[0].network: write one of mastodon, bluesky"),
            (
                "https://social.example.org",
                "http://social.example.org",
                "account[0].server: it must begin with https://",
            ),
            ("server = \"https://social.example.org\"", "", "account[0].server: is needed"),
            ("\"ko\"", "\"fr\"", "account[0].language: `fr` is none of languages.readers"),
            ("09:00", "9:00", "account[0].slots[1]: write a time of day"),
            ("09:00", "18:00", "account[0].slots[1]: `18:00` stands here twice"),
            ("events", "event", "account[0].topics: no [[topic]] has the name `event`"),
            ("{{ url }}", "{{ uri }}", "account[0].template: "),
            ("slots =", "target = \"x\"\nslots =", "account[0].target: means nothing at this network"),
            ("slots =", "colour = \"x\"\nslots =", "unknown field `colour`"),
            ("slots =", "image = \"big\"\nslots =", "unknown variant `big`"),
        ];
        for (from, to, told) in wrong {
            let error = with(&good.replacen(from, to, 1)).expect_err(to).to_string();
            assert!(error.contains(told), "{error}");
        }
        let x = "[[account]]\nname = \"x\"\nnetwork = \"x\"\nlanguage = \"en\"\n";
        assert!(with(x).expect_err("no client").to_string().contains("account[0].client_id: is needed"));
        assert!(with(&format!("{good}{good}")).expect_err("twice").to_string().contains("account[1].name"));
    }
}
