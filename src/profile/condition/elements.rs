//! The elements of a list or the names of a map, one after the other.

use std::rc::Rc;

use super::ShareFacts;
use super::expr::Expr;
use super::value::{CelValue, Text};
use crate::json::tape::{Children, NodeIndex};

/// What a loop goes through, without a list being made of it.
pub(super) enum Elements<'a> {
    Values(Children<'a>),
    Names(Children<'a>),
    Literals(std::slice::Iter<'a, Expr>),
    Made(Rc<[CelValue<'a>]>, usize),
    Facts(usize),
}

/// One element, not looked at yet.
pub(super) enum Element<'a> {
    Node(NodeIndex),
    Name(NodeIndex),
    Literal(&'a Expr),
    Made(CelValue<'a>),
}

impl<'a> Iterator for Elements<'a> {
    type Item = Element<'a>;

    fn next(&mut self) -> Option<Element<'a>> {
        match self {
            Self::Values(children) => children.next().map(Element::Node),
            Self::Names(children) => children.next().map(Element::Name),
            Self::Literals(items) => items.next().map(Element::Literal),
            Self::Made(items, at) => {
                *at += 1;
                items.get(*at - 1).cloned().map(Element::Made)
            }
            Self::Facts(at) => {
                *at += 1;
                ShareFacts::NAMES.get(*at - 1).map(|name| Element::Made(CelValue::String(Text::Borrowed(name))))
            }
        }
    }
}
