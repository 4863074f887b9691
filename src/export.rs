//! From the SDK to the outside.
