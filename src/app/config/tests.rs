use super::reader::Source;
use super::*;
use crate::quarantine::policy::Policy;
use std::collections::BTreeSet;

const FILE: &str = "/etc/lazaret/lazaret.toml";

fn parse(text: &str) -> Config {
    Config::parse(Path::new(FILE), text).unwrap_or_else(|e| panic!("{e}"))
}

/// The annotated file with the lines that only show a key made part of it.
fn everything() -> String {
    let shown = |line: &str| {
        let rest = line.strip_prefix('#')?;
        rest.starts_with(|c: char| c.is_ascii_lowercase() || c == '[').then(|| rest.to_string())
    };
    DEFAULT.lines().map(|line| shown(line).unwrap_or_else(|| line.to_string()) + "\n").collect()
}

/// Every key that a file has: `imap.tls`, `lmtp.class`, `domains.*.route`.
fn keys_of(text: &str) -> BTreeSet<String> {
    fn walk(prefix: &str, value: &toml::de::DeValue<'_>, keys: &mut BTreeSet<String>) {
        match value {
            toml::de::DeValue::Table(table) => {
                for (key, value) in table.iter() {
                    let named = matches!(prefix, "domains" | "recipients");
                    // The entries of this table are the user's, not keys.
                    if prefix == "domains.*.addresses" {
                        continue;
                    }
                    let key = if named { "*" } else { key.get_ref() };
                    let path = if prefix.is_empty() { key.to_string() } else { format!("{prefix}.{key}") };
                    if !named {
                        keys.insert(path.clone());
                    }
                    walk(&path, value.get_ref(), keys);
                }
            }
            toml::de::DeValue::Array(array) => array.iter().for_each(|item| walk(prefix, item.get_ref(), keys)),
            _ => {}
        }
    }
    let mut keys = BTreeSet::new();
    let table = toml::de::DeTable::parse(text).unwrap();
    walk("", &toml::de::DeValue::Table(table.into_inner()), &mut keys);
    keys
}

#[test]
fn the_annotated_file_shows_every_key_and_no_other() {
    let text = everything();
    let file = Path::new("example.toml");
    // The list of recipients that it names is not there.
    let text = text.replace("recipients_file = \"recipients.example.org\"", "");
    let source = Source::new(file, &text);
    sections::read(&source).unwrap_or_else(|e| panic!("{e}"));
    let asked = source.asked.borrow().clone();
    let mut shown = keys_of(&everything());
    assert!(asked.len() > 80, "{asked:?}");
    assert_eq!(asked.difference(&shown).collect::<Vec<_>>(), Vec::<&String>::new(), "keys that the file does not show");
    shown.retain(|key| !asked.contains(key));
    assert_eq!(shown, BTreeSet::new(), "keys that are shown and never asked for");
}

#[test]
fn defaults_are_what_the_annotated_file_says() {
    let config = parse("");
    assert_eq!(config, Config { file: FILE.into(), ..parse(DEFAULT) });
    assert_eq!(config.data, Path::new("/var/lib/lazaret"));
    assert_eq!(config.users, Path::new("/etc/lazaret/users"));
    assert_eq!(config.policy, Policy::default());
    assert_eq!(config.retention.incoming, Some(Duration::from_secs(14 * 86_400)));
    assert_eq!(config.limits.max_size, crate::base::limits::MESSAGE_BYTES);
    assert_eq!(config.limits.intake_memory, crate::base::limits::INTAKE_BYTES);
    assert_eq!(config.limits.new_trees, crate::base::limits::NEW_TREES_PER_HOUR);
    assert_eq!(config.limits.connections_per_address as usize, crate::base::limits::CONNECTIONS_PER_ADDRESS);
    assert_eq!(config.limits.queue_age, crate::base::limits::QUEUE_AGE);
    assert_eq!(config.limits.release_delay, std::time::Duration::from_secs(10));
    assert_eq!(config.sinks.len(), 1);
    assert_eq!(config.sinks[0].to, SinkTo::Maildir(None));
    assert!(config.domains.is_empty());
    assert_eq!(Config::default_config().lmtp, config.lmtp);
}

/// Keys that are only shown have their default there, too.
#[test]
fn shown_values_of_optional_keys_are_their_defaults() {
    let bare = parse("[domains.\"example.org\"]\n").domains.remove("example.org").unwrap();
    let shown = everything();
    assert_eq!(bare.directory.delimiter, Some('+'));
    assert!(shown.contains("\ndelimiter = \"+\"\n"));
    let route = bare.route;
    assert_eq!(route, None);
    let command = "[[sink]]\nname = \"a\"\nto = \"command\"\ncommand = [\"true\"]\n";
    let SinkTo::Command { done_codes, retry_codes, time_limit, .. } = parse(command).sinks.remove(0).to else {
        panic!()
    };
    assert_eq!((done_codes, retry_codes, time_limit), (vec![0], vec![75], Duration::from_secs(60)));
    assert!(shown.contains("\ndone_codes = [0]\nretry_codes = [75]\n"));
}

