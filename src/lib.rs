//! The sinew runtime.
