//! Parquet tables without Arrow: columns of scalars, of nested lists, and of images.

mod reading;
mod writing;

use std::path::PathBuf;

use parquet::errors::ParquetError;

use crate::files::FileError;

pub(super) use reading::{Column, Leaf, Table};
pub(super) use writing::{Field, Kind, TableWriter, Values};

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

#[cfg(test)]
mod tests {
    use parquet::data_type::ByteArray;

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
    fn an_unfinished_table_leaves_nothing() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("t.parquet");
        let fields = vec![Field::new("i", Kind::Int64, &[])];
        let mut writer = TableWriter::create(&path, fields, Vec::new()).unwrap();
        writer.write_group(&[Values::Int64(vec![1])]).unwrap();
        assert!(folder.path().join("t.parquet.part").exists());
        drop(writer);
        assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 0);
    }

    #[test]
    fn a_footer_that_promises_too_many_rows_is_no_reason_to_reserve_them() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("t.parquet");
        let fields = vec![Field::new("i", Kind::Int64, &[]), Field::new("t", Kind::Text, &[])];
        let mut writer = TableWriter::create(&path, fields, Vec::new()).unwrap();
        let texts = vec!["text".to_owned(); 77];
        writer.write_group(&[Values::Int64((0..77).collect()), Values::Text(texts)]).unwrap();
        writer.finish().unwrap();
        let mut bytes = std::fs::read(&path).unwrap();
        // The file's `num_rows`, then its row groups: 77 and the largest number as zigzag varints.
        let (rows, most) = ([0x16, 0x9a, 0x01, 0x19], [&[0x16, 0xfe], &[0xff; 8][..], &[1, 0x19]]);
        let footer = bytes.len() - 8;
        let at = bytes.windows(4).position(|window| window == rows).unwrap();
        let length = u32::from_le_bytes(bytes[footer..footer + 4].try_into().unwrap());
        bytes[footer..footer + 4].copy_from_slice(&(length + 8).to_le_bytes());
        bytes.splice(at..at + 4, most.concat());
        std::fs::write(&path, bytes).unwrap();
        let table = Table::open(&path).unwrap();
        assert_eq!(table.rows() as i64, i64::MAX);
        assert_eq!(table.integers("i").unwrap(), (0..77).collect::<Vec<_>>());
        assert_eq!(table.texts("t").unwrap().len(), 77);
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
