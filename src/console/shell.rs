//! What is around every page: the places, who acts, the search, and whether the page is live.

use maud::{DOCTYPE, Markup, html};

use crate::access::{Caller, Party};
use crate::console::assets::{SCRIPT, STYLE};
use crate::id::Epoch;

/// Where a page belongs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum PagePlace {
    Assets,
    Invitations,
    Share,
    Incoming,
    Partnerships,
    Profiles,
    Tenants,
    Health,
    /// Nowhere in the list.
    Elsewhere,
}

impl PagePlace {
    const SIX: [Self; 6] = [Self::Assets, Self::Invitations, Self::Share, Self::Incoming, Self::Partnerships, Self::Profiles];
    const OPERATORS: [Self; 2] = [Self::Tenants, Self::Health];

    fn address(self) -> &'static str {
        match self {
            Self::Assets | Self::Elsewhere => "/assets",
            Self::Invitations => "/invitations",
            Self::Share => "/visibility",
            Self::Incoming => "/incoming",
            Self::Partnerships => "/partnerships",
            Self::Profiles => "/profiles",
            Self::Tenants => "/tenants",
            Self::Health => "/health",
        }
    }

    /// Its name, and a short one for a small screen.
    fn names(self) -> (&'static str, &'static str) {
        match self {
            Self::Assets | Self::Elsewhere => ("Assets", "Assets"),
            Self::Invitations => ("Asset invitations", "Invites"),
            Self::Share => ("Share visibility", "Share"),
            Self::Incoming => ("Incoming", "Incoming"),
            Self::Partnerships => ("Partnerships", "Partners"),
            Self::Profiles => ("Profiles", "Profiles"),
            Self::Tenants => ("Tenants", "Tenants"),
            Self::Health => ("Health", "Health"),
        }
    }
}

/// What was chosen by the switch.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) enum Theme {
    #[default]
    System,
    Light,
    Dark,
}

impl Theme {
    /// As the cookie and the style sheet have it.
    pub(crate) fn word(self) -> Option<&'static str> {
        match self {
            Self::System => None,
            Self::Light => Some("light"),
            Self::Dark => Some("dark"),
        }
    }

    pub(crate) fn parse(word: &str) -> Self {
        match word {
            "light" => Self::Light,
            "dark" => Self::Dark,
            _ => Self::System,
        }
    }
}

/// What a page knows of its visitor.
#[derive(Debug, Clone)]
pub(crate) struct Surround {
    /// None before signing in.
    pub(crate) caller: Option<Caller>,
    /// Of a form of this visitor.
    pub(crate) csrf: String,
    pub(crate) theme: Theme,
    /// The address of the page, with its query: where a switch of the theme returns to.
    pub(crate) address: String,
    /// What the page shows is of this epoch.
    pub(crate) epoch: Epoch,
    /// How many offers wait for the visitor.
    pub(crate) waiting_offers: usize,
    /// What the search has.
    pub(crate) search: String,
}

/// A page in its surroundings.
pub(crate) fn page(around: &Surround, title: &str, place: PagePlace, body: &Markup) -> Markup {
    let Some(caller) = &around.caller else { return alone(around, title, body) };
    html! {
        (DOCTYPE)
        html lang="en" data-theme=[around.theme.word()] data-epoch=(around.epoch) {
            (document_head(title))
            body {
                a.skip href="#main" { "Skip to the content" }
                div.shell {
                    header.top {
                        a.brand href="/assets" { img src="/static/icon.svg" width="20" height="20" alt=""; "sharecast" }
                        form.search role="search" action="/assets" method="get" {
                            label.hidden-visually for="search" { "Search assets" }
                            input type="search" id="search" name="q" value=(around.search) placeholder="Search assets" autocomplete="off";
                            kbd.key-hint aria-hidden="true" { "/" }
                        }
                        div.who {
                            span.live role="status" title="Changes show as they happen" {
                                span.dot aria-hidden="true" {}
                                span.word { noscript { "as loaded" } }
                            }
                            (account_menu(around, caller))
                        }
                    }
                    nav.places aria-label="Places" {
                        ul.plain {
                            @for one in PagePlace::SIX { li { (link(one, place, around.waiting_offers)) } }
                            @if caller.is_operator() {
                                li.heading.small.muted { "Operator" }
                                @for one in PagePlace::OPERATORS { li { (link(one, place, 0)) } }
                            }
                        }
                    }
                    main id="main" tabindex="-1" {
                        button.waiting id="waiting" type="button" hidden { "Changes" }
                        (body)
                    }
                }
                div.hidden-visually id="announce" role="status" aria-live="polite" {}
                (keys())
            }
        }
    }
}

