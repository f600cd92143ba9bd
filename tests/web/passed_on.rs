//! The link to one's own page that stands in each mail: mails are passed on, so it opens less than the one that is mailed on request.

use super::subscribing::{a_subscriber, site};
use super::*;

#[tokio::test(flavor = "multi_thread")]
async fn a_link_from_a_mail_sets_what_one_gets_and_opens_nothing_else() {
    let site = site();
    let whole = a_subscriber(&site, "minji@example.net").await;
    site.publish(&post("ko", "새 소식", "ko", &["events"])).await;
    let mail = site.mail_with("minji@example.net", "새 소식").await;
    let link = format!("{}?lang=ko", site.path_of(&mail, "manage"));
    let page = site.get(&link).await.text();
    assert!(page.contains("m…@example.net") && !page.contains("minji@example.net"), "{page}");
    assert!(!page.contains("value=\"move\"") && !page.contains("value=\"erase\"") && !page.contains("data.json"));
    assert!(site.get(&whole).await.text().contains("minji@example.net"));

    // What the page doesn't show can't be had by hand either.
    let token = link.split('?').next().expect("a path");
    assert!(!site.get(&format!("{token}/data.json")).await.text().contains("subscriptions"));
    for fields in [[("act", "erase"), ("sure", "yes")], [("act", "move"), ("address", "other@example.net")]] {
        assert!(!site.send(&link, &fields).await.text().contains("저장했습니다"));
    }
    assert_eq!(site.subscriptions(), ["events immediate"]);
    assert!(site.get(&whole).await.text().contains("minji@example.net"), "nothing was erased");

    let save = [("act", "save"), ("schedule:events", "often"), ("reads", "ko")];
    assert!(site.send(&link, &save).await.text().contains("저장했습니다"));
    assert_eq!(site.subscriptions(), ["events often"]);
    assert!(site.send(&link, &[("act", "link")]).await.text().contains("링크를 메일로 보내 드렸습니다"));
    let mailed = site.mail_with("minji@example.net", "설정 열기").await;
    let mailed = format!("{}?lang=ko", site.path_of(&mailed, "manage"));
    assert!(site.get(&mailed).await.text().contains("value=\"erase\""), "the one that was asked for opens everything");
}
