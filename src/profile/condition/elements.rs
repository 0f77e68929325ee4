//! The elements of a list or the names of a map, one after the other.

use std::rc::Rc;

use super::ShareFacts;
use super::eval::{Evaluated, Evaluation};
use super::expr::Expr;
use super::value::{Text, Value};
use crate::json::tape::{Children, NodeIndex};

/// What a loop goes through, without a list being made of it.
pub(super) enum Elements<'a> {
    Values(Children<'a>),
    Names(Children<'a>),
    Literals(std::slice::Iter<'a, Expr>),
    Made(Rc<[Value<'a>]>, usize),
    Facts(usize),
}

/// One element, not looked at yet.
pub(super) enum Element<'a> {
    Value(NodeIndex),
    Name(NodeIndex),
    Literal(&'a Expr),
    Made(Value<'a>),
}

impl<'a> Iterator for Elements<'a> {
    type Item = Element<'a>;

    fn next(&mut self) -> Option<Element<'a>> {
        match self {
            Self::Values(children) => children.next().map(Element::Value),
            Self::Names(children) => children.next().map(Element::Name),
            Self::Literals(items) => items.next().map(Element::Literal),
            Self::Made(items, at) => {
                *at += 1;
                items.get(*at - 1).cloned().map(Element::Made)
            }
            Self::Facts(at) => {
                *at += 1;
                ShareFacts::NAMES.get(*at - 1).map(|name| Element::Made(Value::String(Text::Borrowed(name))))
            }
        }
    }
}

impl<'a> Element<'a> {
    pub(super) fn value(self, evaluation: &mut Evaluation<'a>) -> Evaluated<'a> {
        evaluation.spend(1)?;
        match self {
            Self::Value(node) => Ok(evaluation.at(node)),
            Self::Name(node) => Ok(Value::String(evaluation.tape.name_text(evaluation.text, node).into())),
            Self::Literal(expr) => evaluation.value(expr),
            Self::Made(value) => Ok(value),
        }
    }
}
