//! The ACLs that a configuration needs, as `kafka-acls` commands: what each principal may do, and nothing more
//! (docs/operators.md#lock-the-topics).

use crate::config::Config;
use crate::engine::topic::names::TopicNames;
use crate::engine::topic::required::hidden_topics;
use crate::id::TenantId;

/// Who is who to Kafka, in its words: `User:name`.
#[derive(Debug, Clone)]
pub(super) struct Principals {
    /// Runs the engine.
    pub(super) engine: String,
    /// Runs the other commands: it may read and write every event.
    pub(super) operator: String,
    /// Runs backfills.
    pub(super) backfill: String,
    /// Reads the invitations.
    pub(super) mailer: String,
    /// Serves the API and the console.
    pub(super) server: String,
    /// Each tenant's data platform.
    pub(super) tenants: Vec<(TenantId, String)>,
}

/// The arguments of one call of `kafka-acls`, after `--bootstrap-server`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct AclCall(Vec<String>);

/// One principal's commands with their headline.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct AclSection {
    pub(super) title: String,
    pub(super) grants: Vec<AclCall>,
}

/// How a resource's name is meant.
#[derive(Clone, Copy)]
enum AclName {
    Exactly,
    Beginning,
}

fn grant(principal: &str, operations: &[&str], kind: &str, names: &[String], named: AclName) -> AclCall {
    let mut words = vec!["--add".to_owned(), "--allow-principal".to_owned(), principal.to_owned()];
    words.extend(operations.iter().flat_map(|operation| ["--operation".to_owned(), (*operation).to_owned()]));
    words.extend(names.iter().flat_map(|name| [format!("--{kind}"), name.clone()]));
    if let AclName::Beginning = named {
        words.extend(["--resource-pattern-type".to_owned(), "prefixed".to_owned()]);
    }
    AclCall(words)
}

impl AclCall {
    /// The whole command, for a shell.
    pub(super) fn command(&self, bootstrap: &str, command_config: Option<&str>) -> String {
        let mut words = vec!["kafka-acls.sh".to_owned(), "--bootstrap-server".to_owned(), bootstrap.to_owned()];
        words.extend(command_config.into_iter().flat_map(|file| ["--command-config".to_owned(), file.to_owned()]));
        words.extend(self.0.iter().cloned());
        words.iter().map(|word| quoted(word)).collect::<Vec<_>>().join(" ")
    }
}

fn quoted(word: &str) -> String {
    let is_plain = !word.is_empty() && word.chars().all(|c| c.is_ascii_alphanumeric() || "-_.,:/=@".contains(c));
    if is_plain { word.to_owned() } else { format!("'{}'", word.replace('\'', "'\\''")) }
}

/// Every principal's section, tenants last. Of those only reading is granted, and only of their own topics and of groups whose names
/// begin with `<tenant>.`, which no other tenant's can.
pub(super) fn sections(config: &Config, principals: &Principals) -> Vec<AclSection> {
    let names = TopicNames::of(config);
    let mut sections = vec![
        AclSection { title: format!("the engine, {}", principals.engine), grants: engine(config, &principals.engine) },
        AclSection {
            title: format!(
                "every command but run and backfill, {}: the operator's, and those that act for a tenant with --as",
                principals.operator
            ),
            grants: operator(config, &principals.operator),
        },
        AclSection { title: format!("backfills, {}", principals.backfill), grants: backfill(config, &principals.backfill) },
        AclSection {
            title: format!("control restore, {}, to a topic that begins with {}.", principals.operator, config.control.topic),
            grants: restore(config, &principals.operator),
        },
        AclSection { title: format!("the mailer, {}", principals.mailer), grants: mailer(config, &principals.mailer) },
        AclSection { title: format!("serve, {}", principals.server), grants: server(config, &principals.server) },
    ];
    for (tenant, principal) in &principals.tenants {
        let streams = config.streams.iter().map(|stream| names.of_stream(tenant, &stream.name));
        let topics: Vec<String> = streams.chain([names.of_status(tenant)]).collect();
        let grants = vec![
            grant(principal, &["Read", "Describe"], "topic", &topics, AclName::Exactly),
            grant(principal, &["Read", "Describe"], "group", &[format!("{tenant}.")], AclName::Beginning),
        ];
        let title = format!("tenant {tenant}, {principal}, as owner and as target: its own topics, in groups named {tenant}.…");
        sections.push(AclSection { title, grants });
    }
    sections
}

