//! The effective configuration as text: complete, loadable, with the origin of every value.

use super::keys::{Key, Need, Shape};
use super::law;
use super::limits;
use super::schema::RobotModel;
use super::table::ROOT;
use super::tree::{child, element};
use super::{Loaded, Origin};

/// Lines wider than this have their comment right behind them.
const WIDEST_ALIGNED: usize = 72;

/// One line: its text, and where it comes from.
struct Line {
    text: String,
    comment: String,
}

impl Loaded {
    /// The complete configuration as TOML, defaults included, as it was loaded. It loads again to
    /// the same [`Config`](super::Config) from any folder.
    pub fn effective_toml(&self) -> String {
        self.effective_text.clone()
    }

    /// Every effective value with its origin, as TOML with comments:
    /// `run.rate_hz = 50.0   # configs/demo.toml:11`. Values nobody said are marked `# default`.
    pub fn explain(&self) -> String {
        let mut lines = Vec::new();
        self.lines(&ROOT, &self.effective, "", &mut lines);

        let width = lines
            .iter()
            .map(|line| line.text.chars().count())
            .filter(|width| *width <= WIDEST_ALIGNED)
            .max()
            .unwrap_or(0);
        let mut out = String::new();
        for line in lines {
            let padding = width.saturating_sub(line.text.chars().count());
            out.push_str(&line.text);
            if !line.comment.is_empty() {
                out.push_str(&" ".repeat(padding + 3));
                out.push_str("# ");
                out.push_str(&line.comment);
            }
            out.push('\n');
        }
        out
    }

    fn lines(&self, shape: &'static Shape, value: &toml::Value, path: &str, out: &mut Vec<Line>) {
        match (shape, value) {
            (Shape::Table(keys), toml::Value::Table(table)) => {
                for key in *keys {
                    let place = child(path, key.name);
                    // Every other robot has these at their defaults, or is refused.
                    let model = self.config.robot.model;
                    let void = match place.as_str() {
                        "robot.rig" => model != RobotModel::Rig,
                        "robot.franka" => model != RobotModel::Franka,
                        "robot.can" | "robot.actuators" => model != RobotModel::Can,
                        key => law::users(self.config.actuation.model, key).is_some(),
                    };
                    if void {
                        continue;
                    }
                    match table.get(key.name) {
                        Some(value) => {
                            if path.is_empty() && !out.is_empty() {
                                out.push(Line { text: String::new(), comment: String::new() });
                            }
                            self.lines(&key.shape, value, &place, out);
                        }
                        None => out.extend(self.absent(key, path, &place)),
                    }
                }
            }
            (Shape::Map { of, .. }, toml::Value::Table(table)) if !table.is_empty() => {
                for (name, value) in table {
                    self.lines(of, value, &child(path, name), out);
                }
            }
            (Shape::Tagged { tag, variants, .. }, toml::Value::Table(table)) => {
                let said = table.get(*tag);
                if let Some(said) = said {
                    out.push(self.line(&child(path, tag), said));
                }
                let variant = variants
                    .iter()
                    .find(|(name, _)| said.and_then(toml::Value::as_str) == Some(name));
                for key in variant.map_or(&[][..], |(_, keys)| *keys) {
                    let place = child(path, key.name);
                    match table.get(key.name) {
                        Some(value) => self.lines(&key.shape, value, &place, out),
                        None => out.extend(self.absent(key, path, &place)),
                    }
                }
            }
            (Shape::List { of: Shape::Table(keys), .. }, toml::Value::Array(items)) => {
                out.push(Line { text: format!("{path} = ["), comment: self.said(path) });
                for (index, item) in items.iter().enumerate() {
                    let text = format!("  {},", row(keys, item));
                    out.push(Line { text, comment: self.said(&element(path, index)) });
                }
                out.push(Line { text: "]".to_owned(), comment: String::new() });
            }
            _ => out.push(self.line(path, value)),
        }
    }

    fn line(&self, path: &str, value: &toml::Value) -> Line {
        Line { text: format!("{path} = {value}"), comment: self.said(path) }
    }

    fn said(&self, path: &str) -> String {
        match self.origins.of(path) {
            Origin::Default => "default".to_owned(),
            origin => origin.to_string(),
        }
    }

    /// An optional key that nobody said: what stands in for it, as a comment.
    fn absent(&self, key: &Key, table: &str, place: &str) -> Option<Line> {
        let Need::Optional(instead) = key.need else { return None };
        let derived = match (key.name, table) {
            ("rate_hz", "recording") => Some(self.config.episode_rate_hz().0),
            _ => self
                .config
                .limits
                .iter()
                .find(|(name, _)| child("limits", name) == table)
                .and_then(|(_, said)| limits::derived(said, key.name, self.config.run.rate_hz)),
        };
        let text = match derived {
            Some(value) => format!("{place} = {}", toml::Value::Float(value)),
            // The other kind's limits, and an ensemble's coefficient, are not missing.
            None if table.starts_with("limits.") || key.name == "ensemble_coefficient" => {
                return None;
            }
            None => format!("# {place} is not set"),
        };
        Some(Line { text, comment: format!("default: {}", instead.replace('`', "")) })
    }
}

/// An inline table in the schema's order.
fn row(keys: &[Key], value: &toml::Value) -> String {
    let entries: Vec<String> = keys
        .iter()
        .filter_map(|key| Some(format!("{} = {}", key.name, value.get(key.name)?)))
        .collect();
    format!("{{ {} }}", entries.join(", "))
}
