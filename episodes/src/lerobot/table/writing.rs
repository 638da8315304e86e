//! Writing a table, row group by row group.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use parquet::basic::{Compression, ConvertedType, LogicalType, Repetition, Type as PhysicalType};
use parquet::data_type::{ByteArray, ByteArrayType, DataType, DoubleType, FloatType, Int64Type};
use parquet::errors::ParquetError;
use parquet::file::metadata::KeyValue;
use parquet::file::properties::{EnabledStatistics, WriterProperties};
use parquet::file::writer::{SerializedFileWriter, SerializedRowGroupWriter};
use parquet::schema::types::{ColumnPath, Type, TypePtr};

use super::TableError;
use crate::files::Part;

/// Type of a column to write.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::lerobot) enum Kind {
    Float32,
    Float64,
    Int64,
    Text,
    /// `struct{bytes, path}`, as the `datasets` library stores images.
    Image,
}

/// A column to write.
#[derive(Clone, Debug)]
pub(in crate::lerobot) struct Field {
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
pub(in crate::lerobot) enum Values {
    Float32(Vec<f32>),
    Float64(Vec<f64>),
    Int64(Vec<i64>),
    Text(Vec<String>),
    /// PNG files and their names.
    Image(Vec<(ByteArray, String)>),
}

/// Writes a table to a `.part` file; [`TableWriter::finish`] gives it its name, dropping it before
/// removes it.
pub(in crate::lerobot) struct TableWriter {
    writer: SerializedFileWriter<Part>,
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
                    .set_column_statistics_enabled(bytes, EnabledStatistics::None);
            }
        }
        let schema =
            Type::group_type_builder("schema").with_fields(nodes).build().map_err(write)?;
        let file = Part::create(path)?;
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
        let part = self.writer.into_inner().map_err(|source| TableError::Write { path, source })?;
        Ok(part.finish()?)
    }
}

fn no_column() -> ParquetError {
    ParquetError::General("more arrays than columns".to_owned())
}

fn write_leaf<T: DataType<T = V>, V>(
    group: &mut SerializedRowGroupWriter<'_, Part>,
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn repetition_levels_follow_the_shape() {
        let levels = |shape: &[usize]| Field::new("f", Kind::Int64, shape).repetitions();
        assert_eq!(levels(&[3]), [0, 1, 1]);
        assert_eq!(levels(&[3, 1, 1]), [0, 1, 1]);
        assert_eq!(levels(&[2, 2]), [0, 2, 1, 2]);
    }
}
