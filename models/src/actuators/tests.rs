//! Tests of what the public interface does not show.