/// What tenants' topics begin with, by the templates of status and of streams.
fn tenant_prefixes(config: &Config) -> Vec<String> {
    let (status, template) = (config.topics.status_template().before.as_str(), config.output.topics.prefix());
    let mut prefixes = vec![status.to_owned()];
    if !template.starts_with(status) {
        prefixes.retain(|status| !status.starts_with(template));
        prefixes.push(template.to_owned());
    }
    prefixes
}

fn engine(config: &Config, principal: &str) -> Vec<AclCall> {
    let group = &config.kafka.group;
    // The workers' group, the status writer's, and those that readers outside any group still name to the cluster.
    let groups = [group.clone(), format!("{group}-")];
    let inputs: Vec<String> = config.streams.iter().map(|stream| stream.topic.clone()).collect();
    let mut grants = vec![
        grant(principal, &["Read", "Describe", "DescribeConfigs"], "topic", &inputs, AclName::Exactly),
        grant(principal, &["Read", "Write", "Describe", "DescribeConfigs"], "topic", &hidden_topics(config), AclName::Exactly),
        grant(principal, &["Read", "Write", "Describe", "DescribeConfigs"], "topic", &tenant_prefixes(config), AclName::Beginning),
        grant(principal, &["Read", "Describe"], "group", &groups[..1], AclName::Exactly),
        grant(principal, &["Read", "Describe"], "group", &groups[1..], AclName::Beginning),
        grant(principal, &["Write", "Describe"], "transactional-id", &[format!("{group}-")], AclName::Beginning),
    ];
    if config.output.is_auto_provisioned {
        grants.push(grant(principal, &["Create"], "topic", &hidden_topics(config), AclName::Exactly));
        grants.push(grant(principal, &["Create"], "topic", &tenant_prefixes(config), AclName::Beginning));
    }
    grants
}

/// It reads invitations and notes what it has sent. Its readers name a group that they do not join.
fn mailer(config: &Config, principal: &str) -> Vec<AclCall> {
    let (invitations, state) = (std::slice::from_ref(&config.topics.invitations), std::slice::from_ref(&config.topics.state));
    let groups = [format!("{}-mailer", config.topics.prefix()), format!("{}-reader", config.kafka.group)];
    let mut grants = vec![
        grant(principal, &["Read", "Describe"], "topic", invitations, AclName::Exactly),
        grant(principal, &["Read", "Write", "Describe"], "topic", state, AclName::Exactly),
        grant(principal, &["Read", "Describe"], "group", &groups, AclName::Exactly),
    ];
    if config.output.is_auto_provisioned {
        grants.push(grant(principal, &["Create"], "topic", &[invitations, state].concat(), AclName::Exactly));
    }
    grants
}

/// It folds the control log and writes events, tells the mailer, and looks at inputs. It joins no group: its readers name groups that they
/// do not join, and for `wait=certain` it asks who is in the engine's and what is pending there.
fn server(config: &Config, principal: &str) -> Vec<AclCall> {
    let group = &config.kafka.group;
    let inputs: Vec<String> = config.streams.iter().map(|stream| stream.topic.clone()).collect();
    let written = [config.control.topic.clone(), config.topics.invitations.clone()];
    let mut grants = vec![
        grant(principal, &["Read", "Write", "Describe"], "topic", &written, AclName::Exactly),
        grant(principal, &["Read", "Describe"], "topic", &inputs, AclName::Exactly),
        grant(principal, &["Read", "Describe"], "topic", std::slice::from_ref(&config.topics.state), AclName::Exactly),
        grant(principal, &["Read", "Describe"], "group", std::slice::from_ref(group), AclName::Exactly),
        grant(principal, &["Describe"], "group", &[format!("{group}-")], AclName::Beginning),
    ];
    if config.output.is_auto_provisioned {
        grants.push(grant(principal, &["Create"], "topic", &written[1..], AclName::Exactly));
    }
    grants
}

