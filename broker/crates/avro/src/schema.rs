//! A parsed schema: nodes in a list, so that a type may contain itself.

/// The place of a node in its schema.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct NodeId(pub(crate) usize);

/// A field of a record.
#[derive(Clone, Debug, PartialEq)]
pub struct Field {
    /// Its name.
    pub name: String,
    /// Other names under which it may have been written.
    pub aliases: Vec<String>,
    /// Its type.
    pub node: NodeId,
    /// Its default, as the text has it; a default of null is `Some(Null)`.
    pub default: Option<serde_json::Value>,
}

/// What a node is.
#[derive(Clone, Debug, PartialEq)]
pub enum Kind {
    /// `null`
    Null,
    /// `boolean`
    Boolean,
    /// `int`
    Int,
    /// `long`
    Long,
    /// `float`
    Float,
    /// `double`
    Double,
    /// `bytes`
    Bytes,
    /// `string`
    String,
    /// `array` of items.
    Array(NodeId),
    /// `map` of values.
    Map(NodeId),
    /// One of several.
    Union(Vec<NodeId>),
    /// `record`
    Record(Vec<Field>),
    /// `enum`
    Enum {
        /// Its symbols in order.
        symbols: Vec<String>,
        /// What an unknown symbol is read as.
        default: Option<String>,
    },
    /// `fixed`
    Fixed {
        /// Size in bytes.
        size: u64,
    },
}

impl Kind {
    /// Returns Avro's word for it.
    #[must_use]
    pub const fn name(&self) -> &'static str {
        match self {
            Self::Null => "null",
            Self::Boolean => "boolean",
            Self::Int => "int",
            Self::Long => "long",
            Self::Float => "float",
            Self::Double => "double",
            Self::Bytes => "bytes",
            Self::String => "string",
            Self::Array(_) => "array",
            Self::Map(_) => "map",
            Self::Union(_) => "union",
            Self::Record(_) => "record",
            Self::Enum { .. } => "enum",
            Self::Fixed { .. } => "fixed",
        }
    }
}

/// A node of a schema.
#[derive(Clone, Debug, PartialEq)]
pub struct Node {
    /// What it is.
    pub kind: Kind,
    /// Full name of a record, enum or fixed; empty for the others.
    pub name: String,
    /// Other full names of it.
    pub aliases: Vec<String>,
}

/// A schema with everything that it refers to.
#[derive(Clone, Debug)]
pub struct Schema {
    pub(crate) nodes: Vec<Node>,
    pub(crate) root: NodeId,
    pub(crate) canonical: String,
    pub(crate) wrong_default: Option<String>,
}

impl Schema {
    /// Returns the outermost node.
    #[must_use]
    pub const fn root(&self) -> NodeId {
        self.root
    }

    /// Returns a node. An id of another schema gives the outermost node.
    #[must_use]
    pub fn node(&self, id: NodeId) -> &Node {
        self.nodes.get(id.0).unwrap_or_else(|| self.first())
    }

    fn first(&self) -> &Node {
        static NULL: Node = Node {
            kind: Kind::Null,
            name: String::new(),
            aliases: Vec::new(),
        };
        self.nodes.get(self.root.0).unwrap_or(&NULL)
    }

    /// Returns one text for all texts of this schema: names in full, attributes in alphabetical order, no white space.
    ///
    /// Other than the specification's parsing canonical form it keeps what is not needed for parsing (docs, defaults,
    /// aliases, logical types): schemas that differ in these are different versions of a subject.
    #[must_use]
    pub fn canonical(&self) -> &str {
        &self.canonical
    }

    /// Says which default does not fit its type, if one does not. Such a schema still reads and writes.
    #[must_use]
    pub fn wrong_default(&self) -> Option<&str> {
        self.wrong_default.as_deref()
    }
}
