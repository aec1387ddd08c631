//! Who may do what: class × kind × scope → see, request or act, for each verb.

use super::account::{Level, Scope};
use super::folders::Verb;
use crate::mail::{Class, Kind};
use std::fmt;

/// What an account may do about a verb.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Access {
    /// Look at the message, no more.
    See,
    /// Ask a wider scope to do it.
    Request,
    /// Do it.
    Act,
}

/// One rule; what it leaves open it says of all.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rule {
    /// Only accounts of this width.
    pub level: Option<Level>,
    /// Only messages of this class.
    pub class: Option<Class>,
    /// Only messages of this kind.
    pub kind: Option<Kind>,
    /// Only these verbs; empty: all.
    pub verbs: Vec<Verb>,
    /// What is then allowed.
    pub access: Access,
}

/// Rules in order: the first that fits decides. Where none fits, everything is allowed to whoever sees the message.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Policy {
    /// The rules.
    pub rules: Vec<Rule>,
}

impl Default for Policy {
    /// Recipients may not release viruses, nor Outgoing: the password of a hijacked sender must not release his own spam.
    fn default() -> Self {
        let rule = |class, kind| Rule {
            level: Some(Level::Recipient),
            class,
            kind,
            verbs: vec![Verb::Release],
            access: Access::Request,
        };
        Policy { rules: vec![rule(None, Some(Kind::Virus)), rule(Some(Class::Outgoing), None)] }
    }
}

impl Policy {
    /// What an account of this scope may do about this verb.
    pub fn access(&self, scope: &Scope, class: Class, kind: Kind, verb: Verb) -> Access {
        self.rules
            .iter()
            .find(|rule| rule.fits(scope.level(), class, kind, verb))
            .map_or(Access::Act, |rule| rule.access)
    }

    /// Whether an account of this scope may do all of this; the refusal says whom to ask.
    pub fn may(&self, scope: &Scope, class: Class, kind: Kind, verbs: &[Verb]) -> Result<(), Denied> {
        let Some(verb) = verbs.iter().copied().find(|v| self.access(scope, class, kind, *v) != Access::Act) else {
            return Ok(());
        };
        let what = match (class, kind) {
            (Class::Outgoing, Kind::Spam) => "outgoing mail that was caught".to_string(),
            (Class::Outgoing, kind) => format!("outgoing mail that was caught as {kind}"),
            (_, kind) => format!("mail that was caught as {kind}"),
        };
        let refused = format!("{scope} may not {} {what}", verb.doing());
        Err(match self.granter(scope, class, kind, verbs) {
            Some(_) => Denied { why: Why::Requestable, text: refused },
            None => Denied::not_permitted(format!("{refused}: {}", self.whom(scope, class, kind, verb))),
        })
    }

    /// The narrowest scope that may do all of this, where this scope may request whatever of it it may not do. `None`: there
    /// is something that it may not even request, or nobody who could grant it.
    pub fn granter(&self, scope: &Scope, class: Class, kind: Kind, verbs: &[Verb]) -> Option<Scope> {
        let least = |scope: &Scope| verbs.iter().map(|&verb| self.access(scope, class, kind, verb)).min();
        if least(scope) != Some(Access::Request) {
            return None;
        }
        std::iter::successors(wider(scope), wider).find(|scope| least(scope) == Some(Access::Act))
    }

    /// The narrowest scope that may do it, as something to do for the reader.
    fn whom(&self, scope: &Scope, class: Class, kind: Kind, verb: Verb) -> String {
        match wider(scope) {
            Some(wider) if self.access(&wider, class, kind, verb) == Access::Act => {
                format!("ask the administrator ({wider}) to do it")
            }
            Some(wider) => self.whom(&wider, class, kind, verb),
            None => "the policy of this server allows it to nobody".to_string(),
        }
    }
}

/// The scope that sees the mail of this one and more.
pub(super) fn wider(scope: &Scope) -> Option<Scope> {
    match scope {
        Scope::Recipient(address) => Some(Scope::Domain(address.domain().to_string())),
        Scope::Domain(_) => Some(Scope::Global),
        Scope::Global => None,
    }
}

impl Rule {
    fn fits(&self, level: Level, class: Class, kind: Kind, verb: Verb) -> bool {
        self.level.is_none_or(|l| l == level)
            && self.class.is_none_or(|c| c == class)
            && self.kind.is_none_or(|k| k == kind)
            && (self.verbs.is_empty() || self.verbs.contains(&verb))
    }
}

impl Access {
    /// All of them.
    pub const ALL: [Access; 3] = [Access::See, Access::Request, Access::Act];

    /// The word in the configuration.
    pub fn word(self) -> &'static str {
        match self {
            Access::See => "see",
            Access::Request => "request",
            Access::Act => "act",
        }
    }

    /// The one with this word.
    pub fn from_word(word: &str) -> Option<Access> {
        Access::ALL.into_iter().find(|a| a.word() == word)
    }
}

