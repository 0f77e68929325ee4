//! The cookies of the console: the session, a visit before there is one, and the theme.

/// Of a signed session.
pub(crate) const SESSION: &str = "sharecast_session";
/// What forms are signed with before there is a session.
pub(crate) const VISIT: &str = "sharecast_visit";
/// What the switch was set to.
pub(crate) const THEME: &str = "sharecast_theme";

/// The value of a cookie in a `Cookie` header.
pub(crate) fn value<'h>(header: &'h str, name: &str) -> Option<&'h str> {
    header.split(';').filter_map(|pair| pair.trim().split_once('=')).find(|(known, _)| *known == name).map(|(_, value)| value)
}

/// What `Set-Cookie` says: no script reads it, no other site sends it. None of `max_age_s` ends with the browser, 0 removes it.
pub(crate) fn set(name: &str, value: &str, max_age_s: Option<i64>, is_https: bool) -> String {
    let age = max_age_s.map(|age| format!("; Max-Age={age}")).unwrap_or_default();
    let secure = if is_https { "; Secure" } else { "" };
    format!("{name}={value}; Path=/; HttpOnly; SameSite=Strict{age}{secure}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cookies_are_read_and_written() {
        assert_eq!(value("a=1; sharecast_session=x.y; b=2", SESSION), Some("x.y"));
        assert_eq!(value("xsharecast_session=1", SESSION), None);
        assert_eq!(set(SESSION, "x", Some(60), true), "sharecast_session=x; Path=/; HttpOnly; SameSite=Strict; Max-Age=60; Secure");
        assert_eq!(set(VISIT, "x", None, false), "sharecast_visit=x; Path=/; HttpOnly; SameSite=Strict");
    }
}
