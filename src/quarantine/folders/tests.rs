use super::*;
use proptest::prelude::*;

const FOLDERS: [Folder; 9] = [
    Folder::Inbox,
    Folder::Caught,
    Folder::Outgoing,
    Folder::Training,
    Folder::Trash,
    Folder::ReleaseTrain,
    Folder::Release,
    Folder::NotSpam,
    Folder::Spam,
];

fn naming(spelling: Spelling, inbox: Inbox) -> Naming {
    Naming { spelling, inbox, write_only: WriteOnly::Refuse, outgoing: false, training: false, admin_tree: false }
}

fn all_namings() -> impl Iterator<Item = Naming> {
    [Spelling::Classic, Spelling::Plain]
        .into_iter()
        .flat_map(|s| [Inbox::Empty, Inbox::Caught].into_iter().map(move |i| naming(s, i)))
}

fn names(naming: &Naming) -> Vec<&'static str> {
    listed(naming, |_| false).iter().map(|l| l.name).collect()
}

#[test]
fn each_folder_has_its_line() {
    for folder in FOLDERS {
        assert_eq!(folder.row().folder, folder);
    }
    for kept in Kept::ALL {
        assert_eq!(Folder::of(kept).kept(), Some(kept));
    }
}

/// The table of the design, written out again by hand: source × target.
#[test]
fn every_source_and_target() {
    use Folder::*;
    let append = Source::Append;
    let [caught, outgoing, training, trash] = Kept::ALL.map(Source::Kept);
    let allowed: &[(Folder, &[Source])] = &[
        (Inbox, &[]),
        (Caught, &[trash]),
        (Outgoing, &[trash]),
        (Training, &[trash]),
        (Trash, &[caught, outgoing, training]),
        (ReleaseTrain, &[caught, outgoing, trash]),
        (Release, &[caught, outgoing, trash]),
        (NotSpam, &[caught, outgoing, training, trash, append]),
        (Spam, &[caught, outgoing, training, trash, append]),
    ];
    assert_eq!(allowed.len(), FOLDERS.len());
    for (target, sources) in allowed {
        for source in [caught, outgoing, training, trash, append] {
            let class = Class::ALL.into_iter().find(|c| Some(c.folder()) == target.kept()).unwrap_or_default();
            let answer = may_come_from(*target, source, class);
            assert_eq!(answer.is_ok(), sources.contains(&source), "{source:?} -> {target:?}: {answer:?}");
        }
    }
}

#[test]
fn verbs_rights_and_special_use() {
    let line = |f: Folder| (f.row().rights, f.row().special_use, f.row().verbs);
    assert_eq!(line(Folder::Inbox), ("lr", None, &[][..]));
    assert_eq!(line(Folder::Caught), ("lrswite", None, &[][..]));
    assert_eq!(line(Folder::Trash), ("lrswite", Some("\\Trash"), &[Verb::Remove][..]));
    assert_eq!(line(Folder::ReleaseTrain), ("li", None, &[Verb::Release, Verb::TrainHam][..]));
    assert_eq!(line(Folder::Release), ("li", None, &[Verb::Release][..]));
    assert_eq!(line(Folder::NotSpam), ("li", None, &[Verb::TrainHam][..]));
    assert_eq!(line(Folder::Spam), ("li", None, &[Verb::TrainSpam][..]));
    for folder in FOLDERS {
        assert_eq!(folder.is_action(), folder.row().rights == "li", "{folder:?}");
    }
}

#[test]
fn a_message_goes_back_to_its_own_folder() {
    assert!(may_come_from(Folder::Caught, Source::Kept(Kept::Trash), Class::Incoming).is_ok());
    let wrong = may_come_from(Folder::Caught, Source::Kept(Kept::Trash), Class::Outgoing).unwrap_err();
    assert!(wrong.text.ends_with("drag this one to Caught (Outgoing)"), "{wrong:?}");
}

#[test]
fn refusals_say_what_would_work() {
    let text = |target, source| may_come_from(target, source, Class::Unsure).unwrap_err().text;
    let release = text(Folder::Release, Source::Kept(Kept::Training));
    assert!(release.starts_with("only messages from Caught can be released"), "{release}");
    assert!(text(Folder::Release, Source::Append).starts_with("only messages from Caught can be released"));
    assert!(text(Folder::Trash, Source::Append).contains("Spam or Not Spam"));
    assert!(text(Folder::Inbox, Source::Kept(Kept::Caught)).contains("drag messages to Release"));
    assert_eq!(text(Folder::Trash, Source::Kept(Kept::Trash)), "it is in Trash already");
}

#[test]
fn what_is_listed() {
    let rest = ["Release", "Not Spam", "Spam"];
    let classic = [&["INBOX", "Caught", "Trash", "Release & Train"][..], &rest].concat();
    assert_eq!(names(&naming(Spelling::Classic, Inbox::Empty)), classic);
    let phone = [&["INBOX", "Trash", "Release and Train"][..], &rest].concat();
    assert_eq!(names(&naming(Spelling::Plain, Inbox::Caught)), phone);
    let all = Naming { outgoing: true, ..naming(Spelling::Classic, Inbox::Empty) };
    let shown: Vec<_> = listed(&all, |k| k == Kept::Training).iter().map(|l| l.name).collect();
    assert_eq!(shown[..4], ["INBOX", "Caught", "Caught (Outgoing)", "Training Requested"]);
    assert_eq!(shown.len(), 9);
}

#[test]
fn every_spelling_is_accepted_under_every_naming() {
    for naming in all_namings() {
        for name in ["Release & Train", "Release and Train", "Release and Train/Not Spam"] {
            assert_eq!(lookup(name, &naming), Some(Folder::ReleaseTrain), "{name}");
        }
        assert_eq!(lookup("Deleted", &naming), Some(Folder::Trash));
        assert_eq!(lookup("Caught", &naming), Some(Folder::Caught));
        assert_eq!(lookup("caught", &naming), None);
        assert_eq!(lookup("Release and Train/Spam", &naming), None);
        for entry in listed(&naming, |_| true) {
            assert_eq!(lookup(entry.name, &naming), Some(entry.folder), "{}", entry.name);
        }
    }
    assert_eq!(lookup("inBox", &naming(Spelling::Classic, Inbox::Empty)), Some(Folder::Inbox));
    assert_eq!(lookup("inBox", &naming(Spelling::Classic, Inbox::Caught)), Some(Folder::Caught));
}

proptest! {
    /// Only the names of the table are folders; nothing near them is.
    #[test]
    fn names_are_exact(name in "\\PC{0,30}|(Release|Spam|Not Spam|Trash|Caught)[ /&a-zA-Z]{0,8}") {
        for naming in all_namings() {
            let known = name.eq_ignore_ascii_case("inbox")
                || TABLE.iter().any(|r| r.names.contains(&name.as_str()) || r.also.contains(&name.as_str()));
            prop_assert_eq!(lookup(&name, &naming).is_some(), known);
        }
    }

    #[test]
    fn only_inbox_ignores_case(upper in proptest::collection::vec(any::<bool>(), 5)) {
        let name: String =
            "inbox".chars().zip(upper).map(|(c, up)| if up { c.to_ascii_uppercase() } else { c }).collect();
        prop_assert_eq!(lookup(&name, &naming(Spelling::Classic, Inbox::Empty)), Some(Folder::Inbox));
    }
}
