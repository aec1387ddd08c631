//! Whose mail is it: domains and their other names, address aliases, tags, catch-all, lists of valid recipients.
//!
//! Loops of aliases are found when the directory is made, so resolving an address always ends.

use super::account::Scope;
use super::account::elsewhere::Elsewhere;
use crate::mail::Address;
use std::collections::{BTreeMap, HashMap, HashSet};
use std::fmt;

/// The name of a recipient's tree: an address that was resolved, lower-case, without tag.
pub type TreeName = Address;

/// One domain, as configured. Local parts are compared in lower case.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Domain {
    /// Other names of the whole domain.
    pub aliases: Vec<String>,
    /// Other addresses: a local part of this domain, and whose mail it is (a local part, or an address of any domain here).
    pub addresses: Vec<(String, String)>,
    /// Who gets mail for addresses that are neither aliases nor listed (a local part, or an address).
    pub catch_all: Option<String>,
    /// The valid local parts; `None`: any.
    pub recipients: Option<Vec<String>>,
    /// What separates a local part from its tag; `None`: there are no tags.
    pub delimiter: Option<char>,
    /// How its own server is asked for passwords; `None`: it is not.
    pub elsewhere: Option<Elsewhere>,
}

/// What an address stands for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Resolution {
    /// This tree.
    Tree(TreeName),
    /// The domain is not ours.
    UnknownDomain,
    /// The domain is ours, the address is not valid in it.
    UnknownRecipient,
}

/// Why a directory cannot be made from a configuration.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DirectoryError {
    /// The domain in whose section the fault is.
    pub domain: String,
    /// The key in that section, and the entry of it: `addresses`, `info`.
    pub key: &'static str,
    /// The entry of that key, where it has several.
    pub entry: String,
    /// What is wrong.
    pub text: String,
}

impl fmt::Display for DirectoryError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "domain {}: {}", self.domain, self.text)
    }
}

impl std::error::Error for DirectoryError {}

/// Aliases that lead to aliases: more of them in a row than any site has on purpose.
const CHAIN: usize = 10;

#[derive(Debug)]
struct Entry {
    addresses: HashMap<String, Address>,
    catch_all: Option<Address>,
    recipients: Option<HashSet<String>>,
    delimiter: Option<char>,
    elsewhere: Option<Elsewhere>,
}

/// All that is known of recipients.
#[derive(Debug, Default)]
pub struct Directory {
    domains: HashMap<String, Entry>,
    aliases: HashMap<String, String>,
}

