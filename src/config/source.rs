//! Reading files, following `extends`, and parsing `--set`.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::Read;
use std::path::{Component, Path, PathBuf};
use std::sync::Arc;

use super::error::{Origin, Problem};
use super::keys;
use super::suggest;
use super::tree::{Node, Value};

/// Largest file that is read, in bytes. A configuration is a few KiB.
const LARGEST_FILE: u64 = 1 << 20;
/// Most files that one configuration reads, repeats included: chains of `extends` that double at
/// every step would never end.
const MOST_FILES: usize = 32;

/// Reads a file and all that it extends.
#[derive(Default)]
pub(super) struct Reader {
    /// What went wrong so far.
    pub problems: Vec<Problem>,
    /// The files read, in the order in which they were opened.
    pub files: Vec<PathBuf>,
    /// The files being read now: shown path and real path.
    open: Vec<(PathBuf, PathBuf)>,
}

impl Reader {
    /// The merged content of `path`, or `None` with the reason in `problems`.
    pub(super) fn read(&mut self, path: &Path, extended_at: Option<&Origin>) -> Option<Node> {
        let real = match path.canonicalize() {
            Ok(real) => real,
            Err(error) => return self.unreadable(path, extended_at, &error.to_string()),
        };
        if let Some(at) = extended_at {
            if let Some(start) = self.open.iter().position(|(_, other)| *other == real) {
                let mut files: Vec<_> =
                    self.open.iter().skip(start).map(|(shown, _)| shown.clone()).collect();
                files.push(path.to_owned());
                self.problems.push(Problem::ExtendsCycle { at: at.clone(), files });
                return None;
            }
            if self.files.len() >= MOST_FILES {
                // Said once: every later link would only repeat it.
                if !self.problems.iter().any(|it| matches!(it, Problem::TooManyFiles { .. })) {
                    let at = at.clone();
                    self.problems.push(Problem::TooManyFiles { at, limit: MOST_FILES });
                }
                return None;
            }
        }
        self.files.push(path.to_owned());
        let text = self.text(path, extended_at)?;
        let file: Arc<Path> = Arc::from(path);
        let mut node = self.parse(&file, text)?;

        let extends = match &mut node.value {
            Value::Table(table) => table.remove("extends"),
            _ => None,
        };
        self.open.push((path.to_owned(), real));
        let bases = extends.map(|node| self.bases(path, node)).unwrap_or_default();
        self.open.pop();

        let mut merged: Option<Node> = None;
        for layer in bases.into_iter().chain([node]) {
            match &mut merged {
                Some(base) => base.merge(layer),
                None => merged = Some(layer),
            }
        }
        merged
    }

    /// The content of `text`, which has no file but the name that messages give it.
    pub(super) fn text_layer(&mut self, name: &Path, text: &str) -> Option<Node> {
        self.parse(&Arc::from(name), text.to_owned())
    }

    fn bases(&mut self, path: &Path, extends: Node) -> Vec<Node> {
        let items = match extends.value {
            Value::List(items) => items,
            _ => vec![extends],
        };
        let mut bases = Vec::new();
        for (index, item) in items.iter().enumerate() {
            if let Value::Text(text) = &item.value
                && !text.is_empty()
            {
                let base = resolve(path.parent().unwrap_or(Path::new("")), Path::new(text));
                bases.extend(self.read(&base, Some(&item.at)));
            } else {
                let key =
                    if items.len() == 1 { "extends".into() } else { format!("extends[{index}]") };
                self.problems.push(Problem::WrongType {
                    at: item.at.clone(),
                    key,
                    found: item.value.describe(),
                    needed: "the path of a TOML file, or a list of such paths".into(),
                });
            }
        }
        bases
    }

    fn text(&mut self, path: &Path, extended_at: Option<&Origin>) -> Option<String> {
        let mut bytes = Vec::new();
        let read =
            File::open(path).and_then(|file| file.take(LARGEST_FILE + 1).read_to_end(&mut bytes));
        if let Err(error) = read {
            return self.unreadable(path, extended_at, &error.to_string());
        }
        if bytes.len() as u64 > LARGEST_FILE {
            let reason =
                format!("larger than {} KiB: this is no configuration", LARGEST_FILE >> 10);
            return self.unreadable(path, extended_at, &reason);
        }
        match String::from_utf8(bytes) {
            Ok(text) => Some(text),
            Err(error) => {
                let good = error.utf8_error().valid_up_to();
                let line =
                    error.as_bytes().iter().take(good).filter(|byte| **byte == b'\n').count() + 1;
                let reason = format!("line {line} is not UTF-8. Save the file as UTF-8 text");
                self.unreadable(path, extended_at, &reason)
            }
        }
    }

