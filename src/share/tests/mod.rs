//! TODO

#[cfg(test)]
mod table;
#[cfg(test)]
pub(crate) mod fixture;
#[cfg(test)]
mod random_log;
#[cfg(test)]
mod fold_properties;
#[cfg(test)]
mod list_properties;
#[cfg(test)]
mod lifecycle;
#[cfg(test)]
mod bulk;
#[cfg(test)]
mod invitation_code;
