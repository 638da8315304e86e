//! Reading a table, row group by row group.

use std::fs::File;
use std::path::{Path, PathBuf};

use parquet::column::reader::{ColumnReader, ColumnReaderImpl};
use parquet::data_type::{
    BoolType, ByteArray, ByteArrayType, DataType, DoubleType, FloatType, Int32Type, Int64Type,
};
use parquet::errors::ParquetError;
use parquet::file::reader::{FileReader, SerializedFileReader};

use super::TableError;
use crate::files;

/// One column as read: all values that are there, and where each row's begin.
#[derive(Clone, Debug)]
pub(in crate::lerobot) struct Column {
    pub values: Leaf,
    /// `rows + 1` offsets into the values.
    starts: Vec<usize>,
}

/// Values as a file stores them.
#[derive(Clone, Debug)]
pub(in crate::lerobot) enum Leaf {
    Bool(Vec<bool>),
    Int(Vec<i64>),
    Float(Vec<f32>),
    Double(Vec<f64>),
    Bytes(Vec<ByteArray>),
}

impl Leaf {
    pub fn type_name(&self) -> &'static str {
        match self {
            Self::Bool(_) => "booleans",
            Self::Int(_) => "integers",
            Self::Float(_) => "32-bit floats",
            Self::Double(_) => "64-bit floats",
            Self::Bytes(_) => "bytes or text",
        }
    }
}

impl Column {
    pub fn rows(&self) -> usize {
        self.starts.len().saturating_sub(1)
    }

    /// Where a row's values are.
    pub fn range(&self, row: usize) -> Option<std::ops::Range<usize>> {
        Some(*self.starts.get(row)?..*self.starts.get(row + 1)?)
    }
}

/// An open parquet file.
pub(in crate::lerobot) struct Table {
    reader: SerializedFileReader<File>,
    path: PathBuf,
}

impl std::fmt::Debug for Table {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Table").field("path", &self.path).finish_non_exhaustive()
    }
}

impl Table {
    pub fn open(path: &Path) -> Result<Self, TableError> {
        let file = File::open(path).map_err(files::failed("open", path))?;
        let reader = SerializedFileReader::new(file)
            .map_err(|source| TableError::Parquet { path: path.to_owned(), source })?;
        Ok(Self { reader, path: path.to_owned() })
    }

    pub fn path(&self) -> &Path {
        &self.path
    }

    pub fn rows(&self) -> usize {
        usize::try_from(self.reader.metadata().file_metadata().num_rows()).unwrap_or(0)
    }

    /// Rows of each row group.
    pub fn groups(&self) -> Vec<usize> {
        let groups = self.reader.metadata().row_groups();
        groups.iter().map(|group| usize::try_from(group.num_rows()).unwrap_or(0)).collect()
    }

    /// A value of the file's own metadata.
    pub fn metadata(&self, key: &str) -> Option<&str> {
        let pairs = self.reader.metadata().file_metadata().key_value_metadata()?;
        pairs.iter().find(|pair| pair.key == key)?.value.as_deref()
    }

    /// Index of the leaf of a top-level column: its only one, or the one of that name.
    fn leaf(&self, column: &str, child: Option<&str>) -> Result<usize, TableError> {
        let schema = self.reader.metadata().file_metadata().schema_descr();
        schema
            .columns()
            .iter()
            .position(|leaf| {
                let parts = leaf.path().parts();
                parts.first().is_some_and(|name| name == column)
                    && child.is_none_or(|child| parts.last().is_some_and(|name| name == child))
            })
            .ok_or_else(|| TableError::NoColumn {
                path: self.path.clone(),
                column: child.map_or_else(|| column.to_owned(), |c| format!("{column}.{c}")),
            })
    }

    pub fn has(&self, column: &str) -> bool {
        self.leaf(column, None).is_ok()
    }

    /// Reads one row group of a column; `child` names the field of a struct column.
    pub fn group(
        &self,
        group: usize,
        column: &str,
        child: Option<&str>,
    ) -> Result<Column, TableError> {
        let leaf = self.leaf(column, child)?;
        let broken = |source| TableError::Parquet { path: self.path.clone(), source };
        let reader = self.reader.get_row_group(group).map_err(broken)?;
        let rows = usize::try_from(reader.metadata().num_rows()).unwrap_or(0);
        let schema = self.reader.metadata().file_metadata().schema_descr();
        let full = schema.column(leaf).max_def_level();
        let column_reader = reader.get_column_reader(leaf).map_err(broken)?;
        let mut starts = Vec::new();
        let values = match column_reader {
            ColumnReader::BoolColumnReader(r) => {
                Leaf::Bool(drain::<BoolType>(r, rows, full, &mut starts).map_err(broken)?)
            }
            ColumnReader::Int32ColumnReader(r) => {
                let values = drain::<Int32Type>(r, rows, full, &mut starts).map_err(broken)?;
                Leaf::Int(values.into_iter().map(i64::from).collect())
            }
            ColumnReader::Int64ColumnReader(r) => {
                Leaf::Int(drain::<Int64Type>(r, rows, full, &mut starts).map_err(broken)?)
            }
            ColumnReader::FloatColumnReader(r) => {
                Leaf::Float(drain::<FloatType>(r, rows, full, &mut starts).map_err(broken)?)
            }
            ColumnReader::DoubleColumnReader(r) => {
                Leaf::Double(drain::<DoubleType>(r, rows, full, &mut starts).map_err(broken)?)
            }
            ColumnReader::ByteArrayColumnReader(r) => {
                Leaf::Bytes(drain::<ByteArrayType>(r, rows, full, &mut starts).map_err(broken)?)
            }
            ColumnReader::Int96ColumnReader(_) | ColumnReader::FixedLenByteArrayColumnReader(_) => {
                return Err(TableError::ColumnType {
                    path: self.path.clone(),
                    column: column.to_owned(),
                    expected: "numbers or text",
                    found: "fixed-length bytes",
                });
            }
        };
        Ok(Column { values, starts })
    }