/// Something that was asked for and is not done, with the reason.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Denied {
    /// What sort of refusal.
    pub why: Why,
    /// What was refused, why, and what would work; one line.
    pub text: String,
}

/// What sort of refusal.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Why {
    /// This account may not (RFC 5530 NOPERM).
    NotPermitted,
    /// This account may only request it: [`Policy::granter`] says of whom (RFC 5530 NOPERM).
    Requestable,
    /// Nobody can: it makes no sense here (RFC 5530 CANNOT).
    Impossible,
    /// There is no room for it now (RFC 5530 OVERQUOTA).
    Full,
}

impl Denied {
    /// This account may not.
    pub fn not_permitted(text: impl Into<String>) -> Denied {
        Denied { why: Why::NotPermitted, text: text.into() }
    }

    /// There is no room.
    pub fn full(text: impl Into<String>) -> Denied {
        Denied { why: Why::Full, text: text.into() }
    }

    /// Nobody can.
    pub fn impossible(text: impl Into<String>) -> Denied {
        Denied { why: Why::Impossible, text: text.into() }
    }
}

impl fmt::Display for Denied {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl std::error::Error for Denied {}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::mail::Address;

    fn scopes() -> [Scope; 3] {
        let alice = Address::parse("alice@example.org").unwrap();
        [Scope::Global, Scope::Domain("example.org".into()), Scope::Recipient(alice)]
    }

    /// The whole default, case by case: only a recipient's release of viruses and of Outgoing is not allowed.
    #[test]
    fn the_default() {
        let policy = Policy::default();
        for scope in scopes() {
            for class in Class::ALL {
                for kind in Kind::ALL {
                    for verb in Verb::ALL {
                        let narrow = matches!(scope, Scope::Recipient(_)) && verb == Verb::Release;
                        let closed = narrow && (kind == Kind::Virus || class == Class::Outgoing);
                        let expected = if closed { Access::Request } else { Access::Act };
                        assert_eq!(policy.access(&scope, class, kind, verb), expected);
                        assert_eq!(policy.may(&scope, class, kind, &[Verb::TrainHam, verb]).is_ok(), !closed);
                    }
                }
            }
        }
    }

    #[test]
    fn refusals_say_whom_to_ask() {
        let [global, domain, alice] = scopes();
        let text = |policy: &Policy, scope: &Scope| {
            policy.may(scope, Class::Incoming, Kind::Virus, &[Verb::Release]).unwrap_err().text
        };
        assert_eq!(text(&Policy::default(), &alice), "alice@example.org may not release mail that was caught as virus");
        let granter =
            |policy: &Policy, scope: &Scope, verbs: &[Verb]| policy.granter(scope, Class::Incoming, Kind::Virus, verbs);
        let both = [Verb::Release, Verb::TrainHam];
        assert_eq!(granter(&Policy::default(), &alice, &both), Some(domain.clone()));
        assert_eq!(granter(&Policy::default(), &alice, &[Verb::TrainHam]), None, "it may do that itself");
        assert_eq!(granter(&Policy::default(), &domain, &both), None);
        let closed = |level| Rule { level, class: None, kind: None, verbs: vec![], access: Access::See };
        let policy = Policy { rules: vec![closed(Some(Level::Domain)), closed(Some(Level::Recipient))] };
        assert!(text(&policy, &alice).ends_with("ask the administrator (global) to do it"));
        assert!(text(&policy, &domain).ends_with("ask the administrator (global) to do it"));
        assert!(policy.may(&global, Class::Incoming, Kind::Spam, &Verb::ALL).is_ok());
        let nobody = Policy { rules: vec![closed(None)] };
        assert!(text(&nobody, &global).ends_with("allows it to nobody"));
        let ask = Rule { access: Access::Request, ..closed(None) };
        let nobody = Policy { rules: vec![ask.clone()] };
        assert_eq!(granter(&nobody, &alice, &both), None, "nobody could grant it");
        assert!(text(&nobody, &alice).ends_with("allows it to nobody"));
        let far = Policy { rules: vec![Rule { level: Some(Level::Global), access: Access::Act, ..ask.clone() }, ask] };
        assert_eq!(granter(&far, &alice, &both), Some(global.clone()));
    }

    #[test]
    fn the_first_rule_that_fits_decides() {
        let [_, _, alice] = scopes();
        let rule = |kind, access| Rule { level: None, class: None, kind, verbs: vec![], access };
        let policy = Policy { rules: vec![rule(Some(Kind::Phish), Access::Act), rule(None, Access::See)] };
        assert_eq!(policy.access(&alice, Class::Incoming, Kind::Phish, Verb::Release), Access::Act);
        assert_eq!(policy.access(&alice, Class::Incoming, Kind::Spam, Verb::Release), Access::See);
    }
}
