//! One HTML file with everything in it, and a PNG of each picture beside it.

use super::plots::Picture;
use super::run::{RunError, write};
use std::fmt::Write as _;
use std::path::Path;

/// A page that grows.
pub struct Page {
    body: String,
    pictures: Vec<(String, Vec<u8>)>,
}

pub fn escape(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;")
}

impl Page {
    pub fn new(title: &str) -> Self {
        let title = escape(title);
        let body = format!(
            "<!doctype html>\n<html lang=\"en\"><head><meta charset=\"utf-8\"><title>{title}</title><style>\n\
             body {{ font: 15px/1.5 system-ui, sans-serif; max-width: 60rem; margin: 2rem auto; padding: 0 1rem; color: #222; }}\n\
             table {{ border-collapse: collapse; margin: 1rem 0; }}\n\
             th, td {{ padding: .25rem .8rem; border-bottom: 1px solid #ddd; text-align: right; }}\n\
             th:first-child, td:first-child {{ text-align: left; }}\n\
             figure {{ margin: 1.5rem 0; }} figcaption {{ color: #555; }} svg {{ max-width: 100%; height: auto; }}\n\
             pre {{ white-space: pre-wrap; background: #f6f6f6; padding: .5rem 1rem; }}\n\
             .leak {{ background: #fff3cd; border-left: 4px solid #e69f00; padding: .5rem 1rem; }}\n\
             </style></head><body>\n<h1>{title}</h1>\n"
        );
        Self { body, pictures: Vec::new() }
    }

    pub fn heading(&mut self, text: &str) {
        let _ = writeln!(self.body, "<h2>{}</h2>", escape(text));
    }

    pub fn paragraph(&mut self, text: &str) {
        let _ = writeln!(self.body, "<p>{}</p>", escape(text));
    }

    /// Text as it is.
    pub fn lines(&mut self, text: &str) {
        let _ = writeln!(self.body, "<pre>{}</pre>", escape(text));
    }

    pub fn warning(&mut self, text: &str) {
        let _ = writeln!(self.body, "<p class=\"leak\">{}</p>", escape(text));
    }

    pub fn table(&mut self, header: &[&str], rows: &[Vec<String>]) {
        self.body += "<table><tr>";
        for cell in header {
            let _ = write!(self.body, "<th>{}</th>", escape(cell));
        }
        self.body += "</tr>\n";
        for row in rows {
            self.body += "<tr>";
            for cell in row {
                let _ = write!(self.body, "<td>{}</td>", escape(cell));
            }
            self.body += "</tr>\n";
        }
        self.body += "</table>\n";
    }

    pub fn picture(&mut self, picture: Picture) {
        let _ = writeln!(
            self.body,
            "<figure>{}<figcaption>{}</figcaption></figure>",
            picture.svg,
            escape(&picture.caption)
        );
        match picture.png {
            Ok(png) => self.pictures.push((picture.name, png)),
            Err(error) => self.warning(&format!("{}.png was not drawn: {error}", picture.name)),
        }
    }

    /// Writes `NAME.html` and the PNGs.
    pub fn write(self, folder: &Path, name: &str) -> Result<std::path::PathBuf, RunError> {
        std::fs::create_dir_all(folder)
            .map_err(|source| RunError::File { path: folder.to_owned(), source })?;
        for (name, png) in &self.pictures {
            write(&folder.join(format!("{name}.png")), png)?;
        }
        let path = folder.join(format!("{name}.html"));
        write(&path, format!("{}</body></html>\n", self.body))?;
        Ok(path)
    }
}