    fn mistyped(&self, column: &str, expected: &'static str, found: &Leaf) -> TableError {
        TableError::ColumnType {
            path: self.path.clone(),
            column: column.to_owned(),
            expected,
            found: found.type_name(),
        }
    }

    /// Reads a whole column of integers, one per row.
    pub fn integers(&self, column: &str) -> Result<Vec<i64>, TableError> {
        let mut all = Vec::new();
        for group in 0..self.reader.num_row_groups() {
            let part = self.group(group, column, None)?;
            match &part.values {
                Leaf::Int(values) if values.len() == part.rows() => all.extend_from_slice(values),
                Leaf::Int(values) => {
                    return Err(TableError::RowLength {
                        path: self.path.clone(),
                        column: column.to_owned(),
                        row: all.len(),
                        expected: part.rows(),
                        found: values.len(),
                    });
                }
                other => return Err(self.mistyped(column, "integers", other)),
            }
        }
        Ok(all)
    }

    /// Reads a whole column of numbers, however nested, as one flat list per row.
    pub fn numbers(&self, column: &str) -> Result<Vec<Vec<f64>>, TableError> {
        self.lists(column, "numbers", |leaf, range| {
            Some(match leaf {
                Leaf::Int(values) => values.get(range)?.iter().map(|&v| v as f64).collect(),
                Leaf::Float(values) => values.get(range)?.iter().map(|&v| f64::from(v)).collect(),
                Leaf::Double(values) => values.get(range)?.to_vec(),
                Leaf::Bool(_) | Leaf::Bytes(_) => return None,
            })
        })
    }

    /// Reads a whole column of text, however nested, as one flat list per row.
    pub fn texts(&self, column: &str) -> Result<Vec<Vec<String>>, TableError> {
        self.lists(column, "text", |leaf, range| match leaf {
            Leaf::Bytes(values) => {
                let text = |value: &ByteArray| value.as_utf8().ok().map(str::to_owned);
                values.get(range)?.iter().map(text).collect()
            }
            _ => None,
        })
    }

    fn lists<T>(
        &self,
        column: &str,
        expected: &'static str,
        take: impl Fn(&Leaf, std::ops::Range<usize>) -> Option<Vec<T>>,
    ) -> Result<Vec<Vec<T>>, TableError> {
        let mut all = Vec::new();
        for group in 0..self.reader.num_row_groups() {
            let part = self.group(group, column, None)?;
            for row in 0..part.rows() {
                let values = part.range(row).and_then(|range| take(&part.values, range));
                all.push(values.ok_or_else(|| self.mistyped(column, expected, &part.values))?);
            }
        }
        Ok(all)
    }
}

fn drain<T: DataType>(
    mut reader: ColumnReaderImpl<T>,
    rows: usize,
    full: i16,
    starts: &mut Vec<usize>,
) -> Result<Vec<T::T>, ParquetError> {
    let (mut values, mut definitions, mut repetitions) = (Vec::new(), Vec::new(), Vec::new());
    let mut records = 0;
    while records < rows {
        let (read, _, _) = reader.read_records(
            rows - records,
            Some(&mut definitions),
            Some(&mut repetitions),
            &mut values,
        )?;
        if read == 0 {
            return Err(ParquetError::EOF(format!("{records} of {rows} rows in a column")));
        }
        records += read;
    }
    // Required and flat columns carry no levels: every row has its one value.
    let levels = definitions.len().max(repetitions.len()).max(values.len());
    let mut seen = 0;
    for level in 0..levels {
        if repetitions.get(level).is_none_or(|&repetition| repetition == 0) {
            starts.push(seen);
        }
        if definitions.get(level).is_none_or(|&definition| definition == full) {
            seen += 1;
        }
    }
    starts.push(seen);
    if seen != values.len() || starts.len() != rows + 1 {
        return Err(ParquetError::General("levels and values of a column disagree".to_owned()));
    }
    Ok(values)
}
