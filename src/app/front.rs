//! What the web server is made from.

use super::App;
use super::outside::read_keys;
use super::wakes::Wakes;
use crate::config::{Config, Inbox};
use crate::domain::standard_webhook::Key;
use crate::render::site::LocalText;
use crate::web;
use anyhow::Context as _;
use std::collections::BTreeMap;

/// Builds what the handlers share.
pub(super) fn front(
    app: &App,
    wakes: &Wakes,
    metrics: web::Metrics,
    needs: Vec<web::Need>,
) -> anyhow::Result<web::Front> {
    let (config, file) = (&app.config, &app.config.file);
    let token = |token: &crate::config::file::Token| web::Token {
        name: token.name.clone(),
        sha256: token.sha256.clone(),
        source: token.source.clone(),
        inbound: token.inbound,
        partners: token.partners,
    };
    let titles = file.digest.iter().map(|table| (&table.name, &table.title));
    let digest = |(name, title): (&String, &LocalText)| {
        let digest = config.digests.get(name)?;
        Some((name.clone(), (title.clone(), digest.schedule.clone())))
    };
    let hub = web::Hub {
        rules: config.outgoing.clone(),
        lease: file.websub.lease,
        lease_max: file.websub.lease_max,
        subscribers_max: file.websub.subscribers_max,
        wake: app.hub_wake.clone(),
    };
    // Mail that went to a relay lies in no folder of ours.
    let is_shown = file.web.show_mail_folder && file.relay.is_empty();
    let waking = wakes.clone();
    let front = web::Front::new(web::Parts {
        store: app.store.clone(),
        intake: app.intake.clone(),
        tokens: file.intake.token.iter().map(token).collect(),
        inboxes: inboxes(config)?,
        metrics,
        needs,
        clock: app.world.clock.clone(),
        chance: app.world.chance.clone(),
        planner: app.planner.clone().telling(move || waking.planned(false)),
        site: config.site.clone(),
        theme: super::logo::theme(config)?,
        tag_authority: file.site.tag_authority.clone(),
        zone: config.zone.clone(),
        languages: config.release.languages.clone(),
        topics: file.topic.iter().map(|topic| (topic.name.clone(), topic.title.clone())).collect(),
        digests: titles.filter_map(digest).collect(),
        shares: config.shares.clone(),
        templates: app.stationery.templates.clone(),
        count_views: file.web.count_views,
        hub: (file.websub.enabled && config.site.public_url.is_some()).then_some(hub),
        media_folder: file.media.mirror.then(|| config.in_state(&file.media.folder)),
        house: app.house.clone(),
        partnership: super::outside::partnership(app)?,
        waiting_max: usize::try_from(file.partners.waiting_max)
            .unwrap_or(usize::MAX)
            .min(tokio::sync::Semaphore::MAX_PERMITS),
        show_issues: file.web.show_issues,
        proxies: config.proxies.clone(),
        samples: super::quickstart::pictures(config)?,
        mail_folder: is_shown.then(|| config.in_state(&file.send.folder)),
    });
    front.context("templates.folder: page.css")
}

/// Who may send signed webhooks, by source: the keys of each.
pub(super) fn inboxes(config: &Config) -> anyhow::Result<BTreeMap<String, Vec<Key>>> {
    let keys_of = |inbox: &Inbox| {
        let mut keys = inbox.public_keys.clone();
        for file in &inbox.secret_files {
            keys.extend(read_keys(file).with_context(|| format!("intake.inbox secret_files {}", file.display()))?);
        }
        Ok::<_, anyhow::Error>(keys)
    };
    config.inboxes.iter().map(|(source, inbox)| Ok((source.clone(), keys_of(inbox)?))).collect()
}