impl Directory {
    /// Checks domains and makes them ready for resolving. Names are lower-cased.
    pub fn new<'a>(domains: impl IntoIterator<Item = (&'a str, &'a Domain)>) -> Result<Directory, DirectoryError> {
        let domains: Vec<(String, &Domain)> = domains.into_iter().map(|(name, d)| (domain_name(name), d)).collect();
        let mut directory = Directory::default();
        for (name, domain) in &domains {
            let fault =
                |key, entry: &str, text| DirectoryError { domain: name.clone(), key, entry: entry.into(), text };
            let mut addresses = HashMap::new();
            for (from, to) in &domain.addresses {
                let target = target(to, name).map_err(|text| fault("addresses", from, text))?;
                let from = local_part(from, name).map_err(|text| fault("addresses", from, text))?;
                if addresses.insert(from.clone(), target).is_some() {
                    return Err(fault("addresses", &from, format!("the alias {from} stands here twice")));
                }
            }
            let catch_all = domain.catch_all.as_deref().map(|to| target(to, name)).transpose();
            let entry = Entry {
                addresses,
                catch_all: catch_all.map_err(|text| fault("catch_all", "", text))?,
                recipients: domain.recipients.as_ref().map(|list| list.iter().map(|l| l.to_lowercase()).collect()),
                delimiter: domain.delimiter,
                elsewhere: domain.elsewhere.clone(),
            };
            if directory.domains.insert(name.clone(), entry).is_some() {
                return Err(fault("", "", format!("the domain {name} stands here twice")));
            }
        }
        for (name, domain) in &domains {
            for alias in &domain.aliases {
                let fault = |text| DirectoryError { domain: name.clone(), key: "aliases", entry: alias.clone(), text };
                let alias = domain_name(alias);
                if directory.domains.contains_key(&alias) {
                    return Err(fault(format!("{alias} has a section of its own, so it is no other name of {name}")));
                }
                if let Some(other) = directory.aliases.insert(alias.clone(), name.clone()) {
                    return Err(fault(format!("{alias} is another name of {other} already")));
                }
            }
        }
        for (name, domain) in &domains {
            directory.check(name, domain)?;
        }
        Ok(directory)
    }

    /// Follows every alias and the catch-all to its end.
    fn check(&self, name: &str, domain: &Domain) -> Result<(), DirectoryError> {
        let catch_all = domain.catch_all.iter().map(|to| ("catch_all", "", to.as_str()));
        let addresses = domain.addresses.iter().map(|(from, to)| ("addresses", from.as_str(), to.as_str()));
        for (key, entry, to) in addresses.chain(catch_all) {
            let fault = |text| DirectoryError { domain: name.into(), key, entry: entry.into(), text };
            let start = target(to, name).map_err(fault)?;
            let local = local_part(entry, name).map_err(fault)?;
            let mut path = if entry.is_empty() { vec![] } else { vec![format!("{local}@{name}")] };
            let mut at = self.canonical(&start).ok_or_else(|| {
                fault(format!("{start} is in no domain of this configuration; mail for it cannot be kept here"))
            })?;
            loop {
                let seen = path.contains(&at.to_string());
                path.push(at.to_string());
                if seen {
                    return Err(fault(format!("aliases run in a circle: {}", path.join(" → "))));
                }
                if path.len() > CHAIN {
                    return Err(fault(format!("more than {CHAIN} aliases in a row: {}", path.join(" → "))));
                }
                match self.alias_of(&at) {
                    Some(next) => at = next,
                    None => break,
                }
            }
            let valid = self.domains.get(at.domain()).is_none_or(|e| e.is_listed(at.local()));
            if key == "addresses" && !valid {
                return Err(fault(format!("{at} is not among the recipients of {}", at.domain())));
            }
        }
        Ok(())
    }

    /// The address in its domain's own name, lower-case. `None`: the domain is not ours.
    fn canonical(&self, address: &Address) -> Option<Address> {
        let domain = self.canonical_domain(address.domain())?;
        Some(address.with_local(&address.local().to_lowercase()).with_domain(domain))
    }

    fn canonical_domain<'a>(&'a self, domain: &'a str) -> Option<&'a str> {
        match self.aliases.get(domain) {
            Some(name) => Some(name),
            None => self.domains.get_key_value(domain).map(|(name, _)| name.as_str()),
        }
    }

    /// Where an alias leads, one step; the address with its tag comes first, then without. `address` is canonical.
    fn alias_of(&self, address: &Address) -> Option<Address> {
        let entry = self.domains.get(address.domain())?;
        let to = entry.addresses.get(address.local());
        let to = to.or_else(|| entry.addresses.get(&address.base_local(entry.delimiter)))?;
        self.canonical(to)
    }

    /// Follows aliases to an address that is none.
    fn follow(&self, address: &Address) -> Option<Address> {
        let mut at = self.canonical(address)?;
        // `check` has proved that every chain ends before this.
        for _ in 0..=CHAIN {
            match self.alias_of(&at) {
                Some(next) => at = next,
                None => break,
            }
        }
        Some(at)
    }

    /// Whose tree an address stands for.
    ///
    /// In this order: other names of the domain, address aliases (with the tag, then without), the list of recipients
    /// (likewise), the catch-all.
    pub fn resolve(&self, address: &Address) -> Resolution {
        let Some(at) = self.follow(address) else { return Resolution::UnknownDomain };
        let Some(entry) = self.domains.get(at.domain()) else { return Resolution::UnknownDomain };
        if let Some(tree) = entry.tree(&at) {
            return Resolution::Tree(tree);
        }
        let target = entry.catch_all.as_ref().and_then(|to| self.follow(to));
        match target.and_then(|to| self.domains.get(to.domain()).map(|e| to.with_local(&to.base_local(e.delimiter)))) {
            Some(tree) => Resolution::Tree(tree),
            None => Resolution::UnknownRecipient,
        }
    }

    /// Whose mail a login name means, and the name under which its account is kept: other names of a domain and alias
    /// addresses log in too. Tags and the catch-all do not, so that an account has few names under which to guess.
    pub fn login(&self, name: &str) -> Option<(String, Scope)> {
        let name = name.to_lowercase();
        if name == "global" {
            return Some((name, Scope::Global));
        }
        if !name.contains('@') {
            let domain = self.canonical_domain(domain_name(&name).as_str())?.to_string();
            return Some((domain.clone(), Scope::Domain(domain)));
        }
        let at = self.canonical(&Address::parse(&name).ok()?)?;
        let tagged = self.domains.get(at.domain()).is_some_and(|e| at.base_local(e.delimiter) != at.local());
        let at = self.follow(&at)?;
        let entry = self.domains.get(at.domain())?;
        let own = entry.is_target(&at) || (entry.is_listed(at.local()) && (!tagged || entry.lists_exactly(at.local())));
        own.then(|| (at.to_string(), Scope::Recipient(at)))
    }

    /// The domain whose own server knows the password of this login, and how it is asked.
    pub fn elsewhere(&self, login: &str) -> Option<(&str, &Elsewhere)> {
        let domain = self.domain_of(login.rsplit_once('@')?.1)?;
        Some((domain, self.domains.get(domain)?.elsewhere.as_ref()?))
    }

    /// Whether any domain's own server is asked for passwords.
    pub fn has_elsewhere(&self) -> bool {
        self.domains.values().any(|entry| entry.elsewhere.is_some())
    }

    /// Every name that does not stand for itself, and whose mail it is, sorted: for programs that go by files.
    /// `@<any name of a domain>` has the domain's own name and, behind a space, what begins a tag; an alias address has the
    /// address of its tree, and so has a recipient whose local part only looks as if it had a tag. The catch-all is not told.
    pub fn names(&self) -> BTreeMap<String, String> {
        let own = self.domains.keys().map(|name| (name, name));
        let mut names = BTreeMap::new();
        for (name, own) in own.chain(&self.aliases) {
            let Some(entry) = self.domains.get(own) else { continue };
            let tag = entry.delimiter.map(|delimiter| format!(" {delimiter}")).unwrap_or_default();
            names.insert(format!("@{name}"), format!("{own}{tag}"));
        }
        for (domain, entry) in &self.domains {
            let tagged = |local: &&String| entry.delimiter.is_some_and(|delimiter| local.contains(delimiter));
            let exact = entry.recipients.iter().flatten().filter(tagged);
            for local in entry.addresses.keys().chain(exact) {
                let Ok(address) = Address::parse(&format!("{local}@{domain}")) else { continue };
                if let Resolution::Tree(tree) = self.resolve(&address) {
                    names.insert(address.to_string(), tree.to_string());
                }
            }
        }
        names
    }

    /// Whether mail for this domain is ours to keep, under any of its names.
    pub fn is_local(&self, domain: &str) -> bool {
        self.canonical_domain(&domain_name(domain)).is_some()
    }

    /// The domain's own name, for any of its names.
    pub fn domain_of(&self, domain: &str) -> Option<&str> {
        let name = domain_name(domain);
        match self.aliases.get(&name) {
            Some(own) => Some(own),
            None => self.domains.get_key_value(&name).map(|(own, _)| own.as_str()),
        }
    }
}

