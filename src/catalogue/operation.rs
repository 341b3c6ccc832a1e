//! The operations of a protocol as data.

/// One operation of a protocol's route table.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct OperationInfo {
    /// Its name: `createRepo`.
    pub name: &'static str,
    /// The HTTP method of its route.
    pub method: &'static str,
    /// The path of its route, with the names of what varies in braces.
    pub path: &'static str,
    /// Whether the same request is answered in another way once it was granted: it writes, or uses something up.
    pub is_spent_by_use: bool,
}