    fn parse(&mut self, file: &Arc<Path>, text: String) -> Option<Node> {
        let starts: Vec<usize> = std::iter::once(0)
            .chain(text.match_indices('\n').map(|(index, _)| index + 1))
            .collect();
        let line_of = |offset: usize| starts.partition_point(|start| *start <= offset).max(1);
        match toml_edit::Document::parse(text.as_str()) {
            Ok(document) => {
                let at = |offset| Origin::File { file: file.clone(), line: line_of(offset) };
                let whole = Origin::Document { file: file.clone() };
                Some(Node::from_table(document.as_table(), &whole, &at))
            }
            Err(error) => {
                let offset = error.span().map_or(text.len(), |span| span.start);
                let line = line_of(offset);
                let start = starts.get(line - 1).copied().unwrap_or(0);
                let column = text.get(start..offset).map_or(1, |before| before.chars().count() + 1);
                self.problems.push(syntax(
                    file,
                    line,
                    column,
                    error.message(),
                    text.lines().nth(line - 1),
                ));
                None
            }
        }
    }

    fn unreadable<T>(
        &mut self,
        path: &Path,
        extended_at: Option<&Origin>,
        reason: &str,
    ) -> Option<T> {
        let near = if path.exists() { None } else { nearby(path) };
        let reason = near.map_or_else(
            || reason.to_owned(),
            |near| format!("{reason}; did you mean `{}`?", near.display()),
        );
        self.problems.push(Problem::Unreadable {
            path: path.to_owned(),
            extended_at: extended_at.cloned(),
            reason,
        });
        None
    }
}

fn syntax(
    file: &Arc<Path>,
    line: usize,
    column: usize,
    message: &str,
    text: Option<&str>,
) -> Problem {
    // A very long line is cut around the place; its tabs and controls become spaces, or the caret
    // below would stand elsewhere.
    const WIDEST: usize = 120;
    let skipped = column.saturating_sub(WIDEST / 2 + 1);
    let skipped = if column <= WIDEST { 0 } else { skipped };
    let text = text.unwrap_or("").chars().skip(skipped).take(WIDEST);
    let text = text.map(|character| if character.is_control() { ' ' } else { character }).collect();
    Problem::Syntax {
        file: file.clone(),
        line,
        column,
        message: message.trim_end().replace('\n', "; "),
        caret: column - skipped,
        text,
    }
}

/// `path` as said in `directory`. `..` is taken back where that cannot cross a symbolic link, so
/// that messages stay short.
pub(super) fn resolve(directory: &Path, path: &Path) -> PathBuf {
    let mut out = PathBuf::new();
    for component in directory.join(path).components() {
        match component {
            Component::CurDir => {}
            Component::ParentDir
                if matches!(out.components().next_back(), Some(Component::Normal(_)))
                    && !out.is_symlink() =>
            {
                out.pop();
            }
            other => out.push(other),
        }
    }
    if out.as_os_str().is_empty() { PathBuf::from(".") } else { out }
}

/// A TOML file beside `path` with nearly its name.
fn nearby(path: &Path) -> Option<PathBuf> {
    let directory = path.parent().filter(|it| !it.as_os_str().is_empty());
    let names: Vec<String> = std::fs::read_dir(directory.unwrap_or(Path::new(".")))
        .ok()?
        .filter_map(|entry| entry.ok()?.file_name().into_string().ok())
        .filter(|name| name.ends_with(".toml"))
        .take(1000)
        .collect();
    let wanted = path.file_name()?.to_str()?;
    let near = suggest::closest(wanted, names.iter().map(String::as_str))?;
    Some(path.with_file_name(near))
}

/// One `--set KEY=VALUE` as a tree that can be merged over the files.
///
/// # Errors
/// The reason why it cannot be understood.
pub(super) fn parse_override(text: &str) -> Result<Node, String> {
    let Some((key_text, value_text)) = split_at_equals(text) else {
        return Err("there is no `=`".to_owned());
    };
    let names: Vec<String> = match toml_edit::Key::parse(key_text.trim()) {
        Ok(keys) => keys.iter().map(|key| key.get().to_owned()).collect(),
        Err(_) if key_text.contains('[') => {
            return Err("one element of a list cannot be set; set the whole list".to_owned());
        }
        Err(error) => {
            let message = error.message().trim_end().replace('\n', "; ");
            return Err(format!("the key is not a dotted TOML key: {message}"));
        }
    };
    if names.first().is_some_and(|name| name == "extends") {
        return Err("`extends` belongs into a file".to_owned());
    }

    let at = Origin::Override;
    let value_text = value_text.trim();
    let parsed = value_text.parse::<toml_edit::Value>().ok();
    // Where text is wanted, what the shell left of the quotes is taken as it is.
    let bare_text =
        keys::wants_text(&names) && !matches!(parsed, Some(toml_edit::Value::String(_)));
    let mut node = match parsed {
        Some(value) if !bare_text => Node::from_value(&value, &at, &|_| Origin::Override),
        _ => Node { at: at.clone(), value: Value::Text(value_text.to_owned()) },
    };
    for name in names.into_iter().rev() {
        node = Node { at: at.clone(), value: Value::Table(BTreeMap::from([(name, node)])) };
    }
    Ok(node)
}

/// Splits at the first `=` outside quotes.
fn split_at_equals(text: &str) -> Option<(&str, &str)> {
    let mut quote = None;
    for (index, character) in text.char_indices() {
        match (quote, character) {
            (None, '=') => return Some((text.get(..index)?, text.get(index + 1..)?)),
            (None, '"' | '\'') => quote = Some(character),
            (Some(open), close) if open == close => quote = None,
            _ => {}
        }
    }
    None
}
