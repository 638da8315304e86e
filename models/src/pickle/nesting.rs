//! How deeply values are nested.

use super::document::{Id, Node};

/// Whether no value contains itself or nests more than `depth` deep. Recursion would let a pickle
/// choose how much of the thread's stack this takes.
pub(super) fn is_tree(nodes: &[Node<'_>], root: Id, depth: usize) -> bool {
    #[derive(Clone, Copy, PartialEq)]
    enum Mark {
        New,
        Open,
        Done(usize),
    }
    let mut marks = vec![Mark::New; nodes.len()];
    let mut open = vec![(root, 0)];
    marks[root as usize] = Mark::Open;
    let mut heights = vec![0];
    while let Some((id, next)) = open.last_mut() {
        if heights.len() > depth {
            return false;
        }
        let Some(child) = child(&nodes[*id as usize], *next) else {
            let height = heights.pop().unwrap_or(0) + 1;
            marks[*id as usize] = Mark::Done(height);
            open.pop();
            if let Some(parent) = heights.last_mut() {
                *parent = height.max(*parent);
            }
            continue;
        };
        *next += 1;
        match marks[child as usize] {
            Mark::Open => return false,
            Mark::Done(height) => {
                if heights.len() + height > depth {
                    return false;
                }
                if let Some(parent) = heights.last_mut() {
                    *parent = height.max(*parent);
                }
            }
            Mark::New => {
                marks[child as usize] = Mark::Open;
                open.push((child, 0));
                heights.push(0);
            }
        }
    }
    true
}

/// The child of this number, if there are as many.
fn child(node: &Node<'_>, index: usize) -> Option<Id> {
    match node {
        Node::List(items) | Node::Tuple(items) => items.get(index).copied(),
        Node::Dict(entries) => {
            let (key, value) = entries.get(index / 2)?;
            Some(if index.is_multiple_of(2) { *key } else { *value })
        }
        Node::Object { class, arguments, state } => {
            [Some(*class), Some(*arguments), *state].into_iter().flatten().nth(index)
        }
        _ => None,
    }
}