#[test]
fn a_file_of_a_site() {
    let config = parse(
        r#"
        data = "data"
        host_name = "mx.example.org"
        [imap]
        starttls = []
        [[lmtp]]
        listen = "unix:/run/lazaret/lmtp"
        class = "incoming"
        reply = "reject"
        before_queue = true
        [[lmtp]]
        listen = "127.0.0.1:8025"
        class = "outgoing"
        kind = "virus"
        max_size = "1 MB"
        [domains."Example.ORG"]
        aliases = ["example.net"]
        route = "inner"
        retention.incoming = "none"
        addresses.info = "alice"
        [domains."example.com"]
        delimiter = ""
        [recipients."Alice@example.org".retention]
        incoming = "1 d"
        messages = 10
        [[route]]
        host = "mx1"
        [[route]]
        name = "inner"
        host = "mx2"
        protocol = "lmtp"
        port = 24
        "#,
    );
    assert_eq!(config.data, Path::new("/etc/lazaret/data"));
    assert_eq!(config.imap.tls.len(), 1, "what is left out keeps its default");
    assert_eq!(config.lmtp.len(), 2);
    assert_eq!(config.lmtp[0].reply, Reply::Reject);
    assert_eq!(
        (config.lmtp[1].class, config.lmtp[1].kind, config.lmtp[1].max_size),
        (Class::Outgoing, Kind::Virus, 1 << 20)
    );
    assert_eq!(config.route("example.org").map(|r| r.host.as_str()), Some("mx2"));
    assert_eq!(config.route("example.com").map(|r| (r.host.as_str(), r.port)), Some(("mx1", 25)));
    assert_eq!(config.retention_of("example.org", "bob").incoming, None);
    let alice = config.retention_of("example.org", "alice");
    assert_eq!((alice.incoming, alice.messages), (Some(Duration::from_secs(86_400)), Some(10)));
    assert_eq!(alice.trash, config.retention.trash);
    assert!(config.directory().unwrap().is_local("example.net"));
}

#[test]
fn recipients_come_from_lists_and_files() {
    let directory = std::env::temp_dir().join(format!("lazaret-config-{}", std::process::id()));
    std::fs::create_dir_all(&directory).unwrap();
    std::fs::write(directory.join("list"), "# people\nbob\n\n  carol \n").unwrap();
    let file = directory.join("lazaret.toml");
    let text = "[domains.x]\nrecipients = [\"alice\"]\nrecipients_file = \"list\"\n";
    let config = Config::parse(&file, text);
    std::fs::write(directory.join("list"), "bob\nalice@x\n").unwrap();
    let wrong = Config::parse(&file, text).unwrap_err();
    std::fs::remove_dir_all(&directory).unwrap();
    let expected = ["alice", "bob", "carol"].map(str::to_string).to_vec();
    assert_eq!(config.unwrap().domains["x"].directory.recipients, Some(expected));
    assert!(wrong.to_string().ends_with("list:2: expected a local part, what stands before the @"), "{wrong}");
    assert_eq!(wrong.at, Some((3, 19)));
}

#[test]
fn digests_differ_by_domain_and_recipient() {
    use crate::quarantine::digest::{Every, Zone};
    let config = parse(
        "[digest]\nevery = \"day\"\nhour = 8\nto = \"all@x.test\"\n\
         [domains.\"x.test\".digest]\ntime_zone = \"Europe/Berlin\"\nlanguage = \"de\"\n\
         [domains.\"y.test\".digest]\nevery = \"off\"\nto = \"admin@y.test\"\nto_every = \"week\"\n\
         [recipients.\"Alice@x.test\".digest]\nevery = \"week\"\nweekday = \"friday\"\n",
    );
    let alice = config.digest_of("x.test", Some("alice"));
    assert_eq!((alice.every, alice.hour, alice.weekday, alice.language), (Every::Week, 8, 4, "de"));
    assert_eq!(alice.time_zone, Zone::parse("Europe/Berlin").unwrap());
    let rules = crate::app::map::digest_rules(&config, None);
    assert_eq!(rules.domains["y.test"].schedule.every, Every::Off);
    let wide: Vec<String> = rules.wide.iter().map(|(scope, to, _)| format!("{scope} {to}")).collect();
    assert_eq!(wide, ["global all@x.test", "y.test admin@y.test"], "a domain without an address of its own has none");
}
