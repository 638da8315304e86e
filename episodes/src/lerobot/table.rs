//! Parquet tables without Arrow: columns of scalars, of nested lists, and of images.

use std::fs::File;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use parquet::basic::{Compression, ConvertedType, LogicalType, Repetition, Type as PhysicalType};
use parquet::column::reader::{ColumnReader, ColumnReaderImpl};
use parquet::data_type::{
    BoolType, ByteArray, ByteArrayType, DataType, DoubleType, FloatType, Int32Type, Int64Type,
};
use parquet::errors::ParquetError;
use parquet::file::metadata::KeyValue;
use parquet::file::properties::WriterProperties;
use parquet::file::reader::{FileReader, SerializedFileReader};
use parquet::file::writer::SerializedFileWriter;
use parquet::schema::types::{ColumnPath, Type, TypePtr};

use super::files::{self, FileError};

/// Why a parquet file could not be read or written.
#[derive(Debug, thiserror::Error)]
pub enum TableError {
    /// The file system refused.
    #[error(transparent)]
    File(#[from] FileError),
    /// Not a whole parquet file, or one with an encoding that is not supported.
    #[error("{} is not a readable parquet file: {source}", path.display())]
    Parquet {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        source: ParquetError,
    },
    /// The file could not be written.
    #[error("cannot write {}: {source}", path.display())]
    Write {
        /// The file.
        path: PathBuf,
        /// Why.
        source: ParquetError,
    },
    /// A column is missing.
    #[error("{} has no column {column:?}", path.display())]
    NoColumn {
        /// The file.
        path: PathBuf,
        /// The column.
        column: String,
    },
    /// A column has another type.
    #[error("column {column:?} of {} holds {found}, not {expected}", path.display())]
    ColumnType {
        /// The file.
        path: PathBuf,
        /// The column.
        column: String,
        /// Type that was expected.
        expected: &'static str,
        /// Type in the file.
        found: &'static str,
    },
    /// A row has another number of values than its feature's shape.
    #[error(
        "column {column:?} of {} has {found} values in row {row}, its shape needs {expected}",
        path.display()
    )]
    RowLength {
        /// The file.
        path: PathBuf,
        /// The column.
        column: String,
        /// The row in the file.
        row: usize,
        /// Values of the shape.
        expected: usize,
        /// Values in the file.
        found: usize,
    },
    /// A row that the metadata promises is not there.
    #[error("{} has {found} rows, row {row} was asked for", path.display())]
    NoRow {
        /// The file.
        path: PathBuf,
        /// The row.
        row: usize,
        /// Rows in the file.
        found: usize,
    },
}

/// Type of a column to write.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    Float32,
    Float64,
    Int64,
    Text,
    /// `struct{bytes, path}`, as the `datasets` library stores images.
    Image,
}

/// A column to write.
#[derive(Clone, Debug)]
pub(super) struct Field {
    pub name: String,
    pub kind: Kind,
    /// Empty for scalars; otherwise the lengths of nested lists, outermost first.
    pub shape: Vec<usize>,
}

impl Field {
    pub fn new(name: impl Into<String>, kind: Kind, shape: &[usize]) -> Self {
        Self { name: name.into(), kind, shape: shape.to_vec() }
    }

    /// Every level is optional: that is what pandas and `datasets` write, and expect.
    fn schema(&self) -> Result<Type, ParquetError> {
        let (physical, logical, converted) = match self.kind {
            Kind::Float32 => (PhysicalType::FLOAT, None, ConvertedType::NONE),
            Kind::Float64 => (PhysicalType::DOUBLE, None, ConvertedType::NONE),
            Kind::Int64 => (PhysicalType::INT64, None, ConvertedType::NONE),
            Kind::Text => {
                (PhysicalType::BYTE_ARRAY, Some(LogicalType::String), ConvertedType::UTF8)
            }
            Kind::Image => {
                let bytes = Type::primitive_type_builder("bytes", PhysicalType::BYTE_ARRAY)
                    .with_repetition(Repetition::OPTIONAL)
                    .build()?;
                let path = Type::primitive_type_builder("path", PhysicalType::BYTE_ARRAY)
                    .with_repetition(Repetition::OPTIONAL)
                    .with_logical_type(Some(LogicalType::String))
                    .with_converted_type(ConvertedType::UTF8)
                    .build()?;
                return Type::group_type_builder(&self.name)
                    .with_repetition(Repetition::OPTIONAL)
                    .with_fields(vec![Arc::new(bytes), Arc::new(path)])
                    .build();
            }
        };
        let leaf = if self.shape.is_empty() { self.name.as_str() } else { "element" };
        let mut node = Type::primitive_type_builder(leaf, physical)
            .with_repetition(Repetition::OPTIONAL)
            .with_logical_type(logical)
            .with_converted_type(converted)
            .build()?;
        for depth in (0..self.shape.len()).rev() {
            let repeated = Type::group_type_builder("list")
                .with_repetition(Repetition::REPEATED)
                .with_fields(vec![Arc::new(node)])
                .build()?;
            let name = if depth == 0 { self.name.as_str() } else { "element" };
            node = Type::group_type_builder(name)
                .with_repetition(Repetition::OPTIONAL)
                .with_logical_type(Some(LogicalType::List))
                .with_converted_type(ConvertedType::LIST)
                .with_fields(vec![Arc::new(repeated)])
                .build()?;
        }
        Ok(node)
    }

