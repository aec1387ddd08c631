//! Which paths a file names, whatever their spelling: `use` trees, paths inside code, `super`.

use crate::source::Token;
use std::collections::HashSet;

/// A path that leaves its own module.
#[derive(Debug)]
pub struct Named {
    pub segments: Vec<String>,
    pub line: usize,
}

/// Every path that begins with `crate`, `super`, `std` or an outside crate, `use` trees spread out, `super` resolved.
pub fn paths(tokens: &[Token], module: &[&str], known: &dyn Fn(&str) -> bool) -> Vec<Named> {
    let mut found = Vec::new();
    let mut local: HashSet<String> = HashSet::new();
    let mut rest = Vec::new();
    let mut i = 0;
    while i < tokens.len() {
        match tokens[i].text.as_str() {
            "use" => {
                let end = (i..tokens.len()).find(|&e| tokens[e].text == ";").unwrap_or(tokens.len());
                for (path, name) in spread(&tokens[i + 1..end]) {
                    let Some(resolved) = resolve(&path, module) else { continue };
                    // A name that was brought in hides a crate of the same name, unless it is the crate itself.
                    if resolved.len() > 1 {
                        local.extend(name);
                    }
                    found.push(Named { segments: resolved, line: tokens[i].line });
                }
                i = end;
            }
            "mod" if tokens.get(i + 1).is_some_and(Token::is_word) => {
                local.insert(tokens[i + 1].text.clone());
                i += 2;
            }
            "extern" if tokens.get(i + 1).is_some_and(|t| t.text == "crate") => {
                let name = tokens.get(i + 2).map(|t| t.text.clone()).unwrap_or_default();
                found.push(Named { segments: vec![name], line: tokens[i].line });
                i += 3;
            }
            _ => {
                rest.push(i);
                i += 1;
            }
        }
    }
    // Paths inside code: the first word is not itself behind `::` (unless that stands at the very front) or `.`.
    let mut skip_to = 0;
    for &i in &rest {
        if i < skip_to || !tokens[i].is_word() || tokens.get(i + 1).is_none_or(|t| t.text != "::") {
            continue;
        }
        let mut segments = vec![tokens[i].text.clone()];
        let mut end = i + 1;
        while tokens.get(end).is_some_and(|t| t.text == "::") && tokens.get(end + 1).is_some_and(Token::is_word) {
            segments.push(tokens[end + 1].text.clone());
            end += 2;
        }
        skip_to = end;
        let first = segments[0].as_str();
        let is_crate = known(first) && !local.contains(first);
        if matches!(first, "crate" | "super" | "std" | "core" | "alloc" | "lazaret") || is_crate {
            found.extend(resolve(&segments, module).map(|segments| Named { segments, line: tokens[i].line }));
        }
    }
    // What `use` brings in from a name that is local leaves nothing.
    found.retain(|path| !local.contains(&path.segments[0]) || path.segments.len() == 1);
    found
}

/// The full paths of a `use` tree, each with the name that it brings in.
fn spread(tokens: &[Token]) -> Vec<(Vec<String>, Option<String>)> {
    let mut found = Vec::new();
    let mut stack: Vec<Vec<String>> = Vec::new();
    let mut path: Vec<String> = Vec::new();
    let mut alias: Option<String> = None;
    let mut i = 0;
    let mut fresh = true;
    let mut close = |path: &mut Vec<String>, alias: &mut Option<String>, fresh: &mut bool| {
        if !*fresh {
            if path.last().is_some_and(|l| l == "self") {
                path.pop();
            }
            let name = alias.take().or_else(|| path.last().cloned());
            found.push((path.clone(), name));
            *fresh = true;
        }
    };
    while i < tokens.len() {
        match tokens[i].text.as_str() {
            "::" => {}
            "{" => {
                stack.push(path.clone());
                fresh = true;
            }
            "," => {
                close(&mut path, &mut alias, &mut fresh);
                path = stack.last().cloned().unwrap_or_default();
            }
            "}" => {
                close(&mut path, &mut alias, &mut fresh);
                path = stack.pop().unwrap_or_default();
                fresh = true;
            }
            "as" => {
                alias = tokens.get(i + 1).map(|t| t.text.clone());
                i += 1;
            }
            word => {
                path.push(word.to_string());
                fresh = false;
            }
        }
        i += 1;
    }
    close(&mut path, &mut alias, &mut fresh);
    found
}

/// The path from the crate's root; `None` when it stays in the module.
fn resolve(path: &[String], module: &[&str]) -> Option<Vec<String>> {
    let supers = path.iter().take_while(|p| *p == "super").count();
    let first = path.first()?.as_str();
    if supers > 0 {
        let base = module.len().saturating_sub(supers);
        let mut full = vec!["crate".to_string()];
        full.extend(module[..base].iter().map(ToString::to_string));
        full.extend(path[supers..].iter().cloned());
        return Some(full);
    }
    match first {
        "self" => None,
        // An enum's variants (`use Kind::*`) stay inside.
        _ if first.starts_with(char::is_uppercase) => None,
        _ => Some(path.to_vec()),
    }
}
