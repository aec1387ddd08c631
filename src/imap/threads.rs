//! From links between messages to threads: steps 2 to 6 of REFERENCES, and ORDEREDSUBJECT (RFC 5256 3).

use super::thread::{Member, NONE, Node};
use std::collections::HashMap;

/// A child under its parent, in the order of siblings: by parent, then by date, then as in the mailbox.
pub(super) type Edge = (u32, u64, u32, u32);

/// ORDEREDSUBJECT. Threads go by their first message, so in order of date each message either begins one or joins one.
pub(super) fn by_subject(nodes: &[Node]) -> Vec<Member> {
    let mut order: Vec<(u64, u32, u32)> = nodes.iter().map(|n| (n.date, n.uid, n.subject)).collect();
    order.sort_unstable();
    let mut threads: Vec<Vec<u32>> = Vec::new();
    let mut by_subject: HashMap<u32, usize> = HashMap::new();
    for (_, uid, subject) in order {
        let at = *by_subject.entry(subject).or_insert(threads.len());
        match threads.get_mut(at) {
            Some(thread) => thread.push(uid),
            None => threads.push(vec![uid]),
        }
    }
    let children = |thread: &[u32], at: usize| if at == 0 { thread.len() as u32 - 1 } else { 0 };
    let members = |thread: Vec<u32>| {
        let member = |(at, &uid): (usize, &u32)| Member { uid, children: children(&thread, at) };
        thread.iter().enumerate().map(member).collect::<Vec<_>>()
    };
    threads.into_iter().flat_map(members).collect()
}

/// REFERENCES, or REFS without `merge`.
pub(super) fn by_reference(mut nodes: Vec<Node>, merge: bool) -> Vec<Member> {
    prune(&mut nodes);
    let mut edges = edges(&nodes);
    promote(&mut nodes, &mut edges);
    if merge {
        gather(&mut nodes, &edges);
        edges = self::edges(&nodes);
    }
    let mut roots: Vec<(u64, u32, u32)> = Vec::new();
    let latest = if merge { Vec::new() } else { latest(&nodes) };
    for (at, _) in nodes.iter().enumerate().filter(|(_, node)| node.parent == NONE) {
        let Some((date, uid)) = first(&nodes, &edges, at as u32) else { continue };
        roots.push((latest.get(at).copied().unwrap_or(date), uid, at as u32));
    }
    roots.sort_unstable();
    let mut members = Vec::new();
    let mut left: Vec<u32> = roots.into_iter().rev().map(|(_, _, at)| at).collect();
    while let Some(at) = left.pop() {
        let children = children(&edges, at);
        left.extend(children.iter().rev().map(|edge| edge.3));
        let uid = nodes.get(at as usize).map_or(0, |node| node.uid);
        members.push(Member { uid, children: children.len() as u32 });
    }
    members
}

/// Step 3: a message that is not there leaves its children to the nearest parent that is there, or else to the topmost
/// that is not.
fn prune(nodes: &mut [Node]) {
    for at in 0..nodes.len() {
        let Some(mut parent) = nodes.get(at).map(|node| node.parent) else { break };
        while let Some(above) = nodes.get(parent as usize).filter(|above| above.uid == 0 && above.parent != NONE) {
            parent = above.parent;
        }
        if let Some(node) = nodes.get_mut(at) {
            node.parent = parent;
        }
    }
}

/// Who is whose child, of messages that are there.
fn edges(nodes: &[Node]) -> Vec<Edge> {
    let children = nodes.iter().enumerate().filter(|(_, node)| node.uid > 0 && node.parent != NONE);
    let mut edges: Vec<Edge> = children.map(|(at, node)| (node.parent, node.date, node.uid, at as u32)).collect();
    edges.sort_unstable();
    edges
}

fn children(edges: &[Edge], parent: u32) -> &[Edge] {
    let (start, end) = (edges.partition_point(|e| e.0 < parent), edges.partition_point(|e| e.0 <= parent));
    edges.get(start..end).unwrap_or_default()
}

