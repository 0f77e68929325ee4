//! From a source to the tree: `cel` parses, and what is valid is decided here, node by node.
//!
//! The crate expands `has`, `all` and `exists` before it hands its tree over. What it expands them to holds the name `@result`, which
//! no source can, so an expansion is told from anything that looks like one.

use cel::common::ast::operators as op;
use cel::common::ast::{CallExpr, ComprehensionExpr, Expr as Parsed, IdedExpr, LiteralValue};
use cel::parser::PrattParser;

use super::InvalidCondition;
use super::expr::{Arithmetic, Expr, ListLiteral, MemberOf, Relation, TextTest};
use super::scan::{self, MAX_BRACKETS};

/// The name that expansions give to what they have found so far.
const RESULT: &str = "@result";

/// Reads a source.
pub(super) fn read(source: &str) -> Result<Expr, InvalidCondition> {
    let has_calls = scan::check(source)?;
    let parser = PrattParser::default().max_recursion_depth(2 * MAX_BRACKETS as u16).error_recovery_limit(0);
    let parsed = parser.parse(source).map_err(|errors| not_cel(source, errors))?;
    let mut reader = TreeReader { element: None, presences: 0 };
    let expr = reader.expr(&parsed)?;
    // `has(has(record.a))` becomes the tree of `has(record.a)`.
    if reader.presences != has_calls {
        return Err(refused("has takes a member, such as has(record.a)"));
    }
    Ok(expr)
}

fn not_cel(source: &str, errors: cel::ParseErrors) -> InvalidCondition {
    let Some(first) = errors.errors.into_iter().find(|error| error.pos.0 > 0) else {
        return InvalidCondition::new("it is no expression of CEL", 0);
    };
    let (line, column) = (first.pos.0 as usize, first.pos.1 as usize);
    let before: usize = source.split_inclusive('\n').take(line - 1).map(str::len).sum();
    let what = first.msg.strip_prefix("Syntax error: ").unwrap_or(&first.msg);
    InvalidCondition::new(format!("it is no expression of CEL: {what}"), before + column.saturating_sub(1))
}

/// Recursion is bounded by the depth that the scan allows.
struct TreeReader<'p> {
    /// The name bound by the `all` or `exists` around what is read.
    element: Option<&'p str>,
    /// How many members were asked for by `has`.
    presences: usize,
}

impl<'p> TreeReader<'p> {
    fn expr(&mut self, parsed: &'p IdedExpr) -> Result<Expr, InvalidCondition> {
        match &parsed.expr {
            Parsed::Literal(literal) => read_literal(literal),
            Parsed::Ident(name) => self.name(name),
            Parsed::Select(select) => {
                self.presences += usize::from(select.test);
                let (of, name) = (self.boxed(&select.operand)?, MemberOf::new(&select.field));
                Ok(if select.test { Expr::Has(of, name) } else { Expr::Member(of, name) })
            }
            Parsed::List(list) if list.optional_indices.is_empty() => {
                let items = list.elements.iter().map(|item| self.expr(item)).collect::<Result<Box<[Expr]>, _>>()?;
                let is_constant = items.iter().all(Expr::is_literal);
                Ok(Expr::List(ListLiteral { items, is_constant }))
            }
            Parsed::Call(call) => self.call(call),
            Parsed::Comprehension(comprehension) => self.comprehension(comprehension),
            Parsed::List(_) => Err(refused("there are no optional elements in conditions")),
            Parsed::Map(_) | Parsed::Struct(_) => Err(refused("there are no maps and messages in conditions")),
            Parsed::Unspecified => Err(refused("it is no expression of CEL")),
        }
    }

    fn boxed(&mut self, parsed: &'p IdedExpr) -> Result<Box<Expr>, InvalidCondition> {
        self.expr(parsed).map(Box::new)
    }

    fn pair(&mut self, left: &'p IdedExpr, right: &'p IdedExpr) -> Result<Box<(Expr, Expr)>, InvalidCondition> {
        Ok(Box::new((self.expr(left)?, self.expr(right)?)))
    }

    fn name(&self, name: &str) -> Result<Expr, InvalidCondition> {
        match name {
            bound if self.element == Some(bound) => Ok(Expr::Element),
            "record" => Ok(Expr::Record),
            "share" => Ok(Expr::Share),
            other => Err(refused(format!("unknown name `{other}`: there are record and share"))),
        }
    }

    fn call(&mut self, call: &'p CallExpr) -> Result<Expr, InvalidCondition> {
        match (&call.target, call.args.as_slice()) {
            (None, [argument]) => match call.func_name.as_str() {
                op::LOGICAL_NOT => Ok(Expr::Not(self.boxed(argument)?)),
                op::NEGATE => Ok(Expr::Negate(self.boxed(argument)?)),
                "size" => Ok(Expr::Size(self.boxed(argument)?)),
                other => Err(unknown_function(other)),
            },
            (None, [left, right]) => self.binary(&call.func_name, left, right),
            (None, [condition, then, otherwise]) if call.func_name == op::CONDITIONAL => {
                Ok(Expr::If(Box::new((self.expr(condition)?, self.expr(then)?, self.expr(otherwise)?))))
            }
            (Some(target), []) if call.func_name == "size" => Ok(Expr::Size(self.boxed(target)?)),
            (Some(target), [argument]) => {
                let test = match call.func_name.as_str() {
                    "startsWith" => TextTest::StartsWith,
                    "endsWith" => TextTest::EndsWith,
                    "contains" => TextTest::Contains,
                    other => return Err(unknown_function(other)),
                };
                Ok(Expr::Text(test, self.pair(target, argument)?))
            }
            _ => Err(unknown_function(&call.func_name)),
        }
    }