    /// Definition level of a value that is there.
    fn definition(&self) -> i16 {
        1 + 2 * self.shape.len() as i16
    }

    /// Repetition level of each value of one row.
    fn repetitions(&self) -> Vec<i16> {
        let count: usize = self.shape.iter().product();
        let depth = self.shape.len();
        (0..count)
            .map(|value| {
                let mut rest = value;
                let mut level = depth;
                for &length in self.shape.iter().rev() {
                    if rest % length != 0 {
                        return level as i16;
                    }
                    rest /= length;
                    level -= 1;
                }
                0
            })
            .collect()
    }
}

/// Values of one column, row after row.
#[derive(Clone, Debug)]
pub(super) enum Values {
    Float32(Vec<f32>),
    Float64(Vec<f64>),
    Int64(Vec<i64>),
    Text(Vec<String>),
    /// PNG files and their names.
    Image(Vec<(ByteArray, String)>),
}

/// Writes a table to a `.part` file; [`TableWriter::finish`] gives it its name.
pub(super) struct TableWriter {
    writer: SerializedFileWriter<File>,
    fields: Vec<Field>,
    path: PathBuf,
}

impl TableWriter {
    pub fn create(
        path: &Path,
        fields: Vec<Field>,
        metadata: Vec<(String, String)>,
    ) -> Result<Self, TableError> {
        let write = |source| TableError::Write { path: path.to_owned(), source };
        let mut nodes: Vec<TypePtr> = Vec::with_capacity(fields.len());
        let mut properties = WriterProperties::builder()
            .set_compression(Compression::SNAPPY)
            .set_created_by(concat!("sinew ", env!("CARGO_PKG_VERSION")).to_owned())
            .set_key_value_metadata(Some(
                metadata.into_iter().map(|(key, value)| KeyValue::new(key, value)).collect(),
            ));
        for field in &fields {
            nodes.push(Arc::new(field.schema().map_err(write)?));
            if field.kind == Kind::Image {
                // PNG does not compress again, and no two images are alike.
                let bytes = ColumnPath::new(vec![field.name.clone(), "bytes".to_owned()]);
                properties = properties
                    .set_column_compression(bytes.clone(), Compression::UNCOMPRESSED)
                    .set_column_dictionary_enabled(bytes.clone(), false)
                    .set_column_statistics_enabled(
                        bytes,
                        parquet::file::properties::EnabledStatistics::None,
                    );
            }
        }
        let schema =
            Type::group_type_builder("schema").with_fields(nodes).build().map_err(write)?;
        let file = files::create_part(path)?;
        let writer =
            SerializedFileWriter::new(file, Arc::new(schema), Arc::new(properties.build()))
                .map_err(write)?;
        Ok(Self { writer, fields, path: path.to_owned() })
    }

    /// Writes rows: one [`Values`] per field, in the fields' order.
    pub fn write_group(&mut self, columns: &[Values]) -> Result<(), TableError> {
        let path = self.path.clone();
        self.write_columns(columns).map_err(|source| TableError::Write { path, source })
    }

    fn write_columns(&mut self, columns: &[Values]) -> Result<(), ParquetError> {
        if columns.len() != self.fields.len() {
            return Err(ParquetError::General("one array of values per column".to_owned()));
        }
        let mut group = self.writer.next_row_group()?;
        for (field, values) in self.fields.iter().zip(columns) {
            match values {
                Values::Float32(data) => write_leaf::<FloatType, _>(&mut group, field, data)?,
                Values::Float64(data) => write_leaf::<DoubleType, _>(&mut group, field, data)?,
                Values::Int64(data) => write_leaf::<Int64Type, _>(&mut group, field, data)?,
                Values::Text(data) => {
                    let data: Vec<ByteArray> =
                        data.iter().map(|text| ByteArray::from(text.as_str())).collect();
                    write_leaf::<ByteArrayType, _>(&mut group, field, &data)?;
                }
                Values::Image(data) => {
                    let definitions = vec![2; data.len()];
                    let bytes: Vec<ByteArray> = data.iter().map(|(png, _)| png.clone()).collect();
                    let paths: Vec<ByteArray> =
                        data.iter().map(|(_, path)| ByteArray::from(path.as_str())).collect();
                    for values in [bytes, paths] {
                        let mut column = group.next_column()?.ok_or_else(no_column)?;
                        column.typed::<ByteArrayType>().write_batch(
                            &values,
                            Some(&definitions),
                            None,
                        )?;
                        column.close()?;
                    }
                }
            }
        }
        group.close()?;
        Ok(())
    }

