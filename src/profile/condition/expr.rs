//! A condition's own tree: exactly what there is in conditions, and no name of a library's.

use crate::json::tape::hash_name;

/// One expression.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Expr {
    Null,
    Bool(bool),
    Int(i64),
    /// Always finite.
    Double(f64),
    String(Box<str>),
    List(ListLiteral),
    /// The input record.
    Record,
    /// What is known of the share.
    Share,
    /// The name that the `all` or `exists` around it binds. They are not inside one another, so there is one at most.
    Element,
    Member(Box<Expr>, MemberOf),
    Has(Box<Expr>, MemberOf),
    Index(Box<(Expr, Expr)>),
    Not(Box<Expr>),
    Negate(Box<Expr>),
    Arithmetic(Arithmetic, Box<(Expr, Expr)>),
    Ordered(Relation, Box<(Expr, Expr)>),
    Equal(Box<(Expr, Expr)>),
    Unequal(Box<(Expr, Expr)>),
    In(Box<(Expr, Expr)>),
    And(Box<(Expr, Expr)>),
    Or(Box<(Expr, Expr)>),
    If(Box<(Expr, Expr, Expr)>),
    Size(Box<Expr>),
    Text(TextTest, Box<(Expr, Expr)>),
    /// The list, and what each of its elements is asked.
    All(Box<(Expr, Expr)>),
    Exists(Box<(Expr, Expr)>),
}

/// A list as it is written.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct ListLiteral {
    pub(super) items: Box<[Expr]>,
    /// All of them are literals, so that nothing can go wrong in evaluating them.
    pub(super) is_constant: bool,
}

/// A member's name.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct MemberOf {
    pub(super) name: Box<str>,
    pub(super) hash: u32,
}

impl MemberOf {
    pub(super) fn new(name: &str) -> Self {
        Self { name: name.into(), hash: hash_name(name) }
    }
}

/// `+ - * / %`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Arithmetic {
    Add,
    Subtract,
    Multiply,
    Divide,
    Modulo,
}

/// `< <= > >=`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Relation {
    Less,
    LessOrEqual,
    Greater,
    GreaterOrEqual,
}

/// What a string is asked about another.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum TextTest {
    StartsWith,
    EndsWith,
    Contains,
}

impl Expr {
    /// Whether its value is known without a record.
    pub(super) fn is_literal(&self) -> bool {
        match self {
            Self::Null | Self::Bool(_) | Self::Int(_) | Self::Double(_) | Self::String(_) => true,
            Self::List(list) => list.is_constant,
            _ => false,
        }
    }
}
