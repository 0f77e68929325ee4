//! Evaluates a condition on one record.
//!
//! Every node, every member passed over and every 16 bytes of text that are looked at are a step, and steps are counted: whatever
//! the condition and the record, there is a bound.

use std::cmp::Ordering;

use super::elements::{Element, Elements};
use super::expr::{Arithmetic, Expr, ListLiteral, MemberOf, Relation, TextTest};
use super::value::{CelValue, List, Text, compare_numbers, number};
use super::{ConditionError, ShareFacts};
use crate::json::tape::{NodeIndex, NodeKind, Tape};

/// The steps that every evaluation has.
const FREE_STEPS: u64 = 1_000_000;
/// The steps that it has besides for each byte of the record.
const STEPS_PER_BYTE: u64 = 16;

type Evaluated<'a> = Result<CelValue<'a>, ConditionError>;

/// One evaluation.
pub(super) struct Evaluation<'a> {
    text: &'a [u8],
    tape: &'a Tape,
    share: &'a ShareFacts<'a>,
    /// What the name stands for that the `all` or `exists` around binds.
    element: Option<CelValue<'a>>,
    steps_left: u64,
}

impl<'a> Evaluation<'a> {
    pub(super) fn new(text: &'a [u8], tape: &'a Tape, share: &'a ShareFacts<'a>) -> Self {
        let steps_left = FREE_STEPS + STEPS_PER_BYTE * text.len() as u64;
        Self { text, tape, share, element: None, steps_left }
    }

