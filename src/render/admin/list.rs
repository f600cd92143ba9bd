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
];

/// Part, words.
pub(super) const PARTS: &[(&str, &str)] = &[
    ("frame", include_str!("../words/admin/frame.toml")),
    ("sign_in", include_str!("../words/admin/sign_in.toml")),
    ("staff", include_str!("../words/admin/staff.toml")),
    ("audit", include_str!("../words/admin/audit.toml")),
    ("overview", include_str!("../words/admin/overview.toml")),
];
