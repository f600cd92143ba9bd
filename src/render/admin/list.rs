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
    ("digests.html", "digests", include_str!("../templates/admin/digests.html")),
    ("digest.html", "digests", include_str!("../templates/admin/digest.html")),
    ("digest_preview.html", "digests", include_str!("../templates/admin/digest_preview.html")),
    ("quarantine.html", "quarantine", include_str!("../templates/admin/quarantine.html")),
    ("quarantined.html", "quarantine", include_str!("../templates/admin/quarantined.html")),
    ("calendar.html", "calendar", include_str!("../templates/admin/calendar.html")),
    ("deliveries.html", "deliveries", include_str!("../templates/admin/deliveries.html")),
    ("partners.html", "partners", include_str!("../templates/admin/partners.html")),
    ("partner.html", "partners", include_str!("../templates/admin/partner.html")),
];

/// Part, words.
pub(super) const PARTS: &[(&str, &str)] = &[
    ("frame", include_str!("../words/admin/frame.toml")),
    ("sign_in", include_str!("../words/admin/sign_in.toml")),
    ("staff", include_str!("../words/admin/staff.toml")),
    ("audit", include_str!("../words/admin/audit.toml")),
    ("overview", include_str!("../words/admin/overview.toml")),
    ("digests", include_str!("../words/admin/digests.toml")),
    ("quarantine", include_str!("../words/admin/quarantine.toml")),
    ("calendar", include_str!("../words/admin/calendar.toml")),
    ("deliveries", include_str!("../words/admin/deliveries.toml")),
    ("partners", include_str!("../words/admin/partners.toml")),
];