    /// Writes the footer, syncs, and moves the file to its place.
    pub fn finish(self) -> Result<(), TableError> {
        let path = self.path;
        let file = self
            .writer
            .into_inner()
            .map_err(|source| TableError::Write { path: path.clone(), source })?;
        Ok(files::finish_part(file, &path)?)
    }
}

fn no_column() -> ParquetError {
    ParquetError::General("more arrays than columns".to_owned())
}

fn write_leaf<T: DataType<T = V>, V>(
    group: &mut parquet::file::writer::SerializedRowGroupWriter<'_, File>,
    field: &Field,
    values: &[V],
) -> Result<(), ParquetError> {
    let definitions = vec![field.definition(); values.len()];
    let row = field.repetitions();
    let repetitions: Option<Vec<i16>> =
        (!field.shape.is_empty()).then(|| row.iter().copied().cycle().take(values.len()).collect());
    let mut column = group.next_column()?.ok_or_else(no_column)?;
    column.typed::<T>().write_batch(values, Some(&definitions), repetitions.as_deref())?;
    column.close()
}

/// One column as read: all values that are there, and where each row's begin.
#[derive(Clone, Debug)]
pub(super) struct Column {
    pub values: Leaf,
    /// `rows + 1` offsets into the values.
    starts: Vec<usize>,
}

/// Values as a file stores them.
#[derive(Clone, Debug)]
pub(super) enum Leaf {
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
pub(super) struct Table {
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
        let mut all = Vec::with_capacity(self.rows());
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
        let mut all = Vec::with_capacity(self.rows());
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nested_values_come_back_row_by_row() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("t.parquet");
        let fields = vec![
            Field::new("a/x.y", Kind::Float32, &[3]),
            Field::new("i", Kind::Int64, &[]),
            Field::new("s", Kind::Float64, &[3, 1, 1]),
            Field::new("t", Kind::Text, &[1]),
            Field::new("p", Kind::Image, &[]),
        ];
        let metadata = vec![("k".to_owned(), "v".to_owned())];
        let mut writer = TableWriter::create(&path, fields, metadata).unwrap();
        for group in 0..2_i64 {
            let base = group as f32 * 6.0;
            writer
                .write_group(&[
                    Values::Float32((0..6).map(|v| base + v as f32).collect()),
                    Values::Int64(vec![group * 2, group * 2 + 1]),
                    Values::Float64((0..6).map(f64::from).collect()),
                    Values::Text(vec!["one".into(), "two".into()]),
                    Values::Image(vec![
                        (ByteArray::from(vec![1, 2]), "f0".into()),
                        (ByteArray::from(vec![3]), "f1".into()),
                    ]),
                ])
                .unwrap();
        }
        assert!(!path.exists());
        writer.finish().unwrap();
        let table = Table::open(&path).unwrap();
        assert_eq!((table.rows(), table.groups()), (4, vec![2, 2]));
        assert_eq!(table.metadata("k"), Some("v"));
        let rows = table.numbers("a/x.y").unwrap();
        assert_eq!(rows[3], [9.0, 10.0, 11.0]);
        assert_eq!(table.integers("i").unwrap(), [0, 1, 2, 3]);
        assert_eq!(table.numbers("s").unwrap()[1], [3.0, 4.0, 5.0]);
        assert_eq!(table.texts("t").unwrap()[2], ["one"]);
        let images = table.group(1, "p", Some("bytes")).unwrap();
        let Leaf::Bytes(bytes) = &images.values else { panic!() };
        assert_eq!(bytes[images.range(0).unwrap()][0].data(), [1, 2]);
        assert!(matches!(table.integers("none"), Err(TableError::NoColumn { .. })));
        assert!(matches!(table.integers("t"), Err(TableError::ColumnType { .. })));
    }

    #[test]
    fn repetition_levels_follow_the_shape() {
        let levels = |shape: &[usize]| Field::new("f", Kind::Int64, shape).repetitions();
        assert_eq!(levels(&[3]), [0, 1, 1]);
        assert_eq!(levels(&[3, 1, 1]), [0, 1, 1]);
        assert_eq!(levels(&[2, 2]), [0, 2, 1, 2]);
    }

    #[test]
    fn damaged_files_are_named() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("t.parquet");
        std::fs::write(&path, b"PAR1 no footer").unwrap();
        assert!(matches!(Table::open(&path), Err(TableError::Parquet { .. })));
        assert!(matches!(Table::open(&folder.path().join("n")), Err(TableError::File(_))));
    }
}
