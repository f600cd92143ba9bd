//! The templates of the control room with the part whose words they use, and the words of each part.

/// Name, part, source.
pub(super) const TEMPLATES: &[(&str, &str, &str)] = &[
    ("frame.html", "frame", include_str!("../templates/admin/frame.html")),
    ("macros.html", "frame", include_str!("../templates/admin/macros.html")),
    ("trouble.html", "frame", include_str!("../templates/admin/trouble.html")),
    ("sign_in.html", "sign_in", include_str!("../templates/admin/sign_in.html")),
    ("link.html", "sign_in", include_str!("../templates/admin/link.html")),
    ("me.html", "sign_in", include_str!("../templates/admin/me.html")),
    ("staff.html", "staff", include_str!("../templates/admin/staff.html")),
    ("audit.html", "audit", include_str!("../templates/admin/audit.html")),
    ("freeze.html", "frame", include_str!("../templates/admin/freeze.html")),
    ("overview.html", "overview", include_str!("../templates/admin/overview.html")),
    ("quarantine.html", "quarantine", include_str!("../templates/admin/quarantine.html")),
    ("quarantine_message.html", "quarantine", include_str!("../templates/admin/quarantine_message.html")),
    ("partners.html", "partners", include_str!("../templates/admin/partners.html")),
    ("partner.html", "partners", include_str!("../templates/admin/partner.html")),
    ("waiting.html", "waiting", include_str!("../templates/admin/waiting.html")),
    ("people.html", "people", include_str!("../templates/admin/people.html")),
    ("people_found.html", "people", include_str!("../templates/admin/people_found.html")),
    ("people_deliveries.html", "people", include_str!("../templates/admin/people_deliveries.html")),
    ("people_story.html", "people", include_str!("../templates/admin/people_story.html")),
    ("people_why.html", "people", include_str!("../templates/admin/people_why.html")),
    ("people_erase.html", "people", include_str!("../templates/admin/people_erase.html")),
    ("people_import.html", "people", include_str!("../templates/admin/people_import.html")),
    ("people_list_page.html", "people", include_str!("../templates/admin/people_list_page.html")),
    ("people_list.html", "people", include_str!("../templates/admin/people_list.html")),
];

/// Part, words.
pub(super) const PARTS: &[(&str, &str)] = &[
    ("frame", include_str!("../words/admin/frame.toml")),
    ("sign_in", include_str!("../words/admin/sign_in.toml")),
    ("staff", include_str!("../words/admin/staff.toml")),
    ("audit", include_str!("../words/admin/audit.toml")),
    ("overview", include_str!("../words/admin/overview.toml")),
    ("quarantine", include_str!("../words/admin/quarantine.toml")),
    ("partners", include_str!("../words/admin/partners.toml")),
    ("waiting", include_str!("../words/admin/waiting.toml")),
    ("people", include_str!("../words/admin/people.toml")),
];