/// A page for who has not signed in.
fn alone(around: &Surround, title: &str, body: &Markup) -> Markup {
    html! {
        (DOCTYPE)
        html lang="en" data-theme=[around.theme.word()] {
            (document_head(title))
            body {
                main.middle id="main" {
                    p.brand { img src="/static/icon.svg" width="20" height="20" alt=""; "sharecast" }
                    div.panel { div.body { (body) } }
                }
                div.hidden-visually id="announce" role="status" aria-live="polite" {}
            }
        }
    }
}

fn document_head(title: &str) -> Markup {
    html! {
        head {
            meta charset="utf-8";
            meta name="viewport" content="width=device-width, initial-scale=1";
            meta name="referrer" content="no-referrer";
            title { (title) " · sharecast" }
            link rel="stylesheet" href=(STYLE.address());
            link rel="icon" href="/static/icon.svg" type="image/svg+xml";
            script src=(SCRIPT.address()) defer {}
        }
    }
}

fn link(one: PagePlace, current: PagePlace, waiting: usize) -> Markup {
    let (long, short) = one.names();
    let waiting = if one == PagePlace::Incoming { waiting } else { 0 };
    html! {
        a href=(one.address()) aria-current=[(one == current).then_some("page")]
            id={ "place-" (short) } data-live[one == PagePlace::Incoming] {
            span.long { (long) }
            span.short { (short) }
            @if waiting > 0 { span.count { (waiting) span.hidden-visually { " offers wait" } } }
        }
    }
}

fn account_menu(around: &Surround, caller: &Caller) -> Markup {
    let party = match &caller.who {
        Party::Tenant(tenant) => tenant.to_string(),
        Party::Operator => "Operator".to_owned(),
    };
    let seal = html! {
        input type="hidden" name="csrf" value=(around.csrf);
        input type="hidden" name="to" value=(around.address);
    };
    html! {
        details.menu-holder {
            summary { b { (party) } @if let Some(name) = &caller.name { " · " (name) } }
            div.menu {
                div.heading.small.muted {
                    @match &caller.name { Some(name) => { "Signed in as " (name) ", " }, None => { "Signed in, " } }
                    @if caller.may_write() { "may act" } @else { "sees only" }
                }
                form method="post" action="/theme" {
                    (seal)
                    @for (theme, words) in [(Theme::System, "As the system"), (Theme::Light, "Light"), (Theme::Dark, "Dark")] {
                        button name="theme" value=(theme.word().unwrap_or("system")) aria-pressed=(around.theme == theme) {
                            (words) @if around.theme == theme { span aria-hidden="true" { " ✓" } }
                        }
                    }
                }
                button type="button" id="show-keys" { "Keys " kbd { "?" } }
                form method="post" action="/sign-out" { (seal) button { "Sign out" } }
            }
        }
    }
}

fn keys() -> Markup {
    let keys = [
        ("/", "search assets"),
        ("j, ↓", "next row"),
        ("k, ↑", "row before"),
        ("Enter", "open the row"),
        ("Esc", "close a panel, leave a field"),
        ("?", "this list"),
    ];
    html! {
        dialog id="keys" aria-labelledby="keys-title" {
            form method="dialog" {
                div.stack {
                    h2 id="keys-title" { "Keys" }
                    dl.facts { @for (key, what) in keys { dt { kbd { (key) } } dd { (what) } } }
                    div { button.primary { "Close" } }
                }
            }
        }
    }
}