/// `backfill` by the live log: it reads inputs and the control log, writes tenants' topics, and says how far it is.
fn backfill(config: &Config, principal: &str) -> Vec<AclCall> {
    let group = &config.kafka.group;
    let inputs: Vec<String> = config.streams.iter().map(|stream| stream.topic.clone()).collect();
    let own = [&config.topics.backfill, &config.topics.state, &config.topics.dead_letters].map(String::clone);
    let mut grants = vec![
        grant(principal, &["Read", "Describe", "DescribeConfigs"], "topic", &inputs, AclName::Exactly),
        // Ticks, as an engine writes them: they prove that the log is the newest.
        grant(principal, &["Read", "Write", "Describe"], "topic", std::slice::from_ref(&config.control.topic), AclName::Exactly),
        grant(principal, &["Read", "Write", "Describe", "DescribeConfigs"], "topic", &own, AclName::Exactly),
        grant(principal, &["Write", "Describe", "DescribeConfigs"], "topic", &tenant_prefixes(config), AclName::Beginning),
        // It looks at how far the live group is, and its readers name groups that they do not join.
        grant(principal, &["Read", "Describe"], "group", std::slice::from_ref(group), AclName::Exactly),
        grant(principal, &["Read", "Describe"], "group", &[format!("{group}-")], AclName::Beginning),
        grant(principal, &["Write", "Describe"], "transactional-id", &[format!("{group}-backfill-")], AclName::Beginning),
    ];
    if config.output.is_auto_provisioned {
        grants.push(grant(principal, &["Create"], "topic", &own, AclName::Exactly));
        grants.push(grant(principal, &["Create"], "topic", &tenant_prefixes(config), AclName::Beginning));
    }
    grants
}

/// Every command but `run`: those that act for a tenant (`--as`) too, for a tenant's own principal may never write events.
fn operator(config: &Config, principal: &str) -> Vec<AclCall> {
    let group = &config.kafka.group;
    let inputs: Vec<String> = config.streams.iter().map(|stream| stream.topic.clone()).collect();
    vec![
        // Events, and what a mailer needs of an invitation.
        grant(principal, &["Read", "Write"], "topic", &[config.control.topic.clone(), config.topics.invitations.clone()], AclName::Exactly),
        // `--wait` reads status documents, `revoke --wait` what the workers report in the state topic; dead letters, what is owed and what
        // stands are looked at by hand.
        grant(principal, &["Read", "Describe", "DescribeConfigs"], "topic", &hidden_topics(config), AclName::Exactly),
        // `share offer --preview` reads an asset's newest record; `provision` looks at every topic.
        grant(principal, &["Read", "Describe", "DescribeConfigs"], "topic", &inputs, AclName::Exactly),
        grant(principal, &["Create"], "topic", &hidden_topics(config), AclName::Exactly),
        grant(principal, &["Create", "Describe", "DescribeConfigs"], "topic", &tenant_prefixes(config), AclName::Beginning),
        // `provision` sets how long tombstones are kept on topics that are there.
        grant(principal, &["AlterConfigs"], "topic", std::slice::from_ref(&config.topics.shares), AclName::Exactly),
        grant(principal, &["AlterConfigs"], "topic", &tenant_prefixes(config), AclName::Beginning),
        // `revoke --wait` asks who is in the engine's group; `kafka-consumer-groups.sh --reset-offsets` sets its offsets.
        grant(principal, &["Read", "Describe"], "group", std::slice::from_ref(group), AclName::Exactly),
        grant(principal, &["Describe"], "group", &[format!("{group}-")], AclName::Beginning),
    ]
}