/// Step 3: an only child takes the place of a root that is not there.
fn promote(nodes: &mut [Node], edges: &mut Vec<Edge>) {
    let mut alone = Vec::new();
    for siblings in edges.chunk_by(|a, b| a.0 == b.0) {
        let [(parent, _, _, child)] = siblings else { continue };
        if nodes.get(*parent as usize).is_some_and(|node| node.uid == 0) {
            alone.push(*child);
        }
    }
    for child in alone {
        if let Some(node) = nodes.get_mut(child as usize) {
            node.parent = NONE;
        }
    }
    edges.retain(|edge| nodes.get(edge.3 as usize).is_some_and(|node| node.parent != NONE));
}

/// What a root is sorted by, and its subject taken from: itself, or its first child. `None`: it has neither.
fn first_node<'a>(nodes: &'a [Node], edges: &[Edge], at: u32) -> Option<&'a Node> {
    let node = nodes.get(at as usize)?;
    if node.uid > 0 { Some(node) } else { nodes.get(children(edges, at).first()?.3 as usize) }
}

fn first(nodes: &[Node], edges: &[Edge], at: u32) -> Option<(u64, u32)> {
    first_node(nodes, edges, at).map(|node| (node.date, node.uid))
}

/// The latest date in the thread of each root.
fn latest(nodes: &[Node]) -> Vec<u64> {
    let mut latest: Vec<u64> = vec![0; nodes.len()];
    for (at, node) in nodes.iter().enumerate().filter(|(_, node)| node.uid > 0) {
        let mut root = at;
        while let Some(above) = nodes.get(root).map(|node| node.parent).filter(|&parent| parent != NONE) {
            root = above as usize;
        }
        if let Some(date) = latest.get_mut(root) {
            *date = (*date).max(node.date);
        }
    }
    latest
}

/// Steps 4 and 5: roots with the same base subject become one thread.
fn gather(nodes: &mut Vec<Node>, edges: &[Edge]) {
    let mut roots: Vec<(u64, u32, u32)> = Vec::new();
    for at in 0..nodes.len() as u32 {
        if nodes.get(at as usize).is_some_and(|node| node.parent == NONE)
            && let Some((date, uid)) = first(nodes, edges, at)
        {
            roots.push((date, uid, at));
        }
    }
    roots.sort_unstable();
    let what = |nodes: &[Node], at: u32| {
        let subject = first_node(nodes, edges, at).map_or(0, |node| node.subject);
        let node = nodes.get(at as usize);
        (subject, node.is_none_or(|n| n.uid == 0), node.is_some_and(|n| n.is_reply))
    };
    let mut table: HashMap<u32, u32> = HashMap::new();
    for &(_, _, at) in &roots {
        let (subject, is_dummy, is_reply) = what(nodes, at);
        if subject == 0 {
            continue;
        }
        let known = table.entry(subject).or_insert(at);
        let (_, known_dummy, known_reply) = what(nodes, *known);
        if !known_dummy && (is_dummy || (known_reply && !is_reply)) {
            *known = at;
        }
    }
    for (_, _, at) in roots {
        let (subject, is_dummy, is_reply) = what(nodes, at);
        let Some(&known) = table.get(&subject).filter(|&&known| subject > 0 && known != at) else { continue };
        if nodes.get(at as usize).is_none_or(|node| node.parent != NONE) {
            continue;
        }
        let known_dummy = nodes.get(known as usize).is_none_or(|node| node.uid == 0);
        let known_reply = nodes.get(known as usize).is_some_and(|node| node.is_reply);
        if known_dummy && is_dummy {
            for edge in children(edges, at) {
                set_parent(nodes, edge.3, known);
            }
        } else if known_dummy || (is_reply && !known_reply) {
            set_parent(nodes, at, known);
        } else {
            let parent = nodes.len() as u32;
            nodes.push(Node { uid: 0, parent: NONE, date: 0, subject: 0, is_reply: false });
            set_parent(nodes, at, parent);
            set_parent(nodes, known, parent);
            table.insert(subject, parent);
        }
    }
}

fn set_parent(nodes: &mut [Node], child: u32, parent: u32) {
    if let Some(node) = nodes.get_mut(child as usize) {
        node.parent = parent;
    }
}
