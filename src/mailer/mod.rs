//! `sharecast mailer`: one mail for each invitation and each time that it is sent again.
//!
//! `pending` knows which mails are to be sent, and when again; `template` and `letter` make a mail of an invitation; both are pure. `smtp`
//! gives it to a server, `live_templates` has the templates in force, `topics` reads and notes, `post` is the loop, `server` the process.

pub mod letter;
pub mod live_templates;
pub mod pending;
pub mod post;
pub mod server;
pub mod smtp;
pub mod template;
pub mod topics;