    /// The stack that a level takes is what bounds how deep a condition can be, so each kind of node is in a function of its own.
    pub(super) fn value(&mut self, expr: &'a Expr) -> Evaluated<'a> {
        self.spend(1)?;
        match expr {
            Expr::Null => Ok(CelValue::Null),
            Expr::Bool(value) => Ok(CelValue::Bool(*value)),
            Expr::Int(value) => Ok(CelValue::Int(*value)),
            Expr::Double(value) => Ok(CelValue::Double(*value)),
            Expr::String(text) => Ok(CelValue::String(Text::Borrowed(text))),
            Expr::List(list) => self.list(list),
            Expr::Record => Ok(self.at(NodeIndex::ROOT)),
            Expr::Share => Ok(CelValue::Share),
            Expr::Element => Ok(self.element.clone().unwrap_or(CelValue::Null)),
            Expr::Member(of, name) => self.member_of(of, name),
            Expr::Has(of, name) => self.has(of, name),
            Expr::Index(pair) => self.index(pair),
            Expr::Not(of) => self.boolean(of).map(|value| CelValue::Bool(!value)),
            Expr::Negate(of) => self.negated(of),
            Expr::Arithmetic(operator, pair) => self.arithmetic(*operator, pair),
            Expr::Ordered(relation, pair) => self.ordered(*relation, pair),
            Expr::Equal(pair) => self.are_equal(pair).map(CelValue::Bool),
            Expr::Unequal(pair) => self.are_equal(pair).map(|are_equal| CelValue::Bool(!are_equal)),
            Expr::In(pair) => self.is_in(pair).map(CelValue::Bool),
            Expr::And(pair) => self.joined(pair, false).map(CelValue::Bool),
            Expr::Or(pair) => self.joined(pair, true).map(CelValue::Bool),
            Expr::If(parts) => self.chosen(parts),
            Expr::Size(of) => self.size(of),
            Expr::Text(test, pair) => self.text_test(*test, pair),
            Expr::All(pair) => self.quantified(pair, false).map(CelValue::Bool),
            Expr::Exists(pair) => self.quantified(pair, true).map(CelValue::Bool),
        }
    }

    fn member_of(&mut self, of: &'a Expr, name: &MemberOf) -> Evaluated<'a> {
        let of = self.value(of)?;
        self.member(&of, name)?.ok_or(ConditionError::Missing)
    }

    fn has(&mut self, of: &'a Expr, name: &MemberOf) -> Evaluated<'a> {
        let of = self.value(of)?;
        Ok(CelValue::Bool(self.member(&of, name)?.is_some()))
    }

    fn negated(&mut self, of: &'a Expr) -> Evaluated<'a> {
        match self.value(of)? {
            CelValue::Int(value) => value.checked_neg().map(CelValue::Int).ok_or(ConditionError::Overflow),
            CelValue::Double(value) => Ok(CelValue::Double(-value)),
            _ => Err(ConditionError::Types),
        }
    }

    fn ordered(&mut self, relation: Relation, pair: &'a (Expr, Expr)) -> Evaluated<'a> {
        let (left, right) = self.both(pair)?;
        let order = self.order(&left, &right)?;
        Ok(CelValue::Bool(match relation {
            Relation::Less => order == Ordering::Less,
            Relation::LessOrEqual => order != Ordering::Greater,
            Relation::Greater => order == Ordering::Greater,
            Relation::GreaterOrEqual => order != Ordering::Less,
        }))
    }

    fn are_equal(&mut self, pair: &'a (Expr, Expr)) -> Result<bool, ConditionError> {
        let (left, right) = self.both(pair)?;
        self.equal(&left, &right)
    }

    fn chosen(&mut self, (condition, then, otherwise): &'a (Expr, Expr, Expr)) -> Evaluated<'a> {
        if self.boolean(condition)? { self.value(then) } else { self.value(otherwise) }
    }

    fn text_test(&mut self, test: TextTest, pair: &'a (Expr, Expr)) -> Evaluated<'a> {
        let (CelValue::String(text), CelValue::String(wanted)) = self.both(pair)? else { return Err(ConditionError::Types) };
        let (text, wanted) = (text.as_str(), wanted.as_str());
        self.spend_on(text.len() + wanted.len())?;
        Ok(CelValue::Bool(match test {
            TextTest::StartsWith => text.starts_with(wanted),
            TextTest::EndsWith => text.ends_with(wanted),
            TextTest::Contains => text.contains(wanted),
        }))
    }

    fn both(&mut self, (left, right): &'a (Expr, Expr)) -> Result<(CelValue<'a>, CelValue<'a>), ConditionError> {
        Ok((self.value(left)?, self.value(right)?))
    }

    fn boolean(&mut self, expr: &'a Expr) -> Result<bool, ConditionError> {
        match self.value(expr)? {
            CelValue::Bool(value) => Ok(value),
            _ => Err(ConditionError::Types),
        }
    }

    /// `&&`, which `false` decides, or `||`, which `true` decides, whatever is wrong with the other side.
    fn joined(&mut self, (left, right): &'a (Expr, Expr), decider: bool) -> Result<bool, ConditionError> {
        let left = self.boolean(left);
        if left == Ok(decider) {
            return left;
        }
        match self.boolean(right) {
            Ok(right) if right == decider => Ok(decider),
            right => left.and(right),
        }
    }

    /// `all`, which one `false` decides, or `exists`, which one `true` decides, whatever is wrong with the other elements.
    fn quantified(&mut self, (list, body): &'a (Expr, Expr), decider: bool) -> Result<bool, ConditionError> {
        let list = self.value(list)?;
        let mut outcome = Ok(!decider);
        for element in self.elements(&list)? {
            self.element = Some(self.element_value(element)?);
            match self.boolean(body) {
                Ok(found) if found == decider => {
                    self.element = None;
                    return Ok(decider);
                }
                found => outcome = outcome.and(found),
            }
        }
        self.element = None;
        outcome
    }

    /// A value of the record.
    fn at(&self, node: NodeIndex) -> CelValue<'a> {
        match self.tape.kind(node) {
            NodeKind::Null => CelValue::Null,
            NodeKind::True => CelValue::Bool(true),
            NodeKind::False => CelValue::Bool(false),
            NodeKind::Number => number(self.tape.raw(self.text, node)),
            NodeKind::String => CelValue::String(self.tape.string_text(self.text, node).unwrap_or_default().into()),
            NodeKind::Array => CelValue::List(List::Of(node)),
            NodeKind::Object => CelValue::Map(node),
        }
    }

    fn list(&mut self, list: &'a ListLiteral) -> Evaluated<'a> {
        if list.is_constant {
            return Ok(CelValue::List(List::Literals(&list.items)));
        }
        let items = list.items.iter().map(|item| self.value(item)).collect::<Result<_, _>>()?;
        Ok(CelValue::List(List::Made(items)))
    }

    /// The last member of this name; an error of what has no members.
    fn member(&mut self, of: &CelValue<'a>, name: &MemberOf) -> Result<Option<CelValue<'a>>, ConditionError> {
        match of {
            CelValue::Map(node) => {
                let mut found = None;
                let mut children = self.tape.children(*node);
                while let Some((child, entry)) = children.next_entry() {
                    self.spend(1)?;
                    if entry.name.hash == name.hash && entry.has_name(self.text, &name.name) {
                        found = Some(child);
                    }
                }
                Ok(found.map(|child| self.at(child)))
            }
            CelValue::Share => Ok(self.share.member(&name.name)),
            _ => Err(ConditionError::Types),
        }
    }

    fn index(&mut self, pair: &'a (Expr, Expr)) -> Evaluated<'a> {
        let (of, index) = self.both(pair)?;
        self.element_at(&of, &index)
    }

    fn element_at(&mut self, of: &CelValue<'a>, index: &CelValue<'a>) -> Evaluated<'a> {
        match (of, index) {
            (CelValue::List(list), CelValue::Int(_) | CelValue::Double(_)) => {
                let at = whole(index).ok_or(ConditionError::Missing)?;
                let found = match list {
                    List::Of(node) => {
                        self.spend(at as u64)?;
                        self.tape.children(*node).nth(at).map(|child| self.at(child))
                    }
                    List::Literals(items) => items.get(at).map(|item| self.value(item)).transpose()?,
                    List::Made(items) => items.get(at).cloned(),
                };
                found.ok_or(ConditionError::Missing)
            }
            (CelValue::Map(_) | CelValue::Share, CelValue::String(name)) => {
                self.spend_on(name.as_str().len())?;
                self.member(of, &MemberOf::new(name.as_str()))?.ok_or(ConditionError::Missing)
            }
            (CelValue::Map(_) | CelValue::Share, _) => Err(ConditionError::Missing),
            _ => Err(ConditionError::Types),
        }
    }

    fn arithmetic(&mut self, operator: Arithmetic, pair: &'a (Expr, Expr)) -> Evaluated<'a> {
        let (left, right) = self.both(pair)?;
        self.computed(operator, left, right)
    }

    fn computed(&mut self, operator: Arithmetic, left: CelValue<'a>, right: CelValue<'a>) -> Evaluated<'a> {
        match (left, right) {
            (CelValue::Int(left), CelValue::Int(right)) => {
                let made = match operator {
                    Arithmetic::Add => left.checked_add(right),
                    Arithmetic::Subtract => left.checked_sub(right),
                    Arithmetic::Multiply => left.checked_mul(right),
                    Arithmetic::Divide | Arithmetic::Modulo if right == 0 => return Err(ConditionError::DivisionByZero),
                    Arithmetic::Divide => left.checked_div(right),
                    Arithmetic::Modulo => left.checked_rem(right),
                };
                made.map(CelValue::Int).ok_or(ConditionError::Overflow)
            }
            (CelValue::Double(left), CelValue::Double(right)) => {
                let made = match operator {
                    Arithmetic::Add => left + right,
                    Arithmetic::Subtract => left - right,
                    Arithmetic::Multiply => left * right,
                    Arithmetic::Divide if right == 0.0 => return Err(ConditionError::DivisionByZero),
                    Arithmetic::Divide => left / right,
                    Arithmetic::Modulo => return Err(ConditionError::Types),
                };
                if made.is_finite() { Ok(CelValue::Double(made)) } else { Err(ConditionError::Overflow) }
            }
            (CelValue::String(left), CelValue::String(right)) if operator == Arithmetic::Add => {
                let (left, right) = (left.as_str(), right.as_str());
                self.spend((left.len() + right.len()) as u64)?;
                Ok(CelValue::String(Text::Made([left, right].concat().into())))
            }
            (left @ CelValue::List(_), right @ CelValue::List(_)) if operator == Arithmetic::Add => {
                let mut items = Vec::new();
                for list in [&left, &right] {
                    for element in self.elements(list)? {
                        self.spend(STEPS_PER_BYTE)?;
                        items.push(self.element_value(element)?);
                    }
                }
                Ok(CelValue::List(List::Made(items.into())))
            }
            _ => Err(ConditionError::Types),
        }
    }

    fn order(&mut self, left: &CelValue<'a>, right: &CelValue<'a>) -> Result<Ordering, ConditionError> {
        match (left, right) {
            (CelValue::String(left), CelValue::String(right)) => {
                self.spend_on(left.as_str().len().min(right.as_str().len()))?;
                Ok(left.as_str().cmp(right.as_str()))
            }
            (CelValue::Bool(left), CelValue::Bool(right)) => Ok(left.cmp(right)),
            _ => compare_numbers(left, right).ok_or(ConditionError::Types),
        }
    }

    /// Values of different types are not equal, but for numbers.
    fn equal(&mut self, left: &CelValue<'a>, right: &CelValue<'a>) -> Result<bool, ConditionError> {
        self.spend(1)?;
        match (left, right) {
            (CelValue::Null, CelValue::Null) => Ok(true),
            (CelValue::Bool(left), CelValue::Bool(right)) => Ok(left == right),
            (CelValue::String(left), CelValue::String(right)) => {
                let (left, right) = (left.as_str(), right.as_str());
                self.spend_on(left.len().min(right.len()))?;
                Ok(left == right)
            }
            (CelValue::List(_), CelValue::List(_)) => {
                let (mut left, mut right) = (self.elements(left)?, self.elements(right)?);
                loop {
                    match (left.next(), right.next()) {
                        (Some(left), Some(right)) => {
                            let (left, right) = (self.element_value(left)?, self.element_value(right)?);
                            if !self.equal(&left, &right)? {
                                return Ok(false);
                            }
                        }
                        (None, None) => return Ok(true),
                        _ => return Ok(false),
                    }
                }
            }
            (CelValue::Map(_) | CelValue::Share, CelValue::Map(_) | CelValue::Share) => {
                let (left, right) = (self.members(left)?, self.members(right)?);
                if left.len() != right.len() {
                    return Ok(false);
                }
                for ((name, value), (other_name, other_value)) in left.iter().zip(&right) {
                    if name.as_str() != other_name.as_str() || !self.equal(value, other_value)? {
                        return Ok(false);
                    }
                }
                Ok(true)
            }
            _ => Ok(compare_numbers(left, right) == Some(Ordering::Equal)),
        }
    }

    fn is_in(&mut self, pair: &'a (Expr, Expr)) -> Result<bool, ConditionError> {
        let (item, of) = self.both(pair)?;
        self.contains(&of, &item)
    }

    fn contains(&mut self, of: &CelValue<'a>, item: &CelValue<'a>) -> Result<bool, ConditionError> {
        match (of, item) {
            (CelValue::List(_), _) => {
                for element in self.elements(of)? {
                    let element = self.element_value(element)?;
                    if self.equal(item, &element)? {
                        return Ok(true);
                    }
                }
                Ok(false)
            }
            (CelValue::Map(_) | CelValue::Share, CelValue::String(name)) => {
                self.spend_on(name.as_str().len())?;
                Ok(self.member(of, &MemberOf::new(name.as_str()))?.is_some())
            }
            // Names of members are strings.
            (CelValue::Map(_) | CelValue::Share, _) => Ok(false),
            _ => Err(ConditionError::Types),
        }
    }

    fn size(&mut self, of: &'a Expr) -> Evaluated<'a> {
        let of = self.value(of)?;
        self.size_of(&of)
    }

    fn size_of(&mut self, of: &CelValue<'a>) -> Evaluated<'a> {
        let size = match of {
            CelValue::String(text) => {
                self.spend_on(text.as_str().len())?;
                text.as_str().chars().count()
            }
            CelValue::List(List::Literals(items)) => items.len(),
            CelValue::List(List::Made(items)) => items.len(),
            CelValue::List(List::Of(node)) => {
                let size = self.tape.children(*node).count();
                self.spend(size as u64)?;
                size
            }
            CelValue::Map(_) | CelValue::Share => self.members(of)?.len(),
            _ => return Err(ConditionError::Types),
        };
        i64::try_from(size).map(CelValue::Int).map_err(|_| ConditionError::Overflow)
    }

    /// The members of a map by name, of a repeated name the last.
    fn members(&mut self, of: &CelValue<'a>) -> Result<Vec<(Text<'a>, CelValue<'a>)>, ConditionError> {
        let mut members: Vec<(Text<'a>, CelValue<'a>)> = Vec::new();
        match of {
            CelValue::Map(node) => {
                for child in self.tape.children(*node) {
                    // They are sorted.
                    self.spend(STEPS_PER_BYTE)?;
                    members.push((self.tape.name_text(self.text, child).into(), self.at(child)));
                }
            }
            CelValue::Share => members.extend(self.share.members().map(|(name, value)| (Text::Borrowed(name), value))),
            _ => return Err(ConditionError::Types),
        }
        // The sort is stable, so that the last of a name comes first from behind.
        members.sort_by(|a, b| a.0.as_str().cmp(b.0.as_str()));
        members.reverse();
        members.dedup_by(|later, kept| later.0.as_str() == kept.0.as_str());
        Ok(members)
    }

    fn element_value(&mut self, element: Element<'a>) -> Evaluated<'a> {
        self.spend(1)?;
        match element {
            Element::Node(node) => Ok(self.at(node)),
            Element::Name(node) => Ok(CelValue::String(self.tape.name_text(self.text, node).into())),
            Element::Literal(expr) => self.value(expr),
            Element::Made(value) => Ok(value),
        }
    }

    /// The elements of a list, or the names of a map's members, a repeated one again.
    fn elements(&mut self, of: &CelValue<'a>) -> Result<Elements<'a>, ConditionError> {
        Ok(match of {
            CelValue::List(List::Of(node)) => Elements::Values(self.tape.children(*node)),
            CelValue::List(List::Literals(items)) => Elements::Literals(items.iter()),
            CelValue::List(List::Made(items)) => Elements::Made(std::rc::Rc::clone(items), 0),
            CelValue::Map(node) => Elements::Names(self.tape.children(*node)),
            CelValue::Share => Elements::Facts(0),
            _ => return Err(ConditionError::Types),
        })
    }

    fn spend(&mut self, steps: u64) -> Result<(), ConditionError> {
        match self.steps_left.checked_sub(steps) {
            Some(left) => {
                self.steps_left = left;
                Ok(())
            }
            None => {
                // Nothing that comes after can decide for what could not be paid.
                self.steps_left = 0;
                Err(ConditionError::TooCostly)
            }
        }
    }

    /// Text of so many bytes is looked at.
    fn spend_on(&mut self, bytes: usize) -> Result<(), ConditionError> {
        self.spend(bytes as u64 / 16)
    }
}

/// A number that is whole and not negative.
fn whole(value: &CelValue<'_>) -> Option<usize> {
    match value {
        CelValue::Int(value) => usize::try_from(*value).ok(),
        CelValue::Double(value) if value.trunc() == *value && (0.0..4e15).contains(value) => Some(*value as usize),
        _ => None,
    }
}