/// `control restore`: it makes and fills a new control topic, says from where on the status writer goes on, and after a loss takes
/// documents back.
fn restore(config: &Config, principal: &str) -> Vec<AclCall> {
    let new = ["Create", "Read", "Write", "Describe", "DescribeConfigs", "AlterConfigs"];
    let status = std::slice::from_ref(&config.topics.status_template().before);
    vec![
        grant(principal, &new, "topic", &[format!("{}.", config.control.topic)], AclName::Beginning),
        grant(principal, &["Read", "Describe"], "group", &[format!("{}-status", config.kafka.group)], AclName::Exactly),
        grant(principal, &["Write"], "topic", std::slice::from_ref(&config.topics.shares), AclName::Exactly),
        grant(principal, &["Write"], "topic", status, AclName::Beginning),
    ]
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::ConfigEnv;

    fn config(text: &str) -> Config {
        Config::load(&[("c", text)], &ConfigEnv::none()).unwrap()
    }

    fn printed(config: &Config) -> Vec<(String, String)> {
        let acme = TenantId::parse("acme").unwrap();
        let principals = Principals {
            engine: "User:engine".into(),
            operator: "User:ops".into(),
            backfill: "User:past".into(),
            mailer: "User:mail".into(),
            server: "User:front".into(),
            tenants: vec![(acme, "User:CN=acme platform".into())],
        };
        let each = |section: AclSection| {
            let commands: Vec<String> = section.grants.iter().map(|grant| grant.command("b:9092", None)).collect();
            (section.title, commands.join("\n"))
        };
        sections(config, &principals).into_iter().map(each).collect()
    }

    #[test]
    fn a_tenant_reads_its_own_topics_and_nothing_else() {
        let config = config("");
        let all = printed(&config);
        let (_, own) = all.last().unwrap();
        assert_eq!(
            own,
            "kafka-acls.sh --bootstrap-server b:9092 --add --allow-principal 'User:CN=acme platform' --operation Read --operation Describe \
             --topic share.acme.telemetry --topic share.acme.details --topic share.acme.shares\n\
             kafka-acls.sh --bootstrap-server b:9092 --add --allow-principal 'User:CN=acme platform' --operation Read --operation Describe \
             --group acme. --resource-pattern-type prefixed"
        );
        for hidden in hidden_topics(&config) {
            assert!(!own.contains(&hidden), "{hidden}");
        }
        assert_eq!(
            all.iter().filter(|(_, commands)| commands.contains("Write")).count(),
            6,
            "the engine, backfills, the operator, a restore, the mailer and the server write"
        );
        assert!(all.iter().filter(|(_, commands)| commands.contains("sharecast.standing.details")).count() == 2);
    }

    #[test]
    fn the_operator_reads_everything_but_tenants_topics_and_writes_events_alone() {
        let config = config("");
        let operator = printed(&config).swap_remove(1).1;
        let reads =
            |topic: &str| operator.lines().any(|line| line.contains("--operation Read") && line.contains(&format!("--topic {topic}")));
        for topic in hidden_topics(&config).iter().map(String::as_str).chain(["telemetry.raw", "asset.details"]) {
            assert!(reads(topic), "{topic}");
        }
        assert!(!reads("share."), "tenants' records are tenants'");
        let writes: Vec<&str> = operator.lines().filter(|line| line.contains("--operation Write")).collect();
        assert_eq!(writes.len(), 1);
        assert!(writes[0].ends_with("--topic sharecast.control --topic sharecast.invitations"), "{}", writes[0]);
    }

    #[test]
    fn the_engine_creates_only_what_it_is_to_provision() {
        let engine = |text: &str| printed(&config(text)).swap_remove(0).1;
        assert!(engine("").contains("--operation Create"));
        assert!(!engine("output: { provision: manual }").contains("--operation Create"));
        let other = engine("output: { topic: 'to.{tenant}.{stream}' }");
        assert!(other.contains("--topic share. --topic to. --resource-pattern-type prefixed"), "{other}");
        assert_eq!(quoted("it's"), "'it'\\''s'");
    }

    #[test]
    fn another_prefix_is_in_every_own_name() {
        let all = printed(&config("topics: { prefix: eu.cast, status: 'st.{tenant}' }"));
        let commands: String = all.into_iter().map(|(_, commands)| commands).collect();
        assert!(!commands.contains("sharecast"), "{commands}");
        for name in [
            "--topic eu.cast.control",
            "--topic eu.cast.standing.details",
            "--group eu.cast-mailer",
            "--topic st.acme",
            "--topic st. --topic share.",
        ] {
            assert!(commands.contains(name), "{name}: {commands}");
        }
    }
}