    fn binary(&mut self, function: &str, left: &'p IdedExpr, right: &'p IdedExpr) -> Result<Expr, InvalidCondition> {
        let pair = self.pair(left, right)?;
        Ok(match function {
            op::ADD => Expr::Arithmetic(Arithmetic::Add, pair),
            op::SUBSTRACT => Expr::Arithmetic(Arithmetic::Subtract, pair),
            op::MULTIPLY => Expr::Arithmetic(Arithmetic::Multiply, pair),
            op::DIVIDE => Expr::Arithmetic(Arithmetic::Divide, pair),
            op::MODULO => Expr::Arithmetic(Arithmetic::Modulo, pair),
            op::LESS => Expr::Ordered(Relation::Less, pair),
            op::LESS_EQUALS => Expr::Ordered(Relation::LessOrEqual, pair),
            op::GREATER => Expr::Ordered(Relation::Greater, pair),
            op::GREATER_EQUALS => Expr::Ordered(Relation::GreaterOrEqual, pair),
            op::EQUALS => Expr::Equal(pair),
            op::NOT_EQUALS => Expr::Unequal(pair),
            op::IN => Expr::In(pair),
            op::LOGICAL_AND => Expr::And(pair),
            op::LOGICAL_OR => Expr::Or(pair),
            op::INDEX => Expr::Index(pair),
            other => return Err(unknown_function(other)),
        })
    }

    fn comprehension(&mut self, parsed: &'p ComprehensionExpr) -> Result<Expr, InvalidCondition> {
        let Some((is_all, body)) = quantifier(parsed) else {
            return Err(refused("of macros there are has, all and exists"));
        };
        if self.element.is_some() || has_quantifier(&parsed.iter_range) {
            return Err(refused("all and exists cannot be inside one another: their cost has no bound"));
        }
        let list = self.expr(&parsed.iter_range)?;
        self.element = Some(&parsed.iter_var);
        let body = self.expr(body);
        self.element = None;
        let pair = Box::new((list, body?));
        Ok(if is_all { Expr::All(pair) } else { Expr::Exists(pair) })
    }
}

/// Whether it is `all`, and what each element is asked; none if it is the expansion of another macro.
fn quantifier(parsed: &ComprehensionExpr) -> Option<(bool, &IdedExpr)> {
    let is_result = |expr: &IdedExpr| matches!(&expr.expr, Parsed::Ident(name) if name == RESULT);
    if parsed.accu_var != RESULT || parsed.iter_var2.is_some() || !is_result(&parsed.result) {
        return None;
    }
    let (Parsed::Literal(LiteralValue::Boolean(start)), Parsed::Call(step)) = (&parsed.accu_init.expr, &parsed.loop_step.expr) else {
        return None;
    };
    let is_all = *start.inner();
    let joins = if is_all { op::LOGICAL_AND } else { op::LOGICAL_OR };
    match step.args.as_slice() {
        [result, body] if step.func_name == joins && step.target.is_none() && is_result(result) => Some((is_all, body)),
        _ => None,
    }
}

/// Whether an `all` or `exists` is in it.
fn has_quantifier(parsed: &IdedExpr) -> bool {
    match &parsed.expr {
        Parsed::Comprehension(_) => true,
        Parsed::Call(call) => call.target.as_deref().into_iter().chain(&call.args).any(has_quantifier),
        Parsed::List(list) => list.elements.iter().any(has_quantifier),
        Parsed::Select(select) => has_quantifier(&select.operand),
        Parsed::Unspecified | Parsed::Ident(_) | Parsed::Literal(_) | Parsed::Map(_) | Parsed::Struct(_) => false,
    }
}

fn read_literal(literal: &LiteralValue) -> Result<Expr, InvalidCondition> {
    match literal {
        LiteralValue::Null => Ok(Expr::Null),
        LiteralValue::Boolean(value) => Ok(Expr::Bool(*value.inner())),
        LiteralValue::Int(value) => Ok(Expr::Int(*value.inner())),
        LiteralValue::Double(value) if value.inner().is_finite() => Ok(Expr::Double(*value.inner())),
        LiteralValue::String(text) => Ok(Expr::String(text.inner().into())),
        LiteralValue::Double(_) => Err(refused("a number that is not finite as a double")),
        LiteralValue::UInt(_) => Err(refused("there are no unsigned numbers in conditions: write 1, not 1u")),
        LiteralValue::Bytes(_) => Err(refused("there are no bytes in conditions: write a string")),
    }
}

fn unknown_function(name: &str) -> InvalidCondition {
    let what = match name {
        op::OPT_INDEX | op::OPT_SELECT => "there is no optional syntax in conditions: ask by has".to_owned(),
        name => {
            format!("`{name}` cannot be called so: there are size(x), x.startsWith(y), x.endsWith(y), x.contains(y), has, all and exists")
        }
    };
    refused(what)
}

/// The tree has no places, so the place is that of the whole expression.
fn refused(what: impl Into<String>) -> InvalidCondition {
    InvalidCondition::new(what, 0)
}