impl Entry {
    /// The tree for a canonical address that is no alias; `None` when the catch-all decides.
    fn tree(&self, at: &Address) -> Option<TreeName> {
        if self.lists_exactly(at.local()) {
            return Some(at.clone());
        }
        let base = at.with_local(&at.base_local(self.delimiter));
        let valid = match &self.recipients {
            Some(list) => list.contains(base.local()),
            None => self.catch_all.is_none(),
        };
        (valid || self.is_target(&base)).then_some(base)
    }

    fn lists_exactly(&self, local: &str) -> bool {
        self.recipients.as_ref().is_some_and(|list| list.contains(local))
    }

    fn is_listed(&self, local: &str) -> bool {
        self.recipients.as_ref().is_none_or(|list| list.contains(local))
    }

    fn is_target(&self, at: &Address) -> bool {
        self.catch_all.as_ref() == Some(at)
    }
}

fn domain_name(name: &str) -> String {
    name.strip_suffix('.').unwrap_or(name).to_lowercase()
}

/// Reads an alias: a local part of this domain, or a whole address in it.
fn local_part(text: &str, domain: &str) -> Result<String, String> {
    let text = text.to_lowercase();
    match text.rsplit_once('@') {
        None => Ok(text),
        Some((local, own)) if own == domain => Ok(local.to_string()),
        Some((_, other)) => Err(format!("{text} is no address of {domain}: it belongs in the section of {other}")),
    }
}

/// Reads the target of an alias: an address, or a local part of the same domain.
fn target(text: &str, domain: &str) -> Result<Address, String> {
    let full = if text.contains('@') { text.to_lowercase() } else { format!("{}@{domain}", text.to_lowercase()) };
    Address::parse(&full).map_err(|e| format!("{text:?} is no address: {e}"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn domain() -> Domain {
        Domain { delimiter: Some('+'), ..Domain::default() }
    }

    fn strings(list: &[&str]) -> Vec<String> {
        list.iter().map(|s| s.to_string()).collect()
    }

    fn pairs(list: &[(&str, &str)]) -> Vec<(String, String)> {
        list.iter().map(|(a, b)| (a.to_string(), b.to_string())).collect()
    }

    fn make(domains: &[(&str, Domain)]) -> Result<Directory, DirectoryError> {
        Directory::new(domains.iter().map(|(n, d)| (*n, d)))
    }

    fn resolve(directory: &Directory, address: &str) -> String {
        match directory.resolve(&Address::parse(address).unwrap()) {
            Resolution::Tree(tree) => tree.to_string(),
            other => format!("{other:?}"),
        }
    }

    fn site() -> Directory {
        make(&[
            (
                "Example.org",
                Domain {
                    aliases: strings(&["example.NET"]),
                    addresses: pairs(&[
                        ("Info", "alice"),
                        ("sales", "info"),
                        ("bob+urgent", "alice"),
                        ("far", "carol@listed.example"),
                    ]),
                    ..domain()
                },
            ),
            (
                "listed.example",
                Domain {
                    recipients: Some(strings(&["carol", "Dave", "e+f"])),
                    catch_all: Some("post@example.org".into()),
                    ..domain()
                },
            ),
            ("strict.example", Domain { recipients: Some(strings(&["only"])), delimiter: None, ..Domain::default() }),
            ("all.example", Domain { catch_all: Some("me".into()), ..domain() }),
        ])
        .unwrap()
    }

    #[test]
    fn names_for_other_programs() {
        let names: Vec<String> = site().names().into_iter().map(|(name, whose)| format!("{name}={whose}")).collect();
        assert_eq!(
            names,
            [
                "@all.example=all.example +",
                "@example.net=example.org +",
                "@example.org=example.org +",
                "@listed.example=listed.example +",
                "@strict.example=strict.example",
                "bob+urgent@example.org=alice@example.org",
                "e+f@listed.example=e+f@listed.example",
                "far@example.org=carol@listed.example",
                "info@example.org=alice@example.org",
                "sales@example.org=alice@example.org",
            ]
        );
    }

    #[test]
    fn resolves() {
        let d = site();
        for (address, tree) in [
            ("Alice@EXAMPLE.org", "alice@example.org"),
            ("alice+tag@example.net", "alice@example.org"),
            ("sales+q@example.net", "alice@example.org"),
            ("bob@example.org", "bob@example.org"),
            ("bob+Urgent@example.org", "alice@example.org"),
            ("bob+later@example.org", "bob@example.org"),
            ("far@example.org", "carol@listed.example"),
            ("dave+x@listed.example", "dave@listed.example"),
            ("e+f@listed.example", "e+f@listed.example"),
            ("e+g@listed.example", "post@example.org"),
            ("nobody@listed.example", "post@example.org"),
            ("only@strict.example", "only@strict.example"),
            ("only+x@strict.example", "UnknownRecipient"),
            ("anything@all.example", "me@all.example"),
            ("me+x@all.example", "me@all.example"),
            ("x@sub.example.org", "UnknownDomain"),
        ] {
            assert_eq!(resolve(&d, address), tree, "{address}");
        }
        assert!(d.is_local("Example.NET.") && !d.is_local("example.com"));
        assert_eq!(d.domain_of("example.net"), Some("example.org"));
    }

    #[test]
    fn logins() {
        let d = site();
        let login = |name: &str| d.login(name).map(|(account, _)| account);
        assert_eq!(d.login("Global"), Some(("global".into(), Scope::Global)));
        assert_eq!(d.login("example.net"), Some(("example.org".into(), Scope::Domain("example.org".into()))));
        assert_eq!(login("Sales@example.net").as_deref(), Some("alice@example.org"));
        assert_eq!(login("e+f@listed.example").as_deref(), Some("e+f@listed.example"));
        assert_eq!(login("me@all.example").as_deref(), Some("me@all.example"));
        for no in ["alice+tag@example.org", "nobody@listed.example", "x@unknown.example", "unknown.example", "", "@"] {
            assert_eq!(login(no), None, "{no}");
        }
    }

    #[test]
    fn faults() {
        let text = |domains: &[(&str, Domain)]| make(domains).unwrap_err().text;
        let circle = Domain { addresses: pairs(&[("a", "b"), ("b", "c@two.example"), ("c", "a")]), ..domain() };
        let two = Domain { addresses: pairs(&[("c", "a@one.example")]), ..domain() };
        assert!(text(&[("one.example", circle), ("two.example", two)]).starts_with("aliases run in a circle: a@one."));
        let own = Domain { addresses: pairs(&[("a", "a")]), ..domain() };
        assert_eq!(text(&[("x", own)]), "aliases run in a circle: a@x → a@x");
        let tagged = Domain { addresses: pairs(&[("a", "a+b")]), ..domain() };
        assert!(text(&[("x", tagged)]).starts_with("aliases run in a circle"));
        let away = Domain { addresses: pairs(&[("a", "b@elsewhere.example")]), ..domain() };
        assert!(text(&[("x", away)]).contains("in no domain of this configuration"));
        let alias = Domain { aliases: strings(&["y"]), ..domain() };
        assert!(text(&[("x", alias.clone()), ("y", domain())]).contains("section of its own"));
        assert!(text(&[("x", alias.clone()), ("z", alias)]).contains("another name of x already"));
        assert!(text(&[("x", domain()), ("X", domain())]).contains("twice"));
        let missing = Domain { recipients: Some(strings(&["a"])), addresses: pairs(&[("b", "c")]), ..domain() };
        assert_eq!(text(&[("x", missing)]), "c@x is not among the recipients of x");
        let foreign = Domain { addresses: pairs(&[("a@y", "b")]), ..domain() };
        assert_eq!(text(&[("x", foreign)]), "a@y is no address of x: it belongs in the section of y");
        let twice = Domain { addresses: pairs(&[("a", "b"), ("A@x", "c")]), ..domain() };
        assert_eq!(text(&[("x", twice)]), "the alias a stands here twice");
        let bad = Domain { catch_all: Some("a b".into()), ..domain() };
        assert!(text(&[("x", bad)]).contains("is no address"));
        let long: Vec<_> = (0..20).map(|i| (format!("a{i}"), format!("a{}", i + 1))).collect();
        assert!(text(&[("x", Domain { addresses: long, ..domain() })]).contains("in a row"));
    }

    proptest! {
        /// Whatever a directory accepts, resolving ends; and what it answers is a tree that resolves to itself.
        #[test]
        fn resolving_ends_and_is_stable(
            aliases in proptest::collection::vec(("[a-d]", "[a-d](\\+[xy])?(@[mn])?"), 0..6),
            catch_all in proptest::option::of("[a-d]"),
            recipients in proptest::option::of(proptest::collection::vec("[a-d](\\+[xy])?", 0..4)),
            asked in "[A-Da-d](\\+[xy])?@[mno]",
        ) {
            let mut seen = HashSet::new();
            let addresses = aliases.into_iter().filter(|(from, _)| seen.insert(from.clone())).collect();
            let m = Domain { addresses, catch_all, recipients, aliases: strings(&["o"]), ..domain() };
            if let Ok(directory) = make(&[("m", m), ("n", domain())]) {
                match directory.resolve(&Address::parse(&asked).unwrap()) {
                    Resolution::Tree(tree) => {
                        prop_assert!(tree.domain() != "o" && !tree.local().contains(char::is_uppercase));
                        prop_assert_eq!(directory.resolve(&tree), Resolution::Tree(tree.clone()));
                    }
                    other => prop_assert_eq!(other, Resolution::UnknownRecipient),
                }
            }
        }
    }
}
